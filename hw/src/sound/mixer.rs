//! A card's own mixer: what would change a level behind our back is switched off, what would mute is switched
//! on. A card without these elements, or without a mixer, is as good.

use alsa::mixer::{MilliBel, Mixer, Selem, SelemChannelId};
use alsa::{Result, Round};
use tracing::{info, warn};

use crate::spec::Side;

/// Outputs of cards, the last stage first: a gain is set on the first of these that there is.
const OUTPUTS: [&str; 7] = [
    "speaker",
    "headphone",
    "line out",
    "lineout",
    "pcm",
    "playback",
    "master",
];
/// Inputs, the one nearest to the wire first.
const INPUTS: [&str; 3] = ["mic", "capture", "adc"];
/// Switched off: they change levels behind our back.
const NO_INPUTS: [&str; 3] = ["auto gain", "agc", "boost"];

/// Before a receiver or a microphone is listened to.
pub fn set_capture(card: &str, side: Side, gain_db: Option<f32>) {
    let best = best(card, |element| {
        (element.selem.has_capture_volume()).then(|| input(&element.name))?
    });
    set(card, "capture", |element, set| {
        let gain = gain_db.filter(|_| best.as_ref() == Some(&element.name));
        capture(element, side, gain, set)
    });
}

/// Before a transmitter or a speaker is played to.
pub fn set_playback(card: &str, side: Side, gain_db: Option<f32>) {
    let best = best(card, |element| {
        (element.selem.has_playback_volume()).then(|| rank(&element.name))?
    });
    set(card, "playback", |element, set| {
        let gain = gain_db.filter(|_| best.as_ref() == Some(&element.name));
        playback(element, side, gain, set)
    });
}

/// The one element that gets the gain: two in a row would have it twice.
fn best(card: &str, rank: impl Fn(&Element) -> Option<usize>) -> Option<String> {
    let best = each(card, |element, best: &mut Option<(usize, String)>| {
        if let Some(rank) = rank(element) {
            let this = Some((rank, element.name.clone()));
            *best = best
                .take()
                .map_or(this.clone(), |known| this.min(Some(known)));
        }
        Ok(())
    });
    best.ok().flatten().map(|(_, name)| name)
}

struct Element<'a> {
    name: String,
    selem: Selem<'a>,
}

fn capture(
    Element { name, selem }: &Element,
    side: Side,
    gain_db: Option<f32>,
    set: &mut Vec<String>,
) -> Result<()> {
    let lower = name.to_lowercase();
    if NO_INPUTS.iter().any(|no| lower.contains(no)) {
        if selem.has_capture_switch() {
            selem.set_capture_switch_all(0)?;
        }
        if selem.has_playback_switch() {
            selem.set_playback_switch_all(0)?;
        }
        if selem.has_capture_volume() {
            selem.set_capture_volume_all(selem.get_capture_volume_range().0)?;
        }
        if selem.has_playback_volume() {
            selem.set_playback_volume_all(selem.get_playback_volume_range().0)?;
        }
        set.push(format!("{name} off"));
        return Ok(());
    }
    // The microphone in the speaker: a radio would send what it hears.
    let sidetone = lower.contains("sidetone") || lower.contains("mic");
    if sidetone && (selem.has_playback_switch() || selem.has_playback_volume()) {
        if selem.has_playback_switch() {
            selem.set_playback_switch_all(0)?;
        }
        if selem.has_playback_volume() {
            selem.set_playback_volume_all(selem.get_playback_volume_range().0)?;
        }
        set.push(format!("{name} sidetone off"));
    }
    if input(name).is_none() {
        return Ok(());
    }
    if selem.has_capture_switch() {
        selem.set_capture_switch_all(1)?;
        set.push(format!("{name} on"));
    }
    if let (true, Some(db)) = (selem.has_capture_volume(), gain_db) {
        let gain = MilliBel::from_db(db);
        match side_of(side) {
            Some(side) if selem.has_capture_channel(side) && !selem.is_capture_mono() => {
                selem.set_capture_db(side, gain, Round::Floor)?;
            }
            _ => selem.set_capture_db_all(gain, Round::Floor)?,
        }
        set.push(format!("{name} {db} dB"));
    }
    Ok(())
}

fn playback(
    Element { name, selem }: &Element,
    side: Side,
    gain_db: Option<f32>,
    set: &mut Vec<String>,
) -> Result<()> {
    if rank(name).is_none() {
        return Ok(());
    }
    if selem.has_playback_switch() {
        selem.set_playback_switch_all(1)?;
        set.push(format!("{name} on"));
    }
    if let (true, Some(db)) = (selem.has_playback_volume(), gain_db) {
        let gain = MilliBel::from_db(db);
        match side_of(side) {
            Some(side) if selem.has_playback_channel(side) && !selem.is_playback_mono() => {
                selem.set_playback_db(side, gain, Round::Floor)?;
            }
            _ => selem.set_playback_db_all(gain, Round::Floor)?,
        }
        set.push(format!("{name} {db} dB"));
    }
    Ok(())
}

/// How near the end of the chain an output is; `None`: no output.
fn rank(name: &str) -> Option<usize> {
    let lower = name.to_lowercase();
    if ["mic", "sidetone", "boost", "agc"]
        .iter()
        .any(|no| lower.contains(no))
    {
        return None;
    }
    OUTPUTS.iter().position(|output| lower.starts_with(output))
}

/// How near the wire an input is; `None`: no input.
fn input(name: &str) -> Option<usize> {
    let lower = name.to_lowercase();
    if NO_INPUTS.iter().any(|no| lower.contains(no)) {
        return None;
    }
    INPUTS.iter().position(|input| lower.starts_with(input))
}

fn side_of(side: Side) -> Option<SelemChannelId> {
    match side {
        Side::Mono => None,
        Side::Left => Some(SelemChannelId::FrontLeft),
        Side::Right => Some(SelemChannelId::FrontRight),
    }
}

fn set(card: &str, direction: &str, change: impl FnMut(&Element, &mut Vec<String>) -> Result<()>) {
    match each(card, change) {
        Ok(set) if set.is_empty() => {}
        Ok(set) => info!(%card, direction, set = set.join(", "), "mixer set"),
        Err(error) => {
            warn!(%card, direction, %error, "the card's mixer could not be opened: levels are as they were")
        }
    }
}

/// One element that refuses does not keep the others from being set.
fn each<T: Default>(
    card: &str,
    mut change: impl FnMut(&Element, &mut T) -> Result<()>,
) -> Result<T> {
    let mixer = Mixer::new(&format!("hw:CARD={card}"), false)?;
    let mut all = T::default();
    for selem in mixer.iter().filter_map(Selem::new) {
        let Ok(name) = selem.get_id().get_name().map(str::to_string) else {
            continue;
        };
        let element = Element { name, selem };
        if let Err(error) = change(&element, &mut all) {
            warn!(%card, element = element.name, %error, "the card's mixer does not take this");
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_stage_before_the_wire_gets_the_gain() {
        assert!(rank("Speaker") < rank("PCM"));
        assert!(rank("PCM") < rank("Master"));
        assert!(input("Mic") < input("Capture"));
        for no in ["Mic Boost", "Auto Gain Control", "PCM"] {
            assert_eq!(input(no), None);
        }
        for no in ["Mic", "Mic Boost", "Sidetone", "Auto Gain Control", "CD"] {
            assert_eq!(rank(no), None);
        }
    }
}
