use std::f32::consts::TAU;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::*;
use crate::{Capture, Carrier, HwError, PERIOD, PERIODS, Playback, Ptt, RATE};

struct Site {
    air: Air,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

fn site() -> Site {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("air.sock");
    Site {
        air: Air::listen(&path).unwrap(),
        path,
        _folder: folder,
    }
}

fn soon(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(5);
    while !is_so() {
        assert!(Instant::now() < until, "{what}");
        std::thread::yield_now();
    }
}

fn sine(length: usize) -> Vec<f32> {
    let step = TAU * 1000.0 / RATE as f32;
    (0..length).map(|n| 0.5 * (n as f32 * step).sin()).collect()
}

#[test]
fn a_line_is_keyed_until_it_is_unkeyed_or_dropped() {
    let site = site();
    let mut ptt = BenchPtt::open(&site.path).unwrap();
    ptt.set(true).unwrap();
    soon("keyed", || site.air.is_keyed());
    ptt.set(false).unwrap();
    soon("unkeyed", || !site.air.is_keyed());
    ptt.set(true).unwrap();
    soon("keyed again", || site.air.is_keyed());
    drop(ptt);
    soon("dropped", || !site.air.is_keyed());
    let levels: Vec<_> = site
        .air
        .ptt_history()
        .into_iter()
        .map(|(_, up)| up)
        .collect();
    assert_eq!(levels, [true, false, true, false]);
}

#[test]
fn a_line_has_one_owner() {
    let site = site();
    let first = BenchPtt::open(&site.path).unwrap();
    let second = BenchPtt::open(&site.path);
    assert!(matches!(second, Err(HwError::Busy { .. })));
    drop(first);
    soon("the line is free", || BenchPtt::open(&site.path).is_ok());
}

#[test]
fn a_carrier_is_a_level_also_for_who_comes_late() {
    let site = site();
    let mut early = BenchCarrier::open(&site.path).unwrap();
    assert!(!early.is_up().unwrap());
    site.air.set_carrier(true);
    soon("up", || early.is_up().unwrap());
    let mut late = BenchCarrier::open(&site.path).unwrap();
    soon("up for the late one", || late.is_up().unwrap());
    site.air.set_carrier(false);
    soon("down", || !early.is_up().unwrap() && !late.is_up().unwrap());
    assert_eq!(early.garbage(), 0);
}

#[test]
fn what_is_said_is_captured_at_the_cards_pace() {
    let site = site();
    let mut capture = BenchCapture::open(&site.path).unwrap();
    let mut period = [0.0; PERIOD];
    capture.read(&mut period).unwrap();
    let speech = sine(50 * PERIOD);
    // A reader that had to wait for the processor loses some, and says so.
    let (captured, late) = loop {
        let lost = capture.xruns();
        let (from, mut first) = (site.air.say(&speech), None);
        let mut captured = Vec::new();
        while captured.len() < 60 * PERIOD {
            capture.read(&mut period).unwrap();
            if first.is_none() && period.iter().any(|s| *s != 0.0) {
                first = Some(from.elapsed());
            }
            captured.extend(period);
        }
        if capture.xruns() == lost {
            break (captured, first.unwrap());
        }
    };
    assert!(late < Duration::from_millis(300), "{late:?}");
    // The sine begins with a 0.
    let start = captured.iter().position(|s| *s != 0.0).unwrap() - 1;
    for (sent, got) in speech.iter().zip(&captured[start..]) {
        assert!((sent - got).abs() < 1e-4);
    }
}

#[test]
fn clocks_run_as_fast_as_they_are_told_each_way() {
    let site = site();
    // Far more than a crystal is off, to be seen within a second on a busy machine.
    site.air.set_ppm(100_000.0, -100_000.0);
    let mut playback = BenchPlayback::open(&site.path).unwrap();
    let mut capture = BenchCapture::open(&site.path).unwrap();
    let window = Duration::from_secs(1);
    let reader = std::thread::spawn(move || {
        let mut period = [0.0; PERIOD];
        let until = Instant::now() + window;
        let mut captured = 0;
        while Instant::now() < until {
            capture.read(&mut period).unwrap();
            captured += 1;
        }
        captured + capture.xruns()
    });
    let until = Instant::now() + window;
    while Instant::now() < until {
        playback.write(&[0.1; PERIOD]).unwrap();
    }
    let played = playback.progress().unwrap().played / PERIOD as u64;
    let captured = reader.join().unwrap();
    // A machine that is too busy to run the clocks holds them both up.
    assert!(captured <= 115, "{captured}");
    let ratio = captured as f64 / played as f64;
    assert!((1.08..1.4).contains(&ratio), "{captured} : {played}");
}

#[test]
fn what_is_played_is_heard_in_order_with_the_moment_and_the_key() {
    let site = site();
    let mut ptt = BenchPtt::open(&site.path).unwrap();
    let mut playback = BenchPlayback::open(&site.path).unwrap();
    let before = Instant::now();
    for n in 0..10 {
        playback.write(&[n as f32 / 64.0; PERIOD]).unwrap();
    }
    ptt.set(true).unwrap();
    soon("keyed", || site.air.is_keyed());
    for n in 10..20 {
        playback.write(&[n as f32 / 64.0; PERIOD]).unwrap();
    }
    let mut heard = Vec::new();
    soon("all heard", || {
        heard.extend(site.air.heard());
        heard.len() >= 20
    });
    for (n, period) in heard.iter().enumerate() {
        assert_eq!(period.samples, [n as f32 / 64.0; PERIOD]);
        assert!(period.at + Duration::from_millis(10) > before);
    }
    assert!(heard.windows(2).all(|two| two[0].at < two[1].at));
    assert!(!heard[0].keyed && heard[19].keyed);
}

#[test]
fn a_card_tells_how_far_it_is_and_when_it_ran_dry() {
    let site = site();
    let mut playback = BenchPlayback::open(&site.path).unwrap();
    assert_eq!(playback.progress().unwrap().played, 0);
    for _ in 0..PERIODS {
        playback.write(&[0.0; PERIOD]).unwrap();
    }
    assert!(playback.progress().unwrap().delay > Duration::ZERO);
    let all = (PERIODS * PERIOD) as u64;
    soon("all played", || playback.progress().unwrap().played == all);
    assert_eq!(playback.progress().unwrap().delay, Duration::ZERO);
    soon("ran dry", || {
        playback.progress().unwrap();
        playback.xruns() == 1
    });
}

#[test]
fn a_card_that_stands_still_shows_and_holds_nobody_up() {
    let site = site();
    let mut playback = BenchPlayback::open(&site.path).unwrap();
    let mut capture = BenchCapture::open(&site.path).unwrap();
    site.air.stand_still(true);
    let start = Instant::now();
    let full = (0..3 * PERIODS).find_map(|_| playback.write(&[0.0; PERIOD]).err());
    assert!(matches!(full, Some(HwError::TimedOut { .. })));
    let played = playback.progress().unwrap().played;
    let mut period = [0.0; PERIOD];
    let silent = (0..200).find_map(|_| capture.read(&mut period).err());
    assert!(matches!(silent, Some(HwError::TimedOut { .. })));
    assert!(start.elapsed() < Duration::from_secs(3));
    assert_eq!(playback.progress().unwrap().played, played);
    site.air.stand_still(false);
    soon("it moves again", || {
        playback.progress().unwrap().played > played
    });
}

#[test]
fn a_pulled_card_is_missing_at_once_and_found_when_put_back() {
    let site = site();
    let mut playback = BenchPlayback::open(&site.path).unwrap();
    let mut capture = BenchCapture::open(&site.path).unwrap();
    let mut ptt = BenchPtt::open(&site.path).unwrap();
    ptt.set(true).unwrap();
    site.air.pull();
    let mut period = [0.0; PERIOD];
    let error = std::iter::repeat_with(|| capture.read(&mut period)).find_map(Result::err);
    assert!(matches!(error, Some(HwError::Missing { .. })), "{error:?}");
    assert!(matches!(
        playback.write(&period),
        Err(HwError::Missing { .. })
    ));
    assert!(matches!(
        BenchCapture::open(&site.path),
        Err(HwError::Missing { .. })
    ));
    soon("the wires stay", || site.air.is_keyed());
    site.air.pull_wires();
    assert!(!site.air.is_keyed());
    soon("the line is missing", || {
        matches!(ptt.set(true), Err(HwError::Missing { .. }))
    });
    site.air.put_back();
    site.air.put_back_wires();
    assert!(BenchCapture::open(&site.path).is_ok());
    assert!(BenchPtt::open(&site.path).is_ok());
}

#[test]
fn garbage_and_crowds_do_not_end_a_radio() {
    use std::io::Write;
    let site = site();
    for message in [&b"x"[..], b"hello", &[0; 2000]] {
        let mut socket = wire::connected(&site.path).unwrap();
        socket.write_all(message).unwrap();
    }
    {
        let mut socket = wire::connected(&site.path).unwrap();
        socket.write_all(&[wire::Kind::Playback as u8]).unwrap();
        for _ in 0..100 {
            if socket.write_all(&[0; wire::TO_PLAY]).is_err() {
                break;
            }
        }
    }
    let crowd: Vec<_> = (0..40).map(|_| wire::connected(&site.path)).collect();
    drop(crowd);
    soon("it is there", || BenchPtt::open(&site.path).is_ok());
}

#[test]
fn a_radio_that_is_gone_is_missing() {
    let site = site();
    let path = site.path.clone();
    let mut carrier = BenchCarrier::open(&path).unwrap();
    drop(site.air);
    soon("it is missing", || {
        matches!(carrier.is_up(), Err(HwError::Missing { .. }))
    });
    assert!(matches!(
        BenchPtt::open(&path),
        Err(HwError::Missing { .. })
    ));
}
