//! The box's REST API, as someone with a device calls it.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::http::Answer;
use crate::site::Site;

pub struct Api<'a> {
    site: &'a Site,
    bearer: String,
}

impl Site {
    /// The API for this user, by a device of its own.
    pub async fn api(&self, user: &str) -> Result<Api<'_>> {
        let device = self.redeem(&self.invite(user)?.secret).await?;
        Ok(self.api_of(&device))
    }

    /// The API for a device that has signed in already.
    pub fn api_of(&self, device: &str) -> Api<'_> {
        Api {
            site: self,
            bearer: format!("Bearer {device}"),
        }
    }
}

impl Api<'_> {
    /// Whatever the box answers.
    pub async fn call(&self, method: &str, path: &str, body: &Value) -> Result<Answer> {
        let path = format!("/api/v1{path}");
        let mut headers = vec![("authorization", self.bearer.as_str())];
        let body = match body {
            Value::Null => String::new(),
            body => {
                headers.push(("content-type", "application/json"));
                body.to_string()
            }
        };
        self.site.https(method, &path, &headers, &body).await
    }

    async fn done(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let answer = self.call(method, path, body).await?;
        ensure!(
            answer.status.is_success(),
            "{method} {path}: {} {}",
            answer.status,
            answer.text()
        );
        match answer.body.is_empty() {
            true => Ok(Value::Null),
            false => answer.json(),
        }
    }

    pub async fn get(&self, path: &str) -> Result<Value> {
        self.done("GET", path, &Value::Null).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Result<Value> {
        self.done("POST", path, &body).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Result<Value> {
        self.done("PUT", path, &body).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Result<Value> {
        self.done("PATCH", path, &body).await
    }

    pub async fn delete(&self, path: &str) -> Result<Value> {
        self.done("DELETE", path, &Value::Null).await
    }

    /// The status and the code it is refused with.
    pub async fn refused(&self, method: &str, path: &str, body: Value) -> Result<(u16, String)> {
        let answer = self.call(method, path, &body).await?;
        ensure!(
            !answer.status.is_success(),
            "{method} {path} was not refused: {}",
            answer.text()
        );
        let code = answer.json()?["error"].as_str().map(String::from);
        let code = code.with_context(|| format!("an error's code: {}", answer.text()))?;
        Ok((answer.status.as_u16(), code))
    }
}
