//! The dispatch page in a real browser: what is heard of many channels, talking on several, positions, and what
//! was missed.

use anyhow::{Context, Result};
use pttd_core::wire::signal::{CallState, ClientMessage, EndReason, ServerMessage};
use pttd_tests::browser::turn;
use pttd_tests::expect;
use pttd_tests::microphone::{ANNA, BEN, DANA};
use pttd_tests::site::{halls, roster, site};
use pttd_tests::sound::{RATE, decoded, likeness, sentence, tone};

#[tokio::test]
async fn of_twenty_channels_just_the_one_that_is_unmuted_is_heard() -> Result<()> {
    let halls = halls(20);
    let people = [("dana", "dispatch"), ("crowd", "dispatch")];
    let site = site().roster(&roster(&halls, &people)).start().await?;
    let tones: Vec<f64> = (0..halls.len()).map(|n| 400.0 + 120.0 * n as f64).collect();
    let mut crowd = site.phone("crowd").await?;
    for (hall, hz) in halls.iter().zip(&tones) {
        crowd.join(hall).await?;
        crowd.on(hall)?.sounds_like(&tone(*hz)?)?;
        crowd.press(hall).await?;
    }
    let turn = turn().await;
    let desk = turn.desk(&site, DANA, "desk 1").await?;
    for hall in &halls {
        desk.tile(hall, "hearing").await?;
    }
    desk.plays_only(&tones, None).await?;
    desk.toggles("hall3").await?;
    desk.plays_only(&tones, Some(3)).await?;
    desk.toggles("hall3").await?;
    desk.toggles("hall11").await?;
    desk.plays_only(&tones, Some(11)).await?;
    desk.toggles("hall11").await?;
    desk.plays_only(&tones, None).await?;
    desk.has_no_complaints().await
}

#[tokio::test]
async fn a_dispatcher_talks_on_three_at_once_and_reads_who_is_busy_on_the_fourth() -> Result<()> {
    let halls = halls(4);
    let people = [("dana", "dispatch"), ("ben", "user"), ("carla", "user")];
    let roster = roster(&halls, &people);
    let roster = roster.replace("id = \"hall3\"\n", "id = \"hall3\"\npolicy = \"deny\"\n");
    let site = site().roster(&roster).start().await?;
    let mut ben = site.phone("ben").await?;
    for hall in &halls {
        ben.join(hall).await?;
    }
    let mut carla = site.phone_on("carla", "hall3").await?;
    let turn = turn().await;
    let desk = turn.desk(&site, DANA, "desk 1").await?;
    carla.press("hall3").await?;
    desk.tile("hall3", "hearing").await?;
    const SHIFT: char = '\u{e008}';
    desk.key_down(SHIFT).await?;
    for key in ['1', '2', '3', '4'] {
        desk.types(key).await?;
    }
    desk.key_up(SHIFT).await?;
    desk.until("Object.values(pttd.channels).every((channel) => channel.selected)")
        .await?;
    desk.key_down(' ').await?;
    for hall in &halls[..3] {
        desk.tile(hall, "onair").await?;
        expect!(ben, ServerMessage::Start { channel_id, talk }
            if channel_id.as_str() == hall && talk.talker.name == "dana")?;
        ben.on(hall)?.hears_sound(25).await?;
    }
    desk.tile("hall3", "denied").await?;
    let words = desk.reads("#said-words").await?;
    for word in ["Hall 0", "Hall 1", "Hall 2", "Hall 3", "carla"] {
        assert!(words.contains(word), "{word}: {words}");
    }
    desk.key_up(' ').await?;
    for hall in &halls[..3] {
        expect!(ben, ServerMessage::Stop { channel_id, reason: EndReason::Released, .. }
            if channel_id.as_str() == hall)?;
    }
    desk.until("Object.values(pttd.channels).every((channel) => !channel.sending)")
        .await?;
    desk.has_no_complaints().await
}

#[tokio::test]
async fn a_position_is_taken_over_and_a_reloaded_page_gets_it_back() -> Result<()> {
    let halls = halls(12);
    let people = [("dana", "dispatch"), ("anna", "dispatch"), ("ben", "user")];
    let site = site().roster(&roster(&halls, &people)).start().await?;
    let mut ben = site.phone("ben").await?;
    let turn = turn().await;
    let dana = turn.desk(&site, DANA, "desk 1").await?;
    dana.toggles("hall2").await?;
    dana.tap(".tile[data-channel=hall5] .select").await?;
    dana.tap("#notes").await?;
    dana.page
        .active_element()
        .await?
        .send_keys("the tram is late")
        .await?;
    let channel_id = "hall7".into();
    ben.ask(ClientMessage::CallMe { channel_id }).await?;
    dana.until("pttd.calls.length === 1").await?;
    dana.tap("#call-list li[data-call] .take").await?;
    expect!(ben, ServerMessage::Call { state: CallState::Taken, by, .. } if by.as_deref() == Some("dana"))?;

    let anna = turn.arriving(&site, ANNA).await?;
    anna.takes_over("desk 1").await?;
    dana.until("pttd.positionLost?.by === 'anna' && pttd.position === null")
        .await?;
    let words = dana.reads("#said-words").await?;
    assert!(words.contains("anna"), "{words}");
    let taken =
        "!pttd.channels.hall2.muted && pttd.channels.hall3.muted && pttd.channels.hall5.selected
        && document.querySelector('#notes').value === 'the tram is late'";
    anna.until(taken).await?;
    anna.until("pttd.calls.length === 1 && pttd.calls[0].taken.by === 'anna'")
        .await?;
    anna.page.refresh().await?;
    anna.until("pttd.position === 'desk 1'").await?;
    anna.until(taken).await?;
    for page in [&dana, &anna] {
        page.has_no_complaints().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_member_removed_while_on_air_is_cut_and_told() -> Result<()> {
    let site = site().start().await?;
    let turn = turn().await;
    let mut anna = site.phone_on("anna", "ops").await?;
    let ben = turn.page(&site, BEN).await?;
    ben.goes_on_air().await?;
    anna.on("ops")?.hears_sound(50).await?;
    site.orders(&["member", "remove", "ops", "ben"]).await?;
    expect!(
        anna,
        ServerMessage::Stop {
            transmission_id: Some(_),
            reason: EndReason::Removed,
            ..
        }
    )?;
    ben.until(
        "!pttd.channels.ops && Object.values(pttd.channels).every((channel) => !channel.sending)",
    )
    .await?;
    let words = ben.reads("#notice-words").await?;
    assert!(words.contains("taken off"), "{words}");
    ben.releases().await?;
    // Elsewhere it goes on as before.
    ben.is_ready().await?;
    ben.has_no_complaints().await
}

#[tokio::test]
async fn what_was_missed_is_marked_and_replayed_in_the_same_words() -> Result<()> {
    let halls = halls(3);
    let people = [("dana", "dispatch"), ("carla", "user")];
    let site = site().roster(&roster(&halls, &people)).start().await?;
    let said = sentence("main gate to control, the queue reaches the tram stop")?;
    let other = sentence("stage two here, we need a medic at the left barrier")?;
    let mut carla = site.phone_on("carla", "hall1").await?;
    let turn = turn().await;
    let desk = turn.desk(&site, DANA, "desk 1").await?;
    desk.toggles("hall1").await?;
    let heard = desk.played().await?;
    carla.on("hall1")?.sounds_like(&said.sound)?;
    let talk = carla.press("hall1").await?;
    let packets = said.sound.len() as u32;
    carla.on("hall1")?.says(packets).await?;
    carla.release("hall1").await?;
    let id = talk.0;
    desk.until(&format!("pttd.channels.hall1.missed.includes({id})"))
        .await?;
    desk.tile("hall1", "missed").await?;
    let live = likeness(&said.samples, &desk.played_since(heard).await?);
    assert!(live < 0.3, "it was muted, and heard: {live:.2}");

    let from = desk.played().await?;
    desk.tap(".tile[data-channel=hall1] .missed").await?;
    desk.until(&format!(
        "pttd.lastReplay?.transmissionId === {id} && pttd.replaying === null"
    ))
    .await?;
    let replayed = desk.played_since(from).await?;
    let (right, wrong) = (
        likeness(&said.samples, &replayed),
        likeness(&other.samples, &replayed),
    );
    assert!(right > 0.8 && wrong < 0.5, "{right:.2}, {wrong:.2}");
    desk.until("pttd.channels.hall1.missed.length === 0")
        .await?;
    desk.tile("hall1", "idle").await?;

    // The same file, for whoever takes it away.
    let dana = site.api("dana").await?;
    let recording = dana.get(&format!("/recordings/{id}")).await?;
    let file = dana
        .call(
            "GET",
            &format!("/recordings/{id}/audio"),
            &serde_json::Value::Null,
        )
        .await?;
    assert_eq!(file.header("content-type"), "audio/ogg");
    let samples = decoded(&file.body)?;
    let lasts = samples.len() as f64 / f64::from(RATE);
    let talked = recording["durationMs"].as_f64().context("a duration")? / 1e3;
    let sent = f64::from(packets) / 50.0;
    assert!(
        (lasts - talked).abs() < 0.25 && (lasts - sent).abs() < 0.25,
        "{lasts:.2} s of a talk of {talked:.2} s in which {sent:.2} s were sent"
    );
    let right = likeness(&said.samples, &samples);
    assert!(right > 0.85, "{right:.2}");
    desk.has_no_complaints().await
}
