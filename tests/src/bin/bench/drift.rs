//! Two clocks made one, in simulated time: half an hour of a sine whose talker is too fast or too slow for the card.

use std::time::{Duration, Instant};

use anyhow::Result;
use pttd_core::media::Packet;
use pttd_core::radio::PERIOD;
use pttd_core::radio::player::{Decoder, Player};
use pttd_core::radio::playout::Settings;

use crate::radio::worst_jump;
use crate::table::Table;

const HZ: f64 = 1000.0;
const FRAME: usize = 960;
/// Periods of 10 ms.
const HALF_AN_HOUR: u64 = 30 * 60 * 100;
/// It finds its depth first.
const SETTLED: u64 = 20 * 100;

/// A packet says with which sample of a sine it begins; nothing of it is Opus's.
struct Sine;

impl Sine {
    fn fill(from: i64, into: &mut [f32]) {
        for (n, sample) in into.iter_mut().enumerate() {
            let turns = ((from + n as i64) as f64 * HZ / 48_000.0).fract();
            *sample = 0.3 * (turns * std::f64::consts::TAU).sin() as f32;
        }
    }
}

impl Decoder for Sine {
    fn decode(&mut self, packet: &[u8], into: &mut [f32]) -> bool {
        let Some(first) = packet.get(1..9).and_then(|bytes| bytes.try_into().ok()) else {
            return false;
        };
        Sine::fill(i64::from_be_bytes(first), into);
        true
    }

    fn recover(&mut self, _next: &[u8], _into: &mut [f32]) -> bool {
        false
    }

    fn conceal(&mut self, into: &mut [f32]) {
        // Heard as a jump.
        into.fill(0.0);
    }

    fn reset(&mut self) {}
}

pub fn simulated(table: &mut Table) -> Result<()> {
    for ppm in [200.0, -200.0] {
        let start = Instant::now();
        let mut player = Player::new(Sine, Settings::default());
        player.begin(start, start);
        let (mut least, mut most, mut jump) = (Duration::MAX, Duration::ZERO, f64::MIN);
        let mut sent: u64 = 0;
        let mut heard = Vec::with_capacity(100 * PERIOD);
        for period in 0..HALF_AN_HOUR {
            let now = start + Duration::from_millis(10) * period as u32;
            let end = (period + 1) as f64 * 0.01;
            // 20 ms by the talker's clock, of which a packet is sent at the end.
            let at = |packet: u64| packet as f64 * 0.02 / (1.0 + ppm * 1e-6);
            while at(sent + 1) < end {
                let first = (sent * FRAME as u64) as i64;
                let packet = Packet {
                    seq: sent,
                    time: first as u32,
                    marker: false,
                    level: None,
                    // The first byte is Opus's: 20 ms.
                    payload: [&[8][..], &first.to_be_bytes()].concat().into(),
                };
                let came = start + Duration::from_secs_f64(at(sent + 1));
                player.push(&packet, came);
                sent += 1;
            }
            let mut samples = [0.0; PERIOD];
            player.next(now + Duration::from_millis(10), &mut samples);
            if period < SETTLED {
                continue;
            }
            least = least.min(player.depth());
            most = most.max(player.depth());
            heard.extend(samples);
            if heard.len() >= 100 * PERIOD {
                jump = jump.max(worst_jump(&heard, HZ));
                // The next piece goes on where this one ends.
                heard.drain(..heard.len() - 2);
            }
        }
        table.row(
            &format!("buffer depth, 30 simulated min at {ppm} ppm"),
            format!(
                "{:.1} to {:.1} ms",
                least.as_secs_f64() * 1e3,
                most.as_secs_f64() * 1e3
            ),
            "within 20 ms",
            Some(most - least <= Duration::from_millis(20)),
        );
        table.row(
            &format!("worst jump of a sine, 30 simulated min at {ppm} ppm"),
            format!("{jump:.1} dBFS"),
            "< -40 dBFS",
            Some(jump < -40.0),
        );
    }
    Ok(())
}
