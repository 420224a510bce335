//! The whole edge with simulated devices and media: what is said, who is heard, what is remembered.

use std::collections::BTreeMap;

use str0m::media::{Direction, MediaKind};

use super::*;
use crate::authority::{Channel as RosterChannel, Membership, User};
use crate::ids::TransmissionId;
use crate::media::{Certificate, CloseReason, Offer};
use crate::wire::signal::{ClientMessage, DenyReason, EchoVerdict, ErrorCode, Level};

mod calls;
mod changes;
mod clock;
mod emergencies;
mod heard;
mod positions;
mod property;
mod radio_property;
mod radios;
mod silences;
mod talks;

/// When the box was started.
const UTC: u64 = 1_800_000_000_000;

const OPS: &str = "ops";
const STAGE: &str = "stage";

fn roster() -> Roster {
    let channel = |name: &str| RosterChannel {
        name: name.into(),
        ..RosterChannel::default()
    };
    let user = |name: &str, role, emergency, channels: &[(&str, Membership)]| User {
        name: name.into(),
        role,
        emergency,
        ends: None,
        channels: channels.iter().map(|(c, m)| ((*c).into(), *m)).collect(),
    };
    let both = [(OPS, Membership::Talk), (STAGE, Membership::Talk)];
    let ops = [(OPS, Membership::Talk)];
    let hears = [(OPS, Membership::Listen)];
    Roster {
        channels: BTreeMap::from([
            (OPS.into(), channel("Operations")),
            (STAGE.into(), channel("Stage")),
        ]),
        users: BTreeMap::from([
            ("anna".into(), user("Anna", Role::Dispatch, true, &both)),
            ("ben".into(), user("Ben", Role::User, false, &ops)),
            ("carla".into(), user("Carla", Role::User, false, &hears)),
            ("dora".into(), user("Dora", Role::Dispatch, false, &hears)),
        ]),
    }
}

/// An offer as a browser makes it.
fn sdp(now: Instant) -> String {
    let mut rtc = str0m::RtcConfig::new().build(now);
    let mut api = rtc.sdp_api();
    api.add_media(MediaKind::Audio, Direction::SendRecv, None, None, None);
    api.apply().expect("an offer").0.to_sdp_string()
}

struct Rig {
    edge: Edge,
    now: Instant,
    sdp: String,
    certificate: Arc<Certificate>,
    next: u64,
    told: BTreeMap<ConnectionId, Vec<Reply>>,
    closed: Vec<ConnectionId>,
    /// Who is heard, by route; what the shards were told last.
    heard: BTreeMap<RouteId, TransportId>,
    open: BTreeMap<TransportId, RouteId>,
    /// As what a talker's packets are recorded.
    recorded: BTreeMap<RouteId, TransmissionId>,
    /// What the shards know of the routes: recorded, echo.
    settings: BTreeMap<RouteId, (bool, bool)>,
    /// What radios were ordered, but renewals of their keys.
    orders: Vec<(RadioId, radio::Order)>,
    keyed: BTreeSet<RadioId>,
    all_orders: Vec<(RadioId, radio::Order)>,
    places: BTreeMap<RadioId, (TransportId, Option<RouteId>)>,
    /// Which radios get the packets of a route.
    sent_out: BTreeMap<RouteId, Vec<RadioId>>,
    happened: Vec<Happening>,
    kept: Option<Board>,
}

impl Rig {
    fn new() -> Rig {
        Rig::with_board(Board::default())
    }

    fn with_board(board: Board) -> Rig {
        Rig::with_board_at(board, UTC)
    }

    fn with_board_at(board: Board, utc_ms: u64) -> Rig {
        #[allow(
            clippy::disallowed_methods,
            reason = "a test's arbitrary origin of time"
        )]
        let now = Instant::now();
        let settings = Settings {
            gateway: "Main gate".into(),
            version: "test".into(),
            ice_servers: Vec::new(),
            limits: Limits {
                message_bytes: 65_536,
                sdp_bytes: 32_768,
                m_lines: 8,
                candidates: 64,
                channels: 1,
            },
            dispatch_channels: 50,
            user_sessions: 4,
        };
        let made = dimpl::certificate::generate_self_signed_certificate().expect("a certificate");
        let start = Start {
            now,
            utc_ms,
            transmission: TransmissionId(1),
            board,
        };
        let mut edge = Edge::new(settings, Arc::new(roster()), start);
        edge.undone.pause = Duration::ZERO;
        Rig {
            edge,
            now,
            sdp: sdp(now),
            certificate: Arc::new(Certificate {
                certificate: made.certificate,
                private_key: made.private_key,
            }),
            next: 0,
            told: BTreeMap::new(),
            closed: Vec::new(),
            heard: BTreeMap::new(),
            open: BTreeMap::new(),
            recorded: BTreeMap::new(),
            settings: BTreeMap::new(),
            orders: Vec::new(),
            keyed: BTreeSet::new(),
            all_orders: Vec::new(),
            places: BTreeMap::new(),
            sent_out: BTreeMap::new(),
            happened: Vec::new(),
            kept: None,
        }
    }

    fn give(&mut self, input: Input) {
        self.begins(input);
        self.finishes();
    }

    /// Only the first slice of a change of the roster.
    fn begins(&mut self, input: Input) {
        self.edge.handle(input, self.now);
        self.carry_out();
    }

    fn finishes(&mut self) {
        while self.edge.undone_due().is_some_and(|due| due <= self.now) {
            self.edge.handle_timeout(self.now);
            self.carry_out();
        }
    }

    fn wait(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        self.edge.handle_timeout(self.now);
        self.carry_out();
    }

    /// Does what the daemon does, at once.
    fn carry_out(&mut self) {
        while let Some(output) = self.edge.poll_output() {
            match output {
                Output::Send { connection, reply } => {
                    self.told.entry(connection).or_default().push(*reply);
                }
                Output::Close { connection } => self.closed.push(connection),
                Output::Build { transport, sdp } => {
                    let offer = Offer {
                        transport,
                        sdp,
                        certificate: self.certificate.clone(),
                        candidates: vec!["127.0.0.1:40000".parse().expect("an address")],
                        random: [7; 32],
                    };
                    let built = Transport::accept(offer, self.now)
                        .map(|(transport, answer)| (Box::new(transport), answer));
                    self.edge
                        .handle(Input::Built { transport, built }, self.now);
                }
                Output::Forget(_) => {}
                Output::Media(Command::Open {
                    transport, route, ..
                }) => {
                    self.open.insert(transport.id, route);
                    let connected = media::Event::Connected(transport.id);
                    self.edge.handle(Input::Media(connected), self.now);
                }
                Output::Media(Command::Close(transport)) => {
                    self.open.remove(&transport);
                }
                Output::Media(Command::Talker {
                    route,
                    transport,
                    transmission,
                }) => {
                    match transmission {
                        Some(transmission) => self.recorded.insert(route, transmission),
                        None => self.recorded.remove(&route),
                    };
                    match transport {
                        Some(transport) => self.heard.insert(route, transport),
                        None => self.heard.remove(&route),
                    };
                }
                Output::Media(Command::Settings {
                    route,
                    recorded,
                    echo,
                    radios,
                }) => {
                    self.settings.insert(route, (recorded, echo));
                    self.sent_out.insert(route, radios);
                }
                Output::Media(Command::Pause { .. }) => {}
                Output::Radio { radio, order } => {
                    self.all_orders.push((radio, order.clone()));
                    let renews = match order {
                        radio::Order::Key { .. } => !self.keyed.insert(radio),
                        radio::Order::Unkey => {
                            self.keyed.remove(&radio);
                            false
                        }
                        _ => false,
                    };
                    if !renews {
                        self.orders.push((radio, order));
                    }
                }
                Output::RadioPlace {
                    radio,
                    transport,
                    route,
                } => drop(self.places.insert(radio, (transport, route))),
                Output::Happened(what) => self.happened.push(what),
                Output::Keep(board) => self.kept = Some(*board),
            }
        }
    }

    fn sign_in(&mut self, user: &str, resume: Option<String>) -> ConnectionId {
        self.next += 1;
        let connection = ConnectionId(self.next);
        self.give(Input::SignedIn {
            connection,
            user: user.into(),
            address: "192.0.2.7".parse().expect("an address"),
            request: Some(1),
            resume,
            secret: format!("secret {}", self.next),
            device: None,
            device_id: format!("device of {user}"),
        });
        connection
    }

    fn says(&mut self, connection: ConnectionId, id: u64, message: ClientMessage) {
        let request = Request {
            id: Some(id),
            message,
        };
        self.give(Input::Message {
            connection,
            request,
        });
    }

    /// Signed in, joined and connected.
    fn on(&mut self, user: &str, channel: &str) -> ConnectionId {
        let connection = self.sign_in(user, None);
        self.joins(connection, channel);
        connection
    }

    fn joins(&mut self, connection: ConnectionId, channel: &str) {
        let channel_id = ChannelId::from(channel);
        let join = ClientMessage::Join {
            channel_id: channel_id.clone(),
            muted: false,
        };
        self.says(connection, 2, join);
        let sdp = self.sdp.clone();
        self.says(
            connection,
            3,
            ClientMessage::WebrtcOffer { channel_id, sdp },
        );
    }

    fn start(&mut self, connection: ConnectionId, channel: &str, level: Level) {
        let channel_id = channel.into();
        self.says(connection, 4, ClientMessage::Start { channel_id, level });
    }

    fn stop(&mut self, connection: ConnectionId, channel: &str) {
        let channel_id = channel.into();
        self.says(connection, 5, ClientMessage::Stop { channel_id });
    }

    /// The transport whose packets would be forwarded on the channel now.
    fn heard_on(&self, channel: &str) -> Option<TransportId> {
        let route = self.edge.channels.get(&ChannelId::from(channel))?.route;
        self.heard.get(&route).copied()
    }

    fn transport(&self, connection: ConnectionId, channel: &str) -> Option<TransportId> {
        let session = self.edge.connections.get(&connection)?;
        self.edge.sessions[session]
            .joined
            .get(&ChannelId::from(channel))?
            .transport
    }

    fn last(&self, connection: ConnectionId) -> &Reply {
        self.told[&connection].last().expect("nothing was told")
    }

    fn tells(&self, connection: ConnectionId, wanted: impl Fn(&ServerMessage) -> bool) -> bool {
        let told = self.told.get(&connection);
        told.is_some_and(|told| told.iter().any(|reply| wanted(&reply.message)))
    }

    fn resume_of(&self, connection: ConnectionId) -> String {
        let welcome = self.told[&connection]
            .iter()
            .find_map(|reply| match &reply.message {
                ServerMessage::Welcome { resume, .. } => Some(resume.clone()),
                _ => None,
            });
        welcome.expect("welcome")
    }

    fn change_roster(&mut self, change: impl FnOnce(&mut Roster)) {
        let mut roster = roster();
        change(&mut roster);
        self.give(Input::Roster(Arc::new(roster)));
    }
}
