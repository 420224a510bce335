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
use crate::dispatch::Board;
use crate::floor::{Floor, TransmissionIds};
use crate::ids::{
    ChannelId, ParticipantId, RadioId, RouteId, SessionId, TransmissionId, TransportId, UserId,
};
use crate::media::{self, Command, OfferError, Transport};
use crate::radio;
use crate::radio::loop_guard::LoopGuard;
use crate::wire::signal::{
    ByeReason, ChannelEntry, EndReason, IceServer, Level, Limits, Member, PastTalk, Person,
    Presence, Reply, Request, RequestId, Rights, Role, ServerMessage, Talk,
};

mod calls;
mod changes;
mod clock;
mod dispatch;
mod emergencies;
mod floors;
mod happening;
mod positions;
mod radio_members;
mod radio_views;
mod radios;
mod reception;
mod requests;
mod sessions;
mod silences;
mod transports;
mod views;

pub use happening::Happening;
pub use radio_views::{RadioKind, RadioState, RadioView, SquelchView};
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
    /// Sessions one user may have at a time.
    pub user_sessions: usize,
}

/// Where a box takes up its work.
#[derive(Clone, Debug)]
pub struct Start {
    pub now: Instant,
    /// UTC milliseconds since 1970 at `now`.
    pub utc_ms: u64,
    /// The first transmission's number, greater than any that was used before.
    pub transmission: TransmissionId,
    /// What was kept of the dispatchers' work.
    pub board: Board,
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
        /// Which of the user's devices it is, for who looks at the sessions.
        device_id: String,
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
    /// All radios and desks there are from now on. One that is new or has changed begins anew: nothing is
    /// known of it until its [`radio::Event::Ready`].
    Radios(Vec<(RadioId, Arc<radio::Settings>)>),
    Radio {
        radio: RadioId,
        event: radio::Event,
    },
    Roster(Arc<Roster>),
    /// What the box's clock says now, UTC milliseconds since 1970.
    Clock {
        utc_ms: u64,
    },
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
    /// For the threads of a radio.
    Radio { radio: RadioId, order: radio::Order },
    /// What its packets are known by, and where they belong: told before anything else about a radio that is new or
    /// has changed, and whenever its channel comes or goes. No route: nobody can hear it now.
    RadioPlace {
        radio: RadioId,
        transport: TransportId,
        route: Option<RouteId>,
    },
    /// For whoever remembers: given before the command that lets packets of a talk flow.
    Happened(Happening),
    /// The dispatchers' work as it is now, to be kept in place of what was given before.
    Keep(Box<Board>),
}

struct Session {
    user: UserId,
    name: String,
    role: Role,
    device_id: String,
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
    /// The last transmissions, oldest first.
    recent: VecDeque<PastTalk>,
    guard: LoopGuard,
    /// What the shards were told of it.
    on_route: changes::OnRoute,
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
    radios: BTreeMap<RadioId, radios::Radio>,
    /// Whose request is being worked on; its answer carries the number.
    answering: Option<(SessionId, Option<RequestId>)>,
    /// Whose STOP is being worked on, and what it has ended.
    stopping: Option<(SessionId, Option<(TransmissionId, EndReason)>)>,
    /// The number of the next session.
    next_session: u64,
    next_transport: u32,
    next_route: u32,
    /// The number of the next call or emergency.
    next_number: u64,
    board: Board,
    changed: dispatch::Changed,
    undone: changes::Undone,
    /// When sessions were lost.
    lost: BTreeSet<(Instant, SessionId)>,
    counters: Counters,
    outputs: VecDeque<Output>,
}

impl Edge {
    pub fn new(settings: Settings, roster: Arc<Roster>, mut start: Start) -> Self {
        let now = start.now;
        let board = std::mem::take(&mut start.board).restored(start.utc_ms);
        let mut edge = Edge {
            settings,
            transmissions: TransmissionIds::starting_at(start.transmission),
            roster: Arc::default(),
            sessions: BTreeMap::new(),
            connections: BTreeMap::new(),
            channels: BTreeMap::new(),
            transports: BTreeMap::new(),
            radios: BTreeMap::new(),
            answering: None,
            stopping: None,
            // A page that outlives a restart compares its session with those it is told of.
            next_session: start.utc_ms.max(radio_members::FIRST_SESSION),
            next_transport: 0,
            next_route: 0,
            // Numbers are not used again, where the clock does not go back either.
            next_number: board.next_number().max(start.utc_ms),
            board,
            changed: dispatch::Changed::default(),
            undone: changes::Undone::default(),
            lost: BTreeSet::new(),
            start,
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
                device_id,
            } => {
                let new = sessions::SignedIn {
                    connection,
                    user,
                    address,
                    resume,
                    secret,
                    device,
                    device_id,
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
            Input::Radios(radios) => self.replace_radios(radios, now),
            Input::Radio { radio, event } => self.radio(radio, event, now),
            Input::Roster(roster) => self.replace_roster(roster, now),
            Input::Clock { utc_ms } => self.set_clock(utc_ms, now),
            Input::Kick { session } => {
                self.dismiss(session, ByeReason::Kicked, EndReason::Removed, now);
            }
            Input::Shutdown => {
                let sessions: Vec<SessionId> = self.sessions.keys().copied().collect();
                for session in sessions {
                    self.dismiss(session, ByeReason::Shutdown, EndReason::Disconnected, now);
                }
                self.stop_radios(now);
            }
        }
        self.settle(now);
        self.tell_changes(now);
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        let floors = self
            .channels
            .values()
            .filter_map(|c| c.floor.poll_timeout());
        let lost = self.lost.first().map(|(at, _)| *at + RESUME);
        let undone = self.undone_due();
        let silences = self.board.silences.next_end();
        let ends = silences.into_iter().chain(self.board.calls.next_end());
        let ends = ends.map(|end| self.instant(end));
        let others = lost.into_iter().chain(ends).chain(undone);
        let others = others.chain(self.radios_due());
        floors.chain(others).min()
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
        while let Some((at, session)) = self.lost.first().copied()
            && at + RESUME <= now
        {
            self.lost.pop_first();
            self.end_session(session, EndReason::Disconnected, now);
        }
        self.end_silences(now);
        self.end_calls(now);
        self.go_on(now);
        self.settle(now);
        self.tell_changes(now);
    }

    /// The dispatchers' work as it is now.
    pub fn board(&self) -> &Board {
        &self.board
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

    fn happened(&mut self, what: Happening) {
        self.outputs.push_back(Output::Happened(what));
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
        Some(Talk {
            transmission_id: talk.transmission,
            talker: self.participant(talk.who)?,
            level: talk.level,
            elapsed_ms: now.saturating_duration_since(talk.since).as_millis() as u64,
        })
    }

    fn person(&self, session: SessionId) -> Option<Person> {
        Some(self.sessions.get(&session)?.person(session))
    }

    /// As the others see who talks.
    fn participant(&self, who: ParticipantId) -> Option<Person> {
        match who {
            ParticipantId::Session(session) => self.person(session),
            ParticipantId::Radio(radio) => self.radio_person(radio),
        }
    }

    /// A session as the others on this channel see it.
    fn member(&self, session: SessionId, channel: &ChannelId, now: Instant) -> Option<Member> {
        let s = self.sessions.get(&session)?;
        Some(Member {
            person: s.person(session),
            presence: s.presence,
            silenced_ms: self.silence_left(&s.user, channel, now),
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
        let Some(c) = self.channels.get(channel) else {
            return;
        };
        let others = c.members.iter().filter(|session| Some(**session) != but);
        for connection in others.filter_map(|s| self.sessions.get(s)?.connection) {
            let message = message.clone();
            let reply = Box::new(Reply { id: None, message });
            self.outputs.push_back(Output::Send { connection, reply });
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
}

/// Who talks changes all the time; CHANNELS is for what an admin changes.
fn without_talk(channels: &[ChannelEntry]) -> Vec<ChannelEntry> {
    let mut channels = channels.to_vec();
    channels.iter_mut().for_each(|c| c.talk = None);
    channels
}
