//! Who belongs where and may do what.

mod poster;
mod roster;
mod sign_in;

pub use poster::{
    Arrival, Asking, Guest, JoinError, Joined, MAX_POSTER_HOURS, MAX_POSTER_PEOPLE, MAX_WAITING,
    Poster, PosterError, admit, join,
};
pub use roster::{
    Channel, FloorPolicy, FloorSettings, Membership, Record, Roster, RosterError, User, is_name,
};
pub use sign_in::{Device, Invitation, SignInError, readmit, redeem};
