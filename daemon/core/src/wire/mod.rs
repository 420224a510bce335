//! What goes over a wire, as types. No decision is made here.

pub mod encoding;
pub mod signal;

#[cfg(test)]
mod tests;
