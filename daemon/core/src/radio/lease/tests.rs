use proptest::prelude::*;

use super::*;

const LEASE: Duration = Duration::from_millis(250);
const TOT: Duration = Duration::from_secs(15);
const EVERY: Duration = Duration::from_millis(50);

/// One radio's lease, its line and a clock.
struct Rig {
    lease: Lease,
    line: bool,
    now: Instant,
    told: Vec<Output>,
}

impl Rig {
    fn new() -> Rig {
        #[allow(
            clippy::disallowed_methods,
            reason = "a test's arbitrary origin of time"
        )]
        let now = Instant::now();
        let mut rig = Rig {
            lease: Lease::new(Settings {
                lease: LEASE,
                tot: TOT,
            }),
            line: true,
            now,
            told: Vec::new(),
        };
        rig.drain();
        rig
    }

    fn drain(&mut self) {
        while let Some(output) = self.lease.poll_output() {
            if let Output::Set(line) = output {
                self.line = line;
            }
            self.told.push(output);
        }
    }

    fn give(&mut self, input: Input) {
        self.lease.handle(input, self.now);
        self.drain();
    }

    fn key(&mut self) {
        let said = self.now;
        self.give(Input::Key { said });
    }

    fn tick(&mut self) {
        self.lease.handle_timeout(self.now);
        self.drain();
    }

    /// Serves each deadline when it is due.
    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.lease.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.tick();
        }
        self.now = end;
    }

    /// Orders every 50 ms, for so long.
    fn orders(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.key();
            self.wait(EVERY);
        }
    }
}

#[test]
fn it_begins_by_unkeying() {
    let rig = Rig::new();
    assert!(!rig.line);
    assert_eq!(rig.told, [Output::Set(false)]);
}

#[test]
fn one_order_keys_for_one_lease() {
    let mut rig = Rig::new();
    rig.key();
    assert!(rig.line);
    rig.wait(LEASE - Duration::from_millis(1));
    assert!(rig.line);
    rig.wait(Duration::from_millis(1));
    assert!(!rig.line);
    assert_eq!(rig.told[2..], [Output::Set(false), Output::Lapsed]);
}

#[test]
fn orders_that_keep_coming_keep_it_keyed_and_say_nothing_twice() {
    let mut rig = Rig::new();
    rig.orders(Duration::from_secs(10));
    assert!(rig.line);
    assert_eq!(rig.told, [Output::Set(false), Output::Set(true)]);
}

#[test]
fn unkeying_and_a_client_that_is_gone_count_at_once() {
    for end in [Input::Unkey, Input::Gone] {
        let mut rig = Rig::new();
        rig.key();
        rig.give(end);
        assert!(!rig.line, "{end:?}");
        rig.key();
        assert!(rig.line, "it may be keyed again at once");
    }
}

#[test]
fn a_sound_card_that_stutters_does_not_stretch_the_tot() {
    let ms = Duration::from_millis;
    for (what, pause, locks) in [
        ("at once", ms(0), true),
        ("soon", ms(299), true),
        ("another key-down", ms(300), false),
    ] {
        for end in [Input::Unkey, Input::Gone] {
            let mut rig = Rig::new();
            let began = rig.now;
            while rig.now < began + TOT + MARGIN {
                rig.key();
                rig.wait(ms(100));
                rig.give(end);
                // Said twice, it is not kept longer.
                rig.give(end);
                assert!(!rig.line, "{what}");
                rig.wait(pause);
            }
            rig.key();
            assert_eq!(rig.lease.is_locked(), locks, "{what}, {end:?}");
            assert_eq!(rig.line, !locks, "{what}, {end:?}");
        }
    }
}

#[test]
fn past_its_tot_it_is_locked_until_orders_are_silent() {
    let mut rig = Rig::new();
    rig.orders(TOT + MARGIN - EVERY);
    assert!(rig.line, "pttd's own TOT comes first");
    rig.orders(EVERY * 40);
    assert!(!rig.line && rig.lease.is_locked());
    rig.give(Input::Unkey);
    rig.key();
    assert!(!rig.line, "saying unkey once is no silence");
    rig.wait(SILENCE);
    rig.key();
    assert!(rig.line);
    let locks = rig.told.iter().filter(|o| **o == Output::Locked).count();
    assert_eq!(locks, 1);
}

#[test]
fn stopped_by_somebody_else_it_stays_down_while_orders_go_on() {
    let mut rig = Rig::new();
    rig.orders(EVERY);
    rig.give(Input::Stop);
    assert!(!rig.line);
    rig.orders(SILENCE * 3);
    assert!(!rig.line && rig.lease.is_locked());
    rig.wait(SILENCE);
    rig.key();
    assert!(rig.line);
}

#[test]
fn orders_that_come_too_late_each_time_do_not_stretch_the_tot() {
    let mut rig = Rig::new();
    let began = rig.now;
    let late = LEASE + Duration::from_millis(20);
    while rig.now < began + TOT + MARGIN {
        rig.key();
        assert!(rig.line);
        rig.wait(late);
    }
    rig.key();
    assert!(!rig.line && rig.lease.is_locked());
}

#[test]
fn a_silence_after_it_lapsed_begins_a_new_key_down() {
    let mut rig = Rig::new();
    rig.orders(TOT);
    rig.wait(LEASE + SILENCE);
    rig.orders(TOT);
    assert!(rig.line);
}

#[test]
fn what_was_said_a_lease_ago_keys_nothing() {
    let mut rig = Rig::new();
    let said = rig.now;
    rig.now += LEASE;
    rig.give(Input::Key { said });
    assert!(!rig.line);
    let said = rig.now - Duration::from_millis(200);
    rig.give(Input::Key { said });
    assert!(rig.line, "50 ms of it are left");
    rig.wait(Duration::from_millis(50));
    assert!(!rig.line);
}

#[test]
fn an_order_from_the_future_is_one_of_now() {
    let mut rig = Rig::new();
    let said = rig.now + Duration::from_secs(60);
    rig.give(Input::Key { said });
    rig.wait(LEASE);
    assert!(!rig.line);
}

#[derive(Clone, Debug)]
enum Step {
    /// Time passes; with false nobody serves what is due.
    Wait(u64, bool),
    /// An order, said so many ms ago, or in the future.
    Key(i64),
    /// Orders every so many ms, so many of them.
    Orders(u64, u8),
    Unkey,
    Gone,
    Stop,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0u64..1_000, any::<bool>()).prop_map(|(ms, punctual)| Step::Wait(ms, punctual)),
        1 => (1_000u64..40_000, any::<bool>()).prop_map(|(ms, punctual)| Step::Wait(ms, punctual)),
        4 => (-100i64..1_200).prop_map(Step::Key),
        4 => (1u64..400, 0u8..255).prop_map(|(ms, count)| Step::Orders(ms, count)),
        1 => Just(Step::Unkey),
        1 => Just(Step::Gone),
        1 => Just(Step::Stop),
    ]
}

/// What the line may be, told by nothing but the orders and the clock.
struct Watcher {
    /// When the newest order was said.
    said: Option<Instant>,
    /// The first moment of this key-down, and when it is over for good: the line has fallen.
    since: Option<Instant>,
    forget: Option<Instant>,
}

impl Watcher {
    fn look(&mut self, rig: &Rig, settings: Settings) -> Result<(), TestCaseError> {
        let Settings { lease, tot } = settings;
        let now = rig.now;
        if self.forget.is_some_and(|forget| forget <= now) {
            self.since = None;
        }
        if !rig.line {
            self.forget = self.forget.or(Some(now + SILENCE));
            return Ok(());
        }
        self.forget = None;
        let since = *self.since.get_or_insert(now);
        let said = self.said.map(|said| said + lease);
        let due = rig.lease.poll_timeout();
        prop_assert!(said.is_some_and(|end| now < end), "past its lease");
        prop_assert!(now < since + tot + MARGIN, "past its TOT");
        prop_assert!(due.is_some() && due <= said, "would be called too late");
        prop_assert!(
            due <= Some(since + tot + MARGIN),
            "would be called after its TOT"
        );
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is ordered, however late it is read and however late the deadlines are served: once it has been
    /// called the line is not up past a lease after the last order, nor past the TOT and its margin.
    #[test]
    fn nothing_keeps_it_keyed_past_its_lease_or_its_tot(
        lease in 100u64..=1_000,
        steps in prop::collection::vec(any_step(), 1..60),
    ) {
        let settings = Settings { lease: Duration::from_millis(lease), tot: TOT };
        let mut rig = Rig::new();
        rig.lease = Lease::new(settings);
        rig.drain();
        let mut watcher = Watcher { said: None, since: None, forget: None };
        for step in steps {
            let mut key = |rig: &mut Rig, ago: i64| {
                let ms = Duration::from_millis(ago.unsigned_abs());
                let said = match ago < 0 {
                    true => rig.now + ms,
                    false => rig.now - ms,
                };
                watcher.said = watcher.said.max(Some(said.min(rig.now)));
                rig.give(Input::Key { said });
                watcher.look(rig, settings)
            };
            match step {
                Step::Wait(ms, true) => {
                    let end = rig.now + Duration::from_millis(ms);
                    while let Some(due) = rig.lease.poll_timeout().filter(|due| *due <= end) {
                        rig.now = rig.now.max(due);
                        rig.tick();
                        watcher.look(&rig, settings)?;
                    }
                    rig.now = end;
                }
                Step::Wait(ms, false) => {
                    rig.now += Duration::from_millis(ms);
                    rig.tick();
                    watcher.look(&rig, settings)?;
                }
                Step::Key(ago) => key(&mut rig, ago)?,
                Step::Orders(ms, count) => for _ in 0..count {
                    rig.now += Duration::from_millis(ms);
                    key(&mut rig, 0)?;
                },
                Step::Unkey | Step::Gone | Step::Stop => {
                    rig.give(match step {
                        Step::Gone => Input::Gone,
                        Step::Stop => Input::Stop,
                        _ => Input::Unkey,
                    });
                    prop_assert!(!rig.line);
                    // Whoever orders it down begins anew, but not at once; unless it is locked.
                    watcher.forget = watcher.forget.or(Some(rig.now + STUTTER));
                    watcher.look(&rig, settings)?;
                }
            }
        }
    }
}
