//! The control socket: what an operator's commands say to the running daemon. Only who may open the state
//! folder can reach it.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use pttd_core::authority::Roster;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

use crate::invite::{Cards, Guest, Inviter, NotInvited};
use crate::utc;

/// A thousand people fit easily.
const MAX_ORDER: usize = 1 << 20;

/// The roster was replaced, and is on disk. Whoever holds rights looks them up anew, then says so.
pub struct RosterChanged {
    pub roster: Arc<Roster>,
    pub done: oneshot::Sender<()>,
}

pub struct Control {
    pub inviter: Inviter,
    pub changed: mpsc::Sender<RosterChanged>,
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

pub fn router(control: Arc<Control>) -> Router {
    Router::new()
        .route("/invite", post(invite))
        .layer(DefaultBodyLimit::max(MAX_ORDER))
        .with_state(control)
}

async fn invite(State(control): State<Arc<Control>>, Json(guests): Json<Vec<Guest>>) -> Response {
    match invited(control, guests).await {
        Ok(cards) => Json(cards).into_response(),
        Err(error) => match error.downcast_ref::<NotInvited>() {
            Some(not) => (StatusCode::UNPROCESSABLE_ENTITY, Json(not.clone())).into_response(),
            None => {
                tracing::error!(error = format!("{error:#}"), "inviting failed");
                let not = NotInvited {
                    line: None,
                    why: format!("{error:#}"),
                };
                (StatusCode::INTERNAL_SERVER_ERROR, Json(not)).into_response()
            }
        },
    }
}

async fn invited(control: Arc<Control>, guests: Vec<Guest>) -> Result<Cards> {
    let changed = control.changed.clone();
    let (cards, roster) =
        tokio::task::spawn_blocking(move || control.inviter.invite(&guests, utc::now())).await??;
    for card in &cards.cards {
        tracing::info!(user = %card.user, devices = card.devices, ends = card.ends, "invited");
    }
    let (done, wait) = oneshot::channel();
    let told = changed.send(RosterChanged { roster, done }).await;
    told.map_err(|_stopped| {
        anyhow!("pttd is stopping: the invitation is made, its roster counts after a restart")
    })?;
    wait.await
        .context("waiting for the changed roster to count")?;
    Ok(cards)
}

/// Whether a daemon listens there.
pub async fn connect(state: &Path) -> Option<UnixStream> {
    UnixStream::connect(socket(state)).await.ok()
}

/// Sends an order to the running daemon.
pub async fn order(stream: UnixStream, guests: &[Guest]) -> Result<Cards> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = hyper::Request::post("/invite")
        .header("host", "pttd")
        .header("content-type", "application/json")
        .body(Full::<hyper::body::Bytes>::from(serde_json::to_vec(
            guests,
        )?))?;
    let response = sender
        .send_request(request)
        .await
        .context("asking the running pttd")?;
    let ok = response.status().is_success();
    let body = response.into_body().collect().await?.to_bytes();
    connection.abort();
    match ok {
        true => serde_json::from_slice(&body).context("reading the running pttd's answer"),
        false => Err(match serde_json::from_slice::<NotInvited>(&body) {
            Ok(not) => not.into(),
            Err(_) => anyhow!(
                "the running pttd does not understand this command: is it of another version?"
            ),
        }),
    }
}
