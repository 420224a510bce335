//! Cards to print, cut and hand out: one a person, with the link as a QR code.

use anyhow::{Context, Result};

use crate::invite::{Card, Cards};
use crate::pki::xml_text;
use crate::show::day_and_time;
use crate::web::qr_svg;

const STYLE: &str = include_str!("sheet.css");

pub fn of_cards(cards: &Cards) -> Result<String> {
    let landing = qr(&cards.landing)?;
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Cards for {}</title>\n<style>\n{STYLE}</style>\n",
        xml_text(&cards.box_name)
    );
    for page in cards.cards.chunks(8) {
        html.push_str("<main>\n");
        for card in page {
            html.push_str(&one(cards, card, &landing)?);
        }
        html.push_str("</main>\n");
    }
    html.push_str("</html>\n");
    Ok(html)
}

fn one(cards: &Cards, card: &Card, landing: &str) -> Result<String> {
    let link = qr(&card.link)?;
    let channels: String = card
        .channels
        .iter()
        .map(|channel| format!("<li>{}</li>", xml_text(channel)))
        .collect();
    let (first_time, fingerprint) = match &cards.fingerprint {
        Some(fingerprint) => (
            format!(
                "<figure class=\"first\">{landing}<figcaption><b>1. First time?</b>Join the Wi-Fi, then \
                 scan this.</figcaption></figure>"
            ),
            format!(
                "<p>Certificate of this box: <code>{}</code></p>",
                short(fingerprint)
            ),
        ),
        None => Default::default(),
    };
    let second = match cards.fingerprint {
        Some(_) => "2. Scan to talk",
        None => "Scan to talk",
    };
    let devices = match card.devices {
        1 => "one device".to_string(),
        n => format!("{n} devices"),
    };
    Ok(format!(
        "<article><header><h1{}>{}</h1><p>{}</p></header><ul>{channels}</ul>\n\
         <figure class=\"join\">{link}<figcaption><b>{second}</b></figcaption></figure>\n{first_time}\n\
         <footer><p>For {devices}, until {}. Not for anybody else.</p>{fingerprint}</footer></article>\n",
        match card.name.chars().count() > 24 {
            true => " class=\"long\"",
            false => "",
        },
        xml_text(&card.name),
        xml_text(&cards.box_name),
        day_and_time(card.ends),
    ))
}

/// As much of a fingerprint as people compare.
pub fn short(fingerprint: &str) -> String {
    let parts: Vec<&str> = fingerprint.split(':').collect();
    match parts[..] {
        [a, b, c, d, .., w, x, y, z] => format!("{a}:{b}:{c}:{d}…{w}:{x}:{y}:{z}"),
        _ => fingerprint.to_string(),
    }
}

pub fn qr(text: &str) -> Result<String> {
    let svg = qr_svg(text).context("drawing a QR code")?;
    // An XML declaration has no place inside HTML.
    let start = svg.find("<svg").unwrap_or(0);
    Ok(svg[start..].to_string())
}
