//! The names of wires and cards as they stand in the settings, one grammar for all of them: `gpio:PTT1`,
//! `cm108:auto#3`, `serial:/dev/ttyUSB0#rts`, `card:Device`. A name that could never mean anything is refused
//! with a sentence that shows what would.

mod carrier;
mod claim;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use carrier::{CarrierSpec, Detector};
pub use claim::{Claim, carrier_claims, lamp_claims, ptt_claims, sound_claims};

use crate::HwError;

/// What keys a transmitter. In text a leading "!" says that a low line keys it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PttSpec {
    /// Nothing to key: the radio is keyed by its own VOX, or never.
    None,
    Gpio {
        line: GpioLine,
        active_low: bool,
    },
    Cm108 {
        device: Cm108Device,
        /// 1 to 4; sound fobs for radios use 3.
        gpio: u8,
        active_low: bool,
    },
    /// Never keyed by a line that falls: the kernel drops the lines of whoever dies.
    Serial {
        port: PathBuf,
        line: SerialOutput,
    },
    Bench(PathBuf),
}

/// A line of a GPIO chip. Never a number alone: they moved by 512 between kernels.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GpioLine {
    Name(String),
    Offset { chip: String, offset: u32 },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cm108Device {
    /// The one that sits in the same USB device as the radio's sound card.
    Auto,
    Hidraw(PathBuf),
    Usb(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SerialOutput {
    Rts,
    Dtr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SerialInput {
    Cts,
    Dsr,
    Dcd,
    Ri,
}

/// The volume keys of a CM108, which radio fobs wire to the carrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cm108Key {
    Up,
    Down,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bias {
    /// Towards "not up": a wire that fell off is no carrier. Lines that cannot pull are left as they are.
    Default,
    PullUp,
    PullDown,
    AsIs,
}

/// An output that drives a lamp.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LampSpec {
    pub line: GpioLine,
    pub active_low: bool,
}

/// A sound card, by what does not change when it is pulled and put back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SoundSpec {
    /// Its id, as in /proc/asound/cards.
    Card(String),
    /// The USB port it is plugged into: `1-1.2`.
    Usb(String),
    /// Names of alsa-lib, for machines where another program has the card.
    Pcm {
        capture: String,
        playback: String,
    },
    Bench(PathBuf),
    /// A simulated radio that the box plays itself.
    Simulated,
}

/// Which side of a stereo card a radio is wired to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The left side is heard; both sides are played.
    #[default]
    Mono,
    Left,
    Right,
}

impl SoundSpec {
    /// With the far end of a simulated radio put in.
    pub fn simulated_at(&self, air: &Path) -> SoundSpec {
        match self {
            SoundSpec::Simulated => SoundSpec::Bench(air.to_path_buf()),
            other => other.clone(),
        }
    }
}

impl PttSpec {
    /// The serial port it needs, where it needs one.
    pub fn serial_port(&self) -> Option<&Path> {
        match self {
            PttSpec::Serial { port, .. } => Some(port),
            _ => None,
        }
    }
}

const PTT_FORMS: &str = "gpio:NAME, gpio:CHIPLABEL/OFFSET, cm108:auto#3, cm108:/dev/hidraw0#3, \
                         serial:/dev/ttyUSB0#rts, bench:/a/path or none; a leading ! means active low";
const SOUND_FORMS: &str = "card:ID, usb:1-1.2, pcm:NAME, bench:/a/path or simulated";

impl FromStr for PttSpec {
    type Err = HwError;

    fn from_str(text: &str) -> Result<Self, HwError> {
        let unknown = || HwError::Name(format!("{text:?} is no PTT line: write {PTT_FORMS}"));
        let (active_low, wire) = inverted(text);
        if wire == "none" && !active_low {
            return Ok(PttSpec::None);
        }
        let (kind, name) = wire.split_once(':').ok_or_else(unknown)?;
        match kind {
            "gpio" => Ok(PttSpec::Gpio {
                line: name.parse()?,
                active_low,
            }),
            "cm108" => {
                let (device, gpio) = suffixed(name);
                let gpio = match gpio {
                    None => 3,
                    Some(gpio) => match gpio.parse() {
                        Ok(gpio @ 1..=4) => gpio,
                        _ => {
                            return Err(HwError::Name(format!(
                                "{text:?}: a CM108 has the GPIOs #1 to #4, not #{gpio}"
                            )));
                        }
                    },
                };
                Ok(PttSpec::Cm108 {
                    device: device.parse()?,
                    gpio,
                    active_low,
                })
            }
            "serial" if active_low => Err(HwError::Name(format!(
                "{text:?}: a serial port's lines fall when the guardian dies and when the machine starts, and that \
                 would key: wire it so that the raised line keys, and leave out the !"
            ))),
            "serial" => {
                let (port, line) = suffixed(name);
                let line = match line {
                    Some("rts") => SerialOutput::Rts,
                    Some("dtr") => SerialOutput::Dtr,
                    _ => {
                        return Err(HwError::Name(format!(
                            "{text:?}: say which line of the port keys, #rts or #dtr"
                        )));
                    }
                };
                Ok(PttSpec::Serial {
                    port: path(port, text)?,
                    line,
                })
            }
            "bench" if !active_low => Ok(PttSpec::Bench(path(name, text)?)),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for PttSpec {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let not = |low: &bool| if *low { "!" } else { "" };
        match self {
            PttSpec::None => write!(f, "none"),
            PttSpec::Gpio { line, active_low } => write!(f, "{}gpio:{line}", not(active_low)),
            PttSpec::Cm108 {
                device,
                gpio,
                active_low,
            } => write!(f, "{}cm108:{device}#{gpio}", not(active_low)),
            PttSpec::Serial { port, line } => write!(f, "serial:{}#{line}", port.display()),
            PttSpec::Bench(path) => write!(f, "bench:{}", path.display()),
        }
    }
}

impl FromStr for LampSpec {
    type Err = HwError;

    fn from_str(text: &str) -> Result<Self, HwError> {
        match text.parse() {
            Ok(PttSpec::Gpio { line, active_low }) => Ok(LampSpec { line, active_low }),
            _ => Err(HwError::Name(format!(
                "{text:?} is no lamp: write gpio:NAME or gpio:CHIPLABEL/OFFSET; a leading ! means active low"
            ))),
        }
    }
}

impl fmt::Display for LampSpec {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let not = if self.active_low { "!" } else { "" };
        write!(f, "{not}gpio:{}", self.line)
    }
}

impl FromStr for GpioLine {
    type Err = HwError;

    fn from_str(text: &str) -> Result<Self, HwError> {
        let text = text.trim();
        if text.is_empty() || text.contains('"') {
            return Err(HwError::Name(
                "a GPIO line is written gpio:NAME or gpio:CHIPLABEL/OFFSET; pttd devices lists them"
                    .to_string(),
            ));
        }
        // A name may have a slash of its own.
        if let Some((chip, offset)) = text.rsplit_once('/')
            && let Ok(offset) = offset.parse()
        {
            return Ok(GpioLine::Offset {
                chip: chip.to_string(),
                offset,
            });
        }
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(HwError::Name(format!(
                "gpio:{text}: numbers of GPIO lines change with the kernel: write its name, or \
                 gpio:CHIPLABEL/{text}; pttd devices lists them"
            )));
        }
        Ok(GpioLine::Name(text.to_string()))
    }
}

impl fmt::Display for GpioLine {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            GpioLine::Name(name) => write!(f, "{name}"),
            GpioLine::Offset { chip, offset } => write!(f, "{chip}/{offset}"),
        }
    }
}

impl FromStr for Cm108Device {
    type Err = HwError;

    fn from_str(text: &str) -> Result<Self, HwError> {
        match text.strip_prefix("usb:") {
            Some(port) => Ok(Cm108Device::Usb(usb_port(port)?)),
            None if text == "auto" => Ok(Cm108Device::Auto),
            None if text.starts_with('/') => Ok(Cm108Device::Hidraw(text.into())),
            None => Err(HwError::Name(format!(
                "{text:?} is no CM108: write cm108:auto, cm108:/dev/hidraw0 or cm108:usb:1-1.2"
            ))),
        }
    }
}

impl fmt::Display for Cm108Device {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Cm108Device::Auto => write!(f, "auto"),
            Cm108Device::Hidraw(path) => write!(f, "{}", path.display()),
            Cm108Device::Usb(port) => write!(f, "usb:{port}"),
        }
    }
}

impl FromStr for SoundSpec {
    type Err = HwError;

    fn from_str(text: &str) -> Result<Self, HwError> {
        let unknown = || HwError::Name(format!("{text:?} is no sound card: write {SOUND_FORMS}"));
        if text == "simulated" {
            return Ok(SoundSpec::Simulated);
        }
        match text.split_once(':').ok_or_else(unknown)? {
            ("card", number) if number.bytes().all(|b| b.is_ascii_digit()) => {
                Err(HwError::Name(format!(
                    "{text:?}: sound cards change their numbers: write the id that stands in brackets in \
                     /proc/asound/cards; pttd devices lists them"
                )))
            }
            ("card", id)
                if id
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)) =>
            {
                Ok(SoundSpec::Card(id.to_string()))
            }
            ("usb", port) => Ok(SoundSpec::Usb(usb_port(port)?)),
            ("pcm", names) => match pcm_names(names).as_deref() {
                Some([both]) => Ok(SoundSpec::Pcm {
                    capture: both.clone(),
                    playback: both.clone(),
                }),
                Some([capture, playback]) => Ok(SoundSpec::Pcm {
                    capture: capture.clone(),
                    playback: playback.clone(),
                }),
                _ => Err(unknown()),
            },
            ("bench", name) => Ok(SoundSpec::Bench(path(name, text)?)),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for SoundSpec {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            SoundSpec::Card(id) => write!(f, "card:{id}"),
            SoundSpec::Usb(port) => write!(f, "usb:{port}"),
            SoundSpec::Pcm { capture, playback } if capture == playback => {
                write!(f, "pcm:{capture}")
            }
            SoundSpec::Pcm { capture, playback } => write!(f, "pcm:{capture},{playback}"),
            SoundSpec::Bench(path) => write!(f, "bench:{}", path.display()),
            SoundSpec::Simulated => write!(f, "simulated"),
        }
    }
}

impl FromStr for Side {
    type Err = HwError;

    fn from_str(text: &str) -> Result<Self, HwError> {
        match text {
            "mono" => Ok(Side::Mono),
            "left" => Ok(Side::Left),
            "right" => Ok(Side::Right),
            _ => Err(HwError::Name(format!(
                "{text:?} is no side of a sound card: write mono, left or right"
            ))),
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Side::Mono => "mono",
            Side::Left => "left",
            Side::Right => "right",
        })
    }
}

impl fmt::Display for SerialOutput {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            SerialOutput::Rts => "rts",
            SerialOutput::Dtr => "dtr",
        })
    }
}

impl fmt::Display for SerialInput {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            SerialInput::Cts => "cts",
            SerialInput::Dsr => "dsr",
            SerialInput::Dcd => "dcd",
            SerialInput::Ri => "ri",
        })
    }
}

/// As a setting: text.
macro_rules! as_text {
    ($($spec:ty),*) => {$(
        impl TryFrom<String> for $spec {
            type Error = HwError;
            fn try_from(text: String) -> Result<Self, HwError> {
                text.parse()
            }
        }
        impl From<$spec> for String {
            fn from(spec: $spec) -> String {
                spec.to_string()
            }
        }
    )*};
}
as_text!(PttSpec, LampSpec, SoundSpec, CarrierSpec);

/// Without leading "!"s, and whether their number is odd.
fn inverted(text: &str) -> (bool, &str) {
    let mut wire = text.trim();
    let mut inverted = false;
    while let Some(rest) = wire.strip_prefix('!') {
        inverted = !inverted;
        wire = rest.trim_start();
    }
    (inverted, wire)
}

/// `/dev/ttyUSB0#rts` in its two parts.
fn suffixed(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once('#') {
        Some((name, suffix)) => (name, Some(suffix)),
        None => (name, None),
    }
}

fn path(name: &str, whole: &str) -> Result<PathBuf, HwError> {
    match name.starts_with('/') && !name.contains(['\0', '"']) {
        true => Ok(PathBuf::from(name)),
        false => Err(HwError::Name(format!(
            "{whole:?}: {name:?} is not a path that starts with /"
        ))),
    }
}

/// Names of alsa-lib may have commas of their own: `hw:Loopback,1,0`, `hw:CARD=A,DEV=0`.
fn pcm_names(text: &str) -> Option<Vec<String>> {
    let belongs_to_the_last = |part: &str| {
        let number = part.bytes().all(|b| b.is_ascii_digit());
        let key = part.split_once('=').map(|(key, _)| key);
        number || key.is_some_and(|key| key.bytes().all(|b| b.is_ascii_uppercase()))
    };
    let mut names: Vec<String> = Vec::new();
    for part in text.split(',').map(str::trim) {
        match names.last_mut() {
            Some(name) if belongs_to_the_last(part) => *name = format!("{name},{part}"),
            _ => names.push(part.to_string()),
        }
    }
    let good = |name: &String| !name.is_empty() && !name.contains('\0');
    names.iter().all(good).then_some(names)
}

/// `1-1.2`: the bus and the ports from the root down, as in /sys/bus/usb/devices.
fn usb_port(text: &str) -> Result<String, HwError> {
    let number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    match text.split_once('-') {
        Some((bus, ports)) if number(bus) && ports.split('.').all(number) => Ok(text.to_string()),
        _ => Err(HwError::Name(format!(
            "{text:?} is no USB port: write bus and ports as in 1-1.2; pttd devices lists them"
        ))),
    }
}
