//! Reading a TOML file a person wrote: either a value, or one sentence that names the file, the line, what
//! is wrong and what would be right.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use serde::de::{DeserializeOwned, Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A mistake in a file, for the person who wrote it.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistake {
    pub file: PathBuf,
    pub line: Option<usize>,
    pub what: String,
}

impl std::error::Error for Mistake {}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        write!(f, ": {}", self.what)
    }
}

/// A file's text and where it came from.
pub struct TomlFile {
    path: PathBuf,
    text: String,
}

impl TomlFile {
    pub fn read(path: &Path) -> Result<TomlFile, Mistake> {
        let mistake = |line, what| Mistake {
            file: path.to_path_buf(),
            line,
            what,
        };
        let bytes = std::fs::read(path).map_err(|e| {
            mistake(
                None,
                format!("the file cannot be read ({e}): name one that is there and may be read"),
            )
        })?;
        let text = String::from_utf8(bytes).map_err(|e| {
            let good = &e.as_bytes()[..e.utf8_error().valid_up_to()];
            let line = good.iter().filter(|b| **b == b'\n').count() + 1;
            mistake(
                Some(line),
                "this line is not UTF-8 text: save the file as UTF-8".to_string(),
            )
        })?;
        Ok(TomlFile {
            path: path.to_path_buf(),
            text,
        })
    }

    pub fn of_text(path: &str, text: &str) -> TomlFile {
        TomlFile {
            path: path.into(),
            text: text.to_string(),
        }
    }

    /// The folder that relative paths inside the file start from.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Mistake> {
        let document = DeTable::parse(&self.text).map_err(|e| {
            self.mistake(
                e.span(),
                format!(
                    "this is not TOML, correct the line: {}",
                    one_line(e.message())
                ),
            )
        })?;
        toml::from_str(&self.text).map_err(|e| {
            let setting = e
                .span()
                .map(|span| setting_at(document.get_ref(), span.start))
                .unwrap_or_default();
            self.mistake(e.span(), in_words(&setting, &one_line(e.message())))
        })
    }

    /// A mistake that only shows once the whole is known, at the value this path leads to.
    pub fn mistake_at(&self, path: &[Step], what: String) -> Mistake {
        self.mistake(self.span(path), what)
    }

    fn span(&self, path: &[Step]) -> Option<Range<usize>> {
        let document = DeTable::parse(&self.text).ok()?;
        let root = DeValue::Table(document.into_inner());
        let mut value = &Spanned::new(0..0, root);
        for step in path {
            // A path may end in a setting that is not written down: its table is the nearest place.
            let next = match step {
                Step::Key(key) => value.get_ref().get(*key),
                Step::Index(index) => value.get_ref().get(*index),
            };
            match next {
                Some(next) => value = next,
                None => break,
            }
        }
        Some(value.span())
    }

    fn mistake(&self, span: Option<Range<usize>>, what: String) -> Mistake {
        let line = span.map(|span| {
            let end = span.start.min(self.text.len());
            self.text.as_bytes()[..end]
                .iter()
                .filter(|b| **b == b'\n')
                .count()
                + 1
        });
        Mistake {
            file: self.path.clone(),
            line,
            what,
        }
    }
}

/// One step into a document.
#[derive(Clone, Copy)]
pub enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// The name of the setting whose key or value lies at this byte: `[media] port`, or `[media]` alone.
fn setting_at(root: &DeTable<'_>, at: usize) -> String {
    let mut tables = Vec::new();
    let mut table = root;
    let mut leaf = None;
    'down: loop {
        for (key, value) in table {
            let here = key.span().contains(&at) || value.span().contains(&at);
            match value.get_ref() {
                DeValue::Table(inner) if here || holds(inner, at) => {
                    tables.push(key.get_ref().to_string());
                    table = inner;
                    continue 'down;
                }
                DeValue::Array(items) => {
                    for item in items.iter() {
                        if let DeValue::Table(inner) = item.get_ref()
                            && (item.span().contains(&at) || holds(inner, at))
                        {
                            tables.push(key.get_ref().to_string());
                            table = inner;
                            continue 'down;
                        }
                    }
                    if here {
                        leaf = Some(key.get_ref().to_string());
                    }
                }
                _ if here => leaf = Some(key.get_ref().to_string()),
                _ => {}
            }
        }
        break;
    }
    let section = match tables.is_empty() {
        true => String::new(),
        false => format!("[{}] ", tables.join(".")),
    };
    format!("{section}{}", leaf.unwrap_or_default())
        .trim()
        .to_string()
}

/// Whether a byte lies in one of a table's settings: the span of a `[table]` is its header alone.
fn holds(table: &DeTable<'_>, at: usize) -> bool {
    table.iter().any(|(key, value)| {
        key.span().contains(&at)
            || value.span().contains(&at)
            || match value.get_ref() {
                DeValue::Table(inner) => holds(inner, at),
                DeValue::Array(items) => items.iter().any(
                    |item| matches!(item.get_ref(), DeValue::Table(inner) if holds(inner, at)),
                ),
                _ => false,
            }
    })
}

/// Serde's message as a sentence for somebody who knows neither serde nor Rust.
fn in_words(setting: &str, message: &str) -> String {
    let parts = |rest: &str| {
        rest.split_once(", expected ")
            .map(|(found, wanted)| (found.to_string(), wanted.to_string()))
    };
    if let Some((found, wanted)) = message
        .strip_prefix("invalid type: ")
        .or(message.strip_prefix("invalid value: "))
        .and_then(parts)
    {
        return format!("{setting} is the {found}, but must be {wanted}");
    }
    if let Some(rest) = message.strip_prefix("unknown variant ")
        && let Some((found, wanted)) = parts(rest)
    {
        return format!("{setting} is {found}, but must be {wanted}");
    }
    if let Some(rest) = message.strip_prefix("unknown field ")
        && let Some((_, known)) = parts(rest)
    {
        return format!("there is no setting {setting}: remove the line, or write {known}");
    }
    if let Some(field) = message.strip_prefix("missing field ") {
        return format!("{setting} has no {field}: add it");
    }
    match setting {
        "" => message.to_string(),
        setting => format!("{setting}: {message}"),
    }
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A whole number within a range, for `deserialize_with`.
pub fn whole<'de, const MIN: u64, const MAX: u64, T, D>(d: D) -> Result<T, D::Error>
where
    T: TryFrom<u64>,
    D: Deserializer<'de>,
{
    struct Whole<const MIN: u64, const MAX: u64>;
    impl<const MIN: u64, const MAX: u64> Visitor<'_> for Whole<MIN, MAX> {
        type Value = u64;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a whole number from {MIN} to {MAX}")
        }
        fn visit_i64<E: Error>(self, v: i64) -> Result<u64, E> {
            u64::try_from(v)
                .ok()
                .filter(|v| (MIN..=MAX).contains(v))
                .ok_or_else(|| E::invalid_value(Unexpected::Signed(v), &self))
        }
    }
    let number = d.deserialize_i64(Whole::<MIN, MAX>)?;
    T::try_from(number).map_err(|_too_big| D::Error::custom("this number is too big"))
}

/// A duration with its unit, within a range of milliseconds, for `deserialize_with`.
pub fn duration<'de, const MIN_MS: u64, const MAX_MS: u64, D>(d: D) -> Result<Duration, D::Error>
where
    D: Deserializer<'de>,
{
    struct Text<const MIN_MS: u64, const MAX_MS: u64>;
    impl<const MIN_MS: u64, const MAX_MS: u64> Visitor<'_> for Text<MIN_MS, MAX_MS> {
        type Value = Duration;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let unit = |ms: u64| match ms % 1000 {
                0 => format!("{}s", ms / 1000),
                _ => format!("{ms}ms"),
            };
            let (min, max) = (unit(MIN_MS), unit(MAX_MS));
            write!(
                f,
                "a duration in quotes, with its unit (ms, s, m or h), from \"{min}\" to \"{max}\""
            )
        }
        fn visit_str<E: Error>(self, v: &str) -> Result<Duration, E> {
            milliseconds(v)
                .filter(|ms| (MIN_MS..=MAX_MS).contains(ms))
                .map(Duration::from_millis)
                .ok_or_else(|| E::invalid_value(Unexpected::Str(v), &self))
        }
    }
    d.deserialize_str(Text::<MIN_MS, MAX_MS>)
}

fn milliseconds(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// A text that is read as something else, which says what it must look like.
pub trait Written: FromStr {
    const LIKE: &'static str;
}

/// One such text, for `deserialize_with`.
pub fn text<'de, T: Written, D: Deserializer<'de>>(d: D) -> Result<T, D::Error> {
    let text = String::deserialize(d)?;
    text.parse()
        .map_err(|_unlike| D::Error::invalid_value(Unexpected::Str(&text), &T::LIKE))
}

/// A list of such texts, for `deserialize_with`.
pub fn texts<'de, T: Written, D: Deserializer<'de>>(d: D) -> Result<Vec<T>, D::Error> {
    Vec::<String>::deserialize(d)?
        .iter()
        .map(|text| {
            text.parse()
                .map_err(|_unlike| D::Error::invalid_value(Unexpected::Str(text), &T::LIKE))
        })
        .collect()
}
