//! The product from outside, and the small language its tests are written in: `site()` is a box of its own,
//! `site.client("anna")` a device's signaling, `site.phone("anna")` a device that talks and hears, and
//! `turn().browser(ANNA)` a real Chromium with Anna's voice.

pub mod alignment;
pub mod api;
pub mod browser;
pub mod client;
pub mod dispatch_page;
pub mod endpoint;
pub mod guardian;
pub mod guest;
pub mod http;
pub mod load;
pub mod microphone;
pub mod phone;
pub mod pulse;
pub mod radio;
pub mod site;
pub mod sound;
pub mod talk_page;
