//! What goes over the sockets between [`Air`](super::Air) and a radio: SOCK_SEQPACKET, so a message is whole
//! or not there.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockType, UnixAddr, bind, connect, listen, recv,
    socket,
};

use crate::PERIOD;

/// A client's first message: what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Ptt = b'p',
    Carrier = b'c',
    Capture = b'r',
    Playback = b'w',
}

impl Kind {
    pub fn of(byte: u8) -> Option<Kind> {
        [Kind::Ptt, Kind::Carrier, Kind::Capture, Kind::Playback]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// The answers to it. Something that is pulled does not answer but hangs up.
pub const WELCOME: u8 = b'+';
pub const BUSY: u8 = b'-';
/// A level of a PTT line or a carrier.
pub const UP: u8 = b'1';
pub const DOWN: u8 = b'0';

/// Captured sound: a number that counts periods, those that were lost as well, and 16-bit samples.
pub const CAPTURED: usize = 4 + 2 * PERIOD;
/// Sound to play.
pub const TO_PLAY: usize = 2 * PERIOD;
/// Samples played, and underruns.
pub const PLAYED: usize = 16;

/// The standard library's sockets do the rest: they do not care for the type.
pub fn listener(path: &Path) -> io::Result<UnixListener> {
    let socket = seqpacket()?;
    bind(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    listen(&socket, Backlog::new(16)?)?;
    let listener = UnixListener::from(socket);
    listener.set_nonblocking(true)?;
    Ok(listener)
}

pub fn connected(path: &Path) -> io::Result<UnixStream> {
    let socket = seqpacket()?;
    connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(UnixStream::from(socket))
}

fn seqpacket() -> nix::Result<std::os::fd::OwnedFd> {
    socket(
        AddressFamily::Unix,
        SockType::SeqPacket,
        SockFlag::SOCK_CLOEXEC,
        None,
    )
}

/// One message if there is one now; `Some(0)` bytes: the other end hung up.
pub fn take(socket: &UnixStream, message: &mut [u8]) -> io::Result<Option<usize>> {
    loop {
        return match recv(socket.as_raw_fd(), message, MsgFlags::MSG_DONTWAIT) {
            Ok(n) => Ok(Some(n)),
            Err(nix::errno::Errno::EAGAIN) => Ok(None),
            Err(nix::errno::Errno::EINTR) => continue,
            Err(e) => Err(e.into()),
        };
    }
}

pub fn to_bytes(samples: &[f32], bytes: &mut [u8]) {
    for (sample, two) in samples.iter().zip(bytes.chunks_exact_mut(2)) {
        let sample = (sample * 32768.0).round().clamp(-32768.0, 32767.0) as i16;
        two.copy_from_slice(&sample.to_le_bytes());
    }
}

pub fn from_bytes(bytes: &[u8], samples: &mut [f32; PERIOD]) {
    for (two, sample) in bytes.chunks_exact(2).zip(samples) {
        *sample = f32::from(i16::from_le_bytes([two[0], two[1]])) / 32768.0;
    }
}
