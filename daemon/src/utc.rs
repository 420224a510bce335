//! The time of day, for things that outlive a restart: ends of invitations and tokens, certificates.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

/// When this daemon was built, in UTC seconds since 1970.
pub static BUILT: LazyLock<u64> = LazyLock::new(|| env!("PTTD_BUILT").parse().unwrap_or(0));

/// The time kept by the run before this one, and when this one began.
static KEPT: AtomicU64 = AtomicU64::new(0);
static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);

const KEPT_EVERY: u64 = 600;
/// More milliseconds than a run gives numbers before it keeps the time again.
const AFTER_LAST_RUN: u64 = 60;

/// UTC seconds since 1970. A box without a real-time clock wakes up in 1970; it is never earlier than the
/// day it was built, nor than it was when the box ran last, and goes on from there.
pub fn now() -> u64 {
    let clock = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    clock.max(least() + STARTED.elapsed().as_secs())
}

/// UTC milliseconds since 1970, as careful as [`now`].
pub fn now_ms() -> u64 {
    let clock = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64);
    clock.max(now() * 1000)
}

/// How far the machine's time zone is ahead of UTC, in seconds. Asked for before there are other threads: with
/// them it cannot be known.
pub static ZONE: LazyLock<i64> = LazyLock::new(|| {
    let offset = time::UtcOffset::current_local_offset();
    offset.map_or(0, |offset| i64::from(offset.whole_seconds()))
});

/// When today began in the machine's time zone, or where that is not known in UTC.
pub fn midnight() -> u64 {
    let here = now().saturating_add_signed(*ZONE);
    (here - here % 86_400).saturating_add_signed(-*ZONE)
}

fn least() -> u64 {
    KEPT.load(Ordering::Relaxed).max(*BUILT)
}

fn file(state: &Path) -> PathBuf {
    state.join("clock")
}

fn kept(state: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(file(state)).ok()?;
    text.trim().parse().ok()
}

/// Goes on from the time that is kept in the state folder, where the clock is behind it.
pub fn recall(state: &Path) {
    let Some(kept) = kept(state).filter(|kept| *kept > now()) else {
        return;
    };
    KEPT.fetch_max(kept, Ordering::Relaxed);
    tracing::warn!(
        kept,
        file = %file(state).display(),
        "the clock is behind the last time this box ran: going on from then; set the clock, or remove the \
         file if it was ahead"
    );
}

/// What a run's first numbers are made of: UTC milliseconds since 1970, later than any run before has begun or
/// kept, also where the clock wakes up at the same time again and again.
pub fn begin(state: &Path) -> u64 {
    if let Some(kept) = kept(state) {
        // A clock that was recalled says nothing of how long the last run went on.
        if KEPT.load(Ordering::Relaxed) >= kept {
            KEPT.fetch_max(kept + AFTER_LAST_RUN, Ordering::Relaxed);
        } else if kept >= now() {
            KEPT.fetch_max(kept + 1, Ordering::Relaxed);
        }
    }
    if let Err(error) = write(state, now()) {
        tracing::warn!(%error, "the time of day cannot be kept");
    }
    now_ms()
}

/// Keeps the time in the state folder, every ten minutes. Blocking.
pub fn keep(state: &Path) -> Result<()> {
    keep_at(state, now()).context("keeping the time of day")
}

fn keep_at(state: &Path, now: u64) -> std::io::Result<()> {
    if kept(state).is_some_and(|kept| now < kept + KEPT_EVERY) {
        return Ok(());
    }
    write(state, now)
}

fn write(state: &Path, now: u64) -> std::io::Result<()> {
    let unfinished = state.join("clock.unfinished");
    let mut written = File::create(&unfinished)?;
    writeln!(written, "{now}")?;
    written.sync_all()?;
    std::fs::rename(&unfinished, file(state))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_kept_every_ten_minutes_and_never_goes_back() {
        let dir = tempfile::TempDir::new().unwrap();
        let noon = 1_800_000_000;
        assert_eq!(kept(dir.path()), None);
        for (now, then) in [
            (noon, noon),
            (noon + 599, noon),
            (noon + 600, noon + 600),
            (noon, noon + 600),
        ] {
            keep_at(dir.path(), now).unwrap();
            assert_eq!(kept(dir.path()), Some(then));
        }
    }

    #[test]
    fn a_clock_behind_goes_on_from_the_time_that_was_kept() {
        // In a process of its own: the other tests have no hour to lose.
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "utc::tests::an_hour_ahead", "--ignored"])
            .status();
        assert!(child.unwrap().success());
    }

    #[test]
    #[ignore = "the child process of a_clock_behind_goes_on_from_the_time_that_was_kept"]
    fn an_hour_ahead() {
        let dir = tempfile::TempDir::new().unwrap();
        let ahead = now() + 3_600;
        keep_at(dir.path(), ahead).unwrap();
        recall(dir.path());
        assert!(now() >= ahead);
        let mut last = now_ms();
        for _run in 0..2 {
            let began = begin(dir.path());
            assert!(began > last, "no run begins when another did");
            last = began;
        }
        std::fs::write(file(dir.path()), "x").unwrap();
        recall(dir.path());
        assert!((ahead..ahead + 3_600).contains(&now()));
    }
}
