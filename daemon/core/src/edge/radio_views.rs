//! What a page shows of the radios.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::Edge;
use super::radios::Radio;
use super::reception::Reception;
use crate::ids::{ChannelId, RadioId};
use crate::radio::{Kind, Settings, keying, squelch};

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

impl Edge {
    pub fn radios_now(&self, now: Instant) -> Vec<RadioView> {
        let view = |(id, r): (&RadioId, &Radio)| self.radio_view(*id, r, now);
        self.radios.iter().map(view).collect()
    }

    fn radio_view(&self, radio: RadioId, r: &Radio, now: Instant) -> RadioView {
        let Settings {
            id, name, channel, ..
        } = &*r.settings;
        let on_roster = self.roster.channels.get(channel);
        let sends = r.sends.and_then(|(_, who)| self.participant(who));
        let since = |at| ms(now.saturating_duration_since(at));
        let is_desk = r.settings.kind == Kind::Desk;
        RadioView {
            radio,
            id: id.clone(),
            name: name.clone(),
            channel_id: channel.clone(),
            channel_name: on_roster.map_or_else(|| channel.to_string(), |c| c.name.clone()),
            kind: match is_desk {
                true => RadioKind::Desk,
                false => RadioKind::Radio,
            },
            state: state(r),
            problem: self.radio_problem(r, now),
            carrier: r.carrier,
            squelch: match r.squelch.seen() {
                squelch::Seen::Closed => SquelchView::Closed,
                squelch::Seen::Debounce => SquelchView::Debounce,
                squelch::Seen::Filtering => SquelchView::Filtering,
                squelch::Seen::Open => SquelchView::Open,
                squelch::Seen::Deaf => SquelchView::Deaf,
                squelch::Seen::Stuck => SquelchView::Stuck,
                squelch::Seen::HeldOff => SquelchView::HeldOff,
            },
            talker: sends.map(|person| person.name),
            on_air_ms: r.keying.keyed_since().map(since),
            tot_left_ms: r
                .keying
                .tot()
                .map(|tot| ms(tot.saturating_duration_since(now))),
            silenced_ms: self.silence_left(&r.user(), channel, now),
            line_keyed: r.keying.is_line_up(),
        }
    }

    /// The worst of what is wrong.
    fn radio_problem(&self, r: &Radio, now: Instant) -> Option<String> {
        let channel = &r.settings.channel;
        let on_roster = self.roster.channels.get(channel);
        let transmitter = r
            .settings
            .transmits
            .then(|| r.keying.problem(now))
            .flatten();
        if let Some(problem) = transmitter {
            return Some(problem.into());
        }
        match on_roster {
            None => {
                return Some(format!(
                    "There is no channel {channel}: nobody hears it, and it sends nothing."
                ));
            }
            Some(c) if c.echo => {
                return Some(format!(
                    "{} is an echo channel: radios have no place there.",
                    c.name
                ));
            }
            Some(_) => {}
        }
        let problem = match r.squelch.seen() {
            _ if r.settings.receives && !r.receiver => {
                "The sound card or the carrier line of its receiver is not there."
            }
            _ if r.squelch.is_stuck() => {
                "Its carrier stays up: the receiver is not heard until it drops."
            }
            squelch::Seen::HeldOff => {
                "The radios of this channel hear each other in a loop: their receivers are held off for 30 seconds."
            }
            squelch::Seen::Closed
            | squelch::Seen::Debounce
            | squelch::Seen::Filtering
            | squelch::Seen::Open
            | squelch::Seen::Deaf
            | squelch::Seen::Stuck => return None,
        };
        Some(problem.into())
    }
}

fn state(r: &Radio) -> RadioState {
    if !r.is_there() {
        return RadioState::Down;
    }
    if let Reception::Talks { .. } | Reception::Ends { .. } = r.reception {
        return RadioState::Receiving;
    }
    match r.keying.seen() {
        keying::Seen::Down if r.settings.transmits => RadioState::Down,
        keying::Seen::Down | keying::Seen::Idle => RadioState::Idle,
        keying::Seen::Lead => RadioState::Lead,
        keying::Seen::OnAir => RadioState::OnAir,
        keying::Seen::Draining => RadioState::Draining,
        keying::Seen::Tail => RadioState::Tail,
        keying::Seen::LockedOut => RadioState::LockedOut,
        keying::Seen::TestTone => RadioState::TestTone,
    }
}

fn ms(duration: Duration) -> u64 {
    duration.as_millis() as u64
}
