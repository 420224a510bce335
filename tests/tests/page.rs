//! What the box serves: the talk page, the landing page, and nothing from anywhere else.

use anyhow::{Context, Result};
use pttd_tests::browser::{Browser, turn};
use pttd_tests::microphone::ANNA;
use pttd_tests::site::site;
use serde_json::json;
use url::Url;

/// As a phone on the LAN asks the plain port.
const PHONE: [(&str, &str); 1] = [("host", "gate.local:8080")];

#[tokio::test]
async fn the_talk_page_comes_from_the_box_alone() -> Result<()> {
    let site = site().start().await?;
    let page = site.get("/").await?;
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy");
    assert!(policy.contains("default-src 'self'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    assert!(
        page.header("permissions-policy")
            .contains("microphone=(self)")
    );
    assert_eq!(site.get("/no/such/page").await?.status, 404);
    assert_eq!(site.get("/../pttd.toml").await?.status, 404);
    Ok(())
}

#[tokio::test]
async fn the_plain_port_leads_to_the_landing_page() -> Result<()> {
    let site = site().settings("name = \"Main gate\"").start().await?;
    let landing = site.plain("GET", "/", &PHONE, "").await?;
    assert_eq!(landing.status, 200);
    assert!(landing.header("content-type").starts_with("text/html"));
    for path in ["/index.html", "/js/main.js", "/anything", "/generate_204"] {
        let elsewhere = site.plain("GET", path, &PHONE, "").await?;
        assert_eq!(
            (elsewhere.status.as_u16(), elsewhere.header("location")),
            (307, "/"),
            "{path}"
        );
    }
    let known = site
        .plain("GET", "/landing.json", &PHONE, "")
        .await?
        .json()?;
    assert_eq!(known["box"], "Main gate");
    let port = site.ready.https.port().to_string();
    assert!(
        known["https"]
            .as_str()
            .is_some_and(|url| url.starts_with("https://") && url.ends_with(&port)),
        "{known}"
    );
    assert_eq!(known["addresses"], json!([site.url("")]));
    let ca = site.plain("GET", "/ca.crt", &PHONE, "").await?;
    assert_eq!(ca.header("content-type"), "application/x-x509-ca-cert");
    let profile = site.plain("GET", "/ca.mobileconfig", &PHONE, "").await?;
    assert_eq!(
        profile.header("content-type"),
        "application/x-apple-aspen-config"
    );
    assert!(
        profile.text().contains("com.apple.security.root"),
        "{}",
        profile.text()
    );
    let code = site.plain("GET", "/qr.svg", &PHONE, "").await?;
    assert_eq!(code.header("content-type"), "image/svg+xml");
    assert!(code.text().contains("<svg"));
    Ok(())
}

#[tokio::test]
async fn the_ca_is_the_one_of_the_fingerprint_and_vouches_for_this_box_only() -> Result<()> {
    let site = site().start().await?;
    let known = site
        .plain("GET", "/landing.json", &PHONE, "")
        .await?
        .json()?;
    let ca = site.plain("GET", "/ca.crt", &PHONE, "").await?;
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("ca.crt");
    std::fs::write(&file, &ca.body)?;
    let openssl = |words: &[&str]| -> Result<String> {
        let out = std::process::Command::new("openssl")
            .args(words)
            .arg("-in")
            .arg(&file)
            .output()?;
        Ok(String::from_utf8(out.stdout)?)
    };
    let fingerprint = openssl(&[
        "x509",
        "-inform",
        "DER",
        "-noout",
        "-fingerprint",
        "-sha256",
    ])?;
    let told = known["fingerprint"].as_str().context("a fingerprint")?;
    assert!(fingerprint.trim().ends_with(told), "{fingerprint} {told}");
    let text = openssl(&["x509", "-inform", "DER", "-noout", "-text"])?;
    assert!(text.contains("Name Constraints: critical"), "{text}");
    assert!(
        text.contains("DNS:.local") || text.contains("DNS:local"),
        "{text}"
    );
    Ok(())
}

#[tokio::test]
async fn here_tells_any_page_that_the_box_is_up() -> Result<()> {
    let site = site().start().await?;
    for answer in [
        site.get("/here").await?,
        site.plain("GET", "/here", &PHONE, "").await?,
    ] {
        assert_eq!(answer.status, 204);
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    Ok(())
}

#[tokio::test]
async fn no_page_asks_anyone_but_the_box_or_breaks_its_own_rules() -> Result<()> {
    let turn = turn().await;
    let site = site().start().await?;
    let anna = turn.page(&site, ANNA).await?;
    anna.has_no_complaints().await?;
    asks_only_the_box(&anna).await?;
    // By the network's name, as a phone: the landing page, which finds that HTTPS is trusted here.
    let landing = format!("http://gate.local:{}/", site.ready.plain.port());
    anna.page.goto(&landing).await?;
    anna.until("document.querySelector('#secure').dataset.state === 'good'")
        .await?;
    anna.has_no_complaints().await?;
    asks_only_the_box(&anna).await
}

async fn asks_only_the_box(browser: &Browser) -> Result<()> {
    let asked = browser
        .js("return performance.getEntriesByType('resource').map((entry) => entry.name)")
        .await?;
    let asked = asked.as_array().context("a list")?;
    assert!(!asked.is_empty());
    for address in asked {
        let url = Url::parse(address.as_str().context("an address")?)?;
        let host = url.host_str().unwrap_or_default();
        let own = url.scheme() == "data" || host == "127.0.0.1" || host.ends_with(".local");
        assert!(own, "{url}");
    }
    Ok(())
}

#[tokio::test]
async fn the_whole_page_is_small() -> Result<()> {
    let turn = turn().await;
    let site = site().start().await?;
    let anna = turn.page(&site, ANNA).await?;
    let bytes = anna
        .js("return performance.getEntries().reduce((sum, entry) => sum + (entry.decodedBodySize ?? 0), 0)")
        .await?;
    let bytes = bytes.as_f64().context("a number")?;
    assert!(bytes > 10_000.0, "{bytes} bytes are no page");
    assert!(bytes < 150_000.0, "{bytes} bytes");
    Ok(())
}
