//! Talking, coming and going, and a roster that changes meanwhile.

use super::*;

#[test]
fn a_talker_is_granted_heard_and_announced_and_a_stop_ends_it() {
    let mut rig = Rig::new();
    let (anna, ben) = (rig.on("anna", OPS), rig.on("ben", OPS));
    rig.start(anna, OPS, Level::Normal);
    assert_eq!(rig.last(anna).id, Some(4));
    assert!(matches!(
        rig.last(anna).message,
        ServerMessage::StartSuccess { .. }
    ));
    assert_eq!(rig.heard_on(OPS), rig.transport(anna, OPS));
    assert!(rig.heard_on(OPS).is_some());
    assert_eq!(rig.last(ben).id, None);
    assert!(matches!(&rig.last(ben).message,
        ServerMessage::Start { talk, .. } if talk.talker.name == "Anna"));
    rig.stop(anna, OPS);
    assert_eq!(rig.heard_on(OPS), None);
    assert_eq!(rig.last(anna).id, Some(5));
    let over = |m: &ServerMessage| {
        matches!(
            m,
            ServerMessage::Stop {
                transmission_id: Some(TransmissionId(1)),
                ..
            }
        )
    };
    assert!(over(&rig.last(anna).message) && over(&rig.last(ben).message));
}

#[test]
fn only_the_answer_carries_the_requests_number() {
    let mut rig = Rig::new();
    let (anna, ben) = (rig.on("anna", OPS), rig.on("ben", OPS));
    rig.start(ben, OPS, Level::Normal);
    rig.told.clear();
    let numbered = |rig: &Rig, who| {
        let told = rig.told[&who].iter().filter(|reply| reply.id.is_some());
        told.map(|reply| reply.message.clone()).collect::<Vec<_>>()
    };
    rig.start(anna, OPS, Level::Emergency);
    assert!(matches!(
        numbered(&rig, anna)[..],
        [ServerMessage::StartSuccess { .. }]
    ));
    assert_eq!(numbered(&rig, ben), []);
    rig.told.clear();
    rig.says(
        anna,
        8,
        ClientMessage::Leave {
            channel_id: OPS.into(),
        },
    );
    assert!(matches!(
        numbered(&rig, anna)[..],
        [ServerMessage::Left { .. }]
    ));
    assert_eq!(numbered(&rig, ben), []);
    rig.told.clear();
    rig.stop(ben, OPS);
    assert!(matches!(
        numbered(&rig, ben)[..],
        [ServerMessage::Stop {
            transmission_id: None,
            ..
        }]
    ));
}

#[test]
fn unknown_and_forbidden_channels_get_the_same_answer_to_every_request() {
    let mut rig = Rig::new();
    let ben = rig.sign_in("ben", None);
    for channel in [STAGE, "no-such-channel"] {
        let channel_id = ChannelId::from(channel);
        let c = || channel_id.clone();
        let requests = [
            ClientMessage::Join {
                channel_id: c(),
                muted: true,
            },
            ClientMessage::Leave { channel_id: c() },
            ClientMessage::WebrtcOffer {
                channel_id: c(),
                sdp: String::new(),
            },
            ClientMessage::IceCandidate {
                channel_id: c(),
                candidate: String::new(),
            },
            ClientMessage::Start {
                channel_id: c(),
                level: Level::Normal,
            },
            ClientMessage::Stop { channel_id: c() },
            ClientMessage::Mute { channel_id: c() },
            ClientMessage::Unmute { channel_id: c() },
        ];
        for request in requests {
            rig.says(ben, 9, request.clone());
            let expected = Reply {
                id: Some(9),
                message: ServerMessage::NotAuthorized { channel_id: c() },
            };
            assert_eq!(rig.last(ben), &expected, "{request:?}");
        }
    }
}

#[test]
fn start_without_audio_or_right_takes_no_floor() {
    let mut rig = Rig::new();
    let (ben, carla) = (rig.sign_in("ben", None), rig.on("carla", OPS));
    let reason = |rig: &Rig, who| match rig.last(who).message {
        ServerMessage::StartFailed { reason, .. } => Some(reason),
        _ => None,
    };
    rig.start(ben, OPS, Level::Normal);
    assert_eq!(reason(&rig, ben), Some(DenyReason::NotConnected));
    rig.start(carla, OPS, Level::Normal);
    assert_eq!(reason(&rig, carla), Some(DenyReason::NoRight));
    rig.joins(ben, OPS);
    for level in [Level::Dispatch, Level::Imminent, Level::Emergency] {
        rig.start(ben, OPS, level);
        assert_eq!(reason(&rig, ben), Some(DenyReason::NoRight), "{level:?}");
    }
    assert_eq!(rig.heard_on(OPS), None);
}

#[test]
fn a_clean_close_frees_the_floor_at_once_and_a_lost_socket_after_three_seconds() {
    for (clean, still_heard_ms, free_ms) in [(true, None, 0), (false, Some(2_999), 3_000)] {
        let mut rig = Rig::new();
        let (anna, ben) = (rig.on("anna", OPS), rig.on("ben", OPS));
        rig.start(anna, OPS, Level::Normal);
        let flows = media::Event::Flows(rig.transport(anna, OPS).expect("connected"));
        rig.give(Input::Media(flows));
        let start = rig.now;
        rig.give(Input::Closed {
            connection: anna,
            clean,
        });
        if let Some(ms) = still_heard_ms {
            rig.wait(ms);
            assert!(rig.heard_on(OPS).is_some(), "media still flows");
        }
        let to_go = start + Duration::from_millis(free_ms) - rig.now;
        rig.wait(to_go.as_millis() as u64);
        assert_eq!(rig.heard_on(OPS), None, "clean: {clean}");
        assert!(rig.tells(ben, |m| matches!(m, ServerMessage::Stop { .. })));
    }
}

#[test]
fn a_session_that_comes_back_keeps_its_floor_and_its_transports() {
    let mut rig = Rig::new();
    let (anna, ben) = (rig.on("anna", OPS), rig.on("ben", OPS));
    rig.start(anna, OPS, Level::Normal);
    let transport = rig.heard_on(OPS).expect("heard");
    rig.give(Input::Media(media::Event::Flows(transport)));
    let resume = rig.resume_of(anna);
    rig.give(Input::Closed {
        connection: anna,
        clean: false,
    });
    assert!(
        rig.tells(ben, |m| matches!(m, ServerMessage::Member { member, .. }
        if member.presence == Presence::Lost))
    );
    rig.wait(2_000);
    let back = rig.sign_in("anna", Some(resume));
    assert!(rig.tells(back, |m| matches!(
        m,
        ServerMessage::Welcome { resumed: true, .. }
    )));
    assert!(rig.tells(
        back,
        |m| matches!(m, ServerMessage::Joined { talk: Some(talk), .. }
        if talk.talker.name == "Anna")
    ));
    rig.wait(20_000);
    assert_eq!(rig.heard_on(OPS), Some(transport));
    rig.stop(back, OPS);
    assert_eq!(rig.heard_on(OPS), None);
}

#[test]
fn nobody_resumes_a_session_of_someone_else() {
    let mut rig = Rig::new();
    let anna = rig.on("anna", OPS);
    let resume = rig.resume_of(anna);
    let ben = rig.sign_in("ben", Some(resume));
    assert!(rig.tells(ben, |m| matches!(
        m,
        ServerMessage::Welcome { resumed: false, .. }
    )));
    assert_eq!(rig.closed, []);
}

#[test]
fn a_session_taken_over_while_its_old_connection_lives_closes_the_old_one() {
    let mut rig = Rig::new();
    let anna = rig.on("anna", OPS);
    let resume = rig.resume_of(anna);
    let back = rig.sign_in("anna", Some(resume));
    assert_eq!(rig.closed, [anna]);
    rig.give(Input::Closed {
        connection: anna,
        clean: true,
    });
    assert!(rig.transport(back, OPS).is_some(), "the session lives on");
}

#[test]
fn a_session_that_does_not_come_back_is_over_after_fifteen_seconds() {
    let mut rig = Rig::new();
    let (anna, ben) = (rig.on("anna", OPS), rig.on("ben", OPS));
    rig.give(Input::Closed {
        connection: anna,
        clean: false,
    });
    rig.wait(14_999);
    assert_eq!(rig.edge.sessions(), 2);
    rig.wait(1);
    assert_eq!(rig.edge.sessions(), 1);
    assert_eq!(rig.open.len(), 1, "its transport is closed");
    assert!(rig.tells(ben, |m| matches!(m, ServerMessage::MemberLeft { .. })));
}

#[test]
fn a_second_device_of_the_same_user_is_a_second_session() {
    let mut rig = Rig::new();
    let (phone, laptop) = (rig.on("anna", OPS), rig.on("anna", OPS));
    rig.start(phone, OPS, Level::Normal);
    assert!(matches!(
        rig.last(laptop).message,
        ServerMessage::Start { .. }
    ));
    rig.start(laptop, OPS, Level::Normal);
    assert!(matches!(
        rig.last(laptop).message,
        ServerMessage::Queued { position: 1, .. }
    ));
}

#[test]
fn who_is_taken_off_the_roster_is_cut_and_told() {
    let mut rig = Rig::new();
    let (anna, ben) = (rig.on("anna", OPS), rig.on("ben", OPS));
    rig.start(ben, OPS, Level::Normal);
    rig.change_roster(|roster| {
        roster.users.remove(&UserId::from("ben"));
    });
    assert_eq!(rig.heard_on(OPS), None);
    assert_eq!(rig.open.len(), 1);
    assert!(rig.tells(ben, |m| matches!(
        m,
        ServerMessage::Bye {
            reason: ByeReason::Removed
        }
    )));
    assert_eq!(rig.closed, [ben]);
    assert!(rig.tells(anna, |m| matches!(
        m,
        ServerMessage::Stop {
            reason: EndReason::Removed,
            ..
        }
    )));
}

#[test]
fn who_is_taken_off_a_channel_is_cut_there_and_told_and_stays_signed_in() {
    let mut rig = Rig::new();
    let anna = rig.on("anna", OPS);
    rig.joins(anna, STAGE);
    rig.start(anna, OPS, Level::Normal);
    rig.change_roster(|roster| {
        let anna = roster.users.get_mut(&UserId::from("anna")).expect("anna");
        anna.channels.remove(&ChannelId::from(OPS));
    });
    assert_eq!(rig.heard_on(OPS), None);
    assert!(rig.tells(anna, |m| matches!(m, ServerMessage::Removed { .. })));
    assert!(rig.tells(
        anna,
        |m| matches!(m, ServerMessage::Channels { channels } if channels.len() == 1)
    ));
    assert!(rig.transport(anna, STAGE).is_some() && rig.closed.is_empty());
}

#[test]
fn who_loses_the_right_to_talk_is_cut_and_goes_on_listening() {
    let mut rig = Rig::new();
    let ben = rig.on("ben", OPS);
    rig.start(ben, OPS, Level::Normal);
    rig.change_roster(|roster| {
        let ben = roster.users.get_mut(&UserId::from("ben")).expect("ben");
        ben.channels.insert(OPS.into(), Membership::Listen);
    });
    assert_eq!(rig.heard_on(OPS), None);
    assert!(rig.tells(ben, |m| matches!(
        m,
        ServerMessage::Revoked {
            reason: EndReason::Removed,
            ..
        }
    )));
    assert!(rig.transport(ben, OPS).is_some());
}

#[test]
fn who_loses_the_right_to_talk_while_waiting_is_not_granted() {
    let mut rig = Rig::new();
    let (anna, ben) = (rig.on("anna", OPS), rig.on("ben", OPS));
    rig.start(anna, OPS, Level::Normal);
    rig.start(ben, OPS, Level::Normal);
    rig.change_roster(|roster| {
        let ben = roster.users.get_mut(&UserId::from("ben")).expect("ben");
        ben.channels.insert(OPS.into(), Membership::Listen);
    });
    rig.stop(anna, OPS);
    assert_eq!(rig.heard_on(OPS), None);
}

#[test]
fn a_level_that_is_taken_away_ends_the_talk_that_uses_it() {
    let mut rig = Rig::new();
    let anna = rig.on("anna", OPS);
    rig.start(anna, OPS, Level::Emergency);
    rig.change_roster(|roster| {
        let anna = roster.users.get_mut(&UserId::from("anna")).expect("anna");
        anna.emergency = false;
    });
    assert_eq!(rig.heard_on(OPS), None);
}

#[test]
fn a_new_name_is_told_to_the_others() {
    let mut rig = Rig::new();
    let (anna, _ben) = (rig.on("anna", OPS), rig.on("ben", OPS));
    rig.change_roster(|roster| {
        let ben = roster.users.get_mut(&UserId::from("ben")).expect("ben");
        ben.name = "Benjamin".into();
    });
    assert!(
        rig.tells(anna, |m| matches!(m, ServerMessage::Member { member, .. }
        if member.person.name == "Benjamin"))
    );
}

#[test]
fn who_offers_again_while_talking_goes_on_over_the_new_transport() {
    let mut rig = Rig::new();
    let anna = rig.on("anna", OPS);
    rig.start(anna, OPS, Level::Normal);
    let before = rig.heard_on(OPS);
    let sdp = rig.sdp.clone();
    rig.says(
        anna,
        6,
        ClientMessage::WebrtcOffer {
            channel_id: OPS.into(),
            sdp,
        },
    );
    assert!(matches!(
        rig.last(anna),
        Reply {
            id: Some(6),
            message: ServerMessage::WebrtcAnswer { .. }
        }
    ));
    assert_ne!(rig.heard_on(OPS), before);
    assert_eq!(rig.heard_on(OPS), rig.transport(anna, OPS));
    assert_eq!(rig.open.len(), 1, "the old one is closed");
}

#[test]
fn a_talkers_vanished_transport_frees_the_floor_after_the_silence() {
    let mut rig = Rig::new();
    let anna = rig.on("anna", OPS);
    rig.start(anna, OPS, Level::Normal);
    let transport = rig.heard_on(OPS).expect("heard");
    rig.give(Input::Media(media::Event::Flows(transport)));
    let reason = CloseReason::Gone;
    rig.give(Input::Media(media::Event::Closed { transport, reason }));
    assert!(rig.tells(anna, |m| matches!(m, ServerMessage::WebrtcClosed { .. })));
    rig.wait(4_000);
    assert!(rig.tells(anna, |m| matches!(
        m,
        ServerMessage::Stop {
            reason: EndReason::Silence,
            ..
        }
    )));
}

#[test]
fn more_channels_or_candidates_than_allowed_are_refused() {
    let mut rig = Rig::new();
    rig.change_roster(|roster| {
        let ben = roster.users.get_mut(&UserId::from("ben")).expect("ben");
        ben.channels.insert(STAGE.into(), Membership::Talk);
    });
    let ben = rig.on("ben", OPS);
    let too_many = |m: &ServerMessage| {
        matches!(
            m,
            ServerMessage::Error {
                code: ErrorCode::TooMany,
                ..
            }
        )
    };
    rig.says(
        ben,
        7,
        ClientMessage::Join {
            channel_id: STAGE.into(),
            muted: true,
        },
    );
    assert!(too_many(&rig.last(ben).message));
    for n in 1..=65 {
        let candidate = "candidate:1 1 udp 1 192.0.2.1 1 typ host".into();
        rig.says(
            ben,
            n,
            ClientMessage::IceCandidate {
                channel_id: OPS.into(),
                candidate,
            },
        );
        assert_eq!(too_many(&rig.last(ben).message), n > 64, "candidate {n}");
    }
}

#[test]
fn shutdown_tells_everyone_and_frees_every_floor() {
    let mut rig = Rig::new();
    let (anna, ben) = (rig.on("anna", OPS), rig.on("ben", OPS));
    rig.start(anna, OPS, Level::Normal);
    rig.give(Input::Shutdown);
    assert_eq!(rig.heard_on(OPS), None);
    assert_eq!(rig.closed, [anna, ben]);
    let bye = ServerMessage::Bye {
        reason: ByeReason::Shutdown,
    };
    assert!(rig.last(anna).message == bye && rig.last(ben).message == bye);
}

#[test]
fn an_admin_sees_the_sessions_and_ends_one() {
    let mut rig = Rig::new();
    let (anna, ben) = (rig.on("anna", OPS), rig.on("ben", OPS));
    rig.start(ben, OPS, Level::Normal);
    let seen = rig.edge.sessions_now();
    let seen = &seen[1];
    assert_eq!((seen.name.as_str(), seen.since), ("Ben", 1_800_000_000));
    let ops = &seen.channels[0];
    assert!(ops.connected && ops.talking && !ops.muted);
    rig.give(Input::Kick {
        session: seen.session_id,
    });
    let bye = ServerMessage::Bye {
        reason: ByeReason::Kicked,
    };
    assert_eq!(rig.last(ben).message, bye);
    assert_eq!(rig.closed, [ben]);
    assert_eq!(rig.heard_on(OPS), None);
    assert!(rig.tells(anna, |m| matches!(m, ServerMessage::MemberLeft { .. })));
    assert_eq!(rig.edge.sessions_now().len(), 1);
}

#[test]
fn a_user_has_so_many_sessions_and_not_one_more() {
    let mut rig = Rig::new();
    let last = (0..4).map(|_| rig.sign_in("ben", None)).last();
    let one_more = rig.sign_in("ben", None);
    assert!(rig.tells(one_more, |m| matches!(
        m,
        ServerMessage::Error {
            code: ErrorCode::TooMany,
            ..
        }
    )));
    assert_eq!(rig.edge.sessions(), 4);
    rig.give(Input::Closed {
        connection: last.expect("a session"),
        clean: true,
    });
    rig.sign_in("ben", None);
    assert_eq!(rig.edge.sessions(), 4);
}

#[test]
fn a_session_has_no_number_of_a_run_before() {
    let number = |utc_ms| {
        let mut rig = Rig::with_board_at(Board::default(), utc_ms);
        let ben = rig.sign_in("ben", None);
        rig.edge.connections[&ben]
    };
    assert!(number(UTC) < number(UTC + 1_000));
}
