//! What a setting of a radio, desk or lamp may be.

use std::path::PathBuf;
use std::str::FromStr;

use pttd_core::ids::ChannelId;
use pttd_core::wire::signal;
use serde::Deserialize;

use crate::toml_file::Written;

/// 1 to 32 of a-z, 0-9, - and _.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id(String);

impl Id {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Id {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
        ((1..=32).contains(&text.len()) && text.chars().all(good))
            .then(|| Id(text.to_string()))
            .ok_or(())
    }
}

impl Written for Id {
    const LIKE: &'static str = "1 to 32 of a-z, 0-9, - and _";
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    #[default]
    Normal,
    Dispatch,
}

/// What a station says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ident {
    #[default]
    Off,
    /// In Morse code.
    Cw(String),
    /// A WAV file.
    Wav(PathBuf),
}

impl FromStr for Ident {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let letter = |c: char| c.is_ascii_alphanumeric() || "/-".contains(c);
        match text.split_once(':') {
            None if text == "off" => Ok(Ident::Off),
            Some(("cw", call)) if (1..=16).contains(&call.len()) && call.chars().all(letter) => {
                Ok(Ident::Cw(call.to_ascii_uppercase()))
            }
            Some(("wav", file)) if !file.is_empty() => Ok(Ident::Wav(file.into())),
            _ => Err(()),
        }
    }
}

impl Written for Ident {
    const LIKE: &'static str =
        "\"off\", \"cw:CALL\" with a call of 1 to 16 letters, digits, / and -, or \"wav:FILE\"";
}

/// Bits a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bitrate(pub i32);

impl Default for Bitrate {
    fn default() -> Self {
        Bitrate(24_000)
    }
}

impl FromStr for Bitrate {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let thousands = text.strip_suffix('k').ok_or(())?;
        let thousands: i32 = thousands.parse().map_err(|_unlike| ())?;
        (8..=64)
            .contains(&thousands)
            .then_some(Bitrate(thousands * 1000))
            .ok_or(())
    }
}

impl Written for Bitrate {
    const LIKE: &'static str = "bits a second in quotes, from \"8k\" to \"64k\"";
}

/// What a lamp shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Follows {
    /// Somebody talks on this channel.
    Talk(ChannelId),
    /// Nobody else could talk on it now: as talk, and while one of its radios is on the air, also in its tail.
    Busy(ChannelId),
    /// This radio's PTT line is keyed.
    OnAir(String),
    /// The box has a way out of its network.
    Uplink,
}

impl FromStr for Follows {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.split_once(':') {
            None if text == "uplink" => Ok(Follows::Uplink),
            Some((_, "")) => Err(()),
            Some(("talk", channel)) => Ok(Follows::Talk(channel.into())),
            Some(("busy", channel)) => Ok(Follows::Busy(channel.into())),
            Some(("on-air", radio)) => Ok(Follows::OnAir(radio.to_string())),
            _ => Err(()),
        }
    }
}

impl Written for Follows {
    const LIKE: &'static str = "\"talk:CHANNEL\", \"busy:CHANNEL\", \"on-air:RADIO\" or \"uplink\"";
}

impl From<Level> for signal::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Normal => signal::Level::Normal,
            Level::Dispatch => signal::Level::Dispatch,
        }
    }
}
