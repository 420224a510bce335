//! What a radio's threads let others see of them, without anybody waiting.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pttd_core::radio::levels::{Meter, SILENCE};
use pttd_core::radio::playout::Counters;
use tokio::sync::Notify;

#[derive(Default)]
pub struct Gauges {
    pub rx: Direction,
    pub tx: Direction,
    pub carrier: AtomicBool,
    /// Times it was told what is there and what is not: the carrier is told again then.
    pub readies: AtomicU64,
    /// The sound alone is loud enough.
    pub vox: AtomicBool,
    pub squelch_opens: AtomicU64,
    /// What a detector could not understand.
    pub garbage: AtomicU64,
    pub buffer_us: AtomicU64,
    drift_ppm: AtomicU32,
    /// Packets that shards had no room for.
    pub packets_dropped: AtomicU64,
    /// Events the reactor had no room for.
    pub events_dropped: AtomicU64,
    /// Sound that was not fetched in time, in frames.
    pub frames_skipped: AtomicU64,
    pub packets: Packets,
}

/// What became of talkers' packets, as [`Counters`] has it.
#[derive(Default)]
pub struct Packets {
    pub lost: AtomicU64,
    pub recovered: AtomicU64,
    pub late: AtomicU64,
    pub duplicates: AtomicU64,
    pub undecodable: AtomicU64,
    pub dropped: AtomicU64,
    pub starved: AtomicU64,
}

impl Packets {
    /// What was counted since.
    pub fn count(&self, now: &Counters, before: &Counters) {
        for (figure, now, before) in [
            (&self.lost, now.lost, before.lost),
            (&self.recovered, now.recovered, before.recovered),
            (&self.late, now.late, before.late),
            (&self.duplicates, now.duplicates, before.duplicates),
            (&self.undecodable, now.undecodable, before.undecodable),
            (&self.dropped, now.dropped, before.dropped),
            (&self.starved, now.starved, before.starved),
        ] {
            figure.fetch_add(now.saturating_sub(before), Ordering::Relaxed);
        }
    }
}

/// A receiver or a transmitter.
pub struct Direction {
    mean: AtomicU32,
    peak: AtomicU32,
    pub clips: AtomicU64,
    pub xruns: AtomicU64,
    pub panics: AtomicU64,
    /// Orders its thread had no room for.
    pub orders_dropped: AtomicU64,
    /// Why it does not work; the lock is taken when that changes, and by who looks.
    problem: Mutex<Option<String>>,
    /// Rung when it does.
    news: Arc<Notify>,
}

impl Default for Direction {
    fn default() -> Self {
        Direction {
            mean: AtomicU32::new(SILENCE.to_bits()),
            peak: AtomicU32::new(SILENCE.to_bits()),
            clips: AtomicU64::default(),
            xruns: AtomicU64::default(),
            panics: AtomicU64::default(),
            orders_dropped: AtomicU64::default(),
            problem: Mutex::default(),
            news: Arc::default(),
        }
    }
}

impl Gauges {
    /// `news` is rung when something begins or ceases to work.
    pub fn ringing(news: &Arc<Notify>) -> Gauges {
        let mut gauges = Gauges::default();
        gauges.rx.news = news.clone();
        gauges.tx.news = news.clone();
        gauges
    }

    pub fn set_drift(&self, ppm: f32) {
        self.drift_ppm.store(ppm.to_bits(), Ordering::Relaxed);
    }

    pub fn drift(&self) -> f32 {
        f32::from_bits(self.drift_ppm.load(Ordering::Relaxed))
    }

    pub fn problem(&self) -> Option<String> {
        self.rx.problem().or_else(|| self.tx.problem())
    }
}

impl Direction {
    /// `before`: clips until the card was opened last.
    pub fn show(&self, meter: &Meter, before: u64) {
        self.mean.store(meter.mean().to_bits(), Ordering::Relaxed);
        self.peak.store(meter.peak().to_bits(), Ordering::Relaxed);
        self.clips.store(before + meter.clips(), Ordering::Relaxed);
    }

    pub fn silent(&self) {
        self.mean.store(SILENCE.to_bits(), Ordering::Relaxed);
        self.peak.store(SILENCE.to_bits(), Ordering::Relaxed);
    }

    pub fn mean(&self) -> f32 {
        f32::from_bits(self.mean.load(Ordering::Relaxed))
    }

    pub fn peak(&self) -> f32 {
        f32::from_bits(self.peak.load(Ordering::Relaxed))
    }

    /// Whether that is news.
    pub fn set_problem(&self, problem: Option<String>) -> bool {
        let mut known = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        let news = *known != problem;
        *known = problem;
        if news {
            self.news.notify_one();
        }
        news
    }

    pub fn problem(&self) -> Option<String> {
        self.problem
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
