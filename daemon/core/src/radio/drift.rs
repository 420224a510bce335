//! Two clocks, a talker's and a card's, and one stream of samples between them: it is stretched or pressed by up to
//! 1000 ppm, as much as keeps the buffer as deep as it should be.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Adjustable, Async, FixedAsync, PolynomialDegree, Resampler};

use super::PERIOD;

/// As far as it goes: 1.7 hundredths of a semitone.
const REACH: f64 = 1000e-6;
/// The loop: critically damped, 20 s. 10 ms too deep are worth all of the reach.
const PROPORTIONAL: f64 = 0.1;
const INTEGRAL: f64 = 0.0025;
/// Depth is looked at through a low pass of 2 s: threads and networks are late by chance.
const SMOOTHING: f64 = 0.01 / 2.0;
/// Seconds. What is further off is no drift, and teaches nothing about clocks.
const FAR: f64 = 0.010;

pub struct Drift {
    resampler: Async<f32>,
    excess: f64,
    integral: f64,
    rate: f64,
}

impl std::fmt::Debug for Drift {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Drift")
            .field("ppm", &self.ppm())
            .finish_non_exhaustive()
    }
}

impl Drift {
    #[expect(
        clippy::new_without_default,
        reason = "a resampler is made, not a value of nothing"
    )]
    pub fn new() -> Self {
        let degree = PolynomialDegree::Cubic;
        let resampler = Async::new_poly(
            1.0,
            1.0 + 2.0 * REACH,
            degree,
            PERIOD,
            1,
            FixedAsync::Output,
        )
        .expect("the arguments are constants that it takes");
        let mut drift = Drift {
            resampler,
            excess: 0.0,
            integral: 0.0,
            rate: 0.0,
        };
        // It looks a few samples ahead: fed with silence once, it takes as much as it gives from then on.
        drift.process(&vec![0.0; drift.needed()], &mut [0.0; PERIOD]);
        drift
    }

    /// What the talker's clock is ahead of the card's, as far as that is known, and what it takes to get to the
    /// wanted depth.
    pub fn ppm(&self) -> f32 {
        (self.rate * 1e6) as f32
    }

    /// The buffer is another one; the card's clock is what it was.
    pub fn another_talker(&mut self) {
        self.excess = 0.0;
    }

    /// Told once a period how much too deep the buffer is, in seconds.
    pub fn steer(&mut self, excess: f64) {
        self.excess += (excess - self.excess) * SMOOTHING;
        let near = self.excess.clamp(-FAR, FAR);
        if self.excess == near {
            self.integral = (self.integral + INTEGRAL * 0.01 * near).clamp(-REACH, REACH);
        }
        self.rate = (PROPORTIONAL * near + self.integral).clamp(-REACH, REACH);
        // Cannot fail: the rate is within the reach.
        let _ = self
            .resampler
            .set_resample_ratio_relative(1.0 / (1.0 + self.rate), true);
    }

    /// By how much the buffer is too deep, chance left out.
    pub fn excess(&self) -> f64 {
        self.excess
    }

    /// The buffer was made so much deeper, by other means.
    pub fn deepened(&mut self, by: f64) {
        self.excess += by;
    }

    /// How many samples the next period takes.
    pub fn needed(&self) -> usize {
        self.resampler.input_frames_next()
    }

    /// Makes a period of them; `samples` has at least what is needed.
    pub fn process(&mut self, samples: &[f32], period: &mut [f32; PERIOD]) {
        let from = InterleavedSlice::new(samples, 1, samples.len());
        let to = InterleavedSlice::new_mut(&mut period[..], 1, PERIOD);
        let made = match (from, to) {
            (Ok(from), Ok(mut to)) => self
                .resampler
                .process_into_buffer(&from, &mut to, None)
                .is_ok(),
            _ => false,
        };
        if !made {
            period.fill(0.0);
        }
    }
}
