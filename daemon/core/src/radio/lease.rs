//! The guardian's machine, one a radio: a transmitter is keyed only as long as orders keep coming, and never
//! past its longest key-down, whoever orders it.
//!
//! ```text
//!              Key                 lease over
//!   Unkeyed ─────────> Keyed ────────────────────> Lapsed
//!    ^                 │  ^ ^   Unkey, Gone         │ │
//!    │                 │  │ │          Key          │ │
//!    │                 │  │ └───(same key-down)─────┘ │
//!    │                    │ Key: longer lease         │
//!    │                    v                           │
//!    │                  longest key-down ──> Locked   │
//!    └──── no Key for a second, 300 ms after Unkey ───┘
//! ```
//! Stop leads to Locked from anywhere.
//!
//! Nothing here knows why pttd orders anything. It is the last one to decide, so it believes nobody: an order
//! counts from when it was given, not from when it was read, because a socket keeps what was sent to a guardian
//! that slept.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// What the guardian adds to the TOT, which is pttd's to keep: it steps in where pttd has not.
pub const MARGIN: Duration = Duration::from_secs(5);
/// No order for so long, the longest lease there is, and whoever orders next begins anew.
pub const SILENCE: Duration = Duration::from_secs(1);

/// Keyed again so soon after it was unkeyed, it is the same key-down: a sound card that stutters has pttd unkey each
/// time, and must not stretch the TOT.
pub const STUTTER: Duration = Duration::from_millis(300);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long one order keeps the transmitter keyed. 100 ms to 1 s.
    pub lease: Duration,
    /// The radio's TOT. 15 to 600 s.
    pub tot: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Key, or stay keyed, for one lease from when this was said.
    Key {
        said: Instant,
    },
    Unkey,
    /// Whoever keyed it is gone.
    Gone,
    /// Somebody else than who keys it wants it down: not again until orders have been silent.
    Stop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// The PTT line is to be up, or down.
    Set(bool),
    /// Orders stopped coming while it was keyed.
    Lapsed,
    /// Keyed past its TOT, or stopped: not again until orders have been silent.
    Locked,
    /// They have been.
    Unlocked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Unkeyed,
    Keyed {
        since: Instant,
        until: Instant,
    },
    /// Not keyed. Orders that come back soon go on with the same key-down: late ones must not stretch the TOT.
    Lapsed {
        since: Instant,
        forget: Instant,
    },
    Locked {
        until: Instant,
    },
}

pub struct Lease {
    settings: Settings,
    state: State,
    outputs: VecDeque<Output>,
}

impl Lease {
    /// Unkeyed, and says so: a CM108 is as its last user left it.
    pub fn new(settings: Settings) -> Self {
        Lease {
            settings,
            state: State::Unkeyed,
            outputs: VecDeque::from([Output::Set(false)]),
        }
    }

    pub fn settings(&self) -> Settings {
        self.settings
    }

    pub fn is_keyed(&self) -> bool {
        matches!(self.state, State::Keyed { .. })
    }

    /// Nobody has keyed it, or not for a while.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Unkeyed)
    }

    pub fn is_locked(&self) -> bool {
        matches!(self.state, State::Locked { .. })
    }

    pub fn handle(&mut self, input: Input, now: Instant) {
        self.handle_timeout(now);
        let Settings { lease, .. } = self.settings;
        self.state = match (self.state, input) {
            // Said too long ago: it says nothing about now.
            (state, Input::Key { said }) if said + lease <= now => state,
            (state, Input::Key { said }) => {
                let until = said.min(now) + lease;
                match state {
                    State::Unkeyed => self.key(now, until),
                    State::Lapsed { since, .. } => self.key(since, until),
                    State::Keyed { since, until: last } => State::Keyed {
                        since,
                        until: last.max(until),
                    },
                    State::Locked { .. } => State::Locked {
                        until: now + SILENCE,
                    },
                }
            }
            (State::Keyed { since, .. }, Input::Unkey | Input::Gone) => {
                self.outputs.push_back(Output::Set(false));
                let forget = now + STUTTER;
                State::Lapsed { since, forget }
            }
            (
                state @ (State::Unkeyed | State::Lapsed { .. } | State::Locked { .. }),
                Input::Unkey | Input::Gone,
            ) => state,
            (State::Keyed { .. }, Input::Stop) => {
                self.outputs.extend([Output::Set(false), Output::Locked]);
                let until = now + SILENCE;
                State::Locked { until }
            }
            (State::Unkeyed | State::Lapsed { .. } | State::Locked { .. }, Input::Stop) => {
                self.outputs.push_back(Output::Locked);
                let until = now + SILENCE;
                State::Locked { until }
            }
        };
    }

    fn key(&mut self, since: Instant, until: Instant) -> State {
        self.outputs.push_back(Output::Set(true));
        State::Keyed { since, until }
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The lease, or the longest key-down, or the end of a silence.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Unkeyed => None,
            State::Keyed { since, until } => Some(until.min(self.longest(since))),
            State::Lapsed { since, forget } => Some(forget.min(self.longest(since))),
            State::Locked { until } => Some(until),
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        self.state = match self.state {
            State::Keyed { since, until } if self.longest(since).min(until) <= now => {
                self.outputs.push_back(Output::Set(false));
                match self.longest(since) <= now {
                    true => {
                        self.outputs.push_back(Output::Locked);
                        // From now, not from when it was due: orders may wait unread.
                        let until = now + SILENCE;
                        State::Locked { until }
                    }
                    false => {
                        self.outputs.push_back(Output::Lapsed);
                        let forget = now + SILENCE;
                        State::Lapsed { since, forget }
                    }
                }
            }
            State::Lapsed { forget, .. } if forget <= now => State::Unkeyed,
            State::Lapsed { since, .. } if self.longest(since) <= now => {
                self.outputs.push_back(Output::Locked);
                let until = now + SILENCE;
                State::Locked { until }
            }
            State::Locked { until } if until <= now => {
                self.outputs.push_back(Output::Unlocked);
                State::Unkeyed
            }
            state @ (State::Unkeyed
            | State::Keyed { .. }
            | State::Lapsed { .. }
            | State::Locked { .. }) => state,
        };
    }

    fn longest(&self, since: Instant) -> Instant {
        since + self.settings.tot + MARGIN
    }
}
