//! Off the air, whatever dies or hangs.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use pttd_tests::radio::Radio;
use pttd_tests::site::Site;

use crate::machine::Cores;
use crate::radio::{guardian, talks, wired};
use crate::table::{Table, millis, percentile};

const EACH: usize = 50;
const MOST: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug)]
enum End {
    Daemon(Signal),
    Guardian(Signal),
    /// The threads that decide stand still; those of the sound go on.
    Reactor,
}

pub async fn deaths(table: &mut Table, cores: Cores) -> Result<()> {
    let ends = [
        ("the daemon killed", End::Daemon(Signal::SIGKILL)),
        ("the daemon stopped", End::Daemon(Signal::SIGSTOP)),
        ("the guardian killed", End::Guardian(Signal::SIGKILL)),
        ("the guardian stopped", End::Guardian(Signal::SIGSTOP)),
        ("the reactor hung", End::Reactor),
    ];
    for (what, end) in ends {
        let mut times = Vec::new();
        for _ in 0..EACH {
            let (hall, mut site) = wired(cores, "").await?;
            times.push(once(&hall, &mut site, end).await?);
        }
        times.sort();
        let in_time = times.iter().filter(|time| **time <= MOST).count();
        table.row(
            &format!("{what} while keyed -> line down"),
            format!(
                "{in_time} of {EACH}, at the longest {}",
                millis(percentile(&times, 1.0))
            ),
            &format!("<= {}", millis(MOST)),
            Some(in_time == EACH),
        );
    }
    Ok(())
}

/// How long the line stays up.
async fn once(hall: &Radio, site: &mut Site, end: End) -> Result<Duration> {
    let mut ben = talks(site, "ben").await?;
    hall.is_keyed().await?;
    ben.on("ops")?.says(20).await?;
    let since = Instant::now();
    let stopped = match end {
        End::Daemon(signal) => {
            site.signal(signal)?;
            None
        }
        End::Guardian(signal) => {
            kill(Pid::from_raw(guardian(site)? as i32), signal)?;
            None
        }
        End::Reactor => Some(Stopped::threads(site.pid(), "tokio")?),
    };
    hall.is_unkeyed().await?;
    // It may have been keyed again since: by a new guardian.
    let history = hall.air.ptt_history();
    let down = history.iter().find(|(at, keyed)| !keyed && *at >= since);
    let down = down.context("the line went down")?.0;
    drop(stopped);
    // So that it can be ended.
    let _ = site.signal(Signal::SIGCONT);
    Ok(down - since)
}

/// Some threads of a process stand still, as long as this thread holds them.
struct Stopped(Vec<Pid>);

impl Stopped {
    fn threads(pid: u32, name: &str) -> Result<Stopped> {
        let mut stopped = Vec::new();
        for entry in std::fs::read_dir(format!("/proc/{pid}/task"))? {
            let entry = entry?;
            let comm = std::fs::read_to_string(entry.path().join("comm"))?;
            let thread = Pid::from_raw(entry.file_name().to_string_lossy().parse()?);
            // The runtime's: its workers, and the thread that waits for them.
            if comm.starts_with(name) || thread.as_raw() as u32 == pid {
                ptrace::seize(thread, ptrace::Options::empty()).context("holding a thread")?;
                ptrace::interrupt(thread)?;
                waitpid(thread, Some(WaitPidFlag::__WALL))?;
                stopped.push(thread);
            }
        }
        Ok(Stopped(stopped))
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        for thread in &self.0 {
            let _ = ptrace::detach(*thread, None);
        }
    }
}
