//! Tells the daemon when it was built: the earliest time a box without a clock can believe.

use std::time::{SystemTime, UNIX_EPOCH};

fn main() {
    println!("cargo:rerun-if-env-changed=SOURCE_DATE_EPOCH");
    let asked_for = std::env::var("SOURCE_DATE_EPOCH").ok();
    let built = asked_for.and_then(|text| text.parse::<u64>().ok());
    let now = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    };
    println!("cargo:rustc-env=PTTD_BUILT={}", built.unwrap_or_else(now));
}
