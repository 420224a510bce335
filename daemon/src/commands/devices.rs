//! `pttd devices`: what a radio may be wired to, with the words for the settings.

use anyhow::Result;
use clap::Args;
use pttd_hw::devices::{Gpio, SoundDevice};

use super::table::laid_out;
use crate::show::say;

#[derive(Args)]
#[command(after_help = "\
The first column is what to write into pttd.toml: for sound, for ptt and carrier, for a button or a lamp.
Somebody who may not open a device does not see it: be root, or in the groups audio, gpio, plugdev and dialout.")]
pub struct Devices {
    /// As JSON.
    #[arg(long)]
    json: bool,
}

impl Devices {
    pub fn run(&self) -> Result<()> {
        let devices = pttd_hw::devices();
        if self.json {
            return say(&serde_json::to_string_pretty(&devices)?);
        }
        say(&listed(&devices))
    }
}

fn listed(devices: &pttd_hw::devices::Devices) -> String {
    let named: Vec<_> = devices
        .gpio
        .iter()
        .filter(|line| line.name.is_some())
        .collect();
    let sections = [
        section(
            ["SOUND", "OR", "NAME", "CAPTURE", "PLAYBACK"],
            devices.sound.iter().map(sound),
        ),
        section(
            ["PTT", "CARRIER", "NAME", "SOUND CARD", ""],
            devices.cm108.iter().map(|fob| {
                let sound = fob.sound.clone().unwrap_or_default();
                [
                    fob.ptt.clone(),
                    fob.carrier.clone(),
                    fob.name.clone(),
                    sound,
                    String::new(),
                ]
            }),
        ),
        section(
            ["GPIO", "OR", "DIRECTION", "USED BY", ""],
            named.into_iter().map(gpio),
        ),
        section(
            ["PTT", "CARRIER", "NAME", "", ""],
            devices.serial.iter().map(|port| {
                let name = port.name.clone();
                [
                    port.ptt.clone(),
                    port.carrier.clone(),
                    name,
                    String::new(),
                    String::new(),
                ]
            }),
        ),
        unnamed(&devices.gpio),
        devices.problems.join("\n"),
    ];
    let there: Vec<_> = sections
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect();
    match there.is_empty() {
        true => {
            "no sound card, GPIO line, CM108 or serial port that this user may open".to_string()
        }
        false => there.join("\n\n"),
    }
}

fn section(titles: [&str; 5], rows: impl Iterator<Item = [String; 5]>) -> String {
    let mut lines = vec![titles.map(str::to_string).to_vec()];
    lines.extend(rows.map(|row| row.to_vec()));
    match lines.len() {
        1 => String::new(),
        _ => laid_out(&lines).join("\n"),
    }
}

fn sound(card: &SoundDevice) -> [String; 5] {
    let sides = |sides: Option<u32>| {
        let text = match sides {
            None => "in use",
            Some(0) => "no",
            Some(1) => "mono",
            Some(_) => "stereo",
        };
        text.to_string()
    };
    [
        card.sound.clone(),
        card.by_port.clone().unwrap_or_default(),
        card.name.clone(),
        sides(card.capture),
        sides(card.playback),
    ]
}

fn gpio(line: &Gpio) -> [String; 5] {
    let direction = if line.output { "output" } else { "input" };
    [
        line.gpio.clone(),
        format!("gpio:{}/{}", line.chip, line.offset),
        direction.to_string(),
        line.used_by.clone().unwrap_or_default(),
        String::new(),
    ]
}

/// A line for each chip that has lines without a name.
fn unnamed(lines: &[Gpio]) -> String {
    let mut said = Vec::new();
    for of_chip in lines.chunk_by(|a, b| a.chip == b.chip) {
        let mut nameless = of_chip.iter().filter(|line| line.name.is_none());
        if let Some(first) = nameless.next() {
            let n = 1 + nameless.count();
            said.push(format!(
                "{n} more lines of {} have no name: the first is {}",
                first.chip, first.gpio
            ));
        }
    }
    said.join("\n")
}

#[cfg(test)]
mod tests {
    use pttd_hw::devices::{Cm108, Devices, Serial};

    use super::*;

    #[test]
    fn what_is_there_is_listed_with_the_words_for_the_settings() {
        let gpio = |name: Option<&str>, offset| Gpio {
            gpio: name.map_or(format!("gpio:bank/{offset}"), |name| format!("gpio:{name}")),
            chip: "bank".to_string(),
            offset,
            name: name.map(str::to_string),
            output: offset == 4,
            used_by: (offset == 4).then(|| "leds".to_string()),
        };
        let devices = Devices {
            sound: vec![SoundDevice {
                sound: "card:Device".to_string(),
                by_port: Some("usb:1-1.2".to_string()),
                name: "USB Audio Device".to_string(),
                capture: Some(1),
                playback: None,
            }],
            cm108: vec![Cm108 {
                ptt: "cm108:usb:1-1.2#3".to_string(),
                carrier: "cm108:usb:1-1.2#down".to_string(),
                name: "C-Media".to_string(),
                path: "/dev/hidraw0".to_string(),
                sound: Some("card:Device".to_string()),
            }],
            gpio: vec![
                gpio(Some("PTT1"), 3),
                gpio(Some("LED"), 4),
                gpio(None, 5),
                gpio(None, 6),
            ],
            serial: vec![Serial {
                ptt: "serial:/dev/ttyS0#rts".to_string(),
                carrier: "serial:/dev/ttyS0#dcd".to_string(),
                name: "serial8250".to_string(),
                path: "/dev/ttyS0".to_string(),
            }],
            problems: Vec::new(),
        };
        assert_eq!(
            listed(&devices),
            "\
SOUND        OR         NAME              CAPTURE  PLAYBACK
card:Device  usb:1-1.2  USB Audio Device  mono     in use

PTT                CARRIER               NAME     SOUND CARD
cm108:usb:1-1.2#3  cm108:usb:1-1.2#down  C-Media  card:Device

GPIO       OR           DIRECTION  USED BY
gpio:PTT1  gpio:bank/3  input
gpio:LED   gpio:bank/4  output     leds

PTT                    CARRIER                NAME
serial:/dev/ttyS0#rts  serial:/dev/ttyS0#dcd  serial8250

2 more lines of bank have no name: the first is gpio:bank/5"
        );
    }

    #[test]
    fn a_machine_with_nothing_says_so_in_a_sentence() {
        let said = listed(&Devices::default());
        assert!(said.starts_with("no sound card"), "{said}");
    }
}
