//! Several detectors joined into one: `gpio:COR1 and vox`.

use std::path::{Path, PathBuf};
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
    inputs: Inputs,
    port: PathBuf,
    line: SerialInput,
    /// As the port's opener last counted it: from nothing again when it was opened anew.
    known: Option<u64>,
    garbage: u64,
}

impl Serial {
    pub fn new(inputs: &Inputs, port: &Path, line: SerialInput) -> Serial {
        Serial {
            inputs: inputs.clone(),
            port: port.to_path_buf(),
            line,
            known: None,
            garbage: 0,
        }
    }
}

impl Carrier for Serial {
    fn is_up(&mut self) -> Result<bool, HwError> {
        let (levels, garbage) = (self.inputs.serial)(&self.port)?;
        let known = self.known.replace(garbage).unwrap_or(garbage);
        self.garbage += garbage.checked_sub(known).unwrap_or(garbage);
        Ok(levels.of(self.line))
    }

    fn garbage(&self) -> u64 {
        self.garbage
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    use super::*;
    use crate::open_carrier;
    use crate::serial::Levels;
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
                Arc::new(move |port: &Path| {
                    assert_eq!(port, Path::new("/dev/ttyS0"));
                    let dcd = dcd.load(Ordering::Relaxed);
                    let levels = Levels {
                        dcd,
                        ..Levels::default()
                    };
                    Ok((levels, 0))
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
    fn what_a_serial_port_is_sent_as_text_counts_from_when_it_is_listened_to() {
        let count = Arc::new(AtomicU64::new(7));
        let of_port = count.clone();
        let inputs = Inputs {
            vox: Arc::new(|| false),
            serial: Arc::new(move |_: &Path| {
                Ok((Levels::default(), of_port.load(Ordering::Relaxed)))
            }),
            sound: SoundSpec::Simulated,
            debounce: Duration::ZERO,
        };
        let spec = "serial:/dev/ttyS0#cts".parse().unwrap();
        let mut carrier = open_carrier(&spec, &inputs).unwrap();
        // The third is of a port that was opened anew.
        for (port, carriers) in [(7, 0), (9, 2), (3, 5)] {
            count.store(port, Ordering::Relaxed);
            assert!(!carrier.is_up().unwrap());
            assert_eq!(carrier.garbage(), carriers);
        }
    }

    #[test]
    fn a_broken_detector_is_a_fault_even_where_another_decides() {
        let inputs = Inputs {
            vox: Arc::new(|| true),
            serial: Arc::new(|port: &Path| {
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
