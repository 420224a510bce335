//! Links that let people's devices in.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pttd_core::ids::UserId;
use pttd_core::wire::signal::Role;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Admin, Api, Body, Path, Problem, ProblemText, off_the_threads, users};
use crate::invite::{Guest, Who};
use crate::store::short_id;
use crate::utc;
use crate::web::qr_svg;
use crate::withdraw::withdraw_invitation;

#[derive(Serialize, ToSchema)]
pub struct Invitations {
    invitations: Vec<InvitationView>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InvitationView {
    id: String,
    user_id: String,
    name: String,
    /// UTC seconds since 1970.
    ends: u64,
    /// How many it was made for.
    devices: u32,
    /// How many came in with it.
    used: u32,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Invite {
    /// Someone on the roster; or else `name`.
    user_id: Option<String>,
    /// Someone on the roster, or somebody new.
    name: Option<String>,
    /// Channels to talk on, by id or name, beside those they have.
    #[serde(default)]
    channels: Vec<String>,
    #[schema(value_type = Option<String>)]
    role: Option<Role>,
    #[serde(default)]
    emergency: bool,
    /// How long the link lets devices in.
    #[serde(default = "a_day")]
    hours: u32,
    /// How many devices it lets in.
    #[serde(default = "one")]
    devices: u32,
    /// When they are taken off the roster again, UTC seconds since 1970: for guests.
    ends: Option<u64>,
}

fn a_day() -> u32 {
    24
}

fn one() -> u32 {
    1
}

/// An invitation as it is handed over. The box does not keep its secret: it is never shown again.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Card {
    user_id: String,
    name: String,
    link: String,
    /// The link as a QR code.
    qr_svg: String,
    secret: String,
    /// UTC seconds since 1970.
    ends: u64,
    devices: u32,
    /// A name led to somebody who was on the roster before: perhaps somebody else of that name.
    known: bool,
}

/// The invitations that still let a device in.
#[utoipa::path(get, path = "/invitations", security(("bearer" = [])), responses((status = 200, body = Invitations)))]
pub async fn list(
    State(api): State<Arc<Api>>,
    Admin(_): Admin,
) -> Result<Json<Invitations>, Problem> {
    let (store, roster) = (api.store().clone(), api.roster());
    let open = off_the_threads(move || store.open_invitations(utc::now())).await?;
    let view = open.into_iter().map(|(hash, invitation)| InvitationView {
        id: short_id(&hash),
        name: users::name_of(&roster, &invitation.user),
        user_id: invitation.user.to_string(),
        ends: invitation.ends,
        devices: invitation.devices_left + invitation.used,
        used: invitation.used,
    });
    Ok(Json(Invitations {
        invitations: view.collect(),
    }))
}

/// Makes a link that lets somebody's devices in; who is not on the roster yet is put on it.
#[utoipa::path(post, path = "/invitations", security(("bearer" = [])), request_body = Invite, responses(
    (status = 201, body = Card),
    (status = 422, body = ProblemText),
))]
pub async fn add(
    State(api): State<Arc<Api>>,
    Admin(caller): Admin,
    Body(invite): Body<Invite>,
) -> Result<(StatusCode, Json<Card>), Problem> {
    let who = match (invite.user_id, invite.name) {
        (Some(id), None) => Who::User(UserId::from(id)),
        (None, Some(name)) => Who::Name(name),
        _ => return Err(Problem::refused("Say who is invited: a userId or a name.")),
    };
    let guest = Guest {
        line: None,
        who,
        channels: invite.channels,
        role: invite.role,
        emergency: invite.emergency,
        hours: invite.hours,
        devices: invite.devices,
        ends: invite.ends,
    };
    let cards = api.control.invite(vec![guest], caller.by()).await?;
    let card = cards.cards.into_iter().next();
    let card = card.ok_or_else(|| anyhow::anyhow!("an invitation became no card"))?;
    let qr_svg = qr_svg(&card.link).map_err(anyhow::Error::from)?;
    let card = Card {
        user_id: card.user.to_string(),
        name: card.name,
        link: card.link,
        qr_svg,
        secret: card.secret,
        ends: card.ends,
        devices: card.devices,
        known: card.known,
    };
    Ok((StatusCode::CREATED, Json(card)))
}

/// Withdraws an invitation. Devices that came in with it stay in.
#[utoipa::path(delete, path = "/invitations/{id}", params(("id" = String, Path)), security(("bearer" = [])), responses(
    (status = 204),
    (status = 404, body = ProblemText),
))]
pub async fn remove(
    State(api): State<Arc<Api>>,
    Admin(caller): Admin,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let (store, by) = (api.store().clone(), caller.by());
    let withdrawn = off_the_threads(move || {
        let open = store.open_invitations(utc::now())?;
        match open.iter().find(|(hash, _)| short_id(hash) == id) {
            Some((hash, _)) => withdraw_invitation(&store, hash, &by),
            None => Ok(None),
        }
    });
    match withdrawn.await? {
        Some(_) => Ok(StatusCode::NO_CONTENT),
        None => Err(Problem::not_found("There is no such open invitation.")),
    }
}
