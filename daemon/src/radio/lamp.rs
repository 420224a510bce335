//! Lamps: GPIO outputs that show what goes on. One thread looks twenty times a second; a lamp that is missing is looked
//! for until it is there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use pttd_core::edge::Happening;
use pttd_core::ids::{ChannelId, TransmissionId};
use pttd_hw::gpio::open_lamp;
use pttd_hw::{HwError, Ptt};
use tokio_util::sync::CancellationToken;

use super::Radios;
use crate::config::Lamp;
use crate::config::radio::Follows;
use crate::health::Health;
use crate::reactor::Witness;

const LOOK: Duration = Duration::from_millis(50);
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Who talks where, as the reactor tells it. The lock is held for a moment by either side.
#[derive(Clone, Default)]
pub struct Talks(Arc<Mutex<BTreeMap<ChannelId, TransmissionId>>>);

impl Talks {
    pub fn witness(&self) -> Witness {
        let talks = self.clone();
        Witness {
            name: "lamps",
            tell: Box::new(move |what| {
                talks.happened(what);
                true
            }),
        }
    }

    fn happened(&self, what: &Happening) {
        let mut talks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match what {
            Happening::TalkBegan {
                channel,
                transmission,
                ..
            } => {
                talks.insert(channel.clone(), *transmission);
            }
            Happening::TalkEnded {
                channel,
                transmission,
                ..
            } if talks.get(channel) == Some(transmission) => {
                talks.remove(channel);
            }
            _ => {}
        }
    }

    fn is_on(&self, channel: &ChannelId) -> bool {
        let talks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        talks.contains_key(channel)
    }
}

struct Wired {
    lamp: Lamp,
    output: Option<Box<dyn Ptt>>,
    lit: Option<bool>,
    looked: Option<Instant>,
    problem: Option<String>,
}

/// Starts the thread, where there are lamps. It ends with the box, and leaves them dark.
pub fn start(
    lamps: &[Lamp],
    talks: Talks,
    radios: Radios,
    health: Health,
    stop: CancellationToken,
) -> Result<()> {
    if lamps.is_empty() {
        return Ok(());
    }
    let wired = |lamp: &Lamp| Wired {
        lamp: lamp.clone(),
        output: None,
        lit: None,
        looked: None,
        problem: None,
    };
    let mut lamps: Vec<Wired> = lamps.iter().map(wired).collect();
    let run = move || {
        let mut uplink = (false, None::<Instant>);
        while !stop.is_cancelled() {
            let now = Instant::now();
            if uplink.1.is_none_or(|at| now >= at + LOOK_AGAIN) {
                uplink = (has_uplink(), Some(now));
            }
            let on_air = radios.on_air(now);
            for lamp in &mut lamps {
                let lit = match &lamp.lamp.follows {
                    Follows::Talk(channel) => talks.is_on(channel),
                    Follows::Busy(channel) => {
                        talks.is_on(channel) || on_air.iter().any(|(_, on)| on == channel)
                    }
                    Follows::OnAir(radio) => on_air.iter().any(|(id, _)| id == radio),
                    Follows::Uplink => uplink.0,
                };
                lamp.show(lit, now);
            }
            let problems: Vec<String> = lamps.iter().filter_map(|l| l.problem.clone()).collect();
            match problems.is_empty() {
                true => health.fine("lamps"),
                false => health.known("lamps", problems.join("; ")),
            }
            std::thread::sleep(LOOK);
        }
        let now = Instant::now();
        lamps.iter_mut().for_each(|lamp| lamp.show(false, now));
    };
    std::thread::Builder::new()
        .name("lamps".into())
        .spawn(run)
        .context("starting the lamps' thread")?;
    Ok(())
}

impl Wired {
    fn show(&mut self, lit: bool, now: Instant) {
        if self.output.is_none() && self.looked.is_none_or(|at| now >= at + LOOK_AGAIN) {
            self.looked = Some(now);
            match open_lamp(&self.lamp.line) {
                Ok(output) => self.output = Some(Box::new(output)),
                Err(error) => self.fails(&error),
            }
            self.lit = None;
        }
        let Some(output) = self.output.as_mut().filter(|_| self.lit != Some(lit)) else {
            return;
        };
        match output.set(lit) {
            Ok(()) => (self.lit, self.problem) = (Some(lit), None),
            Err(error) => {
                self.output = None;
                self.fails(&error);
            }
        }
    }

    fn fails(&mut self, error: &HwError) {
        let problem = Some(format!("the lamp {}: {error}", self.lamp.line));
        if self.problem != problem {
            tracing::warn!(lamp = %self.lamp.line, %error, "a lamp does not work");
        }
        self.problem = problem;
    }
}

/// Whether the box has a way out of its network: a default route.
fn has_uplink() -> bool {
    let read = |file| std::fs::read_to_string(file).unwrap_or_default();
    leads_out(&read("/proc/net/route"), &read("/proc/net/ipv6_route"))
}

fn leads_out(v4: &str, v6: &str) -> bool {
    /// RTF_UP and RTF_GATEWAY of the kernel's route.h.
    const LEADS_ON: u32 = 3;
    let flags = |hex: Option<&&str>| {
        let flags = hex.and_then(|hex| u32::from_str_radix(hex, 16).ok());
        flags.is_some_and(|flags| flags & LEADS_ON == LEADS_ON)
    };
    let zero = |hex: Option<&&str>| hex.is_some_and(|hex| hex.bytes().all(|digit| digit == b'0'));
    let any = |text: &str, destination: usize, prefix: usize, flag: usize| {
        text.lines().any(|line| {
            let line: Vec<&str> = line.split_whitespace().collect();
            zero(line.get(destination)) && zero(line.get(prefix)) && flags(line.get(flag))
        })
    };
    any(v4, 1, 7, 3) || any(v6, 0, 1, 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n";

    #[test]
    fn a_default_route_with_a_gateway_leads_out() {
        let v4 = |line: &str| format!("{HEAD}{line}\n");
        let lan = v4("eth0 0001A8C0 00000000 0001 0 0 0 00FFFFFF 0 0 0");
        let out = v4("eth0 00000000 0101A8C0 0003 0 0 0 00000000 0 0 0");
        assert!(!leads_out("", ""));
        assert!(!leads_out(&lan, ""));
        assert!(leads_out(&out, ""));
        let zeros = "0".repeat(32);
        let lo = format!("{zeros} 00 {zeros} 00 {zeros} ffffffff 00000001 00000000 00200200 lo\n");
        let out6 = format!(
            "{zeros} 00 {zeros} 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003 eth0\n"
        );
        assert!(!leads_out("", &lo));
        assert!(leads_out("", &out6));
    }
}
