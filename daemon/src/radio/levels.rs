//! What the guardian says of PTT lines, told to the reactor when it comes and again every now and then: in that
//! order, or an old word would count until the next time.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use pttd_core::ids::RadioId;
use pttd_core::radio::Event;
use tokio::sync::mpsc;

/// Until the guardian says anything: it does not answer.
const UNKNOWN: Event = Event::Line {
    keyed: false,
    fault: true,
    locked: false,
};

pub struct Lines {
    events: mpsc::Sender<(RadioId, Event)>,
    /// Of each radio's id, the last. Held while it is told.
    said: Mutex<BTreeMap<String, Event>>,
}

impl Lines {
    pub fn new(events: mpsc::Sender<(RadioId, Event)>) -> Lines {
        Lines {
            events,
            said: Mutex::default(),
        }
    }

    /// `number`: where the radio is wired already.
    pub fn report(&self, id: &str, number: Option<RadioId>, event: Event) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.insert(id.to_string(), event.clone());
        if let Some(number) = number {
            // It is told again.
            let _ = self.events.try_send((number, event));
        }
    }

    pub fn tell(&self, id: &str, number: RadioId) {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let event = said.get(id).cloned().unwrap_or(UNKNOWN);
        let _ = self.events.try_send((number, event));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_again_is_what_the_guardian_said_last() {
        let (events_in, mut events) = mpsc::channel(4);
        let lines = Lines::new(events_in);
        let line = |keyed, fault| Event::Line {
            keyed,
            fault,
            locked: false,
        };
        lines.tell("hall", RadioId(0));
        lines.report("hall", None, line(false, false));
        lines.tell("hall", RadioId(0));
        lines.report("hall", Some(RadioId(0)), line(true, false));
        lines.tell("hall", RadioId(0));
        let mut told = || events.try_recv().unwrap().1;
        assert_eq!(told(), UNKNOWN);
        assert_eq!(told(), line(false, false));
        assert_eq!(told(), line(true, false));
        assert_eq!(told(), line(true, false));
    }
}
