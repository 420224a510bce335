//! What is counted of a talker while they have the floor: packets, losses, and how loud the speech was.

use std::sync::LazyLock;

use super::Packet;

/// How a transmission's packets arrived at the box.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    pub packets: u64,
    /// By the gaps in the talker's numbers. Opus with DTX leaves none: it sends less, not other numbers.
    pub lost: u64,
    /// Mean and highest level of the packets with speech in them, dBov (RFC 6464), where the talker's
    /// browser tells it. -127: it told of nothing but silence.
    pub level: Option<i8>,
    pub peak: Option<i8>,
}

/// A jump beyond this is a new beginning, not a loss.
const LARGEST_GAP: u64 = 50;
/// Pauses between words are not part of how loud someone speaks: a packet counts that is no further below the
/// mean than this (ITU-T P.56, the margin of active speech).
const MARGIN: f64 = 15.9;

/// Of a packet that is so many dB below full scale.
static POWER: LazyLock<[f64; 128]> =
    LazyLock::new(|| std::array::from_fn(|below| 10f64.powf(below as f64 / -10.0)));

pub(super) struct Turn {
    packets: u64,
    lost: u64,
    newest: Option<u64>,
    /// Packets by how far below full scale they are, 0 to 127 dB.
    levels: [u32; 128],
}

impl Default for Turn {
    fn default() -> Self {
        Turn {
            packets: 0,
            lost: 0,
            newest: None,
            levels: [0; 128],
        }
    }
}

impl Turn {
    pub fn note(&mut self, packet: &Packet) {
        self.packets += 1;
        match self.newest {
            // It was taken for lost when a later one came first.
            Some(newest) if packet.seq < newest => self.lost = self.lost.saturating_sub(1),
            Some(newest) => {
                let gap = packet.seq.saturating_sub(newest + 1);
                self.lost += if gap < LARGEST_GAP { gap } else { 0 };
                self.newest = Some(packet.seq);
            }
            None => self.newest = Some(packet.seq),
        }
        if let Some(level) = packet.level {
            self.levels[usize::from(level.unsigned_abs().min(127))] += 1;
        }
    }

    pub fn heard(&self) -> Heard {
        Heard {
            packets: self.packets,
            lost: self.lost,
            level: self.speech_level(),
            peak: (0..=127i8).find(|below| self.count(*below) > 0).map(|b| -b),
        }
    }

    fn count(&self, below: i8) -> u32 {
        self.levels[below.unsigned_abs() as usize]
    }

    /// The mean of as many packets as there are, the loudest first, with the quietest of them within the margin.
    fn speech_level(&self) -> Option<i8> {
        let (mut packets, mut power, mut level) = (0.0, 0.0, None);
        for quietest in 0..=127i8 {
            let count = f64::from(self.count(quietest));
            packets += count;
            power += count * POWER[quietest.unsigned_abs() as usize];
            let mean = 10.0 * (power / packets).log10();
            if packets > 0.0 && mean + f64::from(quietest) <= MARGIN {
                level = Some(mean.round() as i8);
            }
        }
        level
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(packets: impl IntoIterator<Item = (u64, Option<i8>)>) -> Heard {
        let mut turn = Turn::default();
        for (seq, level) in packets {
            turn.note(&Packet {
                seq,
                time: 0,
                marker: false,
                level,
                payload: [0u8; 3].into(),
            });
        }
        turn.heard()
    }

    #[test]
    fn what_is_lost_is_told_by_the_gaps_and_what_comes_late_is_not_lost() {
        for (seqs, lost) in [
            (vec![7, 8, 9], 0),
            (vec![7, 10], 2),
            (vec![7, 10, 8], 1),
            (vec![9, 8, 7], 0),
            (vec![7, 5_000, 5_001], 0),
        ] {
            let heard = turn(seqs.iter().map(|seq| (*seq, None)));
            assert_eq!(
                (heard.packets, heard.lost),
                (seqs.len() as u64, lost),
                "{seqs:?}"
            );
        }
    }

    #[test]
    fn the_level_is_that_of_the_words_without_the_pauses() {
        let levels = |levels: &[(i8, u64)]| {
            let each = levels
                .iter()
                .flat_map(|(level, count)| (0..*count).map(|_| *level));
            let heard = turn(each.enumerate().map(|(n, level)| (n as u64, Some(level))));
            (heard.level, heard.peak)
        };
        assert_eq!(levels(&[]), (None, None));
        assert_eq!(levels(&[(-127, 50)]), (Some(-127), Some(-127)));
        assert_eq!(levels(&[(-26, 50)]), (Some(-26), Some(-26)));
        assert_eq!(levels(&[(-26, 50), (-80, 50)]), (Some(-26), Some(-26)));
        assert_eq!(levels(&[(-20, 50), (-127, 500)]), (Some(-20), Some(-20)));
        assert_eq!(levels(&[(-20, 50), (-30, 50)]), (Some(-23), Some(-20)));
        assert_eq!(turn([(1, None)]).level, None, "the browser does not tell");
    }
}
