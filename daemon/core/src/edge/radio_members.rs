//! Radios and desks as the others see them: members of their channel, users that can be silenced.

use std::time::Instant;

use super::radios::{Place, Radio, USER};
use super::{Edge, Output};
use crate::ids::{ChannelId, RadioId, SessionId, TransportId, UserId};
use crate::wire::signal::{Member, Person, Presence, Role, ServerMessage};

/// The first number a session may have: below are those of the radios.
pub(super) const FIRST_SESSION: u64 = 1 << 20;

pub(super) fn is_radio(user: &UserId) -> bool {
    user.as_str().starts_with(USER)
}

fn session_number(radio: RadioId) -> SessionId {
    SessionId(u64::from(radio.0) + 1)
}

impl Edge {
    pub(super) fn radio_transport(&self, radio: RadioId) -> Option<TransportId> {
        Some(self.radios.get(&radio)?.transport)
    }

    pub(super) fn radio_of_transport(
        &self,
        transport: TransportId,
    ) -> Option<(RadioId, ChannelId)> {
        let mut radios = self.radios.iter();
        let (id, radio) = radios.find(|(_, r)| r.transport == transport)?;
        Some((*id, radio.settings.channel.clone()))
    }

    pub(super) fn radio_of_user(&self, user: &UserId) -> Option<RadioId> {
        let id = user.as_str().strip_prefix(USER)?;
        let mut radios = self.radios.iter();
        radios.find(|(_, r)| r.settings.id == id).map(|(id, _)| *id)
    }

    pub(super) fn is_radio_of(&self, user: &UserId, channel: &ChannelId) -> bool {
        let radio = self.radio_of_user(user).and_then(|id| self.radios.get(&id));
        radio.is_some_and(|r| r.is_on(channel))
    }

    pub(super) fn radio_person(&self, radio: RadioId) -> Option<Person> {
        let r = self.radios.get(&radio)?;
        Some(Person {
            session_id: session_number(radio),
            user_id: r.user(),
            name: r.settings.name.clone(),
            role: Role::User,
        })
    }

    pub(super) fn radio_members(&self, channel: &ChannelId, now: Instant) -> Vec<Member> {
        let here = |r: &Radio| r.is_on(channel) && r.place.is_member;
        let radios = self.radios.iter().filter(|(_, r)| here(r));
        radios
            .filter_map(|(id, _)| self.radio_member(*id, now))
            .collect()
    }

    fn radio_member(&self, radio: RadioId, now: Instant) -> Option<Member> {
        let person = self.radio_person(radio)?;
        let channel = &self.radios.get(&radio)?.settings.channel;
        Some(Member {
            silenced_ms: self.silence_left(&person.user_id, channel, now),
            person,
            presence: Presence::Awake,
        })
    }

    /// Tells the channel what this radio is now.
    pub(super) fn announce_radio(&mut self, radio: RadioId, now: Instant) {
        let r = self.radios.get(&radio).filter(|r| r.place.is_member);
        let channel = r.map(|r| r.settings.channel.clone());
        if let (Some(channel_id), Some(member)) = (channel, self.radio_member(radio, now)) {
            let channel = channel_id.clone();
            let message = ServerMessage::Member { channel_id, member };
            self.broadcast(&channel, None, &message);
        }
    }

    /// Tells the daemon where its packets belong, and the channel whether it is there.
    pub(super) fn place_radio(&mut self, radio: RadioId, now: Instant) {
        let Some(r) = self.radios.get(&radio) else {
            return;
        };
        let channel = r.settings.channel.clone();
        let for_radios = self.is_for_radios(&channel);
        let route = self.channels.get(&channel).filter(|_| for_radios);
        let place = Place {
            route: route.map(|c| c.route),
            is_member: for_radios && r.is_there(),
        };
        let transport = r.transport;
        let Some(r) = self.radios.get_mut(&radio) else {
            return;
        };
        let before = std::mem::replace(&mut r.place, place);
        let (route, is_member) = (r.place.route, r.place.is_member);
        if before.route != route {
            self.outputs.push_back(Output::RadioPlace {
                radio,
                transport,
                route,
            });
        }
        match (before.is_member, is_member) {
            (false, true) => self.announce_radio(radio, now),
            (true, false) => {
                let left = ServerMessage::MemberLeft {
                    channel_id: channel.clone(),
                    session_id: session_number(radio),
                };
                self.broadcast(&channel, None, &left);
            }
            (false, false) | (true, true) => {}
        }
    }
}
