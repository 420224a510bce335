//! pttd, a push-to-talk gateway. Phones and laptops on its network open a page and push to talk.

mod admin;
mod api;
mod commands;
mod config;
mod figures;
mod guardian;
mod guests;
mod health;
mod invite;
mod journal;
mod listen;
mod media;
mod operator;
mod origins;
mod pki;
mod poster;
mod radio;
mod reactor;
mod recorder;
mod recordings;
mod roster_file;
mod run;
mod setup;
mod sheet;
mod show;
mod sign_in;
mod signaling;
mod store;
mod tokens;
mod toml_file;
mod utc;
mod web;
mod withdraw;
mod wizard;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::LazyLock;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand, ValueEnum};
use nix::sys::stat::{Mode, umask};
use pttd_core::ids::UserId;
use pttd_core::wire::signal::Role;
use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, Settings};
use crate::invite::{Guest, Inviter, Refused, Who};
use crate::operator::Operator;
use crate::recordings::Recordings;
use crate::store::{AsOwner, By};
use crate::toml_file::Mistake;
use crate::withdraw::{What, Withdrawn};

/// Libraries warn about each packet that is not to their taste, and anyone can send them: 500 lines for one
/// datagram of STUN were seen.
const QUIET: &str = "info,sled=warn,str0m=error,is=error,dimpl=error,sctp_proto=error";

/// EX_USAGE of sysexits.h: what the operator wrote is wrong, and no restart makes it right.
const BAD_SETTINGS: u8 = 64;

/// A push-to-talk gateway: phones and laptops on its network open a page and push to talk.
#[derive(Parser)]
#[command(
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  pttd run --config /etc/pttd/pttd.toml
  pttd invite --name \"Anna Smith\" --channel ops --channel stage
  pttd invite --csv stewards.csv --sheet cards.html
  pttd channel add stage2 --name \"Stage 2\" --record 7d
  pttd member remove ops ben
  pttd log -n 20
  pttd check --config /etc/pttd/pttd.toml"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start the box and stay until SIGTERM or Ctrl-C.
    Run(Run),
    /// Read settings and roster and say what is wrong with them, without starting anything.
    #[command(after_help = "\
Prints one sentence with the file and the line of the first mistake and ends with code 64, or says that
all is good and ends with code 0.")]
    Check(Files),
    /// Own the PTT lines, and unkey whatever no orders keep keyed. systemd starts it, or `pttd run` does.
    #[command(after_help = "\
Reads [guardian] and the PTT lines of each [[radio]] in the settings, and reads them again on SIGHUP;
what is keyed then changes once it is not. On SIGTERM it unkeys everything and ends.")]
    Guardian(guardian::Guardian),
    /// Take radios off the air, now.
    #[command(after_help = "\
Examples:
  pttd unkey --all
  pttd unkey --radio hall

Asks the guardian, and opens the PTT lines itself only where none runs. A radio that pttd keeps keying stays
down until pttd pauses for a second. Ends with code 0 when the lines are down.")]
    Unkey(guardian::unkey::Unkey),
    /// Make a link that lets a person's phone in, as text and as a QR code.
    #[command(after_help = "\
Examples:
  Someone new, until tomorrow, on one phone:
    pttd invite --name \"Anna Smith\" --channel ops --channel stage
  A dispatcher with a phone and a tablet, for three days:
    pttd invite --name Ben --channel ops --role dispatch --devices 2 --hours 72
  A guest, who is off the roster again tonight:
    pttd invite --name Gus --channel ops --ends-in 8h
  A new phone for someone on the roster:
    pttd invite --user anna
  Thirty stewards, as a sheet of cards to print; stewards.csv starts with
  the line  name,channels,role,hours,devices  and has channels like  ops; stage:
    pttd invite --csv stewards.csv --sheet cards.html

It works while pttd runs, and while it does not.")]
    Invite(Box<Invite>),
    /// Take an invitation back, or lock a person's devices out.
    #[command(after_help = "\
Examples:
  A link that went to the wrong person, before it is used:
    pttd withdraw --link https://192.168.1.5/#i=UOvXWCAfaaEZ5AwWH3JrbA
  A lost phone: end all of Anna's links and devices; then invite her anew:
    pttd withdraw --user anna

It works while pttd runs, and while it does not. Who is given tokens (JWT) can come in with the next one:
take them off the issuer's list as well.")]
    Withdraw(Withdraw),
    /// List, add, change and remove channels.
    Channel(commands::Channel),
    /// List, add, change and remove the people on the roster.
    User(commands::User),
    /// List, add, change and remove who belongs to a channel.
    Member(commands::Member),
    /// Hang posters up by which people let themselves in, print them, and mind the door.
    Poster(commands::Poster),
    /// List the devices that may come in, add one for somebody, and lock one out.
    Device(commands::Device),
    /// List the devices that are signed in now, and send one away.
    Session(commands::Session),
    /// List what a radio may be wired to: sound cards, GPIO lines, CM108 fobs and serial ports.
    Devices(commands::Devices),
    /// Watch the radios, send a test tone, read their settings again.
    Radio(commands::Radio),
    /// Read the journal: who did what, when and from where, newest last.
    Log(commands::Log),
    /// Who was heard today, how loud and how well, and who is there now.
    RollCall(commands::RollCall),
    /// List or take away what was said on recorded channels.
    #[command(after_help = "\
Examples:
  What was said on ops since the morning:
    pttd recordings list --channel ops --after 2026-05-01T06:00:00Z
  Everything of a day, to keep:
    pttd recordings export --to /media/usb/friday --after 2026-05-01 --before 2026-05-02

It works while pttd runs, and while it does not.")]
    Recordings {
        #[command(flatten)]
        files: Files,
        #[command(subcommand)]
        what: Recordings,
    },
}

/// Where settings, state and the first roster are.
#[derive(Args, Clone)]
struct Files {
    /// The settings. Without one, the defaults of pttd.example.toml.
    #[arg(long, value_name = "FILE", env = "PTTD_CONFIG", global = true)]
    config: Option<PathBuf>,
    /// The folder of the box's memory, instead of the one in the settings.
    #[arg(long, value_name = "DIR", env = "PTTD_STATE", global = true)]
    state: Option<PathBuf>,
    /// Channels and people of a box that has none yet. Default: roster.toml beside the settings, else three
    /// of each to try things out.
    #[arg(long, value_name = "FILE", global = true)]
    roster: Option<PathBuf>,
}

#[derive(Args)]
struct Run {
    #[command(flatten)]
    files: Files,
    /// Print a link and a QR code for each person on the roster.
    #[arg(long)]
    invite_everyone: bool,
    /// Write the ports and fingerprints to this file (JSON) once everything listens.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

#[derive(Args)]
struct Invite {
    #[command(flatten)]
    files: Files,
    /// Somebody on the roster, by id.
    #[arg(long, value_name = "ID", conflicts_with_all = ["name", "csv"], required_unless_present_any = ["name", "csv"])]
    user: Option<String>,
    /// Somebody by name; who is not on the roster yet is added to it.
    #[arg(long, conflicts_with = "csv")]
    name: Option<String>,
    /// A channel to talk on, by id or name; may be given more than once.
    #[arg(long = "channel", value_name = "CHANNEL", num_args = 1.., conflicts_with = "csv")]
    channels: Vec<String>,
    /// What the person is: a user, a dispatcher (may take the floor from users), or an admin.
    #[arg(long, conflicts_with = "csv")]
    role: Option<CliRole>,
    /// Give the right to talk in an emergency, before everybody else.
    #[arg(long, conflicts_with = "csv")]
    emergency: bool,
    /// How long the link lets devices in. Who is in stays in.
    #[arg(long, default_value_t = 24, value_name = "N", conflicts_with = "csv")]
    hours: u32,
    /// How many devices it lets in.
    #[arg(long, default_value_t = 1, value_name = "N", conflicts_with = "csv")]
    devices: u32,
    /// For a guest: how long until they are taken off the roster again, as in 8h or 3d.
    #[arg(long, value_name = "TIME", conflicts_with = "csv", value_parser = commands::span)]
    ends_in: Option<std::time::Duration>,
    /// Print one line of JSON for each person and nothing else.
    #[arg(long)]
    json: bool,
    /// People to invite, one a line, with a first line that names the columns: name,channels,role,hours,devices.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write cards to print and hand out to this file (HTML) instead of showing the links.
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    sheet: Option<PathBuf>,
}

#[derive(Args)]
struct Withdraw {
    #[command(flatten)]
    files: Files,
    /// Everything a person was given: their links end, their devices are sent away and stay out.
    #[arg(long, value_name = "ID", required_unless_present = "link")]
    user: Option<String>,
    /// One link, or the secret at its end. Devices that came in with it stay in.
    #[arg(long, conflicts_with = "user")]
    link: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum CliRole {
    User,
    Dispatch,
    Admin,
}

fn main() -> ExitCode {
    // What the box keeps is nobody else's to read.
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
    LazyLock::force(&utc::ZONE);
    let outcome = match Cli::parse().command {
        Command::Run(run) => start(run),
        Command::Check(files) => check(&files),
        Command::Guardian(guardian) => guardian.run(),
        Command::Unkey(unkey) => unkey.run(),
        Command::Invite(invite) => self::invite(*invite),
        Command::Withdraw(withdraw) => self::withdraw(withdraw),
        Command::Channel(channel) => channel.run(),
        Command::User(user) => user.run(),
        Command::Member(member) => member.run(),
        Command::Poster(poster) => poster.run(),
        Command::Device(device) => device.run(),
        Command::Session(session) => session.run(),
        Command::Devices(devices) => devices.run(),
        Command::Radio(radio) => radio.run(),
        Command::Log(log) => log.run(),
        Command::RollCall(roll_call) => roll_call.run(),
        Command::Recordings { files, what } => self::recordings(&files, what),
    };
    let Err(error) = outcome else {
        return ExitCode::SUCCESS;
    };
    eprintln!("{error:#}");
    match error.is::<Mistake>() {
        true => ExitCode::from(BAD_SETTINGS),
        false => ExitCode::FAILURE,
    }
}

fn start(run: Run) -> Result<()> {
    let settings = run.files.settings()?;
    log_to_stderr(settings.log.format);
    let files = run.files.clone();
    runtime()?.block_on(run::run(run::Options {
        settings,
        config: run.files.config_path(),
        read_again: Box::new(move || files.settings()),
        roster: run.files.roster(),
        ready_file: run.ready_file,
        invite_everyone: run.invite_everyone,
    }))
}

fn check(files: &Files) -> Result<()> {
    let settings = files.settings()?;
    let roster = roster_file::first(files.roster().as_deref())?;
    let mistake_in = |file: &Path, error: anyhow::Error| Mistake {
        file: file.to_path_buf(),
        line: None,
        what: format!("{error:#}"),
    };
    for key in &settings.tokens.key {
        let one = config::Tokens {
            key: vec![key.clone()],
            ..settings.tokens.clone()
        };
        tokens::Tokens::load(&one).map_err(|e| mistake_in(&key.file, e))?;
    }
    if let (Some(certificate), Some(key)) = (&settings.web.certificate, &settings.web.key) {
        pki::own_certificate(certificate, key).map_err(|e| mistake_in(certificate, e))?;
    }
    for wired in &settings.radio {
        radio::ident(&wired.ident).map_err(|error| match &wired.ident {
            config::radio::Ident::Wav(file) => mistake_in(file, error),
            _ => mistake_in(files.config.as_deref().unwrap_or(Path::new("")), error),
        })?;
    }
    // What is not there may yet be plugged in: no mistake.
    let channels = guardian::check::channels(&settings, &roster);
    let wires: String = guardian::check::wires(&settings)?
        .iter()
        .chain(&channels)
        .map(|wire| format!("\n  wires   {wire}"))
        .collect();
    show::say(&format!(
        "all good: {}\n  page    https on {}, landing page on {}\n  media   from UDP port {}\n  \
         state   {}\n  records {}\n  tokens  {} key(s)\n  roster  {} channel(s), {} people{wires}",
        settings.box_name(),
        settings.web.https,
        settings.web.plain,
        settings.media.port,
        settings.state.dir.display(),
        settings.recorder().folder.display(),
        settings.tokens.key.len(),
        roster.channels.len(),
        roster.users.len()
    ))
}

fn invite(invite: Invite) -> Result<()> {
    let settings = invite.files.settings()?;
    let guests = invite.guests()?;
    let cards = runtime()?.block_on(async {
        match admin::connect(&settings.state.dir).await? {
            Some(daemon) => admin::ask(daemon, "/invite", &guests).await,
            None => {
                let _owner = AsOwner::of(&settings.state.dir)?;
                let store = run::open_store(&settings, invite.files.roster().as_deref())?;
                let inviter = Inviter::of_settings(store, &settings)?;
                Ok(inviter.invite(&guests, &By::operator(), utc::now())?.0)
            }
        }
    });
    let cards = cards.map_err(|error| match (error.downcast::<Refused>(), &invite.csv) {
        // In a file it is the file's mistake, on its line.
        (Ok(not), Some(csv)) => Mistake {
            file: csv.clone(),
            line: not.line,
            what: format!("{}; nobody was invited", not.why),
        }
        .into(),
        (Ok(not), None) => not.into(),
        (Err(error), _) => error.context("nobody was invited"),
    })?;
    for doubt in show::doubts(&cards) {
        eprintln!("{doubt}");
    }
    let text = match &invite.sheet {
        Some(path) => {
            if let Err(error) = std::fs::write(path, sheet::of_cards(&cards)?) {
                // They are invited all the same.
                for card in &cards.cards {
                    show::say(&format!("{}: {}", card.name, card.link))?;
                }
                return Err(error).with_context(|| {
                    format!(
                        "the links are above, the cards could not be written to {}",
                        path.display()
                    )
                });
            }
            format!(
                "{} cards are in {}: open it in a browser and print it",
                cards.cards.len(),
                path.display()
            )
        }
        None if invite.json => {
            let lines = cards.cards.iter().map(|card| {
                serde_json::json!({
                    "user": card.user, "link": card.link, "secret": card.secret, "ends": card.ends,
                })
                .to_string()
            });
            lines.collect::<Vec<_>>().join("\n")
        }
        None => {
            let colours = std::io::stdout().is_terminal();
            let mut text = String::new();
            for card in &cards.cards {
                text.push_str(&show::card(card, colours)?);
                text.push('\n');
            }
            text + &show::first_time(&cards)
        }
    };
    show::say(&text)
}

fn withdraw(withdraw: Withdraw) -> Result<()> {
    let settings = withdraw.files.settings()?;
    let what = match (&withdraw.user, &withdraw.link) {
        (Some(id), _) => What::User(UserId::from(id.as_str())),
        (None, link) => {
            let link = link.as_deref().unwrap_or_default();
            What::Invitation(withdraw::secret_of(link).to_string())
        }
    };
    let withdrawn: Withdrawn = runtime()?.block_on(async {
        match admin::connect(&settings.state.dir).await? {
            Some(daemon) => admin::ask(daemon, "/withdraw", &what).await,
            None => {
                let _owner = AsOwner::of(&settings.state.dir)?;
                let store = run::open_store(&settings, withdraw.files.roster().as_deref())?;
                withdraw::withdraw(&store, &what, &By::operator())
            }
        }
    })?;
    show::say(&format!(
        "{}: {} invitation(s) withdrawn, {} device(s) locked out",
        withdrawn.user, withdrawn.invitations, withdrawn.devices
    ))
}

fn recordings(files: &Files, what: Recordings) -> Result<()> {
    let settings = files.settings()?;
    runtime()?.block_on(async {
        let operator = Operator::open(&settings, files.roster().as_deref()).await?;
        recordings::carry_out(what, &operator).await
    })
}

impl Files {
    fn settings(&self) -> Result<Settings> {
        let mut settings = match &self.config {
            Some(path) => Settings::read(path)?,
            None => Settings::default(),
        };
        if let Some(state) = &self.state {
            settings.state.dir = state.clone();
        }
        Ok(settings)
    }

    /// The settings' file, whatever folder it is named from.
    fn config_path(&self) -> Option<PathBuf> {
        let path = self.config.as_ref()?;
        Some(path.canonicalize().unwrap_or_else(|_| path.clone()))
    }

    /// The file of the first roster, where there is one.
    fn roster(&self) -> Option<PathBuf> {
        self.roster.clone().or_else(|| {
            let beside = self.config.as_ref()?.with_file_name("roster.toml");
            beside.exists().then_some(beside)
        })
    }
}

impl Invite {
    fn guests(&self) -> Result<Vec<Guest>> {
        let who = match (&self.csv, &self.user, &self.name) {
            (Some(csv), _, _) => {
                return guests::read(csv).map_err(|mistakes| {
                    for mistake in &mistakes {
                        eprintln!("{mistake}");
                    }
                    Mistake {
                        file: csv.clone(),
                        line: None,
                        what: "nobody was invited: correct the lines above".into(),
                    }
                    .into()
                });
            }
            (None, Some(id), _) => Who::User(UserId::from(id.as_str())),
            (None, None, name) => Who::Name(name.clone().unwrap_or_default()),
        };
        Ok(vec![Guest {
            line: None,
            who,
            channels: self.channels.clone(),
            role: self.role.map(Role::from),
            emergency: self.emergency,
            hours: self.hours,
            devices: self.devices,
            ends: self.ends_in.map(|time| utc::now() + time.as_secs()),
        }])
    }
}

impl From<CliRole> for Role {
    fn from(role: CliRole) -> Role {
        match role {
            CliRole::User => Role::User,
            CliRole::Dispatch => Role::Dispatch,
            CliRole::Admin => Role::Admin,
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the runtime")
}

fn log_to_stderr(format: LogFormat) {
    let wanted = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(QUIET));
    let log = tracing_subscriber::fmt()
        .with_env_filter(wanted)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => log.with_target(false).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
}
