//! `pttd log` and `pttd roll-call`.

use anyhow::Result;
use axum::http::Method;
use clap::Args;
use serde_json::Value;

use super::ask::{ask, part};
use super::table::{cell, moment, show};
use crate::{Files, show::say};

#[derive(Args)]
#[command(after_help = "\
Examples:
  pttd log -n 200
  pttd log --user ben
  pttd log --channel ops --search emergency
  pttd log --json -n 1000 > journal.jsonl")]
pub struct Log {
    #[command(flatten)]
    files: Files,
    /// How many of the newest, 1 to 1000.
    #[arg(short = 'n', long = "number", default_value_t = 50, value_name = "N")]
    number: u32,
    /// By or about this person only, by id.
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// On this channel only, by id.
    #[arg(long, value_name = "ID")]
    channel: Option<String>,
    /// With these words only.
    #[arg(long, value_name = "WORDS")]
    search: Option<String>,
    /// One line of JSON for each.
    #[arg(long)]
    json: bool,
}

impl Log {
    pub fn run(&self) -> Result<()> {
        let mut path = format!("/log?limit={}", self.number);
        let asked = [
            ("user", &self.user),
            ("channel", &self.channel),
            ("q", &self.search),
        ];
        for (name, value) in asked {
            if let Some(value) = value {
                path.push_str(&format!("&{name}={}", part(value)));
            }
        }
        let log = ask(&self.files, Method::GET, &path, None)?;
        let none = Vec::new();
        let entries = log["entries"].as_array().unwrap_or(&none).iter().rev();
        let lines: Vec<String> = match self.json {
            true => entries.map(Value::to_string).collect(),
            false => entries.map(line).collect(),
        };
        match lines.is_empty() {
            true => Ok(()),
            false => say(&lines.join("\n")),
        }
    }
}

fn line(entry: &Value) -> String {
    let at = entry["at"].as_u64().unwrap_or(0) / 1000;
    let (from, text) = (cell(&entry["from"]), cell(&entry["text"]));
    format!("{}  {from:<15}  {text}", moment(&at.into()))
}

#[derive(Args)]
pub struct RollCall {
    #[command(flatten)]
    files: Files,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

impl RollCall {
    pub fn run(&self) -> Result<()> {
        let people = ask(&self.files, Method::GET, "/roll-call", None)?;
        show(
            &people,
            self.json,
            "people",
            &[
                ("NAME", |p| cell(&p["name"])),
                ("USER", |p| cell(&p["userId"])),
                ("ONLINE", |p| cell(&p["online"])),
                ("LAST HEARD", |p| last(&p["lastHeard"])),
                ("TIMES", |p| cell(&p["transmissions"])),
                ("SECONDS", |p| rounded(&p["seconds"])),
                ("LEVEL", |p| unit(&p["levelDb"], "dB")),
                ("LOST", |p| unit(&p["lostPercent"], "%")),
            ],
        )
    }
}

fn last(ms: &Value) -> String {
    ms.as_u64()
        .map_or_else(String::new, |ms| moment(&(ms / 1000).into()))
}

fn rounded(value: &Value) -> String {
    value
        .as_f64()
        .map_or_else(String::new, |value| format!("{value:.1}"))
}

fn unit(value: &Value, unit: &str) -> String {
    match value.is_null() {
        true => String::new(),
        false => format!("{} {unit}", rounded(value)),
    }
}
