//! placeholder until the guardian's own is merged
use std::path::Path;

use pttd_hw::HwError;
use pttd_hw::spec::SerialInput;

#[derive(Default)]
pub struct Link {}

impl Link {
    pub fn key(&self, _radio: &str) {}
    pub fn unkey(&self, _radio: &str) {}
    pub fn reload(&self) {}
    pub fn serial(&self, _port: &Path, _line: SerialInput) -> Result<bool, HwError> {
        Ok(false)
    }
}
