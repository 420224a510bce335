//! A two-way radio on the wire whose far end the test holds: its handheld's button and voice, its transmitter's
//! line, and whatever goes on the air, each with the time of it.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pttd_hw::bench::{Air, Heard};
use pttd_hw::{PERIOD, RATE};
use serde_json::Value;
use tempfile::TempDir;

use crate::api::Api;
use crate::phone::Phone;
use crate::site::{Site, SiteBuilder, site};
use crate::sound::{Sound, encoded_at_once};

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Louder than this is sound: -54 dBFS.
const SOUND: f32 = 0.002;
const PERIOD_LENGTH: Duration = Duration::from_millis(10);
/// Nobody tells when the far end has changed, so it is looked at this often.
const LOOK: Duration = Duration::from_millis(2);

/// Dana dispatches, Anna and Ben talk.
pub const ROSTER: &str = r#"
channel = [{ id = "ops", name = "Operations" }, { id = "stage", talk_limit = "5s" }]
user = [
    { id = "dana", name = "Dana", role = "dispatch", channels = ["ops", "stage"] },
    { id = "anna", name = "Anna", channels = ["ops", "stage"] },
    { id = "ben", name = "Ben", channels = ["ops", "stage"] },
]
"#;

/// Begins with a voice, and is known from others by its sound.
pub const SENTENCE: &str =
    "all units, all units, the main gate is open, the queue reaches the tram stop";

/// A box of [`ROSTER`]'s with one radio, hall, on ops, which has found it.
pub async fn wired(more: &str) -> Result<(Radio, Site)> {
    let hall = Radio::new("hall")?;
    let site = site().roster(ROSTER).radio(&hall, more).start().await?;
    site.api("dana").await?.radio_is_ready("hall").await?;
    Ok((hall, site))
}

impl Phone {
    /// Presses, says all of this (48 kHz) and lets go.
    pub async fn tells(&mut self, channel: &str, samples: &[f32]) -> Result<()> {
        self.tells_packets(channel, &encoded_at_once(samples, 0)?)
            .await
    }

    pub async fn tells_packets(&mut self, channel: &str, sound: &Sound) -> Result<()> {
        self.on(channel)?.sounds_like(sound)?;
        self.press(channel).await?;
        self.on(channel)?.says(sound.len() as u32).await?;
        self.release(channel).await.map(drop)
    }
}

pub struct Radio {
    pub id: String,
    /// The radio itself.
    pub air: Air,
    heard: Mutex<Vec<Heard>>,
    dir: TempDir,
}

impl Radio {
    pub fn new(id: &str) -> Result<Radio> {
        let dir = tempfile::tempdir()?;
        let air = Air::keeping(&dir.path().join("air.sock"), Duration::from_secs(300))?;
        Ok(Radio {
            id: id.to_string(),
            air,
            heard: Mutex::default(),
            dir,
        })
    }

    /// Its `[[radio]]` on the channel ops, with what the test wants to be other than usual: a key that is there
    /// does not get the usual value. The kerchunk filter is off, for it holds back the first talk of every box.
    pub fn settings(&self, more: &str) -> String {
        let end = format!("bench:{}", self.air.path().display());
        let mut settings = format!("[[radio]]\nid = {:?}\n{more}\n", self.id);
        for (key, value) in [
            ("channel", "ops"),
            ("sound", &end),
            ("ptt", &end),
            ("carrier", &end),
            ("kerchunk", "0ms"),
        ] {
            let there = |line: &str| line.split('=').next().is_some_and(|k| k.trim() == key);
            if !more.lines().any(there) {
                settings.push_str(&format!("{key} = {value:?}\n"));
            }
        }
        settings
    }

    /// The same radio's far end as a name in the settings.
    pub fn end(&self) -> String {
        format!("bench:{}", self.air.path().display())
    }

    pub fn dir(&self) -> PathBuf {
        self.dir.path().to_path_buf()
    }

    /// Waits until it is so.
    pub async fn until(&self, what: &str, is: impl Fn(&Air) -> bool) -> Result<Instant> {
        self.within(PATIENCE, what, is).await
    }

    pub async fn within(
        &self,
        deadline: Duration,
        what: &str,
        is: impl Fn(&Air) -> bool,
    ) -> Result<Instant> {
        let since = Instant::now();
        loop {
            let now = Instant::now();
            if is(&self.air) {
                return Ok(now);
            }
            ensure!(
                now < since + deadline,
                "the radio {}: not within {deadline:?}: {what}; its line: {:?}",
                self.id,
                self.air.ptt_history()
            );
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until its transmitter is up: when it came up.
    pub async fn is_keyed(&self) -> Result<Instant> {
        self.until("keyed", Air::is_keyed).await?;
        self.last_change(true)
    }

    /// Waits until its transmitter is down: when it went down.
    pub async fn is_unkeyed(&self) -> Result<Instant> {
        self.until("unkeyed", |air| !air.is_keyed()).await?;
        self.last_change(false)
    }

    /// When it came up first after that.
    pub fn is_keyed_since(&self, since: Instant) -> Result<Instant> {
        let history = self.air.ptt_history();
        let up = history.iter().find(|(at, keyed)| *keyed && *at >= since);
        up.map(|(at, _)| *at).context("it was not keyed")
    }

    fn last_change(&self, to: bool) -> Result<Instant> {
        let history = self.air.ptt_history();
        let last = history.iter().rfind(|(_, keyed)| *keyed == to);
        last.map(|(at, _)| *at).context("the line never changed")
    }

    /// How often it was keyed until now.
    pub fn keyed(&self) -> usize {
        let history = self.air.ptt_history();
        history.iter().filter(|(_, keyed)| *keyed).count()
    }

    /// Someone keys the handheld, says this and lets go. Returns when they keyed it; it goes on by itself.
    pub async fn says(&self, sound: &[f32]) -> Result<Instant> {
        let keyed = Instant::now();
        self.air.set_carrier(true);
        // As quick as a person may be.
        tokio::time::sleep(Duration::from_millis(30)).await;
        self.speaks(sound).await?;
        self.air.set_carrier(false);
        Ok(keyed)
    }

    /// The handheld's sound alone, as a receiver without a carrier line has it; returns when all is said.
    pub async fn speaks(&self, sound: &[f32]) -> Result<Instant> {
        let from = self.air.say(sound);
        self.until("the last word", |air| !air.is_speaking())
            .await?;
        Ok(from)
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Heard>> {
        let mut kept = self.heard.lock().expect("what was heard");
        kept.extend(self.air.heard());
        kept
    }

    /// What was transmitted from then on, keyed or not.
    pub fn transmitted(&self, since: Instant) -> Transmitted {
        let kept = self.kept();
        let mut transmitted = Transmitted::default();
        let mut next = None;
        for heard in kept.iter().filter(|heard| heard.at >= since) {
            let missing = heard.number - next.unwrap_or(heard.number);
            for n in (1..=missing as u32).rev() {
                let at = heard.at - PERIOD_LENGTH * n;
                transmitted.push(at, &[0.0; PERIOD], false);
            }
            transmitted.push(heard.at, &heard.samples, heard.keyed);
            next = Some(heard.number + 1);
        }
        transmitted
    }

    /// Waits until something was transmitted since then that sounds.
    pub async fn sounds(&self, since: Instant) -> Result<Instant> {
        let found = Mutex::new(None);
        self.until("sound to the transmitter", |_| {
            *found.lock().expect("the first sound") = self.transmitted(since).first_sound();
            found.lock().expect("the first sound").is_some()
        })
        .await?;
        let found = *found.lock().expect("the first sound");
        found.context("a sound")
    }
}

/// What a transmitter was given, and whether it was up. Where its card had nothing to play, there is silence.
#[derive(Clone, Debug, Default)]
pub struct Transmitted {
    /// When each period was played.
    periods: Vec<Instant>,
    /// At 48 kHz.
    pub samples: Vec<f32>,
    /// For each of them.
    pub on_air: Vec<bool>,
}

impl Transmitted {
    fn push(&mut self, at: Instant, samples: &[f32; PERIOD], keyed: bool) {
        self.periods.push(at);
        self.samples.extend(samples);
        self.on_air.resize(self.samples.len(), keyed);
    }

    fn at(&self, sample: usize) -> Option<Instant> {
        let period = self.periods.get(sample / PERIOD)?;
        let passed = Duration::from_secs_f64((sample % PERIOD) as f64 / f64::from(RATE));
        Some(*period + passed)
    }

    /// Which one is the first that sounds.
    pub fn first_sample(&self) -> Option<usize> {
        self.samples.iter().position(|s| s.abs() > SOUND)
    }

    pub fn first_sound(&self) -> Option<Instant> {
        self.at(self.first_sample()?)
    }

    pub fn last_sound(&self) -> Option<Instant> {
        self.at(self.samples.iter().rposition(|s| s.abs() > SOUND)?)
    }

    /// What others hear of it.
    pub fn on_air(&self) -> Vec<f32> {
        let both = self.samples.iter().zip(&self.on_air);
        both.map(|(s, keyed)| if *keyed { *s } else { 0.0 })
            .collect()
    }
}

impl SiteBuilder {
    /// With this radio, see [`Radio::settings`].
    pub fn radio(self, radio: &Radio, more: &str) -> Self {
        self.tables(&radio.settings(more))
    }
}

impl Api<'_> {
    /// How a radio is, by `GET /radios`.
    pub async fn radio(&self, id: &str) -> Result<Value> {
        let answer = self.get("/radios").await?;
        let radios = answer["radios"].as_array().context("a list of radios")?;
        let found = radios.iter().find(|radio| radio["id"] == id);
        found
            .cloned()
            .with_context(|| format!("no radio {id} in {answer}"))
    }

    /// Waits until the radio's status is so.
    pub async fn radio_is(
        &self,
        id: &str,
        what: &str,
        is: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let radio = self.radio(id).await?;
            if is(&radio) {
                return Ok(radio);
            }
            ensure!(
                Instant::now() < deadline,
                "the radio {id}: not within {PATIENCE:?}: {what}: {radio:#}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until it is there, with its sound and its lines, and idle.
    pub async fn radio_is_ready(&self, id: &str) -> Result<Value> {
        self.radio_is(id, "ready", |radio| {
            radio["state"] == "idle" && radio["problem"].is_null()
        })
        .await
    }
}
