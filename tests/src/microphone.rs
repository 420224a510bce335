//! What a person's microphone hears: recorded speech with their own tone between the words, so that the
//! far end can tell who is talking without understanding them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// A person whose voice the tests know.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Voice {
    pub user: &'static str,
    /// Hz. No tone is near a multiple of another, and all pass a phone's band.
    pub tone: f64,
    words: &'static str,
}

pub const ANNA: Voice = Voice {
    user: "anna",
    tone: 620.0,
    words: "main gate to control, the queue reaches the tram stop",
};
pub const BEN: Voice = Voice {
    user: "ben",
    tone: 940.0,
    words: "stage two here, we need a medic at the left barrier",
};
pub const CARLA: Voice = Voice {
    user: "carla",
    tone: 1430.0,
    words: "security has a lost child in a red coat, come in",
};
pub const DANA: Voice = Voice {
    user: "dana",
    tone: 2210.0,
    words: "control to all stations, the last tram leaves at midnight",
};
pub const VOICES: [Voice; 4] = [ANNA, BEN, CARLA, DANA];

/// Chromium plays the file in a loop.
pub fn recording(voice: Voice, dir: &Path) -> Result<PathBuf> {
    let speech = dir.join("speech.wav");
    let tone = dir.join("tone.wav");
    let file = dir.join("microphone.wav");
    run(Command::new("espeak-ng")
        .arg("-w")
        .arg(&speech)
        .args(["-s", "170", voice.words]))?;
    // Bursts: a steady tone is noise to a browser, which takes it away.
    run(Command::new("sox")
        .args(["-n", "-r", "22050", "-c", "1", "-b", "16"])
        .arg(&tone)
        .args([
            "synth",
            "0.35",
            "sine",
            &voice.tone.to_string(),
            "gain",
            "-6",
        ])
        .args([
            "fade", "0.01", "0.35", "0.01", "pad", "0", "0.15", "repeat", "11",
        ]))?;
    run(Command::new("sox")
        .args(["-m", "-v", "1"])
        .arg(&tone)
        .args(["-v", "0.25"])
        .arg(&speech)
        .args(["-r", "48000", "-c", "1", "-b", "16"])
        .arg(&file)
        .args(["trim", "0", "6"]))?;
    Ok(file)
}

pub(crate) fn run(command: &mut Command) -> Result<()> {
    let out = command
        .output()
        .with_context(|| format!("starting {command:?}; `make test` installs it"))?;
    ensure!(
        out.status.success(),
        "{command:?} failed: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    Ok(())
}
