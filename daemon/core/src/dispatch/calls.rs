//! Calls: people who ask the dispatchers of a channel to call back.
//!
//! ```text
//!            take                       close, cancel
//!   Waiting ──────> Taken ───────────────────────────> (gone)
//!      ^              │ its owner went                   ^
//!      ├──────────────┘                                  │
//!      └─────────────────────────────────────────────────┘
//! ```
//! A call whose caller has gone stays: someone wanted something. After twelve hours nobody does any more.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::TooMany;
use crate::ids::{ChannelId, SessionId, UserId};
use crate::wire::signal::Person;

/// Open calls of the whole box.
const MOST_OPEN: usize = 200;
/// Open calls of one user, so that nobody takes the room of all.
const MOST_OF_ONE: usize = 10;
/// A call that nobody has closed for so long, in milliseconds, is of a shift that is over.
const LONGEST: u64 = 12 * 3_600_000;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    pub channel: ChannelId,
    pub caller: Person,
    pub since: u64,
    pub taken: Option<Taken>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Taken {
    /// The dispatcher's name.
    pub by: String,
    pub owner: Owner,
}

/// What a taken call belongs to: a position, with which it moves on, or else the dispatcher's session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Owner {
    Position(String),
    Session(SessionId),
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Calls {
    open: BTreeMap<u64, Call>,
}

impl Calls {
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Call)> {
        self.open.iter().map(|(id, call)| (*id, call))
    }

    pub fn get(&self, id: u64) -> Option<&Call> {
        self.open.get(&id)
    }

    pub fn of<'a>(&'a self, user: &'a UserId) -> impl Iterator<Item = (u64, &'a Call)> {
        self.iter().filter(|(_, c)| c.caller.user_id == *user)
    }

    pub fn of_owner<'a>(&'a self, owner: &'a Owner) -> impl Iterator<Item = u64> + 'a {
        let of_owner = |c: &Call| c.taken.as_ref().is_some_and(|taken| taken.owner == *owner);
        self.iter()
            .filter(move |(_, c)| of_owner(c))
            .map(|(id, _)| id)
    }

    /// One call for each user and channel: whoever asks again has the same, true where it is new.
    pub fn open(
        &mut self,
        id: u64,
        channel: &ChannelId,
        caller: Person,
        at: u64,
    ) -> Result<(u64, bool), TooMany> {
        let same = |c: &Call| c.channel == *channel && c.caller.user_id == caller.user_id;
        if let Some((id, call)) = self.open.iter_mut().find(|(_, c)| same(c)) {
            call.caller = caller;
            return Ok((*id, false));
        }
        let own = self.of(&caller.user_id).count();
        if self.open.len() >= MOST_OPEN || own >= MOST_OF_ONE {
            return Err(TooMany);
        }
        let call = Call {
            channel: channel.clone(),
            caller,
            since: at,
            taken: None,
        };
        self.open.insert(id, call);
        Ok((id, true))
    }

    /// False where the call is not open, or somebody else's. It `waits` where whoever has it does not look
    /// after it any more.
    pub fn take(&mut self, id: u64, by: &str, owner: Owner, waits: bool) -> bool {
        let Some(call) = self.open.get_mut(&id) else {
            return false;
        };
        let others = call.taken.as_ref().filter(|taken| taken.owner != owner);
        if others.is_some() && !waits {
            return false;
        }
        let by = by.to_string();
        call.taken = Some(Taken { by, owner });
        true
    }

    pub fn close(&mut self, id: u64) -> Option<Call> {
        self.open.remove(&id)
    }

    /// When the next of them is too old.
    pub fn next_end(&self) -> Option<u64> {
        self.open.values().map(|call| call.since + LONGEST).min()
    }

    /// Those that are too old.
    pub fn ended(&self, at: u64) -> Vec<u64> {
        let ended = self.iter().filter(|(_, c)| c.since + LONGEST <= at);
        ended.map(|(id, _)| id).collect()
    }

    /// Calls that wait again.
    pub fn let_go(&mut self, owner: &Owner, which: impl Fn(&Call) -> bool) -> Vec<u64> {
        let mut waiting = Vec::new();
        for (id, call) in &mut self.open {
            if call.taken.as_ref().is_some_and(|t| t.owner == *owner) && which(call) {
                call.taken = None;
                waiting.push(*id);
            }
        }
        waiting
    }

    /// The calls of `from` are those of `to` now, and looked after by this name.
    pub fn hand_over(&mut self, from: &Owner, to: &Owner, by: &str) -> Vec<u64> {
        let mut handed = Vec::new();
        for (id, call) in &mut self.open {
            if let Some(taken) = call.taken.as_mut().filter(|t| t.owner == *from) {
                taken.owner = to.clone();
                taken.by = by.to_string();
                handed.push(*id);
            }
        }
        handed
    }

    /// The caller is called over this session from now on.
    pub fn is_back(&mut self, caller: &Person) {
        for call in self.open.values_mut() {
            if call.caller.user_id == caller.user_id {
                call.caller = caller.clone();
            }
        }
    }

    pub(super) fn shift(&mut self, by: i64) {
        for call in self.open.values_mut() {
            call.since = call.since.saturating_add_signed(by);
        }
    }

    pub(super) fn restored(&mut self, at: u64) {
        for call in self.open.values_mut() {
            call.since = call.since.min(at);
            call.caller.session_id = SessionId(0);
            call.taken
                .take_if(|taken| matches!(taken.owner, Owner::Session(_)));
        }
    }
}
