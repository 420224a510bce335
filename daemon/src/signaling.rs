//! `/ws`: one task for each WebSocket, from the upgrade to the goodbye.
//!
//! ```text
//!  upgrade (token? 401 if bad) ─> HELLO within 5 s ─> WELCOME ─> requests and replies ─> BYE, close
//! ```
//! It decodes, encodes and keeps the limits; what a message means is decided by the reactor.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::SinkExt;
use pttd_core::edge::{ConnectionId, Input};
use pttd_core::wire::encoding::Encoding;
use pttd_core::wire::signal::{ClientMessage, ErrorCode, Reply, Request, RequestId, ServerMessage};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::reactor::{self, ToClient};
use crate::sign_in::{Admitted, Refused, SignIn, new_secret};
use crate::store::{hash, short_id};

pub const MAX_MESSAGE: usize = 64 * 1024;
/// Cleared before each read: the library's own 128 KiB cost more than the message.
const READ_BUFFER: usize = 4 * 1024;
/// Messages are written together up to this many, and this many bytes.
const TOGETHER: usize = 64;
const WRITE_BUFFER: usize = 16 * 1024;
/// A client that leaves this much unread is dropped. One message may be this long: JOINED of five thousand
/// members with long names. A client holds that much for as long as it may leave a message unread.
const MAX_UNREAD: usize = 4 * 1024 * 1024;
const HELLO_WITHIN: Duration = Duration::from_secs(5);
const PING_EVERY: Duration = Duration::from_secs(5);
/// Nothing heard for this long, no answer to a ping either: the connection is lost.
const LOST_AFTER: Duration = Duration::from_secs(12);
/// A message that cannot be handed to the network for this long was not read.
const WRITE_WITHIN: Duration = Duration::from_secs(5);
/// WebSockets at a time.
const MAX_CONNECTIONS: usize = 4096;
/// What a client may ask at once, and then each second; see [`price`]. Who asks for more is read slower.
const BURST: f64 = 1200.0;
const PER_SECOND: f64 = 100.0;
/// Messages that were not understood before the connection is given up.
const MAX_MISTAKES: u32 = 20;

const JSON: &str = "pttd.json";
const MESSAGE_PACK: &str = "pttd.msgpack";
/// The field's own name for JSON with a token beside it.
const VOICEPING: &str = "voiceping";

pub struct Signaling {
    reactor: reactor::Inbox,
    sign_in: Arc<SignIn>,
    next: AtomicU64,
    room: Arc<Semaphore>,
}

impl Signaling {
    pub fn new(reactor: reactor::Inbox, sign_in: Arc<SignIn>) -> Signaling {
        Signaling {
            reactor,
            sign_in,
            next: AtomicU64::new(1),
            room: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
        }
    }
}

/// The handler of `/ws`.
pub async fn upgrade(
    State(signaling): State<Arc<Signaling>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let Ok(room) = signaling.room.clone().try_acquire_owned() else {
        tracing::debug!(%peer, "too many WebSockets, one more refused");
        metrics::counter!("pttd_websockets_refused_total").increment(1);
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "too many devices are connected\n",
        )
            .into_response();
    };
    let admitted = match token(&headers) {
        None => None,
        Some(token) => match signaling.admit(Credential::Bearer(token), peer.ip()).await {
            Ok(admitted) => Some(admitted),
            Err(refused) => {
                not_let_in(peer.ip(), &refused);
                let status = match refused {
                    Refused::TooManyTries => StatusCode::TOO_MANY_REQUESTS,
                    Refused::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
                    Refused::SignIn(_) | Refused::Token(_) => StatusCode::UNAUTHORIZED,
                };
                return (status, format!("{refused}\n")).into_response();
            }
        },
    };
    upgrade
        .protocols([JSON, MESSAGE_PACK, VOICEPING])
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(MAX_UNREAD)
        .on_upgrade(move |socket| async move {
            let encoding = match socket.protocol().and_then(|p| p.to_str().ok()) {
                Some(MESSAGE_PACK) => Encoding::MessagePack,
                _ => Encoding::Json,
            };
            let client = Client {
                id: ConnectionId(signaling.next.fetch_add(1, Ordering::Relaxed)),
                peer: peer.ip(),
                socket,
                encoding,
                signaling,
                allowance: Allowance::new(Instant::now()),
                mistakes: 0,
                _room: room,
            };
            client.run(admitted).await;
        })
}

enum Credential {
    Bearer(String),
    Token(String),
    Device(String),
}

impl Signaling {
    /// The store may have to be read, or written: never on the threads that others wait for.
    async fn admit(&self, credential: Credential, from: IpAddr) -> Result<Admitted, Refused> {
        let sign_in = self.sign_in.clone();
        let admitted = tokio::task::spawn_blocking(move || match credential {
            Credential::Bearer(bearer) => sign_in.with_bearer(&bearer, from),
            Credential::Token(token) => sign_in.with_token(&token, from),
            Credential::Device(device) => sign_in.with_device(&device),
        });
        admitted
            .await
            .unwrap_or_else(|e| Err(Refused::Store(e.into())))
    }
}

/// Anyone can be refused as often as they like: the log is not theirs to fill.
fn not_let_in(peer: IpAddr, refused: &Refused) {
    tracing::debug!(%peer, error = %refused, "not let in");
    metrics::counter!("pttd_websockets_not_let_in_total").increment(1);
}

/// A token in the `Authorization` header, or in the list of subprotocols: the one of three parts.
fn token(headers: &HeaderMap) -> Option<String> {
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    let offered = headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .find(|protocol| protocol.split('.').count() == 3);
    bearer.or(offered).map(|token| token.trim().to_string())
}

/// Why a connection ended.
enum End {
    /// The client closed it: its session ends.
    Clean,
    /// It broke off: its session waits for the client to come back.
    Lost(&'static str),
    /// The box closed it.
    Closed,
}

/// A page that is left closes with 1000 or 1001, or with no word of why (RFC 6455 7.4). Any other code is of a
/// client that gave the connection up and will come back to its session.
fn how_closed(frame: Option<&CloseFrame>) -> End {
    match frame.map(|frame| frame.code) {
        None | Some(close_code::NORMAL | close_code::AWAY | close_code::STATUS) => End::Clean,
        Some(_) => End::Lost("given up by the client"),
    }
}

struct Client {
    id: ConnectionId,
    peer: IpAddr,
    socket: WebSocket,
    encoding: Encoding,
    signaling: Arc<Signaling>,
    allowance: Allowance,
    mistakes: u32,
    _room: OwnedSemaphorePermit,
}

impl Client {
    async fn run(mut self, admitted: Option<Admitted>) {
        let hello = match admitted {
            Some(admitted) => Ok(Hello {
                device: Some(admitted.device.clone()),
                admitted,
                request: None,
                resume: None,
            }),
            None => match tokio::time::timeout(HELLO_WITHIN, self.hello()).await {
                Ok(hello) => hello,
                Err(_) => {
                    let message = "HELLO has to come within 5 s";
                    self.refuse(None, ErrorCode::BadOrder, message).await;
                    return;
                }
            },
        };
        let Ok(hello) = hello else {
            return;
        };
        let Ok(secret) = new_secret::<16>() else {
            return;
        };
        let reactor = self.signaling.reactor.clone();
        let queue = reactor.open(self.id).await;
        let credential = hello.admitted.device;
        let signed_in = Input::SignedIn {
            connection: self.id,
            user: hello.admitted.user,
            address: self.peer,
            request: hello.request,
            resume: hello.resume,
            secret,
            device: hello.device,
            device_id: short_id(&hash(&credential)),
        };
        reactor.tell(signed_in).await;
        // A device that was locked out since it was looked up had no session yet that could be ended.
        let still = self
            .signaling
            .admit(Credential::Device(credential), self.peer);
        if let Err(refused @ Refused::SignIn(_)) = still.await {
            not_let_in(self.peer, &refused);
            let connection = self.id;
            let clean = true;
            return reactor.tell(Input::Closed { connection, clean }).await;
        }
        let end = self.talk(queue).await;
        let clean = match end {
            End::Clean | End::Closed => true,
            End::Lost(why) => {
                tracing::debug!(connection = self.id.0, peer = %self.peer, why, "connection lost");
                false
            }
        };
        let connection = self.id;
        reactor.tell(Input::Closed { connection, clean }).await;
    }

    /// Waits for the first message. What is wrong with it has been said when this fails.
    async fn hello(&mut self) -> Result<Hello, ()> {
        let request = loop {
            match self.socket.recv().await {
                Some(Ok(Message::Text(text))) => break self.decode(text.as_bytes()),
                Some(Ok(Message::Binary(bytes))) => break self.decode(&bytes),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(()),
            }
        };
        let request = match request {
            Ok(request) => request,
            Err(error) => {
                self.refuse(None, ErrorCode::BadMessage, &error).await;
                return Err(());
            }
        };
        let ClientMessage::Hello {
            token,
            device,
            resume,
        } = request.message
        else {
            let message = "the first message has to be HELLO";
            self.refuse(request.id, ErrorCode::BadOrder, message).await;
            return Err(());
        };
        let (credential, new_device) = match (token, device) {
            (Some(token), _) => (Credential::Token(token), true),
            (None, Some(device)) => (Credential::Device(device), false),
            (None, None) => {
                let message = "HELLO needs a token or a device credential";
                self.refuse(request.id, ErrorCode::BadCredential, message)
                    .await;
                return Err(());
            }
        };
        match self.signaling.admit(credential, self.peer).await {
            Ok(admitted) => Ok(Hello {
                device: new_device.then(|| admitted.device.clone()),
                admitted,
                request: request.id,
                resume,
            }),
            Err(refused) => {
                not_let_in(self.peer, &refused);
                self.refuse(request.id, refused.code(), &refused.to_string())
                    .await;
                Err(())
            }
        }
    }

    async fn talk(&mut self, mut queue: mpsc::Receiver<ToClient>) -> End {
        let mut ping = tokio::time::interval(PING_EVERY);
        let mut heard = Instant::now();
        loop {
            // All are cancel-safe: a message that is being read stays in the socket's buffer.
            tokio::select! {
                next = queue.recv() => match next {
                    Some(next) => if let Some(end) = self.deliver(next, &mut queue).await {
                        return end;
                    },
                    None => return End::Lost("it does not read"),
                },
                read = self.socket.recv() => {
                    heard = Instant::now();
                    match read {
                        Some(Ok(Message::Text(text))) => {
                            if !self.request(text.as_bytes()).await {
                                return End::Lost("it does not speak this protocol");
                            }
                        }
                        Some(Ok(Message::Binary(bytes))) => {
                            if !self.request(&bytes).await {
                                return End::Lost("it does not speak this protocol");
                            }
                        }
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                        Some(Ok(Message::Close(frame))) => return how_closed(frame.as_ref()),
                        Some(Err(_)) | None => return End::Lost("broken off"),
                    }
                }
                _ = ping.tick() => {
                    if heard.elapsed() > LOST_AFTER {
                        return End::Lost("silent");
                    }
                    if !self.write(Message::Ping(Default::default())).await {
                        return End::Lost("it does not read");
                    }
                }
            }
        }
    }

    /// Sends this and what waits behind it in one go. Some: the connection is over.
    async fn deliver(
        &mut self,
        first: ToClient,
        queue: &mut mpsc::Receiver<ToClient>,
    ) -> Option<End> {
        let mut next = Some(first);
        let mut fed = 0;
        while let Some(message) = next {
            fed += 1;
            match message {
                ToClient::Reply(reply) if self.feed(&reply).await => {}
                ToClient::Reply(_) => return Some(End::Lost("it does not read")),
                ToClient::Close => {
                    self.close().await;
                    return Some(End::Closed);
                }
            }
            // The client is read and pinged in between.
            next = if fed < TOGETHER {
                queue.try_recv().ok()
            } else {
                None
            };
        }
        match self.flush().await {
            true => None,
            false => Some(End::Lost("it does not read")),
        }
    }

    /// False: enough of this client.
    async fn request(&mut self, bytes: &[u8]) -> bool {
        let request = self.decode(bytes);
        let price = request.as_ref().map_or(1.0, |r| price(&r.message));
        let wait = self.allowance.take(price, Instant::now());
        if !wait.is_zero() {
            metrics::counter!("pttd_clients_slowed_total").increment(1);
            tokio::time::sleep(wait).await;
        }
        match request {
            Ok(request) => {
                let connection = self.id;
                let input = Input::Message {
                    connection,
                    request,
                };
                self.signaling.reactor.tell(input).await;
                true
            }
            Err(message) => {
                metrics::counter!("pttd_messages_not_understood_total").increment(1);
                self.mistakes += 1;
                let reply = error(None, ErrorCode::BadMessage, &message);
                self.send(&reply).await && self.mistakes < MAX_MISTAKES
            }
        }
    }

    fn decode(&self, bytes: &[u8]) -> Result<Request, String> {
        self.encoding.decode(bytes).map_err(|e| e.to_string())
    }

    async fn send(&mut self, reply: &Reply) -> bool {
        self.feed(reply).await && self.flush().await
    }

    async fn feed(&mut self, reply: &Reply) -> bool {
        let message = match self.encoding.encode(reply) {
            Ok(bytes) if self.encoding == Encoding::MessagePack => Message::Binary(bytes.into()),
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Message::Text(text.into()),
                Err(_) => return false,
            },
            Err(error) => {
                tracing::error!(%error, "a message of ours cannot be encoded");
                return true;
            }
        };
        let fed = tokio::time::timeout(WRITE_WITHIN, self.socket.feed(message)).await;
        matches!(fed, Ok(Ok(())))
    }

    async fn flush(&mut self) -> bool {
        let flushed = tokio::time::timeout(WRITE_WITHIN, self.socket.flush()).await;
        matches!(flushed, Ok(Ok(())))
    }

    async fn write(&mut self, message: Message) -> bool {
        let written = tokio::time::timeout(WRITE_WITHIN, self.socket.send(message)).await;
        matches!(written, Ok(Ok(())))
    }

    async fn refuse(&mut self, id: Option<RequestId>, code: ErrorCode, message: &str) {
        if self.send(&error(id, code, message)).await {
            self.close().await;
        }
    }

    /// Says goodbye, and waits for the client's, so that what was sent before is read.
    async fn close(&mut self) {
        if self.write(Message::Close(None)).await {
            let answer = async { while let Some(Ok(_)) = self.socket.recv().await {} };
            let _ = tokio::time::timeout(Duration::from_millis(500), answer).await;
        }
    }
}

struct Hello {
    admitted: Admitted,
    request: Option<RequestId>,
    resume: Option<String>,
    /// A credential the device does not have yet.
    device: Option<String>,
}

fn error(id: Option<RequestId>, code: ErrorCode, message: &str) -> Reply {
    let message = message.to_string();
    Reply {
        id,
        message: ServerMessage::Error { code, message },
    }
}

/// What a message costs the box and the others: some are told to everyone on each of the sender's channels.
fn price(message: &ClientMessage) -> f64 {
    match message {
        ClientMessage::Presence { .. } => 40.0,
        ClientMessage::CallMe { .. } => 20.0,
        ClientMessage::Join { .. }
        | ClientMessage::Leave { .. }
        | ClientMessage::WebrtcOffer { .. }
        | ClientMessage::CancelCall { .. }
        | ClientMessage::TakeCall { .. }
        | ClientMessage::CloseCall { .. }
        | ClientMessage::RaiseEmergency { .. }
        | ClientMessage::AcknowledgeEmergency { .. }
        | ClientMessage::ClearEmergency { .. }
        | ClientMessage::TakePosition { .. }
        | ClientMessage::LeavePosition {}
        | ClientMessage::RemovePosition { .. }
        | ClientMessage::SavePosition { .. }
        | ClientMessage::Silence { .. } => 4.0,
        ClientMessage::Hello { .. }
        | ClientMessage::IceCandidate { .. }
        | ClientMessage::Start { .. }
        | ClientMessage::Stop { .. }
        | ClientMessage::EndTalk { .. }
        | ClientMessage::Mute { .. }
        | ClientMessage::Unmute { .. }
        | ClientMessage::Ping {} => 1.0,
    }
}

/// How fast a client may send: a bucket of messages that fills with time.
struct Allowance {
    left: f64,
    at: Instant,
}

impl Allowance {
    fn new(now: Instant) -> Allowance {
        Allowance {
            left: BURST,
            at: now,
        }
    }

    /// How long to wait before the message may go on.
    fn take(&mut self, price: f64, now: Instant) -> Duration {
        let gained = now.saturating_duration_since(self.at).as_secs_f64() * PER_SECOND;
        self.left = (self.left + gained).min(BURST) - price;
        self.at = now;
        Duration::from_secs_f64((-self.left / PER_SECOND).max(0.0))
    }
}
