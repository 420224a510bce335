//! What a station says of itself: Morse code, or what a WAV file holds.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use pttd_core::radio::tones::OwnSound;
use pttd_core::radio::{KeyingSettings, RATE};

use crate::config::radio::Ident;

/// Longer ones keep a channel from its work.
const LONGEST_SECONDS: usize = 30;

/// Blocking: the file is read.
pub fn ident(ident: &Ident, keying: &KeyingSettings) -> Result<Option<OwnSound>> {
    match ident {
        Ident::Off => Ok(None),
        Ident::Cw(call) => {
            let sound = OwnSound::morse(call);
            sound
                .map(Some)
                .with_context(|| format!("{call} in Morse code"))
        }
        Ident::Wav(file) => {
            let samples = read(file).with_context(|| {
                format!(
                    "reading the station identification {}: give a WAV file of 48 kHz, 16 bit (sox IN -r 48000 \
                     -b 16 -c 1 OUT.wav)",
                    file.display()
                )
            })?;
            fits(OwnSound::recorded(samples.into()), keying)
                .map(Some)
                .with_context(|| format!("the station identification {}", file.display()))
        }
    }
}

/// What is cut by the TOT each time has never been said.
fn fits(sound: OwnSound, keying: &KeyingSettings) -> Result<OwnSound> {
    let length = sound.length();
    ensure!(
        length + keying.lead < keying.tot,
        "it takes {:.0} s, longer than the radio's tot leaves it: shorten it, or raise tot",
        length.as_secs_f64()
    );
    Ok(sound)
}

fn read(file: &Path) -> Result<Vec<f32>> {
    samples(&std::fs::read(file)?)
}

/// RIFF: chunks, each with a name, a length and, where that is odd, a byte more.
fn samples(wav: &[u8]) -> Result<Vec<f32>> {
    ensure!(
        wav.starts_with(b"RIFF") && wav.get(8..12) == Some(b"WAVE"),
        "it is no WAV file"
    );
    let mut rest = &wav[12..];
    let mut channels = None;
    while let Some((head, body)) = rest.split_at_checked(8) {
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let chunk = &body[..length.min(body.len())];
        match &head[..4] {
            b"fmt " => {
                let number = |at| {
                    let two = chunk.get(at..at + 2).unwrap_or_default();
                    two.iter()
                        .rev()
                        .fold(0u32, |n, byte| n << 8 | u32::from(*byte))
                };
                let rate = number(4) | number(6) << 16;
                ensure!(
                    rate == RATE && number(14) == 16 && [1, 0xfffe].contains(&number(0)),
                    "it has {rate} Hz, {} bit",
                    number(14)
                );
                ensure!(
                    (1..=2).contains(&number(2)),
                    "it is neither mono nor stereo"
                );
                channels = Some(number(2) as usize);
            }
            b"data" => {
                let Some(channels) = channels else {
                    bail!("it does not say how it is made");
                };
                let frames = chunk.chunks_exact(2 * channels);
                ensure!(
                    frames.len() <= LONGEST_SECONDS * RATE as usize,
                    "it is longer than {LONGEST_SECONDS} s"
                );
                let left =
                    |frame: &[u8]| f32::from(i16::from_le_bytes([frame[0], frame[1]])) / 32_768.0;
                return Ok(frames.map(left).collect());
            }
            _ => {}
        }
        rest = body.get(length + length % 2..).unwrap_or_default();
    }
    bail!("there is no sound in it")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::radio::air::wav;

    #[test]
    fn a_wav_file_is_played_as_it_is() {
        let read = samples(&wav(&[0, 16_384, -32_768])).unwrap();
        assert_eq!(read, [0.0, 0.5, -1.0]);
    }

    #[test]
    fn one_longer_than_the_tot_leaves_it_is_refused() {
        for (seconds, tot, fits_in) in [(10, 15, true), (15, 15, false), (29, 30, true)] {
            let keying = KeyingSettings {
                lead: Duration::from_millis(150),
                tail: Duration::ZERO,
                tot: Duration::from_secs(tot),
                tot_alert: Duration::ZERO,
                tot_penalty: Duration::ZERO,
            };
            let sound = OwnSound::recorded(vec![0.0; seconds * RATE as usize].into());
            assert_eq!(
                fits(sound, &keying).is_ok(),
                fits_in,
                "{seconds} of {tot} s"
            );
        }
    }

    #[test]
    fn what_is_no_such_file_is_refused() {
        let good = wav(&[1, 2, 3]);
        let mut slow = good.clone();
        slow[24..28].copy_from_slice(&8_000u32.to_le_bytes());
        for (bytes, says) in [
            (&b"OggS"[..], "no WAV"),
            (&good[..40], "no sound"),
            (&slow, "8000 Hz"),
        ] {
            let said = samples(bytes).unwrap_err().to_string();
            assert!(said.contains(says), "{said}");
        }
    }
}
