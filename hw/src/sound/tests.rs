//! Against a private PulseAudio: one null sink is what the radio hears, another what it transmits; their
//! monitors are the other ends. alsa-lib reads its settings from the environment once a process, so what needs
//! them runs in a process of its own.

use std::f32::consts::TAU;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::*;
use crate::{Capture, Playback, Progress};

struct PulseAudio(Child);

impl PulseAudio {
    fn start(folder: &Path) -> PulseAudio {
        let socket = folder.join("native");
        let _ = fs::remove_file(&socket);
        let sink = |name: &str| {
            format!(
                "module-null-sink sink_name={name} norewinds=1 rate=48000 format=s16le channels=2"
            )
        };
        // Its clock has to keep up with a machine that compiles; where chrt is not allowed, it tries.
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "chrt -r 5 true 2>/dev/null && exec chrt -r 5 \"$@\" || exec \"$@\"",
            "-",
        ]);
        let server = command
            .args([
                "pulseaudio",
                "-n",
                "--daemonize=no",
                "--exit-idle-time=-1",
                "--use-pid-file=no",
            ])
            .args([
                "--disallow-exit=yes",
                "--realtime=no",
                "--high-priority=no",
                "--log-level=error",
            ])
            // The door opens last, when all is there.
            .arg(format!("--load={}", sink("rx")))
            .arg(format!("--load={}", sink("tx")))
            .arg(format!(
                "--load=module-native-protocol-unix socket={} auth-anonymous=1",
                socket.display()
            ))
            .env("XDG_RUNTIME_DIR", folder)
            .env("HOME", folder)
            .env_remove("DBUS_SESSION_BUS_ADDRESS")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        while UnixStream::connect(&socket).is_err() {
            assert!(
                Instant::now() < until,
                "PulseAudio (package pulseaudio) does not start"
            );
            sleep(Duration::from_millis(20));
        }
        PulseAudio(server)
    }
}

impl Drop for PulseAudio {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The radio is `pcm:rx,tx`, its far end `pcm:far_ear,far_mouth`.
fn alsa_settings(folder: &Path) -> String {
    let pcm = |name: &str, device: &str| {
        let socket = folder.join("native");
        let server = socket.display();
        format!("pcm.{name} {{ type pulse server \"unix:{server}\" device \"{device}\" }}\n")
    };
    [
        pcm("rx", "rx.monitor"),
        pcm("tx", "tx"),
        pcm("far_mouth", "rx"),
        pcm("far_ear", "tx.monitor"),
        pcm("strict", "tx").replace('}', "handle_underrun 1 }"),
    ]
    .concat()
}

#[test]
fn sound_goes_both_ways_through_alsa_and_a_card_may_stall_and_vanish() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("asoundrc");
    fs::write(&settings, alsa_settings(folder.path())).unwrap();
    let inside = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "sound::tests::inside",
            "--ignored",
            "--nocapture",
        ])
        .env("ALSA_CONFIG_PATH", &settings)
        .env("PTTD_TEST_FOLDER", folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&inside.stdout);
    let cried = String::from_utf8_lossy(&inside.stderr);
    assert!(inside.status.success(), "{said}\n{cried}");
    assert!(said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "run by the test above, in a process of its own"]
fn inside() {
    let folder = std::env::var("PTTD_TEST_FOLDER").unwrap();
    let folder = Path::new(&folder);
    let server = PulseAudio::start(folder);

    // One side each way, and nothing of it on the other.
    let far_mouth = Mouth::open("pcm:far_mouth", Side::Left);
    let mut rx = Ear::open("pcm:rx,tx", Side::Left);
    rx.hears(true);
    drop(rx);
    let mut other = Ear::open("pcm:rx,tx", Side::Right);
    other.hears(false);
    drop((far_mouth, other));
    let tx = Mouth::open("pcm:rx,tx", Side::Mono);
    let mut far_ear = Ear::open("pcm:far_ear,far_mouth", Side::Right);
    far_ear.hears(true);

    // How far the card is.
    let before = tx.progress();
    soon("it moves", || tx.progress().played > before.played);
    let delay = tx.progress().delay;
    assert!((20..200).contains(&delay.as_millis()), "{delay:?}");

    // It stands still: whoever reads and writes is not held up, and sees it.
    let pid = Pid::from_raw(server.0.id() as i32);
    kill(pid, Signal::SIGSTOP).unwrap();
    soon("the writer is told", || tx.timed_out() > 0);
    let stands = tx.progress().played;
    let start = Instant::now();
    let error = std::iter::repeat_with(|| far_ear.0.read(&mut [0.0; PERIOD])).find_map(Result::err);
    assert!(matches!(error, Some(HwError::TimedOut { .. })), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(2));
    assert_eq!(tx.progress().played, stands);
    kill(pid, Signal::SIGCONT).unwrap();
    soon("it moves again", || {
        tx.progress().played > stands + u64::from(RATE) / 10
    });
    far_ear.hears(true);

    // It runs dry: that is counted, and it goes on.
    let mut strict =
        CardPlayback::open(&"pcm:rx,strict".parse().unwrap(), Side::Mono, None).unwrap();
    soon("it runs dry", || {
        for _ in 0..5 {
            strict.write(&[0.0; PERIOD]).unwrap();
        }
        sleep(Duration::from_millis(200));
        strict.xruns() > 0
    });
    let played = strict.progress().unwrap().played;
    soon("it goes on", || {
        strict.write(&[0.0; PERIOD]).unwrap();
        strict.progress().unwrap().played > played
    });
    drop(strict);

    // It is pulled: both are told at once, and it is found again when it is put back.
    drop(server);
    let start = Instant::now();
    let error = std::iter::repeat_with(|| far_ear.0.read(&mut [0.0; PERIOD])).find_map(Result::err);
    assert!(matches!(error, Some(HwError::Missing { .. })), "{error:?}");
    soon("the writer has ended", || tx.thread.is_finished());
    assert!(start.elapsed() < Duration::from_secs(2));
    drop((tx, far_ear));
    let spec = "pcm:rx,tx".parse().unwrap();
    let missing = CardCapture::open(&spec, Side::Mono, None).err();
    assert!(
        matches!(missing, Some(HwError::Missing { .. })),
        "{missing:?}"
    );
    let missing = CardPlayback::open(&spec, Side::Mono, None).err();
    assert!(
        matches!(missing, Some(HwError::Missing { .. })),
        "{missing:?}"
    );
    let _server = PulseAudio::start(folder);
    let _far_mouth = Mouth::open("pcm:far_mouth", Side::Mono);
    Ear::open("pcm:rx,tx", Side::Mono).hears(true);
}

fn soon(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(Instant::now() < until, "{what}");
        sleep(Duration::from_millis(2));
    }
}

struct Ear(CardCapture);

impl Ear {
    fn open(spec: &str, side: Side) -> Ear {
        Ear(CardCapture::open(&spec.parse().unwrap(), side, None).unwrap())
    }

    /// A sine soon, or silence for half a second.
    fn hears(&mut self, something: bool) {
        let (mut period, mut loudest) = ([0.0; PERIOD], 0.0_f32);
        let periods = if something { 1000 } else { 50 };
        for _ in 0..periods {
            match self.0.read(&mut period) {
                Ok(()) | Err(HwError::TimedOut { .. }) => {}
                Err(error) => panic!("{error}"),
            }
            loudest = period.iter().fold(loudest, |a, s| a.max(s.abs()));
            if something && loudest > 0.4 {
                return;
            }
        }
        assert!(!something && loudest < 0.001, "loudest: {loudest}");
    }
}

/// Plays a sine until it is dropped or its card is gone.
struct Mouth {
    playback: Arc<Mutex<CardPlayback>>,
    timed_out: Arc<AtomicU64>,
    end: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Mouth {
    fn open(spec: &str, side: Side) -> Mouth {
        let playback = CardPlayback::open(&spec.parse().unwrap(), side, None).unwrap();
        let playback = Arc::new(Mutex::new(playback));
        let (timed_out, end) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (its, told, ended) = (playback.clone(), timed_out.clone(), end.clone());
        let thread = std::thread::spawn(move || {
            let mut n = 0;
            while !ended.load(Ordering::Relaxed) {
                let step = TAU * 1000.0 / RATE as f32;
                let period = std::array::from_fn(|i| 0.5 * ((n + i) as f32 * step).sin());
                let written = its.lock().unwrap().write(&period);
                match written {
                    Ok(()) => n = (n + PERIOD) % RATE as usize,
                    Err(HwError::TimedOut { .. }) => {
                        told.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(HwError::Missing { .. }) => return,
                    Err(error) => panic!("{error}"),
                }
            }
        });
        Mouth {
            playback,
            timed_out,
            end,
            thread,
        }
    }

    fn progress(&self) -> Progress {
        self.playback.lock().unwrap().progress().unwrap()
    }

    fn timed_out(&self) -> u64 {
        self.timed_out.load(Ordering::Relaxed)
    }
}

impl Drop for Mouth {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
    }
}
