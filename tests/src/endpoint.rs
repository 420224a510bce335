//! Our end of a transport: a WebRTC client that speaks whatever it is given, without sockets or clocks.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::format::Codec;
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{ExtensionValues, RtpPacket, RtpWrite, SeqNo};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc};

/// Opus frames of 20 ms at 48 kHz.
pub const FRAME: Duration = Duration::from_millis(20);
const FRAME_TICKS: u32 = 960;
const PAYLOAD: usize = 80;
const MARK: &[u8; 4] = b"pttd";

/// What our payloads say, in the place of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// Who says it.
    pub talker: u32,
    /// Counts up by one for each word of a talker.
    pub number: u32,
    /// When, by whatever clock its speaker and its listener share.
    pub sent: Duration,
}

/// Time since this process first asked.
pub fn elapsed(now: Instant) -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    now.saturating_duration_since(*START.get_or_init(|| now))
}

impl Word {
    pub fn encode(self) -> [u8; PAYLOAD] {
        let mut payload = [0; PAYLOAD];
        // Opus TOC: CELT, wideband, 20 ms, mono, one frame.
        payload[0] = 0xb8;
        payload[1..5].copy_from_slice(MARK);
        payload[5..9].copy_from_slice(&self.talker.to_be_bytes());
        payload[9..13].copy_from_slice(&self.number.to_be_bytes());
        payload[13..21].copy_from_slice(&(self.sent.as_nanos() as u64).to_be_bytes());
        payload
    }

    pub fn decode(payload: &[u8]) -> Option<Word> {
        let word = payload.get(1..21)?.strip_prefix(MARK)?;
        let (talker, rest) = word.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (sent, _) = rest.split_first_chunk()?;
        Some(Word {
            talker: u32::from_be_bytes(*talker),
            number: u32::from_be_bytes(*number),
            sent: Duration::from_nanos(u64::from_be_bytes(*sent)),
        })
    }
}

pub struct Endpoint {
    rtc: Rtc,
    mid: Mid,
    pending: Option<SdpPendingOffer>,
    /// Where it believes to be; behind a NAT the box sees another address.
    local: SocketAddr,
    connected: bool,
    seq: u64,
    /// The RTP clock's zero.
    since: Instant,
    /// The RTP time of the next frame of sound.
    next: u32,
}

/// What an endpoint has for the world around it.
pub trait World {
    fn send(&mut self, to: SocketAddr, datagram: &[u8]);
    fn heard(&mut self, packet: RtpPacket);
}

impl Endpoint {
    /// A new one and its offer: one `sendrecv` line of Opus, as the page's.
    pub fn new(local: SocketAddr, now: Instant) -> Result<(Endpoint, String)> {
        let mut rtc = Rtc::builder()
            .set_rtp_mode(true)
            .clear_codecs()
            .enable_opus(true, false)
            .build(now);
        rtc.add_local_candidate(Candidate::host(local, "udp")?)
            .context("our own candidate")?;
        let mut change = rtc.sdp_api();
        let mid = change.add_media(MediaKind::Audio, Direction::SendRecv, None, None, None);
        let (offer, pending) = change.apply().context("an offer")?;
        let endpoint = Endpoint {
            rtc,
            mid,
            pending: Some(pending),
            local,
            connected: false,
            // Below 2^16, so that both ends begin with the same rollover counter.
            seq: 1000,
            since: now,
            next: 0,
        };
        Ok((endpoint, offer.to_sdp_string()))
    }

    pub fn answer(&mut self, sdp: &str) -> Result<()> {
        let answer =
            SdpAnswer::from_sdp_string(sdp).with_context(|| format!("the box's answer: {sdp}"))?;
        let pending = self.pending.take().context("an answer without an offer")?;
        self.rtc
            .sdp_api()
            .accept_answer(pending, answer)
            .with_context(|| format!("the box's answer: {sdp}"))
    }

    pub fn connected(&self) -> bool {
        self.connected
    }

    pub fn receive(&mut self, from: SocketAddr, datagram: &[u8], now: Instant) -> Result<()> {
        // Whatever is no STUN, DTLS or RTP is not for us.
        let Ok(contents) = datagram.try_into() else {
            return Ok(());
        };
        let receive = Receive {
            proto: Protocol::Udp,
            source: from,
            destination: self.local,
            contents,
        };
        self.rtc
            .handle_input(Input::Receive(now, receive))
            .context("receiving")
    }

    /// Sends one word, as loud as somebody who talks.
    pub fn speak(&mut self, word: Word, now: Instant) -> Result<()> {
        let time = self.time(now);
        self.send(&word.encode(), time, now)
    }

    /// Sends 20 ms of Opus. Frames follow each other without a gap, however late they are sent.
    pub fn say(&mut self, frame: &[u8], now: Instant) -> Result<()> {
        let due = self.time(now);
        // After a pause, the time that has passed counts.
        if due.wrapping_sub(self.next).cast_signed() > 10 * FRAME_TICKS.cast_signed() {
            self.next = due;
        }
        let time = self.next;
        self.next = time.wrapping_add(FRAME_TICKS);
        self.send(frame, time, now)
    }

    fn time(&self, now: Instant) -> u32 {
        let ticks = (now - self.since).as_nanos() * 48 / 1_000_000;
        ticks as u32 / FRAME_TICKS * FRAME_TICKS
    }

    fn send(&mut self, payload: &[u8], time: u32, now: Instant) -> Result<()> {
        let pt = self
            .rtc
            .codec_config()
            .find(|params| params.spec().codec == Codec::Opus)
            .context("opus was negotiated")?
            .pt();
        let seq = SeqNo::from(self.seq);
        self.seq += 1;
        let level = ExtensionValues {
            audio_level: Some(-20),
            voice_activity: Some(true),
            ..Default::default()
        };
        let mut api = self.rtc.direct_api();
        let stream = api
            .stream_tx_by_mid(self.mid, None)
            .context("a stream to send")?;
        stream.write_rtp(RtpWrite::new(pt, seq, time, now, payload).ext_vals(level));
        Ok(())
    }

    /// Lets it do what is due: until when it needs nothing.
    pub fn poll(&mut self, now: Instant, world: &mut impl World) -> Result<Instant> {
        self.rtc
            .handle_input(Input::Timeout(now))
            .context("the time passing")?;
        loop {
            match self.rtc.poll_output().context("our end")? {
                Output::Timeout(at) => return Ok(at),
                Output::Transmit(t) => world.send(t.destination, &t.contents),
                Output::Event(Event::Connected) => self.connected = true,
                Output::Event(Event::IceConnectionStateChange(
                    IceConnectionState::Disconnected,
                )) => {
                    bail!("the box is not there any more");
                }
                Output::Event(Event::RtpPacket(packet)) => world.heard(packet),
                Output::Event(_) => {}
            }
        }
    }
}
