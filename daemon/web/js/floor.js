// The floor of one channel as this page knows it: who talks, who is here, and how far our own press has come.
//
//   idle --press--> pressed --START_SUCCESS--> onair --STOP, press ends--> idle
//                     |  \--QUEUED--> queued --START_SUCCESS--^   |
//                     \--START_FAILED--> denied                   \--REVOKED--> revoked
//   denied and revoked stay until the press ends, and long enough to be read.

const RECENT = 5;
const IDLE = Object.freeze({ state: 'idle' });

export class Channel {
  joined = false;
  /** JOIN is sent and not answered yet. */
  joining = false;
  muted = true;
  members = new Map();
  /** `{transmissionId, talker, level, since}` of someone else's talk. */
  talk = null;
  /** Our own press: `{state, level, transmissionId, since, until, warned, reason, name, position, waiting}`. */
  mine = IDLE;
  /** The id of the START this press sent; null: none was sent. */
  request = null;
  /** The button was let go while the box could not be told. */
  owesStop = false;
  /** The last talks, newest first: `{transmissionId, name, level, at, lasted, recorded, unheard}`; name null: our own. */
  recent = [];
  /** How many talks were missed since this channel was last looked at. */
  unheard = 0;
  /** A dispatcher keeps us from talking here: `{until, by}`. */
  silenced = null;
  /** Our call to the dispatchers: `{callId, state, by}`; state waiting, taken or closed. */
  call = null;
  /** How we sounded on an echo channel, and until when it plays: `{verdict, offByDb, lostPercent, until}`. */
  echoed = null;
  /** The box has told the last talks before. */
  #known = false;

  /** `misses(channel)`: what is said now is not heard by whoever sits here. */
  constructor(entry, me, now, misses = (channel) => channel.muted) {
    this.id = entry.channelId;
    this.me = me;
    this.misses = misses;
    this.update(entry, now);
  }

  /** What WELCOME or CHANNELS tells of this channel. */
  update(entry, now) {
    this.name = entry.name;
    this.group = entry.group ?? null;
    this.recorded = entry.recorded ?? false;
    this.echo = entry.echo ?? false;
    this.rights = entry.rights;
    this.talkLimitMs = entry.talkLimitMs;
    this.queueDepth = entry.queueDepth;
    this.#setTalk(entry.talk ?? null, now);
  }

  get waiting() {
    return this.mine.state === 'pressed' || this.mine.state === 'queued';
  }

  get emergency() {
    return this.talk?.level === 'emergency' || (this.mine.state === 'onair' && this.mine.level === 'emergency');
  }

  /** For how long a dispatcher keeps us from talking yet, in milliseconds. */
  silencedFor(now) {
    return Math.max(0, (this.silenced?.until ?? now) - now);
  }

  press(level) {
    this.mine = { state: 'pressed', level };
    this.request = this.echoed = null;
  }

  /** The button was let go. What was denied or revoked stays until `settle`, to be read. */
  release(now) {
    if (this.mine.state === 'onair') this.#remember({ ...this.mine, name: null }, now);
    if (this.mine.state !== 'denied' && this.mine.state !== 'revoked') this.mine = IDLE;
    this.request = null;
  }

  settle() {
    this.mine = IDLE;
  }

  deny(reason, now, talk = null) {
    this.mine = { state: 'denied', level: this.mine.level, reason, name: talk?.talker.name, shown: now };
  }

  revoke(reason, now) {
    if (this.mine.state === 'onair') this.#remember({ ...this.mine, name: null }, now);
    this.mine = { state: 'revoked', level: this.mine.level, reason, shown: now };
  }

  /** The session is new: nobody is here and nothing is joined until the box says so. */
  leave() {
    this.joined = this.joining = false;
    this.members.clear();
  }

  /** Whoever sits here has looked at what was missed; with `all`, at the marks in the list, too. */
  seen(all = false) {
    this.unheard = 0;
    if (all) for (const talk of this.recent) talk.unheard = false;
  }

  /** True where the box says this session holds the floor; asked after a resume. */
  heldIn(entry) {
    return entry.talk?.talker.sessionId === this.me.sessionId;
  }

  /**
   * Takes one message of the box and says what it meant to us: 'granted', 'denied', 'queued', 'warned', 'revoked',
   * 'talk' (someone began), 'over' (someone ended), 'joined', '' where only the view changes; null: not for a floor.
   */
  handle(message, now) {
    if (message.id !== undefined && this.#stale(message)) return '';
    switch (message.type) {
      case 'JOINED':
        this.joined = true;
        this.joining = false;
        this.muted = message.muted;
        this.members.clear();
        for (const member of message.members) this.#meet(member, now);
        this.#setTalk(message.talk ?? null, now);
        this.#recall(message.recent ?? []);
        return 'joined';
      case 'MEMBER':
        this.#meet(message.member, now);
        return '';
      case 'MEMBER_LEFT':
        this.members.delete(message.sessionId);
        return '';
      case 'MEMBERS_LEFT':
        for (const sessionId of message.sessionIds) this.members.delete(sessionId);
        return '';
      case 'START_SUCCESS':
        if (!this.waiting) return '';
        this.mine = {
          ...this.mine,
          state: 'onair',
          level: message.level,
          transmissionId: message.transmissionId,
          since: now,
          until: now + message.limitMs,
        };
        this.#setTalk(null, now);
        return 'granted';
      case 'START_FAILED':
        if (!this.waiting) return '';
        this.deny(message.reason, now, message.talk);
        return 'denied';
      case 'QUEUED':
        if (!this.waiting) return '';
        this.mine = { ...this.mine, state: 'queued', position: message.position, waiting: message.waiting };
        return 'queued';
      case 'LIMIT_WARNING':
        if (!this.#isMine(message)) return '';
        this.mine = { ...this.mine, warned: true, until: now + message.leftMs };
        return 'warned';
      case 'REVOKED':
        if (!this.#isMine(message)) return '';
        this.revoke(message.reason, now);
        return 'revoked';
      case 'START':
        return this.#setTalk(message, now) ? 'talk' : '';
      case 'STOP':
        if (this.#isMine(message)) {
          this.revoke(message.reason, now);
          return 'revoked';
        }
        if (message.transmissionId === undefined || message.transmissionId !== this.talk?.transmissionId) return '';
        this.#setTalk(null, now);
        return 'over';
      case 'MUTE':
        this.muted = true;
        return '';
      case 'UNMUTE':
        this.muted = false;
        return '';
      case 'SILENCED':
        if (message.userId !== this.me.userId) return null;
        this.silenced = message.leftMs ? { until: now + message.leftMs, by: message.by } : null;
        return 'silenced';
      case 'CALL': {
        const before = this.call;
        this.call = { callId: message.callId, state: message.state, by: message.by };
        // Told again whenever the connection is back.
        return before?.state === message.state && before.by === message.by ? '' : 'call';
      }
      case 'ECHO':
        this.echoed = { ...message, until: now + message.playsMs };
        return 'echo';
      default:
        return null;
    }
  }

  // An answer to a press that is over must not move the press that runs now.
  #stale(message) {
    const answersAPress = ['START_SUCCESS', 'START_FAILED', 'QUEUED'].includes(message.type);
    return answersAPress && message.id !== this.request;
  }

  #isMine(message) {
    return this.mine.state === 'onair' && message.transmissionId === this.mine.transmissionId;
  }

  #meet(member, now) {
    this.members.set(member.sessionId, member);
    if (member.userId !== this.me.userId) return;
    if (!member.silencedMs) this.silenced = null;
    else this.silenced = { by: null, ...this.silenced, until: now + member.silencedMs };
  }

  // True where it is a talk that was not known before.
  #setTalk(talk, now) {
    const own = talk?.talker.sessionId === this.me.sessionId;
    if (talk && !own && talk.transmissionId === this.talk?.transmissionId) return false;
    if (this.talk) this.#remember({ ...this.talk, name: this.talk.talker.name }, now);
    this.talk = null;
    if (!talk || own) return false;
    const { transmissionId, talker, level, elapsedMs } = talk;
    const missed = this.misses(this);
    this.talk = { transmissionId, talker, level, since: now - elapsedMs, missed };
    if (missed) this.unheard += 1;
    return true;
  }

  #remember({ transmissionId, name, level, since, missed }, now) {
    const ours = name === null;
    const unheard = !ours && (missed || this.misses(this));
    if (unheard && !missed) this.unheard += 1;
    this.#keep({ transmissionId, name, level, at: Date.now() - (now - since), lasted: now - since, recorded: this.recorded, unheard });
  }

  // What was said before we came was not missed; what was said while the connection was lost, was.
  #recall(recent) {
    for (const { transmissionId, talker, level, began, durationMs } of recent) {
      if (this.recent.some((known) => known.transmissionId === transmissionId)) continue;
      const name = talker.userId === this.me.userId ? null : talker.name;
      const unheard = this.#known && name !== null;
      if (unheard) this.unheard += 1;
      this.#keep({ transmissionId, name, level, at: began, lasted: durationMs, recorded: this.recorded, unheard });
    }
    this.#known = true;
  }

  // By their numbers, which only grow: the clocks of a phone and of the box need not agree.
  #keep(talk) {
    this.recent.push(talk);
    this.recent.sort((a, b) => b.transmissionId - a.transmissionId);
    this.recent.length = Math.min(this.recent.length, RECENT);
  }
}
