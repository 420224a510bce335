//! What `pttd invite` shows in the terminal.

use std::io::{ErrorKind, Write};

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

/// What the operator should know before handing them out, a sentence for each.
pub fn doubts(cards: &Cards) -> Vec<String> {
    let mut doubts = Vec::new();
    if cards.only_here {
        doubts.push(
            "this machine has no address on a network, so the links work on it alone: connect it, then \
             invite again"
                .to_string(),
        );
    }
    let known = cards.cards.iter().filter(|card| card.known);
    let known: Vec<_> = known
        .map(|card| format!("{} ({})", card.name, card.user))
        .collect();
    if !known.is_empty() {
        doubts.push(format!(
            "on the roster already: {}. Whoever uses such a link talks as them; for somebody else of the same \
             name withdraw it and invite them under another name",
            known.join(", ")
        ));
    }
    doubts
}

/// Writes for whoever reads; who has read enough, as `head` does, is not an error.
pub fn say(text: &str) -> Result<()> {
    say_to(&mut std::io::stdout().lock(), text)
}

fn say_to(out: &mut impl Write, text: &str) -> Result<()> {
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("writing to the standard output"),
    }
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

/// How the first admin gets in, for whoever sits before the box.
pub fn setup(code: &str, url: &str, here: &str) -> String {
    format!(
        "\nThis box has no admin yet. To be the first one, open\n  {url}\nor on this machine\n  \
         {here}/setup\nand type the code\n  {code}\n"
    )
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

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_reader_that_left_is_no_error() {
        let (mut out, reader) = UnixStream::pair().unwrap();
        drop(reader);
        assert!(writeln!(out, "x").is_err());
        say_to(&mut out, "x").unwrap();
    }
}
