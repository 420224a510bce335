//! Radios and desks among the participants: what they are told, and what becomes of what they say.
//!
//! ```text
//!  carrier ─> squelch ─> reception ─> floor ─> talk ─> keying ─> orders
//!                ^                                       │
//!                └─────────────── on the air ────────────┘
//! ```
//! What one machine has to know of another is a level, looked at after every step (`settle`): so a radio that
//! comes late, a channel that comes back or a lock-out that ends needs no word of its own.

use std::sync::Arc;
use std::time::Instant;

use super::reception::Reception;
use super::{Edge, Output};
use crate::floor;
use crate::ids::{ChannelId, ParticipantId, RadioId, RouteId, TransmissionId, TransportId, UserId};
use crate::media;
use crate::radio::keying::{self, Keying};
use crate::radio::squelch::{self, Squelch};
use crate::radio::{Event, Kind, Order, Settings, loop_guard};
use crate::wire::signal::{EndReason, ServerMessage};

/// What begins the user id of a radio; nobody on a roster may have a colon in theirs.
pub(super) const USER: &str = "radio:";
/// Each round carries a decision one machine further; a whole way round is no longer than this.
const ROUNDS: usize = 8;

pub(super) struct Radio {
    pub settings: Arc<Settings>,
    pub transport: TransportId,
    pub squelch: Squelch,
    pub keying: Keying,
    pub reception: Reception,
    /// What the detectors say.
    pub carrier: bool,
    pub receiver: bool,
    transmitter: bool,
    pub place: Place,
    /// Whose talk is to be sent out.
    pub sends: Option<(TransmissionId, ParticipantId)>,
    /// Who talked when the TOT was over.
    timed_out: Option<ParticipantId>,
    /// And is still to be told so.
    cuts: bool,
    told: Told,
}

/// Where the others find it.
#[derive(Default)]
pub(super) struct Place {
    pub route: Option<RouteId>,
    /// It is among the members the channel was told of.
    pub is_member: bool,
}

/// What its machines were told last.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Told {
    transmitting: bool,
    held_off: bool,
    used: bool,
    clear: bool,
}

impl Radio {
    fn new(settings: Arc<Settings>, transport: TransportId) -> Radio {
        Radio {
            transport,
            squelch: Squelch::new(settings.squelch.clone()),
            keying: Keying::new(settings.clone()),
            reception: Reception::None,
            carrier: false,
            receiver: false,
            transmitter: false,
            place: Place::default(),
            sends: None,
            timed_out: None,
            cuts: false,
            told: Told::default(),
            settings,
        }
    }

    pub fn is_there(&self) -> bool {
        self.receiver || self.transmitter
    }

    pub fn user(&self) -> UserId {
        format!("{USER}{}", self.settings.id).into()
    }

    pub fn is_on(&self, channel: &ChannelId) -> bool {
        self.settings.channel == *channel
    }
}

impl Edge {
    pub(super) fn replace_radios(&mut self, radios: Vec<(RadioId, Arc<Settings>)>, now: Instant) {
        let goes = |(id, r): (&RadioId, &Radio)| {
            let stays = radios.iter().any(|(n, s)| n == id && *s == r.settings);
            (!stays).then_some(*id)
        };
        let gone: Vec<RadioId> = self.radios.iter().filter_map(goes).collect();
        for radio in gone {
            self.take_radio_away(radio, now);
        }
        for (id, settings) in radios {
            if !self.radios.contains_key(&id) {
                self.next_transport += 1;
                let transport = TransportId(self.next_transport);
                self.radios.insert(id, Radio::new(settings, transport));
            }
        }
        // Also of those that stay: their threads may be others, where only wires or sound have changed.
        for (radio, r) in &self.radios {
            self.outputs.push_back(Output::RadioPlace {
                radio: *radio,
                transport: r.transport,
                route: r.place.route,
            });
        }
        self.set_routes();
    }

    /// The box stops: nothing is on the air any more.
    pub(super) fn stop_radios(&mut self, now: Instant) {
        for radio in self.radios.keys().copied().collect::<Vec<_>>() {
            self.take_radio_away(radio, now);
        }
    }

    fn take_radio_away(&mut self, radio: RadioId, now: Instant) {
        self.radio_lost_receiver(radio, now);
        self.tell_keying(radio, keying::Input::Ready(false), now);
        if let Some(r) = self.radios.get_mut(&radio) {
            r.transmitter = false;
            self.place_radio(radio, now);
            self.radios.remove(&radio);
        }
    }

    pub(super) fn radio(&mut self, radio: RadioId, event: Event, now: Instant) {
        let Some(r) = self.radios.get_mut(&radio) else {
            return;
        };
        match event {
            Event::Carrier { up, at } => {
                r.carrier = up;
                if r.receiver {
                    r.squelch.handle(squelch::Input::Line { up, at }, now);
                }
            }
            Event::Ready {
                receiver,
                transmitter,
            } => {
                let receiver = receiver && r.settings.receives;
                let ready = transmitter && r.settings.transmits;
                if (r.receiver, r.transmitter) != (receiver, ready) {
                    let id = &r.settings.id;
                    tracing::info!(radio = %id, receiver, transmitter = ready, "what is there of a radio");
                }
                r.transmitter = ready;
                if !receiver {
                    self.radio_lost_receiver(radio, now);
                } else if !std::mem::replace(&mut r.receiver, true) {
                    let up = r.carrier;
                    r.squelch.handle(squelch::Input::Line { up, at: now }, now);
                }
                self.tell_keying(radio, keying::Input::Ready(ready), now);
            }
            Event::Drained { at } => self.tell_keying(radio, keying::Input::Drained { at }, now),
            Event::Line {
                keyed,
                fault,
                locked,
            } => {
                let line = keying::Input::Line {
                    keyed,
                    fault,
                    locked,
                };
                self.tell_keying(radio, line, now);
            }
            Event::TestTone { length } => {
                self.tell_keying(radio, keying::Input::TestTone { length }, now);
            }
            Event::StopTestTone => self.tell_keying(radio, keying::Input::StopTestTone, now),
        }
    }

    fn radio_lost_receiver(&mut self, radio: RadioId, now: Instant) {
        let Some(r) = self.radios.get_mut(&radio).filter(|r| r.receiver) else {
            return;
        };
        r.receiver = false;
        r.carrier = false;
        r.squelch.handle(squelch::Input::Gone, now);
        let channel = r.settings.channel.clone();
        self.end_reception(radio, now);
        self.gone_from_floor(radio.into(), &channel, EndReason::Disconnected, now);
    }

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

    pub(super) fn radios_due(&self) -> Option<Instant> {
        let of_radio = |r: &Radio| {
            let machines = [r.squelch.poll_timeout(), r.keying.poll_timeout()];
            machines
                .into_iter()
                .chain([r.reception.due()])
                .flatten()
                .min()
        };
        let guards = self
            .channels
            .values()
            .filter_map(|c| c.guard.poll_timeout());
        self.radios
            .values()
            .filter_map(of_radio)
            .chain(guards)
            .min()
    }

    /// Serves what is due, and lets each machine know what has become of the others.
    pub(super) fn settle(&mut self, now: Instant) {
        // Where no radio is left as well: what is due and not served would be due for ever.
        self.settle_guards(now);
        let ids: Vec<RadioId> = self.radios.keys().copied().collect();
        for _ in 0..ROUNDS {
            let before = self.outputs.len();
            let mut moved = false;
            for &radio in &ids {
                moved |= self.settle_radio(radio, now);
            }
            if !moved && before == self.outputs.len() {
                break;
            }
        }
        for radio in ids {
            self.place_radio(radio, now);
        }
    }

    fn settle_radio(&mut self, radio: RadioId, now: Instant) -> bool {
        let Some(r) = self.radios.get_mut(&radio) else {
            return false;
        };
        r.squelch.handle_timeout(now);
        r.keying.handle_timeout(now);
        self.follow_squelch(radio, now);
        self.receive(radio, now);
        self.follow_talk(radio, now);
        self.follow_keying(radio);
        self.cut_timed_out(radio, now);
        let moved = self.tell_levels(radio, now);
        let must_let_go = self.radios.get(&radio).is_some_and(|r| {
            let floor = self.channels.get(&r.settings.channel).map(|c| &c.floor);
            let must = |who| floor.is_some_and(|floor| floor.must_let_go(who));
            !r.keying.waits_for_release() || r.timed_out.is_some_and(must)
        });
        if !must_let_go {
            self.tell_keying(radio, keying::Input::LetGo, now);
        }
        moved || !must_let_go
    }

    fn tell_levels(&mut self, radio: RadioId, now: Instant) -> bool {
        let Some(r) = self.radios.get_mut(&radio) else {
            return false;
        };
        let channel = self.channels.get(&r.settings.channel);
        let is_radio = r.settings.kind == Kind::Radio;
        let used = channel.is_some_and(|c| c.floor.talk().is_some());
        // Also one who is not believed just now, in deaf time: nobody is to be talked over.
        let carrier = r.receiver && r.carrier && !r.squelch.is_stuck();
        let hears = carrier || r.squelch.hears();
        let told = Told {
            // A desk has two ears and a mouth of its own.
            transmitting: is_radio && (r.keying.is_keyed() || r.keying.is_line_up()),
            held_off: is_radio && channel.is_some_and(|c| c.guard.is_holding_off()),
            used,
            clear: !used && !hears,
        };
        let before = std::mem::replace(&mut r.told, told);
        if before.transmitting != told.transmitting {
            let transmitting = squelch::Input::Transmitting(told.transmitting);
            r.squelch.handle(transmitting, now);
        }
        if before.held_off != told.held_off {
            let held_off = squelch::Input::HeldOff(told.held_off);
            r.squelch.handle(held_off, now);
        }
        if before.used != told.used {
            r.squelch.handle(squelch::Input::ChannelUsed(used), now);
        }
        if before.clear != told.clear {
            r.keying.handle(keying::Input::Clear(told.clear), now);
        }
        before != told
    }

    fn tell_keying(&mut self, radio: RadioId, input: keying::Input, now: Instant) {
        if let Some(r) = self.radios.get_mut(&radio) {
            r.keying.handle(input, now);
            self.follow_keying(radio);
        }
    }

    fn follow_keying(&mut self, radio: RadioId) {
        while let Some(r) = self.radios.get_mut(&radio)
            && let Some(output) = r.keying.poll_output()
        {
            let sends = r.sends;
            let id = r.settings.id.clone();
            let channel = r.settings.channel.clone();
            match output {
                keying::Output::Order(order) => {
                    self.tell_order(&id, &order);
                    self.order(radio, order);
                }
                keying::Output::Warned { left } => {
                    let talk = self.channels.get(&channel).and_then(|c| c.floor.talk());
                    let talk = talk.map(|talk| (talk.who, talk.transmission));
                    if let Some((ParticipantId::Session(to), transmission_id)) = talk {
                        let message = ServerMessage::LimitWarning {
                            channel_id: channel,
                            transmission_id,
                            left_ms: left.as_millis() as u64,
                        };
                        self.send(to, message);
                    }
                }
                keying::Output::TimedOut { transmission } => {
                    tracing::warn!(radio = %id, "unkeyed: the transmitter was on for as long as it may, or the guardian stopped it");
                    let sent = sends.filter(|(sent, _)| Some(*sent) == transmission);
                    r.timed_out = sent.map(|(_, who)| who);
                    r.cuts = true;
                }
            }
        }
    }

    fn cut_timed_out(&mut self, radio: RadioId, now: Instant) {
        if let Some(r) = self.radios.get_mut(&radio)
            && std::mem::take(&mut r.cuts)
            && let Some(who) = r.timed_out
        {
            let channel = r.settings.channel.clone();
            let reason = EndReason::TalkLimit;
            self.floor(&channel, floor::Input::End { who, reason }, now);
        }
    }

    fn tell_order(&self, id: &str, order: &Order) {
        match order {
            Order::Key { .. } => tracing::trace!(radio = %id, "keyed"),
            order => tracing::debug!(radio = %id, ?order, "radio ordered"),
        }
    }

    pub(super) fn order(&mut self, radio: RadioId, order: Order) {
        self.outputs.push_back(Output::Radio { radio, order });
    }

    /// Before packets of a talk can come: whoever sends it out has to know.
    pub(super) fn follow_talk_on(&mut self, channel: &ChannelId, now: Instant) {
        let here = self.radios.iter().filter(|(_, r)| r.is_on(channel));
        for radio in here.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.follow_talk(radio, now);
        }
    }

    fn follow_talk(&mut self, radio: RadioId, now: Instant) {
        let talk = self.heard_by(radio);
        let Some(r) = self.radios.get_mut(&radio) else {
            return;
        };
        // A TOT that is due is of whoever talked until now.
        r.keying.handle_timeout(now);
        self.follow_keying(radio);
        let Some(r) = self.radios.get_mut(&radio) else {
            return;
        };
        let number = |talk: Option<(TransmissionId, ParticipantId)>| talk.map(|talk| talk.0);
        let before = std::mem::replace(&mut r.sends, talk);
        if number(before) == number(talk) {
            return;
        }
        if before.is_some() {
            self.tell_keying(radio, keying::Input::TalkOver, now);
        }
        if let Some((transmission, _)) = talk {
            self.tell_keying(radio, keying::Input::Talk(transmission), now);
        }
    }

    /// The talk of its channel that is to be sent out here: not its own, and not of another radio, unless it relays.
    fn heard_by(&self, radio: RadioId) -> Option<(TransmissionId, ParticipantId)> {
        let r = self.radios.get(&radio)?;
        if !r.settings.transmits || !self.is_for_radios(&r.settings.channel) {
            return None;
        }
        let talk = self.channels.get(&r.settings.channel)?.floor.talk()?;
        let hears = match talk.who {
            ParticipantId::Session(_) => true,
            ParticipantId::Radio(talker) if talker == radio => false,
            ParticipantId::Radio(talker) => {
                r.settings.relay || r.settings.kind == Kind::Desk || !self.is_on_air(talker)
            }
        };
        hears.then_some((talk.transmission, talk.who))
    }

    /// Something that is received from the air, not from a desk's microphone.
    fn is_on_air(&self, talker: RadioId) -> bool {
        let radio = self.radios.get(&talker);
        radio.is_none_or(|r| r.settings.kind == Kind::Radio)
    }

    /// Only where one radio is sent out by another can they go on by themselves.
    pub(super) fn watch_for_loops(&mut self, channel: &ChannelId, talker: RadioId, now: Instant) {
        let relays = |r: &Radio| r.is_on(channel) && r.settings.relay;
        if !self.is_on_air(talker) || !self.radios.values().any(relays) {
            return;
        }
        if let Some(c) = self.channels.get_mut(channel) {
            c.guard.handle(loop_guard::Input::Talks(talker), now);
        }
    }

    fn settle_guards(&mut self, now: Instant) {
        for (channel, c) in &mut self.channels {
            c.guard.handle_timeout(now);
            while let Some(output) = c.guard.poll_output() {
                match output {
                    loop_guard::Output::HoldOff(true) => tracing::warn!(
                        %channel,
                        "its radios hear each other and talk in turns, their receivers are held off"
                    ),
                    loop_guard::Output::HoldOff(false) => {
                        tracing::info!(%channel, "its radios' receivers are heard again");
                    }
                }
            }
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
        let here = |r: &Radio| r.is_on(channel) && r.settings.transmits;
        let radios = self.radios.iter().filter(|(_, r)| here(r));
        radios.map(|(id, _)| *id).collect()
    }
}
