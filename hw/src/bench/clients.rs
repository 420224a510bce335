//! The radio's side of a simulated radio: the four traits, each over a socket of its own.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::wire::{self, BUSY, CAPTURED, DOWN, Kind, PLAYED, TO_PLAY, UP, WELCOME};
use crate::{Capture, Carrier, HwError, PATIENCE, PERIOD, PERIODS, Playback, Progress, Ptt, RATE};

/// What all four have.
struct Line {
    socket: UnixStream,
    what: String,
}

impl Line {
    fn open(path: &Path, kind: Kind) -> Result<Line, HwError> {
        let name = match kind {
            Kind::Ptt => "PTT line",
            Kind::Carrier => "carrier",
            Kind::Capture => "receiver",
            Kind::Playback => "transmitter",
        };
        let what = format!("the simulated radio's {name} at {}", path.display());
        let answer = || -> io::Result<_> {
            let mut socket = wire::connected(path)?;
            socket.set_read_timeout(Some(Duration::from_secs(1)))?;
            socket.write_all(&[kind as u8])?;
            let mut answer = [0];
            socket.read_exact(&mut answer)?;
            Ok((socket, answer[0]))
        };
        match answer() {
            Ok((socket, WELCOME)) => Ok(Line { socket, what }),
            Ok((_, BUSY)) => Err(HwError::Busy { what }),
            Ok(_) => Err(HwError::Missing { what }),
            Err(error) => Err(failed(&what, "opening", error)),
        }
    }

    fn failed(&self, doing: &str, error: io::Error) -> HwError {
        failed(&self.what, doing, error)
    }

    fn missing(&self) -> HwError {
        HwError::Missing {
            what: self.what.clone(),
        }
    }

    /// One message if there is one now.
    fn take(&self, message: &mut [u8]) -> Result<Option<usize>, HwError> {
        match wire::take(&self.socket, message) {
            Ok(Some(0)) => Err(self.missing()),
            Ok(n) => Ok(n),
            Err(error) => Err(self.failed("reading", error)),
        }
    }

    /// Until there is a message or `until` has come.
    fn wait(&self, until: Instant) -> Result<(), HwError> {
        let left = until.saturating_duration_since(Instant::now());
        let left =
            PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
        let mut socket = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        match poll(&mut socket, left) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(error) => Err(self.failed("waiting for", error.into())),
        }
    }
}

fn failed(what: &str, doing: &str, error: io::Error) -> HwError {
    use ErrorKind::{
        BrokenPipe, ConnectionRefused, ConnectionReset, NotFound, TimedOut, UnexpectedEof,
        WouldBlock,
    };
    match error.kind() {
        BrokenPipe | ConnectionRefused | ConnectionReset | NotFound | UnexpectedEof => {
            HwError::Missing {
                what: what.to_string(),
            }
        }
        WouldBlock | TimedOut => HwError::TimedOut {
            what: what.to_string(),
        },
        _ => HwError::Io {
            doing: format!("{doing} {what}"),
            source: error,
        },
    }
}

pub struct BenchPtt(Line);

impl BenchPtt {
    pub fn open(path: &Path) -> Result<BenchPtt, HwError> {
        let line = Line::open(path, Kind::Ptt)?;
        let nonblocking = line.socket.set_nonblocking(true);
        nonblocking.map_err(|e| line.failed("opening", e))?;
        Ok(BenchPtt(line))
    }
}

impl Ptt for BenchPtt {
    fn set(&mut self, keyed: bool) -> Result<(), HwError> {
        let level = if keyed { UP } else { DOWN };
        let written = self.0.socket.write_all(&[level]);
        written.map_err(|e| self.0.failed("setting", e))
    }
}

pub struct BenchCarrier {
    line: Line,
    up: bool,
    garbage: u64,
}

impl BenchCarrier {
    pub fn open(path: &Path) -> Result<BenchCarrier, HwError> {
        Ok(BenchCarrier {
            line: Line::open(path, Kind::Carrier)?,
            up: false,
            garbage: 0,
        })
    }
}

impl Carrier for BenchCarrier {
    fn is_up(&mut self) -> Result<bool, HwError> {
        let mut level = [0];
        while self.line.take(&mut level)?.is_some() {
            match level[0] {
                UP => self.up = true,
                DOWN => self.up = false,
                _ => self.garbage += 1,
            }
        }
        Ok(self.up)
    }

    fn garbage(&self) -> u64 {
        self.garbage
    }
}

pub struct BenchCapture {
    line: Line,
    /// The period that comes next, were none lost.
    next: Option<u32>,
    xruns: u64,
}

impl BenchCapture {
    pub fn open(path: &Path) -> Result<BenchCapture, HwError> {
        let line = Line::open(path, Kind::Capture)?;
        let patience = line.socket.set_read_timeout(Some(PATIENCE));
        patience.map_err(|e| line.failed("opening", e))?;
        Ok(BenchCapture {
            line,
            next: None,
            xruns: 0,
        })
    }
}

impl Capture for BenchCapture {
    fn read(&mut self, period: &mut [f32; PERIOD]) -> Result<(), HwError> {
        let mut message = [0; CAPTURED];
        loop {
            match self.line.socket.read(&mut message) {
                Ok(0) => return Err(self.line.missing()),
                Ok(_) => break,
                // The process was stopped meanwhile, and goes on.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.line.failed("reading", error)),
            }
        }
        let [a, b, c, d, samples @ ..] = &message;
        let number = u32::from_le_bytes([*a, *b, *c, *d]);
        self.xruns += u64::from(self.next.is_some_and(|next| next != number));
        self.next = Some(number.wrapping_add(1));
        wire::from_bytes(samples, period);
        Ok(())
    }

    fn xruns(&self) -> u64 {
        self.xruns
    }
}

pub struct BenchPlayback {
    line: Line,
    path: PathBuf,
    written: u64,
    played: u64,
    xruns: u64,
}

impl BenchPlayback {
    pub fn open(path: &Path) -> Result<BenchPlayback, HwError> {
        Ok(BenchPlayback {
            line: Line::open(path, Kind::Playback)?,
            path: path.to_path_buf(),
            written: 0,
            played: 0,
            xruns: 0,
        })
    }

    fn look(&mut self) -> Result<(), HwError> {
        let mut message = [0; PLAYED];
        while self.line.take(&mut message)?.is_some() {
            let [played, xruns] = [0, 8].map(|at| {
                let eight = message[at..].first_chunk().copied().unwrap_or_default();
                u64::from_le_bytes(eight)
            });
            self.played = played;
            self.xruns = xruns;
        }
        Ok(())
    }
}

impl Playback for BenchPlayback {
    fn write(&mut self, period: &[f32; PERIOD]) -> Result<(), HwError> {
        let until = Instant::now() + PATIENCE;
        loop {
            self.look()?;
            if self.written.saturating_sub(self.played) < (PERIODS * PERIOD) as u64 {
                break;
            }
            if Instant::now() >= until {
                return Err(HwError::TimedOut {
                    what: format!(
                        "the simulated radio's transmitter at {}",
                        self.path.display()
                    ),
                });
            }
            self.line.wait(until)?;
        }
        let mut message = [0; TO_PLAY];
        wire::to_bytes(period, &mut message);
        let sent = self.line.socket.write_all(&message);
        sent.map_err(|e| self.line.failed("playing to", e))?;
        self.written += PERIOD as u64;
        Ok(())
    }

    fn progress(&mut self) -> Result<Progress, HwError> {
        self.look()?;
        let left = self.written.saturating_sub(self.played);
        Ok(Progress {
            played: self.played,
            delay: Duration::from_secs_f64(left as f64 / f64::from(RATE)),
        })
    }

    fn xruns(&self) -> u64 {
        self.xruns
    }
}
