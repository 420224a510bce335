//! One radio as the guardian has it: a lease, a wire, and what was last told of them.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::eventfd::EventFd;
use pttd_core::radio::lease::{self, Input, Lease, Output as Decision};
use pttd_hw::serial::SerialPorts;

use super::outputs::{Output, Wire};
use super::protocol::Line;

pub struct Radio {
    output: Output,
    lease: Lease,
    wire: Wire,
    /// Whose orders keep it keyed.
    pub keyed_by: Option<u64>,
    /// What clients know.
    pub line: Line,
}

impl Radio {
    pub fn start(
        output: Output,
        lease: Duration,
        ports: Arc<SerialPorts>,
        bell: Arc<EventFd>,
    ) -> io::Result<Radio> {
        let wire = Wire::start(&output, ports, bell)?;
        let line = Line {
            radio: output.radio.clone(),
            ..Line::default()
        };
        let settings = lease::Settings {
            lease,
            tot: output.tot,
        };
        let lease = Lease::new(settings);
        Ok(Radio {
            output,
            lease,
            wire,
            keyed_by: None,
            line,
        })
    }

    pub fn is(&self, output: &Output, lease: Duration) -> bool {
        self.output == *output && self.lease.settings().lease == lease
    }

    /// It may be changed: it is not keyed, and not locked either.
    pub fn is_idle(&self) -> bool {
        self.lease.is_idle() && !self.line.keyed
    }

    pub fn key(&mut self, said: Instant, by: u64, now: Instant) {
        self.handle(Input::Key { said }, now);
        if self.lease.is_keyed() {
            self.keyed_by = Some(by);
        }
    }

    pub fn handle(&mut self, input: Input, now: Instant) {
        self.lease.handle(input, now);
        self.carry_out();
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.lease.poll_timeout()
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        self.lease.handle_timeout(now);
        self.carry_out();
    }

    fn carry_out(&mut self) {
        let radio = &self.output.radio;
        while let Some(decision) = self.lease.poll_output() {
            match decision {
                Decision::Set(keyed) => {
                    tracing::debug!(radio, keyed, "PTT line");
                    self.wire.set(keyed);
                    if !keyed {
                        self.keyed_by = None;
                    }
                }
                Decision::Lapsed => {
                    tracing::warn!(radio, "orders stopped while it was keyed: unkeyed");
                }
                Decision::Locked => {
                    tracing::warn!(radio, "not keyed again before its orders pause");
                }
                Decision::Unlocked => tracing::info!(radio, "may be keyed again"),
            }
        }
    }

    /// What changed since it was told last.
    pub fn news(&mut self, now: Instant) -> Option<Line> {
        let told = self.wire.told(now);
        let line = Line {
            radio: self.output.radio.clone(),
            keyed: told.keyed,
            locked: self.lease.is_locked(),
            fault: told.fault,
        };
        if line == self.line {
            return None;
        }
        if line.fault != self.line.fault {
            let (radio, ptt) = (&line.radio, &self.output.ptt);
            match &line.fault {
                Some(why) => {
                    tracing::warn!(radio, %ptt, why, "the PTT line does not do as told: trying again");
                }
                None => tracing::info!(radio, %ptt, "the PTT line does as told again"),
            }
        }
        self.line = line.clone();
        Some(line)
    }

    pub fn has_tried(&self) -> bool {
        self.wire.has_tried()
    }

    pub fn end(&self) {
        self.wire.end();
    }

    pub fn has_ended(&self) -> bool {
        self.wire.has_ended()
    }
}
