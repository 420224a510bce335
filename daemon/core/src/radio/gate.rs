//! Lets received sound through to the packets, or not, and from the past on: what a detector needed to be sure is
//! kept, and sent from its first syllable on.
//!
//! ```text
//!   burst    what has gathered goes out at once, then each frame when it is whole
//!   delayed  each frame goes out as late as the first one was, from end to end
//! ```
//! A frame's RTP time is its place in the stream of samples, so a burst has the times its sound had. Samples
//! are counted, not timed; a moment is found among them by a clock that follows the card's, however long it
//! runs and however late a thread was.

use std::time::Instant;

use super::levels::packet_level;
use super::{PERIOD, RATE};

#[cfg(test)]
mod tests;

/// A packet's worth: 20 ms.
pub const FRAME: usize = 960;
/// How much is kept.
const KEPT: usize = 4 * RATE as usize;
/// How far ahead an end may lie: the floor's longest grace, 3 s, and what the order is on its way.
const LONGEST_END: i64 = 7 * RATE as i64 / 2;
/// Where sound is cut, it fades for 2.5 ms.
const EDGE: i64 = 120;

#[derive(Debug)]
pub struct Gate {
    kept: Vec<f32>,
    /// Samples received so far: the place of the next one.
    head: i64,
    clock: CardClock,
    sending: Option<Sending>,
    frame: [f32; FRAME],
    skipped: u64,
}

#[derive(Debug)]
struct Sending {
    start: i64,
    /// The next frame.
    next: i64,
    end: Option<i64>,
    /// How long after it was received a frame's beginning goes out.
    lag: i64,
}

/// What a call of [`Gate::poll`] brings.
#[derive(Debug, PartialEq)]
pub enum Step<'a> {
    Frame(Frame<'a>),
    /// Nothing until the next period.
    Nothing,
    /// All of the transmission is out; said once.
    Done,
}

#[derive(Debug, PartialEq)]
pub struct Frame<'a> {
    /// RTP time, 48 kHz.
    pub time: u32,
    /// The first of a transmission: the marker is due.
    pub first: bool,
    /// RFC 6464.
    pub level: i8,
    pub samples: &'a [f32; FRAME],
}

impl Gate {
    #[expect(
        clippy::new_without_default,
        reason = "it is made once a radio: there is most of a megabyte in it"
    )]
    pub fn new() -> Self {
        Gate {
            kept: vec![0.0; KEPT],
            head: 0,
            clock: CardClock::default(),
            sending: None,
            frame: [0.0; FRAME],
            skipped: 0,
        }
    }

    /// Takes what was received; `at` is when it was whole, or later.
    pub fn push(&mut self, period: &[f32; PERIOD], at: Instant) {
        let place = self.head as usize % KEPT;
        self.kept[place..place + PERIOD].copy_from_slice(period);
        self.head += PERIOD as i64;
        self.clock.tell(self.head, at);
    }

    /// Sends what was received from this moment of the past on, in place of what is being sent.
    pub fn begin(&mut self, from: Instant, delayed: bool) {
        let oldest = (self.head - KEPT as i64).max(0);
        let start = self.clock.sample_at(from).clamp(oldest, self.head);
        self.sending = Some(Sending {
            start,
            next: start,
            end: None,
            lag: if delayed { self.head - start } else { 0 },
        });
    }

    /// Sends nothing that was received after this moment.
    pub fn end(&mut self, until: Instant) {
        let until = self.clock.sample_at(until);
        if let Some(sending) = &mut self.sending {
            sending
                .end
                .get_or_insert(until.min(self.head + LONGEST_END));
        }
    }

    /// Sends no more, and has nothing to say about it: the card is gone, the floor is.
    pub fn stop(&mut self) {
        self.sending = None;
    }

    pub fn is_sending(&self) -> bool {
        self.sending.is_some()
    }

    /// Frames that were not fetched before new sound took their place.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// To be called after each period until there is nothing.
    pub fn poll(&mut self) -> Step<'_> {
        let Some(sending) = &mut self.sending else {
            return Step::Nothing;
        };
        if sending.end.is_some_and(|end| sending.next >= end) {
            self.sending = None;
            return Step::Done;
        }
        while sending.next + (KEPT as i64) < self.head {
            sending.next += FRAME as i64;
            self.skipped += 1;
        }
        let at = sending.next;
        if self.head < at + sending.lag.max(FRAME as i64) {
            return Step::Nothing;
        }
        for (n, sample) in self.frame.iter_mut().enumerate() {
            let place = at + n as i64;
            let after_start = place - sending.start;
            let to_end = sending.end.map_or(EDGE, |end| end - place);
            let edge = after_start.min(to_end).clamp(0, EDGE);
            *sample = self.kept[place as usize % KEPT] * edge as f32 / EDGE as f32;
        }
        sending.next += FRAME as i64;
        Step::Frame(Frame {
            time: at as u32,
            first: at == sending.start,
            level: packet_level(&self.frame),
            samples: &self.frame,
        })
    }
}

/// When which sample was received. A thread is late now and then and never early, so the earliest count.
#[derive(Debug, Default)]
struct CardClock {
    /// The first moment told, from which all others are counted.
    start: Option<Instant>,
    /// When sample 0 was received, in samples since `start`; follows a card that is slower than our clock.
    origin: f64,
    counted: i64,
    /// How long it has been late without a break, and how late at least: samples were lost.
    late_for: u32,
    late_by: f64,
}

/// A card's clock is not further off than 1000 ppm: so much a period, in samples.
const SLOWEST: f64 = PERIOD as f64 / 1000.0;
/// Later than this for half a second: samples were lost. Later than a second: at once.
const LATE: f64 = 960.0;
const LATE_PERIODS: u32 = 50;
const VERY_LATE: f64 = 48_000.0;

impl CardClock {
    fn tell(&mut self, counted: i64, at: Instant) {
        let start = *self.start.get_or_insert(at);
        let origin = samples_between(start, at) - counted as f64;
        let late = origin - self.origin;
        let first = self.counted == 0;
        self.counted = counted;
        if late <= LATE || first {
            self.late_for = 0;
            self.origin = if first {
                origin
            } else {
                origin.min(self.origin + SLOWEST)
            };
            return;
        }
        self.late_by = if self.late_for == 0 {
            late
        } else {
            self.late_by.min(late)
        };
        self.late_for += 1;
        if self.late_for >= LATE_PERIODS || late > VERY_LATE {
            self.origin += self.late_by;
            self.late_for = 0;
        }
    }

    fn sample_at(&self, at: Instant) -> i64 {
        let start = self.start.unwrap_or(at);
        (samples_between(start, at) - self.origin).round() as i64
    }
}

fn samples_between(start: Instant, at: Instant) -> f64 {
    match at.checked_duration_since(start) {
        Some(after) => after.as_secs_f64() * f64::from(RATE),
        None => -start.duration_since(at).as_secs_f64() * f64::from(RATE),
    }
}
