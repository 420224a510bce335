//! The one task that owns every decision: it feeds the core's `Edge` and carries out what it says.
//!
//! It sees messages and events, never packets, and waits for nothing but the next of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use pttd_core::authority::Roster;
use pttd_core::dispatch::Board;
use pttd_core::edge::{ConnectionId, Edge, Happening, Input, Output, RadioView, SessionView};
use pttd_core::ids::{RadioId, SessionId, TransportId};
use pttd_core::media::{Certificate, Event, Offer, Transport};
use pttd_core::radio;
use pttd_core::wire::signal::Reply;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::health::Health;
use crate::media::Media;
use crate::radio::{Door, Seat};
use crate::recorder::Tapped;
use crate::utc;

/// Messages waiting to be decided. A client whose message finds no room waits, and with it its WebSocket.
const INPUTS: usize = 1024;
/// Two states and an end for each transport; a shard that finds no room offers its event again.
const EVENTS: usize = 4096;
/// A radio's threads have a few events a transmission; one that finds no room offers it again.
const RADIO_EVENTS: usize = 1024;
/// Messages waiting for one client. The largest burst is a full channel coming and going at once.
const OUTBOX: usize = 2048;
/// Offers answered at a time.
const BUILDING: usize = 1;
/// How long clients have to read their goodbye when the daemon stops.
const GOODBYES: Duration = Duration::from_secs(1);
const FOLLOW_ADDRESSES: Duration = Duration::from_secs(10);
const TELL_FIGURES: Duration = Duration::from_secs(1);

/// What a WebSocket's task is given to send.
pub enum ToClient {
    Reply(Box<Reply>),
    Close,
}

/// Whoever remembers what has happened: the recorder, the journal.
pub struct Witness {
    pub name: &'static str,
    /// Puts it into a bounded queue without waiting; false: there was no room, it is lost.
    pub tell: Box<dyn Fn(&Happening) -> bool + Send>,
}

enum Message {
    Open {
        connection: ConnectionId,
        outbox: mpsc::Sender<ToClient>,
    },
    Edge(Input),
    Roster {
        roster: Arc<Roster>,
        done: oneshot::Sender<()>,
    },
    Sessions(oneshot::Sender<Vec<SessionView>>),
    SetRadios {
        seats: Vec<Seat>,
        done: oneshot::Sender<()>,
    },
    Radios(oneshot::Sender<Vec<RadioView>>),
    Kick {
        session: SessionId,
        done: oneshot::Sender<bool>,
    },
    AreYouThere(oneshot::Sender<()>),
}

/// Where others reach the reactor.
#[derive(Clone)]
pub struct Inbox(mpsc::Sender<Message>);

impl Inbox {
    /// A new WebSocket: what it is to send comes out of the queue.
    pub async fn open(&self, connection: ConnectionId) -> mpsc::Receiver<ToClient> {
        let (outbox, queue) = mpsc::channel(OUTBOX);
        self.give(Message::Open { connection, outbox }).await;
        queue
    }

    pub async fn tell(&self, input: Input) {
        self.give(Message::Edge(input)).await;
    }

    /// Returns when everyone who is no longer allowed has been cut.
    pub async fn replace_roster(&self, roster: Arc<Roster>) {
        let (done, decided) = oneshot::channel();
        self.give(Message::Roster { roster, done }).await;
        // An error says that the reactor stops, and with it everyone.
        let _ = decided.await;
    }

    /// Empty where the reactor stops.
    pub async fn sessions(&self) -> Vec<SessionView> {
        let (sessions, answer) = oneshot::channel();
        self.give(Message::Sessions(sessions)).await;
        answer.await.unwrap_or_default()
    }

    /// Which radios and desks there are from now on; returns when that is decided.
    pub async fn set_radios(&self, seats: Vec<Seat>) {
        let (done, decided) = oneshot::channel();
        self.give(Message::SetRadios { seats, done }).await;
        let _ = decided.await;
    }

    /// Empty where the reactor stops.
    pub async fn radios(&self) -> Vec<RadioView> {
        let (radios, answer) = oneshot::channel();
        self.give(Message::Radios(radios)).await;
        answer.await.unwrap_or_default()
    }

    /// Ends a session; returns when it is over. False where there is no such session.
    pub async fn kick(&self, session: SessionId) -> bool {
        let (done, answer) = oneshot::channel();
        self.give(Message::Kick { session, done }).await;
        answer.await.unwrap_or(false)
    }

    /// False where the reactor is gone or a media thread hangs; where the reactor hangs, this does as well.
    pub async fn answers(&self) -> bool {
        let (here, answer) = oneshot::channel();
        self.give(Message::AreYouThere(here)).await;
        answer.await.is_ok()
    }

    async fn give(&self, message: Message) {
        // An error says the same.
        let _ = self.0.send(message).await;
    }
}

pub struct Reactor {
    edge: Edge,
    media: Media,
    certificate: Arc<Certificate>,
    clients: HashMap<ConnectionId, mpsc::Sender<ToClient>>,
    inputs: mpsc::Receiver<Message>,
    events: mpsc::Receiver<Event>,
    radio_events: mpsc::Receiver<(RadioId, radio::Event)>,
    radio_events_in: mpsc::Sender<(RadioId, radio::Event)>,
    radios: BTreeMap<RadioId, Arc<Door>>,
    inbox: Inbox,
    building: Arc<Semaphore>,
    /// Whoever waits until a change of the roster counts for everyone.
    changed: Vec<oneshot::Sender<()>>,
    witnesses: Vec<Witness>,
    /// Whoever keeps the dispatchers' work reads the latest.
    board: watch::Sender<Board>,
    health: Health,
}

impl Reactor {
    pub fn new(
        edge: Edge,
        media: &crate::config::Media,
        taps: &SyncSender<Tapped>,
        certificate: Certificate,
        witnesses: Vec<Witness>,
        board: watch::Sender<Board>,
        health: Health,
    ) -> Result<Reactor> {
        let (inbox, inputs) = mpsc::channel(INPUTS);
        let (events_in, events) = mpsc::channel(EVENTS);
        let (radio_events_in, radio_events) = mpsc::channel(RADIO_EVENTS);
        Ok(Reactor {
            edge,
            media: Media::start(media, &events_in, taps).context("starting media")?,
            certificate: Arc::new(certificate),
            clients: HashMap::new(),
            inputs,
            events,
            radio_events,
            radio_events_in,
            radios: BTreeMap::new(),
            inbox: Inbox(inbox),
            building: Arc::new(Semaphore::new(BUILDING)),
            changed: Vec::new(),
            witnesses,
            board,
            health,
        })
    }

    pub fn inbox(&self) -> Inbox {
        self.inbox.clone()
    }

    /// Where radios' threads say what they see.
    pub fn radio_events(&self) -> mpsc::Sender<(RadioId, radio::Event)> {
        self.radio_events_in.clone()
    }

    pub fn media(&self) -> &Media {
        &self.media
    }

    pub async fn run(mut self, stop: CancellationToken) -> Result<()> {
        let mut follow = tokio::time::interval(FOLLOW_ADDRESSES);
        let mut figures = tokio::time::interval(TELL_FIGURES);
        follow.set_missed_tick_behavior(MissedTickBehavior::Delay);
        figures.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let deadline = self.edge.poll_timeout().map(tokio::time::Instant::from_std);
            let due = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            // Every branch is cancel-safe: a queue's `recv` and the timers lose nothing when dropped.
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some((radio, event)) = self.radio_events.recv() => {
                    self.edge.handle(Input::Radio { radio, event }, Instant::now());
                }
                Some(event) = self.events.recv() => self.event(event),
                Some(message) = self.inputs.recv() => self.message(message),
                // Each input serves what is due before it; what goes on after a change of the roster waits
                // for those who ask.
                () = due => self.edge.handle_timeout(Instant::now()),
                _ = figures.tick() => self.tell_figures(),
                _ = follow.tick() => {
                    let followed = self.media.follow_addresses();
                    self.health.tell("media", followed);
                    let utc_ms = utc::now_ms();
                    self.edge.handle(Input::Clock { utc_ms }, Instant::now());
                }
            }
            self.carry_out();
            if !self.edge.is_cutting() {
                for done in self.changed.drain(..) {
                    let _ = done.send(());
                }
            }
        }
        self.say_goodbye().await;
        Ok(())
    }

    fn message(&mut self, message: Message) {
        let now = Instant::now();
        match message {
            Message::Open { connection, outbox } => {
                self.clients.insert(connection, outbox);
            }
            Message::Edge(input) => {
                if let Input::Closed { connection, .. } = &input {
                    self.clients.remove(connection);
                }
                self.edge.handle(input, now);
            }
            Message::Roster { roster, done } => {
                self.edge.handle(Input::Roster(roster), now);
                self.changed.push(done);
            }
            // Whoever asked may have gone away, here and below.
            Message::Sessions(answer) => {
                let _ = answer.send(self.edge.sessions_now());
            }
            Message::SetRadios { seats, done } => {
                self.set_radios(seats, now);
                let _ = done.send(());
            }
            Message::Radios(answer) => {
                let _ = answer.send(self.edge.radios_now(now));
            }
            Message::Kick { session, done } => {
                let known = self.edge.has_session(session);
                self.edge.handle(Input::Kick { session }, now);
                self.carry_out();
                let _ = done.send(known);
            }
            Message::AreYouThere(here) => {
                if self.media.is_alive(now) {
                    let _ = here.send(());
                }
            }
        }
    }

    fn set_radios(&mut self, seats: Vec<Seat>, now: Instant) {
        let taps = |seat: &Seat| Some((seat.radio, seat.door.taps.clone()?));
        self.media
            .set_radios(seats.iter().filter_map(taps).collect());
        let radios = seats.iter().map(|seat| (seat.radio, seat.settings.clone()));
        self.edge.handle(Input::Radios(radios.collect()), now);
        // What is said to those that go is nobody's any more.
        let seats = seats.into_iter();
        self.radios = seats.map(|seat| (seat.radio, seat.door)).collect();
        self.carry_out();
    }

    fn event(&mut self, event: Event) {
        if let Event::Closed { transport, .. } = event {
            self.media.forget(transport);
        }
        self.edge.handle(Input::Media(event), Instant::now());
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.edge.poll_output() {
            match output {
                Output::Send { connection, reply } => {
                    self.send(connection, ToClient::Reply(reply));
                }
                Output::Close { connection } => self.send(connection, ToClient::Close),
                Output::Build { transport, sdp } => self.build(transport, sdp),
                Output::Forget(transport) => self.media.forget(transport),
                Output::Media(command) => self.media.order(command),
                Output::Happened(what) => self.witness(&what),
                Output::Radio { radio, order } => {
                    if let Some(door) = self.radios.get(&radio) {
                        door.order(order, Instant::now());
                    }
                }
                Output::RadioPlace {
                    radio,
                    transport,
                    route,
                } => {
                    if let Some(door) = self.radios.get(&radio) {
                        door.place(transport, route);
                    }
                }
                Output::Keep(board) => {
                    metrics::gauge!("pttd_board_unwritten").set(1);
                    self.board.send_replace(*board);
                }
            }
        }
    }

    fn send(&mut self, connection: ConnectionId, message: ToClient) {
        let Some(client) = self.clients.get(&connection) else {
            return;
        };
        if let Err(refused) = client.try_send(message) {
            if let mpsc::error::TrySendError::Full(_) = refused {
                tracing::debug!(connection = connection.0, "a client does not read, dropped");
                metrics::counter!("pttd_clients_too_slow_total").increment(1);
            }
            // Without its queue the WebSocket's task ends.
            self.clients.remove(&connection);
            let clean = false;
            self.edge
                .handle(Input::Closed { connection, clean }, Instant::now());
        }
    }

    fn witness(&self, what: &Happening) {
        for witness in &self.witnesses {
            if !(witness.tell)(what) {
                tracing::debug!(
                    witness = witness.name,
                    "does not keep up, something is not remembered"
                );
                metrics::counter!("pttd_happenings_dropped_total", "by" => witness.name)
                    .increment(1);
            }
        }
    }

    /// Answers an offer on another thread: it is a tenth of a millisecond of cryptography.
    fn build(&mut self, transport: TransportId, sdp: String) {
        let candidates = self.media.settle(transport);
        let certificate = self.certificate.clone();
        let (inbox, room) = (self.inbox.clone(), self.building.clone());
        tokio::spawn(async move {
            // Never an error: nobody closes it. Without a permit a thousand offers would crowd out the rest.
            let _room = room.acquire().await;
            let mut random = [0; 32];
            let built = match getrandom::fill(&mut random) {
                Ok(()) => Transport::accept(
                    Offer {
                        transport,
                        sdp,
                        certificate,
                        candidates,
                        random,
                    },
                    Instant::now(),
                ),
                Err(error) => Err(pttd_core::media::OfferError::Sdp(error.to_string())),
            };
            let built = built.map(|(transport, answer)| (Box::new(transport), answer));
            inbox.tell(Input::Built { transport, built }).await;
        });
    }

    fn tell_figures(&self) {
        self.media.tell_figures();
        metrics::gauge!("pttd_sessions").set(self.edge.sessions() as f64);
        metrics::gauge!("pttd_talks").set(self.edge.talks() as f64);
        metrics::gauge!("pttd_websockets").set(self.clients.len() as f64);
        let floor = self.edge.counters();
        for (answer, count) in [
            ("granted", floor.granted),
            ("denied", floor.denied),
            ("revoked", floor.revoked),
        ] {
            metrics::counter!("pttd_floor_total", "answer" => answer).absolute(count);
        }
    }

    /// Everyone is told, and given a moment to read it.
    async fn say_goodbye(mut self) {
        self.edge.handle(Input::Shutdown, Instant::now());
        self.carry_out();
        let last = tokio::time::Instant::now() + GOODBYES;
        while !self.clients.is_empty() {
            match tokio::time::timeout_at(last, self.inputs.recv()).await {
                Ok(Some(message)) => self.message(message),
                Ok(None) | Err(_) => break,
            }
        }
    }
}
