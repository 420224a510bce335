//! From packets to the next period of sound: jitter buffer, decoder, drift.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::PERIOD;
use super::drift::Drift;
use super::playout::{Adaptation, Counters, Playout, Settings, Step};
use crate::media::Packet;

/// Opus, or what stands for it in a test. Sound is mono, 48 kHz.
pub trait Decoder {
    /// `into` is as long as the packet. False: it could not be decoded.
    fn decode(&mut self, packet: &[u8], into: &mut [f32]) -> bool;
    /// What was in the packet before this one, as far as this one tells.
    fn recover(&mut self, next: &[u8], into: &mut [f32]) -> bool;
    /// What could have been here; a multiple of 2.5 ms.
    fn conceal(&mut self, into: &mut [f32]);
    /// Another talker.
    fn reset(&mut self);
}

/// What a period was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Nothing is played: silence.
    Nothing,
    /// A transmission has begun, of which nothing may be heard yet, or nothing came: silence.
    Holding,
    /// A transmission.
    Sound,
    /// The first period after the end of the last transmission: silence. Said once.
    Drained,
}

#[derive(Debug)]
pub struct Player<D> {
    decoder: D,
    adaptation: Adaptation,
    /// Of whom something is still to be heard, in turn. The last is the one whose packets come.
    talks: VecDeque<Playout>,
    /// Decoded, not yet heard.
    sound: VecDeque<f32>,
    scratch: Vec<f32>,
    drift: Drift,
    depth: i64,
    counters: Counters,
    silent: bool,
}

/// The longest packet: 120 ms.
const LONGEST_PACKET: usize = 5_760;

impl<D: Decoder> Player<D> {
    pub fn new(decoder: D, settings: Settings) -> Self {
        Player {
            decoder,
            adaptation: Adaptation::new(settings),
            talks: VecDeque::new(),
            sound: VecDeque::with_capacity(2 * LONGEST_PACKET),
            scratch: vec![0.0; LONGEST_PACKET],
            drift: Drift::new(),
            depth: 0,
            counters: Counters::default(),
            silent: true,
        }
    }

    /// A transmission, of which nothing is to be heard before `not_before`. Whatever is left of the one before is
    /// played first.
    pub fn begin(&mut self, not_before: Instant, now: Instant) {
        self.end();
        self.talks
            .push_back(Playout::new(self.adaptation, not_before, now));
    }

    /// A packet of the transmission begun last.
    pub fn push(&mut self, packet: &Packet, now: Instant) {
        if let Some(talk) = self.talks.back_mut().filter(|talk| !talk.has_ended()) {
            talk.push(packet, now);
            self.adaptation = talk.adaptation();
        }
    }

    /// The transmission is over: what is there is played out, then comes [`Heard::Drained`].
    pub fn end(&mut self) {
        if let Some(talk) = self.talks.back_mut() {
            talk.end();
        }
    }

    /// Nothing of what is there is heard, and nothing is said about it.
    pub fn discard(&mut self) {
        self.talks.clear();
        self.sound.clear();
    }

    /// The next period; `now` is when it is asked for.
    pub fn next(&mut self, now: Instant, period: &mut [f32; PERIOD]) -> Heard {
        period.fill(0.0);
        let needed = self.drift.needed();
        let mut heard = Heard::Nothing;
        while self.sound.len() < needed {
            let ahead = self.sound.len();
            let Some(talk) = self.talks.front_mut() else {
                break;
            };
            let samples = match talk.step(now, ahead) {
                Step::Hold => {
                    heard = Heard::Holding;
                    break;
                }
                Step::Drained => {
                    if ahead > 0 {
                        break;
                    }
                    self.counters += talk.counters();
                    self.talks.pop_front();
                    self.decoder.reset();
                    if self.talks.is_empty() {
                        return Heard::Drained;
                    }
                    continue;
                }
                Step::Decode { payload, samples } => {
                    let into = &mut self.scratch[..samples];
                    if !self.decoder.decode(&payload, into) {
                        self.decoder.conceal(into);
                    }
                    samples
                }
                Step::Recover { next, samples } => {
                    let into = &mut self.scratch[..samples];
                    if !self.decoder.recover(&next, into) {
                        self.decoder.conceal(into);
                    }
                    samples
                }
                Step::Conceal { samples } => {
                    self.decoder.conceal(&mut self.scratch[..samples]);
                    samples
                }
            };
            self.sound.extend(&self.scratch[..samples]);
        }
        if self.sound.is_empty() {
            self.silent = true;
            return heard;
        }
        if self.silent {
            self.drift.restart();
            self.silent = false;
        }
        let needed = self.drift.needed();
        if self.sound.len() < needed {
            self.sound.resize(needed, 0.0);
        }
        let samples = self.sound.make_contiguous();
        self.drift.process(&samples[..needed], period);
        self.sound.drain(..needed);
        if let Some((depth, excess)) = self
            .talks
            .front()
            .and_then(|talk| talk.depth(now, self.sound.len()))
        {
            self.depth = depth;
            self.drift.steer(excess as f64 / f64::from(super::RATE));
        }
        Heard::Sound
    }

    /// How long after the earliest moment it could be is played what is played.
    pub fn depth(&self) -> Duration {
        Duration::from_micros(self.depth.max(0) as u64 * 1000 / 48)
    }

    /// How much the card's clock is behind the talker's, as far as that is known.
    pub fn drift_ppm(&self) -> f32 {
        self.drift.ppm()
    }

    pub fn counters(&self) -> Counters {
        let mut all = self.counters;
        self.talks.iter().for_each(|talk| all += talk.counters());
        all
    }
}
