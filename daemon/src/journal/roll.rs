//! The roll of today: who was heard, how often and how well.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use pttd_core::ids::UserId;

use crate::store::{Entry, Store};
use crate::utc;

/// What somebody said since midnight.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spoken {
    /// As they were called then: radios are not on the roster, and some people are not any more.
    pub name: String,
    /// UTC milliseconds since 1970.
    pub last: u64,
    pub transmissions: u32,
    pub ms: u64,
    pub packets: u64,
    pub lost: u64,
    /// Of the transmissions whose level is known, each as long as it was.
    level_ms: i64,
    level_of_ms: i64,
}

impl Spoken {
    /// The mean, in dBov.
    pub fn level(&self) -> Option<f64> {
        let known = self.level_of_ms > 0;
        known.then(|| self.level_ms as f64 / self.level_of_ms as f64)
    }

    pub fn lost_percent(&self) -> Option<f64> {
        let sent = self.packets + self.lost;
        (sent > 0).then(|| 100.0 * self.lost as f64 / sent as f64)
    }
}

#[derive(Clone, Default)]
pub struct Roll(Arc<Mutex<Today>>);

#[derive(Default)]
struct Today {
    /// UTC milliseconds.
    midnight: u64,
    people: BTreeMap<UserId, Spoken>,
}

impl Roll {
    /// As the journal has it. Blocking.
    pub fn of_today(store: &Store) -> Result<Roll> {
        let roll = Roll::default();
        let midnight = utc::midnight() * 1000;
        store.look_back(None, |_, entry| {
            if entry.at >= midnight {
                roll.count(&entry);
            }
            entry.at >= midnight
        })?;
        Ok(roll)
    }

    pub fn count(&self, entry: &Entry) {
        let (Some(talk), Some(user)) = (&entry.talk, &entry.user) else {
            return;
        };
        let mut today = self.today();
        let spoken = today.people.entry(user.clone()).or_default();
        spoken.name.clone_from(&entry.who);
        spoken.last = spoken.last.max(entry.at);
        spoken.transmissions += 1;
        spoken.ms += talk.ms;
        spoken.packets += talk.packets;
        spoken.lost += talk.lost;
        if let Some(level) = talk.level {
            spoken.level_ms += i64::from(level) * talk.ms as i64;
            spoken.level_of_ms += talk.ms as i64;
        }
    }

    pub fn now(&self) -> BTreeMap<UserId, Spoken> {
        self.today().people.clone()
    }

    /// A new day starts with an empty roll.
    fn today(&self) -> std::sync::MutexGuard<'_, Today> {
        let mut today = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let midnight = utc::midnight() * 1000;
        if today.midnight != midnight {
            today.midnight = midnight;
            today.people.clear();
        }
        today
    }
}
