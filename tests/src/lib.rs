//! The product from outside, and the small language its tests are written in.

pub mod browser;
pub mod microphone;
