//! Sound of the box's own: what tells a talker that the floor is theirs, a listener that it is free, a
//! technician how loud 1 kHz is, and everybody whose station this is.

use std::f32::consts::{PI, TAU};
use std::sync::Arc;
use std::time::Duration;

use super::levels::amplitude;
use super::morse::{self, UnknownCharacter};

const RATE: f32 = 48_000.0;
/// Each note swells and fades for 5 ms, so that it does not click.
const EDGE: usize = 240;
/// How loud the box's own sounds are; the test tone has its own.
const LOUDNESS: f32 = -12.0;

/// One of the box's own sounds, played from its beginning to its end, and added to what is there.
#[derive(Clone, Debug)]
pub struct OwnSound {
    score: Score,
    /// The note, and the sample within it.
    note: usize,
    sample: usize,
    /// Samples until it is faded out, once it was stopped.
    fading: Option<usize>,
}

#[derive(Clone, Debug)]
enum Score {
    Notes(Vec<Note>),
    Recorded(Arc<[f32]>),
}

#[derive(Clone, Copy, Debug)]
struct Note {
    /// 0: a pause.
    hz: f32,
    amplitude: f32,
    samples: usize,
}

fn samples(length: Duration) -> usize {
    (length.as_secs_f64() * f64::from(RATE)).round() as usize
}

fn note(hz: f32, ms: u64) -> Note {
    Note {
        hz,
        amplitude: amplitude(LOUDNESS),
        samples: samples(Duration::from_millis(ms)),
    }
}

impl OwnSound {
    fn notes(notes: Vec<Note>) -> Self {
        Self::of(Score::Notes(notes))
    }

    fn of(score: Score) -> Self {
        OwnSound {
            score,
            note: 0,
            sample: 0,
            fading: None,
        }
    }

    /// You may speak: two short ones, 75 ms in all.
    pub fn permit() -> Self {
        Self::notes(vec![note(910.0, 25), note(0.0, 25), note(910.0, 25)])
    }

    /// You may not: a low one.
    pub fn deny() -> Self {
        Self::notes(vec![note(330.0, 300)])
    }

    /// A transmission is over.
    pub fn courtesy() -> Self {
        Self::notes(vec![note(880.0, 150)])
    }

    /// Your time is nearly over, mixed into what is said.
    pub fn pre_alert() -> Self {
        Self::notes(vec![note(1400.0, 60), note(0.0, 60), note(1400.0, 60)])
    }

    /// 1 kHz at -10 dBFS.
    pub fn test(length: Duration) -> Self {
        Self::notes(vec![Note {
            hz: 1000.0,
            amplitude: amplitude(-10.0),
            samples: samples(length),
        }])
    }

    /// Morse code at 20 words a minute, 800 Hz.
    pub fn morse(text: &str) -> Result<Self, UnknownCharacter> {
        Self::morse_at(text, 20)
    }

    /// Morse code at so many words a minute, 5 to 60.
    pub fn morse_at(text: &str, words_a_minute: u32) -> Result<Self, UnknownCharacter> {
        // PARIS and the pause after it are 50 units.
        let unit = Duration::from_millis(1200) / words_a_minute.clamp(5, 60);
        let units = morse::units(text)?.into_iter().map(|(mark, units)| Note {
            hz: if mark { 800.0 } else { 0.0 },
            samples: samples(unit * units),
            ..note(0.0, 0)
        });
        Ok(Self::notes(units.collect()))
    }

    /// What a file holds, 48 kHz mono.
    pub fn recorded(samples: Arc<[f32]>) -> Self {
        Self::of(Score::Recorded(samples))
    }

    /// How long it is in all.
    pub fn length(&self) -> Duration {
        let samples = match &self.score {
            Score::Notes(notes) => notes.iter().map(|note| note.samples).sum(),
            Score::Recorded(samples) => samples.len(),
        };
        Duration::from_secs_f64(samples as f64 / f64::from(RATE))
    }

    /// Adds the next of it. False: there was nothing left.
    pub fn mix_into(&mut self, out: &mut [f32]) -> bool {
        let mut any = false;
        for sample in out {
            let Some(next) = self.next_sample() else {
                return any;
            };
            *sample += next;
            any = true;
        }
        any
    }

    /// Fades it out within 5 ms.
    pub fn stop(&mut self) {
        self.fading.get_or_insert(EDGE);
    }

    fn next_sample(&mut self) -> Option<f32> {
        let fade = match &mut self.fading {
            None => 1.0,
            Some(0) => return None,
            Some(left) => {
                *left -= 1;
                *left as f32 / EDGE as f32
            }
        };
        let at = self.sample;
        self.sample += 1;
        match &self.score {
            Score::Recorded(samples) => samples.get(at).map(|sample| fade * sample),
            Score::Notes(notes) => {
                let mut note = notes.get(self.note)?;
                if at >= note.samples {
                    self.note += 1;
                    self.sample = 1;
                    note = notes.get(self.note)?;
                }
                Some(fade * note.at(self.sample - 1))
            }
        }
    }
}

impl Note {
    fn at(&self, sample: usize) -> f32 {
        if self.hz == 0.0 {
            return 0.0;
        }
        let to_the_edge = sample.min(self.samples - 1 - sample);
        let swell = match to_the_edge < EDGE {
            true => 0.5 - 0.5 * (PI * to_the_edge as f32 / EDGE as f32).cos(),
            false => 1.0,
        };
        // Whole turns are left out: a float holds no 5 s of them to the needed accuracy.
        let turns = f64::from(self.hz) * sample as f64 / f64::from(RATE);
        self.amplitude * swell * (TAU * turns.fract() as f32).sin()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::radio::levels::{dbfs, loudness};
    use crate::radio::signals::worst_click;

    fn whole(mut sound: OwnSound) -> Vec<f32> {
        let mut all = Vec::new();
        loop {
            let mut period = [0.0; 480];
            if !sound.mix_into(&mut period) {
                return all;
            }
            all.extend(period);
        }
    }

    fn morse(text: &str, words_a_minute: u32) -> OwnSound {
        OwnSound::morse_at(text, words_a_minute).expect("characters of the code")
    }

    #[test]
    fn each_is_as_long_as_it_says_and_does_not_click() {
        let table = [
            (OwnSound::permit(), 910.0, 75),
            (OwnSound::deny(), 330.0, 300),
            (OwnSound::courtesy(), 880.0, 150),
            (OwnSound::pre_alert(), 1400.0, 180),
            (OwnSound::test(Duration::from_secs(5)), 1000.0, 5000),
            (morse("E", 20), 800.0, 60),
        ];
        for (sound, hz, ms) in table {
            assert_eq!(sound.length(), Duration::from_millis(ms));
            let samples = whole(sound);
            assert_eq!(samples.len(), (ms as usize * 48).next_multiple_of(480));
            let click = dbfs(worst_click(&samples, hz));
            assert!(click < -40.0, "{hz} Hz: {click} dBFS");
        }
    }

    #[test]
    fn the_test_tone_is_1_khz_at_minus_10_dbfs() {
        let tone = whole(OwnSound::test(Duration::from_secs(1)));
        let inner = &tone[480..47_520];
        assert!((loudness(inner) - -10.0).abs() < 0.05);
        let crossings = inner.windows(2).filter(|s| s[0] < 0.0 && s[1] >= 0.0);
        assert!((crossings.count() as i32 - 980).abs() <= 1);
    }

    #[test]
    fn it_is_added_to_what_is_there() {
        let mut period = [0.25; 480];
        assert!(OwnSound::courtesy().mix_into(&mut period));
        assert_eq!(period[0], 0.25);
        assert!(period[480 - 100..].iter().any(|sample| *sample > 0.3));
    }

    #[test]
    fn a_stopped_one_fades_within_5_ms() {
        let mut tone = OwnSound::test(Duration::from_secs(5));
        let mut sound = vec![0.0; 4800];
        assert!(tone.mix_into(&mut sound[..2437]));
        tone.stop();
        assert!(tone.mix_into(&mut sound[2437..]));
        assert!(!tone.mix_into(&mut [0.0; 480]));
        assert!(sound[2437 + EDGE..].iter().all(|sample| *sample == 0.0));
        let click = dbfs(worst_click(&sound, 1000.0));
        assert!(click < -40.0, "{click}");
    }

    #[test]
    fn a_recording_is_played_as_it_is() {
        let samples: Arc<[f32]> = (0..1000).map(|n| n as f32 / 1000.0).collect();
        let heard = whole(OwnSound::recorded(samples.clone()));
        assert_eq!(heard[..1000], samples[..]);
        assert_eq!(heard.len(), 1440);
    }

    #[test]
    fn paris_at_20_words_a_minute_is_three_seconds_less_the_last_pause() {
        let sound = morse("PARIS", 20);
        assert_eq!(sound.length(), Duration::from_millis(3000 - 7 * 60));
        let twelve = morse("PARIS", 12);
        assert_eq!(twelve.length(), Duration::from_millis(5000 - 7 * 100));
    }

    #[test]
    fn a_dash_is_three_dots_long() {
        let sound = whole(morse("A", 20));
        let unit = 2_880;
        let loud = |units: std::ops::Range<usize>| {
            loudness(&sound[units.start * unit + EDGE..units.end * unit - EDGE]) > -20.0
        };
        assert!(loud(0..1) && !loud(1..2) && loud(2..5));
    }
}
