//! Real pages in real browsers, with recorded speech for a microphone and an ear at the far end.

use std::time::Duration;

use anyhow::{Context, Result};
use fantoccini::Locator;
use pttd_core::wire::signal::{Level, Presence, ServerMessage};
use pttd_tests::browser::{Browser, turn};
use pttd_tests::expect;
use pttd_tests::microphone::{ANNA, BEN, CARLA};
use pttd_tests::phone::Phone;
use pttd_tests::site::site;
use serde_json::json;

#[tokio::test]
async fn two_pages_hear_each_other_and_silence_when_the_button_is_let_go() -> Result<()> {
    let turn = turn().await;
    let site = site().start().await?;
    let anna = turn.page(&site, ANNA).await?;
    let ben = turn.page(&site, BEN).await?;
    for page in [&anna, &ben] {
        page.listen_in().await?;
    }
    for (talker, listener) in [(&anna, &ben), (&ben, &anna), (&anna, &ben)] {
        listener.falls_silent().await?;
        talker.goes_on_air().await?;
        listener.button("hearing").await?;
        listener.hears(talker.voice).await?;
        talker.releases().await?;
        talker.button("idle").await?;
        listener.button("idle").await?;
        listener.falls_silent().await?;
    }
    for page in [&anna, &ben] {
        page.has_no_complaints().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_busy_channel_denies_with_the_talkers_name() -> Result<()> {
    let turn = turn().await;
    let roster = r#"
        channel = [{ id = "ops", policy = "deny" }]
        user = [{ id = "anna", name = "Anna", channels = ["ops"] }, { id = "ben", name = "Ben", channels = ["ops"] }]
    "#;
    let site = site().roster(roster).start().await?;
    let mut anna = site.phone_on("anna", "ops").await?;
    let ben = turn.page(&site, BEN).await?;
    anna.press("ops").await?;
    ben.button("hearing").await?;
    ben.hold("#talk-button").await?;
    ben.button("denied").await?;
    let words = ben.reads("#talk-button").await?;
    assert!(words.contains("Anna"), "{words}");
    ben.releases().await?;
    ben.button("hearing").await?;
    ben.has_no_complaints().await
}

#[tokio::test]
async fn the_queue_moves_on_to_a_page_that_waits() -> Result<()> {
    let turn = turn().await;
    let site = site().start().await?;
    let mut anna = site.phone_on("anna", "ops").await?;
    let mut carla = site.phone_on("carla", "ops").await?;
    let ben = turn.page(&site, BEN).await?;
    anna.press("ops").await?;
    carla.start("ops", Level::Normal).await?;
    ben.button("hearing").await?;
    ben.hold("#talk-button").await?;
    ben.button("queued").await?;
    let words = ben.reads("#button-word").await?;
    assert_eq!(words, "2nd in line");
    anna.release("ops").await?;
    expect!(carla, ServerMessage::StartSuccess { .. })?;
    carla.on("ops")?.talk()?;
    ben.until("document.querySelector('#button-word').textContent === 'You are next'")
        .await?;
    carla.release("ops").await?;
    ben.button("onair").await?;
    expect!(anna, ServerMessage::Start { talk, .. } if talk.talker.name == "Ben")?;
    hears_a_page(&mut anna).await?;
    ben.releases().await?;
    ben.button("idle").await
}

/// Sound of a browser, as packets.
async fn hears_a_page(phone: &mut Phone) -> Result<()> {
    phone.on("ops")?.hears_sound(25).await
}

#[tokio::test]
async fn an_emergency_takes_the_floor_from_a_page() -> Result<()> {
    let turn = turn().await;
    let site = site().start().await?;
    let carla = turn.page(&site, CARLA).await?;
    let ben = turn.page(&site, BEN).await?;
    ben.listen_in().await?;
    carla.listen_in().await?;
    carla.goes_on_air().await?;
    ben.hears(CARLA).await?;
    ben.hold("#emergency").await?;
    ben.button("onair").await?;
    carla.button("revoked").await?;
    carla
        .until("document.querySelector('#talker').dataset.state === 'emergency'")
        .await?;
    carla.hears(BEN).await?;
    ben.let_go("#emergency").await?;
    carla.releases().await?;
    carla.falls_silent().await?;
    ben.falls_silent().await?;
    for page in [&carla, &ben] {
        page.button("idle").await?;
        page.has_no_complaints().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_page_that_comes_late_hears_the_running_talk() -> Result<()> {
    let turn = turn().await;
    let site = site().start().await?;
    let anna = turn.page(&site, ANNA).await?;
    anna.goes_on_air().await?;
    let ben = turn.page(&site, BEN).await?;
    ben.listen_in().await?;
    ben.button("hearing").await?;
    assert_eq!(ben.reads("#talker-name").await?, "Anna");
    ben.hears(ANNA).await?;
    anna.releases().await?;
    ben.falls_silent().await
}

#[tokio::test]
async fn a_page_survives_a_restart_of_the_box_and_a_reload_without_a_new_invitation() -> Result<()>
{
    let turn = turn().await;
    let mut site = site().start().await?;
    let anna = turn.page(&site, ANNA).await?;
    let ben = turn.page(&site, BEN).await?;
    site.stop().await?;
    for page in [&anna, &ben] {
        page.until("!pttd.connected").await?;
    }
    site.start_again().await?;
    for page in [&anna, &ben] {
        page.is_ready().await?;
    }
    ben.listen_in().await?;
    anna.goes_on_air().await?;
    ben.hears(ANNA).await?;
    anna.releases().await?;
    ben.falls_silent().await?;

    anna.page.refresh().await?;
    anna.is_ready().await?;
    anna.listen_in().await?;
    ben.goes_on_air().await?;
    anna.hears(BEN).await?;
    ben.releases().await
}

#[tokio::test]
async fn a_page_is_talking_again_after_the_box_was_killed() -> Result<()> {
    let turn = turn().await;
    let mut site = site().start().await?;
    let anna = turn.page(&site, ANNA).await?;
    anna.goes_on_air().await?;
    site.kill9().await?;
    anna.until("!pttd.connected").await?;
    site.start_again().await?;
    anna.until("pttd.connected").await?;
    anna.releases().await?;
    anna.is_ready().await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    anna.goes_on_air().await?;
    hears_a_page(&mut ben).await?;
    anna.releases().await
}

/// What each of these does to a held button.
#[tokio::test]
async fn a_press_ends_with_whatever_takes_the_finger_away() -> Result<()> {
    let turn = turn().await;
    let site = site().start().await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    let anna = turn.page(&site, ANNA).await?;
    anna.js(
        "const button = document.querySelector('#talk-button');
         button.addEventListener('pointerdown', (event) => { window.finger = event.pointerId; }, true);
         window.say = (type) => button.dispatchEvent(new PointerEvent(type, { pointerId: window.finger, bubbles: true }));",
    )
    .await?;
    for (what, away) in [
        ("pointercancel", "say('pointercancel')"),
        (
            "lostpointercapture",
            "document.querySelector('#talk-button').releasePointerCapture(window.finger)",
        ),
        ("blur", "window.dispatchEvent(new Event('blur'))"),
        ("pagehide", "window.dispatchEvent(new Event('pagehide'))"),
    ] {
        begins(&anna, &mut ben).await?;
        anna.js(away).await?;
        ends(&anna, &mut ben).await.context(what)?;
        anna.releases().await?;
        anna.button("idle").await.context(what)?;
    }

    begins(&anna, &mut ben).await?;
    anna.releases().await?;
    ends(&anna, &mut ben).await.context("pointerup")?;

    begins(&anna, &mut ben).await?;
    let here = anna.page.window().await?;
    let other = anna.page.new_window(true).await?;
    anna.page.switch_to_window(other.handle).await?;
    expect!(
        ben,
        ServerMessage::Stop {
            transmission_id: Some(_),
            ..
        }
    )
    .context("hidden")?;
    expect!(ben, ServerMessage::Member { member, .. } if member.presence == Presence::Asleep)?;
    anna.page.close_window().await?;
    anna.page.switch_to_window(here).await?;
    expect!(ben, ServerMessage::Member { member, .. } if member.presence == Presence::Awake)?;
    anna.releases().await?;
    anna.button("idle").await
}

async fn begins(page: &Browser, listener: &mut Phone) -> Result<()> {
    page.goes_on_air().await?;
    expect!(listener, ServerMessage::Start { .. })?;
    listener.on("ops")?.hears_sound(5).await
}

/// The box says so, and the microphone is off the air as well.
async fn ends(page: &Browser, listener: &mut Phone) -> Result<()> {
    expect!(
        listener,
        ServerMessage::Stop {
            transmission_id: Some(_),
            ..
        }
    )?;
    page.until("document.querySelector('#talk-button').dataset.state !== 'onair'")
        .await?;
    page.until("Object.values(window.pttd.channels).every((channel) => !channel.sending)")
        .await
}

#[tokio::test]
async fn the_space_bar_and_the_latch_talk_too() -> Result<()> {
    let turn = turn().await;
    let site = site().start().await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    let anna = turn.page(&site, ANNA).await?;
    let space = |kind: &str| json!({ "type": kind, "key": " ", "code": "Space", "windowsVirtualKeyCode": 32, "text": " " });
    anna.devtools("Input.dispatchKeyEvent", space("keyDown"))
        .await?;
    anna.button("onair").await?;
    expect!(ben, ServerMessage::Start { .. })?;
    hears_a_page(&mut ben).await?;
    anna.devtools("Input.dispatchKeyEvent", space("keyUp"))
        .await?;
    expect!(ben, ServerMessage::Stop { .. })?;
    anna.button("idle").await?;

    anna.tap("#latch").await?;
    anna.tap("#talk-button").await?;
    anna.button("onair").await?;
    expect!(ben, ServerMessage::Start { .. })?;
    hears_a_page(&mut ben).await?;
    anna.tap("#talk-button").await?;
    expect!(ben, ServerMessage::Stop { .. })?;
    anna.button("idle").await
}

#[tokio::test]
async fn with_the_microphone_refused_a_page_says_so_and_still_hears() -> Result<()> {
    let turn = turn().await;
    let site = site().start().await?;
    let ben = turn.page(&site, BEN).await?;
    let anna = turn.page(&site, ANNA).await?;
    anna.listen_in().await?;
    let denied = json!({ "permission": { "name": "microphone" }, "setting": "denied", "origin": site.url("") });
    anna.devtools("Browser.setPermission", denied).await?;
    anna.hold("#talk-button").await?;
    anna.until("document.querySelector('#notice').dataset.kind === 'bad'")
        .await?;
    anna.releases().await?;
    let words = anna.reads("#notice-words").await?;
    assert!(
        words.contains("microphone") && !words.contains("NotAllowed"),
        "{words}"
    );
    ben.goes_on_air().await?;
    anna.hears(ben.voice).await?;
    ben.releases().await
}

#[tokio::test]
async fn the_channel_switcher_talks_on_the_chosen_channel() -> Result<()> {
    let turn = turn().await;
    let site = site().start().await?;
    let mut ops = site.phone_on("ben", "ops").await?;
    let mut stage = site.phone_on("carla", "stage").await?;
    let anna = turn.page(&site, ANNA).await?;
    anna.page
        .find(Locator::Css("#channel-list [data-channel=stage]"))
        .await?
        .click()
        .await?;
    anna.until("pttd.selected === 'stage'").await?;
    anna.is_ready().await?;
    anna.goes_on_air().await?;
    stage.on("stage")?.hears_sound(25).await?;
    assert_eq!(ops.on("ops")?.heard().len(), 0);
    anna.releases().await?;
    // What happens elsewhere is marked, not missed.
    ops.press("ops").await?;
    let lamp = "document.querySelector('#channel-list [data-channel=ops]').dataset.state";
    anna.within(Duration::from_secs(10), &format!("{lamp} === 'hearing'"))
        .await?;
    ops.release("ops").await?;
    anna.within(Duration::from_secs(10), &format!("{lamp} === 'unheard'"))
        .await
}

#[tokio::test]
async fn on_the_box_itself_a_first_look_needs_no_certificate() -> Result<()> {
    let turn = turn().await;
    let site = site().start().await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    let browser = turn.browser(ANNA, None).await?;
    let secret = site.invite("anna")?.secret;
    let address = format!("http://localhost:{}/#i={secret}", site.ready.plain.port());
    browser.page.goto(&address).await?;
    browser.is_ready().await?;
    browser.goes_on_air().await?;
    hears_a_page(&mut ben).await?;
    browser.releases().await?;
    browser.has_no_complaints().await
}
