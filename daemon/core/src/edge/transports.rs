//! The transports of the sessions: built on request, opened on a shard, heard from, closed.

use std::time::{Duration, Instant};

use super::{Edge, Happening, Output};
use crate::floor;
use crate::ids::{ChannelId, SessionId, TransmissionId, TransportId};
use crate::media::{self, Command, Heard, OfferError, Transport};
use crate::wire::signal::{EchoVerdict, PastTalk, ServerMessage};

/// The level speech should have, dBov.
const SPEECH: i32 = -26;
/// How far from it nobody minds.
const QUIETER: i32 = 10;
const LOUDER: i32 = 12;
/// No microphone in use is as quiet as this.
const NOTHING: i32 = -75;
/// Above this, words are missing.
const LOST_PERCENT: u32 = 5;

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
        if let Some((radio, channel)) = self.radio_of_transport(transport) {
            return self.radio_media(radio, &channel, event, now);
        }
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
            media::Event::Heard {
                transmission,
                heard,
                ..
            } => self.heard(channel, transmission, heard),
            media::Event::Echo { heard, plays, .. } => {
                self.send(session, echo(channel, &heard, plays));
            }
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

    pub(super) fn heard(&mut self, channel: ChannelId, transmission: TransmissionId, heard: Heard) {
        let recent = self.channels.get(&channel).map(|c| &c.recent);
        let same = |talk: &&PastTalk| talk.transmission_id == transmission;
        let talk = recent.and_then(|recent| recent.iter().rev().find(same));
        if let Some(talker) = talk.map(|talk| talk.talker.clone()) {
            self.happened(Happening::Heard {
                transmission,
                channel,
                talker,
                heard,
            });
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

/// What someone is told who has tried their microphone out.
fn echo(channel_id: ChannelId, heard: &Heard, plays: Duration) -> ServerMessage {
    let sent = heard.packets + heard.lost;
    let lost_percent = (heard.lost * 100).checked_div(sent).unwrap_or(0) as u32;
    let level = heard.level.map(i32::from);
    let off_by = level.map(|level| level - SPEECH);
    let verdict = match (level, off_by) {
        _ if heard.packets == 0 => EchoVerdict::NothingHeard,
        (Some(level), _) if level <= NOTHING => EchoVerdict::NothingHeard,
        _ if lost_percent > LOST_PERCENT => EchoVerdict::BadNetwork,
        (_, None) => EchoVerdict::Unmeasured,
        (_, Some(off_by)) if off_by < -QUIETER => EchoVerdict::TooQuiet,
        (_, Some(off_by)) if off_by > LOUDER => EchoVerdict::TooLoud,
        (_, Some(_)) => EchoVerdict::Good,
    };
    ServerMessage::Echo {
        channel_id,
        verdict,
        level_db: level,
        off_by_db: off_by,
        lost_percent,
        plays_ms: plays.as_millis() as u64,
    }
}
