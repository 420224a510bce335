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
//!    └────────────────── LockedOut <──────┘ TOT
//! ```
//! Keyed from Lead to Tail. The TOT counts from the key-down, through however many talks. After it, whoever
//! talked has to let go, and then the penalty runs. A line that fails, or sound that goes, unkeys at once; when it is
//! back, a talk that runs is taken up.
//!
//! Key orders reach [`AHEAD`] into the future and never past the TOT: with nobody renewing them the transmitter goes off.
//! A desk is never keyed: no lead, no tail, no TOT.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Kind, Order, Settings, Tone};
use crate::ids::TransmissionId;

#[cfg(test)]
mod tests;

/// How far ahead a key order reaches.
pub const AHEAD: Duration = Duration::from_millis(200);
/// How often it is renewed.
pub const RENEW: Duration = Duration::from_millis(50);
/// The longest test tone.
pub const LONGEST_TEST: Duration = Duration::from_secs(5);
/// Room for the permit tone between lead and speech.
const PERMIT: Duration = Duration::from_millis(100);
/// Sound that has not left the card this long after it should have never will.
const OVERDUE: Duration = Duration::from_secs(1);
/// The longest identification: a slow morse call, a spoken sentence.
const LONGEST_IDENT: Duration = Duration::from_secs(30);
/// A line that is still up so long after it was let go does not obey.
const DISOBEYS: Duration = Duration::from_secs(1);

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
    /// The TOT is over: who talks must be heard by nobody any more.
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
    renewed: Instant,
    /// When the lead is over, and when speech may be heard: the permit tone lies between.
    lead_over: Instant,
    speech: Instant,
    alerted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Deadline {
    Tot,
    Penalty,
    LeadOver,
    Overdue,
    TailOver,
    PreAlert,
    Ident,
    Renew,
}

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

pub struct Keying {
    settings: Arc<Settings>,
    state: State,
    keyed: Option<Keyed>,
    /// What is to be sent, whether it can be or not.
    talk: Option<TransmissionId>,
    ready: bool,
    fault: bool,
    line_keyed: bool,
    unkeyed: Option<Instant>,
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
            line_keyed: false,
            unkeyed: None,
            clear: false,
            overdue: false,
            identified: None,
            unidentified: false,
            latest: None,
            outputs: VecDeque::new(),
        }
    }

    pub fn seen(&self) -> Seen {
        match self.state {
            State::LockedOut { .. } => Seen::LockedOut,
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
            .map(|keyed| keyed.since + self.settings.keying.tot)
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
            () if self.fault => {
                Some("The PTT line does not do what it is told. The transmitter is not used.")
            }
            () if !self.ready && self.settings.kind == Kind::Desk => {
                Some("The sound card of its speaker is not there.")
            }
            () if !self.ready => Some("The transmitter's sound card or PTT line is not there."),
            () if self.overdue => Some("Sound that is to be sent does not leave the sound card."),
            () => None,
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
            // Whatever it was doing, it may not be able to go on.
            (
                State::Lead { .. } | State::OnAir | State::Draining { .. } | State::Tail { .. },
                Input::Ready(_) | Input::Line { .. },
            ) => {
                if !self.is_able() {
                    self.give_up(now);
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
                let until = Some(now + self.settings.keying.tot_penalty);
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

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next_deadline().map(|(at, _)| at)
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        self.latest = Some(now);
        if self.tot().is_some_and(|tot| tot <= now) {
            // Whatever else was due before does not matter any more.
            self.time_out(now);
        }
        while let Some((_, deadline)) = self.next_deadline().filter(|(at, _)| *at <= now) {
            self.serve(deadline, now);
        }
    }

    /// What is remembered, whatever it is doing.
    fn note(&mut self, input: Input, now: Instant) {
        match input {
            Input::Talk(transmission) => self.talk = Some(transmission),
            Input::TalkOver => self.talk = None,
            Input::Ready(ready) => self.ready = ready,
            Input::Line { keyed, fault } => {
                self.line_keyed = keyed;
                self.fault = fault;
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
        self.ready && !self.fault
    }

    /// Takes up the talk that runs, if one does.
    fn start(&mut self, now: Instant) {
        if self.talk.is_some() {
            self.begin(Sound::Speech, now);
        }
    }

    fn begin(&mut self, sound: Sound, now: Instant) {
        if !self.is_able() {
            return;
        }
        if self.settings.kind == Kind::Radio {
            let lead_over = now + self.settings.keying.lead;
            let permit = self.settings.tones.permit;
            self.keyed = Some(Keyed {
                since: now,
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
                self.identified = Some(now);
                self.unidentified = false;
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

    fn next_deadline(&self) -> Option<(Instant, Deadline)> {
        let settings = &self.settings.keying;
        let of_state = match self.state {
            State::Idle => self
                .ident_due()
                .filter(|_| self.unidentified && self.clear && self.is_able())
                .map(|at| (at, Deadline::Ident)),
            State::Lead { .. } => self.keyed.map(|k| (k.lead_over, Deadline::LeadOver)),
            State::OnAir => self.keyed.filter(|keyed| !keyed.alerted).map(|k| {
                (
                    k.since + settings.tot.saturating_sub(settings.tot_alert),
                    Deadline::PreAlert,
                )
            }),
            State::Draining { sound, since } => {
                let length = match sound {
                    Sound::Speech => settings.lead + OVERDUE,
                    Sound::Courtesy => OVERDUE,
                    Sound::Ident => LONGEST_IDENT,
                    Sound::Test { length } => length + OVERDUE,
                };
                Some((since + length, Deadline::Overdue))
            }
            State::Tail { until } => Some((until, Deadline::TailOver)),
            State::LockedOut { until } => until.map(|at| (at, Deadline::Penalty)),
        };
        let of_keyed = self.keyed.map(|k| (k.renewed + RENEW, Deadline::Renew));
        let tot = self.tot().map(|at| (at, Deadline::Tot));
        of_state.into_iter().chain(of_keyed).chain(tot).min()
    }

    fn serve(&mut self, deadline: Deadline, now: Instant) {
        match (self.state, deadline) {
            (_, Deadline::Tot) => self.time_out(now),
            (_, Deadline::Renew) => self.renew(now),
            (State::Lead { sound }, Deadline::LeadOver) => match sound {
                Sound::Speech => {
                    if self.settings.tones.permit {
                        self.order(Order::Tone(Tone::Permit));
                    }
                    self.state = State::OnAir;
                }
                Sound::Courtesy | Sound::Ident | Sound::Test { .. } => self.tone(sound, now),
            },
            (State::Draining { .. }, Deadline::Overdue) => {
                self.overdue = true;
                self.order(Order::Discard);
                self.tail(now);
            }
            (State::Tail { .. }, Deadline::TailOver) => {
                self.unkey(now);
                self.state = State::Idle;
                self.start(now);
            }
            (State::OnAir, Deadline::PreAlert) => {
                self.order(Order::Tone(Tone::PreAlert));
                if let Some(keyed) = &mut self.keyed {
                    keyed.alerted = true;
                    let left = self.tot().map(|tot| tot.saturating_duration_since(now));
                    self.outputs
                        .extend(left.map(|left| Output::Warned { left }));
                }
            }
            (State::LockedOut { .. }, Deadline::Penalty) => {
                self.state = State::Idle;
                self.start(now);
            }
            (State::Idle, Deadline::Ident) => self.begin(Sound::Ident, now),
            // Of another state: `next_deadline` names none of these.
            (
                State::Idle
                | State::Lead { .. }
                | State::OnAir
                | State::Draining { .. }
                | State::Tail { .. }
                | State::LockedOut { .. },
                Deadline::Penalty
                | Deadline::LeadOver
                | Deadline::Overdue
                | Deadline::TailOver
                | Deadline::PreAlert
                | Deadline::Ident,
            ) => {}
        }
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
        self.give_up(now);
        let transmission = self.talk;
        let penalty = self.settings.keying.tot_penalty;
        let until = transmission.is_none().then_some(now + penalty);
        self.state = State::LockedOut { until };
        self.outputs.push_back(Output::TimedOut { transmission });
    }

    /// Off the air at once, whatever was to be played.
    fn give_up(&mut self, now: Instant) {
        self.unkey(now);
        self.order(Order::Discard);
    }

    fn unkey(&mut self, now: Instant) {
        if self.keyed.take().is_some() {
            self.unkeyed = Some(now);
            self.order(Order::Unkey);
        }
    }

    fn order(&mut self, order: Order) {
        self.outputs.push_back(Output::Order(order));
    }
}
