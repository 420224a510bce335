//! How loud a recording is over its length, for a picture of it.

/// Most columns of the picture.
pub const BUCKETS: usize = 100;
/// What is quieter looks like silence.
const QUIETEST: f32 = 60.0;
/// Of speech with Opus at the page's settings; what is larger looks as loud as can be.
const LOUD_BYTES: f32 = 120.0;

/// Steps of 100 ms: a bounded handful for the longest talk.
const STEP_MS: u64 = 100;

#[derive(Default)]
pub struct Waveform {
    /// The loudest of each step, 0 to 255.
    steps: Vec<u8>,
}

impl Waveform {
    /// A packet at this time of the talk. Without a level its size tells: Opus spends bytes on sound.
    pub fn note(&mut self, at_ms: u64, level: Option<i8>, bytes: usize) {
        let loudness = match level {
            Some(level) => 1.0 - f32::from(level.unsigned_abs()) / QUIETEST,
            None => bytes.saturating_sub(3) as f32 / LOUD_BYTES,
        };
        let loudness = (loudness.clamp(0.0, 1.0) * 255.0) as u8;
        let step = (at_ms / STEP_MS) as usize;
        if step >= self.steps.len() {
            self.steps.resize(step + 1, 0);
        }
        self.steps[step] = self.steps[step].max(loudness);
    }

    /// At most [`BUCKETS`] columns over this duration, each as high as the loudest in it.
    pub fn columns(mut self, duration_ms: u64) -> Vec<u8> {
        let steps = duration_ms.div_ceil(STEP_MS).max(1) as usize;
        self.steps.resize(steps, 0);
        let columns = steps.min(BUCKETS);
        let column = |n: usize| {
            let from = n * steps / columns;
            let to = (n + 1) * steps / columns;
            self.steps[from..to].iter().copied().max().unwrap_or(0)
        };
        (0..columns).map(column).collect()
    }
}
