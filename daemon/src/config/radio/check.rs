//! What the settings of one radio, desk or lamp alone cannot tell: whose wires and cards are whose.

use std::collections::BTreeSet;

use pttd_hw::spec::{Claim, SoundSpec, carrier_claims, lamp_claims, ptt_claims, sound_claims};

use super::Follows;
use crate::config::Settings;
use crate::toml_file::{Mistake, Step, TomlFile};

/// Who has a wire or a card, and in which setting it says so.
struct Owner {
    who: String,
    at: (&'static str, usize, &'static str),
    claim: Claim,
}

fn owners(settings: &Settings) -> Vec<Owner> {
    let mut owners = Vec::new();
    let mut add = |who: &str, section, index, key, claims: Vec<Claim>| {
        owners.extend(claims.into_iter().map(|claim| Owner {
            who: who.to_string(),
            at: (section, index, key),
            claim,
        }));
    };
    for (n, radio) in settings.radio.iter().enumerate() {
        let who = format!("the radio {:?}", radio.id.as_str());
        let sound = sound_claims(&radio.sound, radio.side);
        add(&who, "radio", n, "sound", sound);
        if radio.transmit {
            let line = ptt_claims(&radio.ptt, &radio.sound);
            add(&who, "radio", n, "ptt", line);
        }
        if let Some(carrier) = radio.carrier.as_ref().filter(|_| radio.receive) {
            add(&who, "radio", n, "carrier", carrier_claims(carrier));
        }
    }
    for (n, desk) in settings.desk.iter().enumerate() {
        let who = format!("the desk {:?}", desk.id.as_str());
        add(
            &who,
            "desk",
            n,
            "sound",
            sound_claims(&desk.sound, desk.side),
        );
        add(&who, "desk", n, "button", carrier_claims(&desk.button));
    }
    for (n, lamp) in settings.lamp.iter().enumerate() {
        let who = format!("the lamp {}", lamp.line);
        add(&who, "lamp", n, "line", lamp_claims(&lamp.line));
    }
    owners
}

/// What one of them alone cannot tell.
pub(in crate::config) fn check(settings: &Settings, file: &TomlFile) -> Result<(), Mistake> {
    use Step::{Index, Key};
    let at = |section, index, key| [Key(section), Index(index), Key(key)];
    let (radios, desks) = (&settings.radio, &settings.desk);

    let radio_ids = radios.iter().enumerate().map(|(n, r)| ("radio", n, &r.id));
    let desk_ids = desks.iter().enumerate().map(|(n, d)| ("desk", n, &d.id));
    let mut seen = BTreeSet::new();
    for (section, index, id) in radio_ids.chain(desk_ids) {
        if !seen.insert(id) {
            let what = format!(
                "another radio or desk has the id {:?} as well: give each its own",
                id.as_str()
            );
            return Err(file.mistake_at(&at(section, index, "id"), what));
        }
    }

    let owners = owners(settings);
    for (n, owner) in owners.iter().enumerate() {
        let clash = |before: &&Owner| before.claim.clashes(&owner.claim);
        if let Some(other) = owners[..n].iter().find(clash) {
            let what = format!(
                "{} and {} both have {}: give each its own",
                other.who, owner.who, owner.claim
            );
            let (section, index, key) = owner.at;
            return Err(file.mistake_at(&at(section, index, key), what));
        }
    }

    let gains_of = |section, index, sound: &SoundSpec, gains: [Option<f32>; 2]| {
        let has_no_controls = matches!(sound, SoundSpec::Pcm { .. });
        match ["capture_db", "playback_db"]
            .iter()
            .zip(gains)
            .find(|(_, gain)| gain.is_some())
        {
            Some((key, _)) if has_no_controls => {
                let what = format!(
                    "{key} sets the control of a card, and {sound} is a name of ALSA's: set the level there (alsamixer), \
                     or name the card"
                );
                Err(file.mistake_at(&at(section, index, key), what))
            }
            _ => Ok(()),
        }
    };
    for (n, desk) in desks.iter().enumerate() {
        gains_of("desk", n, &desk.sound, [desk.capture_db, desk.playback_db])?;
    }

    for (index, radio) in radios.iter().enumerate() {
        let id = radio.id.as_str();
        let gains = [radio.capture_db, radio.playback_db];
        gains_of("radio", index, &radio.sound, gains)?;
        let mistake = |key, what| Err(file.mistake_at(&at("radio", index, key), what));
        if !radio.receive && !radio.transmit {
            let what = format!(
                "the radio {id:?} neither receives nor transmits: remove it, or set one to true"
            );
            return mistake("receive", what);
        }
        if radio.tot_alert >= radio.tot {
            let what = format!("the radio {id:?} has a tot_alert as long as its tot: shorten it");
            return mistake("tot_alert", what);
        }
        if radio.playout_min > radio.playout_max {
            let what = format!(
                "the radio {id:?} has a playout_min above its playout_max: lower it, or raise the other"
            );
            return mistake("playout_min", what);
        }
    }

    for (index, lamp) in settings.lamp.iter().enumerate() {
        if let Follows::OnAir(id) = &lamp.follows
            && !radios.iter().any(|radio| radio.id.as_str() == id)
        {
            let what = format!(
                "a lamp follows the radio {id:?}, which is not among the [[radio]]s: name one that is"
            );
            return Err(file.mistake_at(&at("lamp", index, "follows"), what));
        }
    }
    Ok(())
}
