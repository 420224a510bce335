//! The guardian's log. Nobody may be kept on the air by a terminal that stands still or a full pipe: lines go
//! through a short queue to a thread that writes them, and what does not fit is counted and said.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use anyhow::{Context, Result};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::LogFormat;

const LINES: usize = 256;

#[derive(Clone)]
struct Queue {
    lines: SyncSender<Vec<u8>>,
    lost: Arc<AtomicU64>,
}

/// Lines that are not written yet.
static WAITING: AtomicU64 = AtomicU64::new(0);

/// One line, handed over when it is whole.
struct Entry {
    queue: Queue,
    text: Vec<u8>,
}

pub fn start(format: LogFormat) -> Result<()> {
    let (lines, written) = sync_channel(LINES);
    let lost = Arc::new(AtomicU64::new(0));
    let of_thread = lost.clone();
    std::thread::Builder::new()
        .name("log".to_string())
        .spawn(move || write(&written, &of_thread))
        .context("starting the log")?;
    let wanted = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(wanted)
        .with_writer(Queue { lines, lost })
        .with_ansi(false);
    match format {
        LogFormat::Text => log.with_target(false).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    Ok(())
}

/// The last words are out, or nobody reads them.
pub fn finish() {
    for _ in 0..20 {
        if WAITING.load(Ordering::Relaxed) == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn write(lines: &Receiver<Vec<u8>>, lost: &AtomicU64) {
    while let Ok(line) = lines.recv() {
        let mut stderr = io::stderr();
        // Whoever read it may be gone.
        let _ = stderr.write_all(&line);
        WAITING.fetch_sub(1, Ordering::Relaxed);
        let lost = lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let _ = writeln!(
                stderr,
                "the guardian's log was not read: {lost} line(s) lost"
            );
        }
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Entry;

    fn make_writer(&'a self) -> Entry {
        Entry {
            queue: self.clone(),
            text: Vec::new(),
        }
    }
}

impl Write for Entry {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let line = std::mem::take(&mut self.text);
        WAITING.fetch_add(1, Ordering::Relaxed);
        if self.queue.lines.try_send(line).is_err() {
            WAITING.fetch_sub(1, Ordering::Relaxed);
            self.queue.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}
