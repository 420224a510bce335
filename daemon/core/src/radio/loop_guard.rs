//! The loop guard: radios of one channel that hear each other and relay each other would talk in turns for ever.
//!
//! ```text
//!              4th change of the talker within 10 s
//!   Watching ───────────────────────────────────────> HoldingOff
//!      ^                    after 30 s                    │
//!      └──────────────────────────────────────────────────┘
//! ```

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::ids::RadioId;

/// So many changes from one radio to another ...
const ALTERNATIONS: usize = 4;
/// ... within this time are no conversation.
const WITHIN: Duration = Duration::from_secs(10);
/// How long no receiver of the channel is believed then.
pub const HOLD_OFF: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// What this radio receives has the floor now.
    Talks(RadioId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Whether the channel's receivers are to be held off.
    HoldOff(bool),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Watching {
        last: Option<RadioId>,
        /// When it changed, oldest first.
        changes: VecDeque<Instant>,
    },
    HoldingOff {
        until: Instant,
    },
}

const WATCHING: State = State::Watching {
    last: None,
    changes: VecDeque::new(),
};

pub struct LoopGuard {
    state: State,
    outputs: VecDeque<Output>,
}

impl Default for LoopGuard {
    fn default() -> Self {
        LoopGuard {
            state: WATCHING,
            outputs: VecDeque::new(),
        }
    }
}

impl LoopGuard {
    pub fn is_holding_off(&self) -> bool {
        match self.state {
            State::Watching { .. } => false,
            State::HoldingOff { .. } => true,
        }
    }

    pub fn handle(&mut self, input: Input, now: Instant) {
        self.handle_timeout(now);
        match (&mut self.state, input) {
            (State::Watching { last, changes }, Input::Talks(radio)) => {
                let changed = last.replace(radio).is_some_and(|last| last != radio);
                if !changed {
                    return;
                }
                changes.push_back(now);
                if changes.len() > ALTERNATIONS {
                    changes.pop_front();
                }
                let first = changes.front().filter(|_| changes.len() == ALTERNATIONS);
                if first.is_some_and(|first| now.saturating_duration_since(*first) <= WITHIN) {
                    let until = now + HOLD_OFF;
                    self.state = State::HoldingOff { until };
                    self.outputs.push_back(Output::HoldOff(true));
                }
            }
            // What was granted before the receivers were told.
            (State::HoldingOff { .. }, Input::Talks(_)) => {}
        }
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Watching { .. } => None,
            State::HoldingOff { until } => Some(until),
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|until| until <= now) {
            self.state = WATCHING;
            self.outputs.push_back(Output::HoldOff(false));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_changes_of_the_talker_within_ten_seconds_hold_off_for_thirty() {
        #[allow(
            clippy::disallowed_methods,
            reason = "a test's arbitrary origin of time"
        )]
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        // Who talks when, and when it trips.
        for (what, talks, trips) in [
            (
                "in turns",
                &[(0, 1), (1_000, 2), (2_000, 1), (3_000, 2), (4_000, 1)][..],
                Some(4_000),
            ),
            (
                "three radios",
                &[(0, 1), (1_000, 2), (2_000, 3), (3_000, 1), (4_000, 2)],
                Some(4_000),
            ),
            (
                "a conversation",
                &[(0, 1), (4_000, 2), (8_000, 1), (12_000, 2), (16_000, 1)],
                None,
            ),
            (
                "one who tries again and again",
                &[(0, 1), (1_000, 1), (2_000, 1), (3_000, 1), (4_000, 1)],
                None,
            ),
            (
                "just within",
                &[(0, 1), (1_000, 2), (2_000, 1), (3_000, 2), (11_000, 1)],
                Some(11_000),
            ),
            (
                "just not",
                &[(0, 1), (1_000, 2), (2_000, 1), (3_000, 2), (11_001, 1)],
                None,
            ),
        ] {
            let mut guard = LoopGuard::default();
            let mut tripped = None;
            for &(ms, radio) in talks {
                guard.handle(Input::Talks(RadioId(radio)), at(ms));
                if guard.poll_output() == Some(Output::HoldOff(true)) {
                    tripped = Some(ms);
                }
            }
            assert_eq!(tripped, trips, "{what}");
            let Some(ms) = tripped else { continue };
            assert_eq!(guard.poll_timeout(), Some(at(ms + 30_000)), "{what}");
            guard.handle(Input::Talks(RadioId(2)), at(ms + 10));
            guard.handle_timeout(at(ms + 29_999));
            assert!(guard.is_holding_off() && guard.poll_output().is_none());
            guard.handle_timeout(at(ms + 30_000));
            assert_eq!(guard.poll_output(), Some(Output::HoldOff(false)));
            assert!(!guard.is_holding_off());
        }
    }
}
