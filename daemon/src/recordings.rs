//! `pttd recordings`: what was said, listed and taken away.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};
use serde::Serialize;
use sha2::{Digest, Sha256};
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

use crate::api::recordings::{Entries, Entry};
use crate::operator::Operator;
use crate::recorder::{hex, moment};
use crate::show;

#[derive(Subcommand)]
pub enum Recordings {
    /// Say what there is, newest first.
    List {
        #[command(flatten)]
        which: Which,
        /// Print one line of JSON for each and nothing else.
        #[arg(long)]
        json: bool,
    },
    /// Copy them to a folder, each checked against its SHA-256, with an index.csv that says what they are.
    Export {
        #[command(flatten)]
        which: Which,
        /// The folder; made where there is none.
        #[arg(long, value_name = "FOLDER")]
        to: PathBuf,
    },
}

#[derive(Args)]
pub struct Which {
    /// Only of this channel, by id.
    #[arg(long, value_name = "ID")]
    channel: Option<String>,
    /// Only of this talker, by id.
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Only what began then or later: 2026-05-01 or 2026-05-01T18:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = utc_ms)]
    after: Option<u64>,
    /// Only what began earlier.
    #[arg(long, value_name = "TIME", value_parser = utc_ms)]
    before: Option<u64>,
}

fn utc_ms(text: &str) -> Result<u64, String> {
    let day = format_description!("[year]-[month]-[day]");
    let moment = Date::parse(text, day)
        .map(|day| day.midnight().assume_utc())
        .or_else(|_not_a_day| OffsetDateTime::parse(text, &Rfc3339));
    let ms = moment.ok().map(|at| at.unix_timestamp_nanos() / 1_000_000);
    ms.and_then(|ms| u64::try_from(ms).ok())
        .ok_or_else(|| "write a day as 2026-05-01, or a time as 2026-05-01T18:00:00Z".to_string())
}

pub async fn carry_out(what: Recordings, operator: &Operator) -> Result<()> {
    match what {
        Recordings::List { which, json } => {
            let entries = which.ask(operator).await?;
            let lines: Vec<String> = match json {
                true => entries
                    .iter()
                    .map(serde_json::to_string)
                    .collect::<Result<_, _>>()?,
                false => entries.iter().map(line).collect(),
            };
            match lines.is_empty() && !json {
                true => show::say("there are no recordings"),
                false => show::say(&lines.join("\n")),
            }
        }
        Recordings::Export { which, to } => {
            let entries = which.ask(operator).await?;
            export(&entries, &to, operator).await
        }
    }
}

impl Which {
    /// All of them, in as many answers as it takes.
    async fn ask(&self, operator: &Operator) -> Result<Vec<Entry>> {
        let mut query = url::form_urlencoded::Serializer::new(String::from("limit=500"));
        for (name, value) in [("channel", &self.channel), ("user", &self.user)] {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        if let Some(after) = self.after {
            query.append_pair("after", &after.to_string());
        }
        if let Some(before) = self.before {
            query.append_pair("before", &before.to_string());
        }
        let query = query.finish();
        let mut path = format!("/recordings?{query}");
        let mut all = Vec::new();
        loop {
            let answer: Entries = operator.get(&path).await?;
            all.extend(answer.recordings);
            let Some(next) = answer.next else {
                return Ok(all);
            };
            path = format!("/recordings?{query}&beforeId={next}");
        }
    }
}

fn line(entry: &Entry) -> String {
    let began = moment(entry.began);
    let whole = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    let began = began.format(whole).unwrap_or_default();
    let seconds = entry.duration_ms as f64 / 1000.0;
    let missing = if entry.complete { "" } else { "  incomplete" };
    format!(
        "{began} UTC  {seconds:6.1} s  {}  {}{missing}",
        entry.channel_id, entry.name
    )
}

/// One line of index.csv.
#[derive(Serialize)]
struct Line<'a> {
    file: &'a str,
    transmission: u64,
    channel: &'a str,
    channel_name: &'a str,
    user: &'a str,
    name: &'a str,
    began_utc: String,
    duration_ms: u64,
    level: pttd_core::wire::signal::Level,
    reason: pttd_core::wire::signal::EndReason,
    bytes: u64,
    sha256: &'a str,
    complete: bool,
    dropped_packets: u64,
}

async fn export(entries: &[Entry], to: &Path, operator: &Operator) -> Result<()> {
    std::fs::create_dir_all(to).with_context(|| format!("making {}", to.display()))?;
    let mut index = csv::Writer::from_path(to.join("index.csv"))
        .with_context(|| format!("writing {}", to.join("index.csv").display()))?;
    let mut left_out = 0;
    for entry in entries {
        let file = file_name(entry);
        if let Err(error) = copy(entry, &to.join(&file), operator).await {
            left_out += 1;
            eprintln!("not exported: {}: {error:#}", line(entry));
            continue;
        }
        index.serialize(Line {
            file: &file,
            transmission: entry.transmission_id,
            channel: &entry.channel_id,
            channel_name: &entry.channel_name,
            user: &entry.user_id,
            name: &entry.name,
            began_utc: moment(entry.began).format(&Rfc3339)?,
            duration_ms: entry.duration_ms,
            level: entry.level,
            reason: entry.reason,
            bytes: entry.bytes,
            sha256: &entry.sha256,
            complete: entry.complete,
            dropped_packets: entry.dropped_packets,
        })?;
    }
    index.flush().context("writing index.csv")?;
    show::say(&format!(
        "{} recordings are in {}; index.csv there says what they are",
        entries.len() - left_out,
        to.display()
    ))?;
    if left_out > 0 {
        bail!(
            "{left_out} of {} recordings could not be exported",
            entries.len()
        );
    }
    Ok(())
}

async fn copy(entry: &Entry, to: &Path, operator: &Operator) -> Result<()> {
    let path = format!("/recordings/{}/audio", entry.transmission_id);
    let bytes = operator.bytes(&path).await?;
    let sha256 = hex(&Sha256::digest(&bytes));
    ensure!(
        sha256 == entry.sha256,
        "its file is not what was recorded: the SHA-256 is {sha256}, not {}",
        entry.sha256
    );
    std::fs::write(to, &bytes).with_context(|| format!("writing {}", to.display()))
}

/// By time, channel and talker, so that they lie in order.
fn file_name(entry: &Entry) -> String {
    let stamp =
        format_description!("[year][month][day]T[hour][minute][second].[subsecond digits:3]Z");
    let began = moment(entry.began).format(stamp).unwrap_or_default();
    format!("{began}-{}-{}.opus", entry.channel_id, entry.user_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_day_or_a_moment() {
        assert_eq!(utc_ms("1970-01-02"), Ok(86_400_000));
        assert_eq!(utc_ms("1970-01-01T01:00:00+01:00"), Ok(0));
        assert_eq!(utc_ms("1970-01-01T00:00:01.5Z"), Ok(1500));
        for wrong in ["", "yesterday", "1969-12-31", "1970-13-01"] {
            assert!(utc_ms(wrong).is_err(), "{wrong}");
        }
    }
}
