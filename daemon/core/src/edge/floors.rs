//! What a floor decides, carried to those it concerns: its words to sessions, its route to the shards.

use std::time::Instant;

use super::{Edge, Happening, Output, Running};
use crate::floor::{self, Output as Floor};
use crate::ids::{ChannelId, ParticipantId, SessionId};
use crate::media::Command;
use crate::wire::signal::{EndReason, PastTalk, ServerMessage};

/// Transmissions a newcomer is told of.
const RECENT: usize = 10;

impl Edge {
    pub(super) fn floor(&mut self, channel: &ChannelId, input: floor::Input, now: Instant) {
        if let Some(c) = self.channels.get_mut(channel) {
            c.floor.handle(input, now);
            self.tell_floor(channel, now);
        }
    }

    pub(super) fn gone_from_floor(
        &mut self,
        who: ParticipantId,
        channel: &ChannelId,
        reason: EndReason,
        now: Instant,
    ) {
        self.floor(channel, floor::Input::Gone { who, reason }, now);
    }

    pub(super) fn media_stalled(&mut self, session: SessionId, channel: &ChannelId, now: Instant) {
        let who = session.into();
        self.floor(channel, floor::Input::MediaStalled { who, since: now }, now);
    }

    pub(super) fn route_again(&mut self, session: SessionId, channel: &ChannelId) {
        let talk = self.channels.get(channel).and_then(|c| c.floor.talk());
        if talk.is_some_and(|talk| talk.who == session.into()) {
            self.route(channel, Some(session.into()));
        }
    }

    pub(super) fn tell_floor(&mut self, channel: &ChannelId, now: Instant) {
        while let Some(output) = self
            .channels
            .get_mut(channel)
            .and_then(|c| c.floor.poll_output())
        {
            self.tell(channel, output, now);
        }
    }

    fn tell(&mut self, channel: &ChannelId, output: Floor, now: Instant) {
        let channel_id = channel.clone();
        match output {
            Floor::Granted {
                to,
                transmission,
                level,
                left,
                again,
            } => {
                if !again {
                    tracing::info!(%channel, who = %to, %transmission, ?level, "floor granted");
                    self.counters.granted += 1;
                }
                let to = match to {
                    ParticipantId::Session(to) => to,
                    ParticipantId::Radio(_) if again => return,
                    ParticipantId::Radio(to) => return self.radio_granted(to, transmission, now),
                };
                let message = ServerMessage::StartSuccess {
                    channel_id,
                    transmission_id: transmission,
                    level,
                    limit_ms: left.as_millis() as u64,
                };
                self.answer(to, message);
            }
            Floor::Denied { to, reason } => {
                tracing::debug!(%channel, who = %to, ?reason, "floor denied");
                self.counters.denied += 1;
                let to = match to {
                    ParticipantId::Session(to) => to,
                    ParticipantId::Radio(to) => return self.radio_denied(to, reason, now),
                };
                let talk = self.talk(channel, now);
                let message = ServerMessage::StartFailed {
                    channel_id,
                    reason,
                    talk,
                };
                self.answer(to, message);
            }
            Floor::Queued {
                to,
                position,
                waiting,
            } => {
                let to = match to {
                    ParticipantId::Session(to) => to,
                    ParticipantId::Radio(to) => return self.radio_queued(to),
                };
                let message = ServerMessage::Queued {
                    channel_id,
                    position,
                    waiting,
                };
                self.answer(to, message);
            }
            Floor::Warned {
                to,
                transmission,
                left,
            } => {
                // Nobody at a radio or a desk reads it.
                let ParticipantId::Session(to) = to else {
                    return;
                };
                let message = ServerMessage::LimitWarning {
                    channel_id,
                    transmission_id: transmission,
                    left_ms: left.as_millis() as u64,
                };
                self.send(to, message);
            }
            Floor::Revoked {
                from,
                transmission,
                reason,
                grace,
            } => {
                tracing::info!(%channel, who = %from, %transmission, ?reason, "floor revoked");
                self.counters.revoked += 1;
                let from = match from {
                    ParticipantId::Session(from) => from,
                    ParticipantId::Radio(from) => {
                        return self.radio_revoked(from, now + grace, now);
                    }
                };
                let message = ServerMessage::Revoked {
                    channel_id,
                    transmission_id: transmission,
                    reason,
                    grace_ms: grace.as_millis() as u64,
                };
                self.send(from, message);
            }
            Floor::Taken { by, level, .. } => {
                let running = self.channels.get_mut(channel).map(|c| &mut c.running);
                if let Some(Some(running)) = running {
                    running.level = level;
                }
                if let Some(talk) = self.talk(channel, now) {
                    let message = ServerMessage::Start { channel_id, talk };
                    self.broadcast(channel, session(by), &message);
                }
            }
            Floor::Ended {
                by,
                transmission,
                reason,
            } => {
                tracing::info!(%channel, who = %by, %transmission, ?reason, "transmission over");
                let message = ServerMessage::Stop {
                    channel_id,
                    transmission_id: Some(transmission),
                    reason,
                };
                // Who let go gets this as the answer.
                let answered = self
                    .stopping
                    .as_mut()
                    .filter(|(s, _)| Some(*s) == session(by));
                let but = answered.map(|(session, ended)| {
                    *ended = Some((transmission, reason));
                    *session
                });
                self.broadcast(channel, but, &message);
                self.talk_ended(channel, reason, now);
            }
            Floor::Route(talk) => {
                self.follow_talk_on(channel, now);
                let talker = talk.map(|talk| self.talk_begins(channel, &talk));
                self.route(channel, talker);
            }
        }
    }

    /// The recorder has to know whose packets come before they do.
    fn talk_begins(&mut self, channel: &ChannelId, talk: &floor::Talk) -> ParticipantId {
        let mut since = talk.since;
        if let ParticipantId::Radio(radio) = talk.who {
            self.watch_for_loops(channel, radio, talk.since);
            // Its first packets are from before the grant: a recording has to have room for them.
            since = self.heard_since(radio, talk.since).unwrap_or(since);
        }
        let talker = self.participant(talk.who);
        let (Some(talker), Some(c)) = (talker, self.channels.get_mut(channel)) else {
            return talk.who;
        };
        c.running = Some(Running {
            transmission: talk.transmission,
            talker: talker.clone(),
            level: talk.level,
            since,
        });
        let began = Happening::TalkBegan {
            transmission: talk.transmission,
            channel: channel.clone(),
            route: c.route,
            talker,
            level: talk.level,
            at: since,
        };
        self.happened(began);
        talk.who
    }

    fn talk_ended(&mut self, channel: &ChannelId, reason: EndReason, now: Instant) {
        let began = |at: Instant| self.utc_ms(at);
        let running = self.channels.get(channel).and_then(|c| c.running.as_ref());
        let began = running.map(|talk| began(talk.since));
        let Some(c) = self.channels.get_mut(channel) else {
            return;
        };
        let (Some(talk), Some(began)) = (c.running.take(), began) else {
            return;
        };
        let duration = now.saturating_duration_since(talk.since);
        if c.recent.len() >= RECENT {
            c.recent.pop_front();
        }
        c.recent.push_back(PastTalk {
            transmission_id: talk.transmission,
            talker: talk.talker.clone(),
            level: talk.level,
            began,
            duration_ms: duration.as_millis() as u64,
            reason,
        });
        self.happened(Happening::TalkEnded {
            transmission: talk.transmission,
            channel: channel.clone(),
            talker: talk.talker,
            reason,
            duration,
            at: now,
        });
    }

    fn route(&mut self, channel: &ChannelId, talker: Option<ParticipantId>) {
        let transport = talker.and_then(|talker| match talker {
            ParticipantId::Session(session) => {
                self.sessions.get(&session)?.joined.get(channel)?.transport
            }
            ParticipantId::Radio(radio) => self.radio_transport(radio),
        });
        if let Some(c) = self.channels.get(channel) {
            let running = c.running.as_ref().filter(|_| talker.is_some());
            let command = Command::Talker {
                route: c.route,
                transport,
                transmission: running.map(|talk| talk.transmission),
            };
            self.outputs.push_back(Output::Media(command));
        }
    }
}

fn session(who: ParticipantId) -> Option<SessionId> {
    match who {
        ParticipantId::Session(session) => Some(session),
        ParticipantId::Radio(_) => None,
    }
}
