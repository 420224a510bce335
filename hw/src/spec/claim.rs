//! What of the hardware a name takes for itself, so that the settings can refuse two radios on one wire and
//! name them both, before the kernel says "busy" about one of them. One thing may have two names: what is there
//! now is looked up.

use std::fmt;
use std::path::PathBuf;

use super::{
    CarrierSpec, Cm108Device, Detector, GpioLine, LampSpec, PttSpec, SerialOutput, Side, SoundSpec,
};
use crate::sysfs::{Card, Sysfs};
use crate::{cm108, gpio};

/// One physical thing that one radio, desk or lamp may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// As the settings call it.
    what: String,
    thing: Thing,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Thing {
    Line {
        chip: PathBuf,
        offset: u32,
    },
    /// Of a chip that is not there.
    Gpio(GpioLine),
    /// All of its GPIOs: each order to it sets them all.
    Cm108(String),
    Serial(PathBuf, SerialOutput),
    /// Hardware opens once. A side of its own is for names of alsa-lib alone, which can share a card.
    Sound(String, Side),
    BenchPtt(PathBuf),
}

impl Claim {
    /// The same thing, or a part of it.
    pub fn clashes(&self, other: &Claim) -> bool {
        match (&self.thing, &other.thing) {
            (Thing::Sound(a, x), Thing::Sound(b, y)) => {
                a == b && (x == y || *x == Side::Mono || *y == Side::Mono)
            }
            (a, b) => a == b,
        }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.what)
    }
}

pub fn ptt_claims(ptt: &PttSpec, sound: &SoundSpec) -> Vec<Claim> {
    ptt_claims_in(&Sysfs::of_this_machine(), ptt, sound)
}

fn ptt_claims_in(sysfs: &Sysfs, ptt: &PttSpec, sound: &SoundSpec) -> Vec<Claim> {
    let claim = match ptt {
        PttSpec::None => return Vec::new(),
        PttSpec::Gpio { line, .. } => gpio_claim(line),
        PttSpec::Cm108 { device, .. } => {
            let what = match device {
                Cm108Device::Auto => format!("the CM108 of {sound}"),
                other => format!("the CM108 {other}"),
            };
            let port = cm108::port_of(sysfs, device, sound);
            Claim {
                thing: Thing::Cm108(port.unwrap_or_else(|_| what.clone())),
                what,
            }
        }
        PttSpec::Serial { port, line, .. } => Claim {
            what: format!("the line {line} of the serial port {}", port.display()),
            // A link of udev's, or the port itself.
            thing: Thing::Serial(port.canonicalize().unwrap_or_else(|_| port.clone()), *line),
        },
        PttSpec::Bench(path) => Claim {
            what: format!("the simulated PTT line {}", path.display()),
            thing: Thing::BenchPtt(path.clone()),
        },
    };
    vec![claim]
}

/// GPIO lines belong to whoever asked for them first, inputs as well; keys of a CM108 and inputs of a serial
/// port may be read by many.
pub fn carrier_claims(carrier: &CarrierSpec) -> Vec<Claim> {
    let mut claims = Vec::new();
    for detector in carrier.detectors() {
        if let Detector::Gpio { line, .. } = detector {
            let claim = gpio_claim(line);
            if !claims.contains(&claim) {
                claims.push(claim);
            }
        }
    }
    claims
}

pub fn sound_claims(sound: &SoundSpec, side: Side) -> Vec<Claim> {
    sound_claims_in(&Sysfs::of_this_machine(), sound, side)
}

fn sound_claims_in(sysfs: &Sysfs, sound: &SoundSpec, side: Side) -> Vec<Claim> {
    let shared = |name: &str, direction| Claim {
        what: match side {
            Side::Mono => format!("the sound card {name} ({direction})"),
            side => format!("the {side} side of the sound card {name} ({direction})"),
        },
        thing: Thing::Sound(format!("{direction} {name}"), side),
    };
    let card_of = |name: &str| card_of(name, &sysfs.cards());
    let whole = |card: String| {
        vec![Claim {
            what: format!("the sound card {sound}"),
            thing: Thing::Sound(card, Side::Mono),
        }]
    };
    match sound {
        // alsa-lib's names may stand for two different cards.
        SoundSpec::Pcm { capture, playback } => {
            match (card_of(capture), card_of(playback)) {
                (Some(one), Some(other)) if one == other => whole(one),
                (one, other) => {
                    let claim = |card: Option<String>, name, direction| match card {
                        // One direction of it, but hardware opens once.
                        Some(card) => whole(card),
                        None => vec![shared(name, direction)],
                    };
                    let mut claims = claim(one, capture, "capture");
                    claims.extend(claim(other, playback, "playback"));
                    claims
                }
            }
        }
        // Each is its own.
        SoundSpec::Simulated => Vec::new(),
        SoundSpec::Usb(port) => {
            let mut cards = sysfs.cards().into_iter();
            let card = cards.find(|card| card.usb.as_ref() == Some(port));
            whole(card.map_or_else(|| sound.to_string(), |card| format!("card:{}", card.id)))
        }
        other => whole(other.to_string()),
    }
}

/// The card that a name of alsa-lib's stands for the hardware of: `hw:Device`, `plughw:CARD=Device,DEV=0`, `hw:1,0`.
/// Other devices of a card are things of their own.
fn card_of(name: &str, cards: &[Card]) -> Option<String> {
    let (kind, rest) = name.split_once(':')?;
    if !["hw", "plughw"].contains(&kind) {
        return None;
    }
    let mut parts = rest.split(',').map(|part| match part.split_once('=') {
        Some((_, value)) => value,
        None => part,
    });
    let id = parts.next()?;
    if parts.any(|device| device != "0") {
        return None;
    }
    let by_number = |card: &&Card| Some(card.number) == id.parse().ok();
    let found = cards.iter().find(by_number).map_or(id, |card| &card.id);
    Some(format!("card:{found}"))
}

pub fn lamp_claims(lamp: &LampSpec) -> Vec<Claim> {
    vec![gpio_claim(&lamp.line)]
}

fn gpio_claim(line: &GpioLine) -> Claim {
    let thing = match gpio::find(line) {
        Ok(found) => Thing::Line {
            chip: found.chip,
            offset: found.offset,
        },
        Err(_) => Thing::Gpio(line.clone()),
    };
    Claim {
        what: format!("the GPIO line {line}"),
        thing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sysfs::tests::machine;

    #[test]
    fn two_names_of_one_thing_clash() {
        let root = machine();
        let sysfs = Sysfs::at(root.path());
        let sound = |text: &str| sound_claims_in(&sysfs, &text.parse().unwrap(), Side::Mono);
        assert!(sound("usb:1-1.2")[0].clashes(&sound("card:Device")[0]));
        assert!(!sound("usb:1-1.2")[0].clashes(&sound("card:vc4hdmi")[0]));
        for name in [
            "pcm:hw:Device",
            "pcm:plughw:CARD=Device,DEV=0",
            "pcm:hw:1,0",
        ] {
            assert!(sound(name)[0].clashes(&sound("card:Device")[0]), "{name}");
        }
        for name in ["pcm:hw:Device,1", "pcm:hw:vc4hdmi", "pcm:Device"] {
            assert!(!sound(name)[0].clashes(&sound("card:Device")[0]), "{name}");
        }
        let ptt = |text: &str| {
            ptt_claims_in(
                &sysfs,
                &text.parse().unwrap(),
                &"card:Device".parse().unwrap(),
            )
        };
        assert!(ptt("cm108:auto")[0].clashes(&ptt("cm108:usb:1-1.2")[0]));
        assert!(ptt("cm108:auto")[0].clashes(&ptt("cm108:/dev/hidraw0#4")[0]));
        assert!(!ptt("cm108:auto")[0].clashes(&ptt("cm108:/dev/hidraw1")[0]));
        assert_eq!(ptt("cm108:auto")[0].to_string(), "the CM108 of card:Device");
    }
}
