//! Sentences between a radio and a page: whether the first word comes through, and how well it sounds.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use pttd_tests::alignment::{find, lost};
use pttd_tests::browser::{Browser, turn};
use pttd_tests::microphone::ANNA;
use pttd_tests::radio::Radio;
use pttd_tests::site::Site;
use pttd_tests::sound::{
    RATE, decoded_at_once, encoded_at_once, narrowed, raw, speech, voice_band,
};

use crate::machine::Cores;
use crate::radio::wired;
use crate::table::{Table, millis};

/// Each begins with a voice.
const SENTENCES: [&str; 5] = [
    "all units, all units, the main gate is open, the queue reaches the tram stop",
    "anna to control, we need a medic at the left barrier of stage two",
    "every one of the doors in hall one is locked, nobody comes in any more",
    "eleven people wait at the information desk, one of them has lost a child",
    "over at the north entrance the lights are out, send an electrician please",
];
const MOST: Duration = Duration::from_millis(20);

/// What a page is to be compared with, at [`RATE`].
fn reference(words: &[f32]) -> Vec<f32> {
    narrowed(&voice_band(words))
}

/// The first words of each sentence, both ways, and PESQ of what a page says on the air.
pub async fn speech_both_ways(table: &mut Table, cores: Cores) -> Result<()> {
    let turn = turn().await;
    let (hall, site) = wired(cores, "").await?;
    let sentences: Vec<Vec<f32>> = SENTENCES
        .iter()
        .map(|words| speech(words))
        .collect::<Result<_>>()?;
    let page = turn.page_that_says(&site, ANNA, &sentences[0]).await?;
    // Hears what the page is sent, without a browser's buffer.
    let mut ben = site.phone_on("ben", "ops").await?;
    let (mut sent, mut coming) = (Vec::new(), Vec::new());
    let (mut going, mut scores) = (Vec::new(), Vec::new());
    for words in &sentences {
        let before = ben.on("ops")?.heard().len();
        coming.push(from_the_radio(&hall, &page, words).await?);
        let heard = narrowed(&decoded_at_once(&ben.on("ops")?.heard()[before..])?);
        sent.push(lost(&reference(words), &heard).context("the sentence at a phone")?);
        let heard = to_the_radio(&hall, &page, words).await?;
        going.push(lost(&reference(words), &heard).context("the sentence on the air")?);
        scores.push(pesq(&reference(words), &heard)?);
    }
    for (what, times) in [
        ("first word lost, radio -> phone", sent),
        ("first word lost, radio -> page", coming),
        ("first word lost, page -> radio", going),
    ] {
        let longest = times.into_iter().max().unwrap_or_default();
        table.row(
            what,
            format!("{} at the longest", millis(longest)),
            &format!("<= {}", millis(MOST)),
            Some(longest <= MOST),
        );
    }
    quality(table, "PESQ page -> radio", &scores, 3.5);
    Ok(())
}

async fn from_the_radio(hall: &Radio, page: &Browser, words: &[f32]) -> Result<Duration> {
    let from = page.played().await?;
    hall.says(words).await?;
    page.button("idle").await?;
    let enough = page.played().await? + u64::from(RATE) / 2;
    page.until(&format!("outputs.count() >= {enough}")).await?;
    let heard = page.played_since(from).await?;
    lost(&reference(words), &heard).context("the sentence in the page")
}

/// What was heard on the air.
async fn to_the_radio(hall: &Radio, page: &Browser, words: &[f32]) -> Result<Vec<f32>> {
    page.learns(words).await?;
    let since = Instant::now();
    page.goes_on_air().await?;
    page.until("speaker.said").await?;
    page.releases().await?;
    hall.is_unkeyed().await?;
    let heard = narrowed(&hall.transmitted(since).on_air());
    // What the receiver hears next is not the tail of this.
    tokio::time::sleep(Duration::from_millis(500)).await;
    Ok(heard)
}

/// The same at a loss that browsers do not let us make: a phone with a browser's encoder.
pub async fn quality_at_loss(table: &mut Table, cores: Cores) -> Result<()> {
    let (hall, site) = wired(cores, "").await?;
    for (percent, least) in [(0, 3.5), (5, 2.8)] {
        let mut scores = Vec::new();
        for words in SENTENCES {
            scores.push(over_the_air(&site, &hall, &speech(words)?, percent).await?);
        }
        let what = format!("PESQ phone -> radio at {percent} % random loss");
        quality(table, &what, &scores, least);
    }
    Ok(())
}

async fn over_the_air(site: &Site, hall: &Radio, words: &[f32], percent: u8) -> Result<f64> {
    let mut ben = site.phone_on("ben", "ops").await?;
    ben.on("ops")?.loses(percent.into())?;
    let since = Instant::now();
    ben.tells_packets("ops", &encoded_at_once(words, percent)?)
        .await?;
    hall.is_unkeyed().await?;
    pesq(
        &reference(words),
        &narrowed(&hall.transmitted(since).on_air()),
    )
}

fn quality(table: &mut Table, what: &str, scores: &[f64], least: f64) {
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    let all: Vec<String> = scores.iter().map(|score| format!("{score:.2}")).collect();
    table.row(
        &format!("{what}, mean of {}", scores.len()),
        format!("{mean:.2} ({})", all.join(", ")),
        &format!(">= {least}"),
        Some(mean >= least),
    );
}

/// What telephone listeners would say of it, 1 to 4.5.
fn pesq(said: &[f32], heard: &[f32]) -> Result<f64> {
    // By its first second: in pauses the buffer may leave out or put in a little.
    let (at, like) = find(&said[..RATE as usize], heard);
    ensure!(like > 0.3, "another sentence: {like:.2}");
    // With the silence around it that both have.
    let margin = RATE as usize / 5;
    let from = at.saturating_sub(margin);
    let to = (at + said.len() + margin).min(heard.len());
    let mut padded = vec![0.0; at - from];
    padded.extend_from_slice(said);
    padded.resize(to - from, 0.0);
    let dir = tempfile::tempdir()?;
    let (said, heard_file) = (dir.path().join("said"), dir.path().join("heard"));
    std::fs::write(&said, raw(&padded))?;
    std::fs::write(&heard_file, raw(&heard[from..to]))?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("setup/pesq");
    let out = Command::new(&script)
        .arg(&said)
        .arg(&heard_file)
        .output()
        .with_context(|| format!("starting {}", script.display()))?;
    if !out.status.success() {
        bail!("PESQ: {}", String::from_utf8_lossy(&out.stderr));
    }
    let score = String::from_utf8(out.stdout)?;
    score
        .trim()
        .parse()
        .with_context(|| format!("a score: {score}"))
}
