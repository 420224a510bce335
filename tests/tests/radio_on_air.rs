//! A transmitter on the wire: it comes up, speaks and goes down, whatever else happens.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use pttd_core::wire::signal::{DenyReason, EndReason, Level, ServerMessage};
use pttd_tests::alignment::lost;
use pttd_tests::expect;
use pttd_tests::radio::{SENTENCE, Transmitted, wired};
use pttd_tests::sound::{likeness, narrowed, shares, speech, tone, voice_band};
use serde_json::{Value, json};

/// A line of the API's, or a phone's, on a busy machine.
const SLACK: Duration = Duration::from_millis(300);

fn is_about(what: &str, measured: Duration, least: Duration) {
    // A period of the card's, for what is told of it is told in periods.
    let period = Duration::from_millis(10);
    assert!(
        measured + period >= least && measured <= least + SLACK,
        "{what}: {measured:?}, wanted {least:?}"
    );
}

/// The share of a frequency in a piece of what was transmitted.
fn share(samples: &[f32], hz: f64) -> f64 {
    shares(&narrowed(samples), &[hz])[0]
}

/// Its loudest sample, in dBFS.
fn peak(samples: &[f32]) -> f32 {
    let peak = samples.iter().fold(0.0_f32, |most, s| most.max(s.abs()));
    20.0 * peak.log10()
}

/// The piece between these moments, from and to the first and the last sound.
fn between(heard: &Transmitted, from: Duration, length: Duration) -> Result<Vec<f32>> {
    let samples = |d: Duration| (d.as_secs_f64() * 48_000.0) as usize;
    let from = heard.first_sample().context("a sound")? + samples(from);
    let piece = heard.samples.get(from..from + samples(length));
    piece.map(<[f32]>::to_vec).context("as long as that")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_talk_goes_on_the_air_after_the_lead_and_the_transmitter_down_after_the_tail()
-> Result<()> {
    let (hall, site) = wired("lead = \"400ms\"\ntail = \"300ms\"\n").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    let words = speech(SENTENCE)?;
    let since = Instant::now();
    ben.tells("ops", &words).await?;
    let keyed = hall.is_keyed_since(since)?;
    let unkeyed = hall.is_unkeyed().await?;
    let heard = hall.transmitted(since);
    let first = heard.first_sound().context("a sound")?;
    let last = heard.last_sound().context("a sound")?;
    is_about("lead", first - keyed, Duration::from_millis(400));
    is_about("tail", unkeyed - last, Duration::from_millis(300));
    assert_eq!(hall.keyed(), 1);
    // Nothing is said before others can hear it, and nothing is left out.
    let missed =
        lost(&narrowed(&voice_band(&words)), &narrowed(&heard.on_air())).context("the words")?;
    assert!(missed <= Duration::from_millis(20), "{missed:?}");
    let like = likeness(&narrowed(&voice_band(&words)), &narrowed(&heard.on_air()));
    assert!(like > 0.75, "{like:.2}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_talk_that_follows_in_the_tail_goes_on_without_a_new_key_down() -> Result<()> {
    let (hall, site) = wired("tail = \"1s\"\n").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    let mut anna = site.phone_on("anna", "ops").await?;
    let words = speech(SENTENCE)?;
    let since = Instant::now();
    ben.tells("ops", &words).await?;
    anna.tells("ops", &words).await?;
    hall.is_unkeyed().await?;
    assert_eq!(hall.keyed(), 1, "{:?}", hall.air.ptt_history());
    let on_air = narrowed(&hall.transmitted(since).on_air());
    for half in [&on_air[..on_air.len() / 2], &on_air[on_air.len() / 2..]] {
        let like = likeness(&narrowed(&voice_band(&words)), half);
        assert!(like > 0.7, "{like:.2}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_out_timer_warns_cuts_and_locks_out_until_the_button_is_let_go() -> Result<()> {
    let settings = "tot = \"15s\"\ntot_alert = \"2s\"\ntot_penalty = \"2s\"\n";
    let (hall, site) = wired(settings).await?;
    let dana = site.api("dana").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    let mut anna = site.phone_on("anna", "ops").await?;
    let since = Instant::now();
    ben.on("ops")?
        .sounds_like(&vec![vec![0xb8, 0xff, 0xfe]].into())?;
    ben.press("ops").await?;
    let keyed = hall.is_keyed().await?;
    let alert = hall.sounds(since).await?;
    is_about("pre-alert", alert - keyed, Duration::from_secs(13));
    let unkeyed = hall.is_unkeyed().await?;
    is_about("TOT", unkeyed - keyed, Duration::from_secs(15));
    expect!(
        ben,
        ServerMessage::Revoked {
            reason: EndReason::TalkLimit,
            ..
        }
    )?;
    // The radio is locked out as long as the talker has not let go.
    let locked = dana
        .radio_is("hall", "locked out", |radio| radio["state"] == "lockedOut")
        .await?;
    assert!(locked["totLeftMs"].is_null(), "{locked:#}");
    let again = ben.start("ops", Level::Normal).await?;
    assert!(
        matches!(
            again,
            ServerMessage::StartFailed {
                reason: DenyReason::ReleaseFirst,
                ..
            }
        ),
        "{again:?}"
    );
    let let_go = Instant::now();
    ben.release("ops").await?;
    // The others talk meanwhile, and are on the air after the penalty.
    anna.press("ops").await?;
    let keyed = hall.is_keyed().await?;
    is_about("penalty", keyed - let_go, Duration::from_secs(2));
    anna.release("ops").await?;
    hall.is_unkeyed().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tail_of_the_own_transmission_keys_nobody_and_a_later_voice_is_heard() -> Result<()> {
    let (hall, site) = wired("deaf = \"500ms\"\n").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    let mut anna = site.phone_on("anna", "ops").await?;
    ben.press("ops").await?;
    expect!(anna, ServerMessage::Start { .. })?;
    hall.is_keyed().await?;
    // The own transmission opens the receiver, and so does its tail.
    hall.air.set_carrier(true);
    hall.speaks(&[0.1; 24_000]).await?;
    ben.release("ops").await?;
    hall.is_unkeyed().await?;
    hall.speaks(&[0.1; 4800]).await?;
    hall.air.set_carrier(false);
    hall.speaks(&[0.0; 48_000]).await?;
    let told = anna.unasked().await?;
    let started = |m: &ServerMessage| matches!(m, ServerMessage::Start { .. });
    assert!(!told.iter().any(started), "{told:?}");

    // A line is a level: who keys up while it is on the air is heard when it is not deaf any more.
    ben.press("ops").await?;
    expect!(anna, ServerMessage::Start { .. })?;
    hall.is_keyed().await?;
    hall.air.set_carrier(true);
    ben.release("ops").await?;
    let unkeyed = hall.is_unkeyed().await?;
    let talk = expect!(anna, ServerMessage::Start { talk, .. } => talk)?;
    is_about("deaf", unkeyed.elapsed(), Duration::from_millis(500));
    assert_eq!(talk.talker.user_id.as_str(), "radio:hall");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn permit_courtesy_and_identification_go_on_the_air() -> Result<()> {
    let tones = "permit_tone = true\ncourtesy_tone = true\nident = \"cw:PTTD\"\n";
    let (hall, site) = wired(tones).await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    let mut anna = site.phone_on("anna", "ops").await?;
    // Nothing in between: what sounds is the box's own.
    let silence = vec![vec![0xb8, 0xff, 0xfe]].into();
    let since = Instant::now();
    for phone in [&mut ben, &mut anna] {
        phone.on("ops")?.sounds_like(&silence)?;
    }
    ben.press("ops").await?;
    let keyed = hall.is_keyed().await?;
    let permit = hall.sounds(since).await?;
    is_about("permit tone", permit - keyed, Duration::from_millis(150));
    ben.on("ops")?.says(50).await?;
    let released = Instant::now();
    ben.release("ops").await?;
    let unkeyed = hall.is_unkeyed().await?;
    let after = hall.transmitted(released);
    let courtesy = between(
        &after,
        Duration::from_millis(20),
        Duration::from_millis(100),
    )?;
    assert!(share(&courtesy, 880.0) > 0.8, "{}", share(&courtesy, 880.0));
    // P T T D in Morse takes a second or more, on and off, and the tail comes after it.
    let last = after.last_sound().context("a sound")?;
    assert!(
        last - released > Duration::from_secs(1),
        "{:?}",
        last - released
    );
    assert!(
        unkeyed - last >= Duration::from_millis(90),
        "{:?}",
        unkeyed - last
    );
    // Once is enough for ten minutes.
    let released = Instant::now();
    anna.press("ops").await?;
    anna.on("ops")?.says(25).await?;
    anna.release("ops").await?;
    hall.is_unkeyed().await?;
    let lasts = released.elapsed();
    assert!(lasts < Duration::from_millis(2500), "{lasts:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_tone_of_at_most_five_seconds_is_for_dispatchers_and_an_idle_radio() -> Result<()> {
    let (hall, site) = wired("").await?;
    let dana = site.api("dana").await?;
    let tone_of = |ms: u64| json!({ "ms": ms });
    let since = Instant::now();
    dana.post("/radios/hall/test-tone", tone_of(1000)).await?;
    hall.is_keyed().await?;
    hall.is_unkeyed().await?;
    let heard = hall.transmitted(since);
    let middle = between(
        &heard,
        Duration::from_millis(100),
        Duration::from_millis(800),
    )?;
    assert!(share(&middle, 1000.0) > 0.95, "{}", share(&middle, 1000.0));
    let level = peak(&middle);
    assert!((level + 10.0).abs() < 1.0, "{level} dBFS");
    let length = heard.last_sound().context("a sound")? - heard.first_sound().context("a sound")?;
    assert!(
        length.abs_diff(Duration::from_secs(1)) < Duration::from_millis(30),
        "{length:?}"
    );

    // Stopped by hand.
    dana.post("/radios/hall/test-tone", tone_of(5000)).await?;
    hall.is_keyed().await?;
    let stopped = Instant::now();
    dana.delete("/radios/hall/test-tone").await?;
    let unkeyed = hall.is_unkeyed().await?;
    is_about("stopped", unkeyed - stopped, Duration::from_millis(100));

    for ms in [0, 5001] {
        let (status, _) = dana
            .refused("POST", "/radios/hall/test-tone", tone_of(ms))
            .await?;
        assert_eq!(status, 422, "{ms} ms");
    }
    let anna = site.api("anna").await?;
    let (status, _) = anna
        .refused("POST", "/radios/hall/test-tone", tone_of(1000))
        .await?;
    assert!(status == 403 || status == 404, "{status}");
    let (status, _) = dana
        .refused("POST", "/radios/yard/test-tone", tone_of(1000))
        .await?;
    assert_eq!(status, 404);
    let mut ben = site.phone_on("ben", "ops").await?;
    ben.press("ops").await?;
    hall.is_keyed().await?;
    let (status, _) = dana
        .refused("POST", "/radios/hall/test-tone", tone_of(1000))
        .await?;
    assert_eq!(status, 409);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_tone_gives_way_to_who_talks() -> Result<()> {
    let (hall, site) = wired("").await?;
    let dana = site.api("dana").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    dana.post("/radios/hall/test-tone", json!({ "ms": 5000 }))
        .await?;
    hall.is_keyed().await?;
    ben.on("ops")?.sounds_like(&tone(500.0)?)?;
    let since = Instant::now();
    ben.press("ops").await?;
    ben.on("ops")?.says(75).await?;
    let heard = hall.transmitted(since + Duration::from_secs(1));
    let piece = between(&heard, Duration::ZERO, Duration::from_millis(300))?;
    assert!(share(&piece, 500.0) > 0.7, "{}", share(&piece, 500.0));
    Ok(())
}

/// The card is pulled: the line goes down, the channel goes on, and all is well again when it is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_card_pulled_while_on_the_air_unkeys_and_is_found_again_in_two_seconds() -> Result<()> {
    let (hall, site) = wired("").await?;
    let dana = site.api("dana").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    ben.press("ops").await?;
    hall.is_keyed().await?;
    let pulled = Instant::now();
    hall.air.pull();
    let unkeyed = hall.is_unkeyed().await?;
    assert!(
        unkeyed - pulled < Duration::from_millis(500),
        "{:?}",
        unkeyed - pulled
    );
    let down = dana
        .radio_is("hall", "down", |radio| radio["state"] == "down")
        .await?;
    assert!(down["problem"].is_string(), "{down:#}");
    site.logs(&["WARN", "hall"]).await?;
    ben.on("ops")?.says(50).await?;
    ben.release("ops").await?;

    hall.air.put_back();
    let back = Instant::now();
    dana.radio_is_ready("hall").await?;
    assert!(
        back.elapsed() < Duration::from_secs(3),
        "{:?}",
        back.elapsed()
    );
    let words = speech(SENTENCE)?;
    let since = Instant::now();
    ben.tells("ops", &words).await?;
    hall.is_unkeyed().await?;
    let like = likeness(
        &narrowed(&voice_band(&words)),
        &narrowed(&hall.transmitted(since).on_air()),
    );
    assert!(like > 0.75, "{like:.2}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_stands_still_unkeys_though_it_says_nothing() -> Result<()> {
    let (hall, site) = wired("").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    ben.press("ops").await?;
    let keyed = hall.is_keyed().await?;
    tokio::time::sleep_until((keyed + Duration::from_secs(1)).into()).await;
    hall.air.stand_still(true);
    let still = Instant::now();
    let unkeyed = hall.is_unkeyed().await?;
    let after = unkeyed - still;
    assert!(after < Duration::from_millis(700), "{after:?}");
    hall.air.stand_still(false);
    site.api("dana")
        .await?
        .radio_is("hall", "there", |radio| radio["state"] != "down")
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_killed_while_on_the_air_leaves_no_carrier_behind() -> Result<()> {
    let (hall, mut site) = wired("").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    ben.press("ops").await?;
    hall.is_keyed().await?;
    ben.on("ops")?.says(25).await?;
    let killed = Instant::now();
    site.kill9().await?;
    let unkeyed = hall.is_unkeyed().await?;
    assert!(
        unkeyed - killed < Duration::from_millis(500),
        "{:?}",
        unkeyed - killed
    );
    site.start_again().await?;
    site.api("dana").await?.radio_is_ready("hall").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    ben.press("ops").await?;
    hall.is_keyed().await?;
    ben.release("ops").await?;
    hall.is_unkeyed().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_box_that_is_asked_to_end_unkeys_first() -> Result<()> {
    let (hall, mut site) = wired("").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    ben.press("ops").await?;
    hall.is_keyed().await?;
    site.stop().await?;
    assert!(!hall.air.is_keyed());
    Ok(())
}

/// What the radio page shows while all this goes on.
#[tokio::test(flavor = "multi_thread")]
async fn the_status_tells_who_is_on_the_air_and_how_loud() -> Result<()> {
    let (hall, site) = wired("").await?;
    let dana = site.api("dana").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    ben.on("ops")?.sounds_like(&tone(500.0)?)?;
    ben.press("ops").await?;
    let status = dana
        .radio_is("hall", "on air", |radio| {
            radio["state"] == "onAir" && radio["txDb"].as_f64().is_some_and(|db| db > -30.0)
        })
        .await?;
    assert_eq!(status["talker"], "Ben");
    assert_eq!(status["lineKeyed"], true);
    assert!(
        status["totLeftMs"].as_u64().is_some_and(|ms| ms < 120_000),
        "{status:#}"
    );
    ben.release("ops").await?;
    hall.air.set_carrier(true);
    hall.air.say(&[0.25; 96_000]);
    let status = dana
        .radio_is("hall", "receiving", |radio| radio["state"] == "receiving")
        .await?;
    assert_eq!(status["squelch"], "open");
    assert_eq!(status["lineKeyed"], false);
    assert_eq!(status["carrier"], true);
    let users = site.api("anna").await?;
    let refused = users.refused("GET", "/radios", Value::Null).await?;
    assert_eq!(refused.0, 403, "{refused:?}");
    Ok(())
}
