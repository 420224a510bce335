//! What was said, kept: where each packet stands in its file, what a recording's record tells, and which
//! recordings have to go.
//!
//! ```text
//!  taps ─> Timeline ─> frames without a gap ─> (daemon) Ogg Opus file, record ─> surplus() ─> what goes
//! ```

mod opus;
mod retention;
mod timeline;
mod waveform;

use serde::{Deserialize, Serialize};

use crate::ids::{ChannelId, TransmissionId, UserId};
use crate::wire::signal::{EndReason, Level};

pub use opus::{channels, samples};
pub use retention::{Clocks, Kept, Room, surplus};
pub use timeline::{Frame, PRE_SKIP, SAMPLES_PER_MS, Timeline};
pub use waveform::{BUCKETS, Waveform};

#[cfg(test)]
mod tests;

/// One transmission's file, as the box's memory has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    pub transmission: TransmissionId,
    pub channel: ChannelId,
    /// As it was called then.
    pub channel_name: String,
    pub user: UserId,
    pub name: String,
    pub level: Level,
    /// UTC milliseconds since 1970.
    pub began: u64,
    /// Milliseconds since the box was switched on: tells the order where the clock was set.
    pub monotonic: u64,
    /// Which switching on that was.
    #[serde(default)]
    pub boot: String,
    pub duration_ms: u64,
    pub reason: EndReason,
    /// Below the recordings' folder.
    pub file: String,
    pub bytes: u64,
    /// Hexadecimal.
    pub sha256: String,
    /// False: packets were dropped before they were written, or the box stopped meanwhile.
    pub complete: bool,
    /// The recorder was too slow for these. What the network lost is filled with silence and not counted here.
    pub dropped_packets: u64,
    pub waveform: Vec<u8>,
}
