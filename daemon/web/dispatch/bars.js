// The bar above the tiles and the one below: where this desk is, the big key, and what there is to say.

import { attribute, byId, text } from './dom.js';
import { clock, keyName, words } from './words.js';

const SAID_MS = 6000;

export class Bars {
  #passing = null;

  /** `parts`: link, session, desk, press, positions, talks, calls, hearing, microphone, settings. */
  constructor({ changed, ...parts }) {
    Object.assign(this, parts, { changed });
    byId('said-action').addEventListener('click', () => this.notice().run?.());
  }

  draw() {
    this.#drawTop();
    this.drawFoot();
  }

  /** Says a sentence for a while. */
  say(sentence, kind = 'good') {
    clearTimeout(this.#passing?.timer);
    const timer = setTimeout(() => {
      this.#passing = null;
      this.changed();
    }, SAID_MS);
    this.#passing = { kind, sentence, timer };
    this.changed();
  }

  #drawTop() {
    text(byId('box-name'), this.session.box || words.title);
    text(byId('position'), this.positions.mine ? words.top.position(this.positions.mine) : words.top.noPosition);
    attribute(byId('link'), 'data-state', this.link.connected ? 'good' : this.link.broken ? 'bad' : 'wait');
    text(byId('link-words'), this.link.connected ? this.session.me?.name ?? '' : words.link.short[this.link.state] ?? this.link.state);
    byId('link').title = this.link.sentence;
    const missed = this.talks.missedInAll;
    text(byId('missed-count'), missed ? words.tile.missed(missed) : '');
    text(byId('call-count'), this.calls.open ? String(this.calls.open) : '');
    attribute(byId('open-side'), 'aria-label', words.top.side(this.calls.open));
    const urgent = this.calls.urgent[0];
    const busy = [...this.session.channels.values()].find((channel) => channel.talk && this.desk.selected.has(channel.id));
    const title = [urgent && `${words.emergency.title}: ${urgent.raiser.name}`, busy && `${busy.talk.talker.name} · ${busy.name}`, words.title, this.session.box];
    document.title = title.filter(Boolean).join(' · ');
  }

  drawFoot() {
    const mine = [...this.session.channels.values()].filter((channel) => channel.mine.state !== 'idle');
    const named = (state) => mine.filter((channel) => channel.mine.state === state);
    const air = named('onair');
    const since = Math.min(...air.map((channel) => channel.mine.since));
    const m = words.master;
    const state = !this.press.active ? 'idle' : air.length ? 'onair' : named('queued').length ? 'queued' : named('pressed').length ? 'pressed' : 'denied';
    attribute(byId('master'), 'data-state', state);
    attribute(byId('master'), 'data-none', this.desk.selected.size ? null : 'true');
    text(byId('master-word'), air.length ? m.onAir(clock(performance.now() - since)) : state === 'pressed' ? m.pressed : m.idle([...this.desk.selected].filter((id) => this.session.channels.has(id)).length));
    text(byId('master-key'), m.key(keyName(this.settings.talkKey)));
    this.#drawSaid(mine);
    byId('stop-replay').hidden = !this.talks.replaying;
  }

  #drawSaid(mine) {
    const told = this.notice(mine);
    attribute(byId('said'), 'data-kind', told.kind);
    text(byId('said-words'), told.sentence);
    byId('said-action').hidden = !told.action;
    text(byId('said-action'), told.action ?? '');
  }

  /** What there is to say now, the most urgent first, and what can be done about it. */
  notice(mine = []) {
    if (this.link.closed) return { kind: 'bad', sentence: this.link.sentence, action: words.link.back[this.link.state], run: () => this.link.connect() };
    if (!this.link.connected) return { kind: this.link.broken ? 'bad' : 'wait', sentence: this.link.sentence };
    if (mine.length) return this.#pressed(mine);
    if (this.positions.lost) {
      const { positionId, by } = this.positions.lost;
      const sentence = by ? words.position.lost(positionId, by) : words.position.lostToNobody(positionId);
      return { kind: 'bad', sentence, action: words.position.takeBack, run: () => this.positions.take(positionId) };
    }
    if (this.#passing) return this.#passing;
    if (this.talks.replaying) {
      const { name, channelId, began } = this.talks.replaying;
      return { kind: 'good', sentence: words.replay.playing(name, this.session.channels.get(channelId)?.name ?? channelId, began) };
    }
    if (this.hearing.blocked) return { kind: 'wait', sentence: words.said.blocked };
    if (this.microphone.refused || this.microphone.state === 'lost') return { kind: 'bad', sentence: words.microphone[this.microphone.state] };
    return { kind: 'none', sentence: words.said.ready };
  }

  // What became of the channels a press asked for, those that refused by name.
  #pressed(mine) {
    const named = (state) => mine.filter((channel) => channel.mine.state === state);
    const names = (state) => named(state).map((channel) => channel.name);
    const s = words.said;
    const sentences = [
      named('onair').length && s.onAir(names('onair')),
      named('pressed').length && s.asking(names('pressed')),
      ...named('queued').map((channel) => s.queued(channel.name, channel.mine.position)),
      ...named('denied').map((channel) => s.refused(channel.name, channel.mine.reason, channel.mine.name)),
      ...named('revoked').map((channel) => s.revoked(channel.name, channel.mine.reason)),
    ].filter(Boolean);
    const kind = named('denied').length || named('revoked').length ? 'wait' : named('onair').length ? 'air' : 'wait';
    return { kind, sentence: sentences.join(' ') };
  }
}
