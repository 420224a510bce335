//! The control socket: what an operator's commands say to the running daemon. Only who may open the state
//! folder can reach it.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Json, Router};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use pttd_core::authority::{ChangeError, Roster, RosterError};
use pttd_core::edge::SessionView;
use pttd_core::ids::SessionId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Mutex;

use crate::api::Operator;
use crate::invite::{Cards, Guest, Inviter, Refused};
use crate::reactor;
use crate::store::{By, Records, short_id};
use crate::utc;
use crate::withdraw::{self, What, Withdrawn};

const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// A thousand people fit easily.
const MAX_ORDER: usize = 1 << 20;

pub struct Control {
    pub inviter: Inviter,
    /// `None` where no box runs: a change counts when it starts.
    pub reactor: Option<reactor::Inbox>,
    /// From a change on disk until it counts: two commands at once must not be told in the other order.
    changing: Mutex<()>,
}

impl Control {
    pub fn new(inviter: Inviter, reactor: Option<reactor::Inbox>) -> Control {
        Control {
            inviter,
            reactor,
            changing: Mutex::new(()),
        }
    }

    /// Changes the roster, on disk and in effect when it returns.
    pub async fn change<T: Send + 'static, R: Into<Records> + 'static>(
        self: &Arc<Self>,
        change: impl FnOnce(&mut Roster) -> Result<(T, R)> + Send + 'static,
    ) -> Result<T> {
        let store = self.inviter.store.clone();
        self.carry_out(move || store.change(change)).await
    }

    pub async fn invite(self: &Arc<Self>, guests: Vec<Guest>, by: By) -> Result<Cards> {
        let control = self.clone();
        let invite = move || control.inviter.invite(&guests, &by, utc::now());
        let cards = self.carry_out(invite).await?;
        for card in &cards.cards {
            tracing::info!(user = %card.user, devices = card.devices, ends = card.ends, "invited");
        }
        Ok(cards)
    }

    /// Carried out to its end, even where whoever asked goes away meanwhile: what is on disk shall count.
    pub async fn carry_out<T: Send + 'static>(
        self: &Arc<Self>,
        change: impl FnOnce() -> Result<(T, Arc<Roster>)> + Send + 'static,
    ) -> Result<T> {
        let control = self.clone();
        let carried_out = tokio::spawn(async move {
            let _changing = control.changing.lock().await;
            let (answer, roster) = tokio::task::spawn_blocking(change).await??;
            control.tell(roster).await;
            Ok(answer)
        });
        carried_out.await?
    }

    pub async fn withdraw(self: &Arc<Self>, what: What, by: By) -> Result<Withdrawn> {
        let control = self.clone();
        let carried_out = tokio::spawn(async move {
            let _changing = control.changing.lock().await;
            let store = control.inviter.store.clone();
            let withdraw = move || withdraw::withdraw(&store, &what, &by);
            let withdrawn = tokio::task::spawn_blocking(withdraw).await??;
            let Withdrawn {
                user,
                invitations,
                devices,
            } = &withdrawn;
            tracing::info!(%user, invitations, devices, "withdrawn");
            if *devices > 0 {
                // Their sessions end as if they had been taken off the roster; none of their devices comes back.
                let roster = control.inviter.store.roster();
                let mut without = Roster::clone(&roster);
                without.users.remove(user);
                control.tell(Arc::new(without)).await;
                control.tell(roster).await;
            }
            Ok(withdrawn)
        });
        carried_out.await?
    }

    /// Locks one device out, by its short id, and ends its sessions; false: there is no such device.
    pub async fn lock_out(self: &Arc<Self>, id: String, by: By) -> Result<bool> {
        let control = self.clone();
        let carried_out = tokio::spawn(async move {
            let store = control.inviter.store.clone();
            let device_id = id.clone();
            let lock_out = move || -> Result<bool> {
                let devices = store.devices()?;
                let found = devices.iter().find(|(hash, _)| short_id(hash) == device_id);
                let Some((hash, device)) = found else {
                    return Ok(false);
                };
                let text = format!("locked a device of {} out", device.user);
                let entry = by.did("device_locked_out", text).about(&device.user);
                store.lock_out_device(hash, entry)?;
                Ok(true)
            };
            let locked_out = tokio::task::spawn_blocking(lock_out).await??;
            let sessions = control.sessions().await.into_iter();
            for session in sessions.filter(|session| session.device_id == id) {
                control.kick(session.session_id).await;
            }
            Ok(locked_out)
        });
        carried_out.await?
    }

    /// None where no daemon runs.
    pub async fn sessions(&self) -> Vec<SessionView> {
        match &self.reactor {
            Some(reactor) => reactor.sessions().await,
            None => Vec::new(),
        }
    }

    /// Ends a session; false: there is no such session.
    pub async fn kick(&self, session: SessionId) -> bool {
        match &self.reactor {
            Some(reactor) => reactor.kick(session).await,
            None => false,
        }
    }

    /// Returns when the roster counts.
    async fn tell(&self, roster: Arc<Roster>) {
        if let Some(reactor) = &self.reactor {
            tracing::debug!(users = roster.users.len(), "the roster changed");
            reactor.replace_roster(roster).await;
        }
    }
}

pub fn socket(state: &Path) -> PathBuf {
    state.join("control.sock")
}

/// Listens on the state folder's socket. The store's lock says that no other daemon does, so a socket that is
/// there already is a dead one's.
pub fn listen(state: &Path) -> Result<UnixListener> {
    let path = socket(state);
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(e).with_context(|| format!("removing the old {}", path.display()));
        }
        _ => {}
    }
    let listening = || -> std::io::Result<UnixListener> {
        let listener = StdUnixListener::bind(&path)?;
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        UnixListener::from_std(listener)
    };
    listening().with_context(|| format!("listening on {}", path.display()))
}

/// What the socket answers: the API, to whoever could open it.
pub fn router(control: Arc<Control>, api: Router) -> Router {
    Router::new()
        .route("/invite", post(invite))
        .route("/withdraw", post(withdraw))
        .layer(DefaultBodyLimit::max(MAX_ORDER))
        .with_state(control)
        .merge(api)
        .layer(Extension(Operator))
}

async fn invite(State(control): State<Arc<Control>>, Json(guests): Json<Vec<Guest>>) -> Response {
    answer(control.invite(guests, By::operator()).await)
}

async fn withdraw(State(control): State<Arc<Control>>, Json(what): Json<What>) -> Response {
    answer(control.withdraw(what, By::operator()).await)
}

fn answer<T: Serialize>(outcome: Result<T>) -> Response {
    match outcome {
        Ok(done) => Json(done).into_response(),
        Err(error) => match refusal(&error) {
            Some(refused) => (StatusCode::UNPROCESSABLE_ENTITY, Json(refused)).into_response(),
            None => {
                let why = format!("{error:#}");
                tracing::error!(why, "a command failed");
                let refused = Refused { line: None, why };
                (StatusCode::INTERNAL_SERVER_ERROR, Json(refused)).into_response()
            }
        },
    }
}

/// What is wrong with the order, and not with the box.
fn refusal(error: &anyhow::Error) -> Option<Refused> {
    let unfit = error.downcast_ref::<RosterError>().map(ToString::to_string);
    let not = error.downcast_ref::<ChangeError>().map(ToString::to_string);
    let of_roster = unfit.or(not).map(|why| Refused { line: None, why });
    error.downcast_ref::<Refused>().cloned().or(of_roster)
}

/// The daemon that listens there, if one does.
pub async fn connect(state: &Path) -> Result<Option<UnixStream>> {
    let path = socket(state);
    match UnixStream::connect(&path).await {
        Ok(stream) => Ok(Some(stream)),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            Ok(None)
        }
        Err(e) if e.kind() == ErrorKind::PermissionDenied => Err(e).with_context(|| {
            format!(
                "you may not open {}: run this as root, or as the user the box runs as",
                path.display()
            )
        }),
        Err(e) => Err(e).with_context(|| format!("connecting to {}", path.display())),
    }
}

/// Has the running daemon carry out an order.
pub async fn ask<T: DeserializeOwned>(
    stream: UnixStream,
    path: &str,
    order: &impl Serialize,
) -> Result<T> {
    within(ANSWER_WITHIN, exchange(stream, path, order)).await
}

async fn within<T>(time: Duration, exchange: impl Future<Output = Result<T>>) -> Result<T> {
    let asked = tokio::time::timeout(time, exchange).await;
    asked.with_context(|| {
        format!(
            "the running pttd has not answered for {} s, and may carry it out all the same: look at its log, \
             or restart it",
            time.as_secs()
        )
    })?
}

async fn exchange<T: DeserializeOwned>(
    stream: UnixStream,
    path: &str,
    order: &impl Serialize,
) -> Result<T> {
    let order = serde_json::to_vec(order)?;
    let (status, body) = send(stream, Method::POST, path, Some(order)).await?;
    match status.is_success() {
        true => serde_json::from_slice(&body).context("reading the running pttd's answer"),
        false => Err(match serde_json::from_slice::<Refused>(&body) {
            Ok(refused) => refused.into(),
            Err(_) => anyhow!(
                "the running pttd does not understand this command: is it of another version?"
            ),
        }),
    }
}

async fn send(
    stream: UnixStream,
    method: Method,
    path: &str,
    body: Option<Vec<u8>>,
) -> Result<(StatusCode, Bytes)> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = hyper::Request::builder()
        .method(method)
        .uri(path)
        .header("host", "pttd")
        .header("content-type", "application/json")
        .body(Full::<Bytes>::from(body.unwrap_or_default()))?;
    let response = sender
        .send_request(request)
        .await
        .context("asking the running pttd")?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    connection.abort();
    Ok((status, body))
}

#[cfg(test)]
mod tests {
    use pttd_core::authority::Invitation;
    use pttd_core::ids::UserId;

    use super::*;
    use crate::config::Settings;
    use crate::roster_file;
    use crate::store::{Store, hash};

    #[tokio::test]
    async fn a_daemon_that_does_not_answer_is_not_waited_for_forever() {
        let (here, _deaf) = UnixStream::pair().unwrap();
        let what = What::Invitation("i".into());
        let asked = exchange::<Withdrawn>(here, "/withdraw", &what);
        let said = within(Duration::from_millis(10), asked).await.unwrap_err();
        assert!(said.to_string().contains("has not answered"), "{said}");
    }

    #[tokio::test]
    async fn no_daemon_is_told_from_one_that_cannot_be_asked() {
        let dir = tempfile::TempDir::new().unwrap();
        assert!(connect(dir.path()).await.unwrap().is_none());
        drop(listen(dir.path()).unwrap());
        assert!(connect(dir.path()).await.unwrap().is_none());
        let _listener = listen(dir.path()).unwrap();
        assert!(connect(dir.path()).await.unwrap().is_some());
        let no_folder = dir.path().join("control.sock");
        assert!(connect(&no_folder).await.is_err());
    }

    #[tokio::test]
    async fn who_is_locked_out_has_no_device_left() {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(dir.path()).unwrap());
        let anna = UserId::from("anna");
        let invitation = Invitation {
            user: anna.clone(),
            devices_left: 1,
            used: 0,
            ends: utc::now() + 60,
            revoked: false,
        };
        store
            .change(|roster| {
                *roster = roster_file::built_in().unwrap();
                Ok(((), vec![(hash("i"), invitation)]))
            })
            .unwrap();
        store.redeem("i", "phone", utc::now()).unwrap();
        let inviter = Inviter::of_settings(store.clone(), &Settings::default()).unwrap();
        let control = Arc::new(Control::new(inviter, None));
        let what = What::User(anna.clone());
        let withdrawn = control
            .withdraw(what.clone(), By::operator())
            .await
            .unwrap();
        assert_eq!((withdrawn.invitations, withdrawn.devices), (1, 1));
        let again = control.withdraw(what, By::operator()).await.unwrap();
        assert_eq!((again.invitations, again.devices), (0, 0));
        assert!(store.device("phone").unwrap().unwrap().revoked);
    }
}
