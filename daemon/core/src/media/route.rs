//! One channel's route on one shard: the talker who is heard, and the listeners' streams.

use std::time::Instant;

use super::rewrite::{Place, Rewrite};
use crate::ids::TransportId;

#[derive(Default)]
pub(super) struct Route {
    talker: Option<TransportId>,
    /// Counts changes of the talker, so that each grant begins anew on every listener's stream.
    grant: u64,
    consumers: Vec<Consumer>,
}

pub(super) struct Consumer {
    pub transport: TransportId,
    pub slot: usize,
    pub paused: bool,
    rewrite: Rewrite,
}

impl Route {
    pub fn talker(&self) -> Option<TransportId> {
        self.talker
    }

    pub fn set_talker(&mut self, talker: Option<TransportId>) {
        self.talker = talker;
        self.grant += 1;
    }

    pub fn is_empty(&self) -> bool {
        self.consumers.is_empty()
    }

    pub fn add(&mut self, transport: TransportId, slot: usize, paused: bool, rewrite: Rewrite) {
        self.consumers.push(Consumer {
            transport,
            slot,
            paused,
            rewrite,
        });
    }

    pub fn remove(&mut self, transport: TransportId) {
        self.consumers.retain(|c| c.transport != transport);
    }

    pub fn pause(&mut self, transport: TransportId, paused: bool) {
        if let Some(consumer) = self.consumers.iter_mut().find(|c| c.transport == transport) {
            consumer.paused = paused;
            consumer.rewrite.interrupt();
        }
    }

    /// The listeners of a packet of the present talker, each with the packet's place on its stream.
    pub fn places(
        &mut self,
        seq: u64,
        time: u32,
        now: Instant,
    ) -> impl Iterator<Item = (usize, Place)> {
        let (talker, grant) = (self.talker, self.grant);
        self.consumers
            .iter_mut()
            .filter(move |c| !c.paused && Some(c.transport) != talker)
            .filter_map(move |c| Some((c.slot, c.rewrite.place(grant, seq, time, now)?)))
    }
}
