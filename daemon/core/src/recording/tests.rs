use std::time::Duration;

use proptest::prelude::*;

use super::opus::{filler, samples};
use super::*;
use crate::authority::{Channel, Record, Roster};
use crate::media::Packet;

const MS: u64 = SAMPLES_PER_MS;
/// 20 ms of SILK, wide band, one frame.
const TOC: u8 = 9 << 3;

fn packet(seq: u64, time: u32, payload: &[u8]) -> Packet {
    Packet {
        seq,
        time,
        marker: false,
        level: None,
        payload: payload.into(),
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// What is in the file, as (kind, end in samples): `.` for a filler, `x` for a packet.
fn file(timeline: &mut Timeline) -> Vec<(char, u64)> {
    let kind = |frame: &Frame| if frame.payload.len() == 1 { '.' } else { 'x' };
    std::iter::from_fn(|| timeline.poll_frame())
        .map(|frame| (kind(&frame), frame.granule))
        .collect()
}

#[test]
fn a_packet_tells_how_long_it_is_unless_no_decoder_would_take_it() {
    let long = vec![0; 1277];
    for (payload, expected) in [
        (&[][..], None),
        (&[TOC], Some(960)),
        (&[TOC, 1, 2, 3], Some(960)),
        (&[8 << 3, 1], Some(480)),
        (&[11 << 3, 1], Some(2880)),
        (&[14 << 3, 1], Some(480)),
        (&[28 << 3, 1], Some(120)),
        (&long, None),
        (&[TOC | 1, 7, 7], Some(1920)),
        (&[TOC | 1, 7], None),
        (&[TOC | 2, 1, 7, 7, 7], Some(1920)),
        (&[TOC | 2, 4, 7], None),
        (&[TOC | 3, 3, 7, 7, 7], Some(2880)),
        (&[TOC | 3, 3, 7, 7], None),
        (&[TOC | 3, 0], None),
        (&[TOC | 3, 7], None),
        (&[TOC | 3, 0x80 | 2, 1, 7, 7], Some(1920)),
        (&[TOC | 3, 0x80 | 2, 9, 7], None),
        (&[TOC | 3, 0x40 | 1, 2, 7, 0, 0], Some(960)),
        (&[TOC | 3, 0x40 | 1, 9, 7], None),
    ] {
        assert_eq!(samples(payload), expected, "{payload:?}");
    }
}

#[test]
fn a_filler_is_of_the_talkers_kind_and_never_longer_than_the_gap() {
    for config in 0..32u8 {
        for gap in [0, 119, 120, 240, 479, 480, 960, 48_000] {
            match filler(config << 3 | 4, gap) {
                Some((toc, filled)) => {
                    assert_eq!(samples(&[toc]), Some(filled));
                    assert!(filled <= gap && toc & 7 == 4, "{config} {gap}");
                    assert!(gap < 960 || filled == 960 || config == 28, "{config} {gap}");
                }
                None => assert!(gap < 120),
            }
        }
    }
}

#[test]
fn what_is_missing_is_filled_and_the_file_lasts_as_long_as_the_talk() {
    /// Number, RTP time, came at ms.
    type Arrivals = &'static [(u64, u32, u64)];
    let table: [(&str, Arrivals, u64, &str); 5] = [
        (
            "whole",
            &[(1, 0, 0), (2, 960, 20), (3, 1920, 40)],
            50,
            "xxx",
        ),
        ("one lost", &[(1, 0, 0), (3, 1920, 40)], 50, "x.x"),
        (
            "one late",
            &[(1, 0, 0), (3, 1920, 40), (2, 960, 41)],
            50,
            "xxx",
        ),
        ("a slow beginning", &[(1, 77, 60)], 79, "...x.."),
        ("a sudden end", &[(1, 0, 0)], 55, "x..."),
    ];
    for (what, packets, lasts, expected) in table {
        let mut timeline = Timeline::default();
        for (seq, time, at) in packets {
            timeline.push(&packet(*seq, *time, &[TOC, 1, 2]), ms(*at));
        }
        timeline.finish(ms(lasts));
        let file = file(&mut timeline);
        let kinds: String = file.iter().map(|(kind, _)| kind).collect();
        assert_eq!(
            kinds.trim_end_matches('.'),
            expected.trim_end_matches('.'),
            "{what}"
        );
        assert_eq!(file.last().expect("a frame").1, lasts * MS + 312, "{what}");
    }
}

#[test]
fn a_talker_who_connects_again_goes_on_where_the_talk_is() {
    let mut timeline = Timeline::default();
    timeline.push(&packet(10, 500, &[TOC, 1]), ms(0));
    let place = timeline.push(&packet(70_000, 3_000_000_000, &[TOC, 1]), ms(2000));
    assert_eq!(place, Some(2000));
    timeline.finish(ms(2020));
    let file = file(&mut timeline);
    assert_eq!(file.iter().filter(|(kind, _)| *kind == 'x').count(), 2);
    assert_eq!(file.last().expect("a frame").1, 2020 * MS + 312);
}

/// What became of packets of 20 ms, (sent at, came at) in ms, numbered as they were sent: the file, how many were
/// refused.
fn heard(packets: &[(u64, u64)], lasts: u64) -> (String, u64) {
    let mut timeline = Timeline::default();
    let mut file = Vec::new();
    for (sent, came) in packets {
        let packet = packet(sent / 20, (sent * MS) as u32, &[TOC, 1, 2]);
        timeline.push(&packet, ms(*came));
        file.extend(self::file(&mut timeline));
    }
    timeline.finish(ms(lasts));
    file.extend(self::file(&mut timeline));
    let kinds = file.iter().map(|(kind, _)| kind).collect::<String>();
    (kinds.trim_end_matches('.').to_string(), timeline.refused())
}

#[test]
fn a_first_packet_that_came_late_shifts_nothing() {
    for stalled in [0, 40, 300, 1500, 2900] {
        let packets: Vec<_> = (0..200).map(|n| (n * 20, (n * 20).max(stalled))).collect();
        assert_eq!(heard(&packets, 4000), ("x".repeat(200), 0), "{stalled}");
    }
    let late: Vec<_> = (0..200).map(|n| (n * 20, n * 20 + 500)).collect();
    let (file, refused) = heard(&late, 4490);
    assert_eq!(
        (file.matches('x').count(), refused),
        (200, 0),
        "late as they came"
    );
}

#[test]
fn a_talker_who_makes_up_their_time_is_heard_nevertheless() {
    for jump in [2_900, 1_000, 100, -900, -1_500, -2_900] {
        for after in [1, 20, 100] {
            let mut timeline = Timeline::default();
            for n in 0..200u64 {
                let jumps = (n / after).cast_signed() * jump;
                let time = ((n * 20).cast_signed() + jumps) * 48;
                timeline.push(&packet(n, time as u32, &[TOC, 1]), ms(n * 20));
            }
            timeline.finish(ms(4000));
            let heard = file(&mut timeline)
                .iter()
                .filter(|(kind, _)| *kind == 'x')
                .count() as u64;
            assert_eq!(heard + timeline.refused(), 200, "{jump} after {after}");
            assert!(after == 1 || heard >= 100, "{jump} after {after}: {heard}");
        }
    }
}

#[test]
fn too_many_at_once_are_refused_and_those_after_them_are_heard() {
    let mut timeline = Timeline::default();
    for n in 0..700 {
        timeline.push(&packet(n, n as u32 * 48, &[TOC, 1]), ms(0));
    }
    assert_eq!(timeline.refused(), 100);
    let place = timeline.push(&packet(900, 3000 * 48, &[TOC, 1]), ms(3000));
    assert!(place.is_some());
}

#[test]
fn nothing_is_held_back_longer_than_a_second() {
    let mut timeline = Timeline::default();
    for n in 0..100 {
        timeline.push(&packet(n, n as u32 * 960, &[TOC, 1]), ms(n * 20));
    }
    assert!((45..=50).contains(&file(&mut timeline).len()));
}

#[test]
fn the_picture_shows_where_it_was_loud() {
    let mut waveform = Waveform::default();
    waveform.note(0, Some(-60), 50);
    waveform.note(150, Some(0), 50);
    waveform.note(210, None, 1000);
    waveform.note(290, Some(-30), 3);
    waveform.note(310, Some(-30), 3);
    assert_eq!(waveform.columns(500), [0, 255, 255, 127, 0]);
    let mut long = Waveform::default();
    long.note(59_950, Some(0), 50);
    let columns = long.columns(60_000);
    assert_eq!((columns.len(), columns[98], columns[99]), (100, 0, 255));
    assert_eq!(Waveform::default().columns(0), [0]);
}

fn recording(id: u64, channel: &str, began: u64, bytes: u64) -> Kept {
    Kept {
        transmission: TransmissionId(id),
        channel: channel.into(),
        began,
        ended: began + 1000,
        ended_monotonic: None,
        bytes,
    }
}

fn roster(channels: &[(&str, Record)]) -> Roster {
    let channel = |(id, record): &(&str, Record)| {
        let channel = Channel {
            record: *record,
            ..Channel::default()
        };
        ((*id).into(), channel)
    };
    Roster {
        channels: channels.iter().map(channel).collect(),
        ..Roster::default()
    }
}

fn clocks(utc_ms: u64) -> Clocks {
    Clocks {
        utc_ms,
        monotonic_ms: 0,
    }
}

/// The ids of what goes.
fn gone(kept: &[Kept], roster: &Roster, clocks: Clocks, room: Room) -> Vec<u64> {
    let mut oldest_first: Vec<&Kept> = kept.iter().collect();
    oldest_first.sort_by_key(|kept| (kept.began, kept.transmission));
    let go = surplus(oldest_first.into_iter(), roster, clocks, room);
    go.iter().map(|kept| kept.transmission.0).collect()
}

const PLENTY: Room = Room {
    max: u64::MAX,
    keep_free: 0,
    free: 0,
};

#[test]
fn what_is_older_than_its_channel_keeps_goes_oldest_first() {
    let roster = roster(&[
        ("off", Record::Off),
        ("short", Record::Minutes(2)),
        ("long", Record::Days(1)),
    ]);
    let kept = [
        recording(5, "off", 100_000, 1),
        recording(4, "short", 100_000, 1),
        recording(3, "long", 100_000, 1),
        recording(2, "gone", 100_000, 1),
    ];
    let gone_at = |utc_ms| gone(&kept, &roster, clocks(utc_ms), PLENTY);
    assert_eq!(
        gone_at(100_000),
        [2, 5],
        "their channels keep nothing, or are gone"
    );
    assert_eq!(gone_at(220_999), [2, 5]);
    assert_eq!(gone_at(221_000), [2, 4, 5]);
    assert_eq!(gone_at(101_000 + 24 * 3_600_000), [2, 3, 4, 5]);
}

#[test]
fn a_clock_that_is_set_forward_takes_nothing_that_was_said_since_the_machine_was_switched_on() {
    let roster = roster(&[("ops", Record::Minutes(1))]);
    let made = Recording {
        transmission: TransmissionId(1),
        channel: "ops".into(),
        channel_name: String::new(),
        user: "ben".into(),
        name: String::new(),
        level: Level::Normal,
        began: 1000,
        monotonic: 500_000,
        boot: "this one".into(),
        duration_ms: 2000,
        reason: EndReason::Released,
        file: String::new(),
        bytes: 100,
        sha256: String::new(),
        complete: true,
        dropped_packets: 0,
        waveform: Vec::new(),
    };
    let goes = |boot, utc_ms, monotonic_ms| {
        let clocks = Clocks {
            utc_ms,
            monotonic_ms,
        };
        !gone(&[Kept::new(&made, boot)], &roster, clocks, PLENTY).is_empty()
    };
    const A_YEAR: u64 = 365 * 24 * 3_600_000;
    assert!(!goes("this one", A_YEAR, 502_000 + 59_999));
    assert!(goes("this one", A_YEAR, 502_000 + 60_000));
    assert!(goes("another", A_YEAR, 502_000));
    assert!(!goes("another", 62_999, 0));
    assert_eq!(Kept::new(&made, "").bytes, 4096, "as on the disk");
}

#[test]
fn the_oldest_go_until_the_rest_has_room() {
    let roster = roster(&[("ops", Record::Days(1))]);
    let kept = [3, 1, 2, 4].map(|n| recording(n, "ops", n * 1000, 10));
    let gone = |max, keep_free, free| {
        let room = Room {
            max,
            keep_free,
            free,
        };
        gone(&kept, &roster, clocks(5000), room)
    };
    assert_eq!(gone(40, 0, 0).len(), 0);
    assert_eq!(gone(39, 0, 0).len(), 1);
    assert_eq!(gone(40, 100, 75).len(), 3);
    assert_eq!(gone(40, 1000, 0).len(), 4);
    assert_eq!(gone(25, 0, 0), [1, 2]);
}

proptest! {
    #[test]
    fn whatever_the_network_holds_back_at_first_no_packet_of_a_steady_one_is_lost(
        stalled in 0..2_900u64,
        jitter in proptest::collection::vec(0..55u64, 100..300),
        origin in any::<u32>(),
    ) {
        let mut timeline = Timeline::default();
        let mut arrivals: Vec<_> = (0..).zip(&jitter).map(|(n, jitter)| ((n * 20 + jitter).max(stalled), n)).collect();
        arrivals.sort_unstable();
        let mut kept = 0;
        let mut keep = |timeline: &mut Timeline| kept += file(timeline).iter().filter(|(kind, _)| *kind == 'x').count();
        for (at, n) in &arrivals {
            let time = origin.wrapping_add(*n as u32 * 960);
            timeline.push(&packet(*n, time, &[TOC, 1, 2]), ms(*at));
            keep(&mut timeline);
        }
        timeline.finish(ms(arrivals.last().map_or(0, |(at, _)| at + 80)));
        keep(&mut timeline);
        prop_assert_eq!((kept, timeline.refused()), (jitter.len(), 0));
    }
}

prop_compose! {
    /// What a talker's network makes of them: (RTP step in ms, late by ms, lost, payload).
    fn arrivals()(
        steps in proptest::collection::vec(
            (
                prop_oneof![8 => Just(20u64), 1 => Just(400), 1 => 0..5000u64],
                prop_oneof![8 => 0..30u64, 1 => 0..2500u64],
                prop::bool::weighted(0.1),
                prop_oneof![8 => Just(vec![TOC, 1, 2, 3]), 1 => proptest::collection::vec(any::<u8>(), 0..20)],
            ),
            0..200,
        ),
        origin in any::<u32>(),
    ) -> Vec<(Packet, u64)> {
        let (mut arrivals, mut time, mut seq) = (Vec::new(), 0, 5);
        for (step, late, lost, payload) in steps {
            if !lost {
                let rtp = origin.wrapping_add((time * MS) as u32);
                arrivals.push((packet(seq, rtp, &payload), time + late));
            }
            time += step;
            seq += 1;
        }
        arrivals.sort_by_key(|(_, at)| *at);
        arrivals
    }
}

proptest! {
    #[test]
    fn the_file_never_goes_back_and_lasts_exactly_as_long_as_the_talk(arrivals in arrivals(), after in 0..3000u64) {
        let mut timeline = Timeline::default();
        let mut frames = Vec::new();
        for (packet, at) in &arrivals {
            timeline.push(packet, ms(*at));
            frames.extend(std::iter::from_fn(|| timeline.poll_frame()));
            let given = frames.last().map_or(0, |frame| frame.granule);
            prop_assert!(given <= at * MS, "beyond what may be the end");
        }
        let lasts = arrivals.last().map_or(0, |(_, at)| *at) + after;
        timeline.finish(ms(lasts));
        frames.extend(std::iter::from_fn(|| timeline.poll_frame()));
        let mut position = 0;
        for (n, frame) in frames.iter().enumerate() {
            let length = u64::from(samples(&frame.payload).expect("decodable"));
            position += length;
            match n + 1 == frames.len() {
                true => prop_assert!((position - length..=position).contains(&frame.granule)),
                false => prop_assert_eq!(frame.granule, position),
            }
        }
        prop_assert_eq!(frames.last().expect("something").granule, lasts * MS + u64::from(PRE_SKIP));
    }

    #[test]
    fn whatever_is_kept_fits(
        sizes in proptest::collection::vec((0..10_000u64, 0..1000u64), 0..50),
        max in 0..20_000u64,
        keep_free in 0..5000u64,
        free in 0..5000u64,
    ) {
        let roster = roster(&[("ops", Record::Minutes(1))]);
        let kept: Vec<_> = (0..).zip(&sizes).map(|(n, (began, bytes))| recording(n, "ops", *began, *bytes)).collect();
        let go = gone(&kept, &roster, clocks(62_000), Room { max, keep_free, free });
        let stays = |r: &&Kept| !go.contains(&r.transmission.0);
        let taken: u64 = kept.iter().filter(stays).map(|r| r.bytes).sum();
        let freed: u64 = kept.iter().map(|r| r.bytes).sum::<u64>() - taken;
        prop_assert!(taken <= max);
        prop_assert!(free + freed >= keep_free || taken == 0);
        prop_assert!(kept.iter().filter(stays).all(|r| r.ended + 60_000 > 62_000));
    }
}
