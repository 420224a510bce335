//! The door: every way in, and that nothing else is one.

use std::path::Path;
use std::process::Command;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use pttd_core::wire::signal::{ClientMessage, Role, ServerMessage};
use pttd_tests::client::{Client, Encoding, Refused};
use pttd_tests::site::{Site, site};
use serde_json::{Value, json};
use tempfile::TempDir;

const SECRET: &str = "a secret as long as a hash is, at the least";

fn now() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

fn claims() -> Result<Value> {
    Ok(json!({
        "userId": "ben", "userName": "Somebody Else", "role": "ADMIN", "channelIds": ["secret"],
        "aud": "pttd", "iss": "the office", "nbf": now()? - 10, "exp": now()? + 600,
    }))
}

fn hs256(claims: &Value, secret: &str) -> Result<String> {
    let key = EncodingKey::from_secret(secret.as_bytes());
    encode(&Header::new(Algorithm::HS256), claims, &key).context("signing a token")
}

/// A box that takes tokens signed with SECRET.
async fn box_with_tokens() -> Result<(Site, TempDir)> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("secret");
    std::fs::write(&file, SECRET)?;
    Ok((
        site()
            .settings(&token_settings("HS256", &file))
            .start()
            .await?,
        dir,
    ))
}

fn token_settings(algorithm: &str, file: &Path) -> String {
    format!(
        "[tokens]\naudience = \"pttd\"\nissuer = \"the office\"\nleeway = \"0s\"\n\
         [[tokens.key]]\nalgorithm = {algorithm:?}\nfile = {file:?}\n"
    )
}

async fn status(site: &Site, token: &str) -> Result<u16> {
    match site
        .websocket(&[("authorization", &format!("Bearer {token}"))])
        .await
    {
        Ok(_) => Ok(101),
        Err(Refused::Status(status)) => Ok(status),
        Err(Refused::Other(e)) => Err(e),
    }
}

fn user_of(client: &Client) -> Result<(&str, Role)> {
    match &client.welcome {
        ServerMessage::Welcome { user, .. } => Ok((user.user_id.as_str(), user.role)),
        other => anyhow::bail!("{other:?}"),
    }
}

#[tokio::test]
async fn a_token_opens_the_door_in_the_header_the_subprotocols_and_the_first_message() -> Result<()>
{
    let (site, _dir) = box_with_tokens().await?;
    let token = hs256(&claims()?, SECRET)?;
    let bearer = format!("Bearer {token}");
    let pair = |protocol: &str| format!("{protocol}, {token}");
    for (headers, hello, protocol, encoding) in [
        (
            vec![("authorization", bearer.as_str())],
            false,
            "",
            Encoding::Json,
        ),
        (
            vec![("sec-websocket-protocol", pair("voiceping").as_str())],
            false,
            "voiceping",
            Encoding::Json,
        ),
        (
            vec![("sec-websocket-protocol", pair("pttd.json").as_str())],
            false,
            "pttd.json",
            Encoding::Json,
        ),
        (
            vec![("sec-websocket-protocol", pair("pttd.msgpack").as_str())],
            false,
            "pttd.msgpack",
            Encoding::MessagePack,
        ),
        (
            vec![("sec-websocket-protocol", "pttd.json")],
            true,
            "pttd.json",
            Encoding::Json,
        ),
        (vec![], true, "", Encoding::Json),
    ] {
        let (socket, answered) = site
            .websocket(&headers)
            .await
            .with_context(|| format!("{headers:?}"))?;
        assert_eq!(answered, protocol);
        let hello = hello.then(|| ClientMessage::Hello {
            token: Some(token.clone()),
            device: None,
            resume: None,
        });
        let client = Client::over(socket, encoding, "ben", hello).await?;
        // The roster's word, not the token's.
        assert_eq!(user_of(&client)?, ("ben", Role::User));
        assert!(!client.device.is_empty(), "it leaves a device credential");
        let again = site
            .readmit("ben", &client.device, Encoding::Json, None)
            .await?;
        assert_eq!(user_of(&again)?.0, "ben");
    }
    Ok(())
}

#[tokio::test]
async fn a_bad_token_is_answered_401_before_the_upgrade() -> Result<()> {
    let (site, _dir) = box_with_tokens().await?;
    let with = |name: &str, value: Value| -> Result<String> {
        let mut claims = claims()?;
        claims[name] = value;
        hs256(&claims, SECRET)
    };
    let good = hs256(&claims()?, SECRET)?;
    let (head, _) = good.rsplit_once('.').context("a token has dots")?;
    // {"alg":"none","typ":"JWT"}
    let unsigned = format!(
        "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.",
        head.split('.').nth(1).unwrap_or_default()
    );
    for (what, token) in [
        ("ended", with("exp", json!(now()? - 5))?),
        ("not yet valid", with("nbf", json!(now()? + 60))?),
        ("for another audience", with("aud", json!("another"))?),
        ("of another issuer", with("iss", json!("another"))?),
        ("without an end", with("exp", Value::Null)?),
        (
            "of someone not on the roster",
            with("userId", json!("mallory"))?,
        ),
        (
            "signed with another secret",
            hs256(&claims()?, "another secret that is long enough, surely")?,
        ),
        ("with its signature cut off", format!("{head}.")),
        ("not signed at all", unsigned),
        ("no token", String::from("a.b.c")),
    ] {
        assert_eq!(status(&site, &token).await?, 401, "a token {what}");
        let refused = site
            .websocket(&[("sec-websocket-protocol", &format!("voiceping, {token}"))])
            .await;
        assert!(
            matches!(refused, Err(Refused::Status(401))),
            "a token {what}"
        );
    }
    assert_eq!(status(&site, &good).await?, 101);
    Ok(())
}

fn openssl(words: &[&str]) -> Result<()> {
    let out = Command::new("openssl")
        .args(words)
        .output()
        .context("running openssl")?;
    ensure!(
        out.status.success(),
        "openssl {words:?}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    Ok(())
}

#[tokio::test]
async fn each_key_takes_its_one_algorithm() -> Result<()> {
    for (name, algorithm, genpkey) in [
        ("EdDSA", Algorithm::EdDSA, &["-algorithm", "ed25519"][..]),
        (
            "ES256",
            Algorithm::ES256,
            &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        ),
        (
            "RS256",
            Algorithm::RS256,
            &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        ),
    ] {
        let dir = tempfile::tempdir()?;
        let path = |name: &str| dir.path().join(name).display().to_string();
        openssl(&[&["genpkey", "-out", &path("private")], genpkey].concat())?;
        openssl(&[
            "pkey",
            "-in",
            &path("private"),
            "-pubout",
            "-out",
            &path("public"),
        ])?;
        let site = site()
            .settings(&token_settings(name, Path::new(&path("public"))))
            .start()
            .await?;
        let private = std::fs::read(path("private"))?;
        let key = match algorithm {
            Algorithm::EdDSA => EncodingKey::from_ed_pem(&private)?,
            Algorithm::ES256 => EncodingKey::from_ec_pem(&private)?,
            _ => EncodingKey::from_rsa_pem(&private)?,
        };
        let good = encode(&Header::new(algorithm), &claims()?, &key)?;
        assert_eq!(status(&site, &good).await?, 101, "{name}");
        // Whoever has the public key shall not pass with it as a secret.
        let confused = hs256(&claims()?, &std::fs::read_to_string(path("public"))?)?;
        assert_eq!(
            status(&site, &confused).await?,
            401,
            "{name} taken for HS256"
        );
    }
    Ok(())
}

#[tokio::test]
async fn without_keys_no_token_opens_the_door() -> Result<()> {
    let site = site().start().await?;
    assert_eq!(status(&site, &hs256(&claims()?, SECRET)?).await?, 401);
    assert_eq!(status(&site, &hs256(&claims()?, "")?).await?, 401);
    Ok(())
}

#[tokio::test]
async fn who_says_nothing_is_sent_away_after_five_seconds() -> Result<()> {
    let site = site().start().await?;
    let (socket, _) = site
        .websocket(&[("sec-websocket-protocol", "pttd.json")])
        .await?;
    let since = Instant::now();
    let waiting = Client::over(socket, Encoding::Json, "nobody", None).await;
    assert!(waiting.is_err(), "a WELCOME for nobody");
    let after = since.elapsed();
    assert!(
        (4500..7000).contains(&after.as_millis()),
        "sent away after {after:?}"
    );
    Ok(())
}

#[tokio::test]
async fn an_invitation_lets_in_as_many_devices_as_it_was_made_for() -> Result<()> {
    let site = site().start().await?;
    let invitation = site.invite_with(&["--user", "anna", "--devices", "2"])?;
    assert!(
        invitation
            .link
            .ends_with(&format!("/#i={}", invitation.secret)),
        "{}",
        invitation.link
    );
    for _ in 0..2 {
        let device = site.redeem(&invitation.secret).await?;
        let client = site.readmit("anna", &device, Encoding::Json, None).await?;
        assert_eq!(user_of(&client)?, ("anna", Role::Dispatch));
    }
    refused(&site, &invitation.secret, 403, "used_up").await
}

#[tokio::test]
async fn an_invitation_that_was_never_made_opens_nothing() -> Result<()> {
    let site = site().start().await?;
    for secret in ["AAAAAAAAAAAAAAAAAAAAAA", "", "#i="] {
        refused(&site, secret, 403, "unknown_invitation").await?;
    }
    refused(&site, &"A".repeat(10_000), 400, "bad_request").await
}

async fn refused(site: &Site, secret: &str, status: u16, code: &str) -> Result<()> {
    let body = json!({ "invitation": secret }).to_string();
    let answer = site
        .https(
            "POST",
            "/api/v1/sign-in",
            &[("content-type", "application/json")],
            &body,
        )
        .await?;
    assert_eq!(answer.status, status, "{}", answer.text());
    let error = answer.json()?;
    assert_eq!(error["error"], code, "{error}");
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|words| words.contains(' ')),
        "a sentence: {error}"
    );
    Ok(())
}

#[tokio::test]
async fn a_withdrawn_link_opens_nothing_and_who_came_in_with_it_stays() -> Result<()> {
    let site = site().start().await?;
    let invitation = site.invite_with(&["--user", "anna", "--devices", "2"])?;
    let device = site.redeem(&invitation.secret).await?;
    let withdrawn = site.pttd(&["withdraw", "--link", &invitation.link])?;
    assert!(withdrawn.status.success(), "{withdrawn:?}");
    refused(&site, &invitation.secret, 403, "withdrawn").await?;
    site.readmit("anna", &device, Encoding::Json, None)
        .await
        .map(drop)
}

#[tokio::test]
async fn a_person_whose_access_is_withdrawn_is_sent_away_and_stays_out() -> Result<()> {
    let site = site().start().await?;
    let open = site.invite("anna")?;
    let mut anna = site.client("anna").await?;
    let mut ben = site.client("ben").await?;
    let withdrawn = site.pttd(&["withdraw", "--user", "anna"])?;
    assert!(withdrawn.status.success(), "{withdrawn:?}");
    anna.closed().await?;
    let again = site
        .readmit("anna", &anna.device, Encoding::Json, None)
        .await;
    assert!(again.is_err(), "a WELCOME for a device that was locked out");
    refused(&site, &open.secret, 403, "withdrawn").await?;
    ben.ask(ClientMessage::Ping {}).await.map(drop)
}

#[tokio::test]
async fn guessing_is_slowed_down() -> Result<()> {
    let site = site().start().await?;
    let invitation = site.invite("anna")?;
    let mut last = 0;
    for n in 0..100 {
        let body = json!({ "invitation": format!("{n:022}") }).to_string();
        let answer = site
            .https(
                "POST",
                "/api/v1/sign-in",
                &[("content-type", "application/json")],
                &body,
            )
            .await?;
        last = answer.status.as_u16();
        if last == 429 {
            break;
        }
    }
    assert_eq!(last, 429);
    refused(&site, &invitation.secret, 429, "too_many_tries").await
}

#[tokio::test]
async fn a_device_comes_back_after_the_power_was_cut() -> Result<()> {
    let mut site = site().start().await?;
    let spent = site.invite("anna")?;
    let open = site.invite("ben")?;
    let device = site.redeem(&spent.secret).await?;
    site.kill9().await?;
    site.start_again().await?;
    let client = site.readmit("anna", &device, Encoding::Json, None).await?;
    assert_eq!(user_of(&client)?.0, "anna");
    refused(&site, &spent.secret, 403, "used_up").await?;
    site.redeem(&open.secret).await.map(drop)
}

#[tokio::test]
async fn a_device_nobody_knows_stays_outside() -> Result<()> {
    let site = site().start().await?;
    let stranger = "A".repeat(43);
    assert_eq!(status(&site, &stranger).await?, 401);
    let outcome = site.readmit("anna", &stranger, Encoding::Json, None).await;
    assert!(outcome.is_err(), "a WELCOME for a stranger");
    Ok(())
}

#[tokio::test]
async fn someone_new_is_invited_while_the_box_runs_and_finds_their_channels() -> Result<()> {
    let site = site().start().await?;
    let invitation = site.invite_with(&[
        "--name",
        "Dora Marsh",
        "--channel",
        "stage",
        "--role",
        "dispatch",
    ])?;
    let device = site.redeem(&invitation.secret).await?;
    let client = site.readmit("dora", &device, Encoding::Json, None).await?;
    let ServerMessage::Welcome { user, channels, .. } = &client.welcome else {
        anyhow::bail!("no WELCOME")
    };
    assert_eq!(
        (user.name.as_str(), user.role),
        ("Dora Marsh", Role::Dispatch)
    );
    let channels: Vec<_> = channels.iter().map(|c| c.channel_id.as_str()).collect();
    assert_eq!(channels, ["stage"]);
    Ok(())
}

#[tokio::test]
async fn an_invitation_made_while_the_box_is_down_works_when_it_is_up() -> Result<()> {
    let mut site = site().start().await?;
    site.kill9().await?;
    let invitation = site.invite("carla")?;
    site.start_again().await?;
    site.redeem(&invitation.secret).await.map(drop)
}

#[tokio::test]
async fn no_secret_is_in_the_log_or_in_the_state() -> Result<()> {
    let site = site().start().await?;
    let invitation = site.invite("anna")?;
    let device = site.redeem(&invitation.secret).await?;
    let _client = site.readmit("anna", &device, Encoding::Json, None).await?;
    for secret in [&invitation.secret, &device] {
        assert!(
            !site.log().iter().any(|line| line.contains(secret)),
            "a secret is in the log"
        );
        // A file the store removes meanwhile is an error to grep, and no secret.
        let found = Command::new("grep")
            .args(["-rqF", secret])
            .arg(site.state_dir())
            .status()?;
        assert_ne!(found.code(), Some(0), "a secret is in the state");
    }
    Ok(())
}
