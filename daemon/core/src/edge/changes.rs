//! A new roster: floors are freed of whoever may not talk any more at once; then, a few at a time between other
//! requests, those who may not listen are cut, and after that everyone is told. So a thousand changes at once
//! keep nobody waiting for the floor. Whatever is asked meanwhile is looked up in the new roster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Channel, Edge, Output, without_talk};
use crate::authority::{Record, Roster};
use crate::floor::{self, Floor};
use crate::ids::{ChannelId, ParticipantId, RadioId, RouteId, SessionId};
use crate::media::Command;
use crate::radio::loop_guard::LoopGuard;
use crate::wire::signal::{ByeReason, EndReason, Role, ServerMessage};

/// Messages about one member, after which a request that waits has its turn: less than a millisecond.
const SLICE: usize = 200;
/// Time for what a slice has told to be sent, before the next one: on one core a thousand WebSockets with something to
/// send would stand before the one that asks for the floor.
const PAUSE: Duration = Duration::from_millis(4);
/// With more changes than this among its members, a channel is told anew as a whole.
const MANY: usize = 64;

/// What a change of the roster has left to do.
pub(super) struct Undone {
    /// How much of it is done between two requests.
    pub slice: usize,
    pub pause: Duration,
    /// When the next slice is due; `None`: at once.
    due: Option<Instant>,
    pub to_cut: BTreeSet<SessionId>,
    /// Who has not been told yet.
    sessions: BTreeSet<SessionId>,
    /// Whose place on a channel has changed. What has become of them is looked up when it is told.
    members: BTreeMap<ChannelId, BTreeSet<SessionId>>,
}

impl Default for Undone {
    fn default() -> Self {
        Undone {
            slice: SLICE,
            pause: PAUSE,
            due: None,
            to_cut: BTreeSet::new(),
            sessions: BTreeSet::new(),
            members: BTreeMap::new(),
        }
    }
}

impl Edge {
    pub(super) fn replace_roster(&mut self, roster: Arc<Roster>, now: Instant) {
        let before = std::mem::replace(&mut self.roster, roster.clone());
        self.take_over_channels(now);
        let concerned = self.concerned(&before);
        self.undone.to_cut.extend(concerned);
        self.cut_floors(now);
        self.check_calls();
        self.check_emergencies();
        self.check_silences();
        if !self.is_cutting() {
            self.all_are_cut();
        }
        self.go_on(now);
    }

    pub(super) fn undone_due(&self) -> Option<Instant> {
        let due = self.undone.due.unwrap_or(self.start.now);
        self.has_undone().then_some(due)
    }

    /// Whether someone may still hear what the roster does not allow any more.
    pub fn is_cutting(&self) -> bool {
        !self.undone.to_cut.is_empty()
    }

    pub(super) fn has_undone(&self) -> bool {
        self.is_cutting() || !self.undone.sessions.is_empty()
    }

    /// A slice of what is left to do.
    pub(super) fn go_on(&mut self, now: Instant) {
        if !self.has_undone() || self.undone.due.is_some_and(|due| now < due) {
            return;
        }
        self.undone.due = Some(now + self.undone.pause);
        let mut left = self.undone.slice;
        while left > 0 && self.has_undone() {
            let before = self.outputs.len();
            if let Some(session) = self.undone.to_cut.pop_first() {
                self.cut(session, now);
                if !self.is_cutting() {
                    self.all_are_cut();
                }
            } else if let Some(session) = self.undone.sessions.pop_first() {
                self.tell_change(session, now);
                if self.undone.sessions.is_empty() {
                    self.undone.members.clear();
                }
            }
            // To find out that there is nothing to do costs as much as a few messages.
            let told: usize = self.outputs.range(before..).map(size).sum();
            left = left.saturating_sub(told + 10);
        }
    }

    fn all_are_cut(&mut self) {
        let roster = &self.roster;
        self.channels
            .retain(|id, _| roster.channels.contains_key(id));
        // Those who were on a channel that someone has left.
        let members = self.undone.members.keys();
        let members = members.filter_map(|channel| self.channels.get(channel));
        let members = members.flat_map(|c| c.members.iter().copied());
        self.undone.sessions.extend(members);
    }

    /// New channels, and what is new about known ones.
    fn take_over_channels(&mut self, now: Instant) {
        let roster = self.roster.clone();
        for (id, channel) in &roster.channels {
            let known = self.channels.get(id).map(|c| c.floor.settings());
            if known.is_none() {
                self.next_route += 1;
                let new = Channel {
                    floor: Floor::new(channel.floor.clone(), self.transmissions.clone()),
                    route: RouteId(self.next_route),
                    members: BTreeSet::new(),
                    running: None,
                    recent: Default::default(),
                    guard: LoopGuard::default(),
                    on_route: OnRoute::default(),
                };
                self.channels.insert(id.clone(), new);
            } else if known != Some(&channel.floor) {
                self.floor(id, floor::Input::Settings(channel.floor.clone()), now);
            }
        }
        self.set_routes();
    }

    /// Tells the shards what has changed about the routes.
    pub(super) fn set_routes(&mut self) {
        let now = |id: &ChannelId| {
            let channel = self.roster.channels.get(id);
            channel.map_or_else(OnRoute::default, |channel| OnRoute {
                recorded: channel.record != Record::Off,
                echo: channel.echo,
                radios: self.transmitters(id),
            })
        };
        let now: Vec<OnRoute> = self.channels.keys().map(now).collect();
        for (channel, now) in self.channels.values_mut().zip(now) {
            if channel.on_route == now {
                continue;
            }
            channel.on_route = now;
            let OnRoute {
                recorded,
                echo,
                radios,
            } = channel.on_route.clone();
            let route = channel.route;
            let command = Command::Settings {
                route,
                recorded,
                echo,
                radios,
            };
            self.outputs.push_back(Output::Media(command));
        }
    }

    /// The sessions for which something may have changed.
    fn concerned(&self, before: &Roster) -> Vec<SessionId> {
        let all = before.channels != self.roster.channels;
        let changed = self
            .sessions
            .iter()
            .filter(|(_, s)| all || before.users.get(&s.user) != self.roster.users.get(&s.user));
        changed.map(|(id, _)| *id).collect()
    }

    /// Whoever waits goes first, so that nobody is granted the floor who is about to be cut as well.
    fn cut_floors(&mut self, now: Instant) {
        let mut cut: Vec<(bool, ParticipantId, ChannelId)> = Vec::new();
        for (id, channel) in &self.channels {
            for (who, level) in channel.floor.participants() {
                let may = match who {
                    ParticipantId::Session(session) => {
                        let rights = self.rights(session, id);
                        rights.is_some_and(|r| r.talk) && self.may_use(session, level)
                    }
                    ParticipantId::Radio(_) => self.is_for_radios(id),
                };
                if !may {
                    let talks = channel.floor.talk().is_some_and(|t| t.who == who);
                    cut.push((talks, who, id.clone()));
                }
            }
        }
        cut.sort();
        for (_, who, channel) in cut {
            self.gone_from_floor(who, &channel, EndReason::Removed, now);
        }
    }

    /// Off every channel where this session may not listen any more, and told so.
    fn cut(&mut self, session: SessionId, now: Instant) {
        let Some(s) = self.sessions.get_mut(&session) else {
            return;
        };
        let Some(user) = self.roster.users.get(&s.user) else {
            tracing::debug!(%session, user = %s.user, "no longer on the roster");
            for channel in self.joined_channels(session) {
                self.take_off_quietly(session, &channel, now);
            }
            return self.dismiss(session, ByeReason::Removed, EndReason::Removed, now);
        };
        let was_dispatcher = s.role != Role::User;
        if s.name != user.name || s.role != user.role {
            s.name.clone_from(&user.name);
            if s.role != user.role {
                s.role = user.role;
                s.told.clear();
            }
            for channel in s.joined.keys() {
                let members = self.undone.members.entry(channel.clone()).or_default();
                members.insert(session);
            }
        }
        let mut showed = false;
        for channel in self.joined_channels(session) {
            if self.rights(session, &channel).is_some_and(|r| r.listen) {
                continue;
            }
            // Those of a channel that is no more are over already.
            let over = self.changed.emergencies.contains(&channel);
            showed |= over || self.board.emergencies.on(&channel);
            tracing::debug!(%session, %channel, "taken off the channel");
            self.take_off_quietly(session, &channel, now);
            let known = self.roster.channels.get(&channel);
            let name = known.map_or(channel.as_str(), |channel| &channel.name);
            let message = ServerMessage::Removed {
                message: format!("You were taken off {name}."),
                channel_id: channel,
            };
            self.send(session, message);
        }
        if was_dispatcher {
            self.check_dispatcher(session);
        }
        if showed {
            self.send_emergencies(session, now);
        }
        self.undone.sessions.insert(session);
    }

    /// The other members are told later, of all who have left together.
    fn take_off_quietly(&mut self, session: SessionId, channel: &ChannelId, now: Instant) {
        self.take_off(session, channel, EndReason::Removed, now);
        let members = self.undone.members.entry(channel.clone()).or_default();
        members.insert(session);
    }

    fn tell_change(&mut self, session: SessionId, now: Instant) {
        self.tell_changed_members(session, now);
        let channels = self.entries(session, now);
        let told = without_talk(&channels);
        if let Some(s) = self.sessions.get_mut(&session)
            && s.told != told
        {
            s.told = told;
            self.send(session, ServerMessage::Channels { channels });
            // Other channels may be theirs to dispatch now.
            self.send_lists(session, now);
        }
    }

    fn tell_changed_members(&mut self, session: SessionId, now: Instant) {
        for channel in self.joined_channels(session) {
            let changed = self.undone.members.get(&channel);
            let (Some(changed), Some(c)) = (changed, self.channels.get(&channel)) else {
                continue;
            };
            let others = changed.iter().copied().filter(|other| *other != session);
            let (here, left): (Vec<_>, Vec<_>) = others.partition(|id| c.members.contains(id));
            if here.len() > MANY {
                self.send_joined(session, &channel, now);
                continue;
            }
            for other in here {
                if let Some(member) = self.member(other, &channel, now) {
                    let channel_id = channel.clone();
                    self.send(session, ServerMessage::Member { channel_id, member });
                }
            }
            let channel_id = channel;
            let message = match left[..] {
                [] => continue,
                [session_id] => ServerMessage::MemberLeft {
                    channel_id,
                    session_id,
                },
                _ => ServerMessage::MembersLeft {
                    channel_id,
                    session_ids: left,
                },
            };
            self.send(session, message);
        }
    }
}

/// In messages about one member.
fn size(output: &Output) -> usize {
    match output {
        Output::Send { reply, .. } => match &reply.message {
            ServerMessage::Joined { members, .. } => members.len().max(1),
            _ => 1,
        },
        _ => 1,
    }
}

/// What the shards know of a channel.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct OnRoute {
    recorded: bool,
    echo: bool,
    radios: Vec<RadioId>,
}
