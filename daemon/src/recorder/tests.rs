use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::process::Command;

use pttd_core::authority::{Channel, Record, Roster};
use pttd_core::ids::{RouteId, SessionId};
use pttd_core::media::Packet;
use pttd_core::recording::Recording;
use pttd_core::wire::signal::{Level, Person, Role};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::ogg_file::hex;
use super::*;

/// 20 ms of SILK in wide band.
const TOC: u8 = 9 << 3;

struct Rig {
    dir: TempDir,
    store: Arc<Store>,
    health: Health,
    settings: config::Recorder,
}

impl Rig {
    fn new() -> Rig {
        let dir = TempDir::new().unwrap();
        let store = Arc::new(Store::open(&dir.path().join("state")).unwrap());
        let settings = config::Recorder {
            folder: dir.path().join("recordings"),
            ..config::Recorder::default()
        };
        let rig = Rig {
            dir,
            store,
            health: Health::default(),
            settings,
        };
        rig.keeps(Record::Minutes(30));
        rig
    }

    fn keeps(&self, record: Record) {
        let change = |roster: &mut Roster| {
            let channel = Channel {
                name: "Operations".into(),
                record,
                ..Channel::default()
            };
            roster.channels.insert("ops".into(), channel);
            Ok(((), Vec::new()))
        };
        self.store.change(change).unwrap();
    }

    /// A recorder's life, from start to stop.
    fn run(&self, tell: impl FnOnce(&Inbox)) -> Vec<Recording> {
        let (inbox, thread) = start(
            self.settings.clone(),
            self.store.clone(),
            self.health.clone(),
        )
        .unwrap();
        tell(&inbox);
        drop(inbox);
        thread.join().unwrap();
        self.store.recordings().collect::<Result<_>>().unwrap()
    }

    fn bytes(&self, recording: &Recording) -> Vec<u8> {
        std::fs::read(self.settings.folder.join(&recording.file)).unwrap()
    }
}

fn tell(inbox: &Inbox, what: Happening) {
    assert!((inbox.witness().tell)(&what));
}

fn begins(inbox: &Inbox, id: u64, at: Instant) {
    tell(
        inbox,
        Happening::TalkBegan {
            transmission: TransmissionId(id),
            channel: "ops".into(),
            route: RouteId(1),
            talker: anna(),
            level: Level::Normal,
            at,
        },
    );
}

fn ends(inbox: &Inbox, id: u64, duration: Duration) {
    tell(
        inbox,
        Happening::TalkEnded {
            transmission: TransmissionId(id),
            channel: "ops".into(),
            talker: anna(),
            reason: EndReason::Released,
            duration,
            at: Instant::now(),
        },
    );
}

fn anna() -> Person {
    Person {
        session_id: SessionId(1),
        user_id: "anna".into(),
        name: "Anna".into(),
        role: Role::User,
    }
}

/// 20 ms each.
fn says(inbox: &Inbox, id: u64, began: Instant, packets: u64) {
    for n in 0..packets {
        let tap = Tap {
            route: RouteId(1),
            transmission: TransmissionId(id),
            packet: Packet {
                seq: n,
                time: n as u32 * 960,
                marker: false,
                level: Some(-20),
                payload: [TOC, 1, 2, 3].into(),
            },
            at: began + Duration::from_millis(n * 20),
        };
        inbox.taps.send(Tapped::Packet(tap)).unwrap();
    }
}

#[test]
fn a_talk_becomes_a_file_that_tells_whose_it_is() {
    let rig = Rig::new();
    let recordings = rig.run(|inbox| {
        let began = Instant::now();
        begins(inbox, 7, began);
        says(inbox, 7, began, 100);
        ends(inbox, 7, Duration::from_millis(2100));
    });
    let [recording] = &recordings[..] else {
        panic!("{recordings:?}");
    };
    assert_eq!(recording.transmission, TransmissionId(7));
    assert_eq!(recording.duration_ms, 2100);
    assert_eq!(recording.reason, EndReason::Released);
    assert!(recording.complete && recording.dropped_packets == 0);
    assert!(
        recording.file.ends_with("/ops-7.opus"),
        "{}",
        recording.file
    );
    assert_eq!(recording.waveform.len(), 21);
    assert!(utc::now_ms().abs_diff(recording.began) < 60_000);
    let bytes = rig.bytes(recording);
    assert_eq!(hex(&Sha256::digest(&bytes)), recording.sha256);
    assert_eq!(bytes.len() as u64, recording.bytes);
    let info = Command::new("opusinfo")
        .arg(rig.settings.folder.join(&recording.file))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&info.stdout).into_owned();
    assert!(info.status.success(), "{said}");
    for expected in ["ARTIST=Anna", "TITLE=Operations", "0m:02.100s"] {
        assert!(said.contains(expected), "{expected} is not in {said}");
    }
    assert!(!said.to_lowercase().contains("warning"), "{said}");
}

#[test]
fn what_found_no_room_in_the_queue_is_told_in_the_record() {
    let rig = Rig::new();
    let recordings = rig.run(|inbox| {
        let began = Instant::now();
        begins(inbox, 7, began);
        says(inbox, 7, began, 10);
        let dropped = Tapped::Dropped {
            transmission: TransmissionId(7),
            packets: 3,
        };
        inbox.taps.send(dropped).unwrap();
        ends(inbox, 7, Duration::from_millis(400));
    });
    assert_eq!(recordings[0].dropped_packets, 3);
    assert!(!recordings[0].complete);
}

#[test]
fn a_talk_that_is_shorter_than_a_word_leaves_nothing() {
    let rig = Rig::new();
    let recordings = rig.run(|inbox| {
        for (id, packets) in [(4, 9), (5, 1)] {
            let began = Instant::now();
            begins(inbox, id, began);
            says(inbox, id, began, packets);
            ends(inbox, id, Duration::from_millis(3000));
        }
        begins(inbox, 7, Instant::now());
        ends(inbox, 7, Duration::from_millis(400));
    });
    assert!(recordings.is_empty());
}

#[test]
fn a_talk_that_has_not_ended_when_the_box_stops_is_kept_as_far_as_it_was_heard() {
    let rig = Rig::new();
    let recordings = rig.run(|inbox| {
        let began = Instant::now();
        begins(inbox, 7, began);
        says(inbox, 7, began, 51);
    });
    assert_eq!(recordings[0].duration_ms, 1000);
    assert_eq!(recordings[0].reason, EndReason::Disconnected);
    assert!(!recordings[0].complete);
}

#[test]
fn what_a_crash_has_cut_is_mended_and_what_is_no_recording_is_removed() {
    let rig = Rig::new();
    let whole = rig.run(|inbox| {
        let began = Instant::now();
        begins(inbox, 7, began);
        says(inbox, 7, began, 500);
        ends(inbox, 7, Duration::from_secs(10));
    });
    let file = rig.settings.folder.join(&whole[0].file);
    let bytes = rig.bytes(&whole[0]);
    std::fs::remove_file(&file).unwrap();
    let unfinished = rig.settings.folder.join("unfinished");
    std::fs::write(unfinished.join("7.opus"), &bytes[..bytes.len() / 2]).unwrap();
    std::fs::write(unfinished.join("8.opus"), b"nothing").unwrap();
    let mended = rig.run(|_| {});
    assert_eq!(mended.len(), 1, "{mended:?}");
    assert_eq!(mended[0].transmission, TransmissionId(7));
    assert_eq!(mended[0].reason, EndReason::Disconnected);
    assert!(!mended[0].complete);
    assert!((3000..6000).contains(&mended[0].duration_ms));
    assert_eq!(
        hex(&Sha256::digest(rig.bytes(&mended[0]))),
        mended[0].sha256
    );
    assert_eq!(std::fs::read_dir(unfinished).unwrap().count(), 0);
}

#[test]
fn a_whole_file_that_is_not_in_the_index_comes_into_it_and_the_other_way_round_it_goes() {
    let rig = Rig::new();
    let before = rig.run(|inbox| {
        for id in [7, 8] {
            let began = Instant::now();
            begins(inbox, id, began);
            says(inbox, id, began, 100);
            ends(inbox, id, Duration::from_millis(2010));
        }
    });
    let [of_8, of_7] = &before[..] else {
        panic!("{before:?}");
    };
    rig.store.remove_recordings(&[of_7.transmission]).unwrap();
    std::fs::remove_file(rig.settings.folder.join(&of_8.file)).unwrap();
    let after = rig.run(|_| {});
    assert_eq!(after.len(), 1, "{after:?}");
    assert_eq!(after[0].transmission, of_7.transmission);
    assert_eq!(after[0].duration_ms, of_7.duration_ms);
    assert!(rig.settings.folder.join(&after[0].file).exists());
}

#[test]
fn what_others_have_put_into_the_folder_stays() {
    let rig = Rig::new();
    let recordings = rig.run(|inbox| {
        let began = Instant::now();
        begins(inbox, 7, began);
        says(inbox, 7, began, 100);
        ends(inbox, 7, Duration::from_secs(2));
    });
    let (folder, bytes) = (&rig.settings.folder, rig.bytes(&recordings[0]));
    let day = Path::new(&recordings[0].file).parent().unwrap();
    let others = [
        "photos/ops-8.opus".into(),
        "photos/me.jpg".into(),
        "unfinished/notes.txt".into(),
        "2026-05-01/ops-9.opus".into(),
        "2026-05-01/20260501T101010.000Z-ops-7.opus".into(),
        "2026-05-01/ops-anna.opus".into(),
        day.join("ops-70.opus"),
        day.join("song.opus"),
        day.join("stage-7.opus"),
    ];
    for other in &others {
        std::fs::create_dir_all(folder.join(other).parent().unwrap()).unwrap();
        std::fs::write(folder.join(other), &bytes[..bytes.len() - 1]).unwrap();
    }
    std::fs::write(folder.join(&others[3]), b"nothing").unwrap();
    let lost_and_found = folder.join("lost+found");
    DirBuilder::new().mode(0o0).create(&lost_and_found).unwrap();
    assert_eq!(rig.run(|_| {}), recordings);
    for other in &others {
        assert!(folder.join(other).exists(), "{}", other.display());
    }
    assert!(rig.health.problems().is_empty());
}

#[test]
fn a_disk_that_is_away_is_told_nothing_is_forgotten_and_nothing_written_in_its_place() {
    let rig = Rig::new();
    let talk = |inbox: &Inbox, id| {
        let began = Instant::now();
        begins(inbox, id, began);
        says(inbox, id, began, 100);
        ends(inbox, id, Duration::from_secs(2));
    };
    let before = rig.run(|inbox| talk(inbox, 7));
    let (folder, away) = (&rig.settings.folder, rig.dir.path().join("away"));
    std::fs::rename(folder, &away).unwrap();
    std::fs::create_dir(folder).unwrap();
    assert_eq!(rig.run(|inbox| talk(inbox, 8)), before);
    let problem = rig.health.problems()["recorder"].clone();
    assert!(problem.contains("mount their disk"), "{problem}");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0);

    std::fs::remove_dir(folder).unwrap();
    std::fs::rename(&away, folder).unwrap();
    assert_eq!(rig.run(|inbox| talk(inbox, 9)).len(), 2);
    assert!(rig.health.problems().is_empty());

    // Where the operator says so, they begin anew.
    std::fs::rename(folder, &away).unwrap();
    std::fs::create_dir(folder).unwrap();
    std::fs::write(folder.join(".pttd-recordings"), "").unwrap();
    assert_eq!(rig.run(|inbox| talk(inbox, 10)).len(), 1);
    assert!(rig.health.problems().is_empty());
    std::fs::write(folder.join(".pttd-recordings"), "of another box").unwrap();
    assert_eq!(rig.run(|inbox| talk(inbox, 11)).len(), 1);
    let problem = rig.health.problems()["recorder"].clone();
    assert!(problem.contains("another box"), "{problem}");
}

#[test]
fn packets_that_found_no_room_after_the_end_are_told_in_the_record() {
    let rig = Rig::new();
    let recordings = rig.run(|inbox| {
        let began = Instant::now();
        begins(inbox, 7, began);
        says(inbox, 7, began, 20);
        ends(inbox, 7, Duration::from_millis(400));
        while rig.store.recording(TransmissionId(7)).unwrap().is_none() {
            std::thread::yield_now();
        }
        let dropped = Tapped::Dropped {
            transmission: TransmissionId(7),
            packets: 3,
        };
        inbox.taps.send(dropped).unwrap();
    });
    assert_eq!(recordings[0].dropped_packets, 3);
    assert!(!recordings[0].complete);
}

#[test]
fn a_file_that_is_there_is_never_written_over() {
    let rig = Rig::new();
    let recordings = rig.run(|inbox| {
        let began = Instant::now();
        begins(inbox, 6, began);
        says(inbox, 6, began, 20);
        ends(inbox, 6, Duration::from_millis(400));
        while rig.store.last_recorded().unwrap().is_none() {
            std::thread::yield_now();
        }
        std::fs::write(rig.settings.folder.join("unfinished/7.opus"), "of before").unwrap();
        assert_eq!(
            last_unfinished(&rig.settings.folder),
            Some(TransmissionId(7))
        );
        let began = Instant::now();
        begins(inbox, 7, began);
        says(inbox, 7, began, 100);
        ends(inbox, 7, Duration::from_secs(2));
    });
    assert_eq!(recordings.len(), 1, "the first");
    let there = std::fs::read(rig.settings.folder.join("unfinished/7.opus")).unwrap();
    assert_eq!(there, b"of before");
    assert!(rig.health.problems().contains_key("recorder"));
}

#[test]
fn a_channel_that_is_off_keeps_nothing_and_neither_does_one_without_room() {
    let mut rig = Rig::new();
    let talk = |inbox: &Inbox| {
        let began = Instant::now();
        begins(inbox, 7, began);
        says(inbox, 7, began, 100);
        ends(inbox, 7, Duration::from_secs(2));
    };
    assert_eq!(rig.run(talk).len(), 1);
    rig.keeps(Record::Off);
    assert_eq!(rig.run(|_| {}).len(), 0);
    let files = std::fs::read_dir(&rig.settings.folder).unwrap();
    assert_eq!(
        files.count(),
        2,
        "only the folder of the unfinished and the marker"
    );
    rig.keeps(Record::Days(1));
    rig.settings.max = config::Size(10);
    rig.run(talk);
    assert_eq!(rig.run(|_| {}).len(), 0);
}

#[test]
fn a_full_disk_is_a_problem_that_is_told_and_nothing_else() {
    let mut rig = Rig::new();
    rig.settings.keep_free = config::Size(u64::MAX);
    rig.run(|_| {});
    let problems = rig.health.problems();
    assert!(
        problems["recorder"].contains("nothing is recorded"),
        "{problems:?}"
    );
    rig.settings.keep_free = config::Size(0);
    rig.run(|_| {});
    assert!(rig.health.problems().is_empty());
    let in_the_way = rig.dir.path().join("file");
    std::fs::write(&in_the_way, b"").unwrap();
    rig.settings.folder = in_the_way;
    let recordings = rig.run(|inbox| {
        let began = Instant::now();
        begins(inbox, 7, began);
        says(inbox, 7, began, 100);
        ends(inbox, 7, Duration::from_secs(2));
    });
    assert!(recordings.is_empty());
    assert!(rig.health.problems().contains_key("recorder"));
}

#[test]
fn a_disk_that_cannot_be_read_is_no_broken_file() {
    let dir = TempDir::new().unwrap();
    let mended = dir.path().join("mended");
    let is_the_disks = |path: &Path| {
        let error = recover::recover(path, &mended).unwrap_err();
        error.is::<io::Error>()
    };
    assert!(is_the_disks(dir.path()), "a folder opens and is not read");
    let cut = dir.path().join("7.opus");
    for bytes in [
        "",
        "Og",
        "OggS",
        "nothing that was ever a recording of anything",
    ] {
        std::fs::write(&cut, bytes).unwrap();
        assert!(!is_the_disks(&cut), "{bytes}");
    }
}
