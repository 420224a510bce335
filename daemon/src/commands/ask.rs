//! One request to the API, whoever answers it.

use anyhow::{Context, Result};
use axum::body::Bytes;
use axum::http::Method;
use serde_json::Value;

use crate::operator::Operator;
use crate::{Files, runtime};

/// Asks for `path` below `/api/v1`. What the API refuses is an error with its sentence.
pub fn ask(files: &Files, method: Method, path: &str, body: Option<Value>) -> Result<Value> {
    let answer = ask_bytes(files, method, path, body)?;
    match answer.is_empty() {
        true => Ok(Value::Null),
        false => serde_json::from_slice(&answer).context("reading the answer"),
    }
}

/// The same, for an answer that is no JSON.
pub fn ask_bytes(files: &Files, method: Method, path: &str, body: Option<Value>) -> Result<Bytes> {
    let settings = files.settings()?;
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    runtime()?.block_on(async {
        let operator = Operator::open(&settings, files.roster().as_deref()).await?;
        operator.ask(method, path, body.into()).await
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
