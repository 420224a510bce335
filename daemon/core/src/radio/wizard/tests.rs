use super::*;

const WINDOW: Duration = Duration::from_millis(100);

/// A bench: ears and wires, and a handheld that is keyed from 4 s to 10 s.
struct Bench {
    wizard: Wizard,
    ears: usize,
    begun: Instant,
    now: Instant,
}

impl Bench {
    fn new(ears: &[Ear], wires: &[bool]) -> Bench {
        #[allow(
            clippy::disallowed_methods,
            reason = "there is no other way to a first Instant"
        )]
        let now = Instant::now();
        let mut wizard = Wizard::new(ears.to_vec(), wires.len(), now);
        for (wire, high) in wires.iter().enumerate() {
            wizard.handle(Input::Wire { wire, high: *high }, now);
        }
        Bench {
            wizard,
            ears: ears.len(),
            begun: now,
            now,
        }
    }

    fn at(&self) -> u128 {
        (self.now - self.begun).as_millis()
    }

    fn wire(&mut self, wire: usize, high: bool) {
        self.wizard.handle(Input::Wire { wire, high }, self.now);
    }

    /// Until then, each ear as loud as `level` says (RMS, peak).
    fn run(&mut self, until_ms: u128, level: impl Fn(usize) -> (f32, f32)) {
        while self.at() < until_ms {
            self.now += WINDOW;
            for ear in 0..self.ears {
                let (rms_db, peak_db) = level(ear);
                let heard = Input::Heard {
                    ear,
                    rms_db,
                    peak_db,
                    length: WINDOW,
                };
                self.wizard.handle(heard, self.now);
            }
        }
    }

    fn silence(&mut self, until_ms: u128) {
        self.run(until_ms, |_| (-70.0, -60.0));
    }

    fn found(&self) -> &Found {
        match self.wizard.step() {
            Step::Found(found) => found,
            other => panic!("{other:?}"),
        }
    }
}

fn ear(card: usize, side: Side) -> Ear {
    Ear { card, side }
}

/// One mono card: the handheld is keyed from 4 s to 10 s, its wire goes from `idle` to the other level.
fn one_wire(idle: bool) -> Bench {
    let mut bench = Bench::new(&[ear(0, Side::Mono)], &[idle]);
    bench.silence(4_000);
    bench.wire(0, !idle);
    bench.run(10_000, |_| (-24.0, -12.0));
    bench.wire(0, idle);
    bench.silence(12_000);
    bench
}

#[test]
fn the_wire_that_follows_the_key_is_found_with_its_polarity() {
    for idle in [false, true] {
        let bench = one_wire(idle);
        let found = bench.found();
        assert_eq!((found.card, found.side), (0, Side::Mono));
        let expected = Follower {
            wire: 0,
            active_low: idle,
        };
        assert_eq!(found.carrier, Some(expected));
        assert!((found.level.rms_db + 24.0).abs() < 0.1);
        assert_eq!(found.level.peak_db, -12.0);
        assert_eq!(found.level.noise_db, -70.0);
    }
}

#[test]
fn each_step_asks_for_what_comes_next() {
    let mut bench = Bench::new(&[ear(0, Side::Mono)], &[]);
    bench.silence(1_400);
    assert_eq!(bench.wizard.step(), &Step::Quiet);
    bench.silence(3_000);
    assert_eq!(bench.wizard.step(), &Step::Press);
    bench.run(5_500, |_| (-20.0, -8.0));
    assert!(matches!(bench.wizard.step(), Step::Speaking { .. }));
    bench.run(9_000, |_| (-20.0, -8.0));
    assert_eq!(bench.wizard.step(), &Step::LetGo);
    // A breath is no release, where no line says so.
    bench.silence(11_000);
    assert_eq!(bench.wizard.step(), &Step::LetGo);
    bench.silence(12_000);
    assert_eq!(bench.found().carrier, None);
}

#[test]
fn the_card_and_the_side_that_got_the_sound_are_found() {
    let ears = [
        ear(0, Side::Mono),
        ear(1, Side::Left),
        ear(1, Side::Right),
        ear(2, Side::Left),
        ear(2, Side::Right),
    ];
    for (levels, card, side) in [
        ([-20.0, -70.0, -70.0, -70.0, -70.0], 0, Side::Mono),
        ([-70.0, -70.0, -20.0, -70.0, -70.0], 1, Side::Right),
        // Crosstalk is not the same sound.
        ([-70.0, -20.0, -45.0, -70.0, -70.0], 1, Side::Left),
        ([-70.0, -20.0, -20.5, -70.0, -70.0], 1, Side::Mono),
        // A microphone in the room hears the person who talks, but not as loud.
        ([-70.0, -35.0, -35.0, -20.0, -70.0], 2, Side::Left),
    ] {
        let mut bench = Bench::new(&ears, &[]);
        bench.silence(2_000);
        bench.run(8_000, |ear| (levels[ear], levels[ear] + 10.0));
        bench.silence(12_000);
        let found = bench.found();
        assert_eq!((found.card, found.side), (card, side), "{levels:?}");
    }
}

#[test]
fn a_card_that_hums_is_not_taken_for_speech() {
    let mut bench = Bench::new(&[ear(0, Side::Mono), ear(1, Side::Mono)], &[]);
    bench.run(4_000, |ear| [(-25.0, -15.0), (-80.0, -70.0)][ear]);
    assert_eq!(bench.wizard.step(), &Step::Press);
    bench.run(10_000, |ear| [(-25.0, -15.0), (-30.0, -20.0)][ear]);
    bench.run(14_000, |ear| [(-25.0, -15.0), (-80.0, -70.0)][ear]);
    assert_eq!(bench.found().card, 1);
}

#[test]
fn wires_that_follow_something_else_are_not_taken() {
    let mut bench = Bench::new(&[ear(0, Side::Mono)], &[false; 5]);
    // Restless from the beginning.
    bench.wire(0, true);
    bench.silence(1_000);
    bench.wire(0, false);
    bench.silence(4_000);
    bench.wire(0, true);
    bench.wire(2, true);
    // Goes up and stays.
    bench.wire(3, true);
    for half_second in 0..12 {
        // A blinking one.
        bench.wire(1, half_second % 2 == 0);
        bench.run(4_000 + (half_second + 1) * 500, |_| (-20.0, -10.0));
    }
    bench.wire(0, false);
    bench.wire(1, false);
    bench.wire(2, false);
    bench.silence(14_000);
    let found = bench.found();
    assert_eq!(found.carrier.map(|follower| follower.wire), Some(2));
    assert_eq!(found.also, []);
}

#[test]
fn of_two_wires_that_follow_the_one_nearest_to_the_sound_is_the_carrier() {
    let mut bench = Bench::new(&[ear(0, Side::Mono)], &[true, false]);
    bench.silence(3_000);
    bench.wire(0, false);
    bench.silence(4_000);
    bench.wire(1, true);
    bench.run(9_000, |_| (-20.0, -10.0));
    bench.wire(1, false);
    bench.wire(0, true);
    bench.silence(12_000);
    let found = bench.found();
    assert_eq!(found.carrier.map(|follower| follower.wire), Some(1));
    let other = Follower {
        wire: 0,
        active_low: true,
    };
    assert_eq!(found.also, [other]);
}

#[test]
fn a_bouncing_contact_is_one_press() {
    let mut bench = Bench::new(&[ear(0, Side::Mono)], &[false]);
    bench.silence(4_000);
    for high in [true, false, true, false, true, false, true] {
        bench.wire(0, high);
    }
    bench.run(9_000, |_| (-20.0, -10.0));
    for high in [false, true, false, true, false] {
        bench.wire(0, high);
    }
    bench.silence(12_000);
    assert_eq!(bench.found().carrier.map(|f| f.wire), Some(0));
}

#[test]
fn where_nothing_is_heard_it_says_whether_a_line_moved() {
    for moved in [false, true] {
        let mut bench = Bench::new(&[ear(0, Side::Mono)], &[false]);
        bench.silence(4_000);
        bench.wire(0, moved);
        bench.silence(33_000);
        let wires = if moved { vec![0] } else { vec![] };
        let failed = Step::Failed(Failure::NothingHeard { wires });
        assert_eq!(bench.wizard.step(), &failed);
    }
}

#[test]
fn a_click_is_too_short_and_a_stuck_key_is_never_let_go_of() {
    let mut bench = Bench::new(&[ear(0, Side::Mono)], &[]);
    bench.silence(4_000);
    bench.run(4_300, |_| (-20.0, -10.0));
    bench.silence(40_000);
    assert_eq!(bench.wizard.step(), &Step::Failed(Failure::TooShort));
    let mut bench = Bench::new(&[ear(0, Side::Mono)], &[]);
    bench.silence(4_000);
    bench.run(45_000, |_| (-20.0, -10.0));
    assert_eq!(bench.wizard.step(), &Step::Failed(Failure::NeverLetGo));
}

#[test]
fn the_advice_brings_speech_to_18_below_full_scale_and_its_peaks_below_3() {
    for (rms_db, peak_db, advice) in [
        (-18.0, -6.0, Advice::Right),
        (-20.0, -8.0, Advice::Right),
        (-24.0, -12.0, Advice::Up { db: 6 }),
        (-40.0, -30.0, Advice::Up { db: 22 }),
        // Only as far as the peaks allow.
        (-28.0, -9.0, Advice::Up { db: 6 }),
        (-12.0, -3.5, Advice::Down { db: 6 }),
        (-6.0, -1.0, Advice::Down { db: 12 }),
        // Cut off: more than it looks.
        (-17.0, 0.0, Advice::Down { db: 6 }),
        // A crack in quiet speech does not make it too loud.
        (-22.0, -1.0, Advice::Right),
    ] {
        let noise_db = -70.0;
        let level = Level {
            rms_db,
            peak_db,
            noise_db,
        };
        assert_eq!(level.advice(), advice, "{level:?}");
    }
}

#[test]
fn the_vox_threshold_lies_between_noise_and_speech() {
    for (noise_db, rms_db, threshold) in [
        (-70.0, -20.0, -50.0),
        (-50.0, -20.0, -38.0),
        (-120.0, -18.0, -49.0),
        (-30.0, -10.0, -22.0),
    ] {
        let peak_db = rms_db + 10.0;
        let level = Level {
            rms_db,
            peak_db,
            noise_db,
        };
        assert_eq!(level.vox_threshold_db(), threshold, "{level:?}");
    }
}
