//! One WebRTC peer connection: one session on one channel, one `sendrecv` Opus m-line. The only file that
//! touches `str0m::Rtc`.
//!
//! Nothing that arrives ends a transport but its own peer's authenticated goodbye: what cannot be decoded
//! is counted and forgotten, and a panic inside costs this transport alone.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::change::SdpOffer;
use str0m::format::{Codec, FormatParams};
use str0m::ice::{IceCreds, StunMessage};
use str0m::media::{Frequency, Mid, Pt};
use str0m::net::{DatagramRecv, DatagramSend, Protocol, Receive};
use str0m::rtp::{Extension, ExtensionMap, ExtensionValues, RtpPacket, RtpWrite};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc, RtcConfig};

use super::egress::{Egress, Keys, Path, Stream};
use super::rewrite::Place;
use super::sdp::{check_limits, level_id, offered_ssrc, with_opus_limits};
use super::{Certificate, Packet, dtls};
use crate::ids::TransportId;
use crate::wire::signal::{MAX_CANDIDATES, MAX_M_LINES, MAX_SDP};

/// A listener's reports tell us nothing we act on: seldom is enough (RFC 3550 6.2 allows 5 s and more).
const RTCP_INTERVAL: Duration = Duration::from_secs(10);
/// An offer that has not become a connection by then is forgotten.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Longer STUN is not even parsed.
const LONGEST_STUN: usize = 600;

/// What a transport is built from, besides the client's SDP.
#[derive(Clone, Debug)]
pub struct Offer {
    pub transport: TransportId,
    pub sdp: String,
    pub certificate: Arc<Certificate>,
    /// The addresses this box is reached at, on the port of the transport's shard.
    pub candidates: Vec<SocketAddr>,
    /// For ICE credentials and the beginnings of sequence and time.
    pub random: [u8; 32],
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    #[error("the offer is longer than {MAX_SDP} bytes")]
    TooLong,
    #[error("the offer has more than {MAX_M_LINES} m-lines")]
    TooManyMLines,
    #[error("the offer has more than {MAX_CANDIDATES} candidates")]
    TooManyCandidates,
    #[error("the offer was not understood: {0}")]
    Sdp(String),
    #[error("the offer has no audio m-line with Opus that sends and receives")]
    NoAudio,
    #[error("the box has no address to offer: check [media] addresses")]
    NoCandidates,
    #[error("the offer upset the box's WebRTC stack")]
    Panicked,
}

/// Why a transport is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The peer said goodbye, or stopped answering (ICE, 15 s).
    Gone,
    /// It never connected.
    NeverConnected,
    /// The WebRTC stack panicked on this transport's input.
    Panicked,
}

/// A datagram to send.
#[derive(Debug)]
pub struct Transmit {
    pub source: SocketAddr,
    pub destination: SocketAddr,
    pub contents: DatagramSend,
}

/// What a transport has seen while it was driven.
#[derive(Debug)]
pub(super) enum Seen {
    Connected,
    Packet(Packet),
    /// The peer is reached another way from now on.
    Moved(Path),
    Closed(CloseReason),
}

/// Where a transport leaves what it has to send and to say.
#[derive(Default)]
pub(super) struct Outlet {
    pub transmits: Vec<Transmit>,
    pub seen: Vec<Seen>,
}

pub struct Transport {
    pub id: TransportId,
    rtc: Rtc,
    mid: Mid,
    pt: Pt,
    stream: Stream,
    pub(super) keys: Keys,
    /// What the peer's packets are called: from its offer, or from the first packet that was authentic.
    heard_ssrc: Option<u32>,
    password: String,
    path: Option<Path>,
    timeout: Instant,
    born: Instant,
    connected: bool,
    closed: bool,
    /// Where the rewritten stream begins.
    pub(super) random_seq: u16,
    pub(super) random_time: u32,
}

impl Transport {
    /// Answers a client's offer. Costs about 0.1 ms: to be done off the media threads.
    pub fn accept(offer: Offer, now: Instant) -> Result<(Transport, String), OfferError> {
        check_limits(&offer.sdp)?;
        if offer.candidates.is_empty() {
            return Err(OfferError::NoCandidates);
        }
        catch_unwind(AssertUnwindSafe(|| Self::build(&offer, now)))
            .unwrap_or(Err(OfferError::Panicked))
    }

    fn build(offer: &Offer, now: Instant) -> Result<(Transport, String), OfferError> {
        let bad = |e: &dyn std::fmt::Display| OfferError::Sdp(e.to_string());
        let sdp = SdpOffer::from_sdp_string(&offer.sdp).map_err(|e| bad(&e))?;
        let (mut rtc, keys) = dtls::with_keys(|| config(offer).build(now));
        for address in &offer.candidates {
            let candidate = Candidate::host(*address, Protocol::Udp).map_err(|e| bad(&e))?;
            rtc.add_local_candidate(candidate);
        }
        let answer = rtc.sdp_api().accept_offer(sdp).map_err(|e| bad(&e))?;
        let answer = answer.to_sdp_string();
        let (mid, pt, stream) = audio_stream(&mut rtc, &answer).ok_or(OfferError::NoAudio)?;
        let transport = Transport {
            id: offer.transport,
            rtc,
            mid,
            pt,
            stream,
            keys,
            heard_ssrc: offered_ssrc(&offer.sdp),
            password: credentials(offer).pass,
            path: None,
            // Driven once at least, to learn when it wants to be.
            timeout: now,
            born: now,
            connected: false,
            closed: false,
            random_seq: u16::from_be_bytes([offer.random[0], offer.random[1]]),
            random_time: u32::from_be_bytes([
                offer.random[2],
                offer.random[3],
                offer.random[4],
                offer.random[5],
            ]),
        };
        Ok((transport, with_opus_limits(&answer, pt)))
    }

    pub(super) fn poll_timeout(&self) -> Instant {
        if self.connected {
            self.timeout
        } else {
            self.timeout.min(self.born + CONNECT_TIMEOUT)
        }
    }

    /// Whether this STUN request carries this transport's password. Not str0m's `accepts`, which believes any
    /// request from an address it knows.
    pub(super) fn is_asked_by(&self, datagram: &[u8]) -> bool {
        let sha1 = dtls::provider().sha1_hmac_provider;
        StunMessage::parse(datagram).is_ok_and(|stun| {
            stun.verify(self.password.as_bytes(), |key, parts| {
                sha1.sha1_hmac(key, parts)
            })
        })
    }

    /// False: it was not understood, and nothing has changed.
    pub(super) fn handle_datagram(
        &mut self,
        source: SocketAddr,
        destination: SocketAddr,
        datagram: &[u8],
        now: Instant,
        outlet: &mut Outlet,
    ) -> bool {
        // An alert in the clear can come from anyone who knows the address (RFC 6347 4.1.2.7).
        if is_plaintext_alert(datagram) || self.is_of_another_source(datagram) {
            return false;
        }
        let Some(receive) = receive(source, destination, datagram) else {
            return false;
        };
        if is_stun(datagram) {
            self.follow(source, destination, datagram, outlet);
        }
        let mut understood = true;
        self.drive(outlet, |rtc| {
            understood = rtc.handle_input(Input::Receive(now, receive)).is_ok();
        });
        understood
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, outlet: &mut Outlet) {
        if !self.connected && now >= self.born + CONNECT_TIMEOUT {
            return self.close(CloseReason::NeverConnected, outlet);
        }
        self.drive(outlet, |rtc| {
            // What goes wrong with time is told by the polling that follows.
            let _ = rtc.handle_input(Input::Timeout(now));
        });
    }

    /// One transport carries one source. str0m would take another SSRC for its new name before it has looked
    /// whether the packet is authentic, and two sources could be given the same numbers.
    fn is_of_another_source(&self, datagram: &[u8]) -> bool {
        match (self.heard_ssrc, rtp_ssrc(datagram)) {
            (Some(known), Some(ssrc)) => known != ssrc,
            (None, _) | (_, None) => false,
        }
    }

    /// Our own way to send to this listener, where its profile allows one: str0m forgets the stream then.
    pub(super) fn take_egress(&mut self) -> Option<Egress> {
        let path = self.path?;
        let egress = Egress::new(self.keys.get()?, dtls::provider(), self.stream, path)?;
        self.rtc
            .direct_api()
            .remove_stream_tx(self.stream.ssrc.into());
        Some(egress)
    }

    /// A controlling peer names the path it has chosen with each request (RFC 8445 7.1.2, USE-CANDIDATE).
    fn follow(
        &mut self,
        source: SocketAddr,
        destination: SocketAddr,
        datagram: &[u8],
        outlet: &mut Outlet,
    ) {
        let path = Path {
            source: destination,
            destination: source,
        };
        if self.path.is_some_and(|known| known != path)
            && StunMessage::parse(datagram).is_ok_and(|stun| stun.use_candidate())
            && self.is_asked_by(datagram)
        {
            self.path = Some(path);
            outlet.seen.push(Seen::Moved(path));
        }
    }

    /// Sends one packet of the talker to this listener through str0m, for profiles that are not our own.
    pub(super) fn forward(
        &mut self,
        packet: &Packet,
        place: &Place,
        now: Instant,
        outlet: &mut Outlet,
    ) {
        if !self.connected {
            return;
        }
        let values = ExtensionValues {
            audio_level: packet.level,
            // str0m writes the level with it or not at all.
            voice_activity: Some(false),
            ..Default::default()
        };
        let write = RtpWrite::new(
            self.pt,
            place.seq.into(),
            place.time,
            now,
            packet.payload.clone(),
        )
        .marker(packet.marker || place.first)
        .ext_vals(values);
        let mid = self.mid;
        self.drive(outlet, |rtc| {
            if let Some(stream) = rtc.direct_api().stream_tx_by_mid(mid, None) {
                stream.write_rtp(write);
            }
            let _ = rtc.handle_input(Input::Timeout(now));
        });
    }

    /// The one place where str0m runs: an input, then everything that comes out of it.
    fn drive(&mut self, outlet: &mut Outlet, input: impl FnOnce(&mut Rtc)) {
        if self.closed {
            return;
        }
        let driven = catch_unwind(AssertUnwindSafe(|| {
            input(&mut self.rtc);
            self.drain(outlet)
        }));
        match driven {
            Ok(true) => {}
            Ok(false) if self.connected => self.close(CloseReason::Gone, outlet),
            Ok(false) => self.close(CloseReason::NeverConnected, outlet),
            Err(_) => self.close(CloseReason::Panicked, outlet),
        }
    }

    /// False: the connection is over.
    fn drain(&mut self, outlet: &mut Outlet) -> bool {
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(at)) => {
                    self.timeout = at;
                    return self.rtc.is_alive();
                }
                Ok(Output::Transmit(transmit)) => {
                    // DTLS goes where ICE has found the peer; STUN answers go to whoever asked.
                    if self.path.is_none() && !is_stun(&transmit.contents) {
                        self.path = Some(Path {
                            source: transmit.source,
                            destination: transmit.destination,
                        });
                    }
                    outlet.transmits.push(Transmit {
                        source: transmit.source,
                        destination: transmit.destination,
                        contents: transmit.contents,
                    });
                }
                Ok(Output::Event(Event::Connected)) => {
                    self.connected = true;
                    outlet.seen.push(Seen::Connected);
                }
                Ok(Output::Event(Event::RtpPacket(packet))) => {
                    let ssrc = *packet.header.ssrc;
                    if *self.heard_ssrc.get_or_insert(ssrc) == ssrc {
                        outlet.seen.push(Seen::Packet(packet_of(packet)));
                    }
                }
                Ok(Output::Event(
                    Event::Closed
                    | Event::IceConnectionStateChange(IceConnectionState::Disconnected),
                )) => return false,
                Ok(Output::Event(_)) => {}
                // Only str0m itself may end it: one bad record is no reason.
                Err(_) if self.rtc.is_alive() => return true,
                Err(_) => return false,
            }
        }
    }

    fn close(&mut self, reason: CloseReason, outlet: &mut Outlet) {
        self.closed = true;
        outlet.seen.push(Seen::Closed(reason));
    }

    /// Says goodbye, so that the peer need not wait for ICE to notice. Nothing is seen of it any more.
    pub(super) fn goodbye(&mut self, outlet: &mut Outlet) {
        if self.connected {
            self.drive(outlet, |rtc| {
                let _ = rtc.close();
            });
        }
        self.closed = true;
        outlet.seen.clear();
    }
}

/// The transport a STUN request is for: we chose the ufrag, its first eight characters are the id.
pub(super) fn asked_transport(datagram: &[u8]) -> Option<TransportId> {
    // A browser's request has 100 to 150 bytes.
    if datagram.len() > LONGEST_STUN {
        return None;
    }
    let message = StunMessage::parse(datagram).ok()?;
    let (ours, _) = message
        .is_binding_request()
        .then(|| message.split_username())??;
    let id = u32::from_str_radix(ours.get(..8)?, 16).ok()?;
    Some(TransportId(id))
}

/// RFC 7983 7: the first byte tells the protocols on one port apart.
pub(super) fn is_stun(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|b| *b < 4)
}

/// The SSRC of an RTP packet: version 2, and no payload type of RTCP (RFC 5761 4).
fn rtp_ssrc(datagram: &[u8]) -> Option<u32> {
    let rtp =
        (128..192).contains(datagram.first()?) && !(64..96).contains(&(datagram.get(1)? & 0x7f));
    let ssrc = datagram.get(8..12)?.try_into().ok()?;
    rtp.then(|| u32::from_be_bytes(ssrc))
}

fn is_plaintext_alert(datagram: &[u8]) -> bool {
    const ALERT: u8 = 21;
    datagram.first() == Some(&ALERT) && datagram.get(3..5) == Some(&[0, 0])
}

fn receive(source: SocketAddr, destination: SocketAddr, datagram: &[u8]) -> Option<Receive<'_>> {
    Some(Receive {
        proto: Protocol::Udp,
        source,
        destination,
        contents: DatagramRecv::try_from(datagram).ok()?,
    })
}

fn packet_of(packet: RtpPacket) -> Packet {
    Packet {
        seq: *packet.seq_no,
        time: packet.header.timestamp,
        marker: packet.header.marker,
        level: packet.header.ext_vals.audio_level,
        payload: packet.payload,
    }
}

/// The ufrag begins with the transport's id, so that a request tells whose it is.
fn credentials(offer: &Offer) -> IceCreds {
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    IceCreds {
        ufrag: format!("{:08x}{}", offer.transport.0, hex(&offer.random[6..10])),
        pass: hex(&offer.random[10..26]),
    }
}

fn config(offer: &Offer) -> RtcConfig {
    let mut extensions = ExtensionMap::empty();
    extensions.set(1, Extension::AudioLevel);
    extensions.set(4, Extension::RtpMid);
    let mut config = RtcConfig::new()
        .set_crypto_provider(dtls::provider().clone())
        .set_local_ice_credentials(credentials(offer))
        .set_dtls_cert(str0m::config::DtlsCert {
            certificate: offer.certificate.certificate.clone(),
            private_key: offer.certificate.private_key.clone(),
        })
        .set_ice_lite(true)
        .set_rtp_mode(true)
        .clear_codecs()
        .set_extension_map(extensions)
        .set_rtcp_report_interval_audio(RTCP_INTERVAL)
        // Nothing is ever sent twice, so no history is kept: Opus carries its own repair (FEC).
        .set_send_buffer_audio(1);
    config.codec_config().add_config(
        Pt::new_with_value(111),
        None,
        Codec::Opus,
        Frequency::FORTY_EIGHT_KHZ,
        Some(2),
        FormatParams {
            min_p_time: Some(10),
            use_inband_fec: Some(true),
            use_dtx: Some(true),
            stereo: Some(false),
            ..Default::default()
        },
    );
    config
}

/// The first audio m-line that goes both ways. str0m tells of an m-line by an event only once the connection
/// stands, so the answer is read instead.
fn audio_stream(rtc: &mut Rtc, answer: &str) -> Option<(Mid, Pt, Stream)> {
    let sections = answer.split("\r\nm=").skip(1);
    for section in sections.filter(|section| section.starts_with("audio ")) {
        let mid = section.lines().find_map(|l| l.strip_prefix("a=mid:"));
        let Some(mid) = mid.map(Mid::from) else {
            continue;
        };
        let media = rtc.media(mid)?;
        let direction = media.direction();
        let pt = media.remote_pts().first().copied();
        let ssrc = rtc
            .direct_api()
            .stream_tx_by_mid(mid, None)
            .map(|s| *s.ssrc());
        if let (Some(pt), Some(ssrc), true, true) =
            (pt, ssrc, direction.is_sending(), direction.is_receiving())
        {
            let stream = Stream {
                ssrc,
                payload_type: *pt,
                level_id: level_id(section),
            };
            return Some((mid, pt, stream));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_inside_costs_this_transport_and_nothing_else() {
        #[allow(
            clippy::disallowed_methods,
            reason = "a test's arbitrary origin of time"
        )]
        let now = Instant::now();
        let made = dimpl::certificate::generate_self_signed_certificate().expect("a certificate");
        let mut peer = RtcConfig::new().build(now);
        let mut api = peer.sdp_api();
        let both_ways = str0m::media::Direction::SendRecv;
        api.add_media(str0m::media::MediaKind::Audio, both_ways, None, None, None);
        let (offer, _) = api.apply().expect("an offer");
        let offer = Offer {
            transport: TransportId(1),
            sdp: offer.to_sdp_string(),
            certificate: Arc::new(Certificate {
                certificate: made.certificate,
                private_key: made.private_key,
            }),
            candidates: vec![SocketAddr::from(([127, 0, 0, 1], 40_000))],
            random: [1; 32],
        };
        let (mut transport, _) = Transport::accept(offer, now).expect("accepted");
        let mut outlet = Outlet::default();
        transport.drive(&mut outlet, |_| panic!("a test's panic"));
        assert!(matches!(
            outlet.seen[..],
            [Seen::Closed(CloseReason::Panicked)]
        ));
        outlet.seen.clear();
        transport.handle_timeout(now + RTCP_INTERVAL, &mut outlet);
        assert!(outlet.seen.is_empty(), "it is not driven again");
    }
}
