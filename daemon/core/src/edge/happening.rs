//! What is worth remembering after it has happened: for the recorder, the audit log and the roll call.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::ids::{ChannelId, RouteId, SessionId, TransmissionId, UserId};
use crate::media::Heard;
use crate::wire::signal::{EndReason, Level, Person};

#[derive(Clone, Debug, PartialEq)]
pub enum Happening {
    /// Told before any packet of it can arrive.
    TalkBegan {
        transmission: TransmissionId,
        channel: ChannelId,
        route: RouteId,
        talker: Person,
        level: Level,
        at: Instant,
    },
    /// A few packets may still arrive.
    TalkEnded {
        transmission: TransmissionId,
        channel: ChannelId,
        talker: Person,
        reason: EndReason,
        duration: Duration,
        at: Instant,
    },
    /// How the talker was heard, after `TalkEnded`; left out where their transport went before.
    Heard {
        transmission: TransmissionId,
        channel: ChannelId,
        talker: Person,
        heard: Heard,
    },
    SignedIn {
        session: SessionId,
        user: UserId,
        address: IpAddr,
        resumed: bool,
    },
    SessionEnded {
        session: SessionId,
        user: UserId,
        reason: EndReason,
    },
    /// A dispatcher ended a transmission.
    TalkCut {
        channel: ChannelId,
        talker: UserId,
        by: Person,
    },
    /// `minutes` 0: may talk again.
    Silenced {
        channel: ChannelId,
        user: UserId,
        minutes: u32,
        by: Person,
    },
    Called {
        call: u64,
        channel: ChannelId,
        caller: Person,
    },
    CallTaken {
        call: u64,
        channel: ChannelId,
        by: Person,
    },
    CallClosed {
        call: u64,
        channel: ChannelId,
        by: Person,
    },
    EmergencyRaised {
        emergency: u64,
        channel: ChannelId,
        raiser: Person,
    },
    EmergencyAcknowledged {
        emergency: u64,
        channel: ChannelId,
        by: Person,
    },
    EmergencyCleared {
        emergency: u64,
        channel: ChannelId,
        by: Person,
    },
    PositionTaken {
        position: String,
        by: Person,
        from: Option<Person>,
    },
}
