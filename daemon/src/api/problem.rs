//! How a request goes wrong, and how its parts are read so that it goes wrong in one way only.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{self, FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use pttd_core::authority::{ChangeError, RosterError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use crate::invite::Refused;
use crate::toml_file::Mistake;
use crate::wizard;

/// A client that sends slower than this is not waited for.
const BODY_TIME: Duration = Duration::from_secs(10);

/// Why a request was not carried out: a status and a code for programs, a sentence for people.
#[derive(Debug)]
pub struct Problem {
    pub status: StatusCode,
    pub code: &'static str,
    pub message: String,
}

/// A [`Problem`] as it is sent.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ProblemText {
    /// For programs: `not_found`, `taken` ...
    pub error: String,
    /// For people: one sentence.
    pub message: String,
}

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Problem {
        let message = message.into();
        Problem {
            status,
            code,
            message,
        }
    }

    /// Not understood.
    pub fn bad_request(message: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// No credential, or none that is good.
    pub fn unauthorized(message: impl Into<String>) -> Problem {
        Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    /// Known, but may not.
    pub fn forbidden(message: impl Into<String>) -> Problem {
        Problem::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    pub fn not_found(message: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// What is there already, or what must stay, is in the way.
    pub fn conflict(message: impl Into<String>) -> Problem {
        Problem::new(StatusCode::CONFLICT, "conflict", message)
    }

    /// Understood, and not possible: beyond a limit, or written wrongly.
    pub fn refused(message: impl Into<String>) -> Problem {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", message)
    }

    pub fn too_many(message: impl Into<String>) -> Problem {
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_tries", message)
    }
}

/// What is wrong with the request is said to whoever asked; the box's own fault is said in the log, where the
/// operator looks.
impl From<anyhow::Error> for Problem {
    fn from(error: anyhow::Error) -> Problem {
        if let Some(not) = error.downcast_ref::<ChangeError>() {
            let text = sentence(not);
            return match not {
                ChangeError::NoSuchChannel(_)
                | ChangeError::NoSuchUser(_)
                | ChangeError::NotAMember { .. } => Problem::not_found(text),
                ChangeError::ChannelTaken(_)
                | ChangeError::UserTaken(_)
                | ChangeError::LastAdmin(_) => Problem::conflict(text),
            };
        }
        if let Some(unfit) = error.downcast_ref::<RosterError>() {
            return Problem::refused(sentence(unfit));
        }
        if let Some(refused) = error.downcast_ref::<Refused>() {
            return Problem::refused(sentence(refused));
        }
        if let Some(unfit) = error.downcast_ref::<wizard::Unfit>() {
            return Problem::refused(sentence(unfit));
        }
        if let Some(mistake) = error.downcast_ref::<Mistake>() {
            return Problem::refused(sentence(mistake));
        }
        let why = format!("{error:#}");
        tracing::error!(why, "a request failed");
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "internal",
            "The box could not do this. Its log says why.",
        )
    }
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Problem {
        anyhow::Error::from(error).into()
    }
}

/// `there is no channel "x"` becomes `There is no channel "x".`
pub fn sentence(error: &impl std::fmt::Display) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), letters.as_str()),
        None => text,
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let text = ProblemText {
            error: self.code.to_string(),
            message: self.message,
        };
        (self.status, Json(text)).into_response()
    }
}

/// Does what blocks on the disk, away from the threads that others wait for.
pub async fn off_the_threads<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work).await?
}

/// A body of JSON.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Arc<Api>> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, Problem> {
        let read = tokio::time::timeout(BODY_TIME, Bytes::from_request(request, api)).await;
        let Ok(read) = read else {
            return Err(Problem::bad_request("The request took too long to arrive."));
        };
        let body = read.map_err(|e| Problem::bad_request(format!("{}.", e.body_text())))?;
        match serde_json::from_slice(&body) {
            Ok(body) => Ok(Body(body)),
            Err(error) => Err(Problem::bad_request(format!(
                "The box does not understand this: {error}."
            ))),
        }
    }
}

/// What stands in the path.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<Api>> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        match extract::Path::from_request_parts(parts, api).await {
            Ok(extract::Path(part)) => Ok(Path(part)),
            Err(error) => Err(Problem::bad_request(format!("{}.", error.body_text()))),
        }
    }
}

/// What stands behind the `?`.
pub struct Asked<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<Arc<Api>> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let asked: Result<Query<T>, QueryRejection> = Query::from_request_parts(parts, api).await;
        match asked {
            Ok(Query(asked)) => Ok(Asked(asked)),
            Err(error) => Err(Problem::bad_request(format!("{}.", error.body_text()))),
        }
    }
}
