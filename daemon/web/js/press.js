// A press: from the finger, key, tap or headset that began it to the first thing that ends it. Everything that may
// end it calls `end(reason)`, and only the first one counts, so that no way out leaves a hot microphone.

export class Press {
  #active = null;

  /** `begun(press)` and `ended(press, reason)` are told; a press is `{source, level, held}`. */
  constructor({ begun, ended }) {
    this.begun = begun;
    this.ended = ended;
  }

  get active() {
    return this.#active;
  }

  /** `held`: something is physically held down and will be let go; false for the latch and the headset. Null if one runs. */
  begin(source, level, held) {
    if (this.#active) return null;
    this.#active = { source, level, held };
    const press = this.#active;
    this.begun(press);
    return press;
  }

  /** Ends the press that runs, or only the one given: a finger that is lifted ends what it began and nothing else. */
  end(reason, press = this.#active) {
    if (!press || press !== this.#active) return false;
    this.#active = null;
    this.ended(press, reason);
    return true;
  }
}
