//! A crowd: many devices with sound, in one thread. For measuring, so it does as little as a client can do.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io::IoSliceMut;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};
use futures_util::{SinkExt, StreamExt};
use nix::cmsg_space;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::EventFd;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use serde_json::{Value, json};
use str0m::rtp::RtpPacket;
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::Message;

use crate::endpoint::{Endpoint, FRAME, Word, World};
use crate::site::Site;

/// What has come in since it was last asked.
#[derive(Default)]
pub struct Tally {
    pub packets: u64,
    /// From the talker's hand to the listener's socket, by the kernel's clock.
    pub delays: Vec<Duration>,
}

/// Drives the sound of a crowd in a thread of its own.
pub struct Load {
    orders: Sender<Order>,
    wake: Arc<EventFd>,
    tally: Arc<Mutex<Tally>>,
}

enum Order {
    Adopt(Box<Endpoint>, UdpSocket, String, oneshot::Sender<usize>),
    /// Nobody needs this one any more.
    Leave(usize),
    /// These talk from now on, nobody else.
    Talkers(Vec<usize>),
    End,
}

/// One device's signaling, which says only what a join needs.
pub struct Session {
    questions: mpsc::UnboundedSender<String>,
    answers: mpsc::UnboundedReceiver<String>,
    asked: u64,
}

pub fn wall_clock() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

impl Session {
    /// One more session of a device.
    pub async fn sign_in(site: &Site, device: &str) -> Result<Session> {
        let bearer = format!("Bearer {device}");
        let headers = [
            ("authorization", bearer.as_str()),
            ("sec-websocket-protocol", "pttd.json"),
        ];
        let (mut socket, _) = site.websocket(&headers).await?;
        let (questions, mut asked) = mpsc::unbounded_channel::<String>();
        let (answer, answers) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    question = asked.recv() => {
                        let Some(question) = question else { return };
                        if socket.send(Message::text(question)).await.is_err() {
                            return;
                        }
                    }
                    message = socket.next() => match message {
                        // News are read, so that the box never waits for this one, and forgotten.
                        Some(Ok(Message::Text(text))) if text.starts_with("{\"id\":") => {
                            let _ = answer.send(text.as_str().to_string());
                        }
                        Some(Ok(_)) => {}
                        Some(Err(_)) | None => return,
                    }
                }
            }
        });
        Ok(Session {
            questions,
            answers,
            asked: 0,
        })
    }

    pub async fn ask(&mut self, mut message: Value) -> Result<Value> {
        self.asked += 1;
        message["id"] = self.asked.into();
        self.questions
            .send(message.to_string())
            .context("the box closed the connection")?;
        loop {
            let answer = self
                .answers
                .recv()
                .await
                .context("the box closed the connection")?;
            let answer: Value = serde_json::from_str(&answer)?;
            if answer["id"] == self.asked {
                return Ok(answer);
            }
        }
    }
}

impl Load {
    pub fn start() -> Result<Load> {
        let (orders, taken) = channel();
        let wake = Arc::new(EventFd::new()?);
        let tally: Arc<Mutex<Tally>> = Arc::default();
        let thread = Thread::new(taken, Arc::clone(&wake), Arc::clone(&tally))?;
        std::thread::Builder::new()
            .name("load".into())
            .spawn(move || thread.run())?;
        Ok(Load {
            orders,
            wake,
            tally,
        })
    }

    /// Joins the channel and connects its sound: the number of the endpoint.
    pub async fn join(&self, session: &mut Session, channel: &str) -> Result<usize> {
        let joined = session
            .ask(json!({"type": "JOIN", "channelId": channel}))
            .await?;
        anyhow::ensure!(joined["type"] == "JOINED", "{joined}");
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_nonblocking(true)?;
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
        let (endpoint, sdp) = Endpoint::new(socket.local_addr()?, Instant::now())?;
        let answer = session
            .ask(json!({"type": "WEBRTC_OFFER", "channelId": channel, "sdp": sdp}))
            .await?;
        let answer = answer["sdp"]
            .as_str()
            .with_context(|| format!("an answer: {answer}"))?;
        let (connected, is_connected) = oneshot::channel();
        self.order(Order::Adopt(
            Box::new(endpoint),
            socket,
            answer.to_string(),
            connected,
        ))?;
        is_connected.await.context("the load thread has ended")
    }

    pub fn leave(&self, endpoint: usize) -> Result<()> {
        self.order(Order::Leave(endpoint))
    }

    /// Who talks from now on: these, each at a time of its own within 20 ms.
    pub fn talkers(&self, endpoints: &[usize]) -> Result<()> {
        self.order(Order::Talkers(endpoints.to_vec()))
    }

    pub fn take_tally(&self) -> Tally {
        std::mem::take(&mut *self.tally.lock().expect("the tally"))
    }

    fn order(&self, order: Order) -> Result<()> {
        self.orders
            .send(order)
            .map_err(|_gone| anyhow!("the load thread has ended"))?;
        self.wake.write(1)?;
        Ok(())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.order(Order::End);
    }
}

struct Peer {
    endpoint: Endpoint,
    socket: UdpSocket,
    connected: Option<oneshot::Sender<usize>>,
    armed: Option<Instant>,
    left: bool,
}

struct Thread {
    orders: Receiver<Order>,
    wake: Arc<EventFd>,
    tally: Arc<Mutex<Tally>>,
    epoll: Epoll,
    peers: Vec<Peer>,
    /// Entries may be stale: `armed` decides.
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
    /// Whoever is due next comes first.
    talkers: VecDeque<(Instant, usize)>,
    said: u32,
}

const WAKE: u64 = u64::MAX;

impl Thread {
    fn new(
        orders: Receiver<Order>,
        wake: Arc<EventFd>,
        tally: Arc<Mutex<Tally>>,
    ) -> Result<Thread> {
        let epoll = Epoll::new(EpollCreateFlags::empty())?;
        epoll.add(&wake, EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        Ok(Thread {
            orders,
            wake,
            tally,
            epoll,
            peers: Vec::new(),
            timers: BinaryHeap::new(),
            talkers: VecDeque::new(),
            said: 0,
        })
    }

    fn run(mut self) {
        let mut events = vec![EpollEvent::empty(); 1024];
        loop {
            let timer = self.timers.peek().map(|Reverse((at, _))| *at);
            let frame = self.talkers.front().map(|(due, _)| *due);
            let due = timer.into_iter().chain(frame).min();
            let wait = due.map_or(Duration::from_secs(1), |at| {
                at.saturating_duration_since(Instant::now())
            });
            // Rounded up: epoll counts in milliseconds, and 0 would spin.
            let wait = EpollTimeout::try_from(wait + Duration::from_micros(999))
                .unwrap_or(EpollTimeout::ZERO);
            let ready = self.epoll.wait(&mut events, wait).unwrap_or(0);
            for event in &events[..ready] {
                match event.data() {
                    WAKE => {
                        let _ = self.wake.read();
                        if !self.take_orders() {
                            return;
                        }
                    }
                    at => self.receive(at as usize),
                }
            }
            self.speak();
            self.serve_timers();
        }
    }

    /// False when nobody gives any more.
    fn take_orders(&mut self) -> bool {
        loop {
            match self.orders.try_recv() {
                Ok(Order::Adopt(mut endpoint, socket, answer, connected)) => {
                    let at = self.peers.len();
                    if let Err(e) = endpoint.answer(&answer) {
                        eprintln!("the load client: {e:#}");
                        continue;
                    }
                    let event = EpollEvent::new(EpollFlags::EPOLLIN, at as u64);
                    self.epoll
                        .add(&socket, event)
                        .expect("watching one more socket");
                    self.peers.push(Peer {
                        endpoint: *endpoint,
                        socket,
                        connected: Some(connected),
                        armed: None,
                        left: false,
                    });
                    self.poll(at);
                }
                Ok(Order::End) => return false,
                Ok(Order::Leave(at)) => {
                    let peer = &mut self.peers[at];
                    peer.left = true;
                    self.epoll
                        .delete(&peer.socket)
                        .expect("watching one socket less");
                }
                Ok(Order::Talkers(who)) => {
                    let now = Instant::now();
                    let apart = FRAME / who.len().max(1) as u32;
                    let due = |(n, at)| (now + apart * n as u32, at);
                    self.talkers = who.into_iter().enumerate().map(due).collect();
                }
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn receive(&mut self, at: usize) {
        let mut buffer = [0; 2048];
        let mut cmsg = cmsg_space!(TimeSpec);
        loop {
            let peer = &mut self.peers[at];
            let mut slices = [IoSliceMut::new(&mut buffer)];
            let fd = peer.socket.as_raw_fd();
            let (length, from, arrived) = match recvmsg::<SockaddrIn>(
                fd,
                &mut slices,
                Some(&mut cmsg),
                MsgFlags::MSG_DONTWAIT,
            ) {
                Ok(message) => {
                    let stamp = message.cmsgs().ok().and_then(|mut all| {
                        all.find_map(|one| match one {
                            ControlMessageOwned::ScmTimestampns(at) => Some(Duration::from(at)),
                            _ => None,
                        })
                    });
                    (message.bytes, message.address, stamp)
                }
                Err(_) => return,
            };
            let Some(from) = from else { continue };
            let from = SocketAddr::V4(from.into());
            let received = peer
                .endpoint
                .receive(from, &buffer[..length], Instant::now());
            if let Err(e) = received {
                eprintln!("the load client: {e:#}");
            }
            self.poll_arrived(at, arrived);
        }
    }

    fn speak(&mut self) {
        while let Some((due, at)) = self.talkers.front().copied() {
            let now = Instant::now();
            if due > now {
                return;
            }
            self.talkers.rotate_left(1);
            if let Some(last) = self.talkers.back_mut() {
                last.0 = due + FRAME;
            }
            let word = Word {
                talker: 0,
                number: self.said,
                sent: wall_clock(),
            };
            self.said += 1;
            if let Err(e) = self.peers[at].endpoint.speak(word, now) {
                eprintln!("the load client: {e:#}");
            }
            self.poll(at);
        }
    }

    fn serve_timers(&mut self) {
        let now = Instant::now();
        while let Some(Reverse((due, at))) = self.timers.peek().copied() {
            if due > now {
                return;
            }
            self.timers.pop();
            if self.peers[at].armed == Some(due) {
                self.peers[at].armed = None;
                self.poll(at);
            }
        }
    }

    fn poll(&mut self, at: usize) {
        self.poll_arrived(at, None);
    }

    fn poll_arrived(&mut self, at: usize, arrived: Option<Duration>) {
        let peer = &mut self.peers[at];
        if peer.left {
            return;
        }
        let mut line = Line {
            socket: &peer.socket,
            tally: &self.tally,
            arrived,
        };
        let until = match peer.endpoint.poll(Instant::now(), &mut line) {
            Ok(until) => until,
            Err(e) => return eprintln!("the load client: {e:#}"),
        };
        if peer.endpoint.connected()
            && let Some(connected) = peer.connected.take()
        {
            let _ = connected.send(at);
        }
        if peer.armed.is_none_or(|armed| until < armed) {
            peer.armed = Some(until);
            self.timers.push(Reverse((until, at)));
        }
    }
}

struct Line<'a> {
    socket: &'a UdpSocket,
    tally: &'a Mutex<Tally>,
    arrived: Option<Duration>,
}

impl World for Line<'_> {
    fn send(&mut self, to: SocketAddr, datagram: &[u8]) {
        let _ = self.socket.send_to(datagram, to);
    }

    fn heard(&mut self, packet: RtpPacket) {
        let mut tally = self.tally.lock().expect("the tally");
        tally.packets += 1;
        if let (Some(word), Some(arrived)) = (Word::decode(&packet.payload), self.arrived) {
            tally.delays.push(arrived.saturating_sub(word.sent));
        }
    }
}
