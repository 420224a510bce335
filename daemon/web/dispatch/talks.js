// What was said on each channel, what of it nobody here has heard, and the way to hear it again.

import { box } from './box.js';

const KEPT = 10;
// A file is closed a moment after its transmission has ended.
const AGAIN_MS = [150, 300, 600];

export class Talks {
  /** By channel id: `{transmissionId, userId, name, began, lasted, own}`, newest first. */
  past = new Map();
  /** What is being replayed: `{transmissionId, channelId, name, began, startedAfterMs}`; startedAfterMs null until it sounds. */
  replaying = null;
  /** Kept after its end, for whoever measures. */
  lastReplay = null;
  #desk;
  #running = new Map();
  /** What is newer than this, and not told as it happened, was missed; 0: nothing was. */
  #since = 0;
  #queue = [];
  #stop = null;

  /**
   * `misses(channel)`: what is said there now is not heard here. `over(channel, talk, missed)` when a transmission has
   * ended, `said(why, channelId)` where there is nothing to replay, `changed()` when missed or replaying has changed.
   */
  constructor({ desk, session, hearing, misses, over, said, changed }) {
    this.#desk = desk;
    Object.assign(this, { session, hearing, misses, over, said, changed });
  }

  /** To be called whenever the talk of a channel, or what is heard of it, may have changed. */
  look(channel) {
    const before = this.#running.get(channel.id);
    const { talk } = channel;
    if (before && talk?.transmissionId !== before.transmissionId) {
      this.#running.delete(channel.id);
      this.#ended(channel, before);
    }
    if (!talk) return;
    const running = this.#running.get(channel.id) ?? {
      transmissionId: talk.transmissionId,
      userId: talk.talker.userId,
      name: talk.talker.name,
      began: Math.round(Date.now() - (performance.now() - talk.since)),
      since: talk.since,
      own: false,
      missed: false,
    };
    running.missed ||= this.misses(channel);
    this.#running.set(channel.id, running);
  }

  /** The last transmissions as JOINED tells them. */
  recent(channel, talks) {
    for (const { transmissionId, talker, began, durationMs } of talks ?? []) {
      const own = talker.userId === channel.me.userId;
      this.#remember(channel, { transmissionId, userId: talker.userId, name: talker.name, began, lasted: durationMs, own });
    }
    if (this.#desk.seated) this.#catchUp(channel);
  }

  /** The box cannot tell what happens: from here on what it tells afterwards was missed. */
  away() {
    this.#since = this.#desk.seen;
  }

  /** Somebody sits down: what came since the position was last attended was missed. */
  sat() {
    this.#since = this.#desk.seen;
    for (const channel of this.session.channels.values()) this.#catchUp(channel);
    if (this.#since) this.#lookBack(this.#since);
  }

  // JOINED tells the last ten of a channel; what was recorded before those was missed as well.
  async #lookBack(since) {
    const { recordings } = await box.recordings({ limit: 500 }).catch(() => ({ recordings: [] }));
    for (const { transmissionId, channelId, userId } of recordings) {
      const told = this.past.get(channelId)?.some((talk) => talk.transmissionId === transmissionId);
      const here = this.session.channels.has(channelId) && userId !== this.session.me?.userId;
      if (here && !told && transmissionId > since) this.#miss(channelId, transmissionId);
    }
  }

  #catchUp(channel) {
    const told = (this.past.get(channel.id) ?? []).filter((talk) => talk.heard === undefined);
    for (const talk of told.reverse()) {
      if (this.#since && talk.transmissionId > this.#since && !talk.own && !channel.echo) this.#miss(channel.id, talk.transmissionId);
      talk.heard = false;
      this.#saw(talk.transmissionId);
    }
  }

  own(channel, transmissionId, since) {
    const lasted = performance.now() - since;
    this.#remember(channel, {
      transmissionId,
      userId: channel.me.userId,
      name: channel.me.name,
      began: Math.round(Date.now() - lasted),
      lasted,
      own: true,
      heard: true,
    });
    this.#saw(transmissionId);
  }

  last(channelId) {
    return this.past.get(channelId)?.[0] ?? null;
  }

  missed(channelId) {
    return this.#desk.missed.get(channelId) ?? [];
  }

  get missedInAll() {
    return [...this.#desk.missed].reduce((sum, [id, ids]) => sum + (this.session.channels.has(id) ? ids.length : 0), 0);
  }

  heardAll() {
    this.#desk.missed.clear();
    this.changed();
  }

  /** Replays one transmission at once. */
  replay(transmissionId, channelId) {
    this.#queue = [];
    return this.#play(transmissionId, channelId, performance.now());
  }

  /** The last transmission of a channel, or with null of all that are recorded. */
  replayLast(channelId) {
    const ids = channelId ? [channelId] : [...this.session.channels.values()].filter((each) => each.recorded).map((each) => each.id);
    const last = ids
      .map((id) => ({ id, talk: this.last(id) }))
      .filter(({ talk }) => talk)
      .sort((a, b) => b.talk.transmissionId - a.talk.transmissionId)[0];
    if (!last) return this.said('nothing', channelId);
    if (!this.session.channels.get(last.id)?.recorded) return this.said('notRecorded', last.id);
    return this.replay(last.talk.transmissionId, last.id);
  }

  /** What was missed on a channel, or with null on all, one after another. */
  replayMissed(channelId) {
    const ids = channelId ? [channelId] : [...this.session.channels.keys()];
    const missed = ids.flatMap((id) => this.missed(id).map((transmissionId) => ({ transmissionId, channelId: id })));
    missed.sort((a, b) => a.transmissionId - b.transmissionId);
    const [first, ...rest] = missed;
    if (!first) return this.said('noMissed', channelId);
    if (!this.session.channels.get(first.channelId)?.recorded) {
      // They cannot be heard any more, but they have been seen now.
      this.#desk.missed.delete(first.channelId);
      this.changed();
      return this.said('notRecorded', first.channelId);
    }
    this.#queue = rest;
    return this.#play(first.transmissionId, first.channelId, performance.now());
  }

  stop() {
    this.#queue = [];
    this.#halt();
    this.changed();
  }

  /** The channel is not ours any more: nothing of it is heard again. */
  gone(channelId) {
    this.#queue = this.#queue.filter((each) => each.channelId !== channelId);
    if (this.replaying?.channelId !== channelId) return;
    this.#halt();
    this.#next();
  }

  /** Nobody is signed in. */
  end() {
    this.stop();
    this.past.clear();
    this.#running.clear();
    this.#since = 0;
  }

  async #play(transmissionId, channelId, asked) {
    this.#halt();
    const talk = this.past.get(channelId)?.find((each) => each.transmissionId === transmissionId);
    const replay = { transmissionId, channelId, name: talk?.name ?? '', began: talk?.began ?? Date.now(), startedAfterMs: null };
    this.replaying = replay;
    this.changed();
    let buffer;
    try {
      const bytes = await this.#fetch(transmissionId);
      if (this.replaying !== replay) return;
      buffer = await this.hearing.decode(bytes);
    } catch (error) {
      if (this.replaying !== replay) return;
      this.replaying = null;
      if (error.status === 404) this.#unmiss(channelId, transmissionId);
      this.said(error.status === 404 ? 'gone' : error.status === undefined ? 'unreadable' : 'failed', channelId);
      return this.#next();
    }
    if (this.replaying !== replay) return;
    this.#stop = this.hearing.replay(buffer, () => {
      this.#halt();
      this.#next();
    });
    replay.startedAfterMs = performance.now() - asked;
    this.#unmiss(channelId, transmissionId);
    this.changed();
  }

  async #fetch(transmissionId) {
    for (const wait of AGAIN_MS) {
      try {
        return await box.audio(transmissionId);
      } catch (error) {
        if (error.status !== 404) throw error;
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    }
    return box.audio(transmissionId);
  }

  #next() {
    const next = this.#queue.shift();
    if (next) this.#play(next.transmissionId, next.channelId, performance.now());
    else this.changed();
  }

  #halt() {
    this.#stop?.();
    this.#stop = null;
    if (this.replaying?.startedAfterMs != null) this.lastReplay = this.replaying;
    this.replaying = null;
  }

  #ended(channel, { missed, since, ...talk }) {
    talk.lasted = performance.now() - since;
    talk.heard = !missed;
    this.#remember(channel, talk);
    // Before anyone sits here, it counts as one that came while the position was left.
    if (this.#desk.seated) {
      if (missed && !channel.echo) this.#miss(channel.id, talk.transmissionId);
      this.#saw(talk.transmissionId);
    }
    this.over(channel, talk, missed);
  }

  #remember(channel, talk) {
    const past = this.past.get(channel.id) ?? [];
    if (past.some((each) => each.transmissionId === talk.transmissionId)) return;
    past.push(talk);
    past.sort((a, b) => b.transmissionId - a.transmissionId);
    past.length = Math.min(past.length, KEPT);
    this.past.set(channel.id, past);
  }

  #saw(transmissionId) {
    this.#desk.seen = Math.max(this.#desk.seen, transmissionId);
  }

  #miss(channelId, transmissionId) {
    const ids = this.missed(channelId);
    if (ids.includes(transmissionId)) return;
    this.#desk.missed.set(channelId, [...ids, transmissionId].sort((a, b) => a - b));
    this.changed();
  }

  #unmiss(channelId, transmissionId) {
    const ids = this.missed(channelId).filter((id) => id !== transmissionId);
    if (ids.length) this.#desk.missed.set(channelId, ids);
    else this.#desk.missed.delete(channelId);
  }
}
