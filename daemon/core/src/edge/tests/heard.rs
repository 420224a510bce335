//! What is remembered of talks: for the journal, for whoever joins later, for the talker of an echo.

use super::*;

#[test]
fn what_happens_is_told_to_whoever_remembers_it() {
    let mut rig = Rig::new();
    let (anna, ben) = (rig.on("anna", OPS), rig.on("ben", OPS));
    rig.start(ben, OPS, Level::Normal);
    rig.wait(1_500);
    rig.start(anna, OPS, Level::Dispatch);
    rig.give(Input::Closed {
        connection: anna,
        clean: true,
    });
    let told: Vec<String> = rig
        .happened
        .iter()
        .map(|what| match what {
            Happening::SignedIn { user, address, .. } => format!("{user} came from {address}"),
            Happening::SessionEnded { user, reason, .. } => format!("{user} went: {reason:?}"),
            Happening::TalkBegan {
                transmission,
                talker,
                level,
                ..
            } => format!("{} began {transmission}: {level:?}", talker.name),
            Happening::TalkEnded {
                transmission,
                talker,
                reason,
                duration,
                ..
            } => format!(
                "{} ended {transmission} after {duration:?}: {reason:?}",
                talker.name
            ),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(
        told,
        [
            "anna came from 192.0.2.7",
            "ben came from 192.0.2.7",
            "Ben began 1: Normal",
            "Ben ended 1 after 1.5s: Preempted",
            "Anna began 2: Dispatch",
            "Anna ended 2 after 0ns: Left",
            "anna went: Left",
        ]
    );
}

#[test]
fn transmissions_of_two_channels_have_different_numbers() {
    let mut rig = Rig::new();
    let (anna, ben) = (rig.on("anna", STAGE), rig.on("ben", OPS));
    rig.start(anna, STAGE, Level::Normal);
    rig.start(ben, OPS, Level::Normal);
    let number = |who| match rig.last(who).message {
        ServerMessage::StartSuccess {
            transmission_id, ..
        } => transmission_id,
        _ => panic!("not granted"),
    };
    assert_eq!(
        (number(anna), number(ben)),
        (TransmissionId(1), TransmissionId(2))
    );
}

#[test]
fn how_a_talker_was_heard_is_told_with_their_name_and_number() {
    let mut rig = Rig::new();
    let ben = rig.on("ben", OPS);
    rig.start(ben, OPS, Level::Normal);
    let transport = rig.heard_on(OPS).expect("heard");
    rig.stop(ben, OPS);
    let heard = media::Heard {
        packets: 40,
        ..media::Heard::default()
    };
    rig.give(Input::Media(media::Event::Heard {
        transport,
        transmission: TransmissionId(1),
        heard,
    }));
    assert!(
        matches!(rig.happened.last(), Some(Happening::Heard { transmission: TransmissionId(1), talker, heard: as_told, .. })
        if talker.name == "Ben" && *as_told == heard)
    );
}

#[test]
fn an_echo_comes_with_its_verdict() {
    let mut rig = Rig::new();
    let ben = rig.on("ben", OPS);
    let transport = rig.transport(ben, OPS).expect("a transport");
    for (packets, lost, level, verdict, off_by) in [
        (0, 0, None, EchoVerdict::NothingHeard, None),
        (50, 0, Some(-127), EchoVerdict::NothingHeard, Some(-101)),
        (50, 0, None, EchoVerdict::Unmeasured, None),
        (50, 0, Some(-26), EchoVerdict::Good, Some(0)),
        (50, 0, Some(-36), EchoVerdict::Good, Some(-10)),
        (50, 0, Some(-38), EchoVerdict::TooQuiet, Some(-12)),
        (50, 0, Some(-10), EchoVerdict::TooLoud, Some(16)),
        (90, 10, Some(-26), EchoVerdict::BadNetwork, Some(0)),
    ] {
        let heard = media::Heard {
            packets,
            lost,
            level,
            peak: level,
        };
        let plays = Duration::from_millis(1_200);
        rig.give(Input::Media(media::Event::Echo {
            transport,
            heard,
            plays,
        }));
        let told = ServerMessage::Echo {
            channel_id: OPS.into(),
            verdict,
            level_db: level.map(i32::from),
            off_by_db: off_by,
            lost_percent: lost as u32,
            plays_ms: 1_200,
        };
        assert_eq!(rig.last(ben).message, told);
    }
}

#[test]
fn who_joins_is_told_the_last_ten_transmissions() {
    let mut rig = Rig::new();
    let ben = rig.on("ben", OPS);
    for _ in 0..12 {
        rig.wait(100);
        rig.start(ben, OPS, Level::Normal);
        rig.wait(1_000);
        rig.stop(ben, OPS);
    }
    let carla = rig.on("carla", OPS);
    let joined = rig.told[&carla]
        .iter()
        .find_map(|reply| match &reply.message {
            ServerMessage::Joined { recent, .. } => Some(recent.clone()),
            _ => None,
        });
    let recent = joined.expect("joined");
    let numbers: Vec<u64> = recent.iter().map(|talk| talk.transmission_id.0).collect();
    assert_eq!(numbers, (3..=12).collect::<Vec<_>>());
    let last = recent.last().expect("the last");
    assert_eq!(last.began, UTC + 12 * 100 + 11 * 1_000);
    assert_eq!(
        (last.duration_ms, last.reason),
        (1_000, EndReason::Released)
    );
}
