//! A change of the settings: radios that are gone or changed end, and others begin, while nobody is heard on them.

use std::sync::mpsc::sync_channel;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Error, Result, bail};
use pttd_core::ids::RadioId;
use pttd_hw::spec::PttSpec;

use super::capture::Receiving;
use super::door::{Door, ORDERS, Ready, TAPS, Teller};
use super::gauges::Gauges;
use super::ident::ident;
use super::keyer::Keyer;
use super::plan::Plan;
use super::playback::Transmitting;
use super::status::State;
use super::thread::Running;
use super::{Inner, Parts, Radio, Seat};

/// How long a change waits for a radio that is in use.
const IN_USE: Duration = Duration::from_secs(30);
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// What became of a change.
struct Exchanged {
    parts: Vec<Parts>,
    /// How many were touched.
    changed: usize,
    /// The first that could not be wired.
    failed: Option<Error>,
}

impl Inner {
    /// How many were touched. What cannot be wired does not keep the others from it, and is tried again at the next
    /// change.
    pub(super) async fn replace(self: Arc<Self>, plans: Vec<Plan>) -> Result<usize> {
        let _one_at_a_time = self.changing.lock().await;
        let gone: Vec<(RadioId, String)> = {
            let wired = self.wired();
            let stays = |radio: &Radio| {
                let works = !radio.threads.is_empty() && radio.ident_fault.is_none();
                works && plans.contains(&radio.plan)
            };
            let changed = wired.iter().filter(|(_, radio)| !stays(radio));
            changed
                .map(|(number, radio)| (*number, radio.plan.id().to_string()))
                .collect()
        };
        self.wait_until_idle(&gone).await?;
        let inner = self.clone();
        let exchange = move || inner.exchange(&gone, plans);
        let Exchanged {
            parts,
            changed,
            mut failed,
        } = tokio::task::spawn_blocking(exchange).await?;
        let seats = {
            let wired = self.wired();
            let seat = |(number, radio): (&RadioId, &Radio)| Seat {
                radio: *number,
                settings: radio.plan.edge.clone(),
                door: radio.door.clone(),
            };
            wired.iter().map(seat).collect()
        };
        // What a thread tells of a radio the edge does not know yet would be lost.
        self.around.reactor.set_radios(seats).await;
        for parts in parts {
            let mut wired = self.wired();
            let Some(radio) = wired.get_mut(&parts.radio) else {
                continue;
            };
            let id = radio.plan.id();
            let receiving = parts.receiving.map(|part| Running::start(id, part));
            let transmitting = parts.transmitting.map(|part| Running::start(id, part));
            let threads = receiving.into_iter().chain(transmitting);
            match threads.collect::<Result<_>>() {
                Ok(threads) => radio.threads = threads,
                Err(error) => {
                    radio.gauges.tx.set_problem(Some(format!("{error:#}")));
                    failed.get_or_insert(error);
                }
            }
        }
        self.tell_levels();
        match failed {
            Some(error) => Err(error),
            None => Ok(changed),
        }
    }

    /// A change is never made while one of them is on the air or is heard: all of them are looked at at once, or the
    /// first could begin again while another is waited for.
    async fn wait_until_idle(&self, radios: &[(RadioId, String)]) -> Result<()> {
        let until = Instant::now() + IN_USE;
        loop {
            let statuses = self.statuses().await;
            let in_use = statuses.iter().find(|status| {
                let idle = [State::Idle, State::Down, State::LockedOut].contains(&status.state);
                let changes = radios.iter().any(|(_, id)| *id == status.id);
                changes && (!idle || status.line_keyed)
            });
            let Some(status) = in_use else { return Ok(()) };
            if Instant::now() > until {
                let id = &status.id;
                bail!("the radio {id:?} is in use: nothing was changed, try again when it is idle");
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// Blocking: ends the threads of those that are gone or changed, and prepares the others'.
    fn exchange(&self, gone: &[(RadioId, String)], plans: Vec<Plan>) -> Exchanged {
        let (mut parts, mut failed) = (Vec::new(), None);
        let ended: Vec<Radio> = {
            let mut wired = self.wired();
            let gone = gone.iter();
            gone.filter_map(|(number, _)| wired.remove(number))
                .collect()
        };
        let mut changed = gone.len();
        for radio in &ended {
            // An order that is still on its way finds no thread behind it.
            radio.keyer.close(Instant::now());
        }
        drop(ended);
        if !gone.is_empty() {
            self.link.reload();
        }
        for plan in plans {
            let number = {
                let wired = self.wired();
                if wired.values().any(|radio| *radio.plan == plan) {
                    continue;
                }
                drop(wired);
                let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
                let next = RadioId(numbers.len() as u16);
                *numbers.entry(plan.id().to_string()).or_insert(next)
            };
            tracing::info!(
                radio = plan.id(),
                sound = plan.shown(&plan.sound),
                "a radio is wired"
            );
            let id = plan.id().to_string();
            match self.prepare(number, plan) {
                Ok((radio, its)) => {
                    self.wired().insert(number, radio);
                    parts.push(its);
                    changed += usize::from(gone.iter().all(|(gone, _)| *gone != number));
                }
                Err(error) => {
                    let error = error.context(format!("wiring the radio {id:?}"));
                    failed.get_or_insert(error);
                }
            }
        }
        if !parts.is_empty() {
            // Now that their lines are there to be opened.
            self.link.reload();
        }
        Exchanged {
            parts,
            changed,
            failed,
        }
    }

    fn prepare(&self, number: RadioId, plan: Plan) -> Result<(Radio, Parts)> {
        let around = &self.around;
        let id = plan.id().to_string();
        let known = self
            .airs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id);
        let air = match known {
            Some(air) => Some(air),
            None => plan.listen()?,
        };
        // Without its name on the air it is of more use than not at all.
        let (ident, ident_fault) = match ident(&plan.ident, &plan.edge.keying) {
            Ok(ident) => (ident, None),
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(radio = id, error, "the station does not identify itself");
                let fault = format!("the station does not identify itself: {error}");
                (None, Some(fault))
            }
        };
        let plan = Arc::new(plan);
        let gauges = Arc::new(Gauges::ringing(&self.news));
        let link = (plan.ptt != PttSpec::None).then(|| self.link.clone());
        let keyer = Arc::new(Keyer::new(&id, link));
        let ready = Arc::<Ready>::default();
        let teller = || {
            let (events, ready) = (around.events.clone(), ready.clone());
            Teller::new(number, events, ready, gauges.clone())
        };
        let mut parts = Parts {
            radio: number,
            receiving: None,
            transmitting: None,
        };
        let mut door = Door {
            receiver: None,
            transmitter: None,
            taps: None,
            keyer: keyer.clone(),
            gauges: gauges.clone(),
        };
        if plan.edge.receives {
            let (orders_in, orders) = sync_channel(ORDERS);
            door.receiver = Some(orders_in);
            let (fan_outs, link) = (around.fan_outs.clone(), self.link.clone());
            let (plan, gauges, teller) = (plan.clone(), gauges.clone(), teller());
            let part = Receiving::new(plan, orders, teller, fan_outs, gauges, link);
            parts.receiving = Some(part);
        }
        if plan.edge.transmits {
            let (orders_in, orders) = sync_channel(ORDERS);
            let (taps_in, taps) = sync_channel(TAPS);
            (door.transmitter, door.taps) = (Some(orders_in), Some(taps_in));
            let (plan, gauges, teller) = (plan.clone(), gauges.clone(), teller());
            let part = Transmitting::new(plan, orders, taps, teller, keyer.clone(), gauges, ident);
            parts.transmitting = Some(part);
        }
        let radio = Radio {
            plan,
            gauges,
            keyer,
            door: Arc::new(door),
            ready,
            ident_fault,
            air: air.map(Arc::new),
            threads: Vec::new(),
        };
        Ok((radio, parts))
    }
}
