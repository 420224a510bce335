//! What is wrong with the box right now, for `/healthz`. Each part of the daemon tells its own state.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Clone, Default)]
pub struct Health(Arc<Mutex<BTreeMap<&'static str, String>>>);

impl Health {
    /// The part works. Logged when it did not before.
    pub fn fine(&self, part: &'static str) {
        let mut wrong = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if wrong.remove(part).is_some() {
            tracing::info!(part, "works again");
        }
    }

    /// The part does not work; says why, and what to do. Logged when it is news.
    pub fn wrong(&self, part: &'static str, why: String) {
        let mut wrong = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if wrong.get(part) != Some(&why) {
            tracing::error!(part, why, "does not work");
            wrong.insert(part, why);
        }
    }

    /// The same, where whoever saw it has logged it: a device that is missing is no error of the box's.
    pub fn known(&self, part: &'static str, why: String) {
        let mut wrong = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        wrong.insert(part, why);
    }

    pub fn tell(&self, part: &'static str, outcome: anyhow::Result<()>) {
        match outcome {
            Ok(()) => self.fine(part),
            Err(error) => self.wrong(part, format!("{error:#}")),
        }
    }

    pub fn problems(&self) -> BTreeMap<&'static str, String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
