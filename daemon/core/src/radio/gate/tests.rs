use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::radio::signals::Noise;

/// A receiver that hears a staircase: each sample says which it is. Its clock is off by so much, and its thread
/// late by chance.
struct Rig {
    gate: Gate,
    start: Instant,
    periods: u64,
    ppm: f64,
    noise: Noise,
    /// Most a thread is late, ms.
    late: f64,
    /// What went out and when (in periods), first place of each frame.
    frames: Vec<(u64, u32, bool)>,
    sound: Vec<f32>,
    done: bool,
}

/// Loud enough to be told apart, over a second.
fn stair(sample: u64) -> f32 {
    (sample % 48_000 + 1) as f32 / 50_000.0
}

impl Rig {
    fn new(ppm: f64, late: f64) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "there is no other way to an Instant"
        )]
        let start = Instant::now();
        Rig {
            gate: Gate::new(),
            start,
            periods: 0,
            ppm,
            noise: Noise(9),
            late,
            frames: Vec::new(),
            sound: Vec::new(),
            done: false,
        }
    }

    /// When this sample is received.
    fn at(&self, sample: f64) -> Instant {
        let second = sample / 48_000.0 * (1.0 + self.ppm * 1e-6);
        self.start + Duration::from_secs_f64(100.0 + second)
    }

    fn run(&mut self, periods: u64) {
        for _ in 0..periods {
            let first = self.periods * PERIOD as u64;
            let period = std::array::from_fn(|n| stair(first + n as u64));
            self.periods += 1;
            let whole = self.at((first + PERIOD as u64) as f64);
            let late = f64::from(self.noise.next().abs()) * self.late / 1000.0;
            self.gate
                .push(&period, whole + Duration::from_secs_f64(late));
            self.poll();
        }
    }

    fn poll(&mut self) {
        loop {
            match self.gate.poll() {
                Step::Frame(frame) => {
                    self.frames.push((self.periods, frame.time, frame.first));
                    self.sound.extend(frame.samples);
                }
                Step::Nothing => return,
                Step::Done => {
                    assert!(!self.done, "said once");
                    self.done = true;
                }
            }
        }
    }

    fn ms_ago(&self, ms: f64) -> Instant {
        self.at(self.periods as f64 * 480.0 - ms * 48.0)
    }

    fn begin(&mut self, ms_ago: f64, delayed: bool) {
        let from = self.ms_ago(ms_ago);
        self.gate.begin(from, delayed);
        self.done = false;
        self.poll();
    }

    fn end(&mut self, ms_ago: f64) {
        let until = self.ms_ago(ms_ago);
        self.gate.end(until);
        self.poll();
    }

    fn times(&self) -> Vec<u32> {
        self.frames.iter().map(|(_, time, _)| *time).collect()
    }

    /// Times follow each other, and the sound is that of these times but for the edges.
    fn check(&self) {
        let times = self.times();
        assert!(
            times.windows(2).all(|pair| pair[1] - pair[0] == 960),
            "{times:?}"
        );
        let first: Vec<_> = self.frames.iter().map(|(.., first)| *first).collect();
        assert!(first[0] && !first[1..].contains(&true));
        let inner = EDGE as usize..self.sound.len() - 960 - EDGE as usize;
        for n in inner {
            let off = self.sound[n] - stair(u64::from(times[0]) + n as u64);
            assert!(off.abs() < 1e-6, "sample {n}: {off}");
        }
    }
}

#[test]
fn a_burst_sends_what_has_gathered_at_once_and_then_each_frame_when_it_is_whole() {
    let mut rig = Rig::new(0.0, 0.0);
    rig.run(100);
    rig.begin(45.0, false);
    assert_eq!(
        rig.times(),
        [48_000 - 2160, 48_000 - 1200],
        "two frames are whole"
    );
    rig.run(50);
    rig.check();
    let after: Vec<_> = rig.frames[2..].iter().map(|(period, ..)| *period).collect();
    assert_eq!(after[..3], [102, 104, 106], "5 ms were over");
}

#[test]
fn a_delayed_one_is_as_late_at_its_end_as_at_its_beginning() {
    for lag in [200.0, 210.0, 1500.0] {
        let mut rig = Rig::new(0.0, 0.0);
        rig.run(300);
        rig.begin(lag, true);
        assert_eq!(rig.frames.len(), 1, "the first goes at once");
        rig.run(100);
        let late = |(period, time, _): &(u64, u32, bool)| *period as i64 * 480 - i64::from(*time);
        let lags: Vec<_> = rig.frames.iter().map(late).collect();
        let wanted = lag as i64 * 48;
        assert!(
            lags.iter().all(|late| (0..480).contains(&(late - wanted))),
            "{lags:?}"
        );
        rig.end(0.0);
        assert!(!rig.done && rig.gate.is_sending());
        rig.run((lag / 10.0) as u64 - 3);
        assert!(!rig.done, "it drains at its own pace");
        rig.run(2);
        assert!(rig.done && !rig.gate.is_sending());
        rig.check();
        let whole = (48_000 + lag as usize * 48).next_multiple_of(FRAME);
        assert_eq!(rig.sound.len(), whole);
    }
}

#[test]
fn nothing_received_after_the_end_goes_out() {
    for (ms_ago, delayed) in [(0.0, false), (7.0, false), (30.0, true), (205.0, true)] {
        let mut rig = Rig::new(0.0, 0.0);
        rig.run(100);
        rig.begin(if delayed { 300.0 } else { 40.0 }, delayed);
        let from = rig.times()[0];
        rig.run(50);
        let end = rig.periods as u32 * 480 - (ms_ago * 48.0) as u32;
        rig.end(ms_ago);
        rig.run(60);
        assert!(rig.done);
        rig.check();
        // A frame that is out cannot be fetched back.
        let out = end.max(if delayed {
            0
        } else {
            rig.frames.last().map_or(0, |f| f.1)
        });
        let sent = from + rig.sound.len() as u32;
        assert!(
            sent >= end && sent <= out + 960,
            "{ms_ago}: {sent} for {end}"
        );
        if delayed {
            let after = (end - from) as usize;
            assert!(rig.sound[after..].iter().all(|sample| *sample == 0.0));
        }
    }
}

#[test]
fn an_end_as_far_ahead_as_the_longest_grace_is_kept_and_no_other() {
    for (ahead, sent) in [(1_000, 1_000), (3_000, 3_000), (60_000, 3_500)] {
        let mut rig = Rig::new(0.0, 0.0);
        rig.run(100);
        rig.begin(0.0, false);
        rig.end(-f64::from(ahead));
        rig.run(sent / 10 - 1);
        assert!(!rig.done, "{ahead} ms ahead: cut early");
        rig.run(3);
        assert!(rig.done, "{ahead} ms ahead: not at its end");
    }
}

#[test]
fn a_transmission_fades_in_and_out() {
    let mut rig = Rig::new(0.0, 0.0);
    // The staircase falls back to 0 once a second; here it does not.
    rig.run(150);
    rig.begin(100.0, true);
    rig.run(10);
    rig.end(3.0);
    rig.run(30);
    let steps = rig.sound.windows(2).map(|s| (s[1] - s[0]).abs());
    assert!(steps.fold(0.0, f32::max) < 0.01);
    assert_eq!(rig.sound[0], 0.0);
}

#[test]
fn a_past_longer_ago_than_what_is_kept_begins_with_the_oldest() {
    let mut rig = Rig::new(0.0, 0.0);
    rig.run(1000);
    rig.begin(90_000.0, false);
    assert_eq!(rig.times()[0], 480_000 - KEPT as u32);
    rig.run(10);
    rig.check();
    let mut rig = Rig::new(0.0, 0.0);
    rig.run(3);
    rig.begin(500.0, false);
    assert_eq!(rig.times(), [0]);
    assert_eq!(Rig::new(0.0, 0.0).gate.poll(), Step::Nothing);
}

#[test]
fn a_new_transmission_takes_the_place_of_the_old_one() {
    let mut rig = Rig::new(0.0, 0.0);
    rig.run(200);
    rig.begin(1000.0, true);
    rig.run(5);
    rig.frames.clear();
    rig.begin(20.0, false);
    assert_eq!(rig.times(), [205 * 480 - 960]);
    rig.gate.stop();
    rig.run(10);
    assert_eq!(rig.frames.len(), 1);
    assert!(!rig.done, "it was stopped, not done");
}

#[test]
fn who_does_not_fetch_frames_loses_the_oldest_and_is_told() {
    let mut rig = Rig::new(0.0, 0.0);
    rig.run(10);
    rig.begin(0.0, false);
    for _ in 0..1000 {
        rig.gate.push(&[0.1; PERIOD], rig.start);
    }
    rig.poll();
    assert_eq!(rig.frames.len(), KEPT / FRAME);
    assert_eq!(rig.gate.skipped(), 300);
}

#[test]
fn a_moment_is_found_however_long_the_card_runs_and_whatever_its_clock() {
    for (ppm, late) in [
        (0.0, 0.0),
        (100.0, 3.0),
        (-100.0, 3.0),
        (900.0, 8.0),
        (-900.0, 8.0),
    ] {
        let mut rig = Rig::new(ppm, late);
        for minute in 0..20 {
            rig.run(6000);
            rig.frames.clear();
            rig.sound.clear();
            rig.begin(100.0, false);
            let wanted = rig.periods as i64 * 480 - 4800;
            let off = i64::from(rig.times()[0]) - wanted;
            assert!(
                off.abs() <= 2 * 48,
                "{ppm} ppm, minute {minute}: {off} samples"
            );
            rig.gate.stop();
        }
    }
}

#[test]
fn lost_samples_do_not_put_the_clock_wrong_for_long() {
    for lost_ms in [30, 200, 5000] {
        let mut rig = Rig::new(0.0, 2.0);
        rig.run(500);
        // From here on everything is that much later.
        rig.start += Duration::from_millis(lost_ms);
        rig.run(60);
        rig.begin(100.0, false);
        let off = i64::from(rig.times()[0]) - (560 * 480 - 4800);
        assert!(off.abs() <= 3 * 48, "{lost_ms}: {off}");
    }
}

proptest! {
    #[test]
    fn whatever_it_is_told_frames_follow_each_other(
        steps in prop::collection::vec((0u8..6, 0u64..400, any::<bool>()), 1..40)
    ) {
        let mut rig = Rig::new(300.0, 5.0);
        rig.run(50);
        for (step, n, delayed) in steps {
            match step {
                0 => {
                    rig.frames.clear();
                    rig.begin(n as f64 * 10.0, delayed);
                }
                1 => rig.end(n as f64),
                2 if n < 20 => rig.gate.stop(),
                _ => rig.run(n / 4),
            }
            let times = rig.times();
            prop_assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 960));
            prop_assert_eq!(rig.frames.iter().skip(1).filter(|frame| frame.2).count(), 0);
        }
        rig.end(0.0);
        rig.run(450);
        prop_assert!(!rig.gate.is_sending());
    }
}
