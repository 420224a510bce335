// What the page shows to tests and to whoever looks from outside: daemon/design/dispatch.md.

import { lamp } from './tiles.js';

export function showOutside({ link, session, desk, press, microphone, hearing, positions, talks, calls, radios, look, now }) {
  function outline(channel) {
    const { id, mine, talk } = channel;
    const own = mine.state === 'onair';
    const runs = own ? { ...mine, name: session.me.name } : talk && { ...talk, name: talk.talker.name };
    const transport = session.transports.get(id);
    return Object.freeze({
      name: channel.name,
      group: channel.group,
      state: lamp(channel, look())[0],
      joined: channel.joined,
      muted: channel.muted,
      selected: desk.selected.has(id),
      missed: [...talks.missed(id)],
      talk: runs && { transmissionId: runs.transmissionId, name: runs.name, level: runs.level, own },
      talking: own,
      sending: transport?.sending ?? false,
      pc: transport?.state ?? null,
      volume: desk.volume(id),
      recorded: channel.recorded,
      members: [...channel.members.values()],
      last: talks.last(id),
    });
  }

  Object.defineProperty(window, 'pttd', { get: () => Object.freeze({
    ...now(),
    connected: link.connected,
    session: session.me?.sessionId ?? null,
    user: session.me?.userId ?? null,
    box: session.box,
    link: link.state,
    microphone: microphone.state,
    soundBlocked: hearing.blocked,
    press: press.active,
    channels: Object.fromEntries([...session.channels.values()].map((channel) => [channel.id, outline(channel)])),
    order: desk.sorted(session.channels).map((channel) => channel.id),
    position: positions.mine,
    positions: positions.all,
    positionLost: positions.lost,
    calls: calls.calls,
    emergencies: calls.emergencies,
    urgent: calls.urgent,
    radios: radios.all,
    replaying: talks.replaying,
    lastReplay: talks.lastReplay,
    level: (id) => hearing.level(id),
    analyser: (id) => hearing.analyser(id),
    replayed: hearing.replayed,
  }) });
}
