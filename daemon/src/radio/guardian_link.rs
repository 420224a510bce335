//! pttd's end of the guardian's socket: orders out, what it tells in, and an eye on whether it lives.
//!
//! A playback thread orders with [`Link::key`] and is never kept waiting. The link's own thread hears the
//! answers. A guardian that has an order and does not acknowledge it may have a transmitter keyed and hang: it
//! is killed, by which the kernel lets go of its lines, and the next one begins by unkeying.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use pttd_core::radio::Event;
use pttd_hw::HwError;
use pttd_hw::serial::Levels;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::thread::go_before_others;
use crate::config::{Settings, StartGuardian};
use crate::guardian::Wires;
use crate::guardian::protocol::{Ask, Inputs, Line, Purpose, Socket, Tell, monotonic_ns};
use crate::health::Health;

#[cfg(test)]
mod tests;

/// A guardian that works acknowledges within a millisecond.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);
/// While a transmitter may be keyed nothing is waited for that long.
const ANSWERS_WITHIN_KEYED: Duration = Duration::from_millis(150);
/// An order of this long ago may have it keyed yet: the longest lease.
const MAY_BE_KEYED: Duration = Duration::from_secs(1);
/// It is asked so often whether it is there, where nothing else is said.
const ASK_EVERY: Duration = Duration::from_millis(300);
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// For one that was killed to be gone: a process that hangs in the kernel takes longer.
const DIES_WITHIN: Duration = Duration::from_secs(2);
/// For one that was started to listen.
const LISTENS_WITHIN: Duration = Duration::from_secs(3);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Orders without an answer that are remembered: the oldest counts.
const UNANSWERED: usize = 64;

/// How to start a guardian where none answers.
pub struct Starter {
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
}

type Report = Box<dyn Fn(&str, Event) + Send>;

pub struct Setup {
    pub socket: PathBuf,
    /// `None`: somebody else starts it, as systemd does.
    pub starter: Option<Starter>,
    /// The settings' file (`Files::config_path`): the guardian should have read the same.
    pub config: Option<PathBuf>,
    /// There are lines to own. If not, no guardian is asked for before a reload.
    pub needed: bool,
    pub health: Health,
    /// Is told what each radio's PTT line does, by its id.
    pub report: Report,
}

impl Setup {
    /// As `pttd run` reaches the guardian: where systemd starts pttd, it starts the guardian as well.
    pub fn of(
        settings: &Settings,
        config: Option<PathBuf>,
        health: Health,
        report: impl Fn(&str, Event) + Send + 'static,
    ) -> Result<Setup> {
        let by_systemd = std::env::var_os("NOTIFY_SOCKET").is_some();
        let starter = match settings.guardian.start {
            StartGuardian::Auto if !by_systemd => {
                let mut arguments: Vec<OsString> = vec!["guardian".into(), "--for-pttd".into()];
                arguments.extend(["--state".into(), settings.state.dir.clone().into()]);
                if let Some(config) = &config {
                    arguments.extend(["--config".into(), config.clone().into()]);
                }
                let program = std::env::current_exe().context("finding this program's file")?;
                Some(Starter { program, arguments })
            }
            StartGuardian::Auto | StartGuardian::Never => None,
        };
        Ok(Setup {
            socket: settings.guardian_socket(),
            starter,
            config,
            needed: !Wires::of(settings).is_empty(),
            health,
            report: Box::new(report),
        })
    }
}

pub struct Link {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    state: Mutex<State>,
    bell: EventFd,
}

#[derive(Default)]
struct State {
    /// `None`: no guardian answers.
    socket: Option<Arc<Socket>>,
    number: u64,
    unanswered: VecDeque<(u64, Instant)>,
    said: Option<Instant>,
    /// When each radio was last ordered to be keyed, and not unkeyed since.
    ordered: BTreeMap<String, Instant>,
    lines: BTreeMap<String, Line>,
    inputs: BTreeMap<PathBuf, Inputs>,
    needed: bool,
    ends: bool,
}

impl Link {
    pub fn start(setup: Setup) -> Result<Arc<Link>> {
        let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            bell: EventFd::from_flags(flags).context("making the guardian link's bell")?,
        });
        shared.state().needed = setup.needed;
        let mut keeper = Keeper {
            shared: shared.clone(),
            setup,
            child: None,
            pause: FIRST_PAUSE,
            made_room: false,
        };
        let thread = std::thread::Builder::new()
            .name("guardian link".to_string())
            .spawn(move || {
                // It judges by the clock, and is the one that takes a transmitter off the air.
                go_before_others();
                keeper.run();
            })
            .context("starting the guardian's link")?;
        Ok(Arc::new(Link {
            shared,
            thread: Mutex::new(Some(thread)),
        }))
    }

    /// Key, or stay keyed: good for one lease. Never waits.
    pub fn key(&self, radio: &str) {
        let mut state = self.shared.state();
        state.ordered.insert(radio.to_string(), Instant::now());
        let said_ns = monotonic_ns();
        let radio = radio.to_string();
        let order = |number| Ask::Key {
            radio,
            number,
            said_ns,
        };
        state.order(order);
    }

    /// Never waits.
    pub fn unkey(&self, radio: &str) {
        let mut state = self.shared.state();
        state.ordered.remove(radio);
        let radio = Some(radio.to_string());
        state.order(|number| Ask::Unkey { radio, number });
    }

    /// What the guardian last told of a radio's PTT line.
    pub fn line(&self, radio: &str) -> Line {
        let state = self.shared.state();
        let told = state.lines.get(radio).cloned();
        told.unwrap_or_else(|| Line {
            radio: radio.to_string(),
            keyed: false,
            locked: false,
            fault: Some(match state.socket {
                Some(_) => "the guardian does not know this radio".to_string(),
                None => NOBODY.to_string(),
            }),
        })
    }

    /// The levels of a serial port's inputs, and how many bytes of text came in: the port has one opener, and that
    /// is the guardian.
    pub fn serial(&self, port: &Path) -> Result<(Levels, u64), HwError> {
        let state = self.shared.state();
        let missing = |why: &str| HwError::Missing {
            what: format!("the serial port {} ({why})", port.display()),
        };
        let inputs = state.inputs.get(port).ok_or_else(|| missing(NOBODY))?;
        match &inputs.fault {
            Some(why) => Err(missing(why)),
            None => Ok((inputs.levels(), inputs.garbage)),
        }
    }

    /// The settings have changed.
    pub fn reload(&self) {
        let mut state = self.shared.state();
        state.needed = true;
        if let Some(socket) = &state.socket {
            // Whoever connects next is told to as well.
            let _ = socket.send(&Ask::Reload);
        }
    }

    /// Unkeys everything and hangs up; a guardian that was started here ends.
    pub fn stop(&self) {
        self.shared.state().ends = true;
        let _ = self.shared.bell.write(1);
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the guardian's link panicked");
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.stop();
    }
}

const NOBODY: &str = "no guardian answers";

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What cannot be said is counted: without orders the guardian unkeys.
    fn order(&mut self, ask: impl FnOnce(u64) -> Ask) {
        self.number += 1;
        let number = self.number;
        let Some(socket) = &self.socket else {
            return;
        };
        if !matches!(socket.send(&ask(number)), Ok(true)) {
            metrics::counter!("pttd_guardian_orders_dropped_total").increment(1);
        }
        let now = Instant::now();
        self.said = Some(now);
        if self.unanswered.len() < UNANSWERED {
            self.unanswered.push_back((number, now));
        }
    }

    fn answered(&mut self, number: u64) {
        self.unanswered.retain(|(asked, _)| *asked > number);
    }

    /// How long it may go on without an answer.
    fn patience(&self, now: Instant) -> Duration {
        let ordered = self.ordered.values().any(|at| *at + MAY_BE_KEYED > now);
        match ordered || self.lines.values().any(|line| line.keyed) {
            true => ANSWERS_WITHIN_KEYED,
            false => ANSWERS_WITHIN,
        }
    }
}

/// The link's thread.
struct Keeper {
    shared: Arc<Shared>,
    setup: Setup,
    child: Option<(Child, Instant)>,
    /// Until the next attempt to reach one.
    pause: Duration,
    /// One with other settings was asked to make room: not twice, it may come back as it was.
    made_room: bool,
}

/// Why a connection ended.
enum End {
    Stopped,
    HungUp(String),
    /// It was not killed for that.
    Refused(String),
    Hangs(Duration),
}

impl Keeper {
    fn run(&mut self) {
        while !self.shared.state().ends {
            if !self.shared.state().needed {
                self.wait(None, LONGEST_PAUSE);
                continue;
            }
            self.bury();
            match Socket::connect(&self.setup.socket) {
                Ok(socket) => self.keep(Arc::new(socket)),
                Err(e)
                    if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) =>
                {
                    self.start();
                }
                Err(error) => {
                    let socket = self.setup.socket.display();
                    self.lost(format!(
                        "the guardian's socket {socket} cannot be opened: {error}"
                    ));
                }
            }
            self.wait(None, self.pause);
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
        self.let_go();
    }

    /// From hello to the end of the connection.
    fn keep(&mut self, socket: Arc<Socket>) {
        // Held from now on, its number cannot become another process's.
        let process = socket
            .peer()
            .ok()
            .and_then(|peer| Pid::from_raw(peer.pid()));
        let process = process.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        let purpose = Purpose::Run;
        let said = socket.send(&Ask::Hello { purpose });
        let end = match said {
            Ok(_) => self.converse(&socket),
            Err(error) => End::HungUp(error.to_string()),
        };
        match end {
            End::Stopped => {}
            End::Refused(why) => {
                self.pause = LONGEST_PAUSE;
                self.lost(why);
            }
            End::HungUp(why) => {
                metrics::counter!("pttd_guardian_lost_total", "why" => "ended").increment(1);
                self.lost(format!("the guardian is gone ({why})"));
            }
            End::Hangs(silence) => {
                metrics::counter!("pttd_guardian_lost_total", "why" => "hung").increment(1);
                let killed = self.kill(process);
                let ms = silence.as_millis();
                self.lost(format!("the guardian did not answer for {ms} ms: {killed}"));
            }
        }
    }

    fn converse(&mut self, socket: &Arc<Socket>) -> End {
        let began = Instant::now();
        let mut welcome = false;
        loop {
            self.wait(Some(socket), LOOK_EVERY);
            // Before it is judged: this thread may be the one that was late.
            loop {
                match socket.take::<Tell>() {
                    Ok(Some(Tell::Welcome {
                        version,
                        config,
                        lease_ms,
                    })) => {
                        if !welcome {
                            welcome = true;
                            if let Some(end) =
                                self.welcome(socket, &version, config.as_deref(), lease_ms)
                            {
                                return end;
                            }
                        }
                    }
                    Ok(Some(Tell::Refused { why })) => return End::Refused(why),
                    Ok(Some(told)) => self.hear(told),
                    Ok(None) => break,
                    Err(ended) => return End::HungUp(ended.to_string()),
                }
            }
            let now = Instant::now();
            let mut state = self.shared.state();
            if state.ends {
                return End::Stopped;
            }
            let (oldest, patience) = match welcome {
                true => {
                    let oldest = state.unanswered.front().map(|(_, asked)| *asked);
                    (oldest, state.patience(now))
                }
                false => (Some(began), ANSWERS_WITHIN),
            };
            let silence = oldest.map(|asked| now.saturating_duration_since(asked));
            if let Some(silence) = silence.filter(|silence| *silence >= patience) {
                return End::Hangs(silence);
            }
            if welcome && state.said.is_none_or(|said| said + ASK_EVERY <= now) {
                state.order(|number| Ask::AreYouThere { number });
            }
        }
    }

    fn welcome(
        &mut self,
        socket: &Arc<Socket>,
        version: &str,
        config: Option<&Path>,
        lease_ms: u64,
    ) -> Option<End> {
        let other = match () {
            () if version != env!("CARGO_PKG_VERSION") => Some(format!("is of version {version}")),
            () if config != self.setup.config.as_deref() => Some(match config {
                Some(file) => format!("has read {}", file.display()),
                None => "has read no settings".to_string(),
            }),
            () => None,
        };
        if let Some(other) = other {
            if self.setup.starter.is_some() && !self.made_room {
                self.made_room = true;
                tracing::info!(
                    other,
                    "another guardian is there, and is asked to make room"
                );
                let _ = socket.send(&Ask::End);
                return Some(End::HungUp("makes room".to_string()));
            }
            tracing::warn!(
                other,
                "the guardian is not of this pttd: restart it (systemctl restart pttd-guardian)"
            );
        }
        tracing::info!(lease_ms, "the guardian is there");
        self.pause = FIRST_PAUSE;
        // Its settings may be older than pttd's.
        let _ = socket.send(&Ask::Reload);
        let lines = {
            let mut state = self.shared.state();
            state.unanswered.clear();
            state.said = None;
            state.socket = Some(socket.clone());
            state.lines.clone()
        };
        self.setup.health.fine("guardian");
        for line in lines.into_values() {
            self.report(&line);
        }
        None
    }

    fn hear(&self, told: Tell) {
        match told {
            Tell::Ack { number } => self.shared.state().answered(number),
            Tell::Line(line) => {
                let mut state = self.shared.state();
                state.lines.insert(line.radio.clone(), line.clone());
                let welcome = state.socket.is_some();
                drop(state);
                if welcome {
                    self.report(&line);
                }
            }
            Tell::Inputs(inputs) => {
                let mut state = self.shared.state();
                state.inputs.insert(inputs.port.clone(), inputs);
            }
            Tell::Reloaded {
                mistake: Some(mistake),
            } => {
                tracing::warn!(mistake, "the guardian keeps the settings of before");
            }
            Tell::Reloaded { mistake: None } | Tell::Welcome { .. } | Tell::Refused { .. } => {}
        }
    }

    fn report(&self, line: &Line) {
        let event = Event::Line {
            keyed: line.keyed,
            fault: line.fault.is_some(),
            locked: line.locked,
        };
        (self.setup.report)(&line.radio, event);
    }

    /// No guardian: whatever was keyed is not kept so any more.
    fn lost(&mut self, why: String) {
        let lines = {
            let mut state = self.shared.state();
            state.socket = None;
            state.unanswered.clear();
            state.inputs.clear();
            std::mem::take(&mut state.lines)
        };
        let what = match self.setup.starter {
            Some(_) => "nothing can be keyed until the next one is there",
            None => "nothing can be keyed: start it (systemctl start pttd-guardian)",
        };
        self.setup
            .health
            .wrong("guardian", format!("{why}; {what}"));
        for line in lines.into_values() {
            let gone = Line {
                keyed: false,
                fault: Some(NOBODY.to_string()),
                ..line
            };
            self.report(&gone);
        }
    }

    /// What became of it, in words.
    fn kill(&self, process: Option<OwnedFd>) -> String {
        let Some(process) = process else {
            return "it cannot be killed, its process is not known".to_string();
        };
        if let Err(error) = pidfd_send_signal(&process, Signal::KILL) {
            return format!("it cannot be killed ({error})");
        }
        // Readable once it is gone. Only then its lines are free.
        let patience = PollTimeout::try_from(DIES_WITHIN).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, patience) {
            Ok(1..) => "killed it".to_string(),
            _ => "killed it, but it does not go: a device hangs in the kernel, pull it".to_string(),
        }
    }

    /// Where nobody listens.
    fn start(&mut self) {
        let Some(starter) = &self.setup.starter else {
            return self.lost("no guardian runs".to_string());
        };
        if let Some((child, since)) = &mut self.child {
            if since.elapsed() > LISTENS_WITHIN {
                tracing::warn!(
                    pid = child.id(),
                    "the guardian was started but does not listen: killed"
                );
                // Gone already.
                let _ = child.kill();
            }
            return;
        }
        let started = Command::new(&starter.program)
            .args(&starter.arguments)
            .stdin(Stdio::null())
            // These are pttd's.
            .env_remove("NOTIFY_SOCKET")
            .env_remove("WATCHDOG_USEC")
            .env_remove("WATCHDOG_PID")
            .spawn();
        match started {
            Ok(child) => {
                tracing::info!(pid = child.id(), "started a guardian");
                self.child = Some((child, Instant::now()));
            }
            Err(error) => {
                let program = starter.program.display().to_string();
                self.lost(format!(
                    "a guardian cannot be started from {program}: {error}"
                ));
            }
        }
    }

    /// Takes note of a guardian that was started here and has ended.
    fn bury(&mut self) {
        let ended = match self.child.as_mut().map(|(child, _)| child.try_wait()) {
            None | Some(Ok(None)) => return,
            Some(Ok(Some(status))) if status.success() => None,
            Some(Ok(Some(status))) => {
                Some(format!("the guardian that was started ended: {status}"))
            }
            Some(Err(error)) => Some(format!("the guardian that was started is lost: {error}")),
        };
        self.child = None;
        if let Some(why) = ended {
            self.lost(why);
        }
    }

    /// At the end: off the air, and one that was started here is no longer needed.
    fn let_go(&mut self) {
        let mut state = self.shared.state();
        state.order(|number| Ask::Unkey {
            radio: None,
            number,
        });
        let socket = state.socket.take();
        drop(state);
        if let (Some(socket), Some((child, _))) = (socket, &mut self.child)
            && matches!(socket.send(&Ask::End), Ok(true))
        {
            // It is done in a millisecond; if not, it ends by itself some seconds from now.
            let end = Instant::now() + ANSWERS_WITHIN;
            while matches!(child.try_wait(), Ok(None)) && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    /// Until the guardian says something, somebody rings, or so long.
    fn wait(&self, socket: Option<&Arc<Socket>>, time: Duration) {
        let time = PollTimeout::try_from(time).unwrap_or(PollTimeout::ZERO);
        let mut fds = vec![PollFd::new(self.shared.bell.as_fd(), PollFlags::POLLIN)];
        fds.extend(socket.map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)));
        // A signal: looked again a moment early.
        let _ = poll(&mut fds, time);
    }
}
