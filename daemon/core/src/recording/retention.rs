//! Which recordings have to go: their time is over, or the room is.

use super::Recording;
use crate::authority::{Record, Roster};
use crate::ids::{ChannelId, TransmissionId};

/// Of a recording, what decides how long it stays.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    pub transmission: TransmissionId,
    pub channel: ChannelId,
    /// UTC milliseconds.
    pub began: u64,
    pub ended: u64,
    pub bytes: u64,
    /// As its channel had it when it was made; counts where the channel is gone.
    pub keep: Record,
}

impl From<&Recording> for Kept {
    fn from(recording: &Recording) -> Kept {
        Kept {
            transmission: recording.transmission,
            channel: recording.channel.clone(),
            began: recording.began,
            ended: recording.began.saturating_add(recording.duration_ms),
            bytes: recording.bytes,
            keep: recording.keep,
        }
    }
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

/// What has to go, oldest first: what is older than its channel keeps, then whatever exceeds the room. A channel that
/// is gone keeps what it had as long as it was told to when that was said.
pub fn surplus(
    recordings: &[Kept],
    roster: &Roster,
    utc_ms: u64,
    room: Room,
) -> Vec<TransmissionId> {
    let mut oldest_first: Vec<&Kept> = recordings.iter().collect();
    oldest_first.sort_by_key(|r| (r.began, r.transmission));
    let mut taken: u64 = oldest_first.iter().map(|r| r.bytes).sum();
    let mut free = room.free;
    let mut go = Vec::new();
    let mut drop = |r: &Kept, taken: &mut u64, free: &mut u64| {
        *taken -= r.bytes;
        *free = free.saturating_add(r.bytes);
        go.push(r.transmission);
    };
    oldest_first.retain(|r| {
        let stays = utc_ms < kept_until(r, roster);
        if !stays {
            drop(r, &mut taken, &mut free);
        }
        stays
    });
    for r in oldest_first {
        if taken <= room.max && free >= room.keep_free {
            break;
        }
        drop(r, &mut taken, &mut free);
    }
    go
}

fn kept_until(recording: &Kept, roster: &Roster) -> u64 {
    let channel = roster.channels.get(&recording.channel);
    let keeps_ms = match channel.map_or(recording.keep, |channel| channel.record) {
        Record::Off => return 0,
        Record::Minutes(minutes) => u64::from(minutes) * 60_000,
        Record::Days(days) => u64::from(days) * 24 * 3_600_000,
    };
    recording.ended.saturating_add(keeps_ms)
}
