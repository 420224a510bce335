//! What of the machine's sound cards and lines is free for one more radio.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use pttd_core::radio::wizard;
use pttd_hw::spec::{
    CarrierSpec, Claim, Detector, PttSpec, Side, SoundSpec, carrier_claims, ptt_claims,
    sound_claims,
};
use pttd_hw::{Capture, Carrier, HwError, Inputs, open_capture, open_carrier};

use super::PttView;
use crate::config::Settings;

/// Simulated radios in this folder, each the socket of one, are found as if they were wired to the box.
const BENCH: &str = "PTTD_BENCH";
/// A finger is slower.
const DEBOUNCE: Duration = Duration::from_millis(10);

#[derive(Default)]
pub struct Places {
    pub sounds: Vec<Sound>,
    pub wires: Vec<Wire>,
    ptts: Vec<Output>,
}

#[derive(Clone)]
pub struct Sound {
    pub spec: SoundSpec,
    pub name: String,
    pub is_stereo: bool,
    /// What it is a part of: lines of the same one belong to the same radio.
    pub device: String,
}

/// An input line, as whoever listens to it opens it.
pub struct Wire {
    pub name: String,
    spec: CarrierSpec,
    device: String,
}

/// A line that could key.
struct Output {
    spec: PttSpec,
    name: String,
    device: String,
}

impl Places {
    /// All that nothing in the settings uses.
    pub fn free(settings: &Settings) -> Result<Places> {
        let mut places = Places::default();
        if let Some(folder) = std::env::var_os(BENCH) {
            places.add_bench(Path::new(&folder))?;
        }
        let taken = Taken::by(settings);
        places
            .sounds
            .retain(|sound| taken.leaves_sound(&sound.spec));
        places.wires.retain(|wire| taken.leaves_carrier(&wire.spec));
        Ok(places)
    }

    pub fn add_bench(&mut self, folder: &Path) -> Result<()> {
        let entries = std::fs::read_dir(folder)
            .with_context(|| format!("looking for simulated radios in {}", folder.display()))?;
        let mut sockets: Vec<PathBuf> = entries
            .filter_map(|entry| entry.ok())
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|kind| kind == "sock"))
            .collect();
        sockets.sort();
        for path in sockets {
            let name = path
                .file_stem()
                .map_or_else(String::new, |name| name.to_string_lossy().to_string());
            let device = path.display().to_string();
            self.sounds.push(Sound {
                spec: SoundSpec::Bench(path.clone()),
                name: format!("Simulated radio {name}"),
                is_stereo: false,
                device: device.clone(),
            });
            let carrier = Detector::Bench(path.clone());
            self.wires.push(Wire {
                name: format!("Carrier of {name}"),
                spec: CarrierSpec::One(carrier),
                device: device.clone(),
            });
            self.ptts.push(Output {
                spec: PttSpec::Bench(path),
                name: format!("PTT of {name}"),
                device,
            });
        }
        Ok(())
    }

    /// What could key the radio at this card: lines of the same device first, and never the carrier itself.
    pub fn ptts_for(&self, sound: &Sound, carrier: Option<usize>) -> Vec<PttView> {
        let carrier = carrier.and_then(|wire| self.wires.get(wire));
        let mut ptts: Vec<&Output> = self
            .ptts
            .iter()
            .filter(|ptt| carrier.is_none_or(|wire| !is_same_line(&ptt.spec, &wire.spec)))
            .collect();
        ptts.sort_by_key(|ptt| {
            let with_carrier = carrier.is_some_and(|wire| wire.device == ptt.device);
            (ptt.device != sound.device, !with_carrier)
        });
        let views = ptts.iter().map(|ptt| PttView {
            ptt: ptt.spec.to_string(),
            name: ptt.name.clone(),
        });
        views.collect()
    }
}

impl Sound {
    pub fn open(&self, side: wizard::Side) -> Result<Box<dyn Capture>, HwError> {
        let side = match side {
            wizard::Side::Mono => Side::Mono,
            wizard::Side::Left => Side::Left,
            wizard::Side::Right => Side::Right,
        };
        open_capture(&self.spec, side, None)
    }
}

impl Wire {
    pub fn open(&self) -> Result<Box<dyn Carrier>, HwError> {
        let ports = pttd_hw::serial::SerialPorts::default();
        let inputs = Inputs {
            vox: Arc::new(|| false),
            serial: Arc::new(move |port, line| Ok(ports.open(port)?.levels()?.of(line))),
            sound: SoundSpec::Simulated,
            debounce: DEBOUNCE,
        };
        open_carrier(&self.spec, &inputs)
    }

    /// As it goes into the settings.
    pub fn carrier(&self, active_low: bool) -> String {
        let text = self.spec.to_string();
        match (active_low, text.strip_prefix('!')) {
            (false, _) => text,
            (true, Some(plain)) => plain.to_string(),
            (true, None) => format!("!{text}"),
        }
    }
}

/// An output cannot be the input that was heard.
fn is_same_line(ptt: &PttSpec, carrier: &CarrierSpec) -> bool {
    let claims = carrier_claims(carrier);
    let of_ptt = ptt_claims(ptt, &SoundSpec::Simulated);
    of_ptt.iter().any(|claim| claims.contains(claim))
}

/// What the settings use.
struct Taken(Vec<Claim>);

impl Taken {
    fn by(settings: &Settings) -> Taken {
        let mut claims = Vec::new();
        for radio in &settings.radio {
            claims.extend(sound_claims(&radio.sound, radio.side));
            claims.extend(ptt_claims(&radio.ptt, &radio.sound));
            claims.extend(radio.carrier.iter().flat_map(carrier_claims));
        }
        for desk in &settings.desk {
            claims.extend(sound_claims(&desk.sound, desk.side));
            claims.extend(carrier_claims(&desk.button));
        }
        Taken(claims)
    }

    fn leaves_sound(&self, sound: &SoundSpec) -> bool {
        self.leaves(&sound_claims(sound, Side::Mono))
    }

    fn leaves_carrier(&self, carrier: &CarrierSpec) -> bool {
        self.leaves(&carrier_claims(carrier))
    }

    fn leaves(&self, wanted: &[Claim]) -> bool {
        !wanted
            .iter()
            .any(|claim| self.0.iter().any(|taken| taken.clashes(claim)))
    }
}
