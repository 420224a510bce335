//! Connecting a radio: which sound card, which side, which line and which polarity belong to the handheld somebody
//! keys, and how loud it is.
//!
//! ```text
//!  quiet ──1.5 s──> press ──one is heard──> speaking ──3 s of speech──> let go ──quiet again──> found
//!                     └───── 30 s ────────────┴────────── 30 s ──────────────┴──> failed, and why
//! ```
//! An ear is one side of a card, a wire is an input line. Both are told apart by their place in the lists the machine
//! was begun with.

use std::time::{Duration, Instant};

/// Long enough to know the noise of each ear, and the lines that never rest.
const QUIET: Duration = Duration::from_millis(1_500);
/// A person reads, reaches for the handheld and keys it.
const PATIENCE: Duration = Duration::from_secs(30);
/// From the first sound until it is decided whose it is: sides of a card may be listened to in turn.
const COMPARE: Duration = Duration::from_millis(1_500);
const SPEECH: Duration = Duration::from_secs(3);
/// Silence after which the handheld is let go of, where its line says so too...
const SILENCE: Duration = Duration::from_millis(700);
/// ...and where no line does: longer than a breath.
const LONG_SILENCE: Duration = Duration::from_millis(2_500);
/// Changes of a wire that are one: contacts bounce.
const BOUNCE: Duration = Duration::from_millis(100);
/// More than the bouncing of one press: it follows something else.
const MOST_CHANGES: u32 = 3;
/// Louder than the noise by so much is a sound, and nothing below that ever is.
const ABOVE_NOISE_DB: f32 = 10.0;
const SOUND_DB: f32 = -55.0;
/// Two sides of a card that are as near as this carry the same.
const SAME_DB: f32 = 3.0;
/// Speech belongs here, its peaks below that.
pub const TARGET_RMS_DB: f32 = -18.0;
pub const TARGET_PEAK_DB: f32 = -3.0;
/// Nearer to the target than this is right.
const GOOD_ENOUGH_DB: f32 = 2.5;
const CLIPPED_DB: f32 = -0.2;
const NOTHING_DB: f32 = -120.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Mono,
    Left,
    Right,
}

/// One side of one card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ear {
    pub card: usize,
    pub side: Side,
}

#[derive(Clone, Copy, Debug)]
pub enum Input {
    /// What an ear has heard for `length`, up to now.
    Heard {
        ear: usize,
        rms_db: f32,
        peak_db: f32,
        length: Duration,
    },
    /// A wire's level: told at the beginning, and whenever it changes.
    Wire { wire: usize, high: bool },
}

#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    Quiet,
    Press,
    /// So much of the speech is there.
    Speaking {
        heard: Duration,
    },
    LetGo,
    Found(Found),
    Failed(Failure),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    pub card: usize,
    pub side: Side,
    /// What followed the handheld's key; none: VOX.
    pub carrier: Option<Follower>,
    /// Others that did as well.
    pub also: Vec<Follower>,
    pub level: Level,
}

/// A wire that follows the handheld's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Follower {
    pub wire: usize,
    pub active_low: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// Of the speech, without its pauses.
    pub rms_db: f32,
    pub peak_db: f32,
    /// Of the ear while nobody talked.
    pub noise_db: f32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No card heard anything; these wires followed all the same.
    NothingHeard { wires: Vec<usize> },
    /// The speech was too short.
    TooShort,
    /// It went on until nobody waited any more.
    NeverLetGo,
}

/// What to do with the radio's volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    Right,
    Up { db: u8 },
    Down { db: u8 },
}

impl Level {
    pub fn advice(&self) -> Advice {
        let by_rms = TARGET_RMS_DB - self.rms_db;
        // Louder only as far as the peaks allow.
        let change = by_rms.min(TARGET_PEAK_DB - self.peak_db);
        let whole = change.abs().round().clamp(1.0, 60.0) as u8;
        match change {
            // What is cut off cannot be measured: it is louder than it looks.
            _ if self.peak_db >= CLIPPED_DB => Advice::Down { db: whole.max(6) },
            change if change.abs() <= GOOD_ENOUGH_DB => Advice::Right,
            // Peaks that stand far out are for the limiter: quieter speech helps nobody.
            change if change < 0.0 && by_rms > -GOOD_ENOUGH_DB => Advice::Right,
            change if change > 0.0 => Advice::Up { db: whole },
            _ => Advice::Down { db: whole },
        }
    }

    /// Between the noise and the speech, nearer to the noise: speech begins quietly.
    pub fn vox_threshold_db(&self) -> f32 {
        let noise = self.noise_db.max(-70.0);
        let between = noise + (self.rms_db - noise) * 0.4;
        between.clamp(-60.0, -6.0).round()
    }
}

pub struct Wizard {
    ears: Vec<EarState>,
    wires: Vec<WireState>,
    step: Step,
    since: Instant,
    /// When the first ear heard something.
    heard_at: Option<Instant>,
    /// When the chosen one did last.
    last_heard: Instant,
    chosen: Option<usize>,
}

struct EarState {
    ear: Ear,
    /// The loudest of the quiet.
    noise_db: f32,
    /// Mean power and loudest sample of what was sound.
    power: f64,
    sound: Duration,
    peak_db: f32,
}

#[derive(Default)]
struct WireState {
    /// `None` where it was never told.
    high: Option<bool>,
    idle: bool,
    restless: bool,
    changes: u32,
    changed_at: Option<Instant>,
    first_change: Option<Instant>,
    /// Off its idle level while there was speech.
    followed: bool,
}

impl Wizard {
    pub fn new(ears: Vec<Ear>, wires: usize, now: Instant) -> Wizard {
        let ears = ears.into_iter().map(|ear| EarState {
            ear,
            noise_db: NOTHING_DB,
            power: 0.0,
            sound: Duration::ZERO,
            peak_db: NOTHING_DB,
        });
        Wizard {
            ears: ears.collect(),
            wires: (0..wires).map(|_| WireState::default()).collect(),
            step: Step::Quiet,
            since: now,
            heard_at: None,
            last_heard: now,
            chosen: None,
        }
    }

    pub fn step(&self) -> &Step {
        &self.step
    }

    /// The ear whose level is measured: the others need not be listened to.
    pub fn chosen(&self) -> Option<usize> {
        self.chosen
    }

    pub fn handle(&mut self, input: Input, now: Instant) {
        self.handle_timeout(now);
        match input {
            Input::Heard {
                ear,
                rms_db,
                peak_db,
                length,
            } => self.heard(ear, rms_db, peak_db, length, now),
            Input::Wire { wire, high } => self.wire(wire, high, now),
        }
        self.handle_timeout(now);
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.step {
            Step::Quiet => Some(self.since + QUIET),
            Step::Press => Some(match self.heard_at {
                Some(at) => at + COMPARE,
                None => self.since + PATIENCE,
            }),
            Step::Speaking { .. } => Some(self.since + PATIENCE),
            Step::LetGo => {
                let still = match self.has_returned() {
                    true => SILENCE,
                    false => LONG_SILENCE,
                };
                Some((self.last_heard + still).min(self.since + PATIENCE))
            }
            Step::Found(_) | Step::Failed(_) => None,
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_none_or(|at| now < at) {
            return;
        }
        match &self.step {
            Step::Quiet => {
                for wire in &mut self.wires {
                    wire.idle = wire.high.unwrap_or(false);
                    wire.changes = 0;
                    wire.changed_at = None;
                }
                self.enter(Step::Press, now);
            }
            Step::Press => match self.heard_at {
                Some(_) => self.choose(now),
                None => {
                    let followers = self.followers(|wire| wire.changes > 0 && !wire.restless);
                    let wires = followers.iter().map(|follower| follower.wire).collect();
                    self.enter(Step::Failed(Failure::NothingHeard { wires }), now);
                }
            },
            Step::Speaking { .. } => self.enter(Step::Failed(Failure::TooShort), now),
            Step::LetGo if now >= self.since + PATIENCE => {
                self.enter(Step::Failed(Failure::NeverLetGo), now);
            }
            Step::LetGo => {
                let found = self.found();
                self.enter(found, now);
            }
            Step::Found(_) | Step::Failed(_) => {}
        }
    }

    fn heard(&mut self, ear: usize, rms_db: f32, peak_db: f32, length: Duration, now: Instant) {
        let Some(state) = self.ears.get_mut(ear) else {
            return;
        };
        let is_sound = rms_db > (state.noise_db + ABOVE_NOISE_DB).max(SOUND_DB);
        match &mut self.step {
            Step::Quiet => state.noise_db = state.noise_db.max(rms_db),
            Step::Press if is_sound => {
                state.add(rms_db, peak_db, length);
                self.heard_at.get_or_insert(now);
            }
            Step::Speaking { heard } if is_sound && self.chosen == Some(ear) => {
                state.add(rms_db, peak_db, length);
                *heard += length;
                self.last_heard = now;
                if *heard >= SPEECH {
                    for wire in &mut self.wires {
                        wire.followed = wire.is_off();
                    }
                    self.enter(Step::LetGo, now);
                }
            }
            Step::LetGo if is_sound && self.chosen == Some(ear) => self.last_heard = now,
            _ => {}
        }
    }

    fn wire(&mut self, wire: usize, high: bool, now: Instant) {
        let Some(state) = self.wires.get_mut(wire) else {
            return;
        };
        let was = state.high.replace(high);
        if was.is_none() || was == Some(high) {
            return;
        }
        if self.step == Step::Quiet {
            state.restless = true;
            return;
        }
        let bounces = state.changed_at.is_some_and(|at| now < at + BOUNCE);
        state.changed_at = Some(now);
        state.first_change.get_or_insert(now);
        state.changes += u32::from(!bounces);
    }

    /// Whose sound it is: the loudest ear's, and of a card whose sides carry the same, both.
    fn choose(&mut self, now: Instant) {
        let loudness = |state: &EarState| match state.sound.is_zero() {
            true => NOTHING_DB,
            false => state.rms_db(),
        };
        let ears = self.ears.iter().enumerate();
        let loudest = ears.max_by(|(_, a), (_, b)| loudness(a).total_cmp(&loudness(b)));
        let Some((chosen, _)) = loudest else {
            return;
        };
        self.chosen = Some(chosen);
        self.last_heard = now;
        self.enter(
            Step::Speaking {
                heard: Duration::ZERO,
            },
            now,
        );
    }

    fn found(&self) -> Step {
        let Some(chosen) = self.chosen.and_then(|chosen| self.ears.get(chosen)) else {
            return Step::Failed(Failure::NothingHeard { wires: Vec::new() });
        };
        let mut followers = self.followers(|wire| {
            wire.followed && !wire.is_off() && !wire.restless && wire.changes <= MOST_CHANGES
        });
        // The one that changed nearest to the sound: carriers come just before it.
        let heard_at = self.heard_at.unwrap_or(self.since);
        followers.sort_by_key(|follower| {
            let at = self.wires[follower.wire].first_change.unwrap_or(heard_at);
            at.max(heard_at) - at.min(heard_at)
        });
        let carrier = (!followers.is_empty()).then(|| followers.remove(0));
        Step::Found(Found {
            card: chosen.ear.card,
            side: self.side(chosen),
            carrier,
            also: followers,
            level: Level {
                rms_db: chosen.rms_db(),
                peak_db: chosen.peak_db,
                noise_db: chosen.noise_db,
            },
        })
    }

    fn side(&self, chosen: &EarState) -> Side {
        let other = self
            .ears
            .iter()
            .find(|other| other.ear.card == chosen.ear.card && other.ear.side != chosen.ear.side);
        let same = other.is_some_and(|other| {
            !other.sound.is_zero() && (other.rms_db() - chosen.rms_db()).abs() < SAME_DB
        });
        match same {
            true => Side::Mono,
            false => chosen.ear.side,
        }
    }

    fn followers(&self, is_one: impl Fn(&WireState) -> bool) -> Vec<Follower> {
        let wires = self.wires.iter().enumerate();
        let following = wires.filter(|(_, wire)| is_one(wire));
        following
            .map(|(wire, state)| Follower {
                wire,
                active_low: state.idle,
            })
            .collect()
    }

    /// Every wire that followed the key is back, and one did.
    fn has_returned(&self) -> bool {
        let mut followers = self.wires.iter().filter(|wire| wire.followed).peekable();
        followers.peek().is_some() && followers.all(|wire| !wire.is_off())
    }

    fn enter(&mut self, step: Step, now: Instant) {
        self.step = step;
        self.since = now;
    }
}

impl EarState {
    fn add(&mut self, rms_db: f32, peak_db: f32, length: Duration) {
        self.power += 10f64.powf(f64::from(rms_db) / 10.0) * length.as_secs_f64();
        self.sound += length;
        self.peak_db = self.peak_db.max(peak_db);
    }

    fn rms_db(&self) -> f32 {
        match self.sound.is_zero() {
            true => NOTHING_DB,
            false => (10.0 * (self.power / self.sound.as_secs_f64()).log10()) as f32,
        }
    }
}

impl WireState {
    fn is_off(&self) -> bool {
        self.high.is_some_and(|high| high != self.idle)
    }
}

#[cfg(test)]
mod tests;
