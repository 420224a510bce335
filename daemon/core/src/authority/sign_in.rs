//! How a device gets in: an invitation opens the door a number of times until its end; what it leaves on
//! the device is a credential that readmits it for as long as the roster has its user. Both end with the user's
//! place on the roster: somebody else may get their id.
//!
//! Secrets never come here: the store keeps and looks up their hashes.

use serde::{Deserialize, Serialize};

use super::Roster;
use crate::ids::UserId;

/// An invitation as stored, under the hash of its secret. Times are UTC seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    pub user: UserId,
    pub devices_left: u32,
    /// Devices that came in with it.
    #[serde(default)]
    pub used: u32,
    pub ends: u64,
    pub revoked: bool,
}

/// A device credential as stored, under the hash of its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    pub user: UserId,
    pub since: u64,
    pub revoked: bool,
    /// It came with a token, and may come with another one.
    #[serde(default)]
    pub from_token: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    #[error("this invitation is not known here")]
    UnknownInvitation,
    #[error("this invitation has ended")]
    Ended,
    #[error("this invitation was used on as many devices as it was made for")]
    UsedUp,
    #[error("this invitation was withdrawn")]
    Withdrawn,
    #[error("this device is not known here")]
    UnknownDevice,
    #[error("this device was locked out")]
    LockedOut,
    #[error("this person is no longer on the box's roster")]
    NotOnRoster,
    #[error("this device credential is taken: make another")]
    DeviceTaken,
}

/// Uses an invitation once: what it becomes, and the device it lets in. `known` is what is stored under the
/// device's credential: a device that is in already asks again because it never heard the answer, and costs
/// the invitation nothing.
pub fn redeem(
    invitation: Option<&Invitation>,
    known: Option<&Device>,
    roster: &Roster,
    utc: u64,
) -> Result<(Invitation, Device), SignInError> {
    let invitation = invitation.ok_or(SignInError::UnknownInvitation)?;
    if let Some(known) = known {
        if known.revoked || known.user != invitation.user {
            return Err(SignInError::DeviceTaken);
        }
        readmit(Some(known), roster, utc)?;
        return Ok((invitation.clone(), known.clone()));
    }
    if invitation.revoked {
        return Err(SignInError::Withdrawn);
    }
    if utc >= invitation.ends {
        return Err(SignInError::Ended);
    }
    if invitation.devices_left == 0 {
        return Err(SignInError::UsedUp);
    }
    if !roster.has_now(&invitation.user, utc) {
        return Err(SignInError::NotOnRoster);
    }
    let device = Device {
        user: invitation.user.clone(),
        since: utc,
        revoked: false,
        from_token: false,
    };
    let left = Invitation {
        devices_left: invitation.devices_left - 1,
        used: invitation.used + 1,
        ..invitation.clone()
    };
    Ok((left, device))
}

/// Whether a device that was here before may come in again, and as whom.
pub fn readmit(device: Option<&Device>, roster: &Roster, utc: u64) -> Result<UserId, SignInError> {
    let device = device.ok_or(SignInError::UnknownDevice)?;
    if !roster.has_now(&device.user, utc) {
        return Err(SignInError::NotOnRoster);
    }
    if device.revoked {
        return Err(SignInError::LockedOut);
    }
    Ok(device.user.clone())
}
