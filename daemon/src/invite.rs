//! Inviting people: onto the roster where they are new, and with a link that lets their devices in.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use pttd_core::authority::{Invitation, Membership, Roster, User};
use pttd_core::ids::{ChannelId, UserId};
use pttd_core::wire::signal::Role;
use serde::{Deserialize, Serialize};

use crate::config::Settings;
use crate::origins::Origins;
use crate::pki::Ca;
use crate::sign_in::new_secret;
use crate::store::{By, Entry, Records, Store, hash};

/// A month: whoever comes longer is invited again.
pub const MAX_HOURS: u32 = 24 * 31;
pub const MAX_DEVICES: u32 = 100;
/// People in one order.
pub const MAX_GUESTS: usize = 1_000;

/// Somebody to invite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guest {
    /// Where they stand in the file they were read from.
    pub line: Option<usize>,
    pub who: Who,
    /// Ids or names of channels to add.
    pub channels: Vec<String>,
    /// What they become; not set: what they are, or a user.
    pub role: Option<Role>,
    /// Give the right to talk in an emergency.
    pub emergency: bool,
    pub hours: u32,
    pub devices: u32,
    /// When they are taken off the roster again, UTC seconds since 1970.
    #[serde(default)]
    pub ends: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    /// Someone on the roster.
    User(UserId),
    /// Someone on the roster or not yet.
    Name(String),
}

/// Why an order was not carried out, and the line of the list that is to blame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    pub line: Option<usize>,
    pub why: String,
}

impl std::error::Error for Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

/// One person's invitation, as they are given it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Card {
    pub user: UserId,
    pub name: String,
    pub role: Role,
    /// Names of all their channels.
    pub channels: Vec<String>,
    pub link: String,
    pub secret: String,
    /// UTC seconds since 1970.
    pub ends: u64,
    pub devices: u32,
    /// A name led to somebody who was on the roster before: perhaps somebody else of that name.
    pub known: bool,
}

/// What an order became: its cards, and what they have in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cards {
    #[serde(rename = "box")]
    pub box_name: String,
    /// Where a phone starts that was never here.
    pub landing: String,
    /// Of the box's CA, where one has to be trusted.
    pub fingerprint: Option<String>,
    /// The box is on no network: no phone gets anywhere with these.
    pub only_here: bool,
    pub cards: Vec<Card>,
}

/// Makes invitations that name this box.
pub struct Inviter {
    pub store: Arc<Store>,
    pub origins: Origins,
    pub box_name: String,
    pub fingerprint: Option<String>,
}

impl Inviter {
    /// For a box that is not running: as it would listen.
    pub fn of_settings(store: Arc<Store>, settings: &Settings) -> Result<Inviter> {
        let web = &settings.web;
        let box_name = settings.box_name();
        let fingerprint = match web.certificate {
            Some(_) => None,
            None => Some(Ca::open(&store, &box_name)?.fingerprint()),
        };
        let (https, plain): (SocketAddr, SocketAddr) = (web.https, web.plain);
        Ok(Inviter {
            store,
            origins: Origins::new(settings, https, plain),
            box_name,
            fingerprint,
        })
    }

    /// Invites all of them or nobody; on disk when it returns, with the roster they are on now. Blocking.
    pub fn invite(&self, guests: &[Guest], by: &By, utc: u64) -> Result<(Cards, Arc<Roster>)> {
        if guests.len() > MAX_GUESTS {
            let why = format!(
                "these are {} people: invite {MAX_GUESTS} at a time",
                guests.len()
            );
            return Err(Refused { line: None, why }.into());
        }
        let (cards, roster) = self.store.change(|roster| {
            let mut cards = Vec::with_capacity(guests.len());
            let mut records = Records::default();
            let mut seen = BTreeMap::new();
            for guest in guests {
                let line = guest.line;
                let refuse = |why| Refused { line, why };
                let before = roster.users.len();
                let user = seat(roster, guest, utc).map_err(refuse)?;
                let known = matches!(guest.who, Who::Name(_)) && roster.users.len() == before;
                if let Some(before) = seen.insert(user.clone(), line) {
                    let where_ =
                        before.map_or("already".into(), |line| format!("on line {line} too"));
                    return Err(
                        refuse(format!("{user} is invited {where_}: once is enough")).into(),
                    );
                }
                roster.check().map_err(|e| refuse(e.to_string()))?;
                let secret = new_secret::<16>()?;
                let invitation = Invitation {
                    user: user.clone(),
                    devices_left: guest.devices,
                    used: 0,
                    ends: utc + u64::from(guest.hours) * 3_600,
                    revoked: false,
                };
                let card = self.card(roster, &invitation, secret.clone(), known);
                records.entries.push(noted(by, &card));
                cards.push(card);
                records.invitations.push((hash(&secret), invitation));
            }
            Ok((cards, records))
        })?;
        let cards = Cards {
            box_name: self.box_name.clone(),
            landing: self.origins.landing(),
            fingerprint: self.fingerprint.clone(),
            only_here: self.origins.only_here(),
            cards,
        };
        Ok((cards, roster))
    }

    fn card(&self, roster: &Roster, invitation: &Invitation, secret: String, known: bool) -> Card {
        let entry = roster.users.get(&invitation.user);
        let channels = entry.into_iter().flat_map(|entry| entry.channels.keys());
        let channels = channels.filter_map(|id| Some(roster.channels.get(id)?.name.clone()));
        Card {
            user: invitation.user.clone(),
            name: entry.map_or_else(|| invitation.user.to_string(), |entry| entry.name.clone()),
            role: entry.map_or(Role::User, |entry| entry.role),
            channels: channels.collect(),
            link: format!("{}/#i={secret}", self.origins.for_links()),
            secret,
            ends: invitation.ends,
            devices: invitation.devices_left,
            known,
        }
    }
}

fn noted(by: &By, card: &Card) -> Entry {
    let devices = match card.devices {
        1 => "one device".to_string(),
        n => format!("{n} devices"),
    };
    let text = format!("invited {} for {devices}", card.name);
    by.did("invited", text).about(&card.user)
}

/// Finds the guest on the roster or gives them a place there, with all they are to have.
fn seat(roster: &mut Roster, guest: &Guest, utc: u64) -> Result<UserId, String> {
    if !(1..=MAX_HOURS).contains(&guest.hours) {
        return Err(format!("{} hours: choose 1 to {MAX_HOURS}", guest.hours));
    }
    if !(1..=MAX_DEVICES).contains(&guest.devices) {
        return Err(format!(
            "{} devices: choose 1 to {MAX_DEVICES}",
            guest.devices
        ));
    }
    let channels = guest
        .channels
        .iter()
        .map(|channel| find_channel(roster, channel))
        .collect::<Result<Vec<_>, _>>()?;
    if guest.ends.is_some_and(|ends| ends <= utc) {
        return Err("this guest's end is in the past".to_string());
    }
    let before = roster.users.len();
    let id = match &guest.who {
        Who::User(id) if roster.users.contains_key(id) => id.clone(),
        Who::User(id) => {
            return Err(format!(
                "there is no user {id:?} on the roster: use --name and --channel to add one, or one of {}",
                listed(roster.users.keys().map(UserId::as_str))
            ));
        }
        Who::Name(name) => match find_user(roster, name)? {
            Some(id) => id,
            None if channels.is_empty() => {
                return Err(format!(
                    "{name:?} is new here and needs a channel: one or more of {}",
                    listed(roster.channels.keys().map(ChannelId::as_str))
                ));
            }
            None => add_user(roster, name),
        },
    };
    let is_known = roster.users.len() == before;
    if let Some(user) = roster.users.get_mut(&id) {
        match guest.ends {
            Some(_) if is_known && user.ends.is_none() => {
                return Err(format!(
                    "{} is on the roster without an end, and no guest: change that with `pttd user set`",
                    user.name
                ));
            }
            Some(ends) => user.ends = Some(ends),
            None => {}
        }
        for channel in channels {
            user.channels.insert(channel, Membership::Talk);
        }
        user.role = guest.role.unwrap_or(user.role);
        user.emergency |= guest.emergency;
    }
    Ok(id)
}

fn find_channel(roster: &Roster, text: &str) -> Result<ChannelId, String> {
    let is_meant = |(id, channel): &(&ChannelId, &pttd_core::authority::Channel)| {
        id.as_str() == text || channel.name.to_lowercase() == text.to_lowercase()
    };
    match roster.channels.iter().find(is_meant) {
        Some((id, _)) => Ok(id.clone()),
        None => Err(format!(
            "there is no channel {text:?}: use one of {}",
            listed(roster.channels.keys().map(ChannelId::as_str))
        )),
    }
}

/// Who has this id or, in any case, this name; two of one name have to be told apart by id.
fn find_user(roster: &Roster, name: &str) -> Result<Option<UserId>, String> {
    if let Some((id, _)) = roster.users.get_key_value(&UserId::from(name)) {
        return Ok(Some(id.clone()));
    }
    let wanted = name.trim().to_lowercase();
    let has_name = |(_, user): &(&UserId, &User)| user.name.trim().to_lowercase() == wanted;
    let found: Vec<_> = roster
        .users
        .iter()
        .filter(has_name)
        .map(|(id, _)| id)
        .collect();
    match found[..] {
        [] => Ok(None),
        [id] => Ok(Some(id.clone())),
        _ => Err(format!(
            "more than one on the roster is called {name:?}: say --user with one of {}",
            listed(found.iter().map(|id| id.as_str()))
        )),
    }
}

fn add_user(roster: &mut Roster, name: &str) -> UserId {
    let id = roster.free_id(name);
    let user = User {
        name: name.trim().to_string(),
        role: Role::User,
        emergency: false,
        ends: None,
        channels: BTreeMap::new(),
    };
    roster.users.insert(id.clone(), user);
    id
}

/// The first of them, for a sentence.
fn listed<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 12;
    let more = names.len().saturating_sub(SHOWN);
    let mut text = names.take(SHOWN).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

#[cfg(test)]
mod tests;
