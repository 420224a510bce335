//! One channel's route on one shard: the talker who is heard, and the listeners' streams.

use std::time::Instant;

use super::egress::{Egress, Path};
use super::rewrite::{Place, Rewrite};
use crate::ids::TransportId;

#[derive(Default)]
pub(super) struct Route {
    talker: Option<TransportId>,
    /// Counts changes of the talker, so that each grant begins anew on every listener's stream.
    grant: u64,
    consumers: Vec<Consumer>,
}

/// Kept small and apart from the transports: a talk touches every one of them 50 times a second.
pub(super) struct Consumer {
    transport: TransportId,
    pub slot: usize,
    paused: bool,
    rewrite: Rewrite,
    /// `None`: not connected yet, or of a profile that str0m has to serve.
    pub egress: Option<Egress>,
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
            egress: None,
        });
    }

    pub fn remove(&mut self, transport: TransportId) {
        self.consumers.retain(|c| c.transport != transport);
    }

    pub fn pause(&mut self, transport: TransportId, paused: bool) {
        if let Some(consumer) = self.consumer(transport) {
            consumer.paused = paused;
            consumer.rewrite.interrupt();
        }
    }

    pub fn set_egress(&mut self, transport: TransportId, egress: Option<Egress>) {
        if let Some(consumer) = self.consumer(transport) {
            consumer.egress = egress;
        }
    }

    pub fn set_path(&mut self, transport: TransportId, path: Path) {
        if let Some(egress) = self.consumer(transport).and_then(|c| c.egress.as_mut()) {
            egress.path = path;
        }
    }

    fn consumer(&mut self, transport: TransportId) -> Option<&mut Consumer> {
        self.consumers.iter_mut().find(|c| c.transport == transport)
    }

    /// The listeners of a packet of the present talker, each with the packet's place on its stream.
    pub fn listeners(
        &mut self,
        seq: u64,
        time: u32,
        now: Instant,
    ) -> impl Iterator<Item = (&mut Consumer, Place)> {
        let (talker, grant) = (self.talker, self.grant);
        self.consumers
            .iter_mut()
            .filter(move |c| !c.paused && Some(c.transport) != talker)
            .filter_map(move |c| {
                let place = c.rewrite.place(grant, seq, time, now)?;
                Some((c, place))
            })
    }
}
