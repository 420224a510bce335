// What this page knows, in one place: the parts change it, the view draws it.

import { words } from './words.js';

export const page = {
  /** 'connecting', 'connected', 'restarting', 'off-network', 'unreachable', 'box-down', 'taken' or 'signed-out', and the sentence for it. */
  link: 'connecting',
  linkWords: words.link.connecting,
  box: '',
  version: '',
  /** Who we are to the others: `{sessionId, userId, name, role}`. */
  me: null,
  channels: new Map(),
  transports: new Map(),
  /** The id of the channel that is heard and talked on. */
  selected: null,
  /** A tap talks until the next tap. */
  latch: false,
  /** The emergency key is down and its ring grows. */
  emergencyHeld: false,

  get connected() {
    return this.link === 'connected';
  },
  get channel() {
    return this.channels.get(this.selected) ?? null;
  },
  get transport() {
    return this.transports.get(this.selected) ?? null;
  },
};
