//! The instruments themselves, without the box: what hears a browser must be able to hear nothing.

use anyhow::Result;
use pttd_tests::browser::{Turn, turn};
use pttd_tests::microphone::{ANNA, BEN, Voice};
use pttd_tests::sound::{likeness, sentence};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A page that hears its own microphone through a peer connection.
const LOOPBACK: &str = include_str!("loopback.html");

async fn hears_itself(turn: &Turn, voice: Voice) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{LOOPBACK}",
                LOOPBACK.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let browser = turn.browser(voice, None).await?;
    browser.page.goto(&format!("http://{address}/")).await?;
    browser.until("window.far").await?;
    browser.listen("window.far").await?;
    browser.falls_silent().await?;
    browser.js("press()").await?;
    browser.hears(voice).await?;
    let other = if voice == ANNA { BEN } else { ANNA };
    let heard = browser
        .js(&format!(
            "return [ear.heard({:?}), ear.frames()]",
            other.user
        ))
        .await?;
    assert_eq!(
        heard[0], 0,
        "{} sounds like {}: {}",
        voice.user, other.user, heard[1]
    );
    browser.js("release()").await?;
    browser.falls_silent().await
}

#[tokio::test]
async fn an_ear_tells_one_voice_from_another_and_from_silence() -> Result<()> {
    let turn = turn().await;
    hears_itself(&turn, ANNA).await?;
    hears_itself(&turn, BEN).await
}

#[test]
fn a_sentence_is_known_again_and_another_is_not_taken_for_it() -> Result<()> {
    let gate = sentence("main gate to control, the queue reaches the tram stop")?;
    let medic = sentence("stage two here, we need a medic at the left barrier")?;
    // Later, quieter and a little shorter, as the far end hears it.
    let mut heard = vec![0.0; 5000];
    heard.extend(gate.samples.iter().skip(1000).map(|s| s * 0.3));
    let (same, other) = (
        likeness(&gate.samples, &heard),
        likeness(&medic.samples, &heard),
    );
    assert!(same > 0.85, "{same:.2}");
    assert!(other < 0.5, "{other:.2}");
    let silence = likeness(&gate.samples, &vec![0.0; heard.len()]);
    assert!(silence < 0.1, "{silence:.2}");
    Ok(())
}
