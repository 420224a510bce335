//! What says that a receiver hears something, or that a button is pressed: one detector, or several joined by
//! `and`, `or`, `not` (`!`) and parentheses. `not` binds tightest, then `and`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Bias, Cm108Device, Cm108Key, GpioLine, SerialInput, path, suffixed};
use crate::HwError;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum CarrierSpec {
    One(Detector),
    Not(Box<CarrierSpec>),
    And(Vec<CarrierSpec>),
    Or(Vec<CarrierSpec>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detector {
    Gpio {
        line: GpioLine,
        active_low: bool,
        bias: Bias,
    },
    Cm108 {
        device: Cm108Device,
        key: Cm108Key,
    },
    Serial {
        port: PathBuf,
        line: SerialInput,
    },
    /// The sound itself.
    Vox,
    Always,
    Bench(PathBuf),
}

/// Deeper than anyone nests, and nothing that could exhaust a stack.
const DEEPEST: usize = 16;
const FORMS: &str = "gpio:NAME, gpio:CHIPLABEL/OFFSET, cm108:auto#down, serial:/dev/ttyUSB0#dcd, vox, always or \
                     bench:/a/path, joined by and, or, not and ( )";

impl CarrierSpec {
    /// Every detector in it, from left to right.
    pub fn detectors(&self) -> Vec<&Detector> {
        match self {
            CarrierSpec::One(detector) => vec![detector],
            CarrierSpec::Not(inner) => inner.detectors(),
            CarrierSpec::And(all) | CarrierSpec::Or(all) => {
                all.iter().flat_map(CarrierSpec::detectors).collect()
            }
        }
    }

    pub fn has_vox(&self) -> bool {
        self.detectors().contains(&&Detector::Vox)
    }

    /// The serial ports it needs.
    pub fn serial_ports(&self) -> Vec<&Path> {
        let detectors = self.detectors().into_iter();
        let ports = detectors.filter_map(|detector| match detector {
            Detector::Serial { port, .. } => Some(port.as_path()),
            _ => None,
        });
        ports.collect()
    }
}

impl FromStr for CarrierSpec {
    type Err = HwError;

    fn from_str(text: &str) -> Result<Self, HwError> {
        let mut parser = Parser {
            text,
            words: words(text)?,
            at: 0,
        };
        let spec = parser.any(0)?;
        match parser.words.get(parser.at) {
            None => Ok(spec),
            Some(Word::Close) => Err(parser.wrong("a ) without its (")),
            Some(word) => Err(parser.wrong(&format!("{word} stands where and or or should"))),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Word {
    Open,
    Close,
    Not,
    And,
    Or,
    Name(String),
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Word::Open => f.write_str("("),
            Word::Close => f.write_str(")"),
            Word::Not => f.write_str("not"),
            Word::And => f.write_str("and"),
            Word::Or => f.write_str("or"),
            Word::Name(name) => write!(f, "{name:?}"),
        }
    }
}

/// Quotes keep what would else end a name: `gpio:"COR (left)"`.
fn words(text: &str) -> Result<Vec<Word>, HwError> {
    let mut words = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(&c) = chars.peek() {
        let sign = match c {
            '(' => Some(Word::Open),
            ')' => Some(Word::Close),
            '!' => Some(Word::Not),
            _ => None,
        };
        if let Some(sign) = sign {
            words.push(sign);
            chars.next();
            continue;
        }
        if c.is_whitespace() {
            chars.next();
            continue;
        }
        let (mut name, mut quoted, mut quotes) = (String::new(), false, false);
        while let Some(&c) = chars.peek() {
            match c {
                '"' => (quoted, quotes) = (!quoted, true),
                '(' | ')' if !quoted => break,
                c if c.is_whitespace() && !quoted => break,
                c => name.push(c),
            }
            chars.next();
        }
        if quoted {
            return Err(HwError::Name(format!("{text:?}: a quote is not closed")));
        }
        words.push(match name.as_str() {
            "and" if !quotes => Word::And,
            "or" if !quotes => Word::Or,
            "not" if !quotes => Word::Not,
            _ => Word::Name(name),
        });
    }
    Ok(words)
}

struct Parser<'a> {
    text: &'a str,
    words: Vec<Word>,
    at: usize,
}

impl Parser<'_> {
    fn any(&mut self, depth: usize) -> Result<CarrierSpec, HwError> {
        let mut all = vec![self.all(depth)?];
        while self.take(&Word::Or) {
            all.push(self.all(depth)?);
        }
        Ok(match all.len() {
            1 => all.swap_remove(0),
            _ => CarrierSpec::Or(all),
        })
    }

    fn all(&mut self, depth: usize) -> Result<CarrierSpec, HwError> {
        let mut all = vec![self.one(depth)?];
        while self.take(&Word::And) {
            all.push(self.one(depth)?);
        }
        Ok(match all.len() {
            1 => all.swap_remove(0),
            _ => CarrierSpec::And(all),
        })
    }

    fn one(&mut self, depth: usize) -> Result<CarrierSpec, HwError> {
        if depth > DEEPEST {
            return Err(self.wrong("nested too deep"));
        }
        let word = self.words.get(self.at).cloned();
        self.at += 1;
        match word {
            Some(Word::Not) => Ok(not(self.one(depth + 1)?)),
            Some(Word::Open) => {
                let inner = self.any(depth + 1)?;
                match self.take(&Word::Close) {
                    true => Ok(inner),
                    false => Err(self.wrong("a ( without its )")),
                }
            }
            Some(Word::Name(name)) => Ok(CarrierSpec::One(self.detector(&name)?)),
            Some(word) => Err(self.wrong(&format!("{word} stands where a detector should"))),
            None => Err(self.wrong("a detector is missing at the end")),
        }
    }

    fn take(&mut self, word: &Word) -> bool {
        let there = self.words.get(self.at) == Some(word);
        self.at += usize::from(there);
        there
    }

    fn detector(&self, name: &str) -> Result<Detector, HwError> {
        match (name, name.split_once(':')) {
            ("vox", _) => Ok(Detector::Vox),
            ("always", _) => Ok(Detector::Always),
            (_, Some(("gpio", line))) => {
                let (line, bias) = match suffixed(line) {
                    (line, Some("pull-up")) => (line, Bias::PullUp),
                    (line, Some("pull-down")) => (line, Bias::PullDown),
                    (line, Some("as-is")) => (line, Bias::AsIs),
                    // A # in a line's own name.
                    _ => (line, Bias::Default),
                };
                Ok(Detector::Gpio {
                    line: line.parse()?,
                    active_low: false,
                    bias,
                })
            }
            (_, Some(("cm108", device))) => {
                let (device, key) = match suffixed(device) {
                    (device, None | Some("down")) => (device, Cm108Key::Down),
                    (device, Some("up")) => (device, Cm108Key::Up),
                    (_, Some(_)) => {
                        return Err(self.wrong("a CM108 has the carrier inputs #down and #up"));
                    }
                };
                Ok(Detector::Cm108 {
                    device: device.parse()?,
                    key,
                })
            }
            (_, Some(("serial", port))) => {
                let (port, line) = suffixed(port);
                let line = match line {
                    Some("cts") => SerialInput::Cts,
                    Some("dsr") => SerialInput::Dsr,
                    Some("dcd") => SerialInput::Dcd,
                    Some("ri") => SerialInput::Ri,
                    _ => {
                        return Err(
                            self.wrong("say which line of the port, #cts, #dsr, #dcd or #ri")
                        );
                    }
                };
                Ok(Detector::Serial {
                    port: path(port, self.text)?,
                    line,
                })
            }
            (_, Some(("bench", name))) => Ok(Detector::Bench(path(name, self.text)?)),
            _ => Err(self.wrong(&format!("{name:?} is no detector: write {FORMS}"))),
        }
    }

    fn wrong(&self, why: &str) -> HwError {
        match self.text.trim() {
            "" => HwError::Name(format!("no detector is named: write {FORMS}")),
            _ => HwError::Name(format!("{:?}: {why}", self.text)),
        }
    }
}

/// A GPIO line does its inversion itself, and pulls the other way then.
pub(super) fn not(inner: CarrierSpec) -> CarrierSpec {
    match inner {
        CarrierSpec::One(Detector::Gpio {
            line,
            active_low,
            bias,
        }) => CarrierSpec::One(Detector::Gpio {
            line,
            active_low: !active_low,
            bias,
        }),
        CarrierSpec::Not(inner) => *inner,
        inner => CarrierSpec::Not(Box::new(inner)),
    }
}

impl fmt::Display for CarrierSpec {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            CarrierSpec::One(detector) => write!(f, "{detector}"),
            CarrierSpec::Not(inner) => match **inner {
                CarrierSpec::One(_) => write!(f, "!{inner}"),
                _ => write!(f, "not ({inner})"),
            },
            CarrierSpec::And(all) => joined(f, all, " and "),
            CarrierSpec::Or(all) => joined(f, all, " or "),
        }
    }
}

fn joined(f: &mut fmt::Formatter, all: &[CarrierSpec], by: &str) -> fmt::Result {
    for (i, one) in all.iter().enumerate() {
        f.write_str(if i > 0 { by } else { "" })?;
        match one {
            CarrierSpec::And(_) | CarrierSpec::Or(_) => write!(f, "({one})")?,
            _ => write!(f, "{one}")?,
        }
    }
    Ok(())
}

impl fmt::Display for Detector {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let text = match self {
            Detector::Gpio {
                line,
                active_low,
                bias,
            } => {
                let bias = match bias {
                    Bias::Default => "",
                    Bias::PullUp => "#pull-up",
                    Bias::PullDown => "#pull-down",
                    Bias::AsIs => "#as-is",
                };
                f.write_str(if *active_low { "!" } else { "" })?;
                format!("gpio:{line}{bias}")
            }
            Detector::Cm108 { device, key } => {
                let key = match key {
                    Cm108Key::Up => "up",
                    Cm108Key::Down => "down",
                };
                format!("cm108:{device}#{key}")
            }
            Detector::Serial { port, line } => format!("serial:{}#{line}", port.display()),
            Detector::Vox => "vox".to_string(),
            Detector::Always => "always".to_string(),
            Detector::Bench(path) => format!("bench:{}", path.display()),
        };
        match text.contains(|c: char| c.is_whitespace() || "()".contains(c)) {
            true => write!(f, "\"{text}\""),
            false => f.write_str(&text),
        }
    }
}
