//! The time of one transmission: each packet gets its place, and what is missing is filled, so that the file lasts as
//! long as the talk.
//!
//! The talker's RTP time says where a packet belongs, tied to the talk's own time by the one that was the least late: no
//! packet comes before it was said. A packet is given out once it is a second old: late ones find their place, and
//! nothing lies beyond the talk's end.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::opus::{filler, samples};
use crate::media::Packet;

pub const SAMPLES_PER_MS: u64 = 48;
/// What the encoder is ahead of the sound, at 48 kHz: libopus' 6.5 ms, which every browser has.
pub const PRE_SKIP: u16 = 312;

/// How long a packet waits for those before it.
const HELD: u64 = 1000 * SAMPLES_PER_MS;
/// RTP time that is further than this from when the packet came begins anew there: the talker has connected
/// again. A phone that was held up is behind by two seconds and goes on.
const LARGEST_SKEW: u64 = 3000 * SAMPLES_PER_MS;
/// A packet may come this much before its time once what was said before is given out: moving the time costs sound.
const EARLIEST: i64 = 60 * SAMPLES_PER_MS as i64;
/// Packets held at most; an honest talker has 100 a second with the shortest usual frames.
const MOST_HELD: usize = 600;
/// Two packets may overlap by this much and both count.
const SLACK: u64 = 240;
/// 20 ms of SILK in wide band.
const TOC: u8 = 9 << 3;
const FRAME: u32 = 960;

/// What belongs into the file next.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    pub payload: Arc<[u8]>,
    /// Samples of the file up to the end of this one; the file begins with [`PRE_SKIP`] that are not heard.
    pub granule: u64,
}

#[derive(Debug, Default)]
pub struct Timeline {
    /// By place and number: what waits.
    held: BTreeMap<(u64, u64), Held>,
    /// Samples given out.
    position: u64,
    /// When the latest packet came, in samples.
    latest: u64,
    anchor: Option<Anchor>,
    /// The highest number that came.
    newest: Option<u64>,
    /// Samples that came and were taken.
    heard: u64,
    /// Packets that came and are not in the file.
    refused: u64,
    /// What kind of packet came last.
    toc: Option<u8>,
    frames: VecDeque<Frame>,
}

#[derive(Debug)]
struct Held {
    payload: Arc<[u8]>,
    samples: u32,
    at: u64,
}

/// Where in the talk this RTP time is.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    place: i64,
    time: u32,
}

impl Timeline {
    /// A packet that came this long after the talk began. Tells its place in milliseconds; `None`: it came too late,
    /// or no decoder would take it.
    pub fn push(&mut self, packet: &Packet, at: Duration) -> Option<u64> {
        let at = in_samples(at);
        self.latest = self.latest.max(at);
        self.release();
        let place = self.hold(packet, at);
        if place.is_none() && !packet.payload.is_empty() {
            self.refused += 1;
        }
        self.release();
        Some(place? / SAMPLES_PER_MS)
    }

    fn hold(&mut self, packet: &Packet, at: u64) -> Option<u64> {
        let samples = samples(&packet.payload).filter(|_| self.held.len() < MOST_HELD)?;
        let place = self.place(packet, at);
        if place + SLACK < self.position {
            return None;
        }
        self.heard += u64::from(samples);
        let held = Held {
            payload: packet.payload.clone(),
            samples,
            at,
        };
        self.held.insert((place, packet.seq), held);
        Some(place)
    }

    /// Sound that came, without what was filled.
    pub fn heard(&self) -> Duration {
        Duration::from_millis(self.heard / SAMPLES_PER_MS)
    }

    /// Packets that came and found no place.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// When the latest packet came: how long a talk has lasted at least.
    pub fn latest(&self) -> Duration {
        Duration::from_millis(self.latest / SAMPLES_PER_MS)
    }

    /// The talk is over, having lasted this long: gives out the rest. The end of the last frame may not be heard.
    pub fn finish(&mut self, duration: Duration) {
        let end = in_samples(duration) + u64::from(PRE_SKIP);
        for ((place, _), held) in std::mem::take(&mut self.held) {
            if place < end && self.position < end {
                self.give(place, held);
            } else if held.at < end - u64::from(PRE_SKIP) {
                self.refused += 1;
            }
        }
        self.fill(end);
        if self.position < end {
            self.fill(self.position + u64::from(FRAME));
        }
        if let Some(last) = self.frames.back_mut() {
            last.granule = last.granule.min(end);
        }
    }

    pub fn poll_frame(&mut self) -> Option<Frame> {
        self.frames.pop_front()
    }

    fn place(&mut self, packet: &Packet, at: u64) -> u64 {
        let is_newest = self.newest.is_none_or(|newest| packet.seq > newest);
        self.newest = self.newest.max(Some(packet.seq));
        if let Some(anchor) = self.anchor {
            let later = i64::from(packet.time.wrapping_sub(anchor.time).cast_signed());
            let place = anchor.place + later;
            let early = place - at.cast_signed();
            let place = place - self.move_back(place, early);
            let skew = early.unsigned_abs();
            let is_early = place - at.cast_signed() > EARLIEST;
            // What comes after all others and belongs before them, has a time of its own making.
            let is_late = is_newest && place + SLACK.cast_signed() < self.position.cast_signed();
            if skew <= LARGEST_SKEW && !is_early && !is_late {
                return place.max(0).cast_unsigned();
            }
        }
        self.anchor = Some(Anchor {
            place: at.cast_signed(),
            time: packet.time,
        });
        at
    }

    /// A packet that comes before its time shows how late those before it were: they move, as far as there is room
    /// behind what was given out. Tells how far.
    fn move_back(&mut self, place: i64, early: i64) -> i64 {
        let first = self.held.first_key_value().map(|((place, _), _)| *place);
        let first = first.map_or(place, |first| place.min(first.cast_signed()));
        let by = early.min(first - self.position.cast_signed());
        let Some(anchor) = self.anchor.as_mut().filter(|_| by > 0) else {
            return 0;
        };
        anchor.place -= by;
        self.held = std::mem::take(&mut self.held)
            .into_iter()
            .map(|((place, seq), held)| ((place - by.cast_unsigned(), seq), held))
            .collect();
        by
    }

    fn release(&mut self) {
        while let Some(first) = self.held.first_entry() {
            let (place, held) = (first.key().0, first.get());
            let end = place.max(self.position) + u64::from(held.samples);
            // One that came just now may have to move yet.
            if end.max(held.at) + HELD > self.latest {
                return;
            }
            let held = first.remove();
            self.give(place, held);
        }
    }

    fn give(&mut self, place: u64, held: Held) {
        // Those before it may have filled its place.
        if place + SLACK < self.position {
            self.refused += 1;
            return;
        }
        let toc = held.payload.first().copied();
        self.toc = self.toc.or(toc);
        self.fill(place);
        self.toc = toc;
        self.push_frame(held.payload, held.samples);
    }

    /// As a decoder fills what was lost: with packets that have no content.
    fn fill(&mut self, to: u64) {
        loop {
            let gap = to.saturating_sub(self.position).min(FRAME.into()) as u32;
            let Some((toc, samples)) = filler(self.toc.unwrap_or(TOC), gap) else {
                return;
            };
            self.push_frame(Arc::new([toc]), samples);
        }
    }

    fn push_frame(&mut self, payload: Arc<[u8]>, samples: u32) {
        self.position += u64::from(samples);
        self.frames.push_back(Frame {
            payload,
            granule: self.position,
        });
    }
}

fn in_samples(time: Duration) -> u64 {
    (time.as_micros() as u64).saturating_mul(SAMPLES_PER_MS) / 1000
}
