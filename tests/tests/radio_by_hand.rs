//! A radio in its technician's hands: its settings read again, the journal, the roll call, the handheld of the radio
//! page, and the order that takes everything off the air.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use pttd_core::wire::signal::{ClientMessage, EndReason, ServerMessage};
use pttd_tests::alignment::lost;
use pttd_tests::expect;
use pttd_tests::phone::Phone;
use pttd_tests::radio::{PATIENCE, ROSTER, Radio, SENTENCE, wired};
use pttd_tests::site::{Site, site};
use pttd_tests::sound::{decoded_at_once, likeness, narrowed, samples, speech, tone, voice_band};
use serde_json::{Value, json};

/// `pttd.toml` says this now, and the box has read it again.
async fn reloaded(site: &mut Site, from: &str, to: &str) -> Result<()> {
    let read = |site: &Site| {
        let log = site.log();
        let lines = log.iter().filter(|line| line.contains("read the radios"));
        lines.count()
    };
    let before = read(site);
    site.change(from, to)?;
    site.signal(Signal::SIGHUP)?;
    let deadline = Instant::now() + PATIENCE;
    while read(site) == before {
        ensure!(Instant::now() < deadline, "the settings were not read");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let dana = site.api("dana").await?;
    dana.radio_is_ready("hall").await?;
    // After a transmission it is deaf for a while.
    dana.radio_is("hall", "not deaf", |radio| radio["squelch"] == "closed")
        .await?;
    Ok(())
}

/// Someone says the sentence into the radio, and the phone has heard it from its beginning.
async fn is_heard(hall: &Radio, ben: &mut Phone, words: &[f32]) -> Result<()> {
    let before = ben.on("ops")?.heard().len();
    hall.says(words).await?;
    expect!(ben, ServerMessage::Start { .. })?;
    let reason = expect!(ben, ServerMessage::Stop { reason, .. } => reason)?;
    assert_eq!(reason, EndReason::Released);
    let heard = narrowed(&decoded_at_once(&ben.on("ops")?.heard()[before..])?);
    let words = narrowed(&voice_band(words));
    let like = likeness(&words, &heard);
    assert!(like > 0.75, "{like:.2}");
    let missed = lost(&words, &heard).context("the words")?;
    assert!(missed <= Duration::from_millis(20), "{missed:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_the_hardware_alone_are_read_again_and_the_radio_is_heard_and_sent_out()
-> Result<()> {
    let (hall, spare) = (Radio::new("hall")?, Radio::new("spare")?);
    let mut site = site()
        .roster(ROSTER)
        .radio(&hall, "limiter = -6\n")
        .start()
        .await?;
    site.api("dana").await?.radio_is_ready("hall").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    let words = speech(SENTENCE)?;
    is_heard(&hall, &mut ben, &words).await?;

    reloaded(&mut site, "limiter = -6", "limiter = -9").await?;
    is_heard(&hall, &mut ben, &words).await?;
    let since = Instant::now();
    ben.tells("ops", &words).await?;
    hall.is_keyed_since(since)?;
    hall.is_unkeyed().await?;

    // Another card and other wires.
    reloaded(&mut site, &hall.end(), &spare.end()).await?;
    is_heard(&spare, &mut ben, &words).await?;
    let (since, before) = (Instant::now(), hall.keyed());
    ben.tells("ops", &words).await?;
    spare.is_keyed_since(since)?;
    spare.is_unkeyed().await?;
    assert_eq!(hall.keyed(), before);
    Ok(())
}

/// What a command prints, once it has these words.
async fn printed(site: &Site, command: &[&str], words: &str) -> Result<String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (_, text) = site.orders(command).await?;
        if text.contains(words) {
            return Ok(text);
        }
        ensure!(
            Instant::now() < deadline,
            "{command:?} does not say {words:?}: {text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_and_the_roll_call_name_a_radio_that_was_heard() -> Result<()> {
    let (hall, site) = wired("name = \"Hall radio\"\n").await?;
    hall.says(&speech(SENTENCE)?).await?;
    let line = "Hall radio talked on Operations for ";
    printed(&site, &["log"], line).await?;
    printed(&site, &["log", "--user", "radio:hall"], line).await?;
    let people = printed(&site, &["roll-call"], "radio:hall").await?;
    let hall = people.lines().find(|line| line.contains("radio:hall"));
    let hall = hall.context("its line")?;
    assert!(hall.starts_with("Hall radio "), "{people}");
    let (_, people) = site.orders(&["roll-call", "--json"]).await?;
    let people: Value = serde_json::from_str(&people)?;
    let people = people["people"].as_array().context("a list")?;
    let hall = people.iter().find(|p| p["userId"] == "radio:hall");
    let hall = hall.context("the radio")?;
    assert_eq!(hall["transmissions"], 1, "{hall:#}");
    assert!(hall["seconds"].as_f64() > Some(3.0), "{hall:#}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_simulated_radio_is_played_and_listened_to_over_the_api() -> Result<()> {
    let site = site()
        .roster(ROSTER)
        .tables("[[radio]]\nid = \"hall\"\nchannel = \"ops\"\nsound = \"simulated\"\n")
        .start()
        .await?;
    let dana = site.api("dana").await?;
    dana.radio_is_ready("hall").await?;
    let heard = async || {
        let path = "/radios/hall/handheld/heard";
        dana.call("GET", path, &Value::Null).await
    };
    assert_eq!(heard().await?.status, 204, "nothing went on the air yet");
    let mut ben = site.phone_on("ben", "ops").await?;

    // The handheld is keyed, and every phone hears its voice.
    let keyed = json!({ "carrier": true, "play": "speech" });
    dana.post("/radios/hall/handheld", keyed).await?;
    let talk = expect!(ben, ServerMessage::Start { talk, .. } => talk)?;
    assert_eq!(talk.talker.user_id.as_str(), "radio:hall");
    ben.on("ops")?.hears_sound(100).await?;
    let let_go = json!({ "carrier": false });
    dana.post("/radios/hall/handheld", let_go).await?;
    expect!(ben, ServerMessage::Stop { .. })?;
    let voice = decoded_at_once(&ben.on("ops")?.heard())?;
    let loud = voice.iter().filter(|s| s.abs() > 0.05).count();
    assert!(loud > voice.len() / 20, "{loud} of {}", voice.len());

    // What is said on the channel is what the handheld hears.
    let words = speech(SENTENCE)?;
    ben.tells("ops", &words).await?;
    dana.radio_is("hall", "idle", |radio| radio["state"] == "idle")
        .await?;
    let wav = heard().await?;
    assert_eq!(wav.status, 200);
    assert_eq!(wav.body.get(..4), Some(&b"RIFF"[..]));
    let on_air = narrowed(&samples(&wav.body[44..]));
    let words = narrowed(&voice_band(&words));
    let like = likeness(&words, &on_air);
    assert!(like > 0.75, "{like:.2}");
    let missed = lost(&words, &on_air).context("the words")?;
    assert!(missed <= Duration::from_millis(20), "{missed:?}");

    let anna = site.api("anna").await?;
    let keyed = json!({ "carrier": true });
    let (status, _) = anna.refused("POST", "/radios/hall/handheld", keyed).await?;
    assert_eq!(status, 403);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_radio_with_wires_has_no_handheld_in_the_box() -> Result<()> {
    let (_hall, site) = wired("").await?;
    let dana = site.api("dana").await?;
    let keyed = json!({ "carrier": true });
    let (status, _) = dana.refused("POST", "/radios/hall/handheld", keyed).await?;
    assert_eq!(status, 409);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn unkeyed_by_hand_the_line_falls_and_stays_down_and_the_talker_is_told() -> Result<()> {
    let (hall, site) = wired("").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    ben.on("ops")?.sounds_like(&tone(500.0)?)?;
    ben.press("ops").await?;
    hall.is_keyed().await?;
    ben.on("ops")?.says(25).await?;
    let before = hall.keyed();
    site.orders(&["unkey", "--all"]).await?;
    assert!(!hall.air.is_keyed(), "{:?}", hall.air.ptt_history());
    expect!(ben, ServerMessage::Revoked { .. })?;
    // Still held, the button does not bring it up again.
    ben.on("ops")?.says(100).await?;
    assert_eq!(hall.keyed(), before, "{:?}", hall.air.ptt_history());
    ben.on("ops")?.hush()?;
    ben.ask(ClientMessage::Stop {
        channel_id: "ops".into(),
    })
    .await?;
    // Pressed anew, it does.
    site.api("dana").await?.radio_is_ready("hall").await?;
    ben.press("ops").await?;
    hall.is_keyed().await?;
    ben.release("ops").await?;
    hall.is_unkeyed().await?;
    Ok(())
}
