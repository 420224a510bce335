//! Listens: a thread for each card, and one that looks at the wires and has core decide.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use pttd_core::radio::wizard::{Ear, Failure, Input, Side, Step, Wizard};
use pttd_hw::{Capture, Carrier, HwError, PERIOD, RATE};

use super::places::{Places, Sound};
use super::{Board, LineView, NOBODY_LOOKS, SideView, SoundView, State, side_word};

const LOOK_AT_WIRES: Duration = Duration::from_millis(20);
/// Periods of one level.
const WINDOW: usize = 10;
const WINDOW_TIME: Duration =
    Duration::from_millis(WINDOW as u64 * PERIOD as u64 * 1000 / RATE as u64);
/// A card whose sides cannot be had at once is listened to in turn: windows of each turn.
const TURN: usize = 4;
/// A card that was just opened clicks.
const FIRST_PERIODS: usize = 10;
/// Until a card that is not there is tried again.
const AGAIN: Duration = Duration::from_millis(500);
/// Of all cards together; more than two seconds.
const QUEUE: usize = 64;
const NO_EAR: usize = usize::MAX;

enum Told {
    Level {
        ear: usize,
        rms_db: f32,
        peak_db: f32,
    },
    Card {
        card: usize,
        problem: Option<String>,
    },
}

pub struct Listening {
    wizard: Wizard,
    board: Arc<Board>,
    ears: Vec<Ear>,
    /// By their place among the wires.
    wires: Vec<Option<Box<dyn Carrier>>>,
    told: Receiver<Told>,
    /// The ear that is measured: the other cards' threads rest then.
    chosen: Arc<AtomicUsize>,
}

impl Listening {
    pub fn start(places: &Places) -> Result<Arc<Board>> {
        let now = Instant::now();
        let ears: Vec<Ear> = places.sounds.iter().enumerate().flat_map(ears).collect();
        let sounds = places
            .sounds
            .iter()
            .enumerate()
            .map(|(card, sound)| SoundView {
                sound: sound.spec.to_string(),
                name: sound.name.clone(),
                sides: ears
                    .iter()
                    .filter(|ear| ear.card == card)
                    .map(|ear| SideView {
                        side: side_word(ear.side).to_string(),
                        rms_db: -120.0,
                    })
                    .collect(),
                problem: None,
            });
        let mut lines = Vec::new();
        let mut wires = Vec::new();
        for wire in &places.wires {
            let (opened, problem) = match wire.open() {
                Ok(opened) => (Some(opened), None),
                Err(error) => (None, Some(crate::api::sentence(&error))),
            };
            wires.push(opened);
            lines.push(LineView {
                line: wire.carrier(false),
                name: wire.name.clone(),
                up: false,
                problem,
            });
        }
        let step = match ears.is_empty() {
            true => Step::Failed(Failure::NothingHeard { wires: Vec::new() }),
            false => Step::Quiet,
        };
        let board = Arc::new(Board {
            state: Mutex::new(State {
                step,
                sounds: sounds.collect(),
                lines,
                looked_at: now,
            }),
            end: AtomicBool::new(false),
        });
        if ears.is_empty() {
            return Ok(board);
        }
        let (tell, told) = sync_channel(QUEUE);
        let chosen = Arc::new(AtomicUsize::new(NO_EAR));
        for (card, sound) in places.sounds.iter().enumerate() {
            let mine = ears.iter().enumerate().filter(|(_, ear)| ear.card == card);
            let card = Card {
                card,
                sound: sound.clone(),
                ears: mine.map(|(at, ear)| (at, ear.side)).collect(),
                board: board.clone(),
                tell: tell.clone(),
                chosen: chosen.clone(),
            };
            std::thread::Builder::new()
                .name("wizard-card".to_string())
                .spawn(move || card.run())
                .context("starting to listen to a sound card")?;
        }
        let listening = Listening {
            wizard: Wizard::new(ears.clone(), wires.len(), now),
            board: board.clone(),
            ears,
            wires,
            told,
            chosen,
        };
        std::thread::Builder::new()
            .name("wizard".to_string())
            .spawn(move || listening.run())
            .context("starting the wizard")?;
        Ok(board)
    }

    fn run(mut self) {
        while !self.board.is_over() {
            match self.told.recv_timeout(LOOK_AT_WIRES) {
                Ok(told) => self.told(told),
                Err(RecvTimeoutError::Timeout) => {}
                // No card is listened to: the wires alone cannot tell, and their time runs.
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(LOOK_AT_WIRES),
            }
            self.look_at_wires();
            self.wizard.handle_timeout(Instant::now());
            self.chosen
                .store(self.wizard.chosen().unwrap_or(NO_EAR), Ordering::Relaxed);
            let step = self.wizard.step();
            let is_last = matches!(step, Step::Found(_) | Step::Failed(_));
            let mut state = self.board.state();
            state.step = step.clone();
            if is_last || state.looked_at.elapsed() > NOBODY_LOOKS {
                break;
            }
        }
        self.board.end.store(true, Ordering::Relaxed);
    }

    fn told(&mut self, told: Told) {
        match told {
            Told::Level {
                ear,
                rms_db,
                peak_db,
            } => {
                let length = WINDOW_TIME;
                let heard = Input::Heard {
                    ear,
                    rms_db,
                    peak_db,
                    length,
                };
                self.wizard.handle(heard, Instant::now());
                let Ear { card, side } = self.ears[ear];
                let mut state = self.board.state();
                let sides = &mut state.sounds[card].sides;
                if let Some(view) = sides.iter_mut().find(|view| view.side == side_word(side)) {
                    view.rms_db = rms_db;
                }
            }
            Told::Card { card, problem } => self.board.state().sounds[card].problem = problem,
        }
    }

    fn look_at_wires(&mut self) {
        for (wire, carrier) in self.wires.iter_mut().enumerate() {
            let Some(carrier) = carrier else { continue };
            match carrier.is_up() {
                Ok(high) => {
                    self.wizard
                        .handle(Input::Wire { wire, high }, Instant::now());
                    let mut state = self.board.state();
                    state.lines[wire].up = high;
                    state.lines[wire].problem = None;
                }
                Err(error) => {
                    let problem = crate::api::sentence(&error);
                    self.board.state().lines[wire].problem = Some(problem);
                }
            }
        }
    }
}

fn ears((card, sound): (usize, &Sound)) -> Vec<Ear> {
    let sides: &[Side] = match sound.is_stereo {
        true => &[Side::Left, Side::Right],
        false => &[Side::Mono],
    };
    sides.iter().map(|side| Ear { card, side: *side }).collect()
}

/// One card and its sides.
struct Card {
    card: usize,
    sound: Sound,
    /// With their place among all ears.
    ears: Vec<(usize, Side)>,
    board: Arc<Board>,
    tell: SyncSender<Told>,
    chosen: Arc<AtomicUsize>,
}

impl Card {
    fn run(self) {
        while !self.board.is_over() {
            for (ear, side) in &self.ears {
                if let Err(error) = self.listen(*ear, *side) {
                    let problem = Some(crate::api::sentence(&error));
                    self.tell(Told::Card {
                        card: self.card,
                        problem,
                    });
                    std::thread::sleep(AGAIN);
                }
                if self.board.is_over() {
                    return;
                }
            }
        }
    }

    /// For one turn; as long as it lasts where the card has one side, or this one was chosen.
    fn listen(&self, ear: usize, side: Side) -> Result<(), HwError> {
        if !self.is_wanted(ear) {
            std::thread::sleep(WINDOW_TIME);
            return Ok(());
        }
        let mut capture = self.sound.open(side)?;
        self.tell(Told::Card {
            card: self.card,
            problem: None,
        });
        let mut period = [0.0; PERIOD];
        for _ in 0..FIRST_PERIODS {
            read(capture.as_mut(), &mut period)?;
        }
        let mut windows = 0;
        while self.is_wanted(ear) && !self.board.is_over() {
            let (mut power, mut peak) = (0.0f64, 0.0f32);
            for _ in 0..WINDOW {
                read(capture.as_mut(), &mut period)?;
                for sample in period {
                    power += f64::from(sample * sample);
                    peak = peak.max(sample.abs());
                }
            }
            let mean = power / (WINDOW * PERIOD) as f64;
            self.tell(Told::Level {
                ear,
                rms_db: db(mean.sqrt() as f32),
                peak_db: db(peak),
            });
            windows += 1;
            let is_chosen = self.chosen.load(Ordering::Relaxed) == ear;
            if windows >= TURN && self.ears.len() > 1 && !is_chosen {
                break;
            }
        }
        Ok(())
    }

    /// Until one ear is chosen, and then only that one.
    fn is_wanted(&self, ear: usize) -> bool {
        let chosen = self.chosen.load(Ordering::Relaxed);
        chosen == NO_EAR || chosen == ear
    }

    fn tell(&self, told: Told) {
        // A level that finds no room is one of many; where nobody takes them any more it is over.
        if let Err(TrySendError::Disconnected(_)) = self.tell.try_send(told) {
            self.board.end.store(true, Ordering::Relaxed);
        }
    }
}

/// A card that stands still for a moment is given another one.
fn read(capture: &mut dyn Capture, period: &mut [f32; PERIOD]) -> Result<(), HwError> {
    match capture.read(period) {
        Err(HwError::TimedOut { .. }) => capture.read(period),
        other => other,
    }
}

fn db(level: f32) -> f32 {
    (20.0 * level.max(1e-6).log10()).max(-120.0)
}

#[cfg(test)]
mod tests {
    use pttd_hw::bench::Air;

    use super::*;
    use crate::wizard::Session;

    /// Waits until the wizard asks for something else than `step`.
    fn after(session: &Session, step: &str) -> String {
        let begun = Instant::now();
        loop {
            let now = session.view().step;
            if now != step {
                return now;
            }
            assert!(begun.elapsed() < Duration::from_secs(40), "still {step}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn of_two_simulated_radios_the_one_whose_handheld_is_keyed_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let airs = ["a.sock", "b.sock"].map(|name| Air::listen(&folder.path().join(name)).unwrap());
        let mut places = Places::default();
        places.add_bench(folder.path()).unwrap();
        let board = Listening::start(&places).unwrap();
        let session = Session { places, board };
        assert_eq!(after(&session, "quiet"), "press");
        airs[1].set_carrier(true);
        // A sine of 500 Hz: -15 dBFS at its peaks, -18 in the mean.
        let tone = |n: usize| (n as f32 * 500.0 * std::f32::consts::TAU / RATE as f32).sin();
        let speech: Vec<f32> = (0..7 * RATE as usize).map(|n| tone(n) * 0.178).collect();
        airs[1].say(&speech);
        assert_eq!(after(&session, "press"), "speaking");
        assert_eq!(after(&session, "speaking"), "letGo");
        airs[1].hush();
        airs[1].set_carrier(false);
        assert_eq!(after(&session, "letGo"), "found");
        let found = session.view().found.unwrap();
        let path = airs[1].path().display();
        assert_eq!(found.sound, format!("bench:{path}"));
        assert_eq!(found.carrier, format!("bench:{path}"));
        assert_eq!(found.side, "mono");
        assert_eq!(found.ptts[0].ptt, format!("bench:{path}"));
        assert!((found.rms_db + 18.0).abs() < 0.5, "{found:?}");
        assert_eq!(found.advice, "The radio's volume is right.");
        // It lets go of what it has found: another may have the card now.
        let begun = Instant::now();
        let spec = pttd_hw::spec::SoundSpec::Bench(airs[1].path().to_path_buf());
        while pttd_hw::open_capture(&spec, pttd_hw::spec::Side::Mono, None).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(5), "it still listens");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
