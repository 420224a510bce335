//! One transmission that is being recorded.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pttd_core::ids::{ChannelId, TransmissionId, UserId};
use pttd_core::media::Packet;
use pttd_core::recording::{Recording, Timeline, Waveform, channels};
use pttd_core::wire::signal::{EndReason, Level};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::ogg_file::OggFile;

/// The tag that holds a [`Head`], so that a file can be told from itself after a crash.
pub const HEAD_TAG: &str = "PTTD";

/// A key that was touched, no talk.
const LEAST_HEARD: Duration = Duration::from_millis(200);

/// What is known when it begins.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Head {
    pub transmission: TransmissionId,
    pub channel: ChannelId,
    pub channel_name: String,
    pub user: UserId,
    pub name: String,
    pub level: Level,
    /// UTC milliseconds since 1970.
    pub began: u64,
    /// Milliseconds since the machine was switched on.
    pub monotonic: u64,
    /// Which switching on that was.
    #[serde(default)]
    pub boot: String,
}

impl Head {
    /// Where its file belongs, below the folder of the recordings.
    pub fn file(&self) -> String {
        let day = moment(self.began).date();
        format!("{day}/{}-{}.opus", self.channel, self.transmission)
    }

    fn tags(&self) -> io::Result<Vec<(&'static str, String)>> {
        let date = moment(self.began).format(&Rfc3339);
        Ok(vec![
            ("TITLE", self.channel_name.clone()),
            ("ARTIST", self.name.clone()),
            ("DATE", date.map_err(io::Error::other)?),
            (HEAD_TAG, serde_json::to_string(self)?),
        ])
    }

    /// An empty file for it.
    pub fn create(&self, path: &Path, channels: u8) -> io::Result<OggFile> {
        // Any number tells the streams of one file apart.
        let serial = self.transmission.0 as u32;
        OggFile::create(path, serial, channels, &self.tags()?)
    }
}

/// UTC milliseconds as a date; 1970 for what is beyond all calendars.
pub fn moment(utc_ms: u64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(utc_ms) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

pub struct Talk {
    pub head: Head,
    began: Instant,
    timeline: Timeline,
    waveform: Waveform,
    /// Made when there is something to write, a second after it was heard.
    file: Option<OggFile>,
    channels: u8,
    path: PathBuf,
    pub dropped: u64,
}

impl Talk {
    pub fn new(head: Head, began: Instant, path: PathBuf) -> Talk {
        Talk {
            head,
            began,
            timeline: Timeline::default(),
            waveform: Waveform::default(),
            file: None,
            channels: 1,
            path,
            dropped: 0,
        }
    }

    pub fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// How long it has lasted for certain.
    pub fn heard_for(&self) -> Duration {
        self.timeline.latest()
    }

    pub fn packet(&mut self, packet: &Packet, at: Instant) -> io::Result<()> {
        let at = at.saturating_duration_since(self.began);
        if let Some(place) = self.timeline.push(packet, at) {
            self.waveform
                .note(place, packet.level, packet.payload.len());
            if self.file.is_none() {
                self.channels = self.channels.max(channels(&packet.payload));
            }
        }
        self.write()
    }

    fn write(&mut self) -> io::Result<()> {
        while let Some(frame) = self.timeline.poll_frame() {
            let file = match &mut self.file {
                Some(file) => file,
                none => none.insert(self.head.create(&self.path, self.channels)?),
            };
            file.write(frame)?;
        }
        Ok(())
    }

    /// The whole file, still under its first name. `None`: too little was heard to be worth one.
    pub fn finish(
        mut self,
        duration: Duration,
        reason: EndReason,
        whole: bool,
    ) -> io::Result<Option<Recording>> {
        if self.timeline.heard() >= LEAST_HEARD {
            self.timeline.finish(duration);
            self.write()?;
        } else if self.file.take().is_some() {
            fs::remove_file(&self.path)?;
        }
        let Some(file) = self.file else {
            return Ok(None);
        };
        let dropped = self.dropped + self.timeline.refused();
        let written = file.finish()?;
        let duration_ms = duration.as_millis() as u64;
        let head = self.head;
        Ok(Some(Recording {
            file: head.file(),
            transmission: head.transmission,
            channel: head.channel,
            channel_name: head.channel_name,
            user: head.user,
            name: head.name,
            level: head.level,
            began: head.began,
            monotonic: head.monotonic,
            boot: head.boot,
            duration_ms,
            reason,
            bytes: written.bytes,
            sha256: written.sha256,
            complete: whole && dropped == 0,
            dropped_packets: dropped,
            waveform: self.waveform.columns(duration_ms),
        }))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}
