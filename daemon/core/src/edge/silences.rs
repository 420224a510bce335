//! A dispatcher's hand on the talkers: a transmission ended, a user kept silent for a while.

use std::time::Instant;

use super::radio_members::is_radio;
use super::{Edge, Happening};
use crate::dispatch::{MOST_MINUTES, Silence};
use crate::floor;
use crate::ids::{ChannelId, ParticipantId, SessionId, TransmissionId, UserId};
use crate::wire::signal::{DenyReason, EndReason, ErrorCode, ServerMessage};

impl Edge {
    /// Whoever asks has seen `only` running: the next talker must not be hit by a click that comes late.
    pub(super) fn end_talk(
        &mut self,
        session: SessionId,
        channel_id: ChannelId,
        only: Option<TransmissionId>,
        now: Instant,
    ) {
        if !self.needs_dispatcher(session, &channel_id) {
            return;
        }
        let talk = self.channels.get(&channel_id).and_then(|c| c.floor.talk());
        let meant = talk.filter(|talk| only.is_none_or(|only| only == talk.transmission));
        let who = meant.map(|talk| talk.who);
        if let (Some(who), Some(by)) = (who, self.person(session)) {
            if let Some(talker) = self.participant(who).map(|talker| talker.user_id) {
                tracing::info!(channel = %channel_id, %talker, by = %by.user_id, "talk ended by a dispatcher");
                let channel = channel_id.clone();
                self.happened(Happening::TalkCut {
                    channel,
                    talker,
                    by,
                });
            }
            let reason = EndReason::Ended;
            self.floor(&channel_id, floor::Input::End { who, reason }, now);
        }
        self.answer(session, ServerMessage::TalkEnded { channel_id });
    }

    pub(super) fn silence(
        &mut self,
        session: SessionId,
        channel: ChannelId,
        user: UserId,
        minutes: u32,
        now: Instant,
    ) {
        if !self.needs_dispatcher(session, &channel) {
            return;
        }
        if minutes > MOST_MINUTES {
            let message = format!("a silence lasts 1 to {MOST_MINUTES} minutes");
            return self.error(session, ErrorCode::BadMessage, &message);
        }
        if self.roster.rights(&user, &channel).is_none() && !self.is_radio_of(&user, &channel) {
            let message = "nobody of that name belongs to this channel";
            return self.error(session, ErrorCode::NotFound, message);
        }
        let Some(by) = self.person(session) else {
            return;
        };
        tracing::info!(%channel, %user, minutes, by = %by.user_id, "silenced by a dispatcher");
        let name = by.name.clone();
        self.happened(Happening::Silenced {
            channel: channel.clone(),
            user: user.clone(),
            minutes,
            by,
        });
        if minutes == 0 {
            self.board.silences.lift(&channel, &user);
        } else {
            let until = self.utc_ms(now) + u64::from(minutes) * 60_000;
            let by = name.clone();
            let silence = Silence { until, by };
            self.board.silences.begin(&channel, &user, silence);
            self.take_from_floor(&user, &channel, now);
        }
        self.changed.board = true;
        self.tell_silence(&channel, &user, &name, Some(session), now);
    }

    /// Those whose time is over may talk again.
    pub(super) fn end_silences(&mut self, now: Instant) {
        let at = self.utc_ms(now);
        if self.board.silences.next_end().is_none_or(|end| end > at) {
            return;
        }
        for (channel, user, silence) in self.board.silences.expire(at) {
            self.tell_silence(&channel, &user, &silence.by, None, now);
            self.changed.board = true;
        }
    }

    pub(super) fn is_silenced(
        &self,
        session: SessionId,
        channel: &ChannelId,
        now: Instant,
    ) -> bool {
        let user = self.sessions.get(&session).map(|s| &s.user);
        user.is_some_and(|user| self.silence_left(user, channel, now).is_some())
    }

    pub(super) fn silence_left(
        &self,
        user: &UserId,
        channel: &ChannelId,
        now: Instant,
    ) -> Option<u64> {
        let at = self.utc_ms(now);
        self.board.silences.left(channel, user, at)
    }

    pub(super) fn check_silences(&mut self) {
        let roster = self.roster.clone();
        // Those of radios outlive a restart, too: at its beginning no radio is known yet.
        let belongs = |c: &ChannelId, user: &UserId| {
            let of_radio = is_radio(user) && roster.channels.contains_key(c);
            of_radio || roster.rights(user, c).is_some()
        };
        if self.board.silences.retain(belongs) {
            self.changed.board = true;
        }
    }

    fn take_from_floor(&mut self, user: &UserId, channel: &ChannelId, now: Instant) {
        let reason = EndReason::Silenced;
        let sessions = self.sessions_of(user).into_iter().map(ParticipantId::from);
        let radios = self.radio_of_user(user).map(ParticipantId::from);
        for who in sessions.chain(radios).collect::<Vec<_>>() {
            let floor = self.channels.get(channel).map(|c| &c.floor);
            let Some(floor) = floor.filter(|floor| floor.level_of(who).is_some()) else {
                continue;
            };
            let waits = floor.talk().is_none_or(|talk| talk.who != who);
            self.floor(channel, floor::Input::End { who, reason }, now);
            if let (true, ParticipantId::Session(session)) = (waits, who) {
                let message = ServerMessage::StartFailed {
                    channel_id: channel.clone(),
                    reason: DenyReason::Silenced,
                    talk: None,
                };
                self.send(session, message);
            }
        }
    }

    /// To the one it is about, to whoever asked, and to the members of the channel.
    fn tell_silence(
        &mut self,
        channel: &ChannelId,
        user: &UserId,
        by: &str,
        asked: Option<SessionId>,
        now: Instant,
    ) {
        let message = ServerMessage::Silenced {
            channel_id: channel.clone(),
            user_id: user.clone(),
            left_ms: self.silence_left(user, channel, now).unwrap_or(0),
            by: by.to_string(),
        };
        for session in self.sessions_of(user) {
            if Some(session) != asked {
                self.send(session, message.clone());
            }
            if self.joined_mut(session, channel).is_some() {
                self.announce_on(session, channel, now);
            }
        }
        if let Some(radio) = self.radio_of_user(user) {
            self.announce_radio(radio, now);
        }
        if let Some(asked) = asked {
            self.answer(asked, message);
        }
    }
}
