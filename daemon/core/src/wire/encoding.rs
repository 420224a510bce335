//! The two encodings of the signaling messages: JSON text and MessagePack binary, chosen by the
//! WebSocket's subprotocol.

use serde::de::DeserializeOwned;
use serde::ser::Serialize;

/// Deepest nesting of a message. Ours need three levels.
pub const MAX_DEPTH: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Json,
    MessagePack,
}

#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("not a message of this protocol: {0}")]
    Json(#[from] serde_json::Error),
    #[error("not a message of this protocol: {0}")]
    MessagePack(#[from] rmp_serde::decode::Error),
    #[error("not MessagePack: {0}")]
    Malformed(&'static str),
}

#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    #[error("encoding a message as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("encoding a message as MessagePack: {0}")]
    MessagePack(#[from] rmp_serde::encode::Error),
}

impl Encoding {
    pub fn encode<T: Serialize>(self, message: &T) -> Result<Vec<u8>, EncodeError> {
        Ok(match self {
            Encoding::Json => serde_json::to_vec(message)?,
            Encoding::MessagePack => rmp_serde::to_vec_named(message)?,
        })
    }

    pub fn decode<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, DecodeError> {
        match self {
            Encoding::Json => Ok(serde_json::from_slice(bytes)?),
            Encoding::MessagePack => {
                let rest = measure(bytes, MAX_DEPTH)?;
                if !rest.is_empty() {
                    return Err(DecodeError::Malformed("bytes after its end"));
                }
                let mut decoder = rmp_serde::Deserializer::from_read_ref(bytes);
                decoder.set_max_depth(2 * MAX_DEPTH);
                Ok(T::deserialize(&mut decoder)?)
            }
        }
    }
}

/// Walks over one value and returns what follows it. Every declared length is held against the bytes that
/// are there, so that nothing is ever allocated because a message says so.
fn measure(bytes: &[u8], depth: usize) -> Result<&[u8], DecodeError> {
    const SHORT: DecodeError = DecodeError::Malformed("it ends early");
    let (&marker, rest) = bytes.split_first().ok_or(SHORT)?;
    let number = |width: usize| -> Result<(usize, &[u8]), DecodeError> {
        let (number, rest) = rest.split_at_checked(width).ok_or(SHORT)?;
        Ok((number.iter().fold(0, |n, b| n << 8 | usize::from(*b)), rest))
    };
    let low = |bits: u8| usize::from(marker & bits);
    // What follows the marker and its length: so many bytes, or so many values.
    let (skip, values, rest) = match marker {
        0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => (0, 0, rest),
        0x80..=0x8f => (0, 2 * low(0x0f), rest),
        0x90..=0x9f => (0, low(0x0f), rest),
        0xa0..=0xbf => (low(0x1f), 0, rest),
        0xc1 => {
            return Err(DecodeError::Malformed(
                "it has a marker that does not exist",
            ));
        }
        0xc4..=0xc6 | 0xd9..=0xdb => {
            let (length, rest) = number(1 << ((marker - 0xc4) % 21))?;
            (length, 0, rest)
        }
        0xc7..=0xc9 => {
            let (length, rest) = number(1 << (marker - 0xc7))?;
            (length.saturating_add(1), 0, rest)
        }
        0xca => (4, 0, rest),
        0xcb => (8, 0, rest),
        0xcc..=0xcf => (1 << (marker - 0xcc), 0, rest),
        0xd0..=0xd3 => (1 << (marker - 0xd0), 0, rest),
        0xd4..=0xd8 => ((1 << (marker - 0xd4)) + 1, 0, rest),
        0xdc | 0xdd => {
            let (length, rest) = number(2 << (marker - 0xdc))?;
            (0, length, rest)
        }
        0xde | 0xdf => {
            let (length, rest) = number(2 << (marker - 0xde))?;
            (0, length.saturating_mul(2), rest)
        }
    };
    let mut rest = rest.get(skip..).ok_or(SHORT)?;
    if values > 0 && depth == 0 {
        return Err(DecodeError::Malformed("it is nested too deep"));
    }
    for _ in 0..values {
        rest = measure(rest, depth - 1)?;
    }
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ChannelId, SessionId, TransmissionId};
    use crate::wire::signal::{
        ClientMessage, Level, Person, Reply, Request, Role, ServerMessage, Talk,
    };
    use proptest::prelude::*;

    #[test]
    fn both_encodings_carry_requests_and_replies() {
        let request = Request {
            id: Some(7),
            message: ClientMessage::Start {
                channel_id: ChannelId::from("ops"),
                level: Level::Emergency,
            },
        };
        let reply = Reply {
            id: None,
            message: ServerMessage::Start {
                channel_id: ChannelId::from("ops"),
                talk: Talk {
                    transmission_id: TransmissionId(3),
                    talker: Person {
                        session_id: SessionId(1),
                        user_id: "anna".into(),
                        name: "Anna".into(),
                        role: Role::Dispatch,
                    },
                    level: Level::Normal,
                    elapsed_ms: 0,
                },
            },
        };
        for encoding in [Encoding::Json, Encoding::MessagePack] {
            let bytes = encoding.encode(&request).expect("encodes");
            let back: Request = encoding.decode(&bytes).expect("decodes");
            assert_eq!(back, request, "{encoding:?}");
            let bytes = encoding.encode(&reply).expect("encodes");
            let back: Reply = encoding.decode(&bytes).expect("decodes");
            assert_eq!(back, reply, "{encoding:?}");
        }
    }

    #[test]
    fn every_marker_is_measured_as_the_library_writes_it() {
        let long = vec![1u8; 70_000];
        let values = serde_json::json!({
            "ints": [0, 127, 128, 255, 256, 65_535, 65_536, 5_000_000_000u64, -1, -33, -200, -40_000, -3_000_000_000i64],
            "more": [true, false, null, 1.5, "short", "x".repeat(40), "y".repeat(300), "z".repeat(70_000)],
            "many": (0..20).collect::<Vec<_>>(),
            "most": long,
            "map": (0..20).map(|n| (n.to_string(), n)).collect::<std::collections::BTreeMap<_, _>>(),
        });
        let mut bytes = rmp_serde::to_vec_named(&values).expect("encodes");
        bytes.extend(rmp_serde::to_vec(&1.5f32).expect("encodes"));
        let rest = measure(&bytes, MAX_DEPTH).expect("well formed");
        assert_eq!(rest.len(), 5);
        assert!(measure(rest, MAX_DEPTH).expect("well formed").is_empty());
    }

    #[test]
    fn lying_lengths_and_deep_nesting_are_refused() {
        let lying: [&[u8]; 7] = [
            &[0xdd, 0xff, 0xff, 0xff, 0xff],
            &[0xdf, 0xff, 0xff, 0xff, 0xff, 0x01],
            &[0xdb, 0xff, 0xff, 0xff, 0xff, b'a'],
            &[0xc6, 0xff, 0xff, 0xff, 0xff],
            &[0xc9, 0xff, 0xff, 0xff, 0xff, 0],
            &[0xc1],
            &[],
        ];
        for bytes in lying {
            assert!(
                Encoding::MessagePack.decode::<Request>(bytes).is_err(),
                "{bytes:x?}"
            );
        }
        let nested = |depth: usize| [vec![0x91; depth], vec![0xc0]].concat();
        assert!(measure(&nested(16), MAX_DEPTH).is_ok());
        assert!(measure(&nested(17), MAX_DEPTH).is_err());
        assert!(measure(&nested(60_000), MAX_DEPTH).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Encoding::MessagePack.decode::<Request>(&bytes);
            let _ = Encoding::Json.decode::<Request>(&bytes);
        }
    }
}
