//! The guardian's process: started where none answers, killed where it hangs, taken along at the end.

use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::process::{Signal, pidfd_send_signal};

use super::{ANSWERS_WITHIN, Keeper};
use crate::guardian::protocol::Ask;

/// For one that was killed to be gone: a process that hangs in the kernel takes longer.
const DIES_WITHIN: Duration = Duration::from_secs(2);
/// For one that was started to listen.
const LISTENS_WITHIN: Duration = Duration::from_secs(3);

impl Keeper {
    /// What became of it, in words.
    pub(super) fn kill(&self, process: Option<OwnedFd>) -> String {
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
    pub(super) fn start(&mut self) {
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
    pub(super) fn bury(&mut self) {
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
    pub(super) fn let_go(&mut self) {
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
}
