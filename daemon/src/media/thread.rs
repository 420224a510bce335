//! One media thread: waits for packets, orders or a deadline, feeds the shard, carries out what it says.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::EventFd;
use nix::sys::time::TimeSpec;
use pttd_core::ids::TransmissionId;
use pttd_core::media::{Event, Shard};
use tokio::sync::mpsc;

use super::socket::Socket;
use super::{Figures, Inbox, Queues, RadioTaps, ToShard};
use crate::recorder::Tapped;

/// Batches read from one socket before the others have their turn.
const BATCHES: usize = 4;
/// How soon an event the reactor had no room for is offered again.
const AGAIN: Duration = Duration::from_millis(5);
const FIGURES_EVERY: Duration = Duration::from_millis(500);
/// While nobody connects and nobody may talk, packets are looked at no oftener than this: a thousand phones at
/// rest send nothing but ICE checks, and each would wake the thread by itself. A grant is an order, and ends the rest at once.
const AT_REST: Duration = Duration::from_millis(20);

pub(super) struct Thread {
    shard: Shard,
    sockets: Vec<Socket>,
    queues: Queues,
    wake: Arc<EventFd>,
    others: Vec<Inbox>,
    events: mpsc::Sender<Event>,
    /// Bounded by the transports: each has at most a handful of events at a time.
    untold: VecDeque<Event>,
    taps: SyncSender<Tapped>,
    /// Packets the recorder had no room for and does not know of; bounded by the talks that run.
    untapped: BTreeMap<TransmissionId, u64>,
    radios: Arc<RadioTaps>,
    figures: Arc<Figures>,
    figures_due: Instant,
    looked: Instant,
}

impl Thread {
    pub fn new(
        queues: Queues,
        wake: Arc<EventFd>,
        others: Vec<Inbox>,
        events: mpsc::Sender<Event>,
        taps: SyncSender<Tapped>,
        figures: Arc<Figures>,
    ) -> Thread {
        Thread {
            shard: Shard::new(),
            sockets: Vec::new(),
            queues,
            wake,
            others,
            events,
            untold: VecDeque::new(),
            taps,
            untapped: BTreeMap::new(),
            radios: Arc::default(),
            figures,
            figures_due: Instant::now(),
            looked: Instant::now(),
        }
    }

    /// Until the reactor is gone.
    pub fn run(mut self) {
        while !self.events.is_closed() {
            match self.wait() {
                Ok(readable) => {
                    self.looked = Instant::now();
                    self.orders();
                    self.packets(&readable);
                    self.shard.handle_timeout(Instant::now());
                    self.carry_out();
                }
                Err(Errno::EINTR) => {}
                Err(error) => {
                    tracing::error!(%error, "a media thread cannot wait for packets, starting anew");
                    std::process::exit(70);
                }
            }
        }
    }

    /// Which sockets have something, once anything has happened.
    fn wait(&self) -> nix::Result<Vec<usize>> {
        self.rest()?;
        let now = Instant::now();
        let until = self.shard.poll_timeout().into_iter().chain([
            self.figures_due,
            now + if self.untold.is_empty() && self.untapped.is_empty() {
                FIGURES_EVERY
            } else {
                AGAIN
            },
        ]);
        let wait = until.min().map(|at| at.saturating_duration_since(now));
        let mut fds = vec![PollFd::new(self.wake.as_fd(), PollFlags::POLLIN)];
        fds.extend(
            self.sockets
                .iter()
                .map(|s| PollFd::new(s.as_fd(), PollFlags::POLLIN)),
        );
        ppoll(&mut fds, wait.map(TimeSpec::from_duration), None)?;
        let ready = |fd: &PollFd| fd.revents().is_some_and(|r| !r.is_empty());
        if ready(&fds[0]) {
            let _ = self.wake.read();
        }
        let readable = fds[1..].iter().enumerate().filter(|(_, fd)| ready(fd));
        Ok(readable.map(|(n, _)| n).collect())
    }

    /// Between two looks, while what comes can wait.
    fn rest(&self) -> nix::Result<()> {
        let left = (self.looked + AT_REST).saturating_duration_since(Instant::now());
        if self.shard.is_at_rest() && !left.is_zero() {
            let mut wake = [PollFd::new(self.wake.as_fd(), PollFlags::POLLIN)];
            ppoll(&mut wake, Some(TimeSpec::from_duration(left)), None)?;
        }
        Ok(())
    }

    fn orders(&mut self) {
        while let Ok(order) = self.queues.orders.try_recv() {
            match order {
                ToShard::Command(command) => self.shard.handle_command(command, Instant::now()),
                ToShard::Radios(radios) => self.radios = radios,
                ToShard::Bind(socket) => match Socket::new(socket) {
                    Ok(socket) => self.sockets.push(socket),
                    Err(error) => tracing::error!(%error, "a media socket is lost"),
                },
                ToShard::Unbind(address) => self.sockets.retain(|s| s.address() != address),
            }
        }
        while let Ok(fan_out) = self.queues.fan_out.try_recv() {
            self.shard.handle_fan_out(fan_out, Instant::now());
        }
        self.send();
    }

    fn packets(&mut self, readable: &[usize]) {
        for n in readable {
            for _ in 0..BATCHES {
                let Some(socket) = self.sockets.get_mut(*n) else {
                    break;
                };
                let (to, shard, figures) = (socket.address(), &mut self.shard, &self.figures);
                let now = Instant::now();
                let full = socket.receive(|from, bytes| {
                    // Transports catch their own panics; this is for what lies around them.
                    let handled = || shard.handle_datagram(from, to, bytes, now);
                    if catch_unwind(AssertUnwindSafe(handled)).is_err() {
                        figures.panics.fetch_add(1, Ordering::Relaxed);
                    }
                });
                self.fan_out();
                self.send();
                if !full {
                    break;
                }
            }
        }
    }

    fn carry_out(&mut self) {
        self.fan_out();
        self.send();
        self.tap();
        let now = Instant::now();
        if now >= self.figures_due {
            self.figures.note(self.shard.counters());
            self.figures_due = now + FIGURES_EVERY;
        }
    }

    /// Before anything is sent: a client that learns from the packet that it is connected may ask for the floor
    /// at once, and the reactor must know by then.
    fn tell(&mut self) {
        while let Some(event) = self.shard.poll_event() {
            self.untold.push_back(event);
        }
        while let Some(event) = self.untold.pop_front() {
            if let Err(mpsc::error::TrySendError::Full(event)) = self.events.try_send(event) {
                self.untold.push_front(event);
                break;
            }
        }
    }

    fn fan_out(&mut self) {
        let mut any = false;
        while let Some(fan_out) = self.shard.poll_fan_out() {
            any = true;
            for other in &self.others {
                if other.fan_out.try_send(fan_out.clone()).is_err() {
                    self.figures.fan_out_dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        if any {
            self.others.iter().for_each(Inbox::wake);
        }
    }

    /// After everything is sent: listeners come first.
    fn tap(&mut self) {
        // Nor is a radio's playback woken: it looks every 10 ms, when its card wants more.
        while let Some((radio, tap)) = self.shard.poll_radio_tap() {
            if let Some(Err(_full)) = self.radios.get(&radio).map(|taps| taps.try_send(tap)) {
                let dropped = &self.figures.radio_taps_dropped;
                dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
        while let Some(tap) = self.shard.poll_tap() {
            let transmission = tap.transmission;
            match self.taps.try_send(Tapped::Packet(tap)) {
                Ok(()) => {}
                Err(refused) => {
                    self.figures.taps_dropped.fetch_add(1, Ordering::Relaxed);
                    if matches!(refused, TrySendError::Full(_)) {
                        *self.untapped.entry(transmission).or_default() += 1;
                    }
                }
            }
        }
        while let Some((&transmission, &packets)) = self.untapped.first_key_value() {
            let dropped = Tapped::Dropped {
                transmission,
                packets,
            };
            if let Err(TrySendError::Full(_)) = self.taps.try_send(dropped) {
                break;
            }
            self.untapped.remove(&transmission);
        }
    }

    fn send(&mut self) {
        self.tell();
        let transmits: Vec<_> = self.shard.poll_transmit().collect();
        let mut rest = &transmits[..];
        while let Some(first) = rest.first() {
            // Nearly always one stretch: all listeners of a LAN are reached from the same address.
            let same = rest.iter().take_while(|t| t.source == first.source).count();
            let (stretch, later) = rest.split_at(same);
            rest = later;
            let sent = match self
                .sockets
                .iter_mut()
                .find(|s| s.address() == first.source)
            {
                Some(socket) => socket.send(stretch),
                None => 0,
            };
            let not_sent = (stretch.len() - sent) as u64;
            self.figures.sent.fetch_add(sent as u64, Ordering::Relaxed);
            self.figures.not_sent.fetch_add(not_sent, Ordering::Relaxed);
        }
    }
}
