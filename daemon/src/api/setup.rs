//! The first admin lets themselves in with the code on the box's console.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use pttd_core::wire::signal::Role;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::sign_in::LetIn;
use super::{Api, Body, Problem, ProblemText, Stranger, off_the_threads, sentence};
use crate::setup::{self, Code, SetupError};
use crate::sign_in::{Admitted, is_credential, new_secret};

#[derive(Serialize, ToSchema)]
pub struct Needed {
    /// No admin has a device yet.
    needed: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// As on the console: `XXXXX-XXXXX`.
    code: String,
    /// What the others read when this person talks.
    name: String,
    /// The credential the device has made itself, so that it can ask again when the answer is lost; not set: the
    /// box makes one.
    device: Option<String>,
}

/// Whether the box waits for its first admin.
#[utoipa::path(get, path = "/setup", responses((status = 200, body = Needed)))]
pub async fn is_needed(State(api): State<Arc<Api>>) -> Result<Json<Needed>, Problem> {
    let needed = api.setup.as_ref().is_some_and(|code| !code.is_used()) && {
        let store = api.store().clone();
        off_the_threads(move || setup::is_needed(&store)).await?
    };
    Ok(Json(Needed { needed }))
}

/// Makes whoever has the code the first admin, and lets their device in.
#[utoipa::path(post, path = "/setup", request_body = Setup, responses(
    (status = 200, body = LetIn),
    (status = 403, body = ProblemText),
    (status = 409, body = ProblemText),
    (status = 429, body = ProblemText),
))]
pub async fn set_up(
    State(api): State<Arc<Api>>,
    Stranger(from): Stranger,
    Body(asked): Body<Setup>,
) -> Result<Json<LetIn>, Problem> {
    let not_needed = || Problem::conflict(sentence(&SetupError::NotNeeded));
    let Some(code) = &api.setup else {
        return Err(not_needed());
    };
    let is_over = code.is_used() || {
        let store = api.store().clone();
        !off_the_threads(move || setup::is_needed(&store)).await?
    };
    if is_over && asked.device.is_none() {
        return Err(not_needed());
    }
    if let Some(from) = from
        && !api.sign_in.may_try(from)
    {
        return Err(Problem::too_many(
            "Too many wrong tries. Wait a minute, then try again.",
        ));
    }
    if !code.is(&asked.code) {
        if let Some(from) = from {
            api.sign_in.tried_wrongly(from);
        }
        tracing::warn!(from = ?from, "a wrong setup code");
        return Err(match is_over {
            true => not_needed(),
            false => Problem::forbidden(
                "This is not the code. It stands on the box's console, and is a new one after each start.",
            ),
        });
    }
    if let Some(device) = asked.device.clone().filter(|_| is_over) {
        // Its answer was lost on the way, and without it there is no way in.
        let sign_in = api.sign_in.clone();
        let asked = tokio::task::spawn_blocking(move || sign_in.with_device(&device)).await;
        let admitted = asked.map_err(anyhow::Error::from)?;
        let is_admin =
            |admitted: &Admitted| admitted.entry().is_some_and(|e| e.role == Role::Admin);
        return match admitted.ok().filter(is_admin) {
            Some(admitted) => Ok(Json(LetIn::from(&admitted))),
            None => Err(not_needed()),
        };
    }
    if !asked.device.as_deref().is_none_or(is_credential) {
        return Err(Problem::bad_request("This is no device credential."));
    }
    let device = match asked.device {
        Some(device) => device,
        None => new_secret::<32>()?,
    };
    let from = from.map_or_else(|| "console".to_string(), |from| from.to_string());
    let (this, credential) = (api.clone(), device.clone());
    let made = api.control.carry_out(move || {
        let store = this.store();
        let made = store.change(|roster| {
            // Two at once: the second finds it done.
            if !setup::is_needed(store)? {
                return Err(SetupError::NotNeeded.into());
            }
            if store.device(&credential)?.is_some() {
                return Err(SetupError::DeviceTaken.into());
            }
            Ok(setup::first_admin(roster, &asked.name, &credential, &from)?)
        })?;
        // Here, and not when it is answered: whoever asked may be gone by then.
        this.setup.iter().for_each(Code::use_up);
        Ok(made)
    });
    let user = made.await.map_err(|error| match error.downcast() {
        Ok(SetupError::BadName) => Problem::refused(sentence(&SetupError::BadName)),
        Ok(refused) => Problem::conflict(sentence(&refused)),
        Err(error) => error.into(),
    })?;
    tracing::info!(%user, "the first admin is set up");
    let admitted = Admitted {
        user,
        device,
        roster: api.roster(),
    };
    Ok(Json(LetIn::from(&admitted)))
}
