//! What a radio's receiver or a desk's microphone hears, on its way to the floor.
//!
//! ```text
//!          squelch opens         granted                squelch closes
//!   None ───────────────> Wants ─────────> Talks ─────────────────────> Ends
//!    ^                     │ │               │ ^        opens again      │ │
//!    │     closes          │ │ let go first  │ └─────────────────────────┘ │
//!    ├─────────────────────┘ v               v revoked                     │
//!    ├─────────────────────  Lost <──────────┘                             │
//!    └─────────────────────────────────────── the last packet is sent ─────┘
//! ```

use std::time::{Duration, Instant};

use super::Edge;
use crate::floor;
use crate::ids::{RadioId, TransmissionId};
use crate::radio::squelch::{self, Output as Squelch};
use crate::radio::{Kind, Order, Settings, Tone};
use crate::wire::signal::DenyReason;

/// What was received last is in a packet that is not full yet, or under way.
const LAST_PACKET: Duration = Duration::from_millis(40);
/// Before a carrier was seen, and until it was believed.
const BACKLOG: Duration = Duration::from_millis(20);
/// How long it may take until the carrier's news is here.
const NEWS: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reception {
    None,
    /// Someone speaks since then.
    Wants {
        from: Instant,
        stage: Stage,
    },
    Talks {
        transmission: TransmissionId,
        /// From end to end, where it is delayed.
        late: Duration,
    },
    /// Nothing that was received after `until` is sent; the floor is let go once all before is.
    Ends {
        transmission: TransmissionId,
        late: Duration,
        until: Instant,
        release: Instant,
    },
    /// The floor was taken back: nothing is heard until whoever speaks has let go.
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The floor was not asked yet.
    New,
    Queued,
    /// It is asked again when nobody talks.
    Denied,
}

impl Reception {
    pub fn due(&self) -> Option<Instant> {
        match self {
            Reception::Ends { release, .. } => Some(*release),
            Reception::None
            | Reception::Wants { .. }
            | Reception::Talks { .. }
            | Reception::Lost => None,
        }
    }
}

impl Edge {
    pub(super) fn follow_squelch(&mut self, radio: RadioId, now: Instant) {
        while let Some(r) = self.radios.get_mut(&radio)
            && let Some(output) = r.squelch.poll_output()
        {
            let id = &r.settings.id;
            tracing::debug!(radio = %id, ?output, "squelch");
            match (r.reception, output) {
                (Reception::None | Reception::Lost, Squelch::Opened { from }) => {
                    let stage = Stage::New;
                    r.reception = Reception::Wants { from, stage };
                }
                // The floor is still held for what is on its way: nobody has noticed that it was closed.
                (
                    Reception::Ends {
                        transmission,
                        late,
                        until,
                        ..
                    },
                    Squelch::Opened { from },
                ) => {
                    let delayed = r.settings.squelch.vox_delay.is_some();
                    // Nothing twice; what is delayed and not out yet, and from before this, was silence.
                    let sent = if delayed { now - late } else { until };
                    let from = from.max(sent);
                    let late = lateness(delayed, from, now);
                    r.reception = Reception::Talks { transmission, late };
                    let order = Order::Receive {
                        transmission,
                        from,
                        delayed,
                    };
                    self.order(radio, order);
                }
                (Reception::Talks { transmission, late }, Squelch::Closed { until }) => {
                    let release = now + late + LAST_PACKET;
                    r.reception = Reception::Ends {
                        transmission,
                        late,
                        until,
                        release,
                    };
                    self.order(radio, Order::StopReceiving { until });
                }
                (Reception::Wants { .. } | Reception::Lost, Squelch::Closed { .. }) => {
                    r.reception = Reception::None;
                    self.let_go(radio, now);
                }
                (before, Squelch::Stuck) => {
                    tracing::warn!(
                        radio = %id,
                        "its carrier has been up for longer than anyone speaks, the receiver is not heard until it drops"
                    );
                    r.reception = Reception::Lost;
                    if let Reception::Talks { .. } = before {
                        self.order(radio, Order::StopReceiving { until: now });
                    }
                    self.let_go(radio, now);
                }
                (Reception::Wants { .. } | Reception::Talks { .. }, Squelch::Opened { .. })
                | (Reception::None | Reception::Ends { .. }, Squelch::Closed { .. }) => {}
            }
        }
    }

    /// Asks for the floor, and lets it go, when it is time to.
    pub(super) fn receive(&mut self, radio: RadioId, now: Instant) {
        let Some(r) = self.radios.get_mut(&radio) else {
            return;
        };
        match r.reception {
            Reception::Ends { release, .. } if release <= now => {
                r.reception = Reception::None;
                self.let_go(radio, now);
            }
            Reception::Wants { from, stage } => {
                let channel = r.settings.channel.clone();
                let (user, level) = (r.user(), r.settings.level);
                let floor = self.channels.get(&channel).map(|c| &c.floor);
                let who = radio.into();
                let is_idle = floor.is_some_and(|floor| floor.talk().is_none());
                let waits = floor.is_some_and(|floor| floor.level_of(who).is_some());
                let may = self.is_for_radios(&channel)
                    && self.silence_left(&user, &channel, now).is_none();
                match stage {
                    Stage::New if !may => self.radio_denied(radio, DenyReason::Silenced, now),
                    Stage::Denied if may && is_idle => {
                        self.floor(&channel, floor::Input::Request { who, level }, now);
                    }
                    Stage::New => self.floor(&channel, floor::Input::Request { who, level }, now),
                    Stage::Queued if !waits => {
                        let stage = Stage::Denied;
                        if let Some(r) = self.radios.get_mut(&radio) {
                            r.reception = Reception::Wants { from, stage };
                        }
                    }
                    Stage::Queued | Stage::Denied => {}
                }
            }
            Reception::None
            | Reception::Talks { .. }
            | Reception::Ends { .. }
            | Reception::Lost => {}
        }
    }

    fn let_go(&mut self, radio: RadioId, now: Instant) {
        if let Some(channel) = self.radios.get(&radio).map(|r| r.settings.channel.clone()) {
            let who = radio.into();
            self.floor(&channel, floor::Input::Release { who }, now);
        }
    }

    /// Its receiver has gone in the middle of whatever it was doing.
    pub(super) fn end_reception(&mut self, radio: RadioId, now: Instant) {
        if let Some(r) = self.radios.get_mut(&radio) {
            while r.squelch.poll_output().is_some() {}
            let before = std::mem::replace(&mut r.reception, Reception::None);
            if let Reception::Talks { .. } | Reception::Ends { .. } = before {
                self.order(radio, Order::StopReceiving { until: now });
            }
        }
    }

    /// When what a radio sends first was received, where it is sent at once: before it is granted the floor.
    pub(super) fn heard_since(&self, radio: RadioId, now: Instant) -> Option<Instant> {
        let r = self.radios.get(&radio)?;
        match (r.reception, r.settings.squelch.vox_delay) {
            (Reception::Wants { from, .. }, None) => Some(sent_from(&r.settings, from, now)),
            _ => None,
        }
    }

    pub(super) fn radio_granted(
        &mut self,
        radio: RadioId,
        transmission: TransmissionId,
        now: Instant,
    ) {
        let Some(r) = self.radios.get_mut(&radio) else {
            return;
        };
        let Reception::Wants { from, .. } = r.reception else {
            return;
        };
        let from = sent_from(&r.settings, from, now);
        let delayed = r.settings.squelch.vox_delay.is_some();
        let late = lateness(delayed, from, now);
        r.reception = Reception::Talks { transmission, late };
        let permit = r.settings.tones.permit && r.settings.kind == Kind::Desk;
        let order = Order::Receive {
            transmission,
            from,
            delayed,
        };
        self.order(radio, order);
        if permit {
            self.order(radio, Order::Tone(Tone::Permit));
        }
    }

    pub(super) fn radio_queued(&mut self, radio: RadioId) {
        self.waits(radio, Stage::Queued);
    }

    pub(super) fn radio_denied(&mut self, radio: RadioId, reason: DenyReason, now: Instant) {
        if reason == DenyReason::ReleaseFirst {
            return self.radio_revoked(radio, now, now);
        }
        self.waits(radio, Stage::Denied);
    }

    fn waits(&mut self, radio: RadioId, stage: Stage) {
        let Some(r) = self.radios.get_mut(&radio) else {
            return;
        };
        if let Reception::Wants {
            from,
            stage: before,
        } = r.reception
        {
            r.reception = Reception::Wants { from, stage };
            let desk = r.settings.kind == Kind::Desk;
            if before == Stage::New && desk && r.settings.tones.deny {
                self.order(radio, Order::Tone(Tone::Deny));
            }
        }
    }

    /// Nothing of it is sent that is received after `until`.
    pub(super) fn radio_revoked(&mut self, radio: RadioId, until: Instant, now: Instant) {
        let Some(r) = self.radios.get_mut(&radio) else {
            return;
        };
        let before = r.reception;
        match before {
            Reception::Wants { .. } | Reception::Talks { .. } => {
                r.squelch.handle(squelch::Input::Spent, now);
                r.reception = Reception::Lost;
            }
            // Whoever spoke has let go already.
            Reception::Ends {
                transmission,
                late,
                until,
                ..
            } => {
                r.reception = Reception::Ends {
                    transmission,
                    late,
                    until,
                    release: now,
                };
            }
            Reception::None | Reception::Lost => {}
        }
        if let Reception::Talks { .. } = before {
            self.order(radio, Order::StopReceiving { until });
        }
    }
}

/// From end to end.
fn lateness(delayed: bool, from: Instant, now: Instant) -> Duration {
    match delayed {
        true => now.saturating_duration_since(from),
        false => Duration::ZERO,
    }
}

/// Whoever had to wait has said before what nobody wants to hear now.
fn sent_from(settings: &Settings, from: Instant, now: Instant) -> Instant {
    from.max(now.checked_sub(backlog(settings)).unwrap_or(from))
}

/// How much of the past is sent at most: what was received before anyone could know that it is speech.
fn backlog(settings: &Settings) -> Duration {
    let squelch = &settings.squelch;
    let believed = squelch.debounce.max(squelch.kerchunk);
    squelch.vox_delay.unwrap_or(BACKLOG) + believed + NEWS
}
