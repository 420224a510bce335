//! Emergencies: raised on a channel, seen by dispatchers, there until someone clears them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::TooMany;
use crate::ids::{ChannelId, SessionId, UserId};
use crate::wire::signal::Person;

const MOST: usize = 200;
/// More names than this tell nobody more.
const MOST_NAMES: usize = 20;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Emergency {
    pub channel: ChannelId,
    pub raiser: Person,
    pub since: u64,
    /// The dispatchers who have seen it.
    pub acknowledged: Vec<(UserId, String)>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Emergencies {
    raised: BTreeMap<u64, Emergency>,
}

impl Emergencies {
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Emergency)> {
        self.raised.iter().map(|(id, emergency)| (*id, emergency))
    }

    pub fn get(&self, id: u64) -> Option<&Emergency> {
        self.raised.get(&id)
    }

    pub fn on(&self, channel: &ChannelId) -> bool {
        self.raised.values().any(|e| e.channel == *channel)
    }

    /// One for each user and channel: whoever raises it again has the same, true where it is new.
    pub fn raise(
        &mut self,
        id: u64,
        channel: &ChannelId,
        raiser: Person,
        at: u64,
    ) -> Result<(u64, bool), TooMany> {
        let same = |e: &Emergency| e.channel == *channel && e.raiser.user_id == raiser.user_id;
        if let Some((id, emergency)) = self.raised.iter_mut().find(|(_, e)| same(e)) {
            emergency.raiser = raiser;
            return Ok((*id, false));
        }
        if self.raised.len() >= MOST {
            return Err(TooMany);
        }
        let emergency = Emergency {
            channel: channel.clone(),
            raiser,
            since: at,
            acknowledged: Vec::new(),
        };
        self.raised.insert(id, emergency);
        Ok((id, true))
    }

    /// True where this is news.
    pub fn acknowledge(&mut self, id: u64, by: &Person) -> bool {
        let Some(emergency) = self.raised.get_mut(&id) else {
            return false;
        };
        let seen = &mut emergency.acknowledged;
        if seen.len() >= MOST_NAMES || seen.iter().any(|(user, _)| *user == by.user_id) {
            return false;
        }
        seen.push((by.user_id.clone(), by.name.clone()));
        true
    }

    pub fn clear(&mut self, id: u64) -> Option<Emergency> {
        self.raised.remove(&id)
    }

    pub(super) fn shift(&mut self, by: i64) {
        for emergency in self.raised.values_mut() {
            emergency.since = emergency.since.saturating_add_signed(by);
        }
    }

    pub(super) fn restored(&mut self) {
        for emergency in self.raised.values_mut() {
            emergency.raiser.session_id = SessionId(0);
        }
    }
}
