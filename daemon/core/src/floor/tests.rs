use super::*;
use crate::ids::SessionId;
use proptest::prelude::*;

const ANNA: ParticipantId = ParticipantId::Session(SessionId(1));
const BEN: ParticipantId = ParticipantId::Session(SessionId(2));
const CARLA: ParticipantId = ParticipantId::Session(SessionId(3));

/// A floor and its clock, stepped by hand.
struct Rig {
    floor: Floor,
    start: Instant,
    now: Instant,
}

impl Rig {
    fn new(settings: FloorSettings) -> Rig {
        #[allow(
            clippy::disallowed_methods,
            reason = "a test's arbitrary origin of time"
        )]
        let start = Instant::now();
        Rig {
            floor: Floor::new(settings, TransmissionIds::starting_at(TransmissionId(1))),
            start,
            now: start,
        }
    }

    fn policy(policy: FloorPolicy) -> Rig {
        Rig::new(FloorSettings {
            policy,
            ..FloorSettings::default()
        })
    }

    fn at(&mut self, ms: u64) -> &mut Self {
        self.now = self.start + Duration::from_millis(ms);
        self.floor.handle_timeout(self.now);
        self
    }

    fn give(&mut self, input: Input) -> Vec<Output> {
        self.floor.handle(input, self.now);
        self.outputs()
    }

    fn asks(&mut self, who: ParticipantId, level: Level) -> Vec<Output> {
        self.give(Input::Request { who, level })
    }

    /// Asks, is granted and is heard.
    fn talks(&mut self, who: ParticipantId, level: Level) {
        let out = self.asks(who, level);
        assert!(granted(&out, who), "{who} was not granted: {out:?}");
        self.give(Input::MediaFlows { who });
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.floor.poll_output()).collect()
    }
}

fn granted(out: &[Output], who: ParticipantId) -> bool {
    out.iter()
        .any(|o| matches!(o, Output::Granted { to, .. } if *to == who))
}

fn denied(out: &[Output], who: ParticipantId) -> Option<DenyReason> {
    out.iter().find_map(|o| match o {
        Output::Denied { to, reason } if *to == who => Some(*reason),
        _ => None,
    })
}

fn place(out: &[Output], who: ParticipantId) -> Option<u32> {
    out.iter().rev().find_map(|o| match o {
        Output::Queued { to, position, .. } if *to == who => Some(*position),
        _ => None,
    })
}

fn revoked(out: &[Output], who: ParticipantId) -> Option<EndReason> {
    out.iter().find_map(|o| match o {
        Output::Revoked { from, reason, .. } if *from == who => Some(*reason),
        _ => None,
    })
}

fn ended(out: &[Output], who: ParticipantId) -> Option<EndReason> {
    out.iter().find_map(|o| match o {
        Output::Ended { by, reason, .. } if *by == who => Some(*reason),
        _ => None,
    })
}

/// What a second request meets, for each policy and pair of levels.
#[test]
fn every_policy_and_pair_of_levels_has_its_answer() {
    #[derive(Debug, PartialEq)]
    enum Answer {
        Takes,
        Waits,
        Denied,
    }
    for policy in [FloorPolicy::Preempt, FloorPolicy::Queue, FloorPolicy::Deny] {
        for held in Level::ALL {
            for asked in Level::ALL {
                let mut rig = Rig::policy(policy);
                rig.talks(ANNA, held);
                let out = rig.asks(BEN, asked);
                let answer = match (
                    granted(&out, BEN),
                    place(&out, BEN),
                    denied(&out, BEN),
                    revoked(&out, ANNA),
                ) {
                    (true, None, None, Some(EndReason::Preempted)) => Answer::Takes,
                    (false, Some(1), None, None) => Answer::Waits,
                    (false, None, Some(DenyReason::Busy), None) => Answer::Denied,
                    other => panic!("{policy:?} {held:?} {asked:?}: {other:?}"),
                };
                let expected = match policy {
                    FloorPolicy::Preempt if asked > held => Answer::Takes,
                    FloorPolicy::Preempt | FloorPolicy::Queue => Answer::Waits,
                    FloorPolicy::Deny => Answer::Denied,
                };
                assert_eq!(
                    answer, expected,
                    "{policy:?}: {asked:?} asks while {held:?} talks"
                );
            }
        }
    }
}

/// Each way a transmission can end: when, and with what word.
#[test]
fn every_end_has_its_time_and_reason() {
    type Step = fn(&mut Rig);
    let table: &[(&str, Step, u64, EndReason)] = &[
        ("no first packet", |_| {}, 2_000, EndReason::NoMedia),
        (
            "silence counts from the last packet",
            |rig| {
                let since = rig.now;
                rig.give(Input::MediaFlows { who: ANNA });
                rig.at(1_000);
                rig.give(Input::MediaStalled { who: ANNA, since });
            },
            4_000,
            EndReason::Silence,
        ),
        (
            "a lost socket while media flows",
            |rig| {
                rig.give(Input::MediaFlows { who: ANNA });
                rig.give(Input::SocketLost { who: ANNA });
            },
            3_000,
            EndReason::Disconnected,
        ),
        (
            "the talk limit and its grace",
            |rig| {
                rig.give(Input::MediaFlows { who: ANNA });
            },
            60_500,
            EndReason::TalkLimit,
        ),
    ];
    for (what, step, ms, reason) in table {
        let mut rig = Rig::policy(FloorPolicy::Preempt);
        rig.asks(ANNA, Level::Normal);
        step(&mut rig);
        rig.outputs();
        let out = rig.at(ms - 1).outputs();
        assert_eq!(ended(&out, ANNA), None, "{what}: too early");
        let out = rig.at(*ms).outputs();
        assert_eq!(ended(&out, ANNA), Some(*reason), "{what}");
        assert!(out.contains(&Output::Route(None)), "{what}: still heard");
    }
}

#[test]
fn media_that_comes_back_in_time_keeps_the_floor() {
    let mut rig = Rig::policy(FloorPolicy::Preempt);
    rig.talks(ANNA, Level::Normal);
    let since = rig.now;
    rig.give(Input::MediaStalled { who: ANNA, since });
    rig.at(3_900);
    rig.give(Input::MediaFlows { who: ANNA });
    assert_eq!(rig.at(30_000).outputs(), []);
}

#[test]
fn a_socket_that_comes_back_in_time_keeps_the_floor() {
    let mut rig = Rig::policy(FloorPolicy::Preempt);
    rig.talks(ANNA, Level::Normal);
    rig.give(Input::SocketLost { who: ANNA });
    rig.at(2_900);
    rig.give(Input::SocketBack { who: ANNA });
    assert_eq!(rig.at(30_000).outputs(), []);
}

#[test]
fn talker_is_warned_ten_seconds_before_the_limit_and_heard_through_the_grace() {
    let mut rig = Rig::policy(FloorPolicy::Preempt);
    rig.talks(ANNA, Level::Normal);
    let out = rig.at(50_000).outputs();
    assert!(matches!(out[..], [Output::Warned { left, .. }] if left == Duration::from_secs(10)));
    let out = rig.at(60_000).outputs();
    assert!(
        matches!(out[..], [Output::Revoked { reason: EndReason::TalkLimit, grace, .. }]
            if grace == Duration::from_millis(500))
    );
    assert!(
        rig.floor.talk().is_some(),
        "the last syllable is still heard"
    );
    let out = rig.at(60_500).outputs();
    assert_eq!(ended(&out, ANNA), Some(EndReason::TalkLimit));
}

#[test]
fn a_short_limit_warns_at_its_half() {
    let mut rig = Rig::new(FloorSettings {
        talk_limit: Duration::from_secs(6),
        ..FloorSettings::default()
    });
    rig.talks(ANNA, Level::Normal);
    assert!(rig.at(2_999).outputs().is_empty());
    assert!(matches!(
        rig.at(3_000).outputs()[..],
        [Output::Warned { .. }]
    ));
}

#[test]
fn after_the_limit_the_button_must_be_let_go() {
    let mut rig = Rig::policy(FloorPolicy::Preempt);
    rig.talks(ANNA, Level::Normal);
    rig.at(60_500);
    let out = rig.asks(ANNA, Level::Normal);
    assert_eq!(denied(&out, ANNA), Some(DenyReason::ReleaseFirst));
    rig.give(Input::Release { who: ANNA });
    rig.talks(ANNA, Level::Normal);
}

#[test]
fn asking_again_while_holding_answers_the_same_grant() {
    let mut rig = Rig::policy(FloorPolicy::Preempt);
    rig.talks(ANNA, Level::Normal);
    rig.at(10_000);
    let out = rig.asks(ANNA, Level::Normal);
    assert_eq!(
        out,
        [Output::Granted {
            to: ANNA,
            transmission: TransmissionId(1),
            level: Level::Normal,
            left: Duration::from_secs(50),
            again: true,
        }]
    );
}

#[test]
fn a_talker_who_calls_an_emergency_cannot_be_preempted_by_a_dispatcher() {
    let mut rig = Rig::policy(FloorPolicy::Preempt);
    rig.talks(ANNA, Level::Normal);
    let out = rig.asks(ANNA, Level::Emergency);
    assert!(
        out.iter().any(|o| matches!(
            o,
            Output::Taken {
                level: Level::Emergency,
                ..
            }
        )),
        "the others learn of it"
    );
    assert_eq!(place(&rig.asks(BEN, Level::Dispatch), BEN), Some(1));
}

#[test]
fn waiting_one_who_lets_go_is_not_granted() {
    let mut rig = Rig::policy(FloorPolicy::Preempt);
    rig.talks(ANNA, Level::Normal);
    rig.asks(BEN, Level::Normal);
    rig.asks(CARLA, Level::Normal);
    let out = rig.give(Input::Release { who: BEN });
    assert_eq!(place(&out, CARLA), Some(1));
    let out = rig.give(Input::Release { who: ANNA });
    assert!(granted(&out, CARLA) && !granted(&out, BEN));
}

#[test]
fn asking_again_while_waiting_keeps_the_place() {
    let mut rig = Rig::policy(FloorPolicy::Preempt);
    rig.talks(ANNA, Level::Normal);
    rig.asks(BEN, Level::Normal);
    rig.asks(CARLA, Level::Normal);
    assert_eq!(place(&rig.asks(BEN, Level::Normal), BEN), Some(1));
}

#[test]
fn a_silence_that_goes_on_counts_from_its_beginning() {
    let mut rig = Rig::policy(FloorPolicy::Preempt);
    rig.talks(ANNA, Level::Normal);
    let since = rig.now;
    rig.give(Input::MediaStalled { who: ANNA, since });
    rig.at(3_000);
    let since = rig.now;
    rig.give(Input::MediaStalled { who: ANNA, since });
    assert_eq!(
        ended(&rig.at(4_000).outputs(), ANNA),
        Some(EndReason::Silence)
    );
}

#[test]
fn the_queue_is_served_by_level_and_then_by_order() {
    let mut rig = Rig::policy(FloorPolicy::Queue);
    rig.talks(ANNA, Level::Normal);
    rig.asks(BEN, Level::Normal);
    let out = rig.asks(CARLA, Level::Emergency);
    assert_eq!((place(&out, CARLA), place(&out, BEN)), (Some(1), Some(2)));
    let out = rig.give(Input::Release { who: ANNA });
    assert!(granted(&out, CARLA));
    assert_eq!(place(&out, BEN), Some(1));
}

#[test]
fn a_full_queue_denies_but_yields_to_a_higher_level() {
    let mut rig = Rig::new(FloorSettings {
        policy: FloorPolicy::Queue,
        queue_depth: 1,
        ..FloorSettings::default()
    });
    rig.talks(ANNA, Level::Normal);
    rig.asks(BEN, Level::Normal);
    let out = rig.asks(CARLA, Level::Normal);
    assert_eq!(denied(&out, CARLA), Some(DenyReason::QueueFull));
    let out = rig.asks(CARLA, Level::Emergency);
    assert_eq!(place(&out, CARLA), Some(1));
    assert_eq!(denied(&out, BEN), Some(DenyReason::QueueFull));
}

#[test]
fn a_queued_grant_that_is_not_used_passes_on() {
    let mut rig = Rig::policy(FloorPolicy::Queue);
    rig.talks(ANNA, Level::Normal);
    rig.asks(BEN, Level::Normal);
    rig.asks(CARLA, Level::Normal);
    rig.at(1_000);
    rig.give(Input::Release { who: ANNA });
    let out = rig.at(3_000).outputs();
    assert_eq!(revoked(&out, BEN), Some(EndReason::NoMedia));
    assert!(granted(&out, CARLA));
}

#[test]
fn whoever_loses_the_socket_while_waiting_is_not_granted() {
    let mut rig = Rig::policy(FloorPolicy::Queue);
    rig.talks(ANNA, Level::Normal);
    rig.asks(BEN, Level::Normal);
    rig.give(Input::SocketLost { who: BEN });
    let out = rig.give(Input::Release { who: ANNA });
    assert!(!granted(&out, BEN));
}

#[test]
fn lost_membership_cuts_at_once_even_in_grace() {
    for ms in [1_000, 60_100] {
        let mut rig = Rig::policy(FloorPolicy::Preempt);
        rig.talks(ANNA, Level::Normal);
        rig.at(ms).outputs();
        let reason = EndReason::Removed;
        let out = rig.give(Input::Gone { who: ANNA, reason });
        assert!(out.contains(&Output::Route(None)), "at {ms} ms: {out:?}");
        assert!(rig.floor.talk().is_none());
    }
}

#[test]
fn a_grant_during_grace_waits_unless_it_is_higher() {
    let mut rig = Rig::policy(FloorPolicy::Preempt);
    rig.talks(ANNA, Level::Normal);
    rig.at(60_000).outputs();
    assert_eq!(place(&rig.asks(BEN, Level::Normal), BEN), Some(1));
    let out = rig.asks(CARLA, Level::Emergency);
    assert!(granted(&out, CARLA));
    assert_eq!(ended(&out, ANNA), Some(EndReason::TalkLimit));
}

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Give(Input),
}

fn any_step() -> impl Strategy<Value = Step> {
    let who = || (1u64..=5).prop_map(|n| ParticipantId::Session(SessionId(n)));
    let level = prop::sample::select(&Level::ALL[..]);
    let reason = prop::sample::select(&[EndReason::Left, EndReason::Removed][..]);
    let settings =
        (0u32..4, 5u64..20, 0u64..3000, 0usize..3).prop_map(|(depth, limit, grace, p)| {
            FloorSettings {
                policy: [FloorPolicy::Preempt, FloorPolicy::Queue, FloorPolicy::Deny][p],
                queue_depth: depth,
                talk_limit: Duration::from_secs(limit),
                grace: Duration::from_millis(grace),
                silence: Duration::from_secs(4),
            }
        });
    prop_oneof![
        4 => (0u64..4000).prop_map(Step::Wait),
        6 => (who(), level).prop_map(|(who, level)| Step::Give(Input::Request { who, level })),
        4 => who().prop_map(|who| Step::Give(Input::Release { who })),
        4 => who().prop_map(|who| Step::Give(Input::MediaFlows { who })),
        1 => who().prop_map(|who| Step::Give(Input::SocketLost { who })),
        1 => who().prop_map(|who| Step::Give(Input::SocketBack { who })),
        1 => (who(), reason).prop_map(|(who, reason)| Step::Give(Input::Gone { who, reason })),
        1 => settings.prop_map(|s| Step::Give(Input::Settings(s))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens: never are two told that they may talk; who is heard is the one who was told so, or
    /// the one whose grace runs; and nobody talks beyond the limit and the grace.
    #[test]
    fn two_are_never_told_they_may_talk(steps in prop::collection::vec(any_step(), 1..120)) {
        let mut rig = Rig::policy(FloorPolicy::Preempt);
        let mut told: Option<(ParticipantId, TransmissionId)> = None;
        let mut in_grace: Option<ParticipantId> = None;
        let mut heard: Option<ParticipantId> = None;
        let mut open: Option<TransmissionId> = None;
        let mut longest = Duration::ZERO;
        for step in steps {
            let out = match step {
                Step::Wait(ms) => {
                    rig.now += Duration::from_millis(ms);
                    rig.floor.handle_timeout(rig.now);
                    rig.outputs()
                }
                Step::Give(Input::MediaStalled { who, .. }) => {
                    let since = rig.now;
                    rig.give(Input::MediaStalled { who, since })
                }
                Step::Give(input) => rig.give(input),
            };
            for output in out {
                match output {
                    Output::Granted { to, transmission, .. } => {
                        if let Some(before) = told {
                            prop_assert_eq!(before, (to, transmission), "two may talk");
                        }
                        prop_assert_eq!(heard, Some(to), "granted, but not heard");
                        told = Some((to, transmission));
                        in_grace = None;
                    }
                    Output::Revoked { from, grace, .. } => {
                        prop_assert_eq!(told.map(|t| t.0), Some(from));
                        told = None;
                        in_grace = (!grace.is_zero()).then_some(from);
                    }
                    Output::Taken { transmission, .. } => {
                        prop_assert!(
                            open.is_none() || open == Some(transmission),
                            "a transmission began inside another"
                        );
                        if open.replace(transmission).is_none() {
                            longest = Duration::ZERO;
                        }
                    }
                    Output::Ended { by, transmission, .. } => {
                        prop_assert_eq!(open, Some(transmission));
                        prop_assert_eq!(heard, None, "ended, but still heard");
                        open = None;
                        in_grace = None;
                        if told.map(|t| t.0) == Some(by) {
                            told = None;
                        }
                    }
                    Output::Route(talk) => heard = talk.map(|talk| talk.who),
                    Output::Denied { to, .. } | Output::Queued { to, .. } => {
                        prop_assert_ne!(told.map(|t| t.0), Some(to), "denied or queued while holding");
                    }
                    Output::Warned { to, .. } => prop_assert_eq!(told.map(|t| t.0), Some(to)),
                }
            }
            prop_assert!(heard.is_none() || heard == told.map(|t| t.0) || heard == in_grace);
            prop_assert_eq!(heard, rig.floor.talk().map(|t| t.who));
            if let Some(talk) = rig.floor.talk() {
                // A limit that is shortened while the grace runs does not cut the grace.
                longest = longest.max(rig.floor.settings.talk_limit + Duration::from_secs(3));
                prop_assert!(rig.now - talk.since <= longest);
            }
            prop_assert!(rig.floor.queue.len() <= rig.floor.queue_depth());
            if let Some(at) = rig.floor.poll_timeout() {
                prop_assert!(at > rig.now, "a deadline was left unserved");
            }
        }
    }
}
