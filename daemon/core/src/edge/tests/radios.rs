//! Radios and desks among the participants: who keys whom, who is heard, what the others see of it.

use super::*;
use crate::radio::{
    Event, KeyingSettings, Kind, Order, Settings as RadioSettings, SquelchSettings, Tone,
    ToneSettings,
};

pub(super) const HALL: RadioId = RadioId(0);
pub(super) const YARD: RadioId = RadioId(1);
const DESK: RadioId = RadioId(2);

pub(super) fn settings(id: &str, kind: Kind) -> RadioSettings {
    let ms = Duration::from_millis;
    RadioSettings {
        id: id.into(),
        name: format!("The {id}"),
        channel: OPS.into(),
        level: Level::Normal,
        kind,
        relay: false,
        receives: true,
        transmits: true,
        squelch: SquelchSettings {
            debounce: ms(20),
            hang: ms(250),
            vox_delay: None,
            deaf: ms(300),
            kerchunk: ms(0),
            kerchunk_idle: ms(180_000),
            stuck: ms(180_000),
        },
        keying: KeyingSettings {
            lead: ms(150),
            tail: ms(100),
            tot: ms(120_000),
            tot_alert: ms(10_000),
            tot_penalty: ms(5_000),
        },
        tones: ToneSettings {
            permit: true,
            deny: true,
            courtesy: false,
            ident_every: None,
        },
    }
}

fn quiet(id: &str) -> RadioSettings {
    let mut settings = settings(id, Kind::Radio);
    settings.tones.permit = false;
    settings
}

impl Rig {
    /// These, in the order of their numbers.
    pub(super) fn radios(&mut self, radios: &[RadioSettings]) {
        let numbered = (0..).map(RadioId).zip(radios.iter().cloned().map(Arc::new));
        self.give(Input::Radios(numbered.collect()));
        for n in 0..radios.len() as u16 {
            self.ready(RadioId(n), true, true);
        }
        self.orders.clear();
    }

    pub(super) fn ready(&mut self, radio: RadioId, receiver: bool, transmitter: bool) {
        let event = Event::Ready {
            receiver,
            transmitter,
        };
        self.give(Input::Radio { radio, event });
    }

    pub(super) fn carrier(&mut self, radio: RadioId, up: bool) {
        let event = Event::Carrier { up, at: self.now };
        self.give(Input::Radio { radio, event });
    }

    fn drained(&mut self, radio: RadioId) {
        let event = Event::Drained { at: self.now };
        self.give(Input::Radio { radio, event });
    }

    /// The media threads see packets of whoever is heard.
    fn flows(&mut self, channel: &str) {
        let transport = self.heard_on(channel).expect("nobody is heard");
        self.give(Input::Media(media::Event::Flows(transport)));
    }

    /// Like `wait`, serving each deadline at its time.
    pub(super) fn passes(&mut self, ms: u64) {
        let until = self.now + Duration::from_millis(ms);
        while let Some(due) = self.edge.poll_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.edge.handle_timeout(self.now);
            self.carry_out();
        }
        self.now = until;
    }

    fn talks(&self, channel: &str) -> Option<String> {
        let talk = self.edge.talk(&channel.into(), self.now)?;
        Some(talk.talker.name)
    }

    /// What a radio was ordered since this was last asked.
    fn ordered(&mut self, radio: RadioId) -> Vec<String> {
        let mut ordered = Vec::new();
        self.orders.retain(|(to, order)| {
            if *to != radio {
                return true;
            }
            ordered.push(match order {
                Order::Key { .. } => "key".into(),
                Order::Play { transmission, .. } => format!("play {transmission}"),
                Order::Receive { transmission, .. } => format!("receive {transmission}"),
                Order::StopReceiving { .. } => "stop receiving".into(),
                Order::Tone(tone) => format!("{tone:?}").to_lowercase(),
                order => format!("{order:?}").to_lowercase(),
            });
            false
        });
        ordered
    }

    fn view(&self, radio: RadioId) -> RadioView {
        let mut views = self.edge.radios_now(self.now).into_iter();
        views.find(|view| view.radio == radio).expect("a radio")
    }
}

fn is_heard(rig: &Rig, radio: RadioId) -> bool {
    rig.heard_on(OPS) == Some(rig.places[&radio].0)
}

#[test]
fn a_carrier_takes_the_floor_and_everyone_sees_who_talks() {
    let mut rig = Rig::new();
    rig.radios(&[settings("hall", Kind::Radio)]);
    let ben = rig.on("ben", OPS);
    let since = rig.now;
    rig.carrier(HALL, true);
    assert_eq!(rig.heard_on(OPS), None, "it may be a spark");
    rig.passes(20);
    assert!(is_heard(&rig, HALL));
    let told = ServerMessage::Start {
        channel_id: OPS.into(),
        talk: Talk {
            transmission_id: TransmissionId(1),
            talker: Person {
                session_id: SessionId(1),
                user_id: "radio:hall".into(),
                name: "The hall".into(),
                role: Role::User,
            },
            level: Level::Normal,
            elapsed_ms: 0,
        },
    };
    assert_eq!(rig.last(ben).message, told);
    let order = Order::Receive {
        transmission: TransmissionId(1),
        from: since - Duration::from_millis(20),
        delayed: false,
    };
    assert_eq!(
        rig.orders,
        [(HALL, order)],
        "and its own transmitter stays down"
    );
    assert_eq!(rig.view(HALL).state, RadioState::Receiving);
    rig.flows(OPS);
    rig.passes(10_000);
    rig.carrier(HALL, false);
    rig.passes(249);
    rig.orders.clear();
    rig.passes(1);
    let until = rig.now;
    assert_eq!(rig.orders, [(HALL, Order::StopReceiving { until })]);
    assert!(is_heard(&rig, HALL), "the last packet is under way");
    rig.passes(40);
    assert_eq!(rig.heard_on(OPS), None);
    assert!(matches!(
        rig.last(ben).message,
        ServerMessage::Stop {
            reason: EndReason::Released,
            ..
        }
    ));
    let began = rig.happened.iter().any(|what| {
        matches!(what, Happening::TalkBegan { talker, .. } if talker.user_id.as_str() == "radio:hall")
    });
    assert!(
        began
            && rig
                .happened
                .iter()
                .any(|what| matches!(what, Happening::TalkEnded { .. }))
    );
    let carla = rig.on("carla", OPS);
    assert!(
        rig.tells(carla, |m| matches!(m, ServerMessage::Joined { recent, .. }
        if recent[0].talker.name == "The hall"))
    );
}

#[test]
fn vox_is_sent_late_and_the_floor_kept_until_all_of_it_is_out() {
    let mut rig = Rig::new();
    let mut vox = settings("hall", Kind::Radio);
    vox.squelch.vox_delay = Some(Duration::from_millis(210));
    vox.squelch.debounce = Duration::ZERO;
    vox.squelch.hang = Duration::from_millis(800);
    rig.radios(&[vox]);
    let up = rig.now;
    rig.carrier(HALL, true);
    let from = up - Duration::from_millis(210);
    let order = Order::Receive {
        transmission: TransmissionId(1),
        from,
        delayed: true,
    };
    assert_eq!(rig.orders, [(HALL, order)]);
    rig.flows(OPS);
    rig.passes(1_000);
    rig.carrier(HALL, false);
    rig.passes(800 + 210 + 39);
    assert!(is_heard(&rig, HALL));
    rig.orders.clear();
    // Someone goes on speaking before that.
    rig.carrier(HALL, true);
    let order = Order::Receive {
        transmission: TransmissionId(1),
        from: rig.now - Duration::from_millis(210),
        delayed: true,
    };
    assert_eq!(rig.orders, [(HALL, order)]);
    rig.passes(5_000);
    assert!(is_heard(&rig, HALL));
    rig.carrier(HALL, false);
    rig.passes(800 + 210 + 40);
    assert_eq!(rig.heard_on(OPS), None);
}

#[test]
fn a_talker_keys_the_radio_before_packets_flow_and_it_goes_off_after_the_tail() {
    let mut rig = Rig::new();
    rig.radios(&[quiet("hall")]);
    let ben = rig.on("ben", OPS);
    let channel_id = OPS.into();
    let level = Level::Normal;
    let request = Request {
        id: Some(9),
        message: ClientMessage::Start { channel_id, level },
    };
    let input = Input::Message {
        connection: ben,
        request,
    };
    rig.edge.handle(input, rig.now);
    let mut said = Vec::new();
    while let Some(output) = rig.edge.poll_output() {
        match output {
            Output::Radio { order, .. } => said.push(format!("{order:?}")),
            Output::Media(Command::Talker { .. }) => said.push("packets".into()),
            _ => {}
        }
    }
    assert!(
        said[0].starts_with("Key") && said[1].starts_with("Play"),
        "{said:?}"
    );
    assert_eq!(said[2..], ["packets"]);
    assert_eq!(rig.view(HALL).state, RadioState::Lead);
    assert_eq!(rig.view(HALL).talker.as_deref(), Some("Ben"));
    rig.passes(1_000);
    let view = rig.view(HALL);
    assert_eq!(
        (view.state, view.on_air_ms),
        (RadioState::OnAir, Some(1_000))
    );
    assert_eq!(view.tot_left_ms, Some(119_000));
    assert_eq!(view.squelch, SquelchView::Deaf);
    rig.orders.clear();
    rig.stop(ben, OPS);
    assert_eq!(rig.ordered(HALL), ["endplay"]);
    assert_eq!(rig.view(HALL).state, RadioState::Draining);
    rig.passes(60);
    rig.drained(HALL);
    assert_eq!(rig.view(HALL).state, RadioState::Tail);
    rig.orders.clear();
    rig.passes(100);
    assert_eq!(rig.ordered(HALL), ["unkey"]);
    assert_eq!(rig.view(HALL).state, RadioState::Idle);
}

#[test]
fn someone_who_keyed_up_while_we_transmitted_is_heard_when_we_stop() {
    let mut rig = Rig::new();
    rig.radios(&[quiet("hall")]);
    let ben = rig.on("ben", OPS);
    rig.start(ben, OPS, Level::Normal);
    rig.flows(OPS);
    rig.passes(500);
    rig.carrier(HALL, true);
    rig.passes(500);
    rig.stop(ben, OPS);
    rig.drained(HALL);
    rig.passes(100 + 300 + 19);
    assert_eq!(rig.talks(OPS), None);
    rig.passes(1);
    assert_eq!(rig.talks(OPS).as_deref(), Some("The hall"));
}

#[test]
fn a_radio_that_has_to_wait_is_heard_when_the_floor_is_free() {
    for depth in [0, 5] {
        let mut rig = Rig::new();
        rig.change_roster(|roster| {
            let ops = roster.channels.get_mut(&ChannelId::from(OPS)).expect("ops");
            ops.floor.queue_depth = depth;
        });
        let mut listens = settings("hall", Kind::Desk);
        listens.transmits = false;
        rig.radios(&[listens]);
        let ben = rig.on("ben", OPS);
        rig.start(ben, OPS, Level::Normal);
        rig.flows(OPS);
        rig.carrier(HALL, true);
        rig.passes(3_000);
        assert_eq!(rig.ordered(HALL), ["deny"], "once");
        rig.stop(ben, OPS);
        assert!(is_heard(&rig, HALL), "queue of {depth}");
        let from = rig.now - Duration::from_millis(140);
        let order = Order::Receive {
            transmission: TransmissionId(2),
            from,
            delayed: false,
        };
        assert_eq!(
            rig.orders[0],
            (HALL, order),
            "not what was said long before"
        );
        assert_eq!(rig.ordered(HALL), ["receive 2", "permit"]);
        // One who gave up waiting is not.
        rig.flows(OPS);
        rig.carrier(HALL, false);
        rig.passes(1_000);
        rig.start(ben, OPS, Level::Normal);
        rig.carrier(HALL, true);
        rig.passes(1_000);
        rig.carrier(HALL, false);
        rig.passes(1_000);
        rig.stop(ben, OPS);
        assert_eq!(rig.talks(OPS), None);
    }
}

#[test]
fn a_radio_asks_with_its_level() {
    let mut rig = Rig::new();
    let mut dispatch = quiet("hall");
    dispatch.level = Level::Dispatch;
    rig.radios(&[dispatch]);
    let ben = rig.on("ben", OPS);
    rig.start(ben, OPS, Level::Normal);
    rig.flows(OPS);
    // Deaf while it sends Ben out: its transmitter has to be away for this.
    rig.ready(HALL, true, false);
    rig.passes(300);
    rig.carrier(HALL, true);
    rig.passes(20);
    assert!(is_heard(&rig, HALL));
    assert!(rig.tells(ben, |m| matches!(
        m,
        ServerMessage::Revoked {
            reason: EndReason::Preempted,
            ..
        }
    )));
}

#[test]
fn after_the_talk_limit_the_handheld_has_to_be_let_go() {
    let mut rig = Rig::new();
    rig.radios(&[settings("hall", Kind::Radio)]);
    rig.carrier(HALL, true);
    rig.passes(20);
    rig.flows(OPS);
    rig.orders.clear();
    rig.passes(60_000);
    let until = rig.now + Duration::from_millis(500);
    assert_eq!(rig.orders, [(HALL, Order::StopReceiving { until })]);
    assert!(is_heard(&rig, HALL), "the last word");
    rig.passes(10_000);
    assert_eq!(rig.heard_on(OPS), None);
    rig.carrier(HALL, false);
    rig.passes(300);
    rig.carrier(HALL, true);
    rig.passes(20);
    assert!(is_heard(&rig, HALL));
}

#[test]
fn a_dispatcher_cuts_and_silences_a_radio() {
    let mut rig = Rig::new();
    rig.radios(&[quiet("hall")]);
    let (anna, ben) = (rig.on("anna", OPS), rig.on("ben", OPS));
    let member = |rig: &Rig, who| {
        let told = rig.told[&who].iter().rev();
        let mut members = told.filter_map(|reply| match &reply.message {
            ServerMessage::Member { member, .. } => Some(member.clone()),
            _ => None,
        });
        members.next().expect("a member was told of")
    };
    rig.carrier(HALL, true);
    rig.passes(20);
    rig.flows(OPS);
    let end = ClientMessage::EndTalk {
        channel_id: OPS.into(),
        transmission_id: None,
    };
    rig.says(anna, 7, end);
    rig.passes(10_000);
    assert_eq!(rig.talks(OPS), None, "its carrier is still up");
    let cut = |what: &Happening| matches!(what, Happening::TalkCut { talker, .. } if talker.as_str() == "radio:hall");
    assert!(rig.happened.iter().any(cut));
    rig.carrier(HALL, false);
    rig.passes(1_000);
    let silence = |minutes| ClientMessage::Silence {
        channel_id: OPS.into(),
        user_id: "radio:hall".into(),
        minutes,
    };
    rig.says(anna, 8, silence(1));
    assert!(matches!(
        rig.last(anna).message,
        ServerMessage::Silenced {
            left_ms: 60_000,
            ..
        }
    ));
    assert_eq!(member(&rig, ben).silenced_ms, Some(60_000));
    assert_eq!(rig.view(HALL).silenced_ms, Some(60_000));
    rig.carrier(HALL, true);
    rig.passes(59_000);
    assert_eq!(rig.talks(OPS), None);
    rig.passes(1_000);
    assert!(is_heard(&rig, HALL), "a line is a level");
    rig.flows(OPS);
    rig.says(anna, 9, silence(1));
    assert_eq!(rig.talks(OPS), None);
    rig.says(anna, 10, silence(0));
    rig.passes(10_000);
    assert_eq!(rig.talks(OPS), None, "its talk was cut");
    // The transmitter goes on meanwhile.
    rig.orders.clear();
    rig.start(ben, OPS, Level::Normal);
    assert_eq!(rig.ordered(HALL)[..2], ["key", "play 3"]);
}

#[test]
fn a_silenced_radio_stays_so_after_a_restart() {
    let mut rig = Rig::new();
    rig.radios(&[quiet("hall")]);
    let anna = rig.on("anna", OPS);
    let silence = ClientMessage::Silence {
        channel_id: OPS.into(),
        user_id: "radio:hall".into(),
        minutes: 5,
    };
    rig.says(anna, 8, silence);
    let mut again = Rig::with_board(rig.kept.take().expect("kept"));
    again.radios(&[quiet("hall")]);
    again.carrier(HALL, true);
    again.passes(60_000);
    assert_eq!(again.talks(OPS), None);
}

#[test]
fn radios_key_each_other_only_where_they_relay_and_desks_always_hear() {
    for (relay, yard_keys) in [(false, false), (true, true)] {
        let mut rig = Rig::new();
        let mut yard = quiet("yard");
        yard.relay = relay;
        let mut desk = settings("desk", Kind::Desk);
        desk.tones.permit = false;
        rig.radios(&[quiet("hall"), yard, desk]);
        rig.carrier(HALL, true);
        rig.passes(20);
        assert!(is_heard(&rig, HALL));
        let expected: &[&str] = if yard_keys { &["key", "play 1"] } else { &[] };
        assert_eq!(rig.ordered(YARD), expected);
        assert_eq!(rig.ordered(DESK), ["play 1"]);
        assert_eq!(rig.ordered(HALL), ["receive 1"]);
        rig.flows(OPS);
        rig.carrier(HALL, false);
        rig.passes(1_000);
        rig.orders.clear();
        // What a desk says goes out everywhere.
        rig.carrier(DESK, true);
        rig.passes(20);
        rig.flows(OPS);
        assert_eq!(rig.ordered(HALL), ["key", "play 2"]);
        assert!(rig.ordered(YARD).contains(&"play 2".into()));
        assert_eq!(rig.ordered(DESK), ["receive 2"]);
    }
}

#[test]
fn radios_that_hear_each_other_are_held_off() {
    let mut rig = Rig::new();
    let relay = |id| RadioSettings {
        relay: true,
        ..quiet(id)
    };
    rig.radios(&[relay("hall"), relay("yard")]);
    let mut talks = 0;
    let mut radios = [HALL, YARD].into_iter().cycle();
    while rig.view(HALL).squelch != SquelchView::HeldOff {
        let radio = radios.next().expect("endless");
        rig.carrier(radio, true);
        rig.passes(20);
        talks += 1;
        assert!(talks < 20, "nobody watches");
        rig.carrier(radio, false);
        rig.passes(300);
        for radio in [HALL, YARD] {
            rig.drained(radio);
        }
        rig.passes(500);
    }
    assert_eq!(talks, 5);
    assert!(rig.view(YARD).problem.is_some_and(|p| p.contains("loop")));
    rig.carrier(HALL, true);
    rig.passes(25_000);
    assert_eq!(rig.talks(OPS), None);
    rig.passes(5_000);
    assert_eq!(rig.talks(OPS).as_deref(), Some("The hall"));
}

#[test]
fn the_tot_takes_the_floor_and_locks_out_until_the_button_is_let_go() {
    let mut rig = Rig::new();
    let mut hall = quiet("hall");
    hall.keying.tot = Duration::from_secs(15);
    rig.radios(&[hall]);
    let (anna, ben) = (rig.on("anna", OPS), rig.on("ben", OPS));
    rig.start(ben, OPS, Level::Normal);
    rig.flows(OPS);
    rig.passes(5_000);
    let warned = |m: &ServerMessage| {
        matches!(
            m,
            ServerMessage::LimitWarning {
                left_ms: 10_000,
                ..
            }
        )
    };
    assert!(rig.tells(ben, warned));
    rig.passes(10_000);
    let revoked = |m: &ServerMessage| {
        matches!(
            m,
            ServerMessage::Revoked {
                reason: EndReason::TalkLimit,
                ..
            }
        )
    };
    assert!(rig.tells(ben, revoked));
    assert_eq!(rig.heard_on(OPS), None);
    let ordered = rig.ordered(HALL);
    assert!(
        ordered.ends_with(&["prealert".into(), "unkey".into(), "discard".into()]),
        "{ordered:?}"
    );
    assert_eq!(rig.view(HALL).state, RadioState::LockedOut);
    rig.start(anna, OPS, Level::Normal);
    rig.flows(OPS);
    rig.passes(10_000);
    assert_eq!(rig.ordered(HALL), [""; 0], "Ben has not let go");
    rig.stop(ben, OPS);
    rig.passes(4_999);
    assert_eq!(rig.ordered(HALL), [""; 0], "it rests");
    rig.passes(1);
    assert_eq!(rig.ordered(HALL), ["key", "play 2"], "Anna is taken up");
}

#[test]
fn a_radio_is_a_member_while_it_is_there() {
    let mut rig = Rig::new();
    let ben = rig.on("ben", OPS);
    rig.radios(&[quiet("hall")]);
    let is_hall = |m: &ServerMessage| matches!(m, ServerMessage::Member { member, .. } if member.person.name == "The hall");
    assert!(rig.tells(ben, is_hall));
    let carla = rig.on("carla", OPS);
    let listed = |m: &ServerMessage| matches!(m, ServerMessage::Joined { members, .. } if members.len() == 3);
    assert!(rig.tells(carla, listed));
    rig.ready(HALL, false, true);
    assert!(!rig.tells(ben, |m| matches!(m, ServerMessage::MemberLeft { .. })));
    rig.ready(HALL, false, false);
    let left = |m: &ServerMessage| {
        matches!(
            m,
            ServerMessage::MemberLeft {
                session_id: SessionId(1),
                ..
            }
        )
    };
    assert!(rig.tells(ben, left));
    assert_eq!(rig.view(HALL).state, RadioState::Down);
    rig.told.clear();
    rig.ready(HALL, true, true);
    assert!(rig.tells(ben, is_hall));
    rig.give(Input::Radios(Vec::new()));
    assert!(rig.tells(ben, left));
}

#[test]
fn a_card_that_is_pulled_ends_its_talk_and_unkeys() {
    let mut rig = Rig::new();
    rig.radios(&[quiet("hall")]);
    let ben = rig.on("ben", OPS);
    rig.carrier(HALL, true);
    rig.passes(20);
    rig.flows(OPS);
    rig.orders.clear();
    rig.ready(HALL, false, false);
    assert_eq!(rig.ordered(HALL)[0], "stop receiving");
    assert_eq!(rig.heard_on(OPS), None);
    rig.start(ben, OPS, Level::Normal);
    rig.flows(OPS);
    assert_eq!(rig.ordered(HALL), [""; 0]);
    rig.ready(HALL, true, true);
    assert_eq!(rig.ordered(HALL), ["key", "play 2"]);
    rig.passes(1_000);
    rig.ordered(HALL);
    rig.ready(HALL, true, false);
    assert_eq!(rig.ordered(HALL), ["unkey", "discard"]);
    assert!(rig.view(HALL).problem.is_some());
}

#[test]
fn a_radio_without_its_channel_does_nothing_until_it_is_there() {
    for echo in [false, true] {
        let mut rig = Rig::new();
        rig.radios(&[quiet("hall")]);
        let ben = rig.on("ben", OPS);
        let route = rig.places[&HALL].1;
        assert_eq!(rig.sent_out[&route.expect("a route")], [HALL]);
        rig.start(ben, OPS, Level::Normal);
        rig.flows(OPS);
        rig.passes(1_000);
        rig.ordered(HALL);
        rig.change_roster(|roster| {
            if echo {
                let ops = roster.channels.get_mut(&ChannelId::from(OPS));
                ops.expect("ops").echo = true;
            } else {
                roster.channels.remove(&ChannelId::from(OPS));
                for user in roster.users.values_mut() {
                    user.channels.remove(&ChannelId::from(OPS));
                }
            }
        });
        assert_eq!(rig.sent_out[&route.expect("a route")], []);
        assert_eq!(rig.places[&HALL].1, None);
        assert_eq!(rig.ordered(HALL), ["endplay"]);
        rig.stop(ben, OPS);
        rig.drained(HALL);
        rig.passes(1_000);
        rig.carrier(HALL, true);
        rig.passes(1_000);
        assert_eq!(rig.talks(OPS), None, "echo: {echo}");
        assert!(
            rig.view(HALL)
                .problem
                .is_some_and(|p| p.contains("channel"))
        );
        rig.change_roster(|_| {});
        assert!(rig.places[&HALL].1.is_some());
        assert_eq!(
            rig.talks(OPS).as_deref(),
            Some("The hall"),
            "a line is a level"
        );
    }
}

#[test]
fn new_settings_end_what_the_old_ones_did_and_leave_the_others_alone() {
    let mut rig = Rig::new();
    rig.radios(&[quiet("hall"), quiet("yard")]);
    let ben = rig.on("ben", OPS);
    rig.start(ben, OPS, Level::Normal);
    rig.flows(OPS);
    rig.ordered(YARD);
    rig.ordered(HALL);
    let before = rig.places[&HALL].0;
    let mut changed = quiet("hall");
    changed.name = "Another hall".into();
    let both = [(HALL, Arc::new(changed)), (YARD, Arc::new(quiet("yard")))];
    rig.give(Input::Radios(both.into()));
    assert_eq!(rig.ordered(HALL), ["unkey", "discard"]);
    assert_eq!(rig.ordered(YARD), [""; 0]);
    assert_ne!(
        rig.places[&HALL].0, before,
        "its packets are not those of before"
    );
    assert_eq!(rig.view(HALL).state, RadioState::Down, "until it is ready");
    rig.ready(HALL, true, true);
    assert_eq!(rig.ordered(HALL), ["key", "play 1"]);
}

#[test]
fn every_radio_is_told_its_place_again_when_radios_are_replaced() {
    let mut rig = Rig::new();
    let both = [quiet("hall"), quiet("yard")];
    rig.radios(&both);
    let before = std::mem::take(&mut rig.places);
    assert!(before.values().all(|(_, route)| route.is_some()));
    rig.give(Input::Radios(
        [HALL, YARD].into_iter().zip(both.map(Arc::new)).collect(),
    ));
    assert_eq!(rig.places, before, "their threads may be new ones");
}

#[test]
fn a_hold_off_ends_where_no_radio_is_left() {
    let mut rig = Rig::new();
    let relay = |id| RadioSettings {
        relay: true,
        ..quiet(id)
    };
    rig.radios(&[relay("hall"), relay("yard")]);
    for radio in [HALL, YARD, HALL, YARD, HALL] {
        rig.carrier(radio, true);
        rig.passes(20);
        rig.carrier(radio, false);
        rig.passes(300);
        for radio in [HALL, YARD] {
            rig.drained(radio);
        }
        rig.passes(500);
    }
    assert_eq!(rig.view(HALL).squelch, SquelchView::HeldOff);
    rig.give(Input::Radios(Vec::new()));
    rig.wait(60_000);
    let due = rig.edge.poll_timeout();
    assert!(
        due.is_none_or(|due| due > rig.now),
        "the reactor would spin"
    );
}

#[test]
fn a_tot_is_of_whoever_talked_then_not_of_the_next() {
    let mut rig = Rig::new();
    rig.change_roster(|roster| {
        let ops = roster.channels.get_mut(&ChannelId::from(OPS)).expect("ops");
        ops.floor.talk_limit = Duration::from_secs(15);
        ops.floor.grace = Duration::ZERO;
        ops.floor.queue_depth = 5;
    });
    let mut hall = quiet("hall");
    hall.keying.tot = Duration::from_secs(15);
    rig.radios(&[hall]);
    let (anna, ben) = (rig.on("anna", OPS), rig.on("ben", OPS));
    rig.start(ben, OPS, Level::Normal);
    rig.flows(OPS);
    rig.start(anna, OPS, Level::Normal);
    rig.passes(14_990);
    assert_eq!(rig.talks(OPS).as_deref(), Some("Ben"));
    // The floor's limit and the TOT are due in one.
    rig.wait(10);
    assert_eq!(rig.talks(OPS).as_deref(), Some("Anna"));
    let revoked = |m: &ServerMessage| matches!(m, ServerMessage::Revoked { .. });
    assert!(!rig.tells(anna, revoked));
    assert_eq!(rig.view(HALL).state, RadioState::LockedOut);
}

#[test]
fn nothing_of_the_box_s_own_goes_over_someone_in_deaf_time() {
    for (carrier, expected) in [(false, "key"), (true, "")] {
        let mut rig = Rig::new();
        rig.radios(&[quiet("hall")]);
        let ben = rig.on("ben", OPS);
        rig.start(ben, OPS, Level::Normal);
        rig.flows(OPS);
        rig.passes(1_000);
        rig.stop(ben, OPS);
        rig.drained(HALL);
        rig.passes(100 + 20);
        assert_eq!(rig.view(HALL).squelch, SquelchView::Deaf);
        rig.carrier(HALL, carrier);
        rig.passes(10);
        rig.ordered(HALL);
        let length = Duration::from_secs(2);
        let event = Event::TestTone { length };
        rig.give(Input::Radio { radio: HALL, event });
        assert_eq!(rig.ordered(HALL).concat(), expected, "carrier: {carrier}");
    }
}

#[test]
fn a_test_tone_goes_out_and_the_line_is_shown_as_it_is() {
    let mut rig = Rig::new();
    rig.radios(&[quiet("hall")]);
    rig.passes(10);
    let test = |rig: &mut Rig| {
        let length = Duration::from_secs(2);
        let event = Event::TestTone { length };
        rig.give(Input::Radio { radio: HALL, event });
        rig.passes(150);
        rig.ordered(HALL)
    };
    let length = Duration::from_secs(2);
    let tone = format!("{:?}", Tone::Test { length }).to_lowercase();
    assert_eq!(test(&mut rig), ["key".into(), tone]);
    assert_eq!(rig.view(HALL).state, RadioState::TestTone);
    rig.carrier(HALL, true);
    rig.passes(2_000);
    assert_eq!(rig.talks(OPS), None, "it hears its own tone");
    let line = |keyed, fault| Input::Radio {
        radio: HALL,
        event: Event::Line {
            keyed,
            fault,
            locked: false,
        },
    };
    rig.give(line(true, false));
    assert!(rig.view(HALL).line_keyed);
    rig.drained(HALL);
    rig.passes(100);
    rig.passes(5_000);
    assert_eq!(rig.talks(OPS), None, "its line is still up");
    assert!(
        rig.view(HALL)
            .problem
            .is_some_and(|p| p.contains("PTT line is up"))
    );
    rig.give(line(false, false));
    rig.passes(320);
    assert_eq!(rig.talks(OPS).as_deref(), Some("The hall"));
    rig.ordered(HALL);
    assert_eq!(test(&mut rig), [""; 0], "not while someone is there");
}

#[test]
fn shutdown_unkeys_every_radio() {
    let mut rig = Rig::new();
    rig.radios(&[quiet("hall")]);
    let ben = rig.on("ben", OPS);
    rig.start(ben, OPS, Level::Normal);
    rig.passes(1_000);
    rig.ordered(HALL);
    rig.give(Input::Shutdown);
    let ordered = rig.ordered(HALL);
    assert!(ordered.contains(&"unkey".into()), "{ordered:?}");
    rig.passes(5_000);
    assert_eq!(rig.ordered(HALL), [""; 0]);
}
