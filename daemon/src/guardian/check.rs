//! `pttd check` on wires and sound cards: opened dry, unkeyed, and let go of. What a running guardian or a running pttd has is
//! not taken from them: they are asked.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use pttd_core::authority::Roster;
use pttd_hw::serial::{Levels, SerialPorts};
use pttd_hw::spec::{CarrierSpec, SoundSpec};
use pttd_hw::{
    AskSerial, HwError, Inputs, gpio::open_lamp, open_capture, open_carrier, open_playback,
    open_ptt,
};

use super::visit::Visit;
use super::{Wires, lock};
use crate::admin;
use crate::config::Settings;
use crate::config::radio::Follows;

/// A line for each wire that says whether it is there.
pub fn wires(settings: &Settings) -> Result<Vec<String>> {
    let wires = Wires::of(settings);
    let path = settings.guardian_socket();
    let visit = match wires.is_empty() {
        true => None,
        false => Visit::pay(&path)?,
    };
    let mut told = Vec::new();
    let serial: Serial = match visit {
        Some(visit) => {
            told.extend(of_guardian(&wires, &visit));
            Arc::new(move |port| asked(&visit, port))
        }
        None if wires.is_empty() => Arc::new(|port| Err(missing(port))),
        None => {
            let Some(lock) = lock(&path)? else {
                let hangs = "PTT lines: a guardian has them and does not answer: restart it";
                return Ok(vec![hangs.to_string()]);
            };
            let doors = SerialPorts::default();
            for output in &wires.outputs {
                let opened = open_ptt(&output.ptt, &output.sound, &doors);
                told.push(line("ptt", &output.radio, &output.ptt, opened.err()));
            }
            Arc::new(move |port| {
                let _held = &lock;
                let port = doors.open(port)?;
                Ok((port.levels()?, port.garbage()))
            })
        }
    };
    if std::os::unix::net::UnixStream::connect(admin::socket(&settings.state.dir)).is_ok() {
        let wired = settings.radio.len() + settings.desk.len() + settings.lamp.len() > 0;
        let has =
            "sound cards, carriers, buttons and lamps: the running pttd has them, see its /healthz";
        told.extend(wired.then(|| has.to_string()));
        return Ok(told);
    }
    let state = &settings.state.dir;
    let radios = settings
        .radio
        .iter()
        .filter(|radio| radio.receive)
        .map(|radio| {
            (
                radio.id.as_str(),
                "carrier",
                radio.carrier(state),
                radio.sound(state),
            )
        });
    let desks = settings.desk.iter().map(|desk| {
        (
            desk.id.as_str(),
            "button",
            desk.button.clone(),
            desk.sound(state),
        )
    });
    for (id, what, spec, sound) in radios.chain(desks) {
        told.push(line(
            what,
            id,
            &spec,
            dry(&spec, sound, serial.clone()).err(),
        ));
    }
    told.extend(cards(settings));
    told.extend(
        settings
            .lamp
            .iter()
            .map(|lamp| match open_lamp(&lamp.line) {
                Ok(_) => format!("lamp {} is there", lamp.line),
                Err(why) => format!("lamp {}: warning: {why}", lamp.line),
            }),
    );
    Ok(told)
}

/// The box plays a simulated radio itself.
fn cards(settings: &Settings) -> impl Iterator<Item = String> + '_ {
    let radios = settings.radio.iter().map(|radio| {
        let ways = (radio.receive, radio.transmit);
        (radio.id.as_str(), &radio.sound, radio.side, ways)
    });
    let desks = settings.desk.iter();
    let desks = desks.map(|desk| (desk.id.as_str(), &desk.sound, desk.side, (true, true)));
    let real = radios
        .chain(desks)
        .filter(|(_, sound, ..)| **sound != SoundSpec::Simulated);
    real.map(|(id, sound, side, (hears, plays))| {
        let open = || {
            let _capture = match hears {
                true => Some(open_capture(sound, side, None)?),
                false => None,
            };
            if plays {
                open_playback(sound, side, None)?;
            }
            Ok(())
        };
        line("sound", id, sound, open().err())
    })
}

/// A line for each radio, desk and lamp of a channel that there is not.
pub fn channels(settings: &Settings, roster: &Roster) -> Vec<String> {
    let radios = settings.radio.iter();
    let radios = radios.map(|radio| (format!("the radio {}", radio.id.as_str()), &radio.channel));
    let desks = settings.desk.iter();
    let desks = desks.map(|desk| (format!("the desk {}", desk.id.as_str()), &desk.channel));
    let lamps = settings.lamp.iter().filter_map(|lamp| match &lamp.follows {
        Follows::Talk(channel) | Follows::Busy(channel) => {
            Some((format!("the lamp {}", lamp.line), channel))
        }
        Follows::OnAir(_) | Follows::Uplink => None,
    });
    let all = radios.chain(desks).chain(lamps);
    all.filter(|(_, channel)| !roster.channels.contains_key(*channel))
        .map(|(who, channel)| {
            format!(
                "channel of {who}: warning: the roster has no {channel}: add it there, or to a box that runs by \
                 pttd channel add {channel}"
            )
        })
        .collect()
}

type Serial = Arc<AskSerial>;

fn dry(spec: &CarrierSpec, sound: SoundSpec, serial: Serial) -> Result<(), HwError> {
    let inputs = Inputs {
        vox: Arc::new(|| false),
        serial,
        sound,
        debounce: Duration::ZERO,
    };
    open_carrier(spec, &inputs)?.is_up().map(drop)
}

fn of_guardian<'a>(wires: &'a Wires, visit: &'a Visit) -> impl Iterator<Item = String> + 'a {
    wires.outputs.iter().map(|output| {
        let what = output.ptt.to_string();
        let fault = match visit.lines.get(&output.radio) {
            Some(told) => told.fault.clone().map(HwError::Name),
            None => Some(HwError::Name(
                "the running guardian has read other settings: systemctl reload pttd-guardian"
                    .into(),
            )),
        };
        line("ptt", &output.radio, what, fault)
    })
}

fn asked(visit: &Visit, port: &Path) -> Result<(Levels, u64), HwError> {
    let inputs = visit.inputs.get(port).ok_or_else(|| missing(port))?;
    match &inputs.fault {
        Some(why) => Err(HwError::Name(why.clone())),
        None => Ok((inputs.levels(), inputs.garbage)),
    }
}

fn missing(port: &Path) -> HwError {
    HwError::Missing {
        what: format!("the serial port {}", PathBuf::from(port).display()),
    }
}

fn line(what: &str, id: &str, spec: impl std::fmt::Display, fault: Option<HwError>) -> String {
    match fault {
        None => format!("{what} of {id}: {spec} is there"),
        Some(why) => format!("{what} of {id}: warning: {why}"),
    }
}
