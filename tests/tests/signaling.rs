//! What clients say, and what broken or hostile ones do.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures_util::{SinkExt, StreamExt};
use pttd_core::wire::signal::{
    ClientMessage, ErrorCode, Level, MAX_CANDIDATES, MAX_M_LINES, MAX_SDP, Presence, ServerMessage,
};
use pttd_tests::client::{Client, Encoding, Socket};
use pttd_tests::endpoint::Endpoint;
use pttd_tests::expect;
use pttd_tests::phone::{Offered, Phone};
use pttd_tests::site::{Site, site};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

const PATIENCE: Duration = Duration::from_secs(10);
const BOTH: [Encoding; 2] = [Encoding::Json, Encoding::MessagePack];

fn join(channel: &str) -> ClientMessage {
    ClientMessage::Join {
        channel_id: channel.into(),
        muted: false,
    }
}

/// The box still talks to this client.
async fn answers(client: &mut Client) -> Result<()> {
    let pong = client.ask(ClientMessage::Ping {}).await?;
    ensure!(pong == ServerMessage::Pong {}, "{pong:?}");
    Ok(())
}

/// Sends a whole message as it is: the code it is refused with.
async fn refusal(client: &mut Client, message: Message) -> Result<ErrorCode> {
    client.send(message)?;
    expect!(client, ServerMessage::Error { code, .. } => code)
}

#[tokio::test]
async fn both_encodings_carry_a_whole_conversation_with_each_other() -> Result<()> {
    let site = site().start().await?;
    let mut anna = Phone::of(site.client_in("anna", Encoding::Json).await?);
    let mut ben = Phone::of(site.client_in("ben", Encoding::MessagePack).await?);
    anna.join("ops").await?;
    ben.join("ops").await?;
    anna.press("ops").await?;
    expect!(ben, ServerMessage::Start { .. })?;
    ben.on("ops")?.hears(anna.tag, 5).await?;
    anna.release("ops").await?;
    expect!(ben, ServerMessage::Stop { .. })?;
    ben.press("ops").await?;
    expect!(anna, ServerMessage::Start { .. })?;
    anna.on("ops")?.hears(ben.tag, 5).await
}

#[tokio::test]
async fn who_is_on_a_channel_is_told_to_the_others() -> Result<()> {
    let site = site().start().await?;
    let mut anna = site.client("anna").await?;
    anna.ask(join("ops")).await?;
    let mut ben = site.client("ben").await?;
    match ben.ask(join("ops")).await? {
        ServerMessage::Joined { members, .. } => {
            let mut names: Vec<_> = members.iter().map(|m| m.person.name.as_str()).collect();
            names.sort_unstable();
            assert_eq!(names, ["Anna", "Ben"]);
        }
        other => bail!("{other:?}"),
    }
    let member = expect!(anna, ServerMessage::Member { member, .. } if member.person.name == "Ben" => member)?;
    assert_eq!(member.presence, Presence::Awake);
    ben.tell(ClientMessage::Presence {
        state: Presence::Asleep,
    })
    .await?;
    expect!(anna, ServerMessage::Member { member, .. } if member.presence == Presence::Asleep)?;
    ben.vanish();
    expect!(anna, ServerMessage::Member { member, .. } if member.presence == Presence::Lost)?;
    // It may come back for 15 s.
    let left = |m: &ServerMessage| matches!(m, ServerMessage::MemberLeft { .. }).then_some(());
    anna.expect_within(Duration::from_secs(20), "Ben is given up", left)
        .await
}

#[tokio::test]
async fn an_unknown_channel_and_a_forbidden_one_are_answered_alike() -> Result<()> {
    let roster = r#"
        channel = [{ id = "ops" }, { id = "secret" }]
        user = [{ id = "anna", channels = ["secret"] }, { id = "ben", channels = ["ops"] }]
    "#;
    let site = site().roster(roster).start().await?;
    let mut anna = site.phone_on("anna", "secret").await?;
    anna.press("secret").await?;
    let mut ben = site.client("ben").await?;
    for message in [
        json!({"type": "JOIN"}),
        json!({"type": "LEAVE"}),
        json!({"type": "WEBRTC_OFFER", "sdp": "v=0"}),
        json!({"type": "ICE_CANDIDATE", "candidate": "candidate:1 1 udp 1 127.0.0.1 9 typ host"}),
        json!({"type": "START"}),
        json!({"type": "STOP"}),
        json!({"type": "MUTE"}),
        json!({"type": "UNMUTE"}),
    ] {
        let mut answers = Vec::new();
        for channel in ["secret", "nowhere"] {
            let mut message = message.clone();
            message["channelId"] = channel.into();
            message["id"] = 7_000_000.into();
            ben.send(Message::text(message.to_string()))?;
            let said = ben.unasked().await?;
            answers.push(format!("{said:?}").replace(channel, "CHANNEL"));
        }
        assert_eq!(answers[0], answers[1], "{message}");
        assert!(
            answers[0].contains("NotAuthorized"),
            "{message}: {}",
            answers[0]
        );
    }
    Ok(())
}

#[tokio::test]
async fn what_is_no_message_is_refused_and_the_client_stays() -> Result<()> {
    let site = site().start().await?;
    let mut json = site.client("anna").await?;
    for text in [
        "",
        "{",
        "null",
        "[]",
        "\"START\"",
        "{}",
        r#"{"type":"NO_SUCH_THING"}"#,
        r#"{"type":"JOIN"}"#,
        r#"{"type":"JOIN","channelId":7}"#,
        r#"{"type":"START","channelId":"ops","level":"royal"}"#,
        r#"{"type":"PING","id":-1}"#,
        &"[".repeat(60_000),
        &format!("{}1{}", "[".repeat(20_000), "]".repeat(20_000)),
    ] {
        assert_eq!(
            refusal(&mut json, Message::text(text)).await?,
            ErrorCode::BadMessage,
            "{text:.60}"
        );
    }
    assert_eq!(
        refusal(&mut json, Message::binary(vec![0x80])).await?,
        ErrorCode::BadMessage,
        "binary where text is spoken"
    );
    answers(&mut json).await?;
    json.send(Message::text(
        r#"{"type":"PING","id":9000000,"of":"a later version"}"#,
    ))?;
    expect!(json, ServerMessage::Pong {})
}

fn nested(depth: usize) -> Vec<u8> {
    // {"type": "PING", "x": [[[...]]]}
    let mut bytes = vec![0x82, 0xa4];
    bytes.extend(b"type\xa4PING\xa1x");
    bytes.extend(vec![0x91; depth]);
    bytes.push(0xc0);
    bytes
}

#[tokio::test]
async fn messagepack_is_measured_before_it_is_believed() -> Result<()> {
    let site = site().start().await?;
    let mut anna = site.client_in("anna", Encoding::MessagePack).await?;
    let before = peak_memory(&site)?;
    anna.send(Message::binary(nested(10)))?;
    expect!(anna, ServerMessage::Pong {})?;
    for (what, bytes) in [
        ("nothing", vec![]),
        ("text of 4 GiB", vec![0xdb, 0xff, 0xff, 0xff, 0xff, b'x']),
        ("a blob of 4 GiB", vec![0xc6, 0xff, 0xff, 0xff, 0xff]),
        ("an array of 4 Gi", vec![0xdd, 0xff, 0xff, 0xff, 0xff]),
        (
            "a map of 4 Gi",
            vec![0xdf, 0xff, 0xff, 0xff, 0xff, 0xa4, b't', b'y', b'p', b'e'],
        ),
        (
            "an extension of 4 GiB",
            vec![0xc9, 0xff, 0xff, 0xff, 0xff, 1],
        ),
        ("a marker that does not exist", vec![0xc1]),
        (
            "an array in a map's place",
            vec![0x92, 0xa4, b'P', b'I', b'N', b'G', 0xc0],
        ),
        ("17 levels", nested(17)),
        ("60,000 levels", nested(60_000)),
        ("two messages", [&b"\x81\xa4type\xa4PING"[..]; 2].concat()),
    ] {
        assert_eq!(
            refusal(&mut anna, Message::binary(bytes)).await?,
            ErrorCode::BadMessage,
            "{what}"
        );
    }
    assert_eq!(
        refusal(&mut anna, Message::text("{}")).await?,
        ErrorCode::BadMessage,
        "text where binary is spoken"
    );
    answers(&mut anna).await?;
    let grown = peak_memory(&site)? - before;
    ensure!(
        grown < 32 * 1024,
        "the box took {grown} KiB for lengths it was told"
    );
    Ok(())
}

fn peak_memory(site: &Site) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", site.pid()))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .context("VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

#[tokio::test]
async fn a_message_beyond_64_kib_ends_its_connection_and_no_other() -> Result<()> {
    let site = site().start().await?;
    for encoding in BOTH {
        let mut anna = site.client_in("anna", encoding).await?;
        let mut ben = site.client("ben").await?;
        let long = " ".repeat(64 * 1024 + 1);
        let message = match encoding {
            Encoding::Json => Message::text(format!("{{\"type\":\"PING\"}}{long}")),
            Encoding::MessagePack => Message::binary(long.into_bytes()),
        };
        anna.send(message)?;
        anna.closed().await?;
        answers(&mut ben).await?;
    }
    Ok(())
}

#[tokio::test]
async fn who_does_not_read_is_dropped_and_nobody_else_notices() -> Result<()> {
    let site = site().start().await?;
    let mut ben = site.client("ben").await?;
    let device = site.redeem(&site.invite("anna")?.secret).await?;
    let bearer = format!("Bearer {device}");
    let (mut deaf, _) = site.websocket(&[("authorization", &bearer)]).await?;
    // Each is answered with as much; nobody takes the answers from the wire.
    let question = json!({"type": "JOIN", "channelId": "x".repeat(30_000)}).to_string();
    let dropped = tokio::time::timeout(Duration::from_secs(60), async {
        while deaf.send(Message::text(question.clone())).await.is_ok() {
            answers(&mut ben).await?;
        }
        anyhow::Ok(())
    });
    dropped
        .await
        .context("the box should drop who does not read")??;
    answers(&mut ben).await
}

/// An offer like a browser's.
fn offer() -> Result<String> {
    let local = "127.0.0.1:9".parse()?;
    Ok(Endpoint::new(local, std::time::Instant::now())?.1)
}

#[tokio::test]
async fn an_offer_beyond_a_limit_is_refused_and_the_next_one_taken() -> Result<()> {
    let site = site().start().await?;
    let mut anna = site.phone("anna").await?;
    anna.ask(join("ops")).await?;
    let good = offer()?;
    let (session, line) = good.split_at(good.find("m=").context("an m-line")?);
    let candidate = "a=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n";
    let padding = format!("a=x:{}\r\n", "y".repeat(100));
    for (what, sdp) in [
        ("empty", String::new()),
        ("no SDP", "hello".repeat(100)),
        ("without an m-line", session.to_string()),
        ("cut short", good[..good.len() / 2].to_string()),
        (
            "too long",
            format!("{good}{}", padding.repeat(MAX_SDP / padding.len() + 1)),
        ),
        (
            "of too many m-lines",
            format!("{session}{}", line.repeat(MAX_M_LINES + 1)),
        ),
        (
            "of too many candidates",
            format!("{good}{}", candidate.repeat(MAX_CANDIDATES + 1)),
        ),
        (
            "of video only",
            good.replace("m=audio", "m=video")
                .replace("opus/48000/2", "VP8/90000"),
        ),
    ] {
        let answer = anna
            .ask(ClientMessage::WebrtcOffer {
                channel_id: "ops".into(),
                sdp,
            })
            .await?;
        assert!(
            matches!(
                answer,
                ServerMessage::Error {
                    code: ErrorCode::BadOffer | ErrorCode::TooMany,
                    ..
                }
            ),
            "an offer {what}: {answer:?}"
        );
    }
    anna.connect("ops").await
}

#[tokio::test]
async fn candidates_beyond_the_limit_are_refused() -> Result<()> {
    let site = site().start().await?;
    let mut anna = site.phone_on("anna", "ops").await?;
    let mut refused = 0;
    for n in 0..=MAX_CANDIDATES {
        let candidate = format!("candidate:{n} 1 udp 1 127.0.0.1 {} typ host", 1000 + n);
        match anna
            .ask(ClientMessage::IceCandidate {
                channel_id: "ops".into(),
                candidate,
            })
            .await?
        {
            ServerMessage::IceCandidate { .. } => assert_eq!(refused, 0),
            ServerMessage::Error {
                code: ErrorCode::TooMany,
                ..
            } => refused += 1,
            other => bail!("{other:?}"),
        }
    }
    assert!(refused > 0);
    answers(&mut anna).await
}

#[tokio::test]
async fn hello_comes_first_and_once() -> Result<()> {
    let site = site().start().await?;
    let mut anna = site.client("anna").await?;
    let again = ClientMessage::Hello {
        token: None,
        device: Some(anna.device.clone()),
        resume: None,
    };
    let answer = anna.ask(again).await?;
    assert!(
        matches!(
            answer,
            ServerMessage::Error {
                code: ErrorCode::BadOrder,
                ..
            }
        ),
        "{answer:?}"
    );
    let (socket, _) = site
        .websocket(&[("sec-websocket-protocol", "pttd.json")])
        .await?;
    let early = Client::over(socket, Encoding::Json, "nobody", Some(join("ops"))).await;
    let why = early.err().map(|e| format!("{e:#}")).unwrap_or_default();
    assert!(why.contains("BadOrder"), "{why}");
    Ok(())
}

#[tokio::test]
async fn every_answer_repeats_its_requests_id() -> Result<()> {
    let site = site().start().await?;
    let mut phone = site.phone_on("anna", "ops").await?;
    let channel_id = || "ops".into();
    // `ask` waits for the id.
    phone.ask(ClientMessage::Ping {}).await?;
    phone.ask(join("ops")).await?;
    phone
        .ask(ClientMessage::Mute {
            channel_id: channel_id(),
        })
        .await?;
    phone
        .ask(ClientMessage::Unmute {
            channel_id: channel_id(),
        })
        .await?;
    phone
        .ask(ClientMessage::Presence {
            state: Presence::Asleep,
        })
        .await?;
    phone
        .ask(ClientMessage::Start {
            channel_id: channel_id(),
            level: Level::Normal,
        })
        .await?;
    phone
        .ask(ClientMessage::Stop {
            channel_id: channel_id(),
        })
        .await?;
    phone
        .ask(ClientMessage::Stop {
            channel_id: channel_id(),
        })
        .await?;
    phone
        .ask(ClientMessage::Leave {
            channel_id: channel_id(),
        })
        .await?;
    phone
        .ask(ClientMessage::Leave {
            channel_id: channel_id(),
        })
        .await
        .map(drop)
}

#[tokio::test]
async fn messages_on_the_wire_are_those_of_the_documents() -> Result<()> {
    let site = site().start().await?;
    let mut anna = site.client("anna").await?;
    let raw = serde_json::to_value(&anna.welcome)?;
    assert_eq!(raw["type"], "WELCOME");
    assert_eq!(raw["user"]["name"], "Anna");
    assert_eq!(raw["limits"]["sdpBytes"], MAX_SDP);
    let ids: Vec<&Value> = raw["channels"]
        .as_array()
        .context("channels")?
        .iter()
        .map(|c| &c["channelId"])
        .collect();
    assert_eq!(ids, ["echo", "ops", "security", "stage"]);
    assert_eq!(
        raw["channels"][1]["rights"],
        json!({"listen": true, "talk": true, "level": "emergency"})
    );
    answers(&mut anna).await
}

/// Whether all that is expected is there; "*" stands for anything.
fn is_like(said: &Value, expected: &Value) -> bool {
    match (said, expected) {
        (_, Value::String(any)) if any == "*" => !said.is_null(),
        (Value::Object(said), Value::Object(expected)) => expected
            .iter()
            .all(|(key, value)| said.get(key).is_some_and(|said| is_like(said, value))),
        (Value::Array(said), Value::Array(expected)) => {
            said.len() == expected.len() && said.iter().zip(expected).all(|(s, e)| is_like(s, e))
        }
        _ => said == expected,
    }
}

#[tokio::test]
async fn the_conversation_on_the_design_page_goes_as_it_is_written() -> Result<()> {
    let page = include_str!("../../daemon/design/signaling.md");
    let conversation = page.split("```conversation\n").nth(1);
    let lines = conversation.context("the conversation")?.lines();
    let site = site().start().await?;
    let device = site.redeem(&site.invite("anna")?.secret).await?;
    let headers = [("sec-websocket-protocol", "pttd.json")];
    let (mut socket, _) = site.websocket(&headers).await?;
    let mut offered = None;
    let mut transport = None;
    let mut said = 0;
    for line in lines.take_while(|line| !line.starts_with("```")) {
        let (way, json) = line.split_at(2);
        let mut message: Value = serde_json::from_str(json).context(line)?;
        if way == "> " {
            if message["type"] == "HELLO" {
                message["device"] = device.clone().into();
            }
            if message["type"] == "WEBRTC_OFFER" {
                let new = Offered::new().await?;
                message["sdp"] = new.sdp.clone().into();
                offered = Some(new);
            }
            socket.send(Message::text(message.to_string())).await?;
            continue;
        }
        let answer = next_text(&mut socket).await.context(line)?;
        ensure!(is_like(&answer, &message), "{answer}\nis not\n{message}");
        // What is left out is nothing the page does not name elsewhere.
        if answer["type"] == "START_FAILED" || answer["type"] == "STOP" {
            let names = |v: &Value| v.as_object().map(|o| o.keys().cloned().collect::<Vec<_>>());
            ensure!(
                names(&answer) == names(&message),
                "{answer}\nis not\n{message}"
            );
        }
        if let Some(offered) = offered.take() {
            let sdp = answer["sdp"].as_str().context("sdp")?.to_string();
            let mut new = offered.answered(sdp, 1, Vec::new())?;
            new.is_connected().await?;
            transport = Some(new);
        }
        said += 1;
    }
    ensure!(said > 12 && transport.is_some(), "only {said} answers");
    Ok(())
}

async fn next_text(socket: &mut Socket) -> Result<Value> {
    let text = async {
        loop {
            let message = socket.next().await.context("the connection is over")??;
            if let Message::Text(text) = message {
                return Ok(serde_json::from_str(&text)?);
            }
        }
    };
    tokio::time::timeout(PATIENCE, text).await?
}
