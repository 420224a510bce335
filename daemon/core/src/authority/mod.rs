//! Who belongs where and may do what.

mod roster;
mod sign_in;

pub use roster::{
    Channel, FloorPolicy, FloorSettings, Membership, Record, Roster, RosterError, User, is_name,
};
pub use sign_in::{Device, Invitation, SignInError, readmit, redeem};
