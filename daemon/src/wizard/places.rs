//! What of the machine's sound cards and lines is free for one more radio.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use pttd_core::radio::wizard;
use pttd_hw::devices::{Gpio, SoundDevice};
use pttd_hw::serial::SerialPorts;
use pttd_hw::spec::{
    Bias, CarrierSpec, Claim, Detector, PttSpec, Side, SoundSpec, carrier_claims, lamp_claims,
    ptt_claims, sound_claims,
};
use pttd_hw::{Capture, Carrier, HwError, Inputs, open_capture, open_carrier};

use super::{PttView, Unfit, Wish};
use crate::config::Settings;

/// Simulated radios in this folder, each the socket of one, are found as if they were wired to the box.
const BENCH: &str = "PTTD_BENCH";
/// A finger is slower.
const DEBOUNCE: Duration = Duration::from_millis(10);
/// What a Raspberry Pi's GPIO chips are called.
const PI: [&str; 2] = ["pinctrl-bcm", "pinctrl-rp1"];
/// Its header's lines that have no second use: the others are I2C, SPI, the console and the sound of a HAT.
const PI_FREE: [u32; 13] = [4, 5, 6, 12, 13, 16, 17, 22, 23, 24, 25, 26, 27];

#[derive(Default)]
pub struct Places {
    pub sounds: Vec<Sound>,
    pub wires: Vec<Wire>,
    ptts: Vec<Output>,
    /// Each open once: their outputs are seen to be down, and stay so.
    ports: Arc<SerialPorts>,
}

#[derive(Clone)]
pub struct Sound {
    pub spec: SoundSpec,
    /// Another name of it.
    also: SoundSpec,
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
    ports: Arc<SerialPorts>,
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
        places.add_machine();
        if let Some(folder) = std::env::var_os(BENCH) {
            places.add_bench(Path::new(&folder))?;
        }
        let taken = Taken::by(settings);
        let is_free =
            |sound: &Sound| [&sound.spec, &sound.also].map(|name| taken.leaves_sound(name));
        places.sounds.retain(|sound| is_free(sound) == [true; 2]);
        places.wires.retain(|wire| taken.leaves_carrier(&wire.spec));
        places.ptts.retain(|ptt| taken.leaves_ptt(&ptt.spec));
        Ok(places)
    }

    fn add_machine(&mut self) {
        let devices = pttd_hw::devices();
        for sound in &devices.sound {
            if sound.capture != Some(0) {
                self.add_sound(sound);
            }
        }
        for fob in &devices.cm108 {
            let card = devices
                .sound
                .iter()
                .find(|sound| fob.sound.as_ref() == Some(&sound.sound));
            let device = card.map_or(fob.path.clone(), device_of);
            let keys = fob.carrier.trim_end_matches("#down");
            for (key, name) in [("down", "volume down key"), ("up", "volume up key")] {
                let carrier = format!("{keys}#{key}");
                self.add_wire(&carrier, format!("{}, {name}", fob.name), &device);
            }
            let pins = fob.ptt.trim_end_matches("#3");
            // Fobs for radios use the third.
            for pin in [3, 4, 1, 2] {
                let ptt = format!("{pins}#{pin}");
                self.add_output(&ptt, format!("{}, GPIO {pin}", fob.name), &device);
            }
        }
        // Whoever works at the console would be cut off.
        let ports = devices.serial.iter();
        for port in ports.filter(|port| !port.name.contains("console")) {
            let path = port.path.clone();
            let inputs = port.carrier.trim_end_matches("#dcd");
            for line in ["dcd", "cts", "dsr", "ri"] {
                let carrier = format!("{inputs}#{line}");
                let name = format!("{}, {}", port.name, line.to_uppercase());
                self.add_wire(&carrier, name, &path);
            }
            let outputs = port.ptt.trim_end_matches("#rts");
            for line in ["rts", "dtr"] {
                let name = format!("{}, {}", port.name, line.to_uppercase());
                self.add_output(&format!("{outputs}#{line}"), name, &path);
            }
        }
        for line in devices.gpio.iter().filter(|line| may_be_asked_for(line)) {
            let name = line.name.as_deref().unwrap_or_default();
            let name = format!("GPIO {name}");
            self.add_wire(&line.gpio, name.clone(), &line.chip);
            self.add_output(&line.gpio, name, &line.chip);
        }
    }

    fn add_sound(&mut self, sound: &SoundDevice) {
        // By the port: ids are given in the order of plugging in.
        let words = sound.by_port.as_ref().unwrap_or(&sound.sound);
        let (Ok(spec), Ok(by_id)) = (words.parse(), sound.sound.parse()) else {
            return;
        };
        self.sounds.push(Sound {
            spec,
            also: by_id,
            name: sound.name.clone(),
            is_stereo: sound.capture.is_some_and(|sides| sides > 1),
            device: device_of(sound),
        });
    }

    fn add_wire(&mut self, carrier: &str, name: String, device: &str) {
        if let Ok(spec) = carrier.parse() {
            self.wires.push(Wire {
                name,
                spec,
                device: device.to_string(),
                ports: self.ports.clone(),
            });
        }
    }

    fn add_output(&mut self, ptt: &str, name: String, device: &str) {
        if let Ok(spec) = ptt.parse() {
            let device = device.to_string();
            self.ptts.push(Output { spec, name, device });
        }
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
                also: SoundSpec::Bench(path.clone()),
                name: format!("Simulated radio {name}"),
                is_stereo: false,
                device: device.clone(),
            });
            let carrier = Detector::Bench(path.clone());
            self.wires.push(Wire {
                name: format!("Carrier of {name}"),
                spec: CarrierSpec::One(carrier),
                device: device.clone(),
                ports: self.ports.clone(),
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
            belongs: ptt.device == sound.device,
        });
        views.collect()
    }

    /// Whether all that is wished for is here, in either polarity.
    pub fn offers(&self, wish: &Wish) -> Result<(), Unfit> {
        let Wish {
            sound,
            carrier,
            ptt,
            ..
        } = wish;
        let mut sounds = self.sounds.iter();
        let mut wires = self.wires.iter();
        let mut ptts = self.ptts.iter();
        let plain = |text: &str| text.strip_prefix('!').unwrap_or(text).to_string();
        let offered = [
            (sound, sounds.any(|one| one.spec.to_string() == *sound)),
            (
                carrier,
                carrier == "vox" || wires.any(|one| one.carrier(false) == plain(carrier)),
            ),
            (
                ptt,
                ptt == "none" || ptts.any(|one| one.spec.to_string() == plain(ptt)),
            ),
        ];
        match offered.iter().find(|(_, is)| !is) {
            None => Ok(()),
            Some((what, _)) => Err(Unfit(format!(
                "The wizard did not find {what}. Start it again, or write it into the settings file by hand."
            ))),
        }
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
        // Held open: each opening lifts RTS and DTR for a blink.
        let ports = self.spec.serial_ports().into_iter();
        let held: Vec<_> = ports
            .map(|port| self.ports.open(port))
            .collect::<Result<_, _>>()?;
        // A wire is one line of one port.
        let serial = move |port: &Path| {
            let what = port.display().to_string();
            let held = held.first().ok_or(HwError::Missing { what })?;
            Ok((held.levels()?, held.garbage()))
        };
        let inputs = Inputs {
            vox: Arc::new(|| false),
            serial: Arc::new(serial),
            sound: SoundSpec::Simulated,
            debounce: DEBOUNCE,
        };
        open_carrier(&self.as_it_is(), &inputs)
    }

    /// A pull-up would key what hangs on the line where it is no input at all but a PTT that nobody wrote down.
    fn as_it_is(&self) -> CarrierSpec {
        let mut spec = self.spec.clone();
        if let CarrierSpec::One(Detector::Gpio { bias, .. }) = &mut spec {
            *bias = Bias::AsIs;
        }
        spec
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

/// Asking for a line makes it a GPIO, whatever it was, and the kernel does not say what that is: on many boards
/// the SD card and the Wi-Fi look free. So just those lines that somebody has named, and of a Raspberry Pi's those
/// of its header. What is an output holds something up, and is left alone.
fn may_be_asked_for(line: &Gpio) -> bool {
    let is_a_pi = PI.iter().any(|label| line.chip.starts_with(label));
    line.used_by.is_none()
        && !line.output
        && match &line.name {
            Some(name) if is_a_pi => {
                PI_FREE.contains(&line.offset) && *name == format!("GPIO{}", line.offset)
            }
            name => name.is_some(),
        }
}

/// An output cannot be the input that was heard.
fn is_same_line(ptt: &PttSpec, carrier: &CarrierSpec) -> bool {
    let claims = carrier_claims(carrier);
    let of_ptt = ptt_claims(ptt, &SoundSpec::Simulated);
    of_ptt.iter().any(|claim| claims.contains(claim))
}

/// The fob a card is in, so that it and its keys belong together.
fn device_of(sound: &SoundDevice) -> String {
    sound.by_port.as_ref().unwrap_or(&sound.sound).clone()
}

/// What the settings use.
#[derive(Default)]
struct Taken {
    claims: Vec<Claim>,
    /// The guardian has them open, and must be the only one.
    ports: Vec<PathBuf>,
}

impl Taken {
    fn by(settings: &Settings) -> Taken {
        let mut taken = Taken::default();
        for radio in &settings.radio {
            taken.claims.extend(sound_claims(&radio.sound, radio.side));
            taken.claims.extend(ptt_claims(&radio.ptt, &radio.sound));
            taken.ports.extend(radio.ptt.serial_port().map(device_file));
            radio.carrier.iter().for_each(|carrier| taken.add(carrier));
        }
        for desk in &settings.desk {
            taken.claims.extend(sound_claims(&desk.sound, desk.side));
            taken.add(&desk.button);
        }
        let lamps = settings.lamp.iter();
        taken
            .claims
            .extend(lamps.flat_map(|lamp| lamp_claims(&lamp.line)));
        taken
    }

    fn add(&mut self, carrier: &CarrierSpec) {
        self.claims.extend(carrier_claims(carrier));
        let ports = carrier.serial_ports().into_iter();
        self.ports.extend(ports.map(device_file));
    }

    fn leaves_sound(&self, sound: &SoundSpec) -> bool {
        self.leaves(&sound_claims(sound, Side::Mono))
    }

    fn leaves_carrier(&self, carrier: &CarrierSpec) -> bool {
        let mut ports = carrier.serial_ports().into_iter().map(device_file);
        self.leaves(&carrier_claims(carrier)) && !ports.any(|port| self.ports.contains(&port))
    }

    fn leaves_ptt(&self, ptt: &PttSpec) -> bool {
        self.leaves(&ptt_claims(ptt, &SoundSpec::Simulated))
    }

    fn leaves(&self, wanted: &[Claim]) -> bool {
        let is_taken = |claim| self.claims.iter().any(|taken| taken.clashes(claim));
        !wanted.iter().any(is_taken)
    }
}

/// Under one name, however it is called.
fn device_file(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_not_there| path.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(sound: &str, carrier: &str, ptt: &str) -> Wish {
        Wish {
            name: "Hall".to_string(),
            channel_id: "ops".to_string(),
            sound: sound.to_string(),
            side: "mono".to_string(),
            carrier: carrier.to_string(),
            vox_threshold: None,
            ptt: ptt.to_string(),
            write: true,
        }
    }

    #[test]
    fn only_what_was_listened_to_may_be_written() {
        let mut places = Places::default();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hall.sock");
        std::fs::write(&path, "").unwrap();
        places.add_bench(folder.path()).unwrap();
        places.add_wire("gpio:COR1", "GPIO COR1".to_string(), "chip");
        places.add_output("gpio:PTT1", "GPIO PTT1".to_string(), "chip");
        let there = format!("bench:{}", path.display());
        for (carrier, ptt) in [
            ("vox", "none"),
            ("gpio:COR1", "gpio:PTT1"),
            ("!gpio:COR1", "!gpio:PTT1"),
            (there.as_str(), there.as_str()),
        ] {
            let offered = places.offers(&wish(&there, carrier, ptt));
            assert!(offered.is_ok(), "{carrier} {ptt}");
        }
        for (sound, carrier, ptt) in [
            ("pcm:file:'|reboot',raw", "vox", "none"),
            ("card:Device", "vox", "none"),
            (there.as_str(), "gpio:COR2", "none"),
            (there.as_str(), "gpio:COR1 and vox", "none"),
            (there.as_str(), "always", "none"),
            (there.as_str(), "vox", "cm108:/etc/passwd"),
            (there.as_str(), "vox", "!!gpio:PTT1"),
        ] {
            let offered = places.offers(&wish(sound, carrier, ptt));
            assert!(offered.is_err(), "{sound} {carrier} {ptt}");
        }
    }

    #[test]
    fn a_line_is_listened_to_as_it_is_and_only_where_that_breaks_nothing() {
        let line = |chip: &str, offset: u32, name: &str| Gpio {
            gpio: format!("gpio:{name}"),
            chip: chip.to_string(),
            offset,
            name: (!name.is_empty()).then(|| name.to_string()),
            output: false,
            used_by: None,
        };
        for (asked, line) in [
            (true, line("pinctrl-bcm2711", 17, "GPIO17")),
            (true, line("pinctrl-rp1", 5, "GPIO5")),
            (true, line("gpio-sim.0", 1, "COR1")),
            // A HAT's sound, the console, the SD card.
            (false, line("pinctrl-bcm2711", 18, "GPIO18")),
            (false, line("pinctrl-bcm2835", 14, "TXD1")),
            (false, line("pinctrl-bcm2711", 34, "WL_CLK")),
            (false, line("300b000.pinctrl", 7, "")),
        ] {
            assert_eq!(may_be_asked_for(&line), asked, "{line:?}");
        }
        let output = Gpio {
            output: true,
            ..line("gpio-sim.0", 1, "COR1")
        };
        assert!(!may_be_asked_for(&output));
        let mut places = Places::default();
        places.add_wire("gpio:COR1", "GPIO COR1".to_string(), "chip");
        let wire = &places.wires[0];
        assert_eq!(wire.as_it_is().to_string(), "gpio:COR1#as-is");
        assert_eq!(wire.carrier(true), "!gpio:COR1");
    }
}
