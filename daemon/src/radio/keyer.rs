//! Keeps a PTT line keyed, and only while both of those who must be alive are: the reactor says until when the
//! radio may be on the air, and the sound card says that sound moves.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::guardian_link::Link;

/// How often the guardian is told; it unkeys 250 ms after the last time.
const RENEW: Duration = Duration::from_millis(50);
/// A sound card that has not taken anything for this long stands still.
const MOVES: Duration = Duration::from_millis(100);
/// Keyed this long after the order, the lead it was given is not what is left of it.
const LATE: Duration = Duration::from_millis(50);
/// The reactor never orders further ahead: whatever does is not believed.
const BELIEVED: Duration = Duration::from_millis(300);

pub struct Keyer {
    radio: String,
    /// `None`: it has no PTT line, the card's sound keys it.
    link: Option<Arc<Link>>,
    /// Held for a moment by the reactor and by the playback thread, never across anything that waits: so that no
    /// renewal comes after an unkeying it did not know of.
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// The reactor's word.
    until: Option<Instant>,
    /// When the card last took something.
    moved: Option<Instant>,
    /// When the guardian was told last; `None`: not keyed.
    told: Option<Instant>,
    since: Option<Instant>,
    on_air: Duration,
    times: u64,
    refused: u64,
    refuses: bool,
    /// Nothing keys it any more.
    closed: bool,
    /// Since when it is to be on the air.
    ordered: Option<Instant>,
    /// It went on the air later than was ordered, and nobody has asked yet.
    late: bool,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Keyed {
    pub keyed: bool,
    pub times: u64,
    pub on_air: Duration,
    /// Times the card stood still while the radio was to be on the air.
    pub refused: u64,
}

impl Keyer {
    pub fn new(radio: &str, link: Option<Arc<Link>>) -> Keyer {
        Keyer {
            radio: radio.to_string(),
            link,
            held: Mutex::default(),
        }
    }

    /// May be on the air until then.
    pub fn key(&self, until: Instant, now: Instant) {
        let mut held = self.held();
        if until <= now + BELIEVED && !held.closed {
            held.until = Some(until);
            held.ordered.get_or_insert(now);
        }
        self.renew(&mut held, now);
    }

    pub fn unkey(&self, now: Instant) {
        let mut held = self.held();
        (held.until, held.ordered, held.late) = (None, None, false);
        self.renew(&mut held, now);
    }

    /// The card is gone: what it moved before proves nothing.
    pub fn gone(&self, now: Instant) {
        self.held().moved = None;
        self.unkey(now);
    }

    /// Unkeys, and keys no more, whatever is ordered.
    pub fn close(&self, now: Instant) {
        self.held().closed = true;
        self.unkey(now);
    }

    /// Asked once: whether it went on the air, again or at last, after the card had stood still. Whoever receives it
    /// needs the lead from now on.
    pub fn came_late(&self) -> bool {
        std::mem::take(&mut self.held().late)
    }

    /// The card has taken something.
    pub fn moved(&self, now: Instant) {
        self.held().moved = Some(now);
    }

    /// To be asked every 10 ms.
    pub fn tick(&self, now: Instant) {
        let mut held = self.held();
        self.renew(&mut held, now);
    }

    pub fn keyed(&self, now: Instant) -> Keyed {
        let held = self.held();
        let running = held.since.map(|since| now.saturating_duration_since(since));
        Keyed {
            keyed: held.told.is_some(),
            times: held.times,
            on_air: held.on_air + running.unwrap_or_default(),
            refused: held.refused,
        }
    }

    fn renew(&self, held: &mut Held, now: Instant) {
        let ordered = held.until.is_some_and(|until| now < until);
        let moves = |at: Instant| now.saturating_duration_since(at) <= MOVES;
        let moves = held.moved.is_some_and(moves);
        if ordered && !moves && !held.refuses {
            held.refused += 1;
        }
        held.refuses = ordered && !moves;
        match (ordered && moves, held.told) {
            (true, None) => {
                held.times += 1;
                held.since = Some(now);
                held.told = Some(now);
                let late = |ordered: Instant| now.saturating_duration_since(ordered) > LATE;
                held.late |= held.ordered.is_some_and(late);
                self.tell(true);
            }
            (true, Some(told)) => {
                if now.saturating_duration_since(told) >= RENEW {
                    held.told = Some(now);
                    self.tell(true);
                }
            }
            (false, Some(_)) => {
                held.told = None;
                if let Some(since) = held.since.take() {
                    held.on_air += now.saturating_duration_since(since);
                }
                self.tell(false);
            }
            (false, None) => {}
        }
    }

    fn tell(&self, keyed: bool) {
        match &self.link {
            Some(link) if keyed => link.key(&self.radio),
            Some(link) => link.unkey(&self.radio),
            None => {}
        }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn it_is_keyed_only_while_the_reactor_says_so_and_sound_moves() {
        let keyer = Keyer::new("hall", None);
        let start = Instant::now();
        let is_keyed = |now| {
            keyer.tick(now);
            keyer.keyed(now).keyed
        };
        keyer.key(start + 200 * MS, start);
        assert!(!keyer.keyed(start).keyed, "nothing has moved yet");
        keyer.moved(start);
        assert!(is_keyed(start));
        assert!(is_keyed(start + 100 * MS));
        assert!(!is_keyed(start + 101 * MS), "the card stands still");
        keyer.moved(start + 110 * MS);
        assert!(is_keyed(start + 110 * MS));
        keyer.moved(start + 199 * MS);
        assert!(is_keyed(start + 199 * MS));
        assert!(!is_keyed(start + 200 * MS), "nobody says so any more");
        let keyed = keyer.keyed(start + 200 * MS);
        assert_eq!((keyed.times, keyed.refused), (2, 2));
        assert_eq!(keyed.on_air, 191 * MS);
    }

    #[test]
    fn an_order_to_unkey_counts_at_once() {
        let keyer = Keyer::new("hall", None);
        let start = Instant::now();
        keyer.moved(start);
        keyer.key(start + 200 * MS, start);
        assert!(keyer.keyed(start).keyed);
        keyer.unkey(start + 10 * MS);
        assert!(!keyer.keyed(start + 10 * MS).keyed);
        keyer.tick(start + 20 * MS);
        assert!(!keyer.keyed(start + 20 * MS).keyed);
    }
    #[test]
    fn what_is_ordered_further_ahead_than_the_reactor_ever_does_is_not_believed() {
        let keyer = Keyer::new("hall", None);
        let start = Instant::now();
        keyer.moved(start);
        keyer.key(start + 301 * MS, start);
        assert!(!keyer.keyed(start).keyed);
        keyer.key(start + 300 * MS, start);
        assert!(keyer.keyed(start).keyed);
    }

    #[test]
    fn whoever_goes_on_the_air_after_a_stall_is_told_to_wait_for_the_receivers_again() {
        let keyer = Keyer::new("hall", None);
        let start = Instant::now();
        keyer.moved(start);
        keyer.key(start + 200 * MS, start);
        assert!(!keyer.came_late());
        keyer.key(start + 300 * MS, start + 101 * MS);
        assert!(
            !keyer.keyed(start + 101 * MS).keyed,
            "the card stands still"
        );
        keyer.moved(start + 150 * MS);
        keyer.tick(start + 150 * MS);
        assert!(keyer.keyed(start + 150 * MS).keyed);
        assert!(keyer.came_late());
        assert!(!keyer.came_late());
        keyer.unkey(start + 160 * MS);
        keyer.key(start + 300 * MS, start + 170 * MS);
        assert!(!keyer.came_late(), "a transmission of its own");
    }

    #[test]
    fn once_closed_nothing_keys_it() {
        let keyer = Keyer::new("hall", None);
        let start = Instant::now();
        keyer.moved(start);
        keyer.key(start + 200 * MS, start);
        keyer.close(start);
        assert!(!keyer.keyed(start).keyed);
        keyer.key(start + 200 * MS, start);
        keyer.tick(start);
        assert!(!keyer.keyed(start).keyed);
    }
}
