//! A short visit to a running guardian, by a command.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::protocol::{Ask, Ended, Inputs, Line, Purpose, Socket, Tell};

/// It answers within a millisecond, or it hangs.
pub const PATIENCE: Duration = Duration::from_secs(2);

pub struct Visit {
    socket: Socket,
    pub lines: BTreeMap<String, Line>,
    pub inputs: BTreeMap<PathBuf, Inputs>,
}

impl Visit {
    /// `None` where no guardian runs.
    pub fn pay(path: &Path) -> Result<Option<Visit>> {
        let socket = match Socket::connect(path) {
            Ok(socket) => socket,
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
                return Ok(None);
            }
            Err(e) if e.kind() == ErrorKind::PermissionDenied => {
                return Err(e).with_context(|| {
                    format!(
                        "you may not open {}: run this as root, or as the user the box runs as",
                        path.display()
                    )
                });
            }
            Err(e) => return Err(e).with_context(|| format!("connecting to {}", path.display())),
        };
        let mut visit = Visit {
            socket,
            lines: BTreeMap::new(),
            inputs: BTreeMap::new(),
        };
        let purpose = Purpose::Look;
        visit.ask(&Ask::Hello { purpose })?;
        visit.until(|_, told| matches!(told, Tell::Welcome { .. }))?;
        Ok(Some(visit))
    }

    pub fn ask(&self, ask: &Ask) -> Result<()> {
        match self.socket.send(ask).context("asking the guardian")? {
            true => Ok(()),
            false => bail!("the guardian does not read what it is told: restart it"),
        }
    }

    /// Hears it out until that is so.
    pub fn until(&mut self, done: impl Fn(&Visit, &Tell) -> bool) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            while let Some(told) = self.socket.take::<Tell>().map_err(hung_up)? {
                match &told {
                    Tell::Line(line) => {
                        self.lines.insert(line.radio.clone(), line.clone());
                    }
                    Tell::Inputs(inputs) => {
                        self.inputs.insert(inputs.port.clone(), inputs.clone());
                    }
                    Tell::Refused { why } => bail!("the guardian says: {why}"),
                    Tell::Welcome { .. } | Tell::Ack { .. } | Tell::Reloaded { .. } => {}
                }
                if done(self, &told) {
                    return Ok(());
                }
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("the guardian does not answer: restart it (systemctl restart pttd-guardian)");
            }
            let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
            let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, left) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error).context("waiting for the guardian"),
            }
        }
    }
}

fn hung_up(ended: Ended) -> anyhow::Error {
    anyhow::Error::from(ended).context("hearing the guardian")
}
