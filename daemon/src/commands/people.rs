//! `pttd user`, `pttd device` and `pttd session`.

use std::time::Duration;

use anyhow::Result;
use axum::http::Method;
use clap::{Args, Subcommand};
use pttd_core::wire::signal::Role;
use serde_json::{Map, Value, json};

use super::ask::{ask, part};
use super::span;
use super::table::{cell, moment, show};
use super::talk_groups::only_set;
use crate::{CliRole, Files, Invite, show::say, utc};

#[derive(Args)]
#[command(after_help = "\
Examples:
  pttd user list
  pttd user add --name \"Dora\" --role dispatch --channel ops --listen security
  pttd user set dora --emergency true
  pttd user remove dora

Adding somebody makes no link: `pttd invite --user dora` does, and `pttd invite --name` does both.
It works while pttd runs, at once, and while it does not.")]
pub struct User {
    #[command(flatten)]
    files: Files,
    #[command(subcommand)]
    what: UserWhat,
}

#[derive(Subcommand)]
enum UserWhat {
    /// Show everyone on the roster.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Put somebody on the roster.
    Add {
        /// Their id. Not said: made of the name.
        #[arg(required_unless_present = "name")]
        id: Option<String>,
        #[command(flatten)]
        settings: UserSettings,
    },
    /// Change what somebody is and may do; what is not said stays as it is.
    Set {
        id: String,
        #[command(flatten)]
        settings: UserSettings,
        /// Keep them on the roster for good.
        #[arg(long, conflicts_with = "ends_in")]
        no_end: bool,
    },
    /// Take somebody off the roster: their sessions end, and none of their devices comes back.
    Remove { id: String },
}

#[derive(Args)]
struct UserSettings {
    /// What the others read.
    #[arg(long)]
    name: Option<String>,
    /// What they are.
    #[arg(long)]
    role: Option<CliRole>,
    /// Whether they may raise an emergency.
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    emergency: Option<bool>,
    /// How long until they are taken off the roster again, as in 8h or 3d.
    #[arg(long, value_name = "TIME", value_parser = span)]
    ends_in: Option<Duration>,
    /// A channel to talk on, by id; may be given more than once. Replaces all they have.
    #[arg(long = "channel", value_name = "CHANNEL")]
    channels: Vec<String>,
    /// A channel to hear only.
    #[arg(long = "listen", value_name = "CHANNEL")]
    listen: Vec<String>,
}

impl UserSettings {
    fn body(&self) -> Value {
        let mut channels = Map::new();
        for (list, right) in [(&self.channels, "talk"), (&self.listen, "listen")] {
            channels.extend(list.iter().map(|id| (id.clone(), json!(right))));
        }
        let role = self.role.map(Role::from);
        only_set(json!({
            "name": self.name,
            "role": role,
            "emergency": self.emergency,
            "ends": self.ends_in.map(|time| utc::now() + time.as_secs()),
            "channels": (!channels.is_empty()).then_some(channels),
        }))
    }
}

impl User {
    pub fn run(&self) -> Result<()> {
        let files = &self.files;
        match &self.what {
            UserWhat::List { json } => {
                let users = ask(files, Method::GET, "/users", None)?;
                show(
                    &users,
                    *json,
                    "users",
                    &[
                        ("ID", |u| cell(&u["id"])),
                        ("NAME", |u| cell(&u["name"])),
                        ("ROLE", |u| cell(&u["role"])),
                        ("EMERGENCY", |u| cell(&u["emergency"])),
                        ("UNTIL", |u| moment(&u["ends"])),
                        ("CHANNELS", |u| channels(&u["channels"])),
                    ],
                )
            }
            UserWhat::Add { id, settings } => {
                let mut body = settings.body();
                if let Some(id) = id {
                    body["id"] = json!(id);
                }
                let added = ask(files, Method::POST, "/users", Some(body))?;
                let (name, id) = (cell(&added["name"]), cell(&added["id"]));
                say(&format!("{name} ({id}): added"))
            }
            UserWhat::Set {
                id,
                settings,
                no_end,
            } => {
                let mut body = settings.body();
                if *no_end {
                    body["ends"] = Value::Null;
                }
                let path = format!("/users/{}", part(id));
                let set = ask(files, Method::PATCH, &path, Some(body))?;
                say(&format!("{}: changed", cell(&set["name"])))
            }
            UserWhat::Remove { id } => {
                let path = format!("/users/{}", part(id));
                ask(files, Method::DELETE, &path, None)?;
                say(&format!("{id}: off the roster"))
            }
        }
    }
}

pub(super) fn channels(channels: &Value) -> String {
    let none = Map::new();
    let channels = channels.as_object().unwrap_or(&none).iter();
    let written = channels.map(|(id, right)| match right.as_str() {
        Some("listen") => format!("{id} (listen)"),
        _ => id.clone(),
    });
    written.collect::<Vec<_>>().join(", ")
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  pttd device list
  pttd device add anna
  pttd device remove 3f1c8a9b0d2e4f57

A device adds itself by the link that `pttd device add` makes, as `pttd invite --user` does too. There is nothing
to set about one: what it may do is its person's (`pttd user set`, `pttd member set`).
`pttd withdraw --user` locks all devices of a person out, and their invitations with them.")]
pub struct Device {
    #[command(flatten)]
    files: Files,
    #[command(subcommand)]
    what: DeviceWhat,
}

#[derive(Subcommand)]
enum DeviceWhat {
    /// Show the devices that may come in.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make a link that lets one more device of somebody on the roster in, as text and as a QR code.
    Add {
        /// Whose it is, by id.
        user: String,
        /// How long the link lets a device in.
        #[arg(long, default_value_t = 24, value_name = "N")]
        hours: u32,
        /// Print one line of JSON and nothing else.
        #[arg(long)]
        json: bool,
    },
    /// Lock a device out: its sessions end, and it does not come back.
    Remove { id: String },
}

impl Device {
    pub fn run(&self) -> Result<()> {
        match &self.what {
            DeviceWhat::List { json } => {
                let devices = ask(&self.files, Method::GET, "/devices", None)?;
                show(
                    &devices,
                    *json,
                    "devices",
                    &[
                        ("ID", |d| cell(&d["id"])),
                        ("NAME", |d| cell(&d["name"])),
                        ("USER", |d| cell(&d["userId"])),
                        ("SINCE", |d| moment(&d["since"])),
                        ("ONLINE", |d| cell(&d["online"])),
                    ],
                )
            }
            DeviceWhat::Add { user, hours, json } => crate::invite(Invite {
                files: self.files.clone(),
                user: Some(user.clone()),
                name: None,
                channels: Vec::new(),
                role: None,
                emergency: false,
                hours: *hours,
                devices: 1,
                ends_in: None,
                json: *json,
                csv: None,
                sheet: None,
            }),
            DeviceWhat::Remove { id } => {
                let path = format!("/devices/{}", part(id));
                ask(&self.files, Method::DELETE, &path, None)?;
                say(&format!("{id}: locked out"))
            }
        }
    }
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  pttd session list
  pttd session remove 12

Whoever is sent away may sign in again; `pttd device remove` keeps them out.")]
pub struct Session {
    #[command(flatten)]
    files: Files,
    #[command(subcommand)]
    what: SessionWhat,
}

#[derive(Subcommand)]
enum SessionWhat {
    /// Show who is signed in now.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Send a device away.
    Remove { id: u64 },
}

impl Session {
    pub fn run(&self) -> Result<()> {
        match &self.what {
            SessionWhat::List { json } => {
                let sessions = ask(&self.files, Method::GET, "/sessions", None)?;
                show(
                    &sessions,
                    *json,
                    "sessions",
                    &[
                        ("ID", |s| cell(&s["sessionId"])),
                        ("NAME", |s| cell(&s["name"])),
                        ("USER", |s| cell(&s["userId"])),
                        ("ADDRESS", |s| cell(&s["address"])),
                        ("SINCE", |s| moment(&s["since"])),
                        ("PRESENCE", |s| cell(&s["presence"])),
                        ("POSITION", |s| cell(&s["position"])),
                        ("CHANNELS", |s| joined(&s["channels"])),
                    ],
                )
            }
            SessionWhat::Remove { id } => {
                let path = format!("/sessions/{id}");
                ask(&self.files, Method::DELETE, &path, None)?;
                say(&format!("session {id}: ended"))
            }
        }
    }
}

fn joined(channels: &Value) -> String {
    let none = Vec::new();
    let channels = channels.as_array().unwrap_or(&none).iter();
    let written = channels.map(|channel| {
        let id = cell(&channel["channelId"]);
        match (channel["talking"].as_bool(), channel["muted"].as_bool()) {
            (Some(true), _) => format!("{id} (talking)"),
            (_, Some(true)) => format!("{id} (muted)"),
            _ => id,
        }
    });
    written.collect::<Vec<_>>().join(", ")
}
