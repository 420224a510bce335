//! A thread for each direction of a radio's sound: goes before others where it may, and begins anew where a card
//! is pulled or where it panics.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use thread_priority::unix::{
    RealtimeThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};
use thread_priority::{ThreadPriority, ThreadPriorityValue};

/// How often what is missing is looked for.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// How often a thread without a card sees orders, and whether it shall end.
const REST: Duration = Duration::from_millis(20);
/// Times in a row a card may stand still for 100 ms before it is opened anew.
pub const STILL: u32 = 4;
/// Above the kernel's own threads of priority 1, below those of its sound cards at 50.
const PRIORITY: u8 = 20;

/// So many periods of 10 ms may come at once, from a card's buffer after a thread was late...
const AT_ONCE: u32 = 100;
/// ...and take at least this long where sound is made in time.
const TAKE: Duration = Duration::from_millis(500);

/// Sees to it that the card keeps time. One that takes and brings all at once (alsa-lib's `null`) would have the
/// thread go before all others without end, and its progress proves nothing.
pub struct Pace {
    periods: u32,
    since: Instant,
}

impl Pace {
    pub fn new(now: Instant) -> Pace {
        Pace {
            periods: 0,
            since: now,
        }
    }

    /// A period is through.
    pub fn step(&mut self, now: Instant) -> Result<()> {
        self.periods += 1;
        if self.periods == AT_ONCE {
            ensure!(
                now.saturating_duration_since(self.since) >= TAKE,
                "the sound card does not keep time: it moves more than a second of sound in half a second. Name one                  that is real"
            );
            *self = Pace::new(now);
        }
        Ok(())
    }
}

/// What one thread does.
pub trait Part: Send + 'static {
    const NAME: &'static str;
    /// Opens what it needs and works until that is gone, or it shall stop.
    fn work(&mut self, stop: &AtomicBool) -> Result<()>;
    /// Between two attempts.
    fn rest(&mut self);
    /// What it has opened is closed; `None`: as it was told.
    fn lost(&mut self, why: Option<String>);
    fn panicked(&mut self);
}

/// Ends it when dropped, and waits until it has.
pub struct Running {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    pub fn start<P: Part>(radio: &str, mut part: P) -> Result<Running> {
        let stop = Arc::<AtomicBool>::default();
        let stopped = stop.clone();
        let name = format!("{}-{radio}", &P::NAME[..2]);
        let thread = std::thread::Builder::new()
            .name(name)
            .spawn(move || {
                go_before_others();
                run(&mut part, &stopped);
            })
            .with_context(|| format!("starting the thread of the {} of {radio}", P::NAME))?;
        Ok(Running {
            stop,
            thread: Some(thread),
        })
    }

    /// Without waiting.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            // Panics are caught inside.
            let _ = thread.join();
        }
    }
}

fn run<P: Part>(part: &mut P, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let why = match catch_unwind(AssertUnwindSafe(|| part.work(stop))) {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(format!("{error:#}")),
            Err(_panic) => {
                part.panicked();
                Some(format!(
                    "the {} had an error of its own and begins anew",
                    P::NAME
                ))
            }
        };
        part.lost(why);
        let again = Instant::now() + LOOK_AGAIN;
        while Instant::now() < again && !stop.load(Ordering::Relaxed) {
            part.rest();
            std::thread::sleep(REST);
        }
    }
}

/// Sound that is late is lost, and a guardian that hangs is noticed late. Where the kernel does not allow it, it is
/// said once.
pub fn go_before_others() {
    static TOLD: Once = Once::new();
    let outcome = ThreadPriorityValue::try_from(PRIORITY)
        .map_err(|error| error.to_string())
        .and_then(|priority| {
            set_thread_priority_and_policy(
                thread_native_id(),
                ThreadPriority::Crossplatform(priority),
                ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::RoundRobin),
            )
            .map_err(|error| format!("{error:?}"))
        });
    if let Err(error) = outcome {
        TOLD.call_once(|| {
            tracing::warn!(
                error,
                "radios' threads may not go before others, so while the box is busy sound may stutter, and a guardian \
                 that hangs keeps a radio keyed for longer: let pttd use real-time priorities (LimitRTPRIO=20 in its unit, or CAP_SYS_NICE)"
            );
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_that_does_not_keep_time_is_none() {
        let start = Instant::now();
        let run = |each: Duration| {
            let mut pace = Pace::new(start);
            (1..=1000).try_for_each(|n| pace.step(start + n * each))
        };
        assert!(run(Duration::from_millis(10)).is_ok());
        assert!(run(Duration::from_millis(6)).is_ok());
        assert!(run(Duration::from_micros(10)).is_err());
    }
}
