//! Keying by tables: what it is told when, and what it orders.

use super::*;
use crate::radio::{KeyingSettings, SquelchSettings, ToneSettings};
use crate::wire::signal::Level;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn settings() -> Settings {
    Settings {
        id: "hall".into(),
        name: "Hall".into(),
        channel: "ops".into(),
        level: Level::Normal,
        kind: Kind::Radio,
        relay: false,
        receives: true,
        transmits: true,
        squelch: SquelchSettings {
            debounce: ms(20),
            hang: ms(250),
            vox_delay: None,
            deaf: ms(300),
            kerchunk: ms(0),
            kerchunk_idle: ms(180_000),
            stuck: ms(180_000),
        },
        keying: KeyingSettings {
            lead: ms(150),
            tail: ms(100),
            tot: ms(15_000),
            tot_alert: ms(10_000),
            tot_penalty: ms(5_000),
        },
        tones: ToneSettings {
            permit: false,
            deny: false,
            courtesy: false,
            ident_every: None,
        },
    }
}

fn with_tones(change: impl FnOnce(&mut ToneSettings)) -> Settings {
    let mut settings = settings();
    change(&mut settings.tones);
    settings
}

#[derive(Clone, Copy)]
enum Does {
    Talk(u64),
    Over,
    LetGo,
    /// What was ordered is out now.
    Drained,
    DrainedAt(u64),
    Ready(bool),
    Fault(bool),
    Locked(bool),
    Line(bool),
    Test(u64),
    StopTest,
    Clear(bool),
    Nothing,
}
use Does::*;

type Step = (u64, Does);

struct Played {
    keying: Keying,
    /// What was ordered when, but for renewals.
    ordered: Vec<(u64, String)>,
    /// When it was keyed or renewed, and until when.
    keys: Vec<(u64, u64)>,
    end: Instant,
}

/// Ready from the beginning; serves every deadline at its time.
fn play(settings: Settings, steps: &[Step]) -> Played {
    #[allow(
        clippy::disallowed_methods,
        reason = "a test's arbitrary origin of time"
    )]
    let start = Instant::now();
    let since = |at: Instant| at.saturating_duration_since(start).as_millis() as u64;
    let mut keying = Keying::new(Arc::new(settings));
    keying.handle(Input::Ready(true), start);
    let mut played = Played {
        keying,
        ordered: Vec::new(),
        keys: Vec::new(),
        end: start,
    };
    let mut keyed = false;
    let mut drain = |played: &mut Played, now: Instant| {
        while let Some(output) = played.keying.poll_output() {
            let word = match output {
                Output::Order(Order::Key { until }) => {
                    played.keys.push((since(now), since(until)));
                    if std::mem::replace(&mut keyed, true) {
                        continue;
                    }
                    "key".into()
                }
                Output::Order(Order::Unkey) => {
                    keyed = false;
                    "unkey".into()
                }
                Output::Order(Order::Play {
                    transmission,
                    not_before,
                }) => format!("play {transmission} from {}", since(not_before)),
                Output::Order(Order::Tone(tone)) => format!("{tone:?}").to_lowercase(),
                Output::Order(order) => format!("{order:?}").to_lowercase(),
                Output::Warned { left } => format!("warned {}", left.as_millis()),
                Output::TimedOut { transmission } => match transmission {
                    Some(transmission) => format!("timed out {transmission}"),
                    None => "timed out".into(),
                },
            };
            played.ordered.push((since(now), word));
        }
    };
    for &(t, does) in steps {
        let now = start + ms(t);
        while let Some(due) = played.keying.poll_timeout().filter(|due| *due < now) {
            played.keying.handle_timeout(due);
            drain(&mut played, due);
        }
        let input = match does {
            Talk(n) => Some(Input::Talk(TransmissionId(n))),
            Over => Some(Input::TalkOver),
            Does::LetGo => Some(Input::LetGo),
            Drained => Some(Input::Drained { at: now }),
            DrainedAt(t) => Some(Input::Drained { at: start + ms(t) }),
            Ready(ready) => Some(Input::Ready(ready)),
            Fault(fault) => Some(Input::Line {
                keyed: false,
                fault,
                locked: false,
            }),
            Locked(locked) => Some(Input::Line {
                keyed: false,
                fault: false,
                locked,
            }),
            Line(keyed) => Some(Input::Line {
                keyed,
                fault: false,
                locked: false,
            }),
            Test(length) => Some(Input::TestTone { length: ms(length) }),
            StopTest => Some(Input::StopTestTone),
            Clear(clear) => Some(Input::Clear(clear)),
            Nothing => None,
        };
        match input {
            Some(input) => played.keying.handle(input, now),
            None => played.keying.handle_timeout(now),
        }
        drain(&mut played, now);
        played.end = now;
    }
    played
}

fn check(what: &str, settings: Settings, steps: &[Step], expected: &[(u64, &str)]) {
    let played = play(settings, steps);
    let ordered = played.ordered.iter().map(|(t, w)| (*t, w.as_str()));
    assert_eq!(ordered.collect::<Vec<_>>(), expected, "{what}");
}

#[test]
fn a_talk_is_keyed_played_and_unkeyed() {
    for (what, steps, expected) in [
        (
            "lead, speech, tail",
            &[
                (0, Talk(1)),
                (2_000, Over),
                (2_080, Drained),
                (3_000, Nothing),
            ][..],
            &[
                (0, "key"),
                (0, "play 1 from 150"),
                (2_000, "endplay"),
                (2_180, "unkey"),
            ][..],
        ),
        (
            "shorter than the lead: held back, not dropped",
            &[(0, Talk(1)), (100, Over), (250, Drained), (3_000, Nothing)],
            &[
                (0, "key"),
                (0, "play 1 from 150"),
                (100, "endplay"),
                (350, "unkey"),
            ],
        ),
        (
            "the next while it drains",
            &[
                (0, Talk(1)),
                (2_000, Over),
                (2_040, Talk(2)),
                (3_000, Over),
                (3_050, Drained),
                (4_000, Nothing),
            ],
            &[
                (0, "key"),
                (0, "play 1 from 150"),
                (2_000, "endplay"),
                (2_040, "play 2 from 2040"),
                (3_000, "endplay"),
                (3_150, "unkey"),
            ],
        ),
        (
            "the next in the tail",
            &[
                (0, Talk(1)),
                (2_000, Over),
                (2_050, Drained),
                (2_149, Talk(2)),
                (3_000, Over),
                (3_050, Drained),
                (4_000, Nothing),
            ],
            &[
                (0, "key"),
                (0, "play 1 from 150"),
                (2_000, "endplay"),
                (2_149, "play 2 from 2149"),
                (3_000, "endplay"),
                (3_150, "unkey"),
            ],
        ),
        (
            "another in the lead",
            &[
                (0, Talk(1)),
                (50, Over),
                (50, Talk(2)),
                (2_000, Over),
                (2_050, Drained),
                (3_000, Nothing),
            ],
            &[
                (0, "key"),
                (0, "play 1 from 150"),
                (50, "endplay"),
                (50, "play 2 from 150"),
                (2_000, "endplay"),
                (2_150, "unkey"),
            ],
        ),
        (
            "news of an older end",
            &[
                (0, Talk(1)),
                (2_000, Over),
                (2_040, Talk(2)),
                (2_050, Over),
                (2_055, DrainedAt(2_030)),
                (2_100, Drained),
                (3_000, Nothing),
            ],
            &[
                (0, "key"),
                (0, "play 1 from 150"),
                (2_000, "endplay"),
                (2_040, "play 2 from 2040"),
                (2_050, "endplay"),
                (2_200, "unkey"),
            ],
        ),
        (
            "a card that never drains",
            &[(0, Talk(1)), (2_000, Over), (9_000, Nothing)],
            &[
                (0, "key"),
                (0, "play 1 from 150"),
                (2_000, "endplay"),
                (4_650, "discard"),
                (4_750, "unkey"),
            ],
        ),
    ] {
        check(what, settings(), steps, expected);
    }
}

#[test]
fn a_key_order_reaches_so_far_and_is_renewed_in_time() {
    let steps = [(0, Talk(1)), (10_000, Nothing)];
    let played = play(settings(), &steps);
    assert_eq!(played.keys.len(), 201);
    for (n, (at, until)) in played.keys.iter().enumerate() {
        assert_eq!((*at, *until), (n as u64 * 50, n as u64 * 50 + 200));
    }
    let steps = [(0, Talk(1)), (14_990, Nothing)];
    let played = play(settings(), &steps);
    assert_eq!(
        played.keys.last(),
        Some(&(14_950, 15_000)),
        "never past the TOT"
    );
}

#[test]
fn after_the_tot_whoever_talked_has_to_let_go() {
    let timed_out = [
        (0, "key"),
        (0, "play 1 from 150"),
        (5_000, "prealert"),
        (5_000, "warned 10000"),
        (15_000, "unkey"),
        (15_000, "discard"),
        (15_000, "timed out 1"),
    ];
    let until_tot = [(0, Talk(1)), (15_000, Nothing)];
    for (what, after, expected) in [
        (
            "nobody lets go",
            &[(15_001, Over), (99_000, Nothing)][..],
            &[][..],
        ),
        (
            "another one talks meanwhile, and is taken up when the rest is over",
            &[
                (15_001, Over),
                (16_000, Talk(2)),
                (20_000, Does::LetGo),
                (24_999, Nothing),
                (25_000, Nothing),
            ],
            &[(25_000, "key"), (25_000, "play 2 from 25150")],
        ),
        (
            "nobody talks any more",
            &[
                (15_001, Over),
                (20_000, Does::LetGo),
                (30_000, Nothing),
                (40_000, Talk(2)),
            ],
            &[(40_000, "key"), (40_000, "play 2 from 40150")],
        ),
        (
            "no test tone either",
            &[
                (15_001, Over),
                (15_002, Clear(true)),
                (16_000, Test(100)),
                (20_000, Nothing),
            ],
            &[],
        ),
    ] {
        let steps = [&until_tot[..], after].concat();
        let expected = [&timed_out[..], expected].concat();
        check(what, settings(), &steps, &expected);
    }
}

#[test]
fn the_tot_counts_from_the_key_down_through_all_talks() {
    let mut steps = Vec::new();
    for n in 0..8 {
        steps.push((n * 2_000, Talk(n)));
        steps.push((n * 2_000 + 1_950, Over));
    }
    let played = play(settings(), &steps);
    let unkeyed = played.ordered.iter().find(|(_, word)| word == "unkey");
    assert_eq!(unkeyed, Some(&(15_000, "unkey".into())));
    assert!(played.ordered.contains(&(15_000, "timed out 7".into())));
    // In the tail nobody has to let go.
    let steps = [
        (0, Talk(1)),
        (14_000, Over),
        (14_950, Drained),
        (20_000, Talk(2)),
        (21_000, Nothing),
    ];
    let played = play(settings(), &steps);
    assert!(played.ordered.contains(&(15_000, "timed out".into())));
    assert!(
        played
            .ordered
            .contains(&(20_000, "play 2 from 20150".into()))
    );
}

#[test]
fn sound_or_a_line_that_goes_unkeys_at_once_and_a_talk_is_taken_up_when_it_is_back() {
    for (what, goes, comes) in [
        ("sound", Ready(false), Ready(true)),
        ("the line", Fault(true), Fault(false)),
    ] {
        for at in [10, 1_000, 2_010, 2_080] {
            let steps = [
                (0, Talk(1)),
                (at.min(2_000), Nothing),
                (at, if at > 2_000 { Over } else { Nothing }),
                (at, if at > 2_050 { Drained } else { Nothing }),
                (at, goes),
                (5_000, Over),
                (5_500, Talk(2)),
                (6_000, comes),
                (6_100, Nothing),
            ];
            let played = play(settings(), &steps);
            let after = played
                .ordered
                .iter()
                .filter(|(t, word)| *t >= at && word != "endplay");
            let after: Vec<_> = after.map(|(t, word)| (*t, word.as_str())).collect();
            let expected = [
                (at, "unkey"),
                (at, "discard"),
                (6_000, "key"),
                (6_000, "play 2 from 6150"),
            ];
            assert_eq!(after, expected, "{what} goes at {at}");
        }
    }
}

#[test]
fn a_line_that_fails_each_time_is_not_keyed_in_bursts_nor_past_the_tot() {
    for (fails, back, rest) in [
        (Fault(true), Fault(false), 1_000),
        (Ready(false), Ready(true), 400),
    ] {
        let mut steps = vec![(0, Talk(1))];
        for n in 0..80u64 {
            steps.push((n * 200 + 50, fails));
            steps.push((n * 200 + 100, back));
        }
        let played = play(settings(), &steps);
        let at = |wanted: &str| -> Vec<u64> {
            let ordered = played.ordered.iter();
            let wanted = ordered.filter(|(_, word)| word == wanted);
            wanted.map(|(t, _)| *t).collect()
        };
        let keyed = at("key");
        let apart = keyed.windows(2).all(|two| two[1] - two[0] >= rest);
        assert!(apart && keyed.len() >= 12, "{keyed:?}");
        // While it is keyed, or when it would be keyed next.
        let ended = at("timed out 1");
        assert!(matches!(ended[..], [15_000..=15_400]), "{ended:?}");
    }
    let steps = [
        (0, Talk(1)),
        (14_500, Fault(true)),
        (14_600, Fault(false)),
        (30_000, Nothing),
    ];
    let expected = [
        (0, "key"),
        (0, "play 1 from 150"),
        (5_000, "prealert"),
        (5_000, "warned 10000"),
        (14_500, "unkey"),
        (14_500, "discard"),
        (15_500, "discard"),
        (15_500, "timed out 1"),
    ];
    check("nothing is left", settings(), &steps, &expected);
}

#[test]
fn what_is_keyed_again_at_once_counts_as_one_key_down() {
    let talks = |pause: u64| {
        let over = 2_150 + pause;
        [
            (0, Talk(1)),
            (2_000, Over),
            (2_050, Drained),
            (over, Talk(2)),
            (40_000, Nothing),
        ]
    };
    for (pause, tot) in [(0, 15_000), (399, 15_000), (400, 17_550)] {
        let played = play(settings(), &talks(pause));
        assert!(played.ordered.contains(&(2_150, "unkey".into())) || pause == 0);
        let timed_out = (tot, "timed out 2".into());
        assert_eq!(played.ordered.last(), Some(&timed_out), "after {pause} ms");
    }
}

#[test]
fn the_guardian_s_lock_ends_a_talk_as_the_tot_does() {
    let keyed = [(0, Talk(1)), (10, Line(true)), (3_000, Locked(true))];
    let locked = [
        (0, "key"),
        (0, "play 1 from 150"),
        (3_000, "unkey"),
        (3_000, "discard"),
        (3_000, "timed out 1"),
    ];
    let over = [(0, Talk(1)), (1_000, Over), (1_050, Locked(true))];
    let drains = [
        (0, "key"),
        (0, "play 1 from 150"),
        (1_000, "endplay"),
        (1_050, "unkey"),
        (1_050, "discard"),
        (1_050, "timed out"),
    ];
    for (what, steps, after, expected) in [
        (
            "nobody lets go",
            &keyed[..],
            &[(4_000, Locked(false)), (99_000, Nothing)][..],
            [&locked[..], &[]].concat(),
        ),
        (
            "and then",
            &keyed,
            &[
                (3_001, Over),
                (3_500, Does::LetGo),
                (4_000, Locked(false)),
                (5_000, Talk(2)),
                (8_500, Nothing),
            ],
            [&locked[..], &[(8_500, "key"), (8_500, "play 2 from 8650")]].concat(),
        ),
        (
            "never while it is locked",
            &keyed,
            &[
                (3_001, Over),
                (3_500, Does::LetGo),
                (5_000, Talk(2)),
                (20_000, Locked(false)),
            ],
            [
                &locked[..],
                &[(20_000, "key"), (20_000, "play 2 from 20150")],
            ]
            .concat(),
        ),
        (
            "nobody talks any more",
            &over,
            &[(7_000, Locked(false)), (8_000, Talk(2))],
            [&drains[..], &[(8_000, "key"), (8_000, "play 2 from 8150")]].concat(),
        ),
        (
            "stopped while it is idle",
            &[],
            &[(100, Locked(true)), (500, Talk(1)), (1_100, Locked(false))],
            vec![(1_100, "key"), (1_100, "play 1 from 1250")],
        ),
    ] {
        let steps = [steps, after].concat();
        check(what, settings(), &steps, &expected);
    }
    let played = play(settings(), &keyed);
    assert_eq!(played.keying.seen(), Seen::LockedOut);
    let problem = played.keying.problem(played.end);
    assert!(problem.is_some_and(|p| p.contains("guardian keeps")));
}

#[test]
fn an_identification_is_not_begun_again_for_ever() {
    let every = |penalty| {
        let mut settings = with_tones(|tones| tones.ident_every = Some(ms(60_000)));
        settings.keying.tot_penalty = ms(penalty);
        settings
    };
    let talk = [
        (0, Clear(true)),
        (1_000, Talk(1)),
        (2_000, Over),
        (2_050, Drained),
    ];
    for (what, tot, after) in [
        ("its sound never leaves the card", 120_000, &[][..]),
        ("longer than the TOT", 15_000, &[]),
        (
            "the card goes",
            15_000,
            &[(3_000, Ready(false)), (3_100, Ready(true))],
        ),
        (
            "the line goes",
            15_000,
            &[(3_000, Fault(true)), (3_100, Fault(false))],
        ),
        (
            "the guardian stops it",
            15_000,
            &[(3_000, Locked(true)), (4_100, Locked(false))],
        ),
    ] {
        for penalty in [0, 5_000] {
            let mut settings = every(penalty);
            settings.keying.tot = ms(tot);
            let steps = [&talk[..], after, &[(900_000, Nothing)]].concat();
            let played = play(settings, &steps);
            let keyed = played.ordered.iter().filter(|(_, word)| word == "key");
            assert_eq!(keyed.count(), 1, "{what}: {:?}", played.ordered);
        }
    }
}

#[test]
fn after_the_tot_the_line_falls_even_without_a_penalty() {
    let mut settings = settings();
    settings.keying.tot_penalty = ms(0);
    let steps = [
        (0, Talk(1)),
        (15_000, Nothing),
        (15_000, Over),
        (15_000, Does::LetGo),
        (15_000, Talk(2)),
        (17_000, Nothing),
    ];
    let played = play(settings, &steps);
    let after = played.ordered.iter().filter(|(t, _)| *t > 15_000);
    let after: Vec<_> = after.map(|(t, word)| (*t, word.as_str())).collect();
    assert_eq!(after, [(16_000, "key"), (16_000, "play 2 from 16150")]);
}

#[test]
fn tones_go_before_and_after_speech() {
    let permit = with_tones(|tones| tones.permit = true);
    let steps = [
        (0, Talk(1)),
        (2_000, Over),
        (2_050, Drained),
        (3_000, Nothing),
    ];
    let expected = [
        (0, "key"),
        (0, "play 1 from 250"),
        (150, "permit"),
        (2_000, "endplay"),
        (2_150, "unkey"),
    ];
    check("permit", permit, &steps, &expected);
    let courtesy = with_tones(|tones| tones.courtesy = true);
    let steps = [
        (0, Talk(1)),
        (2_000, Over),
        (2_050, Drained),
        (2_200, Drained),
        (3_000, Nothing),
    ];
    let expected = [
        (0, "key"),
        (0, "play 1 from 150"),
        (2_000, "endplay"),
        (2_050, "courtesy"),
        (2_300, "unkey"),
    ];
    check("courtesy", courtesy.clone(), &steps, &expected);
    let steps = [
        (0, Talk(1)),
        (2_000, Over),
        (2_050, Drained),
        (2_100, Talk(2)),
        (2_200, Drained),
        (2_300, Nothing),
    ];
    let expected = [
        (0, "key"),
        (0, "play 1 from 150"),
        (2_000, "endplay"),
        (2_050, "courtesy"),
        (2_100, "stoptone"),
        (2_100, "play 2 from 2100"),
    ];
    check("cut short", courtesy, &steps, &expected);
}

#[test]
fn the_station_says_who_it_is() {
    let every = with_tones(|tones| tones.ident_every = Some(ms(60_000)));
    let talk = |at: u64, n: u64| [(at, Talk(n)), (at + 1_000, Over), (at + 1_050, Drained)];
    let idents = |steps: &[Step]| {
        let played = play(every.clone(), steps);
        let idents = played
            .ordered
            .into_iter()
            .filter(|(_, word)| word == "ident");
        idents.map(|(t, _)| t).collect::<Vec<_>>()
    };
    let first = [
        &[(0, Clear(true))][..],
        &talk(1_000, 1),
        &[(5_000, Drained)],
    ]
    .concat();
    assert_eq!(idents(&first), [2_050], "after the first transmission");
    let soon = [&first[..], &talk(30_000, 2), &[(64_000, Nothing)]].concat();
    assert_eq!(idents(&soon), [2_050], "not again within its time");
    let end = [&first[..], &talk(30_000, 2), &[(66_000, Nothing)]].concat();
    assert_eq!(idents(&end), [2_050, 65_150], "by itself at the end of use");
    let unused = [&first[..], &[(600_000, Nothing)]].concat();
    assert_eq!(idents(&unused), [2_050], "not where nothing went to air");
    let busy = [
        &first[..],
        &talk(30_000, 2),
        &[
            (31_200, Clear(false)),
            (90_000, Clear(true)),
            (91_000, Nothing),
        ],
    ]
    .concat();
    assert_eq!(
        idents(&busy),
        [2_050, 90_150],
        "not while the receiver hears someone"
    );
    let late = [&first[..], &talk(64_500, 2), &[(67_000, Nothing)]].concat();
    assert_eq!(
        idents(&late),
        [2_050, 65_550],
        "after speech, before the tail"
    );
    let cut = [
        &first[..2],
        &talk(1_000, 1)[1..],
        &[
            (3_000, Talk(2)),
            (4_000, Over),
            (4_050, Drained),
            (9_000, Drained),
            (70_000, Nothing),
        ],
    ]
    .concat();
    assert_eq!(
        idents(&cut),
        [2_050, 4_050],
        "one that was cut short is said again"
    );
}

#[test]
fn a_test_tone_goes_to_air_only_where_nobody_is_there() {
    let clear = (0, Clear(true));
    for (what, steps, expected) in [
        (
            "alone",
            &[
                clear,
                (100, Test(2_000)),
                (2_260, Drained),
                (3_000, Nothing),
            ][..],
            &[(100, "key"), (250, "test { length: 2s }"), (2_360, "unkey")][..],
        ),
        (
            "five seconds are enough",
            &[
                clear,
                (100, Test(60_000)),
                (5_260, Drained),
                (6_000, Nothing),
            ],
            &[(100, "key"), (250, "test { length: 5s }"), (5_360, "unkey")],
        ),
        (
            "the receiver hears someone",
            &[(0, Clear(false)), (100, Test(2_000)), (3_000, Nothing)],
            &[],
        ),
        (
            "stopped",
            &[
                clear,
                (100, Test(2_000)),
                (1_000, StopTest),
                (3_000, Nothing),
            ],
            &[
                (100, "key"),
                (250, "test { length: 2s }"),
                (1_000, "stoptone"),
                (1_100, "unkey"),
            ],
        ),
        (
            "someone talks",
            &[
                clear,
                (100, Test(2_000)),
                (1_000, Talk(1)),
                (1_500, Nothing),
            ],
            &[
                (100, "key"),
                (250, "test { length: 2s }"),
                (1_000, "stoptone"),
                (1_000, "play 1 from 1000"),
            ],
        ),
        (
            "someone talks in its lead",
            &[clear, (100, Test(2_000)), (200, Talk(1)), (1_500, Nothing)],
            &[(100, "key"), (200, "play 1 from 250")],
        ),
    ] {
        check(what, settings(), steps, expected);
    }
}

#[test]
fn a_desk_is_never_keyed_and_plays_what_the_channel_says() {
    let desk = Settings {
        kind: Kind::Desk,
        tones: ToneSettings {
            permit: true,
            deny: true,
            courtesy: true,
            ident_every: Some(ms(60_000)),
        },
        ..settings()
    };
    let steps = [
        (0, Talk(1)),
        (20_000, Over),
        (20_050, Drained),
        (30_000, Talk(2)),
        (30_100, Ready(false)),
        (90_000, Nothing),
    ];
    let expected = [
        (0, "play 1 from 0"),
        (20_000, "endplay"),
        (30_000, "play 2 from 30000"),
        (30_100, "discard"),
    ];
    check("desk", desk, &steps, &expected);
}

#[test]
fn what_is_wrong_is_said() {
    let problem = |steps: &[Step]| {
        let played = play(settings(), steps);
        played.keying.problem(played.end).unwrap_or("").to_owned()
    };
    assert_eq!(problem(&[(0, Nothing)]), "");
    assert!(problem(&[(0, Ready(false))]).contains("not there"));
    assert!(problem(&[(0, Fault(true))]).contains("does not do what it is told"));
    let down = [(0, Line(false)), (5_000, Talk(1))];
    assert_eq!(problem(&[&down[..], &[(5_900, Nothing)]].concat()), "");
    assert!(problem(&[&down[..], &[(6_000, Nothing)]].concat()).contains("stays down"));
    assert_eq!(
        problem(&[&down[..], &[(5_020, Line(true)), (6_000, Nothing)]].concat()),
        ""
    );
    let no_line = [(5_000, Talk(1)), (9_000, Nothing)];
    assert_eq!(problem(&no_line), "");
    let off = [
        (0, Talk(1)),
        (10, Line(true)),
        (1_000, Over),
        (1_050, Drained),
    ];
    assert_eq!(problem(&[&off[..], &[(2_000, Nothing)]].concat()), "");
    assert!(problem(&[&off[..], &[(2_200, Nothing)]].concat()).contains("is up although"));
    assert_eq!(
        problem(&[&off[..], &[(1_200, Line(false)), (2_200, Nothing)]].concat()),
        ""
    );
}
