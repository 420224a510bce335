//! What `pttd invite` shows in the terminal.

use anyhow::{Context, Result};
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

use crate::invite::{Card, Cards};

/// One person's link, as text and as a QR code of half blocks. With `colours` the code is black on white
/// whatever the terminal's own colours are; without, it is right on a dark terminal.
pub fn card(card: &Card, colours: bool) -> Result<String> {
    let code = QrCode::new(&card.link).context("drawing the link as a QR code")?;
    let mut drawing = code.render::<Dense1x2>();
    let code = match colours {
        true => drawing.build().lines().fold(String::new(), |all, line| {
            all + "\x1b[38;5;16;48;5;231m" + line + "\x1b[0m\n"
        }),
        false => drawing
            .dark_color(Dense1x2::Light)
            .light_color(Dense1x2::Dark)
            .build(),
    };
    let channels = match card.channels.is_empty() {
        true => "no channel yet".to_string(),
        false => card.channels.join(", "),
    };
    let devices = match card.devices {
        1 => "1 device".to_string(),
        n => format!("{n} devices"),
    };
    Ok(format!(
        "\n{code}\n{} ({channels})\n{}\nfor {devices}, until {}\n",
        card.name,
        card.link,
        day_and_time(card.ends),
    ))
}

/// How a phone gets to trust the box, said once below the links.
pub fn first_time(cards: &Cards) -> String {
    match &cards.fingerprint {
        Some(fingerprint) => format!(
            "A phone that was never here opens {} first: it shows how to trust this box.\n\
             Its certificate's fingerprint (SHA-256) is\n{fingerprint}\n",
            cards.landing
        ),
        None => String::new(),
    }
}

/// The same for somebody who just started the daemon and sits before it.
pub fn first_look(cards: &Cards, here: &str) -> String {
    let mut text = first_time(cards);
    text.push_str("\nOn this machine, without any certificate:\n");
    for card in &cards.cards {
        text.push_str(&format!("  {}: {here}/#i={}\n", card.name, card.secret));
    }
    text
}

/// In the time zone of the machine, or said to be UTC where that cannot be known.
pub fn day_and_time(utc: u64) -> String {
    let format = format_description!(
        "[weekday repr:short] [day padding:none] [month repr:short] [hour]:[minute]"
    );
    let time = i64::try_from(utc)
        .ok()
        .and_then(|utc| OffsetDateTime::from_unix_timestamp(utc).ok());
    let Some(time) = time else {
        return "a day far away".to_string();
    };
    let offset = UtcOffset::local_offset_at(time).ok();
    let text = time
        .to_offset(offset.unwrap_or(UtcOffset::UTC))
        .format(format);
    match (text, offset) {
        (Ok(text), Some(_)) => text,
        (Ok(text), None) => format!("{text} UTC"),
        (Err(_), _) => utc.to_string(),
    }
}
