//! The first admin. While none has a device, whoever reads the code that the box shows on its console makes
//! themselves one. It is new at each start and written nowhere.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use pttd_core::authority::{Device, Membership, Roster, User, is_name};
use pttd_core::ids::UserId;
use pttd_core::wire::signal::Role;

use crate::store::{By, Records, Store, hash};
use crate::utc;

/// No two of these look alike, whoever reads them aloud.
const LETTERS: &[u8; 30] = b"23456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH: usize = 10;

/// It makes one admin.
pub struct Code {
    letters: String,
    used: AtomicBool,
}

#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("this box has an admin: ask them for an invitation")]
    NotNeeded,
    #[error("somebody called {0:?} is on the roster and no admin: use another name")]
    NameTaken(String),
    #[error("write a name of 1 to 64 characters that people can read")]
    BadName,
    #[error("this device credential is taken: reload the page, then try again")]
    DeviceTaken,
}

impl Code {
    pub fn new() -> Result<Code> {
        let mut code = String::with_capacity(LENGTH);
        while code.len() < LENGTH {
            let mut byte = [0];
            getrandom::fill(&mut byte).context("choosing a setup code")?;
            // Beyond the last whole multiple some letters would come more often.
            if usize::from(byte[0]) < 256 / LETTERS.len() * LETTERS.len() {
                code.push(char::from(LETTERS[usize::from(byte[0]) % LETTERS.len()]));
            }
        }
        Ok(Code {
            letters: code,
            used: AtomicBool::new(false),
        })
    }

    /// As people read it: `XXXXX-XXXXX`.
    pub fn shown(&self) -> String {
        let (first, second) = self.letters.split_at(LENGTH / 2);
        format!("{first}-{second}")
    }

    /// In any case, with any dashes and spaces.
    pub fn is(&self, typed: &str) -> bool {
        let letters = typed.chars().filter(char::is_ascii_alphanumeric);
        let typed: String = letters.map(|c| c.to_ascii_uppercase()).collect();
        verify_slices_are_equal(self.letters.as_bytes(), typed.as_bytes()).is_ok()
    }

    pub fn is_used(&self) -> bool {
        self.used.load(Ordering::SeqCst)
    }

    pub fn use_up(&self) {
        self.used.store(true, Ordering::SeqCst);
    }
}

/// Whether no admin has a device. Blocking.
pub fn is_needed(store: &Store) -> Result<bool> {
    let roster = store.roster();
    let is_admin = |user: &UserId| {
        let user = roster.users.get(user);
        user.is_some_and(|user| user.role == Role::Admin)
    };
    let devices = store.devices()?;
    Ok(!devices.iter().any(|(_, device)| is_admin(&device.user)))
}

/// Makes this person an admin, on every channel, and lets their device in.
pub fn first_admin(
    roster: &mut Roster,
    name: &str,
    device: &str,
    from: &str,
) -> Result<(UserId, Records), SetupError> {
    let name = name.trim();
    if !is_name(name) {
        return Err(SetupError::BadName);
    }
    let called = |user: &User| user.name.trim().to_lowercase() == name.to_lowercase();
    let known = roster.users.iter().find(|(_, user)| called(user));
    let id = match known {
        Some((id, user)) if user.role == Role::Admin => id.clone(),
        Some((_, user)) => return Err(SetupError::NameTaken(user.name.clone())),
        None => roster.free_id(name),
    };
    let user = roster.users.entry(id.clone()).or_insert_with(|| User {
        name: name.to_string(),
        role: Role::Admin,
        emergency: true,
        ends: None,
        channels: BTreeMap::new(),
    });
    for channel in roster.channels.keys() {
        user.channels.insert(channel.clone(), Membership::Talk);
    }
    let by = By {
        who: name.to_string(),
        user: Some(id.clone()),
        from: from.to_string(),
    };
    let entered = Device {
        user: id.clone(),
        since: utc::now(),
        revoked: false,
        from_token: false,
    };
    let records = Records {
        devices: vec![(hash(device), entered)],
        entries: vec![
            by.did("set_up", "became an admin with the setup code")
                .about(&id),
        ],
        ..Records::default()
    };
    Ok((id, records))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roster_file;

    #[test]
    fn a_code_is_known_however_it_is_typed() {
        let code = Code::new().unwrap();
        let shown = code.shown();
        assert_eq!((shown.len(), shown.find('-')), (11, Some(5)));
        for typed in [shown.clone(), shown.to_lowercase(), shown.replace('-', " ")] {
            assert!(code.is(&typed), "{typed}");
        }
        assert!(!code.is(&shown[..10]) && !code.is("") && !code.is(&format!("{shown}2")));
        assert_ne!(Code::new().unwrap().shown(), shown);
    }

    #[test]
    fn the_first_admin_is_somebody_new_or_an_admin_already() {
        let mut roster = roster_file::built_in().unwrap();
        let first = first_admin(&mut roster, " Dora ", "d", "192.0.2.1").unwrap();
        let dora = roster.users[&first.0].clone();
        assert_eq!((dora.name.as_str(), dora.role), ("Dora", Role::Admin));
        assert_eq!(dora.channels.len(), roster.channels.len());
        let again = first_admin(&mut roster, "dora", "e", "192.0.2.1").unwrap();
        assert_eq!(again.0, first.0);
        assert!(matches!(
            first_admin(&mut roster, "Carla", "f", "192.0.2.1"),
            Err(SetupError::NameTaken(_))
        ));
    }
}
