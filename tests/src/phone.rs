//! A device with signaling and sound: it can join, press, talk and hear.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use pttd_core::ids::{ChannelId, TransmissionId};
use pttd_core::wire::signal::{ClientMessage, Level, ServerMessage};
use str0m::rtp::RtpPacket;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

use crate::client::{Client, PATIENCE};
use crate::endpoint::{Endpoint, FRAME, Word, World, elapsed};
use crate::site::Site;
use crate::sound::Sound;

/// A packet as it came to a listener.
#[derive(Clone, Debug)]
pub struct Heard {
    pub at: Duration,
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
    pub marker: bool,
    /// What it says; none where it is no word of ours.
    pub word: Option<Word>,
    /// Opus.
    pub payload: Vec<u8>,
}

pub struct Phone {
    pub signal: Client,
    /// Says who talks in what it sends.
    pub tag: u32,
    transports: BTreeMap<ChannelId, Transport>,
}

/// One peer connection: this device on one channel.
pub struct Transport {
    orders: mpsc::UnboundedSender<Order>,
    state: watch::Receiver<State>,
    heard: Arc<Mutex<Vec<Heard>>>,
    pub local: SocketAddr,
    /// Where the box listens, as its answer says.
    pub remote: SocketAddr,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct State {
    connected: bool,
    heard: usize,
    /// Words sent by now.
    said: u32,
    over: Option<String>,
}

enum Order {
    Answer(String),
    /// One packet in 20 ms, from now on or no more.
    Talk(bool),
    /// What is said from now on, over and over, in the place of words.
    Sound(Sound),
    /// From now on through another socket, as when a NAT's port moves.
    Move(UdpSocket),
    /// From now on so many of a hundred packets do not arrive.
    Lose(u32),
}

impl Site {
    pub async fn phone(&self, user: &str) -> Result<Phone> {
        Ok(Phone::of(self.client(user).await?))
    }

    /// A phone that has joined, with its sound connected.
    pub async fn phone_on(&self, user: &str, channel: &str) -> Result<Phone> {
        let mut phone = self.phone(user).await?;
        phone.join(channel).await?;
        Ok(phone)
    }
}

impl Deref for Phone {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.signal
    }
}

impl DerefMut for Phone {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.signal
    }
}

/// A transport that waits for the box's answer.
pub struct Offered {
    pub sdp: String,
    endpoint: Endpoint,
    socket: UdpSocket,
    local: SocketAddr,
}

impl Offered {
    pub async fn new() -> Result<Offered> {
        let socket = UdpSocket::bind("127.0.0.1:0").await?;
        let local = socket.local_addr()?;
        let (endpoint, sdp) = Endpoint::new(local, Instant::now())?;
        Ok(Offered {
            sdp,
            endpoint,
            socket,
            local,
        })
    }

    pub fn answered(self, sdp: String, tag: u32, forged: Vec<Vec<u8>>) -> Result<Transport> {
        let remote = candidate(&sdp)?;
        let (orders, taken) = mpsc::unbounded_channel();
        let (told, state) = watch::channel(State::default());
        let heard: Arc<Mutex<Vec<Heard>>> = Arc::default();
        let line = Line {
            socket: self.socket,
            forged,
            lost: 0,
            chance: 1,
            heard: Arc::clone(&heard),
        };
        tokio::spawn(live(self.endpoint, line, tag, taken, told));
        let transport = Transport {
            orders,
            state,
            heard,
            local: self.local,
            remote,
        };
        transport.order(Order::Answer(sdp))?;
        Ok(transport)
    }
}

impl Phone {
    pub fn of(signal: Client) -> Phone {
        let tag = match &signal.welcome {
            ServerMessage::Welcome { session_id, .. } => session_id.0 as u32,
            _ => 0,
        };
        Phone {
            signal,
            tag,
            transports: BTreeMap::new(),
        }
    }

    /// JOIN, then the offer, until the sound is connected: the JOINED.
    pub async fn join(&mut self, channel: &str) -> Result<ServerMessage> {
        let channel_id = ChannelId::from(channel);
        let joined = self
            .ask(ClientMessage::Join {
                channel_id: channel_id.clone(),
                muted: false,
            })
            .await?;
        ensure!(
            matches!(joined, ServerMessage::Joined { .. }),
            "{} joining {channel}: {joined:?}",
            self.user
        );
        self.connect(channel).await?;
        Ok(joined)
    }

    /// Offers a new transport for a joined channel and waits until it is connected.
    pub async fn connect(&mut self, channel: &str) -> Result<()> {
        self.connect_through(channel, Vec::new()).await
    }

    /// The same, while somebody forges datagrams from this phone's own address: these, with each one it sends.
    pub async fn connect_through(&mut self, channel: &str, forged: Vec<Vec<u8>>) -> Result<()> {
        let mut transport = self.offer(channel, forged).await?;
        transport.is_connected().await?;
        self.transports.insert(channel.into(), transport);
        Ok(())
    }

    async fn offer(&mut self, channel: &str, forged: Vec<Vec<u8>>) -> Result<Transport> {
        let channel_id = ChannelId::from(channel);
        let offered = Offered::new().await?;
        let sdp = offered.sdp.clone();
        let answered = self
            .ask(ClientMessage::WebrtcOffer { channel_id, sdp })
            .await?;
        let ServerMessage::WebrtcAnswer { sdp, .. } = answered else {
            bail!("{} offering: {answered:?}", self.user)
        };
        offered.answered(sdp, self.tag, forged)
    }

    pub fn on(&mut self, channel: &str) -> Result<&mut Transport> {
        let id = ChannelId::from(channel);
        self.transports
            .get_mut(&id)
            .with_context(|| format!("no transport on {channel}"))
    }

    /// Asks for the floor: whatever the box answers.
    pub async fn start(&mut self, channel: &str, level: Level) -> Result<ServerMessage> {
        self.ask(ClientMessage::Start {
            channel_id: channel.into(),
            level,
        })
        .await
    }

    /// Asks for the floor, gets it and talks.
    pub async fn press(&mut self, channel: &str) -> Result<TransmissionId> {
        self.press_at(channel, Level::Normal).await
    }

    pub async fn press_at(&mut self, channel: &str, level: Level) -> Result<TransmissionId> {
        match self.start(channel, level).await? {
            ServerMessage::StartSuccess {
                transmission_id, ..
            } => {
                self.on(channel)?.talk()?;
                Ok(transmission_id)
            }
            other => bail!("{} pressing on {channel}: {other:?}", self.user),
        }
    }

    /// Falls silent and lets go.
    pub async fn release(&mut self, channel: &str) -> Result<ServerMessage> {
        self.on(channel)?.hush()?;
        self.ask(ClientMessage::Stop {
            channel_id: channel.into(),
        })
        .await
    }

    /// Signaling vanishes, sound goes on: what is left of a phone whose TCP was lost.
    pub fn lose_signal(self) -> BTreeMap<ChannelId, Transport> {
        self.signal.vanish();
        self.transports
    }

    /// The same phone with its signaling back.
    pub fn regained(signal: Client, tag: u32, transports: BTreeMap<ChannelId, Transport>) -> Phone {
        Phone {
            signal,
            tag,
            transports,
        }
    }
}

impl Transport {
    pub async fn is_connected(&mut self) -> Result<()> {
        self.until("connected", |state| state.connected).await
    }

    fn order(&self, order: Order) -> Result<()> {
        self.orders
            .send(order)
            .map_err(|_gone| anyhow!("this transport is over: {:?}", self.state.borrow().over))
    }

    /// One packet in 20 ms, whether it has the floor or not.
    pub fn talk(&self) -> Result<()> {
        self.order(Order::Talk(true))
    }

    /// From the next packet on it says this, over and over: for ears that know no words of ours.
    pub fn sounds_like(&self, sound: &Sound) -> Result<()> {
        self.order(Order::Sound(sound.clone()))
    }

    pub fn hush(&self) -> Result<()> {
        self.order(Order::Talk(false))
    }

    /// So many of a hundred packets are lost on the way to the box from now on, by chance, the same ones each time.
    pub fn loses(&self, percent: u32) -> Result<()> {
        self.order(Order::Lose(percent))
    }

    /// Goes on from another address, without knowing it: where that is.
    pub async fn roam(&mut self) -> Result<SocketAddr> {
        let socket = UdpSocket::bind("127.0.0.1:0").await?;
        self.local = socket.local_addr()?;
        self.order(Order::Move(socket))?;
        Ok(self.local)
    }

    /// Everything heard until now.
    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().expect("what was heard").clone()
    }

    pub fn heard_of(&self, talker: u32) -> Vec<Heard> {
        let mut heard = self.heard();
        heard.retain(|h| h.word.is_some_and(|w| w.talker == talker));
        heard
    }

    /// Words said until now.
    pub fn said(&self) -> u32 {
        self.state.borrow().said
    }

    /// Waits until so many more words of this talker have been heard.
    pub async fn hears(&mut self, talker: u32, words: usize) -> Result<()> {
        self.hears_within(PATIENCE, talker, words).await
    }

    pub async fn hears_within(
        &mut self,
        deadline: Duration,
        talker: u32,
        words: usize,
    ) -> Result<()> {
        let wanted = self.heard_of(talker).len() + words;
        let heard = Arc::clone(&self.heard);
        self.within(
            deadline,
            &format!("{words} words of talker {talker}"),
            move |_| {
                let heard = heard.lock().expect("what was heard");
                heard
                    .iter()
                    .filter(|h| h.word.is_some_and(|w| w.talker == talker))
                    .count()
                    >= wanted
            },
        )
        .await
    }

    /// Waits until so many more packets have been heard, whatever they say.
    pub async fn hears_sound(&mut self, packets: usize) -> Result<()> {
        let wanted = self.state.borrow().heard + packets;
        self.until(&format!("{packets} packets"), move |state| {
            state.heard >= wanted
        })
        .await
    }

    /// Waits until so many more words have been said.
    pub async fn says(&mut self, words: u32) -> Result<()> {
        let wanted = self.said() + words;
        self.until(&format!("{words} words said"), move |state| {
            state.said >= wanted
        })
        .await
    }

    /// Waits until this end notices that the box is gone.
    pub async fn ends(&mut self) -> Result<()> {
        self.state
            .wait_for(|state| state.over.is_some())
            .await
            .map(drop)
            .context("waiting for the end")
    }

    async fn until(&mut self, what: &str, is: impl FnMut(&State) -> bool) -> Result<()> {
        self.within(PATIENCE, what, is).await
    }

    async fn within(
        &mut self,
        deadline: Duration,
        what: &str,
        mut is: impl FnMut(&State) -> bool,
    ) -> Result<()> {
        let found = tokio::time::timeout(
            deadline,
            self.state
                .wait_for(|state| is(state) || state.over.is_some()),
        )
        .await;
        match found {
            Ok(Ok(state)) => match &state.over {
                Some(why) => bail!("waiting for {what}: the transport ended: {why}"),
                None => Ok(()),
            },
            Ok(Err(_)) => bail!("waiting for {what}: the transport is gone"),
            Err(_) => bail!("not within {deadline:?}: {what}"),
        }
    }
}

/// The box's address, from the first candidate of its answer that a phone on this machine reaches.
fn candidate(sdp: &str) -> Result<SocketAddr> {
    let line = sdp
        .lines()
        .filter_map(|line| line.strip_prefix("a=candidate:"))
        .find(|line| line.contains(" 127.0.0.1 "));
    let line = line.with_context(|| format!("the answer has a candidate: {sdp}"))?;
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        [_, _, _, _, address, port, ..] => Ok(SocketAddr::new(address.parse()?, port.parse()?)),
        _ => bail!("an odd candidate: {line}"),
    }
}

struct Line {
    socket: UdpSocket,
    forged: Vec<Vec<u8>>,
    /// Of a hundred.
    lost: u32,
    chance: u32,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl World for Line {
    fn send(&mut self, to: SocketAddr, datagram: &[u8]) {
        // RTP, but no RTCP.
        let packet = datagram.len() > 1
            && (128..192).contains(&datagram[0])
            && !(192..224).contains(&datagram[1]);
        if packet && self.lost > 0 {
            // Marsaglia's.
            self.chance ^= self.chance << 13;
            self.chance ^= self.chance >> 17;
            self.chance ^= self.chance << 5;
            if self.chance % 100 < self.lost {
                return;
            }
        }
        // Lost like any other datagram where the socket is full or the box is gone.
        let _ = self.socket.try_send_to(datagram, to);
        for forged in &self.forged {
            let _ = self.socket.try_send_to(forged, to);
        }
    }

    fn heard(&mut self, packet: RtpPacket) {
        self.heard.lock().expect("what was heard").push(Heard {
            at: elapsed(packet.timestamp),
            ssrc: *packet.header.ssrc,
            sequence: packet.header.sequence_number,
            timestamp: packet.header.timestamp,
            marker: packet.header.marker,
            word: Word::decode(&packet.payload),
            payload: packet.payload.to_vec(),
        });
    }
}

async fn live(
    mut endpoint: Endpoint,
    mut line: Line,
    tag: u32,
    mut orders: mpsc::UnboundedReceiver<Order>,
    told: watch::Sender<State>,
) {
    let mut buffer = vec![0; 2048];
    let mut talking = false;
    let mut said = 0;
    let mut sound: Option<(Sound, usize)> = None;
    let mut frames = interval(FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Burst);
    elapsed(Instant::now());
    let why = loop {
        let until = match endpoint.poll(Instant::now(), &mut line) {
            Ok(until) => until,
            Err(e) => break format!("{e:#}"),
        };
        let heard = line.heard.lock().expect("what was heard").len();
        let state = State {
            connected: endpoint.connected(),
            heard,
            said,
            over: None,
        };
        told.send_if_modified(|before| std::mem::replace(before, state.clone()) != state);
        let done = tokio::select! {
            received = line.socket.recv_from(&mut buffer) => match received {
                Ok((n, from)) => endpoint.receive(from, &buffer[..n], Instant::now()),
                // ICMP of a box that is gone: ICE will notice.
                Err(_) => Ok(()),
            },
            () = tokio::time::sleep_until(until.into()) => Ok(()),
            _ = frames.tick(), if talking => {
                let now = Instant::now();
                let word = Word { talker: tag, number: said, sent: elapsed(now) };
                said += 1;
                match &mut sound {
                    None => endpoint.speak(word, now),
                    Some((sound, at)) => {
                        let frame = &sound[*at % sound.len()];
                        *at += 1;
                        endpoint.say(frame, now)
                    }
                }
            }
            order = orders.recv() => match order {
                Some(Order::Answer(sdp)) => endpoint.answer(&sdp),
                Some(Order::Talk(on)) => {
                    talking = on;
                    frames.reset_immediately();
                    Ok(())
                }
                Some(Order::Sound(new)) => {
                    sound = Some((new, 0));
                    Ok(())
                }
                Some(Order::Lose(percent)) => {
                    line.lost = percent;
                    Ok(())
                }
                Some(Order::Move(socket)) => {
                    line.socket = socket;
                    Ok(())
                }
                None => break String::from("nobody holds it"),
            },
        };
        if let Err(e) = done {
            break format!("{e:#}");
        }
    };
    told.send_modify(|state| state.over = Some(why));
}
