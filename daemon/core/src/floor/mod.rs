//! The floor of one channel: who may talk, who waits, and when a talker's time is over.
//!
//! ```text
//!            request                     talk limit
//!   Idle ──────────────> Taken ───────────────────────> Ending
//!    ^                   │ │ ^                          (grace: still heard, floor already lost)
//!    │    nobody waits   │ │ │ next of the queue,            │
//!    ├───────────────────┘ └─┤ or a higher level             │
//!    └───────────────────────┴───────────────────────────────┘
//!      let go · left · removed · socket lost 3 s · no media 2 s · silence 4 s · grace over
//! ```
//!
//! At no time have two participants been granted the floor without the first having been revoked or
//! having ended before; `route` always names the one who is heard. Rights are not looked at here: who
//! asks may.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::authority::{FloorPolicy, FloorSettings};
use crate::ids::{ParticipantId, TransmissionId};
use crate::wire::signal::{DenyReason, EndReason, Level};

#[cfg(test)]
mod tests;

/// A grant without a first packet within this time is taken back, a queued one as well.
pub const FIRST_PACKET: Duration = Duration::from_secs(2);
/// How long a talker whose WebSocket was lost keeps the floor, so that a roaming phone can come back.
pub const LOST_SOCKET: Duration = Duration::from_secs(3);
/// How long before the talk limit the talker is warned; half the limit where that is shorter.
pub const WARNING: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The button went down. Asking again while holding or waiting answers the same.
    Request {
        who: ParticipantId,
        level: Level,
    },
    /// The button was let go.
    Release {
        who: ParticipantId,
    },
    /// Packets arrive from this participant.
    MediaFlows {
        who: ParticipantId,
    },
    /// No packet has arrived from this participant since then.
    MediaStalled {
        who: ParticipantId,
        since: Instant,
    },
    SocketLost {
        who: ParticipantId,
    },
    SocketBack {
        who: ParticipantId,
    },
    /// This participant left the channel, closed its connection or may no longer talk.
    Gone {
        who: ParticipantId,
        reason: EndReason,
    },
    /// A dispatcher ends this one's talk, or its waiting.
    End {
        who: ParticipantId,
        reason: EndReason,
    },
    Settings(FloorSettings),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    Granted {
        to: ParticipantId,
        transmission: TransmissionId,
        level: Level,
        left: Duration,
        /// It asked again while holding: nothing has changed but perhaps its level.
        again: bool,
    },
    Denied {
        to: ParticipantId,
        reason: DenyReason,
    },
    /// 1 is next.
    Queued {
        to: ParticipantId,
        position: u32,
        waiting: u32,
    },
    Warned {
        to: ParticipantId,
        transmission: TransmissionId,
        left: Duration,
    },
    Revoked {
        from: ParticipantId,
        transmission: TransmissionId,
        reason: EndReason,
        grace: Duration,
    },
    /// Everyone on the channel learns who talks; once more where the talker raised the level.
    Taken {
        by: ParticipantId,
        transmission: TransmissionId,
        level: Level,
    },
    /// Everyone on the channel learns that this is over.
    Ended {
        by: ParticipantId,
        transmission: TransmissionId,
        reason: EndReason,
    },
    /// From now on this one is heard, and nobody else.
    Route(Option<Talk>),
}

/// Hands out the numbers of transmissions, the same for all floors.
#[derive(Clone, Debug)]
pub struct TransmissionIds(Arc<AtomicU64>);

impl TransmissionIds {
    pub fn starting_at(first: TransmissionId) -> Self {
        TransmissionIds(Arc::new(AtomicU64::new(first.0)))
    }

    fn next(&self) -> TransmissionId {
        TransmissionId(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// A running transmission.
#[derive(Clone, Debug, PartialEq)]
pub struct Talk {
    pub who: ParticipantId,
    pub level: Level,
    pub transmission: TransmissionId,
    pub since: Instant,
    media: Media,
    socket_lost: Option<Instant>,
    warned: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Media {
    Awaited,
    Flows,
    Stalled { since: Instant },
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    Idle,
    Taken(Talk),
    Ending {
        talk: Talk,
        reason: EndReason,
        until: Instant,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Waiting {
    who: ParticipantId,
    level: Level,
}

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Deadline {
    GraceOver,
    NoMedia,
    Silence,
    SocketLost,
    TalkLimit,
    Warning,
}

pub struct Floor {
    settings: FloorSettings,
    state: State,
    /// Higher levels first, then who asked first.
    queue: Vec<Waiting>,
    /// Who lost the floor while pressing: asking counts again once they have let go.
    must_release: BTreeSet<ParticipantId>,
    transmissions: TransmissionIds,
    outputs: VecDeque<Output>,
}

impl Floor {
    pub fn new(settings: FloorSettings, transmissions: TransmissionIds) -> Self {
        Floor {
            settings,
            state: State::Idle,
            queue: Vec::new(),
            must_release: BTreeSet::new(),
            transmissions,
            outputs: VecDeque::new(),
        }
    }

    pub fn settings(&self) -> &FloorSettings {
        &self.settings
    }

    /// Who is heard now: the holder, or the one whose grace is running.
    pub fn talk(&self) -> Option<&Talk> {
        match &self.state {
            State::Idle => None,
            State::Taken(talk) | State::Ending { talk, .. } => Some(talk),
        }
    }

    /// The level this one holds the floor with, or waits for it.
    pub fn level_of(&self, who: ParticipantId) -> Option<Level> {
        let talk = self.talk().filter(|talk| talk.who == who);
        let waits = || self.queue.iter().find(|w| w.who == who);
        talk.map(|talk| talk.level)
            .or_else(|| waits().map(|w| w.level))
    }

    /// Whether this one lost the floor and has not let go since.
    pub fn must_let_go(&self, who: ParticipantId) -> bool {
        self.must_release.contains(&who)
    }

    /// Everyone who holds the floor or waits for it, and with which level.
    pub fn participants(&self) -> impl Iterator<Item = (ParticipantId, Level)> {
        let talk = self.talk().map(|talk| (talk.who, talk.level));
        talk.into_iter()
            .chain(self.queue.iter().map(|w| (w.who, w.level)))
    }

    pub fn handle(&mut self, input: Input, now: Instant) {
        self.handle_timeout(now);
        match input {
            Input::Request { who, level } => self.request(who, level, now),
            Input::Release { who } => {
                self.must_release.remove(&who);
                self.stop(who, EndReason::Released, now);
            }
            Input::Gone { who, reason } => {
                self.stop(who, reason, now);
                self.must_release.remove(&who);
            }
            Input::End { who, reason } => self.stop(who, reason, now),
            Input::MediaFlows { who } => self.of_talker(who, |talk| talk.media = Media::Flows),
            Input::MediaStalled { who, since } => self.of_talker(who, |talk| {
                // Silence before the grant is no silence of this transmission, and one that goes on counts
                // from its beginning.
                if talk.media == Media::Flows {
                    talk.media = Media::Stalled { since };
                }
            }),
            Input::SocketLost { who } => {
                // Whoever waits cannot be told of a grant; the page asks again when it is back.
                self.leave_queue(who);
                self.of_talker(who, |talk| talk.socket_lost = Some(now));
            }
            Input::SocketBack { who } => self.of_talker(who, |talk| talk.socket_lost = None),
            Input::Settings(settings) => {
                self.settings = settings;
                while self.queue.len() > self.queue_depth() {
                    self.deny_last();
                }
                // A shorter talk limit may be over already.
                self.handle_timeout(now);
            }
        }
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next_deadline().map(|(at, _)| at)
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((at, deadline)) = self.next_deadline() {
            if at > now {
                break;
            }
            self.serve(deadline, now);
        }
    }

    fn request(&mut self, who: ParticipantId, level: Level, now: Instant) {
        if self.must_release.contains(&who) {
            return self.deny(who, DenyReason::ReleaseFirst);
        }
        match &mut self.state {
            State::Idle => self.grant(who, level, now),
            State::Taken(talk) if talk.who == who => {
                let raised = level > talk.level;
                talk.level = talk.level.max(level);
                let left = (talk.since + self.settings.talk_limit).saturating_duration_since(now);
                let again = Output::Granted {
                    to: who,
                    transmission: talk.transmission,
                    level: talk.level,
                    left,
                    again: true,
                };
                self.outputs.push_back(again);
                if raised {
                    let taken = Output::Taken {
                        by: who,
                        transmission: talk.transmission,
                        level: talk.level,
                    };
                    self.outputs.push_back(taken);
                }
            }
            State::Taken(talk) | State::Ending { talk, .. } => {
                if self.settings.policy == FloorPolicy::Preempt && level > talk.level {
                    self.leave_queue(who);
                    self.end(EndReason::Preempted);
                    self.grant(who, level, now);
                } else {
                    self.wait(who, level);
                }
            }
        }
    }

    fn wait(&mut self, who: ParticipantId, level: Level) {
        if let Some(at) = self.queue.iter().position(|w| w.who == who) {
            if level <= self.queue[at].level {
                return self.tell_places(at);
            }
            self.queue.remove(at);
        }
        let depth = self.queue_depth();
        if depth == 0 {
            return self.deny(who, DenyReason::Busy);
        }
        let place = self
            .queue
            .iter()
            .position(|w| w.level < level)
            .unwrap_or(self.queue.len());
        if place >= depth {
            return self.deny(who, DenyReason::QueueFull);
        }
        if self.queue.len() >= depth {
            self.deny_last();
        }
        self.queue.insert(place, Waiting { who, level });
        self.tell_places(place);
    }

    /// Whoever lets go, goes or is sent away: the floor passes on, or the queue closes up.
    fn stop(&mut self, who: ParticipantId, reason: EndReason, now: Instant) {
        self.leave_queue(who);
        if self.talk().is_some_and(|talk| talk.who == who) {
            self.end(reason);
            self.grant_next(now);
        }
    }

    fn serve(&mut self, deadline: Deadline, now: Instant) {
        let limit = self.settings.talk_limit;
        let grace = self.settings.grace;
        match (&mut self.state, deadline) {
            (State::Taken(talk), Deadline::Warning) => {
                talk.warned = true;
                let warned = Output::Warned {
                    to: talk.who,
                    transmission: talk.transmission,
                    left: (talk.since + limit).saturating_duration_since(now),
                };
                self.outputs.push_back(warned);
            }
            (State::Taken(talk), Deadline::TalkLimit) => {
                let talk = talk.clone();
                self.must_release.insert(talk.who);
                self.outputs.push_back(Output::Revoked {
                    from: talk.who,
                    transmission: talk.transmission,
                    reason: EndReason::TalkLimit,
                    grace,
                });
                // From the limit, not from now: a late call must not lengthen a transmission.
                let until = talk.since + limit + grace;
                self.state = State::Ending {
                    talk,
                    reason: EndReason::TalkLimit,
                    until,
                };
            }
            (_, Deadline::NoMedia) => self.expire(EndReason::NoMedia, now),
            (_, Deadline::Silence) => self.expire(EndReason::Silence, now),
            (_, Deadline::SocketLost) => self.expire(EndReason::Disconnected, now),
            (_, Deadline::GraceOver | Deadline::Warning | Deadline::TalkLimit) => {
                self.expire(EndReason::TalkLimit, now)
            }
        }
    }

    fn expire(&mut self, reason: EndReason, now: Instant) {
        self.end(reason);
        self.grant_next(now);
    }

    /// Takes the floor from whoever has it. A talker who did not end it is told, and must let go before
    /// asking again; one whose socket was lost asks anew when it is back.
    fn end(&mut self, reason: EndReason) {
        let (talk, reason) = match std::mem::replace(&mut self.state, State::Idle) {
            State::Idle => return,
            State::Taken(talk) => {
                match reason {
                    EndReason::Released | EndReason::Left | EndReason::Disconnected => {}
                    EndReason::Preempted
                    | EndReason::TalkLimit
                    | EndReason::NoMedia
                    | EndReason::Silence
                    | EndReason::Ended
                    | EndReason::Silenced => {
                        self.must_release.insert(talk.who);
                        self.revoked(&talk, reason);
                    }
                    EndReason::Removed => self.revoked(&talk, reason),
                }
                (talk, reason)
            }
            State::Ending { talk, reason, .. } => (talk, reason),
        };
        self.outputs.push_back(Output::Route(None));
        self.outputs.push_back(Output::Ended {
            by: talk.who,
            transmission: talk.transmission,
            reason,
        });
    }

    fn revoked(&mut self, talk: &Talk, reason: EndReason) {
        self.outputs.push_back(Output::Revoked {
            from: talk.who,
            transmission: talk.transmission,
            reason,
            grace: Duration::ZERO,
        });
    }

    fn grant_next(&mut self, now: Instant) {
        if !self.queue.is_empty() {
            let next = self.queue.remove(0);
            self.grant(next.who, next.level, now);
            self.tell_places(0);
        }
    }

    fn grant(&mut self, who: ParticipantId, level: Level, now: Instant) {
        let transmission = self.transmissions.next();
        let talk = Talk {
            who,
            level,
            transmission,
            since: now,
            media: Media::Awaited,
            socket_lost: None,
            warned: false,
        };
        self.state = State::Taken(talk.clone());
        self.outputs.extend([
            Output::Route(Some(talk)),
            Output::Granted {
                to: who,
                transmission,
                level,
                left: self.settings.talk_limit,
                again: false,
            },
            Output::Taken {
                by: who,
                transmission,
                level,
            },
        ]);
    }

    fn next_deadline(&self) -> Option<(Instant, Deadline)> {
        match &self.state {
            State::Idle => None,
            State::Ending { until, .. } => Some((*until, Deadline::GraceOver)),
            State::Taken(talk) => {
                let limit = self.settings.talk_limit;
                let media = match talk.media {
                    Media::Awaited => Some((talk.since + FIRST_PACKET, Deadline::NoMedia)),
                    Media::Flows => None,
                    Media::Stalled { since } => {
                        Some((since + self.settings.silence, Deadline::Silence))
                    }
                };
                let socket = talk
                    .socket_lost
                    .map(|since| (since + LOST_SOCKET, Deadline::SocketLost));
                let warning = (!talk.warned).then(|| {
                    (
                        talk.since + limit - WARNING.min(limit / 2),
                        Deadline::Warning,
                    )
                });
                [
                    media,
                    socket,
                    warning,
                    Some((talk.since + limit, Deadline::TalkLimit)),
                ]
                .into_iter()
                .flatten()
                .min()
            }
        }
    }

    fn of_talker(&mut self, who: ParticipantId, change: impl FnOnce(&mut Talk)) {
        if let State::Taken(talk) = &mut self.state
            && talk.who == who
        {
            change(talk);
        }
    }

    fn queue_depth(&self) -> usize {
        match self.settings.policy {
            FloorPolicy::Deny => 0,
            FloorPolicy::Preempt | FloorPolicy::Queue => self.settings.queue_depth as usize,
        }
    }

    fn leave_queue(&mut self, who: ParticipantId) {
        if let Some(at) = self.queue.iter().position(|w| w.who == who) {
            self.queue.remove(at);
            self.tell_places(0);
        }
    }

    fn deny_last(&mut self) {
        if let Some(last) = self.queue.pop() {
            self.deny(last.who, DenyReason::QueueFull);
        }
    }

    fn deny(&mut self, to: ParticipantId, reason: DenyReason) {
        self.outputs.push_back(Output::Denied { to, reason });
    }

    /// Tells their place to all who wait, and first to the one at `changed`, whose request this answers.
    fn tell_places(&mut self, changed: usize) {
        let waiting = self.queue.len() as u32;
        let place = |(at, w): (usize, &Waiting)| Output::Queued {
            to: w.who,
            position: at as u32 + 1,
            waiting,
        };
        let told = self.queue.iter().enumerate();
        self.outputs
            .extend(told.clone().filter(|(at, _)| *at == changed).map(place));
        self.outputs
            .extend(told.filter(|(at, _)| *at != changed).map(place));
    }
}
