//! A dispatcher ends talks, and keeps someone silent for a while.

use super::*;

fn silences(rig: &mut Rig, who: ConnectionId, user: &str, minutes: u32) {
    let silence = ClientMessage::Silence {
        channel_id: OPS.into(),
        user_id: user.into(),
        minutes,
    };
    rig.says(who, 50, silence);
}

fn told_silence(rig: &Rig, who: ConnectionId) -> Option<u64> {
    let told = rig.told[&who].iter().rev();
    let mut told = told.filter_map(|reply| match reply.message {
        ServerMessage::Silenced { left_ms, .. } => Some(left_ms),
        _ => None,
    });
    told.next()
}

fn silenced_ms(rig: &Rig, who: ConnectionId) -> Option<u64> {
    let told = rig.told[&who].iter().rev();
    let mut told = told.filter_map(|reply| match &reply.message {
        ServerMessage::Member { member, .. } => Some(member.silenced_ms),
        _ => None,
    });
    told.next().flatten()
}

#[test]
fn a_dispatcher_ends_a_talk_and_the_talker_has_to_let_go() {
    let mut rig = Rig::new();
    let (dora, ben) = (rig.sign_in("dora", None), rig.on("ben", OPS));
    let end = || ClientMessage::EndTalk {
        channel_id: OPS.into(),
        transmission_id: None,
    };
    rig.start(ben, OPS, Level::Normal);
    rig.says(ben, 51, end());
    assert!(matches!(
        rig.last(ben).message,
        ServerMessage::Error {
            code: ErrorCode::NoRight,
            ..
        }
    ));
    assert!(rig.heard_on(OPS).is_some());
    rig.says(dora, 52, end());
    assert_eq!(rig.last(dora).id, Some(52));
    assert_eq!(rig.heard_on(OPS), None);
    assert!(rig.tells(ben, |m| matches!(
        m,
        ServerMessage::Revoked {
            reason: EndReason::Ended,
            ..
        }
    )));
    rig.start(ben, OPS, Level::Normal);
    assert_eq!(rig.heard_on(OPS), None, "the button is still down");
    rig.stop(ben, OPS);
    rig.start(ben, OPS, Level::Normal);
    assert!(rig.heard_on(OPS).is_some());
    let cut = |what: &Happening| matches!(what, Happening::TalkCut { talker, by, .. } if talker.as_str() == "ben" && by.name == "Dora");
    assert!(rig.happened.iter().any(cut));
}

#[test]
fn a_click_that_comes_late_does_not_end_the_next_talk() {
    let mut rig = Rig::new();
    let (dora, ben) = (rig.sign_in("dora", None), rig.on("ben", OPS));
    for talk in 1..=2 {
        rig.start(ben, OPS, Level::Normal);
        let end = ClientMessage::EndTalk {
            channel_id: OPS.into(),
            transmission_id: Some(TransmissionId(1)),
        };
        rig.says(dora, 52, end);
        let answer = rig.last(dora);
        assert!(matches!(answer.message, ServerMessage::TalkEnded { .. }));
        assert_eq!(rig.heard_on(OPS).is_some(), talk == 2);
        rig.stop(ben, OPS);
    }
}

#[test]
fn who_is_silenced_is_cut_and_denied_until_the_time_is_over() {
    let mut rig = Rig::new();
    let (dora, ben, carla) = (
        rig.sign_in("dora", None),
        rig.on("ben", OPS),
        rig.on("carla", OPS),
    );
    rig.start(ben, OPS, Level::Normal);
    silences(&mut rig, dora, "ben", 1);
    assert_eq!(rig.last(dora).id, Some(50));
    assert_eq!(rig.heard_on(OPS), None);
    assert_eq!(told_silence(&rig, ben), Some(60_000));
    assert_eq!(silenced_ms(&rig, carla), Some(60_000));
    rig.stop(ben, OPS);
    rig.start(ben, OPS, Level::Normal);
    assert!(matches!(
        rig.last(ben).message,
        ServerMessage::StartFailed {
            reason: DenyReason::Silenced,
            ..
        }
    ));
    assert_eq!(
        rig.edge.poll_timeout(),
        Some(rig.now + Duration::from_secs(60))
    );
    rig.wait(60_000);
    assert_eq!(told_silence(&rig, ben), Some(0));
    assert_eq!(silenced_ms(&rig, carla), None);
    rig.start(ben, OPS, Level::Normal);
    assert!(rig.heard_on(OPS).is_some());
}

#[test]
fn who_waits_is_taken_out_of_the_queue_and_told() {
    let mut rig = Rig::new();
    let (anna, ben) = (rig.on("anna", OPS), rig.on("ben", OPS));
    rig.start(anna, OPS, Level::Normal);
    rig.start(ben, OPS, Level::Normal);
    silences(&mut rig, anna, "ben", 30);
    assert!(rig.tells(ben, |m| matches!(
        m,
        ServerMessage::StartFailed {
            reason: DenyReason::Silenced,
            ..
        }
    )));
    rig.stop(anna, OPS);
    assert_eq!(rig.heard_on(OPS), None);
    silences(&mut rig, anna, "ben", 0);
    assert_eq!(told_silence(&rig, ben), Some(0));
    rig.start(ben, OPS, Level::Normal);
    assert_eq!(rig.heard_on(OPS), rig.transport(ben, OPS));
}

#[test]
fn a_silence_is_for_dispatchers_of_the_channel_and_for_its_members() {
    let mut rig = Rig::new();
    let (dora, ben) = (rig.sign_in("dora", None), rig.on("ben", OPS));
    let code = |rig: &Rig, who| match rig.last(who).message {
        ServerMessage::Error { code, .. } => Some(code),
        _ => None,
    };
    silences(&mut rig, ben, "carla", 5);
    assert_eq!(code(&rig, ben), Some(ErrorCode::NoRight));
    silences(&mut rig, dora, "ben", 31);
    assert_eq!(code(&rig, dora), Some(ErrorCode::BadMessage));
    silences(&mut rig, dora, "nobody", 5);
    assert_eq!(code(&rig, dora), Some(ErrorCode::NotFound));
    let elsewhere = ClientMessage::Silence {
        channel_id: STAGE.into(),
        user_id: "anna".into(),
        minutes: 5,
    };
    rig.says(dora, 53, elsewhere);
    assert!(matches!(
        rig.last(dora).message,
        ServerMessage::NotAuthorized { .. }
    ));
    assert_eq!(rig.kept, None);
}

#[test]
fn a_silence_outlives_a_restart_and_no_clock_makes_it_longer() {
    let mut rig = Rig::new();
    let dora = rig.sign_in("dora", None);
    silences(&mut rig, dora, "ben", 30);
    let board = rig.kept.take().expect("kept");
    let mut earlier = Rig::with_board_at(board.clone(), super::UTC - 3_600_000);
    let ben = earlier.on("ben", OPS);
    earlier.wait(29 * 60_000);
    earlier.start(ben, OPS, Level::Normal);
    assert_eq!(earlier.heard_on(OPS), None);
    earlier.wait(60_000);
    earlier.start(ben, OPS, Level::Normal);
    assert!(earlier.heard_on(OPS).is_some());
    let mut later = Rig::with_board_at(board, super::UTC + 3_600_000);
    let ben = later.on("ben", OPS);
    later.start(ben, OPS, Level::Normal);
    assert!(later.heard_on(OPS).is_some(), "over while the box was off");
}

#[test]
fn who_is_silenced_is_heard_in_their_own_emergency() {
    let mut rig = Rig::new();
    let (dora, anna) = (rig.sign_in("dora", None), rig.on("anna", OPS));
    silences(&mut rig, dora, "anna", 5);
    rig.start(anna, OPS, Level::Emergency);
    assert_eq!(rig.heard_on(OPS), None, "there is no emergency");
    let channel_id = OPS.into();
    rig.says(anna, 54, ClientMessage::RaiseEmergency { channel_id });
    rig.start(anna, OPS, Level::Normal);
    assert_eq!(rig.heard_on(OPS), None, "this is not about it");
    rig.start(anna, OPS, Level::Emergency);
    assert_eq!(rig.heard_on(OPS), rig.transport(anna, OPS));
}
