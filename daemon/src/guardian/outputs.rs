//! The wires themselves: a thread for each PTT line and one for each serial port's inputs.
//!
//! A write to a USB device whose cable the transmitter's own field has upset can hang in the kernel for
//! seconds. It hangs one of these threads, and the loop that counts everybody's leases goes on. A thread has
//! no queue but a level, "up" or "down", so it has always the newest to carry out.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::eventfd::EventFd;
use pttd_hw::serial::SerialPorts;
use pttd_hw::spec::{PttSpec, SoundSpec};
use pttd_hw::{HwError, Ptt, cm108, open_ptt};

use super::protocol::Inputs;
use super::startup;

/// A wire is told its level again so often: one that was pulled is noticed while nobody talks.
const SAY_AGAIN: Duration = Duration::from_secs(1);
/// A device that is not there is looked for so often, at first more often: another guardian may be going.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const LOOK_AGAIN_AT_FIRST: Duration = Duration::from_millis(50);
const AT_FIRST: u32 = 20;
/// A fob takes so long to come back, and it may not help.
const RESET_AGAIN: Duration = Duration::from_secs(5);
/// Longer than any device that works takes to do as told.
const HANGS: Duration = Duration::from_millis(500);
/// How often the inputs of a serial port are read.
const LOOK_AT_INPUTS: Duration = Duration::from_millis(10);

/// A PTT line of the settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    pub radio: String,
    pub ptt: PttSpec,
    /// The radio's card: `cm108:auto` sits in it.
    pub sound: SoundSpec,
    pub tot: Duration,
}

/// What a wire's thread last found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    pub keyed: bool,
    pub fault: Option<String>,
}

/// One PTT line and its thread. Dropping it lets go of the line, soon after.
pub struct Wire(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    bell: Arc<EventFd>,
}

struct State {
    wanted: bool,
    /// What is wanted has been tried since it changed.
    tried: bool,
    ends: bool,
    ended: bool,
    told: Told,
    /// The thread is in the kernel since then.
    busy: Option<Instant>,
}

impl Wire {
    /// Opens the line unkeyed, and goes on trying where it is not there. The bell rings on news.
    pub fn start(output: &Output, ports: Arc<SerialPorts>, bell: Arc<EventFd>) -> io::Result<Wire> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                wanted: false,
                tried: false,
                ends: false,
                ended: false,
                told: Told::default(),
                busy: None,
            }),
            changed: Condvar::new(),
            bell,
        });
        let (of_thread, output) = (shared.clone(), output.clone());
        std::thread::Builder::new()
            .name(format!("ptt {}", output.radio))
            .spawn(move || of_thread.run(&output, &ports))?;
        Ok(Wire(shared))
    }

    pub fn set(&self, keyed: bool) {
        let mut state = self.0.state();
        if state.wanted != keyed {
            state.wanted = keyed;
            state.tried = false;
            self.0.changed.notify_one();
        }
    }

    /// Its thread is told to unkey, let go and end.
    pub fn end(&self) {
        self.0.state().ends = true;
        self.0.changed.notify_one();
    }

    pub fn has_ended(&self) -> bool {
        self.0.state().ended
    }

    /// What is wanted was carried out, or at least tried.
    pub fn has_tried(&self) -> bool {
        self.0.state().tried
    }

    pub fn told(&self, now: Instant) -> Told {
        let state = self.0.state();
        let mut told = state.told.clone();
        let hangs = state.busy.is_some_and(|since| since + HANGS <= now);
        if hangs && told.fault.is_none() {
            told.fault = Some("does not answer: pull it and put it back".to_string());
        }
        told
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, output: &Output, ports: &SerialPorts) {
        let mut device = None;
        let mut failed = 0;
        let mut is_new = true;
        let mut last_reset = None;
        loop {
            let wanted = {
                let mut state = self.state();
                if state.ends {
                    break;
                }
                state.busy = Some(Instant::now());
                state.wanted
            };
            let drive = || drive(&mut device, output, ports, wanted, &mut is_new);
            let outcome = unless_it_panics(drive);
            if let Err(error) = &outcome
                && last_reset.is_none_or(|at: Instant| at + RESET_AGAIN <= Instant::now())
                && reset(output, error)
            {
                last_reset = Some(Instant::now());
            }
            let mut state = self.state();
            state.busy = None;
            let told = match &outcome {
                Ok(()) => Told {
                    keyed: wanted,
                    fault: None,
                },
                Err(error) => Told {
                    keyed: may_be_keyed(output, error, state.told.keyed || wanted),
                    fault: Some(in_short(error)),
                },
            };
            let again = match outcome {
                Ok(()) => {
                    failed = 0;
                    SAY_AGAIN
                }
                Err(_) => {
                    failed += 1;
                    match failed < AT_FIRST {
                        true => LOOK_AGAIN_AT_FIRST,
                        false => LOOK_AGAIN,
                    }
                }
            };
            // What changed meanwhile has not been tried.
            let news = state.told != told || !state.tried;
            state.tried |= state.wanted == wanted;
            state.told = told;
            if news {
                self.ring();
            }
            let nothing_new = |state: &mut State| state.wanted == wanted && !state.ends;
            let waited = self.changed.wait_timeout_while(state, again, nothing_new);
            drop(waited);
        }
        let _ = unless_it_panics(|| match device.take() {
            Some(mut device) => device.set(false),
            None => Ok(()),
        });
        let mut state = self.state();
        state.ended = true;
        state.told.keyed = false;
        self.ring();
    }

    fn ring(&self) {
        ring(&self.bell);
    }
}

/// A bell that is full has rung.
fn ring(bell: &EventFd) {
    let _ = bell.write(1);
}

/// Opens it where it is not open, and sets it. What failed is let go of and opened anew.
fn drive(
    device: &mut Option<Box<dyn Ptt>>,
    output: &Output,
    ports: &SerialPorts,
    keyed: bool,
    is_new: &mut bool,
) -> Result<(), HwError> {
    let mut open = match device.take() {
        Some(open) => open,
        None => {
            if *is_new {
                startup::look_at(output)?;
                *is_new = false;
            }
            open_ptt(&output.ptt, &output.sound, ports)?
        }
    };
    open.set(keyed)?;
    *device = Some(open);
    Ok(())
}

/// A CM108 that does not take an order: what is left is to pull its plug by software. Whether it was tried.
fn reset(output: &Output, error: &HwError) -> bool {
    let PttSpec::Cm108 { device, .. } = &output.ptt else {
        return false;
    };
    if matches!(
        error,
        HwError::Missing { .. } | HwError::Busy { .. } | HwError::Name(_)
    ) {
        return false;
    }
    let radio = &output.radio;
    let done = unless_it_panics(|| cm108::reset(device, &output.sound));
    match done {
        Ok(()) => tracing::warn!(radio, %error, "the CM108 took no order: it was reset"),
        Err(why) => {
            tracing::warn!(radio, %error, %why, "the CM108 took no order, and cannot be reset")
        }
    }
    true
}

/// A line that was let go of is down, but a CM108 stays as it was; one that was pulled has no current.
fn may_be_keyed(output: &Output, error: &HwError, was: bool) -> bool {
    let latches = matches!(output.ptt, PttSpec::Cm108 { .. });
    was && latches && !matches!(error, HwError::Missing { .. })
}

/// A panic in one line must not keep the others keyed.
fn unless_it_panics<T>(work: impl FnOnce() -> Result<T, HwError>) -> Result<T, HwError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic: Box<dyn Any + Send>| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(HwError::Io {
            doing: "driving it".to_string(),
            source: io::Error::other(format!("panicked: {}", text.unwrap_or("without a word"))),
        })
    })
}

/// Short enough that many fit into messages.
fn in_short(error: &HwError) -> String {
    error.to_string().chars().take(200).collect()
}

/// One serial port's inputs and their thread.
pub struct Port {
    pub path: PathBuf,
    shared: Arc<PortShared>,
}

struct PortShared {
    told: Mutex<(Inputs, bool)>,
    bell: Arc<EventFd>,
}

impl Port {
    pub fn start(path: &Path, ports: Arc<SerialPorts>, bell: Arc<EventFd>) -> io::Result<Port> {
        let inputs = Inputs {
            port: path.to_path_buf(),
            ..Inputs::default()
        };
        let shared = Arc::new(PortShared {
            told: Mutex::new((inputs, false)),
            bell,
        });
        let (of_thread, of_path) = (shared.clone(), path.to_path_buf());
        std::thread::Builder::new()
            .name("serial inputs".to_string())
            .spawn(move || of_thread.run(&of_path, &ports))?;
        Ok(Port {
            path: path.to_path_buf(),
            shared,
        })
    }

    pub fn told(&self) -> Inputs {
        self.shared.lock().0.clone()
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.shared.lock().1 = true;
    }
}

impl PortShared {
    fn lock(&self) -> MutexGuard<'_, (Inputs, bool)> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, path: &Path, ports: &SerialPorts) {
        let mut open = None;
        loop {
            let look = || {
                let port = match open.take() {
                    Some(port) => port,
                    None => ports.open(path)?,
                };
                let (levels, garbage) = (port.levels()?, port.garbage());
                open = Some(port);
                Ok((levels, garbage))
            };
            let (inputs, again) = match unless_it_panics(look) {
                Ok((levels, garbage)) => {
                    let inputs = Inputs {
                        port: path.to_path_buf(),
                        cts: levels.cts,
                        dsr: levels.dsr,
                        dcd: levels.dcd,
                        ri: levels.ri,
                        garbage,
                        fault: None,
                    };
                    (inputs, LOOK_AT_INPUTS)
                }
                Err(error) => {
                    let fault = Some(in_short(&error));
                    let port = path.to_path_buf();
                    let inputs = Inputs {
                        port,
                        fault,
                        ..Inputs::default()
                    };
                    (inputs, LOOK_AGAIN)
                }
            };
            let mut told = self.lock();
            if told.1 {
                return;
            }
            if told.0 != inputs {
                told.0 = inputs;
                ring(&self.bell);
            }
            drop(told);
            std::thread::sleep(again);
        }
    }
}
