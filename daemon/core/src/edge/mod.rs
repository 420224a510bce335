//! Where the machines meet: sessions ask, the roster says who may, floors decide, routes follow.
//!
//! ```text
//!  message ─> rights (roster) ─> floor ─┬─> messages to sessions
//!  roster  ─> who must go ──────────────┤
//!  media event ─> flows, stalls ────────┘─> commands to shards
//! ```
//!
//! One owner (the reactor) feeds it and carries out what comes out. Nothing here waits for anything.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::authority::Roster;
use crate::floor::{self, Floor, TransmissionIds};
use crate::ids::{
    ChannelId, ParticipantId, RouteId, SessionId, TransmissionId, TransportId, UserId,
};
use crate::media::{self, Command, OfferError, Transport};
use crate::wire::signal::{
    ByeReason, ChannelEntry, EndReason, IceServer, Level, Limits, Member, Person, Presence, Reply,
    Request, RequestId, Rights, Role, ServerMessage, Talk,
};

mod floors;
mod happening;
mod requests;
mod sessions;
mod transports;
mod views;

pub use happening::Happening;
pub use views::{ChannelView, SessionView};

#[cfg(test)]
mod tests;

/// How long a session waits for its device after a lost WebSocket. Its audio goes on meanwhile.
pub const RESUME: Duration = Duration::from_secs(15);

/// One WebSocket. A session outlives it by [`RESUME`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// What the box tells of itself in WELCOME.
#[derive(Clone, Debug)]
pub struct Settings {
    pub gateway: String,
    pub version: String,
    pub ice_servers: Vec<IceServer>,
    pub limits: Limits,
    /// Channels a session of a dispatcher or an admin may have joined; others: `limits.channels`.
    pub dispatch_channels: usize,
}

/// Where a box takes up its work.
#[derive(Clone, Debug)]
pub struct Start {
    pub now: Instant,
    /// UTC milliseconds since 1970 at `now`.
    pub utc_ms: u64,
    /// The first transmission's number, greater than any that was used before.
    pub transmission: TransmissionId,
}

pub enum Input {
    /// Someone has proven to be this user.
    SignedIn {
        connection: ConnectionId,
        user: UserId,
        address: IpAddr,
        /// The HELLO's number.
        request: Option<RequestId>,
        /// What the device gives to take its lost session over.
        resume: Option<String>,
        /// Random: what a new session may be resumed with.
        secret: String,
        /// A credential just made for this device.
        device: Option<String>,
    },
    Message {
        connection: ConnectionId,
        request: Request,
    },
    /// The WebSocket is gone; `clean` where the client closed it.
    Closed {
        connection: ConnectionId,
        clean: bool,
    },
    /// What became of [`Output::Build`].
    Built {
        transport: TransportId,
        built: Result<(Box<Transport>, String), OfferError>,
    },
    Media(media::Event),
    Roster(Arc<Roster>),
    /// An admin ends a session.
    Kick {
        session: SessionId,
    },
    /// Everyone is told, every floor is freed.
    Shutdown,
}

pub enum Output {
    Send {
        connection: ConnectionId,
        reply: Box<Reply>,
    },
    /// After what was sent.
    Close { connection: ConnectionId },
    /// Answer this offer, off the reactor, and say so with [`Input::Built`].
    Build { transport: TransportId, sdp: String },
    /// A transport that was to be built is not wanted any more, or could not be.
    Forget(TransportId),
    /// `Talker` is for all shards, the rest for the transport's own.
    Media(Command),
    /// For whoever remembers: given before the command that lets packets of a talk flow.
    Happened(Happening),
}

struct Session {
    user: UserId,
    name: String,
    role: Role,
    address: IpAddr,
    /// UTC milliseconds.
    since: u64,
    connection: Option<ConnectionId>,
    lost: Option<Instant>,
    resume: String,
    presence: Presence,
    joined: BTreeMap<ChannelId, Joined>,
    /// What CHANNELS told last.
    told: Vec<ChannelEntry>,
}

#[derive(Default)]
struct Joined {
    muted: bool,
    transport: Option<TransportId>,
    connected: bool,
    /// An offer that is being answered, and the request it came with.
    building: Option<(TransportId, Option<RequestId>)>,
    candidates: usize,
}

struct Channel {
    floor: Floor,
    route: RouteId,
    members: BTreeSet<SessionId>,
    running: Option<Running>,
}

/// A transmission from its grant to its end, as it will be remembered: its talker may be gone by then.
struct Running {
    transmission: TransmissionId,
    talker: Person,
    level: Level,
    since: Instant,
}

/// What the floors have decided since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub granted: u64,
    pub denied: u64,
    pub revoked: u64,
}

pub struct Edge {
    settings: Settings,
    start: Start,
    transmissions: TransmissionIds,
    roster: Arc<Roster>,
    sessions: BTreeMap<SessionId, Session>,
    connections: BTreeMap<ConnectionId, SessionId>,
    channels: BTreeMap<ChannelId, Channel>,
    transports: BTreeMap<TransportId, (SessionId, ChannelId)>,
    /// Whose request is being worked on; its answer carries the number.
    answering: Option<(SessionId, Option<RequestId>)>,
    /// Whose STOP is being worked on, and what it has ended.
    stopping: Option<(SessionId, Option<(TransmissionId, EndReason)>)>,
    next_session: u64,
    next_transport: u32,
    next_route: u32,
    counters: Counters,
    outputs: VecDeque<Output>,
}

impl Edge {
    pub fn new(settings: Settings, roster: Arc<Roster>, start: Start) -> Self {
        let now = start.now;
        let mut edge = Edge {
            settings,
            transmissions: TransmissionIds::starting_at(start.transmission),
            start,
            roster: Arc::default(),
            sessions: BTreeMap::new(),
            connections: BTreeMap::new(),
            channels: BTreeMap::new(),
            transports: BTreeMap::new(),
            answering: None,
            stopping: None,
            next_session: 0,
            next_transport: 0,
            next_route: 0,
            counters: Counters::default(),
            outputs: VecDeque::new(),
        };
        edge.replace_roster(roster, now);
        edge
    }

    pub fn handle(&mut self, input: Input, now: Instant) {
        self.handle_timeout(now);
        match input {
            Input::SignedIn {
                connection,
                user,
                address,
                request,
                resume,
                secret,
                device,
            } => {
                let new = sessions::SignedIn {
                    connection,
                    user,
                    address,
                    resume,
                    secret,
                    device,
                };
                self.sign_in(new, request, now);
            }
            Input::Message {
                connection,
                request,
            } => {
                if let Some(&session) = self.connections.get(&connection) {
                    self.answering = Some((session, request.id));
                    self.request(session, request.message, now);
                    self.answering = None;
                }
            }
            Input::Closed { connection, clean } => self.closed(connection, clean, now),
            Input::Built { transport, built } => self.built(transport, built, now),
            Input::Media(event) => self.media(event, now),
            Input::Roster(roster) => self.replace_roster(roster, now),
            Input::Kick { session } => {
                self.dismiss(session, ByeReason::Kicked, EndReason::Removed, now);
            }
            Input::Shutdown => {
                let sessions: Vec<SessionId> = self.sessions.keys().copied().collect();
                for session in sessions {
                    self.dismiss(session, ByeReason::Shutdown, EndReason::Disconnected, now);
                }
            }
        }
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        let floors = self
            .channels
            .values()
            .filter_map(|c| c.floor.poll_timeout());
        let lost = self
            .sessions
            .values()
            .filter_map(|s| s.lost)
            .map(|at| at + RESUME);
        floors.chain(lost).min()
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        let due: Vec<ChannelId> = self
            .channels
            .iter()
            .filter(|(_, c)| c.floor.poll_timeout().is_some_and(|at| at <= now))
            .map(|(id, _)| id.clone())
            .collect();
        for channel in due {
            if let Some(c) = self.channels.get_mut(&channel) {
                c.floor.handle_timeout(now);
            }
            self.tell_floor(&channel, now);
        }
        let gone: Vec<SessionId> = self
            .sessions
            .iter()
            .filter(|(_, s)| s.lost.is_some_and(|at| at + RESUME <= now))
            .map(|(id, _)| *id)
            .collect();
        for session in gone {
            self.end_session(session, EndReason::Disconnected, now);
        }
    }

    pub fn counters(&self) -> Counters {
        self.counters
    }

    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Channels on which someone is heard now.
    pub fn talks(&self) -> usize {
        self.channels
            .values()
            .filter(|c| c.floor.talk().is_some())
            .count()
    }

    fn utc_ms(&self, now: Instant) -> u64 {
        self.start.utc_ms + now.saturating_duration_since(self.start.now).as_millis() as u64
    }

    fn happened(&mut self, what: Happening) {
        self.outputs.push_back(Output::Happened(what));
    }

    /// Everything is looked at again: who is no longer allowed is cut, now.
    fn replace_roster(&mut self, roster: Arc<Roster>, now: Instant) {
        self.roster = roster.clone();
        for (id, channel) in &roster.channels {
            let known = self.channels.get(id).map(|c| c.floor.settings());
            if known == Some(&channel.floor) {
                continue;
            }
            if known.is_some() {
                self.floor(id, floor::Input::Settings(channel.floor.clone()), now);
            } else {
                self.next_route += 1;
                let new = Channel {
                    floor: Floor::new(channel.floor.clone(), self.transmissions.clone()),
                    route: RouteId(self.next_route),
                    members: BTreeSet::new(),
                    running: None,
                };
                self.channels.insert(id.clone(), new);
            }
        }
        let sessions: Vec<SessionId> = self.sessions.keys().copied().collect();
        for session in sessions {
            self.check_session(session, now);
        }
        self.channels
            .retain(|id, _| roster.channels.contains_key(id));
    }

    fn check_session(&mut self, session: SessionId, now: Instant) {
        let Some(s) = self.sessions.get_mut(&session) else {
            return;
        };
        let Some(user) = self.roster.users.get(&s.user) else {
            tracing::info!(%session, user = %s.user, "no longer on the roster");
            return self.dismiss(session, ByeReason::Removed, EndReason::Removed, now);
        };
        if s.name != user.name || s.role != user.role {
            s.name.clone_from(&user.name);
            s.role = user.role;
            self.announce(session);
        }
        for channel in self.joined_channels(session) {
            match self.rights(session, &channel) {
                Some(rights) if rights.listen => {
                    // Whoever waits must not be granted later, either.
                    let asked = self.floor_level(session, &channel);
                    if asked.is_some_and(|level| !rights.talk || !self.may_use(session, level)) {
                        self.gone_from_floor(session, &channel, EndReason::Removed, now);
                    }
                }
                Some(_) | None => {
                    tracing::info!(%session, %channel, "taken off the channel");
                    self.leave(session, &channel, EndReason::Removed, now);
                    let message = "You were taken off this channel.".to_string();
                    let channel_id = channel;
                    self.send(
                        session,
                        ServerMessage::Removed {
                            channel_id,
                            message,
                        },
                    );
                }
            }
        }
        let channels = self.entries(session, now);
        let told = without_talk(&channels);
        if let Some(s) = self.sessions.get_mut(&session)
            && s.told != told
        {
            s.told = told;
            self.send(session, ServerMessage::Channels { channels });
        }
    }

    fn rights(&self, session: SessionId, channel: &ChannelId) -> Option<Rights> {
        self.roster
            .rights(&self.sessions.get(&session)?.user, channel)
    }

    fn may_use(&self, session: SessionId, level: Level) -> bool {
        let session = self.sessions.get(&session);
        session.is_some_and(|s| self.roster.may_use_level(&s.user, level))
    }

    fn channel_limit(&self, session: SessionId) -> usize {
        match self.sessions.get(&session).map(|s| s.role) {
            Some(Role::Dispatch | Role::Admin) => self.settings.dispatch_channels,
            Some(Role::User) | None => self.settings.limits.channels,
        }
    }

    fn entries(&self, session: SessionId, now: Instant) -> Vec<ChannelEntry> {
        let entry = |(id, channel): (&ChannelId, &crate::authority::Channel)| {
            let rights = self.rights(session, id)?;
            Some(ChannelEntry {
                channel_id: id.clone(),
                name: channel.name.clone(),
                rights,
                talk_limit_ms: channel.floor.talk_limit.as_millis() as u64,
                queue_depth: channel.floor.queue_depth,
                group: channel.group.clone(),
                recorded: channel.record != crate::authority::Record::Off,
                echo: channel.echo,
                talk: self.talk(id, now),
            })
        };
        self.roster.channels.iter().filter_map(entry).collect()
    }

    fn talk(&self, channel: &ChannelId, now: Instant) -> Option<Talk> {
        let talk = self.channels.get(channel)?.floor.talk()?;
        let ParticipantId::Session(id) = talk.who;
        Some(Talk {
            transmission_id: talk.transmission,
            talker: self.sessions.get(&id)?.person(id),
            level: talk.level,
            elapsed_ms: now.saturating_duration_since(talk.since).as_millis() as u64,
        })
    }

    fn joined_channels(&self, session: SessionId) -> Vec<ChannelId> {
        let session = self.sessions.get(&session);
        session.map_or_else(Vec::new, |s| s.joined.keys().cloned().collect())
    }

    fn joined_mut(&mut self, session: SessionId, channel: &ChannelId) -> Option<&mut Joined> {
        self.sessions.get_mut(&session)?.joined.get_mut(channel)
    }

    /// Sends what answers the request that is being worked on, if this session made it.
    fn answer(&mut self, session: SessionId, message: ServerMessage) {
        let id = match &mut self.answering {
            Some((asked, id)) if *asked == session => id.take(),
            _ => None,
        };
        self.send_with(session, id, message);
    }

    fn send(&mut self, session: SessionId, message: ServerMessage) {
        self.send_with(session, None, message);
    }

    fn send_with(&mut self, session: SessionId, id: Option<RequestId>, message: ServerMessage) {
        if let Some(connection) = self.sessions.get(&session).and_then(|s| s.connection) {
            let reply = Box::new(Reply { id, message });
            self.outputs.push_back(Output::Send { connection, reply });
        }
    }

    fn broadcast(&mut self, channel: &ChannelId, but: Option<SessionId>, message: &ServerMessage) {
        let Some(members) = self.channels.get(channel).map(|c| c.members.clone()) else {
            return;
        };
        for session in members {
            if Some(session) != but {
                self.send(session, message.clone());
            }
        }
    }

    fn bye(&mut self, connection: ConnectionId, reason: ByeReason) {
        let message = ServerMessage::Bye { reason };
        let reply = Box::new(Reply { id: None, message });
        self.outputs.push_back(Output::Send { connection, reply });
        self.outputs.push_back(Output::Close { connection });
    }
}

impl Session {
    fn person(&self, id: SessionId) -> Person {
        Person {
            session_id: id,
            user_id: self.user.clone(),
            name: self.name.clone(),
            role: self.role,
        }
    }

    fn member(&self, id: SessionId) -> Member {
        Member {
            person: self.person(id),
            presence: self.presence,
            silenced_ms: None,
        }
    }
}

/// Who talks changes all the time; CHANNELS is for what an admin changes.
fn without_talk(channels: &[ChannelEntry]) -> Vec<ChannelEntry> {
    let mut channels = channels.to_vec();
    channels.iter_mut().for_each(|c| c.talk = None);
    channels
}
