//! A session's life: signed in, joined, lost and taken up again, gone.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use super::{ConnectionId, Edge, Happening, Output, Session, without_talk};
use crate::dispatch::Owner;
use crate::floor;
use crate::ids::{ChannelId, SessionId, UserId};
use crate::wire::signal::{
    ByeReason, EndReason, ErrorCode, Limits, Presence, Reply, RequestId, ServerMessage,
};

/// Whoever has come in.
pub(super) struct SignedIn {
    pub connection: ConnectionId,
    pub user: UserId,
    pub address: IpAddr,
    pub resume: Option<String>,
    pub secret: String,
    pub device: Option<String>,
    pub device_id: String,
}

impl Edge {
    pub(super) fn sign_in(&mut self, new: SignedIn, request: Option<RequestId>, now: Instant) {
        let SignedIn {
            connection,
            user,
            address,
            resume,
            secret,
            device,
            device_id,
        } = new;
        let since = self.utc_ms(now);
        let Some(on_roster) = self.roster.users.get(&user) else {
            // Taken off the roster while signing in.
            self.bye(connection, ByeReason::Removed);
            return;
        };
        let before = resume.and_then(|resume| {
            let same = |(_, s): &(&SessionId, &Session)| s.resume == resume && s.user == user;
            self.sessions.iter().find(same).map(|(id, _)| *id)
        });
        let of_user = self.sessions.values().filter(|s| s.user == user).count();
        if before.is_none() && of_user >= self.settings.user_sessions {
            tracing::info!(%user, of_user, "as many devices of this user are signed in as may be");
            return self.too_many_sessions(connection, request, of_user);
        }
        let session = before.unwrap_or_else(|| {
            let id = SessionId(self.next_session);
            self.next_session += 1;
            let session = Session {
                user: user.clone(),
                name: on_roster.name.clone(),
                role: on_roster.role,
                device_id: device_id.clone(),
                address,
                since,
                connection: None,
                lost: None,
                resume: secret,
                presence: Presence::Awake,
                joined: BTreeMap::new(),
                told: Vec::new(),
            };
            self.sessions.insert(id, session);
            id
        });
        if before.is_none() {
            self.caller_changed(&user);
        }
        tracing::info!(%session, %user, resumed = before.is_some(), "signed in");
        self.happened(Happening::SignedIn {
            session,
            user,
            address,
            resumed: before.is_some(),
        });
        self.connections.insert(connection, session);
        if let Some(s) = self.sessions.get_mut(&session) {
            s.address = address;
            s.device_id = device_id;
        }
        self.answering = Some((session, request));
        self.welcome(session, connection, before.is_some(), device, now);
        if before.is_some() {
            self.resumed(session, now);
        }
        self.answering = None;
    }

    fn too_many_sessions(&mut self, connection: ConnectionId, id: Option<RequestId>, count: usize) {
        let message = ServerMessage::Error {
            code: ErrorCode::TooMany,
            message: format!(
                "You are signed in on {count} devices already. Close the page on one of them."
            ),
        };
        let reply = Box::new(Reply { id, message });
        self.outputs.push_back(Output::Send { connection, reply });
        self.outputs.push_back(Output::Close { connection });
    }

    fn welcome(
        &mut self,
        session: SessionId,
        connection: ConnectionId,
        resumed: bool,
        device: Option<String>,
        now: Instant,
    ) {
        let Some(s) = self.sessions.get_mut(&session) else {
            return;
        };
        if let Some(old) = s.connection.replace(connection) {
            self.connections.remove(&old);
            self.bye(old, ByeReason::Resumed);
        }
        let channels = self.entries(session, now);
        let limits = Limits {
            channels: self.channel_limit(session),
            ..self.settings.limits
        };
        let Some(s) = self.sessions.get_mut(&session) else {
            return;
        };
        if let Some(lost) = s.lost.take() {
            self.lost.remove(&(lost, session));
        }
        s.told = without_talk(&channels);
        let welcome = ServerMessage::Welcome {
            session_id: session,
            resume: s.resume.clone(),
            resumed,
            user: s.person(session),
            gateway: self.settings.gateway.clone(),
            version: self.settings.version.clone(),
            channels,
            ice_servers: self.settings.ice_servers.clone(),
            limits,
            device,
        };
        self.answer(session, welcome);
        self.send_lists(session, now);
    }

    /// After WELCOME: the device learns where its session stands, the others that it is back.
    fn resumed(&mut self, session: SessionId, now: Instant) {
        for channel in self.joined_channels(session) {
            self.floor(
                &channel,
                floor::Input::SocketBack {
                    who: session.into(),
                },
                now,
            );
            self.send_joined(session, &channel, now);
        }
        self.send_emergencies(session, now);
        self.set_presence(session, Presence::Awake, now);
    }

    pub(super) fn closed(&mut self, connection: ConnectionId, clean: bool, now: Instant) {
        let Some(session) = self.connections.remove(&connection) else {
            return;
        };
        let Some(s) = self.sessions.get_mut(&session) else {
            return;
        };
        s.connection = None;
        if clean {
            return self.end_session(session, EndReason::Left, now);
        }
        tracing::info!(%session, user = %s.user, "connection lost, waiting for it to come back");
        s.lost = Some(now);
        for channel in self.joined_channels(session) {
            self.floor(
                &channel,
                floor::Input::SocketLost {
                    who: session.into(),
                },
                now,
            );
        }
        self.lost.insert((now, session));
        self.set_presence(session, Presence::Lost, now);
    }

    pub(super) fn dismiss(
        &mut self,
        session: SessionId,
        bye: ByeReason,
        reason: EndReason,
        now: Instant,
    ) {
        let connection = self.sessions.get(&session).and_then(|s| s.connection);
        self.end_session(session, reason, now);
        if let Some(connection) = connection {
            self.connections.remove(&connection);
            self.bye(connection, bye);
        }
    }

    pub(super) fn end_session(&mut self, session: SessionId, reason: EndReason, now: Instant) {
        for channel in self.joined_channels(session) {
            self.leave(session, &channel, reason, now);
        }
        self.stand_up(session);
        if let Some(s) = self.sessions.remove(&session) {
            if let Some(lost) = s.lost {
                self.lost.remove(&(lost, session));
            }
            self.let_go_calls(&Owner::Session(session), |_, _| true);
            self.caller_changed(&s.user);
            tracing::info!(%session, user = %s.user, ?reason, "session over");
            let user = s.user;
            self.happened(Happening::SessionEnded {
                session,
                user,
                reason,
            });
        }
    }

    /// Off the channel: floor freed, audio cut, the others told.
    pub(super) fn leave(
        &mut self,
        session: SessionId,
        channel: &ChannelId,
        reason: EndReason,
        now: Instant,
    ) {
        if !self.take_off(session, channel, reason, now) {
            return;
        }
        let left = ServerMessage::MemberLeft {
            channel_id: channel.clone(),
            session_id: session,
        };
        self.broadcast(channel, None, &left);
    }

    /// False where it was not on this channel.
    pub(super) fn take_off(
        &mut self,
        session: SessionId,
        channel: &ChannelId,
        reason: EndReason,
        now: Instant,
    ) -> bool {
        self.gone_from_floor(session.into(), channel, reason, now);
        let joined = self
            .sessions
            .get_mut(&session)
            .and_then(|s| s.joined.remove(channel));
        let Some(joined) = joined else {
            return false;
        };
        if let Some((transport, _)) = joined.building {
            self.forget_transport(transport);
        }
        if let Some(transport) = joined.transport {
            self.close_transport(transport);
        }
        if let Some(c) = self.channels.get_mut(channel) {
            c.members.remove(&session);
        }
        true
    }

    pub(super) fn set_presence(&mut self, session: SessionId, presence: Presence, now: Instant) {
        if let Some(s) = self.sessions.get_mut(&session)
            && s.presence != presence
        {
            s.presence = presence;
            for channel in self.joined_channels(session) {
                self.announce_on(session, &channel, now);
            }
        }
    }

    /// Tells the others on the channel what this session is now.
    pub(super) fn announce_on(&mut self, session: SessionId, channel: &ChannelId, now: Instant) {
        if let Some(member) = self.member(session, channel, now) {
            let channel_id = channel.clone();
            let message = ServerMessage::Member { channel_id, member };
            self.broadcast(channel, Some(session), &message);
        }
    }
}
