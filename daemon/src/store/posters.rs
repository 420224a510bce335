//! Posters, and who waits at them. Whatever lets somebody in writes the roster, the poster and the device in
//! one transaction, and one at a time: a poster for fifty lets in fifty, however many phones race.

use std::sync::{Arc, PoisonError};

use anyhow::{Context, Result, anyhow, ensure};
use pttd_core::authority::{
    Arrival, Asking, Device, Guest, JoinError, Joined, Poster, Roster, admit, join,
};
use pttd_core::ids::UserId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sled::transaction::{ConflictableTransactionError, TransactionError, Transactional};

use super::{By, Entry, Store, decode, encode, hash, journal, keys_of, read, records_of, short_id};

/// Posters that hang at a time.
pub const MAX_POSTERS: usize = 100;
/// One that ended or was taken down is known so long, so that a phone is told why it does not come in.
const REMEMBERED: u64 = 30 * 24 * 3_600;
/// Who waited so long has gone.
const WAITS: u64 = 24 * 3_600;
/// Of a hash, in an id (see `short_id`).
const ID_BYTES: usize = 8;

/// A poster with all that is printed on it. Its secret is kept readable, unlike an invitation's: it hangs on a
/// wall for everyone to read, and the sheet has to be printed again when it is torn down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Printed {
    pub poster: Poster,
    pub secret: String,
    pub wifi: Option<Wifi>,
}

/// The network the poster leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wifi {
    pub ssid: String,
    /// `None`: an open network.
    pub password: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Waiting {
    /// The hash of the poster's secret.
    poster: [u8; 32],
    arrival: Arrival,
}

/// Someone at the door, and the poster they scanned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AtTheDoor {
    pub id: String,
    pub arrival: Arrival,
    pub poster: Printed,
}

/// Somebody who waits, as whoever decides on them saw them: their phone may type another name meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Who<'a> {
    pub id: &'a str,
    /// `None`: whatever they are called.
    pub called: Option<&'a str>,
}

/// What somebody at a poster may expect.
#[derive(Clone, Debug, PartialEq)]
pub struct Knock {
    pub joined: Joined,
    /// Nothing has to be written for it.
    pub is_so: bool,
}

/// What a device is told that asks whether it was admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Waits,
    TurnedAway,
    In(UserId),
    /// Nobody of that id ever waited, or they waited for too long.
    Unknown,
}

#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    #[error(transparent)]
    Refused(#[from] JoinError),
    #[error("nobody waits under this id")]
    NobodyWaits,
    #[error("whoever waits there is called {0:?} now")]
    Renamed(String),
    #[error("the box could not use its memory: {0:#}")]
    Store(#[from] anyhow::Error),
}

#[derive(Debug, thiserror::Error)]
#[error("{MAX_POSTERS} posters hang already: remove those that are over")]
pub struct TooManyPosters;

impl Store {
    /// Hangs a poster up: its id.
    pub fn add_poster(&self, printed: &Printed, by: &By, utc: u64) -> Result<String> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let is_old = |p: &Printed| p.poster.ends + REMEMBERED < utc;
        for key in keys_of(&self.posters, is_old)? {
            self.posters.remove(key)?;
        }
        let hanging = keys_of(&self.posters, |p: &Printed| !p.poster.revoked)?.len();
        ensure!(hanging < MAX_POSTERS, TooManyPosters);
        let key = hash(&printed.secret);
        let text = format!("hung up the poster {:?}", printed.poster.name);
        self.write_poster(&key, printed, by.did("poster_added", text))?;
        self.commit()?;
        Ok(short_id(&key))
    }

    /// The posters that hang, by id.
    pub fn posters(&self) -> Result<Vec<(String, Printed)>> {
        let hanging = records_of(&self.posters, |p: &Printed| !p.poster.revoked)?;
        let with_id = |(key, printed)| (short_id(&key), printed);
        let mut posters: Vec<_> = hanging.into_iter().map(with_id).collect();
        posters.sort_by(|(_, a), (_, b)| a.poster.name.cmp(&b.poster.name));
        Ok(posters)
    }

    pub fn poster(&self, id: &str) -> Result<Option<Printed>> {
        let found = by_id::<Printed>(&self.posters, id)?;
        Ok(found
            .map(|(_, printed)| printed)
            .filter(|printed| !printed.poster.revoked))
    }

    /// The poster with this secret, also one that was taken down.
    pub fn poster_with(&self, secret: &str) -> Result<Option<Printed>> {
        read(&self.posters, &hash(secret))
    }

    /// Takes a poster down, and sends away who waits at it. Who came in by it stays in.
    pub fn remove_poster(&self, id: &str, by: &By) -> Result<Option<Printed>> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let found = by_id::<Printed>(&self.posters, id)?;
        let Some((key, mut printed)) = found.filter(|(_, printed)| !printed.poster.revoked) else {
            return Ok(None);
        };
        printed.poster.revoked = true;
        for arrival in keys_of(&self.arrivals, |w: &Waiting| w.poster == key)? {
            self.arrivals.remove(arrival)?;
        }
        let text = format!("took down the poster {:?}", printed.poster.name);
        self.write_poster(&key, &printed, by.did("poster_removed", text))?;
        self.commit()?;
        Ok(Some(printed))
    }

    fn write_poster(&self, key: &[u8; 32], printed: &Printed, entry: Entry) -> Result<()> {
        let (printed, lines) = (encode(printed)?, self.lines(&[entry])?);
        let written = (&self.posters, &self.journal).transaction(|(posters, journal)| {
            posters.insert(key, printed.clone())?;
            journal::write(journal, &lines)?;
            Ok::<_, ConflictableTransactionError<()>>(())
        });
        written.map_err(|error| anyhow!("writing a poster: {error:?}"))
    }

    /// What would become of somebody who scanned a poster and typed a name, and whether that is so already. Reads
    /// only, and waits for nobody.
    pub fn knock(
        &self,
        secret: &str,
        device: &str,
        name: &str,
        utc: u64,
    ) -> Result<Knock, DoorError> {
        let (joined, _) = self.at_poster(secret, device, name, utc)?;
        let known = read::<Waiting>(&self.arrivals, &hash(device))?;
        let waits_already = |waiting: &Waiting| {
            let same = |arrival: &Arrival| {
                arrival.name == waiting.arrival.name && !waiting.arrival.turned_away
            };
            waiting.poster == hash(secret)
                && waiting.arrival.since + WAITS >= utc
                && matches!(&joined, Joined::Waits(arrival) if same(arrival))
        };
        Ok(Knock {
            is_so: matches!(joined, Joined::Already(_)) || known.is_some_and(|w| waits_already(&w)),
            joined,
        })
    }

    fn at_poster(
        &self,
        secret: &str,
        device: &str,
        name: &str,
        utc: u64,
    ) -> Result<(Joined, Printed), DoorError> {
        let printed = read::<Printed>(&self.posters, &hash(secret))?;
        let printed = printed.ok_or(JoinError::UnknownPoster)?;
        let device_at = hash(device);
        let known = read::<Device>(&self.devices, &device_at)?;
        let is_here = |w: &Waiting| !w.arrival.turned_away && w.arrival.since + WAITS >= utc;
        let mut waiting = records_of(&self.arrivals, is_here)?;
        waiting.retain(|(key, _)| *key != device_at);
        let waiting: Vec<_> = waiting.into_iter().map(|(_, w)| w.arrival.name).collect();
        let asking = Asking {
            name,
            known: known.as_ref(),
            waiting: &waiting,
            utc,
        };
        let joined = join(&printed.poster, asking, &self.roster())?;
        Ok((joined, printed))
    }

    /// Somebody scanned a poster and typed a name; `device` is the credential their device has made, `from` the
    /// address they ask from.
    pub fn join(
        &self,
        secret: &str,
        device: &str,
        name: &str,
        from: &str,
        utc: u64,
    ) -> Result<(Joined, Arc<Roster>), DoorError> {
        let changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let (joined, printed) = self.at_poster(secret, device, name, utc)?;
        let (poster_at, device_at) = (hash(secret), hash(device));
        let roster = match &joined {
            Joined::Already(_) => self.roster(),
            Joined::In(guest) => {
                let text = format!("joined by the poster {:?}", printed.poster.name);
                let by = By {
                    who: guest.user.name.clone(),
                    user: Some(guest.id.clone()),
                    from: from.to_string(),
                };
                let entry = by.did("poster_joined", text).about(&guest.id);
                self.let_in(poster_at, printed, device_at, guest, entry)?
            }
            Joined::Waits(arrival) => {
                self.forget_who_left(utc)?;
                let waiting = Waiting {
                    poster: poster_at,
                    arrival: arrival.clone(),
                };
                // A name again from the same device is the one that counts.
                self.arrivals
                    .insert(device_at, encode(&waiting)?)
                    .context("writing down who waits")?;
                // The roster is nothing to them: whoever changes it need not wait for this to be on disk.
                drop(changing);
                self.commit()?;
                self.roster()
            }
        };
        Ok((joined, roster))
    }

    /// Admits somebody who waits. The roster is the one they are on.
    pub fn admit(&self, who: Who, by: &By, utc: u64) -> Result<(Guest, Arc<Roster>), DoorError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let (device_at, waiting) = self.who_waits(who)?;
        let printed = read::<Printed>(&self.posters, &waiting.poster)?;
        let printed = printed.ok_or(JoinError::UnknownPoster)?;
        let guest = admit(&printed.poster, &waiting.arrival, &self.roster(), utc)?;
        let (name, poster) = (&guest.user.name, &printed.poster.name);
        let text = format!("admitted {name}, who waited at the poster {poster:?}");
        let entry = by.did("arrival_admitted", text).about(&guest.id);
        let roster = self.let_in(waiting.poster, printed, device_at, &guest, entry)?;
        Ok((guest, roster))
    }

    /// Turns somebody away who waits: their name.
    pub fn turn_away(&self, who: Who, by: &By) -> Result<String, DoorError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let (device_at, mut waiting) = self.who_waits(who)?;
        waiting.arrival.turned_away = true;
        self.arrivals
            .insert(device_at, encode(&waiting)?)
            .context("writing down who was turned away")?;
        let name = waiting.arrival.name;
        let text = format!("turned {name} away, who waited at a poster");
        self.note(&[by.did("arrival_turned_away", text)])?;
        Ok(name)
    }

    /// Who waits, the longest first.
    pub fn arrivals(&self, utc: u64) -> Result<Vec<AtTheDoor>> {
        let mut all = Vec::new();
        let is_here = |w: &Waiting| !w.arrival.turned_away && w.arrival.since + WAITS >= utc;
        for (key, waiting) in records_of(&self.arrivals, is_here)? {
            if let Some(poster) = read::<Printed>(&self.posters, &waiting.poster)? {
                all.push(AtTheDoor {
                    id: short_id(&key),
                    arrival: waiting.arrival,
                    poster,
                });
            }
        }
        all.sort_by(|a, b| (a.arrival.since, &a.id).cmp(&(b.arrival.since, &b.id)));
        Ok(all)
    }

    pub fn arrival(&self, id: &str) -> Result<Answer> {
        let waiting = by_id::<Waiting>(&self.arrivals, id)?;
        let device = by_id::<Device>(&self.devices, id)?;
        Ok(match (device, waiting) {
            (Some((_, device)), _) if !device.revoked => Answer::In(device.user),
            (_, Some((_, waiting))) if waiting.arrival.turned_away => Answer::TurnedAway,
            (_, Some(_)) => Answer::Waits,
            _ => Answer::Unknown,
        })
    }

    fn who_waits(&self, who: Who) -> Result<([u8; 32], Waiting), DoorError> {
        let found = by_id::<Waiting>(&self.arrivals, who.id)?;
        let found = found.filter(|(_, waiting)| !waiting.arrival.turned_away);
        let (device_at, waiting) = found.ok_or(DoorError::NobodyWaits)?;
        let name = &waiting.arrival.name;
        match who.called.is_none_or(|called| called == name) {
            true => Ok((device_at, waiting)),
            false => Err(DoorError::Renamed(name.clone())),
        }
    }

    fn forget_who_left(&self, utc: u64) -> Result<()> {
        let has_left = |waiting: &Waiting| waiting.arrival.since + WAITS < utc;
        for key in keys_of(&self.arrivals, has_left)? {
            self.arrivals.remove(key)?;
        }
        Ok(())
    }

    /// All of it or nothing, on disk when it returns. The caller holds `changing`, which keeps everyone else
    /// from the roster, the posters and who waits; a device may be made in another way meanwhile.
    fn let_in(
        &self,
        poster_at: [u8; 32],
        printed: Printed,
        device_at: [u8; 32],
        guest: &Guest,
        entry: Entry,
    ) -> Result<Arc<Roster>, DoorError> {
        let before = self.roster();
        let mut roster = Roster::clone(&before);
        roster.users.insert(guest.id.clone(), guest.user.clone());
        roster.check().map_err(JoinError::from)?;
        roster
            .check_limits(&before, &self.limits)
            .map_err(JoinError::from)?;
        let ended = self.ended_by(&before, &roster)?;
        let used = Poster {
            used: printed.poster.used + 1,
            ..printed.poster
        };
        let printed = encode(&Printed {
            poster: used,
            ..printed
        })?;
        let (roster_text, device) = (encode(&roster)?, encode(&guest.device)?);
        let lines = self.lines(&[entry])?;
        let trees = (
            &self.roster,
            &self.posters,
            &self.arrivals,
            &self.invitations,
            &self.devices,
            &self.journal,
        );
        let written = trees.transaction(|trees| {
            let (roster, posters, arrivals, invitations, devices, journal) = trees;
            if devices.get(device_at)?.is_some() {
                return Err(ConflictableTransactionError::Abort(JoinError::DeviceTaken));
            }
            roster.insert("roster", roster_text.clone())?;
            posters.insert(&poster_at, printed.clone())?;
            arrivals.remove(&device_at)?;
            for (hash, record) in &ended.invitations {
                invitations.insert(hash, record.clone())?;
            }
            for (hash, record) in &ended.devices {
                devices.insert(hash, record.clone())?;
            }
            devices.insert(&device_at, device.clone())?;
            journal::write(journal, &lines)?;
            Ok(())
        });
        written.map_err(|error| match error {
            TransactionError::Abort(refused) => DoorError::Refused(refused),
            TransactionError::Storage(e) => {
                DoorError::Store(anyhow::Error::from(e).context("letting somebody in"))
            }
        })?;
        Ok(self.now_counts(roster)?)
    }
}

/// The one whose key starts with these hexadecimal digits.
fn by_id<T: DeserializeOwned>(tree: &sled::Tree, id: &str) -> Result<Option<([u8; 32], T)>> {
    let Some(start) = bytes_of(id) else {
        return Ok(None);
    };
    match tree.scan_prefix(start).next() {
        Some(found) => {
            let (key, value) = found.context("reading the state")?;
            let key = key[..].try_into().context("reading the key of a record")?;
            Ok(Some((key, decode(&value)?)))
        }
        None => Ok(None),
    }
}

fn bytes_of(id: &str) -> Option<Vec<u8>> {
    if id.len() != 2 * ID_BYTES || !id.is_ascii() {
        return None;
    }
    let bytes = (0..ID_BYTES).map(|n| u8::from_str_radix(&id[2 * n..2 * n + 2], 16));
    bytes.collect::<Result<_, _>>().ok()
}

#[cfg(test)]
mod tests;
