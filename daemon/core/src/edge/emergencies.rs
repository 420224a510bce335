//! Emergencies: raised by whoever has the right to, shown to their channel until someone clears them.

use std::time::Instant;

use super::{Edge, Happening};
use crate::dispatch::TooMany;
use crate::ids::{ChannelId, SessionId};
use crate::wire::signal::{ErrorCode, Level, ServerMessage};

impl Edge {
    pub(super) fn raise_emergency(&mut self, session: SessionId, channel: ChannelId, now: Instant) {
        let Some(rights) = self.rights(session, &channel) else {
            return self.not_authorized(session, channel);
        };
        if rights.level != Level::Emergency {
            let message = "you may not raise an emergency here";
            return self.error(session, ErrorCode::NoRight, message);
        }
        let Some(raiser) = self.person(session) else {
            return;
        };
        let (number, at) = (self.next_number, self.utc_ms(now));
        let raised = self
            .board
            .emergencies
            .raise(number, &channel, raiser.clone(), at);
        let (emergency, new) = match raised {
            Ok(raised) => raised,
            Err(TooMany) => {
                let message = "too many emergencies are raised: talk to a dispatcher";
                return self.error(session, ErrorCode::TooMany, message);
            }
        };
        if new {
            self.next_number += 1;
            tracing::warn!(%channel, user = %raiser.user_id, emergency, "emergency raised");
            self.happened(Happening::EmergencyRaised {
                emergency,
                channel: channel.clone(),
                raiser,
            });
            self.emergency_changed(channel);
        }
        self.answer_emergency(session, emergency, false);
    }

    pub(super) fn acknowledge_emergency(&mut self, session: SessionId, emergency: u64) {
        let Some(channel) = self.emergency_seen_by(session, emergency) else {
            return self.no_such_emergency(session);
        };
        if !self.needs_dispatcher(session, &channel) {
            return;
        }
        let Some(by) = self.person(session) else {
            return;
        };
        if self.board.emergencies.acknowledge(emergency, &by) {
            tracing::info!(%channel, emergency, by = %by.user_id, "emergency acknowledged");
            self.happened(Happening::EmergencyAcknowledged {
                emergency,
                channel: channel.clone(),
                by,
            });
            self.emergency_changed(channel);
        }
        self.answer_emergency(session, emergency, false);
    }

    pub(super) fn clear_emergency(&mut self, session: SessionId, emergency: u64) {
        let Some(channel) = self.emergency_seen_by(session, emergency) else {
            return self.no_such_emergency(session);
        };
        let Some(by) = self.person(session) else {
            return;
        };
        let raised = self.board.emergencies.get(emergency);
        let own = raised.is_some_and(|e| e.raiser.user_id == by.user_id);
        if !own && !self.needs_dispatcher(session, &channel) {
            return;
        }
        self.board.emergencies.clear(emergency);
        tracing::info!(%channel, emergency, by = %by.user_id, "emergency cleared");
        self.happened(Happening::EmergencyCleared {
            emergency,
            channel: channel.clone(),
            by,
        });
        self.emergency_changed(channel);
        self.answer_emergency(session, emergency, true);
    }

    /// Whether this user has an emergency on this channel that is not cleared.
    pub(super) fn has_raised(&self, session: SessionId, channel: &ChannelId) -> bool {
        let user = self.sessions.get(&session).map(|s| &s.user);
        let mut raised = self.board.emergencies.iter();
        raised.any(|(_, e)| e.channel == *channel && Some(&e.raiser.user_id) == user)
    }

    /// Where a channel is no more, neither are its emergencies. One whose raiser was taken off stays: a
    /// dispatcher says when it is over.
    pub(super) fn check_emergencies(&mut self) {
        let gone = |channel: &ChannelId| !self.roster.channels.contains_key(channel);
        let raised = self.board.emergencies.iter();
        let over = raised.filter(|(_, e)| gone(&e.channel));
        let over: Vec<(u64, ChannelId)> = over.map(|(id, e)| (id, e.channel.clone())).collect();
        for (id, channel) in over {
            self.board.emergencies.clear(id);
            self.emergency_changed(channel);
        }
    }

    fn emergency_changed(&mut self, channel: ChannelId) {
        self.changed.emergencies.insert(channel);
        self.changed.board = true;
    }

    /// The channel of an emergency, for those who belong there.
    fn emergency_seen_by(&self, session: SessionId, emergency: u64) -> Option<ChannelId> {
        let channel = &self.board.emergencies.get(emergency)?.channel;
        self.rights(session, channel)?;
        Some(channel.clone())
    }

    fn answer_emergency(&mut self, session: SessionId, emergency_id: u64, cleared: bool) {
        let message = ServerMessage::Emergency {
            emergency_id,
            cleared,
        };
        self.answer(session, message);
    }

    fn no_such_emergency(&mut self, session: SessionId) {
        self.error(session, ErrorCode::NotFound, "this emergency is over");
    }
}
