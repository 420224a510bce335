// From the press to the air and back: asks for the floor, puts the microphone on the channel's transport when it is
// granted, and takes it off whatever ends it.

import { vibrate } from './device.js';
import { page } from './page.js';
import { Press } from './press.js';
import { words } from './words.js';

// The box keeps a lost session, with its floor, this long; after that we are off the air there too.
const KEPT_MS = 3000;
// Long enough to be read after the button was let go.
const LINGER_MS = { denied: 1500, revoked: 3000 };

export class Talking {
  /** The channel of the running press. */
  #channel = null;
  #kept = 0;

  constructor({ signaling, microphone, sound, headset, draw, say, announce }) {
    Object.assign(this, { signaling, microphone, sound, headset, draw, say, announce });
    this.press = new Press({ begun: (press) => this.#begun(press), ended: () => this.#ended() });
  }

  /** Asks for the floor as soon as the microphone and the transport are there; called again when they come. */
  async ask() {
    const channel = this.#channel;
    const mine = channel?.mine;
    if (mine?.state !== 'pressed' || channel.request !== null) return;
    if (!this.microphone.ready) {
      await this.microphone.take();
      if (channel.mine !== mine) return this.microphone.ready && this.say(words.microphone.readyNow);
      if (!this.microphone.ready) return this.#refuse('microphone');
    }
    const transport = page.transports.get(channel.id);
    // Whoever presses does not wait for the next try.
    if (transport?.state === 'failed') transport.connect();
    if (!channel.joined || transport?.state !== 'connected' || channel.request !== null) return;
    channel.request = this.signaling.send({ type: 'START', channelId: channel.id, level: mine.level });
    this.draw();
  }

  granted(channel) {
    this.sound.tone('permit');
    vibrate(40);
    this.announce(words.announce.onAir);
    this.headset.show(channel.name, page.box, true);
    this.microphoneChanged();
  }

  denied() {
    this.sound.tone('deny');
    vibrate(60, 60, 60);
    if (this.press.active && !this.press.active.held) this.press.end('denied');
  }

  warned() {
    this.sound.tone('warn');
    vibrate(30, 80, 30);
  }

  revoked(channel, graceMs) {
    setTimeout(() => {
      if (channel.mine.state !== 'onair') page.transports.get(channel.id)?.send(null);
    }, graceMs);
    this.headset.show(channel.name, page.box, false);
    this.announce(words.revoked[channel.mine.reason] ?? words.revoked.other);
    this.denied();
  }

  /** There is a microphone again, or another one: while we are on air it goes there. */
  async microphoneChanged() {
    const channel = this.#channel;
    if (channel?.mine.state !== 'onair') return;
    if (!this.microphone.ready) await this.microphone.take();
    if (channel.mine.state !== 'onair') return;
    if (this.microphone.ready) await page.transports.get(channel.id)?.send(this.microphone.track);
    else this.press.end('microphone');
  }

  /** The connection to the box was lost. */
  linkLost() {
    const channel = this.#channel;
    if (channel?.waiting) this.#cut(channel);
    if (channel?.mine.state === 'onair') {
      clearTimeout(this.#kept);
      this.#kept = setTimeout(() => this.#cut(channel), KEPT_MS);
    }
  }

  /** The box answers again; `entries` tell whether it still gives us the floor. */
  linkBack(resumed, entries) {
    clearTimeout(this.#kept);
    const channel = this.#channel;
    if (channel?.mine.state === 'onair') {
      const entry = entries.find((entry) => entry.channelId === channel.id);
      if (!resumed || !entry || !channel.heldIn(entry)) this.#cut(channel);
    }
    for (const each of page.channels.values()) {
      if (each.owesStop && resumed) this.signaling.send({ type: 'STOP', channelId: each.id });
      each.owesStop = false;
    }
  }

  #begun({ level }) {
    this.#channel = page.channel;
    this.sound.unlock();
    if (!this.#channel) return;
    this.#channel.press(level);
    if (!page.connected) return this.#refuse('offline');
    if (!this.#channel.rights.talk) return this.#refuse('no_right');
    this.draw();
    this.ask();
  }

  #ended() {
    const channel = this.#channel;
    this.#channel = null;
    if (!channel) return;
    clearTimeout(this.#kept);
    page.transports.get(channel.id)?.send(null);
    if (channel.request !== null) channel.owesStop = this.signaling.send({ type: 'STOP', channelId: channel.id }) === null;
    if (channel.mine.state === 'onair') this.headset.show(channel.name, page.box, false);
    channel.release(performance.now());
    this.#settleLater(channel);
    this.draw();
  }

  #refuse(reason) {
    this.#channel.deny(reason, performance.now());
    this.denied();
    this.draw();
  }

  #cut(channel) {
    channel.revoke('disconnected', performance.now());
    this.revoked(channel, 0);
    this.draw();
  }

  #settleLater(channel) {
    const { mine } = channel;
    if (!LINGER_MS[mine.state]) return;
    setTimeout(() => {
      if (channel.mine !== mine) return;
      channel.settle();
      this.draw();
    }, Math.max(0, mine.shown + LINGER_MS[mine.state] - performance.now()));
  }
}
