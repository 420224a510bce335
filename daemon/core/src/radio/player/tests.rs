use std::f64::consts::TAU;

use super::*;
use crate::radio::levels::dbfs;
use crate::radio::signals::{Noise, worst_click};

/// 20 ms of SILK.
const TOC: u8 = 8;
const FRAME: i64 = 960;
const HZ: f64 = 1000.0;
const AMPLITUDE: f32 = 0.3;

/// A packet holds which sample it begins with, and is a sine; what is concealed goes on with it.
struct Sine {
    table: Vec<f32>,
    next: i64,
    concealed: usize,
    failing: bool,
    resets: usize,
}

fn sine_at(sample: i64) -> f32 {
    let turns = (sample as f64 * HZ / 48_000.0).fract();
    AMPLITUDE * (TAU * turns).sin() as f32
}

impl Default for Sine {
    fn default() -> Self {
        Sine {
            table: sine(LONGEST_PACKET as i64 + 48),
            next: 0,
            concealed: 0,
            failing: false,
            resets: 0,
        }
    }
}

impl Sine {
    fn fill(&mut self, from: i64, into: &mut [f32]) {
        // A turn is 48 samples: copied, because a sine is slow in a debug build.
        let phase = from.rem_euclid(48) as usize;
        into.copy_from_slice(&self.table[phase..phase + into.len()]);
        self.next = from + into.len() as i64;
    }
}

impl Decoder for Sine {
    fn decode(&mut self, packet: &[u8], into: &mut [f32]) -> bool {
        let first = packet[1..9].try_into().map(i64::from_be_bytes);
        self.fill(first.expect("eight bytes"), into);
        !self.failing
    }

    fn recover(&mut self, next: &[u8], into: &mut [f32]) -> bool {
        let first = next[1..9].try_into().map(i64::from_be_bytes);
        self.fill(first.expect("eight bytes") - into.len() as i64, into);
        true
    }

    fn conceal(&mut self, into: &mut [f32]) {
        self.concealed += into.len();
        self.fill(self.next, into);
    }

    fn reset(&mut self) {
        self.resets += 1;
    }
}

/// Two clocks and a network, in simulated time.
struct Rig {
    player: Player<Sine>,
    start: Instant,
    /// Of the card, which has our clock.
    periods: u64,
    /// The talker's clock is so much too fast.
    ppm: f64,
    sent: u64,
    noise: Noise,
    /// Highest delay of the network, in seconds, and lost of a hundred.
    jitter: f64,
    loss: u64,
    heard: Vec<f32>,
    states: Vec<Heard>,
}

impl Rig {
    fn new(ppm: f64) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "there is no other way to an Instant"
        )]
        let start = Instant::now();
        Rig {
            player: Player::new(Sine::default(), Settings::default()),
            start,
            periods: 0,
            ppm,
            sent: 0,
            noise: Noise(5),
            jitter: 0.0,
            loss: 0,
            heard: Vec::new(),
            states: Vec::new(),
        }
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_millis(10) * self.periods as u32
    }

    fn begin(&mut self, hold: u64) {
        let now = self.now();
        let not_before = now + Duration::from_millis(hold);
        self.player.begin(not_before, now);
    }

    /// One period, with the packets that come in it.
    fn period(&mut self, talking: bool) -> Heard {
        let end = (self.periods as f64 + 1.0) * 0.01;
        while talking && self.sent_at(self.sent + 1) < end {
            let came =
                self.sent_at(self.sent + 1) + self.jitter * f64::from(self.noise.next().abs());
            let first = self.sent as i64 * FRAME;
            let packet = Packet {
                seq: self.sent,
                time: first as u32,
                marker: false,
                level: None,
                payload: [&[TOC][..], &first.to_be_bytes()].concat().into(),
            };
            self.sent += 1;
            if self.noise.next().abs() * 100.0 >= self.loss as f32 {
                self.player
                    .push(&packet, self.start + Duration::from_secs_f64(came));
            }
        }
        self.periods += 1;
        let mut period = [0.0; PERIOD];
        let now = self.now();
        let heard = self.player.next(now, &mut period);
        self.heard.extend(period);
        self.states.push(heard);
        heard
    }

    /// A packet is sent once it is whole.
    fn sent_at(&self, packets: u64) -> f64 {
        packets as f64 * FRAME as f64 / 48_000.0 / (1.0 + self.ppm * 1e-6)
    }

    fn depth(&self) -> f64 {
        self.player.depth().as_secs_f64() * 1000.0
    }

    /// The worst one after the very first sample, where a sine begins as no speech does. dBFS.
    fn click(&self) -> f32 {
        dbfs(worst_click(&self.sound()[10..], HZ))
    }

    /// Sound without what is silent before and after it.
    fn sound(&self) -> &[f32] {
        let first = self
            .heard
            .iter()
            .position(|sample| *sample != 0.0)
            .unwrap_or(0);
        let last = self
            .heard
            .iter()
            .rposition(|sample| *sample != 0.0)
            .unwrap_or(0);
        &self.heard[first..last]
    }
}

/// Plays so long at this drift and says how far the depth was off the target at most, ms, once it was settled,
/// and the worst click, dBFS.
fn drift(ppm: f64, seconds: u64, jitter: f64) -> (f64, f32, Rig) {
    let mut rig = Rig::new(ppm);
    rig.jitter = jitter;
    rig.begin(0);
    let (mut worst, mut click) = (0f64, 0f32);
    let target = 20.0f64.max(jitter * 1000.0 + 10.0);
    for period in 0..seconds * 100 {
        rig.period(true);
        if period > 100 {
            worst = worst.max((rig.depth() - target).abs());
            let end = rig.heard.len();
            click = click.max(worst_click(&rig.heard[end - PERIOD - 2..], HZ));
        }
        if period % 100 == 0 {
            rig.heard.drain(..rig.heard.len() - PERIOD);
        }
    }
    (worst, dbfs(click), rig)
}

#[test]
fn clocks_that_differ_by_200_ppm_keep_the_depth_and_do_not_click() {
    for ppm in [200.0, -200.0] {
        let (worst, click, rig) = drift(ppm, 180, 0.0);
        assert!(worst < 20.0, "{ppm}: {worst} ms off");
        assert!(click < -40.0, "{ppm}: {click} dBFS");
        let found = rig.player.drift_ppm();
        assert!((f64::from(found) - ppm).abs() < 20.0, "{ppm}: {found}");
        assert_eq!(rig.player.decoder.concealed, 0, "{ppm}");
    }
}

#[test]
fn clocks_that_differ_by_1000_ppm_are_kept_up_with() {
    for ppm in [1000.0, -1000.0] {
        let (worst, click, rig) = drift(ppm, 60, 0.0);
        assert!(worst < 20.0, "{ppm}: {worst} ms off");
        assert!(click < -40.0, "{ppm}: {click} dBFS");
        assert_eq!(rig.player.decoder.concealed, 0, "{ppm}");
    }
}

#[test]
fn jitter_does_not_make_the_pitch_wander() {
    let (worst, click, rig) = drift(200.0, 60, 0.030);
    assert!(worst < 20.0, "{worst} ms off");
    assert!(click < -40.0, "{click} dBFS");
    let found = rig.player.drift_ppm();
    assert!((found - 200.0).abs() < 150.0, "{found}");
}

#[test]
fn what_was_said_is_heard_from_the_first_sample_to_the_last() {
    for hold in [0, 150, 350] {
        let mut rig = Rig::new(0.0);
        rig.begin(hold);
        for _ in 0..100 {
            rig.period(true);
        }
        rig.player.end();
        let mut drained = 0;
        for _ in 0..100 {
            drained += usize::from(rig.period(false) == Heard::Drained);
        }
        assert_eq!(drained, 1);
        let said = rig.sent as usize * FRAME as usize;
        let heard = rig.sound().len();
        // The first sample of a sine is 0, the last are faded out.
        assert!(heard.abs_diff(said) <= 10, "{hold}: {heard} of {said}");
        let click = rig.click();
        assert!(click < -40.0, "{hold}: {click}");
        let order: Vec<_> = rig
            .states
            .iter()
            .copied()
            .fold(Vec::new(), |mut order, state| {
                if order.last() != Some(&state) {
                    order.push(state);
                }
                order
            });
        use Heard::{Drained, Holding, Nothing, Sound};
        assert_eq!(order, [Holding, Sound, Drained, Nothing], "{hold}");
    }
}

#[test]
fn a_lead_of_150_ms_is_a_lead_of_150_ms() {
    let mut rig = Rig::new(0.0);
    rig.begin(150);
    while rig.period(true) != Heard::Sound {}
    let late = rig.now() - rig.start;
    assert!((150..=170).contains(&late.as_millis()), "{late:?}");
}

#[test]
fn the_next_talker_waits_until_the_one_before_was_heard_to_the_end() {
    let mut rig = Rig::new(0.0);
    rig.begin(150);
    for _ in 0..50 {
        rig.period(true);
    }
    let said = rig.sent;
    rig.begin(0);
    for _ in 0..50 {
        rig.period(true);
    }
    rig.player.end();
    while rig.period(false) != Heard::Drained {}
    let counters = rig.player.counters();
    assert_eq!(counters.played, rig.sent, "{said} of the first");
    assert!(
        !rig.states[20..rig.states.len() - 1]
            .iter()
            .any(|s| *s != Heard::Sound)
    );
    assert_eq!(rig.player.decoder.resets, 2);
}

#[test]
fn what_is_discarded_is_gone_at_once_and_does_not_click() {
    let mut rig = Rig::new(0.0);
    rig.begin(0);
    for _ in 0..50 {
        rig.period(true);
    }
    rig.player.discard();
    rig.period(false);
    assert_eq!(rig.period(false), Heard::Nothing);
    let tail = &rig.heard[rig.heard.len() - 2 * PERIOD + EDGE + 10..];
    assert!(tail.iter().all(|sample| *sample == 0.0));
    let click = rig.click();
    assert!(click < -40.0, "{click}");
    rig.player.end();
    assert_eq!(
        rig.period(false),
        Heard::Nothing,
        "nothing is said about it"
    );
}

#[test]
fn too_deep_a_buffer_is_brought_back_in_a_pause_without_a_click() {
    let mut rig = Rig::new(0.0);
    rig.begin(0);
    for _ in 0..50 {
        rig.period(true);
    }
    for sign in [1.0, -1.0] {
        let before = rig.player.sound.len();
        rig.player.scratch[..960].copy_from_slice(&sine(960));
        rig.player
            .drift
            .deepened(sign * 0.03 - rig.player.drift.excess());
        let now = rig.player.adjust_pause(960);
        assert_eq!(now, if sign > 0.0 { 480 } else { 1440 });
        assert_eq!(before, rig.player.sound.len());
        let click = worst_click(&rig.player.scratch[..now], HZ);
        assert!(dbfs(click) < -40.0, "{click}");
        let excess = rig.player.drift.excess();
        assert!((excess - sign * 0.02).abs() < 1e-9);
    }
}

fn sine(samples: i64) -> Vec<f32> {
    (0..samples).map(sine_at).collect()
}

#[test]
fn what_cannot_be_decoded_is_concealed() {
    let mut rig = Rig::new(0.0);
    rig.player.decoder.failing = true;
    rig.begin(0);
    for _ in 0..20 {
        rig.period(true);
    }
    assert!(rig.player.decoder.concealed >= 10 * PERIOD);
    assert_eq!(rig.states.last(), Some(&Heard::Sound));
}

#[test]
fn a_bad_network_leaves_no_gap_and_no_depth() {
    let mut rig = Rig::new(150.0);
    rig.jitter = 0.040;
    rig.loss = 5;
    rig.begin(0);
    for period in 0..60 * 100 {
        let heard = rig.period(true);
        assert!(heard == Heard::Sound || period < 20, "a gap at {period}");
        assert!(rig.depth() < 250.0, "{} ms at {period}", rig.depth());
        rig.heard.clear();
        rig.states.clear();
        assert!(rig.player.sound.len() <= LONGEST_PACKET + PERIOD);
    }
}

#[test]
fn a_card_that_asks_for_several_periods_at_once_gets_them_without_a_gap() {
    let mut rig = Rig::new(50.0);
    rig.begin(0);
    let (mut deep, mut shallow) = (0f64, f64::MAX);
    for burst in 0..600 {
        for period in 0..10 {
            rig.period(period == 0);
            // All at the same time, and packets for all of them.
            rig.start -= Duration::from_millis(if period < 9 { 10 } else { 0 });
        }
        rig.start += Duration::from_millis(90);
        if burst == 100 {
            rig.player.decoder.concealed = 0;
        }
        if burst > 100 {
            deep = deep.max(rig.depth());
            shallow = shallow.min(rig.depth());
        }
    }
    assert_eq!(rig.player.decoder.concealed, 0);
    assert!(
        deep - shallow < 20.0 && deep < 100.0,
        "{shallow} to {deep} ms"
    );
}
