//! Calls, from a member's wish to the dispatcher who looks after it.

use super::*;
use crate::wire::signal::{Call, CallState};

fn calls(rig: &Rig, who: ConnectionId) -> Vec<Call> {
    let told = rig.told[&who].iter().rev();
    let mut lists = told.filter_map(|reply| match &reply.message {
        ServerMessage::Calls { calls } => Some(calls.clone()),
        _ => None,
    });
    lists.next().expect("no list of calls was told")
}

fn calls_me(rig: &mut Rig, who: ConnectionId) -> u64 {
    let channel_id = OPS.into();
    rig.says(who, 20, ClientMessage::CallMe { channel_id });
    call_of(rig, who).0
}

/// What was told last of a call.
fn call_of(rig: &Rig, who: ConnectionId) -> (u64, CallState, Option<String>) {
    let told = rig.told[&who].iter().rev();
    let mut calls = told.filter_map(|reply| match &reply.message {
        ServerMessage::Call {
            call_id, state, by, ..
        } => Some((*call_id, *state, by.clone())),
        _ => None,
    });
    calls.next().expect("no call was told")
}

fn takes(rig: &mut Rig, who: ConnectionId, call_id: u64) {
    rig.says(who, 21, ClientMessage::TakeCall { call_id });
}

fn sits(rig: &mut Rig, who: ConnectionId, position: &str) {
    let position_id = position.to_string();
    rig.says(who, 22, ClientMessage::TakePosition { position_id });
}

fn taken_by(rig: &Rig, who: ConnectionId) -> Option<(String, Option<String>)> {
    let taken = calls(rig, who).first()?.taken.clone()?;
    Some((taken.by, taken.position_id))
}

#[test]
fn a_call_is_listed_taken_by_one_and_closed() {
    let mut rig = Rig::new();
    let (anna, dora) = (rig.sign_in("anna", None), rig.sign_in("dora", None));
    let ben = rig.on("ben", OPS);
    assert_eq!(calls(&rig, anna), []);
    let call = calls_me(&mut rig, ben);
    assert_eq!(rig.last(ben).id, Some(20));
    assert_eq!(calls_me(&mut rig, ben), call, "asking again is the same");
    rig.wait(31_000);
    takes(&mut rig, anna, call);
    let listed = &calls(&rig, dora)[..];
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].waiting_ms, listed[0].here), (31_000, true));
    assert_eq!(taken_by(&rig, dora), Some(("Anna".into(), None)));
    let anna_has_it = (call, CallState::Taken, Some("Anna".to_string()));
    assert_eq!(call_of(&rig, ben), anna_has_it);
    takes(&mut rig, dora, call);
    assert_eq!(call_of(&rig, dora), anna_has_it, "nobody takes it away");
    rig.says(dora, 22, ClientMessage::CloseCall { call_id: call });
    assert_eq!(call_of(&rig, ben).1, CallState::Closed);
    assert_eq!(calls(&rig, anna), []);
    let board = rig.kept.expect("kept");
    assert_eq!(board.calls.iter().count(), 0);
}

#[test]
fn a_caller_cancels_their_own_call_and_nobody_elses() {
    let mut rig = Rig::new();
    let anna = rig.sign_in("anna", None);
    let (ben, carla) = (rig.on("ben", OPS), rig.on("carla", OPS));
    let call_id = calls_me(&mut rig, ben);
    let not_found = |rig: &Rig, who| {
        matches!(
            rig.last(who).message,
            ServerMessage::Error {
                code: ErrorCode::NotFound,
                ..
            }
        )
    };
    rig.says(carla, 23, ClientMessage::CancelCall { call_id });
    assert!(not_found(&rig, carla));
    for message in [
        ClientMessage::TakeCall { call_id },
        ClientMessage::CloseCall { call_id },
    ] {
        rig.says(carla, 24, message);
        assert!(not_found(&rig, carla), "only dispatchers");
    }
    rig.says(ben, 23, ClientMessage::CancelCall { call_id });
    assert_eq!(rig.last(ben).id, Some(23));
    assert_eq!(call_of(&rig, ben).1, CallState::Closed);
    assert_eq!(calls(&rig, anna), []);
}

#[test]
fn a_caller_who_has_gone_is_a_missed_call_and_is_found_when_back() {
    let mut rig = Rig::new();
    let (anna, ben) = (rig.sign_in("anna", None), rig.on("ben", OPS));
    let call = calls_me(&mut rig, ben);
    let clean = true;
    rig.give(Input::Closed {
        connection: ben,
        clean,
    });
    assert!(!calls(&rig, anna)[0].here);
    let ben = rig.sign_in("ben", None);
    assert!(calls(&rig, anna)[0].here);
    assert_eq!(call_of(&rig, ben), (call, CallState::Waiting, None));
    let phone = rig.sign_in("ben", None);
    rig.give(Input::Closed {
        connection: phone,
        clean,
    });
    assert!(calls(&rig, anna)[0].here, "his other device is there");
}

#[test]
fn a_taken_call_waits_again_when_its_dispatcher_goes() {
    let mut rig = Rig::new();
    let (anna, dora) = (rig.sign_in("anna", None), rig.sign_in("dora", None));
    let ben = rig.on("ben", OPS);
    let call = calls_me(&mut rig, ben);
    takes(&mut rig, anna, call);
    let clean = false;
    rig.give(Input::Closed {
        connection: anna,
        clean,
    });
    assert!(taken_by(&rig, dora).is_some(), "anna may come back");
    rig.wait(16_000);
    assert_eq!(taken_by(&rig, dora), None);
    assert_eq!(call_of(&rig, ben).1, CallState::Waiting);
}

#[test]
fn a_call_taken_at_a_position_moves_on_with_it() {
    let mut rig = Rig::new();
    let (anna, dora) = (rig.sign_in("anna", None), rig.sign_in("dora", None));
    let ben = rig.on("ben", OPS);
    let call = calls_me(&mut rig, ben);
    takes(&mut rig, anna, call);
    sits(&mut rig, anna, "Desk 1");
    let desk = || Some("Desk 1".to_string());
    assert_eq!(taken_by(&rig, dora), Some(("Anna".into(), desk())));
    sits(&mut rig, dora, "Desk 1");
    assert_eq!(taken_by(&rig, anna), Some(("Dora".into(), desk())));
    assert_eq!(call_of(&rig, ben).2, Some("Dora".into()));
    rig.says(dora, 25, ClientMessage::LeavePosition {});
    takes(&mut rig, anna, call);
    let annas = Some(("Anna".to_string(), None));
    assert_eq!(taken_by(&rig, dora), annas, "nobody sat there");
}

#[test]
fn a_call_at_an_empty_seat_waits_and_is_the_next_holders() {
    let mut rig = Rig::new();
    let (anna, dora) = (rig.sign_in("anna", None), rig.sign_in("dora", None));
    let ben = rig.on("ben", OPS);
    let call = calls_me(&mut rig, ben);
    sits(&mut rig, dora, "Desk 1");
    takes(&mut rig, dora, call);
    let waits = (call, CallState::Waiting, None);
    for empty in 0..2 {
        if empty == 0 {
            rig.says(dora, 25, ClientMessage::LeavePosition {});
        } else {
            sits(&mut rig, dora, "Gate");
        }
        assert_eq!(taken_by(&rig, anna), None);
        assert_eq!(call_of(&rig, ben), waits);
        sits(&mut rig, dora, "Desk 1");
        let desk = Some("Desk 1".to_string());
        assert_eq!(taken_by(&rig, anna), Some(("Dora".into(), desk)));
        assert_eq!(call_of(&rig, ben).1, CallState::Taken);
    }
    let mut rig = Rig::with_board(rig.kept.take().expect("kept"));
    let anna = rig.sign_in("anna", None);
    assert_eq!(taken_by(&rig, anna), None, "nobody sits there yet");
    sits(&mut rig, anna, "Desk 1");
    assert!(taken_by(&rig, anna).is_some());
}

#[test]
fn a_seat_has_no_calls_its_holder_cannot_look_after() {
    let mut rig = Rig::new();
    let (anna, dora) = (rig.sign_in("anna", None), rig.sign_in("dora", None));
    let channel_id = STAGE.into();
    rig.says(anna, 20, ClientMessage::CallMe { channel_id });
    let stage = calls(&rig, anna)[0].call_id;
    sits(&mut rig, anna, "Desk 1");
    takes(&mut rig, anna, stage);
    sits(&mut rig, dora, "Desk 1");
    assert_eq!(taken_by(&rig, anna), None, "the stage is not Dora's");
    rig.says(anna, 26, ClientMessage::CloseCall { call_id: stage });
    let ben = rig.on("ben", OPS);
    let ops = calls_me(&mut rig, ben);
    sits(&mut rig, anna, "Desk 1");
    takes(&mut rig, anna, ops);
    assert!(taken_by(&rig, dora).is_some());
    rig.change_roster(|roster| {
        let anna = roster.users.get_mut(&UserId::from("anna")).expect("anna");
        anna.channels.remove(&ChannelId::from(OPS));
    });
    assert_eq!(taken_by(&rig, dora), None);
    let board = rig.kept.expect("kept");
    assert_eq!(board.calls.get(ops).expect("open").taken, None);
}

#[test]
fn calls_of_whoever_does_not_belong_there_any_more_are_over() {
    let mut rig = Rig::new();
    let (anna, ben) = (rig.sign_in("anna", None), rig.on("ben", OPS));
    calls_me(&mut rig, ben);
    rig.change_roster(|roster| {
        let ben = roster.users.get_mut(&UserId::from("ben")).expect("ben");
        ben.channels.clear();
    });
    assert_eq!(calls(&rig, anna), []);
    assert_eq!(call_of(&rig, ben).1, CallState::Closed);
}

#[test]
fn a_dispatcher_sees_the_calls_of_their_own_channels() {
    let mut rig = Rig::new();
    let (anna, dora) = (rig.sign_in("anna", None), rig.sign_in("dora", None));
    let channel_id = STAGE.into();
    rig.says(anna, 20, ClientMessage::CallMe { channel_id });
    assert_eq!(calls(&rig, anna).len(), 1);
    assert_eq!(calls(&rig, dora), []);
    rig.change_roster(|roster| {
        let dora = roster.users.get_mut(&UserId::from("dora")).expect("dora");
        dora.channels.insert(STAGE.into(), Membership::Listen);
    });
    assert_eq!(calls(&rig, dora).len(), 1, "it is her channel now");
    rig.change_roster(|roster| {
        let dora = roster.users.get_mut(&UserId::from("dora")).expect("dora");
        dora.role = Role::User;
    });
    let call = calls(&rig, anna)[0].call_id;
    takes(&mut rig, dora, call);
    assert_eq!(taken_by(&rig, anna), None, "she is no dispatcher any more");
}

#[test]
fn a_call_nobody_closes_is_over_after_half_a_day() {
    let mut rig = Rig::new();
    let (anna, ben) = (rig.sign_in("anna", None), rig.on("ben", OPS));
    calls_me(&mut rig, ben);
    rig.wait(12 * 3_600_000 - 1);
    assert_eq!(calls(&rig, anna).len(), 1);
    assert_eq!(
        rig.edge.poll_timeout(),
        Some(rig.now + Duration::from_millis(1))
    );
    rig.wait(1);
    assert_eq!(calls(&rig, anna), []);
    assert_eq!(call_of(&rig, ben).1, CallState::Closed);
    assert_eq!(rig.edge.poll_timeout(), None);
}

#[test]
fn nobody_takes_the_room_of_all_with_their_calls() {
    let ben = crate::wire::signal::Person {
        session_id: SessionId(1),
        user_id: "ben".into(),
        name: "Ben".into(),
        role: Role::User,
    };
    let mut calls = crate::dispatch::Calls::default();
    for n in 0..=10 {
        let channel = format!("channel {n}").into();
        assert_eq!(calls.open(n, &channel, ben.clone(), 0).is_ok(), n < 10);
    }
}

#[test]
fn two_hundred_calls_are_enough() {
    let mut rig = Rig::new();
    let caller = |n: u64| crate::wire::signal::Person {
        session_id: SessionId(n + 100),
        user_id: format!("user {n}").into(),
        name: "Someone".into(),
        role: Role::User,
    };
    let mut calls = crate::dispatch::Calls::default();
    let ops = OPS.into();
    for n in 0..200 {
        assert_eq!(calls.open(n, &ops, caller(n), UTC), Ok((n, true)));
    }
    rig.edge.board.calls = calls;
    let ben = rig.on("ben", OPS);
    let channel_id = OPS.into();
    rig.says(ben, 20, ClientMessage::CallMe { channel_id });
    assert!(matches!(
        rig.last(ben).message,
        ServerMessage::Error {
            code: ErrorCode::TooMany,
            ..
        }
    ));
}
