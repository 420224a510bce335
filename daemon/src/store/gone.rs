//! What ends with a person's place on the roster. An id is free again once its owner is gone, and whoever gets it
//! next is somebody else: nothing the first owner had may open the door for them.

use anyhow::Result;
use pttd_core::authority::{Device, Invitation, Roster};
use pttd_core::ids::UserId;

use super::{Store, encoded, keys_of, records_of};

/// Records as they are written, under the hashes of their secrets.
type Written = Vec<([u8; 32], Vec<u8>)>;

/// So long a phone is told why it does not come in.
const REMEMBERED: u64 = 30 * 24 * 3_600;

#[derive(Default)]
pub(super) struct Ended {
    pub invitations: Written,
    pub devices: Written,
}

impl Store {
    /// The invitations and devices of everyone who goes with this change, and of ids that are new with it, which
    /// can only be an earlier owner's. The caller holds `changing`, so none is added meanwhile.
    pub(super) fn ended_by(&self, before: &Roster, after: &Roster) -> Result<Ended> {
        let changes_hands =
            |id: &UserId| before.users.contains_key(id) != after.users.contains_key(id);
        let mut ids = before.users.keys().chain(after.users.keys());
        if !ids.any(changes_hands) {
            return Ok(Ended::default());
        }
        let mut invitations = records_of(&self.invitations, |i: &Invitation| {
            !i.revoked && changes_hands(&i.user)
        })?;
        for (_, invitation) in &mut invitations {
            invitation.revoked = true;
        }
        let mut devices = records_of(&self.devices, |d: &Device| {
            !d.revoked && changes_hands(&d.user)
        })?;
        for (_, device) in &mut devices {
            device.revoked = true;
        }
        Ok(Ended {
            invitations: encoded(&invitations)?,
            devices: encoded(&devices)?,
        })
    }

    /// Removes the devices of people who are long gone: how many. Not those that came with a token, which would
    /// open the door again.
    pub fn forget_devices_of_the_gone(&self, utc: u64) -> Result<usize> {
        let roster = self.roster();
        let is_old = |device: &Device| {
            device.revoked
                && !device.from_token
                && device.since + REMEMBERED < utc
                && !roster.users.contains_key(&device.user)
        };
        let old = keys_of(&self.devices, is_old)?;
        for key in &old {
            self.devices.remove(key)?;
        }
        if !old.is_empty() {
            self.commit()?;
        }
        Ok(old.len())
    }
}
