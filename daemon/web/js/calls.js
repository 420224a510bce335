// Call me: a call on each channel at most, which the dispatchers see, one of them takes and closes.

import { words } from './words.js';

export class Calls {
  /** The id of the call we have just taken back ourselves. */
  #cancelled = null;

  /** `say(sentence, kind, action, run)` as the page does. */
  constructor({ signaling, say }) {
    Object.assign(this, { signaling, say });
  }

  /** Asks to be called; where that is done, says how it stands. */
  ask(channel) {
    if (channel.call) return this.#tell(channel.call);
    const told = this.signaling.send({ type: 'CALL_ME', channelId: channel.id }) !== null;
    this.say(...(told ? [words.call.asking, 'wait'] : [words.call.offline, 'bad']));
  }

  /** The box has said what became of the call. */
  changed(channel) {
    const { call } = channel;
    if (call.state !== 'closed') return this.#tell(call);
    channel.call = null;
    this.say(call.callId === this.#cancelled ? words.call.cancelled : words.call.closed);
  }

  #tell({ callId, state, by }) {
    const taken = state === 'taken';
    const cancel = () => {
      this.#cancelled = callId;
      this.signaling.send({ type: 'CANCEL_CALL', callId });
    };
    this.say(taken ? words.call.hasIt(by) : words.call.waits, taken ? 'good' : 'wait', words.call.cancel, cancel);
  }
}
