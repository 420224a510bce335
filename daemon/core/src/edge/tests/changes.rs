//! Many devices, and a roster that changes for all of them at once.

use super::*;
use crate::authority::Record;

const DEVICES: usize = 300;
const CHANNELS: usize = 10;
/// A request waits for no more messages than this to others.
const SLICE: usize = 400;

fn channel(n: usize) -> ChannelId {
    format!("channel-{}", n % CHANNELS).into()
}

/// Each user belongs to two channels, which begin at their number plus `shift`.
fn crowd(shift: usize) -> Roster {
    let user = |n: usize| User {
        name: format!("User {n}"),
        role: Role::User,
        emergency: false,
        ends: None,
        channels: (0..2)
            .map(|k| (channel(n + shift + k), Membership::Talk))
            .collect(),
    };
    let mut roster = Roster {
        channels: (0..CHANNELS)
            .map(|n| (channel(n), RosterChannel::default()))
            .collect(),
        users: (0..DEVICES)
            .map(|n| (format!("user-{n}").into(), user(n)))
            .collect(),
    };
    roster.channels.append(&mut super::roster().channels);
    roster.users.append(&mut super::roster().users);
    roster
}

/// Everyone has joined all their channels.
fn crowded() -> (Rig, Vec<ConnectionId>) {
    let mut rig = Rig::new();
    rig.edge.settings.limits.channels = 2;
    rig.give(Input::Roster(Arc::new(crowd(0))));
    let mut everyone = Vec::new();
    for n in 0..DEVICES {
        let connection = rig.sign_in(&format!("user-{n}"), None);
        for channel_id in [channel(n), channel(n + 1)] {
            let muted = true;
            rig.says(connection, 2, ClientMessage::Join { channel_id, muted });
        }
        everyone.push(connection);
    }
    rig.told.clear();
    (rig, everyone)
}

#[test]
fn a_change_of_every_membership_keeps_nobody_waiting_for_the_floor() {
    let (mut rig, everyone) = crowded();
    let anna = rig.on("anna", OPS);
    let roster = Arc::new(crowd(5));
    rig.edge.handle(Input::Roster(roster), rig.now);
    let mut slices = 0;
    while rig.edge.has_undone() {
        assert!(rig.edge.outputs.len() < SLICE, "slice {slices}");
        rig.carry_out();
        assert!(rig.edge.poll_timeout() <= Some(rig.now), "at once");
        let (connection, channel_id) = (anna, OPS.into());
        let level = Level::Normal;
        let message = match slices % 2 {
            0 => ClientMessage::Start { channel_id, level },
            _ => ClientMessage::Stop { channel_id },
        };
        let id = Some(slices + 100);
        let request = Request { id, message };
        rig.edge.handle(
            Input::Message {
                connection,
                request,
            },
            rig.now,
        );
        rig.carry_out();
        assert_eq!(rig.last(anna).id, Some(slices + 100), "answered at once");
        slices += 1;
    }
    assert!(slices > 10, "{slices}");
    for (n, connection) in everyone.iter().enumerate() {
        let told = rig.told[connection].iter();
        let removed = told.filter(|r| matches!(r.message, ServerMessage::Removed { .. }));
        assert_eq!(removed.count(), 2, "{n}");
        let channels = |m: &ServerMessage| matches!(m, ServerMessage::Channels { channels } if channels.len() == 2);
        assert!(rig.tells(*connection, channels), "{n}");
    }
}

#[test]
fn those_who_stay_are_told_once_of_all_who_left() {
    let (mut rig, everyone) = crowded();
    rig.give(Input::Roster(Arc::new({
        let mut roster = crowd(0);
        for n in 0..DEVICES / 2 {
            let user = UserId::from(format!("user-{n}"));
            if n % 20 == 0 {
                roster.users.remove(&user);
            } else if let Some(user) = roster.users.get_mut(&user) {
                user.channels.remove(&channel(n));
            }
        }
        roster
    })));
    let stayed = everyone[DEVICES - CHANNELS];
    let told = &rig.told[&stayed];
    let left: Vec<(ChannelId, usize)> = told
        .iter()
        .filter_map(|reply| match &reply.message {
            ServerMessage::MembersLeft {
                channel_id,
                session_ids,
            } => Some((channel_id.clone(), session_ids.len())),
            _ => None,
        })
        .collect();
    // Of channel 0: every tenth of the first half; of channel 1 the same, and those who left the box.
    assert_eq!(left, [(channel(0), 15), (channel(1), 15 + 8)]);
    assert_eq!(told.len(), 2, "{told:?}");
}

#[test]
fn who_is_cut_first_does_not_hand_the_floor_to_who_is_cut_next() {
    let mut rig = Rig::new();
    let (anna, ben) = (rig.on("anna", OPS), rig.on("ben", OPS));
    rig.start(anna, OPS, Level::Normal);
    rig.start(ben, OPS, Level::Normal);
    rig.change_roster(|roster| {
        for user in roster.users.values_mut() {
            user.channels.remove(&ChannelId::from(OPS));
        }
    });
    let granted = |m: &ServerMessage| matches!(m, ServerMessage::StartSuccess { .. });
    assert!(!rig.tells(ben, granted));
    assert_eq!(rig.heard_on(OPS), None);
    assert!(rig.open.is_empty());
}

#[test]
fn many_new_names_are_told_with_the_whole_channel() {
    let (mut rig, everyone) = crowded();
    rig.give(Input::Roster(Arc::new({
        let mut roster = crowd(0);
        for user in roster.users.values_mut() {
            user.name.push('!');
        }
        roster
    })));
    // Sixty are on a channel: one message for each of them still.
    let told = &rig.told[&everyone[0]];
    let changed = told
        .iter()
        .filter(|r| matches!(r.message, ServerMessage::Member { .. }));
    assert_eq!(changed.count(), 2 * 59);
    rig.told.clear();
    let mut roster = crowd(0);
    for n in 0..DEVICES {
        let id = UserId::from(format!("user-{n}"));
        let user = roster.users.get_mut(&id).expect("a user");
        user.channels = [(channel(0), Membership::Talk)].into();
    }
    rig.give(Input::Roster(Arc::new(roster.clone())));
    for (n, connection) in everyone.iter().enumerate() {
        let (channel_id, muted) = (channel(0), true);
        rig.says(*connection, 2, ClientMessage::Join { channel_id, muted });
        assert!(rig.told.contains_key(connection), "{n}");
    }
    rig.told.clear();
    for user in roster.users.values_mut() {
        user.name.push('?');
    }
    rig.give(Input::Roster(Arc::new(roster)));
    let told = &rig.told[&everyone[0]];
    assert!(
        matches!(&told[..], [Reply { message: ServerMessage::Joined { members, .. }, .. }]
        if members.len() == DEVICES && members[0].person.name.ends_with('?')),
        "{} messages",
        told.len()
    );
}

#[test]
fn shards_learn_which_channels_are_recorded_and_which_are_echoes() {
    let mut rig = Rig::new();
    let settings = |rig: &Rig, channel: &str| {
        let route = rig.edge.channels[&ChannelId::from(channel)].route;
        rig.settings.get(&route).copied()
    };
    rig.carry_out();
    assert_eq!(settings(&rig, OPS), Some((true, false)));
    rig.change_roster(|roster| {
        let ops = roster.channels.get_mut(&ChannelId::from(OPS)).expect("ops");
        (ops.record, ops.echo) = (Record::Off, true);
    });
    assert_eq!(settings(&rig, OPS), Some((false, true)));
    let stage = rig.edge.channels[&ChannelId::from(STAGE)].route;
    rig.change_roster(|roster| {
        roster.channels.remove(&ChannelId::from(STAGE));
        let stage = ChannelId::from(STAGE);
        for user in roster.users.values_mut() {
            user.channels.remove(&stage);
        }
    });
    let forgotten = rig.settings.get(&stage).copied();
    assert_eq!(forgotten, Some((false, false)), "a shard forgets it");
}

#[test]
fn a_channel_that_nobody_has_to_be_cut_from_is_forgotten_at_once() {
    let mut rig = Rig::new();
    let stage = || ChannelId::from(STAGE);
    let before = rig.edge.channels[&stage()].route;
    rig.change_roster(|roster| drop(roster.channels.remove(&stage())));
    assert!(!rig.edge.channels.contains_key(&stage()));
    rig.change_roster(|_| {});
    assert_ne!(rig.edge.channels[&stage()].route, before);
}
