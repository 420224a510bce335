//! The squelch: from "the detectors say up" to "someone speaks", and back.
//!
//! ```text
//!           up           debounce            kerchunk              down
//!   Closed ────> Debounce ────────> Filtering ────────> Open <────────────> Hang
//!     ^             │ down             │ down            │  │       up        │ hang over
//!     ├─────────────┴──────────────────┴───────────────────────────────────────┤
//!     │                                            spent │  │ open too long    │
//!     │      down for the hang time                      v  v                  │
//!     ├────────────────────────────────────── Spent, Stuck                     │
//!     │                                                                        │
//!   Shut: while the own transmitter is keyed and a while after (deaf), and while the loop guard says so (held off).
//!   From everywhere; afterwards the line counts as it stands.
//! ```
//!
//! A line is a level: one that went up while nothing was believed is heard as soon as it is.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::SquelchSettings;

#[cfg(test)]
mod tests;

/// What is sent from before a carrier was seen: the detector itself takes a while.
const BEFORE_CARRIER: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// What the detectors say, since then.
    Line { up: bool, at: Instant },
    /// The own transmitter is keyed, or its line still up.
    Transmitting(bool),
    /// The loop guard believes no receiver.
    HeldOff(bool),
    /// The floor was taken back: whoever speaks has to let go first.
    Spent,
    /// Someone talks on the channel, or nobody does.
    ChannelUsed(bool),
    /// The receiver is not there any more.
    Gone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Someone speaks; what was received from then on is theirs.
    Opened { from: Instant },
    /// Nobody does any more since then. After [`Input::Spent`] and `Stuck`: they have let go.
    Closed { until: Instant },
    /// Open for longer than anyone speaks: the receiver is faulty.
    Stuck,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Debounce {
        up: Instant,
    },
    Filtering {
        up: Instant,
    },
    Open {
        since: Instant,
    },
    Hang {
        since: Instant,
        down: Instant,
    },
    Spent {
        since: Instant,
        down: Option<Instant>,
    },
    Stuck {
        down: Option<Instant>,
    },
    Shut {
        after: After,
    },
}

/// What a line that is still up means after [`State::Shut`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Speech,
    Spent { since: Instant },
    Stuck,
}

/// What it looks like from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    Closed,
    Debounce,
    Filtering,
    Open,
    Deaf,
    Stuck,
    HeldOff,
}

pub struct Squelch {
    settings: SquelchSettings,
    state: State,
    up: bool,
    transmitting: bool,
    deaf_until: Option<Instant>,
    held_off: bool,
    used: bool,
    last_used: Option<Instant>,
    /// Nothing from before this is believed.
    believed: Option<Instant>,
    outputs: VecDeque<Output>,
}

impl Squelch {
    pub fn new(settings: SquelchSettings) -> Self {
        Squelch {
            settings,
            state: State::Closed,
            up: false,
            transmitting: false,
            deaf_until: None,
            held_off: false,
            used: false,
            last_used: None,
            believed: None,
            outputs: VecDeque::new(),
        }
    }

    pub fn seen(&self) -> Seen {
        match self.state {
            State::Closed => Seen::Closed,
            State::Debounce { .. } => Seen::Debounce,
            State::Filtering { .. } => Seen::Filtering,
            State::Open { .. } | State::Hang { .. } | State::Spent { .. } => Seen::Open,
            State::Stuck { .. } => Seen::Stuck,
            State::Shut { .. } if self.held_off => Seen::HeldOff,
            State::Shut { .. } => Seen::Deaf,
        }
    }

    /// Whether someone may be speaking.
    pub fn hears(&self) -> bool {
        match self.state {
            State::Closed | State::Stuck { .. } | State::Shut { .. } => false,
            State::Debounce { .. }
            | State::Filtering { .. }
            | State::Open { .. }
            | State::Hang { .. }
            | State::Spent { .. } => true,
        }
    }

    /// The receiver is taken for faulty until its line goes down.
    pub fn is_stuck(&self) -> bool {
        let after = After::Stuck;
        matches!(self.state, State::Stuck { .. }) || self.state == State::Shut { after }
    }

    pub fn handle(&mut self, input: Input, now: Instant) {
        self.handle_timeout(now);
        match (self.state, input) {
            (_, Input::Line { up, at }) => {
                let before = std::mem::replace(&mut self.up, up);
                if before != up {
                    self.line(at.min(now));
                }
            }
            (_, Input::Transmitting(transmitting)) => {
                if std::mem::replace(&mut self.transmitting, transmitting) && !transmitting {
                    self.deaf_until = Some(now + self.settings.deaf);
                }
                self.shut(now);
            }
            (_, Input::HeldOff(held_off)) => {
                if std::mem::replace(&mut self.held_off, held_off) && !held_off {
                    self.deaf_until = self.deaf_until.max(Some(now));
                }
                self.shut(now);
            }
            (_, Input::ChannelUsed(used)) => {
                if std::mem::replace(&mut self.used, used) && !used {
                    self.last_used = Some(now);
                }
            }
            (State::Open { since }, Input::Spent) => {
                self.state = State::Spent { since, down: None };
            }
            (State::Hang { since, down }, Input::Spent) => {
                let down = Some(down);
                self.state = State::Spent { since, down };
            }
            (
                State::Closed
                | State::Debounce { .. }
                | State::Filtering { .. }
                | State::Spent { .. }
                | State::Stuck { .. }
                | State::Shut { .. },
                Input::Spent,
            ) => {}
            (State::Closed | State::Debounce { .. } | State::Filtering { .. }, Input::Gone) => {
                self.reset();
            }
            (
                State::Open { .. } | State::Hang { .. } | State::Spent { .. } | State::Stuck { .. },
                Input::Gone,
            ) => {
                self.reset();
                self.close(now);
            }
            // It stays shut; there is nothing any more to come back to.
            (State::Shut { after }, Input::Gone) => {
                self.up = false;
                self.let_go_while_shut(after, now);
            }
        }
        self.handle_timeout(now);
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        let settings = &self.settings;
        match self.state {
            State::Closed => None,
            State::Debounce { up } => Some(up + settings.debounce),
            State::Filtering { up } => Some(up + settings.debounce.max(settings.kerchunk)),
            State::Open { since } => Some(since + settings.stuck),
            State::Hang { since, down } => Some((down + settings.hang).min(since + settings.stuck)),
            State::Spent { since, down } => {
                let down = down.map(|down| down + settings.hang);
                Some(down.unwrap_or(since + settings.stuck))
            }
            State::Stuck { down } => down.map(|down| down + settings.hang),
            State::Shut { .. } if self.transmitting || self.held_off => None,
            State::Shut { .. } => self.deaf_until,
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(due) = self.poll_timeout().filter(|due| *due <= now) {
            let hang = self.settings.hang;
            match self.state {
                State::Closed => break,
                State::Debounce { up } if self.is_filtering(now) => {
                    self.state = State::Filtering { up };
                }
                State::Debounce { up } | State::Filtering { up } => self.open(up, now),
                State::Hang { down, .. } if down + hang <= due => self.close(due),
                State::Spent { down, .. } | State::Stuck { down } if down.is_some() => {
                    self.close(due);
                }
                State::Open { .. } => self.stuck(None),
                State::Hang { down, .. } => self.stuck(Some(down)),
                State::Spent { down, .. } | State::Stuck { down } => self.stuck(down),
                State::Shut { after } => self.listen_again(after, due),
            }
        }
    }

    fn line(&mut self, at: Instant) {
        self.state = match (self.state, self.up) {
            (State::Closed, true) => State::Debounce { up: at },
            (State::Debounce { .. } | State::Filtering { .. }, false) => State::Closed,
            (State::Open { since }, false) => State::Hang { since, down: at },
            (State::Hang { since, .. }, true) => State::Open { since },
            (State::Spent { since, .. }, up) => State::Spent {
                since,
                down: (!up).then_some(at),
            },
            (State::Stuck { .. }, up) => State::Stuck {
                down: (!up).then_some(at),
            },
            (State::Shut { after }, false) => return self.let_go_while_shut(after, at),
            (state @ State::Closed, false)
            | (state @ (State::Debounce { .. } | State::Filtering { .. }), true)
            | (state @ State::Open { .. }, true)
            | (state @ State::Hang { .. }, false)
            | (state @ State::Shut { .. }, true) => state,
        };
    }

    fn let_go_while_shut(&mut self, after: After, at: Instant) {
        let speech = After::Speech;
        self.state = State::Shut { after: speech };
        if after != speech {
            self.outputs.push_back(Output::Closed { until: at });
        }
    }

    /// Nothing is believed from now on, where it has to be so.
    fn shut(&mut self, now: Instant) {
        if !self.transmitting && !self.held_off {
            return;
        }
        let after = match self.state {
            State::Closed | State::Debounce { .. } | State::Filtering { .. } => After::Speech,
            State::Open { .. } | State::Hang { .. } => {
                self.outputs.push_back(Output::Closed { until: now });
                After::Speech
            }
            State::Spent { since, down: None } => After::Spent { since },
            State::Stuck { down: None } => After::Stuck,
            State::Spent { down: Some(_), .. } | State::Stuck { down: Some(_) } => {
                self.outputs.push_back(Output::Closed { until: now });
                After::Speech
            }
            State::Shut { after } => after,
        };
        self.state = State::Shut { after };
    }

    fn listen_again(&mut self, after: After, at: Instant) {
        self.deaf_until = None;
        self.believed = Some(at);
        self.state = match (self.up, after) {
            (false, _) => State::Closed,
            (true, After::Speech) => State::Debounce { up: at },
            (true, After::Spent { since }) => State::Spent { since, down: None },
            (true, After::Stuck) => State::Stuck { down: None },
        };
    }

    /// A short opening after a long silence is someone who only tried their button.
    fn is_filtering(&self, now: Instant) -> bool {
        let SquelchSettings {
            kerchunk,
            kerchunk_idle,
            debounce,
            ..
        } = self.settings;
        let idle = |last: Instant| now.saturating_duration_since(last) >= kerchunk_idle;
        kerchunk > debounce && !self.used && self.last_used.is_none_or(idle)
    }

    fn open(&mut self, up: Instant, now: Instant) {
        let before = self.settings.vox_delay.unwrap_or(BEFORE_CARRIER);
        let from = up.checked_sub(before).unwrap_or(up);
        let from = self.believed.map_or(from, |believed| from.max(believed));
        self.state = State::Open { since: now };
        self.outputs.push_back(Output::Opened { from });
    }

    fn close(&mut self, until: Instant) {
        self.state = State::Closed;
        self.outputs.push_back(Output::Closed { until });
    }

    fn stuck(&mut self, down: Option<Instant>) {
        self.state = State::Stuck { down };
        self.outputs.push_back(Output::Stuck);
    }

    fn reset(&mut self) {
        self.up = false;
        self.state = State::Closed;
    }
}
