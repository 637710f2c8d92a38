//! Which format a scraper gets, by its `Accept` header (RFC 9110, section 12.5.1).
//!
//! As Prometheus' own client libraries do: who asks for nothing we have gets text 0.0.4, never 406; who does not say
//! which OpenMetrics gets 1.0.0, as that specification wants. Of a scraper's wishes the weightiest we can fulfil
//! wins, of equal ones the more specific, then the one named first.

use std::cmp::Reverse;

/// Longest `Accept` header that is read, in bytes. Prometheus sends about 250.
const ACCEPT_BYTES_MAX: usize = 4_096;

/// Specificity of a clause that names main type and subtype.
const EXACT: u8 = 3;

/// The formats we write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Text004,
    OpenMetrics100,
    OpenMetrics001,
}

/// In the order of our own preference, which decides only when a wildcard admits several: a person with a browser or
/// `curl` reads the plain text more easily.
const FORMATS: [Format; 3] = [
    Format::Text004,
    Format::OpenMetrics100,
    Format::OpenMetrics001,
];

/// One clause of the header.
struct Range<'a> {
    main: &'a str,
    sub: &'a str,
    version: Option<&'a str>,
    /// In thousandths; 0 forbids.
    quality: u16,
}

/// What the header says about one format. The default is to say nothing.
#[derive(Debug, Clone, Copy, Default)]
struct Wish {
    quality: u16,
    specificity: u8,
    /// Of the clause in the header.
    position: usize,
}

impl Format {
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Text004 => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics100 => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::OpenMetrics001 => "application/openmetrics-text; version=0.0.1; charset=utf-8",
        }
    }

    pub(super) fn is_openmetrics(self) -> bool {
        self != Self::Text004
    }

    /// Main type, subtype, version.
    fn media_type(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Text004 => ("text", "plain", "0.0.4"),
            Self::OpenMetrics100 => ("application", "openmetrics-text", "1.0.0"),
            Self::OpenMetrics001 => ("application", "openmetrics-text", "0.0.1"),
        }
    }
}

/// The format for this header. Clauses that are malformed are passed over.
pub(super) fn negotiate(accept: Option<&str>) -> Format {
    let accept = super::names::cut(accept.unwrap_or_default(), ACCEPT_BYTES_MAX);
    let ranges: Vec<Range> = split_unquoted(accept, ',')
        .filter_map(parse_range)
        .collect();
    let mut best = (Wish::default(), Format::Text004);
    for format in FORMATS {
        match wish(&ranges, format) {
            Some(wish) if wish.quality > 0 && wish.is_before(best.0) => best = (wish, format),
            _ => {}
        }
    }
    best.1
}

/// What the header says about a format: its most specific clause that matches, the first of several such.
fn wish(ranges: &[Range], format: Format) -> Option<Wish> {
    let wishes = ranges.iter().enumerate().filter_map(|(position, range)| {
        Some(Wish {
            quality: range.quality,
            specificity: range.specificity(format)?,
            position,
        })
    });
    wishes.reduce(|best, next| {
        if next.specificity > best.specificity {
            next
        } else {
            best
        }
    })
}

impl Wish {
    /// Between formats it does not count whether a version was named: `text/plain` is as exact as it can be.
    fn is_before(self, other: Self) -> bool {
        let rank = |wish: Self| {
            (
                wish.quality,
                wish.specificity.min(EXACT),
                Reverse(wish.position),
            )
        };
        rank(self) > rank(other)
    }
}

impl Range<'_> {
    /// How closely this clause names the format; `None` when it does not match.
    fn specificity(&self, format: Format) -> Option<u8> {
        let (main, sub, version) = format.media_type();
        let is = |wanted: &str, have: &str| wanted.eq_ignore_ascii_case(have);
        match (self.main, self.sub, self.version) {
            ("*", "*", None) => Some(1),
            (wanted, "*", None) if is(wanted, main) => Some(2),
            (wanted, wanted_sub, None) if is(wanted, main) && is(wanted_sub, sub) => Some(EXACT),
            (wanted, wanted_sub, Some(wanted_version))
                if is(wanted, main) && is(wanted_sub, sub) && wanted_version == version =>
            {
                Some(EXACT + 1)
            }
            _ => None,
        }
    }
}

fn parse_range(clause: &str) -> Option<Range<'_>> {
    let mut parts = split_unquoted(clause, ';').map(str::trim);
    let (main, sub) = parts.next()?.split_once('/')?;
    let mut range = Range {
        main: main.trim(),
        sub: sub.trim(),
        version: None,
        quality: 1_000,
    };
    for parameter in parts.filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=')?;
        let (name, value) = (name.trim(), value.trim().trim_matches('"'));
        if name.eq_ignore_ascii_case("q") {
            range.quality = parse_quality(value)?;
        } else if name.eq_ignore_ascii_case("version") {
            range.version = Some(value);
        }
    }
    Some(range)
}

/// 0 to 1, in thousandths.
fn parse_quality(value: &str) -> Option<u16> {
    let quality: f64 = value.parse().ok()?;
    (0.0..=1.0)
        .contains(&quality)
        .then(|| (quality * 1_000.0).round() as u16)
}

/// The parts between separators that do not stand inside double quotes.
fn split_unquoted(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    text.split(move |char| {
        is_quoted ^= char == '"';
        char == separator && !is_quoted
    })
}

#[cfg(test)]
mod tests {
    use super::Format::*;
    use super::*;

    fn check(accept: &str, expected: Format) {
        assert_eq!(negotiate(Some(accept)), expected, "{accept}");
    }

    #[test]
    fn prometheus_three_gets_openmetrics() {
        check(
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,\
             text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            OpenMetrics100,
        );
    }

    #[test]
    fn scrapers_that_prefer_protobuf_get_the_best_text_they_take() {
        let protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
                        encoding=delimited;q=0.7";
        check(
            &format!("{protobuf},text/plain;version=0.0.4;q=0.3"),
            Text004,
        );
        check(
            &format!("{protobuf},application/openmetrics-text;version=0.0.1;q=0.5,*/*;q=0.1"),
            OpenMetrics001,
        );
        check(protobuf, Text004);
    }

    #[test]
    fn people_and_unknown_clients_get_plain_text() {
        assert_eq!(negotiate(None), Text004);
        check("", Text004);
        check("*/*", Text004);
        check(
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            Text004,
        );
        check("text/*", Text004);
        check("application/json", Text004);
        check("text/plain;version=1.0.0", Text004);
        check("application/openmetrics-text;version=2.0.0", Text004);
    }

    #[test]
    fn a_version_that_is_not_said_is_the_published_one() {
        check("application/openmetrics-text", OpenMetrics100);
        check("application/*", OpenMetrics100);
        check(
            "APPLICATION/OpenMetrics-Text; Version=\"0.0.1\"; charset=utf-8",
            OpenMetrics001,
        );
    }

    #[test]
    fn weights_count_before_specificity_and_order() {
        check(
            "application/openmetrics-text;version=1.0.0;q=0.1, */*;q=0.9",
            Text004,
        );
        check(
            "text/plain;q=0.5, application/openmetrics-text;version=0.0.1;q=0.6",
            OpenMetrics001,
        );
        check(
            "*/*, application/openmetrics-text;version=1.0.0",
            OpenMetrics100,
        );
        check(
            "text/plain;version=0.0.4, application/openmetrics-text;version=1.0.0",
            Text004,
        );
        check(
            "application/openmetrics-text;version=0.0.1, text/plain;version=0.0.4",
            OpenMetrics001,
        );
    }

    #[test]
    fn of_equal_clauses_the_first_counts_with_a_version_or_without() {
        check(
            "text/plain, application/openmetrics-text;version=1.0.0",
            Text004,
        );
        check(
            "text/plain;q=0.2, text/plain;q=0.9, application/openmetrics-text;q=0.5",
            OpenMetrics100,
        );
    }

    #[test]
    fn a_weight_of_zero_forbids() {
        check("application/openmetrics-text;q=0, */*", Text004);
        check("text/plain;q=0, */*", OpenMetrics100);
        check("text/plain;q=0", Text004);
        check("application/openmetrics-text;q=0", Text004);
    }

    #[test]
    fn malformed_clauses_are_passed_over() {
        check(
            "nonsense, ;;, =, /, application/openmetrics-text;q=much, application/openmetrics-text;version=0.0.1",
            OpenMetrics001,
        );
        check(
            "application/openmetrics-text;q=1.5, text/plain;q=-1, text/plain;q=NaN",
            Text004,
        );
        check(
            "application/openmetrics-text; note=\"a, b; c\"; version=0.0.1",
            OpenMetrics001,
        );
        check(&"é,".repeat(5_000), Text004);
    }
}
