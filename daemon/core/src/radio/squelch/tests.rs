//! The squelch by tables: what happens when, and what comes of it.

use super::*;

fn settings() -> SquelchSettings {
    SquelchSettings {
        debounce: ms(20),
        hang: ms(250),
        vox_delay: None,
        deaf: ms(300),
        kerchunk: ms(0),
        kerchunk_idle: ms(180_000),
        stuck: ms(180_000),
    }
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// What came out, as it is written in the tables.
fn words(start: Instant, output: Output) -> String {
    // The origin lies far enough in the test's past.
    let at = |at: Instant| at.saturating_duration_since(start).as_millis() as i64 - ORIGIN;
    match output {
        Output::Opened { from } => format!("opened from {}", at(from)),
        Output::Closed { until } => format!("closed until {}", at(until)),
        Output::Stuck => "stuck".into(),
    }
}

const ORIGIN: i64 = 10_000_000;

type Step = (i64, Does);

#[derive(Clone, Copy)]
enum Does {
    Up,
    Down,
    /// Seen only now.
    UpAt(i64),
    On(bool),
    Held(bool),
    Spent,
    Used(bool),
    Gone,
    Nothing,
}
use Does::*;

/// Serves every deadline at its time, and says when what came out.
fn play(settings: SquelchSettings, steps: &[Step]) -> (Squelch, Vec<(i64, String)>) {
    #[allow(
        clippy::disallowed_methods,
        reason = "a test's arbitrary origin of time"
    )]
    let start = Instant::now();
    let at = |t: i64| start + Duration::from_millis((ORIGIN + t) as u64);
    let mut squelch = Squelch::new(settings);
    let mut seen = Vec::new();
    for &(t, does) in steps {
        while let Some(due) = squelch.poll_timeout().filter(|due| *due < at(t)) {
            squelch.handle_timeout(due);
            let when = due.duration_since(start).as_millis() as i64 - ORIGIN;
            while let Some(output) = squelch.poll_output() {
                seen.push((when, words(start, output)));
            }
        }
        let now = at(t);
        let input = match does {
            Up => Some(Input::Line { up: true, at: now }),
            Down => Some(Input::Line { up: false, at: now }),
            UpAt(t) => Some(Input::Line {
                up: true,
                at: at(t),
            }),
            On(on) => Some(Input::Transmitting(on)),
            Held(held) => Some(Input::HeldOff(held)),
            Does::Spent => Some(Input::Spent),
            Used(used) => Some(Input::ChannelUsed(used)),
            Gone => Some(Input::Gone),
            Nothing => None,
        };
        match input {
            Some(input) => squelch.handle(input, now),
            None => squelch.handle_timeout(now),
        }
        while let Some(output) = squelch.poll_output() {
            seen.push((t, words(start, output)));
        }
    }
    (squelch, seen)
}

fn check(what: &str, settings: SquelchSettings, steps: &[Step], expected: &[(i64, &str)]) {
    let (_, seen) = play(settings, steps);
    let seen: Vec<(i64, &str)> = seen.iter().map(|(t, w)| (*t, w.as_str())).collect();
    assert_eq!(seen, expected, "{what}");
}

#[test]
fn a_line_becomes_speech_and_speech_ends() {
    let end = (9_000, Nothing);
    for (what, steps, expected) in [
        (
            "debounced, with what was said before it was believed",
            &[(0, Up), (1_000, Down), end][..],
            &[(20, "opened from -20"), (1_250, "closed until 1250")][..],
        ),
        ("a spark", &[(0, Up), (19, Down), end], &[]),
        (
            "a flutter",
            &[(0, Up), (500, Down), (749, Up), (1_000, Down), end],
            &[(20, "opened from -20"), (1_250, "closed until 1250")],
        ),
        (
            "news that comes late",
            &[(50, UpAt(0)), (1_000, Down), end],
            &[(50, "opened from -20"), (1_250, "closed until 1250")],
        ),
        (
            "a line that is told again",
            &[(0, Up), (10, Up), (500, Up), (600, Down), (700, Down), end],
            &[(20, "opened from -20"), (850, "closed until 850")],
        ),
        (
            "its wire pulled",
            &[(0, Up), (500, Gone), (600, Up), (700, Down), end],
            &[
                (20, "opened from -20"),
                (500, "closed until 500"),
                (620, "opened from 580"),
                (950, "closed until 950"),
            ],
        ),
    ] {
        check(what, settings(), steps, expected);
    }
}

#[test]
fn vox_sends_from_before_its_attack() {
    let vox = SquelchSettings {
        debounce: ms(0),
        hang: ms(800),
        vox_delay: Some(ms(210)),
        ..settings()
    };
    let steps = [(0, Up), (1_000, Down), (2_000, Nothing)];
    let expected = [(0, "opened from -210"), (1_800, "closed until 1800")];
    check("vox", vox, &steps, &expected);
}

#[test]
fn a_kerchunk_is_filtered_where_the_channel_was_idle() {
    let kerchunk = SquelchSettings {
        kerchunk: ms(200),
        ..settings()
    };
    let idle = 180_000;
    for (what, steps, expected) in [
        (
            "a kerchunk",
            &[(0, Up), (199, Down), (9_000, Nothing)][..],
            &[][..],
        ),
        (
            "speech",
            &[(0, Up), (300, Down), (9_000, Nothing)],
            &[(200, "opened from -20"), (550, "closed until 550")],
        ),
        (
            "while the channel is used",
            &[(0, Used(true)), (10, Up), (60, Down), (9_000, Nothing)],
            &[(30, "opened from -10"), (310, "closed until 310")],
        ),
        (
            "just before it is idle",
            &[
                (0, Used(true)),
                (100, Used(false)),
                (idle + 79, Up),
                (idle + 179, Down),
                (idle + 9_000, Nothing),
            ],
            &[
                (idle + 99, "opened from 180059"),
                (idle + 429, "closed until 180429"),
            ],
        ),
        (
            "idle again",
            &[
                (0, Used(true)),
                (100, Used(false)),
                (idle + 80, Up),
                (idle + 180, Down),
                (idle + 9_000, Nothing),
            ],
            &[],
        ),
    ] {
        check(what, kerchunk.clone(), steps, expected);
    }
}

#[test]
fn nothing_is_believed_while_we_transmit_and_a_while_after() {
    let end = (9_000, Nothing);
    for (what, steps, expected) in [
        (
            "the tail of our own transmission",
            &[
                (0, On(true)),
                (500, Up),
                (1_000, On(false)),
                (1_299, Down),
                end,
            ][..],
            &[][..],
        ),
        (
            "someone who keyed up meanwhile is heard when we stop",
            &[
                (0, On(true)),
                (500, Up),
                (1_000, On(false)),
                (3_000, Down),
                end,
            ],
            &[(1_320, "opened from 1300"), (3_250, "closed until 3250")],
        ),
        (
            "someone we talk over",
            &[
                (0, Up),
                (500, On(true)),
                (600, Down),
                (1_000, On(false)),
                end,
            ],
            &[(20, "opened from -20"), (500, "closed until 500")],
        ),
        (
            "keyed again while deaf",
            &[
                (0, On(true)),
                (1_000, On(false)),
                (1_100, On(true)),
                (1_200, Up),
                (5_000, On(false)),
                (6_000, Down),
                end,
            ],
            &[(5_320, "opened from 5300"), (6_250, "closed until 6250")],
        ),
        (
            "held off by the loop guard",
            &[
                (0, Up),
                (500, Held(true)),
                (4_000, Held(false)),
                (5_000, Down),
                end,
            ],
            &[
                (20, "opened from -20"),
                (500, "closed until 500"),
                (4_020, "opened from 4000"),
                (5_250, "closed until 5250"),
            ],
        ),
        (
            "held off for longer than deaf",
            &[
                (0, Held(true)),
                (10, On(true)),
                (100, On(false)),
                (200, Up),
                (4_000, Held(false)),
                (5_000, Down),
                end,
            ],
            &[(4_020, "opened from 4000"), (5_250, "closed until 5250")],
        ),
    ] {
        check(what, settings(), steps, expected);
    }
}

#[test]
fn who_lost_the_floor_has_to_let_go_first() {
    let end = (9_000, Nothing);
    for (what, steps, expected) in [
        (
            "let go and speak again",
            &[
                (0, Up),
                (500, Does::Spent),
                (1_000, Down),
                (2_000, Up),
                (2_100, Down),
                end,
            ][..],
            &[
                (20, "opened from -20"),
                (1_250, "closed until 1250"),
                (2_020, "opened from 1980"),
                (2_350, "closed until 2350"),
            ][..],
        ),
        (
            "a flutter is no letting go",
            &[(0, Up), (500, Does::Spent), (1_000, Down), (1_100, Up), end],
            &[(20, "opened from -20")],
        ),
        (
            "lost in the hang time",
            &[(0, Up), (500, Down), (600, Does::Spent), end],
            &[(20, "opened from -20"), (750, "closed until 750")],
        ),
        (
            "our own transmission in between does not free them",
            &[
                (0, Up),
                (500, Does::Spent),
                (600, On(true)),
                (1_000, On(false)),
                (5_000, Down),
                end,
            ],
            &[(20, "opened from -20"), (5_250, "closed until 5250")],
        ),
        (
            "let go while we transmit",
            &[
                (0, Up),
                (500, Does::Spent),
                (600, On(true)),
                (700, Down),
                (800, Up),
                (1_000, On(false)),
                (5_000, Down),
                end,
            ],
            &[
                (20, "opened from -20"),
                (700, "closed until 700"),
                (1_320, "opened from 1300"),
                (5_250, "closed until 5250"),
            ],
        ),
    ] {
        check(what, settings(), steps, expected);
    }
}

#[test]
fn a_receiver_that_stays_open_is_faulty_until_its_line_drops() {
    let stuck = 180_020;
    for (what, steps, expected) in [
        (
            "stuck, and good again",
            &[
                (0, Up),
                (200_000, Down),
                (210_000, Up),
                (210_100, Down),
                (220_000, Nothing),
            ][..],
            &[
                (20, "opened from -20"),
                (stuck, "stuck"),
                (200_250, "closed until 200250"),
                (210_020, "opened from 209980"),
                (210_350, "closed until 210350"),
            ][..],
        ),
        (
            "one that lost the floor",
            &[
                (0, Up),
                (60_000, Does::Spent),
                (200_000, Down),
                (210_000, Nothing),
            ],
            &[
                (20, "opened from -20"),
                (stuck, "stuck"),
                (200_250, "closed until 200250"),
            ],
        ),
        (
            "our own transmissions do not hide it",
            &[
                (0, Up),
                (190_000, On(true)),
                (191_000, On(false)),
                (200_000, Down),
                (210_000, Nothing),
            ],
            &[
                (20, "opened from -20"),
                (stuck, "stuck"),
                (200_250, "closed until 200250"),
            ],
        ),
    ] {
        check(what, settings(), steps, expected);
    }
}

#[test]
fn what_a_page_shows_of_it() {
    let kerchunk = SquelchSettings {
        kerchunk: ms(200),
        ..settings()
    };
    for (steps, seen) in [
        (&[][..], Seen::Closed),
        (&[(0, Up)], Seen::Debounce),
        (&[(0, Up), (20, Nothing)], Seen::Filtering),
        (&[(0, Up), (200, Nothing)], Seen::Open),
        (&[(0, Up), (200, Down)], Seen::Open),
        (&[(0, Up), (300, On(true))], Seen::Deaf),
        (
            &[(0, On(true)), (300, On(false)), (599, Nothing)],
            Seen::Deaf,
        ),
        (
            &[(0, On(true)), (300, On(false)), (600, Nothing)],
            Seen::Closed,
        ),
        (&[(0, Up), (300, Held(true))], Seen::HeldOff),
        (&[(0, Up), (190_000, Nothing)], Seen::Stuck),
    ] {
        let (squelch, _) = play(kerchunk.clone(), steps);
        assert_eq!(squelch.seen(), seen);
    }
}
