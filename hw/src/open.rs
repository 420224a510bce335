//! The table of backends: from a name in the settings to what it stands for.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::carrier::{Always, Serial, Tree, Vox};
use crate::serial::{Levels, SerialPorts};
use crate::spec::{CarrierSpec, Detector, PttSpec, Side, SoundSpec};
use crate::{Capture, Carrier, HwError, Playback, Ptt, bench, cm108, gpio, sound};

/// Asks for the inputs of a serial port, and how many bytes it has been sent as text.
pub type AskSerial = dyn Fn(&Path) -> Result<(Levels, u64), HwError> + Send + Sync;

/// What detectors need that are not wires of their own.
#[derive(Clone)]
pub struct Inputs {
    /// Whether the sound itself is loud enough.
    pub vox: Arc<dyn Fn() -> bool + Send + Sync>,
    /// A serial port has one opener: the guardian, which keys by it. This asks it; must not block.
    pub serial: Arc<AskSerial>,
    /// The card `cm108:auto` belongs to.
    pub sound: SoundSpec,
    /// Wanted of the kernel, where a line can; [`Carrier::debounced`] says whether it does.
    pub debounce: Duration,
}

/// Opened unkeyed. `sound` is the radio's card, for `cm108:auto`; `ports` opens each serial port once.
pub fn open_ptt(
    spec: &PttSpec,
    sound: &SoundSpec,
    ports: &SerialPorts,
) -> Result<Box<dyn Ptt>, HwError> {
    match spec {
        PttSpec::None => Ok(Box::new(NoPtt)),
        PttSpec::Serial { port, line } => Ok(Box::new(ports.ptt(port, *line)?)),
        PttSpec::Gpio { line, active_low } => {
            Ok(Box::new(gpio::Output::open(line, *active_low, "pttd PTT")?))
        }
        PttSpec::Cm108 {
            device,
            gpio,
            active_low,
        } => {
            let hidraw = cm108::find(device, sound)?;
            Ok(Box::new(cm108::Cm108Ptt::open(
                &hidraw,
                *gpio,
                *active_low,
            )?))
        }
        PttSpec::Bench(path) => Ok(Box::new(bench::BenchPtt::open(path)?)),
    }
}

/// Opens every detector of it, or none.
pub fn open_carrier(spec: &CarrierSpec, inputs: &Inputs) -> Result<Box<dyn Carrier>, HwError> {
    Ok(Box::new(tree(spec, inputs)?))
}

fn tree(spec: &CarrierSpec, inputs: &Inputs) -> Result<Tree, HwError> {
    let all = |all: &[CarrierSpec]| -> Result<Vec<Tree>, HwError> {
        all.iter().map(|one| tree(one, inputs)).collect()
    };
    Ok(match spec {
        CarrierSpec::One(detector) => Tree::One(open_detector(detector, inputs)?),
        CarrierSpec::Not(inner) => Tree::Not(Box::new(tree(inner, inputs)?)),
        CarrierSpec::And(each) => Tree::And(all(each)?),
        CarrierSpec::Or(each) => Tree::Or(all(each)?),
    })
}

fn open_detector(detector: &Detector, inputs: &Inputs) -> Result<Box<dyn Carrier>, HwError> {
    Ok(match detector {
        Detector::Always => Box::new(Always),
        Detector::Vox => Box::new(Vox(inputs.clone())),
        Detector::Serial { port, line } => Box::new(Serial::new(inputs, port, *line)),
        Detector::Gpio {
            line,
            active_low,
            bias,
        } => Box::new(gpio::Input::open(
            line,
            *active_low,
            *bias,
            inputs.debounce,
        )?),
        Detector::Cm108 { device, key } => {
            let hidraw = cm108::find(device, &inputs.sound)?;
            Box::new(cm108::Cm108Carrier::open(&hidraw, *key)?)
        }
        Detector::Bench(path) => Box::new(bench::BenchCarrier::open(path)?),
    })
}

/// `gain_db`: set on the card's own mixer, where it has one.
pub fn open_capture(
    spec: &SoundSpec,
    side: Side,
    gain_db: Option<f32>,
) -> Result<Box<dyn Capture>, HwError> {
    match spec {
        SoundSpec::Bench(path) => Ok(Box::new(bench::BenchCapture::open(path)?)),
        SoundSpec::Simulated => Err(not_alone()),
        card => Ok(Box::new(sound::CardCapture::open(card, side, gain_db)?)),
    }
}

/// `gain_db`: set on the card's own mixer, where it has one.
pub fn open_playback(
    spec: &SoundSpec,
    side: Side,
    gain_db: Option<f32>,
) -> Result<Box<dyn Playback>, HwError> {
    match spec {
        SoundSpec::Bench(path) => Ok(Box::new(bench::BenchPlayback::open(path)?)),
        SoundSpec::Simulated => Err(not_alone()),
        card => Ok(Box::new(sound::CardPlayback::open(card, side, gain_db)?)),
    }
}

/// [`SoundSpec::simulated_at`] was not asked.
fn not_alone() -> HwError {
    HwError::Name("a simulated radio has sound only where the box plays its other end".to_string())
}

struct NoPtt;

impl Ptt for NoPtt {
    fn set(&mut self, _: bool) -> Result<(), HwError> {
        Ok(())
    }
}
