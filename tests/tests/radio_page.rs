//! The radio page in Chromium before a radio that the box plays itself, its line on the dispatch page, and the wizard,
//! as an admin's page drives it over the API.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pttd_core::wire::signal::ServerMessage;
use pttd_tests::api::Api;
use pttd_tests::browser::{Browser, PATIENCE, Turn, turn};
use pttd_tests::expect;
use pttd_tests::microphone::DANA;
use pttd_tests::radio::{ROSTER, Radio, SENTENCE};
use pttd_tests::site::{Site, site};
use pttd_tests::sound::speech;
use serde_json::{Value, json};

const SIMULATED: &str = r#"
[[radio]]
id = "hall"
name = "Hall radio"
channel = "ops"
sound = "simulated"
kerchunk = "0ms"
tot = "15s"
"#;
const HALL: &str = "pttd.radios.hall";
const STRIP: &str = ".strip[data-radio=hall]";

/// Its radio, played by the box, has come up.
async fn simulated() -> Result<Site> {
    let site = site().roster(ROSTER).tables(SIMULATED).start().await?;
    site.api("dana").await?.radio_is_ready("hall").await?;
    Ok(site)
}

/// Dana's browser on the radio page, which is told ten times a second.
async fn radio_page(turn: &Turn, site: &Site) -> Result<Browser> {
    let dana = turn.browser(DANA, Some(&site.ready.spki)).await?;
    dana.page.set_window_size(1280, 1400).await?;
    let link = site.invite(DANA.user)?.link;
    dana.page.goto(&link.replace("/#i=", "/radio#i=")).await?;
    dana.until(&format!("pttd.live && {HALL}?.state === 'idle'"))
        .await?;
    Ok(dana)
}

async fn reads(page: &Browser, element: &str) -> Result<String> {
    page.reads(&format!("{STRIP} {element}")).await
}

#[tokio::test]
async fn whoever_holds_the_handhelds_key_is_seen_to_be_received() -> Result<()> {
    let turn = turn().await;
    let site = simulated().await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    let dana = radio_page(&turn, &site).await?;
    assert_eq!(reads(&dana, ".state").await?, "Idle");
    dana.hold(&format!("{STRIP} .handheld .key")).await?;
    dana.until(&format!(
        "{HALL}.state === 'receiving' && {HALL}.lamps.carrier === 'on' && {HALL}.lamps.squelch === 'on'"
    ))
    .await?;
    assert_eq!(reads(&dana, ".state").await?, "Receiving");
    let lamps = reads(&dana, ".lamps").await?;
    assert!(lamps.contains("up") && lamps.contains("open"), "{lamps}");
    expect!(ben, ServerMessage::Start { talk, .. } if talk.talker.name == "Hall radio")?;
    dana.until(&format!("{HALL}.rxDb > -40 && {HALL}.handheld.keyed"))
        .await?;
    dana.let_go(&format!("{STRIP} .handheld .key")).await?;
    expect!(ben, ServerMessage::Stop { .. })?;
    dana.until(&format!(
        "{HALL}.state === 'idle' && {HALL}.lamps.carrier === 'off' && !{HALL}.handheld.keyed"
    ))
    .await?;
    dana.has_no_complaints().await
}

#[tokio::test]
async fn a_test_tone_goes_on_the_air_after_its_question_and_the_dispatch_page_shows_it()
-> Result<()> {
    let turn = turn().await;
    let site = simulated().await?;
    let dana = radio_page(&turn, &site).await?;
    let tone = format!("{STRIP} .test-tone");
    dana.tap(&tone).await?;
    dana.until("document.querySelector('#ask').open").await?;
    assert!(dana.reads("#ask h2").await?.contains("Hall radio"));
    dana.tap("#ask [data-action=keep]").await?;
    dana.until("!document.querySelector('#ask').open").await?;
    assert_eq!(
        site.api("dana").await?.radio("hall").await?["state"],
        "idle"
    );

    dana.tap(&tone).await?;
    dana.tap("#ask [data-action=sure]").await?;
    dana.until(&format!(
        "{HALL}.state === 'testTone' && {HALL}.lineKeyed && {HALL}.lamps.onAir === 'on' && {HALL}.txDb > -20"
    ))
    .await?;
    assert_eq!(reads(&dana, ".state").await?, "Test tone on air");
    // It counts down.
    let left = format!("document.querySelector('{STRIP} .tot').textContent");
    dana.until(&format!("/^0:1\\d$/.test({left})")).await?;
    dana.until(&format!("{HALL}.totLeftMs < 12500")).await?;
    // It ends by itself, off the air, and its line is down.
    dana.until(&format!(
        "{HALL}.state === 'idle' && !{HALL}.lineKeyed && {HALL}.lamps.onAir === 'off'"
    ))
    .await?;
    // What went on the air can be played.
    dana.until(&format!("{HALL}.handheld.heard > 4")).await?;
    dana.has_no_complaints().await?;

    let link = site.invite(DANA.user)?.link;
    dana.page
        .goto(&link.replace("/#i=", "/dispatch#i="))
        .await?;
    dana.until("document.querySelector('#position-dialog').open")
        .await?;
    dana.sits_down("desk 1").await?;
    let line = "document.querySelector('#radio-list li[data-radio=hall]')";
    dana.until(&format!("{line}?.dataset.state === 'idle'"))
        .await?;
    let api = site.api("dana").await?;
    api.post("/radios/hall/test-tone", json!({ "ms": 5000 }))
        .await?;
    dana.until(&format!(
        "{line}.dataset.state === 'testTone' && {line}.querySelector('[data-lamp=onAir]').dataset.state === 'on'"
    ))
    .await?;
    api.delete("/radios/hall/test-tone").await?;
    dana.until(&format!("{line}.dataset.state === 'idle'"))
        .await?;
    api.post(
        "/radios/hall/handheld",
        json!({ "carrier": true, "play": "speech" }),
    )
    .await?;
    dana.until(&format!("{line}.dataset.state === 'receiving'"))
        .await?;
    dana.has_no_complaints().await
}

/// Asks as the page does until the wizard is there.
async fn until_step(ada: &Api<'_>, step: &str) -> Result<Value> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let view = ada.get("/wizard").await?;
        if view["step"] == step {
            return Ok(view);
        }
        ensure!(Instant::now() < deadline, "not {step}: {view:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wizard_finds_a_radio_by_its_handheld_and_writes_nothing_it_has_not_heard() -> Result<()>
{
    let north = Radio::new("north")?;
    let admin =
        "user = [\n    { id = \"ada\", name = \"Ada\", role = \"admin\", channels = [\"ops\"] },";
    let site = site()
        .roster(&ROSTER.replace("user = [", admin))
        .environment(vec![("PTTD_BENCH", north.dir().into())])
        .start()
        .await?;
    let ada = site.api("ada").await?;
    let wish = |sound: &str, carrier: &str, ptt: &str| {
        json!({
            "name": "North gate", "channelId": "ops", "sound": sound, "side": "mono",
            "carrier": carrier, "ptt": ptt, "write": true,
        })
    };
    let there = north.end();
    let too_early = wish(&there, &there, &there);
    let refusal = ada.refused("POST", "/wizard/radio", too_early).await?;
    assert_eq!(refusal.0, 422, "nothing was listened to: {}", refusal.1);

    ada.post("/wizard", Value::Null).await?;
    until_step(&ada, "press").await?;
    north.air.set_carrier(true);
    let words = speech(SENTENCE)?;
    for _ in 0..3 {
        north.air.say(&words);
    }
    until_step(&ada, "letGo").await?;
    north.air.hush();
    north.air.set_carrier(false);
    let found = &until_step(&ada, "found").await?["found"];
    assert_eq!(found["sound"], *there, "{found:#}");
    assert_eq!(found["carrier"], *there, "{found:#}");
    assert_eq!(found["ptts"][0]["ptt"], *there, "{found:#}");
    assert_eq!(found["ptts"][0]["belongs"], true, "{found:#}");

    for (sound, carrier, ptt) in [
        ("pcm:file:/tmp/pttd-tests-never,raw", "vox", "none"),
        ("card:Device", "vox", "none"),
        (&there, "gpio:COR1", "none"),
        (&there, "vox", "cm108:/dev/null"),
    ] {
        let (status, code) = ada
            .refused("POST", "/wizard/radio", wish(sound, carrier, ptt))
            .await?;
        assert_eq!(status, 422, "{sound} {carrier} {ptt}: {code}");
    }
    assert_eq!(ada.get("/radios").await?["radios"], json!([]));

    let mut ben = site.phone_on("ben", "ops").await?;
    let written = ada
        .post("/wizard/radio", wish(&there, &there, &there))
        .await?;
    assert_eq!(written["written"], true, "{written:#}");
    assert_eq!(written["problem"], Value::Null, "{written:#}");
    let file = written["file"].as_str().context("the file")?;
    let text = written["text"].as_str().context("the text")?;
    let settings = std::fs::read_to_string(file)?;
    assert!(settings.contains(text), "{settings}\n{text}");
    let up = ada.radio_is_ready("north-gate").await?;
    assert_eq!(up["channelId"], "ops");
    north.says(&words).await?;
    expect!(ben, ServerMessage::Start { talk, .. } if talk.talker.name == "North gate")?;
    Ok(())
}
