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
/// For a network that has stopped, no more than this is waited, and no more than this is caught up with.
const LONGEST_WAIT: i64 = SECOND;
/// Where a talker's clock is off by more than this from one packet to the next, its time begins anew.
const JUMP: i64 = 3 * SECOND;
/// And where its numbers are off by more than this, they begin anew.
const NEW_NUMBERS: i64 = 1000;
/// Ours begin here, so that there is room for packets before the first.
const FIRST: u64 = 1 << 32;
/// A silence is as good a place to change the depth as any; in a shorter gap it would be heard.
const SILENCE: i64 = 6 * PERIOD;
/// For what a packet tells of the one before it, the buffer may become deeper than it should by so much.
const LATER: i64 = SECOND / 10;
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
    /// Times the buffer ran empty, and the packet that should have been there came later.
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

/// What jitter has taught is forgotten by 5 ms a second of speech: what one late packet's 150 ms cost is over after
/// 30 s.
const FORGOTTEN: f64 = 0.005;

/// What jitter teaches, from one transmission to the next: up at once, slowly down.
#[derive(Clone, Copy, Debug)]
pub struct Adaptation {
    min: i64,
    max: i64,
    jitter: f64,
}

impl Adaptation {
    pub fn new(settings: Settings) -> Self {
        let min = samples(settings.min);
        Adaptation {
            min,
            max: samples(settings.max).max(min),
            jitter: 0.0,
        }
    }

    /// The depth that would do: a packet is fetched up to a period before its first sample is heard.
    fn target(&self) -> i64 {
        (self.jitter as i64 + PERIOD).clamp(self.min, self.max)
    }

    fn learn(&mut self, jitter: i64, length: i64) {
        let fallen = self.jitter - length as f64 * FORGOTTEN;
        self.jitter = fallen.max(jitter as f64).clamp(0.0, self.max as f64);
    }
}

/// In samples.
#[derive(Clone, Copy, Debug)]
pub struct Depth {
    /// In the mean of a second: a card that asks for several periods at once makes it go up and down.
    pub usual: f64,
    /// By how much it is too deep at this moment.
    pub excess: i64,
}

/// Of each period, in the mean.
const SMOOTHING: f64 = 0.01;

#[cfg(test)]
mod tests;

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
    /// The depth there was of late, in the mean.
    usual: Option<f64>,
    /// How much was concealed while there was nothing, which has not yet turned out to be lost or silence.
    starved: i64,
    ended: bool,
    counters: Counters,
}

#[derive(Debug)]
struct Waiting {
    seq: u64,
    came: i64,
    samples: i64,
    payload: Arc<[u8]>,
}

/// The packet with the highest number so far.
#[derive(Debug)]
struct Newest {
    /// As the talker counts.
    number: u64,
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
            usual: None,
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
        // A packet may have been waiting for the order to play it.
        samples(now.saturating_duration_since(self.start))
            - samples(self.start.saturating_duration_since(now))
    }

    pub fn push(&mut self, packet: &Packet, now: Instant) {
        let Some(length) = recording::samples(&packet.payload).map(i64::from) else {
            self.counters.undecodable += 1;
            return;
        };
        let seq = self.number(packet.seq);
        if !self.is_new(seq) {
            self.counters.duplicates += 1;
            return;
        }
        let came = self.clock(now);
        let Some(time) = self.place(seq, packet, length, came) else {
            self.counters.dropped += 1;
            return;
        };
        self.earliest.tell(came - time, came);
        self.adaptation
            .learn(came - time - self.earliest.get(), length);
        let passed = self.position.is_some_and(|position| time + NEAR < position);
        if passed || self.last.is_some_and(|last| seq <= last) {
            self.counters.late += 1;
            return;
        }
        let waiting = Waiting {
            seq,
            came,
            samples: length,
            payload: packet.payload.clone(),
        };
        if self.packets.insert(time, waiting).is_some() {
            self.counters.dropped += 1;
        }
        self.drop_oldest();
    }

    /// The packet's number, counted on where the talker's begins anew.
    fn number(&self, number: u64) -> u64 {
        let Some(newest) = &self.newest else {
            return FIRST;
        };
        let ahead = number.wrapping_sub(newest.number) as i64;
        match ahead.abs() < NEW_NUMBERS {
            true => newest.seq.saturating_add_signed(ahead),
            false => newest.seq + 1,
        }
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

    /// Where in the talker's time the packet belongs; `None`: nowhere that makes sense.
    fn place(&mut self, seq: u64, packet: &Packet, length: i64, came: i64) -> Option<i64> {
        let mut time = 0;
        if let Some(newest) = &self.newest {
            let ahead = i64::from(packet.time.wrapping_sub(newest.rtp) as i32);
            time = newest.time + ahead;
            if seq < newest.seq {
                return (-JUMP..0).contains(&ahead).then_some(time);
            }
            let waited = came - newest.came;
            if ahead + NEAR < newest.samples || (ahead - waited).abs() > JUMP {
                // The talker's time began anew. The order still holds, and what was waited was silence.
                time = newest.time + newest.samples + (waited - newest.samples).max(0);
            }
        }
        self.newest = Some(Newest {
            number: packet.seq,
            seq,
            rtp: packet.time,
            time,
            samples: length,
            came,
        });
        Some(time)
    }

    fn drop_oldest(&mut self) {
        let end = match self.packets.last_key_value() {
            Some((time, last)) => time + last.samples,
            None => return,
        };
        let room = match self.position {
            Some(_) => (self.goal() + LONGEST_WAIT).min(LONGEST),
            None => LONGEST,
        };
        while let Some(oldest) = self.packets.first_entry()
            && end - oldest.key() > room
        {
            self.last = Some(oldest.remove().seq);
            self.counters.dropped += 1;
            let next = self.packets.first_key_value().map(|(time, _)| *time);
            self.position = self.position.and(next);
        }
    }

    /// The next to be heard; `ahead` samples are decoded and not yet heard.
    pub fn step(&mut self, now: Instant, ahead: usize) -> Step {
        let clock = self.clock(now);
        // Where a talker's times make no sense, one may stand behind what was sent after it.
        while let Some(first) = self.packets.first_entry()
            && self.last.is_some_and(|last| first.get().seq <= last)
        {
            first.remove();
            self.counters.late += 1;
        }
        let Some((&time, first)) = self.packets.first_key_value() else {
            return self.step_without_packets(clock, ahead);
        };
        let Some(position) = self.position else {
            return self.step_before_the_first(clock, time);
        };
        let gap = time - position;
        if gap <= NEAR {
            self.counters.starved += u64::from(self.starved > 0);
            self.deepened(self.starved);
            return self.decode_first(clock);
        }
        let (seq, length) = (first.seq, first.samples);
        let missing = self.last.map_or(0, |last| seq.saturating_sub(last + 1));
        // What was concealed while there was nothing stood for this.
        let before = gap - self.starved.min(gap);
        let mut rest = before;
        let too_deep = |rest| self.depth_at(clock, time - rest, ahead) - self.goal();
        if missing == 0 && gap > SILENCE {
            rest = (rest - too_deep(rest)).clamp(0, rest + PERIOD);
        }
        // The last packet before this one is worth being a little later, where this one tells of it.
        let told_of = missing > 0 && length <= gap && (rest >= length || too_deep(length) < LATER);
        if told_of {
            rest = rest.max(length);
        }
        self.deepened(rest - before);
        self.starved = 0;
        let unknown = if told_of { rest - length } else { rest };
        if unknown >= NEAR {
            let concealed = unknown.min(PERIOD) / NEAR * NEAR;
            self.position = Some(time - rest + concealed);
            return Step::Conceal {
                samples: concealed as usize,
            };
        }
        if !told_of {
            return self.decode_first(clock);
        }
        self.position = Some(time);
        self.counters.recovered += 1;
        self.counters.lost += missing - 1;
        self.last = Some(seq - 1);
        match self.packets.get(&time) {
            Some(first) => Step::Recover {
                next: first.payload.clone(),
                samples: length as usize,
            },
            None => Step::Hold,
        }
    }

    fn step_before_the_first(&mut self, clock: i64, time: i64) -> Step {
        let due = time + self.earliest.get() + self.adaptation.target();
        if clock < self.not_before || (clock < due && !self.ended) {
            return Step::Hold;
        }
        // What the lead has added to the depth stays.
        if due < self.not_before {
            self.held = self.depth_at(clock, time, 0);
        }
        self.decode_first(clock)
    }

    fn step_without_packets(&mut self, clock: i64, ahead: usize) -> Step {
        let Some(position) = self.position.filter(|_| !self.ended) else {
            return if self.ended {
                Step::Drained
            } else {
                Step::Hold
            };
        };
        let depth = self.depth_at(clock, position, ahead);
        if depth < self.goal() + LONGEST_WAIT {
            self.starved += PERIOD;
        } else {
            self.position = Some(position + PERIOD);
        }
        Step::Conceal {
            samples: super::PERIOD,
        }
    }

    fn decode_first(&mut self, clock: i64) -> Step {
        let Some((time, first)) = self.packets.pop_first() else {
            return Step::Hold;
        };
        let missing = self
            .last
            .map_or(0, |last| first.seq.saturating_sub(last + 1));
        self.counters.lost += missing;
        self.counters.played += 1;
        if let Some(usual) = self.usual {
            // It could have come so much later, or the card could have asked so much earlier.
            let spare = clock - first.came;
            self.adaptation.learn(usual as i64 - spare, 0);
        }
        self.last = self.last.max(Some(first.seq));
        self.starved = 0;
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

    /// Told once a period how much is decoded and not yet heard.
    pub fn look(&mut self, now: Instant, ahead: usize) -> Option<Depth> {
        let position = self.position.filter(|_| self.starved == 0 && !self.ended)?;
        let depth = self.depth_at(self.clock(now), position, ahead);
        let usual = self.usual.get_or_insert(depth as f64);
        *usual += (depth as f64 - *usual) * SMOOTHING;
        Some(Depth {
            usual: *usual,
            excess: depth - self.goal(),
        })
    }

    /// So much was left out, or put in.
    pub fn deepened(&mut self, by: i64) {
        if let Some(usual) = &mut self.usual {
            *usual += by as f64;
        }
    }

    /// Ended, and given out to its end.
    pub fn is_over(&self) -> bool {
        self.ended && self.packets.is_empty()
    }
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
