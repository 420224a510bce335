//! `pttd radio`.

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::http::Method;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::ask::{ask, part};
use super::span;
use super::table::{Column, cell, lines, show};
use crate::operator::Operator;
use crate::{Files, runtime, show::say};

#[derive(Args)]
#[command(after_help = "\
Examples:
  pttd radio list
  pttd radio watch
  pttd radio test-tone hall --for 2s
  pttd radio reload

It works only while pttd runs. A test tone goes on the air, to everyone on the radio's frequency.")]
pub struct Radio {
    #[command(flatten)]
    files: Files,
    #[command(subcommand)]
    what: RadioWhat,
}

#[derive(Subcommand)]
enum RadioWhat {
    /// Show each radio and desk as it is now.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show them live, until Ctrl-C.
    Watch {
        /// A line of JSON ten times a second.
        #[arg(long)]
        json: bool,
    },
    /// Send 1 kHz at -10 dBFS on the air, while the radio is idle.
    TestTone {
        id: String,
        /// How long, at most 5s.
        #[arg(long = "for", value_name = "TIME", value_parser = span, default_value = "5s")]
        length: Duration,
        /// End the one that runs.
        #[arg(long)]
        stop: bool,
    },
    /// Read radios and desks of the settings file again. What is on the air goes on until it is idle.
    Reload,
}

const COLUMNS: [Column; 11] = [
    ("RADIO", |r| cell(&r["id"])),
    ("CHANNEL", |r| cell(&r["channelId"])),
    ("STATE", |r| cell(&r["state"])),
    ("CARRIER", |r| match r["carrier"].as_bool() {
        Some(true) => "up".to_string(),
        _ => String::new(),
    }),
    ("SQUELCH", |r| cell(&r["squelch"])),
    ("TALKER", |r| cell(&r["talker"])),
    ("RX dBFS", |r| whole(&r["rxDb"])),
    ("TX dBFS", |r| whole(&r["txDb"])),
    ("TOT LEFT", |r| seconds(&r["totLeftMs"])),
    ("XRUNS", |r| cell(&r["xruns"])),
    ("PROBLEM", |r| cell(&r["problem"])),
];

impl Radio {
    pub fn run(&self) -> Result<()> {
        let one = |id: &str| format!("/radios/{}/test-tone", part(id));
        match &self.what {
            RadioWhat::List { json } => {
                let radios = ask(&self.files, Method::GET, "/radios", None)?;
                show(&radios, *json, "radios", &COLUMNS)
            }
            RadioWhat::Watch { json } => self.watch(*json),
            RadioWhat::TestTone { id, stop: true, .. } => {
                ask(&self.files, Method::DELETE, &one(id), None)?;
                say(&format!("{id}: the test tone is over"))
            }
            RadioWhat::TestTone { id, length, .. } => {
                let tone = json!({ "ms": length.as_millis() as u64 });
                ask(&self.files, Method::POST, &one(id), Some(tone))?;
                let seconds = length.as_secs_f64();
                say(&format!(
                    "{id}: the test tone is on the air for {seconds} s"
                ))
            }
            RadioWhat::Reload => {
                let reloaded = ask(&self.files, Method::POST, "/radios/reload", None)?;
                say(&format!("{} changed", cell(&reloaded["changed"])))
            }
        }
    }

    fn watch(&self, json: bool) -> Result<()> {
        let settings = self.files.settings()?;
        let in_place = !json && std::io::stdout().is_terminal();
        let mut drawn = 0;
        let each = |line: &[u8]| {
            let text = std::str::from_utf8(line).context("reading a line")?;
            if json {
                return say(text);
            }
            let radios: Value = serde_json::from_str(text).context("reading a line")?;
            let table = lines(&radios, "radios", &COLUMNS);
            // Up to where the last one began, and each line to its end.
            let up = match drawn {
                n if in_place && n > 0 => format!("\x1b[{n}A"),
                _ => String::new(),
            };
            drawn = table.len();
            let clear = if in_place { "\x1b[K" } else { "" };
            say(&format!("{up}{}{clear}", table.join(&format!("{clear}\n"))))
        };
        runtime()?.block_on(async {
            let operator = Operator::open(&settings, self.files.roster().as_deref()).await?;
            operator.follow("/radios/live", each).await
        })
    }
}

fn whole(value: &Value) -> String {
    value
        .as_f64()
        .map_or_else(String::new, |value| format!("{value:.0}"))
}

fn seconds(ms: &Value) -> String {
    ms.as_u64()
        .map_or_else(String::new, |ms| format!("{} s", ms / 1000))
}
