// What this device plays: each channel's sound, the tones that answer a press, and the level that is drawn.

// Notes are [frequency in Hz, start, length] in ms. Permit is over within 100 ms: speech follows it.
const TONES = {
  permit: { shape: 'sine', gain: 0.25, notes: [[880, 0, 40], [1320, 45, 45]] },
  deny: { shape: 'square', gain: 0.08, notes: [[220, 0, 130], [175, 170, 200]] },
  warn: { shape: 'sine', gain: 0.25, notes: [[1046, 0, 60], [1046, 120, 60]] },
  alarm: { shape: 'triangle', gain: 0.3, notes: [[988, 0, 160], [740, 170, 160], [988, 340, 160], [740, 510, 160]] },
  call: { shape: 'sine', gain: 0.12, notes: [[659, 0, 180], [523, 200, 260]] },
};
const EDGE_S = 0.004;

/** Plays a tone now, in a running context. */
export function playTone(context, name, output = context.destination) {
  const { shape, gain, notes } = TONES[name];
  for (const [frequency, start, length] of notes) {
    const from = context.currentTime + start / 1000;
    const to = from + length / 1000;
    const volume = new GainNode(context, { gain: 0 });
    volume.gain.setValueAtTime(0, from);
    volume.gain.linearRampToValueAtTime(gain, from + EDGE_S);
    volume.gain.setValueAtTime(gain, to - EDGE_S);
    volume.gain.linearRampToValueAtTime(0, to);
    const oscillator = new OscillatorNode(context, { type: shape, frequency });
    oscillator.connect(volume).connect(output);
    oscillator.start(from);
    oscillator.stop(to);
  }
}

// A system that pauses what we start again is not asked more often than this.
const AGAIN_MS = 250;

export class Sound {
  /** The browser refuses to play before a tap. */
  blocked = false;
  #context = null;
  #elements = new Map();
  #meter = null;

  constructor(place, changed) {
    this.place = place;
    this.changed = changed;
  }

  /** The channel's own audio element. It outlives its peer connections, for a browser unlocks elements, not streams. */
  element(channelId) {
    let element = this.#elements.get(channelId);
    if (!element) {
      element = document.createElement('audio');
      element.autoplay = true;
      element.playsInline = true;
      element.dataset.channel = channelId;
      // A phone call pauses us and says nothing when it is over.
      element.addEventListener('pause', () => setTimeout(() => this.wake(), AGAIN_MS));
      this.#elements.set(channelId, element);
      this.place.append(element);
    }
    return element;
  }

  play(channelId, stream) {
    const element = this.element(channelId);
    element.srcObject = stream;
    this.#start(element);
  }

  mute(channelId, muted) {
    const element = this.element(channelId);
    element.muted = muted;
    if (!muted && stopped(element)) this.#start(element);
  }

  forget(channelId) {
    this.#elements.get(channelId)?.remove();
    this.#elements.delete(channelId);
  }

  /** True where a channel should be heard and the system keeps it paused. */
  interrupted(channelId) {
    const element = this.#elements.get(channelId);
    return element !== undefined && !element.muted && stopped(element);
  }

  /** To be called from every tap and key until nothing is blocked. */
  unlock() {
    if (navigator.audioSession) navigator.audioSession.type = 'play-and-record';
    if (!this.#context) {
      this.#context = new AudioContext({ latencyHint: 'interactive' });
      // Some systems tell the end of an interruption here and nowhere else.
      this.#context.onstatechange = () => {
        if (this.#context.state === 'running') this.wake();
        this.changed();
      };
    }
    this.wake();
  }

  /** What the system has paused is started again. */
  wake() {
    if (this.#context && this.#context.state !== 'running') this.#context.resume().catch(() => {});
    for (const element of this.#elements.values()) if (stopped(element)) this.#start(element);
  }

  tone(name) {
    if (this.#context?.state === 'running') playTone(this.#context, name);
  }

  /** A recording's bytes as something to `start`. */
  decode(bytes) {
    return this.#context.decodeAudioData(bytes);
  }

  /** Plays a recording to its end, which `over()` is told, or until `stop()`; `at()` is how far it is, in milliseconds. */
  start(recording, over) {
    const context = this.#context;
    const source = new AudioBufferSourceNode(context, { buffer: recording });
    source.connect(context.destination);
    source.onended = over;
    source.start();
    const began = context.currentTime;
    const stop = () => {
      source.onended = null;
      source.stop();
    };
    return { stop, at: () => (context.currentTime - began) * 1000 };
  }

  /** Draws the level of a channel's sound, or of a track of our own, until `rest`; a page at rest asks for no frames. */
  measure(source, draw) {
    if (this.#meter?.source === source) return;
    this.rest();
    const stream = source instanceof MediaStreamTrack ? new MediaStream([source]) : source;
    if (!stream || this.#context?.state !== 'running') return;
    const node = this.#context.createMediaStreamSource(stream);
    const analyser = new AnalyserNode(this.#context, { fftSize: 512, smoothingTimeConstant: 0 });
    node.connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    let shown = 0;
    const frame = () => {
      analyser.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, x) => sum + x * x, 0) / samples.length;
      // -60 dBFS draws nothing, -10 dBFS all of it; it falls slower than it rises, as needles do.
      const level = Math.min(1, Math.max(0, (10 * Math.log10(power + 1e-9) + 60) / 50));
      shown = Math.max(level, shown - 0.03);
      draw(shown);
      this.#meter.frame = requestAnimationFrame(frame);
    };
    this.#meter = { source, node, draw, frame: requestAnimationFrame(frame) };
  }

  rest() {
    if (!this.#meter) return;
    cancelAnimationFrame(this.#meter.frame);
    this.#meter.node.disconnect();
    this.#meter.draw(0);
    this.#meter = null;
  }

  stream(channelId) {
    return this.#elements.get(channelId)?.srcObject ?? null;
  }

  #start(element) {
    element.play().then(
      () => { if (!element.muted) this.blocked = false; },
      (error) => { if (error.name === 'NotAllowedError') this.blocked = true; },
    ).then(this.changed);
  }
}

// A stream whose transport was closed has nothing more to play.
const stopped = (element) => element.paused && Boolean(element.srcObject?.active);
