//! What the threads of a radio or a desk are made from, out of the settings.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pttd_core::radio::{self, playout};
use pttd_hw::HwError;
use pttd_hw::spec::{CarrierSpec, PttSpec, Side, SoundSpec};

use super::air::Air;
use crate::config::radio::{Ident, air};
use crate::config::{Desk, Radio, Settings};

/// What a speaker is given at most, in dBFS.
const SPEAKER: f32 = -1.0;

#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub edge: Arc<radio::Settings>,
    pub sound: SoundSpec,
    pub side: Side,
    pub capture_db: Option<f32>,
    pub playback_db: Option<f32>,
    pub ptt: PttSpec,
    pub carrier: CarrierSpec,
    pub vox_threshold: f32,
    pub vox_attack: Duration,
    pub limiter: f32,
    pub voice_band: bool,
    pub pre_emphasis: bool,
    pub de_emphasis: bool,
    pub ident: Ident,
    pub complexity: u8,
    pub bitrate: i32,
    pub playout: playout::Settings,
    /// Where the box plays the far end itself.
    pub air: Option<PathBuf>,
}

impl Plan {
    pub fn of_all(settings: &Settings) -> Vec<Plan> {
        let state = &settings.state.dir;
        let radios = settings.radio.iter().map(|r| Plan::of_radio(r, state));
        let desks = settings.desk.iter().map(|d| Plan::of_desk(d, state));
        radios.chain(desks).collect()
    }

    fn of_radio(radio: &Radio, state: &Path) -> Plan {
        Plan {
            edge: Arc::new(radio.of_edge()),
            sound: radio.sound(state),
            side: radio.side,
            capture_db: radio.capture_db,
            playback_db: radio.playback_db,
            ptt: radio.ptt(state),
            carrier: radio.carrier(state),
            vox_threshold: radio.vox_threshold,
            vox_attack: radio.vox_attack,
            limiter: radio.limiter,
            voice_band: radio.voice_band,
            pre_emphasis: radio.pre_emphasis,
            de_emphasis: radio.de_emphasis,
            ident: radio.ident.clone(),
            complexity: radio.complexity,
            bitrate: radio.bitrate.0,
            playout: playout::Settings {
                min: radio.playout_min,
                max: radio.playout_max,
            },
            air: (radio.sound == SoundSpec::Simulated).then(|| air(&radio.id, state)),
        }
    }

    fn of_desk(desk: &Desk, state: &Path) -> Plan {
        Plan {
            edge: Arc::new(desk.of_edge()),
            sound: desk.sound(state),
            side: desk.side,
            capture_db: desk.capture_db,
            playback_db: desk.playback_db,
            ptt: PttSpec::None,
            carrier: desk.button.clone(),
            vox_threshold: -30.0,
            vox_attack: Duration::from_millis(10),
            limiter: SPEAKER,
            voice_band: false,
            pre_emphasis: false,
            de_emphasis: false,
            ident: Ident::Off,
            complexity: desk.complexity,
            bitrate: desk.bitrate.0,
            playout: playout::Settings::default(),
            air: (desk.sound == SoundSpec::Simulated).then(|| air(&desk.id, state)),
        }
    }

    /// Starts the far end, where the box plays it.
    pub fn listen(&self) -> Result<Option<Air>, HwError> {
        self.air.as_deref().map(Air::listen).transpose()
    }

    pub fn id(&self) -> &str {
        &self.edge.id
    }

    /// A wire or a card for people: a simulated radio's own are where the box made them.
    pub fn shown(&self, spec: &impl Display) -> String {
        let text = spec.to_string();
        let own = self
            .air
            .as_ref()
            .map(|air| format!("bench:{}", air.display()));
        match own == Some(text.clone()) {
            true => SoundSpec::Simulated.to_string(),
            false => text,
        }
    }
}
