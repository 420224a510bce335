//! The roster: channels, people, and who belongs where. The one source of every right.
//!
//! A roster is a value: it is checked once, stored whole and replaced whole. Rights are looked up in it
//! at join, at START and whenever it is replaced; nothing else is ever asked.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
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

/// How large a roster may grow. One that is larger already, from before a limit was lowered, may stay so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub channels: usize,
    pub channel_members: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            channels: 50,
            channel_members: 1000,
        }
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Record::Off => f.write_str("off"),
            Record::Minutes(n) => write!(f, "{n}m"),
            Record::Days(n) => write!(f, "{n}d"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} must be \"off\", \"1m\" to \"1440m\" or \"1d\" to \"365d\"")]
pub struct BadRecord(String);

/// As a person writes it: `off`, `30m`, `7d`.
impl FromStr for Record {
    type Err = BadRecord;

    fn from_str(text: &str) -> Result<Self, BadRecord> {
        let number = |unit| {
            let digits: &str = text.strip_suffix(unit)?;
            let plain = digits.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| digits.parse().ok()).flatten()
        };
        let read = match (text, number('m'), number('d')) {
            ("off", _, _) => Some(Record::Off),
            (_, Some(minutes), _) => Some(Record::Minutes(minutes)),
            (_, _, Some(days)) => Some(Record::Days(days)),
            _ => None,
        };
        read.filter(|record| record.is_possible())
            .ok_or_else(|| BadRecord(text.chars().take(64).collect()))
    }
}

impl Record {
    fn is_possible(self) -> bool {
        match self {
            Record::Off => true,
            Record::Minutes(minutes) => (1..=1440).contains(&minutes),
            Record::Days(days) => (1..=365).contains(&days),
        }
    }
}

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
    #[error("channel {channel:?}: {group:?} is no heading, use up to 64 characters")]
    BadGroup { channel: String, group: String },
    #[error("the roster has {count} channels, at most {most} are allowed: see [limits] channels")]
    TooManyChannels { count: usize, most: usize },
    #[error(
        "channel {channel:?} has {count} members, at most {most} are allowed: see [limits] channel_members"
    )]
    TooManyMembers {
        channel: String,
        count: usize,
        most: usize,
    },
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
        let taken = |id: &str| self.users.contains_key(&UserId::from(id));
        free(id_from(name, "guest"), taken).into()
    }

    /// The same for a new channel.
    pub fn free_channel_id(&self, name: &str) -> ChannelId {
        let taken = |id: &str| self.channels.contains_key(&ChannelId::from(id));
        free(id_from(name, "channel"), taken).into()
    }

    /// Whether this person is on it, and not a guest whose time is over.
    pub fn has_now(&self, user: &UserId, utc: u64) -> bool {
        let user = self.users.get(user);
        user.is_some_and(|user| user.ends.is_none_or(|ends| utc < ends))
    }

    /// Those who may see everything.
    pub fn admins(&self) -> impl Iterator<Item = &UserId> {
        let is_admin = |(_, user): &(&UserId, &User)| user.role == Role::Admin;
        self.users.iter().filter(is_admin).map(|(id, _)| id)
    }

    /// Members of each channel that has any.
    pub fn members(&self) -> BTreeMap<&ChannelId, usize> {
        let mut members = BTreeMap::new();
        for channel in self.users.values().flat_map(|user| user.channels.keys()) {
            *members.entry(channel).or_default() += 1;
        }
        members
    }

    /// Whether it may become this large, where `before` is what it was.
    pub fn check_limits(&self, before: &Roster, limits: &Limits) -> Result<(), RosterError> {
        let count = self.channels.len();
        if count > limits.channels && count > before.channels.len() {
            return Err(RosterError::TooManyChannels {
                count,
                most: limits.channels,
            });
        }
        let members_before = before.members();
        for (channel, count) in self.members() {
            let before = members_before.get(channel).copied().unwrap_or(0);
            if count > limits.channel_members && count > before {
                return Err(RosterError::TooManyMembers {
                    channel: channel.to_string(),
                    count,
                    most: limits.channel_members,
                });
            }
        }
        Ok(())
    }

    /// The first thing wrong with it.
    pub fn check(&self) -> Result<(), RosterError> {
        for (id, channel) in &self.channels {
            check_id("channel", id.as_str())?;
            check_name("channel", id.as_str(), &channel.name)?;
            channel.floor.check(id)?;
            if let Some(group) = channel.group.as_deref().filter(|group| !is_name(group)) {
                return Err(RosterError::BadGroup {
                    channel: id.to_string(),
                    group: group.chars().take(64).collect(),
                });
            }
            if !channel.record.is_possible() {
                return Err(RosterError::OutOfRange {
                    channel: id.to_string(),
                    setting: "record",
                    value: channel.record.to_string(),
                    range: "off, 1m to 1440m or 1d to 365d",
                });
            }
        }
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
            }
        }
        Ok(())
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
fn id_from(name: &str, otherwise: &str) -> String {
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
        true => otherwise.to_string(),
        false => id,
    }
}

/// With a number where it is taken.
fn free(base: String, taken: impl Fn(&str) -> bool) -> String {
    let mut id = base.clone();
    let mut number = 1;
    while taken(&id) {
        number += 1;
        id = format!("{base}-{number}");
    }
    id
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
    fn how_long_a_channel_is_kept_is_read_as_it_is_written() {
        for text in ["off", "1m", "30m", "1440m", "1d", "365d"] {
            assert_eq!(text.parse::<Record>().expect(text).to_string(), text);
        }
        for bad in [
            "", "0m", "1441m", "0d", "366d", "30", "30 m", "+3m", "1h", "m",
        ] {
            assert!(bad.parse::<Record>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_roster_beyond_a_lowered_limit_may_shrink_but_not_grow() {
        let limits = Limits {
            channels: 1,
            channel_members: 1,
        };
        let mut large = Roster::default();
        for id in ["a", "b", "c"] {
            large.channels.insert(id.into(), Channel::default());
        }
        let mut smaller = large.clone();
        smaller.channels.remove(&ChannelId::from("c"));
        assert_eq!(smaller.check_limits(&large, &limits), Ok(()));
        let grown = large.check_limits(&smaller, &limits);
        assert!(matches!(grown, Err(RosterError::TooManyChannels { .. })));
    }

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
