//! `[[radio]]`, `[[desk]]` and `[[lamp]]`: what is wired to the box, and how it behaves.
//!
//! Defaults and ranges are those of the trade. What a wire or a sound card is called is read by `pttd-hw`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pttd_core::ids::ChannelId;
use pttd_core::radio;
use pttd_hw::spec::{CarrierSpec, Detector, LampSpec, PttSpec, Side, SoundSpec};
use serde::{Deserialize, Deserializer};

use super::name;
use crate::toml_file::{duration, text, whole};

mod check;
mod values;

pub(super) use self::check::check;
pub use self::values::{Bitrate, Follows, Id, Ident, Level};

/// A two-way radio: a receiver, a transmitter, a PTT line.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Radio {
    /// What it is called in the settings, the log and the API: 1 to 32 of a-z, 0-9, - and _.
    #[serde(deserialize_with = "text")]
    pub id: Id,
    /// What people read when it talks. Default: its id.
    #[serde(default, deserialize_with = "name")]
    pub name: Option<String>,
    /// The channel it is a participant of, by id.
    #[serde(deserialize_with = "channel")]
    pub channel: ChannelId,
    /// The level its receiver asks for the floor with.
    #[serde(default)]
    pub level: Level,
    /// Other radios of the channel are sent out here as well. Danger: two that hear each other on the air go round
    /// for ever, until the loop guard holds them off.
    #[serde(default)]
    pub relay: bool,
    /// The sound card: `card:ID`, `usb:PORT`, `pcm:NAME`, `bench:PATH` or `simulated`.
    pub sound: SoundSpec,
    /// `mono`, or the side of a stereo card it is wired to. A card is one radio's; a `pcm:` name may have two.
    #[serde(default)]
    pub side: Side,
    /// Gain of the card's capture and playback control in dB, where it is to be set.
    #[serde(default, deserialize_with = "gain")]
    pub capture_db: Option<f32>,
    #[serde(default, deserialize_with = "gain")]
    pub playback_db: Option<f32>,
    /// It has a receiver, and a transmitter.
    #[serde(default = "yes")]
    pub receive: bool,
    #[serde(default = "yes")]
    pub transmit: bool,
    /// The line that keys the transmitter. Danger: with a wrong polarity the radio transmits while nobody talks.
    #[serde(default = "no_ptt")]
    pub ptt: PttSpec,
    /// What says that the receiver hears someone. Default: `vox`.
    pub carrier: Option<CarrierSpec>,
    /// Key to first audio; speech is held back, never dropped. Default: 150ms, with CTCSS 350ms.
    #[serde(default, deserialize_with = "optional::<0, 2_000, _>")]
    pub lead: Option<Duration>,
    /// The receivers out there wait for a CTCSS tone: a longer lead.
    #[serde(default)]
    pub ctcss: bool,
    /// Last audio to unkey.
    #[serde(default = "ms::<100>", deserialize_with = "duration::<0, 1_000, _>")]
    pub tail: Duration,
    /// The longest key-down. The radio's own must be longer.
    #[serde(
        default = "ms::<120_000>",
        deserialize_with = "duration::<15_000, 600_000, _>"
    )]
    pub tot: Duration,
    /// The talker is warned so long before.
    #[serde(
        default = "ms::<10_000>",
        deserialize_with = "duration::<1_000, 10_000, _>"
    )]
    pub tot_alert: Duration,
    /// Rest of the transmitter after the TOT, once the talker has let go.
    #[serde(default = "ms::<5_000>", deserialize_with = "duration::<0, 60_000, _>")]
    pub tot_penalty: Duration,
    /// Open squelch after which the receiver counts as faulty.
    #[serde(
        default = "ms::<180_000>",
        deserialize_with = "duration::<30_000, 600_000, _>"
    )]
    pub stuck: Duration,
    /// How long the carrier has to stay before it is believed.
    #[serde(default = "ms::<20>", deserialize_with = "duration::<0, 200, _>")]
    pub debounce: Duration,
    /// How long the squelch stays open after the carrier went. Default: 250ms, with VOX 800ms.
    #[serde(default, deserialize_with = "optional::<0, 5_000, _>")]
    pub hang: Option<Duration>,
    /// The sound VOX takes for speech, in dBFS.
    #[serde(default = "minus_30", deserialize_with = "decibels::<-60, 0, _>")]
    pub vox_threshold: f32,
    /// How long it has to last.
    #[serde(default = "ms::<10>", deserialize_with = "duration::<5, 500, _>")]
    pub vox_attack: Duration,
    /// What is sent from before VOX opened: the first syllable.
    #[serde(default = "ms::<200>", deserialize_with = "duration::<0, 1_000, _>")]
    pub vox_preroll: Duration,
    /// How long the receiver is not believed after the own transmission.
    #[serde(default = "ms::<300>", deserialize_with = "duration::<0, 5_000, _>")]
    pub deaf: Duration,
    /// Shorter openings are not passed on...
    #[serde(default = "ms::<200>", deserialize_with = "duration::<0, 1_000, _>")]
    pub kerchunk: Duration,
    /// ...where the channel was idle for so long.
    #[serde(
        default = "ms::<180_000>",
        deserialize_with = "duration::<0, 3_600_000, _>"
    )]
    pub kerchunk_idle: Duration,
    /// The loudest that is sent, in dBFS.
    #[serde(default = "minus_6", deserialize_with = "decibels::<-30, 0, _>")]
    pub limiter: f32,
    /// Only 300 to 3000 Hz passes, both ways.
    #[serde(default = "yes")]
    pub voice_band: bool,
    /// 6 dB an octave up before a transmitter's flat input, down after a receiver's discriminator output.
    #[serde(default)]
    pub pre_emphasis: bool,
    #[serde(default)]
    pub de_emphasis: bool,
    /// A short tone on the air before the speech of each transmission.
    #[serde(default)]
    pub permit_tone: bool,
    /// 880 Hz for 150 ms after it.
    #[serde(default)]
    pub courtesy_tone: bool,
    /// Station identification while in use.
    #[serde(default, deserialize_with = "text")]
    pub ident: Ident,
    #[serde(
        default = "ms::<600_000>",
        deserialize_with = "duration::<60_000, 3_600_000, _>"
    )]
    pub ident_every: Duration,
    /// Of the Opus encoder, 0 to 10: more takes more of the processor.
    #[serde(default = "complexity", deserialize_with = "whole::<0, 10, _, _>")]
    pub complexity: u8,
    /// Of the Opus encoder.
    #[serde(default, deserialize_with = "text")]
    pub bitrate: Bitrate,
    /// How much is held back against the network's unevenness, at least and at most.
    #[serde(default = "ms::<20>", deserialize_with = "duration::<20, 200, _>")]
    pub playout_min: Duration,
    #[serde(default = "ms::<200>", deserialize_with = "duration::<20, 200, _>")]
    pub playout_max: Duration,
}

/// A local handset: a button, a microphone, a speaker. Nothing goes on the air.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Desk {
    /// Its id, unique among radios and desks: 1 to 32 of a-z, 0-9, - and _.
    #[serde(deserialize_with = "text")]
    pub id: Id,
    /// What people read when it talks. Default: its id.
    #[serde(default, deserialize_with = "name")]
    pub name: Option<String>,
    /// The channel it is a participant of, by id.
    #[serde(deserialize_with = "channel")]
    pub channel: ChannelId,
    /// The level it asks for the floor with.
    #[serde(default)]
    pub level: Level,
    /// As a radio's.
    pub sound: SoundSpec,
    #[serde(default)]
    pub side: Side,
    #[serde(default, deserialize_with = "gain")]
    pub capture_db: Option<f32>,
    #[serde(default, deserialize_with = "gain")]
    pub playback_db: Option<f32>,
    /// What is pressed to talk; named like a radio's carrier.
    pub button: CarrierSpec,
    /// A short tone in the speaker on grant.
    #[serde(default = "yes")]
    pub permit_tone: bool,
    /// A tone in the speaker where the floor is denied.
    #[serde(default = "yes")]
    pub deny_tone: bool,
    #[serde(default = "complexity", deserialize_with = "whole::<0, 10, _, _>")]
    pub complexity: u8,
    #[serde(default, deserialize_with = "text")]
    pub bitrate: Bitrate,
}

/// A GPIO output that shows what goes on.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lamp {
    /// `gpio:NAME` or `gpio:CHIP/OFFSET`, with a leading ! where low means lit.
    pub line: LampSpec,
    #[serde(deserialize_with = "text")]
    pub follows: Follows,
}

fn yes() -> bool {
    true
}

fn no_ptt() -> PttSpec {
    PttSpec::None
}

fn ms<const MS: u64>() -> Duration {
    Duration::from_millis(MS)
}

fn minus_30() -> f32 {
    -30.0
}

fn minus_6() -> f32 {
    -6.0
}

fn complexity() -> u8 {
    5
}

fn optional<'de, const MIN_MS: u64, const MAX_MS: u64, D: Deserializer<'de>>(
    d: D,
) -> Result<Option<Duration>, D::Error> {
    duration::<MIN_MS, MAX_MS, D>(d).map(Some)
}

fn gain<'de, D: Deserializer<'de>>(d: D) -> Result<Option<f32>, D::Error> {
    decibels::<-100, 50, D>(d).map(Some)
}

fn channel<'de, D: Deserializer<'de>>(d: D) -> Result<ChannelId, D::Error> {
    use serde::de::{Error, Unexpected};
    let id = String::deserialize(d)?;
    match id.is_empty() {
        false => Ok(id.into()),
        true => Err(D::Error::invalid_value(
            Unexpected::Str(&id),
            &"the id of a channel",
        )),
    }
}

/// A number of decibels within a range, whole or not.
fn decibels<'de, const MIN: i64, const MAX: i64, D: Deserializer<'de>>(
    d: D,
) -> Result<f32, D::Error> {
    use serde::de::{Error, Unexpected, Visitor};
    struct Decibels<const MIN: i64, const MAX: i64>;
    impl<const MIN: i64, const MAX: i64> Visitor<'_> for Decibels<MIN, MAX> {
        type Value = f32;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "a number of decibels from {MIN} to {MAX}")
        }
        fn visit_i64<E: Error>(self, v: i64) -> Result<f32, E> {
            match (MIN..=MAX).contains(&v) {
                true => Ok(v as f32),
                false => Err(E::invalid_value(Unexpected::Signed(v), &self)),
            }
        }
        fn visit_f64<E: Error>(self, v: f64) -> Result<f32, E> {
            match (MIN as f64..=MAX as f64).contains(&v) {
                true => Ok(v as f32),
                false => Err(E::invalid_value(Unexpected::Float(v), &self)),
            }
        }
    }
    d.deserialize_any(Decibels::<MIN, MAX>)
}

impl Radio {
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(self.id.as_str())
    }

    /// Where the far end of a simulated radio is found.
    fn air(&self, state: &Path) -> PathBuf {
        air(&self.id, state)
    }

    pub fn sound(&self, state: &Path) -> SoundSpec {
        self.sound.simulated_at(&self.air(state))
    }

    /// The line that keys it, also for the guardian. A simulated radio has one of its own.
    pub fn ptt(&self, state: &Path) -> PttSpec {
        match (&self.ptt, &self.sound) {
            _ if !self.transmit => PttSpec::None,
            (PttSpec::None, SoundSpec::Simulated) => PttSpec::Bench(self.air(state)),
            (ptt, _) => ptt.clone(),
        }
    }

    /// What opens its squelch. A simulated radio tells it by itself.
    pub fn carrier(&self, state: &Path) -> CarrierSpec {
        match (&self.carrier, &self.sound) {
            (Some(carrier), _) => carrier.clone(),
            (None, SoundSpec::Simulated) => CarrierSpec::One(Detector::Bench(self.air(state))),
            (None, _) => CarrierSpec::One(Detector::Vox),
        }
    }

    /// Whether it is the sound that opens the squelch.
    fn is_vox(&self) -> bool {
        match &self.carrier {
            Some(carrier) => carrier.has_vox(),
            None => self.sound != SoundSpec::Simulated,
        }
    }

    /// What the edge has to know of it.
    pub fn of_edge(&self) -> radio::Settings {
        let lead = match self.ctcss {
            true => ms::<350>(),
            false => ms::<150>(),
        };
        let hang = match self.is_vox() {
            true => ms::<800>(),
            false => ms::<250>(),
        };
        radio::Settings {
            id: self.id.as_str().to_string(),
            name: self.name().to_string(),
            channel: self.channel.clone(),
            level: self.level.into(),
            kind: radio::Kind::Radio,
            relay: self.relay,
            receives: self.receive,
            transmits: self.transmit,
            squelch: radio::SquelchSettings {
                debounce: self.debounce,
                hang: self.hang.unwrap_or(hang),
                vox_delay: self.is_vox().then(|| self.vox_attack + self.vox_preroll),
                deaf: self.deaf,
                kerchunk: self.kerchunk,
                kerchunk_idle: self.kerchunk_idle,
                stuck: self.stuck,
            },
            keying: radio::KeyingSettings {
                lead: self.lead.unwrap_or(lead),
                tail: self.tail,
                tot: self.tot,
                tot_alert: self.tot_alert,
                tot_penalty: self.tot_penalty,
            },
            tones: radio::ToneSettings {
                permit: self.permit_tone,
                deny: false,
                courtesy: self.courtesy_tone,
                ident_every: (self.ident != Ident::Off).then_some(self.ident_every),
            },
        }
    }
}

impl Desk {
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(self.id.as_str())
    }

    pub fn sound(&self, state: &Path) -> SoundSpec {
        self.sound.simulated_at(&air(&self.id, state))
    }

    /// What the edge has to know of it: a button needs no squelch, and nothing is keyed.
    pub fn of_edge(&self) -> radio::Settings {
        radio::Settings {
            id: self.id.as_str().to_string(),
            name: self.name().to_string(),
            channel: self.channel.clone(),
            level: self.level.into(),
            kind: radio::Kind::Desk,
            relay: true,
            receives: true,
            transmits: true,
            squelch: radio::SquelchSettings {
                debounce: ms::<20>(),
                hang: Duration::ZERO,
                vox_delay: None,
                deaf: Duration::ZERO,
                kerchunk: Duration::ZERO,
                kerchunk_idle: Duration::ZERO,
                stuck: ms::<600_000>(),
            },
            keying: radio::KeyingSettings {
                lead: Duration::ZERO,
                tail: Duration::ZERO,
                tot: ms::<600_000>(),
                tot_alert: ms::<10_000>(),
                tot_penalty: Duration::ZERO,
            },
            tones: radio::ToneSettings {
                permit: self.permit_tone,
                deny: self.deny_tone,
                courtesy: false,
                ident_every: None,
            },
        }
    }
}

/// Where the far end of a simulated radio listens.
pub fn air(id: &Id, state: &Path) -> PathBuf {
    state.join(format!("air-{}.sock", id.as_str()))
}

/// A relative path means the same wherever the daemon is started from.
pub(super) fn start_paths_at(radios: &mut [Radio], folder: &Path) {
    for radio in radios {
        if let Ident::Wav(file) = &mut radio.ident {
            *file = folder.join(&file);
        }
    }
}
