//! From a receiver or a microphone.

use alsa::Direction;
use nix::errno::Errno;

use super::{Stream, find, mixer, until};
use crate::spec::{Side, SoundSpec};
use crate::sysfs::Sysfs;
use crate::{Capture, HwError, PERIOD};

pub struct CardCapture {
    stream: Stream,
    /// The side that is heard, counted from the left.
    side: usize,
    /// Interleaved samples of the period that is being read, and how many frames of it are there.
    samples: Vec<i16>,
    frames: usize,
}

impl CardCapture {
    pub fn open(
        spec: &SoundSpec,
        side: Side,
        gain_db: Option<f32>,
    ) -> Result<CardCapture, HwError> {
        let found = find(&Sysfs::of_this_machine(), spec, Direction::Capture)?;
        let stream = Stream::open(&found, Direction::Capture, side)?;
        if let Some(card) = &found.card {
            mixer::set_capture(card, side, gain_db);
        }
        stream.start()?;
        Ok(CardCapture {
            side: usize::from(side == Side::Right),
            samples: vec![0; PERIOD * stream.channels],
            frames: 0,
            stream,
        })
    }
}

impl Capture for CardCapture {
    fn read(&mut self, period: &mut [f32; PERIOD]) -> Result<(), HwError> {
        let until = until();
        let channels = self.stream.channels;
        while self.frames < PERIOD {
            let xruns = self.stream.xruns;
            let io = self.stream.pcm.io_i16();
            match io.and_then(|io| io.readi(&mut self.samples[self.frames * channels..])) {
                Ok(frames) if frames > 0 => self.frames += frames,
                Err(error) if error.errno() != Errno::EAGAIN as i32 => {
                    self.stream.recover(error, until)?;
                }
                _ => {
                    if !self.stream.wait(until)? {
                        return Err(self.stream.timed_out());
                    }
                }
            }
            if self.stream.xruns > xruns {
                // What is left of a period from before the gap is not the beginning of one after it.
                self.frames = 0;
            }
        }
        self.frames = 0;
        let frames = self.samples.chunks_exact(channels);
        for (frame, sample) in frames.zip(period) {
            *sample = f32::from(frame[self.side]) / 32768.0;
        }
        Ok(())
    }

    fn xruns(&self) -> u64 {
        self.stream.xruns
    }
}
