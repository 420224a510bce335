//! A box of its own for each test: the real daemon, on loopback, with ports and state of its own.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;
use tempfile::TempDir;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;

/// How long the box may take to come up, or to go down when asked.
const PATIENCE: Duration = Duration::from_secs(20);

/// What `--ready-file` tells.
#[derive(Clone, Debug, Deserialize)]
pub struct Ready {
    pub https: SocketAddr,
    pub plain: SocketAddr,
    pub media: Vec<u16>,
    /// For Chromium's `--ignore-certificate-errors-spki-list`.
    pub spki: String,
}

/// What `pttd invite --json` tells.
#[derive(Clone, Debug, Deserialize)]
pub struct Invitation {
    pub user: String,
    pub link: String,
    pub secret: String,
}

pub struct Site {
    door: Door,
    dir: TempDir,
    settings: String,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    expected_errors: Vec<&'static str>,
    environment: Vec<(&'static str, OsString)>,
}

/// How a box is reached, wherever it runs.
pub struct Door {
    pub ready: Ready,
    /// What its clients trust.
    pub(crate) connector: OnceCell<TlsConnector>,
}

impl Door {
    pub fn of(ready: Ready) -> Door {
        Door {
            ready,
            connector: OnceCell::new(),
        }
    }
}

impl Deref for Site {
    type Target = Door;

    fn deref(&self) -> &Door {
        &self.door
    }
}

/// A box with the built-in roster: anna, ben and carla, who all talk on ops, security and stage.
pub fn site() -> SiteBuilder {
    SiteBuilder::default()
}

/// `hall0`, `hall1` ...
pub fn halls(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("hall{n}")).collect()
}

/// A roster of so many halls, on all of which all of these people talk: their ids and roles.
pub fn roster(halls: &[String], people: &[(&str, &str)]) -> String {
    let mut roster = String::new();
    for (n, hall) in halls.iter().enumerate() {
        roster.push_str(&format!(
            "[[channel]]\nid = {hall:?}\nname = \"Hall {n}\"\ntalk_limit = \"600s\"\n"
        ));
    }
    for (user, role) in people {
        roster.push_str(&format!(
            "[[user]]\nid = {user:?}\nname = {user:?}\nrole = {role:?}\nchannels = {halls:?}\n"
        ));
    }
    roster
}

#[derive(Default)]
pub struct SiteBuilder {
    settings: String,
    tables: String,
    environment: Vec<(&'static str, OsString)>,
    roster: Option<String>,
    expected_errors: Vec<&'static str>,
    log_level: Option<&'static str>,
}

impl SiteBuilder {
    /// Logs only this and worse, where the log would cost what is measured.
    pub fn log_level(mut self, level: &'static str) -> Self {
        self.log_level = Some(level);
        self
    }

    /// More of `pttd.toml`: after the ports and addresses, which are the site's.
    pub fn settings(mut self, toml: &str) -> Self {
        self.settings.push_str(toml);
        self
    }

    /// More of `pttd.toml`, at its end: `[[radio]]` and the like.
    pub fn tables(mut self, toml: &str) -> Self {
        self.tables.push_str(toml);
        self
    }

    pub fn environment(mut self, environment: Vec<(&'static str, OsString)>) -> Self {
        self.environment = environment;
        self
    }

    /// `roster.toml`, instead of the built-in one.
    pub fn roster(mut self, toml: &str) -> Self {
        self.roster = Some(toml.to_string());
        self
    }

    /// A logged error fails a test, but for those with these words.
    pub fn expect_error(mut self, words: &'static str) -> Self {
        self.expected_errors.push(words);
        self
    }

    pub async fn start(self) -> Result<Site> {
        let dir = tempfile::tempdir()?;
        if let Some(roster) = &self.roster {
            std::fs::write(dir.path().join("roster.toml"), roster)?;
        }
        let settings = format!("{}\n{}", self.settings, self.tables);
        write_settings(dir.path(), 0, 0, &settings)?;
        let log = Arc::default();
        let mut environment = self.environment;
        let level = self.log_level.map(|level| ("RUST_LOG", level.into()));
        environment.extend(level);
        let (child, ready) = spawn(dir.path(), &log, &environment).await?;
        Ok(Site {
            environment,
            door: Door::of(ready),
            dir,
            settings,
            child,
            log,
            expected_errors: self.expected_errors,
        })
    }
}

fn write_settings(dir: &Path, https: u16, plain: u16, more: &str) -> Result<()> {
    let settings = format!(
        "web.https = \"127.0.0.1:{https}\"\n\
         web.plain = \"127.0.0.1:{plain}\"\n\
         media.port = 0\n\
         media.addresses = [\"127.0.0.1\"]\n\
         {more}\n"
    );
    std::fs::write(dir.join("pttd.toml"), settings).context("writing pttd.toml")
}

/// The program under test: `PTTD_BIN`, or the one built beside these tests.
pub fn program() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("PTTD_BIN") {
        return Ok(path.into());
    }
    let here = std::env::current_exe()?;
    let built = here
        .ancestors()
        .skip(1)
        .map(|folder| folder.join("pttd"))
        .find(|path| path.is_file());
    built.context("no pttd beside the tests: `cargo build --workspace --bins` first")
}

async fn spawn(
    dir: &Path,
    log: &Arc<Mutex<Vec<String>>>,
    environment: &[(&'static str, OsString)],
) -> Result<(Child, Ready)> {
    let ready_file = dir.join("ready.json");
    if ready_file.exists() {
        std::fs::remove_file(&ready_file)?;
    }
    let mut child = Command::new(program()?)
        .arg("run")
        .arg("--config")
        .arg(dir.join("pttd.toml"))
        .arg("--state")
        .arg(dir.join("state"))
        .arg("--ready-file")
        .arg(&ready_file)
        .env("NO_COLOR", "1")
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("starting pttd")?;
    keep(child.stdout.take().context("pttd's stdout")?, log);
    keep(child.stderr.take().context("pttd's stderr")?, log);
    let deadline = Instant::now() + PATIENCE;
    // A file appears: asked for, because the box tells nobody but by making it.
    while !ready_file.exists() {
        if let Some(status) = child.try_wait()? {
            bail!("pttd ended with {status}:\n{}", lines(log).join("\n"));
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            bail!(
                "pttd is not ready after {PATIENCE:?}:\n{}",
                lines(log).join("\n")
            );
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let ready =
        serde_json::from_slice(&std::fs::read(&ready_file)?).context("reading the ready file")?;
    Ok((child, ready))
}

fn keep(output: impl Read + Send + 'static, log: &Arc<Mutex<Vec<String>>>) {
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            log.lock().expect("the log").push(line);
        }
    });
}

fn lines(log: &Mutex<Vec<String>>) -> Vec<String> {
    log.lock().expect("the log").clone()
}

impl Site {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// Where a browser looks: by the name the certificate is for.
    pub fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.ready.https.port())
    }

    pub fn log(&self) -> Vec<String> {
        lines(&self.log)
    }

    /// Waits for a line with all of these words.
    pub async fn logs(&self, words: &[&str]) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self
                .log()
                .into_iter()
                .find(|line| words.iter().all(|word| line.contains(word)));
            if let Some(line) = found {
                return Ok(line);
            }
            ensure!(Instant::now() < deadline, "nothing logged with {words:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// `pttd.toml` says this from now on, for whoever reads it anew.
    pub fn change(&mut self, from: &str, to: &str) -> Result<()> {
        ensure!(
            self.settings.contains(from),
            "no {from:?} in {}",
            self.settings
        );
        self.settings = self.settings.replace(from, to);
        let Ready { https, plain, .. } = &self.ready;
        write_settings(self.dir.path(), https.port(), plain.port(), &self.settings)
    }

    /// Runs `pttd` with these words, the site's settings and its state, as a technician beside the box would.
    pub fn pttd(&self, words: &[&str]) -> Result<Output> {
        self.command(words)?
            .output()
            .with_context(|| format!("running pttd {words:?}"))
    }

    /// The same while this thread's phones go on, and it has to do it: when it was done, and what it printed.
    pub async fn orders(&self, words: &[&str]) -> Result<(Instant, String)> {
        let mut command = self.command(words)?;
        let run = move || (command.output(), Instant::now());
        let (out, at) = tokio::task::spawn_blocking(run).await?;
        let out = out.with_context(|| format!("running pttd {words:?}"))?;
        ensure!(
            out.status.success(),
            "pttd {words:?}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        Ok((at, String::from_utf8(out.stdout)?))
    }

    fn command(&self, words: &[&str]) -> Result<Command> {
        let mut command = Command::new(program()?);
        command
            .args(words)
            .arg("--config")
            .arg(self.dir.path().join("pttd.toml"))
            .arg("--state")
            .arg(self.state_dir())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        Ok(command)
    }

    /// An invitation for someone on the roster.
    pub fn invite(&self, user: &str) -> Result<Invitation> {
        self.invite_with(&["--user", user])
    }

    pub fn invite_with(&self, words: &[&str]) -> Result<Invitation> {
        let words: Vec<&str> = ["invite", "--json"].iter().chain(words).copied().collect();
        let out = self.pttd(&words)?;
        ensure!(
            out.status.success(),
            "pttd {words:?}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        serde_json::from_slice(&out.stdout).context("reading the invitation")
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill(Pid::from_raw(self.child.id() as i32), signal).context("sending a signal to pttd")
    }

    /// Waits for the daemon to end by itself.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(
                Instant::now() < deadline,
                "pttd is still there after {PATIENCE:?}"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub async fn kill9(&mut self) -> Result<()> {
        self.signal(Signal::SIGKILL)?;
        self.ended().await.map(drop)
    }

    /// Asked to end, as systemd does.
    pub async fn stop(&mut self) -> Result<()> {
        self.signal(Signal::SIGTERM)?;
        let status = self.ended().await?;
        ensure!(status.success(), "pttd ended with {status} when asked to");
        Ok(())
    }

    /// After it ended: the same state and the same addresses.
    pub async fn start_again(&mut self) -> Result<()> {
        // Sound's ports are told anew to whoever connects; another's may have taken the next one meanwhile.
        let Ready { https, plain, .. } = &self.ready;
        write_settings(self.dir.path(), https.port(), plain.port(), &self.settings)?;
        (self.child, self.door.ready) =
            spawn(self.dir.path(), &self.log, &self.environment).await?;
        Ok(())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let log = self.log();
        for line in &log {
            println!("pttd: {line}");
        }
        let bad = log.iter().find(|line| {
            (line.contains(" ERROR ") || line.contains("panicked at"))
                && !self
                    .expected_errors
                    .iter()
                    .any(|words| line.contains(words))
        });
        if let Some(line) = bad
            && !std::thread::panicking()
        {
            panic!("pttd logged an error: {line}");
        }
    }
}
