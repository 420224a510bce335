//! Says when lines and sounds go up and down, each with the machine's own clock:
//!
//! ```text
//! witness PTT1=/sys/devices/platform/gpio-sim.0/gpiochip1/sim_gpio0/value heard=hw:Loopback,1,0
//! 81234.5 PTT1 1
//! 81391.0 heard 1
//! ```
//! A line is a file that holds 0 or 1, a sound is the name of an ALSA device; milliseconds since the machine was started.
//! `/dev/hidgN` is the far end of a CM108: what is written to its third pin.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::thread;
use std::time::Duration;

use alsa::pcm::{Access, Format, HwParams, PCM};
use alsa::{Direction, ValueOr};
use nix::time::{ClockId, clock_gettime};
use pttd_hw::{PERIOD, RATE};

/// Louder than this is a sound.
const LOUD: i16 = 600;
/// So much silence ends it.
const PAUSE: Duration = Duration::from_millis(60);

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let mut watchers = Vec::new();
    for word in std::env::args().skip(1) {
        let (name, what) = word.split_once('=').ok_or("NAME=FILE or NAME=DEVICE")?;
        let (name, what) = (name.to_string(), what.to_string());
        watchers.push(thread::spawn(move || {
            let end = if what.starts_with("/dev/hidg") {
                pin(&name, Path::new(&what))
            } else if what.starts_with('/') {
                line(&name, Path::new(&what))
            } else {
                sound(&name, &what)
            };
            if let Err(e) = end {
                println!("{:.1} {name} gone: {e}", ms(now()));
            }
        }));
    }
    for watcher in watchers {
        let _ = watcher.join();
    }
    Ok(())
}

fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from)
}

fn ms(at: Duration) -> f64 {
    at.as_secs_f64() * 1e3
}

fn line(name: &str, file: &Path) -> Outcome {
    let mut before = String::new();
    loop {
        let level = std::fs::read_to_string(file)?;
        if level != before {
            println!("{:.1} {name} {}", ms(now()), level.trim());
            before = level;
        }
        thread::sleep(Duration::from_millis(2));
    }
}

fn pin(name: &str, device: &Path) -> Outcome {
    let mut device = File::open(device)?;
    println!("{:.1} {name} watched", ms(now()));
    let mut report = [0; 4];
    let mut before = None;
    loop {
        device.read_exact(&mut report)?;
        // Values, then which of them are outputs.
        let level = u8::from(report[1] & report[2] & 0b100 != 0);
        if before.replace(level) != Some(level) {
            println!("{:.1} {name} {level}", ms(now()));
        }
    }
}

/// A card whose other end is not there, or is started, breaks off: it is asked again.
fn sound(name: &str, device: &str) -> Outcome {
    loop {
        if let Err(e) = listen(name, device) {
            println!("{:.1} {name} broke off: {e}", ms(now()));
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn listen(name: &str, device: &str) -> Outcome {
    let pcm = PCM::new(device, Direction::Capture, false)?;
    {
        let params = HwParams::any(&pcm)?;
        params.set_access(Access::RWInterleaved)?;
        params.set_format(Format::s16())?;
        params.set_channels(1)?;
        params.set_rate(RATE, ValueOr::Nearest)?;
        params.set_period_size_near(PERIOD as i64, ValueOr::Nearest)?;
        params.set_buffer_size_near(20 * PERIOD as i64)?;
        pcm.hw_params(&params)?;
    }
    pcm.start()?;
    let samples = |count: i64| Duration::from_secs(count.max(0) as u64) / RATE;
    let mut period = [0; PERIOD];
    // Up: when it was last loud.
    let mut loud: Option<Duration> = None;
    println!("{:.1} {name} 0", ms(now()));
    loop {
        let read = pcm.io_i16()?.readi(&mut period)?;
        let end = now().saturating_sub(samples(pcm.avail_delay()?.0));
        let at = |n: usize| end.saturating_sub(samples((read - n) as i64));
        let is_loud = |sample: &i16| sample.unsigned_abs() > LOUD as u16;
        if let Some(first) = period[..read].iter().position(is_loud) {
            if loud.is_none() {
                println!("{:.1} {name} 1", ms(at(first)));
            }
            let last = period[..read].iter().rposition(is_loud).unwrap_or(first);
            loud = Some(at(last));
        } else if let Some(last) = loud
            && end.saturating_sub(last) > PAUSE
        {
            println!("{:.1} {name} 0", ms(last));
            loud = None;
        }
    }
}
