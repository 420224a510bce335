//! `pttd guardian`: the process that owns every PTT line.
//!
//! ```text
//!   pttd run ── Key, Key, Key ──>  server: one loop, a lease a radio  ──> outputs: a thread a wire ──> PTT lines
//!        <── Ack, Line, Inputs ──
//! ```
//! It keys only while fresh orders arrive and unkeys on silence, on the end of the connection and past the TOT. It
//! knows nothing of channels, floors and sound, so there is little in it that could go wrong, and it outlives
//! pttd. `daemon/design/guardian.md` says why it is made this way.

pub mod check;
mod clients;
mod log;
mod outputs;
pub mod protocol;
mod radios;
mod server;
mod startup;
pub mod unkey;
mod visit;

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{SigSet, Signal};
use pttd_hw::spec::{Detector, PttSpec};

use crate::Files;
use crate::config::Settings;
use outputs::Output;

/// A guardian that `pttd run` started waits so long for the next pttd.
const ALONE: Duration = Duration::from_secs(5);
/// For whoever has the lines to let go of them. Then it ends, and systemd starts it again.
const FREE_WITHIN: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

#[derive(Args)]
pub struct Guardian {
    #[command(flatten)]
    pub files: Files,
    /// Started by `pttd run`: in a session of its own, and ends some seconds after its last client.
    #[arg(long, hide = true)]
    for_pttd: bool,
}

impl Guardian {
    pub fn run(self) -> Result<()> {
        if self.for_pttd {
            // Ctrl-C in pttd's terminal is for pttd. An error: it leads a session already.
            let _ = nix::unistd::setsid();
        }
        // In every thread: one that does not block them would die of them, and the lines with it.
        let signals: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]
            .into_iter()
            .collect();
        signals.thread_block().context("blocking signals")?;
        let settings = self.files.settings()?;
        log::start(settings.log.format)?;
        let wires = Wires::of(&settings);
        let path = settings.guardian_socket();
        let lock = lock_soon(&path)?.with_context(|| {
            format!(
                "another guardian, or pttd unkey, has {}: only one can own the PTT lines",
                path.display()
            )
        })?;
        let ends_alone = self.for_pttd.then_some(ALONE);
        server::Server::start(&path, lock, wires, self.files, signals, ends_alone)?.run()
    }
}

/// What of the settings is the guardian's.
#[derive(Clone, Debug, PartialEq)]
pub struct Wires {
    pub outputs: Vec<Output>,
    /// The serial ports whose inputs somebody listens to. A port has one opener, and that is the guardian.
    pub ports: BTreeSet<PathBuf>,
    pub lease: Duration,
}

impl Wires {
    pub fn of(settings: &Settings) -> Wires {
        let state = &settings.state.dir;
        let radios = settings.radio.iter();
        let outputs = radios.clone().map(|radio| Output {
            radio: radio.id.as_str().to_string(),
            ptt: radio.ptt(state),
            sound: radio.sound(state),
            tot: radio.tot,
        });
        let carriers = radios
            .filter(|radio| radio.receive)
            .map(|radio| radio.carrier(state));
        let buttons = settings.desk.iter().map(|desk| desk.button.clone());
        let mut ports = BTreeSet::new();
        for listened_to in carriers.chain(buttons) {
            for detector in listened_to.detectors() {
                if let Detector::Serial { port, .. } = detector {
                    ports.insert(port.clone());
                }
            }
        }
        Wires {
            outputs: outputs
                .filter(|output| output.ptt != PttSpec::None)
                .collect(),
            ports,
            lease: settings.guardian.lease,
        }
    }

    /// Nothing to own.
    pub fn is_empty(&self) -> bool {
        self.outputs.is_empty() && self.ports.is_empty()
    }
}

/// One that is going, and `pttd unkey`, have it for some more milliseconds.
fn lock_soon(socket: &Path) -> Result<Option<Flock<File>>> {
    let end = Instant::now() + FREE_WITHIN;
    loop {
        let lock = lock(socket)?;
        if lock.is_some() || Instant::now() >= end {
            return Ok(lock);
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// Held by whoever owns the lines, so that two never do. `None`: another has it.
pub fn lock(socket: &Path) -> Result<Option<Flock<File>>> {
    let path = socket.with_extension("lock");
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("making the folder {}", folder.display()))?;
    }
    let open = || File::options().create(true).append(true).open(&path);
    let file = open().with_context(|| format!("opening {}", path.display()))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, error)) => Err(error).with_context(|| format!("locking {}", path.display())),
    }
}
