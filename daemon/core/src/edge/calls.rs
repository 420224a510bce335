//! Calls: a member asks, the dispatchers of the channel share who answers.

use std::time::Instant;

use super::{Edge, Happening};
use crate::dispatch::{Call, Owner, Taken, TooMany};
use crate::ids::{ChannelId, SessionId, UserId};
use crate::wire::signal::{CallState, ErrorCode, Person, ServerMessage};

impl Edge {
    pub(super) fn call_me(&mut self, session: SessionId, channel: ChannelId, now: Instant) {
        if !self.rights(session, &channel).is_some_and(|r| r.listen) {
            return self.not_authorized(session, channel);
        }
        let Some(caller) = self.person(session) else {
            return;
        };
        let (number, at) = (self.next_number, self.utc_ms(now));
        let opened = self.board.calls.open(number, &channel, caller.clone(), at);
        let (call, new) = match opened {
            Ok(opened) => opened,
            Err(TooMany) => {
                let message = "too many calls are open: try again in a while";
                return self.error(session, ErrorCode::TooMany, message);
            }
        };
        if new {
            self.next_number += 1;
            tracing::info!(%channel, user = %caller.user_id, call, "asks to be called");
            let channel = channel.clone();
            self.happened(Happening::Called {
                call,
                channel,
                caller,
            });
        }
        self.call_changed(channel);
        self.answer_and_tell_caller(session, call);
    }

    pub(super) fn cancel_call(&mut self, session: SessionId, call: u64) {
        let own = self.board.calls.get(call).map(|c| &c.caller.user_id);
        if own.is_none() || own != self.sessions.get(&session).map(|s| &s.user) {
            return self.no_such_call(session);
        }
        self.close(session, call);
    }

    pub(super) fn take_call(&mut self, session: SessionId, id: u64) {
        let Some(channel) = self.dispatched_call(session, id) else {
            return self.no_such_call(session);
        };
        let Some(by) = self.person(session) else {
            return;
        };
        let owner = self.owner(session);
        let call = self.board.calls.get(id);
        let waits = call.is_some_and(|call| self.taken(call).is_none());
        if self.board.calls.take(id, &by.name, owner, waits) {
            tracing::info!(%channel, call = id, by = %by.user_id, "call taken");
            let happened = Happening::CallTaken {
                call: id,
                channel: channel.clone(),
                by,
            };
            self.happened(happened);
            self.call_changed(channel);
        }
        self.answer_and_tell_caller(session, id);
    }

    pub(super) fn close_call(&mut self, session: SessionId, call: u64) {
        match self.dispatched_call(session, call) {
            Some(_) => self.close(session, call),
            None => self.no_such_call(session),
        }
    }

    /// What this dispatcher takes belongs to their position, if they have one.
    pub(super) fn owner(&self, session: SessionId) -> Owner {
        match self.board.positions.held_by(session) {
            Some(position) => Owner::Position(position.clone()),
            None => Owner::Session(session),
        }
    }

    /// Who looks after a call now: nobody where it lies at an empty seat, or with someone who cannot hear its
    /// channel any more.
    pub(super) fn taken<'a>(&self, call: &'a Call) -> Option<&'a Taken> {
        let is_there = |taken: &&Taken| match &taken.owner {
            Owner::Session(_) => true,
            Owner::Position(id) => {
                let holder = self.board.positions.get(id).and_then(|p| p.holder);
                holder.is_some_and(|holder| self.dispatches(holder, &call.channel))
            }
        };
        call.taken.as_ref().filter(is_there)
    }

    /// The calls of this owner wait again.
    pub(super) fn let_go_calls(
        &mut self,
        owner: &Owner,
        which: impl Fn(&Edge, &ChannelId) -> bool,
    ) {
        let mut calls = std::mem::take(&mut self.board.calls);
        let waiting = calls.let_go(owner, |call| which(self, &call.channel));
        self.board.calls = calls;
        self.tell_callers(&waiting);
    }

    /// The calls of `from` belong to `to`, whose name their callers see.
    pub(super) fn hand_over_calls(&mut self, from: &Owner, to: &Owner, by: &str) {
        let handed = self.board.calls.hand_over(from, to, by);
        self.tell_callers(&handed);
    }

    /// A session came or went whose user may have calls: they are over whatever device is there.
    pub(super) fn caller_changed(&mut self, user: &UserId) {
        let newest = self.sessions_of(user).pop();
        if let Some(person) = newest.and_then(|session| self.person(session)) {
            self.board.calls.is_back(&person);
        }
        let of_caller = self.board.calls.of(user);
        let channels: Vec<ChannelId> = of_caller.map(|(_, c)| c.channel.clone()).collect();
        self.changed.calls.extend(channels);
    }

    /// Calls of people who do not belong there any more are over.
    pub(super) fn check_calls(&mut self) {
        let belongs = |person: &Person, channel: &ChannelId| {
            let rights = self.roster.rights(&person.user_id, channel);
            rights.is_some_and(|r| r.listen)
        };
        let calls = self.board.calls.iter();
        let over = calls.filter(|(_, call)| !belongs(&call.caller, &call.channel));
        let over: Vec<u64> = over.map(|(id, _)| id).collect();
        for id in over {
            self.end_call(id, None);
        }
    }

    /// Those nobody has closed for half a day.
    pub(super) fn end_calls(&mut self, now: Instant) {
        for id in self.board.calls.ended(self.utc_ms(now)) {
            self.end_call(id, None);
        }
    }

    fn close(&mut self, session: SessionId, id: u64) {
        let Some(by) = self.person(session) else {
            return;
        };
        let Some(channel) = self.end_call(id, Some(by)) else {
            return;
        };
        // To the caller it has been told, unless this is the answer.
        self.answer(session, closed(id, channel));
    }

    /// Off the list; its caller is told, but where they ended it themselves.
    fn end_call(&mut self, id: u64, by: Option<Person>) -> Option<ChannelId> {
        let call = self.board.calls.close(id)?;
        let channel = call.channel;
        tracing::info!(%channel, call = id, by = ?by.as_ref().map(|by| &by.user_id), "call closed");
        for session in self.sessions_of(&call.caller.user_id) {
            if by.as_ref().is_none_or(|by| by.session_id != session) {
                self.send(session, closed(id, channel.clone()));
            }
        }
        if let Some(by) = by {
            self.happened(Happening::CallClosed {
                call: id,
                channel: channel.clone(),
                by,
            });
        }
        self.call_changed(channel.clone());
        Some(channel)
    }

    fn answer_and_tell_caller(&mut self, session: SessionId, id: u64) {
        let caller = self.board.calls.get(id).map(|c| c.caller.user_id.clone());
        let (Some(caller), Some(message)) = (caller, self.call_message(id)) else {
            return;
        };
        for other in self.sessions_of(&caller) {
            if other != session {
                self.send(other, message.clone());
            }
        }
        self.answer(session, message);
    }

    pub(super) fn tell_callers(&mut self, calls: &[u64]) {
        for id in calls {
            let call = self.board.calls.get(*id);
            let call = call.map(|c| (c.channel.clone(), c.caller.user_id.clone()));
            let (Some((channel, caller)), Some(message)) = (call, self.call_message(*id)) else {
                continue;
            };
            for session in self.sessions_of(&caller) {
                self.send(session, message.clone());
            }
            self.call_changed(channel);
        }
    }

    fn call_changed(&mut self, channel: ChannelId) {
        self.changed.calls.insert(channel);
        self.changed.board = true;
    }

    /// The channel of a call that this session may look after.
    fn dispatched_call(&self, session: SessionId, call: u64) -> Option<ChannelId> {
        let call = self.board.calls.get(call)?;
        self.dispatches(session, &call.channel)
            .then(|| call.channel.clone())
    }

    fn no_such_call(&mut self, session: SessionId) {
        self.error(session, ErrorCode::NotFound, "this call is over");
    }
}

fn closed(call_id: u64, channel_id: ChannelId) -> ServerMessage {
    ServerMessage::Call {
        call_id,
        channel_id,
        state: CallState::Closed,
        by: None,
    }
}
