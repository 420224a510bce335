//! Wires and sound: what the box can touch, and nothing of what it means. Lines are levels; sound is 48 kHz
//! mono in periods of 10 ms. Debounce, hang, lead, tail and TOT are not decided here.
//!
//! Each trait has the methods that are called, no more, and at least two implementors: hardware and
//! `bench`, a simulated radio whose other ends a test or a page holds. [`spec`] reads the settings' names,
//! the `open_` functions turn them into the traits, [`devices()`] says which names this machine has.

mod carrier;
mod errno;
mod let_go;
mod open;
mod sound;
mod sysfs;

pub mod bench;
pub mod cm108;
pub mod devices;
pub mod gpio;
pub mod serial;
pub mod spec;

use std::time::Duration;

pub use devices::devices;
pub use let_go::{LetGo, let_go};
pub use open::{AskSerial, Inputs, open_capture, open_carrier, open_playback, open_ptt};

/// Samples a second, everywhere.
pub const RATE: u32 = 48_000;
/// Samples of one period: 10 ms.
pub const PERIOD: usize = 480;
/// Periods a card's buffer holds, both ways.
pub const PERIODS: usize = 4;
/// How long sound is waited for. A thread that reads or writes sees this often whether it shall end.
pub const PATIENCE: Duration = Duration::from_millis(100);

/// An output that keys a transmitter. Opened unkeyed; whoever drops it has unkeyed it as far as the kernel allows.
pub trait Ptt: Send {
    fn set(&mut self, keyed: bool) -> Result<(), HwError>;
}

/// An input that is up or down: a receiver's carrier, a button. Asked every 10 ms; must not block.
pub trait Carrier: Send {
    fn is_up(&mut self) -> Result<bool, HwError>;
    /// Reports that could not be understood, since it was opened.
    fn garbage(&self) -> u64 {
        0
    }
    /// How long a change has stood when it is told: the kernel's own debounce, so much less is left to do.
    fn debounced(&self) -> Duration {
        Duration::ZERO
    }
}

/// Sound from a receiver or a microphone.
pub trait Capture: Send {
    /// Waits for one period, full scale -1 to 1. After an overrun it goes on, and counts it. Never waits
    /// longer than [`PATIENCE`]: then it is [`HwError::TimedOut`], and may be called again.
    fn read(&mut self, period: &mut [f32; PERIOD]) -> Result<(), HwError>;
    fn xruns(&self) -> u64;
}

/// Sound to a transmitter or a speaker.
pub trait Playback: Send {
    /// Takes one period; waits while the card has enough. After an underrun it goes on, and counts it. Never
    /// waits longer than [`PATIENCE`]: then it is [`HwError::TimedOut`], and the period was not taken.
    fn write(&mut self, period: &[f32; PERIOD]) -> Result<(), HwError>;
    fn progress(&mut self) -> Result<Progress, HwError>;
    fn xruns(&self) -> u64;
}

/// How far the card has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Samples the hardware has taken since it was opened: stands still where the card does.
    pub played: u64,
    /// How long until what was written last has left the card.
    pub delay: Duration,
}

/// Why a wire or a card does not do what it is told.
#[derive(Debug, thiserror::Error)]
pub enum HwError {
    /// It is not there, or was pulled: worth another try.
    #[error("{what} is not there")]
    Missing { what: String },
    /// Another program, or another part of the settings, has it.
    #[error("{what} is in use by another program")]
    Busy { what: String },
    /// It is there and stands still: worth another try.
    #[error("{what} does not move")]
    TimedOut { what: String },
    #[error("{doing}: {source}")]
    Io {
        doing: String,
        source: std::io::Error,
    },
    /// The name in the settings means nothing.
    #[error("{0}")]
    Name(String),
}
