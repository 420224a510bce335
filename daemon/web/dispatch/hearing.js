// What this desk plays. Two buses, each to an output or a side of its own:
//
//   channel's track -> volume -> analyser -+-> selected --------> left  | output 1
//                                          +-> rest -> duck ----> right | output 2
//   replay, tones ---------------------------> selected
//
// A muted channel is no part of the graph: its consumer on the box is paused, and nothing is computed for it here.

import { playTone } from '/js/sound.js';

// Speech on a selected channel stays clear above the rest, and the rest can still be followed.
const DUCKED = 10 ** (-15 / 20);
const DUCK_S = { down: 0.03, up: 0.25 };
const RAMP_S = 0.015;
const ONCE_MS = 200;

export class Hearing {
  /** The browser refuses to play before a click or a key. */
  blocked = false;
  /** The node every replay goes through. */
  replayed = null;
  #context = null;
  #buses = null;
  /** By channel id: `{stream, muted, volume, selected, graph}`; graph only while it is heard. */
  #channels = new Map();
  #outputs = { mode: 'one', selected: null, rest: null };
  #ducked = false;
  #sounded = { name: '', at: 0 };
  #samples = new Float32Array(512);

  /** `changed()` when what can be heard has changed; `refused()` where an output cannot be used. */
  constructor({ place, changed, refused }) {
    Object.assign(this, { place, changed, refused });
  }

  play(channelId, stream) {
    const channel = this.#channel(channelId);
    this.#close(channel);
    channel.stream = stream;
    this.#open(channel);
  }

  mute(channelId, muted) {
    const channel = this.#channel(channelId);
    channel.muted = muted;
    if (muted) this.#close(channel);
    else this.#open(channel);
  }

  forget(channelId) {
    const channel = this.#channels.get(channelId);
    if (channel) this.#close(channel);
    this.#channels.delete(channelId);
  }

  volume(channelId, volume) {
    const channel = this.#channel(channelId);
    channel.volume = volume;
    // The ear hears in powers: half way up is a quarter of the loudness.
    channel.graph?.gain.gain.setTargetAtTime(volume ** 2, this.#context.currentTime, RAMP_S);
  }

  select(channelId, selected) {
    const channel = this.#channel(channelId);
    if (channel.selected === selected) return;
    channel.selected = selected;
    if (!channel.graph) return;
    channel.graph.analyser.disconnect();
    channel.graph.analyser.connect(this.#bus(channel));
  }

  /** The rest steps back while a selected channel talks. */
  duck(ducked) {
    if (ducked === this.#ducked || !this.#buses) return;
    this.#ducked = ducked;
    const { gain } = this.#buses.rest.input;
    gain.setTargetAtTime(ducked ? DUCKED : 1, this.#context.currentTime, ducked ? DUCK_S.down : DUCK_S.up);
  }

  /** `mode`: one, sides or two; `selected` and `rest`: ids of outputs, '' is the usual one. */
  async route(outputs) {
    this.#outputs = outputs;
    if (!this.#buses) return;
    for (const name of ['selected', 'rest']) await this.#wire(name);
  }

  get canChooseOutputs() {
    return 'setSinkId' in HTMLMediaElement.prototype;
  }

  /** To be called from every click and key until nothing is blocked. */
  unlock() {
    this.#start();
    this.wake();
  }

  /** What the system has stopped is started again. */
  wake() {
    if (!this.#context) return this.#start();
    if (this.#context.state !== 'running') this.#context.resume().catch(() => {});
    for (const { graph } of this.#channels.values()) if (graph?.element.paused) this.#run(graph.element);
    for (const bus of Object.values(this.#buses)) if (bus.element?.paused) this.#run(bus.element);
  }

  /** Three channels that are granted at once sound as one. */
  tone(name) {
    const now = performance.now();
    if (name === this.#sounded.name && now - this.#sounded.at < ONCE_MS) return;
    this.#sounded = { name, at: now };
    if (this.#context?.state === 'running') playTone(this.#context, name, this.#buses.selected.input);
  }

  /** Plays what was decoded, on the output of the selected; `over()` at its end. Returns what stops it. */
  replay(buffer, over) {
    this.#start();
    const source = new AudioBufferSourceNode(this.#context, { buffer });
    source.connect(this.replayed);
    source.onended = over;
    source.start();
    return () => {
      source.onended = null;
      source.stop();
      source.disconnect();
    };
  }

  decode(bytes) {
    this.#start();
    return this.#context.decodeAudioData(bytes);
  }

  /** The node behind a channel's volume, null while it is muted or has no sound yet. */
  analyser(channelId) {
    return this.#channels.get(channelId)?.graph?.analyser ?? null;
  }

  /** How loud a channel is here and now, as RMS of -1 to 1; 0 where it is muted. */
  level(channelId) {
    const analyser = this.analyser(channelId);
    if (!analyser) return 0;
    analyser.getFloatTimeDomainData(this.#samples);
    return Math.sqrt(this.#samples.reduce((sum, x) => sum + x * x, 0) / this.#samples.length);
  }

  #channel(id) {
    if (!this.#channels.has(id)) this.#channels.set(id, { stream: null, muted: true, volume: 1, selected: false, graph: null });
    return this.#channels.get(id);
  }

  #bus(channel) {
    return (channel.selected ? this.#buses.selected : this.#buses.rest).input;
  }

  #start() {
    if (this.#context) return;
    const context = new AudioContext({ latencyHint: 'interactive' });
    this.#context = context;
    const bus = () => ({ input: new GainNode(context), side: null, stream: null, element: null });
    this.#buses = { selected: bus(), rest: bus() };
    this.replayed = new AnalyserNode(context, { fftSize: 2048, smoothingTimeConstant: 0 });
    this.replayed.connect(this.#buses.selected.input);
    context.onstatechange = () => {
      this.blocked = context.state !== 'running';
      this.changed();
    };
    this.blocked = context.state !== 'running';
    this.route(this.#outputs);
  }

  #open(channel) {
    if (channel.muted || channel.graph || !channel.stream) return;
    this.#start();
    // Chromium feeds the graph silence from a remote track that no element plays.
    const element = new Audio();
    element.muted = true;
    element.srcObject = channel.stream;
    this.#run(element);
    const source = this.#context.createMediaStreamSource(channel.stream);
    const gain = new GainNode(this.#context, { gain: channel.volume ** 2 });
    const analyser = new AnalyserNode(this.#context, { fftSize: 2048, smoothingTimeConstant: 0 });
    source.connect(gain).connect(analyser).connect(this.#bus(channel));
    channel.graph = { element, source, gain, analyser };
  }

  #close(channel) {
    const { graph } = channel;
    if (!graph) return;
    channel.graph = null;
    for (const node of [graph.source, graph.gain, graph.analyser]) node.disconnect();
    graph.element.srcObject = null;
  }

  async #wire(name) {
    const bus = this.#buses[name];
    const { mode } = this.#outputs;
    bus.input.disconnect();
    bus.side?.disconnect();
    if (mode === 'sides') {
      bus.side ??= new StereoPannerNode(this.#context, { pan: name === 'selected' ? -1 : 1 });
      bus.input.connect(bus.side).connect(this.#context.destination);
    } else if (mode === 'two' && this.canChooseOutputs) {
      // An output of its own takes the way over an element, and some 20 ms with it.
      bus.stream ??= new MediaStreamAudioDestinationNode(this.#context);
      bus.input.connect(bus.stream);
      if (!bus.element) {
        bus.element = new Audio();
        bus.element.srcObject = bus.stream.stream;
        this.place.append(bus.element);
      }
      await bus.element.setSinkId(this.#outputs[name] ?? '').catch(() => this.refused());
      this.#run(bus.element);
      return;
    } else {
      bus.input.connect(this.#context.destination);
    }
    bus.element?.pause();
  }

  #run(element) {
    element.play().catch(() => {});
  }
}
