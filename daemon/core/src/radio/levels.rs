//! How loud it is. dBFS as in AES17: a full-scale sine reads 0, its peak as well as its mean, so that the test
//! tone at -10 dBFS reads -10 everywhere.

/// Nothing reads lower.
pub const SILENCE: f32 = -100.0;

/// A sine of this amplitude is this loud, and the way back.
pub fn amplitude(dbfs: f32) -> f32 {
    10f32.powf(dbfs / 20.0)
}

pub fn dbfs(amplitude: f32) -> f32 {
    (20.0 * amplitude.max(1e-10).log10()).max(SILENCE)
}

fn mean_square(samples: &[f32]) -> f32 {
    let sum: f32 = samples.iter().map(|sample| sample * sample).sum();
    sum / samples.len().max(1) as f32
}

/// Mean loudness, dBFS.
pub fn loudness(samples: &[f32]) -> f32 {
    dbfs((2.0 * mean_square(samples)).sqrt())
}

/// What a packet says of its loudness: dBov, -127 to 0 (RFC 6464 appendix A: a full-scale sine is -3).
pub fn packet_level(samples: &[f32]) -> i8 {
    let dbov = 20.0 * mean_square(samples).sqrt().max(1e-10).log10();
    dbov.round().clamp(-127.0, 0.0) as i8
}

/// The needle a technician looks at: mean over about a third of a second, a peak that falls slowly, and how
/// often it hit the end of the scale.
#[derive(Debug, Default)]
pub struct Meter {
    mean_square: f32,
    peak: f32,
    clips: u64,
    clipped: bool,
}

/// A sound card's largest sample is a little below 1.
const FULL_SCALE: f32 = 0.9999;
/// Of each period of 10 ms, in the mean: a third of a second.
const SHARE: f32 = 0.03;
/// The peak falls by 20 dB a second.
const FALL: f32 = 0.977_237;

impl Meter {
    /// Takes the next period.
    pub fn feed(&mut self, samples: &[f32]) {
        self.mean_square += (mean_square(samples) - self.mean_square) * SHARE;
        let highest = samples.iter().fold(0f32, |peak, s| peak.max(s.abs()));
        self.peak = highest.max(self.peak * FALL);
    }

    /// Looks for clips in the next period; another place in the chain than what is fed, maybe.
    pub fn count_clips(&mut self, samples: &[f32]) {
        for sample in samples {
            let clipped = sample.abs() >= FULL_SCALE;
            self.clips += u64::from(clipped && !self.clipped);
            self.clipped = clipped;
        }
    }

    /// Mean, dBFS.
    pub fn mean(&self) -> f32 {
        dbfs((2.0 * self.mean_square).sqrt())
    }

    /// Highest of late, dBFS.
    pub fn peak(&self) -> f32 {
        dbfs(self.peak)
    }

    /// How often the end of the scale was reached, each run of such samples counted once.
    pub fn clips(&self) -> u64 {
        self.clips
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::radio::signals::{SquareWave, sine};

    #[test]
    fn a_sine_reads_its_amplitude_in_dbfs() {
        for level in [-60.0, -40.0, -20.0, -10.0, -6.0, -1.0] {
            for hz in [300.0, 1000.0, 3000.0] {
                let mut meter = Meter::default();
                for period in sine(hz, level, 48_000 * 2).chunks(480) {
                    meter.count_clips(period);
                    meter.feed(period);
                }
                let (mean, peak) = (meter.mean(), meter.peak());
                assert!((mean - level).abs() < 0.5, "{hz} Hz {level}: {mean}");
                assert!((peak - level).abs() < 0.5, "{hz} Hz {level}: {peak}");
                assert_eq!(meter.clips(), 0);
            }
        }
    }

    #[test]
    fn silence_reads_minus_100() {
        let mut meter = Meter::default();
        meter.feed(&[0.0; 480]);
        assert_eq!((meter.mean(), meter.peak()), (SILENCE, SILENCE));
    }

    #[test]
    fn the_peak_falls_by_20_db_a_second() {
        let mut meter = Meter::default();
        meter.feed(&sine(1000.0, 0.0, 480));
        for _ in 0..100 {
            meter.feed(&[0.0; 480]);
        }
        assert!((meter.peak() - -20.0).abs() < 0.5, "{}", meter.peak());
    }

    #[test]
    fn each_run_at_the_end_of_the_scale_is_one_clip() {
        let mut meter = Meter::default();
        // A run over the edge of two periods is one.
        let mut samples = [0.0; 960];
        samples[100] = 1.0;
        samples[200..210].fill(-1.0);
        samples[470..490].fill(1.2);
        samples
            .chunks(480)
            .for_each(|period| meter.count_clips(period));
        assert_eq!(meter.clips(), 3);
        let wave: Vec<f32> = SquareWave::new(100.0, 1.0).take(48_000).collect();
        let mut meter = Meter::default();
        wave.chunks(480)
            .for_each(|period| meter.count_clips(period));
        assert_eq!(meter.clips(), 1, "it never leaves the end of the scale");
    }

    #[test]
    fn a_packet_says_its_level_as_rfc_6464_wants_it() {
        let cases = [
            (sine(1000.0, 0.0, 960), -3),
            (sine(1000.0, -20.0, 960), -23),
            (sine(1000.0, -97.0, 960), -100),
            (vec![0.0; 960], -127),
            (vec![1.0; 960], 0),
            (vec![4.0; 960], 0),
            (vec![], -127),
        ];
        for (samples, level) in cases {
            assert_eq!(packet_level(&samples), level);
        }
    }
}
