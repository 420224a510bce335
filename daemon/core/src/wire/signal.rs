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
    /// A dispatcher ends the running transmission, where one is named only that.
    EndTalk {
        channel_id: ChannelId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        transmission_id: Option<TransmissionId>,
    },
    /// A dispatcher keeps a user from talking on a channel for 1 to 30 minutes; 0 lets them talk again.
    Silence {
        channel_id: ChannelId,
        user_id: UserId,
        minutes: u32,
    },
    /// Ask the dispatchers of a channel to call back.
    CallMe {
        channel_id: ChannelId,
    },
    /// The caller does not wait any more.
    CancelCall {
        call_id: u64,
    },
    /// A dispatcher takes a call; the other dispatchers see by whom.
    TakeCall {
        call_id: u64,
    },
    /// A dispatcher is done with a call: it leaves the list.
    CloseCall {
        call_id: u64,
    },
    RaiseEmergency {
        channel_id: ChannelId,
    },
    /// A dispatcher has seen it; the others learn by whom.
    AcknowledgeEmergency {
        emergency_id: u64,
    },
    /// Its raiser, or a dispatcher, ends it.
    ClearEmergency {
        emergency_id: u64,
    },
    /// A dispatcher sits down at a position, new or left by, or taken from, someone else. What was kept of
    /// it comes back in `POSITION`.
    TakePosition {
        position_id: String,
    },
    /// Stand up: the position stays, with all that belongs to it.
    LeavePosition {},
    /// Forget a position nobody holds.
    RemovePosition {
        position_id: String,
    },
    /// Keep the page's layout, volumes, mutes and notes with the position this session holds.
    SavePosition {
        layout: String,
    },
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
    /// The heading under which pages show it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// What is said here is kept for a while.
    #[serde(default)]
    pub recorded: bool,
    /// Whoever talks here hears themselves afterwards, and nobody else hears them.
    #[serde(default)]
    pub echo: bool,
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
    /// A dispatcher keeps them from talking here for this long yet, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silenced_ms: Option<u64>,
}

/// A transmission that is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PastTalk {
    pub transmission_id: TransmissionId,
    pub talker: Person,
    pub level: Level,
    /// When it began, UTC milliseconds since 1970.
    pub began: u64,
    pub duration_ms: u64,
    pub reason: EndReason,
}

/// Someone who asked to be called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    pub call_id: u64,
    pub channel_id: ChannelId,
    pub caller: Person,
    /// Whether the caller's device is still there.
    pub here: bool,
    pub waiting_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken: Option<Taken>,
}

/// Who looks after a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Taken {
    /// The dispatcher's name.
    pub by: String,
    /// The position the call belongs to, and moves on with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position_id: Option<String>,
}

/// What became of one's own call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallState {
    Waiting,
    Taken,
    Closed,
}

/// An emergency, from its raising until it is cleared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Emergency {
    pub emergency_id: u64,
    pub channel_id: ChannelId,
    pub raiser: Person,
    pub elapsed_ms: u64,
    /// Names of the dispatchers who have seen it.
    pub acknowledged_by: Vec<String>,
}

/// A dispatcher's seat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Position {
    pub position_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<Person>,
}

/// How someone sounds on the echo channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EchoVerdict {
    Good,
    TooQuiet,
    TooLoud,
    /// The microphone sent silence, or nothing.
    NothingHeard,
    /// Packets were lost on the way to the box.
    BadNetwork,
    /// Heard, but the browser does not say how loud.
    Unmeasured,
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
    /// A dispatcher keeps this user from talking here for a while.
    Silenced,
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
    /// A dispatcher ended it.
    Ended,
    /// A dispatcher ended it and keeps the talker silent for a while.
    Silenced,
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
    /// Only dispatchers may do this, or only those with the right to raise an emergency.
    NoRight,
    /// There is no such call, emergency or position any more.
    NotFound,
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
    /// An admin ended this session.
    Kicked,
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
        /// The last transmissions, oldest first, at most ten.
        #[serde(default)]
        recent: Vec<PastTalk>,
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
    /// Several at once, after a change of the roster.
    MembersLeft {
        channel_id: ChannelId,
        session_ids: Vec<SessionId>,
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
    /// To dispatchers: the open calls of all their channels. Replaces what was told before.
    Calls {
        calls: Vec<Call>,
    },
    /// To the caller, and the answer to `CALL_ME`, `CANCEL_CALL`, `TAKE_CALL` and `CLOSE_CALL`.
    Call {
        call_id: u64,
        channel_id: ChannelId,
        state: CallState,
        /// The dispatcher's name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// To the members of their channels who have joined, and to the dispatchers. Replaces what was told before.
    Emergencies {
        emergencies: Vec<Emergency>,
    },
    /// Answers `RAISE_EMERGENCY`, `ACKNOWLEDGE_EMERGENCY` and `CLEAR_EMERGENCY`.
    Emergency {
        emergency_id: u64,
        cleared: bool,
    },
    /// To dispatchers: who sits where. Replaces what was told before.
    Positions {
        positions: Vec<Position>,
    },
    /// This session holds the position now.
    Position {
        position_id: String,
        /// What was last saved; empty for a new position.
        layout: String,
        /// Who held it until now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        taken_from: Option<Person>,
    },
    /// This session does not hold the position any more. Answers `LEAVE_POSITION` and `REMOVE_POSITION`, too.
    PositionLost {
        position_id: String,
        /// Who took it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Person>,
    },
    PositionSaved {
        position_id: String,
    },
    /// Answers `END_TALK`.
    TalkEnded {
        channel_id: ChannelId,
    },
    /// Answers `SILENCE`, and tells the one who was silenced; `left_ms` 0: may talk again.
    Silenced {
        channel_id: ChannelId,
        user_id: UserId,
        left_ms: u64,
        by: String,
    },
    /// After talking on an echo channel: how it was. What was said is played back from now on.
    Echo {
        channel_id: ChannelId,
        verdict: EchoVerdict,
        /// Mean level of what was said, in dBov (RFC 6464: 0 is the loudest, -127 silence).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        level_db: Option<i32>,
        /// How far that is from the level speech should have, -26 dBov; negative: too quiet.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        off_by_db: Option<i32>,
        lost_percent: u32,
        /// How long it plays, in milliseconds.
        plays_ms: u64,
    },
    /// The box is about to close this WebSocket.
    Bye {
        reason: ByeReason,
    },
}
