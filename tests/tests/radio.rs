//! A two-way radio on the wire: what its receiver hears, the channel hears; and nothing else.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pttd_core::wire::signal::{ClientMessage, EndReason, Level, ServerMessage, Talk};
use pttd_tests::alignment::lost;
use pttd_tests::expect;
use pttd_tests::phone::Phone;
use pttd_tests::radio::{ROSTER, Radio, SENTENCE, wired};
use pttd_tests::site::site;
use pttd_tests::sound::{decoded, decoded_at_once, likeness, narrowed, speech, voice_band};
use serde_json::Value;

/// Whoever talks next on ops, as Ben's phone is told.
async fn hears_start(phone: &mut Phone) -> Result<Talk> {
    expect!(phone, ServerMessage::Start { talk, .. } => talk)
}

async fn hears_stop(phone: &mut Phone) -> Result<EndReason> {
    expect!(phone, ServerMessage::Stop { reason, .. } => reason)
}

/// How many talks have begun that this phone was told of and nobody asked about yet.
async fn starts(phone: &mut Phone) -> Result<usize> {
    let told = phone.unasked().await?;
    let starts = told
        .iter()
        .filter(|message| matches!(message, ServerMessage::Start { .. }));
    Ok(starts.count())
}

/// How much of the beginning of these words the phone missed on ops, of all it has heard there.
fn missed(phone: &mut Phone, words: &[f32]) -> Result<Duration> {
    let heard = narrowed(&decoded_at_once(&phone.on("ops")?.heard())?);
    let words = narrowed(&voice_band(words));
    let like = likeness(&words, &heard);
    ensure!(like > 0.75, "other words: {like:.2}");
    lost(&words, &heard).context("not even the middle of it was heard")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handheld_is_heard_from_its_first_syllable_to_its_last() -> Result<()> {
    let (hall, site) = wired("name = \"Hall radio\"\n").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    let words = speech(SENTENCE)?;
    hall.says(&words).await?;
    let talk = hears_start(&mut ben).await?;
    assert_eq!(talk.talker.user_id.as_str(), "radio:hall");
    assert_eq!(talk.talker.name, "Hall radio");
    assert_eq!(talk.level, Level::Normal);
    assert_eq!(hears_stop(&mut ben).await?, EndReason::Released);
    let missed = missed(&mut ben, &words)?;
    assert!(missed <= Duration::from_millis(20), "{missed:?}");
    // Half duplex: what comes in does not go out again.
    assert_eq!(hall.keyed(), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_carrier_line_the_voice_opens_the_squelch_and_is_heard_whole() -> Result<()> {
    let (hall, site) = wired("carrier = \"vox\"\n").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    // What an open receiver hisses, at -45 dBFS.
    let hiss: Vec<f32> = (0..24_000_u32)
        .map(|n| n.wrapping_mul(2_654_435_761) as i32 as f32 / i32::MAX as f32 * 0.0056)
        .collect();
    hall.speaks(&hiss).await?;
    let words = speech(SENTENCE)?;
    let spoken = hall.speaks(&words).await?;
    hears_start(&mut ben).await?;
    assert_eq!(hears_stop(&mut ben).await?, EndReason::Released);
    let missed = missed(&mut ben, &words)?;
    assert!(missed <= Duration::from_millis(20), "{missed:?}");
    // VOX hangs 800 ms after the last word.
    let said = Duration::from_secs_f64(words.len() as f64 / 48_000.0);
    assert!(spoken.elapsed() >= said + Duration::from_millis(700));
    assert_eq!(starts(&mut ben).await?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn carrier_and_voice_can_be_asked_for_together() -> Result<()> {
    let hall = Radio::new("hall")?;
    let carrier = format!("carrier = \"{} and vox\"\n", hall.end());
    let site = site().roster(ROSTER).radio(&hall, &carrier).start().await?;
    site.api("dana").await?.radio_is_ready("hall").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    let words = speech(SENTENCE)?;
    // A carrier without a voice, and a voice without a carrier.
    hall.air.set_carrier(true);
    hall.speaks(&[0.0; 24_000]).await?;
    hall.air.set_carrier(false);
    hall.speaks(&words).await?;
    hall.speaks(&[0.0; 24_000]).await?;
    assert_eq!(starts(&mut ben).await?, 0);
    hall.says(&words).await?;
    hears_start(&mut ben).await?;
    assert_eq!(hears_stop(&mut ben).await?, EndReason::Released);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_squelch_stays_open_for_the_hang_time_and_bounces_do_not_cut_a_talk() -> Result<()> {
    let (hall, site) = wired("hang = \"400ms\"\ndebounce = \"40ms\"\n").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    // Shorter than the debounce.
    for _ in 0..3 {
        hall.air.set_carrier(true);
        hall.speaks(&[0.1; 480]).await?;
        hall.air.set_carrier(false);
        hall.speaks(&[0.0; 4800]).await?;
    }
    assert_eq!(starts(&mut ben).await?, 0);
    hall.air.set_carrier(true);
    hears_start(&mut ben).await?;
    // Gone for less than the hang time, as in a car under a bridge.
    hall.air.set_carrier(false);
    hall.speaks(&[0.0; 9600]).await?;
    hall.air.set_carrier(true);
    hall.speaks(&[0.0; 48_000]).await?;
    hall.air.set_carrier(false);
    let let_go = Instant::now();
    assert_eq!(hears_stop(&mut ben).await?, EndReason::Released);
    let hung = let_go.elapsed();
    assert!(
        (350..1500).contains(&hung.as_millis()),
        "closed after {hung:?}"
    );
    assert_eq!(starts(&mut ben).await?, 0, "it was one talk");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_only_tries_their_button_is_not_heard_and_who_talks_is_heard_whole() -> Result<()> {
    let (hall, site) = wired("kerchunk = \"300ms\"\nkerchunk_idle = \"0s\"\n").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    hall.air.set_carrier(true);
    hall.speaks(&[0.1; 4800]).await?;
    hall.air.set_carrier(false);
    hall.speaks(&[0.0; 48_000]).await?;
    assert_eq!(starts(&mut ben).await?, 0);
    let words = speech(SENTENCE)?;
    let keyed = hall.says(&words).await?;
    hears_start(&mut ben).await?;
    assert_eq!(hears_stop(&mut ben).await?, EndReason::Released);
    let missed = missed(&mut ben, &words)?;
    assert!(missed <= Duration::from_millis(20), "{missed:?}");
    assert!(keyed.elapsed() > Duration::from_secs(1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_stays_open_loses_the_floor_until_it_closes() -> Result<()> {
    let (hall, site) = wired("stuck = \"30s\"\n").await?;
    let dana = site.api("dana").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    hall.air.set_carrier(true);
    let since = Instant::now();
    hears_start(&mut ben).await?;
    let stop = Duration::from_secs(40);
    let is_stop =
        |message: &ServerMessage| matches!(message, ServerMessage::Stop { .. }).then_some(());
    ben.expect_within(stop, "the end of it", is_stop).await?;
    let after = since.elapsed();
    assert!((29..33).contains(&after.as_secs()), "taken after {after:?}");
    let stuck = dana
        .radio_is("hall", "stuck", |radio| radio["squelch"] == "stuck")
        .await?;
    assert!(stuck["problem"].is_string(), "{stuck:#}");
    // The floor is free for the others.
    ben.press("ops").await?;
    hall.is_keyed().await?;
    ben.release("ops").await?;
    hall.is_unkeyed().await?;
    assert_eq!(starts(&mut ben).await?, 0);
    hall.air.set_carrier(false);
    dana.radio_is("hall", "well again", |radio| radio["squelch"] == "closed")
        .await?;
    hall.air.set_carrier(true);
    hears_start(&mut ben).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_talk_limit_holds_for_a_handheld_and_its_button_must_be_let_go_first() -> Result<()> {
    let (hall, site) = wired("channel = \"stage\"\n").await?;
    let mut ben = site.phone_on("ben", "stage").await?;
    hall.air.set_carrier(true);
    hears_start(&mut ben).await?;
    assert_eq!(hears_stop(&mut ben).await?, EndReason::TalkLimit);
    hall.speaks(&[0.0; 48_000]).await?;
    assert_eq!(starts(&mut ben).await?, 0);
    hall.air.set_carrier(false);
    let dana = site.api("dana").await?;
    dana.radio_is("hall", "closed", |radio| radio["squelch"] == "closed")
        .await?;
    hall.air.set_carrier(true);
    hears_start(&mut ben).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_carrier_that_comes_while_somebody_talks_is_heard_when_they_have_finished() -> Result<()>
{
    let (hall, site) = wired("transmit = false\n").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    let mut anna = site.phone_on("anna", "ops").await?;
    ben.press("ops").await?;
    hears_start(&mut anna).await?;
    hall.air.set_carrier(true);
    hall.speaks(&[0.0; 24_000]).await?;
    assert_eq!(starts(&mut anna).await?, 0);
    ben.release("ops").await?;
    let talk = hears_start(&mut anna).await?;
    assert_eq!(talk.talker.user_id.as_str(), "radio:hall");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_of_the_dispatch_level_cuts_a_normal_talker() -> Result<()> {
    let (hall, site) = wired("transmit = false\nlevel = \"dispatch\"\n").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    ben.press("ops").await?;
    hall.air.set_carrier(true);
    expect!(
        ben,
        ServerMessage::Revoked {
            reason: EndReason::Preempted,
            ..
        }
    )?;
    let talk = hears_start(&mut ben).await?;
    assert_eq!(talk.level, Level::Dispatch);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispatcher_cuts_a_handheld_and_answers_on_the_air() -> Result<()> {
    let (hall, site) = wired("").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    let mut dana = site.phone_on("dana", "ops").await?;
    hall.air.set_carrier(true);
    hears_start(&mut ben).await?;
    dana.press_at("ops", Level::Dispatch).await?;
    assert_eq!(hears_stop(&mut ben).await?, EndReason::Preempted);
    hall.is_keyed().await?;
    dana.release("ops").await?;
    hall.is_unkeyed().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispatcher_ends_a_handhelds_talk_and_silences_its_receiver() -> Result<()> {
    let (hall, site) = wired("").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    let mut dana = site.phone_on("dana", "ops").await?;
    let api = site.api("dana").await?;
    let closed = async || {
        hall.air.set_carrier(false);
        api.radio_is("hall", "closed", |radio| {
            radio["squelch"] == "closed" && radio["carrier"] == false
        })
        .await
    };
    hall.air.set_carrier(true);
    hears_start(&mut ben).await?;
    dana.ask(ClientMessage::EndTalk {
        channel_id: "ops".into(),
        transmission_id: None,
    })
    .await?;
    assert_eq!(hears_stop(&mut ben).await?, EndReason::Ended);
    closed().await?;

    let silence = |minutes| ClientMessage::Silence {
        channel_id: "ops".into(),
        user_id: "radio:hall".into(),
        minutes,
    };
    let silenced = dana.ask(silence(1)).await?;
    assert!(
        matches!(silenced, ServerMessage::Silenced { .. }),
        "{silenced:?}"
    );
    ben.unasked().await?;
    hall.says(&[0.1; 24_000]).await?;
    let status = closed().await?;
    assert!(status["silencedMs"].is_u64(), "{status:#}");
    assert_eq!(starts(&mut ben).await?, 0);
    // It is still sent out: only its receiver is silent.
    ben.press("ops").await?;
    hall.is_keyed().await?;
    ben.release("ops").await?;
    hall.is_unkeyed().await?;

    dana.ask(silence(0)).await?;
    api.radio_is("hall", "no more silence", |radio| {
        radio["silencedMs"].is_null() && radio["squelch"] == "closed"
    })
    .await?;
    hall.air.set_carrier(true);
    hears_start(&mut ben).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_handheld_says_is_recorded_under_its_name() -> Result<()> {
    let (hall, mut site) = wired("name = \"Hall radio\"\n").await?;
    let dana = site.api("dana").await?;
    let words = speech(SENTENCE)?;
    hall.says(&words).await?;
    let until = Instant::now() + Duration::from_secs(20);
    let recording = loop {
        let answer = dana.get("/recordings?user=radio:hall").await?;
        let listed = answer["recordings"].as_array().context("a list")?;
        if let Some(recording) = listed.first() {
            break recording.clone();
        }
        ensure!(Instant::now() < until, "nothing recorded: {answer}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(recording["name"], "Hall radio");
    assert_eq!(recording["reason"], "released");
    assert_eq!(recording["droppedPackets"], 0);
    let path = format!("/recordings/{}/audio", recording["transmissionId"]);
    let audio = dana.call("GET", &path, &Value::Null).await?;
    let heard = decoded(&audio.body)?;
    let words = narrowed(&voice_band(&words));
    let like = likeness(&words, &heard);
    assert!(like > 0.75, "{like:.2}");
    let missed = lost(&words, &heard).context("the words")?;
    assert!(missed <= Duration::from_millis(20), "{missed:?}");
    site.stop().await
}
