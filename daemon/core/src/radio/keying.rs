//! A transmitter: keyed for a talk of its channel, and unkeyed again whatever happens.
//!
//! ```text
//!          talk            lead over          talk over             drained
//!   Idle ───────> Lead ───────────────> OnAir ─────────> Draining ─────────> Tail
//!    ^             │ talk over            ^ next talk       │ │ courtesy,      │
//!    │             └──────────────────────┼─────────────> ──┘ └─ ident, test   │
//!    │                                    ├────────────────────────────────────┤
//!    ├────────────────────────────────────┼──────────────────── tail over ─────┘
//!    │                                    │
//!    │      penalty over                 any of them
//!    └────────────────── LockedOut <──────┘ TOT, or the guardian's lock
//! ```
//! Keyed from Lead to Tail. The TOT counts from the key-down, through however many talks. After it, whoever
//! talked has to let go, and then the penalty runs. A line that fails, or sound that goes, unkeys at once; when it is
//! back, a talk that runs is taken up, but not within [`REST`], and as the same key-down: what fails each time
//! it is keyed is not keyed in bursts, nor for ever.
//!
//! Key orders reach [`AHEAD`] into the future and never past the TOT: with nobody renewing them the transmitter goes off.
//! A desk is never keyed: no lead, no tail, no TOT.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Kind, Order, Settings, Tone};
use crate::ids::TransmissionId;

mod deadlines;
mod seen;
#[cfg(test)]
mod tests;

pub use seen::Seen;

/// How far ahead a key order reaches.
pub const AHEAD: Duration = Duration::from_millis(200);
/// How often it is renewed.
pub const RENEW: Duration = Duration::from_millis(50);
/// How long it stays down at least after a failure or the TOT: longer than the guardian takes for one key-down.
const REST: Duration = Duration::from_secs(1);
/// The same after its card was lost: less than a card takes to come back, or whoever talks by then would not be heard
/// from the beginning.
const REST_OF_CARD: Duration = Duration::from_millis(400);
/// What is keyed again so soon counts as one key-down, as the guardian counts it, ...
const SAME: Duration = Duration::from_millis(400);
/// ... and so soon after a failure.
const SAME_AFTER_FAILURE: Duration = Duration::from_secs(5);
/// The longest test tone.
pub const LONGEST_TEST: Duration = Duration::from_secs(5);
/// Room for the permit tone between lead and speech.
const PERMIT: Duration = Duration::from_millis(100);
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Someone talks who is to be heard here.
    Talk(TransmissionId),
    /// Nobody does any more.
    TalkOver,
    /// Whoever talked at the TOT has let go of their button.
    LetGo,
    Drained {
        at: Instant,
    },
    /// Sound and lines are there, or not.
    Ready(bool),
    Line {
        keyed: bool,
        fault: bool,
        /// The guardian keeps it down, whatever is ordered.
        locked: bool,
    },
    TestTone {
        length: Duration,
    },
    StopTestTone,
    /// Nobody talks on the channel and the receiver hears nothing: what nobody asked for may go to air.
    Clear(bool),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    Order(Order),
    /// The TOT is near: whoever talks can still come to an end.
    Warned {
        left: Duration,
    },
    /// The TOT is over, or the guardian took the line down: who talks must be heard by nobody any more.
    TimedOut {
        transmission: Option<TransmissionId>,
    },
}

/// What goes to air.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sound {
    Speech,
    Courtesy,
    Ident,
    Test { length: Duration },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Lead {
        sound: Sound,
    },
    OnAir,
    /// What there is of it is played out; nothing comes after it.
    Draining {
        sound: Sound,
        since: Instant,
    },
    Tail {
        until: Instant,
    },
    /// Until then; none: until the talker has let go.
    LockedOut {
        until: Option<Instant>,
    },
}

/// The transmitter is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Keyed {
    since: Instant,
    /// Of the TOT: as `since`, but where a key-down goes on.
    counts: Instant,
    renewed: Instant,
    /// When the lead is over, and when speech may be heard: the permit tone lies between.
    lead_over: Instant,
    speech: Instant,
    alerted: bool,
}

pub struct Keying {
    settings: Arc<Settings>,
    state: State,
    keyed: Option<Keyed>,
    /// What is to be sent, whether it can be or not.
    talk: Option<TransmissionId>,
    ready: bool,
    fault: bool,
    locked: bool,
    line_keyed: bool,
    /// When the line was last seen to change; none: nobody ever told of one.
    line_changed: Option<Instant>,
    unkeyed: Option<Instant>,
    /// Not keyed before.
    rests: Option<Instant>,
    /// From when the last key-down counts, and until when it can go on.
    last: Option<(Instant, Instant)>,
    clear: bool,
    /// Sound that was to drain and did not.
    overdue: bool,
    identified: Option<Instant>,
    /// Something went to air since.
    unidentified: bool,
    latest: Option<Instant>,
    outputs: VecDeque<Output>,
}

impl Keying {
    pub fn new(settings: Arc<Settings>) -> Self {
        Keying {
            settings,
            state: State::Idle,
            keyed: None,
            talk: None,
            ready: false,
            fault: false,
            locked: false,
            line_keyed: false,
            line_changed: None,
            unkeyed: None,
            rests: None,
            last: None,
            clear: false,
            overdue: false,
            identified: None,
            unidentified: false,
            latest: None,
            outputs: VecDeque::new(),
        }
    }

    pub fn handle(&mut self, input: Input, now: Instant) {
        self.handle_timeout(now);
        self.note(input, now);
        match (self.state, input) {
            (State::Idle, Input::Talk(_) | Input::Ready(_) | Input::Line { .. }) => {
                self.start(now);
            }
            (State::Idle, Input::TestTone { length }) if self.clear => {
                let length = length.min(LONGEST_TEST);
                self.begin(Sound::Test { length }, now);
            }
            (
                State::Lead { .. } | State::OnAir | State::Draining { .. } | State::Tail { .. },
                Input::Line { locked: true, .. },
            ) => self.time_out(now),
            // Whatever it was doing, it may not be able to go on.
            (
                State::Lead { .. } | State::OnAir | State::Draining { .. } | State::Tail { .. },
                Input::Ready(_) | Input::Line { .. },
            ) => {
                if !self.is_able() {
                    if self.keyed.is_some() {
                        let rest = match input {
                            Input::Ready(_) => REST_OF_CARD,
                            _ => REST,
                        };
                        self.rests = Some(now + rest);
                    }
                    self.give_up(SAME_AFTER_FAILURE, now);
                    self.state = State::Idle;
                }
            }
            (State::Lead { .. } | State::OnAir | State::Tail { .. }, Input::Talk(transmission)) => {
                self.play(transmission, now)
            }
            (State::Draining { sound, .. }, Input::Talk(transmission)) => {
                if sound != Sound::Speech {
                    self.order(Order::StopTone);
                }
                self.play(transmission, now);
            }
            (
                State::Lead {
                    sound: Sound::Speech,
                }
                | State::OnAir,
                Input::TalkOver,
            ) => {
                self.order(Order::EndPlay);
                self.drain(Sound::Speech, now);
            }
            (State::Draining { sound, since }, Input::Drained { at }) if at >= since => {
                self.overdue = false;
                self.drained(sound, now);
            }
            (
                State::Lead {
                    sound: Sound::Test { .. },
                },
                Input::StopTestTone,
            ) => self.tail(now),
            (
                State::Draining {
                    sound: Sound::Test { .. },
                    ..
                },
                Input::StopTestTone,
            ) => {
                self.order(Order::StopTone);
                self.tail(now);
            }
            (State::LockedOut { until: None }, Input::LetGo) => {
                let penalty = self.settings.keying.tot_penalty.max(REST);
                let until = Some(now + penalty);
                self.state = State::LockedOut { until };
            }
            // Noted above, and nothing to do now.
            (
                State::Idle,
                Input::TalkOver
                | Input::LetGo
                | Input::Drained { .. }
                | Input::TestTone { .. }
                | Input::StopTestTone
                | Input::Clear(_),
            )
            | (
                State::Lead { .. } | State::OnAir | State::Draining { .. } | State::Tail { .. },
                Input::TalkOver
                | Input::LetGo
                | Input::Drained { .. }
                | Input::TestTone { .. }
                | Input::StopTestTone
                | Input::Clear(_),
            )
            | (
                State::LockedOut { .. },
                Input::Talk(_)
                | Input::TalkOver
                | Input::LetGo
                | Input::Drained { .. }
                | Input::Ready(_)
                | Input::Line { .. }
                | Input::TestTone { .. }
                | Input::StopTestTone
                | Input::Clear(_),
            ) => {}
        }
        self.handle_timeout(now);
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// What is remembered, whatever it is doing.
    fn note(&mut self, input: Input, now: Instant) {
        match input {
            Input::Talk(transmission) => self.talk = Some(transmission),
            Input::TalkOver => self.talk = None,
            Input::Ready(ready) => self.ready = ready,
            Input::Line {
                keyed,
                fault,
                locked,
            } => {
                let before = std::mem::replace(&mut self.line_keyed, keyed);
                if before != keyed || self.line_changed.is_none() {
                    self.line_changed = Some(now);
                }
                self.fault = fault;
                self.locked = locked;
                if keyed && self.keyed.is_none() && self.unkeyed.is_none() {
                    self.unkeyed = Some(now);
                }
            }
            Input::Clear(clear) => self.clear = clear,
            Input::LetGo | Input::Drained { .. } | Input::TestTone { .. } | Input::StopTestTone => {
            }
        }
    }

    fn is_able(&self) -> bool {
        self.ready && !self.fault && !self.locked
    }

    /// Takes up the talk that runs, if one does.
    fn start(&mut self, now: Instant) {
        if self.talk.is_some() {
            self.begin(Sound::Speech, now);
        }
    }

    fn begin(&mut self, sound: Sound, now: Instant) {
        if !self.is_able() || self.rests.is_some_and(|until| now < until) {
            return;
        }
        if self.settings.kind == Kind::Radio {
            let goes_on = self.last.take().filter(|(_, until)| now < *until);
            let counts = goes_on.map_or(now, |(counts, _)| counts.min(now));
            if counts + self.settings.keying.tot <= now {
                return self.time_out(now);
            }
            let lead_over = now + self.settings.keying.lead;
            let permit = self.settings.tones.permit;
            self.keyed = Some(Keyed {
                since: now,
                counts,
                renewed: now,
                lead_over,
                speech: lead_over + if permit { PERMIT } else { Duration::ZERO },
                alerted: false,
            });
            self.unkeyed = None;
            self.renew(now);
        }
        match (sound, self.talk) {
            (Sound::Speech, Some(transmission)) => self.play(transmission, now),
            _ if self.keyed.is_some() => self.state = State::Lead { sound },
            _ => self.tone(sound, now),
        }
    }

    fn play(&mut self, transmission: TransmissionId, now: Instant) {
        let speech = self.keyed.map_or(now, |keyed| keyed.speech.max(now));
        let leads = self.keyed.is_some_and(|keyed| now < keyed.lead_over);
        self.unidentified = true;
        self.state = match leads {
            true => State::Lead {
                sound: Sound::Speech,
            },
            false => State::OnAir,
        };
        let not_before = speech;
        self.order(Order::Play {
            transmission,
            not_before,
        });
    }

    fn drained(&mut self, sound: Sound, now: Instant) {
        let radio = self.settings.kind == Kind::Radio;
        let courtesy = radio && sound == Sound::Speech && self.settings.tones.courtesy;
        match sound {
            Sound::Speech if courtesy => self.tone(Sound::Courtesy, now),
            Sound::Speech | Sound::Courtesy | Sound::Test { .. }
                if self.ident_due().is_some_and(|due| due <= now) =>
            {
                self.tone(Sound::Ident, now);
            }
            Sound::Ident => {
                self.leave_ident(now);
                self.tail(now);
            }
            Sound::Speech | Sound::Courtesy | Sound::Test { .. } => self.tail(now),
        }
    }

    /// When the station has to say who it is, after something that goes to air.
    fn ident_due(&self) -> Option<Instant> {
        let every = self.settings.tones.ident_every;
        let every = every.filter(|_| self.settings.kind == Kind::Radio)?;
        let first = self.keyed.map(|keyed| keyed.since).or(self.latest);
        self.identified.map(|at| at + every).or(first)
    }

    fn tone(&mut self, sound: Sound, now: Instant) {
        self.order(Order::Tone(match sound {
            Sound::Speech => return,
            Sound::Courtesy => Tone::Courtesy,
            Sound::Ident => Tone::Ident,
            Sound::Test { length } => Tone::Test { length },
        }));
        self.unidentified |= sound != Sound::Ident;
        self.drain(sound, now);
    }

    fn drain(&mut self, sound: Sound, now: Instant) {
        self.state = State::Draining { sound, since: now };
    }

    fn tail(&mut self, now: Instant) {
        let tail = match self.keyed {
            Some(_) => self.settings.keying.tail,
            None => Duration::ZERO,
        };
        self.state = State::Tail { until: now + tail };
    }

    fn renew(&mut self, now: Instant) {
        let tot = self.tot();
        if let (Some(keyed), Some(tot)) = (&mut self.keyed, tot) {
            keyed.renewed = now;
            let until = tot.min(now + AHEAD);
            self.order(Order::Key { until });
        }
    }

    fn time_out(&mut self, now: Instant) {
        self.give_up(Duration::ZERO, now);
        let transmission = self.talk;
        // The line has to fall, and to be seen down, even where there is no penalty.
        let penalty = self.settings.keying.tot_penalty.max(REST);
        self.rests = Some(now + REST);
        let until = transmission.is_none().then_some(now + penalty);
        self.state = State::LockedOut { until };
        self.outputs.push_back(Output::TimedOut { transmission });
    }

    /// Off the air at once, whatever was to be played.
    fn give_up(&mut self, same: Duration, now: Instant) {
        self.leave_ident(now);
        self.unkey(same, now);
        self.order(Order::Discard);
    }

    /// The identification is over, said or not: what is not out by itself would be begun again for ever, with nobody
    /// there. Only for whoever talks it gives way, and comes again.
    fn leave_ident(&mut self, now: Instant) {
        let sound = Sound::Ident;
        match self.state {
            State::Lead { sound: s } | State::Draining { sound: s, .. } if s == sound => {
                self.identified = Some(now);
                self.unidentified = false;
            }
            State::Lead { .. }
            | State::Draining { .. }
            | State::Idle
            | State::OnAir
            | State::Tail { .. }
            | State::LockedOut { .. } => {}
        }
    }

    /// What is keyed again within `same` goes on with this key-down.
    fn unkey(&mut self, same: Duration, now: Instant) {
        if let Some(keyed) = self.keyed.take() {
            self.unkeyed = Some(now);
            self.last = Some((keyed.counts, now + same));
            self.order(Order::Unkey);
        }
    }

    fn order(&mut self, order: Order) {
        self.outputs.push_back(Output::Order(order));
    }
}
