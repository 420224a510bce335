//! Someone speaks, heard from the sound alone. A level, as a wire's: how long it stays up afterwards is the
//! squelch's business, and the words before it was sure are the gate's.

use std::time::Duration;

use super::levels::loudness;

#[derive(Clone, Debug)]
pub struct Vox {
    threshold: f32,
    /// Loud periods of 10 ms it takes.
    attack: u32,
    /// Loud ones, less those of a pause between.
    loud: u32,
}

impl Vox {
    /// `threshold` in dBFS, -60 to 0; `attack` 5 to 500 ms, in whole periods.
    pub fn new(threshold: f32, attack: Duration) -> Self {
        Vox {
            threshold,
            attack: attack.as_millis().div_ceil(10).clamp(1, 50) as u32,
            loud: 0,
        }
    }

    /// Takes the next period of 10 ms, and says whether someone speaks.
    pub fn hears(&mut self, period: &[f32]) -> bool {
        let loud = loudness(period) >= self.threshold;
        // A voice is not loud in each 10 ms: a weak one takes back one strong one, not all.
        self.loud = match loud {
            true => (self.loud + 1).min(self.attack),
            false => self.loud.saturating_sub(1),
        };
        loud && self.loud == self.attack
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::radio::signals::sine;

    /// What is heard of periods that are loud where there is a `#`.
    fn heard(attack: u64, periods: &str) -> String {
        let (loud, quiet) = (sine(1000.0, -20.0, 480), sine(1000.0, -40.0, 480));
        let mut vox = Vox::new(-30.0, Duration::from_millis(attack));
        let hears = |c| vox.hears(if c == '#' { &loud } else { &quiet });
        periods
            .chars()
            .map(hears)
            .map(|up| if up { '#' } else { '.' })
            .collect()
    }

    #[test]
    fn it_is_up_once_it_was_loud_for_the_attack_and_down_at_once() {
        let table = [
            (10, "..#..##.", "..#..##."),
            (5, ".#.", ".#."),
            (30, ".####.", "...##."),
            (30, ".##..##.", "........"),
            // A weak period within a word.
            (30, "##.##.##", "....#.##"),
            (30, "######.#.#", "..####.#.#"),
            (500, "####################", "...................."),
        ];
        for (attack, periods, expected) in table {
            assert_eq!(heard(attack, periods), expected, "{attack} ms: {periods}");
        }
    }

    #[test]
    fn the_threshold_is_that_of_a_sine_in_dbfs() {
        for threshold in [-60.0, -30.0, -10.0, -3.0] {
            for (over, up) in [(0.5, true), (-0.5, false)] {
                let mut vox = Vox::new(threshold, Duration::from_millis(10));
                let period = sine(1000.0, threshold + over, 480);
                assert_eq!(vox.hears(&period), up, "{threshold} {over}");
            }
        }
    }
}
