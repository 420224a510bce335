//! The time of day: counted on from the start, and set anew when the box's clock was set.

use std::time::{Duration, Instant};

use super::Edge;

/// A clock that is being slewed is left alone.
const STEP: u64 = 2_000;

impl Edge {
    /// UTC milliseconds since 1970.
    pub(super) fn utc_ms(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.start.now).as_millis() as u64;
        let before = self.start.now.saturating_duration_since(at).as_millis() as u64;
        (self.start.utc_ms + since).saturating_sub(before)
    }

    /// When it is this time; a time before the start is the start.
    pub(super) fn instant(&self, utc_ms: u64) -> Instant {
        self.start.now + Duration::from_millis(utc_ms.saturating_sub(self.start.utc_ms))
    }

    /// A clock that was set makes nothing older or younger: what is remembered moves along.
    pub(super) fn set_clock(&mut self, utc_ms: u64, now: Instant) {
        let before = self.utc_ms(now);
        if utc_ms.abs_diff(before) < STEP {
            return;
        }
        let by = utc_ms.cast_signed().wrapping_sub(before.cast_signed());
        tracing::info!(by_ms = by, "the clock was set");
        (self.start.now, self.start.utc_ms) = (now, utc_ms);
        self.board.shift(by);
        self.changed.board = true;
        for session in self.sessions.values_mut() {
            session.since = session.since.saturating_add_signed(by);
        }
        let recent = self.channels.values_mut().flat_map(|c| &mut c.recent);
        recent.for_each(|talk| talk.began = talk.began.saturating_add_signed(by));
    }
}
