//! The instruments themselves, without the box: what hears a browser must be able to hear nothing.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pttd_tests::alignment::{find, lost};
use pttd_tests::browser::{Turn, turn};
use pttd_tests::microphone::{ANNA, BEN, Voice};
use pttd_tests::pulse::Pulse;
use pttd_tests::sound::{RATE, likeness, narrowed, raw, samples, sentence, speech};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A page that hears its own microphone through a peer connection.
const LOOPBACK: &str = include_str!("loopback.html");

async fn hears_itself(turn: &Turn, voice: Voice) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{LOOPBACK}",
                LOOPBACK.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let browser = turn.browser(voice, None).await?;
    browser.page.goto(&format!("http://{address}/")).await?;
    browser.until("window.far").await?;
    browser.listen("window.far").await?;
    browser.falls_silent().await?;
    browser.js("press()").await?;
    browser.hears(voice).await?;
    let other = if voice == ANNA { BEN } else { ANNA };
    let heard = browser
        .js(&format!(
            "return [ear.heard({:?}), ear.frames()]",
            other.user
        ))
        .await?;
    assert_eq!(
        heard[0], 0,
        "{} sounds like {}: {}",
        voice.user, other.user, heard[1]
    );
    browser.js("release()").await?;
    browser.falls_silent().await
}

#[tokio::test]
async fn an_ear_tells_one_voice_from_another_and_from_silence() -> Result<()> {
    let turn = turn().await;
    hears_itself(&turn, ANNA).await?;
    hears_itself(&turn, BEN).await
}

#[test]
fn a_sentence_is_known_again_and_another_is_not_taken_for_it() -> Result<()> {
    let gate = sentence("main gate to control, the queue reaches the tram stop")?;
    let medic = sentence("stage two here, we need a medic at the left barrier")?;
    // Later, quieter and a little shorter, as the far end hears it.
    let mut heard = vec![0.0; 5000];
    heard.extend(gate.samples.iter().skip(1000).map(|s| s * 0.3));
    let (same, other) = (
        likeness(&gate.samples, &heard),
        likeness(&medic.samples, &heard),
    );
    assert!(same > 0.85, "{same:.2}");
    assert!(other < 0.5, "{other:.2}");
    let silence = likeness(&gate.samples, &vec![0.0; heard.len()]);
    assert!(silence < 0.1, "{silence:.2}");
    Ok(())
}

/// What the box does at such a card, by alsa-lib's own programs.
fn alsa(pulse: &Pulse, program: &str, words: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .envs(pulse.environment())
        .args(["-q", "-f", "S16_LE", "-r", "48000", "-c", "1"])
        .args(words);
    command
}

#[tokio::test]
async fn a_card_without_hardware_carries_sound_both_ways_and_can_be_pulled() -> Result<()> {
    // A sound server starved by browsers has gaps.
    let _turn = turn().await;
    let mut pulse = Pulse::start().await?;
    let words = speech("main gate to control, the queue reaches the tram stop")?;
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("heard.raw");
    let path = file.display().to_string();

    let capture = ["-D", "receiver", "-t", "raw", &path];
    let mut recorder = alsa(&pulse, "arecord", &capture).spawn()?;
    let size = || std::fs::metadata(&file).map_or(0, |file| file.len());
    until("arecord hears silence at least", || size() > 1000).await?;
    pulse.receives(&words).await?;
    let played = size();
    until("the last of it is written", || size() > played + 20_000).await?;
    pulse.pull()?;
    until("arecord notices that the card is gone", || {
        recorder.try_wait().is_ok_and(|ended| ended.is_some())
    })
    .await?;
    let heard = samples(&std::fs::read(&file)?);
    // The same wave from end to end: nothing was left out, nothing put in.
    let (_, same) = find(&narrowed(&words), &narrowed(&heard));
    assert!(same > 0.95, "{same:.3}");

    pulse.put_back()?;
    let mut ear = pulse.ear().await?;
    let playback = ["-D", "transmitter", "-t", "raw"];
    let mut player = alsa(&pulse, "aplay", &playback)
        .stdin(Stdio::piped())
        .spawn()?;
    let mut input = player.stdin.take().context("aplay's input")?;
    let raw = raw(&words);
    let since = Instant::now();
    tokio::task::spawn_blocking(move || input.write_all(&raw)).await??;
    let wanted = words.len();
    ear.until("the sentence", |heard| {
        heard.iter().filter(|s| s.abs() > 0.001).count() > wanted / 2
            && heard.iter().rev().take(10_000).all(|s| s.abs() < 0.001)
    })
    .await?;
    // It is paced: sound takes as long as it lasts.
    let lasts = Duration::from_secs_f64(words.len() as f64 / 48_000.0);
    assert!(
        since.elapsed() > lasts.mul_f64(0.9),
        "{:?}",
        since.elapsed()
    );
    let (_, same) = find(&narrowed(&words), &narrowed(&ear.heard()));
    assert!(same > 0.95, "{same:.3}");
    assert!(player.wait()?.success());
    Ok(())
}

async fn until(what: &str, mut is: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is() {
        ensure!(Instant::now() < deadline, "not in 20 s: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

#[test]
fn a_lost_beginning_is_measured() -> Result<()> {
    let words = narrowed(&speech("all units, all units, the main gate is open")?);
    for cut in [0, 20, 60, 200] {
        let mut heard = vec![0.0; 3000];
        heard.extend(words.iter().enumerate().map(|(n, s)| {
            let missing = n < cut * RATE as usize / 1000;
            if missing { 0.0 } else { s * 0.4 }
        }));
        let measured = lost(&words, &heard).context("the sentence is there")?;
        let wanted = Duration::from_millis(cut as u64);
        assert!(
            measured.abs_diff(wanted) <= Duration::from_millis(15),
            "{cut} ms cut, {measured:?} measured"
        );
    }
    let others = narrowed(&speech(
        "stage two here, we need a medic at the left barrier",
    )?);
    assert!(lost(&words, &others).is_none());
    Ok(())
}
