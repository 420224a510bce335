//! How a radio or a desk is right now, for pages, the API and lamps.

use pttd_core::ids::ChannelId;
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RadioStatus {
    pub id: String,
    pub name: String,
    #[schema(value_type = String)]
    pub channel_id: ChannelId,
    pub channel_name: String,
    pub kind: Kind,
    pub state: State,
    /// What is wrong with it, and what to do: one sentence.
    pub problem: Option<String>,
    /// What the detectors together say.
    pub carrier: bool,
    pub squelch: Squelch,
    /// Who is sent out now.
    pub talker: Option<String>,
    /// Levels in dBFS, of the last tenth of a second and its loudest sample.
    pub rx_db: f32,
    pub rx_peak_db: f32,
    pub tx_db: f32,
    pub tx_peak_db: f32,
    /// Samples at full scale since the box was started.
    pub rx_clips: u64,
    pub tx_clips: u64,
    /// Times the sound card was not served in time.
    pub xruns: u64,
    /// What is held back before it is sent out.
    pub buffer_ms: u32,
    /// How far the sound card's clock is off the talker's.
    pub drift_ppm: f32,
    /// Since the key went down.
    pub on_air_ms: Option<u64>,
    pub tot_left_ms: Option<u64>,
    /// How long its receiver stays silenced.
    pub silenced_ms: Option<u64>,
    /// What the guardian says of the PTT line.
    pub line_keyed: bool,
    pub simulated: bool,
    /// As they stand in the settings.
    pub sound: String,
    pub ptt: String,
    pub carrier_spec: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RadioKind)]
pub enum Kind {
    Radio,
    Desk,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RadioState)]
pub enum State {
    /// Its sound or its lines are not there.
    Down,
    Idle,
    /// Its receiver has the floor.
    Receiving,
    /// Keyed, and no speech on the air yet.
    Lead,
    OnAir,
    /// The talk is over, and its end still plays.
    Draining,
    Tail,
    /// The TOT has passed: not keyed again until the talker has let go and the rest is over.
    LockedOut,
    TestTone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SquelchState)]
pub enum Squelch {
    Closed,
    /// The carrier is up and not believed yet.
    Debounce,
    /// Long enough to be no noise, not yet to be no kerchunk.
    Filtering,
    Open,
    /// After the own transmission, or during it.
    Deaf,
    /// Open for too long: ignored until the carrier goes.
    Stuck,
    /// By the loop guard.
    HeldOff,
}
