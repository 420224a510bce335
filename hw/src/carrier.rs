//! Several detectors joined into one: `gpio:COR1 and vox`.

use std::path::PathBuf;
use std::time::Duration;

use crate::open::Inputs;
use crate::spec::SerialInput;
use crate::{Carrier, HwError};

pub enum Tree {
    One(Box<dyn Carrier>),
    Not(Box<Tree>),
    And(Vec<Tree>),
    Or(Vec<Tree>),
}

impl Carrier for Tree {
    /// Every detector is asked each time: one that is broken is a fault even where the others decide.
    fn is_up(&mut self) -> Result<bool, HwError> {
        match self {
            Tree::One(detector) => detector.is_up(),
            Tree::Not(inner) => Ok(!inner.is_up()?),
            Tree::And(all) => all
                .iter_mut()
                .try_fold(true, |up, one| Ok(one.is_up()? & up)),
            Tree::Or(all) => all
                .iter_mut()
                .try_fold(false, |up, one| Ok(one.is_up()? | up)),
        }
    }

    fn garbage(&self) -> u64 {
        match self {
            Tree::One(detector) => detector.garbage(),
            Tree::Not(inner) => inner.garbage(),
            Tree::And(all) | Tree::Or(all) => all.iter().map(Carrier::garbage).sum(),
        }
    }

    /// What the least debounced of them does.
    fn debounced(&self) -> Duration {
        match self {
            Tree::One(detector) => detector.debounced(),
            Tree::Not(inner) => inner.debounced(),
            Tree::And(all) | Tree::Or(all) => {
                let each = all.iter().map(Carrier::debounced);
                each.min().unwrap_or(Duration::ZERO)
            }
        }
    }
}

/// Always open: a receiver whose own squelch is good, or a line that is always on.
pub struct Always;

impl Carrier for Always {
    fn is_up(&mut self) -> Result<bool, HwError> {
        Ok(true)
    }
}

/// What another part of the program says of the sound.
pub struct Vox(pub Inputs);

impl Carrier for Vox {
    fn is_up(&mut self) -> Result<bool, HwError> {
        Ok((self.0.vox)())
    }
}

/// An input of a serial port, which belongs to whoever keys by it.
pub struct Serial {
    pub inputs: Inputs,
    pub port: PathBuf,
    pub line: SerialInput,
}

impl Carrier for Serial {
    fn is_up(&mut self) -> Result<bool, HwError> {
        (self.inputs.serial)(&self.port, self.line)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::open_carrier;
    use crate::spec::SoundSpec;

    #[test]
    fn detectors_are_joined_as_the_settings_say() {
        let vox = Arc::new(AtomicBool::new(false));
        let dcd = Arc::new(AtomicBool::new(false));
        let inputs = Inputs {
            vox: {
                let vox = vox.clone();
                Arc::new(move || vox.load(Ordering::Relaxed))
            },
            serial: {
                let dcd = dcd.clone();
                Arc::new(move |port: &Path, line| {
                    assert_eq!((port, line), (Path::new("/dev/ttyS0"), SerialInput::Dcd));
                    Ok(dcd.load(Ordering::Relaxed))
                })
            },
            sound: SoundSpec::Simulated,
            debounce: Duration::ZERO,
        };
        let table = [
            ("vox", [false, true, false, true]),
            ("serial:/dev/ttyS0#dcd", [false, false, true, true]),
            ("vox and serial:/dev/ttyS0#dcd", [false, false, false, true]),
            ("vox or serial:/dev/ttyS0#dcd", [false, true, true, true]),
            (
                "vox and !serial:/dev/ttyS0#dcd",
                [false, true, false, false],
            ),
            (
                "not (vox or serial:/dev/ttyS0#dcd) and always",
                [true, false, false, false],
            ),
            ("always", [true; 4]),
        ];
        for (text, expected) in table {
            let mut carrier = open_carrier(&text.parse().unwrap(), &inputs).unwrap();
            let seen =
                [(false, false), (true, false), (false, true), (true, true)].map(|(v, d)| {
                    vox.store(v, Ordering::Relaxed);
                    dcd.store(d, Ordering::Relaxed);
                    carrier.is_up().unwrap()
                });
            assert_eq!(seen, expected, "{text}");
        }
    }

    #[test]
    fn a_broken_detector_is_a_fault_even_where_another_decides() {
        let inputs = Inputs {
            vox: Arc::new(|| true),
            serial: Arc::new(|port, _| {
                Err(HwError::Missing {
                    what: port.display().to_string(),
                })
            }),
            sound: SoundSpec::Simulated,
            debounce: Duration::ZERO,
        };
        let spec = "vox or serial:/dev/ttyS0#cts".parse().unwrap();
        let mut carrier = open_carrier(&spec, &inputs).unwrap();
        assert!(matches!(carrier.is_up(), Err(HwError::Missing { .. })));
    }
}
