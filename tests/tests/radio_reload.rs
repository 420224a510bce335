//! The settings of a radio change while the box runs.

use anyhow::Result;
use nix::sys::signal::Signal;
use pttd_core::wire::signal::{EndReason, ServerMessage};
use pttd_tests::expect;
use pttd_tests::radio::wired;
use pttd_tests::sound::speech;

#[tokio::test(flavor = "multi_thread")]
async fn a_radio_whose_hardware_alone_has_changed_is_heard_and_keyed_as_before() -> Result<()> {
    let (hall, mut site) = wired("limiter = -6\n").await?;
    site.change("limiter = -6", "limiter = -9")?;
    site.signal(Signal::SIGHUP)?;
    site.logs(&["read the radios of the settings again", "changed=1"])
        .await?;
    site.api("dana").await?.radio_is_ready("hall").await?;

    let mut ben = site.phone_on("ben", "ops").await?;
    hall.says(&speech("gate four is clear")?).await?;
    expect!(&mut ben, ServerMessage::Start { .. } => ())?;
    let ended = expect!(&mut ben, ServerMessage::Stop { reason, .. } => reason)?;
    assert_eq!(ended, EndReason::Released);
    assert!(!ben.on("ops")?.heard().is_empty());

    ben.press("ops").await?;
    hall.is_keyed().await?;
    Ok(())
}
