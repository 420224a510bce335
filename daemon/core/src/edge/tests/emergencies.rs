//! Emergencies, from the raised hand to the all-clear.

use super::*;
use crate::wire::signal::Emergency;

fn emergencies(rig: &Rig, who: ConnectionId) -> Option<Vec<Emergency>> {
    let told = rig.told[&who].iter().rev();
    let mut lists = told.filter_map(|reply| match &reply.message {
        ServerMessage::Emergencies { emergencies } => Some(emergencies.clone()),
        _ => None,
    });
    lists.next()
}

fn raises(rig: &mut Rig, who: ConnectionId) -> u64 {
    let channel_id = OPS.into();
    rig.says(who, 30, ClientMessage::RaiseEmergency { channel_id });
    let told = &rig.told[&who];
    let raised = told.iter().rev().find_map(|reply| match reply.message {
        ServerMessage::Emergency { emergency_id, .. } => Some(emergency_id),
        _ => None,
    });
    raised.expect("not raised")
}

fn error(rig: &Rig, who: ConnectionId) -> Option<ErrorCode> {
    match rig.last(who).message {
        ServerMessage::Error { code, .. } => Some(code),
        _ => None,
    }
}

#[test]
fn an_emergency_is_seen_by_members_and_dispatchers_until_it_is_cleared() {
    let mut rig = Rig::new();
    let anna = rig.on("anna", OPS);
    let dora = rig.sign_in("dora", None);
    let carla = rig.on("carla", OPS);
    let ben = rig.sign_in("ben", None);
    let emergency_id = raises(&mut rig, anna);
    assert_eq!(raises(&mut rig, anna), emergency_id, "the same");
    for (who, sees) in [(carla, true), (dora, true), (ben, false)] {
        let seen = emergencies(&rig, who).is_some_and(|list| list.len() == 1);
        assert_eq!(seen, sees, "{who:?}");
    }
    rig.wait(1_500);
    rig.joins(ben, OPS);
    let seen = emergencies(&rig, ben).expect("told after JOINED");
    assert_eq!(
        (seen[0].elapsed_ms, seen[0].raiser.name.as_str()),
        (1_500, "Anna")
    );
    rig.says(
        dora,
        31,
        ClientMessage::AcknowledgeEmergency { emergency_id },
    );
    rig.says(
        dora,
        31,
        ClientMessage::AcknowledgeEmergency { emergency_id },
    );
    assert_eq!(
        emergencies(&rig, carla).expect("told")[0].acknowledged_by,
        ["Dora"]
    );
    rig.says(
        ben,
        31,
        ClientMessage::AcknowledgeEmergency { emergency_id },
    );
    assert_eq!(error(&rig, ben), Some(ErrorCode::NoRight));
    rig.says(ben, 32, ClientMessage::ClearEmergency { emergency_id });
    assert_eq!(error(&rig, ben), Some(ErrorCode::NoRight));
    rig.says(dora, 33, ClientMessage::ClearEmergency { emergency_id });
    assert_eq!(emergencies(&rig, carla), Some(Vec::new()));
    rig.says(dora, 34, ClientMessage::ClearEmergency { emergency_id });
    assert_eq!(error(&rig, dora), Some(ErrorCode::NotFound));
    assert_eq!(rig.heard_on(OPS), None, "it takes no floor");
}

#[test]
fn its_raiser_clears_it_from_any_device() {
    let mut rig = Rig::new();
    let anna = rig.on("anna", OPS);
    let emergency_id = raises(&mut rig, anna);
    rig.change_roster(|roster| {
        let anna = roster.users.get_mut(&UserId::from("anna")).expect("anna");
        anna.role = Role::User;
    });
    let phone = rig.sign_in("anna", None);
    rig.says(phone, 33, ClientMessage::ClearEmergency { emergency_id });
    assert_eq!(emergencies(&rig, anna), Some(Vec::new()));
}

#[test]
fn only_who_has_the_right_raises_one() {
    let mut rig = Rig::new();
    let ben = rig.on("ben", OPS);
    let channel_id = ChannelId::from(OPS);
    rig.says(ben, 30, ClientMessage::RaiseEmergency { channel_id });
    assert_eq!(error(&rig, ben), Some(ErrorCode::NoRight));
    let channel_id = ChannelId::from(STAGE);
    rig.says(ben, 30, ClientMessage::RaiseEmergency { channel_id });
    assert!(matches!(
        rig.last(ben).message,
        ServerMessage::NotAuthorized { .. }
    ));
}

#[test]
fn emergencies_and_calls_outlive_a_restart() {
    let mut rig = Rig::new();
    let (anna, ben) = (rig.on("anna", OPS), rig.on("ben", OPS));
    let emergency = raises(&mut rig, anna);
    let channel_id = ChannelId::from(OPS);
    rig.says(ben, 30, ClientMessage::CallMe { channel_id });
    let board = rig.kept.take().expect("kept");
    let mut rig = Rig::with_board(board);
    rig.now += Duration::from_millis(700);
    let dora = rig.sign_in("dora", None);
    let seen = emergencies(&rig, dora).expect("told");
    assert_eq!((seen[0].emergency_id, seen[0].elapsed_ms), (emergency, 700));
    let call = |m: &ServerMessage, is_here: bool| matches!(m, ServerMessage::Calls { calls } if calls.len() == 1 && calls[0].here == is_here);
    assert!(rig.tells(dora, |m| call(m, false)));
    rig.sign_in("ben", None);
    assert!(rig.tells(dora, |m| call(m, true)));
}

#[test]
fn who_is_taken_off_a_channel_sees_its_emergencies_no_more() {
    type Change = fn(&mut Roster);
    let changes: [Change; 2] = [
        |roster| {
            let carla = roster.users.get_mut(&UserId::from("carla"));
            carla.expect("carla").channels.clear();
        },
        |roster| drop(roster.channels.remove(&ChannelId::from(OPS))),
    ];
    for change in changes {
        let mut rig = Rig::new();
        let (anna, carla) = (rig.on("anna", OPS), rig.on("carla", OPS));
        raises(&mut rig, anna);
        assert_eq!(emergencies(&rig, carla).map(|list| list.len()), Some(1));
        rig.change_roster(change);
        assert_eq!(emergencies(&rig, carla), Some(Vec::new()));
    }
}
