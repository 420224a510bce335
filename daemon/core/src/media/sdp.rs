//! What we read in a client's SDP and write into our own besides what str0m does.

use str0m::media::Pt;
use str0m::rtp::Extension;

use super::OfferError;
use crate::wire::signal::{MAX_CANDIDATES, MAX_M_LINES, MAX_SDP};

pub(super) fn check_limits(sdp: &str) -> Result<(), OfferError> {
    let count = |prefix: &str| sdp.lines().filter(|l| l.starts_with(prefix)).count();
    if sdp.len() > MAX_SDP {
        Err(OfferError::TooLong)
    } else if count("m=") > MAX_M_LINES {
        Err(OfferError::TooManyMLines)
    } else if count("a=candidate:") > MAX_CANDIDATES {
        Err(OfferError::TooManyCandidates)
    } else {
        Ok(())
    }
}

/// The id the peer gave to the audio level extension, where it wants it: `a=extmap:2 urn:...`.
pub(super) fn level_id(section: &str) -> Option<u8> {
    let (id, _) = section
        .lines()
        .filter_map(|l| l.strip_prefix("a=extmap:")?.split_once(' '))
        .find(|(_, uri)| *uri == Extension::AudioLevel.as_uri())?;
    let id = id.split('/').next()?.parse().ok()?;
    // 15 is reserved in one-byte headers, RFC 8285 4.2.
    (1..=14).contains(&id).then_some(id)
}

/// Adds the Opus parameters str0m does not know (RFC 7587 6.1): wideband speech is all a radio channel
/// carries, and a talker who knows it spends the bits there.
pub(super) fn with_opus_limits(answer: &str, pt: Pt) -> String {
    let fmtp = format!("a=fmtp:{} ", *pt);
    let line = |line: &str| match line.starts_with(&fmtp) {
        true => format!("{line};maxplaybackrate=16000;sprop-maxcapturerate=16000\r\n"),
        false => format!("{line}\r\n"),
    };
    answer.lines().map(line).collect()
}

/// The SSRC of the offer's first audio m-line, where it names one.
pub(super) fn offered_ssrc(offer: &str) -> Option<u32> {
    let audio = offer
        .split("\nm=")
        .find(|section| section.starts_with("audio "))?;
    let line = audio.lines().find_map(|l| l.strip_prefix("a=ssrc:"))?;
    line.split(' ').next()?.parse().ok()
}
