// One channel opened: who is on it, what they may, its last talks, and its place in the grid.

import { attribute, byId, make, picture, relist, text } from './dom.js';
import { clock, timeOfDay, words } from './words.js';

const MINUTES = [1, 5, 15, 30];
const byName = new Intl.Collator(undefined, { numeric: true });

export class ChannelPanel {
  #id = null;
  /** The id of the transmission that the button ends: the one it names. */
  #ends = null;

  /** `on`: move(id, step), replay(transmissionId, channelId). */
  constructor({ session, talks, on }) {
    Object.assign(this, { session, talks, on });
    this.panel = byId('channel-panel');
    byId('channel-earlier').addEventListener('click', () => on.move(this.#id, { step: -1 }));
    byId('channel-later').addEventListener('click', () => on.move(this.#id, { step: 1 }));
    byId('channel-end').addEventListener('click', () => this.#send({ type: 'END_TALK', transmissionId: this.#ends }));
  }

  open(id) {
    this.#id = id;
    this.draw();
  }

  draw() {
    const channel = this.session.channels.get(this.#id);
    if (!channel) return this.panel.close();
    if (!this.#id || !this.panel.open) return;
    text(byId('channel-title'), channel.name);
    text(byId('channel-people'), channel.members.size ? words.channel.people(channel.members.size) : words.channel.nobody);
    byId('channel-end').hidden = !channel.talk;
    this.#ends = channel.talk?.transmissionId;
    if (channel.talk) text(byId('channel-end'), words.channel.end(channel.talk.talker.name));
    this.#drawPeople(channel);
    this.#drawTalks(channel);
  }

  #drawPeople(channel) {
    const rows = [...channel.members.values()]
      .map((member) => ({
        sessionId: member.sessionId,
        userId: member.userId,
        name: member.sessionId === channel.me.sessionId ? `${member.name} ${words.youMark}` : member.name,
        own: member.userId === channel.me.userId,
        note: [
          words.role[member.role],
          words.presence[member.presence],
          member.silencedMs ? words.channel.silencedFor(member.silencedMs) : '',
        ].filter(Boolean).join(' · '),
        presence: member.presence,
        silenced: Boolean(member.silencedMs),
        talks: channel.talk?.talker.sessionId === member.sessionId,
      }))
      .sort((a, b) => byName.compare(a.name, b.name));
    relist(byId('channel-member-list'), rows, (row) => {
      const mark = picture(row.talks ? 'hearing' : { awake: 'people', asleep: 'asleep', lost: 'no-link' }[row.presence]);
      const who = make('span', { className: 'who' }, make('strong', { textContent: row.name }), make('span', { textContent: row.note }));
      const item = make('li', {}, mark, who);
      attribute(item, 'data-talks', row.talks ? 'true' : null);
      if (!row.own) item.append(row.silenced ? this.#lift(row) : this.#silence(row));
      return item;
    });
  }

  #silence(row) {
    const select = make('select', { 'aria-label': words.channel.silenceLabel(row.name) });
    select.dataset.key = `silence-${row.sessionId}`;
    select.append(make('option', { value: '', textContent: words.channel.silence }));
    for (const n of MINUTES) select.append(make('option', { value: String(n), textContent: words.channel.minutes(n) }));
    select.addEventListener('change', () => {
      if (select.value) this.#send({ type: 'SILENCE', userId: row.userId, minutes: Number(select.value) });
      select.value = '';
    });
    return select;
  }

  #lift(row) {
    const button = make('button', { type: 'button', textContent: words.channel.lift });
    button.dataset.key = `silence-${row.sessionId}`;
    button.addEventListener('click', () => this.#send({ type: 'SILENCE', userId: row.userId, minutes: 0 }));
    return button;
  }

  #drawTalks(channel) {
    const rows = (this.talks.past.get(channel.id) ?? []).map(({ transmissionId, name, own, began, lasted }) => ({
      transmissionId, name: own ? words.tile.you : name, began, lasted: Math.round(lasted), missed: this.talks.missed(channel.id).includes(transmissionId), recorded: channel.recorded,
    }));
    byId('channel-unrecorded').hidden = channel.recorded;
    relist(byId('channel-talk-list'), rows, (row) => {
      const play = make('button', { type: 'button', 'aria-label': words.channel.replay(row.name, row.began), disabled: !row.recorded }, picture('play'));
      play.dataset.key = `replay-${row.transmissionId}`;
      play.addEventListener('click', () => this.on.replay(row.transmissionId, channel.id));
      const item = make('li', {}, play, make('strong', { textContent: row.name }), make('span', { textContent: clock(row.lasted) }), make('span', { textContent: timeOfDay(row.began) }));
      attribute(item, 'data-missed', row.missed ? 'true' : null);
      return item;
    });
  }

  #send(message) {
    this.session.signaling.send({ ...message, channelId: this.#id });
  }
}
