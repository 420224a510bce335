//! The dispatchers' work on disk: calls, emergencies, silences, positions with their layouts.
//!
//! The reactor hands over the whole board and goes on; a task writes what is new of the latest. What was
//! answered may so be lost with a power cut in the next moment, which costs nobody more than doing it again.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use pttd_core::dispatch::{Board, Positions};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Store, decode, encode, read};
use crate::health::Health;

/// Between two writes: a page whose volume is being turned saves it again and again.
const PAUSE: Duration = Duration::from_millis(200);
/// After a write that has failed.
const AGAIN: Duration = Duration::from_secs(5);

const CALLS: &str = "calls";
const EMERGENCIES: &str = "emergencies";
const SILENCES: &str = "silences";
/// Before a position's name.
const POSITION: &str = "position ";

impl Store {
    /// As it was kept last.
    pub fn board(&self) -> Result<Board> {
        let mut positions = Positions::default();
        for record in self.board.scan_prefix(POSITION) {
            let (key, value) = record.context("reading the state")?;
            let name = String::from_utf8_lossy(&key[POSITION.len()..]).into_owned();
            positions.put(name, decode(&value)?);
        }
        Ok(Board {
            calls: read(&self.board, CALLS.as_bytes())?.unwrap_or_default(),
            emergencies: read(&self.board, EMERGENCIES.as_bytes())?.unwrap_or_default(),
            silences: read(&self.board, SILENCES.as_bytes())?.unwrap_or_default(),
            positions,
        })
    }

    /// Writes what is not as it was before.
    pub fn put_board(&self, before: &Board, board: &Board) -> Result<()> {
        let mut batch = sled::Batch::default();
        if before.calls != board.calls {
            batch.insert(CALLS, encode(&board.calls)?);
        }
        if before.emergencies != board.emergencies {
            batch.insert(EMERGENCIES, encode(&board.emergencies)?);
        }
        if before.silences != board.silences {
            batch.insert(SILENCES, encode(&board.silences)?);
        }
        let mut layouts = false;
        for (name, position) in board.positions.iter() {
            let known = before.positions.get(name);
            if known.is_none_or(|known| known.layout != position.layout) {
                batch.insert(position_key(name).as_str(), encode(position)?);
                layouts = true;
            }
        }
        let removed = before.positions.iter();
        for (name, _) in removed.filter(|(name, _)| board.positions.get(name).is_none()) {
            batch.remove(position_key(name).as_str());
        }
        self.board
            .apply_batch(batch)
            .context("writing the dispatchers' board")?;
        self.commit()?;
        if layouts {
            // As a big roster: the sync of `db` does not cover what lies in a file of its own.
            self.sync_all()?;
        }
        Ok(())
    }
}

fn position_key(name: &str) -> String {
    format!("{POSITION}{name}")
}

/// Keeps the latest board on disk until nobody changes it any more.
pub async fn keep(
    store: Arc<Store>,
    mut boards: watch::Receiver<Board>,
    health: Health,
    stop: CancellationToken,
) -> Result<()> {
    let mut kept = boards.borrow_and_update().clone();
    let (mut unwritten, mut open) = (false, true);
    while open {
        // What could not be written is tried again, for the last time when nobody changes it any more.
        let patience = if unwritten { AGAIN } else { Duration::MAX };
        open = match tokio::time::timeout(patience, boards.changed()).await {
            Ok(changed) => changed.is_ok(),
            Err(_later) => true,
        };
        if !open && !unwritten {
            break;
        }
        let board = boards.borrow_and_update().clone();
        let (store, before, after) = (store.clone(), kept.clone(), board.clone());
        let write = move || store.put_board(&before, &after);
        let written = tokio::task::spawn_blocking(write).await;
        let written = written.context("writing it panicked").flatten();
        unwritten = written.is_err();
        if !unwritten {
            kept = board;
            if boards.has_changed().is_ok_and(|newer| !newer) {
                metrics::gauge!("pttd_board_unwritten").set(0);
            }
        }
        health.tell("dispatch", written);
        stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use pttd_core::ids::{ChannelId, SessionId, UserId};
    use pttd_core::wire::signal::{Person, Role};

    use super::*;

    fn board() -> Board {
        let ops = ChannelId::from("ops");
        let ben = Person {
            session_id: SessionId(7),
            user_id: "ben".into(),
            name: "Ben".into(),
            role: Role::User,
        };
        let mut board = Board::default();
        board.calls.open(1, &ops, ben.clone(), 1_000).unwrap();
        board.emergencies.raise(2, &ops, ben, 2_000).unwrap();
        let silence = pttd_core::dispatch::Silence {
            until: 3_000,
            by: "Anna".into(),
        };
        board.silences.begin(&ops, &UserId::from("ben"), silence);
        for (session, name) in [(8, "Desk 1"), (9, "Gate")] {
            board.positions.take(name, SessionId(session)).unwrap();
            board.positions.save(SessionId(session), name).unwrap();
        }
        board
    }

    #[test]
    fn a_board_comes_back_as_it_was_without_its_holders() {
        let dir = tempfile::TempDir::new().unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(store.board().unwrap(), Board::default());
        let full = board();
        store.put_board(&Board::default(), &full).unwrap();
        drop(store);
        let store = Store::open(dir.path()).unwrap();
        let back = store.board().unwrap();
        assert_eq!(
            (&back.calls, &back.emergencies, &back.silences),
            (&full.calls, &full.emergencies, &full.silences)
        );
        let desk = back.positions.get("Desk 1").unwrap();
        assert_eq!((&*desk.layout, desk.holder), ("Desk 1", None));
        let mut fewer = back.clone();
        fewer.positions.remove("Gate").unwrap();
        fewer.calls.close(1);
        store.put_board(&back, &fewer).unwrap();
        assert_eq!(store.board().unwrap(), fewer);
    }

    #[tokio::test]
    async fn the_last_board_is_on_disk_when_nobody_changes_it_any_more() {
        let dir = tempfile::TempDir::new().unwrap();
        let store = Arc::new(Store::open(dir.path()).unwrap());
        let (boards, latest) = watch::channel(store.board().unwrap());
        let stop = CancellationToken::new();
        let keeping = tokio::spawn(keep(store.clone(), latest, Health::default(), stop.clone()));
        let mut full = board();
        boards.send_replace(full.clone());
        full.calls.close(1);
        boards.send_replace(full.clone());
        stop.cancel();
        drop(boards);
        keeping.await.unwrap().unwrap();
        assert_eq!(store.board().unwrap().calls, full.calls);
    }
}
