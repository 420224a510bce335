//! Running the box: starting, stopping, looking after it, and mistakes in its files.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use pttd_core::wire::signal::{ByeReason, EndReason, ServerMessage};
use pttd_tests::expect;
use pttd_tests::site::{program, site};
use tempfile::TempDir;

#[tokio::test]
async fn healthz_says_that_all_is_well_on_both_ports() -> Result<()> {
    let site = site().start().await?;
    for answer in [
        site.get("/healthz").await?,
        site.plain("GET", "/healthz", &[("host", "gate.local")], "")
            .await?,
    ] {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    Ok(())
}

#[tokio::test]
async fn figures_are_for_the_machine_itself_and_tell_what_goes_on() -> Result<()> {
    let site = site().start().await?;
    let mut anna = site.phone_on("anna", "ops").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    anna.press("ops").await?;
    ben.on("ops")?.hears(anna.tag, 20).await?;
    let figures = site.get("/metrics").await?;
    assert_eq!(figures.status, 200);
    assert!(
        figures.header("content-type").starts_with("text/plain"),
        "{:?}",
        figures.headers
    );
    let text = figures.text();
    for line in text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        let (name, value) = line
            .rsplit_once(' ')
            .with_context(|| format!("a figure: {line}"))?;
        assert!(name.starts_with("pttd_"), "{line}");
        value
            .parse::<f64>()
            .with_context(|| format!("a number: {line}"))?;
    }
    // Through the plain port they are not there for who comes by the network's name.
    let landing = site
        .plain("GET", "/metrics", &[("host", "gate.local")], "")
        .await?;
    assert!(!landing.text().contains("pttd_"), "{}", landing.text());
    Ok(())
}

#[tokio::test]
async fn asked_to_stop_it_tells_everyone_frees_the_floors_and_goes() -> Result<()> {
    let mut site = site().start().await?;
    let mut anna = site.phone_on("anna", "ops").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    anna.press("ops").await?;
    expect!(ben, ServerMessage::Start { .. })?;
    site.signal(Signal::SIGTERM)?;
    let since = Instant::now();
    expect!(anna, ServerMessage::Stop { .. })?;
    expect!(
        ben,
        ServerMessage::Stop {
            reason: EndReason::Disconnected | EndReason::Removed | EndReason::Left,
            ..
        }
    )?;
    for phone in [&mut anna, &mut ben] {
        expect!(
            phone,
            ServerMessage::Bye {
                reason: ByeReason::Shutdown
            }
        )?;
        phone.closed().await?;
    }
    let status = site.ended().await?;
    assert!(status.success(), "{status}");
    assert!(
        since.elapsed() < Duration::from_secs(5),
        "it took {:?}",
        since.elapsed()
    );
    Ok(())
}

#[tokio::test]
async fn asked_twice_it_goes_at_once() -> Result<()> {
    let mut site = site().start().await?;
    // A request that is never finished holds it for four seconds.
    let mut held = UnixStream::connect(site.state_dir().join("control.sock"))?;
    held.write_all(b"POST /invite HTTP/1.1\r\nHost: box\r\nContent-Type: application/json\r\n")?;
    held.write_all(b"Content-Length: 9\r\n\r\n[")?;
    // The socket serves in order: when this is answered, that one has begun.
    site.invite("anna")?;
    site.signal(Signal::SIGTERM)?;
    site.logs(&["stopping"]).await?;
    site.signal(Signal::SIGTERM)?;
    assert_eq!(site.ended().await?.code(), Some(1), "asked once, it is 0");
    Ok(())
}

/// Runs `pttd check` on these settings: its code and its words.
fn check(settings: &str, roster: Option<&str>) -> Result<(Option<i32>, String, TempDir)> {
    let dir = tempfile::tempdir()?;
    let config = dir.path().join("pttd.toml");
    std::fs::write(&config, settings)?;
    if let Some(roster) = roster {
        std::fs::write(dir.path().join("roster.toml"), roster)?;
    }
    let out = Command::new(program()?)
        .arg("check")
        .arg("--config")
        .arg(&config)
        .output()?;
    let words = [out.stdout, out.stderr].concat();
    Ok((out.status.code(), String::from_utf8(words)?, dir))
}

#[test]
fn a_mistake_in_the_settings_is_told_with_file_and_line() -> Result<()> {
    for (settings, line, word) in [
        (
            "name = \"Gate\"\n\n[web]\nhttps = \"0.0.0.0:99999\"\n",
            4,
            "https",
        ),
        ("[media]\nport = \"forty\"\n", 2, "port"),
        ("[media]\nport = 40000\nprot = 1\n", 3, "prot"),
        ("[tokens]\nleeway = \"1h\"\n", 2, "leeway"),
        ("name = \"Gate\n", 1, ""),
    ] {
        let (code, words, _dir) = check(settings, None)?;
        assert_eq!(code, Some(64), "{settings}: {words}");
        assert!(
            words.contains(&format!("pttd.toml, line {line}:")),
            "{settings}: {words}"
        );
        assert!(words.contains(word), "{settings}: {words}");
        assert_eq!(words.trim().lines().count(), 1, "one sentence: {words}");
    }
    Ok(())
}

#[test]
fn a_mistake_in_the_roster_is_told_with_file_and_line() -> Result<()> {
    for (roster, line, word) in [
        (
            "[[channel]]\nid = \"ops\"\ntalk_limit = \"1s\"\n",
            3,
            "talk_limit",
        ),
        (
            "[[channel]]\nid = \"ops\"\n[[user]]\nid = \"anna\"\nchannels = [\"stage\"]\n",
            5,
            "stage",
        ),
        ("[[channel]]\nid = \"o p s\"\n", 2, "o p s"),
        (
            "[[channel]]\nid = \"ops\"\n\n[[channel]]\nid = \"ops\"\n",
            5,
            "ops",
        ),
    ] {
        let (code, words, _dir) = check("", Some(roster))?;
        assert_eq!(code, Some(64), "{roster}: {words}");
        assert!(
            words.contains(&format!("roster.toml, line {line}:")),
            "{roster}: {words}"
        );
        assert!(words.contains(word), "{roster}: {words}");
    }
    Ok(())
}

#[test]
fn good_files_are_told_to_be_good() -> Result<()> {
    let (code, words, _dir) = check(
        "name = \"Main gate\"\n",
        Some("[[channel]]\nid = \"ops\"\n"),
    )?;
    assert_eq!(code, Some(0), "{words}");
    assert!(words.contains("Main gate"), "{words}");
    Ok(())
}

#[test]
fn with_a_mistake_in_its_files_nothing_is_started() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let config = dir.path().join("pttd.toml");
    let state = dir.path().join("state");
    std::fs::write(
        &config,
        "[web]\nhttps = \"127.0.0.1:0\"\nplane = \"127.0.0.1:0\"\n",
    )?;
    let out = Command::new(program()?)
        .arg("run")
        .arg("--config")
        .arg(&config)
        .arg("--state")
        .arg(&state)
        .output()?;
    assert_eq!(out.status.code(), Some(64));
    assert!(!state.exists(), "nothing is half done");
    Ok(())
}

#[tokio::test]
async fn a_port_that_is_taken_is_told_with_what_to_do() -> Result<()> {
    let first = site().start().await?;
    let dir = tempfile::tempdir()?;
    let config = dir.path().join("pttd.toml");
    std::fs::write(
        &config,
        format!(
            "web.https = \"{}\"\nweb.plain = \"127.0.0.1:0\"\nmedia.port = 0\n",
            first.ready.https
        ),
    )?;
    let out = Command::new(program()?)
        .arg("run")
        .arg("--config")
        .arg(&config)
        .arg("--state")
        .arg(dir.path().join("state"))
        .output()?;
    let words = String::from_utf8(out.stderr)?;
    assert!(!out.status.success());
    assert!(
        words.contains(&first.ready.https.port().to_string()),
        "{words}"
    );
    Ok(())
}

#[tokio::test]
async fn one_state_is_for_one_box() -> Result<()> {
    let first = site().start().await?;
    let out = first.pttd(&["run"])?;
    assert!(!out.status.success());
    let words = String::from_utf8(out.stderr)?;
    assert!(words.contains("state"), "{words}");
    first.get("/healthz").await.map(drop)
}

#[tokio::test]
async fn an_invitation_is_a_link_and_a_code_to_scan() -> Result<()> {
    let site = site().start().await?;
    let out = site.pttd(&["invite", "--user", "anna"])?;
    let words = String::from_utf8(out.stdout)?;
    assert!(words.contains(&site.url("/#i=")), "{words}");
    assert!(
        words.contains('█') || words.contains('▀'),
        "a code: {words}"
    );
    Ok(())
}

#[tokio::test]
async fn thirty_stewards_are_invited_on_a_sheet_of_cards() -> Result<()> {
    let site = site().start().await?;
    let dir = tempfile::tempdir()?;
    let stewards = dir.path().join("stewards.csv");
    let cards = dir.path().join("cards.html");
    let mut csv = String::from("name,channels,role,hours,devices\n");
    for n in 1..=30 {
        csv.push_str(&format!("Steward <{n}>,ops; stage,user,12,1\n"));
    }
    std::fs::write(&stewards, csv)?;
    let (stewards, cards) = (stewards.display().to_string(), cards.display().to_string());
    let out = site.pttd(&["invite", "--csv", &stewards, "--sheet", &cards])?;
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let sheet = std::fs::read_to_string(&cards)?;
    assert_eq!(
        sheet.matches("<svg").count(),
        60,
        "on each card a code to trust the box and one to come in"
    );
    assert!(sheet.contains("Steward &lt;30&gt;"));
    assert!(!sheet.contains("Steward <30>"), "a name is no markup");
    Ok(())
}

#[tokio::test]
async fn a_mistake_in_the_list_of_stewards_invites_nobody() -> Result<()> {
    let site = site().start().await?;
    let dir = tempfile::tempdir()?;
    let stewards = dir.path().join("stewards.csv");
    std::fs::write(&stewards, "name,channels\nDora,ops\nEmil,nowhere\n")?;
    let stewards = stewards.display().to_string();
    let out = site.pttd(&["invite", "--csv", &stewards, "--json"])?;
    assert!(!out.status.success());
    let words = String::from_utf8(out.stderr)?;
    assert!(
        words.contains("stewards.csv, line 3:") && words.contains("nowhere"),
        "{words}"
    );
    assert!(out.stdout.is_empty(), "Dora is not half invited");
    let again = site.pttd(&["invite", "--user", "dora", "--json"])?;
    assert!(!again.status.success(), "and not on the roster");
    Ok(())
}

#[test]
fn help_tells_a_technician_what_to_type() -> Result<()> {
    for words in [
        &["--help"][..],
        &["run", "--help"],
        &["check", "--help"],
        &["invite", "--help"],
    ] {
        let out = Command::new(program()?).args(words).output()?;
        assert!(out.status.success());
        let help = String::from_utf8(out.stdout)?;
        assert!(help.contains("pttd"), "{help}");
        assert!(
            help.lines().all(|line| line.chars().count() <= 110),
            "it fits a terminal: {help}"
        );
    }
    Ok(())
}
