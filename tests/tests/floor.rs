//! Who may talk: the floor, asked for over real sockets by devices with real sound.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use pttd_core::wire::signal::{ClientMessage, DenyReason, EndReason, Level, ServerMessage};
use pttd_tests::client::Encoding;
use pttd_tests::expect;
use pttd_tests::phone::Phone;
use pttd_tests::site::{Site, site};

/// `ops` as it comes, `order` where everyone waits, `strict` where nobody does, `brief` with the shortest times.
const ROSTER: &str = r#"
channel = [
    { id = "ops" },
    { id = "order", policy = "queue" },
    { id = "strict", policy = "deny" },
    { id = "brief", talk_limit = "5s", grace = "300ms", silence = "2s" },
]
user = [
    { id = "anna", role = "dispatch", emergency = true, channels = ["ops", "order", "strict", "brief"] },
    { id = "ben", emergency = true, channels = ["ops", "order", "strict", "brief"] },
    { id = "carla", channels = ["ops", "order", "strict", "brief"] },
    { id = "dora", listen = ["ops"] },
]
"#;

async fn box_with_roster() -> Result<Site> {
    site().roster(ROSTER).start().await
}

async fn three(site: &Site, channel: &str) -> Result<[Phone; 3]> {
    Ok([
        site.phone_on("anna", channel).await?,
        site.phone_on("ben", channel).await?,
        site.phone_on("carla", channel).await?,
    ])
}

#[tokio::test]
async fn who_asks_first_talks_and_everyone_is_told_who_it_is() -> Result<()> {
    let site = box_with_roster().await?;
    let [mut anna, mut ben, mut carla] = three(&site, "ops").await?;
    let granted = anna.press("ops").await?;
    for phone in [&mut ben, &mut carla] {
        let talk = expect!(phone, ServerMessage::Start { talk, .. } => talk)?;
        assert_eq!(
            (talk.transmission_id, talk.talker.user_id.as_str()),
            (granted, "anna")
        );
    }
    let talker = anna.tag;
    ben.on("ops")?.hears(talker, 20).await?;
    carla.on("ops")?.hears(talker, 20).await?;
    anna.release("ops").await?;
    for phone in [&mut ben, &mut carla] {
        let reason = expect!(phone, ServerMessage::Stop { transmission_id: Some(id), reason, .. } if id == granted => reason)?;
        assert_eq!(reason, EndReason::Released);
    }
    Ok(())
}

#[tokio::test]
async fn busy_is_denied_with_the_talkers_name_where_nobody_may_wait() -> Result<()> {
    let site = box_with_roster().await?;
    let [mut anna, mut ben, _] = three(&site, "strict").await?;
    anna.press("strict").await?;
    for level in [Level::Normal, Level::Emergency] {
        match ben.start("strict", level).await? {
            ServerMessage::StartFailed {
                reason: DenyReason::Busy,
                talk: Some(talk),
                ..
            } => {
                assert_eq!(talk.talker.name, "anna");
            }
            other => bail!("{level:?} on a busy channel: {other:?}"),
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_queue_moves_on_when_the_talker_lets_go() -> Result<()> {
    let site = box_with_roster().await?;
    let [mut anna, mut ben, mut carla] = three(&site, "ops").await?;
    anna.press("ops").await?;
    for (phone, place) in [(&mut ben, 1), (&mut carla, 2)] {
        match phone.start("ops", Level::Normal).await? {
            ServerMessage::Queued { position, .. } => assert_eq!(position, place),
            other => bail!("{other:?}"),
        }
    }
    anna.release("ops").await?;
    expect!(ben, ServerMessage::StartSuccess { .. })?;
    ben.on("ops")?.talk()?;
    expect!(carla, ServerMessage::Queued { position: 1, .. })?;
    carla.on("ops")?.hears(ben.tag, 5).await?;
    ben.release("ops").await?;
    expect!(carla, ServerMessage::StartSuccess { .. })
}

#[tokio::test]
async fn a_queued_grant_that_nobody_uses_goes_to_the_next() -> Result<()> {
    let site = box_with_roster().await?;
    let [mut anna, mut ben, mut carla] = three(&site, "order").await?;
    anna.press("order").await?;
    ben.start("order", Level::Normal).await?;
    carla.start("order", Level::Normal).await?;
    anna.release("order").await?;
    expect!(ben, ServerMessage::StartSuccess { .. })?;
    let granted = Instant::now();
    expect!(
        ben,
        ServerMessage::Revoked {
            reason: EndReason::NoMedia,
            ..
        }
    )?;
    expect!(carla, ServerMessage::StartSuccess { .. })?;
    let after = granted.elapsed();
    assert!(
        (1900..3000).contains(&after.as_millis()),
        "taken back after {after:?}"
    );
    Ok(())
}

#[tokio::test]
async fn waiting_one_who_lets_go_is_not_granted() -> Result<()> {
    let site = box_with_roster().await?;
    let [mut anna, mut ben, mut carla] = three(&site, "ops").await?;
    anna.press("ops").await?;
    ben.start("ops", Level::Normal).await?;
    carla.start("ops", Level::Normal).await?;
    ben.release("ops").await?;
    expect!(carla, ServerMessage::Queued { position: 1, .. })?;
    anna.release("ops").await?;
    expect!(carla, ServerMessage::StartSuccess { .. })?;
    let told = ben.unasked().await?;
    assert!(
        !told
            .iter()
            .any(|m| matches!(m, ServerMessage::StartSuccess { .. })),
        "{told:?}"
    );
    Ok(())
}

#[tokio::test]
async fn an_emergency_takes_the_floor_and_the_sound_with_it() -> Result<()> {
    let site = box_with_roster().await?;
    let [mut anna, mut ben, mut carla] = three(&site, "ops").await?;
    carla.press("ops").await?;
    anna.on("ops")?.hears(carla.tag, 5).await?;
    ben.press_at("ops", Level::Emergency).await?;
    expect!(
        carla,
        ServerMessage::Revoked {
            reason: EndReason::Preempted,
            ..
        }
    )?;
    anna.on("ops")?.hears(ben.tag, 10).await?;
    // Carla's phone goes on sending; of that nothing is heard once Ben is.
    let before = anna.on("ops")?.heard_of(carla.tag).len();
    anna.on("ops")?.hears(ben.tag, 10).await?;
    assert_eq!(anna.on("ops")?.heard_of(carla.tag).len(), before);
    Ok(())
}

#[tokio::test]
async fn equals_wait_for_each_other_at_every_level() -> Result<()> {
    let site = box_with_roster().await?;
    let [mut anna, mut ben, _] = three(&site, "ops").await?;
    anna.press_at("ops", Level::Emergency).await?;
    let answer = ben.start("ops", Level::Emergency).await?;
    assert!(
        matches!(answer, ServerMessage::Queued { position: 1, .. }),
        "{answer:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_level_needs_the_right_to_it() -> Result<()> {
    let site = box_with_roster().await?;
    let [mut anna, mut ben, mut carla] = three(&site, "ops").await?;
    let mut dora = site.phone_on("dora", "ops").await?;
    for (phone, levels) in [
        (
            &mut carla,
            &[Level::Dispatch, Level::Imminent, Level::Emergency][..],
        ),
        (&mut ben, &[Level::Dispatch]),
        (&mut dora, &[Level::Normal]),
    ] {
        for level in levels {
            let answer = phone.start("ops", *level).await?;
            let denied = matches!(
                answer,
                ServerMessage::StartFailed {
                    reason: DenyReason::NoRight,
                    ..
                }
            );
            assert!(denied, "{} at {level:?}: {answer:?}", phone.user);
        }
    }
    anna.press_at("ops", Level::Dispatch).await.map(drop)
}

#[tokio::test]
async fn asking_again_while_holding_answers_the_same_grant() -> Result<()> {
    let site = box_with_roster().await?;
    let [mut anna, ..] = three(&site, "ops").await?;
    let first = anna.press("ops").await?;
    assert_eq!(anna.press("ops").await?, first);
    Ok(())
}

#[tokio::test]
async fn the_talk_limit_warns_then_cuts_and_the_button_must_be_let_go_first() -> Result<()> {
    let site = box_with_roster().await?;
    let [mut anna, mut ben, _] = three(&site, "brief").await?;
    let granted = anna.press("brief").await?;
    let since = Instant::now();
    let left = expect!(anna, ServerMessage::LimitWarning { left_ms, .. } => left_ms)?;
    assert!(
        (2300..=2500).contains(&left),
        "{left} ms left at half of a limit of 5 s"
    );
    let grace = expect!(anna, ServerMessage::Revoked { transmission_id, reason: EndReason::TalkLimit, grace_ms, .. } if transmission_id == granted => grace_ms)?;
    assert_eq!(grace, 300);
    let after = since.elapsed();
    assert!(
        (4900..6000).contains(&after.as_millis()),
        "revoked after {after:?}"
    );
    expect!(
        ben,
        ServerMessage::Stop {
            reason: EndReason::TalkLimit,
            ..
        }
    )?;
    let again = anna.start("brief", Level::Normal).await?;
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
    anna.release("brief").await?;
    anna.press("brief").await.map(drop)
}

#[tokio::test]
async fn a_talker_without_sound_loses_the_floor() -> Result<()> {
    let site = box_with_roster().await?;
    let [mut anna, mut ben, _] = three(&site, "brief").await?;
    anna.press("brief").await?;
    ben.on("brief")?.hears(anna.tag, 5).await?;
    anna.on("brief")?.hush()?;
    let silent = Instant::now();
    expect!(
        anna,
        ServerMessage::Revoked {
            reason: EndReason::Silence,
            ..
        }
    )?;
    let after = silent.elapsed();
    assert!(
        (1800..3000).contains(&after.as_millis()),
        "taken back after {after:?}"
    );
    expect!(
        ben,
        ServerMessage::Stop {
            reason: EndReason::Silence,
            ..
        }
    )
}

#[tokio::test]
async fn a_closed_page_frees_the_floor_at_once() -> Result<()> {
    let site = box_with_roster().await?;
    let [mut anna, mut ben, _] = three(&site, "ops").await?;
    anna.press("ops").await?;
    expect!(ben, ServerMessage::Start { .. })?;
    let closed = Instant::now();
    anna.signal.close().await?;
    expect!(
        ben,
        ServerMessage::Stop {
            reason: EndReason::Left,
            ..
        }
    )?;
    assert!(
        closed.elapsed() < Duration::from_secs(1),
        "freed after {:?}",
        closed.elapsed()
    );
    Ok(())
}

#[tokio::test]
async fn a_lost_socket_keeps_the_floor_for_three_seconds_while_sound_flows() -> Result<()> {
    let site = box_with_roster().await?;
    let [mut anna, mut ben, _] = three(&site, "ops").await?;
    anna.press("ops").await?;
    let tag = anna.tag;
    let lost = Instant::now();
    let still_talking = anna.lose_signal();
    ben.on("ops")?.hears(tag, 100).await?;
    expect!(
        ben,
        ServerMessage::Stop {
            reason: EndReason::Disconnected,
            ..
        }
    )?;
    let after = lost.elapsed();
    assert!(
        (2900..4500).contains(&after.as_millis()),
        "freed after {after:?}"
    );
    drop(still_talking);
    Ok(())
}

#[tokio::test]
async fn a_session_taken_up_again_within_three_seconds_goes_on_talking() -> Result<()> {
    let site = box_with_roster().await?;
    let [mut anna, mut ben, _] = three(&site, "ops").await?;
    let granted = anna.press("ops").await?;
    let (tag, device) = (anna.tag, anna.device.clone());
    let ServerMessage::Welcome { resume, .. } = anna.welcome.clone() else {
        bail!("no WELCOME")
    };
    let transports = anna.lose_signal();
    ben.on("ops")?.hears(tag, 50).await?;
    let signal = site
        .readmit("anna", &device, Encoding::Json, Some(resume))
        .await?;
    assert!(
        matches!(signal.welcome, ServerMessage::Welcome { resumed: true, .. }),
        "{:?}",
        signal.welcome
    );
    let mut anna = Phone::regained(signal, tag, transports);
    // Past the three seconds she would have lost it after.
    ben.on("ops")?.hears(tag, 200).await?;
    let told = ben.unasked().await?;
    assert!(
        !told.iter().any(|m| matches!(m, ServerMessage::Stop { .. })),
        "{told:?}"
    );
    assert_eq!(
        anna.press("ops").await?,
        granted,
        "it is the same transmission"
    );
    anna.release("ops").await?;
    expect!(
        ben,
        ServerMessage::Stop {
            reason: EndReason::Released,
            ..
        }
    )
}

#[tokio::test]
async fn who_comes_late_is_told_who_talks_and_hears_it() -> Result<()> {
    let site = box_with_roster().await?;
    let [mut anna, mut ben, _] = three(&site, "ops").await?;
    let granted = anna.press("ops").await?;
    ben.on("ops")?.hears(anna.tag, 20).await?;
    let mut late = site.phone("dora").await?;
    match late.join("ops").await? {
        ServerMessage::Joined {
            talk: Some(talk), ..
        } => {
            assert_eq!(
                (talk.transmission_id, talk.talker.name.as_str()),
                (granted, "anna")
            );
        }
        other => bail!("{other:?}"),
    }
    late.on("ops")?.hears(anna.tag, 20).await
}

#[tokio::test]
async fn two_devices_of_one_person_are_two_who_may_ask() -> Result<()> {
    let site = box_with_roster().await?;
    let mut phone = site.phone_on("anna", "ops").await?;
    let mut laptop = site.phone_on("anna", "ops").await?;
    phone.press("ops").await?;
    let answer = laptop.start("ops", Level::Normal).await?;
    assert!(
        matches!(answer, ServerMessage::Queued { position: 1, .. }),
        "{answer:?}"
    );
    laptop.on("ops")?.hears(phone.tag, 5).await
}

#[tokio::test]
async fn nobody_talks_where_they_have_not_joined() -> Result<()> {
    let site = box_with_roster().await?;
    let mut anna = site.client("anna").await?;
    let answer = anna
        .ask(ClientMessage::Start {
            channel_id: "ops".into(),
            level: Level::Normal,
        })
        .await?;
    assert!(
        matches!(
            answer,
            ServerMessage::StartFailed {
                reason: DenyReason::NotConnected,
                ..
            }
        ),
        "{answer:?}"
    );
    Ok(())
}
