//! A radio's figures that need no browser: how soon a carrier is sent on and a transmitter comes up, what one costs,
//! and how well two clocks are made one.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pttd_core::wire::signal::{Level, ServerMessage};
use pttd_tests::endpoint::elapsed;
use pttd_tests::expect;
use pttd_tests::phone::Phone;
use pttd_tests::radio::{Radio, SENTENCE};
use pttd_tests::site::{Site, SiteBuilder, site};
use pttd_tests::sound::{Sound, encoded_at_once, speech};

use crate::machine::{self, Cores, cpu, pin};
use crate::table::{Table, millis, percentile};

const ROSTER: &str = r#"
channel = [{ id = "ops", talk_limit = "600s" }]
user = [
    { id = "dana", name = "Dana", role = "dispatch", channels = ["ops"] },
    { id = "ben", name = "Ben", channels = ["ops"] },
    { id = "anna", name = "Anna", channels = ["ops"] },
]
"#;
const TIMES: usize = 60;
const LEAD: Duration = Duration::from_millis(150);
/// What the card itself holds before it plays it: three periods.
const CARD: Duration = Duration::from_millis(30);
const WATCHED: Duration = Duration::from_secs(10);
const DRIFT: Duration = Duration::from_secs(180);

pub fn quiet_site() -> SiteBuilder {
    site()
        .roster(ROSTER)
        .log_level("warn")
        // Where parts of it are killed.
        .expect_error("part=\"guardian\"")
}

/// A box on its core with a radio on ops.
pub async fn wired(cores: Cores, more: &str) -> Result<(Radio, Site)> {
    let hall = Radio::new("hall")?;
    pin(cores.server)?;
    let site = quiet_site().radio(&hall, more).start().await;
    // The radio's clock and the phones take what they get.
    machine::unpin()?;
    let site = site?;
    site.api("dana").await?.radio_is_ready("hall").await?;
    Ok((hall, site))
}

pub async fn delays(table: &mut Table, cores: Cores) -> Result<()> {
    let (hall, site) = wired(cores, "deaf = \"0ms\"\nhang = \"0ms\"\n").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    let mut carrier = Vec::new();
    for _ in 0..TIMES {
        let before = ben.on("ops")?.heard().len();
        let up = Instant::now();
        hall.air.set_carrier(true);
        ben.on("ops")?.hears_sound(5).await?;
        let first = &ben.on("ops")?.heard()[before];
        carrier.push(first.at.saturating_sub(elapsed(up)));
        hall.air.set_carrier(false);
        expect!(ben, ServerMessage::Stop { .. })?;
        tokio::time::sleep(Duration::from_millis(70)).await;
    }
    row(
        table,
        "carrier up -> first packet at a phone",
        carrier,
        Duration::from_millis(60),
    );

    // Heard from its first sample on: a sentence begins softly, and an encoder with some milliseconds of nothing.
    let sound = steady_tone()?;
    let (mut line, mut card) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        ben.on("ops")?.sounds_like(&sound)?;
        let asked = Instant::now();
        ben.press("ops").await?;
        hall.is_keyed().await?;
        let keyed = hall.is_keyed_since(asked)?;
        line.push(keyed - asked);
        let sounds = hall.sounds(asked).await?;
        card.push((sounds - asked).saturating_sub(CARD));
        ben.release("ops").await?;
        hall.is_unkeyed().await?;
    }
    row(
        table,
        "START -> PTT line up",
        line,
        Duration::from_millis(10),
    );
    let most = LEAD + Duration::from_millis(30);
    row(
        table,
        "START -> first sample to the card, lead 150 ms",
        card,
        most,
    );

    // Without a lead it is the first packet and what the buffer holds back that count.
    drop((ben, site));
    let (hall, site) = wired(cores, "lead = \"0ms\"\ndeaf = \"0ms\"\n").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    let mut card = Vec::new();
    for _ in 0..TIMES {
        ben.on("ops")?.sounds_like(&sound)?;
        let asked = Instant::now();
        ben.press("ops").await?;
        let sounds = hall.sounds(asked).await?;
        card.push((sounds - asked).saturating_sub(CARD));
        ben.release("ops").await?;
        hall.is_unkeyed().await?;
    }
    // 20 ms of a packet, 20 ms of the smallest buffer.
    let most = Duration::from_millis(20 + 20 + 30);
    row(
        table,
        "START -> first sample to the card, no lead",
        card,
        most,
    );
    Ok(())
}

pub fn row(table: &mut Table, what: &str, mut times: Vec<Duration>, most: Duration) {
    times.sort();
    let (p50, p95) = (percentile(&times, 0.5), percentile(&times, 0.95));
    table.row(
        &format!("{what}, p95"),
        format!("{} (p50 {})", millis(p95), millis(p50)),
        &format!("<= {}", millis(most)),
        Some(p95 <= most),
    );
}

/// The guardian of a box, by its parent or by the files it was given.
pub fn guardian(site: &Site) -> Result<u32> {
    let state = site.state_dir().display().to_string();
    for entry in std::fs::read_dir("/proc")?.filter_map(Result::ok) {
        let Ok(pid) = entry.file_name().to_string_lossy().parse() else {
            continue;
        };
        let words = std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        if words.contains("\0guardian\0") && words.contains(&state) {
            return Ok(pid);
        }
    }
    anyhow::bail!("no guardian of {state}")
}

async fn share(pids: &[u32]) -> Result<f64> {
    let used = || pids.iter().map(|pid| cpu(*pid)).sum::<Result<Duration>>();
    let (before, since) = (used()?, Instant::now());
    tokio::time::sleep(WATCHED).await;
    Ok((used()? - before).as_secs_f64() / since.elapsed().as_secs_f64() * 100.0)
}

/// One radio, receiving and transmitting, beside the same box without it.
pub async fn cost(table: &mut Table, cores: Cores) -> Result<()> {
    let words = speech(SENTENCE)?;
    let sound = encoded_at_once(&words, 0)?;
    let without = {
        pin(cores.server)?;
        let site = quiet_site().start().await;
        machine::unpin()?;
        let site = site?;
        let mut ben = site.phone_on("ben", "ops").await?;
        let _anna = site.phone_on("anna", "ops").await?;
        ben.on("ops")?.sounds_like(&sound)?;
        ben.press("ops").await?;
        share(&[site.pid()]).await?
    };
    let (hall, site) = wired(cores, "tot = \"600s\"\n").await?;
    let pids = [site.pid(), guardian(&site)?];
    let mut ben = site.phone_on("ben", "ops").await?;
    let _anna = site.phone_on("anna", "ops").await?;
    let idle = share(&pids).await?;
    hall.air.set_carrier(true);
    for _ in 0..4 {
        hall.air.say(&words);
    }
    expect!(ben, ServerMessage::Start { .. })?;
    let receiving = share(&pids).await?;
    hall.air.hush();
    hall.air.set_carrier(false);
    expect!(ben, ServerMessage::Stop { .. })?;
    ben.on("ops")?.sounds_like(&sound)?;
    ben.press_at("ops", Level::Normal).await?;
    hall.is_keyed().await?;
    let transmitting = share(&pids).await?;
    for (what, share) in [
        ("CPU of a radio that is idle", idle),
        ("CPU of a radio that receives", receiving),
        ("CPU of a radio that transmits", transmitting),
    ] {
        // The box itself, with the same talk, has its share without any radio.
        table.row(
            what,
            format!("{:.1} % of a core ({without:.1} % without it)", share),
            "<= 4 % more",
            Some(share - without <= 4.0),
        );
    }
    Ok(())
}

/// Three minutes of a tone to two radios whose cards are 200 ppm too fast and too slow.
pub async fn drift(table: &mut Table, cores: Cores) -> Result<()> {
    let (hall, yard) = (Radio::new("hall")?, Radio::new("yard")?);
    let more = "tot = \"600s\"\nvoice_band = false\n";
    pin(cores.server)?;
    let site = quiet_site()
        .radio(&hall, more)
        .radio(&yard, more)
        .start()
        .await;
    machine::unpin()?;
    let site = site?;
    let dana = site.api("dana").await?;
    dana.radio_is_ready("hall").await?;
    dana.radio_is_ready("yard").await?;
    hall.air.set_ppm(200.0, 200.0);
    yard.air.set_ppm(-200.0, -200.0);
    let mut ben = site.phone_on("ben", "ops").await?;
    ben.on("ops")?.sounds_like(&steady_tone()?)?;
    let since = Instant::now();
    ben.press("ops").await?;
    let before = [
        xruns(&dana.radio("hall").await?),
        xruns(&dana.radio("yard").await?),
    ];
    let mut depths = [Vec::new(), Vec::new()];
    while since.elapsed() < DRIFT {
        tokio::time::sleep(Duration::from_millis(500)).await;
        // It finds its depth first.
        if since.elapsed() < Duration::from_secs(20) {
            continue;
        }
        for (id, depths) in ["hall", "yard"].iter().zip(&mut depths) {
            let status = dana.radio(id).await?;
            depths.push(status["bufferMs"].as_f64().context("a depth")?);
        }
    }
    let radios = [(&hall, 200), (&yard, -200)];
    for (((radio, ppm), depths), before) in radios.into_iter().zip(&depths).zip(before) {
        let least = depths.iter().copied().fold(f64::MAX, f64::min);
        let most = depths.iter().copied().fold(0.0, f64::max);
        table.row(
            &format!("buffer depth, 3 min at {ppm} ppm"),
            format!("{least:.0} to {most:.0} ms"),
            "within 20 ms",
            Some(most - least <= 20.0),
        );
        let xruns = xruns(&dana.radio(&radio.id).await?).saturating_sub(before);
        let what = format!("card not served in time, 3 min at {ppm} ppm");
        table.row(&what, format!("{xruns} times"), "0", Some(xruns == 0));
        let heard = radio.transmitted(since + Duration::from_secs(20)).samples;
        let heard = &heard[..heard.len().saturating_sub(48_000)];
        ensure!(heard.len() > 48_000 * 100, "too little was heard");
        let jump = worst_jump(heard, 500.0);
        table.row(
            &format!("worst jump of a sine, 3 min at {ppm} ppm"),
            format!("{jump:.1} dBFS"),
            "< -40 dBFS",
            Some(jump < -40.0),
        );
    }
    ben.release("ops").await?;
    Ok(())
}

/// A second of 500 Hz: a packet is ten turns of it, so that it goes on without a seam for ever.
fn steady_tone() -> Result<Sound> {
    let turn = 500.0 / 48_000.0 * std::f64::consts::TAU;
    let tone: Vec<f32> = (0..48_000 * 3)
        .map(|n| (f64::from(n) * turn).sin() as f32 * 0.3)
        .collect();
    // Without the encoder's beginning.
    Ok(encoded_at_once(&tone, 0)?[50..100].into())
}

/// Those of its card, by its status.
fn xruns(status: &serde_json::Value) -> u64 {
    status["xruns"].as_u64().unwrap_or_default()
}

/// The furthest a sample is from where the two before it lead, on a sine of this frequency, in dBFS.
pub fn worst_jump(samples: &[f32], hz: f64) -> f64 {
    let turn = 2.0 * (std::f64::consts::TAU * hz / 48_000.0).cos();
    let off = samples.windows(3).map(|w| {
        let [a, b, c] = [w[0], w[1], w[2]].map(f64::from);
        (c - turn * b + a).abs()
    });
    20.0 * off.fold(1e-9, f64::max).log10()
}

/// A phone that talks as long as this lives.
pub async fn talks(site: &Site, user: &str) -> Result<Phone> {
    let mut phone = site.phone_on(user, "ops").await?;
    phone.press("ops").await?;
    Ok(phone)
}
