//! The parameters in a URL, read as Tempo reads them: the first of a name counts, an empty one is none.

use axum::{extract::FromRequestParts, http::request::Parts};
use traces::TimeRange;

use super::failure::Failure;
use crate::go;

pub(super) const SECOND_NS: u64 = 1_000_000_000;
const HOUR_NS: u64 = 3_600 * SECOND_NS;
/// What a search without a range looks at. Tempo's default (`query_backend_after`).
const RECENT_S: u64 = 15 * 60;
/// Longest range of a search. Tempo's default (`query_frontend.search.max_duration`).
pub(super) const SEARCH_RANGE_NS_MAX: u64 = 168 * HOUR_NS;

/// All parameters.
pub(super) struct Params(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

impl Params {
    fn parse(query: &str) -> Self {
        Self(
            url::form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
        )
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let first = self.0.iter().find(|(key, _)| key == name);
        first
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// A number of 32 bits, with an error that names it.
    pub(super) fn uint(&self, name: &str) -> Result<Option<u64>, Failure> {
        let parsed = self
            .get(name)
            .map(|text| go::parse_uint(text, u32::MAX.into()));
        let parsed = parsed.transpose();
        parsed.map_err(|error| Failure::bad_request(format!("invalid {name}: {error}")))
    }

    /// The range of a search: in whole seconds, both ends inside, not beyond now, the last 15 minutes if none is given.
    pub(super) fn search_range(&self, now_ns: u64) -> Result<TimeRange, Failure> {
        // Rounded up, so that what was stored this moment is found.
        let now_s = now_ns.div_ceil(SECOND_NS);
        let (start_s, end_s) = self
            .seconds(now_s)
            .map_err(|error| Failure::bad_request(format!("error parsing date range: {error}")))?;
        if end_s < start_s || (end_s - start_s) > SEARCH_RANGE_NS_MAX / SECOND_NS {
            return Err(Failure::bad_request(format!(
                "range specified by start and end exceeds {}. received start={start_s} end={end_s}",
                go::duration(SEARCH_RANGE_NS_MAX)
            )));
        }
        Ok(TimeRange {
            start_ns: start_s.saturating_mul(SECOND_NS),
            end_ns: end_s.saturating_mul(SECOND_NS).saturating_add(1),
        })
    }

    fn seconds(&self, now_s: u64) -> Result<(u64, u64), String> {
        if let Some(since) = self.get("since") {
            let since = go::parse_prometheus_duration(since).map_err(cannot_parse("since"))?;
            return Ok((now_s.saturating_sub(since / SECOND_NS), now_s));
        }
        let (start, end) = match (self.get("start"), self.get("end")) {
            (None, None) => return Ok((now_s.saturating_sub(RECENT_S), now_s)),
            (Some(start), Some(end)) => (start, end),
            _ => {
                let reason = "only one of start and end provided: must provide both or neither";
                return Err(reason.to_owned());
            }
        };
        let seconds = |name, text| match go::parse_timestamp(text) {
            Ok(nanoseconds) => Ok(u64::try_from(nanoseconds).unwrap_or(0) / SECOND_NS),
            Err(error) => Err(cannot_parse(name)(error)),
        };
        let (start, end) = (seconds("start", start)?, seconds("end", end)?);
        if end <= now_s {
            return Ok((start, end));
        }
        match start > now_s {
            true => Ok((now_s.saturating_sub(RECENT_S), now_s)),
            false => Ok((start, now_s)),
        }
    }
}

/// Names the parameter in front of what is wrong with it.
pub(super) fn cannot_parse(name: &'static str) -> impl Fn(String) -> String {
    move |error| format!("could not parse '{name}' parameter: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_NS: u64 = 2_000_000_000 * SECOND_NS - 1;

    fn range(query: &str) -> Result<(u64, u64), Failure> {
        let range = Params::parse(query).search_range(NOW_NS)?;
        Ok((range.start_ns / SECOND_NS, range.end_ns / SECOND_NS))
    }

    #[test]
    fn the_first_of_a_name_counts_and_an_empty_one_is_none() {
        let params = Params::parse("q=%7B%7D&q=x&limit=&a+b=c+d");
        assert_eq!(params.get("q"), Some("{}"));
        assert_eq!(params.get("limit"), None);
        assert_eq!(params.get("a b"), Some("c d"));
    }

    #[test]
    fn a_search_range_has_a_default_and_does_not_reach_into_the_future() {
        assert_eq!(range(""), Ok((1_999_999_100, 2_000_000_000)));
        assert_eq!(range("since=1h"), Ok((1_999_996_400, 2_000_000_000)));
        assert_eq!(
            range("start=1999999000&end=1999999999"),
            Ok((1_999_999_000, 1_999_999_999))
        );
        assert_eq!(
            range("start=1999999000&end=4000000000"),
            Ok((1_999_999_000, 2_000_000_000))
        );
        assert_eq!(
            range("start=3999999000&end=4000000000"),
            Ok((1_999_999_100, 2_000_000_000))
        );
    }

    #[test]
    fn a_range_that_is_none_or_too_long_is_refused() {
        for (query, expected) in [
            (
                "start=5&end=1",
                "range specified by start and end exceeds 168h0m0s. received start=5 end=1",
            ),
            (
                "start=1&end=604802",
                "range specified by start and end exceeds 168h0m0s. received start=1 end=604802",
            ),
            (
                "start=1",
                "error parsing date range: only one of start and end provided: must provide both or neither",
            ),
            (
                "start=x&end=1",
                "error parsing date range: could not parse 'start' parameter: strconv.ParseInt: parsing \"x\": invalid syntax",
            ),
            (
                "since=x",
                "error parsing date range: could not parse 'since' parameter: not a valid duration string: \"x\"",
            ),
        ] {
            assert_eq!(range(query), Err(Failure::bad_request(expected)), "{query}");
        }
    }
}
