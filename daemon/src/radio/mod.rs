//! Radios and desks: their threads, and where the rest of the daemon reaches them.

pub mod guardian_link;
pub mod status;

use std::sync::Arc;
use std::time::Duration;

pub use status::RadioStatus;

/// Where the API and the lamps reach the radios.
#[derive(Clone, Default)]
pub struct Radios(Arc<Inner>);

#[derive(Default)]
struct Inner {}

/// What a person does with a simulated radio's handheld.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handheld {
    /// Its PTT is held.
    pub carrier: bool,
    pub play: Option<HandheldSound>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandheldSound {
    Speech,
    Tone,
}

/// Why a radio does not do what it was asked.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no radio with this id")]
    Unknown,
    /// Somebody is on the air or is received, its line is not there, or it is a desk.
    #[error("the radio {0}")]
    Busy(&'static str),
    #[error("only a simulated radio has a handheld in the box")]
    NotSimulated,
}

impl Radios {
    /// Empty where the reactor stops.
    pub async fn statuses(&self) -> Vec<RadioStatus> {
        let Inner {} = *self.0;
        Vec::new()
    }

    /// 1 kHz at -10 dBFS to air, for so long, at most 5 s; `None`: no more.
    pub async fn test_tone(&self, _id: &str, _length: Option<Duration>) -> Result<(), Refusal> {
        Err(Refusal::Unknown)
    }

    /// Only where the sound is simulated.
    pub fn handheld(&self, _id: &str, _does: Handheld) -> Result<(), Refusal> {
        Err(Refusal::Unknown)
    }

    /// What a simulated radio last sent, as a WAV file; `None`: nothing yet.
    pub fn heard_on_air(&self, _id: &str) -> Result<Option<Vec<u8>>, Refusal> {
        Err(Refusal::Unknown)
    }

    /// Reads the radios of the settings file again: the number that changed.
    pub async fn reload(&self) -> anyhow::Result<usize> {
        Ok(0)
    }
}
