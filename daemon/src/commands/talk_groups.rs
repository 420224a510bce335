//! `pttd channel` and `pttd member`.

use std::time::Duration;

use anyhow::Result;
use axum::http::Method;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::ask::{ask, part};
use super::span;
use super::table::{cell, show};
use crate::{Files, show::say};

#[derive(Args)]
#[command(after_help = "\
Examples:
  pttd channel list
  pttd channel add stage2 --name \"Stage 2\" --group Show --record 7d --talk-limit 45s
  pttd channel set ops --record off
  pttd channel remove stage2

It works while pttd runs, at once, and while it does not.")]
pub struct Channel {
    #[command(flatten)]
    files: Files,
    #[command(subcommand)]
    what: ChannelWhat,
}

#[derive(Subcommand)]
enum ChannelWhat {
    /// Show every channel.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Add a channel; then add its members.
    Add {
        /// Its id: 1 to 64 of a-z, A-Z, 0-9, dot, dash and underscore.
        id: String,
        #[command(flatten)]
        settings: ChannelSettings,
    },
    /// Change a channel; what is not said stays as it is.
    Set {
        id: String,
        #[command(flatten)]
        settings: ChannelSettings,
        /// Show it under no heading any more.
        #[arg(long, conflicts_with = "group")]
        no_group: bool,
    },
    /// Remove a channel: everyone is taken off it.
    Remove { id: String },
}

#[derive(Args)]
struct ChannelSettings {
    /// What people read.
    #[arg(long)]
    name: Option<String>,
    /// The heading under which pages show it.
    #[arg(long)]
    group: Option<String>,
    /// What becomes of a request while someone talks.
    #[arg(long)]
    policy: Option<Policy>,
    /// How many may wait for the floor, 0 to 32.
    #[arg(long, value_name = "N")]
    queue_depth: Option<u32>,
    /// Longest transmission, 5s to 10m.
    #[arg(long, value_name = "TIME", value_parser = span)]
    talk_limit: Option<Duration>,
    /// Audio still let through after the talk limit, 0s to 3s.
    #[arg(long, value_name = "TIME", value_parser = span)]
    grace: Option<Duration>,
    /// Time without audio after which the floor is taken back, 2s to 10s.
    #[arg(long, value_name = "TIME", value_parser = span)]
    silence: Option<Duration>,
    /// How long what is said is kept: off, 1m to 1440m, or 1d to 365d.
    #[arg(long, value_name = "TIME")]
    record: Option<String>,
    /// Whoever talks hears themselves afterwards, and nobody else hears them.
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    echo: Option<bool>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Policy {
    /// A higher level takes the floor at once, the others wait.
    Preempt,
    /// Everyone waits.
    Queue,
    /// Nobody waits.
    Deny,
}

impl ChannelSettings {
    fn body(&self) -> Value {
        let ms = |time: Option<Duration>| time.map(|time| time.as_millis() as u64);
        let policy = self.policy.map(|policy| match policy {
            Policy::Preempt => "preempt",
            Policy::Queue => "queue",
            Policy::Deny => "deny",
        });
        only_set(json!({
            "name": self.name,
            "group": self.group,
            "policy": policy,
            "queueDepth": self.queue_depth,
            "talkLimitMs": ms(self.talk_limit),
            "graceMs": ms(self.grace),
            "silenceMs": ms(self.silence),
            "record": self.record,
            "echo": self.echo,
        }))
    }
}

/// Without what was not said.
pub(super) fn only_set(mut body: Value) -> Value {
    if let Some(fields) = body.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    body
}

impl Channel {
    pub fn run(&self) -> Result<()> {
        let files = &self.files;
        match &self.what {
            ChannelWhat::List { json } => {
                let channels = ask(files, Method::GET, "/channels", None)?;
                show(
                    &channels,
                    *json,
                    "channels",
                    &[
                        ("ID", |c| cell(&c["id"])),
                        ("NAME", |c| cell(&c["name"])),
                        ("GROUP", |c| cell(&c["group"])),
                        ("MEMBERS", |c| cell(&c["members"])),
                        ("POLICY", |c| cell(&c["policy"])),
                        ("QUEUE", |c| cell(&c["queueDepth"])),
                        ("TALK LIMIT", |c| seconds(&c["talkLimitMs"])),
                        ("RECORD", |c| cell(&c["record"])),
                        ("ECHO", |c| cell(&c["echo"])),
                    ],
                )
            }
            ChannelWhat::Add { id, settings } => {
                let mut body = settings.body();
                body["id"] = json!(id);
                let added = ask(files, Method::POST, "/channels", Some(body))?;
                say(&format!("{}: added", cell(&added["name"])))
            }
            ChannelWhat::Set {
                id,
                settings,
                no_group,
            } => {
                let mut body = settings.body();
                if *no_group {
                    body["group"] = Value::Null;
                }
                let path = format!("/channels/{}", part(id));
                let set = ask(files, Method::PATCH, &path, Some(body))?;
                say(&format!("{}: changed", cell(&set["name"])))
            }
            ChannelWhat::Remove { id } => {
                let path = format!("/channels/{}", part(id));
                ask(files, Method::DELETE, &path, None)?;
                say(&format!("{id}: removed"))
            }
        }
    }
}

fn seconds(ms: &Value) -> String {
    let ms = ms.as_u64().unwrap_or(0);
    format!("{} s", ms as f64 / 1000.0)
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  pttd member list ops
  pttd member add ops anna --right listen
  pttd member remove ops ben

Whoever is taken off a channel while they talk there is cut before the command ends.
It works while pttd runs, at once, and while it does not.")]
pub struct Member {
    #[command(flatten)]
    files: Files,
    #[command(subcommand)]
    what: MemberWhat,
}

#[derive(Subcommand)]
enum MemberWhat {
    /// Show who belongs to a channel.
    List {
        channel: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Put someone on a channel.
    Add {
        channel: String,
        user: String,
        /// What they may do there.
        #[arg(long, default_value = "talk")]
        right: Right,
    },
    /// Change what someone may do on a channel.
    Set {
        channel: String,
        user: String,
        #[arg(long)]
        right: Right,
    },
    /// Take someone off a channel.
    Remove { channel: String, user: String },
}

#[derive(Clone, Copy, ValueEnum)]
enum Right {
    Talk,
    Listen,
}

impl Member {
    pub fn run(&self) -> Result<()> {
        let files = &self.files;
        let path = |channel: &str, user: &str| {
            format!("/channels/{}/members/{}", part(channel), part(user))
        };
        match &self.what {
            MemberWhat::List { channel, json } => {
                let path = format!("/channels/{}/members", part(channel));
                let members = ask(files, Method::GET, &path, None)?;
                show(
                    &members,
                    *json,
                    "members",
                    &[
                        ("ID", |m| cell(&m["userId"])),
                        ("NAME", |m| cell(&m["name"])),
                        ("RIGHT", |m| cell(&m["right"])),
                    ],
                )
            }
            MemberWhat::Add {
                channel,
                user,
                right,
            }
            | MemberWhat::Set {
                channel,
                user,
                right,
            } => {
                let right = match right {
                    Right::Talk => "talk",
                    Right::Listen => "listen",
                };
                let body = json!({ "right": right });
                ask(files, Method::PUT, &path(channel, user), Some(body))?;
                say(&format!("{user} may {right} on {channel}"))
            }
            MemberWhat::Remove { channel, user } => {
                ask(files, Method::DELETE, &path(channel, user), None)?;
                say(&format!("{user} is off {channel}"))
            }
        }
    }
}
