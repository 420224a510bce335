//! Where the reactor reaches a radio's threads, and they the reactor. Nobody waits: what finds no room is dropped
//! and counted, and the order to key or unkey needs none.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use pttd_core::ids::{RadioId, RouteId, TransportId};
use pttd_core::media::Tap;
use pttd_core::radio::{Event, Order};
use tokio::sync::mpsc;

use super::gauges::{Direction, Gauges};
use super::keyer::Keyer;

/// A transmission takes a handful.
pub const ORDERS: usize = 64;
/// Packets: a second and more of one talker's, for a thread that looks every 10 ms.
pub const TAPS: usize = 128;
/// Events a thread keeps for a reactor that has no room.
const UNTOLD: usize = 64;

/// To a capture thread.
pub enum ToReceiver {
    /// What its packets are known by and where they belong.
    Place {
        transport: TransportId,
        route: Option<RouteId>,
    },
    Order(Order),
}

pub struct Door {
    pub receiver: Option<SyncSender<ToReceiver>>,
    pub transmitter: Option<SyncSender<Order>>,
    pub taps: Option<SyncSender<Tap>>,
    pub keyer: Arc<Keyer>,
    pub gauges: Arc<Gauges>,
}

impl Door {
    pub fn place(&self, transport: TransportId, route: Option<RouteId>) {
        self.to_receiver(ToReceiver::Place { transport, route });
    }

    pub fn order(&self, order: Order, now: Instant) {
        match order {
            Order::Key { until } => self.keyer.key(until, now),
            Order::Unkey => self.keyer.unkey(now),
            Order::Receive { .. } | Order::StopReceiving { .. } => {
                self.to_receiver(ToReceiver::Order(order));
            }
            Order::Play { .. }
            | Order::EndPlay
            | Order::Discard
            | Order::Tone(_)
            | Order::StopTone => give(&self.transmitter, order, &self.gauges.tx),
        }
    }

    fn to_receiver(&self, order: ToReceiver) {
        if let ToReceiver::Order(Order::Receive { .. }) = order {
            self.gauges.squelch_opens.fetch_add(1, Ordering::Relaxed);
        }
        give(&self.receiver, order, &self.gauges.rx);
    }
}

fn give<T>(queue: &Option<SyncSender<T>>, order: T, gauges: &Direction) {
    if let Some(Err(TrySendError::Full(_))) = queue.as_ref().map(|queue| queue.try_send(order)) {
        gauges.orders_dropped.fetch_add(1, Ordering::Relaxed);
    }
}

/// A thread's way to the reactor.
pub struct Teller {
    radio: RadioId,
    events: mpsc::Sender<(RadioId, Event)>,
    untold: VecDeque<Event>,
    /// Whether receiver and transmitter are there: one of the two threads at a time says so for both.
    ready: Arc<Mutex<(bool, bool)>>,
    gauges: Arc<Gauges>,
}

impl Teller {
    pub fn new(
        radio: RadioId,
        events: mpsc::Sender<(RadioId, Event)>,
        ready: Arc<Mutex<(bool, bool)>>,
        gauges: Arc<Gauges>,
    ) -> Teller {
        Teller {
            radio,
            events,
            untold: VecDeque::new(),
            ready,
            gauges,
        }
    }

    pub fn tell(&mut self, event: Event) {
        if self.untold.len() == UNTOLD {
            self.untold.pop_front();
            self.gauges.events_dropped.fetch_add(1, Ordering::Relaxed);
        }
        self.untold.push_back(event);
        self.flush();
    }

    /// What the reactor had no room for before.
    pub fn flush(&mut self) {
        while let Some(event) = self.untold.pop_front() {
            let told = self.events.try_send((self.radio, event));
            if let Err(mpsc::error::TrySendError::Full((_, event))) = told {
                self.untold.push_front(event);
                return;
            }
        }
    }

    pub fn receiver_is(&mut self, there: bool) {
        self.ready(|ready| ready.0 = there);
    }

    pub fn transmitter_is(&mut self, there: bool) {
        self.ready(|ready| ready.1 = there);
    }

    fn ready(&mut self, change: impl FnOnce(&mut (bool, bool))) {
        let ready = self.ready.clone();
        let mut ready = ready.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *ready;
        change(&mut ready);
        let (receiver, transmitter) = *ready;
        if *ready != before {
            self.gauges.readies.fetch_add(1, Ordering::Relaxed);
            self.tell(Event::Ready {
                receiver,
                transmitter,
            });
        }
    }
}
