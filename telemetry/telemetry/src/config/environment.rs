//! Values of environment variables in the forms the OpenTelemetry specification gives them. Each error names its
//! variable; which variable means what is decided by [`super::Config`].

use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration;

use ::http::{HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

use super::ConfigError;

/// Variables of the specification that this exporter cannot honour, and the values that ask for nothing special.
/// Ignoring them would send spans in a form, or over a connection, that the operator ruled out.
const UNSUPPORTED: &[(&str, &[&str])] = &[
    ("OTEL_EXPORTER_OTLP_PROTOCOL", &["http/protobuf"]),
    ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", &["http/protobuf"]),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", &["none"]),
    ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", &["none"]),
    ("OTEL_EXPORTER_OTLP_CERTIFICATE", &[]),
    ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", &[]),
    ("OTEL_EXPORTER_OTLP_CLIENT_KEY", &[]),
    ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", &[]),
    ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &[]),
    ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", &[]),
];

/// Units of a duration, in nanoseconds, as Go's `time.ParseDuration` names them.
const UNITS: &[(&str, f64)] = &[
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3600e9),
];

type Reason = Cow<'static, str>;
type Lookup<'a> = Box<dyn Fn(&str) -> Result<Option<String>, Reason> + 'a>;

/// The environment of this process, or of a test.
pub(super) struct Environment<'a> {
    lookup: Lookup<'a>,
}

impl<'a> Environment<'a> {
    pub(super) fn process() -> Self {
        Self {
            lookup: Box::new(|variable| match std::env::var(variable) {
                Ok(value) => Ok(Some(value)),
                Err(std::env::VarError::NotPresent) => Ok(None),
                Err(std::env::VarError::NotUnicode(_)) => Err("is not Unicode".into()),
            }),
        }
    }

    #[cfg(test)]
    pub(super) fn of(variables: &'a [(&'a str, &'a str)]) -> Self {
        Self {
            lookup: Box::new(|variable| {
                let found = variables.iter().find(|(name, _)| *name == variable);
                Ok(found.map(|(_, value)| (*value).to_owned()))
            }),
        }
    }

    /// The value, without surrounding space; empty is unset, as the specification demands.
    pub(super) fn text(&self, variable: &'static str) -> Result<Option<String>, ConfigError> {
        let value = (self.lookup)(variable).map_err(|reason| ConfigError { variable, reason })?;
        Ok(value
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty()))
    }

    /// The value, if `parse` accepts it.
    pub(super) fn checked<T, E: Into<Reason>>(
        &self,
        variable: &'static str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<String>, ConfigError> {
        let Some(value) = self.text(variable)? else {
            return Ok(None);
        };
        match parse(&value) {
            Ok(_) => Ok(Some(value)),
            Err(reason) => Err(ConfigError {
                variable,
                reason: reason.into(),
            }),
        }
    }

    pub(super) fn boolean(&self, variable: &'static str) -> Result<Option<bool>, ConfigError> {
        self.parsed(variable, |text| match text.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("must be true or false".into()),
        })
    }

    pub(super) fn duration(&self, variable: &'static str) -> Result<Option<Duration>, ConfigError> {
        self.parsed(variable, |text| match duration(text) {
            Some(duration) if !duration.is_zero() => Ok(duration),
            _ => Err("must be a positive duration such as 10s, 500ms or 1m30s".into()),
        })
    }

    pub(super) fn milliseconds(
        &self,
        variable: &'static str,
    ) -> Result<Option<Duration>, ConfigError> {
        self.parsed(variable, |text| match text.parse() {
            Ok(milliseconds) if milliseconds > 0 => Ok(Duration::from_millis(milliseconds)),
            _ => Err("must be a positive number of milliseconds".into()),
        })
    }

    pub(super) fn count(&self, variable: &'static str) -> Result<Option<usize>, ConfigError> {
        self.parsed(variable, |text| match text.parse() {
            Ok(count) if count > 0 => Ok(count),
            _ => Err("must be a positive whole number".into()),
        })
    }

    /// `key=value,key=value` with percent-encoded values.
    pub(super) fn pairs(
        &self,
        variable: &'static str,
    ) -> Result<Vec<(String, String)>, ConfigError> {
        Ok(self.parsed(variable, pairs)?.unwrap_or_default())
    }

    /// [`Environment::pairs`] as HTTP headers, their values never to be printed.
    pub(super) fn headers(
        &self,
        variable: &'static str,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, ConfigError> {
        let headers = self.parsed(variable, |text| {
            pairs(text)?.into_iter().map(header).collect()
        })?;
        Ok(headers.unwrap_or_default())
    }

    pub(super) fn refuse_unsupported(&self) -> Result<(), ConfigError> {
        for (variable, accepted) in UNSUPPORTED {
            let value = self.text(variable)?;
            if value.is_some_and(|value| !accepted.contains(&value.as_str())) {
                let reason = match accepted.first() {
                    Some(only) => format!("only {only} is supported").into(),
                    None => "is not supported".into(),
                };
                return Err(ConfigError { variable, reason });
            }
        }
        Ok(())
    }

    fn parsed<T>(
        &self,
        variable: &'static str,
        parse: impl Fn(&str) -> Result<T, Reason>,
    ) -> Result<Option<T>, ConfigError> {
        self.text(variable)?
            .map(|text| parse(&text).map_err(|reason| ConfigError { variable, reason }))
            .transpose()
    }
}

/// The form of W3C Baggage without properties, as resource attributes and exporter headers use it. Reasons count
/// entries instead of quoting them: a header's value is a secret.
fn pairs(text: &str) -> Result<Vec<(String, String)>, Reason> {
    let mut pairs = Vec::new();
    for (index, entry) in text.split(',').enumerate() {
        let entry = entry.trim();
        if entry.is_empty() {
            continue;
        }
        let invalid = |what| Reason::from(format!("entry {} {what}", index + 1));
        let (key, value) = entry.split_once('=').ok_or_else(|| invalid("has no '='"))?;
        let key = decoded(key.trim()).ok_or_else(|| invalid("has a badly encoded key"))?;
        let value = decoded(value.trim()).ok_or_else(|| invalid("has a badly encoded value"))?;
        if key.is_empty() {
            return Err(invalid("has no key"));
        }
        pairs.push((key, value));
    }
    Ok(pairs)
}

/// `None` when an escape is cut short or not hexadecimal, or the result is not UTF-8.
fn decoded(text: &str) -> Option<String> {
    let escapes_are_whole = text.split('%').skip(1).all(|rest| {
        let digits = rest.as_bytes();
        digits.len() >= 2 && digits[..2].iter().all(u8::is_ascii_hexdigit)
    });
    let decoded = percent_decode_str(text).decode_utf8().ok()?;
    escapes_are_whole.then(|| decoded.into_owned())
}

/// Quotes neither name nor value: a secret in the wrong place is one still.
fn header((name, value): (String, String)) -> Result<(HeaderName, HeaderValue), Reason> {
    let key = HeaderName::from_str(&name).map_err(|_| "has a name that no header can have")?;
    let mut value =
        HeaderValue::from_str(&value).map_err(|_| "has a value that no header can have")?;
    value.set_sensitive(true);
    Ok((key, value))
}

/// Go's `time.ParseDuration` without signs: one or more of a decimal number and a unit, or a bare `0`.
fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut nanoseconds = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let number_length = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(number_length);
        let unit_length = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_length);
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        nanoseconds += number.parse::<f64>().ok()? * factor;
        rest = tail;
    }
    let whole = !text.is_empty() && nanoseconds < i64::MAX as f64;
    whole.then(|| Duration::from_nanos(nanoseconds.round() as u64))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        let milliseconds = |text| duration(text).map(|duration| duration.as_millis());
        assert_eq!(milliseconds("10s"), Some(10_000));
        assert_eq!(milliseconds("500ms"), Some(500));
        assert_eq!(milliseconds("1m30s"), Some(90_000));
        assert_eq!(milliseconds("1.5h"), Some(5_400_000));
        assert_eq!(milliseconds(".5s"), Some(500));
        assert_eq!(milliseconds("0"), Some(0));
        assert_eq!(duration("1µs"), Some(Duration::from_micros(1)));
        for bad in [
            "", "10", "s", "1d", "-1s", "1s2", "1..5s", ".s", "1 s", "9999999h", "1S", "é",
        ] {
            assert_eq!(duration(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn pairs_are_percent_decoded_and_empty_entries_skipped() {
        assert_eq!(
            pairs("a=b%2Cc, d = e=f ,,h=").unwrap(),
            [("a", "b,c"), ("d", "e=f"), ("h", "")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
        );
        for (bad, reason) in [
            ("a", "entry 1 has no '='"),
            ("a=1,=2", "entry 2 has no key"),
            ("a=%", "entry 1 has a badly encoded value"),
            ("a=%4", "entry 1 has a badly encoded value"),
            ("a=%zz", "entry 1 has a badly encoded value"),
            ("a=%ff", "entry 1 has a badly encoded value"),
            ("%ff=1", "entry 1 has a badly encoded key"),
        ] {
            assert_eq!(pairs(bad).unwrap_err(), reason, "{bad:?}");
        }
    }
}
