//! `pttd run`: puts the parts together, says when they are ready, and takes them down in order.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::routing::get;
use axum_server::Handle;
use metrics_exporter_prometheus::PrometheusBuilder;
use pttd_core::edge::{self, Edge, Start};
use pttd_core::ids::TransmissionId;
use pttd_core::media::Certificate;
use pttd_core::wire::signal::{Limits, MAX_CANDIDATES, MAX_M_LINES, MAX_SDP};
use sd_notify::NotifyState;
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::admin::{self, Control};
use crate::api::{self, Api, Crowd, Refusals, Running};
use crate::config::Settings;
use crate::figures;
use crate::health::Health;
use crate::invite::{Guest, Inviter, Who};
use crate::journal::Journal;
use crate::origins::Origins;
use crate::pki::{self, Certificates};
use crate::radio::{self, Radios, lamp};
use crate::reactor::{self, Reactor};
use crate::recorder;
use crate::setup::{self, Code};
use crate::sign_in::SignIn;
use crate::signaling::{self, Signaling};
use crate::store::{By, Records, Store, board};
use crate::tokens::Tokens;
use crate::web::{self, Web};
use crate::wizard::Wizard;
use crate::{listen, roster_file, show, utc};

/// Names and addresses of the machine come and go.
const REFRESH_EVERY: Duration = Duration::from_secs(15);
/// A reactor that works answers in a millisecond.
const WATCH_EVERY: Duration = Duration::from_secs(5);
const LOOK_FOR_ENDED: Duration = Duration::from_secs(5);
const ALIVE_WITHIN: Duration = Duration::from_secs(1);
/// For answers that are under way when the daemon is stopped.
const LAST_ANSWERS: Duration = Duration::from_secs(2);
/// For what is being written then.
const LAST_RECORDINGS: Duration = Duration::from_secs(3);

pub struct Options {
    pub settings: Settings,
    /// The file they are from.
    pub config: Option<PathBuf>,
    /// Reads them again.
    pub read_again: Box<dyn Fn() -> Result<Settings> + Send + Sync>,
    /// The file of what an empty store starts with; `None`: the built-in roster.
    pub roster: Option<PathBuf>,
    pub ready_file: Option<PathBuf>,
    pub invite_everyone: bool,
}

pub async fn run(options: Options) -> Result<()> {
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone())?;
    let settings = Arc::new(options.settings);
    let state = settings.state.dir.clone();
    let tokens = Tokens::load(&settings.tokens)?;
    let store = {
        let (settings, roster) = (settings.clone(), options.roster);
        tokio::task::spawn_blocking(move || open_store(&settings, roster.as_deref())).await??
    };
    let certificates = {
        let (settings, store) = (settings.clone(), store.clone());
        let open = move || Certificates::open(store, &settings);
        Arc::new(tokio::task::spawn_blocking(open).await??)
    };
    let media_certificate = {
        let store = store.clone();
        tokio::task::spawn_blocking(move || pki::media_certificate(&store)).await??
    };
    let sign_in = {
        let store = store.clone();
        let open = move || SignIn::new(store, tokens);
        Arc::new(tokio::task::spawn_blocking(open).await??)
    };
    let metrics = PrometheusBuilder::new()
        .install_recorder()
        .context("starting the figures")?;
    figures::describe();
    metrics::gauge!("pttd_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1);
    let health = Health::default();

    let https = listen::bind(settings.web.https, "HTTPS")?;
    let plain = listen::bind(settings.web.plain, "the landing page")?;
    let origins = Origins::new(&settings, https.local_addr()?, plain.local_addr()?);
    let fingerprint = certificates.ca().map(|ca| ca.fingerprint());
    let inviter = Inviter {
        store: store.clone(),
        origins: origins.clone(),
        box_name: settings.box_name(),
        fingerprint: fingerprint.clone(),
    };
    let control_socket = admin::listen(&state)?;
    let edge = {
        let (settings, store) = (settings.clone(), store.clone());
        tokio::task::spawn_blocking(move || edge(&settings, &store)).await??
    };
    let (board, boards) = watch::channel(edge.board().clone());
    let journal = {
        let (store, health) = (store.clone(), health.clone());
        tokio::task::spawn_blocking(move || Journal::start(store, health)).await??
    };
    let setup = {
        let store = store.clone();
        let code = move || match setup::is_needed(&store)? {
            true => Code::new().map(Some),
            false => Ok(None),
        };
        tokio::task::spawn_blocking(code).await??
    };
    let setup_code = setup.as_ref().map(Code::shown);
    let (recorder, recording) =
        recorder::start(settings.recorder(), store.clone(), health.clone())?;
    let talks = lamp::Talks::default();
    let reactor = Reactor::new(
        edge,
        &settings.media,
        &recorder.taps,
        Certificate {
            certificate: media_certificate.certificate,
            private_key: media_certificate.private_key,
        },
        vec![
            journal.inbox().witness(),
            recorder.witness(),
            talks.witness(),
        ],
        board,
        health.clone(),
    )?;
    let recordings_bytes = recorder.bytes.clone();
    // It ends when the reactor and the media threads do.
    drop(recorder);
    let ports = reactor.media().ports();
    let inbox = reactor.inbox();
    let radios = Radios::new(
        &settings,
        radio::Surroundings {
            config: options.config.clone(),
            read: options.read_again,
            reactor: inbox.clone(),
            events: reactor.radio_events(),
            fan_outs: reactor.media().fan_outs(),
            health: health.clone(),
        },
    )?;
    let control = Arc::new(Control::new(inviter, Some(inbox.clone())));
    let api = api::router(Arc::new(Api {
        control: control.clone(),
        sign_in: sign_in.clone(),
        limits: settings.limits,
        setup,
        crowd: Crowd::default(),
        running: Some(Running {
            health: health.clone(),
            journal: journal.inbox(),
            roll: journal.roll.clone(),
            refusals: Refusals::default(),
            recordings_bytes,
            since: Instant::now(),
            radios: radios.clone(),
            wizard: Wizard::new(options.config.clone()),
            radio_streams: api::radio_streams(),
            stop: stop.clone(),
        }),
        recordings: settings.recorder().folder,
    }));
    let signaling = Arc::new(Signaling::new(inbox.clone(), sign_in.clone()));
    let web = Arc::new(Web {
        box_name: settings.box_name(),
        sign_in,
        certificates: certificates.clone(),
        health: health.clone(),
        metrics: metrics.clone(),
        origins: origins.clone(),
    });

    let mut parts = JoinSet::new();
    parts.spawn(reactor.run(stop.clone()));
    radios.start(&settings).await?;
    let (lamps, dark) = (&settings.lamp, stop.clone());
    lamp::start(lamps, talks, radios.clone(), health.clone(), dark)?;
    let hang_up = signal(SignalKind::hangup()).context("watching for SIGHUP")?;
    parts.spawn(reload_radios(hang_up, radios.clone(), stop.clone()));
    parts.spawn(radios.look_after(stop.clone()));
    let keep = board::keep(store.clone(), boards, health.clone(), stop.clone());
    parts.spawn(keep);
    let ws = get(signaling::upgrade).with_state(signaling);
    let page = web::router(web.clone()).route("/ws", ws).merge(api.clone());
    let handles = [Handle::new(), Handle::new()];
    let tls = certificates.tls()?;
    let https_app = web::https(web.clone(), page.clone());
    parts.spawn(listen::https(https, tls, https_app, handles[0].clone()));
    parts.spawn(listen::plain(
        plain,
        web::plain(web, page),
        handles[1].clone(),
    ));
    let control_app = admin::router(control.clone(), api);
    parts.spawn(serve_control(control_socket, control_app, stop.clone()));
    parts.spawn(refresh(
        certificates.clone(),
        store,
        state.clone(),
        metrics,
        health.clone(),
        stop.clone(),
    ));
    parts.spawn(remove_ended_guests(control.clone(), stop.clone()));
    parts.spawn(watch_reactor(inbox, health, stop.clone()));

    if let Some(path) = &options.ready_file {
        let ready = json!({
            "https": for_clients(origins.https),
            "plain": for_clients(origins.plain),
            "media": ports,
            "fingerprint_ca": fingerprint,
            "spki": certificates.spki()?,
        });
        write_ready(path, &ready)?;
    }
    tracing::info!(
        https = origins.for_links(),
        plain = origins.landing(),
        "pttd is ready"
    );
    notify(NotifyState::Ready);
    if options.invite_everyone {
        invite_everyone(&control).await?;
    }
    if let Some(code) = setup_code {
        let url = format!("{}/setup", origins.for_links());
        tracing::info!(
            code,
            url,
            "this box has no admin yet: the setup code makes the first one"
        );
        let here = origins.on_this_machine();
        show::say(&show::setup(&code, &url, &here))?;
    }

    let ended = tokio::select! {
        () = stop.cancelled() => Ok(()),
        Some(ended) = parts.join_next() => ended.context("a part of pttd panicked").flatten(),
    };
    notify(NotifyState::Stopping);
    tracing::info!("stopping");
    stop.cancel();
    for handle in &handles {
        handle.graceful_shutdown(Some(LAST_ANSWERS));
    }
    // A client of the control socket that never finishes its request must not keep the box up.
    let goodbyes = async {
        while let Some(part) = parts.join_next().await {
            part.context("a part of pttd panicked").flatten()?;
        }
        anyhow::Ok(())
    };
    if let Ok(ended) = tokio::time::timeout(LAST_ANSWERS * 2, goodbyes).await {
        ended?;
    }
    tokio::task::spawn_blocking(move || journal.finish()).await??;
    let recorded = tokio::task::spawn_blocking(move || recording.join());
    if tokio::time::timeout(LAST_RECORDINGS, recorded)
        .await
        .is_err()
    {
        tracing::warn!("the last recordings are not finished: they are mended at the next start");
    }
    std::fs::remove_file(admin::socket(&state)).context("removing the control socket")?;
    ended
}

/// Opens the store, and gives it the roster where it has none yet. Only then is the file read: what stands in
/// it must not keep a box from starting that has long had its own.
pub fn open_store(settings: &Settings, roster: Option<&Path>) -> Result<Arc<Store>> {
    let store = Store::open(&settings.state.dir)?
        .limited(settings.limits.of_roster(), settings.log.keep)?;
    utc::recall(&settings.state.dir);
    if !store.has_roster()? {
        let roster = roster_file::first(roster)?;
        let (users, channels) = (roster.users.len(), roster.channels.len());
        store.change(|empty| {
            *empty = roster;
            let text = format!("took the roster in: {channels} channels, {users} people");
            Ok(((), By::the_box().did("roster_taken_in", text)))
        })?;
        tracing::info!(users, channels, "took the roster in");
    } else if let Some(path) = roster {
        tracing::info!(file = %path.display(), "this box has its roster already: the file is not read");
    }
    let invitations = store.forget_ended_invitations(utc::now())?;
    let devices = store.forget_devices_of_the_gone(utc::now())?;
    if invitations + devices > 0 {
        tracing::info!(invitations, devices, "forgot what ended long ago");
    }
    Ok(Arc::new(store))
}

/// The first SIGTERM or SIGINT asks everyone to finish; the second does not ask.
fn stop_on_signals(stop: CancellationToken) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("watching for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("watching for SIGINT")?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if stop.is_cancelled() {
                tracing::warn!("asked to stop twice: leaving at once");
                std::process::exit(1);
            }
            stop.cancel();
        }
    });
    Ok(())
}

/// SIGHUP: the radios of the settings are read again. Everything else waits for the next start.
async fn reload_radios(mut hang_up: Signal, radios: Radios, stop: CancellationToken) -> Result<()> {
    while let Some(Some(())) = stop.run_until_cancelled(hang_up.recv()).await {
        match radios.reload().await {
            Ok(changed) => tracing::info!(changed, "read the radios of the settings again"),
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(error, "the radios stay as they were");
            }
        }
    }
    Ok(())
}

/// Blocking: what was kept is read.
fn edge(settings: &Settings, store: &Store) -> Result<Edge> {
    let utc_ms = utc::begin(&settings.state.dir);
    // Where the clock was set back, files may have later numbers: also those a power cut has left.
    let unfinished = recorder::last_unfinished(&settings.recorder().folder);
    let last = store.last_recorded()?.max(unfinished);
    let unused = last.map_or(0, |last| last.0 + 1);
    let start = Start {
        now: Instant::now(),
        utc_ms,
        transmission: TransmissionId(utc_ms.max(unused)),
        board: store.board().context("reading the dispatchers' board")?,
    };
    Ok(Edge::new(edge_settings(settings), store.roster(), start))
}

fn edge_settings(settings: &Settings) -> edge::Settings {
    edge::Settings {
        gateway: settings.box_name(),
        version: env!("CARGO_PKG_VERSION").to_string(),
        ice_servers: Vec::new(),
        limits: Limits {
            message_bytes: signaling::MAX_MESSAGE,
            sdp_bytes: MAX_SDP,
            m_lines: MAX_M_LINES,
            candidates: MAX_CANDIDATES,
            channels: settings.limits.user_channels as usize,
        },
        dispatch_channels: settings.limits.dispatch_channels as usize,
        user_sessions: settings.limits.user_sessions as usize,
    }
}

async fn serve_control(
    listener: tokio::net::UnixListener,
    app: Router,
    stop: CancellationToken,
) -> Result<()> {
    axum::serve(listener, app)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
        .context("serving the control socket")
}

/// Takes guests off the roster when their time is over. A moment late is early enough: the door does not let
/// them in again from that second on.
async fn remove_ended_guests(control: Arc<Control>, stop: CancellationToken) -> Result<()> {
    let sleep = || tokio::time::sleep(LOOK_FOR_ENDED);
    while stop.run_until_cancelled(sleep()).await.is_some() {
        let next = control.inviter.store.roster().next_end();
        if next.is_none_or(|ends| ends > utc::now()) {
            continue;
        }
        let removed = control.change(|roster| {
            let mut records = Records::default();
            for (id, user) in roster.remove_ended(utc::now()) {
                tracing::info!(user = %id, "a guest's time is over");
                let text = format!("took {} off the roster, whose time is over", user.name);
                let entry = By::the_box().did("ended", text).about(&id);
                records.entries.push(entry);
            }
            Ok(((), records))
        });
        if let Err(error) = removed.await {
            tracing::error!(
                error = format!("{error:#}"),
                "guests whose time is over stay"
            );
        }
    }
    Ok(())
}

/// Keeps the certificate to the names and addresses of the machine, the figures from growing, and an eye on
/// the disk.
async fn refresh(
    certificates: Arc<Certificates>,
    store: Arc<Store>,
    state: PathBuf,
    metrics: metrics_exporter_prometheus::PrometheusHandle,
    health: Health,
    stop: CancellationToken,
) -> Result<()> {
    while stop
        .run_until_cancelled(tokio::time::sleep(REFRESH_EVERY))
        .await
        .is_some()
    {
        metrics.run_upkeep();
        let (certificates, store) = (certificates.clone(), store.clone());
        let folder = state.clone();
        let check = move || store.check().and_then(|()| utc::keep(&folder));
        let checked = tokio::task::spawn_blocking(check).await;
        health.tell(
            "memory",
            checked.context("looking at it panicked").flatten(),
        );
        let refreshed = tokio::task::spawn_blocking(move || certificates.refresh()).await;
        health.tell(
            "certificate",
            refreshed.context("renewing it panicked").flatten(),
        );
    }
    Ok(())
}

/// Asks the reactor whether it still answers, for `/healthz` and for systemd, where that wants to be told.
async fn watch_reactor(
    reactor: reactor::Inbox,
    health: Health,
    stop: CancellationToken,
) -> Result<()> {
    let mut microseconds = 0;
    let watchdog = sd_notify::watchdog_enabled(false, &mut microseconds);
    let every = match watchdog {
        true => WATCH_EVERY.min(Duration::from_micros(microseconds) / 3),
        false => WATCH_EVERY,
    };
    let mut every = tokio::time::interval(every);
    while stop.run_until_cancelled(every.tick()).await.is_some() {
        let alive = is_alive(&reactor).await;
        if watchdog && alive.is_ok() {
            notify(NotifyState::Watchdog);
        }
        if !stop.is_cancelled() {
            health.tell("reactor", alive);
        }
    }
    Ok(())
}

async fn is_alive(reactor: &reactor::Inbox) -> Result<()> {
    let answers = tokio::time::timeout(ALIVE_WITHIN, reactor.answers()).await;
    ensure!(
        answers.unwrap_or(false),
        "the floor and signaling do not answer: nobody can talk; restart pttd"
    );
    Ok(())
}

fn notify(state: NotifyState) {
    if let Err(error) = sd_notify::notify(false, &[state]) {
        tracing::warn!(%error, "systemd cannot be told");
    }
}

/// A listener's address as a client on this machine writes it.
fn for_clients(mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip([127, 0, 0, 1].into());
    }
    address.to_string()
}

/// Appears whole, when everything listens.
fn write_ready(path: &Path, ready: &serde_json::Value) -> Result<()> {
    let unfinished = path.with_extension("unfinished");
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o644)
            .open(&unfinished)?;
        std::io::Write::write_all(&mut file, ready.to_string().as_bytes())?;
        std::fs::rename(&unfinished, path)
    };
    write().with_context(|| format!("writing {}", path.display()))
}

/// A link for each person on the roster, for a first look.
async fn invite_everyone(control: &Arc<Control>) -> Result<()> {
    let everyone: Vec<Guest> = control
        .inviter
        .store
        .roster()
        .users
        .keys()
        .map(|id| Guest {
            line: None,
            who: Who::User(id.clone()),
            channels: Vec::new(),
            role: None,
            emergency: false,
            hours: 24,
            devices: 5,
            ends: None,
        })
        .collect();
    let control = control.clone();
    tokio::task::spawn_blocking(move || -> Result<()> {
        let (cards, _) = control
            .inviter
            .invite(&everyone, &By::operator(), utc::now())?;
        for doubt in show::doubts(&cards) {
            tracing::warn!("{doubt}");
        }
        let colours = std::io::stdout().is_terminal();
        for card in &cards.cards {
            show::say(&show::card(card, colours)?)?;
        }
        let here = control.inviter.origins.on_this_machine();
        show::say(&show::first_look(&cards, &here))
    })
    .await?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toml_file::Mistake;

    #[test]
    fn the_roster_file_is_read_into_an_empty_store_and_never_again() {
        let dir = tempfile::TempDir::new().unwrap();
        let mut settings = Settings::default();
        settings.state.dir = dir.path().join("state");
        let file = dir.path().join("roster.toml");
        std::fs::write(&file, "[[user]]\nid = 'dora'\nchanels = []").unwrap();
        let refused = open_store(&settings, Some(&file)).unwrap_err();
        assert!(refused.is::<Mistake>(), "{refused:#}");
        open_store(&settings, None).unwrap();
        let store = open_store(&settings, Some(&file)).unwrap();
        assert_eq!(store.roster().users.len(), 3);
    }

    #[tokio::test]
    async fn a_reactor_that_does_not_answer_is_not_alive() {
        let dir = tempfile::TempDir::new().unwrap();
        let settings: Settings =
            toml::from_str("[media]\nport = 0\nshards = 1\naddresses = ['127.0.0.1']").unwrap();
        let store = Store::open(dir.path()).unwrap();
        let media = pki::media_certificate(&store).unwrap();
        let reactor = Reactor::new(
            edge(&settings, &store).unwrap(),
            &settings.media,
            &std::sync::mpsc::sync_channel(1).0,
            Certificate {
                certificate: media.certificate,
                private_key: media.private_key,
            },
            Vec::new(),
            watch::Sender::default(),
            Health::default(),
        )
        .unwrap();
        let inbox = reactor.inbox();
        assert!(is_alive(&inbox).await.is_err(), "it does not run yet");
        let stop = CancellationToken::new();
        let running = tokio::spawn(reactor.run(stop.clone()));
        is_alive(&inbox).await.unwrap();
        stop.cancel();
        running.await.unwrap().unwrap();
        assert!(is_alive(&inbox).await.is_err(), "it does not run any more");
    }
}
