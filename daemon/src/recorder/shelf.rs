//! Where the recordings stand: their folder and their index, kept the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail, ensure};
use pttd_core::ids::TransmissionId;
use pttd_core::recording::{Clocks, Kept, Recording, Room, surplus};
use time::Date;
use time::macros::format_description;

use super::recover::recover;
use super::{BOOT, since_boot_ms};
use crate::config;
use crate::store::Store;
use crate::utc;

/// In the folder: says that it is the one, and no empty place where a disk is to be mounted.
const MARKER: &str = ".pttd-recordings";
/// Below the folder: what is being written.
const UNFINISHED: &str = "unfinished";
/// In there: what becomes of a file that was cut.
const MENDED: &str = "mended";
/// Of the newest in the index, so many are looked for where the marker is gone.
const NEWEST: usize = 20;

pub struct Shelf {
    settings: config::Recorder,
    store: Arc<Store>,
    /// By when they began: the oldest go first.
    kept: BTreeMap<(u64, TransmissionId), Kept>,
    /// The folder is ours and was looked through.
    is_open: bool,
    has_room: bool,
    /// What they take together, for others to read.
    pub bytes: Arc<AtomicU64>,
}

impl Shelf {
    pub fn new(settings: config::Recorder, store: Arc<Store>) -> Shelf {
        Shelf {
            settings,
            store,
            kept: BTreeMap::new(),
            is_open: false,
            has_room: false,
            bytes: Arc::default(),
        }
    }

    /// False: the disk is away, or belongs to others, and nothing of ours could make room.
    pub fn has_room(&self) -> bool {
        self.has_room
    }

    /// They take more than they may.
    pub fn is_full(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > self.settings.max.0
    }

    pub fn unfinished(&self, id: TransmissionId) -> PathBuf {
        let unfinished = self.folder().join(UNFINISHED);
        unfinished.join(format!("{id}.opus"))
    }

    fn folder(&self) -> &Path {
        &self.settings.folder
    }

    /// Makes sure that the folder is ours. One that is empty while the index is not, is a disk that is away:
    /// nothing may be forgotten for that, and nothing be written below it.
    fn claim(&self) -> Result<()> {
        let (folder, path) = (self.folder().display(), self.folder().join(MARKER));
        let id = self.store.box_id()?;
        match fs::read_to_string(&path) {
            Ok(whose) if whose.trim() == id => return Ok(()),
            // The operator made it.
            Ok(whose) if whose.trim().is_empty() => {}
            Ok(_) => bail!(
                "nothing is recorded: {folder} has the recordings of another box; set [recorder] folder to one of \
                 its own, or remove the file {MARKER} there"
            ),
            Err(error) if error.kind() == io::ErrorKind::NotFound => ensure!(
                self.may_be_ours()?,
                "nothing is recorded: the recordings of before are not in {folder}; mount their disk, or, where \
                 they are to begin anew, make an empty file {MARKER} there"
            ),
            Err(error) => {
                return Err(error).with_context(|| format!("reading {}", path.display()));
            }
        }
        self.make_folder(self.folder())?;
        let write = || {
            let mut file = File::create(&path)?;
            writeln!(file, "{id}")?;
            file.sync_all()
        };
        write().with_context(|| format!("writing {}", path.display()))
    }

    /// Of a folder without a marker: nothing is missing in it.
    fn may_be_ours(&self) -> Result<bool> {
        let newest: Vec<Recording> = self
            .store
            .recordings()
            .take(NEWEST)
            .collect::<Result<_>>()?;
        let is_there = |recording: &Recording| self.folder().join(&recording.file).exists();
        Ok(newest.is_empty() || newest.iter().any(is_there))
    }

    /// After a start, or when the disk is back: what was cut by a crash is mended, and what has no file any more is
    /// forgotten.
    fn look_through(&mut self, running: &BTreeSet<TransmissionId>) -> Result<()> {
        self.kept.clear();
        self.bytes.store(0, Ordering::Relaxed);
        let mut known = BTreeSet::new();
        let mut forgotten = Vec::new();
        for recording in self.store.recordings() {
            let recording = recording?;
            match self.folder().join(&recording.file).try_exists() {
                Ok(false) => {
                    tracing::warn!(
                        file = recording.file,
                        "the file of a recording is gone, forgotten"
                    );
                    forgotten.push(recording.transmission);
                }
                // One that cannot be looked for now is not gone.
                Ok(true) | Err(_) => {
                    known.insert(recording.transmission);
                    self.keep(&recording);
                }
            }
        }
        if !forgotten.is_empty() {
            self.store.remove_recordings(&forgotten)?;
        }
        let unfinished = self.folder().join(UNFINISHED);
        // Of a start that was cut itself; what it was made from is still there.
        remove(&unfinished.join(MENDED));
        for path in files_in(&unfinished)? {
            match id_of(&path) {
                Some(id) if path != self.unfinished(id) || running.contains(&id) => {}
                Some(id) if known.contains(&id) => remove(&path),
                Some(id) => self.mend(&path, id),
                None => {}
            }
        }
        for day in days_in(self.folder())? {
            let files = files_in(&day).unwrap_or_else(|error| {
                let why = format!("{error:#}");
                tracing::warn!(why, "a folder of recordings is left out");
                Vec::new()
            });
            for path in files {
                if let Some(id) = id_of(&path).filter(|id| !known.contains(id)) {
                    self.mend(&path, id);
                }
            }
        }
        Ok(())
    }

    fn mend(&mut self, path: &Path, id: TransmissionId) {
        let unfinished = self.folder().join(UNFINISHED);
        let mended = unfinished.join(MENDED);
        let is_unfinished = path.starts_with(&unfinished);
        let file = path.display();
        match recover(path, &mended) {
            Ok(recording) => {
                let place = self.folder().join(&recording.file);
                let is_ours = match is_unfinished {
                    true => is_day(place.parent().unwrap_or(path)) && id_of(&place) == Some(id),
                    false => place == path,
                };
                let duration_ms = recording.duration_ms;
                if !is_ours || recording.transmission != id {
                    tracing::warn!(%file, "a file is called as a recording and is another one, left alone");
                } else if let Err(error) = self.take(&mended, recording) {
                    stays(path, &error);
                } else {
                    tracing::info!(%file, duration_ms, "a recording that was cut is mended");
                    if is_unfinished {
                        remove(path);
                    }
                }
            }
            // The disk's fault, not the file's. And what is not where we write is not ours to remove.
            Err(error) if error.is::<io::Error>() || !is_unfinished => stays(path, &error),
            Err(error) => {
                let why = format!("{error:#}");
                tracing::warn!(%file, why, "a recording that was cut cannot be used, removed");
                remove(path);
            }
        }
        remove(&mended);
    }

    fn keep(&mut self, recording: &Recording) {
        let kept = Kept::new(recording, &BOOT);
        self.bytes.fetch_add(kept.bytes, Ordering::Relaxed);
        self.kept.insert((kept.began, kept.transmission), kept);
    }

    /// Of one that is in the index, so many more packets were dropped.
    pub fn lacks(&self, id: TransmissionId, packets: u64) -> Result<()> {
        let Some(mut recording) = self.store.recording(id)? else {
            return Ok(());
        };
        recording.dropped_packets += packets;
        recording.complete = false;
        self.store.put_recording(&recording)
    }

    /// A whole file gets its name and its place in the index.
    pub fn take(&mut self, from: &Path, recording: Recording) -> Result<()> {
        let to = self.folder().join(&recording.file);
        let day = to.parent().unwrap_or(self.folder());
        self.make_folder(day)?;
        fs::rename(from, &to).with_context(|| format!("naming {}", to.display()))?;
        let synced = File::open(day).and_then(|day| day.sync_all());
        synced.with_context(|| format!("syncing {}", day.display()))?;
        self.store.put_recording(&recording)?;
        self.keep(&recording);
        Ok(())
    }

    fn make_folder(&self, folder: &Path) -> Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .with_context(|| format!("making the folder {}", folder.display()))
    }

    /// Removes what has to go. An error says what keeps recordings from being made. What is running is not touched.
    pub fn tidy(&mut self, running: &BTreeSet<TransmissionId>) -> Result<()> {
        if let Err(error) = self.open(running) {
            (self.is_open, self.has_room) = (false, false);
            return Err(error);
        }
        let room = Room {
            max: self.settings.max.0,
            keep_free: self.settings.keep_free.0,
            free: free(self.folder())?,
        };
        let clocks = Clocks {
            utc_ms: utc::now_ms(),
            monotonic_ms: since_boot_ms(),
        };
        let go = surplus(self.kept.values(), &self.store.roster(), clocks, room);
        let go: Vec<_> = go.iter().map(|k| (k.began, k.transmission)).collect();
        let freed = self.remove(&go)?;
        metrics::counter!("pttd_recordings_removed_total").increment(go.len() as u64);
        metrics::gauge!("pttd_recordings").set(self.kept.len() as f64);
        metrics::gauge!("pttd_recordings_bytes").set(self.bytes.load(Ordering::Relaxed) as f64);
        self.has_room = room.free.saturating_add(freed) >= room.keep_free;
        if !self.has_room {
            bail!(
                "nothing is recorded: the disk of {} has only {} MiB left, {} are to stay free ([recorder] \
                 keep_free); free some room",
                self.folder().display(),
                room.free >> 20,
                room.keep_free >> 20
            );
        }
        Ok(())
    }

    fn open(&mut self, running: &BTreeSet<TransmissionId>) -> Result<()> {
        self.claim()?;
        self.make_folder(&self.folder().join(UNFINISHED))?;
        if !self.is_open {
            self.look_through(running)?;
            self.is_open = true;
        }
        Ok(())
    }

    /// Files first: one without a place in the index is found at the next start.
    fn remove(&mut self, go: &[(u64, TransmissionId)]) -> Result<u64> {
        if go.is_empty() {
            return Ok(0);
        }
        let ids: Vec<TransmissionId> = go.iter().map(|(_, id)| *id).collect();
        for id in &ids {
            if let Some(recording) = self.store.recording(*id)? {
                let path = self.folder().join(&recording.file);
                remove(&path);
                if let Some(day) = path.parent() {
                    // Not while others are in it.
                    let _ = fs::remove_dir(day);
                }
            }
        }
        self.store.remove_recordings(&ids)?;
        let gone = go.iter().filter_map(|key| self.kept.remove(key));
        let freed = gone.map(|kept| kept.bytes).sum();
        self.bytes.fetch_sub(freed, Ordering::Relaxed);
        tracing::debug!(recordings = go.len(), bytes = freed, "recordings removed");
        Ok(freed)
    }
}

/// The newest whose file is not finished: its number is used, though the index does not know it yet.
pub fn last_unfinished(folder: &Path) -> Option<TransmissionId> {
    let files = files_in(&folder.join(UNFINISHED)).ok()?;
    files.iter().filter_map(|path| id_of(path)).max()
}

/// Bytes free on the disk of this folder, for those who are not root.
pub fn free(folder: &Path) -> Result<u64> {
    let disk = nix::sys::statvfs::statvfs(folder)
        .with_context(|| format!("looking at the disk of {}", folder.display()))?;
    Ok(disk.blocks_available() as u64 * disk.fragment_size() as u64)
}

fn stays(path: &Path, error: &anyhow::Error) {
    let (file, why) = (path.display(), format!("{error:#}"));
    tracing::warn!(%file, why, "a recording that was cut cannot be mended now, left for the next start");
}

pub fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(file = %path.display(), %error, "a recording cannot be removed");
    }
}

/// Of a file that is called as we call ours: `ops-7.opus`, while it is written `7.opus`.
fn id_of(path: &Path) -> Option<TransmissionId> {
    let name = path.file_name()?.to_str()?.strip_suffix(".opus")?;
    name.rsplit('-').next()?.parse().ok().map(TransmissionId)
}

fn is_day(folder: &Path) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str());
    let day = format_description!("[year]-[month]-[day]");
    name.is_some_and(|name| Date::parse(name, day).is_ok())
}

fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    entries(folder, fs::FileType::is_file)
}

fn days_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut folders = entries(folder, fs::FileType::is_dir)?;
    folders.retain(|folder| is_day(folder));
    Ok(folders)
}

fn entries(folder: &Path, wanted: impl Fn(&fs::FileType) -> bool) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    let reading = || format!("reading the folder {}", folder.display());
    for entry in fs::read_dir(folder).with_context(reading)? {
        let entry = entry.with_context(reading)?;
        if wanted(&entry.file_type().with_context(reading)?) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}
