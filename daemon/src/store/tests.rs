use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use pttd_core::authority::{Channel, Membership, User};
use pttd_core::ids::{ChannelId, UserId};
use pttd_core::wire::signal::Role;
use tempfile::TempDir;

use super::*;

const NOON: u64 = 1_800_000_000;

/// sled's own threads let go of its file a moment after the last store in this process was dropped.
fn open(dir: &TempDir) -> Store {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match Store::open(dir.path()) {
            Err(error)
                if format!("{error:#}").contains("could not acquire lock")
                    && Instant::now() < deadline =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            opened => return opened.unwrap(),
        }
    }
}

fn anna() -> Roster {
    let ops = ChannelId::from("ops");
    let channel = Channel {
        name: "Operations".into(),
        ..Channel::default()
    };
    let user = User {
        name: "Anna".into(),
        role: Role::User,
        emergency: false,
        ends: None,
        channels: [(ops.clone(), Membership::Talk)].into(),
    };
    Roster {
        channels: [(ops, channel)].into(),
        users: [(UserId::from("anna"), user)].into(),
    }
}

fn entry() -> Entry {
    By::the_box().did("tested", "pttd was tested")
}

fn invitation(devices_left: u32) -> Invitation {
    Invitation {
        user: UserId::from("anna"),
        devices_left,
        used: 0,
        ends: NOON + 3_600,
        revoked: false,
    }
}

/// A store with Anna on its roster, and an invitation of hers.
fn invite(store: &Store, secret: &str, devices_left: u32) {
    store
        .change(|roster| {
            *roster = anna();
            Ok(((), vec![(hash(secret), invitation(devices_left))]))
        })
        .unwrap();
}

fn refusal(outcome: Result<Device, RedeemError>) -> SignInError {
    match outcome {
        Err(RedeemError::Refused(refused)) => refused,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_written_is_there_after_opening_again() {
    let dir = TempDir::new().unwrap();
    let key = StoredKey {
        certificate: vec![1],
        private_key: vec![2],
    };
    let secret = {
        let store = open(&dir);
        assert!(!store.has_roster().unwrap());
        invite(&store, "i", 2);
        store.redeem("i", "phone", NOON).unwrap();
        store.put_key("leaf", &key).unwrap();
        store.box_secret().unwrap()
    };
    let store = open(&dir);
    assert!(store.has_roster().unwrap());
    assert_eq!(*store.roster(), anna());
    assert_eq!(store.box_secret().unwrap(), secret);
    assert_eq!(store.key("leaf").unwrap(), Some(key));
    assert_eq!(store.key("ca").unwrap(), None);
    assert_eq!(
        store.device("phone").unwrap().unwrap().user.as_str(),
        "anna"
    );
    store.redeem("i", "tablet", NOON).unwrap();
    let used_up = refusal(store.redeem("i", "laptop", NOON));
    assert_eq!(used_up, SignInError::UsedUp);
    assert_eq!(store.device("laptop").unwrap(), None);
}

#[test]
fn a_refused_change_leaves_nothing_behind() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    invite(&store, "i", 1);
    let refused = store.change(|roster| -> Result<((), Records)> {
        roster.users.clear();
        bail!("no")
    });
    assert!(refused.is_err());
    let unfit = store.change(|roster| {
        roster.channels.clear();
        Ok(((), vec![(hash("j"), invitation(1))]))
    });
    assert!(unfit.is_err(), "anna belongs to a channel that is gone");
    assert_eq!(*store.roster(), anna());
    let unknown = refusal(store.redeem("j", "phone", NOON));
    assert_eq!(unknown, SignInError::UnknownInvitation);
}

#[test]
fn of_many_phones_after_the_last_places_just_as_many_get_in() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    invite(&store, "i", 3);
    let start = Barrier::new(8);
    let admitted: Vec<String> = std::thread::scope(|scope| {
        let phones: Vec<_> = (0..8)
            .map(|n| {
                let (store, start) = (&store, &start);
                scope.spawn(move || {
                    let phone = format!("phone {n}");
                    start.wait();
                    store.redeem("i", &phone, NOON).ok().map(|_| phone)
                })
            })
            .collect();
        phones
            .into_iter()
            .filter_map(|phone| phone.join().unwrap())
            .collect()
    });
    assert_eq!(admitted.len(), 3);
    for n in 0..8 {
        let phone = format!("phone {n}");
        let known = store.device(&phone).unwrap().is_some();
        assert_eq!(known, admitted.contains(&phone));
    }
}

#[test]
fn a_withdrawn_invitation_lets_nobody_in_and_leaves_who_is() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    invite(&store, "i", 2);
    store.redeem("i", "phone", NOON).unwrap();
    let whose = store.withdraw_invitation(&hash("i"), |_| entry()).unwrap();
    assert_eq!(whose, Some(UserId::from("anna")));
    assert_eq!(
        store.withdraw_invitation(&hash("j"), |_| entry()).unwrap(),
        None
    );
    let refused = refusal(store.redeem("i", "tablet", NOON));
    assert_eq!(refused, SignInError::Withdrawn);
    assert!(!store.device("phone").unwrap().unwrap().revoked);
}

#[test]
fn a_user_who_is_locked_out_loses_links_and_devices_and_nobody_else_does() {
    let dir = TempDir::new().unwrap();
    let anna = UserId::from("anna");
    {
        let store = open(&dir);
        invite(&store, "i", 2);
        store.redeem("i", "phone", NOON).unwrap();
        let ben = Device {
            user: UserId::from("ben"),
            since: NOON,
            revoked: false,
            from_token: false,
        };
        store.put_device("bens", &ben).unwrap();
        assert_eq!(store.withdraw_invitations_of(&anna, entry()).unwrap(), 1);
        assert_eq!(store.lock_out_devices_of(&anna, entry()).unwrap(), 1);
    }
    let store = open(&dir);
    assert!(store.device("phone").unwrap().unwrap().revoked);
    assert!(!store.device("bens").unwrap().unwrap().revoked);
    assert_eq!(
        refusal(store.redeem("i", "tablet", NOON)),
        SignInError::Withdrawn
    );
    assert_eq!(
        store.lock_out_devices_of(&anna, entry()).unwrap(),
        0,
        "they are already"
    );
}

#[test]
fn who_gets_an_id_that_was_somebody_elses_gets_none_of_their_devices_or_links() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    invite(&store, "used", 1);
    store.redeem("used", "phone", NOON).unwrap();
    invite(&store, "unused", 1);
    let token = Device {
        from_token: true,
        ..store.device("phone").unwrap().unwrap()
    };
    store.put_token_device("token", &token).unwrap();
    let change = |new: Roster| {
        store
            .change(|roster| {
                *roster = new;
                Ok(((), Vec::new()))
            })
            .unwrap()
            .1
    };
    let nobody = Roster {
        users: Default::default(),
        ..anna()
    };
    change(nobody);
    assert!(store.devices().unwrap().is_empty());
    assert!(store.open_invitations(NOON).unwrap().is_empty());
    let late = store.put_token_device("late", &token);
    assert!(
        matches!(late, Err(RedeemError::Refused(SignInError::NotOnRoster))),
        "{late:?}"
    );
    // Left by a box that did not end them.
    store.put_device("older", &token).unwrap();
    let roster = change(anna());
    for credential in ["phone", "token", "older"] {
        let device = store.device(credential).unwrap();
        let asked = authority::readmit(device.as_ref(), &roster, NOON);
        assert_eq!(asked, Err(SignInError::LockedOut), "{credential}");
    }
    let refused = refusal(store.redeem("unused", "tablet", NOON));
    assert_eq!(refused, SignInError::Withdrawn);
    assert_eq!(
        refusal(store.redeem("used", "phone", NOON)),
        SignInError::DeviceTaken
    );
}

#[test]
fn devices_of_people_who_are_long_gone_are_forgotten_and_others_are_not() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    invite(&store, "i", 1);
    let month = 30 * 24 * 3600;
    let device = |user: &str, since, from_token| Device {
        user: UserId::from(user),
        since,
        revoked: true,
        from_token,
    };
    for (name, device) in [
        ("gone", device("ben", NOON - month - 1, false)),
        ("gone lately", device("ben", NOON - month, false)),
        ("token", device("ben", NOON - month - 1, true)),
        ("locked out", device("anna", NOON - month - 1, false)),
    ] {
        store.put_device(name, &device).unwrap();
    }
    assert_eq!(store.forget_devices_of_the_gone(NOON).unwrap(), 1);
    assert_eq!(store.device("gone").unwrap(), None);
}

#[test]
fn no_change_takes_the_only_admin_away() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    let change = |edit: fn(&mut User)| {
        store.change(|roster| {
            if roster.users.is_empty() {
                *roster = anna();
            }
            roster.users.values_mut().for_each(edit);
            Ok(((), Vec::new()))
        })
    };
    change(|anna| anna.role = Role::Admin).unwrap();
    for edit in [(|anna| anna.role = Role::User) as fn(&mut User), |anna| {
        anna.ends = Some(NOON)
    }] {
        let error = change(edit).unwrap_err();
        assert!(
            matches!(
                error.downcast_ref(),
                Some(authority::ChangeError::LastAdmin(_))
            ),
            "{error:#}"
        );
    }
    let gone = store.change(|roster| {
        roster.users.clear();
        Ok(((), Vec::new()))
    });
    assert!(gone.is_err());
    assert_eq!(store.roster().users.len(), 1);
}

#[test]
fn a_second_process_is_told_that_the_folder_is_in_use() {
    let dir = TempDir::new().unwrap();
    let _first = open(&dir);
    let said = Store::open(dir.path()).unwrap_err().to_string();
    assert!(
        said.starts_with("another pttd uses the state folder"),
        "{said}"
    );
}

#[test]
fn a_damaged_state_is_told_and_no_new_box_is_made_of_it() {
    let dir = TempDir::new().unwrap();
    invite(&open(&dir), "i", 1);
    let db = dir.path().join("db/db");
    let whole = std::fs::read(&db).unwrap();
    for broken in [Vec::new(), vec![0xff; whole.len()], whole[..40].to_vec()] {
        std::fs::write(&db, broken).unwrap();
        let said = format!("{:#}", Store::open(dir.path()).unwrap_err());
        assert!(
            said.contains("is damaged: put a copy of the folder back"),
            "{said}"
        );
    }
}

#[test]
fn a_start_that_was_cut_off_while_sled_wrote_a_snapshot_costs_nothing() {
    let dir = TempDir::new().unwrap();
    invite(&open(&dir), "i", 1);
    invite(&open(&dir), "j", 1);
    std::fs::write(dir.path().join("db/snap.7FFFFFFFFFFFFFFF.generating"), "").unwrap();
    let store = open(&dir);
    assert!(store.redeem("i", "phone", NOON).is_ok());
    assert!(store.redeem("j", "tablet", NOON).is_ok());
}

#[test]
fn only_what_ended_long_ago_is_forgotten() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    let month = 30 * 24 * 3600;
    let old = Invitation {
        ends: NOON - month - 1,
        ..invitation(1)
    };
    let ended = Invitation {
        ends: NOON - month,
        ..invitation(1)
    };
    store
        .change(|roster| {
            *roster = anna();
            Ok(((), vec![(hash("old"), old), (hash("ended"), ended)]))
        })
        .unwrap();
    assert_eq!(store.forget_ended_invitations(NOON).unwrap(), 1);
    let refused = |secret| match store.redeem(secret, "device", NOON) {
        Err(RedeemError::Refused(refused)) => refused,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused("old"), authority::SignInError::UnknownInvitation);
    assert_eq!(refused("ended"), authority::SignInError::Ended);
}

#[test]
fn a_newer_state_is_left_alone() {
    let dir = TempDir::new().unwrap();
    {
        let store = open(&dir);
        store.identity.insert("format", "9").unwrap();
        store.commit().unwrap();
    }
    let said = Store::open(dir.path()).unwrap_err().to_string();
    assert!(said.contains("a newer pttd"), "{said}");
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let dir = TempDir::new().unwrap();
    let mut acknowledged = Vec::new();
    for kill_after in [1, 2, 40, 70] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "store::tests::writer_to_be_killed",
                "--ignored",
                "--nocapture",
            ])
            .env("PTTD_TEST_STATE", dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let devices = lines
            .map_while(Result::ok)
            .filter_map(|line| Some(line.split_once("acknowledged ")?.1.to_string()));
        acknowledged.extend(devices.take(kill_after));
        child.kill().unwrap();
        child.wait().unwrap();
        let store = open(&dir);
        for device in &acknowledged {
            assert!(store.device(device).unwrap().is_some(), "{device} is lost");
        }
    }
    assert_eq!(acknowledged.len(), 113);
}

#[test]
fn of_the_devices_that_tokens_left_the_oldest_go_and_those_locked_out_stay() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    let device = |user: &str, n: usize, revoked, from_token| Device {
        user: UserId::from(user),
        since: NOON + n as u64,
        revoked,
        from_token,
    };
    invite(&store, "i", 1);
    let ben = anna().users.remove(&UserId::from("anna"));
    let with_ben = store.change(|roster| {
        roster.users.insert("ben".into(), ben.unwrap());
        Ok(((), Vec::new()))
    });
    with_ben.unwrap();
    let put = |name: &str, device: Device| store.put_token_device(name, &device).unwrap();
    put("locked out", device("anna", 0, true, true));
    put("bens", device("ben", 0, false, true));
    let by_invitation = device("anna", 0, false, false);
    store.put_device("invited", &by_invitation).unwrap();
    for n in 1..=MAX_TOKEN_DEVICES + 2 {
        put(&n.to_string(), device("anna", n, false, true));
    }
    let is_known = |name: &str| store.device(name).unwrap().is_some();
    assert!(
        ["locked out", "bens", "invited", "3"]
            .into_iter()
            .all(is_known)
    );
    assert!(!is_known("1") && !is_known("2"));
    assert!(is_known(&(MAX_TOKEN_DEVICES + 2).to_string()));
}

/// Where the tests run as root; elsewhere nobody can be somebody else.
#[test]
fn root_leaves_nothing_in_the_state_that_its_owner_cannot_open() {
    const NOBODY: u32 = 65_534;
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let dir = TempDir::new().unwrap();
    std::os::unix::fs::chown(dir.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    let refused = Store::open(dir.path()).unwrap_err().to_string();
    assert!(refused.contains("belongs to"), "{refused}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    // In a process of its own: the other tests go on as root.
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::root_as_the_owner", "--ignored"])
        .env("PTTD_TEST_STATE", dir.path())
        .status();
    assert!(child.unwrap().success());
    let mut folders = vec![dir.path().to_path_buf()];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let file = entry.metadata().unwrap();
            assert_eq!(file.uid(), NOBODY, "{:?}", entry.path());
            assert_eq!(file.gid(), NOBODY, "{:?}", entry.path());
            if file.is_dir() {
                folders.push(entry.path());
            }
            seen += 1;
        }
    }
    assert!(seen > 3);
}

#[test]
#[ignore = "the child process of root_leaves_nothing_in_the_state_that_its_owner_cannot_open"]
fn root_as_the_owner() {
    let state = std::env::var("PTTD_TEST_STATE").unwrap();
    let state = Path::new(&state);
    {
        let _owner = AsOwner::of(state).unwrap();
        invite(&Store::open(state).unwrap(), "i", 1);
    }
    assert!(nix::unistd::geteuid().is_root());
    assert_eq!(nix::unistd::getegid().as_raw(), 0);
}

#[test]
#[ignore = "the child process of what_was_acknowledged_survives_kill_9"]
fn writer_to_be_killed() {
    let state = std::env::var("PTTD_TEST_STATE").unwrap();
    let store = Store::open(Path::new(&state)).unwrap();
    let anna = Device {
        user: UserId::from("anna"),
        since: NOON,
        revoked: false,
        from_token: false,
    };
    for n in 0..100_000 {
        let device = format!("{}-{n}", std::process::id());
        store.put_device(&device, &anna).unwrap();
        println!("acknowledged {device}");
    }
}
