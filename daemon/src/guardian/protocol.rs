//! What pttd and the guardian say to each other: one JSON object a message, over a SOCK_SEQPACKET Unix socket, so
//! that a message is whole or not there.
//!
//! ```text
//!   pttd     Hello ─────>        Key ──> ──> ──>    (every 50 ms)   Unkey ──>
//!   guardian    <── Line, Inputs, .. Welcome   <── Ack, Line keyed          <── Ack, Line
//! ```
//! Orders carry a number that comes back in the `Ack`, and `Key` the time it was said: CLOCK_MONOTONIC is one
//! clock for all processes of a machine, and what waited in the socket must not key anything later.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockType, UnixAddr, UnixCredentials, bind, connect,
    getsockopt, listen, recv, send, socket, sockopt,
};
use nix::time::{ClockId, clock_gettime};
use pttd_hw::serial::Levels;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// No message is longer.
pub const LONGEST: usize = 4 << 10;

/// To the guardian.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "say",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Ask {
    /// The first message. Answered by a `Line` for each radio, an `Inputs` for each serial port and `Welcome`.
    Hello {
        purpose: Purpose,
    },
    /// Key, or stay keyed, for one lease from then.
    Key {
        radio: String,
        number: u64,
        said_ns: u64,
    },
    /// `None`: all of them.
    Unkey {
        radio: Option<String>,
        number: u64,
    },
    AreYouThere {
        number: u64,
    },
    /// The settings have changed. Answered by `Reloaded`.
    Reload,
    /// Unkey everything and end: another guardian follows.
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Purpose {
    /// Keys radios. One at a time.
    Run,
    /// Looks, and may unkey.
    Look,
}

/// From the guardian.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "say",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Tell {
    Welcome {
        version: String,
        /// The settings it has read.
        config: Option<PathBuf>,
        lease_ms: u64,
    },
    /// And then it hangs up.
    Refused {
        why: String,
    },
    Ack {
        number: u64,
    },
    Line(Line),
    Inputs(Inputs),
    /// With what is wrong with the settings: then those of before go on.
    Reloaded {
        mistake: Option<String>,
    },
}

/// A radio's PTT line: told when it changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    pub radio: String,
    /// As far as the guardian could set it.
    pub keyed: bool,
    /// Past its TOT, or taken down by an operator: not keyed before orders have been silent.
    pub locked: bool,
    /// Why it does not do as told.
    pub fault: Option<String>,
}

/// The inputs of a serial port: told when they change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    pub port: PathBuf,
    pub cts: bool,
    pub dsr: bool,
    pub dcd: bool,
    pub ri: bool,
    /// Bytes that came in as text.
    pub garbage: u64,
    pub fault: Option<String>,
}

impl Inputs {
    pub fn levels(&self) -> Levels {
        Levels {
            cts: self.cts,
            dsr: self.dsr,
            dcd: self.dcd,
            ri: self.ri,
        }
    }
}

/// CLOCK_MONOTONIC. 0 where the kernel has none.
pub fn monotonic_ns() -> u64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map(|t| Duration::from(t).as_nanos() as u64)
        .unwrap_or_default()
}

/// The moment something was said. What claims to be of the future is of now.
pub fn instant_of(said_ns: u64, now: Instant) -> Instant {
    let ago = Duration::from_nanos(monotonic_ns().saturating_sub(said_ns));
    now.checked_sub(ago).unwrap_or(now)
}

/// One end of a connection. Never blocks.
pub struct Socket(UnixStream);

/// Nothing more will come over it.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    #[error("the other end hung up")]
    HungUp,
    #[error("the other end says what means nothing: {0}")]
    Garbage(String),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Socket {
    pub fn connect(path: &Path) -> io::Result<Socket> {
        let socket = seqpacket()?;
        connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
        Ok(Socket(UnixStream::from(socket)))
    }

    /// False where the other end does not read: nothing was sent.
    pub fn send(&self, message: &impl Serialize) -> io::Result<bool> {
        let bytes = serde_json::to_vec(message)?;
        loop {
            return match send(
                self.0.as_raw_fd(),
                &bytes,
                MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL,
            ) {
                Ok(_) => Ok(true),
                Err(Errno::EAGAIN) => Ok(false),
                Err(Errno::EINTR) => continue,
                Err(error) => Err(error.into()),
            };
        }
    }

    /// A message, if there is one now.
    pub fn take<T: DeserializeOwned>(&self) -> Result<Option<T>, Ended> {
        let mut bytes = [0; LONGEST];
        // With MSG_TRUNC the length is the message's, not that of what fitted.
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
        let length = loop {
            match recv(self.0.as_raw_fd(), &mut bytes, flags) {
                Ok(0) => return Err(Ended::HungUp),
                Ok(length) => break length,
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::EINTR) => {}
                Err(Errno::ECONNRESET) => return Err(Ended::HungUp),
                Err(error) => return Err(Ended::Io(error.into())),
            }
        };
        let Some(message) = bytes.get(..length) else {
            return Err(Ended::Garbage(format!("{length} bytes in one message")));
        };
        serde_json::from_slice(message)
            .map(Some)
            .map_err(|error| Ended::Garbage(error.to_string()))
    }

    /// The other end's process. Of the one that listens, on the connecting side.
    pub fn peer(&self) -> io::Result<UnixCredentials> {
        Ok(getsockopt(&self.0, sockopt::PeerCredentials)?)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Where a guardian waits for its clients.
pub struct Listener(UnixListener);

impl Listener {
    /// Whatever is there already is a dead one's: the lock says so.
    pub fn bind(path: &Path) -> io::Result<Listener> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = seqpacket()?;
        bind(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
        listen(&socket, Backlog::new(16)?)?;
        Ok(Listener(UnixListener::from(socket)))
    }

    /// One who knocks, if there is one now. The standard library does not mind the socket's type.
    pub fn accept(&self) -> io::Result<Option<Socket>> {
        match self.0.accept() {
            Ok((stream, _)) => Ok(Some(Socket(stream))),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn seqpacket() -> nix::Result<OwnedFd> {
    socket(
        AddressFamily::Unix,
        SockType::SeqPacket,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        None,
    )
}
