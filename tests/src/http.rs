//! Plain requests to the box, over HTTPS as someone who trusts its CA, or over the plain port.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::client::PATIENCE;
use crate::site::Door;

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: header::HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("no JSON: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

impl Door {
    /// A connection that trusts this box's CA and nothing else.
    pub async fn tls(&self) -> Result<TlsStream<TcpStream>> {
        let connector = self.connector.get_or_try_init(|| self.trust()).await?;
        let address = SocketAddr::from(([127, 0, 0, 1], self.ready.https.port()));
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::from(address.ip());
        connector
            .connect(name, stream)
            .await
            .context("TLS with the box")
    }

    async fn trust(&self) -> Result<TlsConnector> {
        // Not by `127.0.0.1`: to a browser on the box itself the plain port is the talk page.
        let ca = self
            .plain("GET", "/ca.crt", &[("host", "gate.local")], "")
            .await?;
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from(ca.body.to_vec()))
            .context("the box's CA")?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(TlsConnector::from(Arc::new(config)))
    }

    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.https("GET", path, &[], "").await
    }

    /// A figure of /metrics, summed over its labels.
    pub async fn figure(&self, name: &str) -> Result<f64> {
        let text = self.get("/metrics").await?.text();
        let figures: Vec<f64> = text
            .lines()
            .filter(|line| {
                line.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with([' ', '{']))
            })
            .filter_map(|line| line.rsplit(' ').next()?.parse().ok())
            .collect();
        ensure!(!figures.is_empty(), "no {name} in:\n{text}");
        Ok(figures.iter().sum())
    }

    /// Waits until the figure is so; the box tells its figures once a second.
    pub async fn figure_is(&self, name: &str, is: impl Fn(f64) -> bool) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = self.figure(name).await?;
            if is(now) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{name} is {now}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub async fn https(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Answer> {
        request(
            self.tls().await?,
            self.ready.https,
            method,
            path,
            headers,
            body,
        )
        .await
    }

    pub async fn plain(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Answer> {
        let stream = TcpStream::connect(self.ready.plain).await?;
        request(stream, self.ready.plain, method, path, headers, body).await
    }
}

async fn request<S>(
    stream: S,
    host: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<Answer>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path);
    if !headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("host"))
    {
        request = request.header(header::HOST, host.to_string());
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = sender
        .send_request(request.body(Full::new(Bytes::from(body.to_string())))?)
        .await?;
    let (parts, body) = answer.into_parts();
    Ok(Answer {
        status: parts.status,
        headers: parts.headers,
        body: body.collect().await?.to_bytes(),
    })
}
