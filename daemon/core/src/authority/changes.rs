//! What may be done to a roster while it is in use. Each of these is all or nothing; what comes out is checked
//! once more as a whole before it is kept.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Channel, FloorPolicy, Membership, Record, Roster, User};
use crate::ids::{ChannelId, UserId};
use crate::wire::signal::Role;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    #[error("there is no channel {0:?}")]
    NoSuchChannel(ChannelId),
    #[error("there is no user {0:?} on the roster")]
    NoSuchUser(UserId),
    #[error("user {user:?} does not belong to channel {channel:?}")]
    NotAMember { user: UserId, channel: ChannelId },
    #[error("there is a channel {0:?} already: choose another id, or change that one")]
    ChannelTaken(ChannelId),
    #[error("there is a user {0:?} already: choose another id, or change that one")]
    UserTaken(UserId),
    #[error("{0:?} is the only admin who stays: make another one an admin first")]
    LastAdmin(UserId),
}

/// What is to become of a channel. What is not set stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChannelChange {
    pub name: Option<String>,
    /// `Some(None)`: under no heading any more.
    pub group: Option<Option<String>>,
    pub policy: Option<FloorPolicy>,
    pub queue_depth: Option<u32>,
    pub talk_limit: Option<Duration>,
    pub grace: Option<Duration>,
    pub silence: Option<Duration>,
    pub record: Option<Record>,
    pub echo: Option<bool>,
}

/// What is to become of a person. What is not set stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserChange {
    pub name: Option<String>,
    pub role: Option<Role>,
    pub emergency: Option<bool>,
    /// `Some(None)`: without an end any more.
    pub ends: Option<Option<u64>>,
    /// All their memberships, instead of those they have.
    pub channels: Option<BTreeMap<ChannelId, Membership>>,
}

impl ChannelChange {
    fn apply(self, channel: &mut Channel) {
        put(&mut channel.name, self.name);
        put(&mut channel.group, self.group);
        put(&mut channel.floor.policy, self.policy);
        put(&mut channel.floor.queue_depth, self.queue_depth);
        put(&mut channel.floor.talk_limit, self.talk_limit);
        put(&mut channel.floor.grace, self.grace);
        put(&mut channel.floor.silence, self.silence);
        put(&mut channel.record, self.record);
        put(&mut channel.echo, self.echo);
    }
}

impl UserChange {
    fn apply(self, user: &mut User) {
        put(&mut user.name, self.name);
        put(&mut user.role, self.role);
        put(&mut user.emergency, self.emergency);
        put(&mut user.ends, self.ends);
        put(&mut user.channels, self.channels);
    }
}

fn put<T>(place: &mut T, new: Option<T>) {
    if let Some(new) = new {
        *place = new;
    }
}

impl Roster {
    /// Without an id the channel gets one made of its name.
    pub fn add_channel(
        &mut self,
        id: Option<ChannelId>,
        change: ChannelChange,
    ) -> Result<ChannelId, ChangeError> {
        let name = change.name.as_deref().unwrap_or_default();
        let id = id.unwrap_or_else(|| self.free_channel_id(name));
        if self.channels.contains_key(&id) {
            return Err(ChangeError::ChannelTaken(id));
        }
        let mut channel = Channel {
            name: id.to_string(),
            ..Channel::default()
        };
        change.apply(&mut channel);
        self.channels.insert(id.clone(), channel);
        Ok(id)
    }

    pub fn set_channel(
        &mut self,
        id: &ChannelId,
        change: ChannelChange,
    ) -> Result<(), ChangeError> {
        let channel = self.channels.get_mut(id);
        let channel = channel.ok_or_else(|| ChangeError::NoSuchChannel(id.clone()))?;
        change.apply(channel);
        Ok(())
    }

    /// With everyone's membership in it.
    pub fn remove_channel(&mut self, id: &ChannelId) -> Result<Channel, ChangeError> {
        let removed = self.channels.remove(id);
        let removed = removed.ok_or_else(|| ChangeError::NoSuchChannel(id.clone()))?;
        for user in self.users.values_mut() {
            user.channels.remove(id);
        }
        Ok(removed)
    }

    /// Without an id the person gets one made of their name.
    pub fn add_user(
        &mut self,
        id: Option<UserId>,
        change: UserChange,
    ) -> Result<UserId, ChangeError> {
        let name = change.name.as_deref().unwrap_or_default();
        let id = id.unwrap_or_else(|| self.free_id(name));
        if self.users.contains_key(&id) {
            return Err(ChangeError::UserTaken(id));
        }
        self.know_channels(change.channels.iter().flat_map(BTreeMap::keys))?;
        let mut user = User {
            name: id.to_string(),
            role: Role::User,
            emergency: false,
            ends: None,
            channels: BTreeMap::new(),
        };
        change.apply(&mut user);
        user.name = user.name.trim().to_string();
        self.users.insert(id.clone(), user);
        Ok(id)
    }

    pub fn set_user(&mut self, id: &UserId, change: UserChange) -> Result<(), ChangeError> {
        self.know_channels(change.channels.iter().flat_map(BTreeMap::keys))?;
        change.apply(self.user_mut(id)?);
        Ok(())
    }

    pub fn remove_user(&mut self, id: &UserId) -> Result<User, ChangeError> {
        let removed = self.users.remove(id);
        removed.ok_or_else(|| ChangeError::NoSuchUser(id.clone()))
    }

    pub fn set_member(
        &mut self,
        channel: &ChannelId,
        user: &UserId,
        membership: Membership,
    ) -> Result<(), ChangeError> {
        self.know_channels([channel])?;
        let user = self.user_mut(user)?;
        user.channels.insert(channel.clone(), membership);
        Ok(())
    }

    pub fn remove_member(&mut self, channel: &ChannelId, user: &UserId) -> Result<(), ChangeError> {
        self.know_channels([channel])?;
        match self.user_mut(user)?.channels.remove(channel) {
            Some(_) => Ok(()),
            None => Err(ChangeError::NotAMember {
                user: user.clone(),
                channel: channel.clone(),
            }),
        }
    }

    /// Replaces all memberships of these people, and nobody else's.
    pub fn set_memberships(
        &mut self,
        memberships: BTreeMap<UserId, BTreeMap<ChannelId, Membership>>,
    ) -> Result<(), ChangeError> {
        for (user, channels) in memberships {
            self.know_channels(channels.keys())?;
            self.user_mut(&user)?.channels = channels;
        }
        Ok(())
    }

    /// Sets what these people may do on one channel, and nothing else of theirs.
    pub fn set_members(
        &mut self,
        channel: &ChannelId,
        members: BTreeMap<UserId, Membership>,
    ) -> Result<(), ChangeError> {
        for (user, membership) in members {
            self.set_member(channel, &user, membership)?;
        }
        Ok(())
    }

    /// Takes off the guests whose time is over: who they were.
    pub fn remove_ended(&mut self, utc: u64) -> Vec<(UserId, User)> {
        let mut ended = Vec::new();
        self.users.retain(|id, user| {
            let over = user.ends.is_some_and(|ends| ends <= utc);
            if over {
                ended.push((id.clone(), user.clone()));
            }
            !over
        });
        ended
    }

    /// The first guest's end to come.
    pub fn next_end(&self) -> Option<u64> {
        self.users.values().filter_map(|user| user.ends).min()
    }

    /// Whether an admin is left who stays. Without one nobody could make one but the operator at the box.
    pub fn check_admins(&self, before: &Roster) -> Result<(), ChangeError> {
        let stays = |(_, user): &(&UserId, &User)| user.role == Role::Admin && user.ends.is_none();
        match before.users.iter().find(stays) {
            Some((last, _)) if !self.users.iter().any(|user| stays(&user)) => {
                Err(ChangeError::LastAdmin(last.clone()))
            }
            _ => Ok(()),
        }
    }

    fn know_channels<'a>(
        &self,
        channels: impl IntoIterator<Item = &'a ChannelId>,
    ) -> Result<(), ChangeError> {
        match channels
            .into_iter()
            .find(|id| !self.channels.contains_key(*id))
        {
            Some(unknown) => Err(ChangeError::NoSuchChannel(unknown.clone())),
            None => Ok(()),
        }
    }

    fn user_mut(&mut self, id: &UserId) -> Result<&mut User, ChangeError> {
        let user = self.users.get_mut(id);
        user.ok_or_else(|| ChangeError::NoSuchUser(id.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roster() -> Roster {
        let mut roster = Roster::default();
        for channel in ["ops", "stage"] {
            roster
                .add_channel(Some(channel.into()), ChannelChange::default())
                .expect("a good change");
        }
        for (user, role) in [("anna", Role::Admin), ("ben", Role::User)] {
            let change = UserChange {
                role: Some(role),
                channels: Some(BTreeMap::from([("ops".into(), Membership::Talk)])),
                ..UserChange::default()
            };
            roster
                .add_user(Some(user.into()), change)
                .expect("a good change");
        }
        roster
    }

    fn with_role(role: Role) -> UserChange {
        UserChange {
            role: Some(role),
            ..UserChange::default()
        }
    }

    #[test]
    fn the_only_admin_stays_one_until_there_is_another() {
        let (anna, ben) = (UserId::from("anna"), UserId::from("ben"));
        let before = roster();
        let last = Err(ChangeError::LastAdmin(anna.clone()));
        let guest = UserChange {
            ends: Some(Some(100)),
            ..UserChange::default()
        };
        for change in [with_role(Role::Dispatch), guest] {
            let mut roster = before.clone();
            roster.set_user(&anna, change).expect("a good change");
            assert_eq!(roster.check_admins(&before), last);
        }
        let mut without = before.clone();
        without.remove_user(&anna).expect("a good change");
        assert_eq!(without.check_admins(&before), last);
        without
            .set_user(&ben, with_role(Role::Admin))
            .expect("a good change");
        assert_eq!(without.check_admins(&before), Ok(()));
        // Where there was none, nobody can go.
        assert_eq!(before.check_admins(&Roster::default()), Ok(()));
        assert_eq!(Roster::default().check_admins(&Roster::default()), Ok(()));
    }

    #[test]
    fn a_channel_goes_with_its_memberships() {
        let mut roster = roster();
        roster.remove_channel(&"ops".into()).expect("a good change");
        roster.check().expect("a good change");
        assert!(roster.users.values().all(|user| user.channels.is_empty()));
        let gone = roster.remove_channel(&"ops".into()).map(drop);
        assert_eq!(gone, Err(ChangeError::NoSuchChannel("ops".into())));
    }

    #[test]
    fn names_become_ids_that_are_not_taken_yet() {
        let mut roster = roster();
        for (name, id) in [
            ("Anna", "anna-2"),
            ("  Anna  Smith ", "anna-smith"),
            ("李 小龍", "guest"),
            ("דנה", "guest-2"),
        ] {
            let change = UserChange {
                name: Some(name.into()),
                ..UserChange::default()
            };
            let added = roster.add_user(None, change).expect("a good change");
            assert_eq!(added.as_str(), id);
            assert_eq!(roster.users[&added].name, name.trim());
        }
        roster.check().expect("a good change");
    }

    #[test]
    fn memberships_name_people_and_channels_that_are_there() {
        let mut roster = roster();
        let (ben, stage) = (UserId::from("ben"), ChannelId::from("stage"));
        roster
            .set_member(&stage, &ben, Membership::Listen)
            .expect("a good change");
        assert_eq!(roster.users[&ben].channels[&stage], Membership::Listen);
        roster.remove_member(&stage, &ben).expect("a good change");
        assert!(matches!(
            roster.remove_member(&stage, &ben),
            Err(ChangeError::NotAMember { .. })
        ));
        assert!(
            roster
                .set_member(&"x".into(), &ben, Membership::Talk)
                .is_err()
        );
        assert!(
            roster
                .set_member(&stage, &"x".into(), Membership::Talk)
                .is_err()
        );
        let listens = BTreeMap::from([(ben.clone(), Membership::Listen)]);
        roster.set_members(&stage, listens).expect("a good change");
        let channels = BTreeMap::from([
            ("ops".into(), Membership::Talk),
            (stage.clone(), Membership::Listen),
        ]);
        assert_eq!(roster.users[&ben].channels, channels);
        let bulk = BTreeMap::from([(ben.clone(), BTreeMap::from([(stage, Membership::Talk)]))]);
        roster.set_memberships(bulk).expect("a good change");
        assert_eq!(roster.users[&ben].channels.len(), 1);
    }

    #[test]
    fn a_guest_whose_time_is_over_is_taken_off() {
        let mut roster = roster();
        let ends = UserChange {
            ends: Some(Some(100)),
            ..UserChange::default()
        };
        roster.set_user(&"ben".into(), ends).expect("a good change");
        assert_eq!(roster.next_end(), Some(100));
        assert!(roster.remove_ended(99).is_empty());
        assert!(roster.has_now(&"ben".into(), 99) && !roster.has_now(&"ben".into(), 100));
        assert_eq!(roster.remove_ended(100)[0].0.as_str(), "ben");
        assert_eq!(roster.users.len(), 1);
    }
}
