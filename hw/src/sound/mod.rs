//! Sound cards over ALSA: 16 bits, 48 kHz, one side, in periods of 10 ms.
//!
//! Every call here is non-blocking; what has to be waited for is waited for with `snd_pcm_wait` and a time
//! limit. A card that is pulled is [`HwError::Missing`] from then on: drop both directions, then open them
//! anew by the same name. While one is still held, the kernel gives the card another id.

mod capture;
mod mixer;
mod playback;

#[cfg(test)]
mod tests;

use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

use alsa::pcm::{Access, Format, Frames, HwParams, PCM};
use alsa::{Direction, ValueOr};
use nix::errno::Errno;
use tracing::debug;

pub use capture::CardCapture;
pub use playback::CardPlayback;

use crate::spec::{Side, SoundSpec};
use crate::sysfs::{Card, Sysfs};
use crate::{HwError, PATIENCE, PERIOD, PERIODS, RATE};

/// A fob that was plugged in this moment may answer its first start with an xrun.
const STARTS: u32 = 5;
const START_AGAIN: Duration = Duration::from_millis(20);

/// A card as the settings mean it, found on this machine now.
struct Found {
    /// For alsa-lib, the most direct way first.
    names: Vec<String>,
    /// Where there is a mixer of its own.
    card: Option<String>,
    what: String,
}

fn find(sysfs: &Sysfs, spec: &SoundSpec, direction: Direction) -> Result<Found, HwError> {
    let is_it = |card: &Card| match spec {
        SoundSpec::Card(id) => card.id == *id,
        SoundSpec::Usb(port) => card.usb.as_ref() == Some(port),
        _ => false,
    };
    let what = match (spec, direction) {
        (SoundSpec::Pcm { capture, .. }, Direction::Capture) => {
            return Ok(Found::by_name(capture));
        }
        (SoundSpec::Pcm { playback, .. }, Direction::Playback) => {
            return Ok(Found::by_name(playback));
        }
        (SoundSpec::Usb(port), _) => format!("a sound card at the USB port {port}"),
        (SoundSpec::Card(id), _) => format!("the sound card {id}"),
        (other, _) => return Err(HwError::Name(format!("{other} is no sound card"))),
    };
    match sysfs.cards().into_iter().find(is_it) {
        Some(Card { id, .. }) => Ok(Found {
            // "plug" converts where the card has no 48 kHz, no 16 bits or no such number of sides.
            names: ["hw", "plughw"]
                .map(|by| format!("{by}:CARD={id},DEV=0"))
                .to_vec(),
            what: format!("the sound card {id}"),
            card: Some(id),
        }),
        None => Err(HwError::Missing { what }),
    }
}

impl Found {
    fn by_name(name: &str) -> Found {
        Found {
            names: vec![name.to_string()],
            card: None,
            what: format!("the sound card {name}"),
        }
    }
}

/// One direction of a card, and what both directions need.
struct Stream {
    pcm: PCM,
    direction: Direction,
    channels: usize,
    buffer: Frames,
    xruns: u64,
    what: String,
}

impl Stream {
    fn open(found: &Found, direction: Direction, side: Side) -> Result<Stream, HwError> {
        let channels: &[u32] = match side {
            Side::Mono => &[1, 2],
            Side::Left | Side::Right => &[2],
        };
        let mut refused = None;
        for name in &found.names {
            for &channels in channels {
                match open_pcm(name, direction, channels) {
                    Ok((pcm, buffer)) => {
                        debug!(%name, ?direction, channels, buffer, "sound opened");
                        return Ok(Stream {
                            pcm,
                            direction,
                            channels: channels as usize,
                            buffer,
                            xruns: 0,
                            what: found.what.clone(),
                        });
                    }
                    // Another way may do; who has no card or no right to it need not try.
                    Err(error) if error.errno() == Errno::EINVAL as i32 => refused = Some(error),
                    Err(error) => return Err(failed("opening", &found.what, error)),
                }
            }
        }
        Err(match refused {
            Some(error) => failed("opening", &found.what, error),
            None => HwError::Missing {
                what: found.what.clone(),
            },
        })
    }

    /// Waits until there is a period to read or room for one. `false`: not before `until`.
    fn wait(&mut self, until: Instant) -> Result<bool, HwError> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        match self.pcm.wait(Some(left.as_millis() as u32 + 1)) {
            Ok(_) => Ok(true),
            Err(error) => self.recover(error, until).map(|()| true),
        }
    }

    /// After an xrun the card stands; it is made ready again. Anything else is for the caller to hear, and so is a
    /// card that still has to be after `until`.
    fn recover(&mut self, error: alsa::Error, until: Instant) -> Result<(), HwError> {
        self.recovered(error, until)?;
        match Instant::now() < until {
            true => Ok(()),
            false => Err(self.timed_out()),
        }
    }

    fn recovered(&mut self, error: alsa::Error, until: Instant) -> Result<(), HwError> {
        match Errno::from_raw(error.errno()) {
            Errno::EINTR => Ok(()),
            Errno::EAGAIN => {
                // The card said there is something and there is not: no reason to ask a million times.
                sleep(Duration::from_millis(1));
                Ok(())
            }
            Errno::EPIPE => {
                self.xruns += 1;
                self.prepare()
            }
            // The machine slept.
            Errno::ESTRPIPE => {
                self.xruns += 1;
                while let Err(error) = self.pcm.resume() {
                    if error.errno() != Errno::EAGAIN as i32 || Instant::now() >= until {
                        return self.prepare();
                    }
                    sleep(Duration::from_millis(5));
                }
                Ok(())
            }
            _ => Err(self.failed("using", error)),
        }
    }

    fn prepare(&mut self) -> Result<(), HwError> {
        let prepared = self.pcm.prepare().map_err(|e| self.failed("restarting", e));
        prepared.and_then(|()| match self.direction {
            Direction::Capture => self.start(),
            // By what is written.
            Direction::Playback => Ok(()),
        })
    }

    fn start(&self) -> Result<(), HwError> {
        let mut started = self.pcm.start();
        for _ in 1..STARTS {
            let Err(error) = &started else { break };
            if error.errno() != Errno::EPIPE as i32 {
                break;
            }
            debug!(card = self.what, %error, "a fresh card does not start yet");
            sleep(START_AGAIN);
            started = self.pcm.prepare().and_then(|()| self.pcm.start());
        }
        started.map_err(|e| self.failed("starting", e))
    }

    fn failed(&self, doing: &str, error: alsa::Error) -> HwError {
        failed(doing, &self.what, error)
    }

    fn timed_out(&self) -> HwError {
        HwError::TimedOut {
            what: self.what.clone(),
        }
    }
}

/// Never waits: a card that another has is busy at once.
fn open_pcm(name: &str, direction: Direction, channels: u32) -> alsa::Result<(PCM, Frames)> {
    let pcm = PCM::new(name, direction, true)?;
    let (period, buffer) = (PERIOD as Frames, (PERIODS * PERIOD) as Frames);
    let hw = HwParams::any(&pcm)?;
    hw.set_access(Access::RWInterleaved)?;
    hw.set_format(Format::s16())?;
    hw.set_channels(channels)?;
    hw.set_rate(RATE, ValueOr::Nearest)?;
    hw.set_period_size_near(period, ValueOr::Nearest)?;
    hw.set_buffer_size_near(buffer)?;
    pcm.hw_params(&hw)?;
    let buffer = hw.get_buffer_size()?;
    drop(hw);
    let sw = pcm.sw_params_current()?;
    sw.set_avail_min(period)?;
    // Played sound starts when there is enough of it to survive a busy machine.
    sw.set_start_threshold(2 * period)?;
    pcm.sw_params(&sw)?;
    drop(sw);
    Ok((pcm, buffer))
}

fn failed(doing: &str, what: &str, error: alsa::Error) -> HwError {
    let what = what.to_string();
    match Errno::from_raw(error.errno()) {
        // A card that was pulled, a name nobody knows, a sound server that ended.
        Errno::ENODEV
        | Errno::ENXIO
        | Errno::ENOENT
        | Errno::EIO
        | Errno::EBADFD
        | Errno::ECONNREFUSED
        | Errno::ECONNRESET
        | Errno::ECONNABORTED
        | Errno::ESHUTDOWN => HwError::Missing { what },
        Errno::EBUSY => HwError::Busy { what },
        errno => HwError::Io {
            doing: format!("{doing} {what} ({})", error.func()),
            source: io::Error::from_raw_os_error(errno as i32),
        },
    }
}

fn until() -> Instant {
    Instant::now() + PATIENCE
}
