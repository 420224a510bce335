//! The media plane: packets in, packets out, decided without sockets or clocks.
//!
//! A [`Shard`] owns its transports and the part of each channel's route that lies on it. It is told who
//! may be heard (`Command`), and tells who connected, fell silent or vanished (`Event`).

mod dtls;
mod echo;
mod egress;
mod rewrite;
mod route;
mod sdp;
mod shard;
mod transport;
mod turn;

pub use dtls::Certificate;
pub use shard::{Command, Counters, Event, FanOut, Shard, Tap};
pub use transport::{CloseReason, Offer, OfferError, Transmit, Transport};
pub use turn::Heard;

#[cfg(test)]
mod tests;

use std::sync::Arc;

/// One packet of a talker, as it is handed to each listener and to the other shards.
#[derive(Clone, Debug)]
pub struct Packet {
    /// Extended sequence number, as the talker counts.
    pub seq: u64,
    /// RTP time, 48 kHz.
    pub time: u32,
    /// First packet of a talkspurt.
    pub marker: bool,
    /// Audio level in dBov, RFC 6464, where the talker sent one.
    pub level: Option<i8>,
    pub payload: Arc<[u8]>,
}
