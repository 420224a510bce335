//! To a transmitter or a speaker.

use std::time::{Duration, Instant};

use alsa::Direction;
use alsa::pcm::{Frames, State};
use nix::errno::Errno;

use super::{Stream, find, mixer, until};
use crate::spec::{Side, SoundSpec};
use crate::sysfs::Sysfs;
use crate::{HwError, PERIOD, Playback, Progress, RATE};

pub struct CardPlayback {
    stream: Stream,
    side: Side,
    samples: Vec<i16>,
    written: u64,
    played: u64,
}

impl CardPlayback {
    pub fn open(
        spec: &SoundSpec,
        side: Side,
        gain_db: Option<f32>,
    ) -> Result<CardPlayback, HwError> {
        let found = find(&Sysfs::of_this_machine(), spec, Direction::Playback)?;
        let stream = Stream::open(&found, Direction::Playback, side)?;
        if let Some(card) = &found.card {
            mixer::set_playback(card, side, gain_db);
        }
        Ok(CardPlayback {
            side,
            samples: vec![0; PERIOD * stream.channels],
            stream,
            written: 0,
            played: 0,
        })
    }
}

impl Playback for CardPlayback {
    fn write(&mut self, period: &[f32; PERIOD]) -> Result<(), HwError> {
        let until = until();
        loop {
            match self.stream.pcm.avail_update() {
                Ok(room) if room >= PERIOD as Frames => break,
                Ok(_) => {
                    if !self.stream.wait(until)? {
                        return Err(self.stream.timed_out());
                    }
                }
                Err(error) => self.stream.recover(error, until)?,
            }
        }
        for (frame, sample) in self
            .samples
            .chunks_exact_mut(self.stream.channels)
            .zip(period)
        {
            let sample = (sample * 32768.0).round().clamp(-32768.0, 32767.0) as i16;
            match (frame, self.side) {
                ([left, right], Side::Left) => (*left, *right) = (sample, 0),
                ([left, right], Side::Right) => (*left, *right) = (0, sample),
                (all, _) => all.fill(sample),
            }
        }
        let mut rest = &self.samples[..];
        while !rest.is_empty() {
            let io = self.stream.pcm.io_i16();
            match io.and_then(|io| io.writei(rest)) {
                Ok(frames) => {
                    rest = &rest[frames * self.stream.channels..];
                    self.written += frames as u64;
                }
                // There was room for all of it a moment ago, so this ends soon or never.
                Err(_) if Instant::now() >= until => {
                    return Err(self.stream.timed_out());
                }
                Err(error) => self.stream.recover(error, until)?,
            }
        }
        Ok(())
    }

    fn progress(&mut self) -> Result<Progress, HwError> {
        let waiting = match self.stream.pcm.avail() {
            Ok(room) => (self.stream.buffer - room).max(0) as u64,
            // It ran dry: all was played. The next write counts it.
            Err(error) if error.errno() == Errno::EPIPE as i32 => 0,
            Err(error) => return Err(self.stream.failed("using", error)),
        };
        // What a restarted card forgot does not come back.
        self.played = self.played.max(self.written.saturating_sub(waiting));
        let delay = match self.stream.pcm.state() {
            State::Running | State::Draining => {
                self.stream.pcm.delay().unwrap_or(waiting as Frames)
            }
            _ => waiting as Frames,
        };
        Ok(Progress {
            played: self.played,
            delay: Duration::from_secs_f64(delay.max(0) as f64 / f64::from(RATE)),
        })
    }

    fn xruns(&self) -> u64 {
        self.stream.xruns
    }
}
