// The emergencies on this session's channels: each from its raising until its raiser or a dispatcher clears it.

export class Emergencies {
  /** `{id, channelId, raiser, since, acknowledgedBy}`, newest first. */
  list = [];
  #known = new Set();
  /** Raised while the box could not be told. */
  #owed = null;

  /** `raised(emergency)` is told of each new one. */
  constructor({ session, raised }) {
    Object.assign(this, { session, raised });
  }

  /** What EMERGENCIES says. */
  take(emergencies, now) {
    this.list = emergencies
      .map(({ emergencyId, elapsedMs, ...rest }) => ({ ...rest, id: emergencyId, since: now - elapsedMs }))
      .sort((a, b) => b.id - a.id);
    const fresh = this.list.filter((each) => !this.#known.has(each.id));
    this.#known = new Set(this.list.map((each) => each.id));
    for (const each of fresh) this.raised(each);
  }

  on(channelId) {
    return this.list.find((each) => each.channelId === channelId) ?? null;
  }

  /** The one this person has raised on a channel, on whichever device. */
  own(channelId) {
    return this.list.find((each) => each.channelId === channelId && this.isOurs(each)) ?? null;
  }

  isOurs(emergency) {
    return emergency.raiser.userId === this.session.me?.userId;
  }

  /**
   * The one to show first, with how many `more` there are: ours, then what nobody has seen. Whoever talks as in an
   * emergency on another channel than the selected one counts, raised or not.
   */
  shown(selected) {
    const { channels } = this.session;
    const talks = [...channels.values()]
      .filter((each) => each.talk?.level === 'emergency' && each.id !== selected && !this.on(each.id))
      .map(({ id, talk }) => ({ id: null, channelId: id, raiser: talk.talker, since: talk.since, acknowledgedBy: null }));
    const raised = this.list.filter((each) => channels.has(each.channelId));
    const all = [...raised, ...talks];
    const ours = raised.find((each) => this.isOurs(each));
    const first = ours ?? all.find((each) => !each.acknowledgedBy?.length) ?? all[0];
    if (!first) return null;
    return { ...first, ours: first === ours, more: all.length - 1, channel: channels.get(first.channelId)?.name ?? '' };
  }

  /** False where the box cannot be told now: it is told as soon as it is there. */
  raise(channelId) {
    if (this.own(channelId)) return true;
    const told = this.session.signaling.send({ type: 'RAISE_EMERGENCY', channelId }) !== null;
    this.#owed = told ? null : channelId;
    return told;
  }

  /** The box is back; unless it took the session up again, it tells anew what there is. */
  linkBack(resumed) {
    if (!resumed) this.list = [];
    if (this.#owed) this.raise(this.#owed);
  }

  acknowledge({ id }) {
    this.session.signaling.send({ type: 'ACKNOWLEDGE_EMERGENCY', emergencyId: id });
  }

  clear({ id }) {
    this.session.signaling.send({ type: 'CLEAR_EMERGENCY', emergencyId: id });
  }

  /** Nobody is signed in. */
  end() {
    this.list = [];
    this.#known.clear();
    this.#owed = null;
  }
}
