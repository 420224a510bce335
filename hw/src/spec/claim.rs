//! What of the hardware a name takes for itself, so that the settings can refuse two radios on one wire and
//! name them both, before the kernel says "busy" about one of them.

use std::fmt;
use std::path::PathBuf;

use super::{CarrierSpec, Cm108Device, Detector, GpioLine, PttSpec, SerialOutput, Side, SoundSpec};

/// One physical thing that one radio, desk or lamp may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    Gpio(GpioLine),
    /// All of its GPIOs: each order to it sets them all.
    Cm108(String),
    Serial {
        port: PathBuf,
        line: SerialOutput,
    },
    /// Hardware opens once; a side of its own is for names of alsa-lib alone, which can share a card.
    Sound {
        card: String,
        side: Side,
    },
    BenchPtt(PathBuf),
}

impl Claim {
    /// The same thing, or a part of it.
    pub fn clashes(&self, other: &Claim) -> bool {
        match (self, other) {
            (Claim::Sound { card: a, side: x }, Claim::Sound { card: b, side: y }) => {
                a == b && (x == y || *x == Side::Mono || *y == Side::Mono)
            }
            (a, b) => a == b,
        }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Claim::Gpio(line) => write!(f, "the GPIO line {line}"),
            Claim::Cm108(device) => write!(f, "the CM108 {device}"),
            Claim::Serial { port, line } => {
                write!(f, "the line {line} of the serial port {}", port.display())
            }
            Claim::Sound { card, side } => match side {
                Side::Mono => write!(f, "the sound card {card}"),
                side => write!(f, "the {side} side of the sound card {card}"),
            },
            Claim::BenchPtt(path) => write!(f, "the simulated PTT line {}", path.display()),
        }
    }
}

pub fn ptt_claims(ptt: &PttSpec, sound: &SoundSpec) -> Vec<Claim> {
    match ptt {
        PttSpec::None => Vec::new(),
        PttSpec::Gpio { line, .. } => vec![Claim::Gpio(line.clone())],
        PttSpec::Cm108 { device, .. } => vec![Claim::Cm108(match device {
            Cm108Device::Auto => format!("of {sound}"),
            other => other.to_string(),
        })],
        PttSpec::Serial { port, line, .. } => vec![Claim::Serial {
            port: port.clone(),
            line: *line,
        }],
        PttSpec::Bench(path) => vec![Claim::BenchPtt(path.clone())],
    }
}

/// GPIO lines belong to whoever asked for them first, inputs as well; keys of a CM108 and inputs of a serial
/// port may be read by many.
pub fn carrier_claims(carrier: &CarrierSpec) -> Vec<Claim> {
    let mut claims = Vec::new();
    for detector in carrier.detectors() {
        if let Detector::Gpio { line, .. } = detector {
            let claim = Claim::Gpio(line.clone());
            if !claims.contains(&claim) {
                claims.push(claim);
            }
        }
    }
    claims
}

pub fn sound_claims(sound: &SoundSpec, side: Side) -> Vec<Claim> {
    let of = |card, side| Claim::Sound { card, side };
    match sound {
        // alsa-lib's names may stand for two different cards.
        SoundSpec::Pcm { capture, playback } => vec![
            of(format!("{capture} (capture)"), side),
            of(format!("{playback} (playback)"), side),
        ],
        // Each is its own.
        SoundSpec::Simulated => Vec::new(),
        other => vec![of(other.to_string(), Side::Mono)],
    }
}
