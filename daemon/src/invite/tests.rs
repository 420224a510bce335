use tempfile::TempDir;

use super::*;
use crate::roster_file;

const NOON: u64 = 1_800_000_000;

struct Desk {
    _dir: TempDir,
    inviter: Inviter,
}

/// A box with the built-in roster.
fn desk() -> Desk {
    let dir = TempDir::new().unwrap();
    let settings: Settings = toml::from_str(
        "name = 'Gate'\n[web]\nhttps = '192.168.1.5:8443'\nplain = '192.168.1.5:80'",
    )
    .unwrap();
    let store = Arc::new(Store::open(dir.path()).unwrap());
    store
        .change(|roster| {
            *roster = roster_file::built_in().unwrap();
            Ok(((), Vec::new()))
        })
        .unwrap();
    Desk {
        _dir: dir,
        inviter: Inviter::of_settings(store, &settings).unwrap(),
    }
}

impl Desk {
    fn invite(&self, guests: &[Guest]) -> Result<Vec<Card>> {
        Ok(self.inviter.invite(guests, &By::operator(), NOON)?.0.cards)
    }

    fn refusal(&self, guests: &[Guest]) -> Refused {
        let before = self.inviter.store.roster();
        let error = self.invite(guests).unwrap_err();
        assert_eq!(before, self.inviter.store.roster(), "half applied");
        error.downcast().unwrap()
    }

    fn user(&self, id: &str) -> User {
        self.inviter.store.roster().users[&UserId::from(id)].clone()
    }
}

fn named(name: &str, channels: &[&str]) -> Guest {
    Guest {
        line: None,
        who: Who::Name(name.into()),
        channels: channels.iter().map(|c| c.to_string()).collect(),
        role: None,
        emergency: false,
        hours: 24,
        devices: 1,
        ends: None,
    }
}

fn channels(user: &User) -> Vec<&str> {
    user.channels.keys().map(ChannelId::as_str).collect()
}

#[test]
fn someone_new_is_put_on_the_roster_and_given_a_link() {
    let desk = desk();
    let mut dora = named(" Dora O'Dee ", &["ops", "stage"]);
    dora.role = Some(Role::Dispatch);
    dora.emergency = true;
    dora.devices = 2;
    let card = desk.invite(&[dora]).unwrap().remove(0);
    assert_eq!(card.user.as_str(), "dora-o-dee");
    assert_eq!(card.name, "Dora O'Dee");
    assert_eq!(card.channels, ["Operations", "Stage"]);
    assert_eq!(
        card.link,
        format!("https://192.168.1.5:8443/#i={}", card.secret)
    );
    assert_eq!(card.secret.len(), 22);
    assert!(!card.known);
    assert_eq!((card.ends, card.devices), (NOON + 86_400, 2));
    let user = desk.user("dora-o-dee");
    assert_eq!(channels(&user), ["ops", "stage"]);
    assert_eq!((user.role, user.emergency), (Role::Dispatch, true));
    let store = &desk.inviter.store;
    assert!(store.redeem(&card.secret, "phone", NOON + 86_399).is_ok());
    assert!(store.redeem(&card.secret, "tablet", NOON + 86_400).is_err());
}

#[test]
fn someone_known_is_found_by_name_or_id_and_keeps_what_they_had() {
    let desk = desk();
    for guest in [named("anna", &[]), named("ANNA", &["Operations"])] {
        let card = desk.invite(&[guest]).unwrap().remove(0);
        assert_eq!(card.user.as_str(), "anna");
        assert!(card.known);
    }
    let by_id = Guest {
        who: Who::User("carla".into()),
        ..named("", &[])
    };
    assert_eq!(desk.invite(&[by_id]).unwrap()[0].name, "Carla");
    let anna = desk.user("anna");
    assert_eq!((anna.role, anna.emergency), (Role::Dispatch, true));
    assert_eq!(channels(&anna), ["echo", "ops", "security", "stage"]);
    assert_eq!(desk.inviter.store.roster().users.len(), 3);
}

#[test]
fn what_cannot_be_done_is_said_with_what_can() {
    let desk = desk();
    let why = |guest| desk.refusal(&[guest]).why;
    assert_eq!(
        why(named("Dora", &["opps"])),
        "there is no channel \"opps\": use one of echo, ops, security, stage"
    );
    assert_eq!(
        why(named("Dora", &[])),
        "\"Dora\" is new here and needs a channel: one or more of echo, ops, security, stage"
    );
    let stranger = Guest {
        who: Who::User("dora".into()),
        ..named("", &[])
    };
    assert_eq!(
        why(stranger),
        "there is no user \"dora\" on the roster: use --name and --channel to add one, or one of anna, ben, carla"
    );
    let hours = Guest {
        hours: 0,
        ..named("Anna", &[])
    };
    assert_eq!(why(hours), "0 hours: choose 1 to 744");
    let devices = Guest {
        devices: 101,
        ..named("Anna", &[])
    };
    assert_eq!(why(devices), "101 devices: choose 1 to 100");
    assert!(why(named(&"x".repeat(65), &["ops"])).contains("longer than 64 characters"));
    assert!(why(named("\u{202e}annA", &["ops"])).contains("control characters"));
}

#[test]
fn two_of_one_name_are_told_apart_by_id() {
    let desk = desk();
    let mut roster = Roster::clone(&desk.inviter.store.roster());
    let second = add_user(&mut roster, "Anna");
    assert_eq!(second.as_str(), "anna-2");
    desk.inviter
        .store
        .change(|old| {
            *old = roster;
            Ok(((), Vec::new()))
        })
        .unwrap();
    assert_eq!(
        desk.invite(&[named("anna", &[])]).unwrap()[0].user.as_str(),
        "anna"
    );
    let why = desk.refusal(&[named("ANNA", &[])]).why;
    assert_eq!(
        why,
        "more than one on the roster is called \"ANNA\": say --user with one of anna, anna-2"
    );
}

#[test]
fn one_bad_line_of_many_invites_nobody() {
    let desk = desk();
    let mut guests: Vec<_> = (0..30)
        .map(|n| named(&format!("Steward {n}"), &["ops"]))
        .collect();
    for (n, guest) in guests.iter_mut().enumerate() {
        guest.line = Some(n + 2);
    }
    assert_eq!(desk.invite(&guests).unwrap().len(), 30);
    guests[20].channels = vec!["opps".into()];
    assert_eq!(desk.refusal(&guests).line, Some(22));
    guests[20] = guests[10].clone();
    guests[20].line = Some(22);
    let twice = desk.refusal(&guests);
    assert_eq!(twice.line, Some(22));
    assert_eq!(
        twice.why,
        "steward-10 is invited on line 12 too: once is enough"
    );
}
