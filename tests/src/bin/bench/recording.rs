//! Fifty busy channels, not recorded and recorded in turns: what the recorder costs, and whom it delays.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use pttd_tests::api::Api;
use pttd_tests::load::{Load, Session};
use pttd_tests::site::halls;
use serde_json::json;

use crate::boxed;
use crate::machine::{Cores, cpu};
use crate::table::{Table, median, millis, percentile};

const CHANNELS: usize = 50;
const LISTENERS: usize = 10;
const TURNS: usize = 6;
const TURN: Duration = Duration::from_secs(4);

pub async fn recording(table: &mut Table, cores: Cores) -> Result<()> {
    let mut boxed = boxed(cores, CHANNELS, 1 + LISTENERS).await?;
    let load = Load::start()?;
    let halls = halls(CHANNELS);
    let mut talker = boxed.session().await?;
    let mut speaking = Vec::new();
    for hall in &halls {
        speaking.push(load.join(&mut talker, hall).await?);
    }
    let mut crowd = Vec::new();
    for _ in 0..LISTENERS {
        let mut session = boxed.session().await?;
        for hall in &halls {
            load.join(&mut session, hall).await?;
        }
        crowd.push(session);
    }
    let boss = boxed.site.api("boss").await?;
    let (mut shares, mut delays) = ([const { Vec::new() }; 2], [const { Vec::new() }; 2]);
    for turn in 0..2 * TURNS {
        let recorded = turn % 2;
        record(&boss, &halls, ["off", "30m"][recorded]).await?;
        all(&mut talker, &halls, "START", "START_SUCCESS").await?;
        load.talkers(&speaking)?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        load.take_tally();
        let (before, since) = (cpu(boxed.site.pid())?, Instant::now());
        tokio::time::sleep(TURN).await;
        let (used, passed) = (cpu(boxed.site.pid())? - before, since.elapsed());
        let tally = load.take_tally();
        let due = (passed.as_secs_f64() * 50.0) as usize * CHANNELS * LISTENERS;
        ensure!(
            tally.delays.len() * 100 > due * 98,
            "{} of {due} packets: the crowd does not keep up",
            tally.delays.len()
        );
        shares[recorded].push(used.div_f64(passed.as_secs_f64()));
        delays[recorded].extend(tally.delays);
        load.talkers(&[])?;
        all(&mut talker, &halls, "STOP", "STOP").await?;
    }
    let [off, on] = shares.map(median);
    let more = on.as_secs_f64() / off.as_secs_f64() - 1.0;
    table.row(
        "CPU of 50 busy channels, not recorded",
        format!("{:.1} % of a core", off.as_secs_f64() * 100.0),
        "",
        None,
    );
    table.row(
        "what recording all of them adds",
        format!("{:+.1} %", more * 100.0),
        "<= +10 %",
        Some(more <= 0.1),
    );
    let [off, on] = delays.map(|mut delays: Vec<Duration>| {
        delays.sort();
        percentile(&delays, 0.99)
    });
    // Two runs of the same differ by as much.
    let most = off.mul_f64(1.1) + Duration::from_micros(200);
    table.row(
        "forwarding delay while recorded, p99",
        format!("{}, else {}", millis(on), millis(off)),
        &format!("<= {}", millis(most)),
        Some(on <= most),
    );
    Ok(())
}

async fn record(boss: &Api<'_>, halls: &[String], how: &str) -> Result<()> {
    for hall in halls {
        boss.patch(&format!("/channels/{hall}"), json!({"record": how}))
            .await?;
    }
    Ok(())
}

async fn all(talker: &mut Session, halls: &[String], what: &str, answer: &str) -> Result<()> {
    for hall in halls {
        let answered = talker.ask(json!({"type": what, "channelId": hall})).await?;
        ensure!(answered["type"] == answer, "{answered}");
    }
    Ok(())
}
