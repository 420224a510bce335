//! Signals that the tests of sound are made of.

use std::f64::consts::TAU;

use super::levels::amplitude;

pub(super) fn sine(hz: f64, dbfs: f32, samples: usize) -> Vec<f32> {
    let amplitude = amplitude(dbfs);
    let step = TAU * hz / 48_000.0;
    let at = |n: usize| amplitude * (step * n as f64).sin() as f32;
    (0..samples).map(at).collect()
}

pub(super) struct SquareWave {
    half: f64,
    amplitude: f32,
    n: u64,
}

impl SquareWave {
    pub fn new(hz: f64, amplitude: f32) -> Self {
        let half = 24_000.0 / hz;
        SquareWave {
            half,
            amplitude,
            n: 0,
        }
    }
}

impl Iterator for SquareWave {
    type Item = f32;

    fn next(&mut self) -> Option<f32> {
        let high = ((self.n as f64 / self.half) as u64).is_multiple_of(2);
        self.n += 1;
        Some(if high {
            self.amplitude
        } else {
            -self.amplitude
        })
    }
}

/// The loudest that cannot be a part of a sine of this frequency, which rates of up to 1000 ppm change by
/// nothing to speak of: what a click is.
pub(super) fn worst_click(samples: &[f32], hz: f64) -> f32 {
    let turn = 2.0 * (TAU * hz / 48_000.0).cos() as f32;
    let mut worst = 0f32;
    let (mut before, mut last) = (samples[0], samples[1]);
    for &sample in &samples[2..] {
        worst = worst.max((sample - turn * last + before).abs());
        (before, last) = (last, sample);
    }
    worst
}

/// Noise that is the same each time.
pub(super) struct Noise(pub u64);

impl Noise {
    /// -1 to 1.
    pub fn next(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    }
}
