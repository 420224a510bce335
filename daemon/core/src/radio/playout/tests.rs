use proptest::prelude::*;

use super::*;
use crate::radio::signals::Noise;

/// TOCs of SILK: 10, 20, 40 and 60 ms.
const TOCS: [(u8, i64); 4] = [(0, 480), (8, 960), (16, 1920), (24, 2880)];

fn packet(seq: u64, time: u32, toc: u8) -> Packet {
    Packet {
        seq,
        time,
        marker: false,
        level: None,
        payload: [&[toc][..], &seq.to_be_bytes()].concat().into(),
    }
}

fn seq_of(payload: &[u8]) -> u64 {
    payload
        .get(1..9)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(1 << 60, u64::from_be_bytes)
}

/// What was heard, a letter and a number a step: `d7` decoded, `r7` recovered from 8, and `c` a concealed period.
struct Rig {
    playout: Playout,
    start: Instant,
    /// Samples since the start.
    now: i64,
    /// Decoded, not yet heard.
    ahead: i64,
    heard: Vec<(char, u64)>,
}

impl Rig {
    fn new(settings: Settings, hold: u64) -> Self {
        Self::after(Adaptation::new(settings), hold)
    }

    fn after(adaptation: Adaptation, hold: u64) -> Self {
        // A test's beginning is as good as any.
        #[expect(
            clippy::disallowed_methods,
            reason = "there is no other way to an Instant"
        )]
        let start = Instant::now();
        let not_before = start + Duration::from_millis(hold);
        Rig {
            playout: Playout::new(adaptation, not_before, start),
            start,
            now: 0,
            ahead: 0,
            heard: Vec::new(),
        }
    }

    fn at(&self, samples: i64) -> Instant {
        self.start + Duration::from_nanos(samples.max(0) as u64 * 62_500 / 3)
    }

    fn push(&mut self, packet: &Packet, came: i64) {
        let came = self.at(came);
        self.playout.push(packet, came);
    }

    /// One period of the card. False: nothing was heard.
    fn period(&mut self) -> bool {
        while self.ahead < PERIOD {
            let now = self.at(self.now);
            match self.playout.step(now, self.ahead as usize) {
                Step::Hold | Step::Drained => break,
                Step::Decode { payload, samples } => {
                    self.heard.push(('d', seq_of(&payload)));
                    self.ahead += samples as i64;
                }
                Step::Recover { next, samples } => {
                    self.heard.push(('r', seq_of(&next) - 1));
                    self.ahead += samples as i64;
                }
                Step::Conceal { samples } => {
                    self.heard.push(('c', samples as u64 / 120));
                    self.ahead += samples as i64;
                }
            }
        }
        self.now += PERIOD;
        let any = self.ahead > 0;
        self.ahead = (self.ahead - PERIOD).max(0);
        any
    }

    /// Feeds what has come by now and plays on until all is drained, or that much time has passed.
    fn play(&mut self, packets: &[(i64, Packet)], until: i64) {
        let mut packets: Vec<_> = packets.iter().collect();
        packets.sort_by_key(|(came, _)| *came);
        let mut packets = packets.into_iter().peekable();
        while self.now < until {
            while let Some((came, packet)) = packets.next_if(|(came, _)| *came <= self.now) {
                self.push(packet, *came);
            }
            if packets.peek().is_none() {
                self.playout.end();
            }
            if !self.period() && packets.peek().is_none() && self.is_drained() {
                return;
            }
        }
    }

    fn is_drained(&self) -> bool {
        self.playout.is_over() && self.ahead == 0
    }

    fn text(&self) -> String {
        let step = |(what, n): &(char, u64)| format!("{what}{n}");
        self.heard.iter().map(step).collect::<Vec<_>>().join(" ")
    }

    fn decoded(&self) -> Vec<u64> {
        let decoded = self.heard.iter().filter(|(what, _)| *what == 'd');
        decoded.map(|(_, seq)| *seq).collect()
    }

    fn concealed(&self) -> u64 {
        let concealed = self.heard.iter().filter(|(what, _)| *what == 'c');
        concealed.map(|(_, quarters)| quarters * 120).sum()
    }
}

const MS: i64 = 48;
const MINUTE: i64 = 60 * SECOND;

/// 20 ms packets with these numbers, each as late as it says, in ms.
fn twenties(late: &[(u64, i64)]) -> Vec<(i64, Packet)> {
    let packet = |(seq, late): &(u64, i64)| {
        let time = *seq as i64 * 960;
        (time + late * MS, packet(*seq, time as u32, 8))
    };
    late.iter().map(packet).collect()
}

#[test]
fn packets_are_played_as_the_table_says() {
    type Row = (&'static str, &'static [(u64, i64)], &'static str);
    let table: [Row; 9] = [
        ("in order", &[(0, 0), (1, 0), (2, 0)], "d0 d1 d2"),
        ("one alone", &[(5, 0)], "d5"),
        (
            "reordered",
            &[(0, 0), (2, 0), (1, 15), (3, 0)],
            "d0 d1 d2 d3",
        ),
        (
            "doubled",
            &[(0, 0), (1, 0), (1, 1), (0, 30), (2, 0)],
            "d0 d1 d2",
        ),
        ("one lost", &[(0, 0), (2, 0), (3, 0)], "d0 r1 d2 d3"),
        (
            "two lost",
            &[(0, 0), (3, 0), (4, 0)],
            // By the time the next one is there, the buffer has run dry for a period.
            "d0 c4 c4 r2 d3 d4",
        ),
        (
            "too late for its turn",
            &[
                (0, 0),
                (1, 0),
                (2, 100),
                (3, 0),
                (4, 0),
                (5, 0),
                (6, 0),
                (7, 0),
                (8, 0),
            ],
            "d0 d1 r2 d3 d4 d5 d6 d7 d8",
        ),
        (
            "all held up",
            &[(0, 0), (1, 0), (2, 60), (3, 40), (4, 20), (5, 0)],
            "d0 d1 c4 c4 c4 c4 d2 d3 d4 d5",
        ),
        ("the last ones lost", &[(0, 0), (1, 0)], "d0 d1"),
    ];
    for (what, packets, heard) in table {
        let mut rig = Rig::new(Settings::default(), 0);
        rig.play(&twenties(packets), SECOND);
        assert_eq!(rig.text(), heard, "{what}");
        assert!(rig.is_drained(), "{what}");
    }
}

#[test]
fn a_silence_of_the_talker_is_no_loss_and_brings_the_depth_back() {
    // Five packets, 400 ms of nothing, and after it numbers go on while time has jumped.
    let at = |seq: u64| seq as i64 * 960 + if seq >= 5 { 400 * MS } else { 0 };
    let packets: Vec<_> = (0..10)
        .map(|seq| (at(seq), packet(seq, at(seq) as u32, 8)))
        .collect();
    let mut rig = Rig::new(Settings::default(), 0);
    rig.play(&packets, 2 * SECOND);
    assert_eq!(rig.decoded(), (0..10).collect::<Vec<_>>());
    assert_eq!(rig.concealed(), 400 * MS as u64, "{}", rig.text());
    let counters = rig.playout.counters();
    assert_eq!((counters.lost, counters.starved), (0, 0), "{counters:?}");
}

#[test]
fn the_lead_holds_speech_back_and_the_depth_stays() {
    let packets = twenties(&(0..200).map(|seq| (seq, 0)).collect::<Vec<_>>());
    for lead in [150, 350, 2000] {
        let mut rig = Rig::new(Settings::default(), lead);
        let mut depths = Vec::new();
        for (came, packet) in &packets {
            rig.push(packet, *came);
            for _ in 0..2 {
                let heard = rig.period();
                assert_eq!(heard, rig.now > lead as i64 * MS, "at {}", rig.now / MS);
                let now = rig.at(rig.now);
                depths.extend(rig.playout.look(now, rig.ahead as usize));
            }
        }
        rig.playout.end();
        while rig.period() {}
        assert_eq!(rig.decoded(), (0..200).collect::<Vec<_>>());
        assert_eq!(rig.concealed(), 0);
        let around = lead as i64 * MS;
        let same = |depth: &Depth| {
            (depth.usual as i64 - around).abs() <= 2 * PERIOD && depth.excess.abs() <= 2 * PERIOD
        };
        assert!(depths.iter().all(same), "{lead}: {depths:?}");
    }
}

#[test]
fn who_lets_go_within_the_lead_is_heard_to_the_end() {
    let mut rig = Rig::new(Settings::default(), 150);
    for (came, packet) in twenties(&[(0, 0), (1, 0), (2, 0)]) {
        rig.push(&packet, came);
    }
    rig.playout.end();
    let heard: Vec<_> = (0..25).map(|_| rig.period()).collect();
    assert_eq!(heard.iter().position(|heard| *heard), Some(15));
    assert_eq!(rig.text(), "d0 d1 d2");
    let mut rig = Rig::new(Settings::default(), 150);
    rig.playout.end();
    assert!(rig.is_drained(), "nothing was said, nothing is waited for");
}

#[test]
fn depth_goes_up_at_once_and_down_slowly_and_outlives_the_transmission() {
    let target = |rig: &Rig| rig.playout.adaptation().target() / MS;
    let mut rig = Rig::new(Settings::default(), 0);
    assert_eq!(target(&rig), 20);
    rig.play(
        &twenties(&[(0, 0), (1, 0), (2, 70), (3, 50), (4, 0)]),
        SECOND,
    );
    assert!((78..=80).contains(&target(&rig)), "{}", target(&rig));
    let before = rig.playout.adaptation();
    let mut rig = Rig::after(before, 0);
    let calm: Vec<_> = (0..50 * 4).map(|seq| (seq, 0)).collect();
    rig.play(&twenties(&calm), MINUTE);
    assert_eq!(rig.concealed(), 0);
    assert!((58..=62).contains(&target(&rig)), "{}", target(&rig));
    let mut rig = Rig::after(before, 0);
    let calm: Vec<_> = (0..50 * 60).map(|seq| (seq, 0)).collect();
    rig.play(&twenties(&calm), 2 * MINUTE);
    assert_eq!(target(&rig), 20);
}

#[test]
fn one_packet_150_ms_late_costs_nothing_any_more_after_half_a_minute() {
    let target = |rig: &Rig| rig.playout.adaptation().target() / MS;
    let talk = |seconds: u64| {
        let mut late: Vec<_> = (0..50 * seconds).map(|seq| (seq, 0)).collect();
        late[10].1 = 150;
        twenties(&late)
    };
    let mut rig = Rig::new(Settings::default(), 0);
    rig.play(&talk(1), MINUTE);
    assert!((150..=160).contains(&target(&rig)), "{}", target(&rig));
    let mut rig = Rig::new(Settings::default(), 0);
    rig.play(&talk(31), MINUTE);
    assert_eq!(target(&rig), 20);
}

#[test]
fn a_network_that_stops_for_long_costs_no_more_than_a_second_of_depth() {
    for stopped in [300, 900, 2_000, 10_000] {
        let mut late: Vec<_> = (0..3000).map(|seq| (seq, 0)).collect();
        for (seq, late) in late.iter_mut().skip(100) {
            *late = (stopped - (*seq as i64 - 100) * 20).max(0);
        }
        let mut rig = Rig::new(Settings::default(), 0);
        let mut deepest = 0;
        let mut packets = twenties(&late).into_iter().peekable();
        while packets.peek().is_some() {
            while let Some((came, packet)) = packets.next_if(|(came, _)| *came <= rig.now) {
                rig.push(&packet, came);
            }
            rig.period();
            let now = rig.at(rig.now);
            let depth = rig.playout.look(now, rig.ahead as usize);
            deepest = deepest.max(depth.map_or(0, |depth| depth.usual as i64));
        }
        rig.playout.end();
        while rig.period() {}
        assert!(deepest < 1_300 * MS, "{stopped}: {}", deepest / MS);
        let decoded = rig.decoded();
        assert!(decoded.is_sorted(), "{stopped}: {decoded:?}");
        let unheard = 3000 - decoded.len() as i64;
        assert!(
            unheard * 20 <= (stopped - 700).max(0),
            "{stopped}: {unheard}"
        );
    }
}

#[test]
fn times_that_begin_anew_lose_nothing() {
    for jump in [
        i64::from(u32::MAX / 3),
        -30 * MS,
        -10 * SECOND,
        20 * SECOND,
        5,
    ] {
        let mut packets = twenties(&(0..100).map(|seq| (seq, 0)).collect::<Vec<_>>());
        for (_, packet) in &mut packets[50..] {
            packet.time = packet.time.wrapping_add(jump as u32);
        }
        let mut rig = Rig::new(Settings::default(), 0);
        rig.play(&packets, 10 * SECOND);
        assert_eq!(rig.decoded(), (0..100).collect::<Vec<_>>(), "{jump}");
        assert!(rig.concealed() < 1000, "{jump}: {}", rig.concealed());
    }
}

#[test]
fn what_no_decoder_takes_is_counted() {
    let mut rig = Rig::new(Settings::default(), 0);
    let now = rig.start;
    for payload in [&[][..], &[3], &[8 | 3, 0], &[1; 1500]] {
        let packet = Packet {
            payload: payload.into(),
            ..packet(1, 0, 8)
        };
        rig.playout.push(&packet, now);
    }
    assert_eq!(rig.playout.counters().undecodable, 4);
}

#[test]
fn an_hour_of_loss_and_jitter_does_not_make_it_deeper() {
    let mut noise = Noise(11);
    let mut rig = Rig::new(Settings::default(), 0);
    let mut deepest_of_the_last_minute = 0;
    for seq in 0..180_000u64 {
        let time = seq as i64 * 960;
        while rig.now < time {
            rig.period();
            let now = rig.at(rig.now);
            let depth = rig.playout.look(now, rig.ahead as usize);
            if seq > 177_000 {
                deepest_of_the_last_minute = depth
                    .map_or(0, |depth| depth.usual as i64)
                    .max(deepest_of_the_last_minute);
            }
        }
        if noise.next() < 0.9 {
            let late = (noise.next().abs() * 15.0 * MS as f32) as i64;
            rig.push(&packet(seq, time as u32, 8), time + late);
        }
        rig.heard.clear();
    }
    assert!(
        deepest_of_the_last_minute < 250 * MS,
        "{}",
        deepest_of_the_last_minute / MS
    );
    assert!(rig.playout.packets.len() < 20);
}

fn any_settings() -> impl Strategy<Value = Settings> {
    (20u64..=100, 0u64..=100).prop_map(|(min, more)| Settings {
        min: Duration::from_millis(min),
        max: Duration::from_millis(min + more),
    })
}

proptest! {
    /// The listener's promise. A packet is fetched up to a period before it is heard: that is left of the target.
    #[test]
    fn in_order_arrival_within_the_target_is_heard_whole_once_and_without_a_gap(
        settings in any_settings(),
        kind in 0usize..4,
        jitter in prop::collection::vec(0f64..1.0, 1..200),
        hold in 0u64..400,
        first in any::<u32>(),
    ) {
        let (toc, length) = TOCS[kind];
        let allowed = (samples(settings.min) - PERIOD) as f64;
        let mut last = 0;
        let packets: Vec<_> = jitter.iter().enumerate().map(|(n, jitter)| {
            let time = n as i64 * length;
            last = last.max(time + (jitter * allowed) as i64);
            let rtp = first.wrapping_add(time as u32);
            (last, packet(n as u64 + 7, rtp, toc))
        }).collect();
        let mut rig = Rig::new(settings, hold);
        rig.play(&packets, MINUTE);
        let all: Vec<_> = (7..7 + packets.len() as u64).map(|seq| ('d', seq)).collect();
        prop_assert_eq!(&rig.heard, &all);
        prop_assert!(rig.is_drained());
        let counters = rig.playout.counters();
        prop_assert_eq!(counters, Counters { played: all.len() as u64, ..Counters::default() });
    }

    /// Whatever the network does: order is kept, nothing is heard twice, every period has sound until it is
    /// drained, and what is kept is bounded.
    #[test]
    fn no_network_makes_it_panic_grow_or_repeat(
        kind in 0usize..4,
        fates in prop::collection::vec((0u8..20, 0i64..400, any::<u32>()), 1..300),
        hold in 0u64..2000,
    ) {
        let (toc, length) = TOCS[kind];
        let mut time = 0i64;
        let mut packets = Vec::new();
        for (seq, &(fate, late, wild)) in fates.iter().enumerate() {
            let seq = seq as u64;
            let fine = packet(seq, time as u32, toc);
            match fate {
                0 | 1 => {}
                2 => packets.push((time + late * MS, fine)),
                3 => packets.extend([(time, fine.clone()), (time + late * MS, fine)]),
                4 => packets.push((time, packet(seq, wild, toc))),
                5 => packets.push((time, packet(u64::from(wild) << 16, wild, toc))),
                6 => packets.push((time, Packet { payload: [&[wild as u8][..], &seq.to_be_bytes()].concat().into(), ..fine })),
                7 => time += late * MS,
                8 => packets.push((time, packet(seq, (time as u32).wrapping_add(wild % 4800), toc))),
                _ => packets.push((time + late % 15 * MS, fine)),
            }
            time += length;
        }
        packets.sort_by_key(|(came, _)| *came);
        let mut rig = Rig::new(Settings::default(), hold);
        let mut begun = false;
        for (came, packet) in packets {
            while rig.now < came {
                let heard = rig.period();
                prop_assert!(heard || !begun, "a gap at {}", rig.now);
                begun |= heard;
            }
            rig.push(&packet, came);
            let first = rig.playout.packets.first_key_value().map_or(0, |(time, _)| *time);
            let last = rig.playout.packets.last_key_value().map_or(0, |(time, _)| *time);
            prop_assert!(last - first <= LONGEST, "{} ms are kept", (last - first) / MS);
        }
        rig.playout.end();
        let left = rig.now;
        while rig.period() || !rig.is_drained() {
            prop_assert!(rig.now - left < 10 * SECOND, "it is never drained");
        }
        let mut heard: Vec<_> = rig.heard.iter().filter(|(what, _)| *what != 'c').map(|(_, seq)| *seq).collect();
        // Where numbers began anew, an old packet is as good as a new one.
        let length = heard.len();
        heard.sort_unstable();
        heard.dedup();
        let anew = fates.iter().any(|(fate, ..)| *fate == 5);
        prop_assert!(anew || length == heard.len(), "heard twice: {:?}", rig.text());
    }
}
