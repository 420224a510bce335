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
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use pttd_hw::HwError;
use pttd_hw::spec::{CarrierSpec, Detector, PttSpec, SoundSpec};

use crate::Files;
use crate::config::Settings;
use outputs::Output;

/// A guardian that `pttd run` started waits so long for the next pttd.
const ALONE: Duration = Duration::from_secs(5);

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
        let settings = self.files.settings()?;
        log::start(settings.log.format)?;
        let wires = Wires::of(&settings)?;
        let path = settings.guardian_socket();
        let lock = lock(&path)?.with_context(|| {
            format!(
                "another guardian, or pttd unkey, has {}: only one can own the PTT lines",
                path.display()
            )
        })?;
        let ends_alone = self.for_pttd.then_some(ALONE);
        server::Server::start(&path, lock, wires, self.files, ends_alone)?.run()
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
    pub fn of(settings: &Settings) -> Result<Wires, HwError> {
        let mut outputs = Vec::new();
        let mut ports = BTreeSet::new();
        let mut listened_to = |carrier: &str| -> Result<(), HwError> {
            let carrier: CarrierSpec = carrier.parse()?;
            for detector in carrier.detectors() {
                if let Detector::Serial { port, .. } = detector {
                    ports.insert(port.clone());
                }
            }
            Ok(())
        };
        for radio in &settings.radio {
            if radio.receive {
                listened_to(&radio.carrier)?;
            }
            let radio_id = radio.id.as_str();
            let sound: SoundSpec = radio.sound.parse()?;
            let ptt = match radio.ptt.parse()? {
                // The box plays its other end, PTT line and all.
                PttSpec::None if sound == SoundSpec::Simulated => {
                    PttSpec::Bench(air(&settings.state.dir, radio_id))
                }
                ptt => ptt,
            };
            if radio.transmit && ptt != PttSpec::None {
                outputs.push(Output {
                    radio: radio_id.to_string(),
                    ptt,
                    sound,
                    tot: radio.tot,
                });
            }
        }
        for desk in &settings.desk {
            listened_to(&desk.button)?;
        }
        Ok(Wires {
            outputs,
            ports,
            lease: settings.guardian.lease,
        })
    }

    /// Nothing to own.
    pub fn is_empty(&self) -> bool {
        self.outputs.is_empty() && self.ports.is_empty()
    }
}

/// Where the box plays the other end of a simulated radio.
pub fn air(state: &Path, radio: &str) -> PathBuf {
    state.join(format!("air-{radio}.sock"))
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
