//! Posters as they are made and printed: the secret on them, the links in their codes, the sheet for the wall.

use std::fmt::Write;

use anyhow::{Context, Result};

use crate::invite::Inviter;
use crate::pki::xml_text;
use crate::sheet::{qr, short};
use crate::show::day_and_time;
use crate::store::{Printed, Wifi};

pub const STYLE: &str = include_str!("poster.css");

/// Digits and letters of which none looks like another (Crockford's base 32): who has no camera types them.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 60 bits. It hangs on a wall, so it need only be too long to be guessed over the network.
const SECRET_LETTERS: usize = 12;

/// A new secret for a poster.
pub fn new_secret() -> Result<String> {
    let mut bytes = [0u8; SECRET_LETTERS];
    getrandom::fill(&mut bytes).context("choosing a poster's secret")?;
    let letters = bytes
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(byte % 32)]));
    Ok(letters.collect())
}

/// A secret as it was scanned, or typed by somebody who took an O for a zero.
pub fn secret_in(typed: &str) -> String {
    let letters = typed.chars().filter(char::is_ascii_alphanumeric);
    let letters = letters.map(|c| match c.to_ascii_lowercase() {
        'o' => '0',
        'i' | 'l' => '1',
        c => c,
    });
    letters.take(64).collect()
}

/// `abcd-efgh-jkmn`
fn as_typed(secret: &str) -> String {
    let parts = secret.as_bytes().chunks(4).map(String::from_utf8_lossy);
    parts.collect::<Vec<_>>().join("-")
}

/// Where a phone starts: on the page that leads it to trusting the box, which knows the way on from there.
pub fn link(inviter: &Inviter, secret: &str) -> String {
    format!("{}#p={secret}", address(inviter))
}

/// The same without the secret, for who has to type it.
fn address(inviter: &Inviter) -> String {
    match inviter.fingerprint {
        Some(_) => format!("{}/join", inviter.origins.landing()),
        None => format!("{}/join", inviter.origins.for_links()),
    }
}

/// What joins a phone to a Wi-Fi when it scans it.
pub fn wifi_text(wifi: &Wifi) -> String {
    let ssid = escaped(&wifi.ssid);
    match &wifi.password {
        Some(password) => format!("WIFI:T:WPA;S:{ssid};P:{};;", escaped(password)),
        None => format!("WIFI:T:nopass;S:{ssid};;"),
    }
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut escaped, c| {
        if matches!(c, '\\' | ';' | ',' | '"' | ':') {
            escaped.push('\\');
        }
        escaped.push(c);
        escaped
    })
}

/// The first thing wrong with a network's name or password, for people.
pub fn check_wifi(wifi: &Wifi) -> Result<(), &'static str> {
    let is_text = |text: &str| !text.chars().any(char::is_control);
    if !(1..=32).contains(&wifi.ssid.len()) || !is_text(&wifi.ssid) {
        return Err("The name of a Wi-Fi has 1 to 32 characters.");
    }
    match &wifi.password {
        Some(password) if !(8..=63).contains(&password.len()) || !is_text(password) => {
            Err("The password of a Wi-Fi has 8 to 63 characters.")
        }
        _ => Ok(()),
    }
}

/// A page to print (A4) and hang up.
pub fn sheet(inviter: &Inviter, printed: &Printed) -> Result<String> {
    let Printed {
        poster,
        secret,
        wifi,
    } = printed;
    let roster = inviter.store.roster();
    let mut steps = String::new();
    let mut number = 0;
    let mut step = |title: &str, code: &str, words: &str| -> Result<()> {
        number += 1;
        writeln!(
            steps,
            "<section><b class=\"number\">{number}</b><h2>{title}</h2>{code}{words}</section>"
        )
        .context("drawing a poster")
    };
    if let Some(wifi) = wifi {
        let password = match &wifi.password {
            Some(password) => format!(
                "<dt>Password</dt><dd><code>{}</code></dd>",
                xml_text(password)
            ),
            None => "<dt>Password</dt><dd>none</dd>".to_string(),
        };
        let words = format!(
            "<dl><dt>Network</dt><dd><code>{}</code></dd>{password}</dl>",
            xml_text(&wifi.ssid)
        );
        step("Join the Wi-Fi", &framed(&qr(&wifi_text(wifi))?), &words)?;
    }
    let words = format!(
        "<dl><dt>No camera? Open</dt><dd><code>{}</code></dd><dt>and type</dt><dd><code>{}</code></dd></dl>",
        xml_text(&address(inviter)).replace("/join", "<wbr>/join"),
        xml_text(&as_typed(secret)),
    );
    step(
        "Scan to talk",
        &framed(&qr(&link(inviter, secret))?),
        &words,
    )?;
    let then = match poster.approval {
        true => {
            "Tap <b>Join</b> and wait a moment: somebody lets you in. Then hold the big button to talk."
        }
        false => "Tap <b>Join</b>, then hold the big button to talk.",
    };
    let field = "<p class=\"field\">Your name<span>|</span></p><p class=\"key\">Join</p>";
    step(
        "Type your name",
        &format!("<div class=\"phone\">{field}</div>"),
        &format!("<p>{then}</p>"),
    )?;
    let channels: String = poster
        .channels
        .keys()
        .filter_map(|id| roster.channels.get(id))
        .map(|channel| format!("<li>{}</li>", xml_text(&channel.name)))
        .collect();
    let first_time = match &inviter.fingerprint {
        Some(fingerprint) => format!(
            "<p>The first time, the page shows how to make this phone trust the radio box. Compare its fingerprint: \
             <code>{}</code></p>",
            short(fingerprint)
        ),
        None => String::new(),
    };
    let long = match poster.name.chars().count() > 20 {
        true => " class=\"long\"",
        false => "",
    };
    let name = xml_text(&poster.name);
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>Poster: {name}</title>\n\
         <style>{STYLE}</style>\n<main class=\"steps-{number}\">\n<header><p>{}</p><h1{long}>{name}</h1>\
         <p class=\"promise\">Talk by radio with your own phone. Nothing to install.</p><ul>{channels}</ul></header>\n\
         <div class=\"steps\">\n{steps}</div>\n<footer>{first_time}<p>For up to {} people, until {}.</p></footer>\n\
         </main>\n</html>\n",
        xml_text(&inviter.box_name),
        poster.limit,
        day_and_time(poster.ends),
    ))
}

fn framed(code: &str) -> String {
    format!("<figure>{code}</figure>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wifi_code_says_what_would_end_it_early_in_other_words() {
        let wifi = |ssid: &str, password: Option<&str>| {
            wifi_text(&Wifi {
                ssid: ssid.into(),
                password: password.map(str::to_string),
            })
        };
        assert_eq!(
            wifi("Event", Some("secret12")),
            "WIFI:T:WPA;S:Event;P:secret12;;"
        );
        assert_eq!(
            wifi(r#"a;b,c:d\e"f"#, Some(r"p;\p:12345")),
            r#"WIFI:T:WPA;S:a\;b\,c\:d\\e\"f;P:p\;\\p\:12345;;"#
        );
        assert_eq!(wifi("Öffentlich", None), "WIFI:T:nopass;S:Öffentlich;;");
    }

    #[test]
    fn a_wifi_that_no_phone_could_join_is_refused() {
        let check = |ssid: &str, password: Option<&str>| {
            let password = password.map(str::to_string);
            let ssid = ssid.to_string();
            check_wifi(&Wifi { ssid, password }).is_ok()
        };
        assert!(check("Event", None) && check("Event", Some("12345678")));
        for (ssid, password) in [
            ("", None),
            ("a\nb", None),
            ("Event", Some("1234567")),
            ("Event", Some("")),
        ] {
            assert!(!check(ssid, password), "{ssid:?} {password:?}");
        }
        assert!(!check(&"x".repeat(33), None) && !check("x", Some(&"x".repeat(64))));
    }

    #[test]
    fn a_secret_is_read_as_it_is_typed() {
        let secret = new_secret().unwrap();
        assert_eq!(secret.len(), SECRET_LETTERS);
        assert_ne!(secret, new_secret().unwrap());
        assert_eq!(secret_in(&secret), secret);
        assert_eq!(secret_in(&as_typed(&secret).to_uppercase()), secret);
        assert_eq!(secret_in(" OIL0-abcd "), "0110abcd");
        assert_eq!(as_typed("abcdefghjkmn"), "abcd-efgh-jkmn");
    }
}
