//! Writes down what happens while the box runs, and keeps the roll of today.
//!
//! ```text
//!  reactor ── try_send ──┐
//!  API (refusals) ───────┼─> a short queue ─> one thread ─┬─> store (a batch, then one sync)
//!                        ┘                                └─> roll: who was heard today
//! ```
//! The reactor never waits for it: what finds no room is dropped and counted. A transmission's end waits a
//! moment for how it was heard, which comes a little later.

mod roll;
mod words;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use pttd_core::edge::Happening;
use pttd_core::ids::{SessionId, TransmissionId};
use pttd_core::media::Heard;
use pttd_core::wire::signal::Level;

use crate::health::Health;
use crate::reactor::Witness;
use crate::store::{Entry, Store};
use crate::utc;

pub use self::roll::Roll;

/// A thousand people coming at once.
const QUEUE: usize = 4096;
/// How long the end of a transmission waits for how it was heard.
const HEARD_WITHIN: Duration = Duration::from_secs(1);
/// Without a packet it was no talk, unless the button was held for longer: then somebody looks for why.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Entries are written together for this long, or until there are so many.
const TOGETHER: Duration = Duration::from_millis(250);
const BATCH: usize = 512;
/// Transmissions whose end is not known yet.
const RUNNING: usize = 1024;

enum Told {
    Happened {
        what: Happening,
        at: u64,
    },
    Noted(Entry),
    /// Nothing that comes later is written.
    End,
}

/// Where others tell the journal.
#[derive(Clone)]
pub struct Inbox(SyncSender<Told>);

impl Inbox {
    /// Without waiting.
    pub fn note(&self, entry: Entry) {
        if self.0.try_send(Told::Noted(entry)).is_err() {
            metrics::counter!("pttd_happenings_dropped_total", "by" => "journal").increment(1);
        }
    }

    pub fn witness(&self) -> Witness {
        let inbox = self.0.clone();
        Witness {
            name: "journal",
            tell: Box::new(move |what| {
                let (what, at) = (what.clone(), utc::now_ms());
                inbox.try_send(Told::Happened { what, at }).is_ok()
            }),
        }
    }
}

pub struct Journal {
    inbox: Inbox,
    thread: JoinHandle<()>,
    pub roll: Roll,
}

impl Journal {
    /// Blocking: reads what happened today already.
    pub fn start(store: Arc<Store>, health: Health) -> Result<Journal> {
        let roll = Roll::of_today(&store).context("reading today's journal")?;
        let (inbox, queue) = sync_channel(QUEUE);
        let writer = Writer {
            store,
            roll: roll.clone(),
            health,
            talks: BTreeMap::new(),
            levels: BTreeMap::new(),
            addresses: BTreeMap::new(),
            batch: Vec::new(),
            since: None,
        };
        let thread = std::thread::Builder::new().name("journal".into());
        let thread = thread
            .spawn(move || writer.run(&queue))
            .context("starting the journal")?;
        Ok(Journal {
            inbox: Inbox(inbox),
            thread,
            roll,
        })
    }

    pub fn inbox(&self) -> Inbox {
        self.inbox.clone()
    }

    /// Returns when all is written. Blocking.
    pub fn finish(self) -> Result<()> {
        // An error says that it has ended already.
        let _ = self.inbox.0.send(Told::End);
        let ended = self.thread.join();
        ended.map_err(|_panic| anyhow!("the journal's thread panicked"))
    }
}

struct Writer {
    store: Arc<Store>,
    roll: Roll,
    health: Health,
    /// Over, and waiting to be told how they were heard.
    talks: BTreeMap<TransmissionId, (Entry, Instant)>,
    levels: BTreeMap<TransmissionId, Level>,
    /// Where the sessions are.
    addresses: BTreeMap<SessionId, IpAddr>,
    batch: Vec<Entry>,
    /// When the first of the batch came.
    since: Option<Instant>,
}

impl Writer {
    fn run(mut self, queue: &Receiver<Told>) {
        loop {
            let told = match self.deadline() {
                None => queue.recv().map_err(|_gone| RecvTimeoutError::Disconnected),
                Some(at) => queue.recv_timeout(at.saturating_duration_since(Instant::now())),
            };
            match told {
                Ok(Told::Noted(entry)) => self.add(entry),
                Ok(Told::Happened { what, at }) => self.happened(what, at),
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Told::End) | Err(RecvTimeoutError::Disconnected) => break,
            }
            let now = Instant::now();
            self.let_go(now);
            let due = self.since.is_some_and(|since| since + TOGETHER <= now);
            if due || self.batch.len() >= BATCH {
                self.write();
            }
        }
        self.let_go(Instant::now() + HEARD_WITHIN);
        self.write();
    }

    fn deadline(&self) -> Option<Instant> {
        let written = self.since.map(|since| since + TOGETHER);
        let heard = self.talks.values().map(|(_, until)| *until).min();
        written.into_iter().chain(heard).min()
    }

    fn add(&mut self, entry: Entry) {
        self.since.get_or_insert_with(Instant::now);
        self.batch.push(entry);
    }

    fn happened(&mut self, what: Happening, at: u64) {
        let roster = self.store.roster();
        match &what {
            Happening::SignedIn {
                session, address, ..
            } => {
                self.addresses.insert(*session, address.to_canonical());
            }
            Happening::TalkBegan {
                transmission,
                level,
                ..
            } => {
                self.levels.insert(*transmission, *level);
                if self.levels.len() > RUNNING {
                    self.levels.pop_first();
                }
            }
            _ => {}
        }
        match what {
            Happening::TalkEnded {
                transmission,
                channel,
                talker,
                reason,
                duration,
                ..
            } => {
                let level = self.levels.remove(&transmission).unwrap_or_default();
                let from = self.address(talker.session_id);
                let ended = words::talk(
                    &roster, &channel, &talker, level, reason, duration, from, at,
                );
                let until = Instant::now() + HEARD_WITHIN;
                self.talks.insert(transmission, (ended, until));
            }
            Happening::Heard {
                transmission,
                heard,
                ..
            } => {
                let talk = self.talks.remove(&transmission);
                if let Some((mut entry, _)) = talk.filter(|(entry, _)| !is_nothing(entry, &heard)) {
                    words::heard(&mut entry, &heard);
                    self.over(entry);
                }
            }
            what => {
                let from = |session| self.address(session);
                if let Some(entry) = words::entry(&roster, &what, from, at) {
                    self.add(entry);
                }
                if let Happening::SessionEnded { session, .. } = what {
                    self.addresses.remove(&session);
                }
            }
        }
    }

    /// Transmissions of which nobody said how they were heard.
    fn let_go(&mut self, now: Instant) {
        let due = |(_, until): &(Entry, Instant)| *until <= now;
        let due: Vec<_> = self
            .talks
            .iter()
            .filter(|(_, talk)| due(talk))
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            if let Some((entry, _)) = self.talks.remove(&id) {
                self.over(entry);
            }
        }
    }

    fn over(&mut self, entry: Entry) {
        self.roll.count(&entry);
        self.add(entry);
    }

    fn address(&self, session: SessionId) -> String {
        let address = self.addresses.get(&session);
        address.map_or_else(String::new, ToString::to_string)
    }

    fn write(&mut self) {
        self.since = None;
        if self.batch.is_empty() {
            return;
        }
        let written = self.store.note(&self.batch);
        if written.is_err() {
            metrics::counter!("pttd_happenings_dropped_total", "by" => "journal")
                .increment(self.batch.len() as u64);
        }
        self.batch.clear();
        self.health.tell("journal", written);
    }
}

/// A button that was let go before a sound came of it, which nobody heard.
fn is_nothing(entry: &Entry, heard: &Heard) -> bool {
    let talk = entry.talk.as_ref();
    heard.packets == 0 && talk.is_none_or(|talk| Duration::from_millis(talk.ms) < AT_ONCE)
}

#[cfg(test)]
mod tests;
