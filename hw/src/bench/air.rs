//! The far end of a simulated radio, and the thread that is its sound card's clock.

use std::collections::VecDeque;
use std::io::{self, PipeReader, PipeWriter, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use thread_priority::ThreadPriority;
use thread_priority::unix::{RealtimeThreadSchedulePolicy, ThreadSchedulePolicy};

use super::clock::Clock;
use super::wire::{self, BUSY, CAPTURED, DOWN, Kind, PLAYED, TO_PLAY, UP, WELCOME};
use crate::{HwError, PERIOD, PERIODS, RATE};

/// Longest speech that waits to be said.
const LONGEST_SPEECH: usize = 300 * RATE as usize;
/// Changes of the PTT line that are remembered.
const LONGEST_HISTORY: usize = 10_000;
/// Sockets at a time.
const MOST_CLIENTS: usize = 16;
/// Captured sound a slow reader may leave lying, in the kernel's own measure: about 20 periods. More than a
/// card keeps, for readers that are not allowed to go before others.
const CAPTURE_QUEUE: usize = 24 << 10;
/// Running later than this, the clock stops instead of catching up.
const TOO_LATE: Duration = Duration::from_millis(30);
/// Whoever plays has two periods waiting, and may fill up after each: a card that played more of them in one go
/// would run dry by its own fault, and would blame the radio for it.
const TOO_LATE_TO_PLAY: Duration = Duration::from_millis(10);

/// One period as the handheld heard it.
#[derive(Clone, Debug)]
pub struct Heard {
    /// When its first sample was played.
    pub at: Instant,
    /// The card counts its periods, whether there was anything to play or not: what follows upon each other is
    /// heard without a seam, however late the machine let the card be.
    pub number: u64,
    /// Whether the transmitter was keyed: only then anybody else hears it.
    pub keyed: bool,
    pub samples: [f32; PERIOD],
}

/// Dropping it takes the radio away.
pub struct Air {
    path: PathBuf,
    state: Arc<Mutex<State>>,
    /// Closed to end the thread.
    end: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

struct State {
    clients: Vec<Client>,
    sound_pulled: bool,
    wires_pulled: bool,
    stands_still: bool,
    carrier: bool,
    keyed: bool,
    history: VecDeque<(Instant, bool)>,
    speech: VecDeque<f32>,
    heard: VecDeque<Heard>,
    /// Most periods in it.
    keep: usize,
    capture: Clock,
    playback: Clock,
    /// Counts captured periods.
    number: u32,
    /// Counts played ones.
    periods: u64,
}

struct Client {
    socket: Arc<UnixStream>,
    /// Not known before its first message.
    kind: Option<Kind>,
    /// The level a carrier was told, or a PTT line has.
    level: Option<bool>,
    to_play: VecDeque<[f32; PERIOD]>,
    /// A period of its is being played.
    running: bool,
    played: u64,
    underruns: u64,
    gone: bool,
}

impl Air {
    /// Starts a radio at `path`; what it hears is kept for a minute.
    pub fn listen(path: &Path) -> Result<Air, HwError> {
        Air::keeping(path, Duration::from_secs(60))
    }

    /// Starts a radio at `path` that remembers what it heard so long.
    pub fn keeping(path: &Path, heard: Duration) -> Result<Air, HwError> {
        let failed = |source| HwError::Io {
            doing: format!("starting a simulated radio at {}", path.display()),
            source,
        };
        // One of a daemon that was killed.
        if std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket()) {
            std::fs::remove_file(path).map_err(failed)?;
        }
        let listener = wire::listener(path).map_err(failed)?;
        let (ended, end) = io::pipe().map_err(failed)?;
        let now = Instant::now();
        let state = Arc::new(Mutex::new(State {
            clients: Vec::new(),
            sound_pulled: false,
            wires_pulled: false,
            stands_still: false,
            carrier: false,
            keyed: false,
            history: VecDeque::new(),
            speech: VecDeque::new(),
            heard: VecDeque::new(),
            keep: (heard.as_millis() / 10) as usize,
            capture: Clock::new(now),
            playback: Clock::new(now),
            number: 0,
            periods: 0,
        }));
        let for_thread = state.clone();
        let thread = std::thread::Builder::new()
            .name("air".to_string())
            .spawn(move || run(&listener, &ended, &for_thread))
            .map_err(failed)?;
        Ok(Air {
            path: path.to_path_buf(),
            state,
            end: Some(end),
            thread: Some(thread),
        })
    }

    /// Where a radio finds it: `bench:` and this.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Someone keys a handheld, or lets go.
    pub fn set_carrier(&self, up: bool) {
        let mut state = self.state();
        state.carrier = up;
        state.tell_carrier();
    }

    /// The handheld speaks: at once, or after what it has yet to say. Returns when the first sample is on its
    /// way; what is more than five minutes ahead is lost.
    pub fn say(&self, samples: &[f32]) -> Instant {
        let mut state = self.state();
        let sample = state.capture.sample();
        let last = state.capture.last();
        if state.speech.is_empty() {
            // In the middle of a period.
            let now = Instant::now().saturating_duration_since(last);
            let silence = (now.as_secs_f64() / sample).ceil() as usize;
            state.speech.resize(silence.min(RATE as usize), 0.0);
        }
        let from = last + Duration::from_secs_f64(state.speech.len() as f64 * sample);
        let room = LONGEST_SPEECH.saturating_sub(state.speech.len());
        state.speech.extend(samples.iter().take(room));
        from
    }

    /// Whether it has something yet to say.
    pub fn is_speaking(&self) -> bool {
        !self.state().speech.is_empty()
    }

    /// Forgets what it had yet to say.
    pub fn hush(&self) {
        self.state().speech.clear();
    }

    /// What was played since this was asked last, periods in which nothing was played left out.
    pub fn heard(&self) -> Vec<Heard> {
        self.state().heard.drain(..).collect()
    }

    pub fn is_keyed(&self) -> bool {
        self.state().keyed
    }

    /// Every change of the PTT line since the beginning, oldest first.
    pub fn ptt_history(&self) -> Vec<(Instant, bool)> {
        self.state().history.iter().copied().collect()
    }

    /// Whether a radio has both directions of the sound open.
    pub fn has_sound(&self) -> bool {
        let state = self.state();
        state.has(Kind::Capture) && state.has(Kind::Playback)
    }

    /// How far off the card's clocks are, in parts per million; above 0 is too fast.
    pub fn set_ppm(&self, capture: f64, playback: f64) {
        let mut state = self.state();
        state.capture.set_ppm(capture);
        state.playback.set_ppm(playback);
    }

    /// The sound card stands still, or moves again, and says nothing about it.
    pub fn stand_still(&self, still: bool) {
        self.state().stands_still = still;
    }

    /// Pulls the sound card.
    pub fn pull(&self) {
        let mut state = self.state();
        state.sound_pulled = true;
        state.hang_up(&[Kind::Capture, Kind::Playback]);
        state.speech.clear();
    }

    /// Puts the sound card back.
    pub fn put_back(&self) {
        self.state().sound_pulled = false;
    }

    /// Pulls the PTT line and the carrier. The transmitter is unkeyed by it.
    pub fn pull_wires(&self) {
        let mut state = self.state();
        state.wires_pulled = true;
        state.hang_up(&[Kind::Ptt, Kind::Carrier]);
    }

    /// Puts the wires back.
    pub fn put_back_wires(&self) {
        self.state().wires_pulled = false;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Air {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = std::fs::remove_file(&self.path);
    }
}

fn run(listener: &UnixListener, ended: &PipeReader, state: &Mutex<State>) {
    let lock = || state.lock().unwrap_or_else(PoisonError::into_inner);
    // A crystal does not wait for a busy machine. Where this is not allowed, the clock skips at times.
    let _ = thread_priority::set_thread_priority_and_policy(
        thread_priority::thread_native_id(),
        ThreadPriority::Min,
        ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::RoundRobin),
    );
    loop {
        let (sockets, until) = {
            let state = lock();
            let sockets: Vec<_> = state.clients.iter().map(|c| c.socket.clone()).collect();
            (sockets, state.capture.next().min(state.playback.next()))
        };
        let mut fds = vec![
            PollFd::new(ended.as_fd(), PollFlags::POLLIN),
            PollFd::new(listener.as_fd(), PollFlags::POLLIN),
        ];
        let clients = sockets.iter();
        fds.extend(clients.map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)));
        let left = until.saturating_duration_since(Instant::now());
        // A signal, or a failure that the next round meets again a tick later.
        let _ = ppoll(&mut fds, Some(TimeSpec::from_duration(left)), None);
        if fds[0].any() == Some(true) {
            return;
        }
        let mut state = lock();
        while let Ok((socket, _)) = listener.accept() {
            if socket.set_nonblocking(true).is_ok() && state.clients.len() < MOST_CLIENTS {
                state.clients.push(Client::new(socket));
            }
        }
        state.read();
        state.run_clocks(Instant::now());
        state.forget_the_gone(Instant::now());
    }
}

impl State {
    fn has(&self, kind: Kind) -> bool {
        self.clients.iter().any(|c| c.kind == Some(kind) && !c.gone)
    }

    fn hang_up(&mut self, kinds: &[Kind]) {
        for client in &mut self.clients {
            if client.kind.is_some_and(|kind| kinds.contains(&kind)) {
                let _ = client.socket.shutdown(Shutdown::Both);
                client.gone = true;
            }
        }
        self.forget_the_gone(Instant::now());
    }

    /// Takes what each client has sent.
    fn read(&mut self) {
        for i in 0..self.clients.len() {
            let mut message = [0; TO_PLAY];
            while !self.clients[i].gone {
                match wire::take(&self.clients[i].socket, &mut message) {
                    Ok(Some(n)) if n > 0 => self.take(i, &message[..n]),
                    Ok(None) => break,
                    _ => self.clients[i].gone = true,
                }
            }
        }
    }

    fn take(&mut self, i: usize, message: &[u8]) {
        match (self.clients[i].kind, message) {
            (None, &[kind]) => self.greet(i, Kind::of(kind)),
            (Some(Kind::Ptt), &[level @ (UP | DOWN)]) => {
                self.clients[i].level = Some(level == UP);
                self.key(Instant::now());
            }
            (Some(Kind::Playback), bytes) if bytes.len() == TO_PLAY => {
                let client = &mut self.clients[i];
                let mut samples = [0.0; PERIOD];
                wire::from_bytes(bytes, &mut samples);
                match client.to_play.len() < 2 * PERIODS {
                    true => client.to_play.push_back(samples),
                    // It wrote without waiting for room.
                    false => client.gone = true,
                }
            }
            _ => self.clients[i].gone = true,
        }
    }

    fn greet(&mut self, i: usize, kind: Option<Kind>) {
        let pulled = match kind {
            Some(Kind::Ptt | Kind::Carrier) => self.wires_pulled,
            Some(Kind::Capture | Kind::Playback) => self.sound_pulled,
            None => true,
        };
        let Some(kind) = kind.filter(|_| !pulled) else {
            self.clients[i].gone = true;
            return;
        };
        // A carrier is a level that many may look at; the rest has one owner, as a card and a line have.
        let busy = kind != Kind::Carrier && self.has(kind);
        let client = &mut self.clients[i];
        if busy {
            client.send(&[BUSY]);
            client.gone = true;
            return;
        }
        if kind == Kind::Capture {
            // The kernel then keeps as much for a slow reader as a card would.
            let _ = setsockopt(&client.socket, sockopt::SndBuf, &CAPTURE_QUEUE);
        }
        client.kind = Some(kind);
        client.send(&[WELCOME]);
        self.tell_carrier();
    }

    fn tell_carrier(&mut self) {
        for client in &mut self.clients {
            let is_carrier = client.kind == Some(Kind::Carrier);
            if is_carrier && client.level != Some(self.carrier) {
                let level = if self.carrier { UP } else { DOWN };
                // Who does not read is told at a later tick: it is a level.
                if client.send(&[level]) {
                    client.level = Some(self.carrier);
                }
            }
        }
    }

    fn key(&mut self, now: Instant) {
        let ptt = |c: &&Client| c.kind == Some(Kind::Ptt) && !c.gone;
        let keyed = self
            .clients
            .iter()
            .filter(ptt)
            .any(|c| c.level == Some(true));
        if keyed != self.keyed {
            self.keyed = keyed;
            if self.history.len() == LONGEST_HISTORY {
                self.history.pop_front();
            }
            self.history.push_back((now, keyed));
        }
    }

    fn run_clocks(&mut self, now: Instant) {
        for (clock, most) in [
            (&mut self.capture, TOO_LATE),
            (&mut self.playback, TOO_LATE_TO_PLAY),
        ] {
            let late = now.saturating_duration_since(clock.next());
            if late > most {
                clock.skip(late);
            }
        }
        while self.capture.next() <= now {
            self.capture.tick();
            self.capture_tick();
        }
        while self.playback.next() <= now {
            self.playback.tick();
            self.playback_tick(self.playback.last());
            // Whoever waited for room may have filled it.
            self.read();
        }
        self.tell_carrier();
    }

    fn capture_tick(&mut self) {
        if self.stands_still {
            return;
        }
        let mut samples = [0.0; PERIOD];
        for sample in &mut samples {
            *sample = self.speech.pop_front().unwrap_or(0.0);
        }
        let mut message = [0; CAPTURED];
        message[..4].copy_from_slice(&self.number.to_le_bytes());
        wire::to_bytes(&samples, &mut message[4..]);
        self.number = self.number.wrapping_add(1);
        for client in &mut self.clients {
            if client.kind == Some(Kind::Capture) {
                // Lost where nobody reads: the next number tells.
                client.send(&message);
            }
        }
    }

    fn playback_tick(&mut self, at: Instant) {
        self.periods += 1;
        if self.stands_still {
            return;
        }
        let (keyed, number) = (self.keyed, self.periods);
        for client in &mut self.clients {
            if client.kind != Some(Kind::Playback) || client.gone {
                continue;
            }
            client.played += if client.running { PERIOD as u64 } else { 0 };
            match client.to_play.pop_front() {
                Some(samples) => {
                    client.running = true;
                    while self.heard.len() >= self.keep.max(1) {
                        self.heard.pop_front();
                    }
                    self.heard.push_back(Heard {
                        at,
                        number,
                        keyed,
                        samples,
                    });
                }
                None => {
                    client.underruns += u64::from(client.running);
                    client.running = false;
                }
            }
            let mut message = [0; PLAYED];
            message[..8].copy_from_slice(&client.played.to_le_bytes());
            message[8..].copy_from_slice(&client.underruns.to_le_bytes());
            client.send(&message);
        }
    }

    fn forget_the_gone(&mut self, now: Instant) {
        self.clients.retain(|client| !client.gone);
        self.key(now);
    }
}

impl Client {
    fn new(socket: UnixStream) -> Client {
        Client {
            socket: Arc::new(socket),
            kind: None,
            level: None,
            to_play: VecDeque::with_capacity(2 * PERIODS),
            running: false,
            played: 0,
            underruns: 0,
            gone: false,
        }
    }

    /// Whether there was room for it.
    fn send(&mut self, message: &[u8]) -> bool {
        match (&*self.socket).write(message) {
            Ok(_) => true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            Err(_) => {
                self.gone = true;
                false
            }
        }
    }
}
