// Runs before any script of a page: the microphone is a sentence that begins with the first sample after the
// page has put it on the air, so that what is missing of its beginning is what the way lost. Nothing of the
// browser's own (echo, noise, gain) touches it.
{
  const context = new AudioContext({ sampleRate: 48000 });
  const mouth = context.createGain();
  let buffer = null;
  let playing = null;

  navigator.mediaDevices.getUserMedia = async () => {
    await context.resume();
    const out = context.createMediaStreamDestination();
    mouth.connect(out);
    return out.stream;
  };

  const replaceTrack = RTCRtpSender.prototype.replaceTrack;
  RTCRtpSender.prototype.replaceTrack = async function (track) {
    await replaceTrack.call(this, track);
    playing?.stop();
    playing = null;
    if (!track || !buffer) return;
    playing = context.createBufferSource();
    playing.buffer = buffer;
    playing.connect(mouth);
    playing.onended = () => { window.speaker.said = true; };
    window.speaker.said = false;
    playing.start();
  };

  window.speaker = {
    said: false,
    // 16 bits each at 48 kHz, in base64.
    learn: (text) => {
      const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
      const view = new DataView(bytes.buffer);
      buffer = context.createBuffer(1, bytes.length / 2, 48000);
      const samples = buffer.getChannelData(0);
      for (let n = 0; n < samples.length; n += 1) samples[n] = view.getInt16(2 * n, true) / 32768;
    },
  };
}
