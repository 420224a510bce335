use axum::body::{Body, to_bytes};
use axum::http::header::LOCATION;
use metrics_exporter_prometheus::PrometheusBuilder;
use pttd_core::authority::Invitation;
use pttd_core::ids::UserId;
use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::admin::Control;
use crate::api::{self, Api};
use crate::config::Settings;
use crate::invite::Inviter;
use crate::roster_file;
use crate::store::{By, Store, hash};
use crate::tokens::Tokens;
use crate::utc;

const PHONE: &str = "192.168.1.20:5000";
const HERE: &str = "127.0.0.1:5000";

struct Site {
    _dir: TempDir,
    store: Arc<Store>,
    web: Arc<Web>,
    page: Router,
}

/// A box with the built-in roster, and an invitation `i` of Anna's for one device.
fn site() -> Site {
    let dir = TempDir::new().unwrap();
    let settings: Settings =
        toml::from_str("name = 'Gate'\n[web]\nnames = ['gate.local']\nhttps = '10.0.0.5:8443'")
            .unwrap();
    let store = Arc::new(Store::open(dir.path()).unwrap());
    let invitation = Invitation {
        user: UserId::from("anna"),
        devices_left: 1,
        used: 0,
        ends: utc::now() + 60,
        revoked: false,
    };
    store
        .change(|roster| {
            *roster = roster_file::built_in().unwrap();
            Ok(((), vec![(hash("i"), invitation)]))
        })
        .unwrap();
    let sign_in = Arc::new(SignIn::new(store.clone(), Tokens::default()).unwrap());
    let inviter = Inviter::of_settings(store.clone(), &settings).unwrap();
    let api = api::router(Arc::new(Api {
        control: Arc::new(Control::new(inviter, None)),
        sign_in: sign_in.clone(),
        limits: settings.limits,
        setup: None,
        running: None,
        recordings: settings.recorder().folder,
    }));
    let web = Web {
        box_name: settings.box_name(),
        sign_in,
        certificates: Arc::new(Certificates::open(store.clone(), &settings).unwrap()),
        health: Health::default(),
        metrics: PrometheusBuilder::new().build_recorder().handle(),
        origins: Origins::new(&settings, settings.web.https, settings.web.plain),
    };
    let web = Arc::new(web);
    let page = router(web.clone()).merge(api);
    Site {
        _dir: dir,
        store,
        web,
        page,
    }
}

impl Site {
    async fn https(&self, request: Request) -> Response {
        https(self.web.clone(), self.page.clone())
            .oneshot(request)
            .await
            .unwrap()
    }

    async fn plain(&self, request: Request) -> Response {
        plain(self.web.clone(), self.page.clone())
            .oneshot(request)
            .await
            .unwrap()
    }
}

fn request(peer: &str, host: &str, path: &str) -> Request {
    let mut request = Request::get(path)
        .header(HOST, host)
        .body(Body::empty())
        .unwrap();
    let peer: SocketAddr = peer.parse().unwrap();
    request.extensions_mut().insert(ConnectInfo(peer));
    request
}

fn post_to(path: &str, body: impl Into<Body>) -> Request {
    let mut request = request(PHONE, "10.0.0.5:8443", path);
    *request.method_mut() = axum::http::Method::POST;
    *request.body_mut() = body.into();
    request
}

async fn text(response: Response) -> String {
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

async fn json_of(response: Response) -> Value {
    serde_json::from_str(&text(response).await).unwrap()
}

#[tokio::test]
async fn another_sites_name_is_not_answered() {
    let site = site();
    for ours in [
        "gate.local:8443",
        "GATE.local",
        "localhost:8443",
        "10.0.0.5:8443",
        "[::1]:8443",
        "203.0.113.7",
    ] {
        let response = site.https(request(PHONE, ours, "/healthz")).await;
        assert_eq!(response.status(), StatusCode::OK, "{ours}");
    }
    for others in [
        "evil.example",
        "gate.local.evil.example",
        "10.0.0.5.evil.example",
        "other.local",
    ] {
        let response = site.https(request(PHONE, others, "/healthz")).await;
        assert_eq!(
            response.status(),
            StatusCode::MISDIRECTED_REQUEST,
            "{others}"
        );
    }
}

#[tokio::test]
async fn only_a_browser_on_the_box_itself_gets_the_page_without_https() {
    let site = site();
    for (peer, host, is_page) in [
        (HERE, "localhost:8080", true),
        ("[::1]:5000", "[::1]:8080", true),
        ("[::ffff:127.0.0.1]:5000", "127.0.0.1", true),
        (PHONE, "localhost", false),
        (HERE, "evil.example", false),
        (HERE, "10.0.0.5", false),
        (PHONE, "10.0.0.5", false),
    ] {
        let response = site.plain(request(peer, host, "/metrics")).await;
        let expected = match is_page {
            true => StatusCode::OK,
            false => StatusCode::TEMPORARY_REDIRECT,
        };
        assert_eq!(response.status(), expected, "{peer} {host}");
        if !is_page {
            assert_eq!(response.headers()[LOCATION], "/");
        }
    }
}

#[tokio::test]
async fn figures_are_for_the_box_and_for_admins() {
    let site = site();
    let page = "10.0.0.5:8443";
    let admitted =
        site.web
            .sign_in
            .with_invitation("i", None, PHONE.parse::<SocketAddr>().unwrap().ip());
    let anna = format!("Bearer {}", admitted.unwrap().device);
    let ask = |peer, bearer: Option<&str>| {
        let mut request = request(peer, page, "/metrics");
        if let Some(bearer) = bearer {
            request
                .headers_mut()
                .insert(AUTHORIZATION, bearer.parse().unwrap());
        }
        site.https(request)
    };
    assert_eq!(ask(HERE, None).await.status(), StatusCode::OK);
    assert_eq!(ask(PHONE, None).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(
        ask(PHONE, Some("Bearer nonsense")).await.status(),
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        ask(PHONE, Some(&anna)).await.status(),
        StatusCode::UNAUTHORIZED
    );
    site.store
        .change(|roster| {
            roster.users.get_mut(&UserId::from("anna")).unwrap().role = Role::Admin;
            Ok(((), Vec::new()))
        })
        .unwrap();
    assert_eq!(ask(PHONE, Some(&anna)).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_device_that_never_heard_the_answer_asks_again_and_is_in() {
    let site = site();
    let credential = "A".repeat(43);
    let sign_in = |invitation: &str, device: &str| {
        let body = json!({ "invitation": invitation, "device": device });
        site.https(post_to("/api/v1/sign-in", body.to_string()))
    };
    for _ in 0..2 {
        let signed_in = json_of(sign_in("i", &credential).await).await;
        assert_eq!(signed_in["device"], credential);
        assert_eq!(signed_in["user"]["userId"], "anna");
    }
    let other_device = sign_in("i", &format!("{}A", "B".repeat(42))).await;
    assert_eq!(json_of(other_device).await["error"], "used_up");

    let of_ben = Invitation {
        user: UserId::from("ben"),
        devices_left: 1,
        used: 0,
        ends: utc::now() + 60,
        revoked: false,
    };
    let invited = site
        .store
        .change(|_| Ok(((), vec![(hash("bens"), of_ben)])));
    invited.unwrap();
    let annas = sign_in("bens", &credential).await;
    assert_eq!(annas.status(), StatusCode::FORBIDDEN);
    assert_eq!(json_of(annas).await["error"], "device_taken");
    let anna = UserId::from("anna");
    site.store
        .lock_out_devices_of(&anna, By::operator().did("x", "x"))
        .unwrap();
    let locked_out = sign_in("i", &credential).await;
    assert_eq!(json_of(locked_out).await["error"], "device_taken");
    for malformed in ["", "A", &"A".repeat(44), &"!".repeat(43)] {
        let refused = sign_in("bens", malformed).await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{malformed:?}");
        assert_eq!(json_of(refused).await["error"], "bad_request");
    }
}

#[tokio::test]
async fn an_invitation_is_exchanged_once() {
    let site = site();
    let signed_in = site
        .https(post_to("/api/v1/sign-in", r#"{"invitation":"i"}"#))
        .await;
    assert_eq!(signed_in.status(), StatusCode::OK);
    assert_eq!(signed_in.headers()[CACHE_CONTROL], "no-store");
    let signed_in = json_of(signed_in).await;
    assert_eq!(
        signed_in["user"],
        json!({ "userId": "anna", "name": "Anna", "role": "dispatch" })
    );
    assert_eq!(signed_in["device"].as_str().unwrap().len(), 43);

    let again = site
        .https(post_to("/api/v1/sign-in", r#"{"invitation":"i"}"#))
        .await;
    assert_eq!(again.status(), StatusCode::FORBIDDEN);
    assert_eq!(json_of(again).await["error"], "used_up");
    for nonsense in [
        "".to_string(),
        "[]".into(),
        format!("{{\"invitation\":\"{}\"}}", "x".repeat(5_000)),
    ] {
        let response = site.https(post_to("/api/v1/sign-in", nonsense)).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn only_the_landing_page_may_ask_other_origins() {
    let site = site();
    let allowed = |response: Response| {
        let policy = response.headers()["content-security-policy"].to_str();
        let (_, allowed) = policy.unwrap().split_once("connect-src ").unwrap();
        allowed.to_string()
    };
    let talk = site.https(request(PHONE, "gate.local:8443", "/")).await;
    assert_eq!(allowed(talk), "'self' wss://gate.local:8443");
    let here = site.plain(request(HERE, "localhost:8080", "/")).await;
    assert_eq!(allowed(here), "'self' ws://localhost:8080");
    let landing = site.plain(request(PHONE, "gate.local:8080", "/")).await;
    assert_eq!(allowed(landing), "'self' https:");
    let odd = site.https(request(PHONE, "a;b@10.0.0.5", "/")).await;
    assert_eq!(allowed(odd), "'self'");
}

#[tokio::test]
async fn a_file_the_browser_has_is_not_sent_again() {
    let site = site();
    let page = "10.0.0.5:8443";
    let first = site.https(request(PHONE, page, "/")).await;
    assert_eq!(first.status(), StatusCode::OK);
    assert_eq!(first.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
    assert_eq!(first.headers()[CACHE_CONTROL], "no-cache");
    let mut again = request(PHONE, page, "/");
    again
        .headers_mut()
        .insert(IF_NONE_MATCH, first.headers()[ETAG].clone());
    assert_eq!(site.https(again).await.status(), StatusCode::NOT_MODIFIED);
    for nowhere in [
        "/nowhere",
        "/../Cargo.toml",
        "/%2e%2e/Cargo.toml",
        "//",
        "//etc/passwd",
    ] {
        let response = site.https(request(PHONE, page, nowhere)).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{nowhere}");
    }
}

#[tokio::test]
async fn the_landing_page_is_told_where_the_box_is() {
    let site = site();
    let told = json_of(
        site.plain(request(PHONE, "10.0.0.5", "/landing.json"))
            .await,
    )
    .await;
    assert_eq!(told["box"], "Gate");
    assert_eq!(told["https"], "https://gate.local:8443");
    assert_eq!(told["addresses"], json!(["https://10.0.0.5:8443"]));
    assert_eq!(told["fingerprint"].as_str().unwrap().len(), 95);
    let code = site.plain(request(PHONE, "10.0.0.5:8080", "/qr.svg")).await;
    assert_eq!(code.headers()[CONTENT_TYPE], "image/svg+xml");
    assert!(text(code).await.contains("<svg"));
    let forged = site.plain(request(PHONE, "\"><script>", "/qr.svg")).await;
    assert_eq!(forged.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_is_wrong_is_told_until_it_is_right_again() {
    let site = site();
    site.web.health.wrong("certificate", "it has ended".into());
    let sick = site.https(request(PHONE, "10.0.0.5", "/healthz")).await;
    assert_eq!(sick.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        json_of(sick).await["problems"],
        json!({ "certificate": "it has ended" })
    );
    site.web.health.fine("certificate");
    let well = site.https(request(PHONE, "10.0.0.5", "/healthz")).await;
    assert_eq!(json_of(well).await, json!({ "status": "ok" }));
}
