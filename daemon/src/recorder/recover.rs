//! A file that was being written when the box went down: what is whole of it is kept.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use anyhow::{Context, Error, Result, ensure};
use ogg::{OggReadError, PacketReader};
use pttd_core::recording::{Frame, PRE_SKIP, Recording, SAMPLES_PER_MS, Waveform, samples};
use pttd_core::wire::signal::EndReason;

use super::ogg_file::tag;
use super::talk::{HEAD_TAG, Head};

/// Writes what is whole of `broken` to `mended`, ended as it should be.
pub fn recover(broken: &Path, mended: &Path) -> Result<Recording> {
    let file = File::open(broken).context("opening it")?;
    let mut packets = PacketReader::new(BufReader::new(file));
    let opus_head = packets.read_packet_expected().map_err(why);
    let opus_head = opus_head.context("reading its head")?;
    let comments = packets.read_packet_expected().map_err(why);
    let comments = comments.context("reading its tags")?;
    let head = tag(&comments.data, HEAD_TAG).context("looking for whose it is")?;
    let head: Head = serde_json::from_str(head).context("reading whose it is")?;
    let channels = opus_head.data.get(9).copied().unwrap_or(1);
    let mut file = head.create(mended, channels)?;
    let mut waveform = Waveform::default();
    let mut granule = 0;
    loop {
        let packet = match packets.read_packet().map_err(why) {
            Ok(Some(packet)) => packet,
            Err(error) if error.is::<io::Error>() => return Err(error),
            // The first thing that makes no sense is where the writing was cut.
            Ok(None) | Err(_) => break,
        };
        let Some(samples) = samples(&packet.data) else {
            break;
        };
        waveform.note(granule / SAMPLES_PER_MS, None, packet.data.len());
        granule += u64::from(samples);
        if packet.last_in_stream() {
            granule = granule.min(packet.absgp_page());
        }
        let payload = packet.data.into();
        file.write(Frame { payload, granule })?;
    }
    let heard = granule.saturating_sub(PRE_SKIP.into());
    ensure!(heard > 0, "it holds no sound");
    let written = file.finish()?;
    let duration_ms = heard / SAMPLES_PER_MS;
    Ok(Recording {
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
        reason: EndReason::Disconnected,
        bytes: written.bytes,
        sha256: written.sha256,
        complete: false,
        dropped_packets: 0,
        waveform: waveform.columns(duration_ms),
    })
}

/// An [`io::Error`] where the disk could not be read: the file may well be whole.
fn why(error: OggReadError) -> Error {
    match error {
        OggReadError::ReadError(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
            error.into()
        }
        _ => error.into(),
    }
}
