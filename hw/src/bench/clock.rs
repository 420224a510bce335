//! A sound card's clock: a tick each period, as many parts per million too fast as it is told.

use std::time::{Duration, Instant};

use crate::{PERIOD, RATE};

pub struct Clock {
    since: Instant,
    ticks: u64,
    ppm: f64,
}

impl Clock {
    pub fn new(now: Instant) -> Clock {
        Clock {
            since: now,
            ticks: 0,
            ppm: 0.0,
        }
    }

    /// The moment of the last tick.
    pub fn last(&self) -> Instant {
        self.at(self.ticks)
    }

    pub fn next(&self) -> Instant {
        self.at(self.ticks + 1)
    }

    pub fn tick(&mut self) {
        self.ticks += 1;
    }

    pub fn set_ppm(&mut self, ppm: f64) {
        *self = Clock {
            since: self.last(),
            ticks: 0,
            ppm,
        };
    }

    /// The machine was too busy to run the card: nobody heard that time.
    pub fn skip(&mut self, late: Duration) {
        self.since += late;
    }

    /// How long one sample takes.
    pub fn sample(&self) -> f64 {
        1.0 / (f64::from(RATE) * (1.0 + self.ppm * 1e-6))
    }

    fn at(&self, tick: u64) -> Instant {
        self.since + Duration::from_secs_f64(tick as f64 * PERIOD as f64 * self.sample())
    }
}
