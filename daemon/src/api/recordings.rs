//! What was said, for whoever may listen to that channel now.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use pttd_core::ids::TransmissionId;
use pttd_core::recording::Recording;
use pttd_core::wire::signal::{EndReason, Level};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tower_http::services::ServeFile;
use utoipa::{IntoParams, ToSchema};

use super::{Api, Asked, Caller, Problem, ProblemText, SignedIn, off_the_threads};

/// Entries of one answer, where the question does not say, and at most.
const USUAL: usize = 50;
const MOST: usize = 500;
/// Records that are looked at for one answer: then it is given, and the next question goes on from there.
const LOOKED_AT: usize = 20_000;
/// Answers that are looked for at the same time: the others wait.
static LOOKING: Semaphore = Semaphore::const_new(2);

#[derive(Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// Only of this channel, by id.
    channel: Option<String>,
    /// Only of this talker, by id.
    user: Option<String>,
    /// Only where the talker's or the channel's name has this in it.
    q: Option<String>,
    /// Only what began at or after this, UTC milliseconds.
    after: Option<u64>,
    /// Only what began before this, UTC milliseconds.
    before: Option<u64>,
    /// Only what came before this transmission: an answer's `next` asks for the one after it.
    before_id: Option<u64>,
    /// 1 to 500; 50 where it is not set.
    limit: Option<usize>,
}

/// One transmission that can be heard again.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    pub transmission_id: u64,
    pub channel_id: String,
    /// As it was called then.
    pub channel_name: String,
    pub user_id: String,
    pub name: String,
    #[schema(value_type = String, example = "normal")]
    pub level: Level,
    /// UTC milliseconds since 1970.
    pub began: u64,
    pub duration_ms: u64,
    #[schema(value_type = String, example = "released")]
    pub reason: EndReason,
    pub bytes: u64,
    pub sha256: String,
    /// False: some of it is missing that had reached the box.
    pub complete: bool,
    pub dropped_packets: u64,
    /// At most 100 columns of loudness, 0 to 255.
    pub waveform: Vec<u8>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct Entries {
    /// Newest first.
    pub recordings: Vec<Entry>,
    /// There may be older ones.
    pub more: bool,
    /// Where there are: ask for those with it as `beforeId`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

impl From<Recording> for Entry {
    fn from(recording: Recording) -> Entry {
        Entry {
            transmission_id: recording.transmission.0,
            channel_id: recording.channel.to_string(),
            channel_name: recording.channel_name,
            user_id: recording.user.to_string(),
            name: recording.name,
            level: recording.level,
            began: recording.began,
            duration_ms: recording.duration_ms,
            reason: recording.reason,
            bytes: recording.bytes,
            sha256: recording.sha256,
            complete: recording.complete,
            dropped_packets: recording.dropped_packets,
            waveform: recording.waveform,
        }
    }
}

impl Which {
    fn wants(&self, recording: &Recording) -> bool {
        let is = |wanted: &Option<String>, id: &str| wanted.as_deref().is_none_or(|w| w == id);
        let names = |q: &String| {
            let q = q.to_lowercase();
            [&recording.name, &recording.channel_name]
                .iter()
                .any(|name| name.to_lowercase().contains(&q))
        };
        is(&self.channel, recording.channel.as_str())
            && is(&self.user, recording.user.as_str())
            && self.after.is_none_or(|after| recording.began >= after)
            && self.before.is_none_or(|before| recording.began < before)
            && self.q.as_ref().is_none_or(names)
    }
}

/// What can be heard again, newest first: of the channels the caller may listen to now.
#[utoipa::path(get, path = "/recordings", params(Which), security(("bearer" = [])), responses(
    (status = 200, body = Entries),
    (status = 400, body = ProblemText),
    (status = 401, body = ProblemText),
))]
pub async fn list(
    SignedIn(caller): SignedIn,
    State(api): State<Arc<Api>>,
    Asked(which): Asked<Which>,
) -> Result<Json<Entries>, Problem> {
    let limit = which.limit.unwrap_or(USUAL);
    if !(1..=MOST).contains(&limit) {
        return Err(Problem::bad_request(format!(
            "The limit must be from 1 to {MOST}."
        )));
    }
    let looking = LOOKING.acquire().await.map_err(anyhow::Error::from)?;
    let entries = off_the_threads(move || {
        // Until it is done, also where nobody waits for it any more.
        let _looking = looking;
        entries(&api, caller, &which, limit)
    });
    Ok(Json(entries.await?))
}

fn entries(api: &Api, caller: Caller, which: &Which, limit: usize) -> anyhow::Result<Entries> {
    let roster = api.roster();
    let before = TransmissionId(which.before_id.unwrap_or(u64::MAX));
    let mut recordings = Vec::new();
    let mut next = None;
    for (looked_at, recording) in api.store().recordings_before(before).enumerate() {
        let recording = recording?;
        let is_wanted = caller.may_listen(&roster, &recording.channel) && which.wants(&recording);
        if looked_at == LOOKED_AT || is_wanted && recordings.len() == limit {
            return Ok(Entries {
                recordings,
                more: true,
                next,
            });
        }
        next = Some(recording.transmission.0);
        if is_wanted {
            recordings.push(Entry::from(recording));
        }
    }
    Ok(Entries {
        recordings,
        more: false,
        next: None,
    })
}

/// One recording's record.
#[utoipa::path(get, path = "/recordings/{id}", security(("bearer" = [])),
    params(("id" = u64, Path, description = "the transmission's id")),
    responses(
        (status = 200, body = Entry),
        (status = 401, body = ProblemText),
        (status = 404, body = ProblemText),
    )
)]
pub async fn one(
    SignedIn(caller): SignedIn,
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Json<Entry>, Problem> {
    Ok(Json(find(&api, caller, &id).await?.into()))
}

/// The sound, as an Ogg Opus file. Answers a `Range`.
#[utoipa::path(get, path = "/recordings/{id}/audio", security(("bearer" = [])),
    params(("id" = u64, Path, description = "the transmission's id")),
    responses(
        (status = 200, content_type = "audio/ogg", description = "the whole file"),
        (status = 206, content_type = "audio/ogg", description = "the range that was asked for"),
        (status = 401, body = ProblemText),
        (status = 404, body = ProblemText),
    )
)]
pub async fn audio(
    SignedIn(caller): SignedIn,
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let recording = find(&api, caller, &id).await?;
    let path = api.recordings.join(&recording.file);
    let served = ServeFile::new(path).try_call(request).await;
    let served = served.map_err(anyhow::Error::from)?;
    if served.status() == StatusCode::NOT_FOUND {
        return Err(unknown());
    }
    let mut response = served.map(Body::new).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("audio/ogg"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    let name = recording.file.rsplit('/').next().unwrap_or_default();
    if let Ok(name) = format!("inline; filename=\"{name}\"").parse() {
        headers.insert(CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// Whoever may not listen to the channel does not learn that there is something.
async fn find(api: &Arc<Api>, caller: Caller, id: &str) -> Result<Recording, Problem> {
    let id = TransmissionId(id.parse().map_err(|_not_a_number| unknown())?);
    let api = api.clone();
    let found = off_the_threads(move || {
        let found = api.store().recording(id)?;
        Ok(found.filter(|r| caller.may_listen(&api.roster(), &r.channel)))
    });
    found.await?.ok_or_else(unknown)
}

fn unknown() -> Problem {
    Problem::not_found("There is no such recording any more, or it is not for you.")
}
