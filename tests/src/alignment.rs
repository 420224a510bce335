//! What was sent, found again in what was heard, sample by sample: how late it is, and how much of its
//! beginning is missing. Everything at [`RATE`].

use std::time::Duration;

use crate::sound::RATE;

/// 20 ms: what a packet lost at the beginning takes away.
const BLOCK: usize = RATE as usize / 50;
const STEP: usize = RATE as usize / 200;
/// A listener's jitter buffer stretches and cuts by a period of the voice.
const STRETCH: usize = RATE as usize / 80;

/// Where in `heard` this is the most like it, and how much: 1 is the same wave, 0 another.
pub fn find(piece: &[f32], heard: &[f32]) -> (usize, f64) {
    if heard.len() < piece.len() || piece.is_empty() {
        return (0, 0.0);
    }
    let size = (heard.len() + piece.len()).next_power_of_two();
    let mut spectrum = transform(heard, size);
    for (a, b) in spectrum.iter_mut().zip(transform(piece, size)) {
        *a = (a.0 * b.0 + a.1 * b.1, a.1 * b.0 - a.0 * b.1);
    }
    // Back: the transform of the conjugate, of which only the real part is looked at.
    spectrum.iter_mut().for_each(|a| a.1 = -a.1);
    turn(&mut spectrum);
    let energy = |samples: &[f32]| -> f64 { samples.iter().map(|s| f64::from(s * s)).sum() };
    let mut beside = energy(&heard[..piece.len()]);
    let most = energy(heard).max(1e-12);
    let own = energy(piece).max(1e-12);
    let mut best = (0, 0.0);
    for at in 0..=heard.len() - piece.len() {
        if at > 0 {
            let (new, old) = (heard[at + piece.len() - 1], heard[at - 1]);
            beside += f64::from(new * new) - f64::from(old * old);
        }
        // In near silence any hiss is like anything.
        let like = spectrum[at].0 / size as f64 / (own * beside.max(most * 1e-4)).sqrt();
        if like > best.1 {
            best = (at, like);
        }
    }
    best
}

type Complex = (f64, f64);

fn transform(samples: &[f32], size: usize) -> Vec<Complex> {
    let mut spectrum: Vec<Complex> = samples.iter().map(|s| (f64::from(*s), 0.0)).collect();
    spectrum.resize(size, (0.0, 0.0));
    turn(&mut spectrum);
    spectrum
}

/// Fourier's, of a power of two.
fn turn(x: &mut [Complex]) {
    let bits = x.len().trailing_zeros();
    for at in 0..x.len() {
        let to = at.reverse_bits() >> (usize::BITS - bits);
        if at < to {
            x.swap(at, to);
        }
    }
    let mut half = 1;
    while half < x.len() {
        let step = -std::f64::consts::PI / half as f64;
        let turns: Vec<Complex> = (0..half)
            .map(|k| ((step * k as f64).cos(), (step * k as f64).sin()))
            .collect();
        for pair in x.chunks_exact_mut(2 * half) {
            let (low, high) = pair.split_at_mut(half);
            for ((a, b), w) in low.iter_mut().zip(high).zip(&turns) {
                let t = (b.0 * w.0 - b.1 * w.1, b.0 * w.1 + b.1 * w.0);
                *b = (a.0 - t.0, a.1 - t.1);
                *a = (a.0 + t.0, a.1 + t.1);
            }
        }
        half *= 2;
    }
}

fn loudness(samples: &[f32]) -> f64 {
    let energy: f64 = samples.iter().map(|s| f64::from(s * s)).sum();
    (energy / samples.len().max(1) as f64).sqrt()
}

/// How much of the beginning of `sent` is missing in `heard`, to some milliseconds. `sent` begins with a voice,
/// and lasts a second at least. `None`: not even its middle is there.
pub fn lost(sent: &[f32], heard: &[f32]) -> Option<Duration> {
    // From a part that is there for sure backwards, block by block, each about where the one after it was. What a
    // listener's buffer has just stretched is not that part.
    let piece = RATE as usize / 4;
    let anchors = (4..10).map(|tenths| tenths * RATE as usize / 10);
    let found = anchors
        .filter_map(|anchor| Some((anchor, find(sent.get(anchor..anchor + piece)?, heard))))
        .max_by(|(_, (_, a)), (_, (_, b))| a.total_cmp(b));
    let (anchor, (at, like)) = found?;
    // The best quarter of a second of another sentence reaches 0.51.
    if like < 0.6 {
        return None;
    }
    let loud = loudness(sent);
    let gain = loudness(&heard[at..at + piece]) / loudness(&sent[anchor..anchor + piece]);
    let mut first = anchor;
    let mut offset = at as isize - anchor as isize;
    for start in (0..anchor).rev().step_by(STEP) {
        let block = &sent[start..start + BLOCK];
        let about = start as isize + offset;
        let from = usize::try_from(about - STRETCH as isize).unwrap_or(0);
        let to = usize::try_from(about + (BLOCK + STRETCH) as isize).unwrap_or(0);
        let Some(around) = heard.get(from..to.min(heard.len())) else {
            continue;
        };
        // A pause between two words is there if nothing else is.
        if loudness(block) < loud * 0.1 {
            continue;
        }
        let (there, like) = find(block, around);
        let as_loud = around.len() >= there + BLOCK
            && loudness(&around[there..there + BLOCK]) > loudness(block) * gain * 0.4;
        // A voice repeats itself: what is missing must not be found in what comes after it.
        let there = from + there;
        let earlier = there + (first - start) / 2 <= first.saturating_add_signed(offset);
        if like > 0.6 && as_loud && earlier {
            first = start;
            offset = there as isize - start as isize;
        }
    }
    let began = sent.iter().position(|s| f64::from(s.abs()) > loud * 0.1)?;
    let samples = first.saturating_sub(began);
    Some(Duration::from_secs_f64(samples as f64 / f64::from(RATE)))
}
