//! The REST API and its commands, as admins use them: over HTTPS with a bearer, and at the box's own shell.

use anyhow::{Context, Result, ensure};
use pttd_core::wire::signal::{ByeReason, ServerMessage};
use pttd_tests::client::Encoding;
use pttd_tests::expect;
use pttd_tests::site::{Site, site};
use serde_json::{Value, json};

const ROSTER: &str = r#"
channel = [{ id = "ops", name = "Operations" }, { id = "stage" }]
user = [
    { id = "anna", name = "Anna", role = "admin", channels = ["ops", "stage"] },
    { id = "ben", name = "Ben", role = "dispatch", channels = ["ops"] },
]
"#;

async fn box_with_roster() -> Result<Site> {
    site().roster(ROSTER).start().await
}

/// Texts of the journal, newest first, once one of them has these words.
async fn logged(site: &Site, words: &str) -> Result<Vec<String>> {
    for _ in 0..100 {
        let (_, log) = site.orders(&["log", "--json"]).await?;
        let entries = log.lines().map(serde_json::from_str::<Value>);
        let entries = entries.collect::<Result<Vec<_>, _>>()?;
        let texts = entries.iter().rev().filter_map(|e| e["text"].as_str());
        let texts: Vec<_> = texts.map(String::from).collect();
        if texts.iter().any(|text| text.contains(words)) {
            return Ok(texts);
        }
    }
    anyhow::bail!("nothing in the journal has {words:?}")
}

#[tokio::test]
async fn only_admins_may_ask_and_each_refusal_says_why() -> Result<()> {
    let site = box_with_roster().await?;
    let (anna, ben) = (site.api("anna").await?, site.api("ben").await?);
    assert_eq!(ben.get("/me").await?["role"], "dispatch");
    let refused = ben.refused("GET", "/users", Value::Null).await?;
    assert_eq!(refused, (403, "forbidden".into()));
    logged(&site, "Ben was refused GET /users").await?;
    let stranger = site.api_of("nobody");
    let refused = stranger.refused("GET", "/users", Value::Null).await?;
    assert_eq!(refused, (401, "unauthorized".into()));
    for (method, path, body, status) in [
        ("PATCH", "/users/nobody", json!({"name": "x"}), 404),
        ("POST", "/channels", json!({"id": "ops"}), 409),
        ("PATCH", "/channels/ops", json!({"queueDepth": 33}), 422),
        ("PATCH", "/channels/ops", json!({"queueDepth": "x"}), 400),
        ("DELETE", "/users/anna", Value::Null, 409),
    ] {
        let refused = anna.refused(method, path, body).await?;
        assert_eq!(refused.0, status, "{method} {path}");
    }
    Ok(())
}

#[tokio::test]
async fn every_document_the_api_describes_is_there_for_an_admin() -> Result<()> {
    let site = box_with_roster().await?;
    let anna = site.api("anna").await?;
    let document = anna.get("/openapi.json").await?;
    let paths = document["paths"].as_object().context("paths")?;
    // Only what has an end: the live lines of the radios go on for ever, and the pages read them.
    let is_json = |get: &Value| get["responses"]["200"]["content"]["application/json"].is_object();
    let lists = paths
        .iter()
        .filter(|(path, methods)| !path.contains('{') && methods.get("get").is_some_and(is_json));
    let mut asked = 0;
    for (path, _) in lists {
        let path = path.strip_prefix("/api/v1").context("below /api/v1")?;
        anna.get(path).await?;
        asked += 1;
    }
    ensure!(asked >= 12, "only {asked} lists");
    Ok(())
}

#[tokio::test]
async fn what_a_command_changed_is_in_effect_and_survives_a_crash() -> Result<()> {
    let mut site = box_with_roster().await?;
    let anna = site.client("anna").await?;
    let device = anna.device.clone();
    site.orders(&[
        "channel", "add", "show", "--name", "Show", "--record", "7d", "--group", "Stages",
    ])
    .await?;
    site.orders(&["user", "add", "--name", "Dora", "--role", "dispatch"])
        .await?;
    site.orders(&["member", "add", "show", "dora", "--right", "listen"])
        .await?;
    let api = site.api_of(&device);
    let sessions = api.get("/sessions").await?;
    assert_eq!(sessions["sessions"][0]["userId"], "anna");
    drop(anna);
    site.kill9().await?;
    // No daemon runs: the same commands ask the store.
    let (_, members) = site.orders(&["member", "list", "show", "--json"]).await?;
    let members: Value = serde_json::from_str(&members)?;
    assert_eq!(
        members["members"],
        json!([{"userId": "dora", "name": "Dora", "right": "listen"}])
    );
    site.orders(&["channel", "set", "show", "--record", "off"])
        .await?;
    site.start_again().await?;
    let channels = site.api_of(&device).get("/channels").await?;
    let show = channels["channels"].as_array().context("a list")?.iter();
    let show = show.filter(|c| c["id"] == "show").collect::<Vec<_>>();
    assert_eq!(
        (&show[0]["record"], &show[0]["group"]),
        (&json!("off"), &json!("Stages"))
    );
    let texts = logged(&site, "recording off").await?;
    ensure!(
        texts
            .iter()
            .any(|text| text == "operator lets Dora listen on Show")
    );
    Ok(())
}

#[tokio::test]
async fn a_bad_command_ends_with_one_sentence_and_changes_nothing() -> Result<()> {
    let site = box_with_roster().await?;
    for (words, sentence) in [
        (
            vec!["member", "remove", "ops", "nobody"],
            "There is no user \"nobody\" on the roster.",
        ),
        (
            vec!["channel", "set", "ops", "--record", "2w"],
            "\"2w\" must be \"off\", \"1m\" to \"1440m\" or \"1d\" to \"365d\".",
        ),
        (vec!["session", "remove", "7"], "There is no such session."),
    ] {
        let out = site.pttd(&words)?;
        assert_eq!(out.status.code(), Some(1), "{words:?}");
        assert_eq!(String::from_utf8_lossy(&out.stderr).trim(), sentence);
    }
    Ok(())
}

#[tokio::test]
async fn a_session_that_is_ended_is_told_so_and_a_device_locked_out_stays_out() -> Result<()> {
    let site = box_with_roster().await?;
    let anna = site.api("anna").await?;
    let mut ben = site.client("ben").await?;
    let session = |sessions: &Value| sessions["sessions"][0].clone();
    let first = session(&anna.get("/sessions").await?);
    anna.delete(&format!("/sessions/{}", first["sessionId"]))
        .await?;
    expect!(
        ben,
        ServerMessage::Bye {
            reason: ByeReason::Kicked
        }
    )?;
    let device = ben.device.clone();
    let mut ben = site.readmit("ben", &device, Encoding::Json, None).await?;
    let id = session(&anna.get("/sessions").await?)["deviceId"].clone();
    let id = id.as_str().context("a device's id")?;
    anna.delete(&format!("/devices/{id}")).await?;
    expect!(
        ben,
        ServerMessage::Bye {
            reason: ByeReason::Kicked
        }
    )?;
    let again = site.readmit("ben", &device, Encoding::Json, None).await;
    ensure!(again.is_err(), "it came in again");
    logged(&site, "Anna locked a device of ben out").await?;
    Ok(())
}

#[tokio::test]
async fn who_gets_an_id_that_was_somebody_elses_gets_none_of_their_devices() -> Result<()> {
    let site = box_with_roster().await?;
    let anna = site.api("anna").await?;
    let (_, card) = site.orders(&["device", "add", "ben", "--json"]).await?;
    let card: Value = serde_json::from_str(&card)?;
    let secret = card["secret"].as_str().context("a secret")?;
    let device = site.redeem(secret).await?;
    let mut ben = site.readmit("ben", &device, Encoding::Json, None).await?;
    anna.delete("/users/ben").await?;
    expect!(
        ben,
        ServerMessage::Bye {
            reason: ByeReason::Removed
        }
    )?;
    let other = anna
        .post("/users", json!({"name": "Ben", "role": "dispatch"}))
        .await?;
    assert_eq!(other["id"], "ben");
    let again = site.readmit("ben", &device, Encoding::Json, None).await;
    ensure!(again.is_err(), "the first Ben's device came in");
    assert_eq!(
        site.api_of(&device)
            .refused("GET", "/me", Value::Null)
            .await?
            .0,
        401
    );
    let devices = anna.get("/devices").await?;
    let devices = devices["devices"].as_array().context("a list")?;
    ensure!(devices.iter().all(|d| d["userId"] != "ben"), "{devices:?}");
    Ok(())
}

#[tokio::test]
async fn the_only_admin_is_demoted_by_no_invitation() -> Result<()> {
    let site = box_with_roster().await?;
    let out = site.pttd(&["invite", "--user", "anna", "--role", "user"])?;
    ensure!(!out.status.success());
    let said = String::from_utf8_lossy(&out.stderr);
    ensure!(said.contains("is the only admin who stays"), "{said}");
    let anna = site.api("anna").await?;
    assert_eq!(anna.get("/me").await?["role"], "admin");
    Ok(())
}

#[tokio::test]
async fn the_first_admin_comes_in_with_the_code_on_the_console_and_nobody_after() -> Result<()> {
    let site = site().start().await?;
    let line = site.logs(&["the setup code", "code="]).await?;
    let code = line.split("code=\"").nth(1).context("a code")?;
    let code = code.split('"').next().context("a code")?;
    let stranger = site.api_of("nobody");
    assert_eq!(stranger.get("/setup").await?, json!({"needed": true}));
    let wrong = json!({"code": "22222-22222", "name": "Mallory"});
    assert_eq!(stranger.refused("POST", "/setup", wrong).await?.0, 403);
    let device = "D".repeat(42) + "A";
    let right = json!({"code": code.to_lowercase(), "name": "Dora", "device": device});
    let dora = stranger.post("/setup", right.clone()).await?;
    // Its answer may have been lost: for the same device the code still works, and for no other.
    let again = stranger.post("/setup", right.clone()).await?;
    ensure!(again == dora, "{again} after {dora}");
    let other = json!({"code": code, "name": "Mallory", "device": "E".repeat(42) + "A"});
    assert_eq!(stranger.refused("POST", "/setup", other).await?.0, 409);
    let wrong = json!({"code": "22222-22222", "name": "Dora", "device": device});
    assert_eq!(stranger.refused("POST", "/setup", wrong).await?.0, 409);
    let right = json!({"code": code, "name": "Dora"});
    let dora = site.api_of(dora["device"].as_str().context("a device")?);
    assert_eq!(dora.get("/me").await?["role"], "admin");
    assert_eq!(stranger.get("/setup").await?, json!({"needed": false}));
    assert_eq!(stranger.refused("POST", "/setup", right).await?.0, 409);
    Ok(())
}

#[tokio::test]
async fn a_guest_whose_time_is_over_is_sent_away_and_off_the_roster() -> Result<()> {
    let site = box_with_roster().await?;
    let gus = site.invite_with(&["--name", "Gus", "--channel", "ops", "--ends-in", "2s"])?;
    let device = site.redeem(&gus.secret).await?;
    let mut gus = site.readmit("gus", &device, Encoding::Json, None).await?;
    expect!(
        gus,
        ServerMessage::Bye {
            reason: ByeReason::Removed
        }
    )?;
    logged(&site, "took Gus off the roster").await?;
    let (_, users) = site.orders(&["user", "list", "--json"]).await?;
    ensure!(!users.contains("gus"), "{users}");
    Ok(())
}
