//! The thread of a transmitter or a speaker: from packets and tones to the sound card, and proof for the PTT line
//! that sound moves.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use pttd_core::ids::TransmissionId;
use pttd_core::media::Tap;
use pttd_core::radio::chain::TxChain;
use pttd_core::radio::player::{Heard, Player};
use pttd_core::radio::playout::Counters;
use pttd_core::radio::tones::OwnSound;
use pttd_core::radio::{Event, Order, Tone};
use pttd_hw::{HwError, PERIOD, Playback, open_playback};

use super::codec::Decoder;
use super::door::{TAPS, Teller};
use super::gauges::Gauges;
use super::keyer::Keyer;
use super::plan::Plan;
use super::thread::{Pace, Part, STILL};

#[cfg(test)]
mod tests;

/// What the limiter keeps back.
const LIMITER: Duration = Duration::from_millis(2);
/// Packets that were there before the order to play them belong to it. Older ones are of a talk that is under way,
/// and would be said late.
const FRESH: Duration = Duration::from_millis(200);
/// Tones that wait for each other: a courtesy tone, then the identification.
const TONES: usize = 8;

pub struct Transmitting {
    plan: Arc<Plan>,
    orders: Receiver<Order>,
    taps: Receiver<Tap>,
    teller: Teller,
    keyer: Arc<Keyer>,
    gauges: Arc<Gauges>,
    /// The station's name.
    ident: Option<OwnSound>,
}

/// All that ends when the card is pulled.
struct Open {
    playback: Box<dyn Playback>,
    chain: TxChain,
    player: Player<Decoder>,
    /// Whose packets are played.
    transmission: Option<TransmissionId>,
    /// On the air anew in the middle of it: until then silence is sent, and speech waits.
    hold: Option<Instant>,
    /// Packets of a transmission whose order is still on its way.
    early: VecDeque<Tap>,
    /// Of those, the ones that more packets took the place of.
    crowded_out: u64,
    tones: VecDeque<OwnSound>,
    /// A transmission was begun and has not drained yet.
    talks: bool,
    /// Something was to be played, and it has not been told that it was.
    owes: bool,
    /// When the last of it has left the card.
    drained: Option<Instant>,
    played: u64,
    xruns: u64,
    clips: u64,
    /// What was told of packets.
    counted: Counters,
}

impl Transmitting {
    pub fn new(
        plan: Arc<Plan>,
        orders: Receiver<Order>,
        taps: Receiver<Tap>,
        teller: Teller,
        keyer: Arc<Keyer>,
        gauges: Arc<Gauges>,
        ident: Option<OwnSound>,
    ) -> Transmitting {
        Transmitting {
            plan,
            orders,
            taps,
            teller,
            keyer,
            gauges,
            ident,
        }
    }

    fn open(&self) -> Result<Open> {
        let plan = &self.plan;
        let tx = &self.gauges.tx;
        let decoder = Decoder::new().context("starting Opus")?;
        Ok(Open {
            playback: open_playback(&plan.sound, plan.side, plan.playback_db)?,
            chain: TxChain::new(plan.voice_band, plan.pre_emphasis, plan.limiter),
            player: Player::new(decoder, plan.playout),
            transmission: None,
            hold: None,
            early: VecDeque::new(),
            crowded_out: 0,
            tones: VecDeque::new(),
            talks: false,
            owes: false,
            drained: None,
            played: 0,
            xruns: tx.xruns.load(Ordering::Relaxed),
            clips: tx.clips.load(Ordering::Relaxed),
            counted: Counters::default(),
        })
    }

    fn transmit(&mut self, open: &mut Open, stop: &AtomicBool) -> Result<()> {
        let mut period = [0.0; PERIOD];
        let mut still = 0;
        let mut pace = Pace::new(Instant::now());
        while !stop.load(Ordering::Relaxed) {
            let now = Instant::now();
            self.carry_out(open, now);
            open.fill(&mut period, now);
            open.chain.process(&mut period);
            // What the card does not take now is offered again: speech is never dropped.
            loop {
                let written = open.playback.write(&period);
                self.keyer.tick(Instant::now());
                match written {
                    Ok(()) => break,
                    Err(HwError::TimedOut { .. }) if still < STILL => still += 1,
                    Err(error) => return Err(error.into()),
                }
                if stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
            }
            still = 0;
            pace.step(Instant::now())?;
            self.look(open)?;
        }
        Ok(())
    }

    /// How far the card has come.
    fn look(&mut self, open: &mut Open) -> Result<()> {
        let now = Instant::now();
        let progress = open.playback.progress()?;
        if progress.played > open.played {
            open.played = progress.played;
            self.keyer.moved(now);
        }
        self.keyer.tick(now);
        if self.keyer.came_late() {
            open.hold = Some(now + self.plan.edge.keying.lead);
        }
        if open.owes && !open.talks && open.tones.is_empty() {
            open.owes = false;
            open.drained = Some(now + progress.delay + LIMITER);
        }
        if let Some(at) = open.drained.take_if(|at| *at <= now) {
            self.teller.tell(Event::Drained { at });
        }
        self.teller.flush();
        self.show(open);
        Ok(())
    }

    fn carry_out(&mut self, open: &mut Open, now: Instant) {
        // In this turn: what came before an order to end is there by then.
        let orders: Vec<Order> = self.orders.try_iter().collect();
        let mut taps: Vec<Tap> = self.taps.try_iter().collect();
        for order in orders {
            match order {
                Order::Play {
                    transmission,
                    not_before,
                } => {
                    open.player.begin(not_before, now);
                    open.transmission = Some(transmission);
                    (open.talks, open.owes, open.drained) = (true, true, None);
                    let early = std::mem::take(&mut open.early);
                    let early = early.into_iter().filter(|tap| now < tap.at + FRESH);
                    early.for_each(|tap| open.take(tap));
                    taps.drain(..).for_each(|tap| open.take(tap));
                }
                Order::EndPlay => {
                    taps.drain(..).for_each(|tap| open.take(tap));
                    open.player.end();
                    open.owes = true;
                }
                Order::Discard => {
                    open.player.discard();
                    open.tones.clear();
                    open.transmission = None;
                    (open.talks, open.owes, open.drained) = (false, false, None);
                    open.hold = None;
                }
                Order::Tone(tone) => {
                    if let Some(sound) = self.sound(tone)
                        && open.tones.len() < TONES
                    {
                        open.tones.push_back(sound);
                    }
                    (open.owes, open.drained) = (true, None);
                }
                Order::StopTone => {
                    open.tones.truncate(1);
                    open.tones.iter_mut().for_each(OwnSound::stop);
                }
                // For the keyer and the receiver.
                Order::Key { .. }
                | Order::Unkey
                | Order::Receive { .. }
                | Order::StopReceiving { .. } => {}
            }
        }
        taps.into_iter().for_each(|tap| open.take(tap));
    }

    fn sound(&self, tone: Tone) -> Option<OwnSound> {
        Some(match tone {
            Tone::Permit => OwnSound::permit(),
            Tone::Deny => OwnSound::deny(),
            Tone::Courtesy => OwnSound::courtesy(),
            Tone::PreAlert => OwnSound::pre_alert(),
            Tone::Ident => return self.ident.clone(),
            Tone::Test { length } => OwnSound::test(length),
        })
    }

    fn show(&self, open: &mut Open) {
        let gauges = &self.gauges;
        gauges.tx.show(open.chain.meter(), open.clips);
        let xruns = open.xruns + open.playback.xruns();
        gauges.tx.xruns.store(xruns, Ordering::Relaxed);
        let depth = open.player.depth().as_micros() as u64;
        gauges.buffer_us.store(depth, Ordering::Relaxed);
        gauges.set_drift(open.player.drift_ppm());
        let mut counters = open.player.counters();
        counters.dropped += open.crowded_out;
        gauges.packets.count(&counters, &open.counted);
        open.counted = counters;
    }
}

impl Open {
    fn take(&mut self, tap: Tap) {
        match self.transmission {
            Some(current) if tap.transmission == current => self.player.push(&tap.packet, tap.at),
            // A later one's: its order follows.
            current if current.is_none_or(|current| current < tap.transmission) => {
                if self.early.len() == TAPS {
                    self.early.pop_front();
                    self.crowded_out += 1;
                }
                self.early.push_back(tap);
            }
            _ => {}
        }
    }

    fn fill(&mut self, period: &mut [f32; PERIOD], now: Instant) {
        self.hold.take_if(|until| *until <= now);
        if self.hold.is_some() {
            period.fill(0.0);
            return;
        }
        if self.player.next(now, period) == Heard::Drained {
            self.talks = false;
        }
        while let Some(tone) = self.tones.front_mut() {
            if tone.mix_into(period) {
                break;
            }
            self.tones.pop_front();
        }
    }
}

impl Part for Transmitting {
    const NAME: &'static str = "transmitter";

    fn work(&mut self, stop: &AtomicBool) -> Result<()> {
        let mut open = self.open()?;
        if self.gauges.tx.set_problem(None) {
            tracing::info!(radio = self.plan.id(), "the transmitter is there");
        }
        self.teller.transmitter_is(true);
        self.transmit(&mut open, stop)
    }

    fn rest(&mut self) {
        // What was to be played then is not heard later.
        while self.orders.try_recv().is_ok() {}
        while self.taps.try_recv().is_ok() {}
        self.teller.flush();
    }

    fn lost(&mut self, why: Option<String>) {
        self.keyer.gone(Instant::now());
        self.gauges.tx.silent();
        if let Some(why) = why
            && self.gauges.tx.set_problem(Some(why.clone()))
        {
            tracing::warn!(radio = self.plan.id(), why, "the transmitter does not work");
        }
        self.teller.transmitter_is(false);
    }

    fn panicked(&mut self) {
        self.gauges.tx.panics.fetch_add(1, Ordering::Relaxed);
    }
}
