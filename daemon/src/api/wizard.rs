//! Connecting a radio: the wizard, for admins.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Admin, Api, Body, Problem, ProblemText, off_the_threads};
use crate::wizard::{View, Wish, Wizard, Written};

#[derive(Serialize, ToSchema)]
pub struct Reloaded {
    /// How many radios and desks came, went or changed.
    changed: usize,
}

/// How far the wizard is.
#[utoipa::path(get, path = "/wizard", security(("bearer" = [])), responses((status = 200, body = View)))]
pub async fn look(State(api): State<Arc<Api>>, Admin(_): Admin) -> Result<Json<View>, Problem> {
    Ok(Json(wizard(&api)?.view()))
}

/// Listens to every free sound card and line, from now on. One that runs is ended.
#[utoipa::path(post, path = "/wizard", security(("bearer" = [])), responses(
    (status = 200, body = View),
    (status = 409, body = ProblemText),
))]
pub async fn start(
    State(api): State<Arc<Api>>,
    Admin(caller): Admin,
) -> Result<Json<View>, Problem> {
    let wizard = wizard(&api)?;
    tracing::info!(by = caller.name(), "listening for a radio to connect");
    Ok(Json(off_the_threads(move || wizard.start()).await?))
}

/// Ends it.
#[utoipa::path(delete, path = "/wizard", security(("bearer" = [])), responses((status = 204)))]
pub async fn stop(State(api): State<Arc<Api>>, Admin(_): Admin) -> Result<StatusCode, Problem> {
    wizard(&api)?.stop();
    Ok(StatusCode::NO_CONTENT)
}

/// Shows the new radio's part of the settings file; writes it and has the radio come up, where asked to.
#[utoipa::path(post, path = "/wizard/radio", security(("bearer" = [])), request_body = Wish, responses(
    (status = 200, body = Written),
    (status = 422, body = ProblemText),
))]
pub async fn write(
    State(api): State<Arc<Api>>,
    Admin(caller): Admin,
    Body(wish): Body<Wish>,
) -> Result<Json<Written>, Problem> {
    let channel = pttd_core::ids::ChannelId::from(wish.channel_id.as_str());
    if !api.roster().channels.contains_key(&channel) {
        return Err(Problem::refused("There is no such channel."));
    }
    let wizard = wizard(&api)?;
    let for_writing = wizard.clone();
    let name = wish.name.trim().to_string();
    let mut written = off_the_threads(move || for_writing.write(&wish)).await?;
    if written.written {
        wizard.stop();
        let text = format!("connected the radio {name}");
        let running = super::radios::running(&api)?;
        running
            .journal
            .note(caller.by().did("radio_added", text).on(&channel));
        // It is in the file, whatever comes of it now.
        if let Err(error) = running.radios.reload().await {
            tracing::warn!(why = format!("{error:#}"), "the new radio is not up");
            let why = format!("The radio is in the settings, but did not come up: {error:#}.");
            written.problem = Some(why);
        }
    }
    Ok(Json(written))
}

/// Reads radios and desks of the settings file again.
#[utoipa::path(post, path = "/radios/reload", security(("bearer" = [])), responses(
    (status = 200, body = Reloaded),
    (status = 422, body = ProblemText),
))]
pub async fn reload(
    State(api): State<Arc<Api>>,
    Admin(_): Admin,
) -> Result<Json<Reloaded>, Problem> {
    let changed = super::radios::running(&api)?.radios.reload().await?;
    Ok(Json(Reloaded { changed }))
}

fn wizard(api: &Api) -> Result<Wizard, Problem> {
    Ok(super::radios::running(api)?.wizard.clone())
}
