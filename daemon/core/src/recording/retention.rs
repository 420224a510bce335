//! Which recordings have to go: their time is over, or the room is.

use super::Recording;
use crate::authority::{Record, Roster};
use crate::ids::{ChannelId, TransmissionId};

/// What a file takes on the disk at least, and in steps of.
const BLOCK: u64 = 4096;

/// Of a recording, what decides how long it stays.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    pub transmission: TransmissionId,
    pub channel: ChannelId,
    /// UTC milliseconds.
    pub began: u64,
    pub ended: u64,
    /// By the clock that is never set, where it has not begun anew since.
    pub ended_monotonic: Option<u64>,
    /// On the disk.
    pub bytes: u64,
}

impl Kept {
    /// On a machine that runs since `boot`.
    pub fn new(recording: &Recording, boot: &str) -> Kept {
        let after = |began: u64| began.saturating_add(recording.duration_ms);
        Kept {
            transmission: recording.transmission,
            channel: recording.channel.clone(),
            began: recording.began,
            ended: after(recording.began),
            ended_monotonic: (recording.boot == boot && !boot.is_empty())
                .then(|| after(recording.monotonic)),
            bytes: recording.bytes.max(1).next_multiple_of(BLOCK),
        }
    }
}

/// What time it is.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    pub utc_ms: u64,
    /// Since the machine was switched on.
    pub monotonic_ms: u64,
}

/// What the recordings may take.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// All of them together, in bytes.
    pub max: u64,
    /// What is to stay free on their disk, and what is.
    pub keep_free: u64,
    pub free: u64,
}

/// What has to go: what is older than its channel keeps, then the oldest of what exceeds the room.
pub fn surplus<'a>(
    oldest_first: impl Iterator<Item = &'a Kept> + Clone,
    roster: &Roster,
    clocks: Clocks,
    room: Room,
) -> Vec<&'a Kept> {
    let is_over = |r: &&Kept| clocks.age_ms(r) >= keeps_ms(&r.channel, roster);
    let mut go: Vec<&Kept> = oldest_first.clone().filter(is_over).collect();
    let freed: u64 = go.iter().map(|r| r.bytes).sum();
    let mut taken = oldest_first.clone().map(|r| r.bytes).sum::<u64>() - freed;
    let mut free = room.free.saturating_add(freed);
    for r in oldest_first.filter(|r| !is_over(r)) {
        if taken <= room.max && free >= room.keep_free {
            break;
        }
        taken -= r.bytes;
        free = free.saturating_add(r.bytes);
        go.push(r);
    }
    go
}

impl Clocks {
    /// The shorter of two: who sets the clock forward must not lose what was just said.
    fn age_ms(&self, recording: &Kept) -> u64 {
        let by_utc = self.utc_ms.saturating_sub(recording.ended);
        let ended = recording.ended_monotonic;
        let by_monotonic = ended.map(|ended| self.monotonic_ms.saturating_sub(ended));
        by_monotonic.map_or(by_utc, |age| age.min(by_utc))
    }
}

/// What was said on a channel that is gone goes, too: a new one with its id is another one.
fn keeps_ms(channel: &ChannelId, roster: &Roster) -> u64 {
    let record = roster.channels.get(channel).map(|channel| channel.record);
    match record.unwrap_or(Record::Off) {
        Record::Off => 0,
        Record::Minutes(minutes) => u64::from(minutes) * 60_000,
        Record::Days(days) => u64::from(days) * 24 * 3_600_000,
    }
}
