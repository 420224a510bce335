// How this device gets to the desk: signed in already, by an invitation, or not at all.

import {
  forgetInvitation, keepDevice, keepName, redeem, secretIn, storedDevice, storedName, takeInvitation, usedHere,
} from '/js/sign-in.js';
import { attribute, byId, text } from './dom.js';
import { words } from './words.js';

export class Entry {
  #device = storedDevice();

  /** `connect(device)`, `leave(sentence)`, `say(sentence, kind)`. */
  constructor({ connect, leave, say }) {
    Object.assign(this, { leave, say });
    this.connect = () => {
      show('desk');
      connect(this.#device);
    };
    byId('sign-in-form').addEventListener('submit', (event) => {
      event.preventDefault();
      const secret = secretIn(byId('invitation').value);
      if (secret) this.#enter(secret);
      else this.#ask(words.signIn.notALink);
    });
    byId('stay').addEventListener('click', this.connect);
    addEventListener('hashchange', async () => {
      const secret = takeInvitation();
      if (secret && !await usedHere(secret)) this.#enter(secret);
    });
  }

  start() {
    this.#enter(takeInvitation());
  }

  welcome({ device, user }) {
    if (device) this.#keep(device);
    keepName(user.name);
  }

  /** The box knows this device, but it is no dispatcher's. */
  turnAway() {
    this.leave(words.noRight);
    show('no-right');
  }

  signedOut(sentence) {
    this.leave(sentence);
    this.#device = null;
    forgetInvitation();
    this.#ask(sentence);
  }

  async #enter(secret) {
    if (!secret || await usedHere(secret)) return this.#device ? this.connect() : this.#ask(words.signIn.none);
    // It may be for someone else than who is signed in here: nobody goes on unawares as the one before.
    this.leave(words.signIn.signing);
    this.#ask(words.signIn.signing, false);
    const answer = await redeem(secret);
    if (answer.device) {
      this.#keep(answer.device, answer.mark);
      return this.connect();
    }
    byId('invitation').value = `${location.origin}${location.pathname}#i=${secret}`;
    this.#ask(answer.refused ?? words.signIn.noBox);
  }

  #ask(sentence, mayStay = this.#device !== null) {
    text(byId('sign-in-words'), sentence);
    byId('stay').hidden = !mayStay;
    text(byId('stay'), words.signIn.stay(storedName()));
    show('sign-in');
  }

  #keep(credential, mark) {
    this.#device = credential;
    if (!keepDevice(credential, mark)) this.say(words.signIn.storage, 'bad');
  }
}

/** 'sign-in', 'no-right' or 'desk'. */
function show(view) {
  attribute(byId('app'), 'data-view', view);
}
