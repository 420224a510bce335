//! The jitter buffer of one transmission: packets come as the network brings them, and go to the decoder in the
//! order they were said, a little later, so that those on the way have a chance.
//!
//! ```text
//!  Holding ──────────────────────> Playing ─────────────> Drained
//!           lead and depth over   │  ^           end(), nothing left
//!                                 v  │ a packet
//!                                Starved: concealed; nothing is skipped, so the depth grows
//! ```
//! Time is RTP time, in samples of 48 kHz, counted on from the transmission's first packet. Depth is how much
//! later a packet is played than the earliest could have come: the buffer's fill, were there no jitter.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::media::Packet;
use crate::recording;

/// One period of 10 ms, and what may be between two packets' times without anything being missing.
const PERIOD: i64 = super::PERIOD as i64;
const NEAR: i64 = 120;
const SECOND: i64 = super::RATE as i64;
/// No more than this is kept.
const LONGEST: i64 = 3 * SECOND;
/// As long as this is waited for a network that has stopped; what it then brings goes on from later.
const LONGEST_WAIT: i64 = SECOND;
/// Where a talker's clock is off by more than this from one packet to the next, its time begins anew.
const JUMP: i64 = 3 * SECOND;
/// A silence is as good a place to change the depth as any; in a shorter gap it would be heard.
const SILENCE: i64 = 6 * PERIOD;
/// The earliest packet of the last 5 to 10 s is what the others are compared with.
const WINDOW: i64 = 5 * SECOND;

/// How deep the buffer may make itself. 20 to 200 ms unless set otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    pub min: Duration,
    pub max: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            min: Duration::from_millis(20),
            max: Duration::from_millis(200),
        }
    }
}

/// What the decoder is to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing is to be heard yet.
    Hold,
    Decode {
        payload: Arc<[u8]>,
        samples: usize,
    },
    /// The packet before this one was lost: what this one tells of it (in-band FEC).
    Recover {
        next: Arc<[u8]>,
        samples: usize,
    },
    /// Nothing is known of these (PLC).
    Conceal {
        samples: usize,
    },
    /// All was played out.
    Drained,
}

/// What became of packets; for the figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Played.
    pub played: u64,
    /// Never came, or too late, and nothing told of them.
    pub lost: u64,
    /// Never came, and the next one told of them.
    pub recovered: u64,
    /// Came after their time.
    pub late: u64,
    pub duplicates: u64,
    /// No decoder would take them.
    pub undecodable: u64,
    /// Did not fit in.
    pub dropped: u64,
    /// Times the buffer ran empty while somebody talked.
    pub starved: u64,
}

impl std::ops::AddAssign for Counters {
    fn add_assign(&mut self, more: Self) {
        self.played += more.played;
        self.lost += more.lost;
        self.recovered += more.recovered;
        self.late += more.late;
        self.duplicates += more.duplicates;
        self.undecodable += more.undecodable;
        self.dropped += more.dropped;
        self.starved += more.starved;
    }
}

/// What jitter teaches, from one transmission to the next: up at once, down by 2 ms a second of speech.
#[derive(Clone, Copy, Debug)]
pub struct Adaptation {
    min: i64,
    max: i64,
    jitter: i64,
}

impl Adaptation {
    pub fn new(settings: Settings) -> Self {
        let min = samples(settings.min);
        Adaptation {
            min,
            max: samples(settings.max).max(min),
            jitter: 0,
        }
    }

    /// The depth that would do.
    fn target(&self) -> i64 {
        self.jitter.clamp(self.min, self.max)
    }

    fn learn(&mut self, jitter: i64, length: i64) {
        self.jitter = (self.jitter - length / 500).max(jitter).clamp(0, self.max);
    }
}

#[derive(Debug)]
pub struct Playout {
    adaptation: Adaptation,
    /// When it began: from here on, time is counted in samples.
    start: Instant,
    not_before: i64,
    packets: BTreeMap<i64, Waiting>,
    newest: Option<Newest>,
    earliest: Earliest,
    /// Where in the talker's time we are; `None`: not begun to play.
    position: Option<i64>,
    /// The packet given out last.
    last: Option<u64>,
    /// Which packets were there: bit n is the newest number less n.
    seen: u64,
    /// Depth kept for the lead's sake.
    held: i64,
    /// How much was concealed while there was nothing, which has not yet turned out to be lost or silence.
    starved: i64,
    ended: bool,
    counters: Counters,
}

#[derive(Debug)]
struct Waiting {
    seq: u64,
    samples: i64,
    payload: Arc<[u8]>,
}

/// The packet with the highest number so far.
#[derive(Debug)]
struct Newest {
    seq: u64,
    rtp: u32,
    time: i64,
    samples: i64,
    came: i64,
}

fn samples(length: Duration) -> i64 {
    (length.as_micros() as i64).saturating_mul(48) / 1000
}

impl Playout {
    /// A transmission, of which nothing is heard before `not_before`.
    pub fn new(adaptation: Adaptation, not_before: Instant, now: Instant) -> Self {
        Playout {
            adaptation,
            start: now,
            not_before: samples(not_before.saturating_duration_since(now)),
            packets: BTreeMap::new(),
            newest: None,
            earliest: Earliest::default(),
            position: None,
            last: None,
            seen: 0,
            held: 0,
            starved: 0,
            ended: false,
            counters: Counters::default(),
        }
    }

    /// For the next transmission.
    pub fn adaptation(&self) -> Adaptation {
        self.adaptation
    }

    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// No more packets come: what is there is played out.
    pub fn end(&mut self) {
        self.ended = true;
    }

    pub fn has_ended(&self) -> bool {
        self.ended
    }

    fn clock(&self, now: Instant) -> i64 {
        samples(now.saturating_duration_since(self.start))
    }

    pub fn push(&mut self, packet: &Packet, now: Instant) {
        let Some(length) = recording::samples(&packet.payload).map(i64::from) else {
            self.counters.undecodable += 1;
            return;
        };
        if !self.is_new(packet.seq) {
            self.counters.duplicates += 1;
            return;
        }
        let came = self.clock(now);
        let time = self.place(packet, length, came);
        self.earliest.tell(came - time, came);
        self.adaptation
            .learn(came - time - self.earliest.get(), length);
        if self.position.is_some_and(|position| time + NEAR < position) {
            self.counters.late += 1;
            return;
        }
        let waiting = Waiting {
            seq: packet.seq,
            samples: length,
            payload: packet.payload.clone(),
        };
        if self.packets.insert(time, waiting).is_some() {
            self.counters.dropped += 1;
        }
        self.drop_oldest();
    }

    fn is_new(&mut self, seq: u64) -> bool {
        let Some(newest) = &self.newest else {
            self.seen = 1;
            return true;
        };
        if seq > newest.seq {
            let shift = (seq - newest.seq).min(64) as u32;
            self.seen = self.seen.checked_shl(shift).unwrap_or(0) | 1;
            return true;
        }
        let bit = 1u64
            .checked_shl((newest.seq - seq).min(64) as u32)
            .unwrap_or(0);
        let new = self.seen & bit == 0;
        self.seen |= bit;
        new
    }

    /// Where in the talker's time the packet belongs.
    fn place(&mut self, packet: &Packet, length: i64, came: i64) -> i64 {
        let time = match &self.newest {
            None => 0,
            Some(newest) => {
                let ahead = i64::from(packet.time.wrapping_sub(newest.rtp) as i32);
                let time = newest.time + ahead;
                if packet.seq < newest.seq {
                    return time;
                }
                let waited = came - newest.came;
                let overlaps = ahead + NEAR < newest.samples;
                match overlaps || (ahead - waited).abs() > JUMP {
                    // Its time began anew: the order it was sent in still holds.
                    true => newest.time + newest.samples + (waited - newest.samples).max(0),
                    false => time,
                }
            }
        };
        self.newest = Some(Newest {
            seq: packet.seq,
            rtp: packet.time,
            time,
            samples: length,
            came,
        });
        time
    }

    fn drop_oldest(&mut self) {
        let end = self
            .packets
            .last_key_value()
            .map_or(0, |(time, last)| time + last.samples);
        while self
            .packets
            .first_key_value()
            .is_some_and(|(time, _)| end - time > LONGEST)
        {
            self.packets.pop_first();
            self.counters.dropped += 1;
            let next = self.packets.first_key_value().map(|(time, _)| *time);
            self.position = self.position.and(next);
        }
    }

    /// The next to be heard; `ahead` samples are decoded and not yet heard.
    pub fn step(&mut self, now: Instant, ahead: usize) -> Step {
        let clock = self.clock(now);
        let Some((&time, first)) = self.packets.first_key_value() else {
            return self.step_without_packets(clock);
        };
        let Some(position) = self.position else {
            let due = time + self.earliest.get() + self.adaptation.target();
            if clock < self.not_before || (clock < due && !self.ended) {
                return Step::Hold;
            }
            // What the lead added to the depth stays.
            if clock > due + PERIOD {
                self.held = clock - self.earliest.get() - time;
            }
            self.position = Some(time);
            return self.decode_first();
        };
        if time - position <= NEAR {
            self.starved = 0;
            return self.decode_first();
        }
        let missing = self
            .last
            .map_or(0, |last| first.seq.saturating_sub(last + 1));
        let told_of = match missing > 0 && first.samples <= time - position {
            true => first.samples,
            false => 0,
        };
        // What was concealed while there was nothing stood for this.
        let mut rest = (time - position - self.starved).max(told_of);
        self.starved = 0;
        if missing == 0 && time - position > SILENCE {
            let depth = self.depth_at(clock, time - rest, ahead);
            rest = (rest - (depth - self.goal())).clamp(0, rest + PERIOD);
        }
        if rest < NEAR {
            return self.decode_first();
        }
        let concealed = (rest - told_of).min(PERIOD) / NEAR * NEAR;
        if concealed > 0 {
            self.position = Some(time - rest + concealed);
            return Step::Conceal {
                samples: concealed as usize,
            };
        }
        self.counters.recovered += 1;
        self.last = Some(first.seq - 1);
        self.position = Some(time);
        Step::Recover {
            next: first.payload.clone(),
            samples: told_of as usize,
        }
    }

    fn step_without_packets(&mut self, clock: i64) -> Step {
        match self.position {
            _ if self.ended && clock >= self.not_before => Step::Drained,
            None => Step::Hold,
            Some(_) if self.ended => Step::Drained,
            Some(position) => {
                self.counters.starved += u64::from(self.starved == 0);
                match self.starved < LONGEST_WAIT {
                    true => self.starved += PERIOD,
                    false => self.position = Some(position + PERIOD),
                }
                Step::Conceal {
                    samples: PERIOD as usize,
                }
            }
        }
    }

    fn decode_first(&mut self) -> Step {
        let Some((time, first)) = self.packets.pop_first() else {
            return Step::Hold;
        };
        let missing = self
            .last
            .map_or(0, |last| first.seq.saturating_sub(last + 1));
        self.counters.lost += missing;
        self.counters.played += 1;
        self.last = Some(first.seq.max(self.last.unwrap_or(0)));
        self.position = Some(time + first.samples);
        Step::Decode {
            payload: first.payload,
            samples: first.samples as usize,
        }
    }

    fn depth_at(&self, clock: i64, position: i64, ahead: usize) -> i64 {
        clock - self.earliest.get() - (position - ahead as i64)
    }

    /// How deep it shall be, in samples.
    fn goal(&self) -> i64 {
        self.adaptation.target().max(self.held)
    }

    /// How deep the buffer is and by how much that is too deep, in samples; `None`: it is not known now.
    pub fn depth(&self, now: Instant, ahead: usize) -> Option<(i64, i64)> {
        let position = self.position.filter(|_| self.starved == 0 && !self.ended)?;
        let depth = self.depth_at(self.clock(now), position, ahead);
        Some((depth, depth - self.goal()))
    }

    /// So many samples were left out, or said twice.
    pub fn shift(&mut self, _left_out: i64) {}
}

/// When the earliest packet came, less the time it has, over a window that moves on.
#[derive(Debug, Default)]
struct Earliest {
    before: Option<i64>,
    current: Option<i64>,
    since: i64,
}

impl Earliest {
    fn tell(&mut self, came: i64, clock: i64) {
        if clock - self.since > WINDOW {
            self.before = self.current.take();
            self.since = clock;
        }
        self.current = Some(self.current.map_or(came, |current| current.min(came)));
    }

    fn get(&self) -> i64 {
        self.before
            .into_iter()
            .chain(self.current)
            .min()
            .unwrap_or(0)
    }
}
