//! Posters: people let themselves in with a name, or wait until somebody lets them in.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use pttd_tests::api::Api;
use pttd_tests::browser::turn;
use pttd_tests::client::Encoding;
use pttd_tests::microphone::{ANNA, BEN};
use pttd_tests::phone::Phone;
use pttd_tests::site::{Site, site};
use serde_json::{Value, json};

/// Carla runs the box, Ben dispatches operations and the stage, Anna is a steward.
const ROSTER: &str = r#"
    channel = [
        { id = "ops", name = "Operations" },
        { id = "stage", name = "Stage" },
        { id = "security", name = "Security" },
    ]
    user = [
        { id = "anna", name = "Anna", channels = ["ops"] },
        { id = "ben", name = "Ben", role = "dispatch", channels = ["ops", "stage"] },
        { id = "carla", name = "Carla", role = "admin", channels = ["ops"] },
    ]
"#;

async fn box_with_an_admin() -> Result<Site> {
    site().roster(ROSTER).start().await
}

struct Poster {
    id: String,
    secret: String,
    link: String,
}

/// Hangs a poster up: for operations, unless it says otherwise.
async fn hang(admin: &Api<'_>, more: Value) -> Result<Poster> {
    let mut poster = json!({
        "name": "Volunteers", "channels": { "ops": "talk" }, "limit": 50, "hours": 12,
    });
    let wanted = more.as_object().context("an object")?;
    for (key, value) in wanted {
        poster[key] = value.clone();
    }
    let made = admin.post("/posters", poster).await?;
    let text = |key: &str| made[key].as_str().map(String::from);
    let link = text("link").context("a link")?;
    let (_, secret) = link.split_once("#p=").context("a secret in the link")?;
    Ok(Poster {
        id: text("id").context("an id")?,
        secret: secret.to_string(),
        link,
    })
}

/// What the box answers to somebody who scanned it: the status, and what it says.
async fn join(
    site: &Site,
    poster: &Poster,
    name: &str,
    device: Option<&str>,
) -> Result<(u16, Value)> {
    let body = json!({ "poster": poster.secret, "name": name, "device": device });
    post(site, "/api/v1/join", &body).await
}

async fn post(site: &Site, path: &str, body: &Value) -> Result<(u16, Value)> {
    let json = [("content-type", "application/json")];
    let answer = site.https("POST", path, &json, &body.to_string()).await?;
    Ok((answer.status.as_u16(), answer.json()?))
}

async fn ask(site: &Site, arrival: &str) -> Result<(u16, Value)> {
    let answer = site.get(&format!("/api/v1/join/{arrival}")).await?;
    Ok((answer.status.as_u16(), answer.json()?))
}

fn code(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["error"].as_str().unwrap_or_default())
}

fn credential(n: u8) -> String {
    // 256 bits in base64url.
    format!("{}{}", "A".repeat(41), char::from(b'A' + n)) + "A"
}

#[tokio::test]
async fn who_types_a_name_is_a_guest_at_once_and_is_heard() -> Result<()> {
    let site = box_with_an_admin().await?;
    let carla = site.api("carla").await?;
    let poster = hang(
        &carla,
        json!({ "channels": { "ops": "talk", "stage": "listen" } }),
    )
    .await?;
    let (status, greeting) = post(
        &site,
        "/api/v1/join/poster",
        &json!({ "poster": poster.secret }),
    )
    .await?;
    assert_eq!(status, 200, "{greeting}");
    assert_eq!(greeting["name"], "Volunteers");
    assert_eq!(greeting["channels"], json!(["Operations", "Stage"]));

    let mut anna = site.phone_on("anna", "ops").await?;
    let (status, joined) = join(&site, &poster, " Dora  Smith ", None).await?;
    assert_eq!(status, 200, "{joined}");
    assert_eq!(
        joined["user"],
        json!({ "userId": "dora-smith", "name": "Dora Smith", "role": "user" })
    );
    let device = joined["device"].as_str().context("a device")?;
    let client = site
        .readmit("dora-smith", device, Encoding::Json, None)
        .await?;
    let mut dora = Phone::of(client);
    dora.join("ops").await?;
    dora.press("ops").await?;
    anna.on("ops")?.hears_sound(10).await?;

    let users = carla.get("/users").await?;
    let all = users["users"].as_array().context("users")?;
    let dora = all.iter().find(|user| user["id"] == "dora-smith");
    let dora = dora.context("Dora on the roster")?;
    assert_eq!(
        dora["channels"],
        json!({ "ops": "talk", "stage": "listen" })
    );
    assert!(dora["ends"].is_u64(), "{dora}");
    Ok(())
}

#[tokio::test]
async fn of_a_crowd_that_scans_at_once_the_poster_lets_in_as_many_as_it_is_for() -> Result<()> {
    let site = box_with_an_admin().await?;
    let carla = site.api("carla").await?;
    let poster = hang(&carla, json!({ "limit": 7 })).await?;
    let names: Vec<_> = (0..20).map(|n| format!("Guest {n}")).collect();
    let crowd = names.iter().map(|name| join(&site, &poster, name, None));
    let answers = try_join_all(crowd).await?;
    let admitted = answers.iter().filter(|(status, _)| *status == 200).count();
    assert_eq!(admitted, 7);
    for answer in answers.iter().filter(|(status, _)| *status != 200) {
        assert_eq!(code(answer), (403, "full"));
    }
    let posters = carla.get("/posters").await?;
    assert_eq!(posters["posters"][0]["used"], 7);
    let log = carla.get("/log?limit=100").await?.to_string();
    let joined = log
        .matches("joined by the poster \\\"Volunteers\\\"")
        .count();
    assert_eq!(joined, 7, "{log}");
    Ok(())
}

#[tokio::test]
async fn a_poster_ends_and_a_name_that_is_taken_is_refused_with_what_to_do() -> Result<()> {
    let site = box_with_an_admin().await?;
    let carla = site.api("carla").await?;
    let poster = hang(&carla, json!({})).await?;
    for name in ["Anna", " aNNa ", "Anna."] {
        let answer = join(&site, &poster, name, None).await?;
        assert_eq!(code(&answer), (409, "name_taken"), "{name}");
        let message = answer.1["message"].as_str().unwrap_or_default();
        assert!(message.contains("Add your last name"), "{message}");
    }
    let no_name = join(&site, &poster, " ", None).await?;
    assert_eq!(code(&no_name), (422, "bad_name"));
    let unknown = Poster {
        secret: "0123456789ab".into(),
        ..hang(&carla, json!({ "name": "Another" })).await?
    };
    let unknown = join(&site, &unknown, "Dora", None).await?;
    assert_eq!(code(&unknown), (403, "unknown_poster"));

    let soon = std::time::SystemTime::now() + Duration::from_secs(2);
    let ends = soon.duration_since(std::time::UNIX_EPOCH)?.as_secs();
    let short = hang(&carla, json!({ "hours": null, "ends": ends })).await?;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    // The end is by the clock: asked for, because nothing tells of it.
    loop {
        let body = json!({ "poster": short.secret });
        let answer = post(&site, "/api/v1/join/poster", &body).await?;
        if code(&answer) == (403, "ended") {
            break;
        }
        ensure!(tokio::time::Instant::now() < deadline, "{answer:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let late = join(&site, &short, "Emil", None).await?;
    assert_eq!(code(&late), (403, "ended"));

    carla.delete(&format!("/posters/{}", poster.id)).await?;
    let gone = join(&site, &poster, "Emil", None).await?;
    assert_eq!(code(&gone), (403, "taken_down"));
    Ok(())
}

#[tokio::test]
async fn where_somebody_minds_the_door_they_wait_and_are_let_in_or_turned_away() -> Result<()> {
    let site = box_with_an_admin().await?;
    let (carla, ben) = (site.api("carla").await?, site.api("ben").await?);
    let anna = site.api("anna").await?;
    let ops = hang(&carla, json!({ "approval": true })).await?;
    let secret =
        json!({ "name": "Night shift", "approval": true, "channels": { "security": "talk" } });
    let security = hang(&carla, secret).await?;
    let mut waiting = Vec::new();
    for (n, (poster, name)) in [(&ops, "Dora"), (&ops, "Emil"), (&security, "Fritz")]
        .into_iter()
        .enumerate()
    {
        let device = credential(n.try_into()?);
        let (status, said) = join(&site, poster, name, Some(&device)).await?;
        assert_eq!(status, 202, "{said}");
        let arrival = said["arrival"].as_str().context("an arrival")?.to_string();
        assert_eq!(ask(&site, &arrival).await?.0, 202);
        waiting.push((arrival, device));
    }
    // A name again from the same device replaces the first.
    join(&site, &ops, "Emilia", Some(&waiting[1].1)).await?;
    let names = async |api: &Api<'_>| -> Result<Vec<String>> {
        let all = api.get("/arrivals").await?;
        let all = all["arrivals"].as_array().context("arrivals")?;
        let mut names: Vec<_> = all.iter().map(|a| a["name"].to_string()).collect();
        names.sort();
        Ok(names)
    };
    assert_eq!(
        names(&carla).await?,
        ["\"Dora\"", "\"Emilia\"", "\"Fritz\""]
    );
    // A dispatcher minds the doors to the channels they belong to.
    assert_eq!(names(&ben).await?, ["\"Dora\"", "\"Emilia\""]);
    let [dora, emilia, fritz] = &waiting[..] else {
        anyhow::bail!("three wait")
    };
    let admit = json!({ "admit": true });
    let path = |arrival: &str| format!("/arrivals/{arrival}");
    let refused = anna.refused("POST", &path(&dora.0), admit.clone()).await?;
    assert_eq!(refused.0, 403);
    let refused = ben.refused("POST", &path(&fritz.0), admit.clone()).await?;
    assert_eq!(refused.0, 404);

    let admitted = ben.post(&path(&dora.0), admit.clone()).await?;
    assert_eq!(admitted, json!({ "name": "Dora", "userId": "dora" }));
    let (status, said) = ask(&site, &dora.0).await?;
    assert_eq!((status, &said["user"]["name"]), (200, &json!("Dora")));
    site.readmit("dora", &dora.1, Encoding::Json, None).await?;

    ben.post(&path(&emilia.0), json!({ "admit": false }))
        .await?;
    let turned_away = ask(&site, &emilia.0).await?;
    assert_eq!(code(&turned_away), (403, "turned_away"));
    let twice = ben.refused("POST", &path(&emilia.0), admit).await?;
    assert_eq!(twice.0, 404);
    assert_eq!(names(&carla).await?, ["\"Fritz\""]);
    Ok(())
}

#[tokio::test]
async fn what_a_phone_heard_is_on_disk_and_what_it_did_not_hear_it_may_ask_again() -> Result<()> {
    let mut site = box_with_an_admin().await?;
    let (dora, emil) = (credential(0), credential(1));
    let (direct, bell, arrival) = {
        let carla = site.api("carla").await?;
        let direct = hang(&carla, json!({ "limit": 1 })).await?;
        let bell = hang(&carla, json!({ "approval": true })).await?;
        let (status, _) = join(&site, &direct, "Dora", Some(&dora)).await?;
        assert_eq!(status, 200);
        let (status, said) = join(&site, &bell, "Emil", Some(&emil)).await?;
        assert_eq!(status, 202);
        let arrival = said["arrival"].as_str().context("an arrival")?.to_string();
        (direct, bell, arrival)
    };
    site.kill9().await?;
    site.start_again().await?;
    // Dora never heard that she is in; the poster, which was for one, lets her in and nobody else.
    let (status, again) = join(&site, &direct, "Dora", Some(&dora)).await?;
    assert_eq!((status, &again["user"]["userId"]), (200, &json!("dora")));
    let full = join(&site, &direct, "Greta", None).await?;
    assert_eq!(code(&full), (403, "full"));
    assert_eq!(ask(&site, &arrival).await?.0, 202);
    let carla = site.api("carla").await?;
    let sheet = carla
        .call("GET", &format!("/posters/{}/sheet", bell.id), &Value::Null)
        .await?;
    assert_eq!(sheet.header("content-type"), "text/html; charset=utf-8");
    let admit = json!({ "admit": true });
    carla.post(&format!("/arrivals/{arrival}"), admit).await?;
    site.kill9().await?;
    site.start_again().await?;
    assert_eq!(ask(&site, &arrival).await?.0, 200);
    site.readmit("emil", &emil, Encoding::Json, None).await?;
    Ok(())
}

#[tokio::test]
async fn who_guesses_secrets_is_stopped_and_a_crowd_behind_the_same_address_is_not() -> Result<()> {
    let site = box_with_an_admin().await?;
    let carla = site.api("carla").await?;
    let poster = hang(&carla, json!({})).await?;
    let wrong = Poster {
        secret: "0000".into(),
        id: String::new(),
        link: String::new(),
    };
    let mut stopped = false;
    for _ in 0..60 {
        let answer = join(&site, &wrong, "Dora", None).await?;
        stopped |= code(&answer) == (429, "too_many_tries");
        assert!(stopped || code(&answer) == (403, "unknown_poster"));
    }
    assert!(stopped);
    assert_eq!(join(&site, &poster, "Dora", None).await?.0, 200);
    Ok(())
}

#[tokio::test]
async fn only_admins_hang_posters_up_and_the_sheet_has_what_people_need() -> Result<()> {
    let site = box_with_an_admin().await?;
    let carla = site.api("carla").await?;
    let ben = site.api("ben").await?;
    let wifi = json!({ "wifi": { "ssid": "Crew & co", "password": "sunshine; 2027" } });
    let poster = hang(&carla, wifi).await?;
    let sheet = format!("/posters/{}/sheet", poster.id);
    for (method, path) in [
        ("GET", "/posters"),
        ("GET", sheet.as_str()),
        ("POST", "/posters"),
    ] {
        let refused = ben.refused(method, path, json!({})).await?;
        assert_eq!(refused.0, 403, "{method} {path}");
    }
    let printed = carla.call("GET", &sheet, &Value::Null).await?.text();
    for words in [
        "Volunteers",
        "Crew &amp; co",
        "sunshine; 2027",
        "Type your name",
        "Operations",
    ] {
        assert!(printed.contains(words), "{words}");
    }
    assert_eq!(printed.matches("<svg").count(), 2);
    for (wrong, status) in [
        (json!({ "limit": 0 }), 422),
        (json!({ "limit": 1001 }), 422),
        (json!({ "channels": {} }), 422),
        (json!({ "channels": { "nowhere": "talk" } }), 422),
        (json!({ "hours": 745 }), 422),
        (json!({ "guestHours": 0 }), 422),
        (json!({ "hours": null }), 400),
        (json!({ "wifi": { "ssid": "x", "password": "short" } }), 422),
    ] {
        let mut body =
            json!({ "name": "V", "channels": { "ops": "talk" }, "limit": 5, "hours": 1 });
        for (key, value) in wrong.as_object().context("an object")? {
            body[key] = value.clone();
        }
        let refused = carla.refused("POST", "/posters", body).await?;
        assert_eq!(refused.0, status, "{wrong}");
    }
    Ok(())
}

/// What `pttd poster …` says; an error where it refuses.
fn poster_command(site: &Site, words: &[&str]) -> Result<String> {
    let words: Vec<&str> = ["poster"].iter().chain(words).copied().collect();
    let out = site.pttd(&words)?;
    let said = String::from_utf8_lossy(&out.stderr);
    ensure!(out.status.success(), "pttd {words:?}: {said}");
    Ok(String::from_utf8(out.stdout)?)
}

#[tokio::test]
async fn at_the_shell_a_poster_is_hung_up_printed_minded_and_taken_down() -> Result<()> {
    let mut site = box_with_an_admin().await?;
    let dir = tempfile::tempdir()?;
    let sheet = dir.path().join("poster.html");
    let sheet = sheet.to_str().context("a path")?;
    let said = poster_command(
        &site,
        &[
            "add",
            "--name",
            "Night shift",
            "--channel",
            "ops",
            "--listen",
            "stage",
            "--limit",
            "2",
            "--ends-in",
            "90m",
            "--approval",
            "--wifi",
            "Crew",
            "--out",
            sheet,
        ],
    )?;
    let (id, rest) = said.split_once(": ").context("an id")?;
    let link = rest.lines().next().unwrap_or_default().to_string();
    let (_, secret) = link.split_once("#p=").context("a secret")?;
    assert!(std::fs::read_to_string(sheet)?.contains("Night shift"));
    let poster = Poster {
        id: id.to_string(),
        secret: secret.to_string(),
        link: link.clone(),
    };
    for name in ["Dora", "Emil"] {
        assert_eq!(join(&site, &poster, name, None).await?.0, 202);
    }
    let arrivals = || -> Result<Vec<(String, String)>> {
        let all = poster_command(&site, &["arrivals", "--json"])?;
        let all: Value = serde_json::from_str(&all)?;
        let all = all["arrivals"].as_array().context("arrivals")?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
        Ok(all
            .iter()
            .map(|a| (text(&a["name"]), text(&a["id"])))
            .collect())
    };
    let waiting = arrivals()?;
    let id_of = |name: &str| {
        let found = waiting.iter().find(|(other, _)| other == name);
        found.map(|(_, id)| id.clone()).context("an arrival")
    };
    let (dora, emil) = (id_of("Dora")?, id_of("Emil")?);
    let said = poster_command(&site, &["admit", &dora])?;
    assert_eq!(said, "Dora (dora): let in\n");
    let said = poster_command(&site, &["turn-away", &emil])?;
    assert_eq!(said, "Emil: turned away\n");
    assert!(arrivals()?.is_empty());
    assert!(poster_command(&site, &["admit", &emil]).is_err());
    let log = String::from_utf8(site.pttd(&["log"])?.stdout)?;
    for words in [
        "operator hung up the poster \"Night shift\"",
        "operator admitted Dora, who waited at the poster \"Night shift\"",
        "operator turned Emil away",
    ] {
        assert!(log.contains(words), "{words}: {log}");
    }
    // The same without a box that runs.
    site.stop().await?;
    assert!(poster_command(&site, &["list"])?.contains("1 of 2"));
    poster_command(&site, &["sheet", &poster.id, "--out", sheet])?;
    assert!(std::fs::read_to_string(sheet)?.contains("Crew"));
    poster_command(&site, &["remove", &poster.id])?;
    site.start_again().await?;
    let gone = join(&site, &poster, "Fritz", None).await?;
    assert_eq!(code(&gone), (403, "taken_down"));
    Ok(())
}

#[tokio::test]
async fn a_person_scans_a_poster_types_a_name_and_hears_somebody() -> Result<()> {
    let turn = turn().await;
    let site = box_with_an_admin().await?;
    let carla = site.api("carla").await?;
    let poster = hang(&carla, json!({})).await?;
    let anna = turn.page(&site, ANNA).await?;
    // As a phone on the LAN: first to the plain port, which leads on where the box is trusted.
    let ben = turn.browser(BEN, Some(&site.ready.spki)).await?;
    let path = poster.link.split_once("/join").context("a path")?.1;
    let landing = format!("http://gate.local:{}/join{path}", site.ready.plain.port());
    ben.page.goto(&landing).await?;
    ben.until("location.protocol === 'https:' && pttd.state === 'name'")
        .await?;
    assert_eq!(ben.reads("h1").await?, "Volunteers");
    let type_name = |name: &str| {
        format!(
            "document.querySelector('#name').value = {name:?};
             document.querySelector('#person').requestSubmit()"
        )
    };
    ben.js(&type_name("anna")).await?;
    ben.until("document.querySelector('#wrong').textContent.includes('Add your last name')")
        .await?;
    ben.js(&type_name("Dora")).await?;
    ben.until("location.pathname === '/'").await?;
    ben.is_ready().await?;
    ben.listen_in().await?;
    anna.goes_on_air().await?;
    ben.button("hearing").await?;
    assert_eq!(ben.reads("#talker-name").await?, "Anna");
    ben.hears(ANNA).await?;
    anna.releases().await?;
    ben.falls_silent().await?;
    ben.has_no_complaints().await
}

#[tokio::test]
async fn a_person_waits_on_the_page_until_somebody_lets_them_in() -> Result<()> {
    let turn = turn().await;
    let site = box_with_an_admin().await?;
    let carla = site.api("carla").await?;
    let poster = hang(&carla, json!({ "approval": true })).await?;
    let page = turn.browser(BEN, Some(&site.ready.spki)).await?;
    let url = site.url(&format!("/join#p={}", poster.secret));
    page.page.goto(&url).await?;
    page.until("pttd.state === 'name'").await?;
    page.js("document.querySelector('#name').value = 'Dora';
         document.querySelector('#person').requestSubmit()")
        .await?;
    page.until("pttd.state === 'waiting'").await?;
    // A phone that was reloaded waits on.
    page.page.refresh().await?;
    page.until("pttd.state === 'waiting'").await?;
    let all = carla.get("/arrivals").await?;
    let id = all["arrivals"][0]["id"].as_str().context("an arrival")?;
    carla
        .post(&format!("/arrivals/{id}"), json!({ "admit": true }))
        .await?;
    page.until("location.pathname === '/'").await?;
    page.is_ready().await?;
    page.has_no_complaints().await
}
