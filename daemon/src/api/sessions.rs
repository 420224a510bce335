//! Sessions as admins see and end them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pttd_core::edge::SessionView;
use pttd_core::ids::SessionId;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Admin, Api, Path, Problem, ProblemText, off_the_threads};

#[derive(Serialize, ToSchema)]
pub struct Sessions {
    #[schema(value_type = Vec<Session>)]
    sessions: Vec<SessionView>,
}

/// One signed-in device, with the channels it has joined.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code, reason = "describes the core's own type")]
pub struct Session {
    session_id: u64,
    user_id: String,
    name: String,
    role: String,
    /// Which of the devices of `GET /devices` it is.
    device_id: String,
    address: String,
    /// When it signed in, UTC seconds since 1970.
    since: u64,
    presence: String,
    /// The dispatcher's seat it holds.
    position: Option<String>,
    channels: Vec<JoinedChannel>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code, reason = "describes the core's own type")]
pub struct JoinedChannel {
    channel_id: String,
    muted: bool,
    connected: bool,
    talking: bool,
}

/// Every session, also those whose connection was lost a moment ago.
#[utoipa::path(get, path = "/sessions", security(("bearer" = [])), responses((status = 200, body = Sessions)))]
pub async fn list(State(api): State<Arc<Api>>, Admin(_): Admin) -> Json<Sessions> {
    Json(Sessions {
        sessions: api.control.sessions().await,
    })
}

/// Ends a session. Its device may sign in again.
#[utoipa::path(delete, path = "/sessions/{session}", params(("session" = u64, Path)), security(("bearer" = [])), responses(
    (status = 204),
    (status = 404, body = ProblemText),
))]
pub async fn remove(
    State(api): State<Arc<Api>>,
    Admin(caller): Admin,
    Path(id): Path<u64>,
) -> Result<StatusCode, Problem> {
    let id = SessionId(id);
    let sessions = api.control.sessions().await;
    let session = sessions.into_iter().find(|s| s.session_id == id);
    let gone = || Problem::not_found("There is no such session.");
    let session = session.ok_or_else(gone)?;
    // First on disk, as every change.
    let by = caller.by();
    let text = format!("ended a session of {}", session.name);
    let entry = by.did("kicked", text).about(&session.user_id);
    let store = api.store().clone();
    off_the_threads(move || store.note(&[entry])).await?;
    match api.control.kick(id).await {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(gone()),
    }
}
