//! The journal: who did what, when and from where. Kept to a bound, the oldest go first.
//!
//! What any client can cause as often as it likes (transmissions, sign-ins, calls) is kept apart from what changes
//! the box, under numbers of one row. Where there is no room, what takes more than half goes: nobody can press a
//! button until the journal has forgotten what an admin did.
//!
//! What changes the roster, an invitation or a device is noted in the same transaction as the change itself:
//! there is no change without its entry, and no entry without its change.

use std::fmt;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result};
use pttd_core::ids::{ChannelId, UserId};
use serde::{Deserialize, Serialize};
use sled::transaction::{
    TransactionError, Transactional, TransactionalTree, UnabortableTransactionError,
};

use super::{Store, decode, encode};
use crate::utc;

/// One thing that was done or that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// UTC milliseconds since 1970.
    pub at: u64,
    /// Who did it, as people call them.
    pub who: String,
    #[serde(default)]
    pub by: Option<UserId>,
    /// For programs: `member_removed`.
    pub what: String,
    /// For people: one sentence.
    pub text: String,
    /// An address, or `console`.
    pub from: String,
    #[serde(default)]
    pub channel: Option<ChannelId>,
    /// Whom it is about.
    #[serde(default)]
    pub user: Option<UserId>,
    #[serde(default)]
    pub talk: Option<TalkFigures>,
}

/// How a transmission was heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TalkFigures {
    pub ms: u64,
    #[serde(default)]
    pub packets: u64,
    #[serde(default)]
    pub lost: u64,
    /// dBov.
    #[serde(default)]
    pub level: Option<i8>,
}

/// Who does something, for the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By {
    pub who: String,
    pub user: Option<UserId>,
    pub from: String,
}

impl By {
    /// Whoever sits at the box's own shell.
    pub fn operator() -> By {
        By {
            who: "operator".to_string(),
            user: None,
            from: "console".to_string(),
        }
    }

    /// The box of its own accord.
    pub fn the_box() -> By {
        By {
            who: "pttd".to_string(),
            user: None,
            from: "console".to_string(),
        }
    }

    /// What they did, now: `took Ben off Operations`.
    pub fn did(&self, what: &str, text: impl fmt::Display) -> Entry {
        Entry {
            at: utc::now_ms(),
            who: self.who.clone(),
            by: self.user.clone(),
            what: what.to_string(),
            text: format!("{} {text}", self.who),
            from: self.from.clone(),
            channel: None,
            user: None,
            talk: None,
        }
    }
}

impl Entry {
    /// Whether any client can have it written as often as it likes.
    fn is_passing(&self) -> bool {
        let what = self.what.as_str();
        matches!(what, "talk" | "signed_in" | "session_over")
            || what.starts_with("call")
            || what.starts_with("position_")
    }

    pub fn about(mut self, user: &UserId) -> Entry {
        self.user = Some(user.clone());
        self
    }

    pub fn on(mut self, channel: &ChannelId) -> Entry {
        self.channel = Some(channel.clone());
        self
    }
}

/// Entries with their place in the journal, as they are written.
#[derive(Default)]
pub(super) struct Lines {
    changes: Vec<(u64, Vec<u8>)>,
    passing: Vec<(u64, Vec<u8>)>,
}

/// How many there are, and may be.
#[derive(Debug, Default)]
pub(super) struct Kept {
    keep: u64,
    changes: u64,
    passing: u64,
}

/// Writes what is no passing thing, as a part of a transaction.
pub(super) fn write(
    journal: &TransactionalTree,
    lines: &Lines,
) -> Result<(), UnabortableTransactionError> {
    for (seq, line) in &lines.changes {
        journal.insert(&seq.to_be_bytes(), line.clone())?;
    }
    Ok(())
}

impl Store {
    /// Gives them their places. A transaction that is not carried out leaves these empty.
    pub(super) fn lines(&self, entries: &[Entry]) -> Result<Lines> {
        let first = self
            .next_entry
            .fetch_add(entries.len() as u64, Ordering::SeqCst);
        let mut lines = Lines::default();
        for (seq, entry) in (first..).zip(entries) {
            let of_its_kind = match entry.is_passing() {
                true => &mut lines.passing,
                false => &mut lines.changes,
            };
            of_its_kind.push((seq, encode(entry)?));
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.changes += lines.changes.len() as u64;
        kept.passing += lines.passing.len() as u64;
        Ok(lines)
    }

    /// Keeps this many entries; those beyond are removed now.
    pub(super) fn bound_journal(&mut self, keep: u64) -> Result<()> {
        let trees = [&self.journal, &self.passing];
        let mut next = 0;
        for tree in trees {
            let last = tree.last().context("reading the journal")?;
            next = last.map_or(next, |(key, _)| next.max(seq_of(&key) + 1));
        }
        let [changes, passing] = trees.map(|tree| tree.len() as u64);
        self.next_entry.store(next, Ordering::SeqCst);
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Kept {
            keep,
            changes,
            passing,
        };
        self.shorten_journal()
    }

    /// Lets as many of the oldest go as are beyond the bound.
    pub(super) fn shorten_journal(&self) -> Result<()> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        while kept.changes + kept.passing > kept.keep {
            let (tree, count) = match kept.passing > kept.keep / 2 {
                true => (&self.passing, &mut kept.passing),
                false => (&self.journal, &mut kept.changes),
            };
            tree.pop_min().context("shortening the journal")?;
            *count -= 1;
        }
        Ok(())
    }

    /// On disk when it returns. Blocking.
    pub fn note(&self, entries: &[Entry]) -> Result<()> {
        let lines = self.lines(entries)?;
        let written = (&self.journal, &self.passing).transaction(|(journal, passing)| {
            write(journal, &lines)?;
            for (seq, line) in &lines.passing {
                passing.insert(&seq.to_be_bytes(), line.clone())?;
            }
            Ok(())
        });
        written
            .map_err(|e: TransactionError<()>| match e {
                TransactionError::Storage(error) => anyhow::Error::from(error),
                TransactionError::Abort(()) => anyhow::anyhow!("given up"),
            })
            .context("writing the journal")?;
        self.commit()
    }

    /// The newest entries first, from the one before `before` back, for as long as `wanted` wants more.
    pub fn look_back(
        &self,
        before: Option<u64>,
        mut wanted: impl FnMut(u64, Entry) -> bool,
    ) -> Result<()> {
        let upto = before.unwrap_or(u64::MAX).to_be_bytes();
        let newest_first = |tree: &sled::Tree| tree.range(..upto).rev().peekable();
        let mut changes = newest_first(&self.journal);
        let mut passing = newest_first(&self.passing);
        loop {
            let seq = |record: Option<&sled::Result<(sled::IVec, sled::IVec)>>| match record {
                Some(Ok((key, _))) => Some(seq_of(key)),
                // Read first, and told.
                Some(Err(_)) => Some(u64::MAX),
                None => None,
            };
            let newest = match seq(changes.peek()) > seq(passing.peek()) {
                true => changes.next(),
                false => passing.next(),
            };
            let Some(record) = newest else {
                return Ok(());
            };
            let (key, value) = record.context("reading the journal")?;
            if !wanted(seq_of(&key), decode(&value)?) {
                return Ok(());
            }
        }
    }
}

fn seq_of(key: &[u8]) -> u64 {
    key.try_into().map_or(0, u64::from_be_bytes)
}
