//! The talk page and the dispatchers: calls, emergencies, silence, being taken off, and hearing talks again.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pttd_core::wire::signal::{ClientMessage, ServerMessage};
use pttd_tests::browser::{Browser, turn};
use pttd_tests::expect;
use pttd_tests::microphone::{BEN, CARLA};
use pttd_tests::phone::Phone;
use pttd_tests::site::{Site, site};
use pttd_tests::sound::tone;
use serde_json::json;

const ROSTER: &str = r#"
channel = [
    { id = "ops", name = "Operations" },
    { id = "stage", name = "Stage" },
    { id = "check", name = "Sound check", echo = true, record = "off", talk_limit = "5s" },
]
user = [
    { id = "anna", name = "Anna", role = "admin", channels = ["ops", "stage"] },
    { id = "ben", name = "Ben", emergency = true, channels = ["ops", "stage", "check"] },
    { id = "carla", name = "Carla", channels = ["ops", "stage"] },
]
"#;

async fn event() -> Result<Site> {
    site().roster(ROSTER).start().await
}

/// Waits until this place on the page says these words.
async fn says(page: &Browser, element: &str, words: &str) -> Result<()> {
    let found = format!("document.querySelector('{element}').textContent.includes({words:?})");
    if page.until(&found).await.is_err() {
        let said = page.reads(element).await?;
        ensure!(
            said.contains(words),
            "{element} says {said:?}, not {words:?}"
        );
    }
    Ok(())
}

async fn state(page: &Browser, element: &str, state: &str) -> Result<()> {
    page.until(&format!(
        "document.querySelector('{element}').dataset.state === '{state}'"
    ))
    .await
    .with_context(|| format!("{element} should be {state}"))
}

#[tokio::test]
async fn a_call_from_a_page_is_taken_and_the_page_says_by_whom() -> Result<()> {
    let turn = turn().await;
    let site = event().await?;
    let mut anna = site.phone_on("anna", "ops").await?;
    let ben = turn.page(&site, BEN).await?;
    state(&ben, "#call", "idle").await?;
    ben.tap("#call").await?;
    state(&ben, "#call", "waiting").await?;
    says(&ben, "#notice-words", "The dispatchers see your call").await?;
    let call =
        expect!(anna, ServerMessage::Calls { calls } if !calls.is_empty() => calls[0].clone())?;
    assert_eq!(call.caller.name, "Ben");

    let call_id = call.call_id;
    anna.ask(ClientMessage::TakeCall { call_id }).await?;
    state(&ben, "#call", "taken").await?;
    says(&ben, "#call", "Anna").await?;
    says(&ben, "#notice-words", "Anna has your call").await?;
    // Whoever reloads the page finds the call as it was.
    ben.page.refresh().await?;
    ben.is_ready().await?;
    state(&ben, "#call", "taken").await?;

    anna.ask(ClientMessage::CloseCall { call_id }).await?;
    state(&ben, "#call", "idle").await?;
    says(&ben, "#notice-words", "Dispatch has closed your call").await?;
    ben.has_no_complaints().await
}

#[tokio::test]
async fn a_call_is_taken_back_by_a_second_tap_and_one_more() -> Result<()> {
    let turn = turn().await;
    let site = event().await?;
    let mut anna = site.phone_on("anna", "ops").await?;
    let ben = turn.page(&site, BEN).await?;
    ben.tap("#call").await?;
    state(&ben, "#call", "waiting").await?;
    expect!(anna, ServerMessage::Calls { calls } if calls.len() == 1)?;
    ben.tap("#call").await?;
    ben.tap("#notice-action").await?;
    expect!(anna, ServerMessage::Calls { calls } if calls.is_empty())?;
    state(&ben, "#call", "idle").await?;
    says(&ben, "#notice-words", "taken back").await
}

#[tokio::test]
async fn an_emergency_is_raised_by_a_hold_of_two_seconds_and_stays_until_it_is_cleared()
-> Result<()> {
    let turn = turn().await;
    let site = event().await?;
    let mut anna = site.phone_on("anna", "ops").await?;
    let ben = turn.page(&site, BEN).await?;
    let carla = turn.page(&site, CARLA).await?;
    carla
        .until("document.querySelector('#emergency').hidden")
        .await
        .context("Carla may raise none")?;

    ben.hold("#emergency").await?;
    state(&ben, "#emergency", "holding").await?;
    ben.let_go("#emergency").await?;
    state(&ben, "#emergency", "idle").await?;
    let told = anna.unasked().await?;
    let raised = |m: &ServerMessage| matches!(m, ServerMessage::Emergencies { emergencies } if !emergencies.is_empty());
    assert!(
        !told.iter().any(raised),
        "a short tap raises none: {told:?}"
    );

    ben.hold("#emergency").await?;
    ben.button("onair").await?;
    let emergency = expect!(anna, ServerMessage::Emergencies { emergencies } if !emergencies.is_empty() => emergencies[0].clone())?;
    assert_eq!(emergency.raiser.name, "Ben");
    for page in [&ben, &carla] {
        page.until("!document.querySelector('#alarm').hidden")
            .await?;
        says(page, "#alarm-detail", "Operations").await?;
    }
    says(&carla, "#alarm-who", "Ben").await?;
    says(&ben, "#alarm-who", "Your emergency").await?;
    ben.let_go("#emergency").await?;
    ben.button("idle").await?;

    let emergency_id = emergency.emergency_id;
    anna.ask(ClientMessage::AcknowledgeEmergency { emergency_id })
        .await?;
    for page in [&ben, &carla] {
        says(page, "#alarm-detail", "seen by Anna").await?;
    }
    // It asks once.
    ben.tap("#alarm-action").await?;
    says(&ben, "#alarm-action", "Really clear?").await?;
    ben.tap("#alarm-action").await?;
    for page in [&ben, &carla] {
        page.until("document.querySelector('#alarm').hidden")
            .await?;
        page.has_no_complaints().await?;
    }
    Ok(())
}

#[tokio::test]
async fn whoever_is_silenced_reads_for_how_long_and_talks_again_afterwards() -> Result<()> {
    let turn = turn().await;
    let site = event().await?;
    let mut anna = site.phone_on("anna", "ops").await?;
    let ben = turn.page(&site, BEN).await?;
    ben.goes_on_air().await?;
    silence(&mut anna, 4).await?;
    ben.button("revoked").await?;
    says(&ben, "#button-word", "Dispatch ended your talk").await?;
    ben.until("Object.values(pttd.channels).every((channel) => !channel.sending)")
        .await?;
    ben.releases().await?;
    ben.button("silenced").await?;
    says(&ben, "#button-word", "Dispatch keeps you silent for 4 min").await?;
    ben.hold("#talk-button").await?;
    ben.button("denied").await?;
    ben.releases().await?;
    ben.button("silenced").await?;
    silence(&mut anna, 0).await?;
    ben.button("idle").await?;
    ben.goes_on_air().await?;
    ben.releases().await?;
    ben.has_no_complaints().await
}

async fn silence(dispatcher: &mut Phone, minutes: u32) -> Result<()> {
    let answer = dispatcher
        .ask(ClientMessage::Silence {
            channel_id: "ops".into(),
            user_id: "ben".into(),
            minutes,
        })
        .await?;
    ensure!(
        matches!(answer, ServerMessage::Silenced { .. }),
        "{answer:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_dispatcher_ends_a_talk_and_the_page_says_so() -> Result<()> {
    let turn = turn().await;
    let site = event().await?;
    let mut anna = site.phone_on("anna", "ops").await?;
    let ben = turn.page(&site, BEN).await?;
    ben.goes_on_air().await?;
    let channel_id = "ops".into();
    anna.ask(ClientMessage::EndTalk {
        channel_id,
        transmission_id: None,
    })
    .await?;
    ben.button("revoked").await?;
    says(&ben, "#button-word", "Dispatch ended your talk").await?;
    ben.releases().await?;
    ben.button("idle").await
}

#[tokio::test]
async fn whoever_is_taken_off_a_channel_while_talking_is_told_and_talks_on_another() -> Result<()> {
    let turn = turn().await;
    let site = event().await?;
    let mut anna = site.phone_on("anna", "stage").await?;
    let ben = turn.page(&site, BEN).await?;
    ben.goes_on_air().await?;
    site.orders(&["member", "remove", "ops", "ben"]).await?;
    ben.until("!pttd.channels.ops").await?;
    says(&ben, "#notice-words", "Operations").await?;
    ben.until("Object.values(pttd.channels).every((channel) => !channel.sending)")
        .await?;
    ben.releases().await?;
    ben.until("pttd.selected === 'stage'").await?;
    ben.is_ready().await?;
    ben.goes_on_air().await?;
    anna.on("stage")?.hears_sound(25).await?;
    ben.releases().await?;
    ben.button("idle").await?;
    ben.has_no_complaints().await
}

#[tokio::test]
async fn whoever_is_put_off_the_box_comes_back_with_a_tap() -> Result<()> {
    let turn = turn().await;
    let site = event().await?;
    let anna = site.api("anna").await?;
    let ben = turn.page(&site, BEN).await?;
    let session = ben.js("return pttd.session").await?;
    anna.delete(&format!("/sessions/{session}")).await?;
    state(&ben, "#status", "kicked").await?;
    says(&ben, "#notice-words", "ended your connection").await?;
    ben.tap("#notice-action").await?;
    ben.is_ready().await?;
    ben.goes_on_air().await?;
    ben.releases().await?;
    ben.has_no_complaints().await
}

/// Carla, who is a phone, says this on a channel, and Ben's page does not listen.
async fn says_unheard(carla: &mut Phone, channel: &str) -> Result<()> {
    carla.on(channel)?.sounds_like(&tone(CARLA.tone)?)?;
    carla.press(channel).await?;
    carla.on(channel)?.says(100).await?;
    carla.release(channel).await.map(drop)
}

#[tokio::test]
async fn a_missed_talk_is_marked_and_heard_again_until_someone_talks() -> Result<()> {
    let turn = turn().await;
    let site = event().await?;
    let mut carla = site.phone_on("carla", "stage").await?;
    carla.join("ops").await?;
    let ben = turn.page(&site, BEN).await?;
    ben.js("const { start } = AudioBufferSourceNode.prototype;
         AudioBufferSourceNode.prototype.start = function (...when) {
             const out = this.context.createMediaStreamDestination();
             this.connect(out);
             window.replayed = out.stream.getAudioTracks()[0];
             return start.apply(this, when);
         };")
        .await?;
    says_unheard(&mut carla, "stage").await?;
    ben.until("pttd.channels.stage.unheard === 1").await?;
    let badge = "#channel-list [data-channel=stage] .badge";
    says(&ben, badge, "1").await?;
    ben.tap("#channel-list [data-channel=stage]").await?;
    ben.until("pttd.selected === 'stage'").await?;
    ben.is_ready().await?;
    state(&ben, "#recent li", "unheard").await?;
    says(&ben, "#recent li", "missed").await?;
    ben.until("!document.querySelector('#rec').hidden").await?;

    ben.tap("#recent [data-talk]").await?;
    state(&ben, "#talker", "replay").await?;
    ben.until("window.replayed").await?;
    ben.listen("window.replayed").await?;
    ben.hears(CARLA).await?;
    ben.until("pttd.replay === null").await?;
    state(&ben, "#recent li", "heard").await?;

    // Who is live comes first.
    ben.tap("#recent [data-talk]").await?;
    ben.until("pttd.replay?.at > 0").await?;
    carla.press("stage").await?;
    ben.button("hearing").await?;
    ben.until("pttd.replay === null").await?;
    says(&ben, "#notice-words", "the replay stopped").await?;
    carla.release("stage").await?;
    ben.has_no_complaints().await
}

#[tokio::test]
async fn what_came_while_nobody_looked_at_the_page_is_marked() -> Result<()> {
    let turn = turn().await;
    let site = event().await?;
    let mut carla = site.phone_on("carla", "ops").await?;
    let ben = turn.page(&site, BEN).await?;
    let here = ben.page.window().await?;
    let other = ben.page.new_window(true).await?;
    ben.page.switch_to_window(other.handle).await?;
    let asleep = json!("asleep");
    expect!(carla, ServerMessage::Member { member, .. } if json!(member.presence) == asleep)?;
    says_unheard(&mut carla, "ops").await?;
    ben.page.close_window().await?;
    ben.page.switch_to_window(here).await?;
    state(&ben, "#recent li", "unheard").await?;
    says(&ben, "#recent li", "Carla").await
}

#[tokio::test]
async fn on_the_echo_channel_a_page_hears_itself_and_reads_how_it_was() -> Result<()> {
    let turn = turn().await;
    let site = event().await?;
    let ben = turn.page(&site, BEN).await?;
    ben.tap("#channel-list [data-channel=check]").await?;
    ben.until("pttd.selected === 'check'").await?;
    ben.is_ready().await?;
    says(
        &ben,
        "#button-word",
        "Hold, speak 5 seconds, then hear yourself",
    )
    .await?;
    ben.listen_in().await?;
    ben.goes_on_air().await?;
    // Long enough for a level and for bursts to hear again.
    ben.within(
        Duration::from_secs(10),
        "document.querySelector('#talker-time').textContent === '0:04'",
    )
    .await?;
    ben.releases().await?;
    state(&ben, "#talker", "echo").await?;
    ben.hears(BEN).await?;
    let verdict = ben.reads("#notice-words").await?;
    ensure!(
        verdict.contains("dB too ") || verdict.starts_with("Good"),
        "{verdict}"
    );
    state(&ben, "#talker", "idle").await?;
    ben.falls_silent().await?;
    ben.has_no_complaints().await
}
