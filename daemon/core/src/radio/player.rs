//! From packets to the next period of sound: jitter buffer, decoder, drift.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::drift::Drift;
use super::levels::loudness;
use super::playout::{Adaptation, Counters, Playout, Settings, Step};
use super::{PERIOD, RATE};
use crate::media::Packet;

#[cfg(test)]
mod tests;

/// Opus, or what stands for it in a test. Sound is mono, 48 kHz.
pub trait Decoder {
    /// `into` is as long as the packet. False: it could not be decoded.
    fn decode(&mut self, packet: &[u8], into: &mut [f32]) -> bool;
    /// What was in the packet before this one, as far as this one tells. False: it does not.
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
    /// A transmission of which nothing came yet, or may be heard yet: silence.
    Holding,
    /// A transmission.
    Sound,
    /// The first period after the end of the last transmission: silence. Said once.
    Drained,
}

/// The longest packet: 120 ms.
const LONGEST_PACKET: usize = 5_760;
/// More transmissions than these do not wait for their turn.
const MOST_TALKS: usize = 3;
/// Where sound is cut, it fades for 2.5 ms.
const EDGE: usize = 120;
/// What is not louder than this is a pause: 10 ms of it may be left out or said twice.
const PAUSE: f32 = -45.0;
const PERIOD_SECONDS: f64 = PERIOD as f64 / RATE as f64;

#[derive(Debug)]
pub struct Player<D> {
    decoder: D,
    adaptation: Adaptation,
    /// Of whom something is still to be heard, in turn. The last is the one whose packets come.
    talks: VecDeque<Playout>,
    /// Decoded, not yet heard.
    sound: Vec<f32>,
    scratch: Vec<f32>,
    drift: Drift,
    /// In samples.
    depth: f64,
    /// Of talks that are over.
    counters: Counters,
}

impl<D: Decoder> Player<D> {
    pub fn new(decoder: D, settings: Settings) -> Self {
        Player {
            decoder,
            adaptation: Adaptation::new(settings),
            talks: VecDeque::new(),
            sound: Vec::with_capacity(2 * LONGEST_PACKET),
            scratch: vec![0.0; LONGEST_PACKET],
            drift: Drift::new(),
            depth: 0.0,
            counters: Counters::default(),
        }
    }

    /// A transmission, of which nothing is to be heard before `not_before`. Whatever is left of the one before is
    /// played first.
    pub fn begin(&mut self, not_before: Instant, now: Instant) {
        self.end();
        while self.talks.len() >= MOST_TALKS {
            self.leave();
        }
        let talk = Playout::new(self.adaptation, not_before, now);
        self.talks.push_back(talk);
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
        let Some(talk) = self.talks.back_mut().filter(|talk| !talk.has_ended()) else {
            return;
        };
        talk.end();
        if talk.is_over() && self.talks.len() == 1 {
            fade(&mut self.sound);
        }
    }

    /// Nothing of what is there is heard, and nothing is said about it.
    pub fn discard(&mut self) {
        while !self.talks.is_empty() {
            self.leave();
        }
        self.sound.truncate(EDGE);
        fade(&mut self.sound);
    }

    /// The next period; `now` is when it is asked for.
    pub fn next(&mut self, now: Instant, period: &mut [f32; PERIOD]) -> Heard {
        let needed = self.drift.needed();
        let mut heard = Heard::Nothing;
        while self.sound.len() < needed {
            let Some(talk) = self.talks.front_mut() else {
                break;
            };
            match talk.step(now, self.sound.len()) {
                Step::Hold => {
                    heard = Heard::Holding;
                    break;
                }
                Step::Drained if self.sound.is_empty() => {
                    heard = Heard::Drained;
                    self.leave();
                }
                Step::Drained => break,
                step => self.take(step),
            }
        }
        if self.sound.is_empty() {
            period.fill(0.0);
            return heard;
        }
        if self.sound.len() < needed {
            self.sound.resize(needed, 0.0);
        }
        self.drift.process(&self.sound[..needed], period);
        self.sound.drain(..needed);
        let ahead = self.sound.len();
        let talk = self.talks.front_mut();
        if let Some(depth) = talk.and_then(|talk| talk.look(now, ahead)) {
            self.depth = depth.usual;
            self.drift.steer(depth.excess as f64 / f64::from(RATE));
        }
        Heard::Sound
    }

    /// Puts what the step brings after what is there.
    fn take(&mut self, step: Step) {
        let (samples, pause) = match step {
            Step::Decode { payload, samples } => {
                let into = &mut self.scratch[..samples];
                if !self.decoder.decode(&payload, into) {
                    self.decoder.conceal(into);
                }
                (samples, loudness(into) < PAUSE)
            }
            Step::Recover { next, samples } => {
                let into = &mut self.scratch[..samples];
                if !self.decoder.recover(&next, into) {
                    self.decoder.conceal(into);
                }
                (samples, false)
            }
            Step::Conceal { samples } => {
                self.decoder.conceal(&mut self.scratch[..samples]);
                (samples, false)
            }
            Step::Hold | Step::Drained => return,
        };
        let samples = match pause {
            true => self.adjust_pause(samples),
            false => samples,
        };

        self.sound.extend_from_slice(&self.scratch[..samples]);
        if self.talks.len() == 1 && self.talks[0].is_over() {
            fade(&mut self.sound);
        }
    }

    /// A pause is where the depth is brought a period nearer to what it should be, unheard.
    fn adjust_pause(&mut self, samples: usize) -> usize {
        if samples < 2 * PERIOD {
            return samples;
        }
        let excess = self.drift.excess();
        let share = |n: usize| n as f32 / PERIOD as f32;
        if excess > PERIOD_SECONDS {
            for n in 0..PERIOD {
                let later = self.scratch[n + PERIOD];
                self.scratch[n] += (later - self.scratch[n]) * share(n);
            }
            self.scratch.copy_within(2 * PERIOD..samples, PERIOD);
            self.deepened(-1);
            return samples - PERIOD;
        }
        if excess < -PERIOD_SECONDS && samples + PERIOD <= LONGEST_PACKET {
            self.scratch.copy_within(PERIOD..samples, 2 * PERIOD);
            for n in 0..PERIOD {
                let (earlier, later) = (self.scratch[n], self.scratch[n + 2 * PERIOD]);
                self.scratch[n + PERIOD] = later + (earlier - later) * share(n);
            }
            self.deepened(1);
            return samples + PERIOD;
        }
        samples
    }

    fn deepened(&mut self, periods: i64) {
        self.drift.deepened(periods as f64 * PERIOD_SECONDS);
        if let Some(talk) = self.talks.front_mut() {
            talk.deepened(periods * PERIOD as i64);
        }
    }

    /// The first talk is over.
    fn leave(&mut self) {
        if let Some(talk) = self.talks.pop_front() {
            self.counters += talk.counters();
            self.decoder.reset();
            self.drift.another_talker();
        }
    }

    /// How long after the earliest moment it could be is played what is played.
    pub fn depth(&self) -> Duration {
        match self.talks.is_empty() {
            true => Duration::ZERO,
            false => Duration::from_secs_f64(self.depth.max(0.0) / f64::from(RATE)),
        }
    }

    /// How much faster than the card asks for it the sound is taken, in millionths.
    pub fn drift_ppm(&self) -> f32 {
        self.drift.ppm()
    }

    pub fn counters(&self) -> Counters {
        let mut all = self.counters;
        self.talks.iter().for_each(|talk| all += talk.counters());
        all
    }
}

/// So that the end does not click.
fn fade(sound: &mut [f32]) {
    let end = sound.iter_mut().rev().take(EDGE);
    end.enumerate()
        .for_each(|(n, sample)| *sample *= n as f32 / EDGE as f32);
}
