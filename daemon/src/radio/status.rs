//! How a radio or a desk is right now, for pages, the API and lamps.

use std::sync::atomic::{AtomicU64, Ordering};

use pttd_core::edge::{RadioKind, RadioState, RadioView, SquelchView};
use pttd_core::ids::ChannelId;
use serde::Serialize;
use utoipa::ToSchema;

use super::gauges::Gauges;
use super::plan::Plan;

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

impl From<RadioKind> for Kind {
    fn from(kind: RadioKind) -> Self {
        match kind {
            RadioKind::Radio => Kind::Radio,
            RadioKind::Desk => Kind::Desk,
        }
    }
}

impl From<RadioState> for State {
    fn from(state: RadioState) -> Self {
        match state {
            RadioState::Down => State::Down,
            RadioState::Idle => State::Idle,
            RadioState::Receiving => State::Receiving,
            RadioState::Lead => State::Lead,
            RadioState::OnAir => State::OnAir,
            RadioState::Draining => State::Draining,
            RadioState::Tail => State::Tail,
            RadioState::LockedOut => State::LockedOut,
            RadioState::TestTone => State::TestTone,
        }
    }
}

impl From<SquelchView> for Squelch {
    fn from(squelch: SquelchView) -> Self {
        match squelch {
            SquelchView::Closed => Squelch::Closed,
            SquelchView::Debounce => Squelch::Debounce,
            SquelchView::Filtering => Squelch::Filtering,
            SquelchView::Open => Squelch::Open,
            SquelchView::Deaf => Squelch::Deaf,
            SquelchView::Stuck => Squelch::Stuck,
            SquelchView::HeldOff => Squelch::HeldOff,
        }
    }
}

impl RadioStatus {
    /// What the edge has decided, and what the threads see.
    pub(super) fn of(
        view: RadioView,
        problem: Option<String>,
        plan: &Plan,
        gauges: &Gauges,
    ) -> RadioStatus {
        let (rx, tx) = (&gauges.rx, &gauges.tx);
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RadioStatus {
            id: view.id,
            name: view.name,
            channel_id: view.channel_id,
            channel_name: view.channel_name,
            kind: view.kind.into(),
            state: view.state.into(),
            problem,
            carrier: gauges.carrier.load(Ordering::Relaxed),
            squelch: view.squelch.into(),
            talker: view.talker,
            rx_db: rx.mean(),
            rx_peak_db: rx.peak(),
            tx_db: tx.mean(),
            tx_peak_db: tx.peak(),
            rx_clips: count(&rx.clips),
            tx_clips: count(&tx.clips),
            xruns: count(&rx.xruns) + count(&tx.xruns),
            buffer_ms: (count(&gauges.buffer_us) / 1000) as u32,
            drift_ppm: gauges.drift(),
            on_air_ms: view.on_air_ms,
            tot_left_ms: view.tot_left_ms,
            silenced_ms: view.silenced_ms,
            line_keyed: view.line_keyed,
            simulated: plan.air.is_some(),
            sound: plan.shown(&plan.sound),
            ptt: plan.shown(&plan.ptt),
            carrier_spec: plan.shown(&plan.carrier),
        }
    }
}
