//! What an Opus packet tells of itself without being decoded (RFC 6716 3).

/// A frame of Opus has at most this many bytes, and a packet this much time, in samples of 48 kHz.
const LONGEST_FRAME: usize = 1275;
const LONGEST_PACKET: u32 = 5_760;

/// Channels the packet is coded in.
pub fn channels(payload: &[u8]) -> u8 {
    1 + (payload.first().copied().unwrap_or(0) >> 2 & 1)
}

/// Samples of one frame under this TOC.
fn frame_samples(toc: u8) -> u32 {
    let size = u32::from(toc >> 3 & 3);
    match toc >> 3 {
        // SILK: 10, 20, 40, 60 ms.
        0..12 => [480, 960, 1920, 2880][size as usize],
        // Hybrid: 10, 20 ms.
        12..16 => 480 << (size & 1),
        // CELT: 2.5, 5, 10, 20 ms.
        _ => 120 << size,
    }
}

/// How long the packet is; `None`: no decoder would take it (RFC 6716 3.4).
pub fn samples(payload: &[u8]) -> Option<u32> {
    let (&toc, rest) = payload.split_first()?;
    let fits = |frame: usize| frame <= LONGEST_FRAME;
    let (frames, good) = match toc & 3 {
        0 => (1, fits(rest.len())),
        1 => (2, rest.len().is_multiple_of(2) && fits(rest.len() / 2)),
        2 => {
            let (first, rest) = length(rest)?;
            let second = rest.len().checked_sub(first)?;
            (2, fits(first) && fits(second))
        }
        _ => {
            let (&count, mut rest) = rest.split_first()?;
            let (frames, variable, padded) = (count & 0x3f, count & 0x80 != 0, count & 0x40 != 0);
            if padded {
                rest = without_padding(rest)?;
            }
            let last = match variable {
                true => last_of_variable(rest, frames)?,
                false => rest.len() / usize::from(frames.max(1)),
            };
            let whole = variable || rest.len() == last * usize::from(frames);
            (u32::from(frames), frames > 0 && whole && fits(last))
        }
    };
    let samples = frames * frame_samples(toc);
    (good && samples <= LONGEST_PACKET).then_some(samples)
}

/// A frame's length as it is written, and what follows.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first < 252 {
        return Some((first.into(), rest));
    }
    let (&second, rest) = rest.split_first()?;
    Some((usize::from(second) * 4 + usize::from(first), rest))
}

fn without_padding(mut rest: &[u8]) -> Option<&[u8]> {
    let mut padding = 0;
    loop {
        let (&more, left) = rest.split_first()?;
        rest = left;
        padding += usize::from(more.min(254));
        if more < 255 {
            return rest.get(..rest.len().checked_sub(padding)?);
        }
    }
}

/// The length of the last frame, which is not written; those of the others are.
fn last_of_variable(mut rest: &[u8], frames: u8) -> Option<usize> {
    let mut written = 0;
    for _ in 1..frames {
        let (this, after) = length(rest)?;
        written += Some(this).filter(|this| *this <= LONGEST_FRAME)?;
        rest = after;
    }
    rest.len().checked_sub(written)
}

/// A packet without content that lasts no longer than `gap` samples, and how long: the decoder fills it as it
/// fills what was lost. Of the kind that `toc` is, where that has frames as short (RFC 7845 4.1).
pub(super) fn filler(toc: u8, gap: u32) -> Option<(u8, u32)> {
    const FULL_BAND_CELT: u8 = 28;
    let config = toc >> 3;
    let own = match config {
        0..12 => [config & !3 | 1, config & !3],
        12..16 => [config & !1 | 1, config & !1],
        _ => [config & !3 | 3, config & !3 | 2],
    };
    let short = [FULL_BAND_CELT + 1, FULL_BAND_CELT];
    own.into_iter()
        .chain(short)
        .map(|config| config << 3 | toc & 4)
        .map(|toc| (toc, frame_samples(toc)))
        .find(|(_, samples)| *samples <= gap)
}
