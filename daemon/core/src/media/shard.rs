//! One media shard: its transports, the routes among them, and nothing but packets.
//!
//! ```text
//!  datagram ─> whose? ─> transport ─> packet ─> has its transport the floor? ─> route ─> listeners here
//!              (STUN: the ufrag we chose;          no: dropped, counted          └─────> other shards
//!               else: the address)
//! ```

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::echo::Playback;
use super::rewrite::Rewrite;
use super::route::{Ears, Route};
use super::transport::{CloseReason, Outlet, Seen, Transmit, Transport, asked_transport, is_stun};
use super::{Heard, Packet};
use crate::ids::{RadioId, RouteId, TransmissionId, TransportId};

/// A talker is told to have fallen silent after this: Opus with DTX sends a packet every 400 ms.
pub const STALL: Duration = Duration::from_secs(1);

/// How long a transport waits whose timeout is due again right after it was served.
const SOON: Duration = Duration::from_millis(1);
/// Addresses one transport may be reached from in its life. Each costs ICE a pair, which it never forgets.
const MAX_ADDRESSES: usize = 64;
/// An address whose owner was heard within this is not given to another transport.
const OWNED: Duration = Duration::from_secs(5);
/// Packets a talker may send a second, and at once after the network held them up: a little more than Opus
/// sends with its shortest usual frames of 10 ms, and two seconds of it.
const PACKETS_PER_SECOND: f64 = 120.0;
const PACKETS_AT_ONCE: f64 = 240.0;
/// The largest Opus packet, RFC 6716 3.4: 1275 bytes a frame.
const LONGEST_PAYLOAD: usize = 1275;

/// From the reactor.
pub enum Command {
    /// Takes a transport over; until [`Event::Connected`] it waits for its peer.
    Open {
        transport: Box<Transport>,
        route: RouteId,
        paused: bool,
    },
    Close(TransportId),
    /// Who is heard on a route from now on, on whatever shard it may be.
    Talker {
        route: RouteId,
        transport: Option<TransportId>,
        /// What their packets belong to; the same as before where a talker goes on over another transport.
        transmission: Option<TransmissionId>,
    },
    /// What becomes of a talker's packets on a route, besides being heard. A route that is never told of is
    /// neither recorded nor an echo; one that is must be told that it is neither, or it is never forgotten.
    Settings {
        route: RouteId,
        recorded: bool,
        echo: bool,
        /// Transmitters and speakers that get a talker's packets.
        radios: Vec<RadioId>,
    },
    Pause {
        transport: TransportId,
        paused: bool,
    },
}

/// To the reactor.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    Connected(TransportId),
    /// Packets arrive from the talker, for the first time since the grant or a stall.
    Flows(TransportId),
    Stalled {
        transport: TransportId,
        since: Instant,
    },
    /// The talker's turn is over. Left out where their transport has gone before.
    Heard {
        transport: TransportId,
        transmission: TransmissionId,
        heard: Heard,
    },
    /// After `Heard`, on an echo route: what was said is about to be played back.
    Echo {
        transport: TransportId,
        heard: Heard,
        plays: Duration,
    },
    Closed {
        transport: TransportId,
        reason: CloseReason,
    },
}

impl Event {
    pub fn transport(&self) -> TransportId {
        match self {
            Event::Connected(transport)
            | Event::Flows(transport)
            | Event::Stalled { transport, .. }
            | Event::Heard { transport, .. }
            | Event::Echo { transport, .. }
            | Event::Closed { transport, .. } => *transport,
        }
    }
}

/// A talker's packet for the listeners on the other shards.
#[derive(Debug, Clone)]
pub struct FanOut {
    pub route: RouteId,
    pub talker: TransportId,
    pub packet: Packet,
    /// The talker is a radio, whose transport no shard has: this one does what else a talker's own shard does.
    pub home: bool,
}

/// A talker's packet for the recorder, or for a radio.
#[derive(Debug, Clone)]
pub struct Tap {
    pub route: RouteId,
    pub transmission: TransmissionId,
    pub packet: Packet,
    /// When it came.
    pub at: Instant,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    pub datagrams_received: u64,
    /// Datagrams of no transport of ours.
    pub unknown_peer: u64,
    /// Datagrams that a transport could not decode or verify.
    pub undecodable: u64,
    pub packets_received: u64,
    /// Packets of someone without the floor.
    pub without_floor: u64,
    /// Packets of a talker who sends more, or longer ones, than speech needs.
    pub too_many: u64,
    pub packets_forwarded: u64,
    pub panics: u64,
}

struct Slot {
    transport: Transport,
    route: RouteId,
    /// When the timer heap wakes us for it at the latest.
    armed: Option<Instant>,
    /// Every address it was ever asked from.
    addresses: Vec<SocketAddr>,
    /// When something authentic, or at least of a known address, was last understood.
    last_heard: Instant,
    last_packet: Instant,
    /// Packets that may still come at once, and when that was counted.
    allowance: f64,
    counted: Instant,
    flows: bool,
}

/// A radio that talks, as the shard that stands in for its own knows it.
struct Wired {
    last_packet: Instant,
    flows: bool,
}

type Timers = BinaryHeap<Reverse<(Instant, usize)>>;

impl Slot {
    /// Whether this is no more than speech: what goes beyond would be multiplied by the listeners.
    fn allows(&mut self, packet: &Packet, now: Instant) -> bool {
        let gained = now.saturating_duration_since(self.counted).as_secs_f64();
        self.counted = now;
        self.allowance = (self.allowance + gained * PACKETS_PER_SECOND).min(PACKETS_AT_ONCE);
        let allowed = self.allowance >= 1.0 && packet.payload.len() <= LONGEST_PAYLOAD;
        if allowed {
            self.allowance -= 1.0;
        }
        allowed
    }

    /// Only an earlier timeout needs a new entry: a later one is found when the old one comes up.
    fn rearm(&mut self, at: usize, timers: &mut Timers, earliest: Instant) {
        let timeout = self.transport.poll_timeout().max(earliest);
        if self.armed.is_none_or(|armed| timeout < armed) {
            self.armed = Some(timeout);
            timers.push(Reverse((timeout, at)));
        }
    }
}

#[derive(Default)]
pub struct Shard {
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    by_id: HashMap<TransportId, usize>,
    by_address: HashMap<SocketAddr, usize>,
    routes: BTreeMap<RouteId, Route>,
    /// Entries may be stale: a slot's own timeout decides when one comes up.
    timers: Timers,
    connecting: BTreeSet<usize>,
    /// Talkers whose packets are coming in.
    flowing: BTreeSet<usize>,
    /// Radios that have been heard in their present turn, by the route.
    wired: BTreeMap<RouteId, Wired>,
    outlet: Outlet,
    events: VecDeque<Event>,
    fan_out: VecDeque<FanOut>,
    taps: VecDeque<Tap>,
    radio_taps: VecDeque<(RadioId, Tap)>,
    /// One for each talker of an echo route who listens to themselves now.
    playbacks: Vec<Playback>,
    counters: Counters,
}

impl Shard {
    pub fn new() -> Self {
        Shard::default()
    }

    pub fn counters(&self) -> Counters {
        self.counters
    }

    pub fn transports(&self) -> usize {
        self.by_id.len()
    }

    /// Nobody is connecting, nobody on any of its routes has the floor, and no echo plays: what comes can wait
    /// a little.
    pub fn is_at_rest(&self) -> bool {
        self.connecting.is_empty()
            && self.playbacks.is_empty()
            && self.routes.values().all(|route| route.talker().is_none())
    }

    pub fn handle_command(&mut self, command: Command, now: Instant) {
        match command {
            Command::Open {
                transport,
                route,
                paused,
            } => self.open(*transport, route, paused, now),
            Command::Close(transport) => {
                if let Some(&at) = self.by_id.get(&transport) {
                    if let Some(slot) = &mut self.slots[at] {
                        slot.transport.goodbye(&mut self.outlet);
                        // Nobody asks any more what it has seen, least of all the next one in its slot.
                        self.outlet.seen.clear();
                    }
                    self.remove(at);
                }
            }
            Command::Talker {
                route,
                transport,
                transmission,
            } => {
                self.end_turn(route, transport, transmission, now);
                let on_route = self.routes.entry(route).or_default();
                on_route.set_talker(transport, transmission);
                if let Some(transport) = transport {
                    // Who talks anew does not want to hear the last attempt.
                    self.playbacks.retain(|playback| playback.to != transport);
                }
                // Each grant waits for its own first packet.
                if let Some(&at) = transport.and_then(|t| self.by_id.get(&t)) {
                    self.flowing.remove(&at);
                    if let Some(slot) = &mut self.slots[at] {
                        slot.flows = false;
                    }
                }
                self.forget_if_unused(route);
            }
            Command::Settings {
                route,
                recorded,
                echo,
                radios,
            } => {
                let on_route = self.routes.entry(route).or_default();
                on_route.radios = radios;
                on_route.recorded = recorded;
                on_route.echo = echo;
                if !echo {
                    on_route.kept.clear();
                    self.playbacks.retain(|playback| playback.route != route);
                }
                self.forget_if_unused(route);
            }
            Command::Pause { transport, paused } => {
                if let Some(&at) = self.by_id.get(&transport)
                    && let Some(slot) = &self.slots[at]
                    && let Some(route) = self.routes.get_mut(&slot.route)
                {
                    route.pause(transport, paused);
                }
            }
        }
    }

    pub fn handle_datagram(
        &mut self,
        source: SocketAddr,
        destination: SocketAddr,
        datagram: &[u8],
        now: Instant,
    ) {
        self.counters.datagrams_received += 1;
        let Some(at) = self.whose(source, datagram, now) else {
            self.counters.unknown_peer += 1;
            return;
        };
        let Some(slot) = &mut self.slots[at] else {
            return;
        };
        let understood =
            slot.transport
                .handle_datagram(source, destination, datagram, now, &mut self.outlet);
        if understood {
            slot.last_heard = now;
        } else {
            self.counters.undecodable += 1;
        }
        self.rearm(at, now);
        self.digest(at, now);
    }

    /// A packet that another shard's talker sent, or a radio.
    pub fn handle_fan_out(&mut self, fan_out: FanOut, now: Instant) {
        if fan_out.home {
            self.take_home(&fan_out, now);
        }
        self.forward(fan_out.route, fan_out.talker, &fan_out.packet, now);
    }

    pub fn poll_transmit(&mut self) -> impl Iterator<Item = Transmit> {
        self.outlet.transmits.drain(..)
    }

    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    pub fn poll_fan_out(&mut self) -> Option<FanOut> {
        self.fan_out.pop_front()
    }

    /// A packet for the recorder.
    pub fn poll_tap(&mut self) -> Option<Tap> {
        self.taps.pop_front()
    }

    /// A packet for a transmitter or a speaker.
    pub fn poll_radio_tap(&mut self) -> Option<(RadioId, Tap)> {
        self.radio_taps.pop_front()
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        let timer = self.timers.peek().map(|Reverse((at, _))| *at);
        let slots = self
            .flowing
            .iter()
            .filter_map(|at| self.slots[*at].as_ref());
        let wired = self.wired.values().filter(|wired| wired.flows);
        let stall = slots
            .map(|slot| slot.last_packet)
            .chain(wired.map(|wired| wired.last_packet))
            .map(|last| last + STALL)
            .min();
        let echo = self.playbacks.iter().filter_map(Playback::due).min();
        timer.into_iter().chain(stall).chain(echo).min()
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(Reverse((due, at))) = self.timers.peek().copied() {
            if due > now {
                break;
            }
            self.timers.pop();
            let Some(slot) = &mut self.slots[at] else {
                continue;
            };
            if slot.armed != Some(due) {
                continue;
            }
            slot.armed = None;
            if slot.transport.poll_timeout() <= now {
                slot.transport.handle_timeout(now, &mut self.outlet);
            }
            // One that is due again at once waits a little: it must not hold the thread.
            self.rearm(at, now + SOON);
            self.digest(at, now);
        }
        self.tell_stalls(now);
        self.play(now);
    }

    fn open(&mut self, transport: Transport, route: RouteId, paused: bool, now: Instant) {
        let id = transport.id;
        let at = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        let rewrite = Rewrite::new(transport.random_seq, transport.random_time, now);
        self.slots[at] = Some(Slot {
            transport,
            route,
            armed: None,
            addresses: Vec::new(),
            last_heard: now,
            last_packet: now,
            allowance: PACKETS_AT_ONCE,
            counted: now,
            flows: false,
        });
        self.by_id.insert(id, at);
        self.connecting.insert(at);
        let route = self.routes.entry(route).or_default();
        route.add(id, at, paused, rewrite);
        self.rearm(at, now);
    }

    fn whose(&mut self, source: SocketAddr, datagram: &[u8], now: Instant) -> Option<usize> {
        let known = self.by_address.get(&source).copied();
        if !is_stun(datagram) {
            return known;
        }
        let at = *self.by_id.get(&asked_transport(datagram)?)?;
        if known == Some(at) {
            return Some(at);
        }
        let owner = known.and_then(|owner| self.slots[owner].as_ref());
        if owner.is_some_and(|owner| now < owner.last_heard + OWNED) {
            return None;
        }
        let slot = self.slots[at].as_mut()?;
        let new = !slot.addresses.contains(&source);
        // The password is checked before the address is believed.
        if (new && slot.addresses.len() == MAX_ADDRESSES) || !slot.transport.is_asked_by(datagram) {
            return None;
        }
        if new {
            slot.addresses.push(source);
        }
        self.by_address.insert(source, at);
        Some(at)
    }

    /// Acts on what a transport has seen while it was driven.
    fn digest(&mut self, at: usize, now: Instant) {
        if self.outlet.seen.is_empty() {
            return;
        }
        let mut seen = std::mem::take(&mut self.outlet.seen);
        for seen in seen.drain(..) {
            let Some(slot) = &mut self.slots[at] else {
                continue;
            };
            let id = slot.transport.id;
            match seen {
                Seen::Connected => {
                    let egress = slot.transport.take_egress();
                    if let Some(route) = self.routes.get_mut(&slot.route) {
                        route.set_egress(id, egress);
                    }
                    self.connecting.remove(&at);
                    self.events.push_back(Event::Connected(id));
                }
                Seen::Moved(path) => {
                    if let Some(route) = self.routes.get_mut(&slot.route) {
                        route.set_path(id, path);
                    }
                }
                Seen::Packet(packet) => {
                    self.counters.packets_received += 1;
                    if !slot.allows(&packet, now) {
                        self.counters.too_many += 1;
                        continue;
                    }
                    slot.last_packet = now;
                    let route = slot.route;
                    let on_route = self.routes.get_mut(&route);
                    let Some(on_route) = on_route.filter(|r| r.talker() == Some(id)) else {
                        self.counters.without_floor += 1;
                        continue;
                    };
                    on_route.turn.note(&packet);
                    on_route.tap(route, &packet, now, &mut self.taps, &mut self.radio_taps);
                    let echo = on_route.echo;
                    if echo {
                        on_route.kept.keep(&packet, now);
                    }
                    if !std::mem::replace(&mut slot.flows, true) {
                        self.flowing.insert(at);
                        self.events.push_back(Event::Flows(id));
                    }
                    if echo {
                        continue;
                    }
                    self.forward(route, id, &packet, now);
                    self.fan_out.push_back(FanOut {
                        route,
                        talker: id,
                        packet,
                        home: false,
                    });
                }
                Seen::Closed(reason) => self.lost(at, reason),
            }
        }
        // Its room is used again for the next datagram.
        seen.append(&mut self.outlet.seen);
        self.outlet.seen = seen;
    }

    /// What a talker's own shard does with a packet, besides forwarding it.
    fn take_home(&mut self, fan_out: &FanOut, now: Instant) {
        let FanOut { route, talker, .. } = *fan_out;
        let on_route = self.routes.get_mut(&route);
        let Some(on_route) = on_route.filter(|r| r.talker() == Some(talker)) else {
            return;
        };
        self.counters.packets_received += 1;
        on_route.turn.note(&fan_out.packet);
        let (taps, radio_taps) = (&mut self.taps, &mut self.radio_taps);
        on_route.tap(route, &fan_out.packet, now, taps, radio_taps);
        let heard = Wired {
            last_packet: now,
            flows: true,
        };
        if self
            .wired
            .insert(route, heard)
            .is_none_or(|before| !before.flows)
        {
            self.events.push_back(Event::Flows(talker));
        }
    }

    fn forward(&mut self, route: RouteId, talker: TransportId, packet: &Packet, now: Instant) {
        // A packet may have been under way between shards while the floor changed hands.
        match self.routes.get(&route).map(Route::talker) {
            Some(now_talking) if now_talking != Some(talker) => self.counters.without_floor += 1,
            Some(_) => self.hand_out(route, Ears::Others, packet, now),
            None => {}
        }
    }

    fn hand_out(&mut self, route: RouteId, ears: Ears, packet: &Packet, now: Instant) {
        let Some(on_route) = self.routes.get_mut(&route) else {
            return;
        };
        let mut lost = Vec::new();
        for (listener, place) in on_route.listeners(ears, packet.seq, packet.time, now) {
            self.counters.packets_forwarded += 1;
            if let Some(egress) = &mut listener.egress {
                self.outlet.transmits.extend(egress.protect(packet, &place));
                continue;
            }
            let at = listener.slot;
            let Some(slot) = &mut self.slots[at] else {
                continue;
            };
            slot.transport
                .forward(packet, &place, now, &mut self.outlet);
            slot.rearm(at, &mut self.timers, now);
            for seen in self.outlet.seen.drain(..) {
                if let Seen::Closed(reason) = seen {
                    lost.push((at, reason));
                }
            }
        }
        for (at, reason) in lost {
            self.lost(at, reason);
        }
    }

    /// Says how the talker was heard, if another transmission begins or none, and plays their echo.
    fn end_turn(
        &mut self,
        route: RouteId,
        next: Option<TransportId>,
        next_transmission: Option<TransmissionId>,
        now: Instant,
    ) {
        let Some(on_route) = self.routes.get_mut(&route) else {
            return;
        };
        let (talker, transmission) = (on_route.talker(), on_route.transmission());
        let goes_on = transmission == next_transmission;
        if goes_on && talker == next {
            return;
        }
        // Another transport counts from elsewhere.
        let turn = std::mem::take(&mut on_route.turn);
        let kept = std::mem::take(&mut on_route.kept);
        // Their own shard knows.
        let wired = self.wired.remove(&route).is_some();
        let talker = talker.filter(|talker| wired || self.by_id.contains_key(talker));
        let (Some(transport), Some(transmission), false) = (talker, transmission, goes_on) else {
            return;
        };
        let heard = turn.heard();
        self.events.push_back(Event::Heard {
            transport,
            transmission,
            heard,
        });
        if on_route.echo {
            let plays = kept.plays();
            let grant = on_route.next_grant();
            let playback = Playback::new(transport, route, grant, kept, now);
            self.playbacks
                .extend(playback.due().is_some().then_some(playback));
            self.events.push_back(Event::Echo {
                transport,
                heard,
                plays,
            });
        }
    }

    fn play(&mut self, now: Instant) {
        let mut playbacks = std::mem::take(&mut self.playbacks);
        playbacks.retain_mut(|playback| {
            let ears = Ears::Own {
                transport: playback.to,
                grant: playback.grant,
            };
            while let Some(packet) = playback.take_due(now) {
                self.hand_out(playback.route, ears, &packet, now);
            }
            playback.due().is_some() && self.by_id.contains_key(&playback.to)
        });
        self.playbacks = playbacks;
    }

    fn lost(&mut self, at: usize, reason: CloseReason) {
        if let Some(slot) = &self.slots[at] {
            if reason == CloseReason::Panicked {
                self.counters.panics += 1;
            }
            let transport = slot.transport.id;
            self.events.push_back(Event::Closed { transport, reason });
            self.remove(at);
        }
    }

    fn remove(&mut self, at: usize) {
        let Some(slot) = self.slots[at].take() else {
            return;
        };
        let id = slot.transport.id;
        self.by_id.remove(&id);
        for address in &slot.addresses {
            if self.by_address.get(address) == Some(&at) {
                self.by_address.remove(address);
            }
        }
        self.connecting.remove(&at);
        self.flowing.remove(&at);
        if let Some(route) = self.routes.get_mut(&slot.route) {
            route.remove(id);
        }
        self.playbacks.retain(|playback| playback.to != id);
        self.forget_if_unused(slot.route);
        self.free.push(at);
    }

    fn forget_if_unused(&mut self, route: RouteId) {
        if self.routes.get(&route).is_some_and(Route::is_unused) {
            self.routes.remove(&route);
        }
    }

    fn rearm(&mut self, at: usize, earliest: Instant) {
        if let Some(slot) = &mut self.slots[at] {
            slot.rearm(at, &mut self.timers, earliest);
        }
    }

    fn tell_stalls(&mut self, now: Instant) {
        let stalled: Vec<usize> = self
            .flowing
            .iter()
            .copied()
            .filter(|at| {
                self.slots[*at]
                    .as_ref()
                    .is_none_or(|slot| slot.last_packet + STALL <= now)
            })
            .collect();
        for at in stalled {
            self.flowing.remove(&at);
            if let Some(slot) = &mut self.slots[at] {
                slot.flows = false;
                self.events.push_back(Event::Stalled {
                    transport: slot.transport.id,
                    since: slot.last_packet,
                });
            }
        }
        for (route, wired) in &mut self.wired {
            if !wired.flows || wired.last_packet + STALL > now {
                continue;
            }
            wired.flows = false;
            if let Some(transport) = self.routes.get(route).and_then(Route::talker) {
                let since = wired.last_packet;
                self.events.push_back(Event::Stalled { transport, since });
            }
        }
    }
}
