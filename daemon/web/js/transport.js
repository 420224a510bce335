// One peer connection: this session on one channel. One sendrecv audio line, offered once; the microphone's track is
// put on it while we are on air and taken off again, and nothing is negotiated at key-up.

const CONNECTED_WITHIN_MS = 6000;
const DISCONNECTED_FOR_MS = 4000;
const AGAIN_MS = { first: 300, most: 20000 };

export class Transport {
  /** 'new', 'connecting', 'connected', 'disconnected', 'failed' or 'closed'. */
  state = 'new';
  #pc = null;
  #sender = null;
  #track = null;
  #attempt = 0;
  #timer = 0;

  /** `offer(sdp)` sends it to the box and is false where it cannot; `heard(stream)` gets the channel's sound. */
  constructor({ iceServers, offer, heard, changed }) {
    this.iceServers = iceServers;
    this.offer = offer;
    this.heard = heard;
    this.changed = changed;
  }

  /** True while the microphone can be heard through this connection. */
  get sending() {
    return this.#sender?.track?.readyState === 'live';
  }

  /** Connects, or connects anew with a fresh offer. */
  async connect() {
    this.#drop();
    const pc = new RTCPeerConnection({ iceServers: this.iceServers });
    this.#pc = pc;
    this.#become('connecting');
    this.#timer = setTimeout(() => this.lost(), CONNECTED_WITHIN_MS);
    const transceiver = pc.addTransceiver(this.#track ?? 'audio', { direction: 'sendrecv' });
    this.#sender = transceiver.sender;
    pc.ontrack = ({ track }) => this.heard(new MediaStream([track]));
    pc.onconnectionstatechange = () => this.#follow(pc);
    const offer = await pc.createOffer();
    if (this.#pc !== pc) return;
    await pc.setLocalDescription(offer);
    // The box is ICE-lite and answers whoever asks: it needs none of our candidates, so the offer waits for none.
    if (this.#pc === pc && !this.offer(offer.sdp)) this.#wait();
  }

  async answer(sdp) {
    const pc = this.#pc;
    if (pc?.signalingState !== 'have-local-offer') return;
    // What was closed meanwhile must not come back.
    await pc.setRemoteDescription({ type: 'answer', sdp }).catch(() => pc === this.#pc && this.#again());
  }

  /** The last try came to nothing, and none has succeeded since. */
  get failing() {
    return this.#attempt > 0;
  }

  /** The box has closed its end or refused the offer, or nothing gets through. */
  lost() {
    this.#become('failed');
    this.#again();
  }

  /** Puts a track on the air, or with null takes it off. */
  async send(track) {
    this.#track = track;
    await this.#sender?.replaceTrack(track).catch(() => {});
  }

  close() {
    this.#track = null;
    this.#drop();
    this.#become('closed');
  }

  // The box is gone: it is connected anew when the page is, and not by a timer.
  #wait() {
    this.#drop();
    this.#become('failed');
  }

  #follow(pc) {
    if (pc !== this.#pc) return;
    const state = pc.connectionState;
    if (state === 'connected') {
      this.#attempt = 0;
      clearTimeout(this.#timer);
    }
    if (state === 'disconnected') this.#again(DISCONNECTED_FOR_MS);
    if (state === 'failed') this.#again();
    this.#become(state);
  }

  #again(after) {
    clearTimeout(this.#timer);
    const wait = after ?? Math.min(AGAIN_MS.most, AGAIN_MS.first * 2 ** this.#attempt++);
    this.#timer = setTimeout(() => this.connect(), wait);
  }

  #become(state) {
    if (state === this.state) return;
    this.state = state;
    this.changed(state);
  }

  #drop() {
    clearTimeout(this.#timer);
    const pc = this.#pc;
    this.#pc = this.#sender = null;
    if (!pc) return;
    pc.ontrack = pc.onconnectionstatechange = null;
    pc.close();
  }
}
