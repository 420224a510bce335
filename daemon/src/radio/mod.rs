//! Radios and desks: their threads, and where the rest of the daemon reaches them.
//!
//! ```text
//!  sound card, carrier ─> capture thread ─> packets to the shards          Event
//!                                        └> carrier, ready ───────────────────────> reactor
//!  sound card <─ playback thread <─ packets from the talker's shard        Order  <─┘
//!                 └> the guardian, while sound moves and the reactor says so
//! ```

mod air;
mod capture;
mod codec;
mod door;
mod figures;
mod gauges;
pub mod guardian_link;
mod ident;
mod keyer;
pub mod lamp;
mod plan;
mod playback;
pub mod status;
mod thread;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use pttd_core::edge::RadioView;
use pttd_core::ids::{ChannelId, RadioId};
use pttd_core::radio::{Event, Kind};
use pttd_hw::spec::PttSpec;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use self::air::Air;
use self::capture::Receiving;
use self::door::{ORDERS, TAPS, Teller};
use self::gauges::Gauges;
use self::guardian_link::Link;
use self::keyer::Keyer;
use self::plan::Plan;
use self::playback::Transmitting;
use self::status::State;
use self::thread::Running;
use crate::config::Settings;
use crate::health::Health;
use crate::media::FanOuts;
use crate::reactor;

pub use self::air::{Handheld, HandheldSound};
pub use self::door::Door;
pub use self::ident::ident;
pub use self::status::RadioStatus;

/// The longest test tone.
pub const LONGEST_TONE: Duration = Duration::from_secs(5);
/// How often problems and figures are looked at, and simulated radios listened to.
const LOOK: Duration = Duration::from_secs(1);
/// How long a change of the settings waits for a radio that is in use.
const IN_USE: Duration = Duration::from_secs(30);
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// Where the API and the lamps reach the radios. `default()`: there are none.
#[derive(Clone, Default)]
pub struct Radios(Option<Arc<Inner>>);

/// What radios are started with.
pub struct Surroundings {
    /// The settings' file, for the guardian.
    pub config: Option<PathBuf>,
    /// Reads the settings again, for [`Radios::reload`].
    pub read: Box<dyn Fn() -> Result<Settings> + Send + Sync>,
    pub reactor: reactor::Inbox,
    pub events: mpsc::Sender<(RadioId, Event)>,
    pub fan_outs: FanOuts,
    pub health: Health,
}

struct Inner {
    around: Surroundings,
    link: Arc<Link>,
    numbers: Numbers,
    /// Something began or ceased to work.
    news: Arc<Notify>,
    /// Of simulated radios that are about to be started.
    airs: Mutex<BTreeMap<String, Air>>,
    wired: Mutex<BTreeMap<RadioId, Radio>>,
    /// One change of the settings at a time.
    changing: tokio::sync::Mutex<()>,
}

/// Each id of the settings keeps its number as long as the box runs.
type Numbers = Arc<Mutex<BTreeMap<String, RadioId>>>;

/// One that runs.
struct Radio {
    /// First: they end when dropped, before what they use.
    threads: Vec<Running>,
    plan: Arc<Plan>,
    gauges: Arc<Gauges>,
    keyer: Arc<Keyer>,
    door: Arc<Door>,
    air: Option<Arc<Air>>,
}

/// What a radio's threads will do, once the edge knows of it.
struct Parts {
    radio: RadioId,
    receiving: Option<Receiving>,
    transmitting: Option<Transmitting>,
}

/// A radio as the reactor is told of it.
pub struct Seat {
    pub radio: RadioId,
    pub settings: Arc<pttd_core::radio::Settings>,
    pub door: Arc<Door>,
}

/// Why a radio does not do what it was asked.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no radio with this id")]
    Unknown,
    #[error("the radio {0}")]
    Busy(&'static str),
    #[error("only a simulated radio has a handheld in the box")]
    NotSimulated,
}

impl Radios {
    /// Reaches for the guardian. Radios are there once they are started.
    pub fn new(settings: &Settings, around: Surroundings) -> Result<Radios> {
        let numbers = Numbers::default();
        let (known, events) = (numbers.clone(), around.events.clone());
        let report = move |id: &str, event: Event| {
            let known = known.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(radio) = known.get(id) {
                // A line is a level, and is looked at again.
                let _ = events.try_send((*radio, event));
            }
        };
        // The guardian looks for the lines of simulated radios at once.
        let mut airs = BTreeMap::new();
        for plan in Plan::of_all(settings) {
            if let Some(air) = plan.listen()? {
                airs.insert(plan.id().to_string(), air);
            }
        }
        let (config, health) = (around.config.clone(), around.health.clone());
        let link = Link::start(guardian_link::Setup::of(settings, config, health, report)?)?;
        Ok(Radios(Some(Arc::new(Inner {
            around,
            link,
            numbers,
            news: Arc::default(),
            airs: Mutex::new(airs),
            wired: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
        }))))
    }

    /// Starts what the settings name; a device that is missing is looked for until it is there.
    pub async fn start(&self, settings: &Settings) -> Result<()> {
        if let Some(inner) = &self.0 {
            inner.clone().replace(Plan::of_all(settings)).await?;
        }
        Ok(())
    }

    /// Empty where the reactor stops.
    pub async fn statuses(&self) -> Vec<RadioStatus> {
        match &self.0 {
            Some(inner) => inner.statuses().await,
            None => Vec::new(),
        }
    }

    /// 1 kHz at -10 dBFS to air, for so long, at most 5 s; `None`: no more.
    pub async fn test_tone(&self, id: &str, length: Option<Duration>) -> Result<(), Refusal> {
        let inner = self.0.as_ref().ok_or(Refusal::Unknown)?;
        let statuses = inner.statuses().await;
        let status = statuses.iter().find(|status| status.id == id);
        let status = status.ok_or(Refusal::Unknown)?;
        let event = match length {
            _ if status.kind == status::Kind::Desk => {
                return Err(Refusal::Busy("is a desk, which sends nothing to air"));
            }
            None => Event::StopTestTone,
            Some(_) if status.state == State::Down => return Err(Refusal::Busy("does not work")),
            Some(_) if status.state != State::Idle => {
                return Err(Refusal::Busy("is in use: try again when it is idle"));
            }
            Some(length) => Event::TestTone {
                length: length.min(LONGEST_TONE),
            },
        };
        let (radio, _) = inner.find(id, |radio| radio.gauges.clone())?;
        let told = inner.around.events.send((radio, event)).await;
        told.map_err(|_stopping| Refusal::Busy("is being stopped"))
    }

    /// Only where the sound is simulated.
    pub fn handheld(&self, id: &str, does: Handheld) -> Result<(), Refusal> {
        self.air(id)?.handheld(does);
        Ok(())
    }

    /// What a simulated radio last sent, as a WAV file; `None`: nothing yet.
    pub fn heard_on_air(&self, id: &str) -> Result<Option<Vec<u8>>, Refusal> {
        Ok(self.air(id)?.wav())
    }

    fn air(&self, id: &str) -> Result<Arc<Air>, Refusal> {
        let inner = self.0.as_ref().ok_or(Refusal::Unknown)?;
        let (_, air) = inner.find(id, |radio| radio.air.clone())?;
        air.ok_or(Refusal::NotSimulated)
    }

    /// Whose PTT line is keyed now, and of which channel they are.
    pub fn on_air(&self, now: Instant) -> Vec<(String, ChannelId)> {
        let Some(inner) = &self.0 else {
            return Vec::new();
        };
        let wired = inner.wired();
        let keyed = wired.values().filter(|radio| {
            let line = radio.plan.ptt != PttSpec::None && inner.link.line(radio.plan.id()).keyed;
            line || radio.keyer.keyed(now).keyed
        });
        let named = keyed.map(|r| (r.plan.id().to_string(), r.plan.edge.channel.clone()));
        named.collect()
    }

    /// Reads the settings file again, and starts anew what has changed about radios and desks: how many of them.
    /// One that is in use is waited for.
    pub async fn reload(&self) -> Result<usize> {
        let Some(inner) = &self.0 else { return Ok(0) };
        let reader = inner.clone();
        let read = move || (reader.around.read)();
        let settings = tokio::task::spawn_blocking(read).await??;
        inner.clone().replace(Plan::of_all(&settings)).await
    }

    /// Keeps `/healthz` and `/metrics` to what the threads see.
    pub async fn look_after(self, stop: CancellationToken) -> Result<()> {
        let Some(inner) = self.0 else { return Ok(()) };
        // An error says that nothing was news meanwhile.
        let wait = || tokio::time::timeout(LOOK, inner.news.notified());
        while stop.run_until_cancelled(wait()).await.is_some() {
            inner.look_after().await;
        }
        // What is on the air goes off it before anything else ends.
        tokio::task::spawn_blocking(move || inner.stop()).await?;
        Ok(())
    }
}

impl Inner {
    fn wired(&self) -> MutexGuard<'_, BTreeMap<RadioId, Radio>> {
        self.wired.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find<T>(&self, id: &str, of: impl Fn(&Radio) -> T) -> Result<(RadioId, T), Refusal> {
        let wired = self.wired();
        let mut radios = wired.iter();
        let found = radios.find(|(_, radio)| radio.plan.id() == id);
        let (number, radio) = found.ok_or(Refusal::Unknown)?;
        Ok((*number, of(radio)))
    }

    async fn statuses(&self) -> Vec<RadioStatus> {
        let views = self.around.reactor.radios().await;
        let wired = self.wired();
        let status = |view: RadioView| {
            let radio = wired.get(&view.radio)?;
            let problem = self.problem(radio, Some(&view));
            Some(RadioStatus::of(view, problem, &radio.plan, &radio.gauges))
        };
        views.into_iter().filter_map(status).collect()
    }

    async fn replace(self: Arc<Self>, plans: Vec<Plan>) -> Result<usize> {
        let _one_at_a_time = self.changing.lock().await;
        let gone: Vec<(RadioId, String)> = {
            let wired = self.wired();
            let radios = wired.iter();
            let changed = radios.filter(|(_, radio)| !plans.contains(&radio.plan));
            changed
                .map(|(number, radio)| (*number, radio.plan.id().to_string()))
                .collect()
        };
        for (_, id) in &gone {
            self.wait_until_idle(id).await?;
        }
        let inner = self.clone();
        let (prepared, changed) =
            tokio::task::spawn_blocking(move || inner.exchange(&gone, plans)).await??;
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
        for parts in prepared {
            let mut wired = self.wired();
            let Some(radio) = wired.get_mut(&parts.radio) else {
                continue;
            };
            let id = radio.plan.id();
            let receiving = parts.receiving.map(|part| Running::start(id, part));
            let transmitting = parts.transmitting.map(|part| Running::start(id, part));
            let threads = receiving.into_iter().chain(transmitting);
            radio.threads = threads.collect::<Result<_>>()?;
        }
        self.tell_lines();
        Ok(changed)
    }

    /// What the guardian says of each PTT line: a level, so it may be told again and again.
    fn tell_lines(&self) {
        for (number, radio) in self.wired().iter() {
            if radio.plan.ptt == PttSpec::None {
                continue;
            }
            let line = self.link.line(radio.plan.id());
            let event = Event::Line {
                keyed: line.keyed,
                fault: line.fault.is_some(),
                locked: line.locked,
            };
            let _ = self.around.events.try_send((*number, event));
        }
    }

    /// Why it does not work, or not wholly.
    fn problem(&self, radio: &Radio, view: Option<&RadioView>) -> Option<String> {
        let line = || match radio.plan.ptt {
            PttSpec::None => None,
            _ => self.link.line(radio.plan.id()).fault,
        };
        let decided = || view.and_then(|view| view.problem.clone());
        radio.gauges.problem().or_else(line).or_else(decided)
    }

    /// A change is never made while a radio is on the air or is heard.
    async fn wait_until_idle(&self, id: &str) -> Result<()> {
        let until = Instant::now() + IN_USE;
        loop {
            let statuses = self.statuses().await;
            let status = statuses.iter().find(|status| status.id == id);
            let idle = [State::Idle, State::Down, State::LockedOut];
            if status.is_none_or(|status| idle.contains(&status.state) && !status.line_keyed) {
                return Ok(());
            }
            if Instant::now() > until {
                bail!("the radio {id:?} is in use: nothing was changed, try again when it is idle");
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// Blocking: ends the threads of those that are gone or changed, and prepares the others'. How many were touched.
    fn exchange(
        &self,
        gone: &[(RadioId, String)],
        plans: Vec<Plan>,
    ) -> Result<(Vec<Parts>, usize)> {
        let mut prepared = Vec::new();
        let ended: Vec<Radio> = {
            let mut wired = self.wired();
            let gone = gone.iter();
            gone.filter_map(|(number, _)| wired.remove(number))
                .collect()
        };
        let mut changed = ended.len();
        drop(ended);
        if changed > 0 {
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
            let (radio, parts) = self.prepare(number, plan)?;
            self.wired().insert(number, radio);
            prepared.push(parts);
            changed += 1;
        }
        if !prepared.is_empty() {
            // Now that their lines are there to be opened.
            self.link.reload();
        }
        Ok((prepared, changed))
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
        let ident = ident(&plan.ident, &plan.edge.keying).unwrap_or_else(|error| {
            let error = format!("{error:#}");
            tracing::error!(radio = id, error, "the station does not identify itself");
            None
        });
        let plan = Arc::new(plan);
        let gauges = Arc::new(Gauges::ringing(&self.news));
        let link = (plan.ptt != PttSpec::None).then(|| self.link.clone());
        let keyer = Arc::new(Keyer::new(&id, link));
        let ready = Arc::default();
        let teller = |ready: &Arc<_>| {
            Teller::new(
                number,
                around.events.clone(),
                Arc::clone(ready),
                gauges.clone(),
            )
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
            let (plan, gauges) = (plan.clone(), gauges.clone());
            let part = Receiving::new(plan, orders, teller(&ready), fan_outs, gauges, link);
            parts.receiving = Some(part);
        }
        if plan.edge.transmits {
            let (orders_in, orders) = sync_channel(ORDERS);
            let (taps_in, taps) = sync_channel(TAPS);
            (door.transmitter, door.taps) = (Some(orders_in), Some(taps_in));
            let (plan, gauges, teller) = (plan.clone(), gauges.clone(), teller(&ready));
            let part = Transmitting::new(plan, orders, taps, teller, keyer.clone(), gauges, ident);
            parts.transmitting = Some(part);
        }
        let radio = Radio {
            plan,
            gauges,
            keyer,
            door: Arc::new(door),
            air: air.map(Arc::new),
            threads: Vec::new(),
        };
        Ok((radio, parts))
    }

    async fn look_after(&self) {
        self.tell_lines();
        let views = self.around.reactor.radios().await;
        let wired = self.wired();
        let mut problems = Vec::new();
        for (number, radio) in wired.iter() {
            let view = views.iter().find(|view| view.radio == *number);
            figures::tell(
                radio.plan.id(),
                &radio.gauges,
                radio.keyer.keyed(Instant::now()),
            );
            if let Some(problem) = self.problem(radio, view) {
                let what = match radio.plan.edge.kind {
                    Kind::Radio => "the radio",
                    Kind::Desk => "the desk",
                };
                problems.push(format!("{what} {}: {problem}", radio.plan.id()));
            }
            if let Some(air) = &radio.air {
                air.listen_on();
            }
        }
        match problems.is_empty() {
            true => self.around.health.fine("radios"),
            false => self.around.health.known("radios", problems.join("; ")),
        }
    }

    /// Blocking.
    fn stop(&self) {
        let radios = std::mem::take(&mut *self.wired());
        for radio in radios.values() {
            radio.keyer.unkey(Instant::now());
            radio.threads.iter().for_each(Running::stop);
        }
        drop(radios);
        self.link.stop();
    }
}
