//! A thousand sessions, fifty channels, and every membership another one at once: how long it takes, and what
//! it does to those who press meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pttd_tests::load::{Load, Session};
use pttd_tests::site::{Site, halls, roster, site};
use serde_json::{Value, json};

use crate::machine::{Cores, pin};
use crate::table::{Table, millis, percentile};

const SESSIONS: usize = 1000;
const CHANNELS: usize = 50;
/// As many as the box allows a person.
const EACH: usize = 10;
const CHANGES: usize = 5;
const TALKERS: usize = 8;
const LONGEST: Duration = Duration::from_secs(2);
const DELAYED: Duration = Duration::from_millis(20);

/// When a START was sent, and how long its answer took.
type Start = (Instant, Duration);

pub async fn memberships(table: &mut Table, cores: Cores) -> Result<()> {
    let halls = halls(CHANNELS);
    let mut toml = roster(&halls, &[("boss", "admin"), ("talker", "dispatch")]);
    for n in 0..SESSIONS {
        let halls = belongs_to(&halls, n, 0);
        toml.push_str(&format!("[[user]]\nid = \"p{n}\"\nchannels = {halls:?}\n"));
    }
    pin(cores.server)?;
    let site = site().roster(&toml).log_level("warn").start().await;
    pin(cores.client)?;
    let site = Arc::new(site?);
    // What a thousand devices are told is read beside those who press, not before them.
    let readers = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let measured = measure(&site, &halls, readers.handle()).await;
    readers.shutdown_background();
    let (mut took, starts, windows) = measured?;
    took.sort();
    let longest = percentile(&took, 1.0);
    table.row(
        &format!("{} memberships changed at once", SESSIONS * EACH),
        format!("{} at the longest", millis(longest)),
        "< 2000.00 ms",
        Some(longest < LONGEST),
    );
    let meanwhile = |(at, answered): &Start| {
        windows
            .iter()
            .any(|(from, to)| *at + *answered >= *from && at <= to)
    };
    let p99 = |wanted: bool| {
        let chosen = starts.iter().filter(|start| meanwhile(start) == wanted);
        let mut times: Vec<Duration> = chosen.map(|(_, took)| *took).collect();
        times.sort();
        (percentile(&times, 0.99), times.len())
    };
    let ((busy, count), (rest, _)) = (p99(true), p99(false));
    let delayed = busy.saturating_sub(rest);
    table.row(
        "START -> START_SUCCESS meanwhile, p99",
        format!("{} of {count}, else {}", millis(busy), millis(rest)),
        "",
        None,
    );
    table.row(
        "delay of START by the change, p99",
        millis(delayed),
        "<= 20.00 ms",
        Some(delayed <= DELAYED),
    );
    Ok(())
}

/// Where this person belongs after so many changes: each time to none of the channels of before.
fn belongs_to(halls: &[String], person: usize, changes: usize) -> Vec<&str> {
    let first = person + changes * EACH;
    let channels = (first..first + EACH).map(|n| halls[n % halls.len()].as_str());
    channels.collect()
}

type Windows = Vec<(Instant, Instant)>;

async fn measure(
    site: &Arc<Site>,
    halls: &[String],
    readers: &tokio::runtime::Handle,
) -> Result<(Vec<Duration>, Vec<Start>, Windows)> {
    let boss = site.api("boss").await?;
    let load = Load::start()?;
    let mut sessions = Vec::new();
    for n in 0..SESSIONS {
        let order = json!({"userId": format!("p{n}"), "hours": 1, "devices": 1});
        let card = boss.post("/invitations", order).await?;
        let secret = card["secret"].as_str().context("an invitation's secret")?;
        let device = site.redeem(secret).await?;
        let site = Arc::clone(site);
        let sign_in = async move { Session::sign_in(&site, &device).await };
        sessions.push(readers.spawn(sign_in).await??);
    }
    let device = site.redeem(&site.invite("talker")?.secret).await?;
    let over = Arc::new(AtomicBool::new(false));
    let mut talkers = Vec::new();
    for hall in &halls[..TALKERS] {
        let mut talker = Session::sign_in(site, &device).await?;
        load.join(&mut talker, hall).await?;
        talkers.push(tokio::spawn(press(talker, hall.clone(), Arc::clone(&over))));
    }
    let (mut took, mut windows) = (Vec::new(), Vec::new());
    for change in 0..CHANGES {
        let mut endpoints = Vec::new();
        for (n, session) in sessions.iter_mut().enumerate() {
            let hall = belongs_to(halls, n, change)[0];
            endpoints.push(load.join(session, hall).await?);
        }
        let users: serde_json::Map<String, Value> = (0..SESSIONS)
            .map(|n| {
                let halls = belongs_to(halls, n, change + 1);
                let rights = halls.into_iter().map(|hall| (hall.into(), "talk".into()));
                (format!("p{n}"), Value::Object(rights.collect()))
            })
            .collect();
        let order = json!({ "users": users });
        tokio::time::sleep(Duration::from_secs(2)).await;
        let from = Instant::now();
        boss.put("/memberships", order).await?;
        let to = Instant::now();
        took.push(to - from);
        // What the change still has to tell belongs to it.
        windows.push((from, to + Duration::from_millis(200)));
        tokio::time::sleep(Duration::from_secs(1)).await;
        for endpoint in endpoints {
            load.leave(endpoint)?;
        }
    }
    over.store(true, Ordering::Relaxed);
    let mut starts = Vec::new();
    for talker in talkers {
        starts.extend(talker.await??);
    }
    Ok((took, starts, windows))
}

/// Presses and lets go until it is over.
async fn press(mut session: Session, hall: String, over: Arc<AtomicBool>) -> Result<Vec<Start>> {
    let mut starts = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let asked = Instant::now();
        let answer = session
            .ask(json!({"type": "START", "channelId": hall}))
            .await?;
        starts.push((asked, asked.elapsed()));
        ensure!(answer["type"] == "START_SUCCESS", "{answer}");
        session
            .ask(json!({"type": "STOP", "channelId": hall}))
            .await?;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(starts)
}
