//! The box itself.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Admin, Api, Problem, off_the_threads};
use crate::config::Limits;

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gateway {
    name: String,
    version: String,
    /// Not set where no daemon runs.
    uptime_seconds: Option<u64>,
    /// What is wrong, each as a sentence.
    problems: Vec<String>,
    limits: Limits,
    sessions: usize,
    /// Channels on which someone talks now.
    talks: usize,
    disk_free_bytes: Option<u64>,
    recordings_bytes: Option<u64>,
}

/// How the box is.
#[utoipa::path(get, path = "/box", security(("bearer" = [])), responses((status = 200, body = Gateway)))]
pub async fn gateway(
    State(api): State<Arc<Api>>,
    Admin(_): Admin,
) -> Result<Json<Gateway>, Problem> {
    let store = api.store().clone();
    let disk_free_bytes = off_the_threads(move || store.free_bytes()).await?;
    let sessions = api.control.sessions().await;
    let channels = sessions.iter().flat_map(|session| &session.channels);
    let talks: BTreeSet<_> = channels
        .filter(|channel| channel.talking)
        .map(|channel| &channel.channel_id)
        .collect();
    let problems = api.running.iter().flat_map(|r| r.health.problems());
    Ok(Json(Gateway {
        name: api.control.inviter.box_name.clone(),
        version: env!("CARGO_PKG_VERSION").to_string(),
        uptime_seconds: api.running.as_ref().map(|r| r.since.elapsed().as_secs()),
        problems: problems
            .map(|(part, why)| format!("{part}: {why}"))
            .collect(),
        limits: api.limits,
        sessions: sessions.len(),
        talks: talks.len(),
        disk_free_bytes: Some(disk_free_bytes),
        recordings_bytes: api
            .running
            .as_ref()
            .map(|r| r.recordings_bytes.load(Ordering::Relaxed)),
    }))
}
