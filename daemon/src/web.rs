//! What the box answers over HTTP: the pages, health and figures on the HTTPS port; on the
//! plain port the landing page, or for a browser on the box itself the same as on HTTPS.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, ETAG, HOST,
    IF_NONE_MATCH,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::PrometheusHandle;
use pttd_core::wire::signal::Role;
use qrcode::QrCode;
use qrcode::render::svg;
use rust_embed::RustEmbed;
use serde_json::json;
use tower::ServiceExt;

use crate::health::Health;
use crate::origins::Origins;
use crate::pki::Certificates;
use crate::sign_in::SignIn;

/// The pages need nothing but the box.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'; connect-src 'self'";
const CONTENT_SECURITY_POLICY: HeaderName = HeaderName::from_static("content-security-policy");

#[derive(RustEmbed)]
#[folder = "web/"]
struct Files;

/// What the handlers know.
pub struct Web {
    pub box_name: String,
    pub sign_in: Arc<SignIn>,
    pub certificates: Arc<Certificates>,
    pub health: Health,
    pub metrics: PrometheusHandle,
    pub origins: Origins,
}

/// The routes of the pages. The API and signaling are added to them before they are served with `https` and
/// `plain`.
pub fn router(web: Arc<Web>) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/metrics", get(metrics))
        .route("/here", get(here))
        .fallback(get(|uri: Uri, headers: HeaderMap| async move {
            file(uri.path(), &headers)
        }))
        .with_state(web)
}

/// What the HTTPS port answers.
pub fn https(web: Arc<Web>, page: Router) -> Router {
    page.layer(middleware::from_fn_with_state("wss", talk_policy))
        .layer(middleware::from_fn_with_state(web, known_host))
        .layer(middleware::map_response(with_headers))
}

/// What the plain port answers.
pub fn plain(web: Arc<Web>, page: Router) -> Router {
    let page = page.layer(middleware::from_fn_with_state("ws", talk_policy));
    Router::new()
        .route("/landing.json", get(landing))
        .route("/ca.crt", get(ca_crt))
        .route("/ca.mobileconfig", get(ca_mobileconfig))
        .route("/qr.svg", get(qr))
        .route("/healthz", get(healthz))
        .route("/here", get(here))
        .fallback(get(landing_file))
        .with_state(web)
        .layer(middleware::map_response(landing_policy))
        .layer(middleware::from_fn_with_state(page, first_look))
        .layer(middleware::map_response(with_headers))
}

/// A browser on the box itself gets the talk page without a certificate: `http://localhost` may use a
/// microphone. By the name it asked for, too: a foreign site whose name leads to 127.0.0.1 is not meant.
async fn first_look(
    State(page): State<Router>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let host = host(&request);
    let local = matches!(host.as_deref(), Some("localhost" | "127.0.0.1" | "[::1]"));
    match local && peer.ip().to_canonical().is_loopback() {
        true => page.oneshot(request).await.into_response(),
        false => next.run(request).await,
    }
}

/// A site that has its own name lead to the box must not talk to it in a visitor's browser: only names the
/// certificate vouches for are ours. An address cannot be forged that way.
async fn known_host(State(web): State<Arc<Web>>, request: Request, next: Next) -> Response {
    let Some(host) = host(&request) else {
        return (StatusCode::BAD_REQUEST, "the request names no host\n").into_response();
    };
    let is_address = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    if is_address || web.certificates.vouches_for(&host) {
        return next.run(request).await;
    }
    let text = format!("this box is not {host}: open {}\n", web.origins.by_name());
    (StatusCode::MISDIRECTED_REQUEST, text).into_response()
}

/// The name or address the browser asked for, without the port, in lower case.
fn host(request: &Request) -> Option<String> {
    Some(authority(request)?.host().to_ascii_lowercase())
}

fn authority(request: &Request) -> Option<Authority> {
    let from_header = || {
        let text = request.headers().get(HOST)?.to_str().ok()?;
        text.parse::<Authority>().ok()
    };
    request.uri().authority().cloned().or_else(from_header)
}

/// The talk page speaks with the box it came from and nobody else. Safari before 15.4 does not take that for
/// leave to open a WebSocket to it (`scheme`), unless it is named.
async fn talk_policy(State(scheme): State<&'static str>, request: Request, next: Next) -> Response {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ".:-[]".contains(c);
    let policy = match authority(&request) {
        Some(own) if own.as_str().chars().all(is_plain) => format!("{POLICY} {scheme}://{own}"),
        _ => POLICY.to_string(),
    };
    let mut response = next.run(request).await;
    if let Ok(policy) = HeaderValue::try_from(policy) {
        let headers = response.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// The landing page asks `/here` of the HTTPS origins, to see whether they are trusted.
async fn landing_policy(mut response: Response) -> Response {
    if let Ok(policy) = HeaderValue::try_from(format!("{POLICY} https:")) {
        let headers = response.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

async fn with_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (
            "permissions-policy",
            "microphone=(self), camera=(), geolocation=()",
        ),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// An embedded file. Browsers ask each time, and are told when theirs is still the one: after an update of
/// the box a page that is opened is the new one.
fn file(path: &str, headers: &HeaderMap) -> Response {
    let path = match path.strip_prefix('/').unwrap_or(path) {
        "" => "index.html",
        "dispatch" => "dispatch/index.html",
        "admin" => "admin/index.html",
        "radio" => "radio/index.html",
        "setup" => "admin/setup.html",
        "join" => "join/index.html",
        path => path,
    };
    let Some(file) = Files::get(path) else {
        return (StatusCode::NOT_FOUND, "there is no such page on this box\n").into_response();
    };
    let hash = file.metadata.sha256_hash();
    let tag: String = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{tag}\"");
    let caching = [(CACHE_CONTROL, "no-cache".to_string()), (ETAG, tag.clone())];
    let known = headers
        .get(IF_NONE_MATCH)
        .and_then(|known| known.to_str().ok());
    if known.is_some_and(|known| known.contains(&tag)) {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    let kind = file.metadata.mimetype();
    let kind = match kind.starts_with("text/") {
        true => format!("{kind}; charset=utf-8"),
        false => kind.to_string(),
    };
    (caching, [(CONTENT_TYPE, kind)], file.data).into_response()
}

async fn healthz(State(web): State<Arc<Web>>) -> Response {
    let problems = web.health.problems();
    match problems.is_empty() {
        true => Json(json!({ "status": "ok" })).into_response(),
        false => {
            let body = Json(json!({ "status": "wrong", "problems": problems }));
            (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
        }
    }
}

/// The figures tell who is here and when they talk: for the box itself, and for admins.
async fn metrics(
    State(web): State<Arc<Web>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    let from = peer.ip().to_canonical();
    let allowed = from.is_loopback() || {
        let bearer = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .map(str::to_string);
        match bearer {
            Some(bearer) => is_admin(web.clone(), bearer, from).await,
            None => false,
        }
    };
    if !allowed {
        let text = "for the box itself, or with an admin's credential as a bearer token\n";
        return (StatusCode::UNAUTHORIZED, text).into_response();
    }
    let text = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (text, web.metrics.render()).into_response()
}

async fn is_admin(web: Arc<Web>, bearer: String, from: IpAddr) -> bool {
    let admitted =
        tokio::task::spawn_blocking(move || web.sign_in.with_bearer(&bearer, from)).await;
    matches!(admitted, Ok(Ok(admitted)) if admitted.entry().is_some_and(|user| user.role == Role::Admin))
}

/// Asked by pages of the other origin: whoever hears this can reach the box, and trusts it where it was HTTPS.
async fn here() -> Response {
    (StatusCode::NO_CONTENT, [(ACCESS_CONTROL_ALLOW_ORIGIN, "*")]).into_response()
}

async fn landing_file(uri: Uri, headers: HeaderMap) -> Response {
    match uri.path() {
        // A poster leads here too, and its fragment comes along.
        "/" | "/join" => file("landing.html", &headers),
        path if path.starts_with("/landing/") => file(path, &headers),
        _ => Redirect::temporary("/").into_response(),
    }
}

async fn landing(State(web): State<Arc<Web>>) -> Response {
    Json(json!({
        "box": web.box_name,
        // Where the links lead: a device is signed in at one origin, and has to come back to that one.
        "https": web.origins.for_links(),
        "addresses": web.origins.by_address(),
        "fingerprint": web.certificates.ca().map(|ca| ca.fingerprint()),
    }))
    .into_response()
}

const OWN_CERTIFICATE: &str =
    "this box has a certificate of its own: nothing needs to be installed\n";

async fn ca_crt(State(web): State<Arc<Web>>) -> Response {
    match web.certificates.ca() {
        Some(ca) => {
            let kind = [(CONTENT_TYPE, "application/x-x509-ca-cert")];
            (kind, ca.der().to_vec()).into_response()
        }
        None => (StatusCode::NOT_FOUND, OWN_CERTIFICATE).into_response(),
    }
}

async fn ca_mobileconfig(State(web): State<Arc<Web>>) -> Response {
    match web.certificates.ca() {
        Some(ca) => {
            let kind = [(CONTENT_TYPE, "application/x-apple-aspen-config")];
            (kind, ca.mobileconfig(&web.box_name)).into_response()
        }
        None => (StatusCode::NOT_FOUND, OWN_CERTIFICATE).into_response(),
    }
}

/// A QR code of the address this page was asked under, for the next phone.
async fn qr(request: Request) -> Response {
    let host = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok());
    let Some(authority) = host.and_then(|host| host.parse::<Authority>().ok()) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    match qr_svg(&format!("http://{authority}/")) {
        Ok(svg) => ([(CONTENT_TYPE, "image/svg+xml")], svg).into_response(),
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

pub fn qr_svg(text: &str) -> Result<String, qrcode::types::QrError> {
    let code = QrCode::new(text)?;
    Ok(code.render::<svg::Color>().min_dimensions(220, 220).build())
}

#[cfg(test)]
mod tests;
