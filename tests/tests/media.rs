//! Who hears what: packets over real UDP, and everything that is no packet.

use std::net::UdpSocket;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pttd_core::wire::signal::{ClientMessage, Level, ServerMessage};
use pttd_tests::expect;
use pttd_tests::phone::Heard;
use pttd_tests::site::site;

#[tokio::test]
async fn only_the_floors_holder_is_forwarded_and_the_rest_is_counted() -> Result<()> {
    let site = site().start().await?;
    let mut anna = site.phone_on("anna", "ops").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    let mut carla = site.phone_on("carla", "ops").await?;
    // Ben's phone talks without asking, before Anna does and while she does.
    ben.on("ops")?.talk()?;
    ben.on("ops")?.says(20).await?;
    anna.press("ops").await?;
    carla.on("ops")?.hears(anna.tag, 50).await?;
    assert_eq!(carla.on("ops")?.heard_of(ben.tag).len(), 0);
    assert_eq!(anna.on("ops")?.heard().len(), 0, "nobody hears themselves");
    anna.release("ops").await?;
    ben.on("ops")?.says(20).await?;
    assert_eq!(carla.on("ops")?.heard_of(ben.tag).len(), 0);
    site.figure_is("pttd_media_packets_without_floor_total", |dropped| {
        dropped >= 60.0
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_listener_hears_one_stream_without_gaps_across_talkers() -> Result<()> {
    let site = site().start().await?;
    let mut anna = site.phone_on("anna", "ops").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    let mut carla = site.phone_on("carla", "ops").await?;
    for _ in 0..3 {
        anna.press("ops").await?;
        carla.on("ops")?.hears(anna.tag, 15).await?;
        anna.release("ops").await?;
        ben.press("ops").await?;
        carla.on("ops")?.hears(ben.tag, 15).await?;
        ben.release("ops").await?;
    }
    let heard = carla.on("ops")?.heard();
    for pair in heard.windows(2) {
        follows(&pair[0], &pair[1]).with_context(|| format!("{pair:?}"))?;
    }
    Ok(())
}

/// One source, the next number, and a clock that runs as the talker's does, or between two talkers the wall's.
fn follows(first: &Heard, next: &Heard) -> Result<()> {
    ensure!(first.ssrc == next.ssrc, "another SSRC");
    ensure!(
        next.sequence == first.sequence.wrapping_add(1),
        "a gap in the sequence numbers"
    );
    let ticks = next.timestamp.wrapping_sub(first.timestamp);
    let passed = Duration::from_micros(u64::from(ticks) * 1000 / 48);
    let (one, two) = (first.word.context("a word")?, next.word.context("a word")?);
    let same_talk = one.talker == two.talker && one.number + 1 == two.number && !next.marker;
    let (clock, off_by) = match same_talk {
        true => (two.sent - one.sent, Duration::from_millis(21)),
        false => (next.at.saturating_sub(first.at), Duration::from_millis(150)),
    };
    ensure!(
        passed.abs_diff(clock) < off_by,
        "{passed:?} on its clock, {clock:?} on ours"
    );
    Ok(())
}

#[tokio::test]
async fn a_muted_listener_gets_no_packets_until_unmuted() -> Result<()> {
    let site = site().start().await?;
    let mut anna = site.phone_on("anna", "ops").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    let mut carla = site.phone_on("carla", "ops").await?;
    let muted = ben
        .ask(ClientMessage::Mute {
            channel_id: "ops".into(),
        })
        .await?;
    assert!(matches!(muted, ServerMessage::Mute { .. }), "{muted:?}");
    anna.press("ops").await?;
    carla.on("ops")?.hears(anna.tag, 30).await?;
    assert_eq!(ben.on("ops")?.heard().len(), 0);
    ben.ask(ClientMessage::Unmute {
        channel_id: "ops".into(),
    })
    .await?;
    ben.on("ops")?.hears(anna.tag, 10).await
}

/// What a port scanner, a broken phone and someone with bad intentions send.
fn garbage() -> Vec<Vec<u8>> {
    // STUN: a binding request with somebody's invented ufrag, and one whose length lies.
    let mut invented = vec![
        0, 1, 0, 16, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
    ];
    invented.extend([0, 6, 0, 9]);
    invented.extend(b"nobody:me\0\0\0");
    let lying = vec![
        0, 1, 0xff, 0xff, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
    ];
    let hello = [
        &[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 40][..],
        &[0x41; 40],
    ]
    .concat();
    let rtp = [&[0x80, 111, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1][..], &[0x55; 80]].concat();
    let rtcp = [&[0x81, 200, 0, 6][..], &[0x33; 40]].concat();
    let mut all = alerts();
    all.extend([
        vec![],
        vec![0],
        vec![0xff; 3],
        vec![0x20; 1500],
        invented,
        lying,
        hello,
        rtp,
        rtcp,
    ]);
    all
}

/// DTLS 1.2 alerts in the clear, which anyone can forge: handshake failure, and close notify.
fn alerts() -> Vec<Vec<u8>> {
    vec![
        vec![21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 40],
        vec![21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0],
    ]
}

#[tokio::test]
async fn garbage_is_counted_and_costs_nobody_anything() -> Result<()> {
    let site = site().start().await?;
    let mut anna = site.phone_on("anna", "ops").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    anna.press("ops").await?;
    let stranger = UdpSocket::bind("127.0.0.1:0")?;
    let remote = anna.on("ops")?.remote;
    for _ in 0..50 {
        for datagram in garbage() {
            stranger.send_to(&datagram, remote)?;
        }
        ben.on("ops")?.hears(anna.tag, 1).await?;
    }
    site.figure_is("pttd_media_unknown_peer_total", |counted| counted >= 500.0)
        .await?;
    Ok(())
}

#[tokio::test]
async fn an_alert_in_the_clear_does_not_end_a_client_that_is_joining() -> Result<()> {
    let site = site().start().await?;
    for _ in 0..5 {
        let mut anna = site.phone("anna").await?;
        anna.ask(ClientMessage::Join {
            channel_id: "ops".into(),
            muted: false,
        })
        .await?;
        anna.connect_through("ops", alerts()).await?;
        let mut ben = site.phone_on("ben", "ops").await?;
        anna.press("ops").await?;
        ben.on("ops")?.hears(anna.tag, 5).await?;
        anna.release("ops").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_phone_whose_address_changes_goes_on_talking_and_hearing() -> Result<()> {
    let site = site().start().await?;
    let mut anna = site.phone_on("anna", "ops").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    anna.press("ops").await?;
    ben.on("ops")?.hears(anna.tag, 10).await?;
    anna.on("ops")?.roam().await?;
    ben.on("ops")?.hears(anna.tag, 10).await?;
    ben.on("ops")?.roam().await?;
    ben.on("ops")?
        .hears_within(Duration::from_secs(30), anna.tag, 10)
        .await
}

#[tokio::test]
async fn a_new_offer_takes_the_place_of_the_old_transport() -> Result<()> {
    let site = site().start().await?;
    let mut anna = site.phone_on("anna", "ops").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    anna.press("ops").await?;
    ben.on("ops")?.hears(anna.tag, 5).await?;
    ben.connect("ops").await?;
    ben.on("ops")?.hears(anna.tag, 5).await?;
    site.figure_is("pttd_media_transports", |transports| transports == 2.0)
        .await?;
    Ok(())
}

#[tokio::test]
async fn leaving_ends_the_sound_and_the_others_see_it() -> Result<()> {
    let site = site().start().await?;
    let mut anna = site.phone_on("anna", "ops").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    anna.press("ops").await?;
    ben.on("ops")?.hears(anna.tag, 5).await?;
    let left = ben
        .ask(ClientMessage::Leave {
            channel_id: "ops".into(),
        })
        .await?;
    assert!(matches!(left, ServerMessage::Left { .. }), "{left:?}");
    expect!(anna, ServerMessage::MemberLeft { .. })?;
    let before = ben.on("ops")?.heard().len();
    anna.on("ops")?.says(25).await?;
    let after = ben.on("ops")?.heard().len();
    assert!(
        after <= before + 2,
        "{} packets after leaving",
        after - before
    );
    Ok(())
}

#[tokio::test]
async fn who_has_left_may_come_back() -> Result<()> {
    let site = site().start().await?;
    let mut anna = site.phone_on("anna", "ops").await?;
    for _ in 0..3 {
        let mut ben = site.phone_on("ben", "ops").await?;
        for _ in 0..3 {
            anna.press("ops").await?;
            ben.on("ops")?.hears(anna.tag, 5).await?;
            anna.release("ops").await?;
            ben.ask(ClientMessage::Leave {
                channel_id: "ops".into(),
            })
            .await?;
            ben.join("ops").await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn one_person_on_two_channels_hears_both_and_talks_on_one() -> Result<()> {
    let site = site().start().await?;
    let mut anna = site.phone_on("anna", "ops").await?;
    anna.join("stage").await?;
    let mut ben = site.phone_on("ben", "ops").await?;
    let mut carla = site.phone_on("carla", "stage").await?;
    ben.press("ops").await?;
    carla.press_at("stage", Level::Normal).await?;
    anna.on("ops")?.hears(ben.tag, 10).await?;
    anna.on("stage")?.hears(carla.tag, 10).await?;
    assert_eq!(anna.on("ops")?.heard_of(carla.tag).len(), 0);
    assert_eq!(anna.on("stage")?.heard_of(ben.tag).len(), 0);
    Ok(())
}
