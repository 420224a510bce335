//! The box's clock is set while it runs.

use super::*;

const HOUR: u64 = 3_600_000;

#[test]
fn a_clock_that_is_set_makes_nothing_older_or_younger() {
    for set in [UTC + HOUR, UTC - HOUR] {
        let mut rig = Rig::new();
        let (dora, ben) = (rig.sign_in("dora", None), rig.on("ben", OPS));
        rig.start(ben, OPS, Level::Normal);
        rig.stop(ben, OPS);
        let channel_id: ChannelId = OPS.into();
        let call = ClientMessage::CallMe {
            channel_id: channel_id.clone(),
        };
        rig.says(ben, 60, call);
        let silence = ClientMessage::Silence {
            channel_id,
            user_id: "ben".into(),
            minutes: 1,
        };
        rig.says(dora, 61, silence);
        rig.wait(1_000);
        rig.give(Input::Clock {
            utc_ms: set + 1_000,
        });
        assert_eq!(rig.edge.utc_ms(rig.now), set + 1_000);
        let kept = rig.kept.clone().expect("kept");
        assert_eq!(kept.calls.iter().next().map(|(_, c)| c.since), Some(set));
        assert_eq!(rig.edge.sessions_now()[0].since, set / 1_000);
        let recent = &rig.edge.channels[&ChannelId::from(OPS)].recent;
        assert_eq!(recent[0].began, set);
        let over = rig.now + Duration::from_millis(59_000);
        assert_eq!(rig.edge.poll_timeout(), Some(over));
    }
}

#[test]
fn a_talk_that_runs_while_the_clock_is_set_began_when_it_began() {
    let mut rig = Rig::new();
    let ben = rig.on("ben", OPS);
    rig.start(ben, OPS, Level::Normal);
    rig.wait(1_500);
    rig.give(Input::Clock { utc_ms: UTC + HOUR });
    rig.stop(ben, OPS);
    let recent = &rig.edge.channels[&ChannelId::from(OPS)].recent;
    assert_eq!(recent[0].began, UTC + HOUR - 1_500);
}

#[test]
fn a_clock_that_is_right_changes_nothing() {
    let mut rig = Rig::new();
    rig.wait(10_000);
    rig.give(Input::Clock {
        utc_ms: UTC + 11_999,
    });
    assert_eq!(rig.edge.utc_ms(rig.now), UTC + 10_000);
    assert_eq!(rig.kept, None);
}
