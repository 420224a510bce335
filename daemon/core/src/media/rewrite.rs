//! Sequence numbers and timestamps of one listener's stream, continuous across talkers, so that a change
//! of talker is invisible to the listener's jitter buffer and needs no negotiation.
//!
//! No sequence number is ever given out twice: with AES-GCM that would repeat a nonce (RFC 7714 8.1).

use std::time::{Duration, Instant};

/// RTP clock of Opus, RFC 7587 4.1.
const TICKS_PER_MS: u32 = 48;
/// Between two talkers there is at least one packet's time.
const FRAME: u32 = 20 * TICKS_PER_MS;
/// A talker's jump beyond this is taken as a new beginning. Handed through, a jump over half the
/// sequence space would put the listener's rollover counter wrong: silence for good (RFC 3711 3.3.1).
const LARGEST_JUMP: u64 = 50;
/// Packets that come later than this many behind the newest are dropped.
const WINDOW: u64 = 64;
/// No talker counts that far in a lifetime.
const HIGHEST_SEQ: u64 = 1 << 48;

#[derive(Debug)]
pub(super) struct Rewrite {
    /// The last packet given out.
    seq: u64,
    time: u32,
    at: Instant,
    anchor: Option<Anchor>,
    /// Which of the last numbers were given out: bit n is `seq - n`.
    given: u64,
}

/// Where the talker's numbers were tied to the listener's.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    /// Which grant, so that a late packet of the talker before does not come between.
    grant: u64,
    seq_in: u64,
    seq_out: u64,
    time_offset: u32,
}

/// What a packet is called on the listener's stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub seq: u64,
    pub time: u32,
    /// The first packet after a change of talker or a pause: the marker bit is due (RFC 3551 4.1).
    pub first: bool,
}

impl Rewrite {
    /// Numbers start at random (RFC 3550 5.1), the sequence below 2^15 so that the listener's rollover
    /// counter starts at 0 for certain.
    pub fn new(random_seq: u16, random_time: u32, now: Instant) -> Self {
        Rewrite {
            seq: u64::from(random_seq & 0x7fff),
            time: random_time,
            at: now,
            anchor: None,
            given: 1,
        }
    }

    /// The listener was paused: what comes next begins anew.
    pub fn interrupt(&mut self) {
        self.anchor = None;
    }

    /// `None`: the packet is from before the talker's beginning here, too late, or was there already.
    pub fn place(&mut self, grant: u64, seq: u64, time: u32, now: Instant) -> Option<Place> {
        if seq >= HIGHEST_SEQ {
            return None;
        }
        let anchor = match self.anchor.filter(|anchor| anchor.grant == grant) {
            Some(anchor) if seq < anchor.seq_in && anchor.seq_in - seq < LARGEST_JUMP => {
                return None;
            }
            Some(anchor)
                if seq >= anchor.seq_in
                    && (anchor.seq_out + (seq - anchor.seq_in)).abs_diff(self.seq)
                        < LARGEST_JUMP =>
            {
                anchor
            }
            Some(_) | None => return Some(self.begin(grant, seq, time, now)),
        };
        let place = Place {
            seq: anchor.seq_out + (seq - anchor.seq_in),
            time: time.wrapping_add(anchor.time_offset),
            first: false,
        };
        if !self.give_out(place.seq) {
            return None;
        }
        if place.seq == self.seq {
            self.time = place.time;
            self.at = now;
        }
        Some(place)
    }

    /// Notes a number as given out. False: it was already, or is too old to tell.
    fn give_out(&mut self, seq: u64) -> bool {
        if seq > self.seq {
            let ahead = seq - self.seq;
            let older = if ahead < WINDOW {
                self.given << ahead
            } else {
                0
            };
            self.given = older | 1;
            self.seq = seq;
            return true;
        }
        let behind = self.seq - seq;
        let bit = 1u64.checked_shl(behind as u32).unwrap_or(0);
        let new = behind < WINDOW && self.given & bit == 0;
        self.given |= bit;
        new
    }

    fn begin(&mut self, grant: u64, seq: u64, time: u32, now: Instant) -> Place {
        let quiet = now.saturating_duration_since(self.at);
        self.give_out(self.seq + 1);
        self.time = self.time.wrapping_add(ticks(quiet).max(FRAME));
        self.at = now;
        self.anchor = Some(Anchor {
            grant,
            seq_in: seq,
            seq_out: self.seq,
            time_offset: self.time.wrapping_sub(time),
        });
        Place {
            seq: self.seq,
            time: self.time,
            first: true,
        }
    }
}

fn ticks(quiet: Duration) -> u32 {
    // Truncated on purpose: RTP time wraps, after a day of silence as well.
    (quiet.as_micros() as u64 * u64::from(TICKS_PER_MS) / 1000) as u32
}
