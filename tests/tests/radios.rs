//! More than one radio, and what else is wired to the box: relays, desks, and mistakes in the settings.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use pttd_core::wire::signal::ServerMessage;
use pttd_tests::expect;
use pttd_tests::radio::{FOUND_AGAIN, ROSTER, Radio, SENTENCE};
use pttd_tests::site::{Site, program, site};
use pttd_tests::sound::{likeness, narrowed, shares, speech, voice_band};

/// Hall and yard, both on ops.
async fn two(hall_more: &str, yard_more: &str) -> Result<(Radio, Radio, Site)> {
    let (hall, yard) = (Radio::new("hall")?, Radio::new("yard")?);
    let site = site()
        .roster(ROSTER)
        .radio(&hall, hall_more)
        .radio(&yard, yard_more)
        .start()
        .await?;
    let dana = site.api("dana").await?;
    dana.radio_is_ready("hall").await?;
    dana.radio_is_ready("yard").await?;
    Ok((hall, yard, site))
}

#[tokio::test(flavor = "multi_thread")]
async fn radios_of_a_channel_do_not_key_each_other_and_all_are_keyed_by_a_phone() -> Result<()> {
    let (hall, yard, site) = two("", "").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    hall.says(&speech(SENTENCE)?).await?;
    expect!(ben, ServerMessage::Start { .. })?;
    expect!(ben, ServerMessage::Stop { .. })?;
    ben.press("ops").await?;
    hall.is_keyed().await?;
    yard.is_keyed().await?;
    assert_eq!((hall.keyed(), yard.keyed()), (1, 1), "only for Ben");
    ben.release("ops").await?;
    hall.is_unkeyed().await?;
    yard.is_unkeyed().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_sends_out_what_another_radio_of_its_channel_hears() -> Result<()> {
    let (hall, yard, _site) = two("", "relay = true\n").await?;
    let words = speech(SENTENCE)?;
    let since = Instant::now();
    hall.says(&words).await?;
    yard.is_keyed_since(since)?;
    yard.is_unkeyed().await?;
    assert_eq!(hall.keyed(), 0);
    let heard = narrowed(&yard.transmitted(since).on_air());
    let like = likeness(&narrowed(&voice_band(&words)), &heard);
    assert!(like > 0.7, "{like:.2}");
    // Hall is no relay.
    yard.says(&words).await?;
    assert_eq!(hall.keyed(), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_relays_that_hear_each_other_are_held_off() -> Result<()> {
    let relay = "relay = true\nlead = \"0ms\"\ntail = \"0ms\"\ndeaf = \"0ms\"\nhang = \"50ms\"\n";
    let (hall, yard, site) = two(relay, relay).await?;
    let dana = site.api("dana").await?;
    // Each is heard by the other's receiver, and comes back as an echo.
    let since = Instant::now();
    let (mut here, mut there) = (&hall, &yard);
    for _ in 0..5 {
        let now = Instant::now();
        here.air.set_carrier(true);
        here.speaks(&[0.1; 9600]).await?;
        let sent = there.is_keyed_since(now).is_ok();
        here.air.set_carrier(false);
        if !sent {
            break;
        }
        there.is_unkeyed().await?;
        (here, there) = (there, here);
    }
    assert!(
        since.elapsed() < Duration::from_secs(10),
        "{:?}",
        since.elapsed()
    );
    for id in ["hall", "yard"] {
        let status = dana
            .radio_is(id, "held off", |radio| radio["squelch"] == "heldOff")
            .await?;
        assert!(status["problem"].is_string(), "{status:#}");
    }
    site.logs(&["WARN", "each other"]).await?;
    // Phones still talk, on both.
    let (before, mut ben) = (hall.keyed(), site.phone_on("ben", "ops").await?);
    ben.press("ops").await?;
    hall.is_keyed().await?;
    yard.is_keyed().await?;
    ben.release("ops").await?;
    hall.is_unkeyed().await?;
    // And what the receivers say is not believed.
    hall.says(&[0.1; 24_000]).await?;
    yard.is_unkeyed().await?;
    assert_eq!(hall.keyed(), before + 1);
    let told = ben.unasked().await?;
    let talks = told
        .iter()
        .filter(|m| matches!(m, ServerMessage::Start { .. }));
    assert_eq!(talks.count(), 0, "{told:?}");
    Ok(())
}

/// A `[[desk]]` at the far end of a simulated radio: its carrier is the button.
fn desk(end: &str, more: &str) -> String {
    format!(
        "[[desk]]\nid = \"gate\"\nname = \"Gate\"\nchannel = \"ops\"\nsound = {end:?}\nbutton = {end:?}\n{more}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_desk_talks_with_its_button_and_hears_without_a_ptt_line() -> Result<()> {
    let gate = Radio::new("gate")?;
    let site = site()
        .roster(ROSTER)
        .tables(&desk(&gate.end(), ""))
        .start()
        .await?;
    site.api("dana").await?.radio_is_ready("gate").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    let words = speech(SENTENCE)?;
    let pressed = Instant::now();
    gate.says(&words).await?;
    let talk = expect!(ben, ServerMessage::Start { talk, .. } => talk)?;
    assert_eq!(talk.talker.name, "Gate");
    expect!(ben, ServerMessage::Stop { .. })?;
    // Its own permit tone, and nothing of what it said.
    let heard = gate.transmitted(pressed);
    let first = heard.first_sound().context("a permit tone")?;
    let last = heard.last_sound().context("a permit tone")?;
    assert!(
        last - first <= Duration::from_millis(120),
        "{:?}",
        last - first
    );
    assert!(
        first - pressed < Duration::from_millis(500),
        "{:?}",
        first - pressed
    );

    let since = Instant::now();
    ben.tells("ops", &words).await?;
    gate.speaks(&[0.0; 24_000]).await?;
    let heard = narrowed(&gate.transmitted(since).samples);
    let like = likeness(&narrowed(&voice_band(&words)), &heard);
    assert!(like > 0.75, "{like:.2}");
    assert_eq!(gate.keyed(), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_desk_that_is_denied_hears_it() -> Result<()> {
    let gate = Radio::new("gate")?;
    let roster = ROSTER.replace("\"Operations\"", "\"Operations\", policy = \"deny\"");
    let site = site()
        .roster(&roster)
        .tables(&desk(&gate.end(), "permit_tone = false\n"))
        .start()
        .await?;
    site.api("dana").await?.radio_is_ready("gate").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    ben.on("ops")?
        .sounds_like(&vec![vec![0xb8, 0xff, 0xfe]].into())?;
    ben.press("ops").await?;
    let pressed = Instant::now();
    gate.air.set_carrier(true);
    let denied = gate.sounds(pressed).await?;
    assert!(
        denied - pressed < Duration::from_secs(1),
        "{:?}",
        denied - pressed
    );
    gate.air.set_carrier(false);
    Ok(())
}

/// Runs `pttd check` on these settings: its code and its words.
fn check(settings: &str) -> Result<(Option<i32>, String)> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("pttd.toml");
    std::fs::write(&file, settings)?;
    let out = Command::new(program()?)
        .args(["check", "--config"])
        .arg(&file)
        .arg("--state")
        .arg(dir.path().join("state"))
        .output()?;
    let said = [out.stdout, out.stderr].concat();
    Ok((out.status.code(), String::from_utf8(said)?))
}

const HALL: &str = "[[radio]]\nid = \"hall\"\nchannel = \"ops\"\nsound = \"card:Device\"\n";

#[test]
fn a_setting_out_of_its_range_or_unknown_is_an_error_that_says_what_is_right() -> Result<()> {
    for (line, words) in [
        ("lead = \"2001ms\"", "\"0s\" to \"2s\""),
        ("tail = \"2s\"", "\"0s\" to \"1s\""),
        ("tot = \"14s\"", "\"15s\" to \"600s\""),
        ("tot_alert = \"0s\"", "\"1s\" to \"10s\""),
        ("tot_penalty = \"61s\"", "\"0s\" to \"60s\""),
        ("stuck = \"29s\"", "\"30s\" to \"600s\""),
        ("debounce = \"1s\"", "\"0s\" to \"200ms\""),
        ("hang = \"6s\"", "\"0s\" to \"5s\""),
        ("vox_threshold = 3", "-60 to 0"),
        ("vox_attack = \"1ms\"", "\"5ms\" to \"500ms\""),
        ("vox_preroll = \"2s\"", "\"0s\" to \"1s\""),
        ("deaf = \"6s\"", "\"0s\" to \"5s\""),
        ("kerchunk = \"2s\"", "\"0s\" to \"1s\""),
        ("limiter = 1", "-30 to 0"),
        ("complexity = 11", "0 to 10"),
        ("bitrate = \"65k\"", "\"8k\" to \"64k\""),
        ("ident = \"morse\"", "cw:CALL"),
        ("ident_every = \"2h\"", "\"60s\""),
        ("playout_min = \"10ms\"", "\"20ms\""),
        ("ptt = \"gpoi:PTT1\"", "gpio:"),
        ("carrier = \"vox or or vox\"", "vox"),
        ("relays = true", "relays"),
    ] {
        let (code, said) = check(&format!("{HALL}{line}\n"))?;
        assert_eq!(code, Some(64), "{line}: {said}");
        assert!(said.contains(words), "{line}: {said}");
        assert!(said.contains("line 5"), "{line}: {said}");
    }
    Ok(())
}

#[test]
fn desks_and_lamps_have_ranges_too() -> Result<()> {
    let desk = "[[desk]]\nid = \"gate\"\nchannel = \"ops\"\nsound = \"card:Device\"\n";
    let desk = format!("{desk}button = \"gpio:GATE\"\n");
    let lamp = "[[lamp]]\nline = \"gpio:LAMP\"\n".to_string();
    for (table, line, words) in [
        (&desk, "complexity = 11", "0 to 10"),
        (&desk, "bitrate = \"7k\"", "\"8k\" to \"64k\""),
        (&desk, "level = \"emergency\"", "`normal`"),
        (&desk, "side = \"both\"", "left"),
        (&desk, "permit_tone = 1", "boolean"),
        (&desk, "capture_db = 1000", "capture_db"),
        // A desk keys nothing.
        (&desk, "ptt = \"gpio:PTT1\"", "ptt"),
        (&desk, "tot = \"60s\"", "tot"),
        (&lamp, "follows = \"channel:ops\"", "talk:CHANNEL"),
        (&lamp, "follows = \"on-air:hall\"", "hall"),
        (&lamp, "blinks = true", "blinks"),
    ] {
        let (code, said) = check(&format!("{table}{line}\n"))?;
        assert_eq!(code, Some(64), "{line}: {said}");
        assert!(said.contains(words), "{line}: {said}");
        let number = table.lines().count() + 1;
        assert!(said.contains(&format!("line {number}")), "{line}: {said}");
    }
    let same = format!("{desk}{lamp}follows = \"uplink\"\n").replace("LAMP", "GATE");
    let (code, said) = check(&same)?;
    assert_eq!(code, Some(64), "{said}");
    for word in ["the desk \"gate\"", "the lamp", "gpio:GATE"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    Ok(())
}

#[test]
fn what_is_not_plugged_in_is_a_warning_of_check_and_no_mistake() -> Result<()> {
    let (code, said) = check(&format!(
        "{HALL}ptt = \"gpio:NOWHERE1\"\ncarrier = \"gpio:NOWHERE2\"\n"
    ))?;
    assert_eq!(code, Some(0), "{said}");
    for line in ["NOWHERE1", "NOWHERE2"] {
        let told = said.lines().find(|told| told.contains(line));
        let told = told.with_context(|| format!("{line} is missing in {said}"))?;
        assert!(told.contains("warning") && told.contains("hall"), "{told}");
    }
    Ok(())
}

#[test]
fn two_on_one_line_or_one_card_are_an_error_that_names_both() -> Result<()> {
    let yard = "[[radio]]\nid = \"yard\"\nchannel = \"ops\"\n";
    for (hall, yard, words) in [
        ("", format!("{yard}sound = \"card:Device\"\n"), "Device"),
        (
            "ptt = \"gpio:PTT1\"\n",
            format!("{yard}sound = \"card:Other\"\nptt = \"!gpio:PTT1\"\n"),
            "PTT1",
        ),
        (
            "ptt = \"serial:/dev/ttyUSB0#rts\"\n",
            format!("{yard}sound = \"card:Other\"\nptt = \"serial:/dev/ttyUSB0#rts\"\n"),
            "ttyUSB0",
        ),
    ] {
        let (code, said) = check(&format!("{HALL}{hall}{yard}"))?;
        assert_eq!(code, Some(64), "{said}");
        for word in ["hall", "yard", words] {
            assert!(said.contains(word), "{word}: {said}");
        }
    }
    // Each has a side of what alsa-lib shares out.
    let hall = HALL.replace("card:Device", "pcm:both");
    let (_, said) = check(&format!(
        "{hall}side = \"left\"\n{yard}sound = \"pcm:both\"\nside = \"right\"\n"
    ))?;
    assert!(!said.contains("both have"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_not_there_is_a_warning_and_is_found_when_it_comes() -> Result<()> {
    let hall = Radio::new("hall")?;
    hall.air.pull();
    hall.air.pull_wires();
    let nowhere = "[[radio]]\nid = \"yard\"\nchannel = \"ops\"\nsound = \"card:Nowhere\"\nptt = \"gpio:NOWHERE\"\n";
    let site = site()
        .roster(ROSTER)
        .radio(&hall, "")
        .tables(nowhere)
        .start()
        .await?;
    let dana = site.api("dana").await?;
    for id in ["hall", "yard"] {
        site.logs(&["WARN", id]).await?;
        let status = dana
            .radio_is(id, "down", |radio| radio["state"] == "down")
            .await?;
        assert!(status["problem"].is_string(), "{status:#}");
    }
    // Whoever looks after the box sees it.
    let health = site.get("/healthz").await?.text();
    assert!(
        health.contains("hall") && health.contains("yard"),
        "{health}"
    );
    // The phones do not mind.
    let mut ben = site.phone_on("ben", "ops").await?;
    let mut anna = site.phone_on("anna", "ops").await?;
    ben.press("ops").await?;
    anna.on("ops")?.hears(ben.tag, 10).await?;
    ben.release("ops").await?;

    hall.air.put_back();
    hall.air.put_back_wires();
    let back = Instant::now();
    dana.radio_is_ready("hall").await?;
    assert!(back.elapsed() < FOUND_AGAIN, "{:?}", back.elapsed());
    ben.press("ops").await?;
    hall.is_keyed().await?;
    // It does not complain all night.
    let complaints = site.log();
    let complaints = complaints
        .iter()
        .filter(|line| line.contains("WARN") && line.contains("yard"));
    assert!(complaints.count() < 10);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_alone_and_a_transmitter_alone_are_radios_too() -> Result<()> {
    let (hall, yard, site) = two("transmit = false\n", "receive = false\n").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    hall.air.set_carrier(true);
    expect!(ben, ServerMessage::Start { .. })?;
    hall.air.set_carrier(false);
    expect!(ben, ServerMessage::Stop { .. })?;
    yard.says(&[0.1; 24_000]).await?;
    let since = Instant::now();
    let sound = pttd_tests::sound::tone(500.0)?;
    ben.on("ops")?.sounds_like(&sound)?;
    ben.press("ops").await?;
    yard.sounds(since).await?;
    ben.on("ops")?.says(50).await?;
    ben.release("ops").await?;
    yard.is_unkeyed().await?;
    assert_eq!(hall.keyed(), 0);
    let told = ben.unasked().await?;
    let talks = told
        .iter()
        .filter(|m| matches!(m, ServerMessage::Start { .. }));
    assert_eq!(talks.count(), 0, "{told:?}");
    let on_air = narrowed(&yard.transmitted(since).on_air());
    let middle = &on_air[on_air.len() / 2..on_air.len() / 2 + 1600];
    assert!(shares(middle, &[500.0])[0] > 0.7);
    Ok(())
}
