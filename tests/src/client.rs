//! A device's signaling, without its sound.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use futures_util::{SinkExt, StreamExt};
use pttd_core::wire::signal::{ClientMessage, Reply, Request, ServerMessage};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderName;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::site::{Door, Site};

/// How long an answer may take on a busy machine. A test that waits so long fails.
pub const PATIENCE: Duration = Duration::from_secs(10);

pub type Socket = WebSocketStream<TlsStream<TcpStream>>;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Encoding {
    Json,
    MessagePack,
}

impl Encoding {
    pub fn protocol(self) -> &'static str {
        match self {
            Encoding::Json => "pttd.json",
            Encoding::MessagePack => "pttd.msgpack",
        }
    }

    fn write(self, request: &Request) -> Result<Message> {
        Ok(match self {
            Encoding::Json => Message::text(serde_json::to_string(request)?),
            Encoding::MessagePack => Message::binary(rmp_serde::to_vec_named(request)?),
        })
    }

    fn read(self, message: &Message) -> Result<Reply> {
        match (self, message) {
            (Encoding::Json, Message::Text(text)) => {
                serde_json::from_str(text).with_context(|| format!("not a message: {text}"))
            }
            (Encoding::MessagePack, Message::Binary(bytes)) => {
                rmp_serde::from_slice(bytes).with_context(|| format!("not a message: {bytes:?}"))
            }
            _ => bail!("{message:?} on a connection of {self:?}"),
        }
    }
}

/// Why there is no WebSocket.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("the box answered the upgrade with {0}")]
    Status(u16),
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

/// A signed-in device.
pub struct Client {
    pub user: String,
    /// The device credential.
    pub device: String,
    /// The WELCOME.
    pub welcome: ServerMessage,
    encoding: Encoding,
    outgoing: mpsc::UnboundedSender<Message>,
    incoming: mpsc::UnboundedReceiver<Result<Reply, String>>,
    /// Came, and nobody asked for it yet.
    inbox: VecDeque<Reply>,
    last_id: u64,
}

impl Door {
    /// Opens `/ws` with these headers: a socket nobody has said HELLO on, and the subprotocol it was given.
    pub async fn websocket(&self, headers: &[(&str, &str)]) -> Result<(Socket, String), Refused> {
        let mut request = format!("wss://127.0.0.1:{}/ws", self.ready.https.port())
            .into_client_request()
            .context("the request for a WebSocket")?;
        for (name, value) in headers {
            let name: HeaderName = name.parse().context("a header's name")?;
            request
                .headers_mut()
                .insert(name, value.parse().context("a header's value")?);
        }
        let (socket, answer) =
            match tokio_tungstenite::client_async(request, self.tls().await?).await {
                Ok(opened) => opened,
                Err(tungstenite::Error::Http(answer)) => {
                    return Err(Refused::Status(answer.status().as_u16()));
                }
                Err(e) => return Err(Refused::Other(e.into())),
            };
        let protocol = answer.headers().get("sec-websocket-protocol");
        let protocol = protocol
            .and_then(|p| p.to_str().ok())
            .unwrap_or_default()
            .to_string();
        Ok((socket, protocol))
    }

    /// POSTs the invitation as the page does: the device credential.
    pub async fn redeem(&self, secret: &str) -> Result<String> {
        let body = json!({ "invitation": secret }).to_string();
        let headers = [("content-type", "application/json")];
        let answer = self
            .https("POST", "/api/v1/sign-in", &headers, &body)
            .await?;
        ensure!(
            answer.status == 200,
            "sign-in: {} {}",
            answer.status,
            answer.text()
        );
        let device = answer.json()?["device"].as_str().map(String::from);
        device.context("sign-in gives a device credential")
    }

    /// The same device again.
    pub async fn readmit(
        &self,
        user: &str,
        device: &str,
        encoding: Encoding,
        resume: Option<String>,
    ) -> Result<Client> {
        let socket = self
            .websocket(&[("sec-websocket-protocol", encoding.protocol())])
            .await?
            .0;
        let hello = ClientMessage::Hello {
            token: None,
            device: Some(device.to_string()),
            resume,
        };
        Client::over(socket, encoding, user, Some(hello)).await
    }
}

impl Site {
    /// Invited, signed in and connected.
    pub async fn client(&self, user: &str) -> Result<Client> {
        self.client_in(user, Encoding::Json).await
    }

    pub async fn client_in(&self, user: &str, encoding: Encoding) -> Result<Client> {
        let device = self.redeem(&self.invite(user)?.secret).await?;
        self.readmit(user, &device, encoding, None).await
    }
}

impl Client {
    /// Says HELLO where there is one to say, and waits for the WELCOME.
    pub async fn over(
        socket: Socket,
        encoding: Encoding,
        user: &str,
        hello: Option<ClientMessage>,
    ) -> Result<Client> {
        let (outgoing, to_send) = mpsc::unbounded_channel();
        let (came, incoming) = mpsc::unbounded_channel();
        tokio::spawn(carry(socket, encoding, to_send, came));
        let mut client = Client {
            user: user.to_string(),
            device: String::new(),
            welcome: ServerMessage::Pong {},
            encoding,
            outgoing,
            incoming,
            inbox: VecDeque::new(),
            last_id: 0,
        };
        if let Some(ClientMessage::Hello {
            device: Some(device),
            ..
        }) = &hello
        {
            client.device.clone_from(device);
        }
        if let Some(hello) = hello {
            client.tell(hello).await?;
        }
        client.welcome = client
            .expect("WELCOME", |m| {
                matches!(m, ServerMessage::Welcome { .. }).then(|| m.clone())
            })
            .await?;
        if let ServerMessage::Welcome {
            device: Some(device),
            ..
        } = &client.welcome
        {
            client.device.clone_from(device);
        }
        Ok(client)
    }

    /// Sends a message nobody has to answer.
    pub async fn tell(&mut self, message: ClientMessage) -> Result<()> {
        let message = self.encoding.write(&Request { id: None, message })?;
        self.send(message)
    }

    /// Sends a request and waits for what answers it.
    pub async fn ask(&mut self, message: ClientMessage) -> Result<ServerMessage> {
        self.last_id += 1;
        let id = Some(self.last_id);
        let what = format!("an answer to {message:?}");
        let request = self.encoding.write(&Request { id, message })?;
        self.send(request)?;
        self.take(&what, PATIENCE, |reply| {
            (reply.id == id).then(|| reply.message.clone())
        })
        .await
    }

    /// Sends whatever it is.
    pub fn send(&mut self, message: Message) -> Result<()> {
        let sent = self.outgoing.send(message);
        sent.map_err(|_over| anyhow!("{} has no connection to send on", self.user))
    }

    /// Waits for the first message this finds something in. What else comes stays for later questions.
    pub async fn expect<T>(
        &mut self,
        what: &str,
        find: impl FnMut(&ServerMessage) -> Option<T>,
    ) -> Result<T> {
        self.expect_within(PATIENCE, what, find).await
    }

    pub async fn expect_within<T>(
        &mut self,
        deadline: Duration,
        what: &str,
        mut find: impl FnMut(&ServerMessage) -> Option<T>,
    ) -> Result<T> {
        self.take(what, deadline, |reply| find(&reply.message))
            .await
    }

    async fn take<T>(
        &mut self,
        what: &str,
        deadline: Duration,
        mut find: impl FnMut(&Reply) -> Option<T>,
    ) -> Result<T> {
        let mut seen = 0;
        let found = tokio::time::timeout(deadline, async {
            loop {
                while let Some(reply) = self.inbox.get(seen) {
                    if let Some(found) = find(reply) {
                        self.inbox.remove(seen);
                        return Ok(found);
                    }
                    seen += 1;
                }
                match self.incoming.recv().await {
                    Some(Ok(reply)) => self.inbox.push_back(reply),
                    Some(Err(end)) => return Err(anyhow!("the connection ended: {end}")),
                    None => return Err(anyhow!("the connection is over")),
                }
            }
        })
        .await;
        found
            .unwrap_or_else(|_| Err(anyhow!("not within {deadline:?}")))
            .with_context(|| format!("{} waiting for {what}; it has {:?}", self.user, self.inbox))
    }

    /// What the box had said up to now that nobody asked for. It answers in order: whatever it had to say
    /// before it saw this question is here.
    pub async fn unasked(&mut self) -> Result<Vec<ServerMessage>> {
        self.ask(ClientMessage::Ping {}).await?;
        Ok(self.inbox.drain(..).map(|reply| reply.message).collect())
    }

    /// Waits until the box has closed the connection: what it said last.
    pub async fn closed(&mut self) -> Result<String> {
        tokio::time::timeout(PATIENCE, async {
            loop {
                match self.incoming.recv().await {
                    Some(Ok(reply)) => self.inbox.push_back(reply),
                    Some(Err(end)) => return end,
                    None => return String::from("closed before"),
                }
            }
        })
        .await
        .with_context(|| format!("the box should close {}'s connection", self.user))
    }

    /// Goes without a word, as a phone in a lift does.
    pub fn vanish(self) {}

    /// Closes the WebSocket as a page does that is closed.
    pub async fn close(mut self) -> Result<()> {
        self.send(Message::Close(None))?;
        self.closed().await.map(drop)
    }
}

/// Owns the socket, which is gone when the client is forgotten.
async fn carry(
    mut socket: Socket,
    encoding: Encoding,
    mut to_send: mpsc::UnboundedReceiver<Message>,
    came: mpsc::UnboundedSender<Result<Reply, String>>,
) {
    let end = loop {
        let next = tokio::select! {
            message = to_send.recv() => {
                let Some(message) = message else { return };
                match socket.send(message).await {
                    Ok(()) => continue,
                    Err(e) => break e.to_string(),
                }
            }
            next = socket.next() => next,
        };
        let reply = match next {
            Some(Ok(Message::Close(frame))) => break format!("{frame:?}"),
            Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => encoding.read(&message),
            Some(Ok(_)) => continue,
            Some(Err(e)) => break e.to_string(),
            None => break String::from("the stream ended"),
        };
        let came = came.send(reply.map_err(|e| format!("{e:#}")));
        if came.is_err() {
            return;
        }
    };
    let _ = came.send(Err(end));
}

/// `expect!(anna, ServerMessage::Queued { position, .. } => position)`: waits for a message of this form.
#[macro_export]
macro_rules! expect {
    ($client:expr, $pattern:pat $(if $guard:expr)? => $found:expr) => {
        $client.expect(stringify!($pattern $(if $guard)?), |message| {
            #[allow(unused_variables, reason = "a pattern may name what only its guard uses")]
            match message.clone() {
                $pattern $(if $guard)? => Some($found),
                _ => None,
            }
        }).await
    };
    ($client:expr, $pattern:pat $(if $guard:expr)?) => {
        $crate::expect!($client, $pattern $(if $guard)? => ())
    };
}
