// Who waits to be called, and who is in danger: the list both share, the banner, and the sounds that do not let either
// be forgotten.

import { attribute, byId, make, picture, relist, sure, text } from './dom.js';
import { clock, words } from './words.js';

// A call nobody has taken for this long turns amber and sounds, gently, again and again.
const UNANSWERED_MS = 30000;
const REMIND_MS = 10000;
const ALARM_MS = 3000;

export class Calls {
  calls = [];
  emergencies = [];
  #seen = new Set();
  /** Acknowledged while the box could not be told. */
  #owed = new Set();
  #ticking = 0;
  #reminded = 0;
  #alarmed = 0;

  /** `tone(name)`, `log(kind, sentence)`, `announce(sentence)`, `go(channelId)`, `changed()`. */
  constructor({ session, position, tone, log, announce, go, changed }) {
    Object.assign(this, { session, position, tone, log, announce, go, changed });
    byId('banner-acknowledge').addEventListener('click', () => this.acknowledge());
    byId('banner-go').addEventListener('click', () => go(this.urgent[0]?.channelId));
  }

  receive(message) {
    const now = performance.now();
    if (message.type === 'CALLS') this.#setCalls(message.calls.map((call) => ({ ...call, since: now - call.waitingMs })));
    else if (message.type === 'EMERGENCIES') this.#setEmergencies(message.emergencies.map((each) => ({ ...each, since: now - each.elapsedMs })));
    else return message.type === 'CALL' || message.type === 'EMERGENCY';
    this.#tick();
    this.changed();
    return true;
  }

  /** The box has forgotten us: it tells anew what there is. */
  forget() {
    this.calls = [];
    this.emergencies = [];
    this.#seen.clear();
    this.#tick();
  }

  /** The box is back. */
  linkBack() {
    const owed = [...this.#owed];
    this.#owed.clear();
    for (const emergencyId of owed) this.#acknowledge(emergencyId);
  }

  /** Nobody is signed in. */
  end() {
    this.#owed.clear();
    this.forget();
  }

  /** Emergencies this dispatcher has not acknowledged. */
  get urgent() {
    return this.emergencies.filter((each) => !this.#seen.has(each.emergencyId) && !each.acknowledgedBy.includes(this.session.me?.name));
  }

  get open() {
    return this.calls.filter((call) => !call.taken).length + this.emergencies.length;
  }

  emergency(channelId) {
    return this.emergencies.find((each) => each.channelId === channelId) ?? null;
  }

  acknowledge(emergency = this.urgent[0]) {
    if (!emergency) return;
    this.#acknowledge(emergency.emergencyId);
    this.#tick();
    this.changed();
  }

  // Until the box knows, nobody else does, and it stays in the banner.
  #acknowledge(emergencyId) {
    const told = this.#send({ type: 'ACKNOWLEDGE_EMERGENCY', emergencyId }) !== null;
    (told ? this.#seen : this.#owed).add(emergencyId);
  }

  #seenBy({ emergencyId, acknowledgedBy }) {
    return this.#owed.has(emergencyId) ? words.emergency.owed : words.emergency.seenBy(acknowledgedBy);
  }

  draw() {
    this.#drawBanner();
    const urgent = this.emergencies.map((each) => ({ emergency: each.emergencyId, seen: !this.urgent.includes(each), by: this.#seenBy(each) }));
    const calls = this.calls.map(({ callId, here, taken }) => ({ call: callId, here, taken }));
    relist(byId('call-list'), [...urgent, ...calls], (row) => (row.emergency === undefined ? this.#call(row.call) : this.#emergency(row.emergency)));
    byId('no-calls').hidden = urgent.length + calls.length > 0;
    this.#drawTimes();
  }

  #setCalls(calls) {
    for (const call of calls) {
      const before = this.calls.find((each) => each.callId === call.callId);
      const where = this.#name(call.channelId);
      if (!before) {
        this.log('call', words.log.call(call.caller.name, where), call.since);
        if (!call.taken) {
          this.tone('call');
          this.announce(words.announce.call(call.caller.name, where));
        }
      }
      if (call.taken && before && !before.taken) this.log('call', words.log.callTaken(call.taken.by, call.caller.name));
    }
    for (const gone of this.calls) {
      if (!calls.some((call) => call.callId === gone.callId)) this.log('call', words.log.callDone(gone.caller.name));
    }
    this.calls = calls;
  }

  #setEmergencies(emergencies) {
    for (const each of emergencies) {
      const before = this.emergencies.find((other) => other.emergencyId === each.emergencyId);
      const where = this.#name(each.channelId);
      if (!before) {
        this.log('emergency', words.log.emergency(each.raiser.name, where), each.since);
        this.announce(words.announce.emergency(each.raiser.name, where));
        this.#alarmed = -Infinity;
      }
      const told = before?.acknowledgedBy ?? [];
      for (const by of each.acknowledgedBy) if (!told.includes(by)) this.log('emergency', words.log.acknowledged(by, each.raiser.name));
    }
    for (const gone of this.emergencies) {
      if (emergencies.some((each) => each.emergencyId === gone.emergencyId)) continue;
      this.log('emergency', words.log.cleared(gone.raiser.name, this.#name(gone.channelId)));
    }
    this.emergencies = emergencies;
  }

  // Runs only while someone waits or is in danger.
  #tick() {
    const now = performance.now();
    const unseen = this.urgent.some((each) => !this.#owed.has(each.emergencyId));
    if (unseen && now - this.#alarmed >= ALARM_MS - 100) {
      this.#alarmed = now;
      this.tone('alarm');
    }
    if (this.calls.some((call) => this.#unanswered(call, now)) && now - this.#reminded >= REMIND_MS - 100) {
      this.#reminded = now;
      this.tone('call');
    }
    const busy = this.calls.length + this.emergencies.length > 0;
    if (busy && !this.#ticking) {
      this.#ticking = setInterval(() => {
        this.#tick();
        this.#drawTimes();
      }, 1000);
    } else if (!busy) {
      clearInterval(this.#ticking);
      this.#ticking = 0;
    }
  }

  #unanswered(call, now) {
    return !call.taken && now - call.since >= UNANSWERED_MS;
  }

  #drawTimes() {
    const now = performance.now();
    for (const item of byId('call-list').children) {
      const call = this.calls.find((each) => String(each.callId) === item.dataset.call);
      const emergency = this.emergencies.find((each) => String(each.emergencyId) === item.dataset.emergency);
      const one = call ?? emergency;
      if (one) text(item.querySelector('.time'), clock(now - one.since));
      if (call) attribute(item, 'data-state', call.taken ? 'taken' : this.#unanswered(call, now) ? 'unanswered' : 'waiting');
    }
    const [first] = this.urgent;
    if (first) text(byId('banner-time'), clock(now - first.since));
  }

  #drawBanner() {
    const [first, ...more] = this.urgent;
    byId('banner').hidden = !first;
    if (!first) return;
    text(byId('banner-who'), words.emergency.of(first.raiser.name, this.#name(first.channelId)));
    text(byId('banner-more'), words.emergency.more(more.length));
    text(byId('banner-seen'), this.#seenBy(first));
  }

  #call(callId) {
    const call = this.calls.find((each) => each.callId === callId);
    const mine = call.taken && (call.taken.positionId ? call.taken.positionId === this.position() : call.taken.by === this.session.me.name);
    const where = this.#name(call.channelId);
    const state = call.taken ? (mine ? words.side.takenByYou : words.side.takenBy(call.taken.by)) : call.here ? '' : words.side.gone;
    const take = this.#button(words.side.take, `take-${callId}`, () => {
      this.#send({ type: 'TAKE_CALL', callId });
      this.go(call.channelId);
    });
    take.className = 'take';
    const done = this.#button(words.side.done, `done-${callId}`, () => this.#send({ type: 'CLOSE_CALL', callId }));
    done.className = 'done';
    const item = this.#row('call', call.caller.name, call.channelId, where, state, ...(mine ? [done] : call.taken ? [take, done] : [take]));
    item.dataset.call = callId;
    return item;
  }

  #emergency(emergencyId) {
    const each = this.emergencies.find((other) => other.emergencyId === emergencyId);
    const send = (type) => () => this.#send({ type, emergencyId });
    const clear = sure(make('button', { type: 'button', className: 'clear' }), words.emergency.clear, words.emergency.clearSure(each.raiser.name), send('CLEAR_EMERGENCY'));
    clear.dataset.key = `clear-${emergencyId}`;
    const buttons = [clear];
    if (this.urgent.includes(each)) {
      const acknowledge = this.#button(words.emergency.acknowledge, `acknowledge-${emergencyId}`, () => this.acknowledge(each));
      acknowledge.className = 'acknowledge';
      buttons.unshift(acknowledge);
    }
    const item = this.#row('emergency', each.raiser.name, each.channelId, this.#name(each.channelId), this.#seenBy(each), ...buttons);
    item.dataset.emergency = emergencyId;
    item.dataset.state = 'emergency';
    return item;
  }

  #row(kind, name, channelId, where, state, ...buttons) {
    const go = this.#button(where, `go-${kind}-${channelId}-${name}`, () => this.go(channelId));
    go.className = 'where';
    go.setAttribute('aria-label', words.side.goTo(where));
    return make('li', {},
      picture(kind),
      make('strong', { textContent: name }),
      make('span', { className: 'time' }),
      make('span', { className: 'note' }, go, make('span', { textContent: state })),
      make('span', { className: 'acts' }, ...buttons));
  }

  #button(textContent, key, run) {
    const button = make('button', { type: 'button', textContent });
    button.dataset.key = key;
    button.addEventListener('click', run);
    return button;
  }

  #name(channelId) {
    return this.session.channels.get(channelId)?.name ?? channelId;
  }

  #send(message) {
    return this.session.signaling.send(message);
  }
}
