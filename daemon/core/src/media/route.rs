//! One channel's route on one shard: the talker who is heard, and the listeners' streams.

use std::collections::VecDeque;
use std::time::Instant;

use super::echo::Kept;
use super::egress::{Egress, Path};
use super::rewrite::{Place, Rewrite};
use super::turn::Turn;
use super::{Packet, Tap};
use crate::ids::{RadioId, RouteId, TransmissionId, TransportId};

#[derive(Default)]
pub(super) struct Route {
    talker: Option<TransportId>,
    transmission: Option<TransmissionId>,
    /// Counts changes of the talker, so that each grant begins anew on every listener's stream.
    grant: u64,
    consumers: Vec<Consumer>,
    /// The recorder gets the talker's packets, too.
    pub recorded: bool,
    /// Radios and desks whose playback gets them.
    pub radios: Vec<RadioId>,
    /// The talker's packets are for nobody but the talker, afterwards.
    pub echo: bool,
    /// Of the talker, on the talker's own shard.
    pub turn: Turn,
    pub kept: Kept,
}

/// Who hears a packet.
#[derive(Clone, Copy)]
pub(super) enum Ears {
    /// All but the present talker.
    Others,
    /// The one who said it, afterwards; under a number of [`Route::next_grant`].
    Own { transport: TransportId, grant: u64 },
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

    pub fn transmission(&self) -> Option<TransmissionId> {
        self.transmission
    }

    pub fn set_talker(
        &mut self,
        talker: Option<TransportId>,
        transmission: Option<TransmissionId>,
    ) {
        self.talker = talker;
        self.transmission = transmission;
        self.next_grant();
    }

    /// What comes under this number begins anew on each listener's stream.
    pub fn next_grant(&mut self) -> u64 {
        self.grant += 1;
        self.grant
    }

    /// Nobody is on it, and nothing would be forgotten with it.
    pub fn is_unused(&self) -> bool {
        let for_others = self.recorded || self.echo || !self.radios.is_empty();
        self.consumers.is_empty() && self.talker.is_none() && !for_others
    }

    /// Hands the talker's packet to the recorder, and to radios.
    pub fn tap(
        &self,
        route: RouteId,
        packet: &Packet,
        now: Instant,
        taps: &mut VecDeque<Tap>,
        radio_taps: &mut VecDeque<(RadioId, Tap)>,
    ) {
        let Some(transmission) = self.transmission else {
            return;
        };
        let tap = || Tap {
            route,
            transmission,
            packet: packet.clone(),
            at: now,
        };
        taps.extend(self.recorded.then(tap));
        radio_taps.extend(self.radios.iter().map(|radio| (*radio, tap())));
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

    /// Whose ears a packet is for, each with the packet's place on its stream.
    pub fn listeners(
        &mut self,
        ears: Ears,
        seq: u64,
        time: u32,
        now: Instant,
    ) -> impl Iterator<Item = (&mut Consumer, Place)> {
        let talker = self.talker;
        let grant = match ears {
            Ears::Others => self.grant,
            Ears::Own { grant, .. } => grant,
        };
        let hears = move |transport| match ears {
            Ears::Others => Some(transport) != talker,
            Ears::Own { transport: own, .. } => transport == own,
        };
        self.consumers
            .iter_mut()
            .filter(move |c| !c.paused && hears(c.transport))
            .filter_map(move |c| {
                let place = c.rewrite.place(grant, seq, time, now)?;
                Some((c, place))
            })
    }
}
