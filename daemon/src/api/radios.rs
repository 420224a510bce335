//! Radios and desks as dispatchers and admins see and try them.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body as Stream;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::MissedTickBehavior;
use utoipa::ToSchema;

use super::{Api, Body, Caller, Dispatcher, Path, Problem, ProblemText};
use crate::radio::{Handheld, HandheldSound, RadioStatus, Radios, Refusal};

/// Pages that look at the same time. Each asks the reactor ten times a second.
const MOST_STREAMS: usize = 16;
const EVERY: Duration = Duration::from_millis(100);
const LONGEST_TONE_MS: u64 = 5_000;

#[derive(Serialize, ToSchema)]
pub struct AllRadios {
    radios: Vec<RadioStatus>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TestTone {
    /// How long, 1 to 5000 ms.
    #[serde(default = "longest_tone")]
    ms: u64,
}

fn longest_tone() -> u64 {
    LONGEST_TONE_MS
}

/// What a person does with a simulated radio's handheld.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HandheldBody {
    /// Its PTT is held, from now on.
    carrier: bool,
    /// What it says meanwhile.
    #[serde(default)]
    play: Option<Says>,
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Says {
    Speech,
    Tone,
}

/// How the radios are: of the channels the caller dispatches; for admins all.
#[utoipa::path(get, path = "/radios", security(("bearer" = [])), responses((status = 200, body = AllRadios)))]
pub async fn list(
    State(api): State<Arc<Api>>,
    Dispatcher(caller): Dispatcher,
) -> Result<Json<AllRadios>, Problem> {
    let statuses = radios(&api)?.statuses().await;
    Ok(Json(seen(&api, &caller, statuses)))
}

/// The same ten times a second, a line of JSON each time, until either side ends it.
#[utoipa::path(get, path = "/radios/live", security(("bearer" = [])), responses(
    (status = 200, content_type = "application/x-ndjson", body = AllRadios),
    (status = 429, body = ProblemText),
))]
pub async fn live(
    State(api): State<Arc<Api>>,
    Dispatcher(caller): Dispatcher,
) -> Result<Response, Problem> {
    let radios = radios(&api)?.clone();
    let running = running(&api)?;
    let stop = running.stop.clone();
    let room = running.radio_streams.clone().try_acquire_owned();
    let room = room.map_err(|_full| {
        Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_streams",
            format!("{MOST_STREAMS} pages look at the radios already. Close one of them."),
        )
    })?;
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let look = Look {
        api,
        caller,
        radios,
        ticks,
        _room: room,
    };
    let lines = stream::unfold(look, move |mut look| {
        let stop = stop.clone();
        async move {
            stop.run_until_cancelled(look.ticks.tick()).await?;
            let line = look.line().await?;
            Some((Ok::<_, Infallible>(line), look))
        }
    });
    let kind = [(CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, Stream::from_stream(lines)).into_response())
}

/// One who looks.
struct Look {
    api: Arc<Api>,
    caller: Caller,
    radios: Radios,
    ticks: tokio::time::Interval,
    _room: OwnedSemaphorePermit,
}

impl Look {
    /// `None` where they are no dispatcher any more.
    async fn line(&mut self) -> Option<Vec<u8>> {
        let caller = self.caller.anew(&self.api.roster())?;
        if !caller.is_dispatcher() {
            return None;
        }
        let statuses = self.radios.statuses().await;
        let mut line = serde_json::to_vec(&seen(&self.api, &caller, statuses)).ok()?;
        line.push(b'\n');
        Some(line)
    }
}

/// Sends 1 kHz at -10 dBFS out, where the radio is idle.
#[utoipa::path(post, path = "/radios/{radio}/test-tone", params(("radio" = String, Path)), security(("bearer" = [])), request_body = TestTone, responses(
    (status = 204),
    (status = 403, body = ProblemText),
    (status = 404, body = ProblemText),
    (status = 409, body = ProblemText),
    (status = 422, body = ProblemText),
))]
pub async fn test_tone(
    State(api): State<Arc<Api>>,
    Dispatcher(caller): Dispatcher,
    Path(id): Path<String>,
    Body(tone): Body<TestTone>,
) -> Result<StatusCode, Problem> {
    if !(1..=LONGEST_TONE_MS).contains(&tone.ms) {
        return Err(Problem::refused(format!(
            "A test tone lasts 1 to {LONGEST_TONE_MS} ms."
        )));
    }
    let radio = talked_on(&api, &caller, &id).await?;
    let length = Duration::from_millis(tone.ms);
    radios(&api)?.test_tone(&id, Some(length)).await?;
    let text = format!(
        "sent the test tone on {} for {:.1} s",
        radio.name,
        length.as_secs_f64()
    );
    tracing::info!(radio = id, by = caller.name(), ms = tone.ms, "test tone");
    let entry = caller.by().did("test_tone", text).on(&radio.channel_id);
    running(&api)?.journal.note(entry);
    Ok(StatusCode::NO_CONTENT)
}

/// Ends the test tone.
#[utoipa::path(delete, path = "/radios/{radio}/test-tone", params(("radio" = String, Path)), security(("bearer" = [])), responses(
    (status = 204),
    (status = 404, body = ProblemText),
))]
pub async fn stop_test_tone(
    State(api): State<Arc<Api>>,
    Dispatcher(caller): Dispatcher,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    dispatched(&api, &caller, &id).await?;
    radios(&api)?.test_tone(&id, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Keys the handheld of a simulated radio, or lets go of it.
#[utoipa::path(post, path = "/radios/{radio}/handheld", params(("radio" = String, Path)), security(("bearer" = [])), request_body = HandheldBody, responses(
    (status = 204),
    (status = 403, body = ProblemText),
    (status = 404, body = ProblemText),
    (status = 409, body = ProblemText),
))]
pub async fn handheld(
    State(api): State<Arc<Api>>,
    Dispatcher(caller): Dispatcher,
    Path(id): Path<String>,
    Body(does): Body<HandheldBody>,
) -> Result<StatusCode, Problem> {
    talked_on(&api, &caller, &id).await?;
    let play = does.play.map(|says| match says {
        Says::Speech => HandheldSound::Speech,
        Says::Tone => HandheldSound::Tone,
    });
    let carrier = does.carrier;
    radios(&api)?.handheld(&id, Handheld { carrier, play })?;
    Ok(StatusCode::NO_CONTENT)
}

/// What the handheld of a simulated radio heard last.
#[utoipa::path(get, path = "/radios/{radio}/handheld/heard", params(("radio" = String, Path)), security(("bearer" = [])), responses(
    (status = 200, content_type = "audio/wav"),
    (status = 204, description = "nothing yet"),
    (status = 404, body = ProblemText),
    (status = 409, body = ProblemText),
))]
pub async fn heard(
    State(api): State<Arc<Api>>,
    Dispatcher(caller): Dispatcher,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    dispatched(&api, &caller, &id).await?;
    Ok(match radios(&api)?.heard_on_air(&id)? {
        Some(wav) => ([(CONTENT_TYPE, "audio/wav")], wav).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

/// Radios of channels that are not the caller's are not there for a dispatcher.
fn seen(api: &Api, caller: &Caller, mut radios: Vec<RadioStatus>) -> AllRadios {
    let roster = api.roster();
    radios.retain(|radio| caller.is_admin() || caller.may_listen(&roster, &radio.channel_id));
    AllRadios { radios }
}

/// A radio of a channel that the caller dispatches.
async fn dispatched(api: &Api, caller: &Caller, id: &str) -> Result<RadioStatus, Problem> {
    let statuses = radios(api)?.statuses().await;
    let radio = statuses.into_iter().find(|radio| radio.id == id);
    let roster = api.roster();
    match radio {
        Some(radio) if caller.may_listen(&roster, &radio.channel_id) => Ok(radio),
        Some(radio) if caller.is_admin() => Err(Problem::forbidden(format!(
            "Only who is on {} may do this. Add yourself to it first.",
            radio.channel_name
        ))),
        _ => Err(Refusal::Unknown.into()),
    }
}

/// The same, where they may talk: it goes on the air, or onto the channel.
async fn talked_on(api: &Api, caller: &Caller, id: &str) -> Result<RadioStatus, Problem> {
    let radio = dispatched(api, caller, id).await?;
    match caller.may_talk(&api.roster(), &radio.channel_id) {
        true => Ok(radio),
        false => Err(Problem::forbidden(format!(
            "You may listen on {}, but not talk.",
            radio.channel_name
        ))),
    }
}

pub fn running(api: &Api) -> Result<&super::Running, Problem> {
    api.running
        .as_ref()
        .ok_or_else(|| Problem::conflict("No box runs here: radios work only while pttd does."))
}

fn radios(api: &Api) -> Result<&Radios, Problem> {
    Ok(&running(api)?.radios)
}

pub fn streams() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(MOST_STREAMS))
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        let text = super::sentence(&refusal);
        match refusal {
            Refusal::Unknown => Problem::not_found(text),
            Refusal::Busy(_) | Refusal::NotSimulated => Problem::conflict(text),
        }
    }
}
