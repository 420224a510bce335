//! A UDP socket read and written in batches: one system call for up to 64 datagrams.

use std::io::{IoSlice, IoSliceMut, Result};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrLike, SockaddrStorage, recvmmsg, sendmmsg};
use pttd_core::media::Transmit;

const BATCH: usize = 64;
/// Longer than any datagram of WebRTC, which keeps to the path's MTU.
const LONGEST: usize = 2048;

pub(super) struct Socket {
    socket: UdpSocket,
    address: SocketAddr,
    buffers: Vec<[u8; LONGEST]>,
    /// Each socket has headers of its own: the kernel leaves the length of the last address in them, and
    /// IPv6 addresses are longer than IPv4's.
    incoming: MultiHeaders<SockaddrStorage>,
    outgoing: MultiHeaders<SockaddrStorage>,
}

impl Socket {
    pub fn new(socket: UdpSocket) -> Result<Socket> {
        let address = socket.local_addr()?;
        Ok(Socket {
            socket,
            address,
            buffers: vec![[0; LONGEST]; BATCH],
            incoming: MultiHeaders::preallocate(BATCH, None),
            outgoing: MultiHeaders::preallocate(BATCH, None),
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Reads one batch. True: there may be more.
    pub fn receive(&mut self, mut take: impl FnMut(SocketAddr, &[u8])) -> bool {
        let fd = self.socket.as_raw_fd();
        let received: Vec<(usize, Option<SocketAddr>)> = {
            let mut slices: Vec<[IoSliceMut; 1]> = self
                .buffers
                .iter_mut()
                .map(|buffer| [IoSliceMut::new(buffer)])
                .collect();
            let headers = &mut self.incoming;
            match recvmmsg(fd, headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None) {
                Ok(messages) => messages
                    .map(|m| (m.bytes, m.address.as_ref().and_then(socket_addr)))
                    .collect(),
                // Nothing there, or word of a peer that has closed its port (ICMP).
                Err(_) => return false,
            }
        };
        for ((length, from), buffer) in received.iter().zip(&self.buffers) {
            if let (Some(from), Some(bytes)) = (from, buffer.get(..*length)) {
                take(*from, bytes);
            }
        }
        received.len() == BATCH
    }

    /// Sends what it can, and tells how many that were. What the kernel has no room for is dropped: a late
    /// packet is worth nothing.
    pub fn send(&mut self, transmits: &[Transmit]) -> usize {
        let fd = self.socket.as_raw_fd();
        let mut sent = 0;
        let mut rest = transmits;
        while !rest.is_empty() {
            let batch = &rest[..rest.len().min(BATCH)];
            let slices: Vec<[IoSlice; 1]> =
                batch.iter().map(|t| [IoSlice::new(&t.contents)]).collect();
            let addresses: Vec<Option<SockaddrStorage>> =
                batch.iter().map(|t| Some(t.destination.into())).collect();
            let headers = &mut self.outgoing;
            let flags = MsgFlags::MSG_DONTWAIT;
            let gone = match sendmmsg(fd, headers, slices.iter(), &addresses, [], flags) {
                Ok(messages) => messages.count(),
                Err(Errno::EAGAIN | Errno::ENOBUFS) => return sent,
                Err(_) => 0,
            };
            sent += gone;
            // The first one that was not sent is the one that failed: go on behind it.
            let failed = usize::from(gone < batch.len());
            rest = &rest[gone + failed..];
        }
        sent
    }
}

fn socket_addr(storage: &SockaddrStorage) -> Option<SocketAddr> {
    match (storage.as_sockaddr_in(), storage.as_sockaddr_in6()) {
        (Some(v4), _) => Some(SocketAddr::V4((*v4).into())),
        (_, Some(v6)) => Some(SocketAddr::V6((*v6).into())),
        _ => {
            tracing::trace!(len = storage.len(), "a datagram from no IP address");
            None
        }
    }
}
