// The talk page's two lists: the last talks, and the people on the channel.

import { at, attribute, make, picture, relist, text } from './dom.js';
import { clock, timeOfDay, words } from './words.js';

const RECENT_SHAPE = { emergency: 'emergency', own: 'on-air', unheard: 'no-sound', heard: 'hearing', playing: 'stop' };

function recentState(talk, replay) {
  if (talk.transmissionId === replay.talk?.transmissionId) return 'playing';
  if (talk.level === 'emergency') return 'emergency';
  if (talk.name === null) return 'own';
  return talk.unheard ? 'unheard' : 'heard';
}

export function drawRecent(channel, replay) {
  const rows = (channel?.recent ?? []).map((talk) => ({
    id: talk.transmissionId,
    name: talk.name ?? words.you,
    note: talk.unheard ? words.missed : '',
    lasted: clock(talk.lasted),
    time: timeOfDay(talk.at),
    state: recentState(talk, replay),
    recorded: talk.recorded,
  }));
  relist(at('recent'), rows.length ? rows : [{ none: true }], ({ none, id, name, note, lasted, time, state, recorded }) => {
    if (none) return make('li', {}, make('p', { className: 'none', textContent: words.recentNone }));
    const mark = picture(recorded && state !== 'playing' ? 'play' : RECENT_SHAPE[state]);
    const parts = [mark, ...[name, note, lasted, time].map((value) => make('span', { textContent: value }))];
    const item = make('li');
    item.dataset.state = state;
    const line = recorded ? make('button', { type: 'button', title: state === 'playing' ? words.replay.stop : words.replay.of(name, time) }) : make('p');
    line.append(...parts);
    if (recorded) line.dataset.talk = id;
    item.append(line);
    return item;
  });
}

const byName = new Intl.Collator(undefined, { numeric: true });
export function drawMembers(channel) {
  const members = channel ? [...channel.members.values()] : [];
  const asleep = members.filter((member) => member.presence !== 'awake').length;
  text(at('people-count'), String(members.length));
  attribute(at('people'), 'aria-label', words.here(members.length, asleep));
  text(at('members-title'), words.here(members.length, asleep));
  const rows = members
    .map((member) => ({
      name: member.sessionId === channel.me.sessionId ? `${member.name} ${words.youMark}` : member.name,
      note: [words.role[member.role], words.presence[member.presence]].filter(Boolean).join(' · '),
      presence: member.presence,
      talks: channel.talk?.talker.sessionId === member.sessionId,
    }))
    .sort((a, b) => byName.compare(a.name, b.name));
  relist(at('member-list'), rows, ({ name, note, presence, talks }) => {
    const mark = picture(talks ? 'hearing' : { awake: 'people', asleep: 'asleep', lost: 'no-link' }[presence]);
    const item = make('li', {}, mark, make('span', { textContent: name }), make('span', { textContent: note }));
    item.dataset.presence = presence;
    return item;
  });
}
