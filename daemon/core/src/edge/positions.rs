//! Positions: a dispatcher sits down, with all that the seat's last holder left.

use super::{Edge, Happening};
use crate::dispatch::{Owner, PositionError};
use crate::ids::{ChannelId, SessionId};
use crate::wire::signal::{ErrorCode, Person, ServerMessage};

impl Edge {
    pub(super) fn take_position(&mut self, session: SessionId, id: String) {
        if !self.is_dispatcher(session) {
            return self.only_dispatchers(session);
        }
        let Some(by) = self.person(session) else {
            return;
        };
        let before = self.board.positions.held_by(session).cloned();
        let from = match self.board.positions.take(&id, session) {
            Ok(from) => from,
            Err(error) => return self.position_error(session, error),
        };
        let from = from.and_then(|from| self.person(from));
        if let Some(left) = before.as_ref().filter(|before| **before != id) {
            self.seat_left(left);
        }
        if before.as_ref() != Some(&id) {
            tracing::info!(position = id, by = %by.user_id, "position taken");
            self.seat_taken(&id, by, from.clone());
        }
        self.answer_position(session, id, from);
    }

    fn seat_taken(&mut self, id: &str, by: Person, from: Option<Person>) {
        if let Some(from) = &from {
            let message = ServerMessage::PositionLost {
                position_id: id.to_string(),
                by: Some(by.clone()),
            };
            self.send(from.session_id, message);
        }
        let seat = Owner::Position(id.to_string());
        let holder = by.session_id;
        self.let_go_calls(&seat, |edge, channel| !edge.dispatches(holder, channel));
        self.hand_over_calls(&seat, &seat, &by.name);
        self.hand_over_calls(&Owner::Session(by.session_id), &seat, &by.name);
        self.happened(Happening::PositionTaken {
            position: id.to_string(),
            by,
            from,
        });
        self.changed.positions = true;
        self.changed.board = true;
    }

    fn answer_position(&mut self, session: SessionId, id: String, taken_from: Option<Person>) {
        let position = self.board.positions.get(&id);
        let layout = position.map_or_else(String::new, |p| p.layout.to_string());
        let message = ServerMessage::Position {
            position_id: id,
            layout,
            taken_from,
        };
        self.answer(session, message);
    }

    pub(super) fn leave_position(&mut self, session: SessionId) {
        match self.stand_up(session) {
            Some(position_id) => {
                let by = None;
                self.answer(session, ServerMessage::PositionLost { position_id, by });
            }
            None => self.position_error(session, PositionError::NotHeld),
        }
    }

    /// The seat is free, and keeps what belongs to it.
    pub(super) fn stand_up(&mut self, session: SessionId) -> Option<String> {
        let left = self.board.positions.leave(session)?;
        self.changed.positions = true;
        self.seat_left(&left);
        Some(left)
    }

    /// Its calls wait, until someone takes them or the seat.
    fn seat_left(&mut self, id: &str) {
        let seat = Owner::Position(id.to_string());
        let calls: Vec<u64> = self.board.calls.of_owner(&seat).collect();
        self.tell_callers(&calls);
    }

    /// Whoever is no dispatcher any more, or not of all their channels.
    pub(super) fn check_dispatcher(&mut self, session: SessionId) {
        if !self.is_dispatcher(session)
            && let Some(position_id) = self.stand_up(session)
        {
            let by = None;
            self.send(session, ServerMessage::PositionLost { position_id, by });
        }
        let lost = |edge: &Edge, channel: &ChannelId| !edge.dispatches(session, channel);
        let owner = self.owner(session);
        self.let_go_calls(&owner, lost);
    }

    pub(super) fn remove_position(&mut self, session: SessionId, id: String) {
        if !self.is_dispatcher(session) {
            return self.only_dispatchers(session);
        }
        if let Err(error) = self.board.positions.remove(&id) {
            return self.position_error(session, error);
        }
        self.let_go_calls(&Owner::Position(id.clone()), |_, _| true);
        self.changed.positions = true;
        self.changed.board = true;
        let (position_id, by) = (id, None);
        self.answer(session, ServerMessage::PositionLost { position_id, by });
    }

    pub(super) fn save_position(&mut self, session: SessionId, layout: &str) {
        match self.board.positions.save(session, layout) {
            Ok(position_id) => {
                self.changed.board = true;
                self.answer(session, ServerMessage::PositionSaved { position_id });
            }
            Err(error) => self.position_error(session, error),
        }
    }

    fn position_error(&mut self, session: SessionId, error: PositionError) {
        let code = match error {
            PositionError::BadName | PositionError::TooLong => ErrorCode::BadMessage,
            PositionError::TooMany => ErrorCode::TooMany,
            PositionError::NotFound | PositionError::NotHeld => ErrorCode::NotFound,
            PositionError::Held => ErrorCode::NoRight,
        };
        self.error(session, code, &error.to_string());
    }
}
