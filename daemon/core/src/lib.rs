//! Everything the box decides, and nothing it does: no clock, no socket, no file, no async. Time and
//! randomness are arguments. The daemon (`pttd`) feeds these machines and carries out what they say.

pub mod authority;
pub mod dispatch;
pub mod edge;
pub mod floor;
pub mod ids;
pub mod media;
pub mod radio;
pub mod recording;
pub mod wire;
