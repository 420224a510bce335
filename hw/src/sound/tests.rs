//! Against a private PulseAudio: one null sink is what the radio hears, another what it transmits; their
//! monitors are the other ends. alsa-lib reads its settings from the environment once a process, so what needs
//! them runs in a process of its own.

use std::f32::consts::TAU;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::*;
use crate::{Capture, Playback};

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
            .arg(format!(
                "--load=module-native-protocol-unix socket={} auth-anonymous=1",
                socket.display()
            ))
            .arg(format!("--load={}", sink("rx")))
            .arg(format!("--load={}", sink("tx")))
            .env("XDG_RUNTIME_DIR", folder)
            .env("HOME", folder)
            .env_remove("DBUS_SESSION_BUS_ADDRESS")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        while !socket.exists() {
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

/// The radio is `pcm:rx_out,tx_in`; `rx_in,tx_out`... the far end writes rx and records tx.
fn alsa_settings(folder: &Path) -> String {
    let pcm = |name: &str, device: &str| {
        let socket = folder.join("native");
        let server = socket.display();
        format!("pcm.{name} {{ type pulse server \"unix:{server}\" device \"{device}\" }}\n")
    };
    [
        ("rx", "rx.monitor"),
        ("tx", "tx"),
        ("far_mouth", "rx"),
        ("far_ear", "tx.monitor"),
    ]
    .map(|(name, device)| pcm(name, device))
    .concat()
}

#[test]
fn sound_goes_both_ways_through_alsa_and_survives_the_end_of_the_card() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("asoundrc");
    fs::write(&settings, alsa_settings(folder.path())).unwrap();
    let inner = Command::new(std::env::current_exe().unwrap())
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
    let said = String::from_utf8_lossy(&inner.stdout);
    let cried = String::from_utf8_lossy(&inner.stderr);
    assert!(inner.status.success(), "{said}\n{cried}");
    assert!(said.contains("1 passed"), "{said}");
    eprintln!("{cried}");
}

#[test]
#[ignore = "run by the test above, in a process of its own"]
fn inside() {
    let folder = std::env::var("PTTD_TEST_FOLDER").unwrap();
    let server = PulseAudio::start(Path::new(&folder));
    let rx = Pair::open("pcm:rx,far_mouth");
    let tx = Pair::open("pcm:far_ear,tx");
    let (heard, sent) = (rx.run(Side::Mono), tx.run(Side::Mono));
    let loud = |heard: &Receiver<f32>| {
        let until = Instant::now() + Duration::from_secs(10);
        let level = std::iter::repeat_with(|| heard.recv_timeout(Duration::from_secs(5)).unwrap());
        let mut loudest = 0.0_f32;
        for level in level.take_while(|_| Instant::now() < until) {
            loudest = loudest.max(level);
            if level > 0.3 {
                return;
            }
        }
        panic!("not heard, loudest {loudest}");
    };
    loud(&heard);
    loud(&sent);
    for _ in 0..500 {
        heard.recv().unwrap();
        sent.recv().unwrap();
    }
    eprintln!("kill");
    let k = Instant::now();
    drop(server);
    while heard.recv().is_ok() {}
    eprintln!("capture ended after {:?}", k.elapsed());
    while sent.recv().is_ok() {}
    std::thread::sleep(Duration::from_millis(300));
    for spec in ["pcm:rx,far_mouth"] {
        let s: SoundSpec = spec.parse().unwrap();
        let k = Instant::now();
        eprintln!(
            "{:?} {:?}",
            CardCapture::open(&s, Side::Mono, None).err(),
            k.elapsed()
        );
        eprintln!("{:?}", CardPlayback::open(&s, Side::Mono, None).err());
    }
    let server = PulseAudio::start(Path::new(&folder));
    let rx = Pair::open("pcm:rx,far_mouth");
    let heard = rx.run(Side::Right);
    loud(&heard);
    let _ = server;
}

struct Pair(SoundSpec);

impl Pair {
    fn open(spec: &str) -> Pair {
        Pair(spec.parse().unwrap())
    }

    fn run(&self, side: Side) -> Receiver<f32> {
        let (spec, (sender, receiver)) = (self.0.clone(), channel());
        let mut capture = CardCapture::open(&spec, side, None).unwrap();
        let mut playback = CardPlayback::open(&spec, side, None).unwrap();
        std::thread::spawn(move || {
            let mut n = 0;
            loop {
                let period = std::array::from_fn(|i| {
                    0.5 * ((n + i) as f32 * TAU * 1000.0 / RATE as f32).sin()
                });
                n += PERIOD;
                if let Err(e) = playback.write(&period) {
                    eprintln!("write {e} {e:?}");
                    if !matches!(e, HwError::TimedOut { .. }) {
                        break;
                    }
                }
                if n % 48000 == 0 {
                    eprintln!("{:?} xruns {}", playback.progress(), playback.xruns());
                }
            }
        });
        std::thread::spawn(move || {
            let mut period = [0.0; PERIOD];
            loop {
                match capture.read(&mut period) {
                    Ok(()) => {
                        let level = period.iter().fold(0.0_f32, |a, s| a.max(s.abs()));
                        if sender.send(level).is_err() {
                            eprintln!("capture xruns {}", capture.xruns());
                            return;
                        }
                    }
                    Err(e) => {
                        eprintln!("read {e} {e:?}");
                        if !matches!(e, HwError::TimedOut { .. }) {
                            break;
                        }
                    }
                }
            }
        });
        receiver
    }
}
