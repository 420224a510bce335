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
use tokio::sync::mpsc::error::TrySendError as TrySend;

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
    untold: VecDeque<Untold>,
    ready: Arc<Ready>,
    gauges: Arc<Gauges>,
}

enum Untold {
    Event(Event),
    /// Read when it is told: the other thread may have had more to say meanwhile.
    Ready,
}

/// Whether receiver and transmitter are there: each of the two threads says so for both. Held while it is told, so
/// that what is told last is so.
#[derive(Default)]
pub struct Ready(Mutex<(bool, bool)>);

impl Ready {
    /// False: the reactor has no room.
    pub fn tell(&self, radio: RadioId, events: &mpsc::Sender<(RadioId, Event)>) -> bool {
        let there = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (receiver, transmitter) = *there;
        let event = Event::Ready {
            receiver,
            transmitter,
        };
        // A reactor that is gone needs nothing.
        let told = events.try_send((radio, event));
        !matches!(told, Err(TrySend::Full(_)))
    }

    /// Whether that is news.
    fn change(&self, change: impl FnOnce(&mut (bool, bool))) -> bool {
        let mut there = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *there;
        change(&mut there);
        *there != before
    }
}

impl Teller {
    pub fn new(
        radio: RadioId,
        events: mpsc::Sender<(RadioId, Event)>,
        ready: Arc<Ready>,
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
        self.keep(Untold::Event(event));
    }

    fn keep(&mut self, untold: Untold) {
        if self.untold.len() == UNTOLD {
            self.untold.pop_front();
            self.gauges.events_dropped.fetch_add(1, Ordering::Relaxed);
        }
        self.untold.push_back(untold);
        self.flush();
    }

    /// What the reactor had no room for before.
    pub fn flush(&mut self) {
        while let Some(untold) = self.untold.pop_front() {
            let untold = match untold {
                Untold::Ready if self.ready.tell(self.radio, &self.events) => continue,
                Untold::Ready => Untold::Ready,
                Untold::Event(event) => match self.events.try_send((self.radio, event)) {
                    Err(TrySend::Full((_, event))) => Untold::Event(event),
                    Ok(()) | Err(TrySend::Closed(_)) => continue,
                },
            };
            self.untold.push_front(untold);
            return;
        }
    }

    pub fn receiver_is(&mut self, there: bool) {
        self.ready(|ready| ready.0 = there);
    }

    pub fn transmitter_is(&mut self, there: bool) {
        self.ready(|ready| ready.1 = there);
    }

    fn ready(&mut self, change: impl FnOnce(&mut (bool, bool))) {
        if self.ready.change(change) {
            self.gauges.readies.fetch_add(1, Ordering::Relaxed);
            self.keep(Untold::Ready);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_thread_could_not_tell_at_once_is_told_as_it_is_by_then() {
        let (events_in, mut events) = mpsc::channel(1);
        let ready = Arc::<Ready>::default();
        let teller = || {
            let (events, ready) = (events_in.clone(), ready.clone());
            Teller::new(RadioId(0), events, ready, Arc::default())
        };
        let (mut receiver, mut transmitter) = (teller(), teller());
        let is = |receiver, transmitter| Event::Ready {
            receiver,
            transmitter,
        };
        receiver.receiver_is(true);
        transmitter.transmitter_is(true);
        receiver.receiver_is(false);
        assert_eq!(events.try_recv().unwrap().1, is(true, false));
        receiver.flush();
        assert_eq!(events.try_recv().unwrap().1, is(false, true));
        transmitter.flush();
        assert_eq!(events.try_recv().unwrap().1, is(false, true));
    }
}
