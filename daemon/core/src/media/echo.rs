//! Echo: what a talker said is kept while they talk, and played back to them afterwards.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Packet;
use crate::ids::{RouteId, TransportId};

/// As much as is kept of one talker.
const LONGEST: Duration = Duration::from_secs(10);
const MOST: usize = 600;
/// Between the end of the turn and what is heard of it: the page has changed from talking to listening by then.
const PAUSE: Duration = Duration::from_millis(300);
const FRAME: Duration = Duration::from_millis(20);

/// Packets as they came, with when.
#[derive(Default)]
pub(super) struct Kept(VecDeque<(Instant, Packet)>);

impl Kept {
    pub fn keep(&mut self, packet: &Packet, now: Instant) {
        let fits = self
            .0
            .front()
            .is_none_or(|(first, _)| now < *first + LONGEST);
        if fits && self.0.len() < MOST {
            self.0.push_back((now, packet.clone()));
        }
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn plays(&self) -> Duration {
        match (self.0.front(), self.0.back()) {
            (Some((first, _)), Some((last, _))) => last.saturating_duration_since(*first) + FRAME,
            _ => Duration::ZERO,
        }
    }
}

/// Kept packets on their way back to who said them.
pub(super) struct Playback {
    pub to: TransportId,
    pub route: RouteId,
    /// As a talker's: what is played begins anew on the listener's stream.
    pub grant: u64,
    kept: VecDeque<(Instant, Packet)>,
    /// From when a packet came to when it is played.
    later: Duration,
}

impl Playback {
    pub fn new(to: TransportId, route: RouteId, grant: u64, kept: Kept, now: Instant) -> Playback {
        let first = kept.0.front().map_or(now, |(first, _)| *first);
        Playback {
            to,
            route,
            grant,
            kept: kept.0,
            later: now.saturating_duration_since(first) + PAUSE,
        }
    }

    /// When the next packet is due; `None` once all have been played.
    pub fn due(&self) -> Option<Instant> {
        self.kept.front().map(|(came, _)| *came + self.later)
    }

    pub fn take_due(&mut self, now: Instant) -> Option<Packet> {
        self.due().filter(|due| *due <= now)?;
        self.kept.pop_front().map(|(_, packet)| packet)
    }
}
