//! A dispatcher with fifty channels, in Chromium: how soon all are connected, what it costs, how soon one that is
//! unmuted sounds, and how soon the last talk is heard again.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use pttd_tests::browser::{Browser, turn};
use pttd_tests::load::{Load, Session};
use pttd_tests::microphone::DANA;
use pttd_tests::site::{Site, halls, roster, site};
use pttd_tests::sound::tone;
use serde_json::json;

use crate::machine::{self, Cores, pin};
use crate::table::{Table, millis, percentile};

const CHANNELS: usize = 50;
const LOADS: usize = 3;
const TIMES: usize = 10;
const CONNECTED: Duration = Duration::from_secs(5);
const SOUNDS: Duration = Duration::from_millis(200);
const REPLAYS: Duration = Duration::from_millis(300);
const WATCHED: Duration = Duration::from_secs(10);

/// When the page was clicked or a key pressed last, on the clock of `outputs.sounded`.
const PRESSES: &str = "for (const type of ['click', 'keydown'])
    addEventListener(type, (event) => { window.pressed = event.timeStamp; }, true);";

async fn dispatched(cores: Cores) -> Result<Site> {
    let people = [("dana", "dispatch"), ("crowd", "dispatch")];
    let roster = roster(&halls(CHANNELS), &people);
    pin(cores.server)?;
    let site = site().roster(&roster).log_level("warn").start().await;
    // Browsers take what they get.
    machine::unpin()?;
    site
}

pub async fn dispatch(table: &mut Table, cores: Cores) -> Result<()> {
    let site = dispatched(cores).await?;
    let turn = turn().await;
    let desk = turn.desk(&site, DANA, "desk").await?;
    let mut longest = Duration::ZERO;
    for _ in 0..LOADS {
        desk.page.refresh().await?;
        desk.all_is_connected().await?;
        let took = desk.js("return pttd.connectedAt").await?;
        let took = took.as_f64().context("a time")?;
        longest = longest.max(Duration::from_secs_f64(took / 1e3));
    }
    table.row(
        "50 channels connected, from the page's start",
        format!("{} at the longest", millis(longest)),
        "<= 5000.00 ms",
        Some(longest <= CONNECTED),
    );
    let quiet = cpu_share(&desk).await?;
    {
        let device = site.redeem(&site.invite("crowd")?.secret).await?;
        let load = Load::start()?;
        let mut crowd = Session::sign_in(&site, &device).await?;
        let mut talkers = Vec::new();
        for hall in halls(CHANNELS) {
            talkers.push(load.join(&mut crowd, &hall).await?);
            crowd
                .ask(json!({"type": "START", "channelId": hall}))
                .await?;
        }
        load.talkers(&talkers)?;
        let busy = cpu_share(&desk).await?;
        table.row(
            "the browser's CPU, 50 muted channels",
            format!("{quiet:.0} % of a core, {busy:.0} % while all are busy"),
            "",
            None,
        );
        for hall in halls(CHANNELS) {
            crowd
                .ask(json!({"type": "STOP", "channelId": hall}))
                .await?;
        }
    }
    let mut phone = site.phone("crowd").await?;
    let sound = tone(700.0)?;
    let mut times = Vec::new();
    for hall in &halls(TIMES) {
        phone.join(hall).await?;
        phone.on(hall)?.sounds_like(&sound)?;
        phone.press(hall).await?;
    }
    desk.js(PRESSES).await?;
    for hall in &halls(TIMES) {
        desk.tile(hall, "hearing").await?;
        times.push(until_it_sounds(&desk, async || desk.toggles(hall).await).await?);
        desk.toggles(hall).await?;
    }
    report(table, "unmute -> sound", times, SOUNDS);
    Ok(())
}

/// The last talk, by its key.
pub async fn replay(table: &mut Table, cores: Cores) -> Result<()> {
    let site = dispatched(cores).await?;
    let turn = turn().await;
    let desk = turn.desk(&site, DANA, "desk").await?;
    let mut phone = site.phone_on("crowd", "hall0").await?;
    phone.on("hall0")?.sounds_like(&tone(700.0)?)?;
    desk.js(PRESSES).await?;
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let talk = phone.press("hall0").await?;
        phone.on("hall0")?.says(75).await?;
        phone.release("hall0").await?;
        desk.until(&format!("pttd.channels.hall0.missed.includes({})", talk.0))
            .await?;
        // Nobody presses before a talk is over and shown.
        tokio::time::sleep(Duration::from_millis(300)).await;
        times.push(until_it_sounds(&desk, async || desk.types('r').await).await?);
        desk.until("pttd.replaying === null").await?;
    }
    report(table, "key -> the last talk sounds again", times, REPLAYS);
    Ok(())
}

/// From a click or a key to the first sound of what is played.
async fn until_it_sounds(
    desk: &Browser,
    press: impl AsyncFnOnce() -> Result<()>,
) -> Result<Duration> {
    // What was muted a moment ago has died away.
    tokio::time::sleep(Duration::from_millis(300)).await;
    desk.js("outputs.sounded = null; outputs.alert = true")
        .await?;
    press().await?;
    desk.until("outputs.sounded").await?;
    let took = desk.js("return outputs.sounded - pressed").await?;
    Ok(Duration::from_secs_f64(
        took.as_f64().context("a time")? / 1e3,
    ))
}

fn report(table: &mut Table, what: &str, mut times: Vec<Duration>, most: Duration) {
    times.sort();
    let (p50, p100) = (percentile(&times, 0.5), percentile(&times, 1.0));
    table.row(
        what,
        format!("{} (at the longest {})", millis(p50), millis(p100)),
        &format!("<= {}", millis(most)),
        Some(p100 <= most),
    );
}

async fn cpu_share(desk: &Browser) -> Result<f64> {
    let (before, since) = (desk.cpu()?, Instant::now());
    tokio::time::sleep(WATCHED).await;
    Ok((desk.cpu()? - before).as_secs_f64() / since.elapsed().as_secs_f64() * 100.0)
}
