//! The two encodings of the signaling messages: JSON text and MessagePack binary, chosen by the
//! WebSocket's subprotocol.
