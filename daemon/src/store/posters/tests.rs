use std::collections::BTreeMap;

use pttd_core::authority::Membership;
use pttd_core::ids::ChannelId;

use super::*;
use crate::roster_file;
use crate::sign_in::new_secret;

const NOON: u64 = 1_800_000_000;

fn store() -> (Store, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let built_in = roster_file::built_in().unwrap();
    store
        .change(|roster| {
            *roster = built_in;
            Ok(((), Vec::new()))
        })
        .unwrap();
    (store, dir)
}

fn printed(limit: u32, approval: bool) -> Printed {
    Printed {
        poster: Poster {
            name: "Volunteers".into(),
            channels: BTreeMap::from([(ChannelId::from("ops"), Membership::Talk)]),
            limit,
            used: 0,
            ends: NOON + 3_600,
            approval,
            guest_hours: 12,
            revoked: false,
        },
        secret: "wall".into(),
        wifi: None,
    }
}

fn who(id: &str) -> Who<'_> {
    Who { id, called: None }
}

fn refused<T: std::fmt::Debug>(outcome: Result<T, DoorError>) -> JoinError {
    match outcome {
        Err(DoorError::Refused(refused)) => refused,
        other => panic!("{other:?}"),
    }
}

#[test]
fn of_many_phones_at_once_a_poster_lets_in_as_many_as_it_says() {
    let (store, dir) = store();
    let id = store
        .add_poster(&printed(5, false), &By::operator(), NOON)
        .unwrap();
    let store = Arc::new(store);
    let phones = (0..12).map(|n| {
        let store = store.clone();
        std::thread::spawn(move || {
            let device = new_secret::<32>().unwrap();
            let name = format!("Guest {n}");
            match store.join("wall", &device, &name, "10.0.0.5", NOON) {
                Ok((Joined::In(guest), roster)) => {
                    assert!(roster.users.contains_key(&guest.id));
                    assert_eq!(store.device(&device).unwrap().unwrap().user, guest.id);
                    true
                }
                other => {
                    assert_eq!(refused(other), JoinError::Full);
                    false
                }
            }
        })
    });
    let phones: Vec<_> = phones.collect();
    let admitted = phones.into_iter().map(|phone| phone.join().unwrap());
    assert_eq!(admitted.filter(|admitted| *admitted).count(), 5);
    assert_eq!(store.poster(&id).unwrap().unwrap().poster.used, 5);
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.roster().users.len(), 3 + 5);
    assert_eq!(store.poster(&id).unwrap().unwrap().poster.used, 5);
}

#[test]
fn who_never_heard_the_answer_asks_again_and_is_the_same_guest() {
    let (store, _dir) = store();
    store
        .add_poster(&printed(1, false), &By::operator(), NOON)
        .unwrap();
    let (first, _) = store
        .join("wall", "phone", "Dora", "10.0.0.5", NOON)
        .unwrap();
    let (again, roster) = store
        .join("wall", "phone", "Dora", "10.0.0.5", NOON + 9_999)
        .unwrap();
    let (Joined::In(guest), Joined::Already(device)) = (first, again) else {
        panic!("not in");
    };
    assert_eq!(device.user, guest.id);
    assert_eq!(roster.users[&guest.id].name, "Dora");
    assert_eq!(
        refused(store.join("wall", "other", "Dora", "10.0.0.5", NOON)),
        JoinError::Full
    );
    assert_eq!(
        refused(store.join("no such", "other", "Dora", "10.0.0.5", NOON)),
        JoinError::UnknownPoster
    );
}

#[test]
fn a_channel_that_is_full_lets_nobody_in() {
    let (store, _dir) = store();
    let members = store.roster().members()[&ChannelId::from("ops")];
    let limits = pttd_core::authority::Limits {
        channel_members: members + 1,
        ..Default::default()
    };
    let store = store.limited(limits, super::super::JOURNAL_KEPT).unwrap();
    let open = printed(9, false);
    store.add_poster(&open, &By::operator(), NOON).unwrap();
    let rings = Printed {
        secret: "door".into(),
        ..printed(9, true)
    };
    store.add_poster(&rings, &By::operator(), NOON).unwrap();
    store.join("wall", "d", "Dora", "10.0.0.5", NOON).unwrap();
    let full = |error| matches!(error, JoinError::Roster(_));
    assert!(full(refused(
        store.join("wall", "e", "Emil", "10.0.0.5", NOON)
    )));
    store.join("door", "f", "Fia", "10.0.0.5", NOON).unwrap();
    let waits = short_id(&hash("f"));
    assert!(full(refused(store.admit(
        who(&waits),
        &By::operator(),
        NOON
    ))));
    assert_eq!(store.device("e").unwrap(), None);
    assert_eq!(store.device("f").unwrap(), None);
    assert_eq!(
        store.roster().members()[&ChannelId::from("ops")],
        members + 1
    );
}

#[test]
fn a_guest_whose_id_was_somebody_elses_has_a_phone_of_their_own_alone() {
    let (store, _dir) = store();
    let open = printed(9, false);
    store.add_poster(&open, &By::operator(), NOON).unwrap();
    let join = |device: &str| match store.join("wall", device, "Dora", "10.0.0.5", NOON) {
        Ok((Joined::In(guest), _)) => guest.id,
        other => panic!("{other:?}"),
    };
    let first = join("first");
    let over = store.change(|roster| {
        roster.remove_ended(u64::MAX);
        Ok(((), Vec::new()))
    });
    over.unwrap();
    assert_eq!(join("second"), first);
    assert!(store.device("first").unwrap().unwrap().revoked);
    assert!(!store.device("second").unwrap().unwrap().revoked);
}

#[test]
fn who_waits_is_admitted_or_turned_away_and_told_so() {
    let (store, _dir) = store();
    store
        .add_poster(&printed(2, true), &By::operator(), NOON)
        .unwrap();
    let wait = |device: &str, name: &str| {
        let (joined, roster) = store.join("wall", device, name, "10.0.0.5", NOON).unwrap();
        assert!(matches!(joined, Joined::Waits(_)), "{joined:?}");
        assert_eq!(roster.users.len(), 3);
        short_id(&hash(device))
    };
    let (dora, emil) = (wait("d", "Dora"), wait("e", "Emile"));
    // The same device again, with the name put right.
    assert_eq!(wait("e", "Emil"), emil);
    let names = || -> Vec<String> {
        let all = store.arrivals(NOON).unwrap();
        all.into_iter().map(|at| at.arrival.name).collect()
    };
    let as_first_seen = Who {
        id: &emil,
        called: Some("Emile"),
    };
    assert!(matches!(
        store.admit(as_first_seen, &By::operator(), NOON),
        Err(DoorError::Renamed(name)) if name == "Emil"
    ));
    assert!(matches!(
        store.turn_away(as_first_seen, &By::operator()),
        Err(DoorError::Renamed(_))
    ));
    assert_eq!(names().len(), 2);
    assert!(names().contains(&"Emil".to_string()), "{:?}", names());
    assert_eq!(
        refused(store.join("wall", "x", "emil", "10.0.0.5", NOON)),
        JoinError::NameTaken {
            name: "emil".into()
        }
    );
    assert_eq!(store.arrival(&dora).unwrap(), Answer::Waits);
    let (guest, roster) = store.admit(who(&dora), &By::operator(), NOON).unwrap();
    assert_eq!(roster.users[&guest.id].name, "Dora");
    assert_eq!(store.arrival(&dora).unwrap(), Answer::In(guest.id));
    assert_eq!(
        store.turn_away(who(&emil), &By::operator()).unwrap(),
        "Emil"
    );
    assert_eq!(store.arrival(&emil).unwrap(), Answer::TurnedAway);
    assert!(names().is_empty());
    for gone in [&dora, &emil, &"0".repeat(16), &"Ä".repeat(8)] {
        assert!(matches!(
            store.admit(who(gone), &By::operator(), NOON),
            Err(DoorError::NobodyWaits)
        ));
    }
    assert_eq!(store.arrival(&"0".repeat(16)).unwrap(), Answer::Unknown);
}

#[test]
fn a_knock_writes_nothing_and_says_whether_there_is_something_to_write() {
    let (store, _dir) = store();
    store
        .add_poster(&printed(9, true), &By::operator(), NOON)
        .unwrap();
    let knock = |name: &str| store.knock("wall", "d", name, NOON + 5).unwrap();
    let first = knock("Dora");
    assert!(matches!(first.joined, Joined::Waits(_)) && !first.is_so);
    assert!(store.arrivals(NOON).unwrap().is_empty());
    store.join("wall", "d", "Dora", "10.0.0.5", NOON).unwrap();
    assert!(knock("Dora").is_so && !knock("Emil").is_so);
    store
        .turn_away(who(&short_id(&hash("d"))), &By::operator())
        .unwrap();
    assert!(!knock("Dora").is_so, "who was turned away may ring again");
    assert_eq!(
        refused(store.knock("no such", "d", "Dora", NOON)),
        JoinError::UnknownPoster
    );
}

#[test]
fn a_poster_that_is_taken_down_lets_nobody_in_and_says_so() {
    let (store, dir) = store();
    let id = store
        .add_poster(&printed(9, true), &By::operator(), NOON)
        .unwrap();
    store.join("wall", "d", "Dora", "10.0.0.5", NOON).unwrap();
    assert_eq!(store.posters().unwrap().len(), 1);
    assert_eq!(
        store
            .remove_poster(&id, &By::operator())
            .unwrap()
            .unwrap()
            .secret,
        "wall"
    );
    assert!(store.remove_poster(&id, &By::operator()).unwrap().is_none());
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    assert!(store.posters().unwrap().is_empty());
    assert!(store.poster(&id).unwrap().is_none());
    assert!(store.arrivals(NOON).unwrap().is_empty());
    assert_eq!(
        refused(store.join("wall", "e", "Emil", "10.0.0.5", NOON)),
        JoinError::TakenDown
    );
}

#[test]
fn who_waited_for_a_day_has_left() {
    let (store, _dir) = store();
    store
        .add_poster(&printed(9, true), &By::operator(), NOON)
        .unwrap();
    store.join("wall", "d", "Dora", "10.0.0.5", NOON).unwrap();
    assert_eq!(store.arrivals(NOON + WAITS).unwrap().len(), 1);
    assert!(store.arrivals(NOON + WAITS + 1).unwrap().is_empty());
    let late = Printed {
        secret: "other".into(),
        ..printed(9, true)
    };
    let late = Printed {
        poster: Poster {
            ends: NOON + 2 * WAITS,
            ..late.poster
        },
        ..late
    };
    store.add_poster(&late, &By::operator(), NOON).unwrap();
    store
        .join("other", "e", "Dora", "10.0.0.5", NOON + WAITS + 1)
        .unwrap();
    assert_eq!(
        store.arrival(&short_id(&hash("d"))).unwrap(),
        Answer::Unknown
    );
}

#[test]
fn only_so_many_posters_hang() {
    let (store, _dir) = store();
    let secret = |n: usize| format!("wall {n}");
    for n in 0..MAX_POSTERS {
        let printed = Printed {
            secret: secret(n),
            ..printed(1, false)
        };
        store.add_poster(&printed, &By::operator(), NOON).unwrap();
    }
    assert!(
        store
            .add_poster(&printed(1, false), &By::operator(), NOON)
            .is_err()
    );
    let id = short_id(&hash(&secret(0)));
    store.remove_poster(&id, &By::operator()).unwrap();
    store
        .add_poster(&printed(1, false), &By::operator(), NOON)
        .unwrap();
}
