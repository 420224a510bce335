//! How people let themselves in: a poster on the wall opens the door to whoever scans it and types a name,
//! until its end and for as many people as it was made for. Some only ring a bell: whoever minds the door
//! admits them or turns them away.
//!
//! Who comes in this way is a guest: a user who may no more than the poster says, and not for ever.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Device, Membership, Roster, RosterError, User, is_name, readmit};
use crate::ids::{ChannelId, UserId};
use crate::wire::signal::Role;

/// Longest time a poster hangs and a guest stays: a month. Whoever comes longer is put on the roster.
pub const MAX_POSTER_HOURS: u32 = 24 * 31;
/// People who come in by one poster: as many as a channel may have.
pub const MAX_POSTER_PEOPLE: u32 = 1_000;
/// People who wait to be admitted at a time, at all posters together.
pub const MAX_WAITING: usize = 200;

/// A poster as stored, under the hash of its secret. Times are UTC seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poster {
    /// What it says on top: "Volunteers".
    pub name: String,
    /// The channels its guests belong to.
    pub channels: BTreeMap<ChannelId, Membership>,
    /// How many people may come in by it in all.
    pub limit: u32,
    /// How many have. Who has left since counts, too: a limit is kept, whoever comes and goes.
    pub used: u32,
    pub ends: u64,
    /// Whoever scans it waits until they are admitted.
    pub approval: bool,
    /// How long each guest stays on the roster.
    pub guest_hours: u32,
    pub revoked: bool,
}

/// Someone who waits at the door, as stored under the hash of the credential of their device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    pub name: String,
    pub since: u64,
    /// They are told so when they ask again; they do not wait any more.
    pub turned_away: bool,
}

/// Somebody who is let in: their place on the roster, and what admits their device from now on.
#[derive(Clone, Debug, PartialEq)]
pub struct Guest {
    pub id: UserId,
    pub user: User,
    pub device: Device,
}

/// What became of someone who scanned a poster.
#[derive(Clone, Debug, PartialEq)]
pub enum Joined {
    /// They are in, and never heard the answer.
    Already(Device),
    /// They come in, and the poster has let in one more.
    In(Guest),
    Waits(Arrival),
}

/// What someone shows who scanned a poster.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    pub name: &'a str,
    /// What is stored under the credential of their device.
    pub known: Option<&'a Device>,
    /// The names of the others who wait.
    pub waiting: &'a [String],
    pub utc: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    #[error("this poster is not known here")]
    UnknownPoster,
    #[error("this poster was taken down")]
    TakenDown,
    #[error("this poster has ended")]
    Ended,
    #[error("as many people as this poster was made for are in")]
    Full,
    #[error("this is no name that others can read")]
    BadName,
    #[error("there is a {name:?} already")]
    NameTaken { name: String },
    #[error("too many people wait to be admitted")]
    TooManyWaiting,
    #[error("this device credential is taken: make another")]
    DeviceTaken,
    #[error("none of the poster's channels is there any more")]
    NoChannel,
    /// Found when they are put on the roster: its channels have all the members they may.
    #[error(transparent)]
    Roster(#[from] RosterError),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PosterError {
    #[error("{name:?} is no name: write 1 to 64 characters that people can read")]
    Name { name: String },
    #[error("a poster needs a channel: name one or more")]
    NoChannel,
    #[error("there is no channel {channel:?}: name one of the roster")]
    NoSuchChannel { channel: ChannelId },
    #[error("{limit} people: choose 1 to {MAX_POSTER_PEOPLE}")]
    Limit { limit: u32 },
    #[error("guests stay {hours} hours: choose 1 to {MAX_POSTER_HOURS}")]
    GuestHours { hours: u32 },
    #[error("the poster ends in the past: choose a later end")]
    EndsBefore,
    #[error("the poster ends in more than {MAX_POSTER_HOURS} hours: choose an earlier end")]
    EndsLate,
}

impl Poster {
    /// The first thing wrong with a new one.
    pub fn check(&self, roster: &Roster, utc: u64) -> Result<(), PosterError> {
        let hours = |h: u32| (1..=MAX_POSTER_HOURS).contains(&h);
        let name = || self.name.clone();
        let stranger = self
            .channels
            .keys()
            .find(|id| !roster.channels.contains_key(id));
        if !is_name(&self.name) {
            return Err(PosterError::Name { name: name() });
        }
        if let Some(channel) = stranger.cloned() {
            return Err(PosterError::NoSuchChannel { channel });
        }
        if self.channels.is_empty() {
            return Err(PosterError::NoChannel);
        }
        if !(1..=MAX_POSTER_PEOPLE).contains(&self.limit) {
            return Err(PosterError::Limit { limit: self.limit });
        }
        if !hours(self.guest_hours) {
            return Err(PosterError::GuestHours {
                hours: self.guest_hours,
            });
        }
        if self.ends <= utc {
            return Err(PosterError::EndsBefore);
        }
        if self.ends > utc + u64::from(MAX_POSTER_HOURS) * 3_600 {
            return Err(PosterError::EndsLate);
        }
        Ok(())
    }

    /// Whether it lets anybody in now.
    pub fn is_open(&self, utc: u64) -> Result<(), JoinError> {
        match self {
            Poster { revoked: true, .. } => Err(JoinError::TakenDown),
            _ if utc >= self.ends => Err(JoinError::Ended),
            _ if self.used >= self.limit => Err(JoinError::Full),
            _ => Ok(()),
        }
    }

    fn guest(&self, name: &str, roster: &Roster, utc: u64) -> Result<Guest, JoinError> {
        let channels = self.channels.iter();
        let channels: BTreeMap<_, _> = channels
            .filter(|(id, _)| roster.channels.contains_key(id))
            .map(|(id, membership)| (id.clone(), *membership))
            .collect();
        if channels.is_empty() {
            return Err(JoinError::NoChannel);
        }
        let id = roster.free_id(name);
        let device = Device {
            user: id.clone(),
            since: utc,
            revoked: false,
            from_token: false,
        };
        let user = User {
            name: name.to_string(),
            role: Role::User,
            emergency: false,
            ends: Some(utc + u64::from(self.guest_hours) * 3_600),
            channels,
        };
        Ok(Guest { id, user, device })
    }
}

/// Someone scanned a poster and typed a name. A device that is in already asks again because it never heard
/// the answer, and costs the poster nothing.
pub fn join(poster: &Poster, asking: Asking, roster: &Roster) -> Result<Joined, JoinError> {
    if let Some(known) = asking.known {
        let readmitted =
            readmit(Some(known), roster, asking.utc).map_err(|_out| JoinError::DeviceTaken);
        return readmitted.map(|_user| Joined::Already(known.clone()));
    }
    poster.is_open(asking.utc)?;
    let name = free_name(asking.name, roster, asking.waiting)?;
    if !poster.approval {
        return Ok(Joined::In(poster.guest(&name, roster, asking.utc)?));
    }
    if asking.waiting.len() >= MAX_WAITING {
        return Err(JoinError::TooManyWaiting);
    }
    Ok(Joined::Waits(Arrival {
        name,
        since: asking.utc,
        turned_away: false,
    }))
}

/// Someone who waits is admitted. They came before the poster's end, so that does not matter any more.
pub fn admit(
    poster: &Poster,
    arrival: &Arrival,
    roster: &Roster,
    utc: u64,
) -> Result<Guest, JoinError> {
    poster.is_open(arrival.since)?;
    let name = free_name(&arrival.name, roster, &[])?;
    poster.guest(&name, roster, utc)
}

/// The name as it is shown, unless it would pass for that of somebody else here.
fn free_name(text: &str, roster: &Roster, waiting: &[String]) -> Result<String, JoinError> {
    let name = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if !is_name(&name) || !name.chars().any(char::is_alphanumeric) {
        return Err(JoinError::BadName);
    }
    let said = as_said(&name);
    let mut others = roster.users.values().map(|user| &user.name).chain(waiting);
    match others.any(|other| as_said(other) == said) {
        true => Err(JoinError::NameTaken { name }),
        false => Ok(name),
    }
}

/// What of a name is heard: two that differ only in case, dots or characters nobody sees are one.
fn as_said(name: &str) -> String {
    let words = name.split(|c: char| c.is_whitespace() || c == '-');
    let words = words.map(|word| {
        let said = word.chars().filter(|c| c.is_alphanumeric());
        said.flat_map(char::to_lowercase).collect::<String>()
    });
    words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests;
