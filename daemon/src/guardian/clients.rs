//! Who is connected to the guardian.

use std::time::{Duration, Instant};

use nix::unistd::geteuid;

use super::protocol::{Purpose, Socket, Tell};

/// More are turned away.
const MOST: usize = 16;
/// Whoever has not said hello by then is turned away.
const HELLO_WITHIN: Duration = Duration::from_secs(5);

pub struct Client {
    pub id: u64,
    pub socket: Socket,
    pub pid: i32,
    /// `None` before its hello.
    pub purpose: Option<Purpose>,
    pub since: Instant,
    /// It did not read, so something was not told: all of it is told when it reads again.
    pub behind: bool,
    pub gone: bool,
}

#[derive(Default)]
pub struct Clients {
    pub all: Vec<Client>,
    next: u64,
}

impl Clients {
    /// Lets in who may come in: processes of this user, or root's.
    pub fn admit(&mut self, socket: Socket, now: Instant) {
        let peer = match socket.peer() {
            Ok(peer) => peer,
            Err(error) => {
                tracing::warn!(%error, "a client cannot be told who it is: turned away");
                return;
            }
        };
        let why = match (
            peer.uid() == geteuid().as_raw() || peer.uid() == 0,
            self.all.len(),
        ) {
            (false, _) => Some("only the user the guardian runs as, and root, may come in"),
            (true, MOST..) => Some("too many clients"),
            (true, _) => None,
        };
        if let Some(why) = why {
            tracing::warn!(
                pid = peer.pid(),
                uid = peer.uid(),
                why,
                "turned a client away"
            );
            let why = why.to_string();
            // It may not read.
            let _ = socket.send(&Tell::Refused { why });
            return;
        }
        self.next += 1;
        self.all.push(Client {
            id: self.next,
            socket,
            pid: peer.pid(),
            purpose: None,
            since: now,
            behind: false,
            gone: false,
        });
    }

    /// The pid of the one that keys.
    pub fn running(&self) -> Option<i32> {
        let runs = |client: &&Client| client.purpose == Some(Purpose::Run) && !client.gone;
        self.all.iter().find(runs).map(|client| client.pid)
    }

    pub fn tell(&mut self, message: &Tell) {
        for client in self.all.iter_mut().filter(|c| c.purpose.is_some()) {
            client.tell(message);
        }
    }

    /// Takes out those who are gone.
    pub fn leave(&mut self, now: Instant) -> Vec<Client> {
        let silent = |c: &Client| c.purpose.is_none() && c.since + HELLO_WITHIN <= now;
        self.all
            .extract_if(.., |client| client.gone || silent(client))
            .collect()
    }
}

impl Client {
    pub fn tell(&mut self, message: &Tell) {
        match self.socket.send(message) {
            Ok(true) => {}
            Ok(false) => self.behind = true,
            Err(_) => self.gone = true,
        }
    }
}
