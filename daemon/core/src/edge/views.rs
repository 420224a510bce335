//! What an admin sees of the sessions.

use std::net::IpAddr;

use serde::Serialize;

use super::Edge;
use crate::ids::{ChannelId, ParticipantId, SessionId, UserId};
use crate::wire::signal::{Presence, Role};

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionView {
    pub session_id: SessionId,
    pub user_id: UserId,
    pub name: String,
    pub role: Role,
    pub device_id: String,
    /// Where its device was when it came or came back last.
    pub address: IpAddr,
    /// When it signed in, UTC seconds since 1970.
    pub since: u64,
    pub presence: Presence,
    /// The dispatcher's seat it holds.
    pub position: Option<String>,
    pub channels: Vec<ChannelView>,
}

/// A channel a session has joined.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChannelView {
    pub channel_id: ChannelId,
    pub muted: bool,
    pub connected: bool,
    pub talking: bool,
}

impl Edge {
    pub fn sessions_now(&self) -> Vec<SessionView> {
        let view = |(id, s): (&SessionId, &super::Session)| SessionView {
            session_id: *id,
            user_id: s.user.clone(),
            name: s.name.clone(),
            role: s.role,
            device_id: s.device_id.clone(),
            address: s.address,
            since: s.since / 1000,
            presence: s.presence,
            position: self.board.positions.held_by(*id).cloned(),
            channels: s
                .joined
                .iter()
                .map(|(channel, joined)| ChannelView {
                    channel_id: channel.clone(),
                    muted: joined.muted,
                    connected: joined.connected,
                    talking: self.talks_on(*id, channel),
                })
                .collect(),
        };
        self.sessions.iter().map(view).collect()
    }

    pub fn has_session(&self, session: SessionId) -> bool {
        self.sessions.contains_key(&session)
    }

    fn talks_on(&self, session: SessionId, channel: &ChannelId) -> bool {
        let talk = self.channels.get(channel).and_then(|c| c.floor.talk());
        talk.is_some_and(|talk| talk.who == ParticipantId::Session(session))
    }
}
