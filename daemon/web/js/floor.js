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
  recent = [];
  unheard = 0;

  constructor(entry, me, now) {
    this.id = entry.channelId;
    this.me = me;
    this.update(entry, now);
  }

  /** What WELCOME or CHANNELS tells of this channel. */
  update(entry, now) {
    this.name = entry.name;
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

  press(level) {
    this.mine = { state: 'pressed', level };
    this.request = null;
  }

  /** The button was let go. What was denied or revoked stays until `settle`, to be read. */
  release(now) {
    if (this.mine.state === 'onair') this.#remember({ name: null, level: this.mine.level }, this.mine.since, now);
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
    if (this.mine.state === 'onair') this.#remember({ name: null, level: this.mine.level }, this.mine.since, now);
    this.mine = { state: 'revoked', level: this.mine.level, reason, shown: now };
  }

  /** The session is new: nobody is here and nothing is joined until the box says so. */
  leave() {
    this.joined = false;
    this.members.clear();
  }

  /** True where the box says this session holds the floor; asked after a resume. */
  heldIn(entry) {
    return entry.talk?.talker.sessionId === this.me.sessionId;
  }

  /**
   * Takes one message of the box and says what it meant to us: 'granted', 'denied', 'queued', 'warned', 'revoked',
   * 'talk' (someone began), 'over' (someone ended), 'joined', or '' where only the view changes.
   */
  handle(message, now) {
    if (message.id !== undefined && this.#stale(message)) return '';
    switch (message.type) {
      case 'JOINED':
        this.joined = true;
        this.muted = message.muted;
        this.members = new Map(message.members.map((member) => [member.sessionId, member]));
        this.#setTalk(message.talk ?? null, now);
        return 'joined';
      case 'MEMBER':
        this.members.set(message.member.sessionId, message.member);
        return '';
      case 'MEMBER_LEFT':
        this.members.delete(message.sessionId);
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
      default:
        return '';
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

  // True where it is a talk that was not known before.
  #setTalk(talk, now) {
    const own = talk?.talker.sessionId === this.me.sessionId;
    if (talk && !own && talk.transmissionId === this.talk?.transmissionId) return false;
    if (this.talk) this.#remember({ name: this.talk.talker.name, level: this.talk.level }, this.talk.since, now);
    this.talk = null;
    if (!talk || own) return false;
    const { transmissionId, talker, level, elapsedMs } = talk;
    this.talk = { transmissionId, talker, level, since: now - elapsedMs };
    if (this.muted) this.unheard += 1;
    return true;
  }

  #remember(talk, since, now) {
    this.recent.unshift({ ...talk, at: Date.now() - (now - since), lasted: now - since, unheard: talk.name !== null && this.muted });
    this.recent.length = Math.min(this.recent.length, RECENT);
  }
}
