//! What the dispatchers share, told to those it concerns: lists of calls, emergencies and positions, each sent
//! whole, once a step, to whoever sees it differently now.

use std::collections::BTreeSet;
use std::time::Instant;

use super::{Edge, Output};
use crate::dispatch::{self, Owner};
use crate::ids::{ChannelId, SessionId, UserId};
use crate::wire::signal::{
    Call, CallState, Emergency, ErrorCode, Position, Role, ServerMessage, Taken,
};

/// What has changed in this step.
#[derive(Default)]
pub(super) struct Changed {
    pub calls: BTreeSet<ChannelId>,
    pub emergencies: BTreeSet<ChannelId>,
    pub positions: bool,
    /// Something that is kept.
    pub board: bool,
}

impl Edge {
    pub(super) fn is_dispatcher(&self, session: SessionId) -> bool {
        match self.sessions.get(&session).map(|s| s.role) {
            Some(Role::Dispatch | Role::Admin) => true,
            Some(Role::User) | None => false,
        }
    }

    /// A dispatcher dispatches the channels they may listen to.
    pub(super) fn dispatches(&self, session: SessionId, channel: &ChannelId) -> bool {
        self.is_dispatcher(session) && self.rights(session, channel).is_some_and(|r| r.listen)
    }

    /// False, and the client told, for everyone who does not dispatch this channel.
    pub(super) fn needs_dispatcher(&mut self, session: SessionId, channel: &ChannelId) -> bool {
        let dispatches = self.dispatches(session, channel);
        if !dispatches {
            match self.rights(session, channel) {
                Some(_) => self.only_dispatchers(session),
                None => self.not_authorized(session, channel.clone()),
            }
        }
        dispatches
    }

    pub(super) fn only_dispatchers(&mut self, session: SessionId) {
        self.error(session, ErrorCode::NoRight, "only dispatchers may do this");
    }

    pub(super) fn sessions_of(&self, user: &UserId) -> Vec<SessionId> {
        let of_user = self.sessions.iter().filter(|(_, s)| s.user == *user);
        of_user.map(|(id, _)| *id).collect()
    }

    /// After WELCOME: what a dispatcher's page shows, and what became of one's own calls.
    pub(super) fn send_lists(&mut self, session: SessionId, now: Instant) {
        if self.is_dispatcher(session) {
            self.send_calls(session, now);
            self.send_emergencies(session, now);
            self.send_positions(session);
        }
        let Some(user) = self.sessions.get(&session).map(|s| s.user.clone()) else {
            return;
        };
        let own: Vec<u64> = self.board.calls.of(&user).map(|(id, _)| id).collect();
        for id in own {
            if let Some(message) = self.call_message(id) {
                self.send(session, message);
            }
        }
    }

    /// At the end of each step.
    pub(super) fn tell_changes(&mut self, now: Instant) {
        let changed = std::mem::take(&mut self.changed);
        let Changed {
            calls,
            emergencies,
            positions,
            board,
        } = &changed;
        if !calls.is_empty() || !emergencies.is_empty() || *positions {
            let sessions: Vec<SessionId> = self.sessions.keys().copied().collect();
            for session in sessions {
                let dispatches = |c: &ChannelId| self.dispatches(session, c);
                let sees_calls = calls.iter().any(dispatches);
                let sees_emergencies = emergencies
                    .iter()
                    .any(|c| dispatches(c) || self.has_joined(session, c));
                if sees_calls {
                    self.send_calls(session, now);
                }
                if sees_emergencies {
                    self.send_emergencies(session, now);
                }
                if *positions && self.is_dispatcher(session) {
                    self.send_positions(session);
                }
            }
        }
        if *board {
            let board = Box::new(self.board.clone());
            self.outputs.push_back(Output::Keep(board));
        }
    }

    fn send_calls(&mut self, session: SessionId, now: Instant) {
        let at = self.utc_ms(now);
        let own = self.board.calls.iter();
        let own = own.filter(|(_, call)| self.dispatches(session, &call.channel));
        let calls = own.map(|(id, call)| self.call(id, call, at)).collect();
        self.send(session, ServerMessage::Calls { calls });
    }

    fn call(&self, call_id: u64, call: &dispatch::Call, at: u64) -> Call {
        let taken = self.taken(call).map(|taken| Taken {
            by: taken.by.clone(),
            position_id: match &taken.owner {
                Owner::Position(id) => Some(id.clone()),
                Owner::Session(_) => None,
            },
        });
        Call {
            call_id,
            channel_id: call.channel.clone(),
            caller: call.caller.clone(),
            here: self.sessions.contains_key(&call.caller.session_id),
            waiting_ms: at.saturating_sub(call.since),
            taken,
        }
    }

    /// What its caller is told of a call.
    pub(super) fn call_message(&self, call_id: u64) -> Option<ServerMessage> {
        let call = self.board.calls.get(call_id)?;
        let taken = self.taken(call);
        Some(ServerMessage::Call {
            call_id,
            channel_id: call.channel.clone(),
            state: match taken {
                Some(_) => CallState::Taken,
                None => CallState::Waiting,
            },
            by: taken.map(|taken| taken.by.clone()),
        })
    }

    pub(super) fn send_emergencies(&mut self, session: SessionId, now: Instant) {
        let at = self.utc_ms(now);
        let seen = self.board.emergencies.iter().filter(|(_, e)| {
            self.has_joined(session, &e.channel) || self.dispatches(session, &e.channel)
        });
        let emergencies = seen
            .map(|(emergency_id, e)| Emergency {
                emergency_id,
                channel_id: e.channel.clone(),
                raiser: e.raiser.clone(),
                elapsed_ms: at.saturating_sub(e.since),
                acknowledged_by: e
                    .acknowledged
                    .iter()
                    .map(|(_, name)| name.clone())
                    .collect(),
            })
            .collect();
        self.send(session, ServerMessage::Emergencies { emergencies });
    }

    fn send_positions(&mut self, session: SessionId) {
        let position = |(id, position): (&String, &dispatch::Position)| Position {
            position_id: id.clone(),
            holder: position.holder.and_then(|holder| self.person(holder)),
        };
        let positions = self.board.positions.iter().map(position).collect();
        self.send(session, ServerMessage::Positions { positions });
    }

    fn has_joined(&self, session: SessionId, channel: &ChannelId) -> bool {
        let session = self.sessions.get(&session);
        session.is_some_and(|s| s.joined.contains_key(channel))
    }
}
