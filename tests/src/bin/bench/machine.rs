//! The machine under the figures: whose core is whose, and what a process has used of it.

use std::time::Duration;

use anyhow::{Context, Result};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// The box on one core, everyone else on another, where there are two.
#[derive(Clone, Copy)]
pub struct Cores {
    pub server: usize,
    pub client: usize,
}

pub fn cores() -> Result<Cores> {
    let allowed = sched_getaffinity(Pid::from_raw(0))?;
    let mut cores = (0..CpuSet::count()).filter(|core| allowed.is_set(*core).unwrap_or(false));
    let server = cores.next().context("a core to run on")?;
    let client = cores.next().unwrap_or(server);
    Ok(Cores { server, client })
}

/// This thread, and what it starts from now on, runs on that core.
pub fn pin(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core)?;
    sched_setaffinity(Pid::from_raw(0), &set).context("choosing a core")
}

/// This thread runs wherever it may again.
pub fn unpin() -> Result<()> {
    let mut set = CpuSet::new();
    for core in 0..CpuSet::count() {
        set.set(core)?;
    }
    sched_setaffinity(Pid::from_raw(0), &set).context("giving a core back")
}

/// A thousand devices are two thousand sockets on each side.
pub fn raise_limits() -> Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).context("raising the limit of open files")
}

/// What a process has run, all its threads, to the nanosecond.
pub fn cpu(pid: u32) -> Result<Duration> {
    let clock = clock_getcpuclockid(Pid::from_raw(pid as i32))?;
    Ok(clock_gettime(clock)?.into())
}

/// Resident memory, in bytes.
pub fn memory(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .context("VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? * 1024.0)
}

/// What else runs here takes time from both sides.
pub fn load_average() -> Result<String> {
    let text = std::fs::read_to_string("/proc/loadavg")?;
    Ok(text.split(' ').next().unwrap_or_default().to_string())
}
