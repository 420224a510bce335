//! Listening: the TCP ports, how many may be connected, how long they may dawdle.

use std::future::{Ready, ready};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum_server::accept::Accept;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use axum_server::{Handle, Server};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Open connections of a port: a thousand devices with a WebSocket and a few requests each.
const MAX_CONNECTIONS: usize = 8_192;
/// From connecting to the first whole request.
const FIRST_REQUEST: Duration = Duration::from_secs(10);
/// Between the requests of a connection.
const NEXT_REQUEST: Duration = Duration::from_secs(60);

pub fn bind(address: SocketAddr, what: &str) -> Result<TcpListener> {
    let bound = TcpListener::bind(address).or_else(|error| {
        // A kernel without IPv6 has no `[::]`; the settings' default means every address.
        match address.is_ipv6() && address.ip().is_unspecified() {
            true => {
                TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).map_err(|_neither| error)
            }
            false => Err(error),
        }
    });
    bound.with_context(|| {
        format!(
            "listening on {address} for {what}: choose another address or port in the settings, stop who \
             uses it, or for a port below 1024 start pttd with the right to it"
        )
    })
}

pub async fn https(
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    app: Router,
    handle: Handle<SocketAddr>,
) -> Result<()> {
    let acceptor = RustlsAcceptor::new(RustlsConfig::from_config(tls)).acceptor(Bounded::new());
    with_patience(axum_server::from_tcp(listener)?.acceptor(acceptor))
        .handle(handle)
        .serve(app.into_make_service_with_connect_info::<SocketAddr>())
        .await
        .context("serving HTTPS")
}

pub async fn plain(listener: TcpListener, app: Router, handle: Handle<SocketAddr>) -> Result<()> {
    with_patience(axum_server::from_tcp(listener)?.acceptor(Bounded::new()))
        .handle(handle)
        .serve(app.into_make_service_with_connect_info::<SocketAddr>())
        .await
        .context("serving plain HTTP")
}

fn with_patience<A>(server: Server<SocketAddr, A>) -> Server<SocketAddr, A> {
    let mut server = server.first_request_timeout(FIRST_REQUEST);
    let http = server.http_builder();
    http.http1().header_read_timeout(NEXT_REQUEST);
    http.http2()
        .max_concurrent_streams(64)
        .keep_alive_interval(Some(NEXT_REQUEST));
    server
}

/// Turns away who comes when a port is full, before any work is done for them.
#[derive(Clone)]
struct Bounded(Arc<Semaphore>);

impl Bounded {
    fn new() -> Bounded {
        Bounded(Arc::new(Semaphore::new(MAX_CONNECTIONS)))
    }
}

impl<S> Accept<TcpStream, S> for Bounded {
    type Stream = Counted;
    type Service = S;
    type Future = Ready<io::Result<(Counted, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let place = match self.0.clone().try_acquire_owned() {
            Ok(place) => place,
            Err(_) => {
                metrics::counter!("pttd_connections_turned_away_total").increment(1);
                return ready(Err(io::Error::other("too many connections")));
            }
        };
        // A floor request is one small packet, and shall not wait for the next.
        let counted = stream.set_nodelay(true).map(|()| Counted {
            stream,
            _place: place,
        });
        ready(counted.map(|stream| (stream, service)))
    }
}

/// A connection and its place among the bounded number of them, given back when it ends: a WebSocket keeps it.
struct Counted {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
