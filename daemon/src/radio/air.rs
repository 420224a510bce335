//! A simulated radio's other end: a handheld that a person has on the radio page, so that everything can be tried
//! without a radio.

use std::f32::consts::TAU;
use std::path::Path;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use pttd_core::radio::RATE;
use pttd_hw::HwError;
use pttd_hw::bench;

use super::codec::Decoder;

/// A sentence of a synthetic voice, made with espeak-ng and opusenc.
const SPEECH: &[u8] = include_bytes!("handheld.opus");
/// As long as a person listens to it.
const LONGEST_HEARD: usize = 60 * RATE as usize;
const TONE_SECONDS: usize = 3;

/// What a person does with a simulated radio's handheld.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handheld {
    /// Its PTT is held.
    pub carrier: bool,
    pub play: Option<HandheldSound>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandheldSound {
    Speech,
    Tone,
}

pub struct Air {
    bench: bench::Air,
    heard: Mutex<Heard>,
}

/// What went on the air, 16 bit: the last transmission, or the one that is running.
#[derive(Default)]
struct Heard {
    samples: Vec<i16>,
    keyed: bool,
}

impl Air {
    pub fn listen(path: &Path) -> Result<Air, HwError> {
        Ok(Air {
            bench: bench::Air::listen(path)?,
            heard: Mutex::default(),
        })
    }

    pub fn handheld(&self, does: Handheld) {
        self.bench.set_carrier(does.carrier);
        self.bench.hush();
        match does.play.filter(|_| does.carrier) {
            None => {}
            Some(HandheldSound::Speech) => {
                self.bench.say(&SPEECH_SAMPLES);
            }
            Some(HandheldSound::Tone) => {
                self.bench.say(&tone());
            }
        }
    }

    /// Keeps what the transmitter has sent since this was called last; the bench does for a minute.
    pub fn listen_on(&self) {
        let mut heard = self.heard();
        for period in self.bench.heard() {
            if period.keyed && !heard.keyed {
                heard.samples.clear();
            }
            heard.keyed = period.keyed;
            if period.keyed && heard.samples.len() < LONGEST_HEARD {
                let samples = period.samples.iter();
                let samples = samples.map(|s| (s.clamp(-1.0, 1.0) * f32::from(i16::MAX)) as i16);
                heard.samples.extend(samples);
            }
        }
    }

    /// The last transmission as a WAV file; `None`: there was none yet.
    pub fn wav(&self) -> Option<Vec<u8>> {
        self.listen_on();
        let heard = self.heard();
        (!heard.samples.is_empty()).then(|| wav(&heard.samples))
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

static SPEECH_SAMPLES: LazyLock<Vec<f32>> = LazyLock::new(|| {
    speech().unwrap_or_else(|error| {
        tracing::error!(
            error = format!("{error:#}"),
            "the handheld has lost its voice"
        );
        tone()
    })
});

fn speech() -> Result<Vec<f32>> {
    use pttd_core::radio::player::Decoder as _;
    const FRAME: usize = 960;
    let mut file = ogg::PacketReader::new(std::io::Cursor::new(SPEECH));
    let mut decoder = Decoder::new()?;
    let mut samples = Vec::new();
    let mut number = 0;
    while let Some(packet) = file.read_packet().context("reading the handheld's voice")? {
        // First the head and the comments, RFC 7845.
        if number >= 2 {
            let mut frame = [0.0; FRAME];
            decoder.decode(&packet.data, &mut frame);
            samples.extend(frame);
        }
        number += 1;
    }
    Ok(samples)
}

/// 1 kHz at -10 dBFS.
fn tone() -> Vec<f32> {
    let amplitude = 10f32.powf(-0.5);
    let sample = |n: usize| amplitude * (TAU * (n % 48) as f32 / 48.0).sin();
    (0..TONE_SECONDS * RATE as usize).map(sample).collect()
}

/// Mono, 16 bit.
pub fn wav(samples: &[i16]) -> Vec<u8> {
    let bytes = 2 * samples.len() as u32;
    let mut wav = Vec::with_capacity(44 + bytes as usize);
    let mut word = |bytes: &[u8]| wav.extend_from_slice(bytes);
    word(b"RIFF");
    word(&(36 + bytes).to_le_bytes());
    word(b"WAVEfmt ");
    word(&16u32.to_le_bytes());
    word(&1u16.to_le_bytes());
    word(&1u16.to_le_bytes());
    word(&RATE.to_le_bytes());
    word(&(2 * RATE).to_le_bytes());
    word(&2u16.to_le_bytes());
    word(&16u16.to_le_bytes());
    word(b"data");
    word(&bytes.to_le_bytes());
    samples
        .iter()
        .for_each(|sample| word(&sample.to_le_bytes()));
    wav
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handheld_has_a_voice() {
        let speech = speech().unwrap();
        let seconds = speech.len() / RATE as usize;
        assert!((3..12).contains(&seconds), "{seconds} s");
        let loud = speech.iter().filter(|sample| sample.abs() > 0.05).count();
        assert!(loud > speech.len() / 10, "{loud} of {}", speech.len());
    }
}
