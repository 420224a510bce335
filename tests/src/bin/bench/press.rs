//! From the press to the first packet at a listener, in Chromium; beside the same in one page that talks to
//! itself, which is what the browser alone takes.

use std::time::Duration;

use anyhow::{Context, Result};
use pttd_tests::browser::{Browser, turn};
use pttd_tests::microphone::{ANNA, BEN};
use pttd_tests::site::Site;
use serde_json::json;

const PRESSES: usize = 20;

/// Where the finger goes.
const MIDDLE: &str = "
    const button = document.querySelector('#talk-button').getBoundingClientRect();
    return [button.x + button.width / 2, button.y + button.height / 2]";
const AT_REST: &str = "document.querySelector('#talk-button').dataset.state === 'idle'";

/// Keeps every peer connection a page makes, and when the page was pressed last.
const CONNECTIONS: &str = "
    window.connections = [];
    const Real = RTCPeerConnection;
    window.RTCPeerConnection = class extends Real {
        constructor(...how) { super(...how); window.connections.push(this); }
    };
    addEventListener('pointerdown', (event) => { window.pressed = performance.timeOrigin + event.timeStamp; }, true);";

/// When the first packet came after `count` had come, by the browser's own statistics.
const FIRST: &str = "
    window.received = async () => {
        let count = 0, last = 0;
        for (const connection of window.connections) {
            for (const stat of (await connection.getStats()).values()) {
                if (stat.type !== 'inbound-rtp' || !stat.packetsReceived) continue;
                count += stat.packetsReceived;
                last = Math.max(last, stat.lastPacketReceivedTimestamp);
            }
        }
        return { count, last };
    };
    window.first = null;
    window.await_first = async () => {
        const before = (await received()).count;
        window.first = null;
        (async () => {
            for (;;) {
                const now = await received();
                if (now.count > before) { window.first = now.last; return; }
                await new Promise((done) => setTimeout(done, 2));
            }
        })();
    };";

pub struct Press {
    pub box_times: Vec<Duration>,
    pub loopback_times: Vec<Duration>,
}

pub async fn press(site: &Site) -> Result<Press> {
    let turn = turn().await;
    let (anna, ben) = (
        turn.browser(ANNA, Some(&site.ready.spki)).await?,
        turn.browser(BEN, Some(&site.ready.spki)).await?,
    );
    for browser in [&anna, &ben] {
        let script = json!({ "source": CONNECTIONS });
        browser
            .devtools("Page.addScriptToEvaluateOnNewDocument", script)
            .await?;
        browser
            .page
            .goto(&site.invite(browser.voice.user)?.link)
            .await?;
        browser.is_ready().await?;
    }
    ben.js(FIRST).await?;
    let at = anna.js(MIDDLE).await?;
    let mouse = |kind: &str| json!({"type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1});
    let mut box_times = Vec::new();
    for n in 0..=PRESSES {
        ben.js("return await_first()").await?;
        anna.devtools("Input.dispatchMouseEvent", mouse("mousePressed"))
            .await?;
        ben.until("window.first").await?;
        let took = between(&anna, &ben).await?;
        // The first press asks for the microphone.
        if n > 0 {
            box_times.push(took);
        }
        anna.devtools("Input.dispatchMouseEvent", mouse("mouseReleased"))
            .await?;
        for page in [&anna, &ben] {
            page.until(AT_REST).await?;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    drop(ben);

    // The same browser, on a page of the box's own origin so that it may use the microphone.
    anna.js(LOOPBACK).await?;
    anna.until("window.far").await?;
    anna.js(FIRST).await?;
    let mut loopback_times = Vec::new();
    for n in 0..=PRESSES {
        anna.js("return await_first()").await?;
        anna.js("return press()").await?;
        anna.until("window.first").await?;
        if n > 0 {
            loopback_times.push(between(&anna, &anna).await?);
        }
        anna.js("return release()").await?;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    Ok(Press {
        box_times,
        loopback_times,
    })
}

/// A peer connection of the page with itself, its microphone attached by `press()`.
const LOOPBACK: &str = "
    window.connections.length = 0;
    (async () => {
        const near = new RTCPeerConnection(), far = new RTCPeerConnection();
        near.onicecandidate = ({ candidate }) => far.addIceCandidate(candidate);
        far.onicecandidate = ({ candidate }) => near.addIceCandidate(candidate);
        const { sender } = near.addTransceiver('audio', { direction: 'sendrecv' });
        const microphone = (await navigator.mediaDevices.getUserMedia({ audio: true })).getAudioTracks()[0];
        await near.setLocalDescription();
        await far.setRemoteDescription(near.localDescription);
        await far.setLocalDescription();
        await near.setRemoteDescription(far.localDescription);
        window.press = () => { window.pressed = performance.timeOrigin + performance.now(); return sender.replaceTrack(microphone); };
        window.release = () => sender.replaceTrack(null);
        while (near.connectionState !== 'connected') await new Promise((done) => setTimeout(done, 10));
        window.far = true;
    })();";

async fn between(talker: &Browser, listener: &Browser) -> Result<Duration> {
    let pressed = talker.js("return window.pressed").await?;
    let first = listener.js("return window.first").await?;
    let (pressed, first) = (
        pressed.as_f64().context("a press")?,
        first.as_f64().context("a packet")?,
    );
    Ok(Duration::from_secs_f64((first - pressed).max(0.0) / 1e3))
}
