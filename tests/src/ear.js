function listen(track, tones) {
  const context = new AudioContext();
  context.resume();
  const stream = new MediaStream([track]);
  // Chromium feeds the graph silence from a remote track that no element plays.
  const player = new Audio();
  player.muted = true;
  player.srcObject = stream;
  player.play();
  const analyser = context.createAnalyser();
  analyser.fftSize = 2048;
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);

  // Goertzel: which share of the energy is at this frequency.
  function share(frequency, energy) {
    const w = (2 * Math.PI * frequency) / context.sampleRate;
    let re = 0, im = 0;
    samples.forEach((s, n) => { re += s * Math.cos(w * n); im += s * Math.sin(w * n); });
    return (2 * (re * re + im * im)) / (samples.length * energy);
  }

  let frames = [];
  function look() {
    analyser.getFloatTimeDomainData(samples);
    const energy = samples.reduce((sum, s) => sum + s * s, 0);
    const rms = Math.sqrt(energy / samples.length);
    let who = null;
    if (rms > 0.01) {
      who = Object.keys(tones).find((name) => share(tones[name], energy) > 0.5) ?? "someone";
    }
    frames.push({ at: performance.now(), rms, who });
  }
  setInterval(look, 40);

  return {
    frames: () => frames,
    forget: () => { frames = []; },
    heard: (who) => frames.filter((f) => f.who === who).length,
    // Since when, in milliseconds, nothing has been heard.
    silence: () => {
      const last = frames.findLast((f) => f.rms > 0.003);
      const from = last ? last.at : frames[0]?.at ?? performance.now();
      return performance.now() - from;
    },
  };
}
