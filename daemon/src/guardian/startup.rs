//! What is known of a PTT line before it is ever keyed: whether letting go of it unkeys.

use pttd_hw::HwError;
use pttd_hw::spec::PttSpec;

use super::outputs::Output;

/// Looks at a line that nobody holds, and says what there is to say. Never keys it.
pub fn look_at(output: &Output) -> Result<(), HwError> {
    let Output { radio, ptt, .. } = output;
    match ptt {
        PttSpec::Cm108 { .. } => tracing::info!(
            radio,
            %ptt,
            "a CM108 stays as it was when its owner dies, until the next guardian starts: set the radio's own TOT \
             as well, it is the last defence"
        ),
        PttSpec::None | PttSpec::Gpio { .. } | PttSpec::Serial { .. } | PttSpec::Bench(_) => {}
    }
    Ok(())
}
