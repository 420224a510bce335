//! Random handhelds, talkers, dispatchers, rosters, cables, hangs, deaths and clocks against what a radio must
//! never do. The other end is there as it is in the daemon: a thread that renews the guardian's lease as long as its
//! last key order is good, and the guardian itself.

use proptest::prelude::*;

use super::radios::settings;
use super::*;
use crate::radio::lease::{self, Lease};
use crate::radio::{Event, Kind, Order, Settings as RadioSettings};

const RADIOS: u16 = 3;
const DESK: RadioId = RadioId(2);
const TOT: Duration = Duration::from_secs(15);
/// Off the air so long after the last word of any of the parts.
const WORST: Duration = Duration::from_millis(500);
/// A thread does not believe an order that reaches further ahead.
const BELIEVED: Duration = Duration::from_millis(300);
const TICK: Duration = Duration::from_millis(10);
/// What is keyed again so soon after a failure is one key-down.
const GOES_ON: Duration = Duration::from_secs(5);
/// How long it takes until sound has left the card.
const DRAINS: Duration = Duration::from_millis(60);

#[derive(Clone, Copy, Debug)]
enum Step {
    Wait(u64),
    /// The reactor stands still, the radio's thread does not.
    Hang(u64),
    /// All of pttd does; its socket stays open.
    Stopped(u64),
    /// For good.
    Dies,
    /// What the reactor takes for the time.
    Jump(i64),
    Start(usize, Level),
    Stop(usize),
    Flows,
    EndTalk,
    Silence(u16, u32),
    Roster(u8),
    Settings(u16),
    Carrier(u16, bool),
    Ready(u16, bool, bool),
    Line(u16, bool, bool),
    Test(u16),
    StopTest(u16),
}

impl Step {
    /// Something that comes from a radio.
    fn is_radios(&self) -> bool {
        matches!(
            self,
            Step::Settings(_)
                | Step::Carrier(..)
                | Step::Ready(..)
                | Step::Line(..)
                | Step::Test(_)
                | Step::StopTest(_)
        )
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    let radio = 0..RADIOS;
    let level = prop::sample::select(&Level::ALL[..]);
    prop_oneof![
        8 => (0u64..2_000).prop_map(Step::Wait),
        1 => (0u64..20_000).prop_map(Step::Wait),
        1 => (0u64..20_000).prop_map(Step::Hang),
        1 => (0u64..3_000).prop_map(Step::Stopped),
        1 => Just(Step::Dies),
        1 => (-20_000i64..20_000).prop_map(Step::Jump),
        8 => (0usize..2, level).prop_map(|(who, level)| Step::Start(who, level)),
        3 => (0usize..2).prop_map(Step::Stop),
        6 => Just(Step::Flows),
        1 => Just(Step::EndTalk),
        1 => (radio.clone(), 0u32..2).prop_map(|(r, minutes)| Step::Silence(r, minutes)),
        1 => (0u8..8).prop_map(Step::Roster),
        1 => radio.clone().prop_map(Step::Settings),
        10 => (radio.clone(), any::<bool>()).prop_map(|(r, up)| Step::Carrier(r, up)),
        2 => (radio.clone(), any::<bool>(), any::<bool>()).prop_map(|(r, rx, tx)| Step::Ready(r, rx, tx)),
        1 => (radio.clone(), any::<bool>(), any::<bool>()).prop_map(|(r, keyed, fault)| Step::Line(r, keyed, fault)),
        2 => radio.clone().prop_map(Step::Test),
        1 => radio.prop_map(Step::StopTest),
    ]
}

/// A radio as its thread and the guardian have it.
struct Wired {
    lease: Lease,
    /// What the thread believes, and when it asks the guardian next.
    on_air_until: Option<Instant>,
    renews: Instant,
    drains: Option<Instant>,
    keyed: Option<Instant>,
    /// The talk that is played, or sent.
    plays: Option<TransmissionId>,
    sends: Option<TransmissionId>,
    tested: bool,
    /// Since when the edge has it keyed.
    down: Option<Instant>,
    /// From when that counts: what is keyed again soon goes on. And when it was keyed last.
    counts: Option<Instant>,
    fell: Option<Instant>,
}

impl Wired {
    /// Forgets a key-down that is over, if it was as long as may be.
    fn is_timed_out(&mut self, now: Instant) -> bool {
        let over = self.counts.is_some_and(|counts| now >= counts + TOT);
        self.counts = self.counts.filter(|_| !over);
        over
    }
}

struct World {
    rig: Rig,
    /// What time it is, whatever the reactor thinks.
    real: Instant,
    people: [ConnectionId; 2],
    relay: bool,
    radios: Vec<RadioSettings>,
    wired: BTreeMap<RadioId, Wired>,
    alive: bool,
    /// How often settings have changed.
    changed: u32,
    /// When transmitters had been keyed for as long as they may.
    timed_out: BTreeSet<Instant>,
    /// Who talks or has talked, and with which level.
    talkers: BTreeMap<TransmissionId, (String, Level)>,
    wrong: Vec<String>,
}

impl World {
    fn new(relay: bool) -> World {
        let mut rig = Rig::new();
        let mut radios: Vec<RadioSettings> = [Kind::Radio, Kind::Radio, Kind::Desk]
            .into_iter()
            .zip(["hall", "yard", "desk"])
            .map(|(kind, id)| settings(id, kind))
            .collect();
        for radio in &mut radios {
            radio.keying.tot = TOT;
            radio.relay = relay;
        }
        radios[1].level = Level::Dispatch;
        radios[1].squelch.vox_delay = Some(Duration::from_millis(210));
        let people = [rig.on("anna", OPS), rig.on("ben", OPS)];
        rig.radios(&radios);
        let real = rig.now;
        let lease = Duration::from_millis(250);
        let wired = |n| {
            let wired = Wired {
                lease: Lease::new(lease::Settings { lease, tot: TOT }),
                on_air_until: None,
                renews: real,
                drains: None,
                keyed: None,
                plays: None,
                sends: None,
                tested: false,
                down: None,
                counts: None,
                fell: None,
            };
            (RadioId(n), wired)
        };
        World {
            rig,
            real,
            people,
            relay,
            radios,
            wired: (0..RADIOS).map(wired).collect(),
            alive: true,
            changed: 0,
            timed_out: BTreeSet::new(),
            talkers: BTreeMap::new(),
            wrong: Vec::new(),
        }
    }

    fn take(&mut self, step: &Step) {
        let give = |world: &mut World, radio: u16, event| {
            let radio = RadioId(radio);
            world
                .rig
                .edge
                .handle(Input::Radio { radio, event }, world.rig.now);
        };
        match *step {
            Step::Wait(ms) => self.passes(ms, true, true),
            Step::Hang(ms) => self.passes(ms, false, true),
            Step::Stopped(ms) => self.passes(ms, false, false),
            Step::Dies => {
                self.alive = false;
                for wired in self.wired.values_mut() {
                    wired.lease.handle(lease::Input::Gone, self.real);
                }
            }
            _ if !self.alive => {}
            Step::Jump(ms) => {
                let by = Duration::from_millis(ms.unsigned_abs());
                let now = self.rig.now;
                self.rig.now = if ms < 0 {
                    now.checked_sub(by).unwrap_or(now)
                } else {
                    now + by
                };
            }
            Step::Start(who, level) => self.rig.start(self.people[who], OPS, level),
            Step::Stop(who) => self.rig.stop(self.people[who], OPS),
            Step::Flows => {
                if let Some(transport) = self.rig.heard_on(OPS) {
                    self.rig.give(Input::Media(media::Event::Flows(transport)));
                }
            }
            Step::EndTalk => {
                let channel_id = OPS.into();
                let transmission_id = None;
                let end = ClientMessage::EndTalk {
                    channel_id,
                    transmission_id,
                };
                self.rig.says(self.people[0], 1, end);
            }
            Step::Silence(radio, minutes) => {
                let user_id = format!("radio:{}", self.radios[usize::from(radio)].id);
                let silence = ClientMessage::Silence {
                    channel_id: OPS.into(),
                    user_id: user_id.into(),
                    minutes,
                };
                self.rig.says(self.people[0], 1, silence);
            }
            Step::Roster(bits) => self.rig.change_roster(|roster| {
                let ops = roster.channels.get_mut(&ChannelId::from(OPS)).expect("ops");
                ops.echo = bits & 1 != 0;
                if bits & 2 != 0 {
                    ops.floor.queue_depth = 0;
                }
                if bits & 4 != 0 {
                    let ben = roster.users.get_mut(&UserId::from("ben")).expect("ben");
                    ben.channels.insert(OPS.into(), Membership::Listen);
                }
            }),
            Step::Settings(radio) => {
                self.changed += 1;
                self.radios[usize::from(radio)].name = format!("Name {}", self.changed);
                let radios = (0..)
                    .map(RadioId)
                    .zip(self.radios.iter().cloned().map(Arc::new));
                self.rig.give(Input::Radios(radios.collect()));
                let ready = Event::Ready {
                    receiver: true,
                    transmitter: true,
                };
                give(self, radio, ready);
            }
            Step::Carrier(radio, up) => {
                let at = self.rig.now;
                give(self, radio, Event::Carrier { up, at });
            }
            Step::Ready(radio, receiver, transmitter) => {
                give(
                    self,
                    radio,
                    Event::Ready {
                        receiver,
                        transmitter,
                    },
                );
            }
            Step::Line(radio, keyed, fault) => {
                let locked = false;
                let line = Event::Line {
                    keyed,
                    fault,
                    locked,
                };
                give(self, radio, line);
            }
            Step::Test(radio) => {
                if let Some(wired) = self.wired.get_mut(&RadioId(radio)) {
                    wired.tested = true;
                }
                let length = Duration::from_secs(60);
                give(self, radio, Event::TestTone { length });
            }
            Step::StopTest(radio) => give(self, radio, Event::StopTestTone),
        }
        self.rig.carry_out();
        self.orders();
        for wired in self.wired.values_mut() {
            wired.tested = false;
        }
    }

    /// Serves what is due, as the reactor does.
    fn serve(&mut self) {
        if self.alive {
            self.rig.edge.handle_timeout(self.rig.now);
            self.rig.finishes();
            self.rig.carry_out();
            self.orders();
            if self
                .rig
                .edge
                .poll_timeout()
                .is_some_and(|due| due <= self.rig.now)
            {
                self.wrong.push("the reactor would spin".into());
            }
        }
    }

    fn passes(&mut self, ms: u64, reactor: bool, threads: bool) {
        let end = self.real + Duration::from_millis(ms);
        while self.real < end {
            self.real += TICK;
            self.rig.now += TICK;
            if reactor && self.alive {
                let due = self.rig.edge.poll_timeout();
                if due.is_some_and(|due| due <= self.rig.now) {
                    self.serve();
                }
            }
            if threads && self.alive {
                self.threads();
            }
            self.guardian();
        }
    }

    fn threads(&mut self) {
        let real = self.real;
        let mut drained = Vec::new();
        for (id, wired) in &mut self.wired {
            if wired.renews <= real && wired.on_air_until.is_some_and(|until| real < until) {
                wired.renews = real + Duration::from_millis(50);
                wired.lease.handle(lease::Input::Key { said: real }, real);
            }
            if wired.drains.is_some_and(|at| at <= real) {
                wired.drains = None;
                drained.push(*id);
            }
        }
        for radio in drained {
            let event = Event::Drained { at: self.rig.now };
            self.rig
                .edge
                .handle(Input::Radio { radio, event }, self.rig.now);
            self.rig.carry_out();
            self.orders();
        }
    }

    fn guardian(&mut self) {
        let real = self.real;
        for (id, wired) in &mut self.wired {
            wired.lease.handle_timeout(real);
            while let Some(output) = wired.lease.poll_output() {
                if let lease::Output::Set(up) = output {
                    wired.keyed = up.then(|| wired.keyed.unwrap_or(real));
                }
            }
            let on_air = wired.keyed.map(|since| real - since);
            if on_air.is_some_and(|on_air| on_air > TOT + WORST) {
                self.wrong.push(format!("{id} on the air for {on_air:?}"));
            }
        }
    }

    /// Does what the radios' threads do with their orders.
    fn orders(&mut self) {
        self.note_talkers();
        self.rig.orders.clear();
        let (real, now) = (self.real, self.rig.now);
        let orders: Vec<_> = self.rig.all_orders.drain(..).collect();
        for (n, (radio, order)) in orders.iter().enumerate() {
            let next = orders[n + 1..].iter().find(|(to, _)| to == radio);
            let Some(wired) = self.wired.get_mut(radio) else {
                continue;
            };
            match order {
                Order::Receive { transmission, .. } => wired.sends = Some(*transmission),
                Order::StopReceiving { .. } => wired.sends = None,
                Order::Key { until } => {
                    let talk = matches!(next, Some((_, Order::Play { .. })));
                    if wired.down.is_none() && !talk && !wired.tested {
                        self.wrong.push(format!("{radio} is keyed for nobody"));
                    }
                    if *radio == DESK || *until > now + BELIEVED {
                        self.wrong.push(format!("{radio} is keyed wrongly"));
                    }
                    if wired.down.is_none() {
                        wired.down = Some(now);
                        let soon = |fell| now < fell + GOES_ON;
                        let counts = wired.counts.filter(|_| wired.fell.is_some_and(soon));
                        wired.counts = Some(counts.map_or(now, |counts| counts.min(now)));
                    }
                    // Where the reactor's clock is wrong, so is what it orders.
                    if *until <= real + BELIEVED {
                        wired.on_air_until = Some(*until);
                    }
                }
                Order::Unkey => {
                    if wired.down.take().is_some() {
                        wired.fell = Some(now);
                    }
                    if wired.is_timed_out(now) {
                        self.timed_out.insert(now);
                    }
                    wired.on_air_until = None;
                    wired.lease.handle(lease::Input::Unkey, real);
                }
                Order::Play { transmission, .. } => {
                    wired.plays = Some(*transmission);
                    wired.drains = None;
                    let talker = self
                        .talkers
                        .get(transmission)
                        .map(|(talker, _)| talker.as_str());
                    let own = format!("radio:{}", self.radios[usize::from(radio.0)].id);
                    let hears = match talker {
                        None => false,
                        Some(talker) if talker == own => false,
                        Some("radio:hall" | "radio:yard") => *radio == DESK || self.relay,
                        Some(_) => true,
                    };
                    if !hears {
                        self.wrong.push(format!("{radio} plays {talker:?}"));
                    }
                }
                Order::EndPlay => {
                    wired.plays = None;
                    wired.drains = Some(real + DRAINS);
                }
                Order::Discard => {
                    wired.plays = None;
                    if wired.down.is_none() && wired.is_timed_out(now) {
                        self.timed_out.insert(now);
                    }
                }
                Order::Tone(_) => wired.drains = Some(real + DRAINS),
                Order::StopTone => {}
            }
        }
    }

    fn talk(&self) -> Option<crate::floor::Talk> {
        let ops = self.rig.edge.channels.get(&ChannelId::from(OPS))?;
        ops.floor.talk().cloned()
    }

    /// Whoever is heard has the floor, whether by a browser, on the air or in a desk's speaker.
    fn check_heard(&mut self) {
        let talk = self.talk();
        let talks = talk.as_ref().map(|talk| talk.transmission);
        let transport = talk.as_ref().and_then(|talk| match talk.who {
            ParticipantId::Session(session) => {
                self.rig.edge.sessions[&session].joined[&OPS.into()].transport
            }
            ParticipantId::Radio(radio) => Some(self.rig.places[&radio].0),
        });
        let heard = self.rig.heard_on(OPS);
        if heard != transport {
            self.wrong.push(format!(
                "{heard:?} is heard and {transport:?} has the floor"
            ));
        }
        for (id, wired) in &self.wired {
            if wired.plays.is_some() && wired.plays != talks {
                self.wrong.push(format!(
                    "{id} plays {:?}, the floor is {talks:?}'s",
                    wired.plays
                ));
            }
            let own = talk.as_ref().is_some_and(|talk| talk.who == (*id).into());
            if wired.sends.is_some() && (!own || wired.sends != talks) {
                self.wrong.push(format!(
                    "{id} sends {:?}, the floor is {talks:?}'s",
                    wired.sends
                ));
            }
            let user = format!("radio:{}", self.radios[usize::from(id.0)].id).into();
            let silenced = self.rig.edge.silence_left(&user, &OPS.into(), self.rig.now);
            let may = silenced.is_none() && self.rig.edge.is_for_radios(&OPS.into());
            if own && !may {
                self.wrong.push(format!("{id} is heard and may not be"));
            }
        }
    }

    /// Whose talks have begun, and whose were cut.
    fn check_cuts(&mut self, step: &Step) {
        let happened: Vec<Happening> = self.rig.happened.drain(..).collect();
        for (n, what) in happened.iter().enumerate() {
            match what {
                Happening::TalkBegan { .. } => {}
                Happening::TalkEnded {
                    transmission,
                    talker,
                    reason,
                    duration,
                    at,
                    ..
                } => {
                    let level = self.talkers.get(transmission).map(|(_, level)| *level);
                    let next = happened[n + 1..].iter().find_map(|what| match what {
                        Happening::TalkBegan { level, .. } => Some(*level),
                        _ => None,
                    });
                    let by_radio = step.is_radios() && !is_radio(talker);
                    let right = match reason {
                        EndReason::Preempted => next > level,
                        EndReason::TalkLimit => {
                            *duration >= Duration::from_secs(60) || self.timed_out.contains(at)
                        }
                        _ => !by_radio,
                    };
                    if !right {
                        let name = &talker.name;
                        self.wrong.push(format!(
                            "{name} of {level:?} was cut: {reason:?}, then {next:?}"
                        ));
                    }
                }
                _ => {}
            }
        }
        if let Some(talk) = self.talk()
            && let Some((_, level)) = self.talkers.get_mut(&talk.transmission)
        {
            *level = talk.level;
        }
    }

    /// Runs to the end, or to the first thing that is wrong.
    fn run(&mut self, steps: &[Step]) -> Result<(), TestCaseError> {
        for step in steps {
            // What was due before is not this step's doing.
            self.serve();
            self.check_cuts(&Step::Wait(0));
            self.take(step);
            self.check_heard();
            self.check_cuts(step);
            prop_assert!(self.wrong.is_empty(), "{step:?}: {}", self.wrong.join("; "));
        }
        Ok(())
    }

    fn note_talkers(&mut self) {
        for what in &self.rig.happened {
            if let Happening::TalkBegan {
                transmission,
                talker,
                level,
                ..
            } = what
            {
                let talker = (talker.user_id.to_string(), *level);
                self.talkers.entry(*transmission).or_insert(talker);
            }
        }
    }
}

fn is_radio(talker: &Person) -> bool {
    talker.user_id.as_str().starts_with("radio:")
}

fn without_jumps(steps: Vec<Step>) -> Vec<Step> {
    let stays = |step: &Step| !matches!(step, Step::Jump(_));
    steps.into_iter().filter(stays).collect()
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(any_step(), 1..80)
}

/// Long talks and clocks that go wrong in them.
fn clocks() -> impl Strategy<Value = Vec<Step>> {
    let talk = [Step::Start(0, Level::Normal), Step::Flows];
    let step = prop_oneof![
        2 => Just(talk.to_vec()),
        1 => Just(vec![Step::Stop(0)]),
        2 => (-9_000i64..9_000).prop_map(|ms| vec![Step::Jump(ms)]),
        4 => (0u64..9_000).prop_map(|ms| vec![Step::Wait(ms)]),
        1 => (0u64..300).prop_map(|ms| vec![Step::Hang(ms)]),
        // One that goes slow.
        1 => (1usize..400).prop_map(|n| [Step::Wait(50), Step::Jump(-40)].repeat(n)),
    ];
    prop::collection::vec(step, 1..40).prop_map(|steps| steps.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// No hang, death or clock, and nothing that anyone does, keeps a transmitter keyed for longer than the TOT and what
    /// it takes the others to notice that one of them is gone.
    #[test]
    fn no_schedule_keeps_a_radio_keyed_past_the_tot(steps in prop_oneof![steps(), clocks()], relay in any::<bool>()) {
        let mut world = World::new(relay);
        for step in &steps {
            world.take(step);
            world.rig.happened.clear();
            let late = world.wrong.iter().find(|wrong| wrong.contains("on the air"));
            prop_assert!(late.is_none(), "{step:?}: {late:?}");
        }
    }

    /// Nobody is heard without the floor, on the air, in a speaker or in a browser; a radio is keyed for nobody but
    /// talkers it is to send out, never for itself, for another radio only where it relays; and what a radio does ends
    /// nobody's talk, but with a higher level.
    #[test]
    fn a_radio_hears_and_cuts_as_the_floor_says(steps in steps(), relay in any::<bool>()) {
        World::new(relay).run(&without_jumps(steps))?;
    }
}
