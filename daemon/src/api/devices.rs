//! Devices that may come in.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Admin, Api, Path, Problem, ProblemText, off_the_threads, users};
use crate::store::short_id;

#[derive(Serialize, ToSchema)]
pub struct Devices {
    devices: Vec<DeviceView>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeviceView {
    id: String,
    user_id: String,
    name: String,
    /// When it was let in, UTC seconds since 1970.
    since: u64,
    /// It came with a token, and may come with another one.
    from_token: bool,
    /// A session of it is there now.
    online: bool,
    /// When its session began that is there now, UTC seconds since 1970.
    last_seen: Option<u64>,
}

/// The devices that were let in and may come again.
#[utoipa::path(get, path = "/devices", security(("bearer" = [])), responses((status = 200, body = Devices)))]
pub async fn list(State(api): State<Arc<Api>>, Admin(_): Admin) -> Result<Json<Devices>, Problem> {
    let (store, roster) = (api.store().clone(), api.roster());
    let devices = off_the_threads(move || store.devices()).await?;
    let sessions = api.control.sessions().await;
    let view = devices.into_iter().map(|(hash, device)| {
        let id = short_id(&hash);
        let session = sessions.iter().find(|session| session.device_id == id);
        DeviceView {
            name: users::name_of(&roster, &device.user),
            user_id: device.user.to_string(),
            since: device.since,
            from_token: device.from_token,
            online: session.is_some(),
            last_seen: session.map(|session| session.since),
            id,
        }
    });
    Ok(Json(Devices {
        devices: view.collect(),
    }))
}

/// Locks a device out: its sessions end before this is answered, and it does not come back.
#[utoipa::path(delete, path = "/devices/{id}", params(("id" = String, Path)), security(("bearer" = [])), responses(
    (status = 204),
    (status = 404, body = ProblemText),
))]
pub async fn remove(
    State(api): State<Arc<Api>>,
    Admin(caller): Admin,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    match api.control.lock_out(id, caller.by()).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found("There is no such device.")),
    }
}
