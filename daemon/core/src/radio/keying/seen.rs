//! What it looks like from outside.

use std::time::{Duration, Instant};

use super::{Keying, Sound, State};
use crate::radio::Kind;

/// A line that is still up so long after it was let go does not obey.
const DISOBEYS: Duration = Duration::from_secs(1);

/// What it looks like from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    Down,
    Idle,
    Lead,
    OnAir,
    Draining,
    Tail,
    LockedOut,
    TestTone,
}

impl Keying {
    pub fn seen(&self) -> Seen {
        match self.state {
            State::LockedOut { .. } => Seen::LockedOut,
            _ if self.locked => Seen::LockedOut,
            _ if !self.is_able() => Seen::Down,
            State::Idle => Seen::Idle,
            State::Lead {
                sound: Sound::Test { .. },
            }
            | State::Draining {
                sound: Sound::Test { .. },
                ..
            } => Seen::TestTone,
            State::Lead { .. } => Seen::Lead,
            State::OnAir => Seen::OnAir,
            State::Draining { .. } => Seen::Draining,
            State::Tail { .. } => Seen::Tail,
        }
    }

    /// The transmitter is up, or about to be.
    pub fn is_keyed(&self) -> bool {
        self.keyed.is_some()
    }

    /// What the PTT line is.
    pub fn is_line_up(&self) -> bool {
        self.line_keyed
    }

    pub fn keyed_since(&self) -> Option<Instant> {
        self.keyed.map(|keyed| keyed.since)
    }

    pub fn tot(&self) -> Option<Instant> {
        self.keyed
            .map(|keyed| keyed.counts + self.settings.keying.tot)
    }

    /// After the TOT, as long as the one who talked has not let go.
    pub fn waits_for_release(&self) -> bool {
        self.state == State::LockedOut { until: None }
    }

    /// What is wrong with it, for a person.
    pub fn problem(&self, now: Instant) -> Option<&'static str> {
        let disobeys = |since| now.saturating_duration_since(since) >= DISOBEYS;
        match () {
            () if self.line_keyed && self.unkeyed.is_some_and(disobeys) => Some(
                "The PTT line is up although nothing is to be sent. Switch the transmitter off.",
            ),
            () if self.locked => Some(
                "The guardian keeps the PTT line down: it was keyed for too long, or somebody stopped it.",
            ),
            () if self.fault => {
                Some("The PTT line does not do what it is told. The transmitter is not used.")
            }
            () if !self.ready && self.settings.kind == Kind::Desk => {
                Some("The sound card of its speaker is not there.")
            }
            () if !self.ready => Some("The transmitter's sound card or PTT line is not there."),
            () if self
                .keyed
                .is_some_and(|keyed| self.stays_down(keyed.since, now)) =>
            {
                Some("The PTT line stays down although the radio is to be on the air.")
            }
            () if self.overdue => Some("Sound that is to be sent does not leave the sound card."),
            () => None,
        }
    }

    fn stays_down(&self, keyed: Instant, now: Instant) -> bool {
        let since = self.line_changed.map(|changed| changed.max(keyed));
        let long = |since| now.saturating_duration_since(since) >= DISOBEYS;
        !self.line_keyed && since.is_some_and(long)
    }
}
