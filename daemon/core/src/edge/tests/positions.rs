//! Positions: sitting down, standing up, and what is found there.

use super::*;
use crate::wire::signal::Position;

fn takes(rig: &mut Rig, who: ConnectionId, position: &str) {
    let position_id = position.to_string();
    rig.says(who, 40, ClientMessage::TakePosition { position_id });
}

fn saves(rig: &mut Rig, who: ConnectionId, layout: &str) {
    let layout = layout.to_string();
    rig.says(who, 41, ClientMessage::SavePosition { layout });
}

/// What the answer to TAKE_POSITION had: the layout, and who sat there.
fn found(rig: &Rig, who: ConnectionId) -> (String, Option<String>) {
    let told = rig.told[&who].iter().rev();
    let mut found = told.filter_map(|reply| match &reply.message {
        ServerMessage::Position {
            layout, taken_from, ..
        } => Some((layout.clone(), taken_from.as_ref().map(|p| p.name.clone()))),
        _ => None,
    });
    found.next().expect("no position")
}

fn positions(rig: &Rig, who: ConnectionId) -> Vec<(String, Option<String>)> {
    let told = rig.told[&who].iter().rev();
    let mut lists = told.filter_map(|reply| match &reply.message {
        ServerMessage::Positions { positions } => Some(positions.clone()),
        _ => None,
    });
    let seat = |p: Position| (p.position_id, p.holder.map(|holder| holder.name));
    lists.next().expect("told").into_iter().map(seat).collect()
}

fn error(rig: &Rig, who: ConnectionId) -> Option<ErrorCode> {
    match rig.last(who).message {
        ServerMessage::Error { code, .. } => Some(code),
        _ => None,
    }
}

fn seat(name: &str, holder: Option<&str>) -> (String, Option<String>) {
    (name.into(), holder.map(str::to_string))
}

#[test]
fn a_position_is_taken_over_with_its_layout_and_its_holder_is_told() {
    let mut rig = Rig::new();
    let (anna, dora) = (rig.sign_in("anna", None), rig.sign_in("dora", None));
    takes(&mut rig, anna, "Desk 1");
    assert_eq!(found(&rig, anna), (String::new(), None));
    saves(&mut rig, anna, "loud");
    assert!(rig.tells(anna, |m| matches!(m, ServerMessage::PositionSaved { .. })));
    takes(&mut rig, dora, "Desk 1");
    assert_eq!(found(&rig, dora), ("loud".into(), Some("Anna".into())));
    assert!(rig.tells(anna, |m| matches!(m,
        ServerMessage::PositionLost { by: Some(by), .. } if by.name == "Dora")));
    assert_eq!(positions(&rig, anna), [seat("Desk 1", Some("Dora"))]);
    saves(&mut rig, anna, "silent");
    assert_eq!(
        error(&rig, anna),
        Some(ErrorCode::NotFound),
        "she holds none"
    );
    takes(&mut rig, dora, "Gate");
    let seats = [seat("Desk 1", None), seat("Gate", Some("Dora"))];
    assert_eq!(positions(&rig, anna), seats, "nobody has two");
    let seen = rig.edge.sessions_now();
    assert_eq!(seen[1].position.as_deref(), Some("Gate"));
}

#[test]
fn a_lost_dispatcher_keeps_the_seat_until_the_session_is_over() {
    let mut rig = Rig::new();
    let (anna, dora) = (rig.sign_in("anna", None), rig.sign_in("dora", None));
    takes(&mut rig, anna, "Desk 1");
    saves(&mut rig, anna, "loud");
    let clean = false;
    rig.give(Input::Closed {
        connection: anna,
        clean,
    });
    let back = rig.resume_of(anna);
    rig.wait(10_000);
    assert_eq!(positions(&rig, dora), [seat("Desk 1", Some("Anna"))]);
    let anna = rig.sign_in("anna", Some(back));
    saves(&mut rig, anna, "louder");
    assert_eq!(error(&rig, anna), None);
    let clean = true;
    rig.give(Input::Closed {
        connection: anna,
        clean,
    });
    assert_eq!(positions(&rig, dora), [seat("Desk 1", None)]);
    takes(&mut rig, dora, "Desk 1");
    assert_eq!(found(&rig, dora), ("louder".into(), None));
}

#[test]
fn a_position_is_removed_when_nobody_sits_there() {
    let mut rig = Rig::new();
    let (anna, dora) = (rig.sign_in("anna", None), rig.sign_in("dora", None));
    takes(&mut rig, anna, "Desk 1");
    let remove = || ClientMessage::RemovePosition {
        position_id: "Desk 1".into(),
    };
    rig.says(dora, 42, remove());
    assert_eq!(error(&rig, dora), Some(ErrorCode::NoRight));
    rig.says(anna, 43, ClientMessage::LeavePosition {});
    rig.says(anna, 43, ClientMessage::LeavePosition {});
    assert_eq!(error(&rig, anna), Some(ErrorCode::NotFound));
    rig.says(dora, 44, remove());
    assert_eq!(positions(&rig, anna), []);
    rig.says(dora, 44, remove());
    assert_eq!(error(&rig, dora), Some(ErrorCode::NotFound));
}

#[test]
fn positions_are_for_dispatchers_and_have_limits() {
    let mut rig = Rig::new();
    let (anna, ben) = (rig.sign_in("anna", None), rig.sign_in("ben", None));
    takes(&mut rig, ben, "Desk 1");
    assert_eq!(error(&rig, ben), Some(ErrorCode::NoRight));
    for bad in ["", " ", "a\nb", &"x".repeat(65)] {
        takes(&mut rig, anna, bad);
        assert_eq!(error(&rig, anna), Some(ErrorCode::BadMessage), "{bad:?}");
    }
    for n in 0..=50 {
        takes(&mut rig, anna, &format!("Desk {n}"));
        let refused = matches!(
            rig.last(anna).message,
            ServerMessage::Error {
                code: ErrorCode::TooMany,
                ..
            }
        );
        assert_eq!(refused, n == 50, "{n}");
    }
    saves(&mut rig, anna, &"x".repeat(32 * 1024));
    assert_eq!(error(&rig, anna), None);
    saves(&mut rig, anna, &"x".repeat(32 * 1024 + 1));
    assert_eq!(error(&rig, anna), Some(ErrorCode::BadMessage));
}

#[test]
fn who_is_no_dispatcher_any_more_loses_the_seat() {
    let mut rig = Rig::new();
    let (anna, dora) = (rig.sign_in("anna", None), rig.sign_in("dora", None));
    takes(&mut rig, anna, "Desk 1");
    rig.change_roster(|roster| {
        let anna = roster.users.get_mut(&UserId::from("anna")).expect("anna");
        anna.role = Role::User;
    });
    assert!(rig.tells(anna, |m| matches!(
        m,
        ServerMessage::PositionLost { by: None, .. }
    )));
    assert_eq!(positions(&rig, dora), [seat("Desk 1", None)]);
}

#[test]
fn positions_outlive_a_restart_with_their_layouts() {
    let mut rig = Rig::new();
    let anna = rig.sign_in("anna", None);
    takes(&mut rig, anna, "Desk 1");
    saves(&mut rig, anna, "loud");
    let kept = serde_json::to_vec(&rig.kept.take().expect("kept")).expect("text");
    let mut rig = Rig::with_board(serde_json::from_slice(&kept).expect("a board"));
    let dora = rig.sign_in("dora", None);
    assert_eq!(positions(&rig, dora), [seat("Desk 1", None)]);
    takes(&mut rig, dora, "Desk 1");
    assert_eq!(found(&rig, dora), ("loud".into(), None));
}
