//! Who belongs where and may do what.

mod changes;
mod roster;
mod sign_in;

pub use changes::{ChangeError, ChannelChange, UserChange};
pub use roster::{
    BadRecord, Channel, FloorPolicy, FloorSettings, Limits, Membership, Record, Roster,
    RosterError, User, is_name,
};
pub use sign_in::{Device, Invitation, SignInError, readmit, redeem};
