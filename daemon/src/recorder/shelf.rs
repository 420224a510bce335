//! Where the recordings stand: their folder and their index, kept the same.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail};
use pttd_core::ids::TransmissionId;
use pttd_core::recording::{Kept, Recording, Room, surplus};

use super::recover::recover;
use crate::config;
use crate::store::Store;
use crate::utc;

/// Below the folder: what is being written.
const UNFINISHED: &str = "unfinished";
/// In there: what becomes of a file that was cut.
const MENDED: &str = "mended";

pub struct Shelf {
    settings: config::Recorder,
    store: Arc<Store>,
    kept: Vec<Kept>,
    has_room: bool,
    /// What they take together, for others to read.
    pub bytes: Arc<AtomicU64>,
}

impl Shelf {
    pub fn new(settings: config::Recorder, store: Arc<Store>) -> Shelf {
        Shelf {
            settings,
            store,
            kept: Vec::new(),
            has_room: true,
            bytes: Arc::default(),
        }
    }

    /// False: the disk belongs to others, and nothing of ours could make room.
    pub fn has_room(&self) -> bool {
        self.has_room
    }

    pub fn unfinished(&self, id: TransmissionId) -> PathBuf {
        self.folder().join(UNFINISHED).join(format!("{id}.opus"))
    }

    fn folder(&self) -> &Path {
        &self.settings.folder
    }

    /// After a start: what was cut by a crash is mended, and what has no file any more is forgotten.
    pub fn look_through(&mut self) -> Result<()> {
        let was_there = self.folder().exists();
        self.make_folder(&self.folder().join(UNFINISHED))?;
        let mut known = BTreeSet::new();
        let mut forgotten = Vec::new();
        for recording in self.store.recordings() {
            let recording = recording?;
            // Where the whole folder is away, it may come back.
            if was_there && !self.folder().join(&recording.file).exists() {
                tracing::warn!(
                    file = recording.file,
                    "the file of a recording is gone, forgotten"
                );
                forgotten.push(recording.transmission);
                continue;
            }
            self.kept.push(Kept::from(&recording));
            known.insert(recording.file);
        }
        if !forgotten.is_empty() {
            self.store.remove_recordings(&forgotten)?;
        }
        // Of a start that was cut itself; what it was made from is still there.
        remove(&self.folder().join(UNFINISHED).join(MENDED));
        let mut cut = files_in(&self.folder().join(UNFINISHED))?;
        for day in folders_in(self.folder())? {
            let is_unknown = |path: &PathBuf| {
                let below = path.strip_prefix(self.folder()).unwrap_or(path);
                !below.to_str().is_some_and(|below| known.contains(below))
            };
            cut.extend(files_in(&day)?.into_iter().filter(is_unknown));
        }
        for path in cut {
            self.mend(&path);
        }
        Ok(())
    }

    fn mend(&mut self, path: &Path) {
        let mended = self.folder().join(UNFINISHED).join(MENDED);
        let file = path.display();
        match recover(path, &mended) {
            Ok(recording) => {
                let duration_ms = recording.duration_ms;
                match self.take(&mended, recording) {
                    Ok(()) => {
                        tracing::info!(%file, duration_ms, "a recording that was cut is mended");
                        // It stands under its own name now, which may be this one.
                        if !self.is_newest(path) {
                            remove(path);
                        }
                    }
                    Err(error) => stays(path, &error),
                }
            }
            // The disk's fault, not the file's.
            Err(error) if error.is::<io::Error>() => stays(path, &error),
            Err(error) => {
                let why = format!("{error:#}");
                tracing::warn!(%file, why, "a recording that was cut cannot be used, removed");
                remove(path);
            }
        }
        remove(&mended);
    }

    fn is_newest(&self, path: &Path) -> bool {
        let of = |kept: &Kept| self.store.recording(kept.transmission).ok().flatten();
        let newest = self.kept.last().and_then(of);
        newest.is_some_and(|recording| self.folder().join(recording.file) == path)
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
        self.kept.push(Kept::from(&recording));
        Ok(())
    }

    pub fn make_folder(&self, folder: &Path) -> Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .with_context(|| format!("making the folder {}", folder.display()))
    }

    /// Removes what has to go. An error says what keeps recordings from being made.
    pub fn tidy(&mut self) -> Result<()> {
        self.make_folder(&self.folder().join(UNFINISHED))?;
        let room = Room {
            max: self.settings.max.0,
            keep_free: self.settings.keep_free.0,
            free: free(self.folder())?,
        };
        let go = surplus(&self.kept, &self.store.roster(), utc::now_ms(), room);
        let freed = self.remove(&go)?;
        metrics::counter!("pttd_recordings_removed_total").increment(go.len() as u64);
        metrics::gauge!("pttd_recordings").set(self.kept.len() as f64);
        let bytes: u64 = self.kept.iter().map(|kept| kept.bytes).sum();
        self.bytes.store(bytes, Ordering::Relaxed);
        metrics::gauge!("pttd_recordings_bytes").set(bytes as f64);
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

    /// Files first: one without a place in the index is found at the next start.
    fn remove(&mut self, go: &[TransmissionId]) -> Result<u64> {
        if go.is_empty() {
            return Ok(0);
        }
        for id in go {
            if let Some(recording) = self.store.recording(*id)? {
                let path = self.folder().join(&recording.file);
                remove(&path);
                if let Some(day) = path.parent() {
                    // Not while others are in it.
                    let _ = fs::remove_dir(day);
                }
            }
        }
        self.store.remove_recordings(go)?;
        let go: BTreeSet<_> = go.iter().copied().collect();
        let mut freed = 0;
        self.kept.retain(|kept| {
            let goes = go.contains(&kept.transmission);
            freed += if goes { kept.bytes } else { 0 };
            !goes
        });
        tracing::debug!(recordings = go.len(), bytes = freed, "recordings removed");
        Ok(freed)
    }
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

fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    entries(folder, fs::FileType::is_file)
}

fn folders_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut folders = entries(folder, fs::FileType::is_dir)?;
    folders.retain(|folder| !folder.ends_with(UNFINISHED));
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
