//! What is due when, and what becomes of it.

use std::time::{Duration, Instant};

use super::{Keying, Output, RENEW, SAME, Sound, State};
use crate::radio::{Order, Tone};

/// Sound that has not left the card this long after it should have never will.
const OVERDUE: Duration = Duration::from_secs(1);
/// Of speech the playout buffer may hold more than a second, and the card some.
const SPEECH_OVERDUE: Duration = Duration::from_millis(2_500);
/// The longest identification, half a minute, and what it takes to leave the card.
const LONGEST_IDENT: Duration = Duration::from_secs(32);
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Deadline {
    Tot,
    Penalty,
    Rested,
    LeadOver,
    Overdue,
    TailOver,
    PreAlert,
    Ident,
    Renew,
}

impl Keying {
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

    fn next_deadline(&self) -> Option<(Instant, Deadline)> {
        let settings = &self.settings.keying;
        let of_state = match self.state {
            // It would be sending but for the rest.
            State::Idle if self.talk.is_some() => self
                .rests
                .filter(|_| self.is_able())
                .map(|at| (at, Deadline::Rested)),
            State::Idle => self
                .ident_due()
                .filter(|_| self.unidentified && self.clear && self.is_able())
                .map(|at| {
                    (
                        self.rests.map_or(at, |rests| at.max(rests)),
                        Deadline::Ident,
                    )
                }),
            State::Lead { .. } => self.keyed.map(|k| (k.lead_over, Deadline::LeadOver)),
            State::OnAir => self.keyed.filter(|keyed| !keyed.alerted).map(|k| {
                (
                    k.counts + settings.tot.saturating_sub(settings.tot_alert),
                    Deadline::PreAlert,
                )
            }),
            State::Draining { sound, since } => {
                let length = match sound {
                    Sound::Speech => settings.lead + SPEECH_OVERDUE,
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
                self.leave_ident(now);
                self.order(Order::Discard);
                self.tail(now);
            }
            (State::Tail { .. }, Deadline::TailOver) => {
                self.unkey(SAME, now);
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
            (State::Idle, Deadline::Rested) => self.start(now),
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
                | Deadline::Rested
                | Deadline::LeadOver
                | Deadline::Overdue
                | Deadline::TailOver
                | Deadline::PreAlert
                | Deadline::Ident,
            ) => {}
        }
    }
}
