//! The API as a command of the operator asks it: of the running daemon, or, where none runs, of the same router on
//! the store itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use axum::body::Body;
use axum::response::Response;
use axum::{Extension, Router};
use http_body_util::BodyExt;
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tower::ServiceExt;

use crate::admin;
use crate::api::{self, Api, ProblemText};
use crate::config::Settings;
use crate::invite::Refused;
use crate::run;
use crate::store::AsOwner;

const ANSWER_WITHIN: Duration = Duration::from_secs(30);

pub struct Operator {
    state: PathBuf,
    /// `None`: a daemon runs.
    here: Option<Here>,
}

struct Here {
    router: Router,
    _owner: AsOwner,
}

impl Operator {
    pub async fn open(settings: &Settings, roster: Option<&Path>) -> Result<Operator> {
        let state = settings.state.dir.clone();
        let here = match admin::connect(&state).await? {
            Some(_daemon) => None,
            None => Some(Here::open(settings, roster)?),
        };
        Ok(Operator { state, here })
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let answer = self.ask(Method::GET, path, Body::empty()).await?;
        serde_json::from_slice(&answer).context("reading the answer")
    }

    pub async fn bytes(&self, path: &str) -> Result<Bytes> {
        self.ask(Method::GET, path, Body::empty()).await
    }

    /// `path` is what follows `/api/v1`.
    pub async fn ask(&self, method: Method, path: &str, body: Body) -> Result<Bytes> {
        let request = request(method, path, body)?;
        let answered = tokio::time::timeout(ANSWER_WITHIN, self.answer(request)).await;
        let (status, body) = answered.with_context(|| {
            format!(
                "the box has not answered for {} s, and may carry it out all the same: look at its log",
                ANSWER_WITHIN.as_secs()
            )
        })??;
        if status.is_success() {
            return Ok(body);
        }
        Err(refusal(&body))
    }

    /// Asks for `path` and hands each line of the answer on as it comes, until the answer ends.
    pub async fn follow(
        &self,
        path: &str,
        mut each: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let request = request(Method::GET, path, Body::empty())?;
        let response = tokio::time::timeout(ANSWER_WITHIN, self.respond(request));
        let response = response.await.context("the box does not answer")??;
        let status = response.status();
        let mut body = response.into_body();
        if !status.is_success() {
            return Err(refusal(&body.collect().await?.to_bytes()));
        }
        let mut rest = Vec::new();
        while let Some(frame) = body.frame().await {
            rest.extend_from_slice(frame?.data_ref().unwrap_or(&Bytes::new()));
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                each(&line[..end])?;
            }
        }
        Ok(())
    }

    async fn answer(&self, request: Request<Body>) -> Result<(StatusCode, Bytes)> {
        let response = self.respond(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        Ok((status, body))
    }

    async fn respond(&self, request: Request<Body>) -> Result<Response> {
        Ok(match &self.here {
            Some(here) => here.router.clone().oneshot(request).await?,
            None => {
                let daemon = admin::connect(&self.state).await?;
                let daemon = daemon.context("the box has just been stopped: try again")?;
                let (mut sender, connection) =
                    hyper::client::conn::http1::handshake(TokioIo::new(daemon)).await?;
                tokio::spawn(connection);
                let response = sender.send_request(request).await;
                response.context("asking the running pttd")?.map(Body::new)
            }
        })
    }
}

fn request(method: Method, path: &str, body: Body) -> Result<Request<Body>> {
    let request = Request::builder()
        .method(method)
        .uri(format!("/api/v1{path}"))
        .header("host", "pttd")
        .header("content-type", "application/json");
    Ok(request.body(body)?)
}

fn refusal(body: &[u8]) -> anyhow::Error {
    match serde_json::from_slice::<ProblemText>(body) {
        Ok(problem) => Refused {
            line: None,
            why: problem.message,
        }
        .into(),
        Err(_) => {
            anyhow!("the running pttd does not understand this command: is it of another version?")
        }
    }
}

impl Here {
    fn open(settings: &Settings, roster: Option<&Path>) -> Result<Here> {
        let owner = AsOwner::of(&settings.state.dir)?;
        let store = run::open_store(settings, roster)?;
        let api = Api::of_store(store, settings)?;
        Ok(Here {
            router: api::router(Arc::new(api)).layer(Extension(api::Operator)),
            _owner: owner,
        })
    }
}
