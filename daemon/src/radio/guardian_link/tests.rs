//! The link with the real guardian and a simulated radio. `cargo build -p pttd` comes before.

use std::sync::mpsc::{Receiver, channel};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pttd_hw::bench::Air;
use tempfile::TempDir;

use super::*;

/// Twice what it takes on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(10);

struct Rig {
    link: Arc<Link>,
    air: Air,
    reports: Receiver<(String, Event)>,
    health: Health,
    dir: TempDir,
}

fn program() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let mut beside = here.ancestors().skip(1).map(|folder| folder.join("pttd"));
    let found = beside.find(|path| path.is_file());
    found.expect("no pttd beside the tests: `cargo build -p pttd` first")
}

impl Rig {
    fn new() -> Rig {
        let dir = tempfile::tempdir().unwrap();
        let air = Air::listen(&dir.path().join("air.sock")).unwrap();
        let config = dir.path().join("pttd.toml");
        let text = format!(
            "state.dir = 'state'\n[[radio]]\nid = 'hall'\nchannel = 'ops'\nsound = 'bench:{0}'\nptt = 'bench:{0}'\n\
             tot = '15s'\n",
            air.path().display()
        );
        std::fs::write(&config, text).unwrap();
        let settings = Settings::read(&config).unwrap();
        let health = Health::default();
        let (report, reports) = channel();
        let report = move |radio: &str, event| {
            let _ = report.send((radio.to_string(), event));
        };
        let config = config.canonicalize().unwrap();
        let mut setup = Setup::of(&settings, Some(config), health.clone(), report).unwrap();
        setup.starter.as_mut().unwrap().program = program();
        Rig {
            link: Link::start(setup).unwrap(),
            dir,
            air,
            reports,
            health,
        }
    }

    /// Orders every 50 ms until that is so; how long it took.
    fn key_until(&self, what: &str, done: impl Fn() -> bool) -> Duration {
        let began = Instant::now();
        while !done() {
            assert!(
                began.elapsed() < PATIENCE,
                "{what}: {:?}",
                self.air.ptt_history()
            );
            self.link.key("hall");
            for _ in 0..50 {
                if done() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        began.elapsed()
    }

    fn pid(&self) -> Pid {
        let socket = Socket::connect(&self.dir.path().join("state/guardian.sock")).unwrap();
        Pid::from_raw(socket.peer().unwrap().pid())
    }

    fn reported(&self, keyed: bool, fault: bool) {
        let locked = false;
        let event = Event::Line {
            keyed,
            fault,
            locked,
        };
        let wanted = ("hall".to_string(), event);
        loop {
            let report = self.reports.recv_timeout(PATIENCE);
            if report.expect("no such report") == wanted {
                return;
            }
        }
    }
}

#[test]
fn it_starts_a_guardian_keys_unkeys_and_takes_it_along() {
    let rig = Rig::new();
    rig.key_until("keyed", || rig.air.is_keyed());
    rig.reported(true, false);
    rig.link.unkey("hall");
    rig.reported(false, false);
    assert!(!rig.air.is_keyed());
    assert!(rig.health.problems().is_empty());
    let pid = rig.pid();
    rig.link.stop();
    assert!(kill(pid, None).is_err(), "the guardian is still there");
}

#[test]
fn a_guardian_that_hangs_while_keyed_is_killed_and_another_keys_again() {
    for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
        let rig = Rig::new();
        rig.key_until("keyed", || rig.air.is_keyed());
        rig.reported(true, false);
        let first = rig.pid();
        kill(first, signal).unwrap();
        let down = rig.key_until("down", || !rig.air.is_keyed());
        println!("{signal}: line down after {down:?}");
        assert!(down < Duration::from_secs(2), "{signal}: {down:?}");
        rig.reported(false, true);
        let again = rig.key_until("keyed again", || rig.air.is_keyed());
        println!("{signal}: keyed again after {again:?}");
        rig.reported(true, false);
        assert_ne!(rig.pid(), first);
        assert!(rig.health.problems().is_empty());
    }
}

#[test]
fn a_guardian_that_hangs_while_nothing_is_keyed_is_replaced_as_well() {
    let rig = Rig::new();
    rig.key_until("keyed", || rig.air.is_keyed());
    rig.link.unkey("hall");
    rig.reported(false, false);
    let first = rig.pid();
    kill(first, Signal::SIGSTOP).unwrap();
    // Nobody orders anything.
    rig.reported(false, true);
    rig.reported(false, false);
    assert_ne!(rig.pid(), first);
}
