// The session with the box: its channels joined, their transports connected, and every message brought to its place.

import { Channel } from './floor.js';
import { page } from './page.js';
import { Transport } from './transport.js';
import { words } from './words.js';

const SELECTED = 'pttd.selected';
// The selected channel is connected first; the others do not wait for it longer than this.
const OTHERS_AFTER_MS = 1500;

export class Session {
  #iceServers = [];
  #mostChannels = Infinity;
  /** The id of the last offer of each channel: only its answer counts. */
  #offers = new Map();
  #others = { allowed: false, timer: 0 };

  constructor({ signaling, talking, sound, headset, draw, say, announce }) {
    Object.assign(this, { signaling, talking, sound, headset, draw, say, announce });
  }

  welcome(message) {
    const resumed = message.resumed && page.channels.size > 0;
    page.me = message.user;
    page.box = message.box;
    page.version = message.version;
    this.#iceServers = message.iceServers;
    this.#mostChannels = message.limits.channels;
    if (!resumed) this.#forget();
    this.talking.linkBack(resumed, message.channels);
    this.channels(message.channels);
    if (resumed) for (const transport of page.transports.values()) if (transport.state !== 'connected') transport.connect();
  }

  /** The channels this session may join, with its rights there. */
  channels(entries) {
    const now = performance.now();
    const listed = new Set(entries.map((entry) => entry.channelId));
    for (const channel of page.channels.values()) if (!listed.has(channel.id)) this.#drop(channel);
    for (const entry of entries) {
      const channel = page.channels.get(entry.channelId);
      if (channel) channel.me = page.me;
      if (channel) channel.update(entry, now);
      else page.channels.set(entry.channelId, new Channel(entry, page.me, now));
    }
    if (!page.channels.has(page.selected)) {
      const before = remembered();
      const first = entries.find((entry) => entry.rights.talk) ?? entries[0];
      this.#becomeSelected(page.channels.has(before) ? before : first?.channelId ?? null);
    }
    const selectedFirst = [...page.channels.values()].sort((a, b) => (b.id === page.selected) - (a.id === page.selected));
    for (const channel of selectedFirst.slice(0, this.#mostChannels)) if (!channel.joined) this.#join(channel);
  }

  select(id) {
    if (id === page.selected || !page.channels.has(id)) return;
    this.talking.press.end('switched');
    const before = page.channel;
    this.#becomeSelected(id);
    remember(id);
    if (before?.joined) this.#mute(before, true);
    const channel = page.channel;
    if (channel.joined) {
      this.#mute(channel, false);
      this.#connect(channel);
    } else {
      const joined = [...page.channels.values()].filter((each) => each.joined);
      if (before && joined.length >= this.#mostChannels) this.#leave(before);
      this.#join(channel);
    }
    this.headset.show(channel.name, page.box, false);
    this.draw();
  }

  /** A message about one channel. */
  receive(message) {
    if (message.type === 'ERROR') return this.#error(message);
    const channel = page.channels.get(message.channelId);
    if (!channel) return;
    switch (message.type) {
      case 'WEBRTC_ANSWER':
        if (message.id === this.#offers.get(channel.id)) page.transports.get(channel.id)?.answer(message.sdp);
        return;
      case 'WEBRTC_CLOSED':
        return page.transports.get(channel.id)?.lost();
      case 'REMOVED':
        this.say(message.message || words.removedFrom(channel.name), 'bad');
        return this.#drop(channel);
      case 'NOT_AUTHORIZED':
        this.say(words.notAuthorized(channel.name), 'bad');
        return this.#drop(channel);
      default:
        this.#follow(channel, message);
    }
  }

  /** Nobody is signed in: nothing is connected and nothing of the last one stays. */
  end() {
    this.#forget();
    for (const id of page.channels.keys()) this.sound.forget(id);
    page.channels.clear();
    page.selected = page.me = null;
  }

  /** What was broken while nobody looked is connected again. */
  wake() {
    for (const transport of page.transports.values()) {
      if (['failed', 'disconnected'].includes(transport.state)) transport.connect();
    }
  }

  #follow(channel, message) {
    const selected = channel.id === page.selected;
    switch (channel.handle(message, performance.now())) {
      case 'joined':
        // The selection may have changed while the box could not be told.
        if (channel.muted === selected) this.#mute(channel, !selected);
        this.sound.mute(channel.id, channel.muted);
        if (selected || this.#others.allowed) this.#connect(channel);
        break;
      case 'granted':
        this.talking.granted(channel);
        break;
      case 'denied':
        this.talking.denied();
        break;
      case 'warned':
        this.talking.warned();
        break;
      case 'revoked':
        this.talking.revoked(channel, message.graceMs ?? 0);
        break;
      case 'talk':
        this.#talkBegan(channel, selected);
        break;
      case 'over':
        if (selected) this.announce(words.announce.over);
        break;
      case 'queued':
      case '':
        break;
    }
  }

  #talkBegan(channel, selected) {
    const { talker, level } = channel.talk;
    if (level === 'emergency') {
      this.sound.tone('alarm');
      this.announce(words.announce.emergency(talker.name, channel.name));
    } else if (selected) {
      this.announce(words.announce.talks(talker.name, channel.name));
    }
  }

  #join(channel) {
    const muted = channel.id !== page.selected;
    channel.muted = muted;
    this.signaling.send({ type: 'JOIN', channelId: channel.id, muted });
  }

  #leave(channel) {
    this.signaling.send({ type: 'LEAVE', channelId: channel.id });
    channel.leave();
    this.#close(channel.id);
  }

  #mute(channel, muted) {
    channel.muted = muted;
    this.sound.mute(channel.id, muted);
    this.signaling.send({ type: muted ? 'MUTE' : 'UNMUTE', channelId: channel.id });
  }

  #becomeSelected(id) {
    page.selected = id;
    if (page.channel) page.channel.unheard = 0;
  }

  #connect(channel) {
    let transport = page.transports.get(channel.id);
    if (transport) return;
    transport = new Transport({
      iceServers: this.#iceServers,
      offer: (sdp) => this.#offer(channel.id, sdp),
      heard: (stream) => {
        this.sound.play(channel.id, stream);
        this.draw();
      },
      changed: (state) => this.#transportChanged(channel.id, state),
    });
    page.transports.set(channel.id, transport);
    transport.connect();
    if (channel.id === page.selected && !this.#others.allowed) {
      this.#others.timer = setTimeout(() => this.#connectOthers(), OTHERS_AFTER_MS);
    }
  }

  #connectOthers() {
    clearTimeout(this.#others.timer);
    this.#others.allowed = true;
    for (const channel of page.channels.values()) if (channel.joined) this.#connect(channel);
  }

  #offer(channelId, sdp) {
    const id = this.signaling.send({ type: 'WEBRTC_OFFER', channelId, sdp });
    this.#offers.set(channelId, id);
    return id !== null;
  }

  #transportChanged(id, state) {
    if (id === page.selected && state === 'connected') {
      this.talking.ask();
      if (!this.#others.allowed) this.#connectOthers();
    }
    this.draw();
  }

  #error(message) {
    const refused = [...this.#offers].find(([, id]) => id === message.id);
    if (refused) page.transports.get(refused[0])?.lost();
    else if (message.code !== 'bad_offer') this.say(message.message, 'bad');
  }

  // A new session: the box knows nothing of the old one's channels and transports.
  #forget() {
    clearTimeout(this.#others.timer);
    this.#others.allowed = false;
    this.#offers.clear();
    for (const id of [...page.transports.keys()]) this.#close(id);
    for (const channel of page.channels.values()) channel.leave();
  }

  #close(id) {
    page.transports.get(id)?.close();
    page.transports.delete(id);
  }

  #drop(channel) {
    if (channel.id === page.selected) this.talking.press.end('removed');
    this.#close(channel.id);
    this.sound.forget(channel.id);
    page.channels.delete(channel.id);
    if (channel.id === page.selected) {
      this.#becomeSelected(page.channels.keys().next().value ?? null);
      if (page.channel?.joined) this.#mute(page.channel, false);
    }
  }
}

function remembered() {
  try {
    return localStorage.getItem(SELECTED);
  } catch {
    return null;
  }
}

function remember(id) {
  try {
    localStorage.setItem(SELECTED, id);
  } catch {
    // A browser that keeps nothing starts with the first channel.
  }
}
