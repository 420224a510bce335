//! The store's files: opening them safely, and saying what is wrong with them.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use nix::unistd::{User, geteuid, setegid, seteuid};

/// sled would take a gigabyte; the whole state is small.
const CACHE_BYTES: u64 = 16 << 20;
/// Kept free for the day the disk is full: sled cannot be opened without room to write.
const RESERVE_BYTES: i64 = 4 << 20;

pub fn sync_folder(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => sync_folder(&entry.path())?,
            false => match File::open(entry.path()) {
                Ok(file) => file.sync_all()?,
                // sled removes its old snapshots whenever it likes.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(e),
            },
        }
    }
    File::open(folder)?.sync_all()
}

/// One process at a time: sled's own lock comes too late, after it has read and mended its files.
pub fn lock(state: &Path) -> Result<File> {
    let path = state.join("lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("opening {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "another pttd uses the state folder {}: stop it, or name another folder with --state",
            state.display()
        ),
        Err(TryLockError::Error(e)) => {
            Err(e).with_context(|| format!("locking {}", path.display()))
        }
    }
}

/// Root, while it acts as the owner of the state: what it made as root the box, which runs as somebody else,
/// could not open afterwards.
pub struct AsOwner {
    was_root: bool,
}

impl AsOwner {
    pub fn of(state: &Path) -> Result<AsOwner> {
        let owner = match std::fs::metadata(state) {
            Ok(folder) if geteuid().is_root() && folder.uid() != 0 => folder,
            _ => return Ok(AsOwner { was_root: false }),
        };
        let become_owner =
            || setegid(owner.gid().into()).and_then(|()| seteuid(owner.uid().into()));
        become_owner().with_context(|| format!("acting as the owner of {}", state.display()))?;
        Ok(AsOwner { was_root: true })
    }
}

impl Drop for AsOwner {
    fn drop(&mut self) {
        if self.was_root {
            // Root got here, and may go back.
            let _ = seteuid(0.into()).and_then(|()| setegid(0.into()));
        }
    }
}

/// Root in somebody else's state would lock them out of it.
pub fn refuse_foreign(state: &Path) -> Result<()> {
    let owner = std::fs::metadata(state)
        .with_context(|| format!("looking at {}", state.display()))?
        .uid();
    if geteuid().is_root() && owner != 0 {
        let name = User::from_uid(owner.into()).ok().flatten();
        let name = name.map_or_else(|| format!("user {owner}"), |user| user.name);
        bail!(
            "the state folder {} belongs to {name}, who could not open what root leaves there: run pttd as \
             {name}, or name another folder with --state",
            state.display()
        );
    }
    Ok(())
}

/// A snapshot whose writing was cut off, by a full disk or a power cut at start. sled 0.34.7 takes it for a
/// whole one and refuses to open; the log has all that is in it.
fn remove_unfinished_snapshots(folder: &Path) -> io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "generating") {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// sled panics over some damage that it meets at open.
pub fn open_sled(folder: &Path) -> Result<sled::Db> {
    remove_unfinished_snapshots(folder)?;
    let config = sled::Config::new()
        .path(folder)
        .cache_capacity(CACHE_BYTES)
        .flush_every_ms(None);
    match catch_unwind(AssertUnwindSafe(|| config.open())) {
        Ok(opened) => Ok(opened?),
        Err(_) => Err(sled::Error::Corruption { at: None, bt: () }.into()),
    }
}

/// What is wrong with the state, and what to do about it.
pub fn explain(error: anyhow::Error, state: &Path) -> anyhow::Error {
    let shown = state.display();
    if is_disk_full(&error) {
        return error.context(format!(
            "the disk of the state folder {shown} is full: free some room"
        ));
    }
    match error.downcast_ref::<sled::Error>() {
        Some(sled::Error::Io(_)) | None => error.context(format!("opening the state in {shown}")),
        Some(_) => error.context(damaged(state)),
    }
}

pub fn damaged(state: &Path) -> anyhow::Error {
    anyhow!(
        "the state in {} is damaged: put a copy of the folder back, or move it away and start anew; every \
         phone must then sign in and trust the box again",
        state.display()
    )
}

pub fn is_disk_full(error: &anyhow::Error) -> bool {
    let full = |e: &io::Error| {
        matches!(
            e.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
    };
    error
        .chain()
        .any(|cause| match cause.downcast_ref::<sled::Error>() {
            Some(sled::Error::Io(e)) => full(e),
            Some(_) => false,
            None => cause.downcast_ref::<io::Error>().is_some_and(full),
        })
}

/// Without the reserve the box still works, until the day the disk is full.
pub fn keep_reserve(path: &Path) {
    let reserve = || -> io::Result<()> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        nix::fcntl::posix_fallocate(&file, 0, RESERVE_BYTES)?;
        file.sync_all()
    };
    if let Err(error) = reserve() {
        tracing::warn!(path = %path.display(), %error, "no room is kept for the day the disk is full");
    }
}

/// Writes the box's id beside the store, where it is not yet.
pub fn keep_id(path: &Path, id: &[u8]) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let unfinished = path.with_extension("unfinished");
    let mut file = File::create(&unfinished)?;
    file.write_all(id)?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}
