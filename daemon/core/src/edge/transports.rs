//! The transports of the sessions: built on request, opened on a shard, heard from, closed.

use std::time::Instant;

use super::{Edge, Output};
use crate::floor;
use crate::ids::{ChannelId, SessionId, TransportId};
use crate::media::{self, Command, OfferError, Transport};
use crate::wire::signal::ServerMessage;

impl Edge {
    pub(super) fn built(
        &mut self,
        transport: TransportId,
        built: Result<(Box<Transport>, String), OfferError>,
        now: Instant,
    ) {
        // Left, or offered again, meanwhile: the transport is dropped here and never opened.
        let Some((session, channel)) = self.transports.get(&transport).cloned() else {
            return;
        };
        let Some(joined) = self.joined_mut(session, &channel) else {
            return;
        };
        let request = joined.building.take().and_then(|(_, request)| request);
        self.answering = Some((session, request));
        match built {
            Ok((built, sdp)) => self.open(session, channel, built, sdp, now),
            Err(error) => {
                tracing::debug!(%session, %channel, %error, "offer refused");
                self.forget_transport(transport);
                self.bad_offer(session, &error);
            }
        }
        self.answering = None;
    }

    fn open(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        built: Box<Transport>,
        sdp: String,
        now: Instant,
    ) {
        let transport = built.id;
        let Some(route) = self.channels.get(&channel).map(|c| c.route) else {
            return;
        };
        let Some(joined) = self.joined_mut(session, &channel) else {
            return;
        };
        let paused = joined.muted;
        joined.connected = false;
        let before = joined.transport.replace(transport);
        if let Some(before) = before {
            self.close_transport(before);
        }
        self.outputs.push_back(Output::Media(Command::Open {
            transport: built,
            route,
            paused,
        }));
        // A talker who connects anew goes on talking over the new transport.
        self.route_again(session, &channel);
        self.media_stalled(session, &channel, now);
        self.answer(
            session,
            ServerMessage::WebrtcAnswer {
                channel_id: channel,
                sdp,
            },
        );
    }

    pub(super) fn media(&mut self, event: media::Event, now: Instant) {
        let transport = event.transport();
        let Some((session, channel)) = self.transports.get(&transport).cloned() else {
            return;
        };
        let Some(joined) = self.joined_mut(session, &channel) else {
            return;
        };
        if joined.transport != Some(transport) {
            return;
        }
        let who = session.into();
        match event {
            media::Event::Connected(_) => joined.connected = true,
            media::Event::Flows(_) => {
                self.floor(&channel, floor::Input::MediaFlows { who }, now);
            }
            media::Event::Stalled { since, .. } => {
                self.floor(&channel, floor::Input::MediaStalled { who, since }, now);
            }
            media::Event::Heard { .. } | media::Event::Echo { .. } => {}
            media::Event::Closed { reason, .. } => {
                tracing::debug!(%session, %channel, ?reason, "transport closed");
                joined.transport = None;
                joined.connected = false;
                self.transports.remove(&transport);
                self.media_stalled(session, &channel, now);
                // Where a new one is being built, the client has noticed already.
                let again = self
                    .joined_mut(session, &channel)
                    .is_some_and(|j| j.building.is_some());
                if !again {
                    let channel_id = channel;
                    self.send(session, ServerMessage::WebrtcClosed { channel_id });
                }
            }
        }
    }

    pub(super) fn close_transport(&mut self, transport: TransportId) {
        self.transports.remove(&transport);
        self.outputs
            .push_back(Output::Media(Command::Close(transport)));
    }

    pub(super) fn forget_transport(&mut self, transport: TransportId) {
        self.transports.remove(&transport);
        self.outputs.push_back(Output::Forget(transport));
    }
}
