//! Chromium with a person's voice for a microphone, and an ear on what it plays.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use hyper::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

use crate::microphone::{VOICES, Voice, recording};
use crate::sound;

/// Listens to a track: every 40 ms how loud it is and which person's tone fills it, if one does.
const EAR: &str = include_str!("ear.js");

/// Runs before any script of a page: keeps what the browser complains about.
const WATCH: &str = include_str!("watch.js");

/// Runs before any script of a page, where a test asks for it: keeps what the page plays.
const OUTPUTS: &str = include_str!("outputs.js");

/// Runs before any script of a page, where a test asks for it: a sentence in the place of the microphone.
const SPEAKER: &str = include_str!("speaker.js");

/// How long a page may take for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The right to run browsers, or a sound server. Two tests with these at a time are too much for two cores, and a
/// starved browser is a test that fails now and then.
pub struct Turn(#[expect(dead_code, reason = "held, not read")] Flock<std::fs::File>);

pub async fn turn() -> Turn {
    tokio::task::spawn_blocking(|| {
        let path = std::env::temp_dir().join("pttd-tests-browsers.lock");
        let file = std::fs::File::create(&path).expect("creating the browsers' lock");
        Flock::lock(file, FlockArg::LockExclusive)
            .map(Turn)
            .map_err(|(_, e)| e)
            .expect("waiting for a turn")
    })
    .await
    .expect("waiting for a turn")
}

pub struct Browser {
    pub page: Client,
    pub voice: Voice,
    driver: Driver,
    /// Kept open: a driver that cannot speak ends.
    _said: BufReader<ChildStdout>,
    _dir: TempDir,
}

impl Turn {
    /// A browser with an empty profile that trusts the key with this hash, and no other of its own making.
    pub async fn browser(&self, voice: Voice, spki: Option<&str>) -> Result<Browser> {
        let dir = tempfile::tempdir()?;
        let microphone = recording(voice, dir.path())?;
        let (driver, said, port) = startdriver()?;
        let mut args: Vec<String> = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--use-fake-device-for-media-stream",
            "--autoplay-policy=no-user-gesture-required",
            "--allow-loopback-in-peer-connection",
            "--host-resolver-rules=MAP *.local 127.0.0.1",
            // The browser ends with its driver, however that ends.
            "--remote-debugging-pipe",
        ]
        .map(String::from)
        .into();
        args.push(format!(
            "--use-file-for-fake-audio-capture={}",
            microphone.display()
        ));
        args.push(format!(
            "--user-data-dir={}",
            dir.path().join("profile").display()
        ));
        args.extend(spki.map(|hash| format!("--ignore-certificate-errors-spki-list={hash}")));
        let capabilities = json!({
            "goog:chromeOptions": { "args": args },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let Value::Object(capabilities) = capabilities else {
            bail!("capabilities are an object")
        };
        let page = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .context("starting chromium")?;
        let allowed = json!({ "permissions": ["audioCapture"] });
        page.issue_cmd(Devtools("Browser.grantPermissions", allowed))
            .await?;
        let watch = json!({ "source": WATCH });
        page.issue_cmd(Devtools("Page.addScriptToEvaluateOnNewDocument", watch))
            .await?;
        Ok(Browser {
            page,
            voice,
            driver,
            _said: said,
            _dir: dir,
        })
    }
}

/// A process, its parent, and its ticks in user and in system mode.
fn stat(path: &Path) -> Option<[u64; 4]> {
    let stat = std::fs::read_to_string(path).ok()?;
    // The name may have spaces and brackets in it.
    let (pid, rest) = stat.split_once(" (")?;
    let words: Vec<&str> = rest.rsplit_once(") ")?.1.split(' ').collect();
    let number = |at: usize| words.get(at)?.parse().ok();
    Some([pid.parse().ok()?, number(1)?, number(11)?, number(12)?])
}

/// Ends with whoever started it, whether a browser came of it or not.
struct Driver(Child);

impl Drop for Driver {
    fn drop(&mut self) {
        // Not SIGKILL: asked, it takes its browser along.
        let _ = kill(Pid::from_raw(self.0.id() as i32), Signal::SIGTERM);
        let _ = self.0.wait();
    }
}

fn startdriver() -> Result<(Driver, BufReader<ChildStdout>, u16)> {
    let driver = Command::new("chromedriver")
        .arg("--port=0")
        .stdout(Stdio::piped())
        .spawn()
        .context("starting chromedriver; `make test` installs it")?;
    let mut driver = Driver(driver);
    let mut said = BufReader::new(driver.0.stdout.take().context("chromedriver's output")?);
    let mut line = String::new();
    while said.read_line(&mut line)? > 0 {
        if let Some((_, port)) = line.split_once("started successfully on port ") {
            let port = port.trim().trim_end_matches('.').parse()?;
            return Ok((driver, said, port));
        }
        line.clear();
    }
    bail!("chromedriver ended before it had a port")
}

/// A command of Chromium's own protocol, for what WebDriver does not know.
#[derive(Debug)]
struct Devtools(&'static str, Value);

impl WebDriverCompatibleCommand for Devtools {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, url::ParseError> {
        base.join(&format!(
            "session/{}/goog/cdp/execute",
            session.unwrap_or_default()
        ))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (
            Method::POST,
            Some(json!({ "cmd": self.0, "params": self.1 }).to_string()),
        )
    }
}

impl Browser {
    /// What the browser has run, all its processes.
    pub fn cpu(&self) -> Result<Duration> {
        let mut family = vec![self.driver.0.id()];
        let mut ticks = 0;
        let processes: Vec<[u64; 4]> = std::fs::read_dir("/proc")?
            .filter_map(|entry| stat(&entry.ok()?.path().join("stat")))
            .collect();
        while let Some(parent) = family.pop() {
            for [pid, of, user, system] in &processes {
                if *of == u64::from(parent) {
                    ticks += user + system;
                    family.push(*pid as u32);
                }
            }
        }
        // Linux counts in hundredths of a second, whatever its own tick.
        Ok(Duration::from_millis(ticks * 10))
    }

    pub async fn js(&self, script: &str) -> Result<Value> {
        self.page
            .execute(script, vec![])
            .await
            .with_context(|| format!("running {script}"))
    }

    /// Waits in the page until the expression is true.
    pub async fn until(&self, expression: &str) -> Result<()> {
        self.within(PATIENCE, expression).await
    }

    /// The page itself watches, so that nothing short is missed between two questions.
    pub async fn within(&self, deadline: Duration, expression: &str) -> Result<()> {
        let script = format!(
            "const done = arguments[arguments.length - 1];
             const end = performance.now() + {};
             (function look() {{
                 let seen; try {{ seen = Boolean({expression}) }} catch (e) {{ seen = false }}
                 if (seen) done('yes');
                 else if (performance.now() > end) done('no');
                 else setTimeout(look, 10);
             }})()",
            deadline.as_millis()
        );
        match self.page.execute_async(&script, vec![]).await?.as_str() {
            Some("yes") => Ok(()),
            _ => Err(anyhow!(
                "{}: not within {deadline:?}: {expression}",
                self.voice.user
            )),
        }
    }

    /// A command of Chromium's own protocol.
    pub async fn devtools(&self, command: &'static str, params: Value) -> Result<Value> {
        self.page
            .issue_cmd(Devtools(command, params))
            .await
            .context(command)
    }

    /// What went wrong in the page since it was loaded: errors nobody caught, and broken content policy.
    pub async fn complaints(&self) -> Result<Value> {
        self.js("return window.complaints").await
    }

    /// Puts an ear on the track that this expression gives.
    pub async fn listen(&self, track: &str) -> Result<()> {
        let tones: serde_json::Map<String, Value> = VOICES
            .iter()
            .map(|v| (v.user.to_string(), v.tone.into()))
            .collect();
        let script = format!(
            "{EAR}; window.ear = listen({track}, {})",
            Value::Object(tones)
        );
        self.js(&script).await.map(drop)
    }

    /// Hears this person's tone, and hears it for several bursts.
    pub async fn hears(&self, voice: Voice) -> Result<()> {
        self.js("ear.forget()").await?;
        self.until(&format!("ear.heard({:?}) >= 15", voice.user))
            .await
            .with_context(|| format!("{} should hear {}", self.voice.user, voice.user))
    }

    /// From the next page on, keeps what is played by audio graphs. Looked at `size` samples at a time.
    pub async fn keep_what_is_played(&self, size: u32) -> Result<()> {
        let source = format!("const SIZE = {size};\n{OUTPUTS}");
        // In a scope of its own: SIZE is nobody else's.
        let script = json!({ "source": format!("{{ {source} }}") });
        self.devtools("Page.addScriptToEvaluateOnNewDocument", script)
            .await
            .map(drop)
    }

    /// From the next page on, the microphone is what [`Browser::learns`] says, from the moment it is put on the
    /// air.
    pub async fn has_a_sentence_for_a_microphone(&self) -> Result<()> {
        let script = json!({ "source": SPEAKER });
        self.devtools("Page.addScriptToEvaluateOnNewDocument", script)
            .await
            .map(drop)
    }

    /// What it says when it is on the air next, at 48 kHz.
    pub async fn learns(&self, samples: &[f32]) -> Result<()> {
        let text = BASE64.encode(sound::raw(samples));
        self.js(&format!("speaker.learn({text:?})")).await.map(drop)
    }

    /// Plays what the selected channel's element plays through an audio graph as well, so that it is kept, and
    /// nothing else is.
    pub async fn keeps_the_channel(&self) -> Result<()> {
        let audio = "document.querySelector(`#sound audio[data-channel=\"${pttd.selected}\"]`)";
        self.until(&format!("{audio}.srcObject.getAudioTracks().length"))
            .await?;
        let script = format!(
            "window.kept = outputs.only = new AudioContext(); kept.resume();
             kept.createMediaStreamSource({audio}.srcObject).connect(kept.destination)"
        );
        self.js(&script).await.map(drop)
    }

    /// How many samples have been played by now.
    pub async fn played(&self) -> Result<u64> {
        let count = self.js("return outputs.count()").await?;
        count.as_u64().context("a count of samples")
    }

    /// What was played from there on.
    pub async fn played_since(&self, from: u64) -> Result<Vec<f32>> {
        let text = self.js(&format!("return outputs.since({from})")).await?;
        let raw = BASE64.decode(text.as_str().context("samples in base64")?)?;
        Ok(sound::samples(&raw))
    }

    /// It falls silent, and stays so for a second.
    pub async fn falls_silent(&self) -> Result<()> {
        self.until("ear.silence() >= 1000")
            .await
            .with_context(|| format!("{} should hear nothing", self.voice.user))
    }
}
