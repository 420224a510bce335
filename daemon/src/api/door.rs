//! The door that a poster opens: joining, for whoever scans one, and who waits there, for dispatchers.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use pttd_core::authority::{JoinError, Joined, Roster};
use pttd_core::ids::ChannelId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::sign_in::{self, LetIn, LetInUser};
use super::{Api, Body, Caller, Dispatcher, Problem, ProblemText, Stranger, off_the_threads};
use crate::poster::secret_in;
use crate::sign_in::{Admitted, is_credential, new_secret};
use crate::store::{Answer, AtTheDoor, DoorError, Knock, Printed, Who, hash, short_id};
use crate::utc;

#[derive(Deserialize, ToSchema)]
pub struct Scanned {
    /// The secret on the poster.
    poster: String,
}

/// A poster as it greets whoever scanned it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Greeting {
    /// The box's name.
    #[serde(rename = "box")]
    box_name: String,
    name: String,
    /// Names of its channels.
    channels: Vec<String>,
    /// Whoever joins waits until they are admitted.
    approval: bool,
    guest_hours: u32,
}

#[derive(Deserialize, ToSchema)]
pub struct Joining {
    /// The secret on the poster.
    poster: String,
    name: String,
    /// The credential the device has made itself (256 bits in base64url), so that it can ask again when the
    /// answer is lost. Not set: the box makes one.
    device: Option<String>,
}

/// Someone who has to wait.
#[derive(Serialize, ToSchema)]
pub struct Waits {
    /// Where to ask: `GET /join/{arrival}`.
    arrival: String,
    message: String,
    /// What lets this device in once it is admitted; it shall keep it.
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
}

/// Someone who waited and is in now, with the credential they joined with.
#[derive(Serialize, ToSchema)]
pub struct IsIn {
    user: LetInUser,
}

/// Someone who waits to be admitted.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArrivalText {
    pub id: String,
    pub name: String,
    /// UTC seconds since 1970.
    pub since: u64,
    /// The name of the poster they scanned.
    pub poster: String,
    /// Names of the channels they would belong to.
    pub channels: Vec<String>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct Arrivals {
    pub arrivals: Vec<ArrivalText>,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    pub admit: bool,
    /// The name that was decided on. Set: nothing is done where they go by another one by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Decided {
    pub name: String,
    /// Their new place on the roster; not set for somebody who was turned away.
    pub user_id: Option<String>,
}

const WAIT: &str = "Somebody has to let you in. Keep this page open.";

/// What a poster is called and where it leads, before anybody types a name.
#[utoipa::path(post, path = "/join/poster", request_body = Scanned, responses(
    (status = 200, body = Greeting),
    (status = 400, body = ProblemText),
    (status = 403, body = ProblemText, description = "unknown_poster, taken_down, ended or full"),
    (status = 429, body = ProblemText),
))]
pub async fn greet(
    State(api): State<Arc<Api>>,
    Stranger(from): Stranger,
    Body(scanned): Body<Scanned>,
) -> Result<Json<Greeting>, Problem> {
    let store = api.store().clone();
    let secret = secret_in(&scanned.poster);
    let printed = off_the_threads(move || store.poster_with(&secret)).await?;
    let Some(Printed { poster, .. }) = printed else {
        return Err(refused(&api, from, &JoinError::UnknownPoster));
    };
    poster
        .is_open(utc::now())
        .map_err(|e| refused(&api, from, &e))?;
    let roster = api.roster();
    Ok(Json(Greeting {
        box_name: api.control.inviter.box_name.clone(),
        name: poster.name,
        channels: names_of(&roster, poster.channels.keys()),
        approval: poster.approval,
        guest_hours: poster.guest_hours,
    }))
}

/// Lets somebody in who scanned a poster and typed a name, or has them wait.
#[utoipa::path(post, path = "/join", request_body = Joining, responses(
    (status = 200, body = LetIn),
    (status = 202, body = Waits),
    (status = 400, body = ProblemText),
    (status = 403, body = ProblemText, description = "unknown_poster, taken_down, ended, full, no_channel or device_taken"),
    (status = 409, body = ProblemText, description = "name_taken: somebody of this name is here already"),
    (status = 422, body = ProblemText, description = "bad_name"),
    (status = 429, body = ProblemText, description = "too_many_tries or too_many_waiting"),
))]
pub async fn join(
    State(api): State<Arc<Api>>,
    Stranger(from): Stranger,
    Body(asked): Body<Joining>,
) -> Result<Response, Problem> {
    if !asked.device.as_deref().is_none_or(is_credential) {
        return Err(Problem::bad_request(
            "The page sent something this box does not understand. Reload it.",
        ));
    }
    let made_here = asked.device.is_none();
    let device = match asked.device {
        Some(device) => device,
        None => new_secret::<32>()?,
    };
    let (joined, roster) = knock_and_join(&api, from, &asked.poster, &device, asked.name).await?;
    let user = match joined {
        Joined::Waits(arrival) => {
            count("waits");
            tracing::info!(name = arrival.name, from = %said(from), "waits to be admitted");
            let waits = Waits {
                arrival: short_id(&hash(&device)),
                message: WAIT.to_string(),
                device: made_here.then_some(device),
            };
            return Ok((StatusCode::ACCEPTED, Json(waits)).into_response());
        }
        Joined::In(guest) => {
            count("admitted");
            tracing::info!(user = %guest.id, from = %said(from), "joined by a poster");
            guest.id
        }
        Joined::Already(device) => device.user,
    };
    let admitted = Admitted {
        user,
        device,
        roster,
    };
    Ok(Json(LetIn::from(&admitted)).into_response())
}

/// Strangers wait at the door of those who change the box only where they come in by it: all else is found out
/// beforehand, and told without.
async fn knock_and_join(
    api: &Arc<Api>,
    from: Option<IpAddr>,
    poster: &str,
    device: &str,
    name: String,
) -> Result<(Joined, Arc<Roster>), Problem> {
    let why = |error: anyhow::Error| match error.downcast() {
        Ok(DoorError::Refused(why)) => refused(api, from, &why),
        Ok(error) => problem(error),
        Err(error) => error.into(),
    };
    let (secret, device) = (secret_in(poster), device.to_string());
    let knock = {
        let (store, secret, device) = (api.store().clone(), secret.clone(), device.clone());
        let name = name.clone();
        off_the_threads(move || Ok(store.knock(&secret, &device, &name, utc::now())?)).await
    };
    let Knock { joined, is_so } = knock.map_err(why)?;
    if is_so {
        return Ok((joined, api.roster()));
    }
    if let Some(from) = from
        && !api.crowd.may_pass(from, hash(&device), Instant::now())
    {
        count("refused");
        return Err(Problem::too_many(
            "Too many people join from here at once. Wait a minute, then try again.",
        ));
    }
    let (store, address) = (api.store().clone(), said(from));
    let join = move || Ok(store.join(&secret, &device, &name, &address, utc::now())?);
    // A poster at which people wait lets nobody in by itself, ever.
    let joining = match joined {
        Joined::Waits(_) => off_the_threads(join).await,
        Joined::In(_) | Joined::Already(_) => {
            let join = move || {
                let (joined, roster) = join()?;
                Ok(((joined, roster.clone()), roster))
            };
            api.control.carry_out(join).await
        }
    };
    joining.map_err(why)
}

/// Whether somebody who waits is in by now.
#[utoipa::path(get, path = "/join/{arrival}", params(("arrival" = String, Path)), responses(
    (status = 200, body = IsIn),
    (status = 202, body = Waits),
    (status = 403, body = ProblemText, description = "turned_away"),
    (status = 404, body = ProblemText),
))]
pub async fn ask(
    State(api): State<Arc<Api>>,
    Path(arrival): Path<String>,
) -> Result<Response, Problem> {
    let (store, id) = (api.store().clone(), arrival.clone());
    match off_the_threads(move || store.arrival(&id)).await? {
        Answer::In(user) => {
            let user = LetInUser::new(&user, api.roster().users.get(&user));
            Ok(Json(IsIn { user }).into_response())
        }
        Answer::Waits => {
            let waits = Waits {
                arrival,
                message: WAIT.to_string(),
                device: None,
            };
            Ok((StatusCode::ACCEPTED, Json(waits)).into_response())
        }
        Answer::TurnedAway => Err(Problem::new(
            StatusCode::FORBIDDEN,
            "turned_away",
            "You were not let in. Ask whoever hung the poster up, then try again.",
        )),
        Answer::Unknown => Err(Problem::not_found(
            "Nobody waits here under this name any more. Type your name again.",
        )),
    }
}

/// Who waits to be admitted: for a dispatcher, at posters that lead to their channels alone.
#[utoipa::path(get, path = "/arrivals", security(("bearer" = [])), responses(
    (status = 200, body = Arrivals),
    (status = 401, body = ProblemText),
    (status = 403, body = ProblemText),
))]
pub async fn arrivals(
    State(api): State<Arc<Api>>,
    Dispatcher(caller): Dispatcher,
) -> Result<Json<Arrivals>, Problem> {
    let store = api.store().clone();
    let all = off_the_threads(move || store.arrivals(utc::now())).await?;
    let roster = api.roster();
    let minded = all.into_iter().filter(|at| minds(&caller, &roster, at));
    let arrivals = minded.map(|at| ArrivalText {
        channels: names_of(&roster, at.poster.poster.channels.keys()),
        id: at.id,
        name: at.arrival.name,
        since: at.arrival.since,
        poster: at.poster.poster.name,
    });
    Ok(Json(Arrivals {
        arrivals: arrivals.collect(),
    }))
}

/// Admits somebody who waits, or turns them away.
#[utoipa::path(post, path = "/arrivals/{id}", params(("id" = String, Path)), security(("bearer" = [])), request_body = Decision, responses(
    (status = 200, body = Decided),
    (status = 400, body = ProblemText),
    (status = 401, body = ProblemText),
    (status = 403, body = ProblemText),
    (status = 404, body = ProblemText, description = "nobody waits under this id"),
    (status = 409, body = ProblemText, description = "name_taken: somebody else of this name came in meanwhile; renamed: they go by another name now"),
))]
pub async fn decide(
    State(api): State<Arc<Api>>,
    Dispatcher(caller): Dispatcher,
    Path(id): Path<String>,
    Body(decision): Body<Decision>,
) -> Result<Json<Decided>, Problem> {
    let store = api.store().clone();
    let all = off_the_threads(move || store.arrivals(utc::now())).await?;
    let roster = api.roster();
    let known = all.iter().find(|at| at.id == id);
    // Of others' doors they know nothing.
    if !known.is_some_and(|at| minds(&caller, &roster, at)) {
        return Err(problem(DoorError::NobodyWaits));
    }
    let (by, name) = (caller.by(), decision.name);
    if !decision.admit {
        let store = api.store().clone();
        let turn_away = move || store.turn_away(as_seen(&id, name.as_deref()), &by);
        let turned_away = tokio::task::spawn_blocking(turn_away).await;
        let name = turned_away.map_err(anyhow::Error::from)?.map_err(problem)?;
        count("turned_away");
        tracing::info!(name, by = caller.name(), "turned away at the door");
        let user_id = None;
        return Ok(Json(Decided { name, user_id }));
    }
    let store = api.store().clone();
    let admit = move || Ok(store.admit(as_seen(&id, name.as_deref()), &by, utc::now())?);
    let admitting = api.control.carry_out(admit);
    let guest = admitting.await.map_err(|error| match error.downcast() {
        Ok(error) => problem(error),
        Err(error) => error.into(),
    })?;
    count("admitted");
    tracing::info!(user = %guest.id, by = caller.name(), "admitted at the door");
    Ok(Json(Decided {
        name: guest.user.name,
        user_id: Some(guest.id.to_string()),
    }))
}

fn as_seen<'a>(id: &'a str, called: Option<&'a str>) -> Who<'a> {
    Who { id, called }
}

/// Whether this is for them to decide: a dispatcher lets nobody into channels they do not belong to.
fn minds(caller: &Caller, roster: &Roster, at: &AtTheDoor) -> bool {
    let mut channels = at.poster.poster.channels.keys();
    caller.is_admin() || channels.all(|channel| caller.may_listen(roster, channel))
}

fn names_of<'a>(roster: &Roster, channels: impl Iterator<Item = &'a ChannelId>) -> Vec<String> {
    let channels = channels.filter_map(|id| roster.channels.get(id));
    channels.map(|channel| channel.name.clone()).collect()
}

fn said(from: Option<IpAddr>) -> String {
    from.map_or_else(|| "console".to_string(), |from| from.to_string())
}

fn count(outcome: &'static str) {
    metrics::counter!("pttd_joins_total", "outcome" => outcome).increment(1);
}

/// Refuses, and counts who guesses secrets. Nobody else: a whole crowd may come from one address.
fn refused(api: &Api, from: Option<IpAddr>, why: &JoinError) -> Problem {
    count("refused");
    tracing::info!(from = %said(from), %why, "joining refused");
    if let (JoinError::UnknownPoster, Some(from)) = (why, from)
        && let Err(too_many) = api.sign_in.wrong_secret(from)
    {
        return sign_in::problem(&too_many);
    }
    words(why)
}

fn problem(error: DoorError) -> Problem {
    match error {
        DoorError::Refused(why) => words(&why),
        DoorError::NobodyWaits => {
            Problem::not_found("Nobody waits under this id: look at the list again.")
        }
        DoorError::Renamed(name) => Problem::new(
            StatusCode::CONFLICT,
            "renamed",
            format!("Whoever waits there is called {name} now: look at the list again."),
        ),
        DoorError::Store(error) => error.into(),
    }
}

/// A refusal for the person with the phone: what is so, and what to do.
fn words(why: &JoinError) -> Problem {
    let forbidden = |code, message: &str| Problem::new(StatusCode::FORBIDDEN, code, message);
    match why {
        JoinError::UnknownPoster => forbidden(
            "unknown_poster",
            "This box does not know the poster. Scan its code again, or type it.",
        ),
        JoinError::TakenDown => forbidden(
            "taken_down",
            "This poster was taken down. Ask whoever runs the radio to invite you.",
        ),
        JoinError::Ended => forbidden(
            "ended",
            "This poster has ended. Ask whoever runs the radio to invite you.",
        ),
        JoinError::Full => forbidden(
            "full",
            "As many people as this poster is for are in. Ask whoever runs the radio to invite you.",
        ),
        JoinError::NoChannel => forbidden(
            "no_channel",
            "The channels of this poster are gone. Ask whoever runs the radio to invite you.",
        ),
        JoinError::DeviceTaken => forbidden(
            "device_taken",
            "This phone was known to the box under another name. Reload the page, then try again.",
        ),
        JoinError::BadName => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "bad_name",
            "Type a name that others can read, with at most 64 letters.",
        ),
        JoinError::NameTaken { name } => Problem::new(
            StatusCode::CONFLICT,
            "name_taken",
            format!("There is somebody called {name} already. Add your last name."),
        ),
        JoinError::TooManyWaiting => Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_waiting",
            "Too many people wait to be let in. Try again in a few minutes.",
        ),
        JoinError::Roster(_) => forbidden(
            "channel_full",
            "The channel has as many members as it may have. Ask whoever runs the radio.",
        ),
    }
}
