//! A shard and its peers, stepped through simulated time. The peers are str0m clients with full ICE.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::{DatagramRecv, Protocol, Receive};
use str0m::rtp::RtpPacket;
use str0m::{Candidate, Event as RtcEvent, Input, Output, Rtc, RtcConfig};

use super::rewrite::{Place, Rewrite};
use super::*;
use crate::ids::{RadioId, RouteId, TransmissionId, TransportId};

const BOX: &str = "127.0.0.1:40000";
const ROUTE: RouteId = RouteId(1);

fn start() -> Instant {
    #[allow(
        clippy::disallowed_methods,
        reason = "a test's arbitrary origin of time"
    )]
    Instant::now()
}

fn certificate() -> Arc<Certificate> {
    let made = dimpl::certificate::generate_self_signed_certificate().expect("a certificate");
    Arc::new(Certificate {
        certificate: made.certificate,
        private_key: made.private_key,
    })
}

struct Peer {
    id: TransportId,
    rtc: Rtc,
    address: SocketAddr,
    mid: Mid,
    heard: Vec<RtpPacket>,
    connected: bool,
    seq: u64,
}

struct Net {
    shard: Shard,
    peers: Vec<Peer>,
    events: Vec<Event>,
    now: Instant,
    certificate: Arc<Certificate>,
    /// What someone on the LAN sends in a peer's name after each of its datagrams.
    spoofed: Vec<Vec<u8>>,
    transmission: u64,
}

impl Net {
    fn new() -> Net {
        Net {
            shard: Shard::new(),
            peers: Vec::new(),
            events: Vec::new(),
            now: start(),
            certificate: certificate(),
            spoofed: Vec::new(),
            transmission: 0,
        }
    }

    fn with_peers(count: u32) -> Net {
        let mut net = Net::new();
        (1..=count).for_each(|n| net.join(n, false));
        net.run(Duration::from_secs(2));
        assert!(net.peers.iter().all(|p| p.connected), "all connected");
        net
    }

    fn offer(&self, n: u32) -> (Rtc, Mid, SdpPendingOffer, String) {
        let mut rtc = RtcConfig::new()
            .clear_codecs()
            .enable_opus(true, false)
            .set_rtp_mode(true)
            .build(self.now);
        let address = peer_address(n);
        rtc.add_local_candidate(Candidate::host(address, Protocol::Udp).expect("a candidate"));
        let mut api = rtc.sdp_api();
        let mid = api.add_media(MediaKind::Audio, Direction::SendRecv, None, None, None);
        let (offer, pending) = api.apply().expect("an offer");
        (rtc, mid, pending, offer.to_sdp_string())
    }

    fn join(&mut self, n: u32, paused: bool) {
        self.join_as(n, paused, |_| {});
    }

    fn join_as(&mut self, n: u32, paused: bool, change: impl FnOnce(&mut Transport)) {
        let (mut rtc, mid, pending, sdp) = self.offer(n);
        let offer = Offer {
            transport: TransportId(n),
            sdp,
            certificate: self.certificate.clone(),
            candidates: vec![BOX.parse().expect("an address")],
            random: [n as u8; 32],
        };
        let (mut transport, answer) = Transport::accept(offer, self.now).expect("accepted");
        change(&mut transport);
        let command = Command::Open {
            transport: Box::new(transport),
            route: ROUTE,
            paused,
        };
        self.shard.handle_command(command, self.now);
        let answer = SdpAnswer::from_sdp_string(&answer).expect("an answer");
        rtc.sdp_api().accept_answer(pending, answer).expect("taken");
        self.peers.push(Peer {
            id: TransportId(n),
            rtc,
            address: peer_address(n),
            mid,
            heard: Vec::new(),
            connected: false,
            seq: 100,
        });
    }

    fn talker(&mut self, talker: Option<u32>) {
        self.transmission += u64::from(talker.is_some());
        let command = Command::Talker {
            route: ROUTE,
            transport: talker.map(TransportId),
            transmission: talker.map(|_| TransmissionId(self.transmission)),
        };
        self.shard.handle_command(command, self.now);
    }

    fn told_of(&self, transport: TransportId) -> Vec<Event> {
        let events = self.events.iter().filter(|e| e.transport() == transport);
        events.cloned().collect()
    }

    fn settings(&mut self, recorded: bool, echo: bool) {
        let command = Command::Settings {
            route: ROUTE,
            recorded,
            echo,
            radios: Vec::new(),
        };
        self.shard.handle_command(command, self.now);
    }

    /// One packet of 20 ms from this peer.
    fn says(&mut self, n: u32) {
        self.writes(n, 40);
        self.run(Duration::from_millis(20));
    }

    fn writes(&mut self, n: u32, length: usize) {
        let now = self.now;
        let peer = self.peer(n);
        peer.seq += 1;
        let (seq, mid) = (peer.seq, peer.mid);
        let pt = peer.rtc.media(mid).expect("media").remote_pts()[0];
        let mut api = peer.rtc.direct_api();
        let stream = api.stream_tx_by_mid(mid, None).expect("a stream");
        let payload = vec![n as u8; length];
        let levels = str0m::rtp::ExtensionValues {
            audio_level: Some(-30),
            voice_activity: Some(true),
            ..Default::default()
        };
        let write = str0m::rtp::RtpWrite::new(pt, seq.into(), seq as u32 * 960, now, payload)
            .ext_vals(levels);
        stream.write_rtp(write);
        let _ = peer.rtc.handle_input(Input::Timeout(now));
        self.exchange();
    }

    fn peer(&mut self, n: u32) -> &mut Peer {
        let id = TransportId(n);
        let found = self.peers.iter_mut().find(|p| p.id == id);
        found.expect("a peer")
    }

    fn inject(&mut self, source: SocketAddr, datagram: &[u8]) {
        let to = BOX.parse().expect("an address");
        self.shard.handle_datagram(source, to, datagram, self.now);
    }

    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            self.exchange();
            if self.now >= until {
                return;
            }
            self.now += Duration::from_millis(5);
            self.shard.handle_timeout(self.now);
            for peer in &mut self.peers {
                let _ = peer.rtc.handle_input(Input::Timeout(self.now));
            }
        }
    }

    /// Carries datagrams to and fro until all is quiet.
    fn exchange(&mut self) {
        loop {
            let mut quiet = true;
            for at in 0..self.peers.len() {
                for (source, destination, bytes) in self.peers[at].poll() {
                    quiet = false;
                    self.shard
                        .handle_datagram(source, destination, &bytes, self.now);
                    for spoofed in self.spoofed.clone() {
                        self.inject(source, &spoofed);
                    }
                }
            }
            for transmit in self.shard.poll_transmit().collect::<Vec<_>>() {
                quiet = false;
                let to = transmit.destination;
                if let Some(peer) = self.peers.iter_mut().find(|p| p.address == to) {
                    let receive = Receive {
                        proto: Protocol::Udp,
                        source: transmit.source,
                        destination: to,
                        contents: DatagramRecv::try_from(&transmit.contents[..]).expect("ours"),
                    };
                    let _ = peer.rtc.handle_input(Input::Receive(self.now, receive));
                }
            }
            while let Some(event) = self.shard.poll_event() {
                self.events.push(event);
            }
            if quiet {
                return;
            }
        }
    }
}

impl Peer {
    fn poll(&mut self) -> Vec<(SocketAddr, SocketAddr, Vec<u8>)> {
        let mut out = Vec::new();
        while let Ok(output) = self.rtc.poll_output() {
            match output {
                Output::Timeout(_) => break,
                Output::Transmit(t) => out.push((t.source, t.destination, t.contents.to_vec())),
                Output::Event(RtcEvent::Connected) => self.connected = true,
                Output::Event(RtcEvent::RtpPacket(packet)) => self.heard.push(packet),
                Output::Event(_) => {}
            }
        }
        out
    }

    fn heard_from(&self) -> Vec<u8> {
        self.heard.iter().map(|p| p.payload[0]).collect()
    }
}

fn peer_address(n: u32) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 50_000 + n as u16))
}

#[test]
fn the_answer_is_ice_lite_with_our_opus_parameters_and_a_ufrag_that_names_the_transport() {
    let net = Net::new();
    let (.., sdp) = net.offer(7);
    let offer = Offer {
        transport: TransportId(7),
        sdp,
        certificate: net.certificate.clone(),
        candidates: vec![BOX.parse().expect("an address")],
        random: [7; 32],
    };
    let (_, answer) = Transport::accept(offer, net.now).expect("accepted");
    let has = |wanted: &str| assert!(answer.contains(wanted), "{wanted} is not in\n{answer}");
    has("a=ice-lite\r\n");
    has("a=ice-ufrag:0000000707070707\r\n");
    has("127.0.0.1 40000 typ host");
    has("a=sendrecv\r\n");
    for parameter in [
        "useinbandfec=1",
        "usedtx=1",
        "stereo=0",
        "maxplaybackrate=16000",
    ] {
        let fmtp = answer.lines().find(|l| l.starts_with("a=fmtp:"));
        assert!(
            fmtp.is_some_and(|l| l.contains(parameter)),
            "{parameter}: {fmtp:?}"
        );
    }
}

#[test]
fn offers_beyond_a_limit_are_refused_with_a_reason() {
    let net = Net::new();
    let (.., sdp) = net.offer(1);
    let accept = |sdp: String| {
        let offer = Offer {
            transport: TransportId(1),
            sdp,
            certificate: net.certificate.clone(),
            candidates: vec![BOX.parse().expect("an address")],
            random: [1; 32],
        };
        Transport::accept(offer, net.now)
            .map(|_| ())
            .expect_err("refused")
    };
    let candidate = "a=candidate:1 1 udp 1 192.0.2.1 1 typ host\r\n";
    assert_eq!(accept("x".repeat(33_000)), OfferError::TooLong);
    assert_eq!(
        accept("m=audio 9 x 0\r\n".repeat(9)),
        OfferError::TooManyMLines
    );
    assert_eq!(accept(candidate.repeat(65)), OfferError::TooManyCandidates);
    assert!(matches!(accept("hello".into()), OfferError::Sdp(_)));
    let receive_only = sdp.replace("a=sendrecv", "a=recvonly");
    assert_eq!(accept(receive_only), OfferError::NoAudio);
    let video = sdp.replace("m=audio", "m=video");
    assert!(matches!(
        accept(video),
        OfferError::Sdp(_) | OfferError::NoAudio
    ));
}

#[test]
fn a_transport_that_is_closed_does_not_take_the_next_one_in_its_slot_along() {
    let mut net = Net::with_peers(1);
    let close = Command::Close(TransportId(1));
    net.shard.handle_command(close, net.now);
    net.join(2, false);
    net.run(Duration::from_secs(2));
    assert!(net.peers[1].connected);
    assert_eq!(net.shard.transports(), 1);
}

#[test]
fn only_the_talker_is_heard_and_the_rest_is_counted() {
    let mut net = Net::with_peers(3);
    net.says(1);
    assert_eq!(net.shard.counters().without_floor, 1);
    net.talker(Some(1));
    net.says(1);
    net.says(2);
    net.talker(None);
    net.says(1);
    assert!(
        net.peer(1).heard_from().is_empty(),
        "nobody hears themselves"
    );
    assert_eq!(net.peer(2).heard_from(), [1]);
    assert_eq!(net.peer(3).heard_from(), [1]);
    assert_eq!(net.shard.counters().without_floor, 3);
}

#[test]
fn a_change_of_talker_is_invisible_in_the_listeners_stream() {
    let mut net = Net::with_peers(3);
    net.talker(Some(1));
    net.says(1);
    net.says(1);
    net.talker(Some(2));
    net.says(2);
    net.run(Duration::from_secs(1));
    net.talker(Some(1));
    net.says(1);
    assert_eq!(net.peer(3).heard_from(), [1, 1, 2, 1]);
    let heard = &net.peer(3).heard;
    for pair in heard.windows(2) {
        assert_eq!(
            *pair[1].seq_no,
            *pair[0].seq_no + 1,
            "a gap in the sequence"
        );
        assert_eq!(pair[1].header.ssrc, pair[0].header.ssrc);
    }
    let times: Vec<u32> = heard.iter().map(|p| p.header.timestamp).collect();
    let steps: Vec<u32> = times.windows(2).map(|t| t[1].wrapping_sub(t[0])).collect();
    assert_eq!(steps[0], 960);
    assert!(steps[1] >= 960);
    let second = 48_000 / 10..48_000 * 3 / 2;
    assert!(
        steps[2] > 48_000 && second.contains(&steps[2]),
        "quiet time passes: {steps:?}"
    );
    let markers: Vec<bool> = heard.iter().map(|p| p.header.marker).collect();
    assert_eq!(markers, [true, false, true, true]);
}

#[test]
fn a_paused_listener_hears_nothing_and_resumes_without_a_gap() {
    let mut net = Net::with_peers(2);
    net.talker(Some(1));
    net.says(1);
    let pause = |net: &mut Net, paused| {
        let command = Command::Pause {
            transport: TransportId(2),
            paused,
        };
        net.shard.handle_command(command, net.now);
    };
    pause(&mut net, true);
    net.says(1);
    net.says(1);
    assert_eq!(net.peer(2).heard.len(), 1);
    pause(&mut net, false);
    net.says(1);
    let heard = &net.peer(2).heard;
    assert_eq!(*heard[1].seq_no, *heard[0].seq_no + 1);
}

#[test]
fn a_late_listener_hears_a_talk_that_runs() {
    let mut net = Net::with_peers(2);
    net.talker(Some(1));
    net.says(1);
    net.join(3, false);
    net.run(Duration::from_secs(1));
    net.says(1);
    assert_eq!(net.peer(3).heard_from(), [1]);
}

#[test]
fn flow_and_stall_of_the_talker_are_told_once_each() {
    let mut net = Net::with_peers(2);
    net.events.clear();
    net.says(1);
    assert_eq!(net.events, [], "nobody asked");
    net.talker(Some(1));
    net.says(1);
    net.says(1);
    assert_eq!(net.events, [Event::Flows(TransportId(1))]);
    net.events.clear();
    net.run(Duration::from_millis(1500));
    assert!(matches!(
        net.events[..],
        [Event::Stalled {
            transport: TransportId(1),
            ..
        }]
    ));
    net.says(1);
    assert_eq!(net.events[1..], [Event::Flows(TransportId(1))]);
    net.events.clear();
    net.talker(Some(1));
    net.says(1);
    assert_eq!(
        net.events[1..],
        [Event::Flows(TransportId(1))],
        "each grant waits for its own packet"
    );
}

#[test]
fn garbage_and_spoofed_alerts_are_counted_and_change_nothing() {
    let mut net = Net::new();
    // A plaintext fatal alert, as anyone on the LAN can send it, at every step of the handshake.
    let alert = vec![21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40];
    net.spoofed = vec![alert, vec![], vec![0], vec![0x16; 60], vec![0x80; 200]];
    net.join(1, false);
    net.join(2, false);
    net.run(Duration::from_secs(2));
    assert!(
        net.peers.iter().all(|p| p.connected),
        "a spoofed alert ended a join"
    );
    net.talker(Some(1));
    net.says(1);
    assert_eq!(net.peer(2).heard_from(), [1]);
    assert!(net.shard.counters().undecodable >= 20);
    net.inject("127.0.0.1:9".parse().expect("an address"), &[0x80; 50]);
    assert!(net.shard.counters().unknown_peer >= 1);
}

#[test]
fn a_shard_is_at_rest_while_nobody_connects_and_nobody_has_the_floor() {
    let mut net = Net::new();
    assert!(net.shard.is_at_rest());
    net.join(1, false);
    assert!(!net.shard.is_at_rest());
    net.run(Duration::from_secs(2));
    assert!(net.shard.is_at_rest());
    net.talker(Some(1));
    assert!(!net.shard.is_at_rest());
    net.talker(None);
    net.join(2, false);
    net.shard
        .handle_command(Command::Close(TransportId(2)), net.now);
    assert!(net.shard.is_at_rest());
}

#[test]
fn whoever_leaves_takes_nobody_along() {
    let mut net = Net::with_peers(3);
    net.talker(Some(1));
    net.says(1);
    net.events.clear();
    net.shard
        .handle_command(Command::Close(TransportId(2)), net.now);
    net.says(1);
    net.says(1);
    assert_eq!(net.peer(3).heard_from(), [1, 1, 1]);
    assert_eq!(net.events, []);
    assert_eq!(net.shard.transports(), 2);
}

/// An RTP packet as anyone on the LAN can make it up, in another's name.
fn made_up_rtp(ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 111, 0, 1, 0, 0, 0, 0];
    packet.extend(ssrc.to_be_bytes());
    packet.extend([7; 60]);
    packet
}

#[test]
fn a_made_up_packet_does_not_take_the_talker_off_the_air() {
    let mut net = Net::with_peers(2);
    net.talker(Some(1));
    net.says(1);
    net.inject(peer_address(1), &made_up_rtp(0xdead_beef));
    net.says(1);
    net.says(1);
    assert_eq!(net.peer(2).heard_from(), [1, 1, 1]);
    assert_eq!(net.shard.counters().undecodable, 1);
}

#[test]
fn a_talker_who_sends_more_than_speech_is_held_back() {
    let mut net = Net::with_peers(2);
    net.talker(Some(1));
    for _ in 0..300 {
        net.writes(1, 40);
    }
    net.run(Duration::from_millis(20));
    net.writes(1, 1276);
    net.run(Duration::from_secs(1));
    let heard = net.peer(2).heard.len();
    assert!((240..=245).contains(&heard), "{heard} of 300 at once");
    let held_back = net.shard.counters().too_many as usize;
    assert_eq!(heard + held_back, 301);
    net.says(1);
    assert_eq!(
        net.peer(2).heard.len(),
        heard + 1,
        "and goes on when it slows down"
    );
}

#[test]
fn an_address_in_use_is_not_given_to_whoever_asks_in_its_name() {
    let mut net = Net::with_peers(2);
    net.talker(Some(1));
    net.says(1);
    // The second peer, with its own password, from the first one's address.
    net.peer(2).address = peer_address(1);
    let requests: Vec<Vec<u8>> = (0..200)
        .flat_map(|_| {
            net.now += Duration::from_millis(50);
            let now = net.now;
            let peer = net.peer(2);
            let _ = peer.rtc.handle_input(Input::Timeout(now));
            peer.poll()
                .into_iter()
                .map(|(.., bytes)| bytes)
                .collect::<Vec<_>>()
        })
        .filter(|bytes| bytes.first().is_some_and(|b| *b < 4))
        .collect();
    assert!(!requests.is_empty(), "it checks its connection");
    net.says(1);
    let before = net.shard.counters().unknown_peer;
    net.inject(peer_address(1), &requests[0]);
    assert_eq!(net.shard.counters().unknown_peer, before + 1);
    let heard = net.shard.counters().packets_forwarded;
    net.says(1);
    assert_eq!(net.shard.counters().packets_forwarded, heard + 1);
}

#[test]
fn a_peer_that_moves_to_another_address_is_followed() {
    let mut net = Net::with_peers(2);
    let moved: SocketAddr = "127.0.0.1:51000".parse().expect("an address");
    let peer = net.peer(2);
    peer.address = moved;
    let candidate = Candidate::host(moved, Protocol::Udp).expect("a candidate");
    peer.rtc.add_local_candidate(candidate);
    let old = Candidate::host(peer_address(2), Protocol::Udp).expect("a candidate");
    peer.rtc.direct_api().invalidate_candidate(&old);
    // str0m's client side nominates the new pair at its next round of checks.
    net.run(Duration::from_secs(20));
    net.talker(Some(1));
    net.says(1);
    assert_eq!(net.peer(2).heard_from(), [1]);
}

#[test]
fn whoever_vanishes_is_told_within_the_ice_timeout_and_leaves_nothing_behind() {
    let mut net = Net::with_peers(2);
    net.events.clear();
    net.peers.remove(1);
    net.run(Duration::from_secs(40));
    assert!(matches!(
        net.events[..],
        [Event::Closed {
            transport: TransportId(2),
            reason: CloseReason::Gone
        }]
    ));
    assert_eq!(net.shard.transports(), 1);
}

#[test]
fn an_offer_that_never_connects_is_forgotten() {
    let mut net = Net::new();
    net.join(1, false);
    net.peers.clear();
    net.run(Duration::from_secs(31));
    assert!(matches!(
        net.events[..],
        [Event::Closed {
            reason: CloseReason::NeverConnected,
            ..
        }]
    ));
    assert_eq!(net.shard.transports(), 0);
}

#[test]
fn a_listener_whose_profile_is_not_ours_is_served_by_str0m() {
    let mut net = Net::with_peers(1);
    // Keys that never come are those of a profile we do not know.
    net.join_as(2, false, |transport| transport.keys = Default::default());
    net.run(Duration::from_secs(2));
    net.talker(Some(1));
    net.says(1);
    net.says(1);
    let heard = &net.peer(2).heard;
    assert_eq!(heard.len(), 2);
    assert_eq!(*heard[1].seq_no, *heard[0].seq_no + 1);
}

#[test]
fn a_packet_from_another_shard_is_heard_while_its_talker_has_the_floor() {
    let mut net = Net::with_peers(1);
    let packet = Packet {
        seq: 70_000,
        time: 5,
        marker: false,
        level: Some(-20),
        payload: Arc::new([9; 40]),
    };
    let fan_out = FanOut {
        route: ROUTE,
        talker: TransportId(99),
        packet,
        home: false,
    };
    net.shard.handle_fan_out(fan_out.clone(), net.now);
    net.talker(Some(99));
    net.shard.handle_fan_out(fan_out, net.now);
    net.run(Duration::from_millis(10));
    assert_eq!(net.peer(1).heard_from(), [9]);
    let values = &net.peer(1).heard[0].header.ext_vals;
    assert_eq!(values.audio_level, Some(-20), "the level goes along");
    assert_eq!(net.shard.counters().without_floor, 1);
}

fn from_radio(seq: u64) -> FanOut {
    FanOut {
        route: ROUTE,
        talker: TransportId(99),
        packet: Packet {
            seq,
            time: seq as u32 * 960,
            marker: false,
            level: Some(-20),
            payload: Arc::new([9; 40]),
        },
        home: true,
    }
}

#[test]
fn a_radio_is_heard_recorded_and_counted_by_the_shard_that_stands_in_for_its_own() {
    let mut net = Net::with_peers(1);
    let command = Command::Settings {
        route: ROUTE,
        recorded: true,
        echo: false,
        radios: vec![RadioId(3), RadioId(4)],
    };
    net.shard.handle_command(command, net.now);
    net.shard.handle_fan_out(from_radio(6), net.now);
    assert!(net.shard.poll_tap().is_none(), "without the floor");
    assert!(net.shard.poll_radio_tap().is_none(), "without the floor");
    net.talker(Some(99));
    for seq in [7, 8] {
        net.shard.handle_fan_out(from_radio(seq), net.now);
        // The peer's str0m keeps one packet until it is asked for it.
        net.exchange();
    }
    assert_eq!(net.peer(1).heard.len(), 2);
    let mut taps = std::iter::from_fn(|| net.shard.poll_tap());
    assert!(taps.all(|tap| tap.transmission == TransmissionId(1)));
    let mut radios = std::iter::from_fn(|| net.shard.poll_radio_tap());
    assert!(radios.by_ref().map(|(radio, _)| radio.0).eq([3, 4, 3, 4]));
    net.talker(None);
    net.run(Duration::from_secs(2));
    let transport = TransportId(99);
    let heard = Heard {
        packets: 2,
        level: Some(-20),
        peak: Some(-20),
        ..Default::default()
    };
    let transmission = TransmissionId(1);
    let over = Event::Heard {
        transport,
        transmission,
        heard,
    };
    assert_eq!(net.told_of(transport), [Event::Flows(transport), over]);
}

#[test]
fn a_radio_that_falls_silent_is_told_and_told_again_when_it_is_back() {
    let mut net = Net::with_peers(1);
    let transport = TransportId(99);
    net.talker(Some(99));
    net.shard.handle_fan_out(from_radio(7), net.now);
    let since = net.now;
    net.run(Duration::from_secs(2));
    net.shard.handle_fan_out(from_radio(8), net.now);
    net.run(Duration::from_millis(10));
    let stalled = Event::Stalled { transport, since };
    let flows = Event::Flows(transport);
    assert_eq!(net.told_of(transport), [flows.clone(), stalled, flows]);
}

/// Near each other, mostly, and as far off as a made-up rollover counter can put them.
fn any_seq() -> impl Strategy<Value = u64> {
    prop_oneof![
        8 => 1000u64..1100,
        4 => 65_500u64..65_600,
        1 => any::<u64>(),
        1 => Just(u64::MAX),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a talker sends: no sequence number is given out twice (a repeated nonce would break the
    /// cipher), none jumps so far that a listener's rollover counter could go wrong, and a stream in order
    /// stays in order.
    #[test]
    fn numbers_are_never_reused_and_never_jump(
        talks in prop::collection::vec(
            (prop::collection::vec((any_seq(), any::<u32>(), 0u64..500), 1..60), any::<bool>()), 1..12),
    ) {
        let mut now = start();
        let mut rewrite = Rewrite::new(40_000, 1, now);
        let mut given = std::collections::BTreeSet::new();
        let mut highest = None::<u64>;
        for (grant, (packets, interrupted)) in talks.into_iter().enumerate() {
            if interrupted {
                rewrite.interrupt();
            }
            for (seq, time, wait) in packets {
                now += Duration::from_millis(wait);
                let Some(Place { seq, .. }) = rewrite.place(grant as u64, seq, time, now) else {
                    continue;
                };
                prop_assert!(given.insert(seq), "{} was given out twice", seq);
                if let Some(highest) = highest {
                    prop_assert!(seq.abs_diff(highest) <= 50, "jumped from {} to {}", highest, seq);
                }
                highest = highest.max(Some(seq));
            }
        }
    }
}

#[test]
fn how_a_talker_was_heard_is_told_when_the_turn_ends() {
    let mut net = Net::with_peers(2);
    net.talker(Some(1));
    net.says(1);
    net.peer(1).seq += 3;
    net.says(1);
    net.events.clear();
    net.talker(Some(2));
    net.exchange();
    let heard = Heard {
        packets: 2,
        lost: 3,
        level: Some(-30),
        peak: Some(-30),
    };
    let told = Event::Heard {
        transport: TransportId(1),
        transmission: TransmissionId(1),
        heard,
    };
    assert_eq!(net.events, [told]);
    net.events.clear();
    net.shard
        .handle_command(Command::Close(TransportId(2)), net.now);
    net.talker(None);
    net.exchange();
    assert_eq!(net.events, [], "nobody knows any more");
}

#[test]
fn the_recorder_gets_what_the_talker_of_a_recorded_route_says() {
    let mut net = Net::with_peers(2);
    net.talker(Some(1));
    net.says(1);
    assert!(net.shard.poll_tap().is_none(), "not recorded yet");
    net.settings(true, false);
    net.says(1);
    net.says(2);
    let tap = net.shard.poll_tap().expect("a packet");
    assert_eq!((tap.route, tap.transmission), (ROUTE, TransmissionId(1)));
    assert_eq!(tap.packet.payload[0], 1);
    assert!(net.shard.poll_tap().is_none(), "without the floor");
    assert_eq!(net.peer(2).heard_from(), [1, 1], "listeners hear as before");
    net.settings(false, false);
    net.says(1);
    assert!(net.shard.poll_tap().is_none(), "not recorded any more");
}

#[test]
fn on_an_echo_route_a_talker_hears_themselves_afterwards_at_the_same_pace() {
    let mut net = Net::with_peers(2);
    net.settings(false, true);
    net.talker(Some(1));
    (0..10).for_each(|_| net.says(1));
    net.run(Duration::from_millis(400));
    net.says(1);
    assert!(net.peer(2).heard.is_empty() && net.peer(1).heard.is_empty());
    net.events.clear();
    net.talker(None);
    net.exchange();
    let plays = match net.events[..] {
        [Event::Heard { .. }, Event::Echo { heard, plays, .. }] => {
            assert_eq!(heard.packets, 11);
            plays
        }
        _ => panic!("{:?}", net.events),
    };
    assert_eq!(plays, Duration::from_millis(620));
    assert!(!net.shard.is_at_rest());
    net.run(Duration::from_millis(350));
    assert!(net.peer(1).heard.len() < 6, "not all at once");
    net.run(plays);
    assert_eq!(net.peer(1).heard_from(), [1; 11]);
    let times: Vec<u32> = net
        .peer(1)
        .heard
        .iter()
        .map(|p| p.header.timestamp)
        .collect();
    assert_eq!(times[9] - times[0], 9 * 960);
    assert!(net.peer(2).heard.is_empty(), "nobody else");
    assert!(net.shard.is_at_rest());
    net.talker(Some(2));
    net.says(2);
    assert!(net.peer(1).heard_from().len() == 11 && net.peer(2).heard.is_empty());
}

#[test]
fn an_echo_plays_on_beside_the_next_talker_but_not_through_a_new_try_a_mute_or_a_goodbye() {
    let still_hears = |change: fn(&mut Net)| {
        let mut net = Net::with_peers(2);
        net.settings(false, true);
        net.talker(Some(1));
        (0..10).for_each(|_| net.says(1));
        net.talker(None);
        net.run(Duration::from_millis(400));
        let before = net.peer(1).heard.len();
        assert!((1..10).contains(&before));
        change(&mut net);
        net.run(Duration::from_secs(1));
        net.talker(None);
        assert!(net.shard.is_at_rest());
        net.peer(1).heard.len() > before
    };
    assert!(still_hears(|net| net.talker(Some(2))));
    assert!(!still_hears(|net| net.talker(Some(1))));
    assert!(!still_hears(|net| net.settings(false, false)));
    assert!(!still_hears(|net| {
        let (transport, paused) = (TransportId(1), true);
        let pause = Command::Pause { transport, paused };
        net.shard.handle_command(pause, net.now);
    }));
    assert!(!still_hears(|net| {
        net.shard
            .handle_command(Command::Close(TransportId(1)), net.now);
    }));
}

#[test]
fn an_echo_keeps_ten_seconds_and_no_more() {
    let mut net = Net::with_peers(1);
    net.settings(false, true);
    net.talker(Some(1));
    (0..550).for_each(|_| net.says(1));
    net.events.clear();
    net.talker(None);
    net.exchange();
    let plays = net.events.iter().find_map(|event| match event {
        Event::Echo { plays, .. } => Some(*plays),
        _ => None,
    });
    assert_eq!(plays, Some(Duration::from_secs(10)));
}

#[test]
fn a_routes_settings_outlive_its_listeners() {
    let mut net = Net::with_peers(1);
    net.settings(true, false);
    net.shard
        .handle_command(Command::Close(TransportId(1)), net.now);
    net.join(2, false);
    net.run(Duration::from_secs(2));
    net.talker(Some(2));
    net.says(2);
    assert!(net.shard.poll_tap().is_some());
}
