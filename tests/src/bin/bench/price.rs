//! The least a forwarded packet can cost on this machine: AES-GCM and one datagram out, to as many sockets
//! of another process on another core, whenever a datagram comes in from there.

use std::io::{BufRead, BufReader, IoSlice, Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, sendmmsg, setsockopt, sockopt};
use nix::time::{ClockId, clock_gettime};
use pttd_tests::endpoint::FRAME;

use crate::machine::{Cores, pin};
use crate::table::median;

/// RTP header with the audio level extension.
const HEADER: usize = 20;
const PAYLOAD: usize = 80;
const BATCH: usize = 64;

/// The CPU of one packet, the median of as many windows of a second.
pub fn least(listeners: usize, windows: usize, cores: Cores) -> Result<Duration> {
    pin(cores.client)?;
    let mut sink = Command::new(std::env::current_exe()?)
        .args(["sink", &listeners.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting the sink")?;
    let mut line = String::new();
    BufReader::new(sink.stdout.take().context("the sink's output")?).read_line(&mut line)?;
    let ports: Vec<u16> = serde_json::from_str(&line)?;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let mut tell = sink.stdin.take().context("the sink's input")?;
    writeln!(tell, "{}", socket.local_addr()?)?;
    let sender = std::thread::spawn(move || -> Result<Duration> {
        pin(cores.server)?;
        send(&socket, &ports, windows)
    });
    let least = sender
        .join()
        .map_err(|_panic| anyhow::anyhow!("the sender panicked"))?;
    drop(tell);
    sink.wait()?;
    least
}

fn send(socket: &UdpSocket, ports: &[u16], windows: usize) -> Result<Duration> {
    setsockopt(socket, sockopt::SndBuf, &(4 << 20))?;
    let key = UnboundKey::new(&AES_128_GCM, &[7; 16]).map(LessSafeKey::new);
    let key = key.map_err(|_unspecified| anyhow::anyhow!("a key"))?;
    let to: Vec<Option<SockaddrIn>> = ports
        .iter()
        .map(|port| Some(SockaddrIn::new(127, 0, 0, 1, *port)))
        .collect();
    let mut packets = vec![Vec::with_capacity(HEADER + PAYLOAD + 16); ports.len()];
    let mut headers = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    let mut nonce = 0_u128;
    let mut costs = Vec::new();
    let frames = (1000 / FRAME.as_millis()) as u32;
    for window in 0..=windows {
        let before = thread_cpu()?;
        for _ in 0..frames {
            socket.recv(&mut [0; 2048])?;
            for packet in &mut packets {
                packet.clear();
                packet.resize(HEADER + PAYLOAD, 0x55);
                let (header, payload) = packet.split_at_mut(HEADER);
                nonce += 1;
                let [nonce @ .., _, _, _, _] = nonce.to_be_bytes();
                let sealed = key.seal_in_place_separate_tag(
                    Nonce::assume_unique_for_key(nonce),
                    Aad::from(&*header),
                    payload,
                );
                let tag = sealed.map_err(|_unspecified| anyhow::anyhow!("sealing a packet"))?;
                packet.extend_from_slice(tag.as_ref());
            }
            for (packets, to) in packets.chunks(BATCH).zip(to.chunks(BATCH)) {
                let slices: Vec<[IoSlice; 1]> = packets.iter().map(|p| [IoSlice::new(p)]).collect();
                sendmmsg(
                    socket.as_raw_fd(),
                    &mut headers,
                    slices.iter(),
                    to,
                    [],
                    MsgFlags::MSG_DONTWAIT,
                )?;
            }
        }
        // The first one warms up.
        if window > 0 {
            costs.push((thread_cpu()? - before) / (frames * ports.len() as u32));
        }
    }
    Ok(median(costs))
}

fn thread_cpu() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

/// The other process: as many sockets, read as a crowd reads them, until nobody holds its input.
pub fn sink(listeners: usize) -> Result<()> {
    let sockets: Vec<UdpSocket> = (0..listeners)
        .map(|_| UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0))))
        .collect::<std::io::Result<_>>()?;
    let epoll = Epoll::new(EpollCreateFlags::empty())?;
    for (at, socket) in sockets.iter().enumerate() {
        socket.set_nonblocking(true)?;
        epoll.add(socket, EpollEvent::new(EpollFlags::EPOLLIN, at as u64))?;
    }
    let ports: Vec<u16> = sockets
        .iter()
        .map(|s| Ok(s.local_addr()?.port()))
        .collect::<Result<_>>()?;
    println!("{}", serde_json::to_string(&ports)?);
    std::io::stdout().flush()?;
    let mut sender = String::new();
    std::io::stdin().read_line(&mut sender)?;
    let sender: SocketAddr = sender.trim().parse()?;
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    let mut events = vec![EpollEvent::empty(); 1024];
    let mut buffer = [0; 2048];
    let mut due = Instant::now();
    loop {
        let wait = due.saturating_duration_since(Instant::now()) + Duration::from_micros(999);
        let wait = EpollTimeout::try_from(wait).unwrap_or(EpollTimeout::ZERO);
        let ready = epoll.wait(&mut events, wait).unwrap_or(0);
        for event in &events[..ready] {
            while sockets[event.data() as usize].recv(&mut buffer).is_ok() {}
        }
        if due <= Instant::now() {
            due += FRAME;
            sockets[0].send_to(&[0x55; HEADER + PAYLOAD + 16], sender)?;
        }
    }
}
