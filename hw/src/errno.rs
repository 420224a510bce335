//! What the kernel's refusals mean for a wire.

use std::io;

use nix::errno::Errno;

use crate::HwError;

/// `doing`: "opening", "writing to"; `what`: the thing, as an operator knows it.
pub fn hw_error(doing: &str, what: &str, source: io::Error) -> HwError {
    let what = what.to_string();
    match source.raw_os_error().map(Errno::from_raw) {
        // A file that is not there, a device that was pulled.
        Some(Errno::ENOENT | Errno::ENODEV | Errno::ENXIO | Errno::ESHUTDOWN) => {
            HwError::Missing { what }
        }
        Some(Errno::EBUSY) => HwError::Busy { what },
        _ => HwError::Io {
            doing: format!("{doing} {what}"),
            source,
        },
    }
}
