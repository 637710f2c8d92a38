#![allow(clippy::unwrap_used)]

use std::ops::RangeInclusive;

use tsdb::{Labels, Matcher, Sample, Series, Source, SourceError};

use super::*;
use crate::{Append, AppendError};

/// Two series of `up`, current at any time.
struct Ups;

impl Source for Ups {
    fn select(
        &self,
        _: &[Matcher],
        range_ms: RangeInclusive<i64>,
        _: usize,
    ) -> Result<Vec<Series>, SourceError> {
        let series = |instance: &str, value| Series {
            labels: Labels::new([("__name__", "up"), ("instance", instance)]),
            samples: vec![Sample {
                t_ms: *range_ms.end(),
                value,
            }],
        };
        Ok(vec![series("a:1", 1.0), series("b:2", 0.0)])
    }
}

impl Append for Ups {
    fn append(&self, _: &[(Labels, Sample)]) -> Result<(), AppendError> {
        Ok(())
    }
}

fn expand(text: &str, value: f64) -> String {
    let labels = Labels::new([
        ("service", "gateway"),
        ("instance", "host.example.org:9101"),
    ]);
    let external_labels = Labels::new([("env", "dev")]);
    let with = Surroundings {
        engine: &promql::Engine::default(),
        source: &Ups,
        append: &Ups,
        external_labels: &external_labels,
        external_url: "http://127.0.0.1:9090/prometheus",
    };
    Template::parse(text).unwrap().expand(&Scope {
        labels: &labels,
        value,
        t_ms: 1_000_000,
        with: &with,
    })
}

#[test]
fn actions_give_what_prometheus_gives() {
    for (text, expected) in [
        ("plain { text }", "plain { text }"),
        ("{{ $labels.service }} is {{ $value }}", "gateway is 0.05"),
        ("{{ .Labels.service }}{{ .Value }}", "gateway0.05"),
        ("{{ $labels.absent }}|", "|"),
        (
            "{{ $externalLabels.env }} {{ $externalURL }}",
            "dev http://127.0.0.1:9090/prometheus",
        ),
        ("a {{- $value -}} b", "a0.05b"),
        ("{{/* said to nobody */}}x", "x"),
        ("{{ $value | humanizePercentage }}", "5%"),
        ("{{ if gt $value 0.01 }}high{{ else }}low{{ end }}", "high"),
        (
            "{{ if eq $labels.service \"worker\" }}w{{ else if eq $labels.service \"gateway\" }}g{{ else }}?{{ end }}",
            "g",
        ),
        ("{{ with $labels.absent }}x{{ else }}none{{ end }}", "none"),
        ("{{ $x := 3.0 }}{{ $x }}", "3"),
        (
            "{{ range query \"up\" }}{{ .Labels.instance }}={{ .Value }};{{ end }}",
            "a:1=1;b:2=0;",
        ),
        ("{{ query \"up\" | first | label \"instance\" }}", "a:1"),
        (
            "{{ with query \"up\" }}{{ . | first | value | humanize }}{{ end }}",
            "1",
        ),
        ("{{ query \"up\" | len }}", "2"),
        (
            "{{ printf \"%.2f %s %d%%\" $value $labels.service 3 }}",
            "0.05 gateway 3%",
        ),
        ("{{ $labels.service | toUpper | title }}", "GATEWAY"),
        ("{{ title \"two words\" }}", "Two Words"),
        (
            "{{ reReplaceAll \"g(.*)y\" \"x${1}z\" $labels.service }}",
            "xatewaz",
        ),
        ("{{ if match \"^gate\" $labels.service }}y{{ end }}", "y"),
        (
            "{{ stripPort $labels.instance }} {{ stripDomain $labels.instance }}",
            "host.example.org host:9101",
        ),
        ("{{ pathPrefix }}", "/prometheus"),
        ("{{ (printf \"%s-%s\" \"a\" `b`) | toUpper }}", "A-B"),
        ("{{ index $labels \"service\" }}", "gateway"),
        (
            "{{ and true \"\" }}|{{ or \"\" \"x\" }}|{{ not false }}",
            "|x|true",
        ),
    ] {
        assert_eq!(expand(text, 0.05), expected, "{text}");
    }
}

#[test]
fn numbers_are_written_for_people_as_prometheus_does() {
    for (function, value, expected) in [
        ("humanize", 0.0, "0"),
        ("humanize", 1_234_567.0, "1.235M"),
        ("humanize", 999.95, "1000"),
        ("humanize", -0.001_234, "-1.234m"),
        ("humanize", f64::INFINITY, "+Inf"),
        ("humanize1024", 1_048_576.0, "1Mi"),
        ("humanize1024", 0.5, "0.5"),
        ("humanizeDuration", 0.0, "0s"),
        ("humanizeDuration", 0.1234, "123.4ms"),
        ("humanizeDuration", 1.5, "1.5s"),
        ("humanizeDuration", 90.0, "1m 30s"),
        ("humanizeDuration", 90_061.0, "1d 1h 1m 1s"),
        ("humanizeDuration", -3_600.0, "-1h 0m 0s"),
        ("humanizePercentage", 0.123_456, "12.35%"),
        ("humanizePercentage", f64::NAN, "NaN%"),
        (
            "humanizeTimestamp",
            1_435_065_584.128,
            "2015-06-23 13:19:44.128 +0000 UTC",
        ),
    ] {
        assert_eq!(
            expand(&format!("{{{{ $value | {function} }}}}"), value),
            expected,
            "{function} {value}"
        );
    }
    for (value, expected) in [
        (0.1, "0.1"),
        (1e21, "1e+21"),
        (1e20, "100000000000000000000"),
        (0.000_01, "1e-05"),
        (f64::NAN, "NaN"),
        (-0.0, "-0"),
    ] {
        assert_eq!(expand("{{ $value }}", value), expected);
    }
}

#[test]
fn what_is_no_template_or_not_supported_is_an_error_that_says_so() {
    for (text, reason) in [
        ("{{ $labels.service", "unclosed action"),
        ("{{ if true }}", "unclosed {{if}}"),
        ("{{ end }}", "unexpected {{end}}"),
        ("{{ nothing $value }}", "function \"nothing\" not defined"),
        ("{{ $nothing }}", "undefined variable \"$nothing\""),
        ("{{ define \"x\" }}{{ end }}", "{{define}} is not supported"),
        ("{{ humanize $value 1 2 }}", "wrong number of args"),
        ("{{ \"text }}", "unclosed action"),
        ("{{ ($value }}", "unclosed left paren"),
        ("{{ $value | }}", "missing value for command"),
        ("{{ 1 2 }}", "can't give argument to non-function"),
        ("{{ @ }}", "unexpected '@' in action"),
        ("{{ }}", "missing value for command"),
    ] {
        let error = Template::parse(text).unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
}

#[test]
fn an_error_while_expanding_stands_in_the_text() {
    for text in [
        "{{ humanize $labels.service }}",
        "{{ query \"up(\" }}",
        "{{ query \"nothing\" | first | value | first }}",
        "{{ .Labels.service.x }}",
        "{{ match \"(\" $labels.service }}",
    ] {
        assert!(
            expand(text, 1.0).starts_with("<error expanding template: "),
            "{text}: {}",
            expand(text, 1.0)
        );
    }
}

#[test]
fn an_expansion_has_an_end() {
    let doubled = "{{ $x := \"0123456789\" }}".to_owned()
        + &"{{ $x := printf \"%s%s\" $x $x }}".repeat(60)
        + "{{ len $x }}";
    let looping = "{{ range query \"up\" }}".repeat(30) + &"{{ end }}".repeat(30);
    for (text, reason) in [
        (doubled, "the text is longer than 65536 bytes"),
        (looping, "the template takes more than 100000 steps"),
    ] {
        let expected = format!("<error expanding template: {reason}>");
        assert_eq!(expand(&text, 1.0), expected);
    }
}
