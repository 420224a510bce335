//! The journal: who did what, when and from where. Kept to a bound, the oldest go first.
//!
//! What changes the roster, an invitation or a device is noted in the same transaction as the change itself:
//! there is no change without its entry, and no entry without its change.

use std::fmt;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result};
use pttd_core::ids::{ChannelId, UserId};
use serde::{Deserialize, Serialize};
use sled::transaction::{TransactionError, TransactionalTree, UnabortableTransactionError};

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
pub(super) type Lines = Vec<(u64, Vec<u8>)>;

/// Writes them, as a part of a transaction, and lets as many of the oldest go.
pub(super) fn write(
    journal: &TransactionalTree,
    lines: &Lines,
    keep: u64,
) -> Result<(), UnabortableTransactionError> {
    for (seq, line) in lines {
        journal.insert(&seq.to_be_bytes(), line.clone())?;
        if let Some(oldest) = seq.checked_sub(keep) {
            journal.remove(&oldest.to_be_bytes())?;
        }
    }
    Ok(())
}

impl Store {
    /// Gives them their places. A transaction that is not carried out leaves these empty.
    pub(super) fn lines(&self, entries: &[Entry]) -> Result<Lines> {
        let first = self
            .next_entry
            .fetch_add(entries.len() as u64, Ordering::SeqCst);
        let line = |(seq, entry)| Ok((seq, encode(entry)?));
        (first..).zip(entries).map(line).collect()
    }

    /// Keeps this many entries; those beyond are removed now.
    pub(super) fn bound_journal(&mut self, keep: u64) -> Result<()> {
        let last = self.journal.last().context("reading the journal")?;
        let next = last.map_or(0, |(key, _)| seq_of(&key) + 1);
        self.next_entry.store(next, Ordering::SeqCst);
        self.keep_entries = keep;
        let beyond = self
            .journal
            .range(..next.saturating_sub(keep).to_be_bytes());
        for record in beyond {
            let (key, _) = record.context("reading the journal")?;
            self.journal.remove(key).context("shortening the journal")?;
        }
        Ok(())
    }

    /// On disk when it returns. Blocking.
    pub fn note(&self, entries: &[Entry]) -> Result<()> {
        let lines = self.lines(entries)?;
        let written = self
            .journal
            .transaction(|journal| Ok(write(journal, &lines, self.keep_entries)?));
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
        for record in self.journal.range(..upto).rev() {
            let (key, value) = record.context("reading the journal")?;
            if !wanted(seq_of(&key), decode(&value)?) {
                break;
            }
        }
        Ok(())
    }
}

fn seq_of(key: &[u8]) -> u64 {
    key.try_into().map_or(0, u64::from_be_bytes)
}
