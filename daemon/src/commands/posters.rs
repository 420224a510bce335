//! `pttd poster`: by which people let themselves in, and who waits at the door.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::http::Method;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::ask::{ask, ask_bytes, part};
use super::people::channels;
use super::span;
use super::table::{cell, moment, show};
use crate::{Files, show::say, utc};

#[derive(Args)]
#[command(after_help = "\
Examples:
  pttd poster add --name \"Volunteers\" --channel ops --listen stage --limit 50 --ends-in 12h \\
    --wifi \"Event crew\" --wifi-password \"sunshine 2027\" --out volunteers.html
  pttd poster sheet 65111e76fbc49c05 --out volunteers.html
  pttd poster arrivals
  pttd poster admit 0f3c5a7b9d1e2f40

Open the sheet in a browser and print it. It works while pttd runs, at once, and while it does not.")]
pub struct Poster {
    #[command(flatten)]
    files: Files,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Show the posters that hang.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Hang a poster up: whoever scans it and types a name is in as a guest.
    Add(Add),
    /// Take a poster down. Who came in by it stays in.
    Remove { id: String },
    /// Write a poster to a file (HTML, A4), to print it again.
    Sheet {
        id: String,
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Show who waits to be let in.
    Arrivals {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Let somebody in who waits.
    Admit { id: String },
    /// Turn somebody away who waits.
    TurnAway { id: String },
}

#[derive(Args)]
struct Add {
    /// What it says on top.
    #[arg(long)]
    name: String,
    /// A channel its guests talk on, by id; may be given more than once.
    #[arg(long = "channel", value_name = "CHANNEL")]
    channels: Vec<String>,
    /// A channel its guests only hear.
    #[arg(long = "listen", value_name = "CHANNEL")]
    listen: Vec<String>,
    /// How many people it lets in, 1 to 1000.
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: u32,
    /// How long it lets people in, as in 12h or 3d.
    #[arg(long, default_value = "12h", value_name = "TIME", value_parser = span)]
    ends_in: Duration,
    /// How many hours each guest stays on the roster, 1 to 744.
    #[arg(long, default_value_t = 24, value_name = "N")]
    guest_hours: u32,
    /// Whoever scans it waits until a dispatcher or an admin lets them in.
    #[arg(long)]
    approval: bool,
    /// The name of the Wi-Fi it leads to first.
    #[arg(long, value_name = "SSID")]
    wifi: Option<String>,
    /// The password of that Wi-Fi. Not said: it is open.
    #[arg(long, value_name = "PASSWORD", requires = "wifi")]
    wifi_password: Option<String>,
    /// Write it to this file, to print it.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Add {
    fn body(&self) -> Value {
        let mut channels = Map::new();
        for (list, right) in [(&self.channels, "talk"), (&self.listen, "listen")] {
            channels.extend(list.iter().map(|id| (id.clone(), json!(right))));
        }
        let wifi = self.wifi.as_ref();
        json!({
            "name": self.name,
            "channels": channels,
            "limit": self.limit,
            "ends": utc::now() + self.ends_in.as_secs(),
            "approval": self.approval,
            "guestHours": self.guest_hours,
            "wifi": wifi.map(|ssid| json!({ "ssid": ssid, "password": self.wifi_password })),
        })
    }
}

impl Poster {
    pub fn run(&self) -> Result<()> {
        let files = &self.files;
        match &self.what {
            What::List { json } => {
                let posters = ask(files, Method::GET, "/posters", None)?;
                show(
                    &posters,
                    *json,
                    "posters",
                    &[
                        ("ID", |p| cell(&p["id"])),
                        ("NAME", |p| cell(&p["name"])),
                        ("CAME IN", |p| {
                            format!("{} of {}", cell(&p["used"]), cell(&p["limit"]))
                        }),
                        ("UNTIL", |p| moment(&p["ends"])),
                        ("APPROVAL", |p| cell(&p["approval"])),
                        ("STAY", |p| format!("{} h", cell(&p["guestHours"]))),
                        ("CHANNELS", |p| channels(&p["channels"])),
                    ],
                )
            }
            What::Add(add) => {
                let hung = ask(files, Method::POST, "/posters", Some(add.body()))?;
                let (id, link) = (cell(&hung["id"]), cell(&hung["link"]));
                say(&format!("{id}: {link}"))?;
                match &add.out {
                    Some(out) => self.sheet(&id, out),
                    None => say(&format!(
                        "print it: pttd poster sheet {id} --out poster.html"
                    )),
                }
            }
            What::Remove { id } => {
                let path = format!("/posters/{}", part(id));
                ask(files, Method::DELETE, &path, None)?;
                say(&format!("{id}: taken down"))
            }
            What::Sheet { id, out } => self.sheet(id, out),
            What::Arrivals { json } => {
                let arrivals = ask(files, Method::GET, "/arrivals", None)?;
                show(
                    &arrivals,
                    *json,
                    "arrivals",
                    &[
                        ("ID", |a| cell(&a["id"])),
                        ("NAME", |a| cell(&a["name"])),
                        ("SINCE", |a| moment(&a["since"])),
                        ("POSTER", |a| cell(&a["poster"])),
                    ],
                )
            }
            What::Admit { id } => {
                let admitted = self.decide(id, true)?;
                let (name, user) = (cell(&admitted["name"]), cell(&admitted["userId"]));
                say(&format!("{name} ({user}): let in"))
            }
            What::TurnAway { id } => {
                let turned_away = self.decide(id, false)?;
                say(&format!("{}: turned away", cell(&turned_away["name"])))
            }
        }
    }

    fn decide(&self, id: &str, admit: bool) -> Result<Value> {
        let path = format!("/arrivals/{}", part(id));
        let decision = json!({ "admit": admit });
        ask(&self.files, Method::POST, &path, Some(decision))
    }

    fn sheet(&self, id: &str, out: &PathBuf) -> Result<()> {
        let path = format!("/posters/{}/sheet", part(id));
        let sheet = ask_bytes(&self.files, Method::GET, &path, None)?;
        std::fs::write(out, sheet)
            .with_context(|| format!("writing the poster to {}", out.display()))?;
        say(&format!(
            "the poster is in {}: open it in a browser and print it",
            out.display()
        ))
    }
}
