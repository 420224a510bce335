use super::*;
use crate::authority::Channel;

const NOON: u64 = 1_800_000_000;

fn roster() -> Roster {
    let user = |name: &str| User {
        name: name.to_string(),
        role: Role::User,
        emergency: false,
        ends: None,
        channels: BTreeMap::from([(ChannelId::from("ops"), Membership::Talk)]),
    };
    let channel = |name: &str| Channel {
        name: name.to_string(),
        ..Channel::default()
    };
    Roster {
        channels: BTreeMap::from([
            (ChannelId::from("ops"), channel("Operations")),
            (ChannelId::from("stage"), channel("Stage")),
        ]),
        users: BTreeMap::from([
            (UserId::from("anna"), user("Anna")),
            (UserId::from("jean-luc"), user("Jean-Luc Öz")),
        ]),
    }
}

fn poster() -> Poster {
    Poster {
        name: "Volunteers".into(),
        channels: BTreeMap::from([
            (ChannelId::from("ops"), Membership::Talk),
            (ChannelId::from("stage"), Membership::Listen),
        ]),
        limit: 50,
        used: 0,
        ends: NOON + 3_600,
        approval: false,
        guest_hours: 12,
        revoked: false,
    }
}

fn asking(name: &str) -> Asking<'_> {
    Asking {
        name,
        known: None,
        waiting: &[],
        utc: NOON,
    }
}

#[test]
fn who_types_a_name_is_a_guest_with_the_posters_channels_and_an_end() {
    let Ok(Joined::In(guest)) = join(&poster(), asking("  Ben \t Smith "), &roster()) else {
        panic!("not in");
    };
    assert_eq!(guest.id, UserId::from("ben-smith"));
    assert_eq!(guest.user.name, "Ben Smith");
    assert_eq!(guest.user.role, Role::User);
    assert!(!guest.user.emergency);
    assert_eq!(guest.user.ends, Some(NOON + 12 * 3_600));
    assert_eq!(guest.user.channels, poster().channels);
    assert_eq!(guest.device.user, guest.id);
    assert!(!guest.device.revoked);
}

#[test]
fn a_poster_that_asks_for_approval_has_them_wait() {
    let poster = Poster {
        approval: true,
        ..poster()
    };
    let waits = join(&poster, asking("Ben"), &roster());
    let arrival = Arrival {
        name: "Ben".into(),
        since: NOON,
        turned_away: false,
    };
    assert_eq!(waits, Ok(Joined::Waits(arrival.clone())));
    // Admitted an hour after the poster's end: they came in time.
    let guest = admit(&poster, &arrival, &roster(), NOON + 7_200);
    let ends = guest.map(|guest| guest.user.ends);
    assert_eq!(ends, Ok(Some(NOON + 7_200 + 12 * 3_600)));
    let gone = Poster {
        revoked: true,
        ..poster.clone()
    };
    let full = Poster { used: 50, ..poster };
    for (poster, why) in [(&gone, JoinError::TakenDown), (&full, JoinError::Full)] {
        assert_eq!(admit(poster, &arrival, &roster(), NOON), Err(why));
    }
}

#[test]
fn a_poster_lets_in_until_its_end_and_its_limit() {
    let last = Poster {
        used: 49,
        ..poster()
    };
    assert!(matches!(
        join(&last, asking("Ben"), &roster()),
        Ok(Joined::In(_))
    ));
    for (change, why) in [
        (
            Poster {
                used: 50,
                ..poster()
            },
            JoinError::Full,
        ),
        (
            Poster {
                ends: NOON,
                ..poster()
            },
            JoinError::Ended,
        ),
        (
            Poster {
                revoked: true,
                ..poster()
            },
            JoinError::TakenDown,
        ),
        (
            Poster {
                channels: BTreeMap::from([(ChannelId::from("gone"), Membership::Talk)]),
                ..poster()
            },
            JoinError::NoChannel,
        ),
    ] {
        assert_eq!(
            join(&change, asking("Ben"), &roster()),
            Err(why),
            "{change:?}"
        );
    }
}

#[test]
fn nobody_passes_for_somebody_who_is_here() {
    for name in [
        "Anna",
        "anna",
        " ANNA ",
        "Anna.",
        "An\u{200b}na",
        "jean luc öz",
        "Jean-Luc  ÖZ",
    ] {
        let refused = join(&poster(), asking(name), &roster());
        assert!(
            matches!(refused, Err(JoinError::NameTaken { .. })),
            "{name:?}: {refused:?}"
        );
    }
    let waiting = ["Carla".to_string()];
    let late = Asking {
        waiting: &waiting,
        ..asking("carla")
    };
    let name = "carla".to_string();
    assert_eq!(
        join(&poster(), late, &roster()),
        Err(JoinError::NameTaken { name })
    );
    for name in ["Annabel", "Anna S.", "Anne", "李 小龍", "Ånna"] {
        let joined = join(&poster(), asking(name), &roster());
        assert!(matches!(joined, Ok(Joined::In(_))), "{name:?}: {joined:?}");
    }
}

#[test]
fn a_name_is_one_that_people_can_read() {
    let long = "x".repeat(65);
    for name in ["", "  ", "...", "🦊", "\u{202e}anna", &long] {
        let refused = join(&poster(), asking(name), &roster());
        assert_eq!(refused, Err(JoinError::BadName), "{name:?}");
    }
}

#[test]
fn an_id_that_is_taken_is_counted_on() {
    let id = |name| match join(&poster(), asking(name), &roster()) {
        Ok(Joined::In(guest)) => guest.id.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(id("Änna"), "nna");
    assert_eq!(id("Anna Ö"), "anna-2");
    assert_eq!(id("李"), "guest");
}

#[test]
fn a_device_that_is_in_costs_the_poster_nothing() {
    let full = Poster {
        used: 50,
        ..poster()
    };
    let device = |user: &str, revoked| Device {
        user: UserId::from(user),
        since: NOON,
        revoked,
        from_token: false,
    };
    let known = device("anna", false);
    let again = Asking {
        known: Some(&known),
        ..asking("Anna")
    };
    assert_eq!(
        join(&full, again, &roster()),
        Ok(Joined::Already(known.clone()))
    );
    for known in [device("anna", true), device("gone", false)] {
        let again = Asking {
            known: Some(&known),
            ..asking("Ben")
        };
        assert_eq!(
            join(&poster(), again, &roster()),
            Err(JoinError::DeviceTaken)
        );
    }
}

#[test]
fn only_so_many_wait() {
    let waiting: Vec<_> = (0..MAX_WAITING).map(|n| format!("Guest {n}")).collect();
    let asking = Asking {
        waiting: &waiting,
        ..asking("Ben")
    };
    let bell = Poster {
        approval: true,
        ..poster()
    };
    assert_eq!(
        join(&bell, asking, &roster()),
        Err(JoinError::TooManyWaiting)
    );
    assert!(matches!(
        join(&poster(), asking, &roster()),
        Ok(Joined::In(_))
    ));
}

#[test]
fn a_new_poster_is_checked() {
    let change = |change: &dyn Fn(&mut Poster)| {
        let mut poster = poster();
        change(&mut poster);
        poster.check(&roster(), NOON)
    };
    assert_eq!(change(&|_| {}), Ok(()));
    let month = u64::from(MAX_POSTER_HOURS) * 3_600;
    assert_eq!(change(&|p| p.ends = NOON + month), Ok(()));
    assert_eq!(
        change(&|p| p.ends = NOON + month + 1),
        Err(PosterError::EndsLate)
    );
    assert_eq!(change(&|p| p.ends = NOON), Err(PosterError::EndsBefore));
    assert_eq!(
        change(&|p| p.limit = 0),
        Err(PosterError::Limit { limit: 0 })
    );
    assert_eq!(
        change(&|p| p.limit = 1_001),
        Err(PosterError::Limit { limit: 1_001 })
    );
    assert_eq!(
        change(&|p| p.guest_hours = 745),
        Err(PosterError::GuestHours { hours: 745 })
    );
    assert_eq!(change(&|p| p.channels.clear()), Err(PosterError::NoChannel));
    let channel = ChannelId::from("gone");
    assert_eq!(
        change(&|p| p.channels = BTreeMap::from([(channel.clone(), Membership::Talk)])),
        Err(PosterError::NoSuchChannel {
            channel: channel.clone()
        })
    );
    let name = " ".to_string();
    assert_eq!(
        change(&|p| p.name = name.clone()),
        Err(PosterError::Name { name: name.clone() })
    );
}
