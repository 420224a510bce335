//! The index of the recordings, by transmission.

use anyhow::{Context, Result};
use pttd_core::ids::TransmissionId;
use pttd_core::recording::Recording;

use super::{Store, decode, encode, read};

impl Store {
    pub fn put_recording(&self, recording: &Recording) -> Result<()> {
        let key = recording.transmission.0.to_be_bytes();
        self.recordings.insert(key, encode(recording)?)?;
        self.commit()
    }

    pub fn recording(&self, id: TransmissionId) -> Result<Option<Recording>> {
        read(&self.recordings, &id.0.to_be_bytes())
    }

    pub fn remove_recordings(&self, ids: &[TransmissionId]) -> Result<()> {
        let mut gone = sled::Batch::default();
        for id in ids {
            gone.remove(&id.0.to_be_bytes());
        }
        self.recordings.apply_batch(gone)?;
        self.commit()
    }

    /// As it is written on what belongs to this box.
    pub fn box_id(&self) -> Result<String> {
        let id = self.identity.get("id").context("reading the state")?;
        let id = id.context("the state has no id")?;
        Ok(id.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Newest first.
    pub fn recordings(&self) -> impl Iterator<Item = Result<Recording>> + use<> {
        self.recordings_before(TransmissionId(u64::MAX))
    }

    /// Newest first, of those that came before this one.
    pub fn recordings_before(
        &self,
        id: TransmissionId,
    ) -> impl Iterator<Item = Result<Recording>> + use<> {
        let older = self.recordings.range(..id.0.to_be_bytes());
        older.rev().map(|record| {
            let (_, bytes) = record.context("reading the state")?;
            decode(&bytes)
        })
    }

    /// The newest transmission that was recorded: numbers go on from there.
    pub fn last_recorded(&self) -> Result<Option<TransmissionId>> {
        let last = self.recordings.last().context("reading the state")?;
        let id = last.and_then(|(key, _)| key.as_ref().try_into().ok());
        Ok(id.map(|key| TransmissionId(u64::from_be_bytes(key))))
    }
}
