//! Whether a GPIO line falls when whoever keyed it dies. The kernel frees the line then, but many chips leave
//! the pin an output at its last level. Found out without ever raising it.

use gpiocdev::Request;
use gpiocdev::line::{Direction, Value};

use crate::HwError;
use crate::gpio::{Output, failed, find};
use crate::spec::GpioLine;

/// How a line is that was asked for, unkeyed, and let go of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LetGo {
    /// The pin stays an output: a line that was up when its owner died would stay up.
    pub stays_output: bool,
    /// It reads as keyed although nobody keys it: what is wired to it pulls it up, or its polarity is wrong.
    pub reads_keyed: bool,
}

/// Asks for a line that nobody holds, unkeyed, lets go, and looks what is left.
pub fn let_go(line: &GpioLine, active_low: bool) -> Result<LetGo, HwError> {
    drop(Output::open(line, active_low, "pttd start-up check")?);
    let found = find(line)?;
    let what = format!("the GPIO line {line}");
    let mut builder = Request::builder();
    builder
        .on_chip(&found.chip)
        .with_consumer("pttd start-up check");
    match active_low {
        true => builder.as_active_low(),
        false => builder.as_active_high(),
    };
    // As it is: only then the kernel asks the chip which way the pin points.
    let mut look = || {
        let request = builder.as_is().with_line(found.offset).request()?;
        let chip = gpiocdev::Chip::from_path(&found.chip)?;
        let direction = chip.line_info(found.offset)?.direction;
        Ok((direction, request.lone_value()?))
    };
    let (direction, value) = look().map_err(|error| failed("looking at", &what, error))?;
    Ok(LetGo {
        stays_output: direction == Direction::Output,
        reads_keyed: value == Value::Active,
    })
}
