//! What is known of a PTT line before it is ever keyed: whether it falls when the guardian is killed.

use pttd_hw::spec::PttSpec;
use pttd_hw::{HwError, LetGo, gpio, let_go};

use super::outputs::Output;

/// Looks at a line that nobody holds, and says what there is to say. Never keys it.
pub fn look_at(output: &Output) -> Result<(), HwError> {
    let Output { radio, ptt, .. } = output;
    match ptt {
        PttSpec::Gpio { line, active_low } => {
            let found = match let_go(line, *active_low) {
                Ok(found) => found,
                Err(error @ (HwError::Missing { .. } | HwError::Busy { .. })) => return Err(error),
                // It may be keyed all the same.
                Err(error) => {
                    tracing::warn!(radio, %ptt, %error, "whether letting go of the PTT line unkeys is not known");
                    return Ok(());
                }
            };
            match in_words(found, is_raspberry_pi()) {
                Some(what) => tracing::warn!(radio, %ptt, what, "this PTT line may not be safe"),
                None => tracing::info!(radio, %ptt, "letting go of the PTT line unkeys"),
            }
        }
        PttSpec::Cm108 { .. } => tracing::warn!(
            radio,
            %ptt,
            "a CM108 stays as it was when the guardian is killed, until the next one starts: set the radio's own \
             TOT, it is the last defence"
        ),
        // The port itself says so where it does not drop its lines.
        PttSpec::Serial { .. } | PttSpec::Bench(_) | PttSpec::None => {}
    }
    Ok(())
}

/// `None`: letting go unkeys.
fn in_words(found: LetGo, raspberry_pi: bool) -> Option<String> {
    if found.reads_keyed {
        return Some(
            "nobody keys it, and it reads as keyed: check the wiring, and whether its polarity in the settings \
             (a leading !) is right"
                .to_string(),
        );
    }
    if !found.stays_output {
        return None;
    }
    Some(match (raspberry_pi, gpio::keeps_outputs()) {
        (true, Some(true) | None) => {
            "when the guardian is killed while it is keyed it stays so until the next guardian starts: add \
             dtparam=strict_gpiod to config.txt, or pinctrl_bcm2835.persist_gpio_outputs=n to cmdline.txt, and boot \
             again"
        }
        // Only by keying it could be seen at which level.
        (_, _) => {
            "its chip leaves it an output when it is let go, and may leave it keyed when the guardian is killed, until \
             the next one starts: kill -9 the guardian once while it is keyed into a dummy load, and set the radio's \
             own TOT"
        }
    }
    .to_string())
}

fn is_raspberry_pi() -> bool {
    let model = std::fs::read("/proc/device-tree/model").unwrap_or_default();
    String::from_utf8_lossy(&model).contains("Raspberry Pi")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_falls_needs_no_words() {
        let falls = LetGo {
            stays_output: false,
            reads_keyed: false,
        };
        assert_eq!(in_words(falls, true), None);
    }

    #[test]
    fn a_raspberry_pi_that_keeps_its_outputs_is_told_the_setting() {
        let stays = LetGo {
            stays_output: true,
            reads_keyed: false,
        };
        let words = in_words(stays, true).unwrap();
        assert!(words.contains("dtparam=strict_gpiod"), "{words}");
        assert!(words.contains("persist_gpio_outputs=n"), "{words}");
        let words = in_words(stays, false).unwrap();
        assert!(!words.contains("dtparam"), "{words}");
        assert!(words.contains("may leave it keyed"), "{words}");
    }

    #[test]
    fn a_line_that_nobody_keys_and_that_reads_as_keyed_is_told() {
        let keyed = LetGo {
            stays_output: false,
            reads_keyed: true,
        };
        assert!(in_words(keyed, false).unwrap().contains("polarity"));
    }
}
