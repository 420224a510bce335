//! Random devices, networks, dispatchers and admins against what must never happen.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    SignIn(usize),
    Close(usize, bool),
    Join(usize),
    Leave(usize),
    Start(usize, Level),
    Stop(usize),
    Flows(usize),
    Gone(usize),
    /// With false it is not waited until it counts for everyone.
    Roster(u8, bool),
    EndTalk(usize),
    Silence(usize, usize, u32),
    Position(usize, usize),
    Kick(usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    let who = 0usize..6;
    let level = prop::sample::select(&Level::ALL[..]);
    prop_oneof![
        3 => (0u64..3000).prop_map(Step::Wait),
        3 => (0usize..3).prop_map(Step::SignIn),
        1 => (who.clone(), any::<bool>()).prop_map(|(w, clean)| Step::Close(w, clean)),
        5 => who.clone().prop_map(Step::Join),
        1 => who.clone().prop_map(Step::Leave),
        6 => (who.clone(), level).prop_map(|(w, l)| Step::Start(w, l)),
        3 => who.clone().prop_map(Step::Stop),
        4 => who.clone().prop_map(Step::Flows),
        1 => who.clone().prop_map(Step::Gone),
        1 => (0u8..8, any::<bool>()).prop_map(|(bits, wait)| Step::Roster(bits, wait)),
        1 => who.clone().prop_map(Step::EndTalk),
        1 => (who.clone(), 0usize..3, 0u32..3).prop_map(|(w, u, m)| Step::Silence(w, u, m)),
        1 => (who.clone(), 0usize..2).prop_map(|(w, p)| Step::Position(w, p)),
        1 => who.prop_map(Step::Kick),
    ]
}

/// Whose last word from the box about the floor is that it is theirs. Whoever left or lost the connection was
/// told, or cannot be.
fn may_talk(rig: &Rig, connections: &[ConnectionId]) -> Vec<ConnectionId> {
    let last_word = |connection: &&ConnectionId| {
        let told = rig.told.get(connection).into_iter().flatten().rev();
        let own = rig.edge.connections.get(connection);
        let word = told.map(|reply| &reply.message).find_map(|m| match m {
            ServerMessage::StartSuccess { .. } => Some(true),
            ServerMessage::Revoked { .. }
            | ServerMessage::Stop { .. }
            | ServerMessage::StartFailed { .. }
            | ServerMessage::Removed { .. }
            | ServerMessage::Left { .. }
            | ServerMessage::Bye { .. } => Some(false),
            _ => None,
        });
        own.is_some() && word == Some(true)
    };
    connections.iter().filter(last_word).copied().collect()
}

/// The transmission that whoever remembers was told of, and not that it is over.
fn began(rig: &Rig) -> Option<TransmissionId> {
    let happened = rig.happened.iter().rev();
    let mut talks = happened.filter_map(|what| match what {
        Happening::TalkBegan { transmission, .. } => Some(Some(*transmission)),
        Happening::TalkEnded { .. } => Some(None),
        _ => None,
    });
    talks.next().flatten()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever clients, networks and admins do: what is heard on a channel comes from the one participant
    /// who has its floor, over an open transport of that very channel, who may talk there now, and whom no
    /// dispatcher keeps silent. Of two who were told that they may talk, one was told that it is over.
    #[test]
    fn nobody_is_heard_without_floor_and_right(steps in prop::collection::vec(any_step(), 1..80)) {
        const USERS: [&str; 3] = ["anna", "ben", "carla"];
        let mut rig = Rig::new();
        // One session a slice, so that others ask in between.
        rig.edge.undone.slice = 1;
        let mut connections: Vec<ConnectionId> = Vec::new();
        for step in steps {
            let at = |n: usize| (!connections.is_empty()).then(|| connections[n % connections.len()]);
            match step {
                Step::Wait(ms) => rig.wait(ms),
                Step::SignIn(n) if connections.len() < 6 => {
                    let connection = rig.sign_in(USERS[n], None);
                    connections.push(connection);
                }
                Step::SignIn(_) => {}
                Step::Close(n, clean) => if let Some(connection) = at(n) {
                    rig.give(Input::Closed { connection, clean });
                },
                Step::Join(n) => if let Some(c) = at(n) { rig.joins(c, OPS) },
                Step::Leave(n) => if let Some(c) = at(n) {
                    rig.says(c, 1, ClientMessage::Leave { channel_id: OPS.into() });
                },
                Step::Start(n, level) => if let Some(c) = at(n) { rig.start(c, OPS, level) },
                Step::Stop(n) => if let Some(c) = at(n) { rig.stop(c, OPS) },
                Step::Flows(n) => if let Some(t) = at(n).and_then(|c| rig.transport(c, OPS)) {
                    rig.give(Input::Media(media::Event::Flows(t)));
                },
                Step::Gone(n) => if let Some(transport) = at(n).and_then(|c| rig.transport(c, OPS)) {
                    rig.open.remove(&transport);
                    let reason = CloseReason::Gone;
                    rig.give(Input::Media(media::Event::Closed { transport, reason }));
                },
                Step::EndTalk(n) => if let Some(c) = at(n) {
                    rig.says(c, 1, ClientMessage::EndTalk { channel_id: OPS.into(), transmission_id: None });
                },
                Step::Silence(n, user, minutes) => if let Some(c) = at(n) {
                    let (channel_id, user_id) = (OPS.into(), USERS[user].into());
                    rig.says(c, 1, ClientMessage::Silence { channel_id, user_id, minutes });
                },
                Step::Position(n, seat) => if let Some(c) = at(n) {
                    let position_id = format!("Desk {seat}");
                    rig.says(c, 1, ClientMessage::TakePosition { position_id });
                },
                Step::Kick(n) => if let Some(session) = at(n).and_then(|c| rig.edge.connections.get(&c).copied()) {
                    rig.give(Input::Kick { session });
                },
                Step::Roster(bits, wait) => {
                    let mut roster = roster();
                    for (n, user) in USERS.iter().enumerate() {
                        if bits & 1 << n == 0 {
                            continue;
                        }
                        match n {
                            0 => { roster.users.remove(&UserId::from(*user)); }
                            1 => if let Some(u) = roster.users.get_mut(&UserId::from(*user)) {
                                u.channels.insert(OPS.into(), Membership::Listen);
                            },
                            _ => { roster.channels.get_mut(&ChannelId::from(OPS)).expect("ops").floor.queue_depth = 0; }
                        }
                    }
                    rig.begins(Input::Roster(Arc::new(roster)));
                    if wait {
                        rig.finishes();
                    }
                }
            }
            let told = may_talk(&rig, &connections);
            prop_assert!(told.len() <= 1, "both of {:?} were told they may talk", told);
            let route = rig.edge.channels[&ChannelId::from(OPS)].route;
            let holder = rig.edge.channels[&ChannelId::from(OPS)].floor.talk().map(|t| t.who);
            let heard = rig.heard_on(OPS).filter(|t| rig.open.contains_key(t));
            if let Some(transport) = heard {
                prop_assert_eq!(rig.open.get(&transport), Some(&route));
                let (session, _) = rig.edge.transports[&transport].clone();
                prop_assert_eq!(holder, Some(session.into()));
                let rights = rig.edge.rights(session, &OPS.into());
                prop_assert!(rights.is_some_and(|r| r.talk), "heard without the right to talk");
                let silenced = rig.edge.is_silenced(session, &OPS.into(), rig.now);
                prop_assert!(!silenced, "heard in spite of a dispatcher");
                let recorded = rig.recorded.get(&route).copied();
                prop_assert!(recorded.is_some() && recorded == began(&rig), "packets of an unknown talk");
            }
            for transport in rig.open.keys() {
                let (session, channel) = rig.edge.transports[transport].clone();
                let listens = rig.edge.rights(session, &channel).is_some_and(|r| r.listen);
                let is_cut = rig.edge.undone.to_cut.contains(&session);
                prop_assert!(listens || is_cut, "someone hears what they may not");
            }
            for (name, position) in rig.edge.board.positions.iter() {
                let holder = position.holder.and_then(|holder| rig.edge.sessions.get(&holder));
                prop_assert_eq!(holder.is_some(), position.holder.is_some(), "{} is held by nobody", name);
                prop_assert!(holder.is_none_or(|s| s.role != Role::User), "{} is held by no dispatcher", name);
            }
            let held = rig.edge.channels[&ChannelId::from(OPS)].members.len();
            prop_assert_eq!(held, rig.edge.sessions.values().filter(|s| s.joined.contains_key(&OPS.into())).count());
            prop_assert_eq!(rig.open.len(), rig.edge.transports.len(), "a transport was left open or forgotten");
        }
    }
}
