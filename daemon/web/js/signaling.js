// The WebSocket to the box: opened, signed in, kept alive, and opened again when it is lost.

const PING_EVERY_MS = 5000;
const PONG_WITHIN_MS = 10000;
const WELCOME_WITHIN_MS = 8000;
// The box must not take a connection that is given up for one whose owner has left.
const GIVEN_UP = 4000;
const BACKOFF_MS = { first: 250, most: 5000 };

/** How long to wait before attempt n (0 is the first after a loss), spread so that fifty pages do not come at once. */
export const backoff = (n, random = Math.random) =>
  Math.min(BACKOFF_MS.most, BACKOFF_MS.first * 2 ** n) * (0.5 + random() / 2);

export class Signaling {
  #socket = null;
  #device;
  #resume = null;
  #welcomed = false;
  #attempt = 0;
  #nextId = 1;
  #pinged = null;
  #timers = { retry: 0, ping: 0, welcome: 0, pong: 0 };

  /** `receive(message)` gets every message but PONG; `lost()` is told of each loss and each failed attempt. */
  constructor({ receive, lost }) {
    this.receive = receive;
    this.lost = lost;
  }

  get connected() {
    return this.#welcomed;
  }

  start(device) {
    this.#device = device;
    this.#resume = null;
    this.#attempt = 0;
    this.#open();
  }

  /** For good, or until `start`: nothing is tried again. */
  stop() {
    this.#device = null;
    this.#resume = null;
    this.#drop();
  }

  /** Sends a message and returns the id its answer will carry; null when there is no connection. */
  send(message) {
    if (!this.#welcomed || this.#socket.readyState !== WebSocket.OPEN) return null;
    const id = this.#nextId++;
    this.#socket.send(JSON.stringify({ id, ...message }));
    return id;
  }

  /** The network or the screen came back: do not wait for timers that may have slept. */
  hurry() {
    if (!this.#device) return;
    if (this.#welcomed) this.#ping(2000);
    else if (this.#socket?.readyState !== WebSocket.CONNECTING) {
      this.#attempt = 0;
      this.#open();
    }
  }

  /** The session cannot be taken over: the next HELLO asks for a new one. */
  forgetSession() {
    this.#resume = null;
  }

  #open() {
    this.#drop(GIVEN_UP);
    const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
    const socket = new WebSocket(`${scheme}//${location.host}/ws`, ['pttd.json']);
    this.#socket = socket;
    this.#timers.welcome = setTimeout(() => this.#lost(), WELCOME_WITHIN_MS);
    socket.onopen = () => {
      const hello = { type: 'HELLO', device: this.#device };
      if (this.#resume) hello.resume = this.#resume;
      socket.send(JSON.stringify({ id: this.#nextId++, ...hello }));
    };
    socket.onmessage = ({ data }) => this.#take(JSON.parse(data));
    socket.onclose = () => this.#lost();
  }

  #take(message) {
    if (message.type === 'PONG') {
      this.#pinged = null;
      clearTimeout(this.#timers.pong);
      return;
    }
    if (message.type === 'WELCOME') {
      clearTimeout(this.#timers.welcome);
      this.#resume = message.resume;
      this.#device = message.device ?? this.#device;
      this.#welcomed = true;
      this.#attempt = 0;
      this.#timers.ping = setInterval(() => this.#ping(PONG_WITHIN_MS), PING_EVERY_MS);
    }
    this.receive(message);
  }

  // One unanswered PING at a time: a phone that throttles its timers must not mistake its own sleep for a lost box.
  #ping(within) {
    if (this.#pinged === null) {
      this.#pinged = performance.now();
      this.send({ type: 'PING' });
      clearTimeout(this.#timers.pong);
      this.#timers.pong = setTimeout(() => this.#lost(), within);
    }
  }

  #lost() {
    this.#drop(GIVEN_UP);
    if (!this.#device) return;
    this.lost();
    this.#timers.retry = setTimeout(() => this.#open(), backoff(this.#attempt++));
  }

  /** Without a code it is a farewell. */
  #drop(code) {
    clearTimeout(this.#timers.retry);
    clearTimeout(this.#timers.welcome);
    clearTimeout(this.#timers.pong);
    clearInterval(this.#timers.ping);
    this.#pinged = null;
    this.#welcomed = false;
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(code);
  }
}
