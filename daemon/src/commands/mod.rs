//! What an operator says at the box's own shell. Each command is a request to the API: of the running daemon over
//! its control socket, or where none runs of the opened store.

mod ask;
mod devices;
mod journal;
mod people;
mod posters;
mod radio;
mod table;
mod talk_groups;

use std::time::Duration;

pub use self::devices::Devices;
pub use self::journal::{Log, RollCall};
pub use self::people::{Device, Session, User};
pub use self::posters::Poster;
pub use self::radio::Radio;
pub use self::talk_groups::{Channel, Member};

/// `90s`, `8h`, `3d` ...
pub fn span(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
    let (number, unit) = text.split_at(split);
    let factor = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    };
    let ms = number.parse::<u64>().ok().zip(factor);
    ms.and_then(|(number, factor)| number.checked_mul(factor))
        .map(Duration::from_millis)
        .ok_or_else(|| "write a number and its unit: ms, s, m, h or d, as in 45s".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_a_number_and_a_unit() {
        for (text, ms) in [("500ms", 500), ("45s", 45_000), ("8h", 28_800_000)] {
            assert_eq!(span(text).unwrap(), Duration::from_millis(ms), "{text}");
        }
        for bad in ["", "45", "s", "-1s", "1.5h", "1w", "99999999999999999999s"] {
            assert!(span(bad).is_err(), "{bad:?}");
        }
    }
}
