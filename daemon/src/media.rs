//! The media threads: each runs one shard of the core with its own UDP ports, and nothing but packets.
//!
//! Towards a shard there are two queues: commands, of which none may be lost, and packets of talkers on other
//! shards, which are dropped and counted when a shard cannot keep up. Both wake it through an eventfd.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::socket::{setsockopt, sockopt};
use pttd_core::ids::{RadioId, TransportId};
use pttd_core::media::{Command, Counters, Event, FanOut, Tap};
use tokio::sync::mpsc;

use crate::config;
use crate::origins::interfaces;
use crate::recorder::Tapped;

mod socket;
mod thread;

/// A join takes three. A shard that leaves this many undone is stuck.
const COMMANDS: usize = 16_384;
/// 1 s of ten talkers on other shards: later they would be noise.
const FAN_OUTS: usize = 512;
/// Room for the packets of a thousand listeners at once.
const SEND_BUFFER: usize = 4 << 20;
const RECEIVE_BUFFER: usize = 1 << 20;

/// A media thread that has not gone round for this long hangs.
const HANGS: Duration = Duration::from_secs(5);

/// Where each radio's playback takes packets from.
pub type RadioTaps = BTreeMap<RadioId, SyncSender<Tap>>;

enum ToShard {
    Command(Command),
    Radios(Arc<RadioTaps>),
    Bind(UdpSocket),
    Unbind(SocketAddr),
}

/// Where a shard is reached, by the reactor and by the other shards.
#[derive(Clone)]
struct Inbox {
    orders: SyncSender<ToShard>,
    fan_out: SyncSender<FanOut>,
    wake: Arc<EventFd>,
}

/// Where a radio's receiver hands its packets in, as if it were one more shard.
#[derive(Clone)]
pub struct FanOuts(Vec<Inbox>);

impl FanOuts {
    /// To every shard, of which the first stands in for the talker's own. How many had no room.
    pub fn give(&self, mut fan_out: FanOut) -> u64 {
        let mut dropped = 0;
        fan_out.home = true;
        for inbox in &self.0 {
            dropped += u64::from(inbox.fan_out.try_send(fan_out.clone()).is_err());
            inbox.wake();
            fan_out.home = false;
        }
        dropped
    }
}

struct Shard {
    inbox: Inbox,
    figures: Arc<Figures>,
    /// Its rounds when they were last looked at, and since when they stand still.
    rounds: (u64, Instant),
    transports: usize,
    /// The address each socket is bound to.
    bound: BTreeMap<IpAddr, SocketAddr>,
}

/// What a shard has counted, as the reactor reads it.
#[derive(Default)]
struct Figures {
    counters: [AtomicU64; 8],
    /// Rounds of the thread, so that one that hangs is noticed.
    rounds: AtomicU64,
    panics: AtomicU64,
    sent: AtomicU64,
    not_sent: AtomicU64,
    fan_out_dropped: AtomicU64,
    taps_dropped: AtomicU64,
    radio_taps_dropped: AtomicU64,
}

pub struct Media {
    shards: Vec<Shard>,
    homes: HashMap<TransportId, usize>,
    settings: config::Media,
}

impl Media {
    pub fn start(
        settings: &config::Media,
        events: &mpsc::Sender<Event>,
        taps: &SyncSender<Tapped>,
    ) -> Result<Media> {
        let count = match settings.shards {
            0 => std::thread::available_parallelism().map_or(1, |n| n.get()),
            count => count,
        };
        let mut inboxes = Vec::new();
        let mut queues = Vec::new();
        for _ in 0..count {
            let (orders, orders_in) = sync_channel(COMMANDS);
            let (fan_out, fan_out_in) = sync_channel(FAN_OUTS);
            let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
            let wake = EventFd::from_flags(flags).context("making a media thread's eventfd")?;
            let wake = Arc::new(wake);
            inboxes.push(Inbox {
                orders,
                fan_out,
                wake,
            });
            queues.push((orders_in, fan_out_in));
        }
        let mut shards = Vec::new();
        for (n, (orders, fan_out)) in queues.into_iter().enumerate() {
            let figures = Arc::<Figures>::default();
            let mut others = inboxes.clone();
            let inbox = others.remove(n);
            let queues = Queues { orders, fan_out };
            let (wake, events, taps) = (inbox.wake.clone(), events.clone(), taps.clone());
            let told = figures.clone();
            std::thread::Builder::new()
                .name(format!("media-{n}"))
                .spawn(move || {
                    thread::Thread::new(queues, wake, others, events, taps, told).run();
                })
                .context("starting a media thread")?;
            shards.push(Shard {
                inbox,
                figures,
                rounds: (0, Instant::now()),
                transports: 0,
                bound: BTreeMap::new(),
            });
        }
        let mut media = Media {
            shards,
            homes: HashMap::new(),
            settings: settings.clone(),
        };
        if let Err(error) = media.follow_addresses() {
            // An address may still be on its way, as IPv6's are right after boot.
            if media.shards.iter().any(|shard| shard.bound.is_empty()) {
                return Err(error);
            }
            tracing::warn!(error = %format!("{error:#}"), "an address cannot be used for media");
        }
        Ok(media)
    }

    /// Binds what has come and lets go what has gone: the box may get its address long after it was started.
    pub fn follow_addresses(&mut self) -> Result<()> {
        let wanted = self.wanted_addresses();
        let mut refused = None;
        for (n, shard) in self.shards.iter_mut().enumerate() {
            shard.bound.retain(|ip, address| {
                let stays = wanted.contains(ip);
                if !stays {
                    tracing::info!(%address, "media address gone");
                    shard.inbox.give(ToShard::Unbind(*address));
                }
                stays
            });
            for ip in &wanted {
                if shard.bound.contains_key(ip) {
                    continue;
                }
                let port = match self.settings.port {
                    0 => 0,
                    port => port + n as u16,
                };
                match bind(SocketAddr::new(*ip, port)) {
                    Ok((socket, address)) => {
                        tracing::info!(%address, "media address bound");
                        shard.bound.insert(*ip, address);
                        shard.inbox.give(ToShard::Bind(socket));
                    }
                    Err(error) => refused = Some(error),
                }
            }
        }
        if self.shards.iter().any(|shard| shard.bound.is_empty()) {
            return Err(refused.unwrap_or_else(|| anyhow::anyhow!("the machine has no address")));
        }
        match refused {
            Some(error) => bail!("{error:#}: clients cannot use that address"),
            None => Ok(()),
        }
    }

    /// Where receivers hand packets in.
    pub fn fan_outs(&self) -> FanOuts {
        let inboxes = self.shards.iter().map(|shard| shard.inbox.clone());
        FanOuts(inboxes.collect())
    }

    /// Which radios there are from now on.
    pub fn set_radios(&self, taps: RadioTaps) {
        let taps = Arc::new(taps);
        for shard in &self.shards {
            shard.inbox.give(ToShard::Radios(taps.clone()));
        }
    }

    pub fn ports(&self) -> BTreeSet<u16> {
        let bound = self.shards.iter().flat_map(|shard| shard.bound.values());
        bound.map(SocketAddr::port).collect()
    }

    /// Gives a transport its home, and tells the addresses it is reached at.
    pub fn settle(&mut self, transport: TransportId) -> Vec<SocketAddr> {
        let least = |(_, shard): &(usize, &Shard)| shard.transports;
        let Some((home, _)) = self.shards.iter().enumerate().min_by_key(least) else {
            return Vec::new();
        };
        self.shards[home].transports += 1;
        self.homes.insert(transport, home);
        let shard = &self.shards[home];
        let first_port = self.settings.port;
        let advertised = self.settings.advertise.iter().map(|advertised| {
            let port = advertised.port.unwrap_or(first_port) + home as u16;
            SocketAddr::new(advertised.address, port)
        });
        shard.bound.values().copied().chain(advertised).collect()
    }

    /// The transport is no more, or never came to be.
    pub fn forget(&mut self, transport: TransportId) {
        if let Some(home) = self.homes.remove(&transport) {
            self.shards[home].transports -= 1;
        }
    }

    pub fn order(&mut self, command: Command) {
        let transport = match &command {
            &Command::Talker {
                route,
                transport,
                transmission,
            } => {
                return self.order_all(|| Command::Talker {
                    route,
                    transport,
                    transmission,
                });
            }
            Command::Settings {
                route,
                recorded,
                echo,
                radios,
            } => {
                return self.order_all(|| Command::Settings {
                    route: *route,
                    recorded: *recorded,
                    echo: *echo,
                    radios: radios.clone(),
                });
            }
            Command::Open { transport, .. } => transport.id,
            Command::Close(transport) | Command::Pause { transport, .. } => *transport,
        };
        if let Some(home) = self.homes.get(&transport) {
            let closed = matches!(command, Command::Close(_));
            self.shards[*home].inbox.give(ToShard::Command(command));
            if closed {
                self.forget(transport);
            }
        }
    }

    fn order_all(&self, command: impl Fn() -> Command) {
        for shard in &self.shards {
            shard.inbox.give(ToShard::Command(command()));
        }
    }

    /// Whether every thread has gone round lately: each does twice a second, however little there is to do.
    pub fn is_alive(&mut self, now: Instant) -> bool {
        let alive = |shard: &mut Shard| {
            let rounds = shard.figures.rounds.load(Ordering::Relaxed);
            if shard.rounds.0 != rounds {
                shard.rounds = (rounds, now);
            }
            now.saturating_duration_since(shard.rounds.1) < HANGS
        };
        self.shards.iter_mut().all(alive)
    }

    /// Hands the shards' figures to `/metrics`.
    pub fn tell_figures(&self) {
        for (n, shard) in self.shards.iter().enumerate() {
            shard.figures.tell(n, shard.transports);
        }
    }
}

struct Queues {
    orders: Receiver<ToShard>,
    fan_out: Receiver<FanOut>,
}

impl Inbox {
    fn give(&self, order: ToShard) {
        if self.orders.try_send(order).is_err() {
            // A lost command could leave someone heard who must not be: better a new start in a second.
            tracing::error!("a media thread does not take its orders any more, starting anew");
            std::process::exit(70);
        }
        self.wake();
    }

    fn wake(&self) {
        // Full, it wakes as well.
        let _ = self.wake.write(1);
    }
}

impl Figures {
    fn note(&self, counters: Counters) {
        let now = [
            counters.datagrams_received,
            counters.unknown_peer,
            counters.undecodable,
            counters.packets_received,
            counters.without_floor,
            counters.too_many,
            counters.packets_forwarded,
            counters.panics,
        ];
        for (figure, now) in self.counters.iter().zip(now) {
            figure.store(now, Ordering::Relaxed);
        }
        self.rounds.fetch_add(1, Ordering::Relaxed);
    }

    fn tell(&self, shard: usize, transports: usize) {
        const NAMES: [&str; 8] = [
            "pttd_media_datagrams_received_total",
            "pttd_media_unknown_peer_total",
            "pttd_media_undecodable_total",
            "pttd_media_packets_received_total",
            "pttd_media_packets_without_floor_total",
            "pttd_media_packets_too_many_total",
            "pttd_media_packets_forwarded_total",
            "pttd_media_panics_total",
        ];
        let shard = shard.to_string();
        let count = |name: &'static str, figure: &AtomicU64| {
            let figure = figure.load(Ordering::Relaxed);
            metrics::counter!(name, "shard" => shard.clone()).absolute(figure);
        };
        for (name, figure) in NAMES.into_iter().zip(&self.counters) {
            count(name, figure);
        }
        count("pttd_media_datagrams_panicked_total", &self.panics);
        count("pttd_media_datagrams_sent_total", &self.sent);
        count("pttd_media_datagrams_not_sent_total", &self.not_sent);
        count("pttd_media_fan_out_dropped_total", &self.fan_out_dropped);
        count("pttd_media_taps_dropped_total", &self.taps_dropped);
        let radio_taps_dropped = &self.radio_taps_dropped;
        count("pttd_media_radio_taps_dropped_total", radio_taps_dropped);
        metrics::gauge!("pttd_media_transports", "shard" => shard.clone()).set(transports as f64);
    }
}

fn bind(address: SocketAddr) -> Result<(UdpSocket, SocketAddr)> {
    let bind = || -> std::io::Result<(UdpSocket, SocketAddr)> {
        let socket = UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        // The kernel may grant less; what then does not fit is counted as not sent.
        let _ = setsockopt(&socket, sockopt::SndBuf, &SEND_BUFFER);
        let _ = setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER);
        let address = socket.local_addr()?;
        Ok((socket, address))
    };
    bind().with_context(|| {
        format!("binding UDP {address} for media (change [media] port, or stop who has it)")
    })
}

impl Media {
    fn wanted_addresses(&self) -> BTreeSet<IpAddr> {
        if !self.settings.addresses.is_empty() {
            return self.settings.addresses.iter().map(|a| a.0).collect();
        }
        let lan: BTreeSet<IpAddr> = interfaces()
            .into_iter()
            .filter(|ip| !ip.is_loopback())
            .collect();
        match lan.is_empty() {
            // No network yet: a browser on the box itself can be served.
            true => BTreeSet::from([Ipv4Addr::LOCALHOST.into()]),
            false => lan,
        }
    }
}
