//! The names things go by. Cheap to copy or clone, ordered, and never mixed up with each other.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl From<&str> for $name {
            fn from(s: &str) -> Self {
                $name(s.into())
            }
        }
        impl From<String> for $name {
            fn from(s: String) -> Self {
                $name(s.into())
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident($int:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Debug,
        )]
        #[serde(transparent)]
        pub struct $name(pub $int);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

text_id!(
    /// A talk group, as the roster names it: `ops`.
    ChannelId
);
text_id!(
    /// A person, as the roster names them: `anna`. One user may have several sessions.
    UserId
);
number_id!(
    /// One connected device: its WebSocket and its transports. Never used twice by one daemon.
    SessionId(u64)
);
number_id!(
    /// One WebRTC peer connection: one session on one channel. Never used twice by one daemon.
    TransportId(u32)
);
number_id!(
    /// One stretch of talk, from grant to end. Never used twice by one daemon.
    TransmissionId(u64)
);

number_id!(
    /// One channel as the media shards know it. Never used twice by one daemon.
    RouteId(u32)
);

number_id!(
    /// One radio or desk, as the daemon counts those of its settings.
    RadioId(u16)
);

/// Anyone who can hold a floor.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ParticipantId {
    Session(SessionId),
    /// What its receiver, or a desk's microphone, hears.
    Radio(RadioId),
}

impl From<SessionId> for ParticipantId {
    fn from(id: SessionId) -> Self {
        ParticipantId::Session(id)
    }
}

impl From<RadioId> for ParticipantId {
    fn from(id: RadioId) -> Self {
        ParticipantId::Radio(id)
    }
}

impl fmt::Display for ParticipantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ParticipantId::Session(id) => write!(f, "session {id}"),
            ParticipantId::Radio(id) => write!(f, "radio {id}"),
        }
    }
}
