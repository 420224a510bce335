//! Radios: two-way radios wired to the box, and desks (a button, a microphone and a speaker).
//!
//! ```text
//!  carrier ─> squelch ─> floor ─> keying ─> PTT line, audio gate
//!  sound in ─> levels ─> VOX, packets      packets ─> playout ─> levels ─> sound out
//! ```
//! The reactor's `Edge` decides with [`Event`]s and answers with [`Order`]s; two threads a radio, one for
//! each direction of sound, see and carry them out. The machines for sound live here as well and know no
//! clock and no sound card.

pub mod chain;
pub mod drift;
pub mod filters;
pub mod gate;
pub mod keying;
pub mod lease;
pub mod levels;
pub mod limiter;
pub mod loop_guard;
mod morse;
pub mod player;
pub mod playout;
pub mod squelch;
pub mod tones;
pub mod vox;
pub mod wizard;

#[cfg(test)]
mod signals;

use std::time::{Duration, Instant};

use crate::ids::{ChannelId, TransmissionId};
use crate::wire::signal::Level;

/// Samples a second, everywhere; one period of 10 ms.
pub const RATE: u32 = 48_000;
pub const PERIOD: usize = 480;

/// What the edge has to know of a radio or a desk.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// As it stands in the settings file: `hall`. As a talker it is the user `radio:hall`.
    pub id: String,
    /// What people read when it talks.
    pub name: String,
    pub channel: ChannelId,
    /// The level it asks for the floor with.
    pub level: Level,
    pub kind: Kind,
    /// Whether other radios of the channel are sent out here as well.
    pub relay: bool,
    /// It has a microphone or a receiver.
    pub receives: bool,
    /// It has a speaker or a transmitter.
    pub transmits: bool,
    pub squelch: SquelchSettings,
    pub keying: KeyingSettings,
    pub tones: ToneSettings,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A transmitter and a receiver: half duplex, keyed, with lead, tail and TOT.
    Radio,
    /// A person at the box: a button, a microphone, a speaker. Nothing goes on the air.
    Desk,
}

/// From "the detector says up" to "someone speaks".
#[derive(Clone, Debug, PartialEq)]
pub struct SquelchSettings {
    /// How long the line has to stay up. 0 to 200 ms.
    pub debounce: Duration,
    /// How long the squelch stays open after the line went down. 0 to 5 s.
    pub hang: Duration,
    /// What is sent from before the line went up, where the detector is VOX: its attack and the pre-roll.
    /// `None`: a carrier, whose backlog of debounce and 20 ms is sent back to back.
    pub vox_delay: Option<Duration>,
    /// How long nothing is believed after the own transmission. 0 to 5 s.
    pub deaf: Duration,
    /// Openings shorter than this are not passed on, 0 to 1 s, where the channel was idle for `kerchunk_idle`.
    pub kerchunk: Duration,
    pub kerchunk_idle: Duration,
    /// Open squelch after which the receiver is taken for faulty until the line goes down. 30 to 600 s.
    pub stuck: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub struct KeyingSettings {
    /// Key to first audio; speech is held back, never dropped. 0 to 2 s.
    pub lead: Duration,
    /// Last audio to unkey. 0 to 1 s.
    pub tail: Duration,
    /// Longest key-down. 15 to 600 s.
    pub tot: Duration,
    /// The pre-alert before the TOT. 1 to 10 s.
    pub tot_alert: Duration,
    /// Rest after the TOT, once the talker has let go. 0 to 60 s.
    pub tot_penalty: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ToneSettings {
    /// Before the speech of each transmission (radio: on the air; desk: in the speaker, on grant).
    pub permit: bool,
    /// A desk's own denial.
    pub deny: bool,
    /// After the speech of each transmission.
    pub courtesy: bool,
    /// Station identification while in use; `None`: off. 1 to 60 min.
    pub ident_every: Option<Duration>,
}

/// From a radio's threads to the edge.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// What the detectors together say: a level, told when it changes, and again at each `Ready`.
    Carrier {
        up: bool,
        at: Instant,
    },
    /// Sound and lines are there, or are not: then whoever talks through them is cut, and nothing is keyed.
    Ready {
        receiver: bool,
        transmitter: bool,
    },
    /// After [`Order::EndPlay`] or a tone: all that was to be played has left the sound card. `at` is when that was
    /// noticed, never before the order it answers came.
    Drained {
        at: Instant,
    },
    /// The guardian says the PTT line is up, or down; `fault` where it could not do as told, `locked` where it keeps
    /// it down, whoever orders what: past the TOT, or because somebody stopped it.
    Line {
        keyed: bool,
        fault: bool,
        locked: bool,
    },
    /// Someone who may asks for the test tone: so long at most.
    TestTone {
        length: Duration,
    },
    StopTestTone,
}

/// From the edge to a radio's threads.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// Send what is received, from this moment of the past on. `delayed`: at its own pace, so late from end
    /// to end; else what has gathered is sent at once, with its own timestamps. Again for the same
    /// transmission: someone went on speaking before all of it was out.
    Receive {
        transmission: TransmissionId,
        from: Instant,
        delayed: bool,
    },
    /// Send nothing that was received after this.
    StopReceiving {
        until: Instant,
    },
    /// May be on the air until then: renewed while it shall be. The thread renews the guardian's lease only
    /// as long as this has not passed and sound really moves. It does not believe one that reaches more than
    /// 300 ms ahead.
    Key {
        until: Instant,
    },
    Unkey,
    /// A talk begins whose packets come from the route: hold its sound back until then. What is left of the talk
    /// before, or of a tone, is played out first.
    Play {
        transmission: TransmissionId,
        not_before: Instant,
    },
    /// The talk is over: play out what is there, then say [`Event::Drained`].
    EndPlay,
    /// Forget what is there.
    Discard,
    /// Sound of the box's own, before or after what is played; [`Event::Drained`] comes after it.
    Tone(Tone),
    StopTone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Permit,
    Deny,
    Courtesy,
    /// The TOT is near: mixed into what is played.
    PreAlert,
    /// The station's identification: CW or a file.
    Ident,
    /// 1 kHz at -10 dBFS, so long.
    Test {
        length: Duration,
    },
}
