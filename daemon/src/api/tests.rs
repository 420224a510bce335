use axum::Extension;
use axum::body::{Body as HttpBody, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{Method, Request, StatusCode};
use pttd_core::authority::Device;
use serde_json::{Value, json};
use std::net::SocketAddr;
use tempfile::TempDir;
use tower::ServiceExt;

use super::*;
use crate::roster_file;
use crate::store::{Records, hash};

struct Box {
    _dir: TempDir,
    api: Arc<Api>,
}

const PHONE: &str = "192.0.2.20:5000";

/// The built-in roster with Dora, an admin. Everyone has a device, whose credential is their id.
fn a_box() -> Box {
    let dir = TempDir::new().unwrap();
    let store = Arc::new(Store::open(dir.path()).unwrap());
    let taken_in = store.change(|roster| {
        *roster = roster_file::built_in().unwrap();
        let dora = pttd_core::authority::UserChange {
            name: Some("Dora".into()),
            role: Some(pttd_core::wire::signal::Role::Admin),
            ..Default::default()
        };
        roster.add_user(None, dora)?;
        let device = |user: &pttd_core::ids::UserId| {
            let device = Device {
                user: user.clone(),
                since: 1,
                revoked: false,
                from_token: false,
            };
            (hash(user.as_str()), device)
        };
        let devices = roster.users.keys().map(device).collect();
        let records = Records {
            devices,
            ..Records::default()
        };
        Ok(((), records))
    });
    taken_in.unwrap();
    let api = Api::of_store(store, &Settings::default()).unwrap();
    Box {
        _dir: dir,
        api: Arc::new(api),
    }
}

impl Box {
    async fn ask(
        &self,
        bearer: Option<&str>,
        method: &str,
        path: &str,
        body: Value,
    ) -> (u16, Value) {
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(format!("/api/v1{path}"));
        if let Some(bearer) = bearer {
            request = request.header("authorization", format!("Bearer {bearer}"));
        }
        let body = match body {
            Value::Null => HttpBody::empty(),
            body => HttpBody::from(body.to_string()),
        };
        let mut request = request.body(body).unwrap();
        let peer: SocketAddr = PHONE.parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(peer));
        self.answer(router(self.api.clone()), request).await
    }

    async fn answer(&self, router: Router, request: Request<HttpBody>) -> (u16, Value) {
        let answer = router.oneshot(request).await.unwrap();
        let status = answer.status();
        let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        if !status.is_success() {
            let message = body["message"].as_str().unwrap();
            assert!(
                message.ends_with('.') && message.contains(' '),
                "{message:?}"
            );
        }
        (status.as_u16(), body)
    }

    async fn dora(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        self.ask(Some("dora"), method, path, body).await
    }

    async fn log(&self) -> Vec<String> {
        let (status, log) = self.dora("GET", "/log", Value::Null).await;
        assert_eq!(status, 200);
        let texts = log["entries"].as_array().unwrap().iter();
        texts
            .map(|entry| entry["text"].as_str().unwrap().to_string())
            .collect()
    }
}

#[tokio::test]
async fn who_asks_is_looked_up_in_the_roster_each_time() {
    let it = a_box();
    let me = it.ask(Some("ben"), "GET", "/me", Value::Null).await;
    assert_eq!(
        me,
        (200, json!({"userId": "ben", "name": "Ben", "role": "user"}))
    );
    for (bearer, status) in [(None, 401), (Some("stolen"), 401), (Some("a.b.c"), 401)] {
        let asked = it.ask(bearer, "GET", "/users", Value::Null).await;
        assert_eq!(asked.0, status, "{bearer:?}");
    }
    assert_eq!(
        it.ask(Some("ben"), "GET", "/users", Value::Null).await.0,
        403
    );
    let admin = json!({"role": "admin"});
    assert_eq!(it.dora("PATCH", "/users/ben", admin).await.0, 200);
    assert_eq!(
        it.ask(Some("ben"), "GET", "/users", Value::Null).await.0,
        200
    );
    it.dora("DELETE", "/users/ben", Value::Null).await;
    assert_eq!(it.ask(Some("ben"), "GET", "/me", Value::Null).await.0, 401);
}

#[tokio::test]
async fn wrong_credentials_are_slowed_down_and_right_ones_are_not() {
    let it = a_box();
    let mut last = 0;
    for n in 0..40 {
        let wrong = format!("wrong{n}");
        last = it.ask(Some(&wrong), "GET", "/me", Value::Null).await.0;
    }
    assert_eq!(last, 429);
    assert_eq!(it.ask(Some("ben"), "GET", "/me", Value::Null).await.0, 200);
}

#[tokio::test]
async fn a_channel_is_added_changed_and_removed_and_the_log_tells() {
    let it = a_box();
    let stage2 = json!({"name": "Stage 2", "group": "Show", "record": "7d", "talkLimitMs": 45000});
    let (status, added) = it.dora("POST", "/channels", stage2.clone()).await;
    assert_eq!(
        (status, &added["id"], &added["record"]),
        (201, &json!("stage-2"), &json!("7d"))
    );
    let (status, set) = it
        .dora(
            "PATCH",
            "/channels/stage-2",
            json!({"group": null, "record": "off"}),
        )
        .await;
    assert_eq!((status, &set["group"]), (200, &Value::Null));
    assert_eq!(set["talkLimitMs"], 45000, "what is not said stays");
    assert_eq!(
        it.dora("DELETE", "/channels/stage-2", Value::Null).await.0,
        204
    );
    assert_eq!(
        it.log().await[..3],
        [
            "Dora removed the channel Stage 2",
            "Dora changed the channel Stage 2: in no group, recording off",
            "Dora added the channel Stage 2",
        ]
    );
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_and_leaves_nothing_behind() {
    let it = a_box();
    let before = it.api.roster();
    let long = "x".repeat(65);
    for (method, path, body, status) in [
        ("POST", "/channels", json!({"id": "ops"}), 409),
        ("POST", "/channels", json!({}), 422),
        ("POST", "/channels", json!({"id": "a b", "name": "AB"}), 422),
        ("PATCH", "/channels/ops", json!({"talkLimitMs": 4000}), 422),
        ("PATCH", "/channels/ops", json!({"record": "2w"}), 422),
        ("PATCH", "/channels/ops", json!({"nmae": "x"}), 400),
        ("PATCH", "/channels/opps", json!({"name": "x"}), 404),
        ("POST", "/users", json!({"id": "ben"}), 409),
        ("POST", "/users", json!({"name": long}), 422),
        (
            "POST",
            "/users",
            json!({"name": "Eva", "channels": {"opps": "talk"}}),
            404,
        ),
        ("POST", "/users", json!({"name": "Eva", "ends": 1}), 422),
        ("PATCH", "/users/dora", json!({"role": "user"}), 409),
        ("DELETE", "/users/dora", Value::Null, 409),
        ("DELETE", "/users/nobody", Value::Null, 404),
        (
            "PUT",
            "/channels/ops/members/nobody",
            json!({"right": "talk"}),
            404,
        ),
        (
            "PUT",
            "/channels/ops/members/ben",
            json!({"right": "shout"}),
            400,
        ),
        ("DELETE", "/channels/ops/members/dora", Value::Null, 404),
        (
            "PUT",
            "/memberships",
            json!({"users": {"ben": {}, "nobody": {}}}),
            404,
        ),
        ("DELETE", "/invitations/0", Value::Null, 404),
        ("DELETE", "/devices/0", Value::Null, 404),
        ("DELETE", "/sessions/1", Value::Null, 404),
        ("POST", "/invitations", json!({"hours": 1}), 422),
        ("GET", "/log?limit=0", Value::Null, 400),
        ("GET", "/nothing", Value::Null, 404),
        ("DELETE", "/sessions/abc", Value::Null, 400),
        ("DELETE", "/users/%ff", Value::Null, 400),
        ("PUT", "/users", Value::Null, 405),
        (
            "PUT",
            "/channels/ops/members",
            json!({"users": {"ben": "listen", "nobody": "talk"}}),
            404,
        ),
    ] {
        let asked = it.dora(method, path, body.clone()).await;
        assert_eq!(asked.0, status, "{method} {path} {body} {}", asked.1);
    }
    assert_eq!(*it.api.roster(), *before);
    assert!(it.log().await.is_empty());
}

#[tokio::test]
async fn many_are_set_on_one_channel_and_keep_their_others() {
    let it = a_box();
    let before = it.api.roster();
    let all = before
        .users
        .keys()
        .map(|id| (id.to_string(), json!("listen")));
    let all: serde_json::Map<_, _> = all.collect();
    let set = it
        .dora("PUT", "/channels/ops/members", json!({"users": all}))
        .await;
    assert_eq!(set.0, 204);
    let after = it.api.roster();
    let ops = "ops".into();
    for (id, user) in &after.users {
        let mut expected = before.users[id].channels.clone();
        expected.insert(
            pttd_core::ids::ChannelId::clone(&ops),
            pttd_core::authority::Membership::Listen,
        );
        assert_eq!(user.channels, expected, "{id}");
    }
    assert_eq!(it.log().await.len(), 1);
}

#[tokio::test]
async fn the_only_admin_is_demoted_by_no_door() {
    let it = a_box();
    let admins: Vec<_> = it.api.roster().admins().cloned().collect();
    assert_eq!(admins.len(), 1);
    for (method, path, body, status) in [
        ("DELETE", "/users/dora", Value::Null, 409),
        ("PATCH", "/users/dora", json!({"role": "user"}), 409),
        (
            "PATCH",
            "/users/dora",
            json!({"ends": 4_000_000_000_u64}),
            409,
        ),
        (
            "POST",
            "/invitations",
            json!({"userId": "dora", "role": "user"}),
            409,
        ),
    ] {
        let asked = it.dora(method, path, body).await;
        assert_eq!(asked.0, status, "{method} {path}: {}", asked.1);
    }
}

#[tokio::test]
async fn an_invitation_is_listed_until_it_is_used_up_or_withdrawn() {
    let it = a_box();
    let gus = json!({"name": "Gus", "channels": ["ops"], "devices": 2, "ends": 4_000_000_000_u64});
    let (status, card) = it.dora("POST", "/invitations", gus).await;
    assert_eq!((status, &card["userId"]), (201, &json!("gus")));
    assert!(card["qrSvg"].as_str().unwrap().contains("<svg"));
    let secret = card["secret"].as_str().unwrap();
    let signed_in = it
        .ask(None, "POST", "/sign-in", json!({"invitation": secret}))
        .await;
    assert_eq!(signed_in.0, 200);
    let device = signed_in.1["device"].as_str().unwrap().to_string();
    let (_, list) = it.dora("GET", "/invitations", Value::Null).await;
    let open = &list["invitations"][0];
    assert_eq!((&open["used"], &open["devices"]), (&json!(1), &json!(2)));
    let path = format!("/invitations/{}", open["id"].as_str().unwrap());
    assert_eq!(it.dora("DELETE", &path, Value::Null).await.0, 204);
    let withdrawn = it
        .ask(None, "POST", "/sign-in", json!({"invitation": secret}))
        .await;
    assert_eq!(
        (withdrawn.0, &withdrawn.1["error"]),
        (403, &json!("withdrawn"))
    );

    let id = crate::store::short_id(&hash(&device));
    assert_eq!(
        it.ask(Some(&device), "GET", "/me", Value::Null).await.0,
        200
    );
    let locked_out = it
        .dora("DELETE", &format!("/devices/{id}"), Value::Null)
        .await;
    assert_eq!(locked_out.0, 204);
    assert_eq!(
        it.ask(Some(&device), "GET", "/me", Value::Null).await.0,
        401
    );
}

#[tokio::test]
async fn the_document_describes_every_route_and_the_operator_needs_no_bearer() {
    let it = a_box();
    let (_, document) = it.ask(None, "GET", "/openapi.json", Value::Null).await;
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 20, "{}", paths.len());
    for (path, methods) in paths {
        for (method, described) in methods.as_object().unwrap() {
            let placeholders = path.matches('{').count();
            let declared = described["parameters"].as_array().map_or(0, |parameters| {
                let in_path = |p: &&Value| p["in"] == "path";
                parameters.iter().filter(in_path).count()
            });
            assert_eq!(declared, placeholders, "{method} {path}");
            let is_open = described.get("security").is_none();
            let asked = it
                .ask(
                    None,
                    &method.to_uppercase(),
                    &path.replace("/api/v1", "").replace(['{', '}'], ""),
                    Value::Null,
                )
                .await;
            let needs_bearer = asked.0 == 401;
            assert_eq!(needs_bearer, !is_open, "{method} {path}: {}", asked.1);
            let says = |status: &str| described["responses"].get(status).is_some();
            let says_who_is_refused = ["401", "403", "429"].into_iter().all(says);
            assert!(is_open || says_who_is_refused, "{method} {path}");
        }
    }
    for path in paths.keys().filter(|path| !path.contains('{')) {
        if paths[path].get("get").is_none() {
            continue;
        }
        let request = Request::get(path).body(HttpBody::empty()).unwrap();
        let operator = router(it.api.clone()).layer(Extension(Operator));
        let asked = it.answer(operator, request).await;
        // Nothing is wired where no box runs.
        let wired = ["/radios", "/wizard"]
            .iter()
            .any(|part| path.contains(part));
        let answer = match wired {
            true => StatusCode::CONFLICT,
            false => StatusCode::OK,
        };
        assert_eq!(asked.0, answer.as_u16(), "{path}: {}", asked.1);
    }
}

#[tokio::test]
async fn radios_are_for_dispatchers_and_connecting_one_is_for_admins() {
    let a_box = a_box();
    let tone = |ms: u64| json!({ "ms": ms });
    let handheld = json!({ "carrier": true, "play": "speech" });
    for (method, path, body) in [
        ("GET", "/radios", Value::Null),
        ("GET", "/radios/live", Value::Null),
        ("POST", "/radios/hall/test-tone", tone(100)),
        ("DELETE", "/radios/hall/test-tone", Value::Null),
        ("POST", "/radios/hall/handheld", handheld),
        ("GET", "/radios/hall/handheld/heard", Value::Null),
    ] {
        let ask = |who| a_box.ask(who, method, path, body.clone());
        assert_eq!(ask(None).await.0, 401, "{path}");
        assert_eq!(ask(Some("ben")).await.0, 403, "{path}");
        // Nothing is wired where no box runs.
        assert_eq!(ask(Some("anna")).await.0, 409, "{path}");
    }
    for ms in [0, 5_001] {
        let asked = a_box.ask(Some("anna"), "POST", "/radios/hall/test-tone", tone(ms));
        assert_eq!(asked.await.0, 422, "{ms}");
    }
    for (method, path) in [
        ("GET", "/wizard"),
        ("POST", "/wizard"),
        ("DELETE", "/wizard"),
        ("POST", "/radios/reload"),
    ] {
        let ask = |who| a_box.ask(Some(who), method, path, Value::Null);
        assert_eq!(ask("anna").await.0, 403, "{path}");
        assert_eq!(ask("dora").await.0, 409, "{path}");
    }
}
