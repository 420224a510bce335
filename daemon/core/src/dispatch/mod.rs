//! What dispatchers share: calls, emergencies, positions, and who was told to be silent.
//!
//! Small machines that know neither the floor nor each other; `edge` asks the roster first and joins them.
//! Their state is what is kept: times are UTC milliseconds, and of sessions, which do not survive a restart,
//! nothing is said again that was not true before it.

use serde::{Deserialize, Serialize};

mod calls;
mod emergencies;
mod positions;
mod silences;

pub use calls::{Call, Calls, Owner, Taken};
pub use emergencies::{Emergencies, Emergency};
pub use positions::{MOST_LAYOUT, Position, PositionError, Positions};
pub use silences::{MOST_MINUTES, Silence, Silences};

/// There are as many as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

/// All of it, as it outlives a restart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Board {
    pub calls: Calls,
    pub emergencies: Emergencies,
    pub positions: Positions,
    pub silences: Silences,
}

impl Board {
    /// After a restart no session is there any more, and a clock that was set meanwhile must not keep anyone
    /// silent for longer than a dispatcher can, nor a call from ending. `at` is now.
    pub fn restored(mut self, at: u64) -> Board {
        self.calls.restored(at);
        self.emergencies.restored();
        self.silences.restored(at);
        self
    }

    /// The clock was set by so many milliseconds.
    pub fn shift(&mut self, by: i64) {
        self.calls.shift(by);
        self.emergencies.shift(by);
        self.silences.shift(by);
    }

    /// Greater than every number that is in use.
    pub fn next_number(&self) -> u64 {
        let calls = self.calls.iter().map(|(id, _)| id);
        let emergencies = self.emergencies.iter().map(|(id, _)| id);
        calls.chain(emergencies).max().map_or(1, |last| last + 1)
    }
}
