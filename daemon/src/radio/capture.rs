//! The thread of a receiver or a microphone: from the sound card and the carrier line to packets.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Instant;

use anyhow::{Context, Result};
use pttd_core::ids::{RouteId, TransportId};
use pttd_core::media::{FanOut, Packet};
use pttd_core::radio::chain::RxChain;
use pttd_core::radio::gate::{Gate, Step};
use pttd_core::radio::vox::Vox;
use pttd_core::radio::{Event, Order};
use pttd_hw::{Capture, Carrier, HwError, Inputs, PERIOD, open_capture, open_carrier};

use super::codec::Encoder;
use super::door::{Teller, ToReceiver};
use super::gauges::Gauges;
use super::guardian_link::Link;
use super::plan::Plan;
use super::thread::{Pace, Part, STILL};
use crate::media::FanOuts;

pub struct Receiving {
    plan: Arc<Plan>,
    orders: Receiver<ToReceiver>,
    teller: Teller,
    fan_outs: FanOuts,
    gauges: Arc<Gauges>,
    link: Arc<Link>,
    place: Option<(TransportId, RouteId)>,
    /// Goes on when the card is opened anew, as whoever listens expects.
    seq: u64,
}

/// All that ends when the card is pulled.
struct Open {
    capture: Box<dyn Capture>,
    carrier: Box<dyn Carrier>,
    chain: RxChain,
    vox: Vox,
    gate: Gate,
    encoder: Encoder,
    /// What was told of the carrier, and at which `readies`.
    told: Option<(bool, u64)>,
    before: Counted,
}

/// What was counted before the card was opened.
struct Counted {
    xruns: u64,
    clips: u64,
    garbage: u64,
    skipped: u64,
}

impl Receiving {
    pub fn new(
        plan: Arc<Plan>,
        orders: Receiver<ToReceiver>,
        teller: Teller,
        fan_outs: FanOuts,
        gauges: Arc<Gauges>,
        link: Arc<Link>,
    ) -> Receiving {
        Receiving {
            plan,
            orders,
            teller,
            fan_outs,
            gauges,
            link,
            place: None,
            seq: 0,
        }
    }

    fn open(&self) -> Result<Open> {
        let plan = &self.plan;
        let encoder = Encoder::new(plan.complexity, plan.bitrate).context("starting Opus")?;
        let gauges = self.gauges.clone();
        let link = self.link.clone();
        let inputs = Inputs {
            vox: Arc::new(move || gauges.vox.load(Ordering::Relaxed)),
            serial: Arc::new(move |port: &Path| link.serial(port)),
            sound: plan.sound.clone(),
            debounce: plan.edge.squelch.debounce,
        };
        let rx = &self.gauges.rx;
        Ok(Open {
            capture: open_capture(&plan.sound, plan.side, plan.capture_db)?,
            carrier: open_carrier(&plan.carrier, &inputs)?,
            chain: RxChain::new(plan.de_emphasis, plan.voice_band),
            vox: Vox::new(plan.vox_threshold, plan.vox_attack),
            gate: Gate::new(),
            encoder,
            told: None,
            before: Counted {
                xruns: rx.xruns.load(Ordering::Relaxed),
                clips: rx.clips.load(Ordering::Relaxed),
                garbage: self.gauges.garbage.load(Ordering::Relaxed),
                skipped: self.gauges.frames_skipped.load(Ordering::Relaxed),
            },
        })
    }

    fn receive(&mut self, open: &mut Open, stop: &AtomicBool) -> Result<()> {
        let mut period = [0.0; PERIOD];
        let mut still = 0;
        let mut pace = Pace::new(Instant::now());
        while !stop.load(Ordering::Relaxed) {
            match open.capture.read(&mut period) {
                Ok(()) => still = 0,
                Err(HwError::TimedOut { .. }) if still < STILL => {
                    still += 1;
                    self.carry_out(Some(open));
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            let now = Instant::now();
            pace.step(now)?;
            open.chain.process(&mut period);
            let loud = open.vox.hears(&period);
            self.gauges.vox.store(loud, Ordering::Relaxed);
            open.gate.push(&period, now);
            self.look(open, now)?;
            self.carry_out(Some(open));
            self.send(open)?;
            self.teller.flush();
            self.show(open);
        }
        Ok(())
    }

    /// What the detectors say: told when it changes, and after each `Ready`.
    fn look(&mut self, open: &mut Open, now: Instant) -> Result<()> {
        let up = open.carrier.is_up()?;
        self.gauges.carrier.store(up, Ordering::Relaxed);
        let seen = Some((up, self.gauges.readies.load(Ordering::Relaxed)));
        if open.told != seen {
            open.told = seen;
            // Where the kernel has waited before it told, the squelch has so much less to wait.
            let at = now.checked_sub(open.carrier.debounced()).unwrap_or(now);
            self.teller.tell(Event::Carrier { up, at });
        }
        Ok(())
    }

    fn carry_out(&mut self, open: Option<&mut Open>) {
        let mut open = open;
        while let Ok(order) = self.orders.try_recv() {
            match (order, &mut open) {
                (ToReceiver::Place { transport, route }, _) => {
                    self.place = route.map(|route| (transport, route));
                }
                (ToReceiver::Order(Order::Receive { from, delayed, .. }), Some(open)) => {
                    open.gate.begin(from, delayed);
                }
                (ToReceiver::Order(Order::StopReceiving { until }), Some(open)) => {
                    open.gate.end(until);
                }
                // Without a card there is nothing to send; others are for the transmitter.
                (ToReceiver::Order(_), _) => {}
            }
        }
    }

    fn send(&mut self, open: &mut Open) -> Result<()> {
        while let Step::Frame(frame) = open.gate.poll() {
            if frame.first {
                open.encoder.reset().context("resetting Opus")?;
            }
            let payload = open.encoder.encode(frame.samples).context("encoding")?;
            let packet = Packet {
                seq: self.seq,
                time: frame.time,
                marker: frame.first,
                level: Some(frame.level),
                payload,
            };
            self.seq += 1;
            let Some((talker, route)) = self.place else {
                continue;
            };
            let dropped = self.fan_outs.give(FanOut {
                route,
                talker,
                packet,
                home: true,
            });
            let counted = &self.gauges.packets_dropped;
            counted.fetch_add(dropped, Ordering::Relaxed);
        }
        Ok(())
    }

    fn show(&self, open: &Open) {
        let (gauges, before) = (&self.gauges, &open.before);
        gauges.rx.show(open.chain.meter(), before.clips);
        let xruns = before.xruns + open.capture.xruns();
        gauges.rx.xruns.store(xruns, Ordering::Relaxed);
        let garbage = before.garbage + open.carrier.garbage();
        gauges.garbage.store(garbage, Ordering::Relaxed);
        let skipped = before.skipped + open.gate.skipped();
        gauges.frames_skipped.store(skipped, Ordering::Relaxed);
    }
}

impl Part for Receiving {
    const NAME: &'static str = "receiver";

    /// As long as all is there.
    fn work(&mut self, stop: &AtomicBool) -> Result<()> {
        let mut open = self.open()?;
        if self.gauges.rx.set_problem(None) {
            tracing::info!(radio = self.plan.id(), "the receiver is there");
        }
        self.teller.receiver_is(true);
        self.receive(&mut open, stop)
    }

    fn rest(&mut self) {
        self.carry_out(None);
        self.teller.flush();
    }

    fn lost(&mut self, why: Option<String>) {
        let gauges = &self.gauges;
        gauges.rx.silent();
        gauges.carrier.store(false, Ordering::Relaxed);
        gauges.vox.store(false, Ordering::Relaxed);
        if let Some(why) = why
            && gauges.rx.set_problem(Some(why.clone()))
        {
            tracing::warn!(radio = self.plan.id(), why, "the receiver does not work");
        }
        self.teller.receiver_is(false);
    }

    fn panicked(&mut self) {
        self.gauges.rx.panics.fetch_add(1, Ordering::Relaxed);
    }
}
