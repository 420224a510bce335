//! A sound card without a sound card: a private PulseAudio with two null sinks, whose other ends a test holds.
//! `receiver` is what the radio hears, its monitor what the box captures; `transmitter` is what the box plays,
//! its monitor what a test records.

use std::ffi::OsString;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::microphone::run;
use crate::sound::{raw, samples};

const PATIENCE: Duration = Duration::from_secs(20);
const RECEIVER: &str = "receiver";
const TRANSMITTER: &str = "transmitter";

pub struct Pulse {
    dir: TempDir,
    server: Child,
    /// The numbers of the two sinks' modules, while the card is there.
    card: Vec<String>,
}

impl Pulse {
    pub async fn start() -> Result<Pulse> {
        let dir = tempfile::tempdir()?;
        let path = |name: &str| dir.path().join(name);
        std::fs::create_dir(path("home"))?;
        let socket = path("socket");
        // A stream whose card is pulled ends; it does not move on to the other sink.
        std::fs::write(path("daemon.conf"), "rescue-streams = no\n")?;
        let module = format!(
            "load-module module-native-protocol-unix auth-anonymous=1 socket={}\n",
            socket.display()
        );
        std::fs::write(path("start.pa"), module)?;
        // No `fallback "null"`: a dead server would become a card that takes all there is at once.
        let mut settings = String::from("</usr/share/alsa/alsa.conf>\n");
        for (pcm, device) in [(RECEIVER, "receiver.monitor"), (TRANSMITTER, TRANSMITTER)] {
            settings.push_str(&format!(
                "pcm.{pcm} {{ type pulse server \"unix:{}\" device \"{device}\" }}\n",
                socket.display()
            ));
        }
        std::fs::write(path("asound.conf"), settings)?;
        let said = std::fs::File::create(path("said"))?;
        let server = Command::new("pulseaudio")
            .args(["-n", "--daemonize=no", "--use-pid-file=no"])
            .args(["--exit-idle-time=-1", "--disable-shm=yes"])
            .args(["--realtime=no", "--high-priority=no", "--log-level=notice"])
            .arg("-F")
            .arg(path("start.pa"))
            .env("HOME", path("home"))
            .env("XDG_RUNTIME_DIR", path("home"))
            .env("PULSE_CONFIG", path("daemon.conf"))
            .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said)
            .spawn()
            .context("starting pulseaudio; `make test` installs it")?;
        let mut pulse = Pulse {
            dir,
            server,
            card: Vec::new(),
        };
        let deadline = Instant::now() + PATIENCE;
        while UnixStream::connect(&socket).is_err() {
            let said = || std::fs::read_to_string(pulse.dir.path().join("said"));
            if let Some(status) = pulse.server.try_wait()? {
                bail!("pulseaudio ended with {status}: {}", said()?);
            }
            ensure!(
                Instant::now() < deadline,
                "pulseaudio does not listen: {}",
                said()?
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // Not started with it: pulseaudio gives such rights up when it starts. A machine that grants none has
        // gaps in its sound under load.
        let _ = Command::new("chrt")
            .args(["--all-tasks", "--rr", "--pid", "5"])
            .arg(pulse.server.id().to_string())
            .output();
        pulse.put_back()?;
        Ok(pulse)
    }

    /// What the box needs in its environment to see this card.
    pub fn environment(&self) -> Vec<(&'static str, OsString)> {
        let path = |name| self.dir.path().join(name).into();
        vec![
            ("ALSA_CONFIG_PATH", path("asound.conf")),
            ("HOME", path("home")),
            ("XDG_RUNTIME_DIR", path("home")),
        ]
    }

    /// The `sound` of a radio in the settings.
    pub fn sound(&self) -> String {
        format!("pcm:{RECEIVER},{TRANSMITTER}")
    }

    /// A program that talks to this server and to no other.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("HOME", self.dir.path().join("home"))
            .env("XDG_RUNTIME_DIR", self.dir.path().join("home"))
            .env(
                "PULSE_SERVER",
                format!("unix:{}", self.dir.path().join("socket").display()),
            )
            .stdin(Stdio::null());
        command
    }

    /// The card is pulled: whoever has it open finds it gone.
    pub fn pull(&mut self) -> Result<()> {
        for module in std::mem::take(&mut self.card) {
            run(self.command("pactl").args(["unload-module", &module]))?;
        }
        Ok(())
    }

    pub fn put_back(&mut self) -> Result<()> {
        for sink in [RECEIVER, TRANSMITTER] {
            let loaded = self
                .command("pactl")
                .args(["load-module", "module-null-sink", "norewinds=1"])
                .args(["rate=48000", "channels=1", "format=s16le"])
                .arg(format!("sink_name={sink}"))
                .output()
                .context("starting pactl")?;
            ensure!(
                loaded.status.success(),
                "loading the sink {sink}: {}",
                String::from_utf8_lossy(&loaded.stderr)
            );
            let module = String::from_utf8(loaded.stdout)?.trim().to_string();
            self.card.push(module);
        }
        Ok(())
    }

    /// The receiver receives this (48 kHz); returns when all of it was heard.
    pub async fn receives(&self, sound: &[f32]) -> Result<()> {
        let raw = raw(sound);
        let mut command = self.command("pacat");
        command
            .args(["--playback", "--raw", "--format=s16le", "--rate=48000"])
            .args(["--channels=1", "--latency-msec=250", "--device", RECEIVER])
            .stdin(Stdio::piped());
        tokio::task::spawn_blocking(move || {
            let mut player = command.spawn().context("starting pacat")?;
            let played = player
                .stdin
                .take()
                .context("pacat's input")?
                .write_all(&raw);
            let status = player.wait()?;
            ensure!(status.success(), "pacat ended with {status}");
            played.context("playing")
        })
        .await?
    }

    /// Records what is transmitted, from now on.
    pub async fn ear(&self) -> Result<Ear> {
        let mut recorder = self
            .command("parec")
            .args(["--raw", "--format=s16le", "--rate=48000", "--channels=1"])
            .args(["--latency-msec=10", "--device", "transmitter.monitor"])
            .stdout(Stdio::piped())
            .spawn()
            .context("starting parec")?;
        let mut output = recorder.stdout.take().context("parec's output")?;
        let (told, mut heard) = watch::channel(Vec::new());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            let mut odd = Vec::new();
            loop {
                let n = match output.read(&mut buffer) {
                    Ok(0) => return,
                    Ok(n) => n,
                    Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                    Err(_) => return,
                };
                odd.extend_from_slice(&buffer[..n]);
                let whole = odd.len() / 2 * 2;
                told.send_modify(|heard| heard.extend(samples(&odd[..whole])));
                odd.drain(..whole);
            }
        });
        tokio::time::timeout(PATIENCE, heard.wait_for(|heard| !heard.is_empty()))
            .await
            .context("parec hears nothing, not even silence")??;
        Ok(Ear { recorder, heard })
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// A recording that goes on until it is forgotten.
pub struct Ear {
    recorder: Child,
    heard: watch::Receiver<Vec<f32>>,
}

impl Ear {
    /// Everything until now, at 48 kHz.
    pub fn heard(&self) -> Vec<f32> {
        self.heard.borrow().clone()
    }

    /// Waits until what was heard is so.
    pub async fn until(&mut self, what: &str, mut is: impl FnMut(&[f32]) -> bool) -> Result<()> {
        let found = self.heard.wait_for(|heard| is(heard));
        match tokio::time::timeout(PATIENCE, found).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => bail!("the recording ended before {what}"),
            Err(_) => bail!("not within {PATIENCE:?}: {what}"),
        }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        let _ = self.recorder.kill();
        let _ = self.recorder.wait();
    }
}
