//! The box's memory: identity, keys, roster, invitations, devices, posters. What a method here returned from is on
//! disk and survives a power cut.
//!
//! sled's own `flush()` ends in `sync_file_range`, which a power cut does not respect. Measured: with an
//! `fdatasync` of its `db` file after each flush, and all files and the folder synced at open and every 64
//! commits, nothing acknowledged was lost. Blocking: async callers use `spawn_blocking`.

pub mod board;
mod disk;
mod gone;
mod journal;
mod posters;
mod recordings;

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use anyhow::{Context, Result, bail, ensure};
use pttd_core::authority::{self, Device, Invitation, Limits, Roster, SignInError};
use pttd_core::ids::UserId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use sled::transaction::{ConflictableTransactionError, TransactionError, Transactional};

use crate::sign_in::new_secret;

pub use self::disk::AsOwner;
pub use self::journal::{By, Entry, TalkFigures};
pub use self::posters::{
    Answer, AtTheDoor, DoorError, Knock, MAX_POSTERS, Printed, TooManyPosters, Who, Wifi,
};

/// What the layout below is called; a newer daemon may write another.
const FORMAT: &[u8] = b"1";
const SYNC_ALL_EVERY: u64 = 64;

/// Entries of the journal, where the settings do not say.
pub const JOURNAL_KEPT: u64 = 100_000;

/// Devices of one user that came with tokens.
const MAX_TOKEN_DEVICES: usize = 32;

/// Below this the box says so while it still works.
const LEAST_FREE_BYTES: u64 = 16 << 20;

/// How a record is called where people and programs see it: the first 16 digits of its hash.
pub fn short_id(hash: &[u8; 32]) -> String {
    hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The hash under which a secret's record is kept. The secret itself is never written down.
pub fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// A certificate and its private key (PKCS #8), both DER.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct StoredKey {
    pub certificate: Vec<u8>,
    pub private_key: Vec<u8>,
}

#[derive(Debug, thiserror::Error)]
pub enum RedeemError {
    #[error(transparent)]
    Refused(SignInError),
    #[error("the box could not write to its memory: {0:#}")]
    Store(#[from] anyhow::Error),
}

#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    db: sled::Db,
    db_file: File,
    identity: sled::Tree,
    roster: sled::Tree,
    invitations: sled::Tree,
    devices: sled::Tree,
    recordings: sled::Tree,
    posters: sled::Tree,
    arrivals: sled::Tree,
    journal: sled::Tree,
    board: sled::Tree,
    /// The entries that any client can cause.
    passing: sled::Tree,
    /// Where the next entry of the journal goes, and how many are kept.
    next_entry: AtomicU64,
    kept: Mutex<journal::Kept>,
    /// How large the roster may grow.
    limits: Limits,
    _lock: File,
    current: RwLock<Arc<Roster>>,
    /// Held while the roster is read, changed and written.
    changing: Mutex<()>,
    /// Commits begun, and under the lock how many of them are on disk.
    begun: AtomicU64,
    synced: Mutex<u64>,
    /// After a failed sync nobody knows what is on disk; nothing is acknowledged any more.
    broken: AtomicBool,
}

/// What is written together with a changed roster.
#[derive(Default)]
pub struct Records {
    /// Under the hashes of their secrets.
    pub invitations: Vec<([u8; 32], Invitation)>,
    pub devices: Vec<([u8; 32], Device)>,
    pub entries: Vec<Entry>,
}

impl From<Vec<([u8; 32], Invitation)>> for Records {
    fn from(invitations: Vec<([u8; 32], Invitation)>) -> Records {
        Records {
            invitations,
            ..Records::default()
        }
    }
}

impl From<Entry> for Records {
    fn from(entry: Entry) -> Records {
        Records {
            entries: vec![entry],
            ..Records::default()
        }
    }
}

impl Store {
    /// Opens the state folder, or makes it.
    pub fn open(state: &Path) -> Result<Store> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(state)
            .with_context(|| format!("making the state folder {}", state.display()))?;
        disk::refuse_foreign(state)?;
        let lock = disk::lock(state)?;
        let folder = state.join("db");
        let reserve = state.join("reserve");
        let db = match disk::open_sled(&folder) {
            Err(error) if disk::is_disk_full(&error) && reserve.exists() => {
                std::fs::remove_file(&reserve).context("giving up the reserve on the full disk")?;
                tracing::warn!(folder = %state.display(), "the disk is full: starting on the reserve");
                disk::open_sled(&folder)
            }
            opened => opened,
        };
        let db = db.map_err(|e| disk::explain(e, state))?;
        let tree = |name: &str| {
            db.open_tree(name)
                .map_err(|e| disk::explain(e.into(), state))
        };
        let mut store = Store {
            identity: tree("identity")?,
            roster: tree("roster")?,
            invitations: tree("invitations")?,
            devices: tree("devices")?,
            recordings: tree("recordings")?,
            posters: tree("posters")?,
            arrivals: tree("arrivals")?,
            journal: tree("journal")?,
            passing: tree("passing")?,
            board: tree("board")?,
            next_entry: AtomicU64::new(0),
            kept: Mutex::default(),
            limits: Limits::default(),
            db_file: File::open(folder.join("db")).context("opening the state for syncing")?,
            folder,
            db,
            _lock: lock,
            current: RwLock::default(),
            changing: Mutex::new(()),
            begun: AtomicU64::new(0),
            synced: Mutex::new(0),
            broken: AtomicBool::new(false),
        };
        let id = store.own_id(state)?;
        store.bound_journal(JOURNAL_KEPT)?;
        store
            .flush()
            .and_then(|()| store.sync_all())
            .map_err(|e| disk::explain(e, state))?;
        disk::keep_id(&state.join("id"), &id).context("writing down the box's id")?;
        if let Some(roster) = read::<Roster>(&store.roster, b"roster")? {
            *store
                .current
                .write()
                .unwrap_or_else(PoisonError::into_inner) = Arc::new(roster);
        }
        disk::keep_reserve(&reserve);
        Ok(store)
    }

    /// As the settings have it: how large the roster may grow, and how long the journal.
    pub fn limited(mut self, limits: Limits, keep_entries: u64) -> Result<Store> {
        self.limits = limits;
        self.bound_journal(keep_entries)?;
        Ok(self)
    }

    /// The box's id, made once. sled opens a file with a broken head as an empty one; the id beside it tells
    /// that from a first boot, which would have every phone trust a new box.
    fn own_id(&self, state: &Path) -> Result<Vec<u8>> {
        match self.identity.get("format")?.as_deref() {
            None | Some(FORMAT) => {}
            Some(other) => bail!(
                "the state in {} has the format {:?}, which a newer pttd wrote: run that one",
                state.display(),
                String::from_utf8_lossy(other)
            ),
        }
        let known = self.identity.get("id")?.map(|id| id.to_vec());
        let beside = match std::fs::read(state.join("id")) {
            Ok(id) => Some(id),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(e).context("reading the box's id"),
        };
        match (known, beside) {
            (Some(known), Some(beside)) if known == beside => Ok(known),
            (Some(known), None) => Ok(known),
            (None, None) => {
                let id = new_secret::<16>()?.into_bytes();
                self.identity.insert("id", id.clone())?;
                self.identity.insert("format", FORMAT)?;
                Ok(id)
            }
            (_, Some(_)) => Err(disk::damaged(state)),
        }
    }

    /// A secret of this box alone, made once.
    pub fn box_secret(&self) -> Result<[u8; 32]> {
        if let Some(secret) = self.identity.get("secret")? {
            return secret
                .as_ref()
                .try_into()
                .context("reading the box's secret");
        }
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).context("making the box's secret")?;
        self.identity.insert("secret", &secret)?;
        self.commit()?;
        Ok(secret)
    }

    /// One of the box's certificates, by name.
    pub fn key(&self, name: &str) -> Result<Option<StoredKey>> {
        read(&self.identity, name.as_bytes())
    }

    pub fn put_key(&self, name: &str, key: &StoredKey) -> Result<()> {
        self.identity.insert(name, encode(key)?)?;
        self.commit()
    }

    /// The roster now; empty before the first was put.
    pub fn roster(&self) -> Arc<Roster> {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub fn has_roster(&self) -> Result<bool> {
        Ok(self.roster.contains_key("roster")?)
    }

    /// Changes the roster and adds records, all of it or nothing. `change` sees the roster as it is. Whoever is
    /// gone with it loses their invitations and devices for good.
    pub fn change<T, R: Into<Records>>(
        &self,
        change: impl FnOnce(&mut Roster) -> Result<(T, R)>,
    ) -> Result<(T, Arc<Roster>)> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.roster();
        let mut roster = Roster::clone(&before);
        let (answer, records) = change(&mut roster)?;
        roster.check()?;
        roster.check_limits(&before, &self.limits)?;
        roster.check_admins(&before)?;
        let ended = self.ended_by(&before, &roster)?;
        let roster_text = encode(&roster)?;
        let records: Records = records.into();
        let invitations = encoded(&records.invitations)?;
        let devices = encoded(&records.devices)?;
        let lines = self.lines(&records.entries)?;
        let trees = (
            &self.roster,
            &self.invitations,
            &self.devices,
            &self.journal,
        );
        let written = trees.transaction(|(roster_at, invitations_at, devices_at, journal)| {
            roster_at.insert("roster", roster_text.clone())?;
            for (hash, record) in ended.invitations.iter().chain(&invitations) {
                invitations_at.insert(hash, record.clone())?;
            }
            for (hash, record) in ended.devices.iter().chain(&devices) {
                devices_at.insert(hash, record.clone())?;
            }
            journal::write(journal, &lines)?;
            Ok::<_, ConflictableTransactionError<()>>(())
        });
        if let Err(TransactionError::Storage(error)) = written {
            return Err(error).context("writing the roster");
        }
        Ok((answer, self.now_counts(roster)?))
    }

    /// The roster as it was just written, once it is on disk.
    fn now_counts(&self, roster: Roster) -> Result<Arc<Roster>> {
        // A big roster lives in a file of its own, which the sync of `db` alone does not cover.
        self.commit()?;
        self.sync_all()?;
        let roster = Arc::new(roster);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = roster.clone();
        Ok(roster)
    }

    /// Uses an invitation for a device, in one transaction: of two phones after the last place one gets it.
    pub fn redeem(&self, secret: &str, device: &str, utc: u64) -> Result<Device, RedeemError> {
        // While a change is written nobody knows yet whose id it is.
        let changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let roster = self.roster();
        let (invitation_at, device_at) = (hash(secret), hash(device));
        let outcome = (&self.invitations, &self.devices).transaction(|(invitations, devices)| {
            let abort =
                |refused| ConflictableTransactionError::Abort(RedeemError::Refused(refused));
            let broken = |e| ConflictableTransactionError::Abort(RedeemError::Store(e));
            let invitation = match invitations.get(invitation_at)? {
                Some(bytes) => Some(decode::<Invitation>(&bytes).map_err(broken)?),
                None => None,
            };
            let known = match devices.get(device_at)? {
                Some(bytes) => Some(decode::<Device>(&bytes).map_err(broken)?),
                None => None,
            };
            let (left, device) =
                authority::redeem(invitation.as_ref(), known.as_ref(), &roster, utc)
                    .map_err(abort)?;
            invitations.insert(&invitation_at, encode(&left).map_err(broken)?)?;
            devices.insert(&device_at, encode(&device).map_err(broken)?)?;
            Ok(device)
        });
        let device = outcome.map_err(|e| match e {
            TransactionError::Abort(refused) => refused,
            TransactionError::Storage(e) => RedeemError::Store(e.into()),
        })?;
        // A crowd's devices share their syncs.
        drop(changing);
        self.commit().map_err(RedeemError::Store)?;
        Ok(device)
    }

    /// Ends one invitation, by its hash: whose it was, if there is such a one.
    pub fn withdraw_invitation(
        &self,
        hash: &[u8; 32],
        entry: impl FnOnce(&UserId) -> Entry,
    ) -> Result<Option<UserId>> {
        let Some(invitation) = read::<Invitation>(&self.invitations, hash)? else {
            return Ok(None);
        };
        let entry = entry(&invitation.user);
        self.revoke(
            &self.invitations,
            &[hash.into()],
            |invitation: &mut Invitation| {
                invitation.revoked = true;
            },
            entry,
        )?;
        Ok(Some(invitation.user))
    }

    /// Ends all open invitations of a user: how many.
    pub fn withdraw_invitations_of(&self, user: &UserId, entry: Entry) -> Result<usize> {
        let is_open = |invitation: &Invitation| !invitation.revoked && invitation.user == *user;
        let open = keys_of(&self.invitations, is_open)?;
        let revoke = |invitation: &mut Invitation| invitation.revoked = true;
        self.revoke(&self.invitations, &open, revoke, entry)?;
        Ok(open.len())
    }

    /// Everything that opens the door still, under the hash of its secret.
    pub fn open_invitations(&self, utc: u64) -> Result<Vec<([u8; 32], Invitation)>> {
        let is_open = |i: &Invitation| !i.revoked && i.ends > utc && i.devices_left > 0;
        records_of(&self.invitations, is_open)
    }

    /// The devices that may come in, under the hash of their credential.
    pub fn devices(&self) -> Result<Vec<([u8; 32], Device)>> {
        records_of(&self.devices, |device: &Device| !device.revoked)
    }

    /// Removes what ended so long ago that nobody asks why their link does not work: how many.
    pub fn forget_ended_invitations(&self, utc: u64) -> Result<usize> {
        const REMEMBERED: u64 = 30 * 24 * 3600;
        let is_old = |invitation: &Invitation| invitation.ends + REMEMBERED < utc;
        let old = keys_of(&self.invitations, is_old)?;
        for key in &old {
            self.invitations.remove(key)?;
        }
        if !old.is_empty() {
            self.commit()?;
        }
        Ok(old.len())
    }

    /// Locks out all devices of a user: how many.
    pub fn lock_out_devices_of(&self, user: &UserId, entry: Entry) -> Result<usize> {
        let is_in = |device: &Device| !device.revoked && device.user == *user;
        let devices = keys_of(&self.devices, is_in)?;
        let revoke = |device: &mut Device| device.revoked = true;
        self.revoke(&self.devices, &devices, revoke, entry)?;
        Ok(devices.len())
    }

    /// Locks one device out, by the hash of its credential.
    pub fn lock_out_device(&self, hash: &[u8; 32], entry: Entry) -> Result<()> {
        let revoke = |device: &mut Device| device.revoked = true;
        self.revoke(&self.devices, &[hash.into()], revoke, entry)
    }

    /// Changes records in one transaction, so that a device signing in at the same time is not undone.
    fn revoke<T: Serialize + DeserializeOwned>(
        &self,
        tree: &sled::Tree,
        keys: &[sled::IVec],
        revoke: impl Fn(&mut T),
        entry: Entry,
    ) -> Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        let lines = self.lines(&[entry])?;
        let outcome = (tree, &self.journal).transaction(|(records, journal)| {
            for key in keys {
                let Some(record) = records.get(key)? else {
                    continue;
                };
                let abort = ConflictableTransactionError::Abort;
                let mut record = decode::<T>(&record).map_err(abort)?;
                revoke(&mut record);
                records.insert(key.clone(), encode(&record).map_err(abort)?)?;
            }
            journal::write(journal, &lines)?;
            Ok(())
        });
        outcome.map_err(|e| match e {
            TransactionError::Abort(error) => error,
            TransactionError::Storage(error) => error.into(),
        })?;
        self.commit()
    }

    /// A device, by its credential.
    pub fn device(&self, credential: &str) -> Result<Option<Device>> {
        read(&self.devices, &hash(credential))
    }

    #[cfg(test)]
    pub fn put_device(&self, credential: &str, device: &Device) -> Result<()> {
        self.devices.insert(hash(credential), encode(device)?)?;
        self.commit()
    }

    /// Keeps a device that came with a token. Clients are given a token an hour, and each leaves one: of a user's
    /// the oldest are forgotten. Not those locked out, whose tokens would open the door again.
    pub fn put_token_device(&self, credential: &str, device: &Device) -> Result<(), RedeemError> {
        let changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.roster().users.contains_key(&device.user) {
            return Err(RedeemError::Refused(SignInError::NotOnRoster));
        }
        self.forget_token_devices(&device.user)?;
        self.devices
            .insert(hash(credential), encode(device)?)
            .context("writing down a device")?;
        drop(changing);
        Ok(self.commit()?)
    }

    fn forget_token_devices(&self, user: &UserId) -> Result<()> {
        let mut known = Vec::new();
        for record in &self.devices {
            let (key, value) = record.context("reading the state")?;
            let other: Device = decode(&value)?;
            if other.from_token && !other.revoked && other.user == *user {
                known.push((other.since, key, value));
            }
        }
        known.sort();
        let too_many = (known.len() + 1).saturating_sub(MAX_TOKEN_DEVICES);
        for (_, key, value) in known.into_iter().take(too_many) {
            // Nothing is removed that was locked out meanwhile.
            let _ = self
                .devices
                .compare_and_swap(key, Some(value), None::<&[u8]>)?;
        }
        Ok(())
    }

    /// Whether the next write can be expected to succeed.
    pub fn check(&self) -> Result<()> {
        self.unbroken()?;
        let free = self.free_bytes()?;
        ensure!(
            free >= LEAST_FREE_BYTES,
            "the disk of the box's memory has only {} MiB left: free some room",
            free >> 20
        );
        Ok(())
    }

    /// Room on the disk of the box's memory.
    pub fn free_bytes(&self) -> Result<u64> {
        let disk = nix::sys::statvfs::statvfs(&self.folder).context("looking at the disk")?;
        Ok(disk.blocks_available() as u64 * disk.fragment_size() as u64)
    }

    fn unbroken(&self) -> Result<()> {
        ensure!(
            !self.broken.load(Ordering::SeqCst),
            "an earlier write to the box's memory failed: free room on the disk and restart pttd"
        );
        Ok(())
    }

    /// Everything written before this call is on disk when it returns. Commits that wait at the same time
    /// share one sync.
    fn commit(&self) -> Result<()> {
        self.shorten_journal()?;
        let mine = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        self.unbroken()?;
        if *synced >= mine {
            return Ok(());
        }
        let upto = self.begun.load(Ordering::SeqCst);
        let before = *synced;
        let done = self.flush().and_then(|()| {
            if before / SYNC_ALL_EVERY == upto / SYNC_ALL_EVERY {
                self.db_file.sync_data().context("syncing the state")
            } else {
                self.sync_all()
            }
        });
        match done {
            Ok(()) => *synced = upto,
            Err(_) => self.broken.store(true, Ordering::SeqCst),
        }
        done.context("writing to the box's memory")
    }

    fn flush(&self) -> Result<()> {
        self.db.flush().context("flushing the state")?;
        Ok(())
    }

    fn sync_all(&self) -> Result<()> {
        disk::sync_folder(&self.folder)
            .with_context(|| format!("syncing {}", self.folder.display()))
    }
}

fn read<T: DeserializeOwned>(tree: &sled::Tree, key: &[u8]) -> Result<Option<T>> {
    match tree.get(key).context("reading the state")? {
        Some(bytes) => Ok(Some(decode(&bytes)?)),
        None => Ok(None),
    }
}

fn keys_of<T: DeserializeOwned>(
    tree: &sled::Tree,
    wanted: impl Fn(&T) -> bool,
) -> Result<Vec<sled::IVec>> {
    let mut keys = Vec::new();
    for record in tree {
        let (key, value) = record.context("reading the state")?;
        if wanted(&decode(&value)?) {
            keys.push(key);
        }
    }
    Ok(keys)
}

fn records_of<T: DeserializeOwned>(
    tree: &sled::Tree,
    wanted: impl Fn(&T) -> bool,
) -> Result<Vec<([u8; 32], T)>> {
    let mut found = Vec::new();
    for record in tree {
        let (key, value) = record.context("reading the state")?;
        let value = decode(&value)?;
        if wanted(&value) {
            let key = key.as_ref().try_into();
            found.push((key.context("reading the key of a record")?, value));
        }
    }
    Ok(found)
}

fn encoded<T: Serialize>(records: &[([u8; 32], T)]) -> Result<Vec<([u8; 32], Vec<u8>)>> {
    let encoded = records
        .iter()
        .map(|(hash, record)| Ok((*hash, encode(record)?)));
    encoded.collect()
}

fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value).context("writing a record of the state")
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).context("reading a record of the state")
}

#[cfg(test)]
mod tests;
