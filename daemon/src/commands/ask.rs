//! One request to the API, whoever answers it.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use axum::Extension;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Method, Request, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use tower::ServiceExt;

use crate::api::{self, Api, Operator};
use crate::invite::Refused;
use crate::store::AsOwner;
use crate::{Files, admin, run, runtime};

/// A list of a thousand people fits easily.
const MAX_ANSWER: usize = 64 << 20;

#[derive(Deserialize)]
struct Problem {
    message: String,
}

/// Asks for `path` below `/api/v1`. What the API refuses is an error with its sentence.
pub fn ask(files: &Files, method: Method, path: &str, body: Option<Value>) -> Result<Value> {
    let settings = files.settings()?;
    let path = format!("/api/v1{path}");
    let body = body.map(|body| body.to_string().into_bytes());
    let (status, answer) = runtime()?.block_on(async {
        match admin::connect(&settings.state.dir).await? {
            Some(daemon) => admin::call(daemon, method, &path, body).await,
            None => {
                let _owner = AsOwner::of(&settings.state.dir)?;
                let store = run::open_store(&settings, files.roster().as_deref())?;
                let api = Api::of_store(store, &settings)?;
                alone(api, method, &path, body).await
            }
        }
    })?;
    read(status, &answer)
}

async fn alone(
    api: Api,
    method: Method,
    path: &str,
    body: Option<Vec<u8>>,
) -> Result<(StatusCode, Bytes)> {
    let router = api::router(Arc::new(api)).layer(Extension(Operator));
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json")
        .body(Body::from(body.unwrap_or_default()))?;
    let answer = router.oneshot(request).await?;
    let status = answer.status();
    let body = to_bytes(answer.into_body(), MAX_ANSWER).await?;
    Ok((status, body))
}

fn read(status: StatusCode, answer: &[u8]) -> Result<Value> {
    if status.is_success() {
        return match answer.is_empty() {
            true => Ok(Value::Null),
            false => serde_json::from_slice(answer).context("reading the answer"),
        };
    }
    Err(match serde_json::from_slice::<Problem>(answer) {
        Ok(problem) => Refused {
            line: None,
            why: problem.message,
        }
        .into(),
        Err(_) => {
            anyhow!("the running pttd does not understand this command: is it of another version?")
        }
    })
}

/// A part of a path, whatever is in it.
pub fn part(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let written = text.bytes().map(|b| match plain(b) {
        true => char::from(b).to_string(),
        false => format!("%{b:02X}"),
    });
    written.collect()
}
