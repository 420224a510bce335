//! The roster: channels, people, and who belongs where. The one source of every right.
//!
//! A roster is a value: it is checked once, stored whole and replaced whole. Rights are looked up in it
//! at join, at START and whenever it is replaced; nothing else is ever asked.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{ChannelId, UserId};
use crate::wire::signal::{Level, Rights, Role};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Roster {
    pub channels: BTreeMap<ChannelId, Channel>,
    pub users: BTreeMap<UserId, User>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Channel {
    /// What people read on the page.
    pub name: String,
    pub floor: FloorSettings,
    /// The heading under which pages show it.
    #[serde(default)]
    pub group: Option<String>,
    #[serde(default)]
    pub record: Record,
    /// Whoever talks here hears themselves afterwards, and nobody else hears them.
    #[serde(default)]
    pub echo: bool,
}

/// How long what is said on a channel is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Record {
    Off,
    /// The last 1 to 1440 minutes.
    Minutes(u32),
    /// 1 to 365 days.
    Days(u32),
}

impl Default for Record {
    fn default() -> Self {
        Record::Minutes(30)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// What the others read when this person talks.
    pub name: String,
    pub role: Role,
    /// May raise an emergency, and ask for the floor with the levels imminent and emergency.
    pub emergency: bool,
    /// A guest's end, UTC seconds since 1970; then they are taken off the roster.
    #[serde(default)]
    pub ends: Option<u64>,
    /// The channels this person belongs to, and whether they may talk there or only listen.
    pub channels: BTreeMap<ChannelId, Membership>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Membership {
    Talk,
    Listen,
}

/// What becomes of a request while someone talks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FloorPolicy {
    /// A higher level takes the floor at once; the others wait.
    #[default]
    Preempt,
    /// Everyone waits, higher levels first.
    Queue,
    /// Nobody waits and nobody is cut: a busy channel denies.
    Deny,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FloorSettings {
    pub policy: FloorPolicy,
    /// How many may wait, 0 to 32. 0 denies instead.
    pub queue_depth: u32,
    /// Longest transmission, 5 s to 600 s.
    pub talk_limit: Duration,
    /// Audio still let through after the talk limit, 0 s to 3 s.
    pub grace: Duration,
    /// Time without audio after which the floor is taken back, 2 s to 10 s. Opus with DTX sends one
    /// packet in 400 ms and a roaming phone none for a second or two.
    pub silence: Duration,
}

impl Default for FloorSettings {
    fn default() -> Self {
        FloorSettings {
            policy: FloorPolicy::Preempt,
            queue_depth: 5,
            talk_limit: Duration::from_secs(60),
            grace: Duration::from_millis(500),
            silence: Duration::from_secs(4),
        }
    }
}

/// Most channels of one roster, members of one channel, channels of one person.
pub const MAX_CHANNELS: usize = 50;
pub const MAX_MEMBERS: usize = 1000;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    #[error(
        "{what} {id:?} is not a good id: use 1 to 64 of a-z, A-Z, 0-9, dot, dash and underscore"
    )]
    BadId { what: &'static str, id: String },
    #[error(
        "{what} {id:?} has no name, or one that is longer than 64 characters or has control characters in it"
    )]
    BadName { what: &'static str, id: String },
    #[error("user {user:?} belongs to channel {channel:?}, which the roster does not have")]
    NoSuchChannel { user: String, channel: String },
    #[error("channel {channel:?}: {setting} is {value}, must be {range}")]
    OutOfRange {
        channel: String,
        setting: &'static str,
        value: String,
        range: &'static str,
    },
    #[error("the roster has {count} channels, at most {MAX_CHANNELS} are possible")]
    TooManyChannels { count: usize },
    #[error("channel {channel:?} has {count} members, at most {MAX_MEMBERS} are possible")]
    TooManyMembers { channel: String, count: usize },
}

impl Roster {
    /// What this user may do on this channel; `None` where the roster has no such user or channel, or the
    /// user does not belong there. The caller cannot tell these apart, and shall not.
    pub fn rights(&self, user: &UserId, channel: &ChannelId) -> Option<Rights> {
        self.channels.get(channel)?;
        let user = self.users.get(user)?;
        let membership = user.channels.get(channel)?;
        let talk = *membership == Membership::Talk;
        let level = match (talk, user.emergency, user.role) {
            (false, _, _) => Level::Normal,
            (true, true, _) => Level::Emergency,
            (true, false, Role::Dispatch | Role::Admin) => Level::Dispatch,
            (true, false, Role::User) => Level::Normal,
        };
        Some(Rights {
            listen: true,
            talk,
            level,
        })
    }

    /// Whether this user may ask for the floor of a channel they may talk on with this level.
    pub fn may_use_level(&self, user: &UserId, level: Level) -> bool {
        let Some(user) = self.users.get(user) else {
            return false;
        };
        match level {
            Level::Normal => true,
            Level::Dispatch => user.role != Role::User,
            Level::Imminent | Level::Emergency => user.emergency,
        }
    }

    /// An id for somebody new: `Anna Smith` becomes `anna-smith`, or `anna-smith-2` where that one is taken.
    pub fn free_id(&self, name: &str) -> UserId {
        let base = id_from(name);
        let mut id = UserId::from(base.as_str());
        let mut number = 1;
        while self.users.contains_key(&id) {
            number += 1;
            id = UserId::from(format!("{base}-{number}").as_str());
        }
        id
    }

    /// The first thing wrong with it.
    pub fn check(&self) -> Result<(), RosterError> {
        if self.channels.len() > MAX_CHANNELS {
            return Err(RosterError::TooManyChannels {
                count: self.channels.len(),
            });
        }
        for (id, channel) in &self.channels {
            check_id("channel", id.as_str())?;
            check_name("channel", id.as_str(), &channel.name)?;
            channel.floor.check(id)?;
        }
        let mut members: BTreeMap<&ChannelId, usize> = BTreeMap::new();
        for (id, user) in &self.users {
            check_id("user", id.as_str())?;
            check_name("user", id.as_str(), &user.name)?;
            for channel in user.channels.keys() {
                if !self.channels.contains_key(channel) {
                    return Err(RosterError::NoSuchChannel {
                        user: id.to_string(),
                        channel: channel.to_string(),
                    });
                }
                *members.entry(channel).or_default() += 1;
            }
        }
        match members.into_iter().find(|(_, count)| *count > MAX_MEMBERS) {
            Some((channel, count)) => Err(RosterError::TooManyMembers {
                channel: channel.to_string(),
                count,
            }),
            None => Ok(()),
        }
    }
}

impl FloorSettings {
    fn check(&self, channel: &ChannelId) -> Result<(), RosterError> {
        let out = |setting, value: String, range| {
            Err(RosterError::OutOfRange {
                channel: channel.to_string(),
                setting,
                value,
                range,
            })
        };
        let within = |value: Duration, from_ms: u128, to_ms: u128| {
            (from_ms..=to_ms).contains(&value.as_millis())
        };
        if self.queue_depth > 32 {
            return out("queue_depth", self.queue_depth.to_string(), "0 to 32");
        }
        if !within(self.talk_limit, 5_000, 600_000) {
            return out(
                "talk_limit",
                format!("{:?}", self.talk_limit),
                "5 s to 600 s",
            );
        }
        if !within(self.grace, 0, 3_000) {
            return out("grace", format!("{:?}", self.grace), "0 s to 3 s");
        }
        if !within(self.silence, 2_000, 10_000) {
            return out("silence", format!("{:?}", self.silence), "2 s to 10 s");
        }
        Ok(())
    }
}

fn check_id(what: &'static str, id: &str) -> Result<(), RosterError> {
    let good = (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    good.then_some(()).ok_or_else(|| RosterError::BadId {
        what,
        id: id.chars().take(64).collect(),
    })
}

fn check_name(what: &'static str, id: &str, name: &str) -> Result<(), RosterError> {
    is_name(name)
        .then_some(())
        .ok_or_else(|| RosterError::BadName {
            what,
            id: id.to_string(),
        })
}

/// Letters an id cannot have are left out.
fn id_from(name: &str) -> String {
    let mut id = String::new();
    for word in name.split(|c: char| !c.is_alphanumeric()) {
        let word: String = word.chars().filter(char::is_ascii_alphanumeric).collect();
        if word.is_empty() {
            continue;
        }
        if !id.is_empty() {
            id.push('-');
        }
        id.push_str(&word.to_ascii_lowercase());
    }
    id.truncate(56);
    match id.is_empty() {
        true => "guest".to_string(),
        false => id,
    }
}

/// Whether people can be shown this as a name: a name that turns the direction of the text around would pass
/// for another.
pub fn is_name(text: &str) -> bool {
    let turns_text = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !text.trim().is_empty()
        && text.chars().count() <= 64
        && !text.chars().any(|c| c.is_control() || turns_text(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_people_can_read() {
        for good in ["Anna", "Jürgen Öz", "李 小龍", "דנה", &"x".repeat(64)] {
            assert!(is_name(good), "{good:?}");
        }
        for bad in [
            "",
            "  ",
            "Anna\nBen",
            "Anna\u{1b}[2J",
            "\u{202e}nneB",
            "Ben\u{2066}",
            "\u{200f}Ben",
            &"x".repeat(65),
        ] {
            assert!(!is_name(bad), "{bad:?}");
        }
    }

    #[test]
    fn an_id_is_made_of_what_the_name_has_for_one() {
        for (name, id) in [
            ("Anna Smith", "anna-smith"),
            ("  J. R. 2nd ", "j-r-2nd"),
            ("Jürgen", "jrgen"),
            ("李", "guest"),
            (
                &"long ".repeat(40),
                "long-long-long-long-long-long-long-long-long-long-long-l",
            ),
        ] {
            assert_eq!(Roster::default().free_id(name).as_str(), id);
        }
    }
}
