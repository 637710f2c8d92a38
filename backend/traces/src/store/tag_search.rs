//! The older search by tags, said in TraceQL.
//!
//! As in Tempo: tags are found anywhere in the trace, each by itself; names and services match by part; any other tag is a
//! text attribute of a span or resource with exactly this value.

use traceql::Query;

use super::Error;
use crate::request::TagSearch;

impl TagSearch {
    /// The query that finds the same traces.
    ///
    /// # Errors
    /// It would be too large a query.
    pub fn query(&self) -> Result<Query, Error> {
        let tags = self
            .tags
            .iter()
            .filter_map(|(key, value)| filter(key, value));
        let bounds = [(">=", self.duration_ns_min), ("<=", self.duration_ns_max)];
        let durations = bounds.iter().filter_map(|(operator, bound)| {
            Some(format!("{{ traceDuration {operator} {}ns }}", (*bound)?))
        });
        let filters: Vec<String> = tags.chain(durations).collect();
        let text = match filters.is_empty() {
            true => "{ }".to_owned(),
            false => filters.join(" && "),
        };
        traceql::parse(&text).map_err(|error| Error::Query(error.to_string()))
    }
}

/// `None` for a status that is none: as in Tempo, everything has it.
fn filter(key: &str, value: &str) -> Option<String> {
    let part = || quoted(&format!(".*{}.*", regex_of(value)));
    Some(match (key, value) {
        ("name", _) => format!("{{ name =~ {} }}", part()),
        ("root.name", _) => format!("{{ rootName =~ {} }}", part()),
        ("root.service.name", _) => format!("{{ rootServiceName =~ {} }}", part()),
        (conventions::resource::SERVICE_NAME, _) => {
            format!("{{ resource.service.name =~ {} }}", part())
        }
        ("status.code", "unset" | "ok" | "error") => format!("{{ status = {value} }}"),
        ("status.code", _) => return None,
        _ => format!("{{ .{} = {} }}", quoted(key), quoted(value)),
    })
}

fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", escaped.replace('\n', "\\n"))
}

/// `text` with everything escaped that means something in a regular expression.
fn regex_of(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if "\\.+*?()|[]{}^$#&-~".contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn check(tags: &[(&str, &str)], expected: &str) {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let search = TagSearch {
            tags: tags.iter().map(owned).collect(),
            ..TagSearch::default()
        };
        let expected = traceql::parse(expected).unwrap();
        assert_eq!(search.query().unwrap(), expected, "{tags:?}");
    }

    #[test]
    fn tags_become_filters() {
        check(&[], "{ }");
        check(&[("status.code", "what")], "{ }");
        check(&[("a.b", "1")], r#"{ ."a.b" = "1" }"#);
        check(
            &[("name", "a.b"), ("status.code", "error")],
            r#"{ name =~ ".*a\\.b.*" } && { status = error }"#,
        );
        check(
            &[
                ("service.name", "x"),
                ("root.name", "y"),
                ("root.service.name", "z"),
            ],
            r#"{ resource.service.name =~ ".*x.*" } && { rootName =~ ".*y.*" } && { rootServiceName =~ ".*z.*" }"#,
        );
    }

    #[test]
    fn quotes_line_ends_and_syntax_in_a_value_are_text() {
        for value in ["\"", "\\", "\n", "a\"} || {", "(", "[a-", "é#~&-", "\u{0}"] {
            for key in ["name", "x", "x y\"\\"] {
                let tags = vec![(key.to_owned(), value.to_owned())];
                let search = TagSearch {
                    tags,
                    ..TagSearch::default()
                };
                let query = search.query();
                assert!(query.is_ok(), "{key} {value:?}: {:?}", query.err());
            }
        }
    }

    #[test]
    fn durations_are_those_of_the_trace() {
        let search = TagSearch {
            duration_ns_min: Some(5),
            duration_ns_max: Some(7),
            ..TagSearch::default()
        };
        let expected = traceql::parse("{ traceDuration >= 5ns } && { traceDuration <= 7ns }");
        assert_eq!(search.query().unwrap(), expected.unwrap());
    }
}
