//! The wizard: connects a radio by listening to everything that is free while somebody keys a handheld.
//!
//! ```text
//!  cards ──a thread each──> levels ─┐
//!  wires ────every 20 ms──> edges ──┴─> core's Wizard ──> found ──> [[radio]] ──> pttd.toml ──> reload
//! ```
//! One at a time. Nothing is keyed by it, and what it opened is closed when it has found something, has failed, or
//! nobody looks any more.

mod listen;
mod places;
mod write;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use pttd_core::radio::wizard::{Advice, Failure, Found, Side, Step};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use self::listen::Listening;
use self::places::Places;
pub use self::write::{Unfit, Wish, Written};
use crate::config::Settings;

/// Whoever has the page open asks several times a second.
const NOBODY_LOOKS: Duration = Duration::from_secs(20);

/// The box's one wizard.
#[derive(Clone)]
pub struct Wizard(Arc<Inner>);

struct Inner {
    /// The settings file; `None`: the box runs without one.
    file: Option<PathBuf>,
    session: Mutex<Option<Session>>,
    /// Held while it is started and while the file is written: two at once would have two sets of threads, or one
    /// of two radios.
    busy: Mutex<()>,
}

struct Session {
    places: Places,
    board: Arc<Board>,
}

/// What the threads tell and the page reads.
struct Board {
    pub state: Mutex<State>,
    /// The threads shall end.
    pub end: AtomicBool,
}

struct State {
    pub step: Step,
    pub sounds: Vec<SoundView>,
    pub lines: Vec<LineView>,
    pub looked_at: Instant,
}

impl Board {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn is_over(&self) -> bool {
        self.end.load(Ordering::Relaxed)
    }
}

/// How far the wizard is.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct View {
    /// `idle`, `quiet`, `press`, `speaking`, `letGo`, `found` or `failed`.
    pub step: String,
    /// Why it failed: a sentence that says what to do.
    pub problem: Option<String>,
    /// Of the three seconds of speech, in milliseconds.
    pub heard_ms: u64,
    pub sounds: Vec<SoundView>,
    pub lines: Vec<LineView>,
    pub found: Option<FoundView>,
}

/// A sound card that nothing uses.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SoundView {
    /// For the settings.
    pub sound: String,
    pub name: String,
    /// Of each of its sides, dBFS: `mono`, or `left` and `right`.
    pub sides: Vec<SideView>,
    pub problem: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SideView {
    pub side: String,
    pub rms_db: f32,
}

/// An input line that nothing uses.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LineView {
    /// For the settings.
    pub line: String,
    pub name: String,
    pub up: bool,
    pub problem: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FoundView {
    pub sound: String,
    pub sound_name: String,
    pub side: String,
    /// What follows the handheld's key, as it goes into the settings; `vox` where nothing does.
    pub carrier: String,
    /// Others that did as well.
    pub also: Vec<String>,
    pub rms_db: f32,
    pub peak_db: f32,
    pub noise_db: f32,
    pub vox_threshold: f32,
    /// What to do with the radio's volume.
    pub advice: String,
    /// What could key it, the likeliest first.
    pub ptts: Vec<PttView>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PttView {
    pub ptt: String,
    pub name: String,
    /// It is in the same device as the sound card that was heard; any other may be another radio's.
    pub belongs: bool,
}

impl Wizard {
    pub fn new(file: Option<PathBuf>) -> Wizard {
        Wizard(Arc::new(Inner {
            file,
            session: Mutex::new(None),
            busy: Mutex::new(()),
        }))
    }

    /// Listens anew. Blocking: cards and lines are looked for and opened.
    pub fn start(&self) -> Result<View> {
        let _busy = self.busy();
        self.stop();
        let settings = self.settings()?;
        let places = Places::free(&settings)?;
        let board = Listening::start(&places)?;
        *self.session() = Some(Session { places, board });
        Ok(self.view())
    }

    pub fn stop(&self) {
        if let Some(session) = self.session().take() {
            session.board.end.store(true, Ordering::Relaxed);
        }
    }

    pub fn view(&self) -> View {
        match &*self.session() {
            Some(session) => session.view(),
            None => View {
                step: "idle".to_string(),
                problem: None,
                heard_ms: 0,
                sounds: Vec::new(),
                lines: Vec::new(),
                found: None,
            },
        }
    }

    /// The `[[radio]]` that is wished for; written into the file where that is wished for, too. Blocking.
    /// Only what it has listened to: a name of alsa-lib's can be a file or a command, and a fob any file.
    pub fn write(&self, wish: &Wish) -> Result<Written> {
        let _busy = self.busy();
        let offered = match &*self.session() {
            Some(session) => session.places.offers(wish),
            None => Err(Unfit(
                "The wizard has not listened yet. Have it find the radio first.".to_string(),
            )),
        };
        offered?;
        write::write(self.0.file.as_deref(), wish)
    }

    /// As they stand in the file now: another radio may have been written since the start.
    fn settings(&self) -> Result<Settings> {
        match &self.0.file {
            Some(file) => Ok(Settings::read(file)?),
            None => Ok(Settings::default()),
        }
    }

    fn busy(&self) -> MutexGuard<'_, ()> {
        self.0.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn session(&self) -> MutexGuard<'_, Option<Session>> {
        self.0
            .session
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    fn view(&self) -> View {
        let mut state = self.board.state();
        state.looked_at = Instant::now();
        let (step, heard, problem) = match &state.step {
            Step::Quiet => ("quiet", Duration::ZERO, None),
            Step::Press => ("press", Duration::ZERO, None),
            Step::Speaking { heard } => ("speaking", *heard, None),
            Step::LetGo => ("letGo", Duration::ZERO, None),
            Step::Found(_) => ("found", Duration::ZERO, None),
            Step::Failed(why) => ("failed", Duration::ZERO, Some(self.why(why, &state))),
        };
        let found = match &state.step {
            Step::Found(found) => Some(self.found(found)),
            _ => None,
        };
        View {
            step: step.to_string(),
            problem,
            heard_ms: heard.as_millis() as u64,
            sounds: state.sounds.clone(),
            lines: state.lines.clone(),
            found,
        }
    }

    fn why(&self, why: &Failure, state: &State) -> String {
        match why {
            Failure::NothingHeard { .. } if self.places.sounds.is_empty() => {
                "The box has no free sound card. Plug one in, then start again.".to_string()
            }
            Failure::NothingHeard { wires } => match wires.first().and_then(|w| state.lines.get(*w)) {
                Some(line) => format!(
                    "The line {} moved, but no sound came. Turn the radio's volume up, look at the audio lead, \
                     then start again.",
                    line.line
                ),
                None => "Neither a sound card nor a line heard anything. Is the handheld on the radio's \
                         frequency, is the radio's volume up, and is the lead in the card's microphone or line \
                         input?"
                    .to_string(),
            },
            Failure::TooShort => {
                "Too little was heard. Start again, and keep speaking until the page asks you to let go."
                    .to_string()
            }
            Failure::NeverLetGo => "It was heard to the end of the time. Is the radio's squelch open? Close it, \
                                    then start again."
                .to_string(),
        }
    }

    fn found(&self, found: &Found) -> FoundView {
        let sound = &self.places.sounds[found.card];
        let line = |follower: &pttd_core::radio::wizard::Follower| {
            self.places.wires[follower.wire].carrier(follower.active_low)
        };
        let carrier = found.carrier.as_ref();
        FoundView {
            sound: sound.spec.to_string(),
            sound_name: sound.name.clone(),
            side: side_word(found.side).to_string(),
            carrier: carrier.map_or_else(|| "vox".to_string(), line),
            also: found.also.iter().map(line).collect(),
            rms_db: found.level.rms_db,
            peak_db: found.level.peak_db,
            noise_db: found.level.noise_db,
            vox_threshold: found.level.vox_threshold_db(),
            advice: advice(found.level.advice()),
            ptts: self
                .places
                .ptts_for(sound, carrier.map(|follower| follower.wire)),
        }
    }
}

fn side_word(side: Side) -> &'static str {
    match side {
        Side::Mono => "mono",
        Side::Left => "left",
        Side::Right => "right",
    }
}

fn advice(advice: Advice) -> String {
    match advice {
        Advice::Right => "The radio's volume is right.".to_string(),
        Advice::Up { db } => format!("Turn the radio's volume up {db} dB."),
        Advice::Down { db } => format!("Turn the radio's volume down {db} dB."),
    }
}
