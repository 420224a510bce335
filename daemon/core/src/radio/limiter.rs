//! Keeps a transmitter from being overdriven: no sample leaves above the ceiling, and none is bent for it. It
//! sees 2 ms ahead and turns the gain down before what is too loud arrives.

use std::collections::VecDeque;

use super::levels::amplitude;

/// How far it sees ahead, and so how late it is: 2 ms.
pub const AHEAD: usize = 96;
/// The gain comes back by this share of what is missing, each sample: a tenth of a second.
const RELEASE: f32 = 1.0 / 4_800.0;

#[derive(Debug)]
pub struct Limiter {
    ceiling: f32,
    late: VecDeque<f32>,
    /// Gains that samples ahead call for, the lowest first, each with when it was called for.
    called: VecDeque<(u64, f32)>,
    /// What `called` allows, but slow to come back; the last `AHEAD` of it, and their sum.
    held: f32,
    recent: VecDeque<f32>,
    sum: f64,
    n: u64,
    /// Samples since anything was turned down.
    untouched: usize,
}

impl Limiter {
    pub fn new(ceiling_dbfs: f32) -> Self {
        Limiter {
            ceiling: amplitude(ceiling_dbfs),
            late: VecDeque::from([0.0; AHEAD]),
            called: VecDeque::with_capacity(AHEAD + 2),
            held: 1.0,
            recent: VecDeque::from([1.0; AHEAD]),
            sum: AHEAD as f64,
            n: 0,
            untouched: AHEAD,
        }
    }

    pub fn process(&mut self, samples: &mut [f32]) {
        for sample in samples {
            let loud = sample.abs() > self.ceiling;
            self.late.push_back(*sample);
            let old = self.late.pop_front().unwrap_or(0.0);
            if !loud && self.untouched > AHEAD && self.called.is_empty() {
                *sample = old;
                continue;
            }
            let gain = self.gain(sample.abs());
            *sample = (old * gain).clamp(-self.ceiling, self.ceiling);
        }
    }

    /// The mean of the last `AHEAD` of `held` is never more than any sample of that time called for.
    fn gain(&mut self, peak: f32) -> f32 {
        self.n += 1;
        while self
            .called
            .front()
            .is_some_and(|(at, _)| at + AHEAD as u64 <= self.n)
        {
            self.called.pop_front();
        }
        if peak > self.ceiling {
            let wanted = self.ceiling / peak;
            while self.called.back().is_some_and(|(_, gain)| *gain >= wanted) {
                self.called.pop_back();
            }
            self.called.push_back((self.n, wanted));
        }
        let allowed = self.called.front().map_or(1.0, |(_, gain)| *gain);
        self.held = (self.held + (1.0 - self.held) * RELEASE).min(allowed);
        if self.held > 0.9999 {
            self.held = 1.0;
        }
        self.recent.push_back(self.held);
        self.sum += f64::from(self.held) - f64::from(self.recent.pop_front().unwrap_or(1.0));
        self.untouched = if self.held < 1.0 {
            0
        } else {
            self.untouched + 1
        };
        (self.sum / AHEAD as f64) as f32
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::radio::levels::dbfs;
    use crate::radio::signals::{Noise, SquareWave, sine, worst_click};

    fn through(limiter: &mut Limiter, mut samples: Vec<f32>) -> Vec<f32> {
        samples
            .chunks_mut(480)
            .for_each(|period| limiter.process(period));
        samples
    }

    fn peak(samples: &[f32]) -> f32 {
        samples.iter().fold(0.0, |peak, s| peak.max(s.abs()))
    }

    #[test]
    fn what_is_below_the_ceiling_passes_untouched() {
        let sound = sine(1000.0, -6.5, 48_000);
        let heard = through(&mut Limiter::new(-6.0), sound.clone());
        assert_eq!(heard[AHEAD..], sound[..48_000 - AHEAD]);
    }

    #[test]
    fn what_is_too_loud_comes_out_at_the_ceiling_and_undistorted() {
        let mut sound = sine(1000.0, -20.0, 48_000);
        sound.extend(sine(1000.0, 0.0, 48_000));
        let heard = through(&mut Limiter::new(-6.0), sound);
        let loud = &heard[72_000..];
        assert!(
            (dbfs(peak(loud)) - -6.0).abs() < 0.5,
            "{}",
            dbfs(peak(loud))
        );
        let bend = worst_click(loud, 1000.0);
        assert!(bend < 0.002, "{bend}");
    }

    #[test]
    fn the_gain_comes_back_in_half_a_second() {
        let mut limiter = Limiter::new(-6.0);
        through(&mut limiter, sine(1000.0, 6.0, 4_800));
        let heard = through(&mut limiter, sine(1000.0, -12.0, 48_000));
        let level = dbfs(peak(&heard[30_000..]));
        assert!((level - -12.0).abs() < 0.5, "{level}");
    }

    #[test]
    fn nothing_overshoots() {
        let ceiling = amplitude(-6.0);
        let mut noise = Noise(7);
        let mut rough: Vec<f32> = (0..96_000).map(|_| noise.next() * 3.0).collect();
        rough.extend(SquareWave::new(77.0, 2.0).take(48_000));
        rough.extend([f32::MAX, 0.0, -1e9, 1e-30]);
        let heard = through(&mut Limiter::new(-6.0), rough);
        assert!(peak(&heard) <= ceiling, "{}", peak(&heard));
    }

    proptest! {
        #[test]
        fn no_sound_overshoots_and_the_mean_gain_needs_no_clamp(
            bursts in prop::collection::vec((0usize..300, 1usize..300, 0f32..4.0), 1..20)
        ) {
            let mut limiter = Limiter::new(-6.0);
            let sound: Vec<f32> = bursts
                .iter()
                .flat_map(|(quiet, long, loud)| {
                    std::iter::repeat_n(0.1, *quiet).chain(std::iter::repeat_n(*loud, *long))
                })
                .collect();
            let mut late = VecDeque::from(vec![0.0; AHEAD]);
            for sample in sound {
                late.push_back(sample);
                let old: f32 = late.pop_front().expect("it is never empty");
                let gain = limiter.gain(sample);
                prop_assert!(old * gain <= limiter.ceiling * 1.0001, "{} {}", old, gain);
            }
        }
    }
}
