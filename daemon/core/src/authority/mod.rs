//! Who belongs where and may do what.

mod changes;
mod poster;
mod roster;
mod sign_in;

pub use changes::{ChangeError, ChannelChange, UserChange};
pub use poster::{
    Arrival, Asking, Guest, JoinError, Joined, MAX_POSTER_HOURS, MAX_POSTER_PEOPLE, MAX_WAITING,
    Poster, PosterError, admit, join,
};
pub use roster::{
    BadRecord, Channel, FloorPolicy, FloorSettings, Limits, Membership, Record, Roster,
    RosterError, User, is_name,
};
pub use sign_in::{Device, Invitation, SignInError, readmit, redeem};
