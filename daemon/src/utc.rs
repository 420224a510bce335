//! The time of day, for things that outlive a restart: ends of invitations, certificates.

use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// When this daemon was built, in UTC seconds since 1970.
pub static BUILT: LazyLock<u64> = LazyLock::new(|| env!("PTTD_BUILT").parse().unwrap_or(0));

/// UTC seconds since 1970. A box without a real-time clock wakes up in 1970; it is never earlier than the
/// day it was built.
pub fn now() -> u64 {
    let clock = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    clock.max(*BUILT)
}
