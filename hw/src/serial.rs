//! Serial ports by their control lines alone: RTS and DTR key, CTS, DSR, DCD and RI say what a receiver does.
//!
//! The kernel raises RTS and DTR when a port is opened, for the blink until they are set here. It drops them
//! when the last one who has the port open is gone (HUPCL), even by SIGKILL; so there must be one opener, and
//! the port is shared inside the process.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::termios::{ControlFlags, SetArg, tcgetattr, tcsetattr};
use nix::unistd::{dup, read};

use crate::errno::hw_error;
use crate::spec::{SerialInput, SerialOutput};
use crate::{HwError, Ptt};

/// The ports this process has open, each once.
#[derive(Default)]
pub struct SerialPorts {
    open: Mutex<BTreeMap<PathBuf, Weak<SerialPort>>>,
}

/// One open port. RTS and DTR fall when the last who holds it lets go.
pub struct SerialPort {
    port: serial2::SerialPort,
    /// TIOCEXCL does not stop root.
    _lock: Flock<std::os::fd::OwnedFd>,
    path: PathBuf,
    /// Pulled: this one never comes back, another may be opened in its place.
    gone: AtomicBool,
    garbage: AtomicU64,
}

/// The inputs of a port, as levels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    pub cts: bool,
    pub dsr: bool,
    pub dcd: bool,
    pub ri: bool,
}

impl Levels {
    pub fn of(self, line: SerialInput) -> bool {
        match line {
            SerialInput::Cts => self.cts,
            SerialInput::Dsr => self.dsr,
            SerialInput::Dcd => self.dcd,
            SerialInput::Ri => self.ri,
        }
    }
}

impl SerialPorts {
    /// Opened unkeyed.
    pub fn ptt(&self, path: &Path, line: SerialOutput) -> Result<SerialPtt, HwError> {
        let port = self.open(path)?;
        let mut ptt = SerialPtt { port, line };
        ptt.set(false)?;
        Ok(ptt)
    }

    /// With RTS and DTR down, where nobody here has it open.
    pub fn open(&self, path: &Path) -> Result<Arc<SerialPort>, HwError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let known = open.get(path).and_then(Weak::upgrade);
        if let Some(port) = known.filter(|port| !port.gone.load(Ordering::Relaxed)) {
            return Ok(port);
        }
        let port = Arc::new(SerialPort::open(path)?);
        open.insert(path.to_path_buf(), Arc::downgrade(&port));
        Ok(port)
    }
}

impl SerialPort {
    fn open(path: &Path) -> Result<SerialPort, HwError> {
        let what = format!("the serial port {}", path.display());
        let failed = |error: io::Error| hw_error("opening", &what, error);
        let port = serial2::SerialPort::open(path, serial2::KeepSettings).map_err(failed)?;
        let clear = |line, set: fn(&serial2::SerialPort, bool) -> io::Result<()>| {
            set(&port, false).map_err(|source| HwError::Io {
                doing: format!("setting {line} of {what}"),
                source,
            })
        };
        clear(SerialOutput::Rts, serial2::SerialPort::set_rts)?;
        clear(SerialOutput::Dtr, serial2::SerialPort::set_dtr)?;
        let copy = dup(&port).map_err(|e| failed(e.into()))?;
        let lock =
            Flock::lock(copy, FlockArg::LockExclusiveNonblock).map_err(|(_, e)| match e {
                Errno::EWOULDBLOCK => HwError::Busy { what: what.clone() },
                e => failed(e.into()),
            })?;
        rustix::termios::ioctl_tiocexcl(&port).map_err(|e| failed(e.into()))?;
        let mut termios = tcgetattr(&port).map_err(|e| failed(e.into()))?;
        // RTS is ours, not the driver's; a carrier that drops does not hang up.
        termios.control_flags.remove(ControlFlags::CRTSCTS);
        let ours = ControlFlags::HUPCL | ControlFlags::CLOCAL | ControlFlags::CREAD;
        termios.control_flags.insert(ours);
        nix::sys::termios::cfmakeraw(&mut termios);
        tcsetattr(&port, SetArg::TCSANOW, &termios).map_err(|e| failed(e.into()))?;
        let kept = tcgetattr(&port).map_err(|e| failed(e.into()))?;
        if !kept.control_flags.contains(ControlFlags::HUPCL) {
            tracing::warn!(
                port = %path.display(),
                "its driver does not drop RTS and DTR when the port is closed: a PTT line on it stays up when the \
                 guardian is killed, set the radio's own TOT"
            );
        }
        Ok(SerialPort {
            port,
            _lock: lock,
            path: path.to_path_buf(),
            gone: AtomicBool::new(false),
            garbage: AtomicU64::new(0),
        })
    }

    /// All four inputs at once. What was sent to the port as text is counted and forgotten.
    pub fn levels(&self) -> Result<Levels, HwError> {
        let read = || -> io::Result<Levels> {
            Ok(Levels {
                cts: self.port.read_cts()?,
                dsr: self.port.read_dsr()?,
                dcd: self.port.read_cd()?,
                ri: self.port.read_ri()?,
            })
        };
        let levels = read().map_err(|e| self.failed("reading the lines of", e))?;
        self.forget_text()?;
        Ok(levels)
    }

    /// Bytes that came in as text since it was opened: nothing that is wired to a radio sends any.
    pub fn garbage(&self) -> u64 {
        self.garbage.load(Ordering::Relaxed)
    }

    /// At most a few hundred bytes a call: a port that is flooded does not hold anybody up.
    fn forget_text(&self) -> Result<(), HwError> {
        let mut text = [0; 512];
        match read(&self.port, &mut text) {
            Ok(n) => {
                self.garbage.fetch_add(n as u64, Ordering::Relaxed);
                Ok(())
            }
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(()),
            Err(error) => Err(self.failed("reading from", error.into())),
        }
    }

    fn set(&self, line: SerialOutput, high: bool) -> Result<(), HwError> {
        let set = match line {
            SerialOutput::Rts => self.port.set_rts(high),
            SerialOutput::Dtr => self.port.set_dtr(high),
        };
        set.map_err(|e| self.failed(&format!("setting {line} of"), e))
    }

    fn failed(&self, doing: &str, error: io::Error) -> HwError {
        let what = format!("the serial port {}", self.path.display());
        let error = match error.raw_os_error().map(Errno::from_raw) {
            // What a tty says whose device was pulled.
            Some(Errno::EIO | Errno::ENOTTY) => HwError::Missing { what },
            _ => hw_error(doing, &what, error),
        };
        if matches!(error, HwError::Missing { .. }) {
            self.gone.store(true, Ordering::Relaxed);
        }
        error
    }
}

/// RTS or DTR of a port as a PTT line.
pub struct SerialPtt {
    port: Arc<SerialPort>,
    line: SerialOutput,
}

impl Ptt for SerialPtt {
    fn set(&mut self, keyed: bool) -> Result<(), HwError> {
        self.port.set(self.line, keyed)
    }
}

impl Drop for SerialPtt {
    /// The port may stay open for others.
    fn drop(&mut self) {
        if let Err(error) = self.set(false) {
            tracing::warn!(port = %self.port.path.display(), %error, "PTT line was let go without being unkeyed");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use nix::pty::openpty;
    use nix::unistd::ttyname;

    use super::*;

    /// A terminal without a modem behind it: the one kind of port a machine without ports has.
    fn terminal() -> (OwnedFd, PathBuf) {
        let pty = openpty(None, None).unwrap();
        let path = ttyname(&pty.slave).unwrap();
        (pty.master, path)
    }

    #[test]
    fn a_port_without_rts_and_dtr_is_refused_by_name() {
        let (_master, path) = terminal();
        let error = SerialPorts::default().open(&path).err().unwrap();
        assert!(matches!(error, HwError::Io { .. }), "{error:?}");
        let said = error.to_string();
        assert!(said.contains("setting rts of the serial port"), "{said}");
    }

    #[test]
    fn a_port_that_is_not_there_is_missing() {
        let ports = SerialPorts::default();
        let nowhere = Path::new("/dev/no-such-port");
        let error = ports.ptt(nowhere, SerialOutput::Rts).err();
        assert!(matches!(error, Some(HwError::Missing { .. })), "{error:?}");
    }
}
