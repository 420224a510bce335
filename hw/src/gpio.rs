//! Lines of GPIO chips, by name or by chip label and offset. The kernel gives a line to one process at a time
//! and takes it back when that process ends; whether the pin then falls is the chip's affair (see
//! [`keeps_outputs`]).

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gpiocdev::line::{self, Value};
use gpiocdev::{Chip, Request};
use gpiocdev_uapi::Errno;
use nix::libc;
use tracing::debug;

use crate::errno::hw_error;
use crate::spec::{Bias, GpioLine, LampSpec};
use crate::{Carrier, HwError, Ptt};

/// A PTT line or a lamp. Opened inactive.
pub struct Output {
    request: Request,
    what: String,
}

impl Output {
    /// `consumer` is what others see who ask the kernel who has the line.
    pub fn open(line: &GpioLine, active_low: bool, consumer: &str) -> Result<Output, HwError> {
        let found = find(line)?;
        let mut builder = Request::builder();
        builder.on_chip(&found.chip).with_consumer(consumer);
        match active_low {
            true => builder.as_active_low(),
            false => builder.as_active_high(),
        };
        builder.as_output(Value::Inactive).with_line(found.offset);
        let what = format!("the GPIO line {line}");
        match builder.request() {
            Ok(request) => Ok(Output { request, what }),
            Err(error) => Err(failed("opening", &what, error)),
        }
    }

    pub fn set_on(&mut self, on: bool) -> Result<(), HwError> {
        let set = self.request.set_lone_value(Value::from(on));
        set.map_err(|e| failed("setting", &self.what, e))
    }
}

impl Ptt for Output {
    fn set(&mut self, keyed: bool) -> Result<(), HwError> {
        self.set_on(keyed)
    }
}

impl Drop for Output {
    /// Chips that keep their outputs keep the last level.
    fn drop(&mut self) {
        if let Err(error) = self.set_on(false) {
            debug!(%error, "line was let go without being lowered");
        }
    }
}

pub fn open_lamp(spec: &LampSpec) -> Result<Output, HwError> {
    Output::open(&spec.line, spec.active_low, "pttd lamp")
}

/// A carrier or a button.
pub struct Input {
    request: Request,
    debounced: Duration,
    what: String,
}

impl Input {
    /// The kernel debounces where it can; a line that cannot pull is left as it is, unless it was asked to.
    pub fn open(
        line: &GpioLine,
        active_low: bool,
        bias: Bias,
        debounce: Duration,
    ) -> Result<Input, HwError> {
        let found = find(line)?;
        let pull = match (bias, active_low) {
            (Bias::AsIs, _) => None,
            (Bias::PullUp, _) | (Bias::Default, true) => Some(line::Bias::PullUp),
            (Bias::PullDown, _) | (Bias::Default, false) => Some(line::Bias::PullDown),
        };
        let mut tries = Vec::new();
        let pulls = match bias {
            Bias::Default => vec![pull, None],
            _ => vec![pull],
        };
        for pull in pulls {
            if !debounce.is_zero() {
                tries.push((pull, debounce));
            }
            tries.push((pull, Duration::ZERO));
        }
        let what = format!("the GPIO line {line}");
        let mut refused = None;
        for (pull, debounced) in tries {
            match request_input(&found, active_low, pull, debounced) {
                Ok(request) => {
                    debug!(%line, ?pull, ?debounced, "input opened");
                    return Ok(Input {
                        request,
                        debounced,
                        what,
                    });
                }
                // It is not for the chip; a plainer request may be.
                Err(error) if is_beyond_the_chip(&error) => refused = Some(error),
                Err(error) => return Err(failed("opening", &what, error)),
            }
        }
        Err(match refused {
            Some(error) => failed("opening", &what, error),
            None => HwError::Missing { what },
        })
    }
}

impl Carrier for Input {
    fn is_up(&mut self) -> Result<bool, HwError> {
        let value = self.request.lone_value();
        let value = value.map_err(|e| failed("reading", &self.what, e))?;
        Ok(value == Value::Active)
    }

    fn debounced(&self) -> Duration {
        self.debounced
    }
}

fn request_input(
    found: &Found,
    active_low: bool,
    pull: Option<line::Bias>,
    debounce: Duration,
) -> gpiocdev::Result<Request> {
    let mut builder = Request::builder();
    builder.on_chip(&found.chip).with_consumer("pttd");
    match active_low {
        true => builder.as_active_low(),
        false => builder.as_active_high(),
    };
    builder.as_input().with_bias(pull);
    if !debounce.is_zero() {
        builder.with_debounce_period(debounce);
    }
    builder.with_line(found.offset).request()
}

fn is_beyond_the_chip(error: &gpiocdev::Error) -> bool {
    /// The kernel's own, which libc has no name for.
    const ENOTSUPP: i32 = 524;
    let beyond = [
        libc::EINVAL,
        libc::ENXIO,
        libc::EOPNOTSUPP,
        libc::ENOSYS,
        libc::E2BIG,
        ENOTSUPP,
    ];
    errno(error).is_some_and(|errno| beyond.contains(&errno))
}

/// Where a line is now: chips change their numbers.
pub(crate) struct Found {
    pub chip: PathBuf,
    pub offset: u32,
}

pub(crate) fn find(line: &GpioLine) -> Result<Found, HwError> {
    let mut found = Vec::new();
    let mut closed = None;
    for path in gpiocdev::chip::chips().unwrap_or_default() {
        let chip = match Chip::from_path(&path) {
            Ok(chip) => chip,
            Err(error) => {
                closed = Some((path, error));
                continue;
            }
        };
        let offset = match line {
            GpioLine::Name(name) => chip.find_line_info(name).map(|info| info.offset),
            GpioLine::Offset {
                chip: label,
                offset,
            } => chip
                .info()
                .ok()
                .filter(|info| info.label == *label && *offset < info.num_lines)
                .map(|_| *offset),
        };
        found.extend(offset.map(|offset| Found { chip: path, offset }));
    }
    let what = format!("the GPIO line {line}");
    match (found.len(), closed) {
        (1, _) => Ok(found.swap_remove(0)),
        (0, Some((path, error))) => Err(failed(
            "looking for",
            &format!("{what} on {}", path.display()),
            error,
        )),
        (0, None) => Err(HwError::Missing { what }),
        (n, _) => Err(HwError::Name(match line {
            GpioLine::Name(name) => format!(
                "{n} GPIO lines are called {name}: write gpio:CHIPLABEL/OFFSET; pttd devices lists them"
            ),
            GpioLine::Offset { chip, .. } => format!(
                "{n} GPIO chips have the label {chip}: write the name of the line; pttd devices lists them"
            ),
        })),
    }
}

/// One line, as `pttd devices` shows it.
pub(crate) struct Known {
    pub chip: String,
    pub offset: u32,
    pub name: String,
    pub output: bool,
    pub used_by: Option<String>,
}

/// Every line of every chip that may be opened, and the chips that may not.
pub(crate) fn lines() -> (Vec<Known>, Vec<String>) {
    let (mut lines, mut closed) = (Vec::new(), Vec::new());
    for path in gpiocdev::chip::chips().unwrap_or_default() {
        match lines_of(&path) {
            Ok(more) => lines.extend(more),
            Err(error) => {
                closed.push(failed("opening", &path.display().to_string(), error).to_string())
            }
        }
    }
    (lines, closed)
}

fn lines_of(path: &Path) -> gpiocdev::Result<Vec<Known>> {
    let chip = Chip::from_path(path)?;
    let label = chip.info()?.label;
    let known = chip
        .line_info_iter()?
        .filter_map(Result::ok)
        .map(|info| Known {
            chip: label.clone(),
            offset: info.offset,
            name: info.name,
            output: info.direction == line::Direction::Output,
            used_by: match (info.used, info.consumer.as_str()) {
                (false, _) => None,
                (true, "") => Some("the kernel".to_string()),
                (true, consumer) => Some(consumer.to_string()),
            },
        });
    Ok(known.collect())
}

/// Whether this kernel keeps a line asserted when the process that raised it dies: then only the guardian's
/// orderly end unkeys. `None`: nothing in this kernel says so.
pub fn keeps_outputs() -> Option<bool> {
    let setting = "/sys/module/pinctrl_bcm2835/parameters/persist_gpio_outputs";
    let setting = std::fs::read_to_string(setting).ok()?;
    Some(matches!(setting.trim(), "Y" | "y" | "1"))
}

fn errno(error: &gpiocdev::Error) -> Option<i32> {
    match error {
        gpiocdev::Error::Os(Errno(errno))
        | gpiocdev::Error::Uapi(_, gpiocdev_uapi::Error::Os(Errno(errno))) => Some(*errno),
        _ => None,
    }
}

pub(crate) fn failed(doing: &str, what: &str, error: gpiocdev::Error) -> HwError {
    let source = match errno(&error) {
        Some(errno) => io::Error::from_raw_os_error(errno),
        None => io::Error::other(error.to_string()),
    };
    hw_error(doing, what, source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_not_there_is_missing() {
        let line: GpioLine = "no such line, surely".parse().unwrap();
        let output = Output::open(&line, false, "test");
        assert!(matches!(output, Err(HwError::Missing { .. })));
        let input = Input::open(&line, false, Bias::Default, Duration::ZERO);
        assert!(matches!(input, Err(HwError::Missing { .. })));
    }
}
