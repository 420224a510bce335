//! The recorder: what is said on a recorded channel becomes a file, without being decoded.
//!
//! ```text
//!  reactor ── who talks, from when to when ─┐
//!  media threads ── taps ───────────────────┴─> one thread ─> Timeline ─> Ogg Opus file ─> index
//! ```
//! Both queues are bounded and nobody waits for room in them. The thread is not woken by taps, which would cost a media
//! thread a system call for each: it looks for them while somebody talks.

mod ogg_file;
mod recover;
mod shelf;
mod talk;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, LazyLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::time::{ClockId, clock_gettime};
use pttd_core::edge::Happening;
use pttd_core::ids::TransmissionId;
use pttd_core::media::Tap;
use pttd_core::wire::signal::EndReason;

use self::shelf::Shelf;
use self::talk::{Head, Talk};
use crate::config;
use crate::health::Health;
use crate::reactor::Witness;
use crate::store::Store;
use crate::utc;

pub use self::ogg_file::hex;
pub use self::shelf::last_unfinished;
pub use self::talk::moment;

/// Beginnings and ends: fifty channels make a handful a second.
const HAPPENINGS: usize = 1024;
/// Packets: six seconds of fifty busy channels, while the disk is slow.
const TAPS: usize = 16_384;
/// How often taps are looked for while somebody talks.
const LOOK: Duration = Duration::from_millis(100);
/// After the end of a talk its last packets may still be on their way from the media thread.
const LINGER: Duration = Duration::from_millis(40);
const NICE: i32 = 10;
const TIDY_EVERY: Duration = Duration::from_secs(5);
/// While more is kept than may be.
const TIDY_WHEN_FULL: Duration = Duration::from_secs(1);
/// No floor is held longer, with its grace: the end of this one was lost.
const LONGEST: Duration = Duration::from_secs(610);

/// From a media thread.
pub enum Tapped {
    Packet(Tap),
    /// The queue was full, and so many packets of this one found no room.
    Dropped {
        transmission: TransmissionId,
        packets: u64,
    },
}

/// Where the recorder is told.
pub struct Inbox {
    happenings: SyncSender<Happening>,
    pub taps: SyncSender<Tapped>,
    /// What the recordings take together.
    pub bytes: Arc<AtomicU64>,
}

impl Inbox {
    /// What the reactor tells.
    pub fn witness(&self) -> Witness {
        let happenings = self.happenings.clone();
        Witness {
            name: "recorder",
            tell: Box::new(move |what| match what {
                Happening::TalkBegan { .. } | Happening::TalkEnded { .. } => {
                    happenings.try_send(what.clone()).is_ok()
                }
                _ => true,
            }),
        }
    }
}

/// Starts the recorder's thread, which ends when nobody can tell it anything any more.
pub fn start(
    settings: config::Recorder,
    store: Arc<Store>,
    health: Health,
) -> Result<(Inbox, JoinHandle<()>)> {
    let (happenings_in, happenings) = sync_channel(HAPPENINGS);
    let (taps_in, taps) = sync_channel(TAPS);
    let shelf = Shelf::new(settings, store.clone());
    let bytes = shelf.bytes.clone();
    let recorder = Recorder {
        happenings,
        taps,
        shelf,
        store,
        health,
        talks: HashMap::new(),
        ending: Vec::new(),
        tidied: Instant::now(),
        failed: None,
    };
    let thread = std::thread::Builder::new()
        .name("recorder".into())
        .spawn(|| recorder.run())
        .context("starting the recorder's thread")?;
    let inbox = Inbox {
        happenings: happenings_in,
        taps: taps_in,
        bytes,
    };
    Ok((inbox, thread))
}

struct Recorder {
    happenings: Receiver<Happening>,
    taps: Receiver<Tapped>,
    store: Arc<Store>,
    shelf: Shelf,
    health: Health,
    talks: HashMap<TransmissionId, Talk>,
    ending: Vec<Ending>,
    tidied: Instant,
    /// Why the last recording could not be written.
    failed: Option<String>,
}

struct Ending {
    transmission: TransmissionId,
    duration: Duration,
    reason: EndReason,
    due: Instant,
}

impl Recorder {
    fn run(mut self) {
        // Linux keeps a priority for each thread: on a box of one core, media goes first.
        if let Err(error) = rustix::process::setpriority_process(None, NICE) {
            tracing::debug!(%error, "the recorder keeps its priority");
        }
        self.tidy();
        loop {
            let stopped = self.wait();
            self.take_taps();
            self.finish_due();
            if stopped {
                return self.finish_all();
            }
            if self.until_tidy().is_zero() {
                self.tidy();
            }
        }
    }

    /// True: nobody will tell anything any more.
    fn wait(&mut self) -> bool {
        let wait = match (self.talks.is_empty(), self.ending.is_empty()) {
            (true, true) => self.until_tidy(),
            (false, true) => LOOK,
            (_, false) => LINGER,
        };
        match self.happenings.recv_timeout(wait) {
            Ok(what) => {
                self.happened(what);
                self.take_happenings();
                false
            }
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => true,
        }
    }

    fn until_tidy(&self) -> Duration {
        let every = match self.shelf.is_full() {
            true => TIDY_WHEN_FULL,
            false => TIDY_EVERY,
        };
        every.saturating_sub(self.tidied.elapsed())
    }

    fn take_happenings(&mut self) {
        while let Ok(what) = self.happenings.try_recv() {
            self.happened(what);
        }
    }

    fn happened(&mut self, what: Happening) {
        match what {
            Happening::TalkBegan {
                transmission,
                channel,
                talker,
                level,
                at,
                ..
            } => {
                let roster = self.store.roster();
                let Some(settings) = roster.channels.get(&channel) else {
                    return;
                };
                let ago = at.elapsed().as_millis() as u64;
                let head = Head {
                    transmission,
                    channel_name: settings.name.clone(),
                    channel,
                    user: talker.user_id,
                    name: talker.name,
                    level,
                    began: utc::now_ms().saturating_sub(ago),
                    monotonic: since_boot_ms().saturating_sub(ago),
                    boot: BOOT.clone(),
                };
                let path = self.shelf.unfinished(transmission);
                self.talks.insert(transmission, Talk::new(head, at, path));
            }
            Happening::TalkEnded {
                transmission,
                reason,
                duration,
                ..
            } => self.ending.push(Ending {
                transmission,
                duration,
                reason,
                due: Instant::now() + LINGER,
            }),
            _ => {}
        }
    }

    fn take_taps(&mut self) {
        let (mut taken, mut unwanted) = (0, 0);
        while let Ok(tapped) = self.taps.try_recv() {
            let transmission = match &tapped {
                Tapped::Packet(tap) => tap.transmission,
                Tapped::Dropped { transmission, .. } => *transmission,
            };
            // Its beginning was told before, and may have come after we looked.
            if !self.talks.contains_key(&transmission) {
                self.take_happenings();
            }
            let has_room = self.shelf.has_room();
            let talk = self.talks.get_mut(&transmission);
            match (tapped, talk) {
                (Tapped::Packet(tap), Some(talk)) if has_room => {
                    taken += 1;
                    if let Err(error) = talk.packet(&tap.packet, tap.at) {
                        let path = talk.path().to_path_buf();
                        self.talks.remove(&transmission);
                        self.lost(transmission, &path, error.into());
                    }
                }
                (Tapped::Packet(_), talk) => {
                    unwanted += 1;
                    if let Some(talk) = talk {
                        talk.dropped += 1;
                    }
                }
                (Tapped::Dropped { packets, .. }, Some(talk)) => talk.dropped += packets,
                (Tapped::Dropped { packets, .. }, None) => {
                    if let Err(error) = self.shelf.lacks(transmission, packets) {
                        let why = format!("{error:#}");
                        tracing::warn!(%transmission, packets, why, "a recording does not tell what it lacks");
                    }
                }
            }
        }
        metrics::counter!("pttd_recorder_packets_total").increment(taken);
        metrics::counter!("pttd_recorder_packets_unwanted_total").increment(unwanted);
    }

    fn finish_due(&mut self) {
        let now = Instant::now();
        let due: Vec<Ending> = self.ending.extract_if(.., |e| e.due <= now).collect();
        for ending in due {
            self.finish(ending.transmission, Some(ending.duration), ending.reason);
        }
    }

    /// Without a duration its end is not known: it is as long as it was heard.
    fn finish(&mut self, id: TransmissionId, duration: Option<Duration>, reason: EndReason) {
        let Some(talk) = self.talks.remove(&id) else {
            return;
        };
        let path = talk.path().to_path_buf();
        let lasted = duration.unwrap_or_else(|| talk.heard_for());
        let finished = talk.finish(lasted, reason, duration.is_some());
        let outcome = finished.map_err(anyhow::Error::from).and_then(|recording| {
            let Some(recording) = recording else {
                return Ok(());
            };
            tracing::debug!(transmission = %id, bytes = recording.bytes, dropped = recording.dropped_packets, "recorded");
            self.shelf.take(&path, recording)?;
            metrics::counter!("pttd_recordings_made_total").increment(1);
            self.failed = None;
            Ok(())
        });
        if let Err(error) = outcome {
            self.lost(id, &path, error);
        }
    }

    fn finish_all(mut self) {
        for ending in std::mem::take(&mut self.ending) {
            self.finish(ending.transmission, Some(ending.duration), ending.reason);
        }
        let open: Vec<TransmissionId> = self.talks.keys().copied().collect();
        for id in open {
            self.finish(id, None, EndReason::Disconnected);
        }
    }

    fn lost(&mut self, transmission: TransmissionId, path: &Path, error: anyhow::Error) {
        let why = format!("a recording could not be written: {error:#}");
        tracing::warn!(%transmission, why, "a recording is lost");
        metrics::counter!("pttd_recordings_lost_total").increment(1);
        self.health.wrong("recorder", why.clone());
        self.failed = Some(why);
        // One that stood there before is not ours.
        let exists = |error: &io::Error| error.kind() == io::ErrorKind::AlreadyExists;
        if !error.downcast_ref().is_some_and(exists) {
            shelf::remove(path);
        }
    }

    fn tidy(&mut self) {
        let lost_end = |(id, talk): (&TransmissionId, &Talk)| (talk.age() > LONGEST).then_some(*id);
        let endless: Vec<TransmissionId> = self.talks.iter().filter_map(lost_end).collect();
        for id in endless {
            self.finish(id, None, EndReason::Disconnected);
        }
        let running: BTreeSet<TransmissionId> = self.talks.keys().copied().collect();
        let tidied = self.shelf.tidy(&running);
        self.tidied = Instant::now();
        match (&self.failed, tidied) {
            (_, Err(error)) => self.health.wrong("recorder", format!("{error:#}")),
            (Some(why), Ok(())) => self.health.wrong("recorder", why.clone()),
            (None, Ok(())) => self.health.fine("recorder"),
        }
    }
}

/// Which switching on of the machine this is: the kernel draws a name for each.
static BOOT: LazyLock<String> = LazyLock::new(|| {
    let name = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    name.unwrap_or_default().trim().to_string()
});

/// The clock that never stops and is never set.
fn since_boot_ms() -> u64 {
    clock_gettime(ClockId::CLOCK_BOOTTIME)
        .map_or(0, |since| Duration::from(since).as_millis() as u64)
}

#[cfg(test)]
mod tests;
