//! Strict reading of options: each has its path in the file, written as the Collector writes it, and its type; an option
//! that nobody asks for is an error.

use std::time::Duration;

use super::{
    ConfigError,
    document::{Node, Place, Value},
};

/// Names and lengths of Go's units of time.
const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Digits behind the point of a duration that are looked at: those of a nanosecond in an hour.
const FRACTION_DIGITS_MAX: usize = 13;

/// One value of the file.
#[derive(Clone, Debug)]
pub(super) struct Setting<'a> {
    pub path: String,
    node: &'a Node,
}

/// A value that is a map.
#[derive(Clone, Debug)]
pub(super) struct Section<'a> {
    pub setting: Setting<'a>,
    entries: &'a [(String, Node)],
}

pub(super) fn keyed(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}::{key}")
    }
}

pub(super) fn indexed(path: &str, index: usize) -> String {
    format!("{path}[{index}]")
}

pub(super) fn error(at: Place, path: &str, reason: impl Into<String>) -> ConfigError {
    let path = if path.is_empty() { "the file" } else { path };
    ConfigError::Option {
        line: at.line,
        column: at.column,
        path: path.to_owned(),
        reason: reason.into(),
    }
}

impl<'a> Setting<'a> {
    pub(super) fn root(node: &'a Node) -> Self {
        Self {
            path: String::new(),
            node,
        }
    }

    pub(super) fn error(&self, reason: impl Into<String>) -> ConfigError {
        error(self.node.at, &self.path, reason)
    }

    /// A map; nothing at all is an empty one, as in the Collector.
    pub(super) fn section(&self) -> Result<Section<'a>, ConfigError> {
        match &self.node.value {
            Value::Null => Ok(Section {
                setting: self.clone(),
                entries: &[],
            }),
            Value::Map(entries) => Ok(Section {
                setting: self.clone(),
                entries,
            }),
            _ => Err(self.wrong("a map")),
        }
    }

    pub(super) fn list(&self) -> Result<Vec<Self>, ConfigError> {
        let Value::List(items) = &self.node.value else {
            return Err(self.wrong("a list"));
        };
        Ok(items
            .iter()
            .enumerate()
            .map(|(index, node)| Self {
                path: indexed(&self.path, index),
                node,
            })
            .collect())
    }

    /// Text, or whatever came from the environment as it was written there.
    pub(super) fn text(&self) -> Result<&'a str, ConfigError> {
        match (&self.node.value, &self.node.original) {
            (Value::Text(text), _) | (_, Some(text)) => Ok(text),
            _ => Err(self.wrong("text")),
        }
    }

    pub(super) fn texts(&self) -> Result<Vec<&'a str>, ConfigError> {
        self.list()?.iter().map(Setting::text).collect()
    }

    pub(super) fn flag(&self) -> Result<bool, ConfigError> {
        if let Value::Bool(value) = self.node.value {
            Ok(value)
        } else {
            Err(self.wrong("true or false"))
        }
    }

    pub(super) fn int(&self) -> Result<i64, ConfigError> {
        let Value::Int(value) = self.node.value else {
            return Err(self.wrong("a whole number"));
        };
        i64::try_from(value).map_err(|_| self.wrong("a whole number of 64 bits"))
    }

    /// Not negative.
    pub(super) fn count(&self) -> Result<u64, ConfigError> {
        u64::try_from(self.int()?).map_err(|_| self.wrong("0 or more"))
    }

    /// Finite.
    pub(super) fn number(&self) -> Result<f64, ConfigError> {
        match self.node.value {
            Value::Int(value) => Ok(value as f64),
            Value::Float(value) if value.is_finite() => Ok(value),
            _ => Err(self.wrong("a number")),
        }
    }

    pub(super) fn duration(&self) -> Result<Duration, ConfigError> {
        let Value::Text(text) = &self.node.value else {
            return Err(self.wrong("a duration such as 10s or 1m30s"));
        };
        duration(text).ok_or_else(|| self.wrong("a duration such as 10s or 1m30s"))
    }

    fn wrong(&self, wanted: &str) -> ConfigError {
        self.error(format!(
            "{} stands where {wanted} must stand",
            self.node.value.describe()
        ))
    }
}

impl<'a> Section<'a> {
    /// Refuses every option but these. `whose`: such as "a latency policy".
    pub(super) fn only(&self, whose: &str, supported: &[&str]) -> Result<(), ConfigError> {
        match self.iter().find(|(key, _)| !supported.contains(key)) {
            Some((_, unknown)) => Err(unknown.error(format!(
                "is not supported in {whose}; supported: {}",
                supported.join(", ")
            ))),
            None => Ok(()),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<Setting<'a>> {
        self.iter()
            .find(|(known, _)| *known == key)
            .map(|(_, setting)| setting)
    }

    pub(super) fn required(&self, key: &str) -> Result<Setting<'a>, ConfigError> {
        self.get(key)
            .ok_or_else(|| self.setting.error(format!("{key} is missing")))
    }

    /// The map below `key`; empty if there is none.
    pub(super) fn section(&self, key: &str) -> Result<Section<'a>, ConfigError> {
        let absent = || Section {
            setting: Setting {
                path: keyed(&self.setting.path, key),
                ..self.setting
            },
            entries: &[],
        };
        self.get(key)
            .map_or_else(|| Ok(absent()), |setting| setting.section())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'a str, Setting<'a>)> + use<'a, '_> {
        self.entries.iter().map(|(key, node)| {
            (
                key.as_str(),
                Setting {
                    path: keyed(&self.setting.path, key),
                    node,
                },
            )
        })
    }
}

/// Go's notation: numbers with units, one after the other. `None` if it is not one, or negative, or over 2^64 nanoseconds.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut nanoseconds = 0;
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let (unit, tail) = tail.split_at(
            tail.find(|c: char| c.is_ascii_digit() || c == '.')
                .unwrap_or(tail.len()),
        );
        let (_, length) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.len() + fraction.len() == 0 || fraction.contains('.') {
            return None;
        }
        let fraction = &fraction[..fraction.len().min(FRACTION_DIGITS_MAX)];
        let digits = |digits: &str| {
            if digits.is_empty() {
                Some(0)
            } else {
                digits.parse::<u64>().ok().map(u128::from)
            }
        };
        nanoseconds += digits(whole)? * length
            + digits(fraction)? * length / 10_u128.pow(fraction.len() as u32);
        rest = tail;
    }
    u64::try_from(nanoseconds).ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_go_writes_them() {
        let check = |text, expected: Option<u64>| {
            assert_eq!(duration(text), expected.map(Duration::from_nanos), "{text}")
        };
        check("10s", Some(10_000_000_000));
        check("1m30s", Some(90_000_000_000));
        check("1.5h", Some(5_400_000_000_000));
        check(".5ms", Some(500_000));
        check("+2us3ns", Some(2_003));
        check("1µs", Some(1_000));
        check("0", Some(0));
        check("0.00000000000001h", Some(0));
        for wrong in [
            "",
            "+",
            "10",
            "s",
            "-1s",
            "1 s",
            ".s",
            "1..2s",
            "1.2.3s",
            "1d",
            "1e3s",
            "99999999999h",
            "99999999999999999999s",
        ] {
            check(wrong, None);
        }
    }
}
