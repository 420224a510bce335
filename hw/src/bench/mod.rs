//! A simulated radio. [`Air`] is its other end: it holds the handheld, the antenna and the sound card's clock.
//!
//! ```text
//!   set_carrier ──> BenchCarrier          BenchPtt ──────> ptt_history, is_keyed
//!   say ──────────> BenchCapture     BenchPlayback ──────> heard
//! ```
//! Each line is a Unix socket of its own that says first what it is, so the two ends may be two processes. A
//! PTT line whose process dies falls, as a kernel lets it. Sound is paced by the monotonic clock with an
//! offset of its own each way; what is to be played waits in [`PERIODS`](crate::PERIODS) periods, as in a card.

mod air;
mod clients;
mod clock;
mod wire;

#[cfg(test)]
mod tests;

pub use air::{Air, Heard};
pub use clients::{BenchCapture, BenchCarrier, BenchPlayback, BenchPtt};
