//! From the return of `pttd member remove` to the last packet that was forwarded of whom it was about.

use std::time::Duration;

use anyhow::Result;
use pttd_core::wire::signal::ServerMessage;
use pttd_tests::endpoint::elapsed;
use pttd_tests::expect;
use pttd_tests::site::site;

use crate::machine::{Cores, pin};
use crate::table::{Table, millis};

const REMOVALS: usize = 100;
const MOST: Duration = Duration::from_millis(50);
/// Packets after each removal that the removed one still sends, at 50 a second.
const MORE: u32 = 15;

const ROSTER: &str = r#"
channel = [{ id = "ops" }]
user = [{ id = "ben", channels = ["ops"] }, { id = "carla", channels = ["ops"] }]
"#;

pub async fn removal(table: &mut Table, cores: Cores) -> Result<()> {
    pin(cores.server)?;
    let site = site().roster(ROSTER).log_level("warn").start().await;
    pin(cores.client)?;
    let site = site?;
    let mut ben = site.phone_on("ben", "ops").await?;
    let mut carla = site.phone_on("carla", "ops").await?;
    let (mut latest, mut good) = (Duration::ZERO, 0);
    for _ in 0..REMOVALS {
        carla.press("ops").await?;
        ben.on("ops")?.hears(carla.tag, 10).await?;
        let (done, _) = site.orders(&["member", "remove", "ops", "carla"]).await?;
        carla.on("ops")?.says(MORE).await?;
        let last = ben.on("ops")?.heard_of(carla.tag).last().map(|h| h.at);
        let after = last.unwrap_or_default().saturating_sub(elapsed(done));
        latest = latest.max(after);
        good += usize::from(after <= MOST);
        expect!(carla, ServerMessage::Removed { .. })?;
        expect!(
            ben,
            ServerMessage::Stop {
                transmission_id: Some(_),
                ..
            }
        )?;
        site.orders(&["member", "add", "ops", "carla"]).await?;
        expect!(carla, ServerMessage::Channels { channels } if !channels.is_empty())?;
        carla.join("ops").await?;
    }
    table.row(
        "last packet after a talker's removal returned",
        format!("{} at the latest", millis(latest)),
        "<= 50.00 ms",
        Some(latest <= MOST),
    );
    table.row(
        "removals that cut in time",
        format!("{good} of {REMOVALS}"),
        "100 of 100",
        Some(good == REMOVALS),
    );
    Ok(())
}
