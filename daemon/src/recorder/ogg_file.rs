//! An Ogg Opus file (RFC 7845), written once from beginning to end.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use ogg::{PacketWriteEndInfo, PacketWriter};
use pttd_core::recording::{Frame, PRE_SKIP};
use sha2::{Digest, Sha256};

/// About a second: what a crash may lose, and what a player has to read to begin.
const PACKETS_A_PAGE: u32 = 50;
const VENDOR: &str = concat!("pttd ", env!("CARGO_PKG_VERSION"));

pub struct OggFile {
    writer: PacketWriter<'static, Hashed>,
    serial: u32,
    in_page: u32,
    /// Held back: the last one of a file is written differently.
    last: Option<Frame>,
}

/// What became of it.
pub struct Written {
    pub bytes: u64,
    /// Hexadecimal.
    pub sha256: String,
}

struct Hashed {
    file: BufWriter<File>,
    sha256: Sha256,
    bytes: u64,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.sha256.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl OggFile {
    /// Never over one that is there.
    pub fn create(
        path: &Path,
        serial: u32,
        channels: u8,
        tags: &[(&str, String)],
    ) -> io::Result<OggFile> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        let mut writer = PacketWriter::new(Hashed {
            file: BufWriter::new(file),
            sha256: Sha256::new(),
            bytes: 0,
        });
        writer.write_packet(head(channels), serial, PacketWriteEndInfo::EndPage, 0)?;
        writer.write_packet(comments(tags), serial, PacketWriteEndInfo::EndPage, 0)?;
        writer.inner_mut().flush()?;
        Ok(OggFile {
            writer,
            serial,
            in_page: 0,
            last: None,
        })
    }

    pub fn write(&mut self, frame: Frame) -> io::Result<()> {
        let Some(before) = self.last.replace(frame) else {
            return Ok(());
        };
        self.in_page += 1;
        let page_is_full = self.in_page == PACKETS_A_PAGE;
        let end = match page_is_full {
            true => PacketWriteEndInfo::EndPage,
            false => PacketWriteEndInfo::NormalPacket,
        };
        self.put(before, end)?;
        if page_is_full {
            self.in_page = 0;
            self.writer.inner_mut().flush()?;
        }
        Ok(())
    }

    /// On disk, whole.
    pub fn finish(mut self) -> io::Result<Written> {
        if let Some(last) = self.last.take() {
            self.put(last, PacketWriteEndInfo::EndStream)?;
        }
        let mut hashed = self.writer.into_inner();
        hashed.flush()?;
        hashed.file.get_ref().sync_all()?;
        Ok(Written {
            bytes: hashed.bytes,
            sha256: hex(&hashed.sha256.finalize()),
        })
    }

    fn put(&mut self, frame: Frame, end: PacketWriteEndInfo) -> io::Result<()> {
        let payload = frame.payload.to_vec();
        self.writer
            .write_packet(payload, self.serial, end, frame.granule)
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// RFC 7845 5.1.
fn head(channels: u8) -> Vec<u8> {
    const VERSION: u8 = 1;
    const RATE: u32 = 48_000;
    const GAIN: [u8; 2] = [0; 2];
    const MONO_OR_STEREO: u8 = 0;
    let mut head = b"OpusHead".to_vec();
    head.extend([VERSION, channels]);
    head.extend(PRE_SKIP.to_le_bytes());
    head.extend(RATE.to_le_bytes());
    head.extend(GAIN);
    head.push(MONO_OR_STEREO);
    head
}

/// RFC 7845 5.2.
fn comments(tags: &[(&str, String)]) -> Vec<u8> {
    let mut comments = b"OpusTags".to_vec();
    put_text(&mut comments, VENDOR);
    comments.extend((tags.len() as u32).to_le_bytes());
    for (name, value) in tags {
        put_text(&mut comments, &format!("{name}={value}"));
    }
    comments
}

fn put_text(comments: &mut Vec<u8>, text: &str) {
    comments.extend((text.len() as u32).to_le_bytes());
    comments.extend(text.as_bytes());
}

/// A tag's value, out of the packet of comments.
pub fn tag<'a>(comments: &'a [u8], name: &str) -> Option<&'a str> {
    let (_vendor, rest) = take_text(comments.strip_prefix(b"OpusTags")?)?;
    let (_count, mut rest) = rest.split_first_chunk::<4>()?;
    loop {
        let (text, after) = take_text(rest)?;
        rest = after;
        match std::str::from_utf8(text).ok()?.split_once('=') {
            Some((this, value)) if this == name => return Some(value),
            Some(_) | None => {}
        }
    }
}

fn take_text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}
