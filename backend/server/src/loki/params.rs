//! The parameters of a request, of its URL and of a form: times, ranges, steps, limits, directions, with Loki's defaults.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{Method, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use logql::{Direction, Span};
use std::ops::Range;

use super::failure::Failure;
use crate::go;

const SECOND_NS: i64 = 1_000_000_000;
/// What is looked at without a start.
const RANGE_NS: i64 = 3_600 * SECOND_NS;
/// Lines without a limit.
const LIMIT: usize = 100;
/// Steps of a range without one.
const STEPS: i64 = 250;
const FORM: &str = "application/x-www-form-urlencoded";

/// All parameters: those of a form first.
pub(super) struct Params(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Params {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let has_form = request.method() == Method::POST
            && request
                .headers()
                .get(header::CONTENT_TYPE)
                .is_some_and(|value| value.as_bytes().starts_with(FORM.as_bytes()));
        let mut pairs = Vec::new();
        if has_form {
            let body = Bytes::from_request(request, state).await;
            let body = body.map_err(IntoResponse::into_response)?;
            pairs.extend(url::form_urlencoded::parse(&body).into_owned());
        }
        pairs.extend(url::form_urlencoded::parse(query.as_bytes()).into_owned());
        Ok(Self(pairs))
    }
}

impl Params {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut own = self.0.iter();
        let (_, value) = own.find(|(key, _)| key == name)?;
        (!value.is_empty()).then_some(value)
    }

    pub(super) fn all<'p>(&'p self, names: &'p [&str]) -> impl Iterator<Item = &'p str> {
        let own = self.0.iter();
        own.filter(|(key, _)| names.contains(&&**key))
            .map(|(_, value)| &**value)
    }

    pub(super) fn query(&self) -> &str {
        self.get("query").unwrap_or_default()
    }

    /// `start` and `end`, or `since` before the end; the last hour without any. The end is not part of it.
    pub(super) fn range_ns(&self, now_ns: i64) -> Result<Range<i64>, Failure> {
        let end_ns = self.time("end")?.unwrap_or(now_ns);
        let since_ns = match self.get("since") {
            Some(text) => duration(text).map_err(|reason| {
                Failure::bad_request(format!("could not parse 'since' parameter: {reason}"))
            })?,
            None => RANGE_NS,
        };
        // An end in the future does not move the start with it.
        let start_ns = end_ns.min(now_ns).saturating_sub(since_ns);
        let start_ns = self.time("start")?.unwrap_or(start_ns);
        if end_ns < start_ns {
            return Err(Failure::bad_request(
                "end timestamp must not be before or equal to start time",
            ));
        }
        Ok(start_ns..end_ns)
    }

    /// The instants of a range query of numbers: whole multiples of the step, as Loki has it.
    pub(super) fn span(&self, range_ns: &Range<i64>) -> Result<Span, Failure> {
        let default_ns = ((range_ns.end - range_ns.start) / STEPS / SECOND_NS).max(1) * SECOND_NS;
        let step_ns = match self.get("step") {
            Some(text) => duration(text).map_err(Failure::bad_request)?,
            None => default_ns,
        };
        if step_ns <= 0 {
            return Err(Failure::bad_request(
                "zero or negative query resolution step widths are not accepted. Try a positive integer",
            ));
        }
        let down = |t_ns: i64| t_ns.div_euclid(step_ns) * step_ns;
        let up = |t_ns: i64| down(t_ns.saturating_add(step_ns - 1));
        Ok(Span {
            start_ns: down(range_ns.start),
            end_ns: up(range_ns.end),
            step_ns,
        })
    }

    pub(super) fn limit(&self, max: usize) -> Result<usize, Failure> {
        let Some(text) = self.get("limit") else {
            return Ok(LIMIT);
        };
        let limit = go::atoi(text).map_err(Failure::bad_request)?;
        match usize::try_from(limit) {
            Ok(0) | Err(_) => Err(Failure::bad_request("limit must be a positive value")),
            Ok(limit) if limit > max => Err(Failure::bad_request(format!(
                "max entries limit per query exceeded, limit > max_entries_limit_per_query ({limit} > {max})"
            ))),
            Ok(limit) => Ok(limit),
        }
    }

    pub(super) fn direction(&self) -> Result<Direction, Failure> {
        match self
            .get("direction")
            .map(str::to_ascii_lowercase)
            .as_deref()
        {
            None | Some("backward") => Ok(Direction::Backward),
            Some("forward") => Ok(Direction::Forward),
            Some(other) => Err(Failure::bad_request(format!(
                "invalid direction '{}'",
                other.to_ascii_uppercase()
            ))),
        }
    }

    /// Seconds with a fraction, nanoseconds, or RFC 3339.
    pub(super) fn time(&self, name: &str) -> Result<Option<i64>, Failure> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let invalid = || {
            Failure::bad_request(format!(
                "could not parse '{name}' parameter: cannot parse {} to a valid timestamp",
                go::quote(text)
            ))
        };
        time(text).map(Some).ok_or_else(invalid)
    }
}

fn time(text: &str) -> Option<i64> {
    if text.contains('.')
        && let Ok(seconds) = text.parse::<f64>()
    {
        return Some((seconds * SECOND_NS as f64) as i64);
    }
    if let Ok(number) = text.parse::<i64>() {
        // Ten digits are seconds until the year 2286.
        return match text.len() <= 10 {
            true => number.checked_mul(SECOND_NS),
            false => Some(number),
        };
    }
    let moment: Timestamp = text.parse().ok()?;
    i64::try_from(moment.as_nanosecond()).ok()
}

/// Seconds, or a duration of Prometheus or Go.
fn duration(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        let ns = seconds * SECOND_NS as f64;
        return match ns.is_finite() && ns.abs() < i64::MAX as f64 {
            true => Ok(ns as i64),
            false => Err(format!(
                "cannot parse {} to a valid duration. It overflows int64",
                go::quote(text)
            )),
        };
    }
    let of_prometheus = go::parse_prometheus_duration(text)
        .ok()
        .and_then(|ns| i64::try_from(ns).ok());
    match of_prometheus {
        Some(ns) => Ok(ns),
        None => go::parse_duration(text)
            .map_err(|_| format!("cannot parse {} to a valid duration", go::quote(text))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn moments_have_three_forms() {
        for (text, expected) in [
            ("1700000000", Some(1_700_000_000 * SECOND_NS)),
            (
                "1700000000.5",
                Some(1_700_000_000 * SECOND_NS + SECOND_NS / 2),
            ),
            ("1700000000000000001", Some(1_700_000_000_000_000_001)),
            ("2023-11-14T22:13:20Z", Some(1_700_000_000 * SECOND_NS)),
            ("soon", None),
        ] {
            assert_eq!(time(text), expected, "{text}");
        }
    }

    #[test]
    fn durations_are_seconds_or_have_units() {
        for (text, expected) in [
            ("15", 15),
            ("1m", 60),
            ("1.5", 1),
            ("1m30s", 90),
            ("1d", 86_400),
        ] {
            assert_eq!(duration(text).unwrap() / SECOND_NS, expected, "{text}");
        }
        assert!(duration("soon").is_err());
    }

    #[test]
    fn a_span_lies_on_multiples_of_its_step() {
        let params = Params(vec![("step".to_owned(), "10s".to_owned())]);
        let span = params.span(&(15 * SECOND_NS..41 * SECOND_NS)).unwrap();
        assert_eq!(
            (span.start_ns, span.end_ns, span.step_ns),
            (10 * SECOND_NS, 50 * SECOND_NS, 10 * SECOND_NS)
        );
    }
}
