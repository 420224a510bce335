//! Real sound for phones: tones and sentences as Opus, and what a file or a page said in the end.

use std::io::Cursor;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use ogg::PacketReader;
use opus::{Application, Bitrate, Channels, Decoder, Encoder};
use pttd_core::radio::filters::VoiceBand;

use crate::microphone::run;
use crate::phone::Heard;

/// Opus frames of 20 ms.
pub type Sound = Arc<[Vec<u8>]>;

/// Samples a second of everything that is compared.
pub const RATE: u32 = 8000;

/// A second of a steady tone.
pub fn tone(hz: f64) -> Result<Sound> {
    let dir = tempfile::tempdir()?;
    let wav = dir.path().join("tone.wav");
    run(Command::new("sox")
        .args(["-n", "-r", "48000", "-c", "1", "-b", "16"])
        .arg(&wav)
        .args(["synth", "1.4", "sine", &hz.to_string(), "gain", "-8"]))?;
    let packets = packets(&encoded(&wav)?)?;
    // Without the encoder's beginning and end, which would click at each turn.
    packets
        .get(10..60)
        .map(Sound::from)
        .context("more than a second of tone")
}

/// Words as they are spoken, and their sound.
pub struct Sentence {
    pub sound: Sound,
    pub samples: Vec<f32>,
}

/// The whole sentence with half a second of silence behind it.
pub fn sentence(words: &str) -> Result<Sentence> {
    let dir = tempfile::tempdir()?;
    let speech = dir.path().join("speech.wav");
    let wav = dir.path().join("sentence.wav");
    run(Command::new("espeak-ng")
        .arg("-w")
        .arg(&speech)
        .args(["-s", "170", words]))?;
    run(Command::new("sox")
        .arg(&speech)
        .args(["-r", "48000", "-c", "1", "-b", "16"])
        .arg(&wav)
        .args(["pad", "0", "0.5"]))?;
    let opus = encoded(&wav)?;
    Ok(Sentence {
        sound: packets(&opus)?.into(),
        samples: decoded(&opus)?,
    })
}

/// Words as a microphone takes them, at 48 kHz, without silence before and behind them, at their loudest -6 dBFS.
pub fn speech(words: &str) -> Result<Vec<f32>> {
    let dir = tempfile::tempdir()?;
    let speech = dir.path().join("speech.wav");
    let raw = dir.path().join("speech.raw");
    run(Command::new("espeak-ng")
        .arg("-w")
        .arg(&speech)
        .args(["-s", "170", words]))?;
    let mut sox = Command::new("sox");
    sox.arg(&speech)
        .args(["-r", "48000", "-c", "1", "-b", "16"])
        .args(["-e", "signed-integer", "-L"])
        .arg(&raw)
        .args(["silence", "1", "0.005", "1%", "reverse"])
        .args(["silence", "1", "0.005", "1%", "reverse", "norm", "-6"]);
    run(&mut sox)?;
    Ok(samples(&std::fs::read(&raw)?))
}

/// What a radio's voice band leaves of a sound at 48 kHz: what is compared with what went through a radio.
pub fn voice_band(samples: &[f32]) -> Vec<f32> {
    let mut samples = samples.to_vec();
    VoiceBand::new().process(&mut samples);
    samples
}

/// 48 kHz to [`RATE`], as a telephone hears it: what is above its band goes.
pub fn narrowed(samples: &[f32]) -> Vec<f32> {
    const STEP: usize = 48_000 / RATE as usize;
    const TAPS: isize = 48;
    let kernel: Vec<f32> = (-TAPS..=TAPS)
        .map(|n| {
            let x = n as f32 * std::f32::consts::PI / STEP as f32;
            let sinc = if n == 0 { 1.0 } else { x.sin() / x };
            let turn = n as f32 * std::f32::consts::PI / TAPS as f32;
            sinc * (0.5 + 0.5 * turn.cos()) / STEP as f32
        })
        .collect();
    (0..samples.len() as isize)
        .step_by(STEP)
        .map(|middle| {
            let at = |n: usize| usize::try_from(middle + n as isize - TAPS).ok();
            let taps = kernel.iter().enumerate();
            taps.filter_map(|(n, tap)| Some(tap * samples.get(at(n)?)?))
                .sum()
        })
        .collect()
}

/// What a phone's encoder makes of a sound at 48 kHz; the end is filled up with silence. With what it tells the
/// other end again in the next packet, where it believes that so many of a hundred are lost.
pub fn encoded_at_once(samples: &[f32], lost_percent: u8) -> Result<Sound> {
    let mut encoder = Encoder::new(48_000, Channels::Mono, Application::Voip)?;
    encoder.set_bitrate(Bitrate::Bits(32_000))?;
    encoder.set_inband_fec(lost_percent > 0)?;
    encoder.set_packet_loss_perc(lost_percent.into())?;
    let frames = samples.chunks(960).map(|frame| {
        let mut frame = frame.to_vec();
        frame.resize(960, 0.0);
        Ok(encoder.encode_vec_float(&frame, 1500)?)
    });
    Ok(frames.collect::<Result<Vec<_>>>()?.into())
}

/// What these packets say, at 48 kHz: each where its clock puts it.
pub fn decoded_at_once(heard: &[Heard]) -> Result<Vec<f32>> {
    let mut decoder = Decoder::new(48_000, Channels::Mono)?;
    let mut samples: Vec<f32> = Vec::new();
    let first = heard.first().map_or(0, |packet| packet.timestamp);
    let mut frame = [0.0; 5760];
    for packet in heard {
        let n = decoder.decode_float(&packet.payload, &mut frame, false)?;
        let at = usize::try_from(packet.timestamp.wrapping_sub(first).cast_signed())
            .context("a packet from before the first one")?;
        samples.resize(samples.len().max(at + n), 0.0);
        samples[at..at + n].copy_from_slice(&frame[..n]);
    }
    Ok(samples)
}

fn encoded(wav: &Path) -> Result<Vec<u8>> {
    let opus = wav.with_extension("opus");
    run(Command::new("opusenc")
        .args(["--quiet", "--framesize", "20", "--bitrate", "24"])
        .arg(wav)
        .arg(&opus))?;
    std::fs::read(&opus).context("what opusenc wrote")
}

/// An Ogg file's packets, without its two headers.
pub fn packets(opus: &[u8]) -> Result<Vec<Vec<u8>>> {
    let mut reader = PacketReader::new(Cursor::new(opus));
    let mut packets = Vec::new();
    while let Some(packet) = reader.read_packet().context("a packet of an Ogg file")? {
        packets.push(packet.data);
    }
    ensure!(packets.len() > 2, "an Ogg file without sound");
    Ok(packets.split_off(2))
}

/// What `opusdec` makes of an Ogg file.
pub fn decoded(opus: &[u8]) -> Result<Vec<f32>> {
    let dir = tempfile::tempdir()?;
    let (file, wav, raw) = (
        dir.path().join("talk.opus"),
        dir.path().join("talk.wav"),
        dir.path().join("talk.raw"),
    );
    std::fs::write(&file, opus)?;
    run(Command::new("opusdec")
        .args(["--quiet", "--force-wav"])
        .arg(&file)
        .arg(&wav))?;
    run(Command::new("sox")
        .arg(&wav)
        .args(["-r", &RATE.to_string(), "-c", "1", "-b", "16"])
        .args(["-e", "signed-integer", "-L"])
        .arg(&raw))?;
    Ok(samples(&std::fs::read(&raw)?))
}

/// 16 bits each, the lower byte first.
pub fn samples(raw: &[u8]) -> Vec<f32> {
    raw.chunks_exact(2)
        .map(|two| f32::from(i16::from_le_bytes([two[0], two[1]])) / 32768.0)
        .collect()
}

/// The same, the other way round.
pub fn raw(samples: &[f32]) -> Vec<u8> {
    let whole = |s: &f32| (s.clamp(-1.0, 1.0) * 32767.0) as i16;
    samples
        .iter()
        .flat_map(|s| whole(s).to_le_bytes())
        .collect()
}

/// Which share of this sound is at each of these frequencies; all none where it is silent.
pub fn shares(samples: &[f32], tones: &[f64]) -> Vec<f64> {
    let energy: f64 = samples.iter().map(|s| f64::from(s * s)).sum();
    let count = samples.len() as f64;
    if energy / count.max(1.0) < 1e-5 {
        return vec![0.0; tones.len()];
    }
    let at = |hz: &f64| 2.0 * power(samples, hz * count / f64::from(RATE)) / (count * energy);
    tones.iter().map(at).collect()
}

/// One look at a sound: how loud it is in each of these bands, beside its mean.
type Look = [f64; BANDS];
const BANDS: usize = 12;
const WINDOW: usize = RATE as usize / 25;
const STEP: usize = WINDOW / 2;

/// From 150 Hz to 3400 Hz, as the ear divides it: speech is known by how these change. None in silence.
fn looks(samples: &[f32]) -> Vec<Option<Look>> {
    let edge = |n: usize| 150.0 * (3400.0_f64 / 150.0).powf(n as f64 / BANDS as f64);
    let bin = f64::from(RATE) / WINDOW as f64;
    let starts = (0..samples.len().saturating_sub(WINDOW)).step_by(STEP);
    let loudest = samples.iter().fold(0.0_f32, |most, s| most.max(s.abs()));
    starts
        .map(|start| {
            let samples = &samples[start..start + WINDOW];
            let energy: f32 = samples.iter().map(|s| s * s).sum();
            if (energy / WINDOW as f32).sqrt() <= (loudest * 0.02).max(0.001) {
                return None;
            }
            let mut look: Look = std::array::from_fn(|band| {
                let from = (edge(band) / bin).round().max(1.0) as usize;
                let to = ((edge(band + 1) / bin).round() as usize).max(from + 1);
                let power: f64 = (from..to).map(|k| power(samples, k as f64)).sum();
                (power + f64::from(loudest * loudest) * 1e-2).ln()
            });
            let mean = look.iter().sum::<f64>() / BANDS as f64;
            look.iter_mut().for_each(|band| *band -= mean);
            Some(look)
        })
        .collect()
}

/// Of `k` turns in the whole of it, as Goertzel counts it.
fn power(samples: &[f32], k: f64) -> f64 {
    let turn = 2.0 * (std::f64::consts::TAU * k / samples.len() as f64).cos();
    let (mut one, mut two) = (0.0, 0.0);
    for sample in samples {
        (one, two) = (f64::from(*sample) + turn * one - two, one);
    }
    one * one + two * two - turn * one * two
}

/// How much of `sent` is in `heard`, wherever it begins: near 1 the same words, much less others, 0 silence.
pub fn likeness(sent: &[f32], heard: &[f32]) -> f64 {
    let (sent, heard) = (looks(sent), looks(heard));
    let spoken = sent.iter().flatten().count();
    // Either may lack a little of the other's beginning and end.
    let some = (sent.len() / 8) as isize;
    let lags = -some..=heard.len() as isize - sent.len() as isize + some;
    lags.map(|lag| {
        let pairs: Vec<(&Look, &Look)> = sent
            .iter()
            .enumerate()
            .filter_map(|(n, look)| {
                let at = usize::try_from(n as isize + lag).ok()?;
                Some((look.as_ref()?, heard.get(at)?.as_ref()?))
            })
            .collect();
        match pairs.len() * 4 >= spoken * 3 {
            true => correlation(&pairs),
            false => 0.0,
        }
    })
    .fold(0.0, f64::max)
}

/// Of all bands, each against its own mean: a telephone's timbre does not count.
fn correlation(pairs: &[(&Look, &Look)]) -> f64 {
    let count = pairs.len() as f64;
    let (mut both, mut one, mut two) = (0.0, 0.0, 0.0);
    for band in 0..BANDS {
        let mean_a = pairs.iter().map(|(a, _)| a[band]).sum::<f64>() / count;
        let mean_b = pairs.iter().map(|(_, b)| b[band]).sum::<f64>() / count;
        for (a, b) in pairs {
            let (a, b) = (a[band] - mean_a, b[band] - mean_b);
            both += a * b;
            one += a * a;
            two += b * b;
        }
    }
    match one * two {
        0.0 => 0.0,
        product => both / product.sqrt(),
    }
}
