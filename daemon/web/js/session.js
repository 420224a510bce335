// The session with the box: the channels it lets us on, joined and connected, and every message brought to its channel.
// It knows no page. Which channels sound, and which come first, is the page's to say: one on a phone, fifty on a desk.

import { Channel } from './floor.js';
import { Transport } from './transport.js';

// What is urgent is connected first; the others do not wait for it longer than this.
const OTHERS_AFTER_MS = 1500;
// Fifty that connect at once all come late; some at a time, and the first ones sound while the last ones wait.
const SIDE_BY_SIDE = 10;

export class Session {
  /** Who we are to the others: `{sessionId, userId, name, role}`. */
  me = null;
  box = '';
  version = '';
  /** By channel id: what we know of it (floor.js), and its peer connection. */
  channels = new Map();
  transports = new Map();
  #iceServers = [];
  #mostChannels = Infinity;
  /** The id of the last offer of each channel: only its answer counts. */
  #offers = new Map();
  #others = { allowed: false, timer: 0 };

  /**
   * `sound` plays: `play(channelId, stream)`, `mute(channelId, muted)`, `forget(channelId)`.
   * `hears(channel)`: it should sound here; the others are joined muted.
   * `urgent(channel)`: connected before the others.
   * `misses(channel)`: what is said there now is not heard by whoever sits here.
   * `listed()`: `channels` has changed, nothing is joined yet.
   * `happened(channel, what, message)`: what Channel.handle says, or 'connected', or why it is gone: 'removed',
   *   'not_authorized'.
   * `told(message)`: everything that is not about the floor, the people or the connection of one channel.
   */
  constructor({ signaling, sound, draw, hears, urgent = hears, misses = (channel) => channel.muted, listed = () => {}, happened, told }) {
    Object.assign(this, { signaling, sound, draw, hears, urgent, misses, listed, happened, told });
  }

  get connected() {
    return this.signaling.connected;
  }

  /** True where the box took this session up again: its transports go on. */
  welcome(message) {
    const resumed = message.resumed && this.channels.size > 0;
    this.me = message.user;
    this.box = message.box;
    this.version = message.version;
    this.#iceServers = message.iceServers;
    this.#mostChannels = message.limits.channels;
    if (!resumed) this.#forget();
    return resumed;
  }

  /** The channels this session may join, with its rights there. */
  list(entries) {
    const now = performance.now();
    const listed = new Set(entries.map((entry) => entry.channelId));
    for (const channel of [...this.channels.values()]) if (!listed.has(channel.id)) this.#drop(channel, 'removed');
    for (const entry of entries) {
      const channel = this.channels.get(entry.channelId);
      if (channel) channel.me = this.me;
      if (channel) channel.update(entry, now);
      else this.channels.set(entry.channelId, new Channel(entry, this.me, now, this.misses));
    }
    this.listed();
    this.#others.timer ||= setTimeout(() => this.#connectOthers(), OTHERS_AFTER_MS);
    for (const channel of this.#urgentFirst().slice(0, this.#mostChannels)) if (!channel.joined) this.#join(channel);
    this.tune();
  }

  /** What should sound now is joined, connected and unmuted; what should not is muted. */
  tune() {
    for (const channel of this.channels.values()) {
      const hears = this.hears(channel);
      this.sound.mute(channel.id, !hears);
      if (!channel.joined && hears && !channel.joining) this.#join(channel);
      if (!channel.joined) continue;
      const type = hears ? 'UNMUTE' : 'MUTE';
      // What the box could not be told is told when it is back.
      if (channel.muted === hears && this.signaling.send({ type, channelId: channel.id }) !== null) channel.muted = !hears;
    }
    this.#connectNext();
  }

  receive(message) {
    if (message.type === 'CHANNELS') return this.list(message.channels);
    if (message.type === 'ERROR') return this.#error(message);
    const channel = this.channels.get(message.channelId);
    switch (message.type) {
      case 'WEBRTC_ANSWER':
        if (message.id === this.#offers.get(message.channelId)) this.transports.get(message.channelId)?.answer(message.sdp);
        return;
      case 'WEBRTC_CLOSED':
        return this.transports.get(message.channelId)?.lost();
      case 'REMOVED':
      case 'NOT_AUTHORIZED':
        return channel && this.#drop(channel, message.type.toLowerCase(), message);
      default:
        return channel ? this.#follow(channel, message) : this.told(message);
    }
  }

  /** Nobody is signed in: nothing is connected and nothing of the last one stays. */
  end() {
    this.#forget();
    for (const id of this.channels.keys()) this.sound.forget(id);
    this.channels.clear();
    this.me = null;
  }

  /** What is not connected is connected again now: nobody waits for a timer that may have slept. */
  wake(all = false) {
    for (const transport of this.transports.values()) {
      if (all ? transport.state !== 'connected' : ['failed', 'disconnected'].includes(transport.state)) transport.connect();
    }
  }

  #follow(channel, message) {
    const what = channel.handle(message, performance.now());
    if (what === null) return this.told(message, channel);
    if (what === 'joined') this.tune();
    if (what) this.happened(channel, what, message);
  }

  #join(channel) {
    const joined = [...this.channels.values()].filter((each) => each.joined);
    const spare = joined.length >= this.#mostChannels ? joined.find((each) => !this.hears(each)) : null;
    if (spare) this.#leave(spare);
    channel.muted = !this.hears(channel);
    channel.joining = this.signaling.send({ type: 'JOIN', channelId: channel.id, muted: channel.muted }) !== null;
  }

  #leave(channel) {
    this.signaling.send({ type: 'LEAVE', channelId: channel.id });
    channel.leave();
    this.#close(channel.id);
  }

  #connectNext() {
    let room = SIDE_BY_SIDE - [...this.transports.values()].filter((each) => each.state === 'connecting').length;
    for (const channel of this.#urgentFirst()) {
      if (room <= 0 || !(this.#others.allowed || this.urgent(channel))) return;
      if (!channel.joined || this.transports.has(channel.id)) continue;
      this.#connect(channel);
      room -= 1;
    }
  }

  #urgentFirst() {
    return [...this.channels.values()].sort((a, b) => this.urgent(b) - this.urgent(a));
  }

  #connect(channel) {
    const transport = new Transport({
      iceServers: this.#iceServers,
      offer: (sdp) => this.#offer(channel.id, sdp),
      heard: (stream) => {
        this.sound.play(channel.id, stream);
        this.draw();
      },
      changed: (state) => this.#transportChanged(channel, state),
    });
    this.transports.set(channel.id, transport);
    transport.connect();
  }

  #connectOthers() {
    clearTimeout(this.#others.timer);
    this.#others.allowed = true;
    this.#connectNext();
  }

  #offer(channelId, sdp) {
    const id = this.signaling.send({ type: 'WEBRTC_OFFER', channelId, sdp });
    this.#offers.set(channelId, id);
    return id !== null;
  }

  #transportChanged(channel, state) {
    if (state === 'connected') {
      this.happened(channel, 'connected');
      const waits = (each) => this.urgent(each) && this.transports.get(each.id)?.state !== 'connected';
      if (!this.#others.allowed && ![...this.channels.values()].some(waits)) this.#connectOthers();
    }
    if (state !== 'connecting') this.#connectNext();
    this.draw();
  }

  #error(message) {
    const refused = [...this.#offers].find(([, id]) => id === message.id);
    if (refused) this.transports.get(refused[0])?.lost();
    else if (message.code !== 'bad_offer') this.told(message);
  }

  // A new session: the box knows nothing of the old one's channels and transports.
  #forget() {
    clearTimeout(this.#others.timer);
    this.#others = { allowed: false, timer: 0 };
    this.#offers.clear();
    for (const id of [...this.transports.keys()]) this.#close(id);
    for (const channel of this.channels.values()) {
      channel.leave();
      channel.call = null;
    }
  }

  #close(id) {
    this.transports.get(id)?.close();
    this.transports.delete(id);
  }

  #drop(channel, why, message) {
    this.channels.delete(channel.id);
    this.happened(channel, why, message);
    this.#close(channel.id);
    this.sound.forget(channel.id);
    this.tune();
  }
}
