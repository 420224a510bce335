//! A transmitter's thread against a simulated card.

use std::f32::consts::TAU;
use std::sync::mpsc::{SyncSender, sync_channel};

use pttd_core::ids::{RadioId, RouteId};
use pttd_core::media::Packet;
use pttd_core::radio::gate::FRAME;
use pttd_hw::bench::Air;
use tokio::sync::mpsc;

use super::*;
use crate::config::Settings;
use crate::radio::codec::Encoder;
use crate::radio::thread::Running;

const MS: Duration = Duration::from_millis(1);

struct Rig {
    _thread: Running,
    air: Air,
    orders: SyncSender<Order>,
    taps: SyncSender<Tap>,
    events: mpsc::Receiver<(RadioId, Event)>,
    keyer: Arc<Keyer>,
    gauges: Arc<Gauges>,
    _dir: tempfile::TempDir,
}

impl Rig {
    fn new() -> Rig {
        let dir = tempfile::tempdir().unwrap();
        let air = Air::listen(&dir.path().join("air")).unwrap();
        let text = format!(
            "[[radio]]\nid = 'hall'\nchannel = 'ops'\nsound = 'bench:{}'\n",
            air.path().display()
        );
        let settings: Settings = toml::from_str(&text).unwrap();
        let plan = Arc::new(Plan::of_all(&settings).remove(0));
        let gauges = Arc::<Gauges>::default();
        let keyer = Arc::new(Keyer::new("hall", None));
        let (events_in, events) = mpsc::channel(64);
        let teller = Teller::new(RadioId(0), events_in, Arc::default(), gauges.clone());
        let (orders, orders_out) = sync_channel(64);
        let (taps, taps_out) = sync_channel(TAPS);
        let part = Transmitting::new(
            plan,
            orders_out,
            taps_out,
            teller,
            keyer.clone(),
            gauges.clone(),
            None,
        );
        Rig {
            _thread: Running::start("hall", part).unwrap(),
            air,
            orders,
            taps,
            events,
            keyer,
            gauges,
            _dir: dir,
        }
    }

    fn next(&mut self) -> Event {
        self.events.blocking_recv().unwrap().1
    }

    /// So many frames of 20 ms of a tone, as they come from a talker who began long ago.
    fn talks(&self, transmission: TransmissionId, frames: usize) {
        self.talked(transmission, frames, Instant::now());
    }

    fn talked(&self, transmission: TransmissionId, frames: usize, at: Instant) {
        let mut encoder = Encoder::new(5, 24_000).unwrap();
        for n in 0..frames {
            let tone = |i| 0.3 * (TAU * 1000.0 * (n * FRAME + i) as f32 / 48_000.0).sin();
            let frame: [f32; FRAME] = std::array::from_fn(tone);
            let packet = Packet {
                seq: n as u64,
                time: (n * FRAME) as u32,
                marker: n == 0,
                level: None,
                payload: encoder.encode(&frame).unwrap(),
            };
            let tap = Tap {
                route: RouteId(1),
                transmission,
                packet,
                at,
            };
            self.taps.send(tap).unwrap();
        }
    }
}

const READY: Event = Event::Ready {
    receiver: false,
    transmitter: true,
};

#[test]
fn speech_is_held_back_for_the_lead_and_it_is_told_when_the_last_of_it_has_left_the_card() {
    let mut rig = Rig::new();
    assert_eq!(rig.next(), READY);
    rig.air.heard();
    let not_before = Instant::now() + 200 * MS;
    let transmission = TransmissionId(7);
    // Packets may overtake the order.
    rig.talks(transmission, 25);
    let play = Order::Play {
        transmission,
        not_before,
    };
    rig.orders.send(play).unwrap();
    rig.orders.send(Order::EndPlay).unwrap();
    let Event::Drained { at } = rig.next() else {
        panic!("drained");
    };
    let heard = rig.air.heard();
    let loud = heard
        .iter()
        .filter(|period| period.samples.iter().any(|s| s.abs() > 0.02));
    let loud: Vec<_> = loud.map(|period| period.at).collect();
    assert!(
        loud[0] >= not_before,
        "{:?} too early",
        not_before - loud[0]
    );
    assert!(loud.len() >= 45, "{} of 50 periods", loud.len());
    let last = *loud.last().unwrap() + 10 * MS;
    assert!(at + 15 * MS >= last, "{:?} too early", last - at);
    assert!(Instant::now() >= at);
}

#[test]
fn what_has_gathered_while_a_talk_was_not_to_be_sent_is_not_sent_late() {
    let mut rig = Rig::new();
    assert_eq!(rig.next(), READY);
    rig.air.heard();
    let transmission = TransmissionId(7);
    let now = Instant::now();
    rig.talked(transmission, 25, now - 300 * MS);
    // They are there before the order.
    let mut taken = 0;
    while taken < 5 {
        taken += rig.air.heard().len();
        std::thread::sleep(MS);
    }
    let play = Order::Play {
        transmission,
        not_before: now,
    };
    rig.orders.send(play).unwrap();
    rig.orders.send(Order::EndPlay).unwrap();
    assert!(matches!(rig.next(), Event::Drained { .. }));
    let heard = rig.air.heard();
    let loud = |s: &f32| s.abs() > 0.02;
    assert!(!heard.iter().any(|period| period.samples.iter().any(loud)));
}

#[test]
fn a_card_that_is_pulled_is_told_and_found_again_and_nothing_is_keyed_meanwhile() {
    let mut rig = Rig::new();
    assert_eq!(rig.next(), READY);
    let keyed = |rig: &Rig| rig.keyer.keyed(Instant::now()).keyed;
    let wait = |rig: &Rig, is: bool| {
        let patience = Instant::now() + Duration::from_secs(5);
        while keyed(rig) != is {
            let now = Instant::now();
            rig.keyer.key(now + 200 * MS, now);
            assert!(Instant::now() < patience, "keyed: {}", !is);
            std::thread::sleep(MS);
        }
    };
    wait(&rig, true);
    rig.air.pull();
    let gone = Event::Ready {
        receiver: false,
        transmitter: false,
    };
    assert_eq!(rig.next(), gone);
    let now = Instant::now();
    rig.keyer.key(now + 200 * MS, now);
    assert!(!keyed(&rig));
    assert!(rig.gauges.tx.problem().is_some());
    rig.air.put_back();
    assert_eq!(rig.next(), READY);
    assert!(rig.gauges.tx.problem().is_none());
}
