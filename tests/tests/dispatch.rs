//! Dispatchers: calls, emergencies, positions, and what they may do about who talks.

use anyhow::{Result, bail, ensure};
use pttd_core::ids::{ChannelId, SessionId};
use pttd_core::wire::signal::{
    Call, CallState, ClientMessage, DenyReason, Emergency, EndReason, ErrorCode, Level, Position,
    ServerMessage,
};
use pttd_tests::client::{Client, Encoding};
use pttd_tests::expect;
use pttd_tests::phone::Phone;
use pttd_tests::site::{Site, site};

/// Dana and Dora dispatch, Dora not the stage. Ben may raise an emergency.
const ROSTER: &str = r#"
channel = [{ id = "ops" }, { id = "stage" }]
user = [
    { id = "dana", name = "Dana", role = "dispatch", channels = ["ops", "stage"] },
    { id = "dora", name = "Dora", role = "dispatch", channels = ["ops"] },
    { id = "ben", name = "Ben", emergency = true, channels = ["ops", "stage"] },
    { id = "carla", name = "Carla", channels = ["ops", "stage"] },
]
"#;

async fn box_with_roster() -> Result<Site> {
    site().roster(ROSTER).start().await
}

fn ops() -> ChannelId {
    "ops".into()
}

/// Signed in and on `ops`, without sound, and what was told of the beginning forgotten.
async fn on_ops(site: &Site, user: &str) -> Result<Client> {
    let mut client = site.client(user).await?;
    joins(&mut client, "ops").await?;
    client.unasked().await?;
    Ok(client)
}

async fn joins(client: &mut Client, channel: &str) -> Result<()> {
    let joined = client
        .ask(ClientMessage::Join {
            channel_id: channel.into(),
            muted: true,
        })
        .await?;
    ensure!(matches!(joined, ServerMessage::Joined { .. }), "{joined:?}");
    Ok(())
}

/// Asks to be called: the call's number.
async fn calls(client: &mut Client, channel: &str) -> Result<u64> {
    let channel_id = channel.into();
    match client.ask(ClientMessage::CallMe { channel_id }).await? {
        ServerMessage::Call {
            call_id,
            state: CallState::Waiting,
            ..
        } => Ok(call_id),
        other => bail!("{other:?}"),
    }
}

/// The list of calls as this dispatcher is told it, once it is so.
async fn list(client: &mut Client, is: impl Fn(&[Call]) -> bool) -> Result<Vec<Call>> {
    expect!(client, ServerMessage::Calls { calls } if is(&calls) => calls)
}

async fn emergencies(
    client: &mut Client,
    is: impl Fn(&[Emergency]) -> bool,
) -> Result<Vec<Emergency>> {
    expect!(client, ServerMessage::Emergencies { emergencies } if is(&emergencies) => emergencies)
}

async fn positions(client: &mut Client, is: impl Fn(&[Position]) -> bool) -> Result<()> {
    expect!(client, ServerMessage::Positions { positions } if is(&positions))
}

async fn raises(client: &mut Client) -> Result<u64> {
    let channel_id = ops();
    match client
        .ask(ClientMessage::RaiseEmergency { channel_id })
        .await?
    {
        ServerMessage::Emergency {
            emergency_id,
            cleared: false,
        } => Ok(emergency_id),
        other => bail!("{other:?}"),
    }
}

/// Sits down: what was kept of the position, and who held it.
async fn sits_down(client: &mut Client, position: &str) -> Result<(String, Option<String>)> {
    let position_id = String::from(position);
    match client
        .ask(ClientMessage::TakePosition { position_id })
        .await?
    {
        ServerMessage::Position {
            layout, taken_from, ..
        } => Ok((layout, taken_from.map(|person| person.name))),
        other => bail!("{other:?}"),
    }
}

async fn saves(client: &mut Client, layout: &str) -> Result<()> {
    let layout = String::from(layout);
    let saved = client.ask(ClientMessage::SavePosition { layout }).await?;
    ensure!(
        matches!(saved, ServerMessage::PositionSaved { .. }),
        "{saved:?}"
    );
    Ok(())
}

async fn is_refused(client: &mut Client, message: ClientMessage, why: ErrorCode) -> Result<()> {
    match client.ask(message.clone()).await? {
        ServerMessage::Error {
            code,
            message: said,
        } => {
            ensure!(code == why, "{message:?}: {code:?} {said}");
            Ok(())
        }
        other => bail!("{message:?}: {other:?}"),
    }
}

fn session(phone: &Phone) -> Option<SessionId> {
    match &phone.welcome {
        ServerMessage::Welcome { session_id, .. } => Some(*session_id),
        _ => None,
    }
}

#[tokio::test]
async fn a_call_is_shown_to_all_dispatchers_and_one_takes_it_for_all() -> Result<()> {
    let site = box_with_roster().await?;
    let mut dana = on_ops(&site, "dana").await?;
    let mut dora = on_ops(&site, "dora").await?;
    let mut carla = on_ops(&site, "carla").await?;
    let call_id = calls(&mut carla, "ops").await?;
    for dispatcher in [&mut dana, &mut dora] {
        let calls = list(dispatcher, |calls| calls.len() == 1).await?;
        assert_eq!(
            (
                calls[0].call_id,
                calls[0].caller.name.as_str(),
                calls[0].here
            ),
            (call_id, "Carla", true)
        );
        assert_eq!(calls[0].taken, None);
    }
    let taken = dora.ask(ClientMessage::TakeCall { call_id }).await?;
    assert!(
        matches!(
            taken,
            ServerMessage::Call {
                state: CallState::Taken,
                ..
            }
        ),
        "{taken:?}"
    );
    expect!(carla, ServerMessage::Call { call_id: id, state: CallState::Taken, by, .. }
        if id == call_id && by.as_deref() == Some("Dora"))?;
    list(&mut dana, |calls| {
        calls
            .iter()
            .any(|call| call.taken.as_ref().is_some_and(|taken| taken.by == "Dora"))
    })
    .await?;
    dora.ask(ClientMessage::CloseCall { call_id }).await?;
    list(&mut dana, <[Call]>::is_empty).await?;
    expect!(
        carla,
        ServerMessage::Call {
            state: CallState::Closed,
            ..
        }
    )?;
    is_refused(
        &mut dana,
        ClientMessage::TakeCall { call_id },
        ErrorCode::NotFound,
    )
    .await
}

#[tokio::test]
async fn a_call_is_nobodys_but_the_dispatchers_of_its_channel() -> Result<()> {
    let site = box_with_roster().await?;
    let mut dana = on_ops(&site, "dana").await?;
    let mut dora = on_ops(&site, "dora").await?;
    let mut ben = on_ops(&site, "ben").await?;
    let mut carla = on_ops(&site, "carla").await?;
    joins(&mut carla, "stage").await?;
    let call_id = calls(&mut carla, "stage").await?;
    list(&mut dana, |calls| calls.len() == 1).await?;
    // Dora does not dispatch the stage, Ben nothing: to them there is no such call.
    for other in [&mut dora, &mut ben] {
        let take = ClientMessage::TakeCall { call_id };
        is_refused(other, take, ErrorCode::NotFound).await?;
    }
    for (client, who) in [(&mut dora, "dora"), (&mut ben, "ben")] {
        let told = client.unasked().await?;
        let of_calls =
            |m: &ServerMessage| matches!(m, ServerMessage::Calls { calls } if !calls.is_empty());
        assert!(!told.iter().any(of_calls), "{who}: {told:?}");
    }
    // Carla does not wait any more.
    carla.ask(ClientMessage::CancelCall { call_id }).await?;
    list(&mut dana, <[Call]>::is_empty).await.map(drop)
}

#[tokio::test]
async fn an_emergency_is_shown_to_all_until_its_raiser_or_a_dispatcher_clears_it() -> Result<()> {
    let site = box_with_roster().await?;
    let mut dana = on_ops(&site, "dana").await?;
    let mut dora = site.client("dora").await?;
    dora.unasked().await?;
    let mut ben = on_ops(&site, "ben").await?;
    let mut carla = on_ops(&site, "carla").await?;
    let channel_id = ops();
    is_refused(
        &mut carla,
        ClientMessage::RaiseEmergency { channel_id },
        ErrorCode::NoRight,
    )
    .await?;
    let emergency_id = raises(&mut ben).await?;
    // Dora has joined nothing, but dispatches there.
    for client in [&mut dana, &mut dora, &mut carla] {
        let seen = emergencies(client, |all| all.len() == 1).await?;
        assert_eq!(seen[0].raiser.name, "Ben");
        assert_eq!(seen[0].acknowledged_by, Vec::<String>::new());
    }
    let seen = ClientMessage::AcknowledgeEmergency { emergency_id };
    is_refused(&mut carla, seen.clone(), ErrorCode::NoRight).await?;
    dora.ask(seen).await?;
    for client in [&mut dana, &mut ben, &mut carla] {
        emergencies(client, |all| {
            all.iter()
                .any(|emergency| emergency.acknowledged_by == ["Dora"])
        })
        .await?;
    }
    // Who comes later is told as well.
    let mut late = site.client("carla").await?;
    joins(&mut late, "ops").await?;
    emergencies(&mut late, |all| all.len() == 1).await?;
    let clear = ClientMessage::ClearEmergency { emergency_id };
    is_refused(&mut carla, clear.clone(), ErrorCode::NoRight).await?;
    let cleared = ben.ask(clear).await?;
    assert_eq!(
        cleared,
        ServerMessage::Emergency {
            emergency_id,
            cleared: true
        }
    );
    for client in [&mut dana, &mut dora, &mut carla, &mut late] {
        emergencies(client, <[Emergency]>::is_empty).await?;
    }
    let emergency_id = raises(&mut ben).await?;
    dana.ask(ClientMessage::ClearEmergency { emergency_id })
        .await?;
    emergencies(&mut ben, <[Emergency]>::is_empty)
        .await
        .map(drop)
}

#[tokio::test]
async fn a_position_is_taken_over_with_its_layout_and_its_open_calls() -> Result<()> {
    let site = box_with_roster().await?;
    let mut dana = on_ops(&site, "dana").await?;
    let mut dora = on_ops(&site, "dora").await?;
    let mut carla = on_ops(&site, "carla").await?;
    assert_eq!(sits_down(&mut dana, "desk 1").await?, (String::new(), None));
    let layout = r#"{"tiles":["ops"],"notes":"the tram is late"}"#;
    saves(&mut dana, layout).await?;
    let call_id = calls(&mut carla, "ops").await?;
    dana.ask(ClientMessage::TakeCall { call_id }).await?;
    positions(&mut dora, |all| {
        all.iter().any(|p| {
            p.holder
                .as_ref()
                .is_some_and(|holder| holder.name == "Dana")
        })
    })
    .await?;
    let taken = sits_down(&mut dora, "desk 1").await?;
    assert_eq!(taken, (layout.into(), Some("Dana".into())));
    expect!(dana, ServerMessage::PositionLost { position_id, by: Some(by) }
        if position_id == "desk 1" && by.name == "Dora")?;
    let open = list(&mut dora, |calls| {
        calls
            .iter()
            .any(|call| call.taken.as_ref().is_some_and(|taken| taken.by == "Dora"))
    })
    .await?;
    let taken = open[0].taken.as_ref();
    assert_eq!(
        taken.and_then(|taken| taken.position_id.as_deref()),
        Some("desk 1")
    );
    let layout = String::from("{}");
    is_refused(
        &mut dana,
        ClientMessage::SavePosition { layout },
        ErrorCode::NotFound,
    )
    .await?;
    dora.ask(ClientMessage::LeavePosition {}).await?;
    let position_id = String::from("desk 1");
    dana.ask(ClientMessage::RemovePosition { position_id })
        .await?;
    positions(&mut dora, <[Position]>::is_empty).await
}

#[tokio::test]
async fn positions_are_for_dispatchers() -> Result<()> {
    let site = box_with_roster().await?;
    let mut ben = on_ops(&site, "ben").await?;
    for message in [
        ClientMessage::TakePosition {
            position_id: "desk 1".into(),
        },
        ClientMessage::EndTalk {
            channel_id: ops(),
            transmission_id: None,
        },
        ClientMessage::Silence {
            channel_id: ops(),
            user_id: "carla".into(),
            minutes: 5,
        },
    ] {
        is_refused(&mut ben, message, ErrorCode::NoRight).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_crashed_dispatcher_gets_the_position_back_as_it_was() -> Result<()> {
    let site = box_with_roster().await?;
    let mut dana = on_ops(&site, "dana").await?;
    sits_down(&mut dana, "desk 1").await?;
    saves(&mut dana, "as it was").await?;
    let device = dana.device.clone();
    dana.vanish();
    // Not resumed: the browser has forgotten everything but who it belongs to.
    let mut again = site.readmit("dana", &device, Encoding::Json, None).await?;
    assert_eq!(sits_down(&mut again, "desk 1").await?.0, "as it was");
    Ok(())
}

#[tokio::test]
async fn what_the_dispatchers_keep_outlives_the_box() -> Result<()> {
    let mut site = box_with_roster().await?;
    let mut dana = on_ops(&site, "dana").await?;
    let mut ben = on_ops(&site, "ben").await?;
    sits_down(&mut dana, "desk 1").await?;
    saves(&mut dana, "before the box died").await?;
    let call_id = calls(&mut ben, "ops").await?;
    dana.ask(ClientMessage::TakeCall { call_id }).await?;
    let emergency_id = raises(&mut ben).await?;
    let silenced = dana
        .ask(ClientMessage::Silence {
            channel_id: ops(),
            user_id: "carla".into(),
            minutes: 10,
        })
        .await?;
    assert!(
        matches!(silenced, ServerMessage::Silenced { .. }),
        "{silenced:?}"
    );
    site.figure_is("pttd_board_unwritten", |unwritten| unwritten == 0.0)
        .await?;
    let (dana, ben) = (dana.device.clone(), ben.device.clone());
    site.kill9().await?;
    site.start_again().await?;
    let mut dana = site.readmit("dana", &dana, Encoding::Json, None).await?;
    assert_eq!(
        sits_down(&mut dana, "desk 1").await?.0,
        "before the box died"
    );
    let open = list(&mut dana, |calls| calls.len() == 1).await?;
    assert_eq!((open[0].call_id, open[0].here), (call_id, false));
    let seen = emergencies(&mut dana, |all| all.len() == 1).await?;
    assert_eq!(
        (seen[0].emergency_id, seen[0].raiser.name.as_str()),
        (emergency_id, "Ben")
    );
    let mut ben = site.readmit("ben", &ben, Encoding::Json, None).await?;
    joins(&mut ben, "ops").await?;
    emergencies(&mut ben, |all| all.len() == 1).await?;
    // The raiser, though it is another session now.
    ben.ask(ClientMessage::ClearEmergency { emergency_id })
        .await?;
    emergencies(&mut dana, <[Emergency]>::is_empty).await?;
    let mut carla = site.phone_on("carla", "ops").await?;
    is_denied(&mut carla, DenyReason::Silenced).await
}

async fn is_denied(phone: &mut Phone, why: DenyReason) -> Result<()> {
    match phone.start("ops", Level::Normal).await? {
        ServerMessage::StartFailed { reason, .. } if reason == why => Ok(()),
        other => bail!("{other:?}"),
    }
}

#[tokio::test]
async fn a_dispatcher_ends_a_transmission() -> Result<()> {
    let site = box_with_roster().await?;
    let mut dana = on_ops(&site, "dana").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    let mut carla = site.phone_on("carla", "ops").await?;
    let talk = carla.press("ops").await?;
    ben.on("ops")?.hears(carla.tag, 10).await?;
    let ended = dana
        .ask(ClientMessage::EndTalk {
            channel_id: ops(),
            transmission_id: None,
        })
        .await?;
    assert_eq!(ended, ServerMessage::TalkEnded { channel_id: ops() });
    expect!(carla, ServerMessage::Revoked { transmission_id, reason: EndReason::Ended, .. }
        if transmission_id == talk)?;
    expect!(ben, ServerMessage::Stop { transmission_id: Some(id), reason: EndReason::Ended, .. }
        if id == talk)?;
    let heard = ben.on("ops")?.heard_of(carla.tag).len();
    carla.on("ops")?.says(25).await?;
    let more = ben.on("ops")?.heard_of(carla.tag).len() - heard;
    assert!(more <= 2, "{more} more packets");
    // After a release she may talk again: she was ended, not silenced.
    carla.release("ops").await?;
    carla.press("ops").await.map(drop)
}

#[tokio::test]
async fn a_silenced_talker_is_cut_told_and_denied_until_allowed_again() -> Result<()> {
    let site = box_with_roster().await?;
    let mut dana = on_ops(&site, "dana").await?;
    let mut ben = on_ops(&site, "ben").await?;
    let mut carla = site.phone_on("carla", "ops").await?;
    carla.press("ops").await?;
    let silence = |minutes| ClientMessage::Silence {
        channel_id: ops(),
        user_id: "carla".into(),
        minutes,
    };
    dana.ask(silence(3)).await?;
    expect!(
        carla,
        ServerMessage::Revoked {
            reason: EndReason::Silenced,
            ..
        }
    )?;
    let left =
        expect!(carla, ServerMessage::Silenced { left_ms, by, .. } if by == "Dana" => left_ms)?;
    assert!((170_000..=180_000).contains(&left), "{left}");
    expect!(ben, ServerMessage::Member { member, .. }
        if member.person.name == "Carla" && member.silenced_ms.is_some())?;
    carla.release("ops").await?;
    is_denied(&mut carla, DenyReason::Silenced).await?;
    // Another device of hers is no way around it.
    let mut other = site.phone_on("carla", "ops").await?;
    is_denied(&mut other, DenyReason::Silenced).await?;
    dana.ask(silence(0)).await?;
    expect!(carla, ServerMessage::Silenced { left_ms: 0, .. })?;
    carla.press("ops").await?;
    for minutes in [31, u32::MAX] {
        let answer = dana.ask(silence(minutes)).await?;
        assert!(matches!(answer, ServerMessage::Error { .. }), "{answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_kicked_session_is_told_and_ends_with_its_talk() -> Result<()> {
    let roster = ROSTER.replace(r#""Dana", role = "dispatch""#, r#""Dana", role = "admin""#);
    let site = site().roster(&roster).start().await?;
    let dana = site.api("dana").await?;
    let mut ben = on_ops(&site, "ben").await?;
    let mut carla = site.phone_on("carla", "ops").await?;
    carla.press("ops").await?;
    let sessions = dana.get("/sessions").await?;
    let id = session(&carla)
        .map(|id| id.0.to_string())
        .unwrap_or_default();
    assert!(sessions.to_string().contains(&id), "{sessions}");
    dana.delete(&format!("/sessions/{id}")).await?;
    expect!(carla, ServerMessage::Bye { .. })?;
    carla.closed().await?;
    expect!(
        ben,
        ServerMessage::Stop {
            transmission_id: Some(_),
            ..
        }
    )?;
    expect!(ben, ServerMessage::MemberLeft { .. })
}
