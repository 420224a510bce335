//! Taking back what an invitation gave: the link itself, or a person's links and devices.

use anyhow::Result;
use pttd_core::ids::UserId;
use serde::{Deserialize, Serialize};

use crate::invite::Refused;
use crate::store::{By, Store, hash};

/// What to take back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// One invitation, by its secret. Devices that came in with it stay in.
    Invitation(String),
    /// All of a person's invitations, and the credentials of all their devices.
    User(UserId),
}

/// What was taken back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Withdrawn {
    pub user: UserId,
    pub invitations: usize,
    pub devices: usize,
}

/// On disk when it returns. Blocking.
pub fn withdraw(store: &Store, what: &What, by: &By) -> Result<Withdrawn> {
    let refuse = |why| Refused { line: None, why };
    let roster = store.roster();
    let name = |user: &UserId| {
        let entry = roster.users.get(user);
        entry.map_or_else(|| user.to_string(), |entry| entry.name.clone())
    };
    match what {
        What::Invitation(secret) => match withdraw_invitation(store, &hash(secret), by)? {
            Some(user) => Ok(Withdrawn {
                user,
                invitations: 1,
                devices: 0,
            }),
            None => {
                Err(refuse("there is no such invitation: give its link or secret".into()).into())
            }
        },
        What::User(user) => {
            // First the doors, then who came in through them.
            let did = |what, text| by.did(what, text).about(user);
            let text = format!("withdrew the invitations of {}", name(user));
            let entry = did("invitation_withdrawn", text);
            let invitations = store.withdraw_invitations_of(user, entry)?;
            let text = format!("locked all devices of {} out", name(user));
            let entry = did("device_locked_out", text);
            let devices = store.lock_out_devices_of(user, entry)?;
            let is_known = roster.users.contains_key(user) || invitations + devices > 0;
            match is_known {
                true => Ok(Withdrawn {
                    user: user.clone(),
                    invitations,
                    devices,
                }),
                false => Err(refuse(format!("there is no user {user:?} on the roster")).into()),
            }
        }
    }
}

/// Ends one invitation, by the hash of its secret: whose it was, if there is such a one.
pub fn withdraw_invitation(store: &Store, hash: &[u8; 32], by: &By) -> Result<Option<UserId>> {
    store.withdraw_invitation(hash, |user| {
        let text = format!("withdrew an invitation of {user}");
        by.did("invitation_withdrawn", text).about(user)
    })
}

/// The secret in a link, or the text itself.
pub fn secret_of(link: &str) -> &str {
    link.rsplit_once("#i=").map_or(link, |(_, secret)| secret)
}
