//! Posters, for admins: making them, printing them, taking them down.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use pttd_core::authority::{Membership, Poster};
use pttd_core::ids::ChannelId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Admin, Api, Body, Path, Problem, ProblemText, off_the_threads};
use crate::poster::{self, check_wifi, new_secret};
use crate::store::{MAX_POSTERS, Printed, TooManyPosters, Wifi};
use crate::utc;

/// A poster to hang up.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewPoster {
    /// What it says on top.
    pub name: String,
    /// The channels its guests belong to, and "talk" or "listen" for each.
    #[schema(value_type = BTreeMap<String, String>)]
    pub channels: BTreeMap<ChannelId, Membership>,
    /// How many people may come in by it, 1 to 1000.
    pub limit: u32,
    /// When it ends, UTC seconds since 1970; at most 31 days from now. Or `hours`.
    pub ends: Option<u64>,
    /// How long it hangs, 1 to 744 hours, by the box's clock.
    pub hours: Option<u32>,
    /// Whoever scans it waits until a dispatcher or an admin admits them.
    #[serde(default)]
    pub approval: bool,
    /// How long each guest stays, 1 to 744 hours.
    #[serde(default = "a_day")]
    pub guest_hours: u32,
    /// The network it leads to first.
    pub wifi: Option<PosterWifi>,
}

fn a_day() -> u32 {
    24
}

#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PosterWifi {
    pub ssid: String,
    /// Not set: an open network.
    pub password: Option<String>,
}

/// A poster that hangs.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PosterText {
    pub id: String,
    pub name: String,
    #[schema(value_type = BTreeMap<String, String>)]
    pub channels: BTreeMap<ChannelId, Membership>,
    pub limit: u32,
    /// How many have come in by it.
    pub used: u32,
    /// UTC seconds since 1970.
    pub ends: u64,
    pub approval: bool,
    pub guest_hours: u32,
    pub wifi: Option<PosterWifi>,
    /// What its code leads to.
    pub link: String,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct Posters {
    pub posters: Vec<PosterText>,
}

fn text(api: &Api, id: String, printed: Printed) -> PosterText {
    let link = poster::link(&api.control.inviter, &printed.secret);
    let Poster {
        name,
        channels,
        limit,
        used,
        ends,
        approval,
        guest_hours,
        revoked: _,
    } = printed.poster;
    PosterText {
        id,
        name,
        channels,
        limit,
        used,
        ends,
        approval,
        guest_hours,
        wifi: printed.wifi.map(|wifi| PosterWifi {
            ssid: wifi.ssid,
            password: wifi.password,
        }),
        link,
    }
}

fn no_such_poster() -> Problem {
    Problem::not_found("There is no such poster.")
}

/// The posters that hang.
#[utoipa::path(get, path = "/posters", security(("bearer" = [])), responses(
    (status = 200, body = Posters),
    (status = 401, body = ProblemText),
    (status = 403, body = ProblemText),
))]
pub async fn list(State(api): State<Arc<Api>>, _: Admin) -> Result<Json<Posters>, Problem> {
    let store = api.store().clone();
    let posters = off_the_threads(move || store.posters()).await?;
    let posters = posters.into_iter();
    let posters = posters.map(|(id, printed)| text(&api, id, printed));
    Ok(Json(Posters {
        posters: posters.collect(),
    }))
}

/// Hangs a poster up: with it people let themselves in.
#[utoipa::path(post, path = "/posters", security(("bearer" = [])), request_body = NewPoster, responses(
    (status = 201, body = PosterText),
    (status = 400, body = ProblemText),
    (status = 401, body = ProblemText),
    (status = 403, body = ProblemText),
    (status = 422, body = ProblemText, description = "a limit, an end or a channel that is not possible"),
))]
pub async fn add(
    State(api): State<Arc<Api>>,
    Admin(caller): Admin,
    Body(new): Body<NewPoster>,
) -> Result<(StatusCode, Json<PosterText>), Problem> {
    let utc = utc::now();
    let wifi = new.wifi.map(|wifi| Wifi {
        ssid: wifi.ssid,
        password: wifi.password.filter(|password| !password.is_empty()),
    });
    if let Some(why) = wifi.as_ref().and_then(|wifi| check_wifi(wifi).err()) {
        return Err(Problem::refused(why));
    }
    let ends = match (new.ends, new.hours) {
        (Some(ends), None) => ends,
        (None, Some(hours)) => utc + u64::from(hours) * 3_600,
        _ => {
            return Err(Problem::bad_request(
                "Say when the poster ends, or how many hours it hangs.",
            ));
        }
    };
    let poster = Poster {
        name: new.name.split_whitespace().collect::<Vec<_>>().join(" "),
        channels: new.channels,
        limit: new.limit,
        used: 0,
        ends,
        approval: new.approval,
        guest_hours: new.guest_hours,
        revoked: false,
    };
    poster
        .check(&api.roster(), utc)
        .map_err(|e| Problem::refused(format!("This poster cannot be made: {e}.")))?;
    let printed = Printed {
        poster,
        secret: new_secret()?,
        wifi,
    };
    let (store, hung, by) = (api.store().clone(), printed.clone(), caller.by());
    let id = off_the_threads(move || store.add_poster(&hung, &by, utc)).await;
    let id = id.map_err(|e| match e.is::<TooManyPosters>() {
        true => Problem::refused(format!(
            "{MAX_POSTERS} posters hang already: remove those that are over."
        )),
        false => e.into(),
    })?;
    tracing::info!(
        poster = id,
        name = printed.poster.name,
        by = caller.name(),
        "a poster was hung up"
    );
    Ok((StatusCode::CREATED, Json(text(&api, id, printed))))
}

/// Takes a poster down. Who came in by it stays in.
#[utoipa::path(delete, path = "/posters/{id}", params(("id" = String, Path)), security(("bearer" = [])), responses(
    (status = 204),
    (status = 401, body = ProblemText),
    (status = 403, body = ProblemText),
    (status = 404, body = ProblemText),
))]
pub async fn remove(
    State(api): State<Arc<Api>>,
    Admin(caller): Admin,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let (store, which, by) = (api.store().clone(), id.clone(), caller.by());
    let removed = off_the_threads(move || store.remove_poster(&which, &by)).await?;
    let printed = removed.ok_or_else(no_such_poster)?;
    tracing::info!(
        poster = id,
        name = printed.poster.name,
        by = caller.name(),
        "a poster was taken down"
    );
    Ok(StatusCode::NO_CONTENT)
}

/// The poster to print (A4), as a page that needs nothing from elsewhere.
#[utoipa::path(get, path = "/posters/{id}/sheet", params(("id" = String, Path)), security(("bearer" = [])), responses(
    (status = 200, body = String, content_type = "text/html"),
    (status = 401, body = ProblemText),
    (status = 403, body = ProblemText),
    (status = 404, body = ProblemText),
))]
pub async fn sheet(
    State(api): State<Arc<Api>>,
    _: Admin,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let control = api.control.clone();
    let sheet = off_the_threads(move || {
        let printed = control.inviter.store.poster(&id)?;
        let sheet = printed.map(|printed| poster::sheet(&control.inviter, &printed));
        sheet.transpose()
    });
    let sheet = sheet.await?.ok_or_else(no_such_poster)?;
    let kind = [(CONTENT_TYPE, "text/html; charset=utf-8")];
    Ok((kind, sheet).into_response())
}
