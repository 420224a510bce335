//! Silences: whom a dispatcher keeps from talking, where, and until when.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{ChannelId, UserId};

pub const MOST_MINUTES: u32 = 30;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Silence {
    pub until: u64,
    /// The dispatcher's name.
    pub by: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Silences {
    running: BTreeMap<ChannelId, BTreeMap<UserId, Silence>>,
}

impl Silences {
    pub fn begin(&mut self, channel: &ChannelId, user: &UserId, silence: Silence) {
        let of_channel = self.running.entry(channel.clone()).or_default();
        of_channel.insert(user.clone(), silence);
    }

    pub fn lift(&mut self, channel: &ChannelId, user: &UserId) {
        self.retain(|c, u| c != channel || u != user);
    }

    /// How long it lasts yet.
    pub fn left(&self, channel: &ChannelId, user: &UserId, at: u64) -> Option<u64> {
        let silence = self.running.get(channel)?.get(user)?;
        Some(silence.until.saturating_sub(at)).filter(|left| *left > 0)
    }

    /// When the next of them ends.
    pub fn next_end(&self) -> Option<u64> {
        let all = self.running.values().flat_map(BTreeMap::values);
        all.map(|silence| silence.until).min()
    }

    /// Those that are over.
    pub fn expire(&mut self, at: u64) -> Vec<(ChannelId, UserId, Silence)> {
        let mut over = Vec::new();
        for (channel, users) in &self.running {
            let ended = users.iter().filter(|(_, silence)| silence.until <= at);
            over.extend(ended.map(|(user, s)| (channel.clone(), user.clone(), s.clone())));
        }
        for (channel, user, _) in &over {
            self.lift(channel, user);
        }
        over
    }

    /// True where one was dropped.
    pub fn retain(&mut self, mut keep: impl FnMut(&ChannelId, &UserId) -> bool) -> bool {
        let mut dropped = false;
        for (channel, users) in &mut self.running {
            users.retain(|user, _| {
                let stays = keep(channel, user);
                dropped |= !stays;
                stays
            });
        }
        self.running.retain(|_, users| !users.is_empty());
        dropped
    }

    pub(super) fn shift(&mut self, by: i64) {
        for silence in self.running.values_mut().flat_map(BTreeMap::values_mut) {
            silence.until = silence.until.saturating_add_signed(by);
        }
    }

    pub(super) fn restored(&mut self, at: u64) {
        let longest = at + u64::from(MOST_MINUTES) * 60_000;
        for silence in self.running.values_mut().flat_map(BTreeMap::values_mut) {
            silence.until = silence.until.min(longest);
        }
    }
}
