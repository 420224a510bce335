use pttd_core::media::Heard;
use pttd_core::wire::signal::{EndReason, Person, Role};
use tempfile::TempDir;

use super::*;
use crate::roster_file;

const PACKETS: u64 = 150;

fn anna() -> Person {
    Person {
        session_id: SessionId(7),
        user_id: "anna".into(),
        name: "Anna".into(),
        role: Role::Dispatch,
    }
}

fn ended(transmission: u64) -> Happening {
    Happening::TalkEnded {
        transmission: TransmissionId(transmission),
        channel: "ops".into(),
        talker: anna(),
        reason: EndReason::Released,
        duration: Duration::from_millis(3000),
        at: Instant::now(),
    }
}

fn heard(transmission: u64) -> Happening {
    Happening::Heard {
        transmission: TransmissionId(transmission),
        channel: "ops".into(),
        talker: anna(),
        heard: Heard {
            packets: PACKETS,
            lost: 50,
            level: Some(-30),
            peak: Some(-20),
        },
    }
}

fn store() -> (TempDir, Arc<Store>) {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let taken_in = store.change(|roster| {
        *roster = roster_file::built_in().unwrap();
        Ok(((), Vec::new()))
    });
    taken_in.unwrap();
    (dir, Arc::new(store))
}

fn entries(store: &Store) -> Vec<Entry> {
    let mut entries = Vec::new();
    let look = store.look_back(None, |_, entry| {
        entries.push(entry);
        true
    });
    look.unwrap();
    entries
}

#[test]
fn a_transmission_is_one_entry_with_how_it_was_heard_and_counts_for_the_roll() {
    let (_dir, store) = store();
    let journal = Journal::start(store.clone(), Health::default()).unwrap();
    let roll = journal.roll.clone();
    let witness = journal.inbox().witness();
    for what in [ended(1), heard(1), ended(2)] {
        assert!((witness.tell)(&what));
    }
    journal.finish().unwrap();
    let mut said: Vec<_> = entries(&store).into_iter().map(|e| e.text).collect();
    said.sort();
    assert_eq!(
        said,
        [
            "Anna talked on Operations for 3.0 s",
            "Anna talked on Operations for 3.0 s; at -30 dB; 25.0 % lost",
        ]
    );
    for roll in [roll, Roll::of_today(&store).unwrap()] {
        let anna = roll.now()[&pttd_core::ids::UserId::from("anna")].clone();
        assert_eq!(anna.name, "Anna");
        assert_eq!((anna.transmissions, anna.ms), (2, 6000));
        assert_eq!(anna.level(), Some(-30.0));
        assert_eq!(anna.lost_percent(), Some(25.0));
    }
}

#[test]
fn a_button_that_was_let_go_before_a_sound_came_of_it_is_not_written() {
    let (_dir, store) = store();
    let journal = Journal::start(store.clone(), Health::default()).unwrap();
    let (roll, witness) = (journal.roll.clone(), journal.inbox().witness());
    for (transmission, ms) in [(1, 20), (2, 3000)] {
        let (mut ended, mut heard) = (ended(transmission), heard(transmission));
        if let Happening::TalkEnded { duration, .. } = &mut ended {
            *duration = Duration::from_millis(ms);
        }
        if let Happening::Heard { heard, .. } = &mut heard {
            *heard = Heard::default();
        }
        assert!((witness.tell)(&ended) && (witness.tell)(&heard));
    }
    journal.finish().unwrap();
    let said: Vec<_> = entries(&store).into_iter().map(|e| e.text).collect();
    assert_eq!(said, ["Anna talked on Operations for 3.0 s"]);
    assert_eq!(roll.now().len(), 1);
}

#[test]
fn no_client_pushes_out_what_an_admin_did() {
    let (dir, store) = store();
    drop(store);
    let open = || {
        let store = Store::open(dir.path()).unwrap();
        store
            .limited(pttd_core::authority::Limits::default(), 10)
            .unwrap()
    };
    let store = open();
    let by = crate::store::By::operator();
    for n in 0..4 {
        store.note(&[by.did("user_set", n)]).unwrap();
    }
    for n in 0..50 {
        store.note(&[by.did("talk", n)]).unwrap();
    }
    let texts = |store: &Store| -> Vec<_> { entries(store).into_iter().map(|e| e.text).collect() };
    let kept = texts(&store);
    // They may take the room that nothing else takes.
    let talks = ["49", "48", "47", "46", "45", "44"].map(|n| format!("operator {n}"));
    let changes = ["3", "2", "1", "0"].map(|n| format!("operator {n}"));
    assert_eq!(kept, [&talks[..], &changes].concat());
    for n in 4..9 {
        store.note(&[by.did("user_set", n)]).unwrap();
    }
    let mut page = Vec::new();
    let look = store.look_back(None, |seq, _| {
        page.push(seq);
        true
    });
    look.unwrap();
    assert!(page.is_sorted_by(|a, b| a > b), "{page:?}");
    let kept = texts(&store);
    assert_eq!(kept.len(), 10);
    assert_eq!(kept.iter().filter(|t| talks.contains(t)).count(), 5);
    drop(store);
    assert_eq!(texts(&open()), kept);
}

#[test]
fn a_journal_that_does_not_keep_up_takes_no_more_and_never_blocks() {
    let (inbox, _never_read) = sync_channel(2);
    let witness = Inbox(inbox).witness();
    let taken: Vec<_> = (0..3).map(|n| (witness.tell)(&ended(n))).collect();
    assert_eq!(taken, [true, true, false]);
}

#[test]
fn the_journal_is_kept_to_its_bound_oldest_first() {
    let (dir, store) = store();
    drop(store);
    let open = |keep| {
        let store = Store::open(dir.path()).unwrap();
        store.limited(pttd_core::authority::Limits::default(), keep)
    };
    let store = open(3).unwrap();
    let by = crate::store::By::operator();
    for n in 0..5 {
        store.note(&[by.did("x", n)]).unwrap();
    }
    let texts = |store: &Store| -> Vec<_> { entries(store).into_iter().map(|e| e.text).collect() };
    assert_eq!(texts(&store), ["operator 4", "operator 3", "operator 2"]);
    drop(store);
    let store = open(2).unwrap();
    assert_eq!(texts(&store), ["operator 4", "operator 3"]);
    store.note(&[by.did("x", "5")]).unwrap();
    assert_eq!(texts(&store), ["operator 5", "operator 4"]);
}
