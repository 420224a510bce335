//! The guardian's loop: clients' orders in, leases counted, wires told. Nothing in it waits for a disk, a
//! device, a client or the log.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::Flock;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use pttd_core::radio::lease::Input;
use pttd_hw::serial::SerialPorts;
use sd_notify::NotifyState;
use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

use super::Wires;
use super::clients::Clients;
use super::outputs::Port;
use super::protocol::{Ask, Ended, Inputs, Line, Listener, Purpose, Tell, instant_of};
use super::radios::Radio;
use crate::Files;

mod settling;

/// The loop goes round at least so often.
const TICK: Duration = Duration::from_millis(100);
/// Messages of one client that are read before others have their turn.
const IN_TURN: usize = 32;
/// How long the wires have for their last order.
const LAST_ORDERS: Duration = Duration::from_secs(1);
/// After a failure to let somebody in, as when there are no more file descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_secs(1);
/// Of SCHED_RR: above ordinary programs, below the kernel's own threads.
const PRIORITY: u8 = 20;

pub struct Server {
    path: PathBuf,
    listener: Listener,
    /// For as long as it owns the lines.
    _lock: Flock<File>,
    files: Files,
    signals: SignalFd,
    bell: Arc<EventFd>,
    radios: BTreeMap<String, Radio>,
    ports: Vec<Port>,
    /// What clients know of the ports.
    inputs: BTreeMap<PathBuf, Inputs>,
    /// The doors to serial ports, one each: a port that hangs keeps nobody from another.
    doors: BTreeMap<PathBuf, Arc<SerialPorts>>,
    clients: Clients,
    wires: Wires,
    /// Not all of what the settings say is in force: something is keyed, or could not be started.
    settling: bool,
    reading: Option<Receiver<Result<Wires>>>,
    /// Asked for while they were being read.
    read_again: bool,
    ends_alone: Option<Duration>,
    alone_since: Instant,
    accept_from: Instant,
    watchdog: Option<Duration>,
    fed: Instant,
    ready: bool,
    stop: bool,
}

impl Server {
    pub fn start(
        path: &Path,
        lock: Flock<File>,
        wires: Wires,
        files: Files,
        signals: SigSet,
        ends_alone: Option<Duration>,
    ) -> Result<Server> {
        // Threads inherit it.
        run_first();
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let signals = SignalFd::with_flags(&signals, flags).context("watching for signals")?;
        let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
        let bell = Arc::new(EventFd::from_flags(flags).context("making the wires' bell")?);
        let listener =
            Listener::bind(path).with_context(|| format!("listening on {}", path.display()))?;
        let mut microseconds = 0;
        let watchdog = sd_notify::watchdog_enabled(false, &mut microseconds)
            .then(|| Duration::from_micros(microseconds) / 4);
        let now = Instant::now();
        let mut server = Server {
            path: path.to_path_buf(),
            listener,
            _lock: lock,
            files,
            signals,
            bell,
            radios: BTreeMap::new(),
            ports: Vec::new(),
            inputs: BTreeMap::new(),
            doors: BTreeMap::new(),
            clients: Clients::default(),
            wires,
            settling: true,
            reading: None,
            read_again: false,
            ends_alone,
            alone_since: now,
            accept_from: now,
            watchdog,
            fed: now,
            ready: false,
            stop: false,
        };
        server.settle();
        Ok(server)
    }

    /// However it ends, the lines are down: a CM108 would stay as it was.
    pub fn run(mut self) -> Result<()> {
        let ended = self.go_round();
        notify(NotifyState::Stopping);
        self.finish();
        ended
    }

    fn go_round(&mut self) -> Result<()> {
        let began = Instant::now();
        while !self.stop {
            self.wait()?;
            let now = Instant::now();
            for radio in self.radios.values_mut() {
                radio.handle_timeout(now);
            }
            self.signals();
            self.hear(now);
            self.admit(now);
            self.tell_news(now);
            self.settings();
            self.feed(now);
            if !self.ready && (self.have_tried() || now >= began + LAST_ORDERS) {
                self.ready = true;
                let lines: Vec<&String> = self.radios.keys().collect();
                tracing::info!(socket = %self.path.display(), ?lines, "the guardian has the PTT lines, unkeyed");
                notify(NotifyState::Ready);
            }
        }
        Ok(())
    }

    fn have_tried(&self) -> bool {
        self.radios.values().all(Radio::has_tried)
    }

    /// Until something happens, or is due.
    fn wait(&self) -> Result<()> {
        let now = Instant::now();
        let due = self.radios.values().filter_map(Radio::poll_timeout).min();
        let left = due.map_or(TICK, |due| due.saturating_duration_since(now).min(TICK));
        // Whole milliseconds, and not before it is due.
        let left = PollTimeout::from(left.as_millis() as u16 + 1);
        let accepts = match self.accept_from <= now {
            true => PollFlags::POLLIN,
            false => PollFlags::empty(),
        };
        let mut fds = vec![
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.bell.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.listener.as_fd(), accepts),
        ];
        let of_clients = self.clients.all.iter().map(|client| {
            let wanted = match client.behind {
                true => PollFlags::POLLIN | PollFlags::POLLOUT,
                false => PollFlags::POLLIN,
            };
            PollFd::new(client.socket.as_fd(), wanted)
        });
        fds.extend(of_clients);
        match poll(&mut fds, left) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error).context("waiting for clients and wires"),
        }
    }

    fn signals(&mut self) {
        while let Ok(Some(signal)) = self.signals.read_signal() {
            match Signal::try_from(signal.ssi_signo as i32) {
                Ok(Signal::SIGHUP) => self.read_settings(),
                _ => self.stop = true,
            }
        }
    }

    /// What clients say. One who says what means nothing is shown the door, and nobody else notices.
    fn hear(&mut self, now: Instant) {
        for at in 0..self.clients.all.len() {
            for _ in 0..IN_TURN {
                let Some(client) = self.clients.all.get_mut(at).filter(|c| !c.gone) else {
                    break;
                };
                match client.socket.take() {
                    Ok(Some(ask)) => self.carry_out(at, ask),
                    Ok(None) => break,
                    Err(ended) => {
                        client.gone = true;
                        if !matches!(ended, Ended::HungUp) {
                            tracing::warn!(pid = client.pid, why = %ended, "turned a client away");
                        }
                    }
                }
            }
        }
        for client in self.clients.leave(now) {
            for (id, radio) in &mut self.radios {
                if radio.keyed_by.take_if(|by| *by == client.id).is_some() {
                    tracing::warn!(
                        radio = id,
                        pid = client.pid,
                        "who keyed it is gone: unkeyed"
                    );
                    radio.handle(Input::Gone, now);
                }
            }
        }
        for at in 0..self.clients.all.len() {
            if self.clients.all[at].behind {
                self.clients.all[at].behind = false;
                self.tell_all(at);
            }
        }
        if !self.clients.all.is_empty() {
            self.alone_since = now;
        }
        if let Some(patience) = self.ends_alone
            && self.alone_since + patience <= now
        {
            tracing::info!("nobody needs the guardian any more");
            self.stop = true;
        }
    }

    fn carry_out(&mut self, at: usize, ask: Ask) {
        let now = Instant::now();
        let client = &mut self.clients.all[at];
        match (ask, client.purpose) {
            (Ask::Hello { purpose }, None) => self.greet(at, purpose),
            (
                Ask::Key {
                    radio,
                    number,
                    said_ns,
                },
                Some(Purpose::Run),
            ) => {
                let id = client.id;
                client.tell(&Tell::Ack { number });
                let said = instant_of(said_ns, now);
                match self.radios.get_mut(&radio) {
                    Some(radio) => radio.key(said, id, now),
                    None => self.clients.all[at].tell(&unknown(radio)),
                }
            }
            (Ask::Unkey { radio, number }, Some(purpose)) => {
                client.tell(&Tell::Ack { number });
                let input = match purpose {
                    Purpose::Run => Input::Unkey,
                    // Or pttd would key it again a moment later.
                    Purpose::Look => Input::Stop,
                };
                let meant = |id: &String| radio.as_ref().is_none_or(|radio| radio == id);
                let meant = self.radios.iter_mut().filter(|(id, _)| meant(id));
                for (_, radio) in meant {
                    radio.handle(input, now);
                }
            }
            (Ask::AreYouThere { number }, Some(_)) => client.tell(&Tell::Ack { number }),
            (Ask::Reload, Some(_)) => self.read_settings(),
            (Ask::End, Some(_)) => {
                tracing::info!(pid = client.pid, "asked to make room for another guardian");
                self.stop = true;
            }
            (ask, purpose) => {
                client.gone = true;
                tracing::warn!(
                    pid = client.pid,
                    ?ask,
                    ?purpose,
                    "turned a client away: not its turn"
                );
            }
        }
    }

    fn greet(&mut self, at: usize, purpose: Purpose) {
        let running = self.clients.running();
        let client = &mut self.clients.all[at];
        if let (Purpose::Run, Some(pid)) = (purpose, running) {
            let why = format!("another pttd, process {pid}, keys these radios: end one of the two");
            tracing::warn!(pid = client.pid, why, "turned a client away");
            client.tell(&Tell::Refused { why });
            client.gone = true;
            return;
        }
        tracing::debug!(pid = client.pid, ?purpose, "a client");
        client.purpose = Some(purpose);
        self.tell_all(at);
    }

    /// All there is to know, to one.
    fn tell_all(&mut self, at: usize) {
        let client = &mut self.clients.all[at];
        for radio in self.radios.values() {
            client.tell(&Tell::Line(radio.line.clone()));
        }
        for inputs in self.inputs.values() {
            client.tell(&Tell::Inputs(inputs.clone()));
        }
        client.tell(&Tell::Welcome {
            version: env!("CARGO_PKG_VERSION").to_string(),
            config: self.files.config_path(),
            lease_ms: self.wires.lease.as_millis() as u64,
        });
    }

    fn admit(&mut self, now: Instant) {
        if now < self.accept_from {
            return;
        }
        loop {
            match self.listener.accept() {
                Ok(Some(socket)) => self.clients.admit(socket, now),
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, "a client cannot be let in");
                    self.accept_from = now + ACCEPT_AGAIN;
                    return;
                }
            }
        }
    }

    /// What the wires' threads found.
    fn tell_news(&mut self, now: Instant) {
        // An error: nobody rang.
        let _ = self.bell.read();
        for radio in self.radios.values_mut() {
            if let Some(line) = radio.news(now) {
                self.clients.tell(&Tell::Line(line));
            }
        }
        for port in &self.ports {
            let inputs = port.told();
            let known = self.inputs.get_mut(&port.path);
            let Some(known) = known.filter(|known| **known != inputs) else {
                continue;
            };
            if known.fault != inputs.fault {
                let port = port.path.display();
                match &inputs.fault {
                    Some(why) => {
                        tracing::warn!(%port, why, "the serial port is not heard: trying again")
                    }
                    None => tracing::info!(%port, "the serial port is heard"),
                }
            }
            *known = inputs.clone();
            self.clients.tell(&Tell::Inputs(inputs));
        }
    }

    /// Tells systemd that the loop goes round.
    fn feed(&mut self, now: Instant) {
        if let Some(every) = self.watchdog
            && self.fed + every <= now
        {
            self.fed = now;
            notify(NotifyState::Watchdog);
        }
    }

    /// Unkeys everything and waits for it, but not for ever.
    fn finish(self) {
        let began = Instant::now();
        for radio in self.radios.values() {
            radio.end();
        }
        while !self.radios.values().all(Radio::has_ended) {
            if began.elapsed() > LAST_ORDERS {
                let stuck = self.radios.iter().filter(|(_, radio)| !radio.has_ended());
                let radios: Vec<&String> = stuck.map(|(id, _)| id).collect();
                tracing::error!(
                    ?radios,
                    "ending although these PTT lines do not answer: check that they are down"
                );
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        // A client that is still there sees the end of the connection; the next guardian makes its own socket.
        if let Err(error) = std::fs::remove_file(&self.path)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!(%error, "the socket stays");
        }
        tracing::info!("the guardian has unkeyed everything and ends");
        super::log::finish();
    }
}

fn unknown(radio: String) -> Tell {
    Tell::Line(Line {
        radio,
        fault: Some("the guardian's settings have no such PTT line".to_string()),
        ..Line::default()
    })
}

/// Ahead of whatever else the machine is busy with, where that is allowed.
fn run_first() {
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::RoundRobin);
    let priority = match thread_priority::ThreadPriorityValue::try_from(PRIORITY) {
        Ok(priority) => ThreadPriority::Crossplatform(priority),
        Err(_) => ThreadPriority::Min,
    };
    if let Err(error) = set_thread_priority_and_policy(thread_native_id(), priority, policy) {
        tracing::warn!(
            %error,
            "no real-time scheduling: on a busy machine PTT lines may fall late; start it by systemd, or \
             allow it with LimitRTPRIO"
        );
    }
}

fn notify(state: NotifyState) {
    if let Err(error) = sd_notify::notify(false, &[state]) {
        tracing::warn!(%error, "systemd cannot be told");
    }
}
