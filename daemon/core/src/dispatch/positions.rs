//! Positions: dispatchers' seats. What belongs to one outlives whoever sits there, and a restart.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::authority::is_name;
use crate::ids::SessionId;

const MOST: usize = 50;
/// A page keeps fifty channels, their volumes and some notes in a tenth of it.
pub const MOST_LAYOUT: usize = 32 * 1024;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// The page's own; nothing here reads it.
    pub layout: Arc<str>,
    #[serde(skip)]
    pub holder: Option<SessionId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PositionError {
    #[error("a position needs a name of 1 to 64 characters")]
    BadName,
    #[error("there are {MOST} positions already: remove one that nobody needs")]
    TooMany,
    #[error("a layout may have {MOST_LAYOUT} bytes")]
    TooLong,
    #[error("there is no such position")]
    NotFound,
    #[error("somebody sits there: they have to leave it first")]
    Held,
    #[error("take a position first")]
    NotHeld,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Positions {
    known: BTreeMap<String, Position>,
}

impl Positions {
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Position)> {
        self.known.iter()
    }

    pub fn get(&self, id: &str) -> Option<&Position> {
        self.known.get(id)
    }

    /// As it was kept.
    pub fn put(&mut self, id: String, position: Position) {
        self.known.insert(id, position);
    }

    pub fn held_by(&self, session: SessionId) -> Option<&String> {
        let held = |(_, p): &(&String, &Position)| p.holder == Some(session);
        self.known.iter().find(held).map(|(id, _)| id)
    }

    /// Sits down, at a new position where there is none of that name: who else held it until now. Nobody has
    /// two.
    pub fn take(
        &mut self,
        id: &str,
        session: SessionId,
    ) -> Result<Option<SessionId>, PositionError> {
        if !is_name(id) {
            return Err(PositionError::BadName);
        }
        if !self.known.contains_key(id) && self.known.len() >= MOST {
            return Err(PositionError::TooMany);
        }
        self.leave(session);
        let position = self.known.entry(id.to_string()).or_default();
        Ok(position.holder.replace(session))
    }

    /// Stands up: from where.
    pub fn leave(&mut self, session: SessionId) -> Option<String> {
        let id = self.held_by(session)?.clone();
        if let Some(position) = self.known.get_mut(&id) {
            position.holder = None;
        }
        Some(id)
    }

    pub fn remove(&mut self, id: &str) -> Result<(), PositionError> {
        match self.known.get(id) {
            None => return Err(PositionError::NotFound),
            Some(position) if position.holder.is_some() => return Err(PositionError::Held),
            Some(_) => self.known.remove(id),
        };
        Ok(())
    }

    /// Keeps the layout of the position this session holds: which that is.
    pub fn save(&mut self, session: SessionId, layout: &str) -> Result<String, PositionError> {
        let id = self.held_by(session).ok_or(PositionError::NotHeld)?.clone();
        if layout.len() > MOST_LAYOUT {
            return Err(PositionError::TooLong);
        }
        if let Some(position) = self.known.get_mut(&id) {
            position.layout = layout.into();
        }
        Ok(id)
    }
}
