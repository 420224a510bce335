//! What a radio's sound goes through: the voice band, and the emphasis of frequency modulation.

use std::f64::consts::{FRAC_1_SQRT_2, TAU};

const RATE: f64 = 48_000.0;

/// One section of second order, in the transposed direct form II.
#[derive(Clone, Debug, Default)]
struct Biquad {
    b: [f32; 3],
    a: [f32; 2],
    state: [f32; 2],
}

impl Biquad {
    /// A section of a Butterworth high or low pass (RBJ's cookbook).
    fn pass(high: bool, hz: f64, q: f64) -> Self {
        let w = TAU * hz / RATE;
        let (sin, cos) = w.sin_cos();
        let alpha = sin / (2.0 * q);
        let edge = if high { 1.0 + cos } else { 1.0 - cos };
        let middle = if high { -edge } else { edge };
        Self::scaled(
            [edge / 2.0, middle, edge / 2.0],
            [1.0 + alpha, -2.0 * cos, 1.0 - alpha],
        )
    }

    fn scaled(b: [f64; 3], a: [f64; 3]) -> Self {
        Biquad {
            b: b.map(|b| (b / a[0]) as f32),
            a: [(a[1] / a[0]) as f32, (a[2] / a[0]) as f32],
            state: [0.0; 2],
        }
    }

    fn process(&mut self, samples: &mut [f32]) {
        let [b0, b1, b2] = self.b;
        let [a1, a2] = self.a;
        let [mut s1, mut s2] = self.state;
        for sample in samples {
            let x = *sample;
            let y = b0 * x + s1;
            s1 = b1 * x - a1 * y + s2;
            s2 = b2 * x - a2 * y;
            *sample = y;
        }
        // What fades away for ever is slow to calculate with.
        let audible = |s: f32| if s.abs() < 1e-15 { 0.0 } else { s };
        self.state = [audible(s1), audible(s2)];
    }
}

/// 300 to 3000 Hz, -3 dB there, 24 dB an octave: what a voice needs and a radio's channel has. What lies
/// below belongs to CTCSS.
#[derive(Clone, Debug)]
pub struct VoiceBand([Biquad; 4]);

/// The two sections of a Butterworth filter of fourth order.
const FOURTH: [f64; 2] = [0.541_196_1, 1.306_563];

impl VoiceBand {
    #[expect(
        clippy::new_without_default,
        reason = "a filter is made, not a value of nothing"
    )]
    pub fn new() -> Self {
        let [wide, narrow] = FOURTH;
        VoiceBand([
            Biquad::pass(true, 300.0, wide),
            Biquad::pass(true, 300.0, narrow),
            Biquad::pass(false, 3000.0, wide),
            Biquad::pass(false, 3000.0, narrow),
        ])
    }

    pub fn process(&mut self, samples: &mut [f32]) {
        self.0
            .iter_mut()
            .for_each(|section| section.process(samples));
    }
}

/// 6 dB an octave from 300 to 3000 Hz, 0 dB at 1 kHz, within 1 dB; flat far outside, so that neither hum nor
/// hiss is made endless.
#[derive(Clone, Debug)]
pub struct Emphasis(Biquad);

/// Where the slope begins and ends.
const SLOPE: [f64; 2] = [100.0, 10_000.0];

impl Emphasis {
    /// Before the modulator: a slope upwards.
    pub fn pre() -> Self {
        let [from, to] = SLOPE.map(Self::root);
        Self::slope(from, to)
    }

    /// After the discriminator: the inverse.
    pub fn de() -> Self {
        let [from, to] = SLOPE.map(Self::root);
        Self::slope(to, from)
    }

    fn root(hz: f64) -> f64 {
        let w = (TAU * hz / RATE / 2.0).tan();
        (w - 1.0) / (w + 1.0)
    }

    /// `(1 + zero/z) / (1 + pole/z)`, scaled to 0 dB at 1 kHz.
    fn slope(zero: f64, pole: f64) -> Self {
        let (sin, cos) = (TAU * 1000.0 / RATE).sin_cos();
        let size = |root: f64| (1.0 + root * cos).hypot(root * sin);
        let gain = size(pole) / size(zero);
        Emphasis(Biquad::scaled([gain, gain * zero, 0.0], [1.0, pole, 0.0]))
    }

    pub fn process(&mut self, samples: &mut [f32]) {
        self.0.process(samples);
    }
}

/// Takes away a sound card's offset, which would read as loudness and click at each cut.
#[derive(Clone, Debug)]
pub struct OffsetFilter(Biquad);

impl OffsetFilter {
    #[expect(
        clippy::new_without_default,
        reason = "a filter is made, not a value of nothing"
    )]
    pub fn new() -> Self {
        OffsetFilter(Biquad::pass(true, 20.0, FRAC_1_SQRT_2))
    }

    pub fn process(&mut self, samples: &mut [f32]) {
        self.0.process(samples);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::radio::levels::loudness;
    use crate::radio::signals::{Noise, sine};

    /// How loud a sine of -20 dBFS comes out, over what went in, dB.
    fn response(hz: f64, mut filter: impl FnMut(&mut [f32])) -> f32 {
        let mut sound = sine(hz, -20.0, 96_000);
        sound.chunks_mut(480).for_each(&mut filter);
        loudness(&sound[48_000..]) + 20.0
    }

    fn check(table: &[(f64, f32, f32)], filter: impl Fn() -> Box<dyn FnMut(&mut [f32])>) {
        for &(hz, lowest, highest) in table {
            let gain = response(hz, filter());
            assert!((lowest..=highest).contains(&gain), "{hz} Hz: {gain} dB");
        }
    }

    #[test]
    fn the_voice_band_is_300_to_3000_hz() {
        let table = [
            (50.0, -80.0, -55.0),
            (100.0, -80.0, -35.0),
            (150.0, -30.0, -22.0),
            (300.0, -3.5, -2.5),
            (400.0, -1.0, 0.1),
            (500.0, -0.5, 0.1),
            (1000.0, -0.2, 0.2),
            (2000.0, -0.5, 0.1),
            (3000.0, -3.5, -2.5),
            (6000.0, -30.0, -22.0),
            (12_000.0, -80.0, -45.0),
        ];
        check(&table, || {
            let mut band = VoiceBand::new();
            Box::new(move |period| band.process(period))
        });
    }

    #[test]
    fn emphasis_is_6_db_an_octave_between_300_and_3000_hz() {
        for hz in [300.0, 500.0, 1000.0, 1500.0, 2000.0, 3000.0] {
            let ideal = 20.0 * (hz / 1000.0f64).log10() as f32;
            let (mut pre, mut de) = (Emphasis::pre(), Emphasis::de());
            let up = response(hz, |period| pre.process(period));
            let down = response(hz, |period| de.process(period));
            assert!((up - ideal).abs() < 1.0, "{hz} Hz: {up} for {ideal} dB");
            assert!(
                (down + ideal).abs() < 1.0,
                "{hz} Hz: {down} for {} dB",
                -ideal
            );
        }
    }

    #[test]
    fn de_emphasis_undoes_pre_emphasis() {
        let mut noise = Noise(3);
        let sound: Vec<f32> = (0..9_600).map(|_| noise.next() * 0.1).collect();
        let mut heard = sound.clone();
        let (mut pre, mut de) = (Emphasis::pre(), Emphasis::de());
        for period in heard.chunks_mut(480) {
            pre.process(period);
            de.process(period);
        }
        let worst = sound.iter().zip(&heard).map(|(a, b)| (a - b).abs());
        assert!(worst.fold(0.0, f32::max) < 1e-4);
    }

    #[test]
    fn an_offset_is_taken_away_and_speech_is_not() {
        let mut filter = OffsetFilter::new();
        let mut sound = vec![0.3; 96_000];
        sound
            .chunks_mut(480)
            .for_each(|period| filter.process(period));
        assert!(loudness(&sound[48_000..]) < -60.0);
        check(
            &[(100.0, -0.2, 0.1), (300.0, -0.1, 0.1), (3000.0, -0.1, 0.1)],
            || {
                let mut filter = OffsetFilter::new();
                Box::new(move |period| filter.process(period))
            },
        );
    }

    #[test]
    fn silence_after_speech_is_silence() {
        let mut band = VoiceBand::new();
        let mut sound = sine(400.0, 0.0, 48_000);
        sound.resize(480_000, 0.0);
        sound
            .chunks_mut(480)
            .for_each(|period| band.process(period));
        assert!(sound[400_000..].iter().all(|sample| *sample == 0.0));
    }
}
