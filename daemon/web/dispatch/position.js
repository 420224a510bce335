// The position this desk is: who sits where, sitting down, standing up, losing it, and keeping what was set.

import { recall, remember } from '/js/sign-in.js';

// Which position this tab held, as which session: after a reload it comes back by itself. After a crash the tab is gone
// and what the browser remembers has to do: that may be another tab's, so it counts only for a seat that is empty.
const HELD = 'pttd.position';
// The box tells who sits where right after the welcome; whoever is new here is asked without, if need be.
const TOLD_WITHIN_MS = 1500;
const SAVE_AFTER_MS = 300;
// That time goes on is worth a save of its own only now and then.
const SEEN_AFTER_MS = 5000;

function keepHeld(held) {
  remember(HELD, JSON.stringify(held?.positionId ?? null));
  try {
    sessionStorage.setItem(HELD, JSON.stringify(held));
  } catch {
    // Nothing is kept here: the person is asked again.
  }
}

/** `{positionId, sessionId}`, the session only where it was this tab's. */
function heldBefore() {
  try {
    const held = JSON.parse(sessionStorage.getItem(HELD));
    if (held) return held;
  } catch {
    // As above.
  }
  return { positionId: JSON.parse(recall(HELD)), sessionId: null };
}

export class Positions {
  /** `[{positionId, holder}]`, null until the box has told. */
  all = null;
  /** The id of ours. */
  mine = null;
  /** `{positionId, by}` after it was taken from us, `by` null where nobody did. */
  lost = null;
  #desk;
  #saved = '';
  #timer = 0;
  #due = Infinity;
  #choosing = false;

  /** `ask()`: the person has to choose; `seated(from)`: we sit, with what was kept; `gone()`: it was taken; `changed()`. */
  constructor({ desk, session, ask, seated, gone, changed }) {
    this.#desk = desk;
    Object.assign(this, { session, ask, seated, gone, changed });
  }

  /** The box has let us in. */
  welcome(resumed) {
    if (resumed) return this.save();
    this.all = null;
    this.#choosing = true;
    setTimeout(() => {
      if (this.#choosing && !this.mine && !this.#desk.seated) this.ask();
    }, TOLD_WITHIN_MS);
  }

  receive(message) {
    switch (message.type) {
      case 'POSITIONS':
        this.all = message.positions;
        if (this.#choosing) this.#choose();
        break;
      case 'POSITION':
        this.#sat(message);
        break;
      case 'POSITION_LOST':
        this.#left(message);
        break;
      default:
        return false;
    }
    this.changed();
    return true;
  }

  take(positionId) {
    this.session.signaling.send({ type: 'TAKE_POSITION', positionId });
  }

  leave() {
    this.flush();
    if (this.mine) this.session.signaling.send({ type: 'LEAVE_POSITION' });
  }

  remove(positionId) {
    this.session.signaling.send({ type: 'REMOVE_POSITION', positionId });
  }

  /** Work goes on without a position: nothing is kept. */
  without() {
    keepHeld(null);
    this.mine = this.lost = null;
    this.#desk.reset([...this.session.channels.keys()]);
    this.#sit(null);
  }

  /** Nobody is signed in: whoever comes next chooses. */
  end() {
    this.flush();
    if (this.mine) keepHeld(null);
    this.all = this.mine = this.lost = null;
    this.#choosing = this.#desk.seated = false;
  }

  /** What was set is kept with the position, a moment later. */
  save(after = SAVE_AFTER_MS) {
    if (!this.mine) return;
    const due = performance.now() + after;
    if (due >= this.#due) return;
    clearTimeout(this.#timer);
    this.#due = due;
    this.#timer = setTimeout(() => this.flush(), after);
  }

  saveSeen() {
    this.save(SEEN_AFTER_MS);
  }

  flush() {
    clearTimeout(this.#timer);
    this.#due = Infinity;
    const layout = this.#desk.pack();
    if (!this.mine || layout === this.#saved) return;
    if (this.session.signaling.send({ type: 'SAVE_POSITION', layout }) !== null) this.#saved = layout;
  }

  // Only what nobody else has taken meanwhile comes back by itself.
  #choose() {
    this.#choosing = false;
    const held = heldBefore();
    const wanted = this.mine ?? held.positionId;
    const holder = this.all.find((each) => each.positionId === wanted)?.holder;
    const ours = !holder || holder.sessionId === held.sessionId || holder.sessionId === this.session.me.sessionId;
    if (wanted && ours) return this.take(wanted);
    if (this.mine) {
      this.lost = { positionId: this.mine, by: holder?.name ?? null };
      this.mine = null;
      return this.gone();
    }
    if (!this.#desk.seated) this.ask();
  }

  #sat({ positionId, layout, takenFrom }) {
    const again = positionId === this.mine;
    const unsaved = again && this.#saved !== '' && this.#desk.pack() !== this.#saved;
    this.mine = positionId;
    this.lost = null;
    keepHeld({ positionId, sessionId: this.session.me.sessionId });
    // After a lost connection what was set here since is newer than what the box has kept.
    if (!unsaved) {
      if (!this.#desk.unpack(layout)) this.#desk.reset([...this.session.channels.keys()]);
      this.#saved = layout;
    }
    this.#sit(takenFrom ?? null, again);
    this.save();
  }

  #sit(from, again = false) {
    this.#desk.seated = true;
    this.seated(from, again);
  }

  #left({ positionId, by }) {
    if (positionId !== this.mine) return;
    this.mine = null;
    keepHeld(null);
    clearTimeout(this.#timer);
    this.#due = Infinity;
    if (by) {
      this.lost = { positionId, by: by.name };
      return this.gone();
    }
    this.#desk.seated = false;
    this.ask();
  }
}
