//! The whole box off the air, whatever part of it dies or hangs while somebody talks.

use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, socket, sockopt,
};
use nix::unistd::Pid;
use pttd_tests::guardian::until;
use pttd_tests::phone::Phone;
use pttd_tests::radio::{ROSTER, Radio};
use pttd_tests::site::{Site, site};

/// On a machine that is busy with other tests; 500 ms is the aim, and what `make bench` measures.
const SOON: Duration = Duration::from_secs(2);

/// Ben is on the air through the radio hall.
async fn on_air(expected: &'static str) -> Result<(Radio, Site, Phone)> {
    let hall = Radio::new("hall")?;
    let site = site()
        .roster(ROSTER)
        .radio(&hall, "")
        .expect_error(expected);
    let site = site.start().await?;
    site.api("dana").await?.radio_is_ready("hall").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    ben.press("ops").await?;
    ben.on("ops")?.says(25).await?;
    hall.is_keyed().await?;
    Ok((hall, site, ben))
}

/// Whoever listens at the guardian's socket.
fn guardian(site: &Site) -> Result<Pid> {
    let path = site.state_dir().join("guardian.sock");
    let (family, kind) = (AddressFamily::Unix, SockType::SeqPacket);
    let socket = socket(family, kind, SockFlag::SOCK_CLOEXEC, None)?;
    connect(socket.as_raw_fd(), &UnixAddr::new(&path)?).context("the guardian's socket")?;
    Ok(Pid::from_raw(
        getsockopt(&socket, sockopt::PeerCredentials)?.pid(),
    ))
}

async fn falls(hall: &Radio, since: Instant, what: &str) -> Result<()> {
    let fell = hall.is_unkeyed().await?;
    let after = fell.saturating_duration_since(since);
    println!("{what}: off the air after {after:?}");
    assert!(after < SOON, "{what}: {after:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_stopped_goes_off_the_air_and_its_guardian_stays() -> Result<()> {
    let (hall, site, _ben) = on_air("does not answer").await?;
    let first = guardian(&site)?;
    let since = Instant::now();
    site.signal(Signal::SIGSTOP)?;
    falls(&hall, since, "daemon stopped").await?;
    assert_eq!(guardian(&site)?, first);
    site.signal(Signal::SIGCONT)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_killed_leaves_neither_a_carrier_nor_a_process_behind() -> Result<()> {
    let (hall, mut site, _ben) = on_air("does not answer").await?;
    let guardian = guardian(&site)?;
    let since = Instant::now();
    site.kill9().await?;
    falls(&hall, since, "daemon killed").await?;
    kill(guardian, None).context("it waits for the next pttd")?;
    until("the guardian ended", || kill(guardian, None).is_err())?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guardian_that_is_killed_or_hangs_is_followed_by_one_that_keys_again() -> Result<()> {
    for signal in [Signal::SIGKILL, Signal::SIGSTOP] {
        let (hall, site, mut ben) = on_air("guardian").await?;
        let first = guardian(&site)?;
        let since = Instant::now();
        kill(first, signal)?;
        hall.until("off the air", |air| {
            let history = air.ptt_history();
            history.iter().any(|(at, keyed)| !keyed && *at >= since)
        })
        .await?;
        let history = hall.air.ptt_history();
        let fell = history.iter().find(|(at, keyed)| !keyed && *at >= since);
        let after = fell.context("it fell")?.0 - since;
        println!("guardian {signal}: off the air after {after:?}");
        assert!(after < SOON, "{signal}: {after:?}");
        // Whoever talks then, or talks on, is heard on the air.
        ben.release("ops").await?;
        let pressed = Instant::now();
        hall.is_unkeyed().await?;
        site.api("dana").await?.radio_is_ready("hall").await?;
        ben.press("ops").await?;
        ben.on("ops")?.says(25).await?;
        hall.is_keyed().await?;
        hall.is_keyed_since(pressed)?;
        assert_ne!(guardian(&site)?, first);
    }
    Ok(())
}
