//! The guardian from outside: its process, and a client that speaks its protocol by hand.

use std::io::{BufRead, BufReader};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, send, socket,
};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use pttd_hw::bench::Air;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::site::program;

/// Everything here takes milliseconds on a quiet machine.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// As pttd orders.
pub const EVERY: Duration = Duration::from_millis(50);

/// A guardian with simulated radios, each at the other end of its PTT line.
pub struct Guarded {
    pub dir: TempDir,
    pub child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

/// The settings of radios with these ids, whose far ends are `air-ID` in the folder.
pub fn radios(dir: &Path, ids: &[&str]) -> String {
    let radio = |id: &&str| {
        format!(
            "[[radio]]\nid = '{id}'\nchannel = 'ops'\nsound = 'bench:{0}/air-{id}'\nptt = 'bench:{0}/air-{id}'\n\
             tot = '15s'\n",
            dir.display()
        )
    };
    ids.iter().map(radio).collect()
}

pub fn air(dir: &Path, id: &str) -> Result<Air> {
    Ok(Air::listen(&dir.join(format!("air-{id}")))?)
}

/// A folder with settings for these radios.
pub fn folder(ids: &[&str]) -> Result<TempDir> {
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("pttd.toml"), radios(dir.path(), ids))?;
    Ok(dir)
}

pub fn pttd(dir: &Path, words: &[&str]) -> Result<Command> {
    let mut command = Command::new(program()?);
    command.args(words).stdin(Stdio::null());
    command.arg("--config").arg(dir.join("pttd.toml"));
    command.arg("--state").arg(dir.join("state"));
    Ok(command)
}

pub fn said(dir: &Path, words: &[&str]) -> Result<(Option<i32>, String)> {
    let Output {
        status,
        stdout,
        stderr,
    } = pttd(dir, words)?.output()?;
    Ok((status.code(), String::from_utf8([stdout, stderr].concat())?))
}

impl Guarded {
    pub fn start(dir: TempDir) -> Result<Guarded> {
        Guarded::started(dir, &[], &[])
    }

    pub fn started(dir: TempDir, words: &[&str], vars: &[(&str, &str)]) -> Result<Guarded> {
        let words: Vec<&str> = ["guardian"].iter().chain(words).copied().collect();
        let plain = pttd(dir.path(), &words)?;
        // As systemd does: the pid is known before the program is there.
        let mut command = Command::new("sh");
        command.args(["-c", "WATCHDOG_PID=$$ exec \"$0\" \"$@\""]);
        command.arg(plain.get_program()).args(plain.get_args());
        let mut child = command
            .stdin(Stdio::null())
            .envs(vars.iter().copied())
            .env("RUST_LOG", "debug")
            .stderr(Stdio::piped())
            .spawn()
            .context("starting the guardian")?;
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let stderr = child.stderr.take().context("its stderr")?;
        let keep = log.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                keep.lock().expect("the log").push(line);
            }
        });
        let guarded = Guarded { dir, child, log };
        guarded.logs("the guardian has the PTT lines")?;
        Ok(guarded)
    }

    /// Once more in the same folder, where the one before has ended.
    pub fn start_again(mut self) -> Result<Guarded> {
        let _ = self.child.wait();
        let dir = std::mem::replace(&mut self.dir, tempfile::tempdir()?);
        drop(self);
        Guarded::start(dir)
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn socket(&self) -> PathBuf {
        self.path().join("state/guardian.sock")
    }

    pub fn logs(&self, words: &str) -> Result<String> {
        let began = Instant::now();
        loop {
            let log = self.log.lock().expect("the log").clone();
            if let Some(line) = log.iter().find(|line| line.contains(words)) {
                return Ok(line.clone());
            }
            ensure!(
                began.elapsed() < PATIENCE,
                "nothing logged with {words:?}: {log:#?}"
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill(Pid::from_raw(self.child.id() as i32), signal).context("sending a signal")
    }

    pub fn ended(&mut self) -> Result<ExitStatus> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(began.elapsed() < PATIENCE, "the guardian is still there");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for line in self.log.lock().expect("the log").iter() {
            println!("guardian: {line}");
        }
    }
}

/// One end of the guardian's socket.
pub struct Client {
    socket: OwnedFd,
    number: u64,
}

impl Client {
    /// Says nothing yet.
    pub fn knock(path: &Path) -> Result<Client> {
        let socket = socket(
            AddressFamily::Unix,
            SockType::SeqPacket,
            SockFlag::SOCK_CLOEXEC,
            None,
        )?;
        connect(socket.as_raw_fd(), &UnixAddr::new(path)?).context("knocking")?;
        Ok(Client { socket, number: 0 })
    }

    pub fn run(path: &Path) -> Result<Client> {
        let mut client = Client::knock(path)?;
        client.say(&json!({"say": "hello", "purpose": "run"}))?;
        client.hears("welcome", |_| true)?;
        Ok(client)
    }

    pub fn say(&mut self, message: &Value) -> Result<()> {
        self.send(message.to_string().as_bytes())
    }

    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        send(self.socket.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL)?;
        Ok(())
    }

    pub fn key(&mut self, radio: &str) -> Result<()> {
        self.key_said(radio, Duration::ZERO)
    }

    /// An order that was said so long ago.
    pub fn key_said(&mut self, radio: &str, ago: Duration) -> Result<()> {
        self.number += 1;
        let now = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?);
        let said = (now - ago).as_nanos() as u64;
        self.say(&json!({"say": "key", "radio": radio, "number": self.number, "saidNs": said}))
    }

    pub fn unkey(&mut self, radio: &str) -> Result<()> {
        self.number += 1;
        self.say(&json!({"say": "unkey", "radio": radio, "number": self.number}))
    }

    /// Orders every 50 ms until that is so, and says how long it took.
    pub fn key_until(&mut self, radio: &str, done: impl Fn() -> bool) -> Result<Duration> {
        let began = Instant::now();
        while !done() {
            ensure!(began.elapsed() < 3 * PATIENCE, "it never came to be");
            self.key(radio)?;
            let next = Instant::now() + EVERY;
            while Instant::now() < next && !done() {
                std::thread::sleep(Duration::from_millis(1));
            }
            self.drain()?;
        }
        Ok(began.elapsed())
    }

    fn drain(&mut self) -> Result<()> {
        while self.take(Duration::ZERO)?.is_some() {}
        Ok(())
    }

    fn take(&mut self, patience: Duration) -> Result<Option<Value>> {
        let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::try_from(patience)?)?;
        let mut bytes = [0; 4096];
        match recv(self.socket.as_raw_fd(), &mut bytes, MsgFlags::MSG_DONTWAIT) {
            Ok(0) | Err(Errno::ECONNRESET) => bail!("the guardian hung up"),
            Ok(n) => Ok(Some(serde_json::from_slice(&bytes[..n])?)),
            Err(Errno::EAGAIN) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The next message of that kind for which it is so.
    pub fn hears(&mut self, what: &str, so: impl Fn(&Value) -> bool) -> Result<Value> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let left = PATIENCE.saturating_sub(began.elapsed());
            match self.take(left)? {
                Some(told) if told["say"] == what && so(&told) => return Ok(told),
                _ => {}
            }
        }
        bail!("no {what} for which it is so")
    }

    pub fn is_hung_up_on(&mut self) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if self.take(PATIENCE).is_err() {
                return Ok(());
            }
        }
        bail!("the guardian did not hang up")
    }
}

/// How long until it is so.
pub fn until(what: &str, so: impl Fn() -> bool) -> Result<Duration> {
    let began = Instant::now();
    while !so() {
        ensure!(began.elapsed() < 3 * PATIENCE, "{what} never came to be");
        std::thread::sleep(Duration::from_micros(500));
    }
    Ok(began.elapsed())
}
