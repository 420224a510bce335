//! The WebSocket messages between a client and the box. `daemon/design/signaling.md` shows each with
//! literal JSON, which a test decodes and encodes with these types.
//!
//! Names are the seed's (`JOIN`, `START`, `START_SUCCESS` ...). A request may carry an `id`; whatever
//! answers it carries the same. Unknown fields are ignored, so that either side may be the newer one.

use serde::{Deserialize, Serialize};

use crate::ids::{ChannelId, SessionId, TransmissionId, UserId};

/// Longest SDP a client may send. A browser's audio-only offer is 2 to 6 KiB.
pub const MAX_SDP: usize = 32 * 1024;
/// Most m-lines in an offer.
pub const MAX_M_LINES: usize = 8;
/// Most candidates in an offer, and most that may be trickled after it.
pub const MAX_CANDIDATES: usize = 64;

/// A request's number, chosen by the client and repeated in its answer.
pub type RequestId = u64;

/// A client's message with the request's number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<RequestId>,
    #[serde(flatten)]
    pub message: ClientMessage,
}

/// The box's message, with the number of the request it answers, if it answers one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<RequestId>,
    #[serde(flatten)]
    pub message: ServerMessage,
}

/// How urgent a request for the floor is. A higher one may pre-empt a lower one.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    #[default]
    Normal,
    Dispatch,
    Imminent,
    Emergency,
}

impl Level {
    pub const ALL: [Level; 4] = [
        Level::Normal,
        Level::Dispatch,
        Level::Imminent,
        Level::Emergency,
    ];
}

/// What a user is on this box. It decides nothing by itself but which levels and pages they get.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    #[default]
    User,
    Dispatch,
    Admin,
}

/// Whether a device is looking at its page. A sleeping phone may hear late or not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    #[default]
    Awake,
    /// The page is hidden, the screen is off or the microphone was taken away.
    Asleep,
    /// The WebSocket was lost and has not come back yet.
    Lost,
}

/// From the client to the box.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "SCREAMING_SNAKE_CASE",
    rename_all_fields = "camelCase"
)]
pub enum ClientMessage {
    /// The first message where the upgrade carried no token: one of the three credentials.
    /// `resume` beside a credential takes over the session of a WebSocket that was just lost.
    Hello {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        device: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resume: Option<String>,
    },
    /// Become a listener of a channel. With `muted` its audio is paused from the start.
    Join {
        channel_id: ChannelId,
        #[serde(default)]
        muted: bool,
    },
    Leave {
        channel_id: ChannelId,
    },
    WebrtcOffer {
        channel_id: ChannelId,
        sdp: String,
    },
    /// Accepted and counted, not needed: the box is ICE-lite and answers whoever asks (RFC 8445 2.5).
    IceCandidate {
        channel_id: ChannelId,
        candidate: String,
    },
    /// Ask for the floor.
    Start {
        channel_id: ChannelId,
        #[serde(default)]
        level: Level,
    },
    /// Let the floor go, or stop waiting for it.
    Stop {
        channel_id: ChannelId,
    },
    /// Pause this channel's audio to this device.
    Mute {
        channel_id: ChannelId,
    },
    Unmute {
        channel_id: ChannelId,
    },
    /// Tell the others whether this device is looking at its page.
    Presence {
        state: Presence,
    },
    /// For clients that cannot see the WebSocket's own pings: answered with `PONG`.
    Ping {},
}

/// What a session may do on a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rights {
    pub listen: bool,
    pub talk: bool,
    /// The highest level START may ask for.
    pub level: Level,
}

/// A channel this session may join.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChannelEntry {
    pub channel_id: ChannelId,
    pub name: String,
    pub rights: Rights,
    /// Longest transmission, in milliseconds.
    pub talk_limit_ms: u64,
    /// How many may wait for the floor; 0: a busy channel denies.
    pub queue_depth: u32,
    /// Who is talking now, joined or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub talk: Option<Talk>,
}

/// A running transmission.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Talk {
    pub transmission_id: TransmissionId,
    pub talker: Person,
    pub level: Level,
    /// How long it has been going on, in milliseconds.
    pub elapsed_ms: u64,
}

/// A session as the others see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    pub session_id: SessionId,
    pub user_id: UserId,
    pub name: String,
    pub role: Role,
}

/// A session on a channel as the others see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    #[serde(flatten)]
    pub person: Person,
    pub presence: Presence,
}

/// One entry of `RTCConfiguration.iceServers`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IceServer {
    pub urls: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

/// What the box refuses beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    pub message_bytes: usize,
    pub sdp_bytes: usize,
    pub m_lines: usize,
    pub candidates: usize,
    /// Channels one session may have joined at a time.
    pub channels: usize,
}

/// Why a START was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DenyReason {
    /// Someone of the same or a higher level talks, and nobody may wait here.
    Busy,
    /// Someone talks, and as many wait already as may.
    QueueFull,
    /// This user may not talk here, or not at that level.
    NoRight,
    /// The floor was taken back from this device: let the button go, then ask again.
    ReleaseFirst,
    /// This device has not joined the channel, or its audio is not connected.
    NotConnected,
}

/// Why a transmission ended, or the floor was taken from its talker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The talker let go.
    Released,
    /// A request of a higher level took the floor.
    Preempted,
    /// The talk limit was reached.
    TalkLimit,
    /// No audio arrived after the grant.
    NoMedia,
    /// Audio stopped arriving.
    Silence,
    /// The talker's WebSocket was lost and did not come back.
    Disconnected,
    /// The talker left the channel or closed the page.
    Left,
    /// The talker may no longer talk here.
    Removed,
}

/// What went wrong with a request, for a program; `message` says it for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// Not a message of this protocol.
    BadMessage,
    /// The first message must be HELLO, and HELLO only the first.
    BadOrder,
    /// The credential is unknown, ended or revoked.
    BadCredential,
    /// Too many bad credentials came from this address. This one was not looked at: try again in a minute.
    TooManyTries,
    /// The channel has to be joined first.
    NotJoined,
    /// The offer or candidate was not understood or is beyond a limit.
    BadOffer,
    /// More channels or candidates than a session may have.
    TooMany,
    /// The box could not do it; it is in its log.
    Internal,
}

/// Why the box closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ByeReason {
    /// The box is being restarted: come back in a moment.
    Shutdown,
    /// This user is no longer on the roster.
    Removed,
    /// The session was taken over by a newer connection of the same device.
    Resumed,
}

/// From the box to the client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "SCREAMING_SNAKE_CASE",
    rename_all_fields = "camelCase"
)]
pub enum ServerMessage {
    /// The first message after sign-in.
    Welcome {
        session_id: SessionId,
        /// Give it back in HELLO to take the session over after a lost WebSocket.
        resume: String,
        /// True where HELLO asked to resume and the session was still there: transports go on.
        resumed: bool,
        user: Person,
        /// The box's own name.
        #[serde(rename = "box")]
        gateway: String,
        version: String,
        channels: Vec<ChannelEntry>,
        ice_servers: Vec<IceServer>,
        limits: Limits,
        /// After sign-in with a token: keep it, it readmits this device without one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        device: Option<String>,
    },
    /// Channels or rights have changed; replaces what WELCOME told.
    Channels {
        channels: Vec<ChannelEntry>,
    },
    Joined {
        channel_id: ChannelId,
        members: Vec<Member>,
        muted: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        talk: Option<Talk>,
    },
    Left {
        channel_id: ChannelId,
    },
    /// The box took this session off the channel.
    Removed {
        channel_id: ChannelId,
        message: String,
    },
    /// Someone came to, or changed on, a joined channel.
    Member {
        channel_id: ChannelId,
        member: Member,
    },
    /// Someone left a joined channel.
    MemberLeft {
        channel_id: ChannelId,
        session_id: SessionId,
    },
    WebrtcAnswer {
        channel_id: ChannelId,
        sdp: String,
    },
    /// The audio connection of this channel is gone; offer a new one.
    WebrtcClosed {
        channel_id: ChannelId,
    },
    IceCandidate {
        channel_id: ChannelId,
    },
    /// The floor is yours.
    StartSuccess {
        channel_id: ChannelId,
        transmission_id: TransmissionId,
        level: Level,
        /// How long this transmission may still last, in milliseconds.
        limit_ms: u64,
    },
    StartFailed {
        channel_id: ChannelId,
        reason: DenyReason,
        /// Who talks, where that is the reason.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        talk: Option<Talk>,
    },
    /// You wait for the floor. Sent again whenever the place changes.
    Queued {
        channel_id: ChannelId,
        /// 1 is next.
        position: u32,
        waiting: u32,
    },
    /// The talk limit is near.
    LimitWarning {
        channel_id: ChannelId,
        transmission_id: TransmissionId,
        left_ms: u64,
    },
    /// The floor was taken from you. Audio still passes for `grace_ms`.
    Revoked {
        channel_id: ChannelId,
        transmission_id: TransmissionId,
        reason: EndReason,
        grace_ms: u64,
    },
    /// Someone else, or another device, talks.
    Start {
        channel_id: ChannelId,
        #[serde(flatten)]
        talk: Talk,
    },
    /// That transmission is over. Answers STOP too, with no transmission where none ran.
    Stop {
        channel_id: ChannelId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        transmission_id: Option<TransmissionId>,
        reason: EndReason,
    },
    Mute {
        channel_id: ChannelId,
    },
    Unmute {
        channel_id: ChannelId,
    },
    Presence {
        state: Presence,
    },
    Pong {},
    /// No such channel, or not for you: the answer is the same.
    NotAuthorized {
        channel_id: ChannelId,
    },
    Error {
        code: ErrorCode,
        message: String,
    },
    /// The box is about to close this WebSocket.
    Bye {
        reason: ByeReason,
    },
}
