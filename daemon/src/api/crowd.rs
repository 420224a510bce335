//! How often somebody may have the box write something before anybody knows them. A crowd at an event comes from
//! one address, so an address may do much; one device has no reason to.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::sign_in::network;

const OF_ADDRESS: u32 = 300;
const OF_DEVICE: u32 = 10;
const EVERY: Duration = Duration::from_secs(60);
/// Remembered at a time.
const MOST: usize = 4096;

#[derive(Default)]
pub struct Crowd {
    addresses: Mutex<HashMap<IpAddr, Tries>>,
    /// By the hashes of their credentials.
    devices: Mutex<HashMap<[u8; 32], Tries>>,
}

#[derive(Clone, Copy)]
struct Tries {
    since: Instant,
    count: u32,
}

impl Crowd {
    /// Whether this one may go on, and counts it.
    pub fn may_pass(&self, from: IpAddr, device: [u8; 32], now: Instant) -> bool {
        take(&self.devices, device, OF_DEVICE, now)
            && take(&self.addresses, network(from), OF_ADDRESS, now)
    }
}

fn take<K: Copy + Eq + Hash>(
    tries: &Mutex<HashMap<K, Tries>>,
    key: K,
    most: u32,
    now: Instant,
) -> bool {
    let mut tries = tries.lock().unwrap_or_else(PoisonError::into_inner);
    let is_over = |t: &Tries| now.saturating_duration_since(t.since) >= EVERY;
    if !tries.contains_key(&key) && tries.len() >= MOST {
        tries.retain(|_, t| !is_over(t));
        if tries.len() >= MOST
            && let Some((oldest, _)) = tries.iter().min_by_key(|(_, t)| t.since)
        {
            let oldest = *oldest;
            tries.remove(&oldest);
        }
    }
    let new = Tries {
        since: now,
        count: 0,
    };
    let of_key = tries.entry(key).or_insert(new);
    if is_over(of_key) {
        *of_key = new;
    }
    of_key.count = of_key.count.saturating_add(1);
    of_key.count <= most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_do_much_in_a_minute_and_a_device_little() {
        let (crowd, noon) = (Crowd::default(), Instant::now());
        let from: IpAddr = [192, 0, 2, 1].into();
        let device = |n: u32| {
            let mut hash = [0; 32];
            hash[..4].copy_from_slice(&n.to_be_bytes());
            hash
        };
        let passed = |n| {
            (0..20)
                .filter(|_| crowd.may_pass(from, device(n), noon))
                .count()
        };
        assert_eq!(passed(0), 10);
        let others = (1..400).filter(|n| crowd.may_pass(from, device(*n), noon));
        assert_eq!(others.count(), 290);
        assert!(crowd.may_pass([192, 0, 2, 2].into(), device(500), noon));
        assert!(crowd.may_pass(from, device(0), noon + EVERY));
    }

    #[test]
    fn who_has_thousands_of_addresses_fills_no_memory() {
        let (crowd, noon) = (Crowd::default(), Instant::now());
        for n in 0..MOST as u32 + 9 {
            let mut device = [0; 32];
            device[..4].copy_from_slice(&n.to_be_bytes());
            assert!(crowd.may_pass(IpAddr::V4(n.into()), device, noon));
        }
        assert_eq!(crowd.addresses.lock().unwrap().len(), MOST);
        assert_eq!(crowd.devices.lock().unwrap().len(), MOST);
    }
}
