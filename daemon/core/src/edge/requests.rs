//! A client's requests, each looked at with the roster's eyes before anything else.

use std::time::Instant;

use super::{Edge, Output};
use crate::floor;
use crate::ids::{ChannelId, SessionId, TransportId};
use crate::media::{Command, OfferError};
use crate::wire::signal::{
    ClientMessage, DenyReason, EndReason, ErrorCode, Level, MAX_CANDIDATES, ServerMessage,
};

impl Edge {
    pub(super) fn request(&mut self, session: SessionId, message: ClientMessage, now: Instant) {
        match message {
            ClientMessage::Hello { .. } => self.error(
                session,
                ErrorCode::BadOrder,
                "HELLO is only for the first message",
            ),
            ClientMessage::Join { channel_id, muted } => self.join(session, channel_id, muted, now),
            ClientMessage::Leave { channel_id } => {
                if self.is_joined(session, &channel_id) {
                    self.leave(session, &channel_id, EndReason::Left, now);
                    let showed = self.board.emergencies.on(&channel_id);
                    self.answer(session, ServerMessage::Left { channel_id });
                    if showed {
                        self.send_emergencies(session, now);
                    }
                }
            }
            ClientMessage::WebrtcOffer { channel_id, sdp } => self.offer(session, channel_id, sdp),
            ClientMessage::IceCandidate { channel_id, .. } => self.candidate(session, channel_id),
            ClientMessage::Start { channel_id, level } => {
                self.start(session, channel_id, level, now)
            }
            ClientMessage::Stop { channel_id } => self.stop(session, channel_id, now),
            ClientMessage::Mute { channel_id } => self.mute(session, channel_id, true),
            ClientMessage::Unmute { channel_id } => self.mute(session, channel_id, false),
            ClientMessage::Presence { state } => {
                self.set_presence(session, state, now);
                self.answer(session, ServerMessage::Presence { state });
            }
            ClientMessage::Ping {} => self.answer(session, ServerMessage::Pong {}),
            ClientMessage::EndTalk {
                channel_id,
                transmission_id,
            } => self.end_talk(session, channel_id, transmission_id, now),
            ClientMessage::Silence {
                channel_id,
                user_id,
                minutes,
            } => self.silence(session, channel_id, user_id, minutes, now),
            ClientMessage::CallMe { channel_id } => self.call_me(session, channel_id, now),
            ClientMessage::CancelCall { call_id } => self.cancel_call(session, call_id),
            ClientMessage::TakeCall { call_id } => self.take_call(session, call_id),
            ClientMessage::CloseCall { call_id } => self.close_call(session, call_id),
            ClientMessage::RaiseEmergency { channel_id } => {
                self.raise_emergency(session, channel_id, now)
            }
            ClientMessage::AcknowledgeEmergency { emergency_id } => {
                self.acknowledge_emergency(session, emergency_id)
            }
            ClientMessage::ClearEmergency { emergency_id } => {
                self.clear_emergency(session, emergency_id)
            }
            ClientMessage::TakePosition { position_id } => self.take_position(session, position_id),
            ClientMessage::LeavePosition {} => self.leave_position(session),
            ClientMessage::RemovePosition { position_id } => {
                self.remove_position(session, position_id)
            }
            ClientMessage::SavePosition { layout } => self.save_position(session, &layout),
        }
    }

    fn join(&mut self, session: SessionId, channel: ChannelId, muted: bool, now: Instant) {
        if !self.rights(session, &channel).is_some_and(|r| r.listen) {
            return self.not_authorized(session, channel);
        }
        let limit = self.channel_limit(session);
        let Some(s) = self.sessions.get_mut(&session) else {
            return;
        };
        let again = s.joined.contains_key(&channel);
        if !again && s.joined.len() >= limit {
            let message = format!("no more than {limit} channels at a time");
            return self.error(session, ErrorCode::TooMany, &message);
        }
        s.joined.entry(channel.clone()).or_default();
        self.pause(session, &channel, muted);
        if let Some(c) = self.channels.get_mut(&channel) {
            c.members.insert(session);
        }
        self.send_joined(session, &channel, now);
        if !again {
            self.announce_on(session, &channel, now);
        }
        if self.board.emergencies.on(&channel) {
            self.send_emergencies(session, now);
        }
    }

    pub(super) fn send_joined(&mut self, session: SessionId, channel: &ChannelId, now: Instant) {
        let Some(c) = self.channels.get(channel) else {
            return;
        };
        let members = c
            .members
            .iter()
            .filter_map(|id| self.member(*id, channel, now))
            .chain(self.radio_members(channel, now))
            .collect();
        let message = ServerMessage::Joined {
            channel_id: channel.clone(),
            members,
            muted: self
                .sessions
                .get(&session)
                .and_then(|s| s.joined.get(channel))
                .is_some_and(|j| j.muted),
            talk: self.talk(channel, now),
            recent: c.recent.iter().cloned().collect(),
        };
        self.answer(session, message);
    }

    fn offer(&mut self, session: SessionId, channel: ChannelId, sdp: String) {
        if !self.is_joined(session, &channel) {
            return;
        }
        self.next_transport += 1;
        let transport = TransportId(self.next_transport);
        let request = self.answering.take().and_then(|(_, id)| id);
        let Some(joined) = self.joined_mut(session, &channel) else {
            return;
        };
        joined.candidates = 0;
        let before = joined.building.replace((transport, request));
        if let Some((before, _)) = before {
            self.forget_transport(before);
        }
        self.transports.insert(transport, (session, channel));
        self.outputs.push_back(Output::Build { transport, sdp });
    }

    fn candidate(&mut self, session: SessionId, channel_id: ChannelId) {
        if !self.is_joined(session, &channel_id) {
            return;
        }
        let Some(joined) = self.joined_mut(session, &channel_id) else {
            return;
        };
        joined.candidates += 1;
        if joined.candidates > MAX_CANDIDATES {
            let message = format!("no more than {MAX_CANDIDATES} candidates for an offer");
            return self.error(session, ErrorCode::TooMany, &message);
        }
        self.answer(session, ServerMessage::IceCandidate { channel_id });
    }

    fn start(&mut self, session: SessionId, channel_id: ChannelId, level: Level, now: Instant) {
        let Some(rights) = self.rights(session, &channel_id) else {
            return self.not_authorized(session, channel_id);
        };
        let may = rights.talk && self.may_use(session, level);
        let connected = self
            .joined_mut(session, &channel_id)
            .is_some_and(|j| j.connected);
        // Nobody is kept from saying what has happened in an emergency of theirs.
        let heard_anyway = level == Level::Emergency && self.has_raised(session, &channel_id);
        let silenced = !heard_anyway && self.is_silenced(session, &channel_id, now);
        let reason = match (may, silenced, connected) {
            (false, _, _) => DenyReason::NoRight,
            (true, true, _) => DenyReason::Silenced,
            (true, false, false) => DenyReason::NotConnected,
            (true, false, true) => {
                let who = session.into();
                return self.floor(&channel_id, floor::Input::Request { who, level }, now);
            }
        };
        tracing::debug!(%session, channel = %channel_id, ?level, ?reason, "floor denied");
        let talk = None;
        let message = ServerMessage::StartFailed {
            channel_id,
            reason,
            talk,
        };
        self.answer(session, message);
    }

    fn stop(&mut self, session: SessionId, channel_id: ChannelId, now: Instant) {
        if !self.is_joined(session, &channel_id) {
            return;
        }
        let who = session.into();
        self.stopping = Some((session, None));
        self.floor(&channel_id, floor::Input::Release { who }, now);
        let ended = self.stopping.take().and_then(|(_, ended)| ended);
        let message = ServerMessage::Stop {
            channel_id,
            transmission_id: ended.map(|(transmission, _)| transmission),
            reason: ended.map_or(EndReason::Released, |(_, reason)| reason),
        };
        self.answer(session, message);
    }

    fn mute(&mut self, session: SessionId, channel_id: ChannelId, muted: bool) {
        if !self.is_joined(session, &channel_id) {
            return;
        }
        self.pause(session, &channel_id, muted);
        let message = match muted {
            true => ServerMessage::Mute { channel_id },
            false => ServerMessage::Unmute { channel_id },
        };
        self.answer(session, message);
    }

    fn pause(&mut self, session: SessionId, channel: &ChannelId, paused: bool) {
        let Some(joined) = self.joined_mut(session, channel) else {
            return;
        };
        if std::mem::replace(&mut joined.muted, paused) != paused
            && let Some(transport) = joined.transport
        {
            let command = Command::Pause { transport, paused };
            self.outputs.push_back(Output::Media(command));
        }
    }

    /// False, and the client told, where the channel is not joined. A channel that may not be joined gets
    /// the answer of one that does not exist.
    fn is_joined(&mut self, session: SessionId, channel: &ChannelId) -> bool {
        let joined = self.joined_mut(session, channel).is_some();
        if !joined {
            match self.rights(session, channel) {
                Some(_) => self.error(session, ErrorCode::NotJoined, "JOIN the channel first"),
                None => self.not_authorized(session, channel.clone()),
            }
        }
        joined
    }

    pub(super) fn bad_offer(&mut self, session: SessionId, error: &OfferError) {
        self.error(session, ErrorCode::BadOffer, &error.to_string());
    }

    pub(super) fn not_authorized(&mut self, session: SessionId, channel_id: ChannelId) {
        self.answer(session, ServerMessage::NotAuthorized { channel_id });
    }

    pub(super) fn error(&mut self, session: SessionId, code: ErrorCode, message: &str) {
        let message = message.to_string();
        self.answer(session, ServerMessage::Error { code, message });
    }
}
