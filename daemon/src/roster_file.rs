//! `roster.toml`: channels and people, as a person writes them. Read once, into an empty store; from then on
//! the box's own roster counts and is changed at run time.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use pttd_core::authority::{
    Channel, FloorPolicy, FloorSettings, Membership, Record, Roster, RosterError, User,
};
use pttd_core::ids::{ChannelId, UserId};
use pttd_core::wire::signal::Role;
use serde::Deserialize;

use crate::toml_file::Step::{Index, Key};
use crate::toml_file::{Mistake, Step, TomlFile, Written, duration, text, whole};

/// The roster of a box that was told none: three channels and one to try the microphone on, three people.
const EXAMPLE: &str = include_str!("../roster.example.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRoster {
    #[serde(default)]
    channel: Vec<WrittenChannel>,
    #[serde(default)]
    user: Vec<WrittenUser>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenChannel {
    id: String,
    /// What people read. Default: the id.
    name: Option<String>,
    /// What becomes of a request while someone talks.
    #[serde(default)]
    policy: FloorPolicy,
    /// How many may wait for the floor.
    #[serde(default = "queue_depth", deserialize_with = "whole::<0, 32, _, _>")]
    queue_depth: u32,
    /// Longest transmission.
    #[serde(
        default = "talk_limit",
        deserialize_with = "duration::<5_000, 600_000, _>"
    )]
    talk_limit: Duration,
    /// Audio still let through after the talk limit.
    #[serde(default = "grace", deserialize_with = "duration::<0, 3_000, _>")]
    grace: Duration,
    /// Time without audio after which the floor is taken back.
    #[serde(default = "silence", deserialize_with = "duration::<2_000, 10_000, _>")]
    silence: Duration,
    /// The heading under which pages show it.
    group: Option<String>,
    /// How long what is said is kept.
    #[serde(default, deserialize_with = "text")]
    record: Record,
    /// Whoever talks here hears themselves afterwards, and nobody else hears them.
    #[serde(default)]
    echo: bool,
}

impl Written for Record {
    const LIKE: &'static str = "\"off\", \"1m\" to \"1440m\" or \"1d\" to \"365d\"";
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenUser {
    id: String,
    /// What the others read. Default: the id.
    name: Option<String>,
    #[serde(default)]
    role: Role,
    /// May ask for the floor in an emergency.
    #[serde(default)]
    emergency: bool,
    /// Channels this person hears and talks on.
    #[serde(default)]
    channels: Vec<String>,
    /// Channels this person only hears.
    #[serde(default)]
    listen: Vec<String>,
}

fn queue_depth() -> u32 {
    FloorSettings::default().queue_depth
}
fn talk_limit() -> Duration {
    FloorSettings::default().talk_limit
}
fn grace() -> Duration {
    FloorSettings::default().grace
}
fn silence() -> Duration {
    FloorSettings::default().silence
}

/// The roster a box starts with: of a file, else the built-in one.
pub fn first(path: Option<&Path>) -> Result<Roster, Mistake> {
    match path {
        Some(path) => of_file(&TomlFile::read(path)?),
        None => built_in(),
    }
}

pub fn built_in() -> Result<Roster, Mistake> {
    of_file(&TomlFile::of_text("the built-in roster", EXAMPLE))
}

fn of_file(file: &TomlFile) -> Result<Roster, Mistake> {
    let written: WrittenRoster = file.parse()?;
    let mut roster = Roster::default();
    for (index, channel) in written.channel.iter().enumerate() {
        let id = ChannelId::from(channel.id.as_str());
        let entry = Channel {
            name: channel.name.clone().unwrap_or_else(|| channel.id.clone()),
            floor: FloorSettings {
                policy: channel.policy,
                queue_depth: channel.queue_depth,
                talk_limit: channel.talk_limit,
                grace: channel.grace,
                silence: channel.silence,
            },
            group: channel.group.clone(),
            record: channel.record,
            echo: channel.echo,
        };
        if roster.channels.insert(id, entry).is_some() {
            return Err(twice(file, "channel", index, &channel.id));
        }
    }
    for (index, user) in written.user.iter().enumerate() {
        let entry = User {
            name: user.name.clone().unwrap_or_else(|| user.id.clone()),
            role: user.role,
            emergency: user.emergency,
            ends: None,
            channels: memberships(file, index, user)?,
        };
        let id = UserId::from(user.id.as_str());
        if roster.users.insert(id, entry).is_some() {
            return Err(twice(file, "user", index, &user.id));
        }
    }
    roster
        .check()
        .map_err(|e| file.mistake_at(&place(&e, &written), e.to_string()))?;
    Ok(roster)
}

fn memberships(
    file: &TomlFile,
    index: usize,
    user: &WrittenUser,
) -> Result<BTreeMap<ChannelId, Membership>, Mistake> {
    let lists = [
        ("channels", &user.channels, Membership::Talk),
        ("listen", &user.listen, Membership::Listen),
    ];
    let mut memberships = BTreeMap::new();
    for (list, channels, membership) in lists {
        for (place, channel) in channels.iter().enumerate() {
            if memberships
                .insert(ChannelId::from(channel.as_str()), membership)
                .is_some()
            {
                return Err(file.mistake_at(
                    &[Key("user"), Index(index), Key(list), Index(place)],
                    format!(
                        "user {:?} has channel {channel:?} twice: name it once, in `channels` to talk or \
                         in `listen` to hear only",
                        user.id
                    ),
                ));
            }
        }
    }
    Ok(memberships)
}

fn twice(file: &TomlFile, kind: &'static str, index: usize, id: &str) -> Mistake {
    file.mistake_at(
        &[Key(kind), Index(index), Key("id")],
        format!("there are two {kind}s with the id {id:?}: give each its own"),
    )
}

/// Where in the file the roster's complaint is about.
fn place<'a>(error: &RosterError, written: &WrittenRoster) -> Vec<Step<'a>> {
    let channel = |id: &str| written.channel.iter().position(|c| c.id == *id);
    let user = |id: &str| written.user.iter().position(|u| u.id == *id);
    let entry = |what: &str, id: &str, key: &'static str| match what {
        "channel" => channel(id).map(|at| vec![Key("channel"), Index(at), Key(key)]),
        _ => user(id).map(|at| vec![Key("user"), Index(at), Key(key)]),
    };
    match error {
        RosterError::BadId { what, id } => entry(what, id, "id"),
        RosterError::BadName { what, id } => entry(what, id, "name"),
        RosterError::BadGroup { channel, .. } => entry("channel", channel, "group"),
        RosterError::NoSuchChannel { user: id, channel } => user(id).map(|at| {
            let member = &written.user[at];
            let list = match member.channels.iter().any(|c| c == channel) {
                true => ("channels", &member.channels),
                false => ("listen", &member.listen),
            };
            let place = list.1.iter().position(|c| c == channel).unwrap_or(0);
            vec![Key("user"), Index(at), Key(list.0), Index(place)]
        }),
        RosterError::OutOfRange {
            channel: id,
            setting,
            ..
        } => entry("channel", id, setting),
        RosterError::TooManyChannels { .. } => Some(vec![Key("channel")]),
        RosterError::TooManyMembers { channel: id, .. } => entry("channel", id, "id"),
    }
    .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(text: &str) -> String {
        of_file(&TomlFile::of_text("roster.toml", text))
            .expect_err(text)
            .to_string()
    }

    #[test]
    fn the_built_in_roster_has_three_people_who_talk_on_all_channels() {
        let roster = built_in().unwrap();
        let names: Vec<_> = roster.users.values().map(|u| u.name.as_str()).collect();
        assert_eq!(names, ["Anna", "Ben", "Carla"]);
        for user in roster.users.values() {
            let channels: Vec<_> = user
                .channels
                .iter()
                .map(|(c, m)| (c.as_str(), *m))
                .collect();
            let talk = Membership::Talk;
            assert_eq!(
                channels,
                [
                    ("echo", talk),
                    ("ops", talk),
                    ("security", talk),
                    ("stage", talk)
                ]
            );
        }
        let (echo, others): (Vec<_>, Vec<_>) = roster.channels.values().partition(|c| c.echo);
        for channel in others {
            assert_eq!(channel.floor, FloorSettings::default());
            assert_eq!(channel.record, Record::default());
        }
        assert_eq!((echo.len(), echo[0].record), (1, Record::Off));
        assert_eq!(echo[0].floor.talk_limit, Duration::from_secs(5));
    }

    #[test]
    fn a_mistake_names_the_line_of_the_entry_it_is_in() {
        let ops = "[[channel]]\nid = \"ops\"\n";
        for (text, sentence) in [
            (
                format!("{ops}queue_depth = 33\n"),
                "roster.toml, line 3: [channel] queue_depth is the integer `33`, but must be a whole number from 0 to 32",
            ),
            (
                format!("{ops}\n{ops}"),
                "roster.toml, line 5: there are two channels with the id \"ops\": give each its own",
            ),
            (
                format!("{ops}[[user]]\nid = \"anna\"\nchannels = [\n\"ops\",\n\"opps\",\n]\n"),
                "roster.toml, line 7: user \"anna\" belongs to channel \"opps\", which the roster does not have",
            ),
            (
                format!("{ops}[[user]]\nid = \"anna\"\nchannels = [\"ops\"]\nlisten = [\"ops\"]\n"),
                "roster.toml, line 6: user \"anna\" has channel \"ops\" twice: name it once, in `channels` to talk or in `listen` to hear only",
            ),
            (
                format!("{ops}[[user]]\nid = \"anna b\"\n"),
                "roster.toml, line 4: user \"anna b\" is not a good id: use 1 to 64 of a-z, A-Z, 0-9, dot, dash and underscore",
            ),
            (
                format!("{ops}[[user]]\nid = \"anna\"\nrole = \"boss\"\n"),
                "roster.toml, line 5: [user] role is `boss`, but must be one of `user`, `dispatch`, `admin`",
            ),
            (
                format!("{ops}record = \"2w\"\n"),
                "roster.toml, line 3: [channel] record is the string \"2w\", but must be \"off\", \"1m\" to \"1440m\" or \"1d\" to \"365d\"",
            ),
            (
                format!("{ops}policy = \"fight\"\n"),
                "roster.toml, line 3: [channel] policy is `fight`, but must be one of `preempt`, `queue`, `deny`",
            ),
            (
                format!("{ops}talk_limit = \"4s\"\n"),
                "roster.toml, line 3: [channel] talk_limit is the string \"4s\", but must be a duration in quotes, with its unit (ms, s, m or h), from \"5s\" to \"600s\"",
            ),
        ] {
            assert_eq!(mistake(&text), sentence);
        }
    }
}
