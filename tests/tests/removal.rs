//! Who belongs where changes while people talk: whoever is taken off a channel is cut, both ways, and told why.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use pttd_core::wire::signal::{ByeReason, ClientMessage, EndReason, ServerMessage};
use pttd_tests::client::Encoding;
use pttd_tests::endpoint::elapsed;
use pttd_tests::expect;
use pttd_tests::phone::Phone;
use pttd_tests::site::{Site, site};
use serde_json::json;

const ROSTER: &str = r#"
channel = [{ id = "ops" }, { id = "stage" }]
user = [
    { id = "anna", name = "Anna", role = "admin", channels = ["ops", "stage"] },
    { id = "ben", name = "Ben", channels = ["ops", "stage"] },
    { id = "carla", name = "Carla", channels = ["ops", "stage"] },
]
"#;

/// Generous: the machine is busy with other tests. `make bench` asks for 50 ms.
const CUT_WITHIN: Duration = Duration::from_millis(500);

async fn box_with_roster() -> Result<Site> {
    site().roster(ROSTER).start().await
}

/// Carla talks at 50 packets a second and Ben hears it.
async fn talk(site: &Site) -> Result<(Phone, Phone)> {
    let mut ben = site.phone_on("ben", "ops").await?;
    let mut carla = site.phone_on("carla", "ops").await?;
    carla.press("ops").await?;
    ben.on("ops")?.hears(carla.tag, 50).await?;
    Ok((ben, carla))
}

/// Carla's phone goes on sending, and Ben hears nothing that came later than a moment after `done`.
async fn is_cut(ben: &mut Phone, carla: &mut Phone, done: Instant) -> Result<()> {
    carla.on("ops")?.says(40).await?;
    let heard = ben.on("ops")?.heard_of(carla.tag);
    let last = heard.last().map(|heard| heard.at).unwrap_or_default();
    let done = elapsed(done);
    ensure!(
        last <= done + CUT_WITHIN,
        "the last packet came {:?} after it was done",
        last.saturating_sub(done)
    );
    expect!(
        ben,
        ServerMessage::Stop {
            transmission_id: Some(_),
            reason: EndReason::Removed,
            ..
        }
    )
}

/// What Ben says from now on does not reach her.
async fn hears_nothing_more(ben: &mut Phone, carla: &mut Phone) -> Result<()> {
    let before = carla.on("ops")?.heard().len();
    ben.press("ops").await?;
    ben.on("ops")?.says(25).await?;
    ensure!(carla.on("ops")?.heard().len() == before, "she still hears");
    ben.release("ops").await.map(drop)
}

#[tokio::test]
async fn a_member_removed_while_talking_is_cut_both_ways_and_told_why() -> Result<()> {
    let mut site = box_with_roster().await?;
    let (mut ben, mut carla) = talk(&site).await?;
    let (done, _) = site.orders(&["member", "remove", "ops", "carla"]).await?;
    is_cut(&mut ben, &mut carla, done).await?;
    let words = expect!(carla, ServerMessage::Removed { message, .. } => message)?;
    assert!(
        words.contains(' ') && words.ends_with('.'),
        "a sentence: {words}"
    );
    expect!(ben, ServerMessage::MemberLeft { .. })?;
    hears_nothing_more(&mut ben, &mut carla).await?;
    let again = carla
        .ask(ClientMessage::Join {
            channel_id: "ops".into(),
            muted: false,
        })
        .await?;
    assert!(
        matches!(again, ServerMessage::NotAuthorized { .. }),
        "{again:?}"
    );
    // What else she belongs to is as it was.
    carla.join("stage").await?;
    carla.press("stage").await?;

    let device = carla.device.clone();
    site.kill9().await?;
    site.start_again().await?;
    let carla = site.readmit("carla", &device, Encoding::Json, None).await?;
    let ServerMessage::Welcome { channels, .. } = &carla.welcome else {
        unreachable!("a client has a WELCOME")
    };
    let channels: Vec<_> = channels.iter().map(|c| c.channel_id.as_str()).collect();
    assert_eq!(
        channels,
        ["stage"],
        "it was on disk before the command returned"
    );
    Ok(())
}

#[tokio::test]
async fn the_same_over_the_api_and_back_again() -> Result<()> {
    let site = box_with_roster().await?;
    let anna = site.api("anna").await?;
    let (mut ben, mut carla) = talk(&site).await?;
    anna.delete("/channels/ops/members/carla").await?;
    is_cut(&mut ben, &mut carla, Instant::now()).await?;
    expect!(carla, ServerMessage::Removed { .. })?;
    expect!(carla, ServerMessage::Channels { channels } if channels.len() == 1)?;
    hears_nothing_more(&mut ben, &mut carla).await?;
    anna.put("/channels/ops/members/carla", json!({"right": "talk"}))
        .await?;
    expect!(carla, ServerMessage::Channels { channels } if channels.len() == 2)?;
    carla.join("ops").await?;
    carla.press("ops").await?;
    ben.on("ops")?.hears(carla.tag, 5).await
}

#[tokio::test]
async fn who_may_only_listen_from_now_on_is_cut_and_hears_on() -> Result<()> {
    let site = box_with_roster().await?;
    let anna = site.api("anna").await?;
    let (mut ben, mut carla) = talk(&site).await?;
    anna.put("/channels/ops/members/carla", json!({"right": "listen"}))
        .await?;
    is_cut(&mut ben, &mut carla, Instant::now()).await?;
    expect!(
        carla,
        ServerMessage::Revoked {
            reason: EndReason::Removed,
            ..
        }
    )?;
    ben.press("ops").await?;
    carla.on("ops")?.hears(ben.tag, 10).await
}

#[tokio::test]
async fn who_is_taken_off_the_roster_is_gone_at_once() -> Result<()> {
    let site = box_with_roster().await?;
    let (mut ben, mut carla) = talk(&site).await?;
    let (done, _) = site.orders(&["user", "remove", "carla"]).await?;
    expect!(
        carla,
        ServerMessage::Bye {
            reason: ByeReason::Removed
        }
    )?;
    carla.closed().await?;
    is_cut(&mut ben, &mut carla, done).await?;
    let device = carla.device.clone();
    let again = site.readmit("carla", &device, Encoding::Json, None).await;
    assert!(again.is_err(), "her device is not let in again");
    Ok(())
}

#[tokio::test]
async fn many_memberships_change_at_once_or_none() -> Result<()> {
    let site = box_with_roster().await?;
    let anna = site.api("anna").await?;
    let (mut ben, mut carla) = talk(&site).await?;
    let users = json!({"carla": {"stage": "talk"}, "ben": {"ops": "talk"}});
    anna.put("/memberships", json!({"users": users})).await?;
    is_cut(&mut ben, &mut carla, Instant::now()).await?;
    expect!(ben, ServerMessage::Channels { channels } if channels.len() == 1)?;
    expect!(carla, ServerMessage::Channels { channels } if channels.len() == 1)?;
    // All of it or nothing.
    let users = json!({"ben": {"stage": "talk"}, "carla": {"nowhere": "talk"}});
    let (status, _) = anna
        .refused("PUT", "/memberships", json!({"users": users}))
        .await?;
    assert!((400..500).contains(&status), "{status}");
    let told = ben.unasked().await?;
    assert!(
        !told
            .iter()
            .any(|m| matches!(m, ServerMessage::Channels { .. })),
        "{told:?}"
    );
    Ok(())
}
