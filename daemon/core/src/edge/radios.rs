//! Radios and desks among the participants.

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use super::{Edge, Output};
use crate::floor;
use crate::ids::{ChannelId, RadioId, RouteId, SessionId, TransmissionId, TransportId, UserId};
use crate::media;
use crate::radio::{Event, Kind, Settings};
use crate::wire::signal::{Member, Person, Presence, Role};

/// What begins the user id of a radio; nobody on a roster may have a colon in theirs.
const USER: &str = "radio:";

pub(super) struct Radio {
    settings: Arc<Settings>,
    transport: TransportId,
    told_route: Option<RouteId>,
}

pub(super) fn is_radio(user: &UserId) -> bool {
    user.as_str().starts_with(USER)
}

impl Edge {
    pub(super) fn replace_radios(&mut self, radios: Vec<(RadioId, Arc<Settings>)>, now: Instant) {
        let mut before = std::mem::take(&mut self.radios);
        for (id, settings) in radios {
            let known = before.remove(&id);
            let transport = known.as_ref().map_or_else(
                || {
                    self.next_transport += 1;
                    TransportId(self.next_transport)
                },
                |known| known.transport,
            );
            self.radios.insert(
                id,
                Radio {
                    settings,
                    transport,
                    told_route: None,
                },
            );
        }
        self.set_routes();
        self.place_radios();
        let _ = now;
    }

    fn place_radios(&mut self) {
        for (&radio, r) in &mut self.radios {
            let route = self.channels.get(&r.settings.channel).map(|c| c.route);
            r.told_route = route;
            self.outputs.push_back(Output::RadioPlace {
                radio,
                transport: r.transport,
                route,
            });
        }
    }

    pub(super) fn radio(&mut self, radio: RadioId, event: Event, now: Instant) {
        let _ = (radio, event, now);
    }

    pub(super) fn radio_granted(&mut self, _radio: RadioId, _t: TransmissionId, _now: Instant) {}
    pub(super) fn radio_denied(&mut self, _radio: RadioId) {}
    pub(super) fn radio_queued(&mut self, _radio: RadioId) {}
    pub(super) fn radio_revoked(&mut self, _radio: RadioId, _until: Instant, _now: Instant) {}
    pub(super) fn announce_radio(&mut self, _radio: RadioId, _now: Instant) {}

    pub(super) fn radio_media(
        &mut self,
        radio: RadioId,
        channel: &ChannelId,
        event: media::Event,
        now: Instant,
    ) {
        let who = radio.into();
        match event {
            media::Event::Flows(_) => self.floor(channel, floor::Input::MediaFlows { who }, now),
            media::Event::Stalled { since, .. } => {
                self.floor(channel, floor::Input::MediaStalled { who, since }, now);
            }
            media::Event::Heard {
                transmission,
                heard,
                ..
            } => self.heard(channel.clone(), transmission, heard),
            media::Event::Connected(_)
            | media::Event::Echo { .. }
            | media::Event::Closed { .. } => {}
        }
    }

    /// Whether radios have a place on this channel: an echo is for the one who speaks.
    pub(super) fn is_for_radios(&self, channel: &ChannelId) -> bool {
        let channel = self.roster.channels.get(channel);
        channel.is_some_and(|channel| !channel.echo)
    }

    /// Who gets a talker's packets.
    pub(super) fn transmitters(&self, channel: &ChannelId) -> Vec<RadioId> {
        if !self.is_for_radios(channel) {
            return Vec::new();
        }
        let here = |r: &Radio| r.settings.channel == *channel && r.settings.transmits;
        let radios = self.radios.iter().filter(|(_, r)| here(r));
        radios.map(|(id, _)| *id).collect()
    }

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
        radio.is_some_and(|r| r.settings.channel == *channel)
    }

    pub(super) fn radio_person(&self, radio: RadioId) -> Option<Person> {
        let settings = &self.radios.get(&radio)?.settings;
        Some(Person {
            // No session has a number as small as this.
            session_id: SessionId(u64::from(radio.0) + 1),
            user_id: format!("{USER}{}", settings.id).into(),
            name: settings.name.clone(),
            role: Role::User,
        })
    }

    pub(super) fn radio_members(&self, channel: &ChannelId, now: Instant) -> Vec<Member> {
        let here = |r: &Radio| r.settings.channel == *channel;
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

    pub fn radios_now(&self, now: Instant) -> Vec<RadioView> {
        let view = |(id, r): (&RadioId, &Radio)| {
            let Settings { channel, .. } = &*r.settings;
            let user = format!("{USER}{}", r.settings.id).into();
            RadioView {
                radio: *id,
                id: r.settings.id.clone(),
                name: r.settings.name.clone(),
                channel_id: channel.clone(),
                channel_name: self
                    .roster
                    .channels
                    .get(channel)
                    .map_or_else(|| channel.to_string(), |c| c.name.clone()),
                kind: match r.settings.kind {
                    Kind::Radio => RadioKind::Radio,
                    Kind::Desk => RadioKind::Desk,
                },
                state: RadioState::Down,
                problem: None,
                carrier: false,
                squelch: SquelchView::Closed,
                talker: self.talk(channel, now).map(|talk| talk.talker.name),
                on_air_ms: None,
                tot_left_ms: None,
                silenced_ms: self.silence_left(&user, channel, now),
                line_keyed: false,
            }
        };
        self.radios.iter().map(view).collect()
    }
}

/// What the edge has decided about a radio or a desk, for the page.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RadioView {
    #[serde(skip)]
    pub radio: RadioId,
    pub id: String,
    pub name: String,
    pub channel_id: ChannelId,
    pub channel_name: String,
    pub kind: RadioKind,
    pub state: RadioState,
    /// What is wrong with it, for a person.
    pub problem: Option<String>,
    /// What the detectors say.
    pub carrier: bool,
    pub squelch: SquelchView,
    /// Who talks on its channel, perhaps itself.
    pub talker: Option<String>,
    pub on_air_ms: Option<u64>,
    pub tot_left_ms: Option<u64>,
    /// A dispatcher keeps its receiver from being heard for so long yet.
    pub silenced_ms: Option<u64>,
    /// Whether the PTT line is up, as the guardian says.
    pub line_keyed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RadioKind {
    Radio,
    Desk,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RadioState {
    /// Neither its sound nor its lines are there, or its transmitter has failed.
    Down,
    Idle,
    /// It has the floor: its receiver is heard.
    Receiving,
    Lead,
    OnAir,
    /// The talk is over, its sound is not.
    Draining,
    Tail,
    LockedOut,
    TestTone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SquelchView {
    Closed,
    Debounce,
    Filtering,
    Open,
    Deaf,
    Stuck,
    HeldOff,
}
