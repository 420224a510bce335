//! What this machine has that a radio may be wired to, each with the words to write into the settings.

use std::collections::BTreeMap;

use alsa::Direction;
use alsa::pcm::{HwParams, PCM};
use nix::errno::Errno;
use serde::Serialize;

use crate::gpio;
use crate::sysfs::{Card, Sysfs};

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Devices {
    pub sound: Vec<SoundDevice>,
    pub cm108: Vec<Cm108>,
    pub gpio: Vec<Gpio>,
    pub serial: Vec<Serial>,
    /// What could not be looked at, a sentence for each.
    pub problems: Vec<String>,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SoundDevice {
    /// For `sound =`: by its id, which stays the same while one such card is there.
    pub sound: String,
    /// For `sound =`: by the USB port, whatever is plugged in there.
    pub by_port: Option<String>,
    pub name: String,
    /// Sides it captures: 0 for none; not known while somebody has it.
    pub capture: Option<u32>,
    pub playback: Option<u32>,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cm108 {
    /// For `ptt =`.
    pub ptt: String,
    /// For `carrier =`.
    pub carrier: String,
    pub name: String,
    pub path: String,
    /// The sound card in the same fob, as for `sound =`; with it `cm108:auto` will do.
    pub sound: Option<String>,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Gpio {
    /// For `ptt =`, `carrier =`, `button =` and `line =`.
    pub gpio: String,
    pub chip: String,
    pub offset: u32,
    pub name: Option<String>,
    pub output: bool,
    /// Who has it, if anyone.
    pub used_by: Option<String>,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Serial {
    /// For `ptt =`.
    pub ptt: String,
    /// For `carrier =`.
    pub carrier: String,
    pub name: String,
    pub path: String,
}

/// Looks at what is there now. Opens nothing that would key anything.
pub fn devices() -> Devices {
    let sysfs = Sysfs::of_this_machine();
    let cards = sysfs.cards();
    let (gpio, problems) = gpio();
    Devices {
        sound: cards.iter().map(|card| sound(&sysfs, card)).collect(),
        cm108: cm108(&sysfs, &cards),
        gpio,
        serial: serial(&sysfs),
        problems,
    }
}

fn sound(sysfs: &Sysfs, card: &Card) -> SoundDevice {
    let (captures, plays) = sysfs.directions(card.number);
    let sides = |there: bool, direction| match there {
        true => sides(&card.id, direction),
        false => Some(0),
    };
    SoundDevice {
        sound: format!("card:{}", card.id),
        by_port: card.usb.as_ref().map(|port| format!("usb:{port}")),
        name: card.name.clone(),
        capture: sides(captures, Direction::Capture),
        playback: sides(plays, Direction::Playback),
    }
}

/// At most as many as pttd would use.
fn sides(card: &str, direction: Direction) -> Option<u32> {
    let pcm = match PCM::new(&format!("hw:CARD={card},DEV=0"), direction, true) {
        Err(error) if error.errno() == Errno::EBUSY as i32 => return None,
        pcm => pcm.ok()?,
    };
    let most = HwParams::any(&pcm).and_then(|params| params.get_channels_max());
    most.ok().map(|most| most.min(2))
}

fn cm108(sysfs: &Sysfs, cards: &[Card]) -> Vec<Cm108> {
    let of_a_card = |usb: &Option<String>| {
        let card = cards.iter().find(|card| usb.is_some() && card.usb == *usb);
        card.map(|card| format!("card:{}", card.id))
    };
    let mut all: Vec<_> = sysfs
        .hidraws()
        .into_iter()
        .map(|hidraw| (of_a_card(&hidraw.usb), hidraw))
        .filter(|(sound, hidraw)| hidraw.is_cm108() || sound.is_some())
        .map(|(sound, hidraw)| {
            let path = hidraw.path.display().to_string();
            let device = match &hidraw.usb {
                Some(port) => format!("usb:{port}"),
                None => path.clone(),
            };
            Cm108 {
                ptt: format!("cm108:{device}#3"),
                carrier: format!("cm108:{device}#down"),
                name: hidraw.name,
                path,
                sound,
            }
        })
        .collect();
    // A fob may have several hidraws; the name finds the first.
    all.dedup_by(|b, a| a.ptt == b.ptt);
    all
}

fn gpio() -> (Vec<Gpio>, Vec<String>) {
    let (lines, problems) = gpio::lines();
    let mut names = BTreeMap::new();
    for line in &lines {
        *names.entry(line.name.clone()).or_insert(0) += 1;
    }
    let all = lines.into_iter().map(|line| {
        // What the settings cannot tell apart is no name; nor is a number.
        let number = line.name.bytes().all(|b| b.is_ascii_digit());
        let unique = names.get(&line.name) == Some(&1);
        let by_name = unique && !number && !line.name.contains('"');
        let gpio = match by_name {
            true => format!("gpio:{}", line.name),
            false => format!("gpio:{}/{}", line.chip, line.offset),
        };
        Gpio {
            gpio,
            chip: line.chip,
            offset: line.offset,
            name: (!line.name.is_empty()).then_some(line.name),
            output: line.output,
            used_by: line.used_by,
        }
    });
    (all.collect(), problems)
}

fn serial(sysfs: &Sysfs) -> Vec<Serial> {
    let ports = sysfs.serial_ports().into_iter().map(|port| {
        // A name that stays when it is plugged in somewhere else, where there is one.
        let stays = port.by_id.as_ref().unwrap_or(&port.path).display();
        Serial {
            ptt: format!("serial:{stays}#rts"),
            carrier: format!("serial:{stays}#dcd"),
            name: port.name,
            path: port.path.display().to_string(),
        }
    });
    ports.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{CarrierSpec, PttSpec, SoundSpec};
    use crate::sysfs::tests::machine;

    #[test]
    fn every_word_it_gives_can_be_written_into_the_settings() {
        let root = machine();
        let sysfs = Sysfs::at(root.path());
        let cards = sysfs.cards();
        let fobs = cm108(&sysfs, &cards);
        assert_eq!(
            fobs,
            [Cm108 {
                ptt: "cm108:usb:1-1.2#3".to_string(),
                carrier: "cm108:usb:1-1.2#down".to_string(),
                name: "C-Media USB Audio Device".to_string(),
                path: "/dev/hidraw0".to_string(),
                sound: Some("card:Device".to_string()),
            }]
        );
        let ports = serial(&sysfs);
        assert_eq!(ports[1].path, "/dev/ttyUSB0");
        assert!(ports[1].ptt.ends_with("/serial/by-id/usb-Serial-port0#rts"));
        let sound = sound(&sysfs, &cards[0]);
        assert_eq!((sound.capture, sound.playback), (Some(0), Some(0)));
        assert!(sound.sound.parse::<SoundSpec>().is_ok());
        for (ptt, carrier) in [
            (&fobs[0].ptt, &fobs[0].carrier),
            (&ports[1].ptt, &ports[1].carrier),
        ] {
            assert!(ptt.parse::<PttSpec>().is_ok());
            assert!(carrier.parse::<CarrierSpec>().is_ok());
        }
    }

    #[test]
    fn a_machine_without_anything_has_nothing_to_show() {
        let root = tempfile::tempdir().unwrap();
        let sysfs = Sysfs::at(root.path());
        assert!(sysfs.cards().is_empty());
        assert!(cm108(&sysfs, &[]).is_empty());
        assert!(serial(&sysfs).is_empty());
    }
}
