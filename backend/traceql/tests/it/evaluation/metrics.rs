//! Metrics queries, with samples counted by hand.

use traceql::metrics::{Aggregation, EXEMPLARS_MAX, RangeQuery, Series};
use traceql::model::{AttributeValue, Scope, Trace as _};
use traceql::parse;

use super::MS;
use crate::trace::{Attribute, Made, span};

/// Two steps of 10 s: (0, 10] and (10, 20].
const RANGE: RangeQuery = RangeQuery {
    start_ns: 0,
    end_ns: 20_000_000_000,
    step_ns: 10_000_000_000,
};

type Shown = Vec<(Vec<(String, AttributeValue)>, Vec<(i64, f64)>)>;

fn series(traces: &[Made], query: &str) -> Shown {
    let query = parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    let mut aggregation = Aggregation::new(&query, RANGE, 100).unwrap();
    traces.iter().for_each(|trace| aggregation.observe(trace));
    let series = aggregation.finish();
    series
        .into_iter()
        .map(|series| {
            (
                series.labels,
                series
                    .samples
                    .iter()
                    .map(|sample| (sample.timestamp_ms, sample.value))
                    .collect(),
            )
        })
        .collect()
}

/// Spans that start at 10 s (the last of the first step), 11 s, 12 s, and 21 s (outside).
fn metered() -> Vec<Made> {
    let of = |id: u64, service, n, ms: u64| Made {
        spans: vec![
            span(id, 0, "x")
                .service(service)
                .int("n", n)
                .lasting(ms * MS),
        ],
    };
    vec![
        of(10, "a", 1, 100),
        of(11, "a", 5, 400),
        of(12, "b", 3, 1_000),
        of(21, "b", 9, 100),
    ]
}

#[test]
fn metrics_are_counted_where_spans_start() {
    let text =
        |name: &str, value: &str| vec![(name.to_owned(), AttributeValue::String(value.to_owned()))];
    let by = |value: &str| text("resource.service.name", value);
    let traces = metered();
    for (query, expected) in [
        (
            "{ } | count_over_time()",
            vec![(
                text("__name__", "count_over_time"),
                vec![(10_000, 1.0), (20_000, 2.0)],
            )],
        ),
        (
            "{ } | rate()",
            vec![(text("__name__", "rate"), vec![(10_000, 0.1), (20_000, 0.2)])],
        ),
        (
            "{ .n > 100 } | rate()",
            vec![(text("__name__", "rate"), vec![(10_000, 0.0), (20_000, 0.0)])],
        ),
        ("{ .n > 100 } | rate() by (resource.service.name)", vec![]),
        ("{ .n > 100 } | max_over_time(.n)", vec![]),
        (
            "{ } | count_over_time() by (resource.service.name)",
            vec![
                (by("a"), vec![(10_000, 1.0), (20_000, 1.0)]),
                (by("b"), vec![(10_000, 0.0), (20_000, 1.0)]),
            ],
        ),
        (
            "{ } | count_over_time() by (.nothing)",
            vec![(text(".nothing", "nil"), vec![(10_000, 1.0), (20_000, 2.0)])],
        ),
        (
            "{ } | sum_over_time(.n)",
            vec![(
                text("__name__", "sum_over_time"),
                vec![(10_000, 1.0), (20_000, 8.0)],
            )],
        ),
        (
            "{ } | avg_over_time(.n)",
            vec![(
                text("__name__", "avg_over_time"),
                vec![(10_000, 1.0), (20_000, 4.0)],
            )],
        ),
        (
            "{ } | min_over_time(.n)",
            vec![(
                text("__name__", "min_over_time"),
                vec![(10_000, 1.0), (20_000, 3.0)],
            )],
        ),
        (
            "{ } | max_over_time(duration)",
            vec![(
                text("__name__", "max_over_time"),
                vec![(10_000, 0.1), (20_000, 1.0)],
            )],
        ),
        (
            "{ } | max_over_time(.n) by (resource.service.name)",
            vec![
                (by("a"), vec![(10_000, 1.0), (20_000, 5.0)]),
                (by("b"), vec![(20_000, 3.0)]),
            ],
        ),
        (
            "{ } | max_over_time(.n) by (resource.service.name) | topk(1)",
            vec![(by("a"), vec![(10_000, 1.0), (20_000, 5.0)])],
        ),
        (
            "{ } | max_over_time(.n) by (resource.service.name) | bottomk(1)",
            vec![
                (by("a"), vec![(10_000, 1.0)]),
                (by("b"), vec![(20_000, 3.0)]),
            ],
        ),
        (
            "{ } | count_over_time() > 1",
            vec![(text("__name__", "count_over_time"), vec![(20_000, 2.0)])],
        ),
    ] {
        assert_eq!(series(&traces, query), expected, "{query}");
    }
}

#[test]
fn histograms_and_quantiles_go_by_powers_of_two() {
    let number = |name: &str, value| vec![(name.to_owned(), AttributeValue::Double(value))];
    let traces = metered();
    assert_eq!(
        series(&traces, "{ } | histogram_over_time(duration)"),
        [
            (
                number("__bucket", 0.134_217_728),
                vec![(10_000, 1.0), (20_000, 0.0)]
            ),
            (
                number("__bucket", 0.536_870_912),
                vec![(10_000, 0.0), (20_000, 1.0)]
            ),
            (
                number("__bucket", 1.073_741_824),
                vec![(10_000, 0.0), (20_000, 1.0)]
            ),
        ]
    );
    assert_eq!(
        series(&traces, "{ } | quantile_over_time(duration, 0.5, 1)"),
        [
            (
                number("p", 0.5),
                vec![(10_000, 0.134_217_728), (20_000, 0.536_870_912)]
            ),
            (
                number("p", 1.0),
                vec![(10_000, 0.134_217_728), (20_000, 1.073_741_824)]
            ),
        ]
    );
}

#[test]
fn exemplars_name_traces_and_series_are_bounded() {
    let traces = metered();
    let query =
        parse("{ } | quantile_over_time(duration, 0.9) by (resource.service.name)").unwrap();
    let mut aggregation = Aggregation::new(&query, RANGE, 1).unwrap();
    traces.iter().for_each(|trace| aggregation.observe(trace));
    assert!(aggregation.is_truncated());
    let series = aggregation.finish();
    assert_eq!(series.len(), 1);
    assert_eq!(series[0].exemplars.len(), 1);
    let exemplar = &series[0].exemplars[0];
    assert_eq!(
        (exemplar.trace_id, exemplar.timestamp_ms, exemplar.value),
        (traces[0].id(), 10_000, 0.1)
    );
    assert_eq!(
        exemplar.labels,
        [(
            "duration".to_owned(),
            AttributeValue::String("100ms".to_owned())
        )]
    );
}

/// Spans in both steps, by service: a has one in each, b and c have one in the second.
fn tied() -> Vec<Made> {
    let of = |id: u64, service| Made {
        spans: vec![span(id, 0, "x").service(service).int("n", id as i64)],
    };
    vec![of(1, "a"), of(11, "a"), of(12, "b"), of(13, "c")]
}

#[test]
fn of_equal_series_the_best_are_the_first_texts_and_the_worst_the_last_ones() {
    let traces = tied();
    let services = |query: &str| -> Vec<(AttributeValue, Vec<f64>)> {
        let series = series(&traces, query).into_iter();
        series
            .map(|(mut labels, samples)| {
                let values = samples.into_iter().map(|(_, value)| value).collect();
                (labels.remove(0).1, values)
            })
            .collect()
    };
    let text = |text: &str| AttributeValue::String(text.to_owned());
    let by_service = "{ } | count_over_time() by (resource.service.name)";
    assert_eq!(
        services(&format!("{by_service} | topk(1)")),
        [(text("a"), vec![1.0, 1.0])]
    );
    assert_eq!(
        services(&format!("{by_service} | bottomk(1)")),
        [(text("c"), vec![0.0, 1.0])]
    );
    let by_number = "{ .n > 11 } | count_over_time() by (.n)";
    assert_eq!(
        services(&format!("{by_number} | topk(1)")),
        [(AttributeValue::Int(13), vec![0.0, 1.0])]
    );
    assert_eq!(
        services(&format!("{by_number} | bottomk(1)")),
        [(AttributeValue::Int(12), vec![0.0, 1.0])]
    );
    assert_eq!(
        services(&format!("{by_service} | topk(2) | bottomk(1) > 0")),
        [(text("b"), vec![1.0])]
    );
}

#[test]
fn arrays_of_several_elements_and_absent_values_are_no_label() {
    let of = |id: u64, tags: Vec<&'static str>| Made {
        spans: vec![
            span(id, 0, "x")
                .int("n", 1)
                .with(Scope::Span, "tags", Attribute::Texts(tags)),
        ],
    };
    let traces = [
        of(1, vec!["a", "b"]),
        of(2, vec!["a"]),
        of(3, vec!["a", "b"]),
    ];
    let text = |text: &str| AttributeValue::String(text.to_owned());
    let tags = |value| vec![("span.tags".to_owned(), text(value))];
    assert_eq!(
        series(&traces, "{ } | count_over_time() by (span.tags)"),
        [
            (tags("nil"), vec![(10_000, 2.0), (20_000, 0.0)]),
            (tags("a"), vec![(10_000, 1.0), (20_000, 0.0)]),
        ]
    );
    assert_eq!(
        series(&traces, "{ } | count_over_time() by (.nothing, .n)"),
        [(
            vec![(".n".to_owned(), AttributeValue::Int(1))],
            vec![(10_000, 3.0), (20_000, 0.0)]
        )]
    );
    assert_eq!(
        series(
            &traces,
            "{ } | count_over_time() by (event:name, resource.service.name)"
        ),
        [(
            vec![
                ("event:name".to_owned(), text("")),
                ("resource.service.name".to_owned(), text(""))
            ],
            vec![(10_000, 3.0), (20_000, 0.0)]
        )],
        "these always have a name"
    );
    assert_eq!(
        series(&traces, "{ } | count_over_time() by (.nothing, .else)"),
        [(
            vec![(".nothing".to_owned(), text("nil"))],
            vec![(10_000, 3.0), (20_000, 0.0)]
        )]
    );
}

fn whole_series(traces: &[Made], range: RangeQuery, query: &str) -> Vec<Series> {
    let query = parse(query).unwrap();
    let mut aggregation = Aggregation::new(&query, range, 100).unwrap();
    traces.iter().for_each(|trace| aggregation.observe(trace));
    aggregation.finish()
}

/// When the exemplars of the only series are, in seconds.
fn exemplars(traces: &[Made], range: RangeQuery, query: &str) -> Vec<i64> {
    let series = whole_series(traces, range, query);
    let of_first = series[0].exemplars.iter();
    of_first
        .map(|exemplar| exemplar.timestamp_ms / 1_000)
        .collect()
}

#[test]
fn exemplars_are_spread_over_the_range_and_as_many_as_the_query_says() {
    // Three thousand seconds with a trace in each, newest first, in steps of ten.
    let traces: Vec<Made> = (1..=3_000)
        .rev()
        .map(|id| Made {
            spans: vec![span(id, 0, "x"), span(id, 0, "of the same trace")],
        })
        .collect();
    let range = RangeQuery {
        end_ns: 3_000_000_000_000,
        ..RANGE
    };
    let times = exemplars(&traces, range, "{ } | rate()");
    assert_eq!(times.len(), EXEMPLARS_MAX);
    for minute in 0..50 {
        // The end belongs to the last minute.
        let of_minute = times
            .iter()
            .filter(|time| **time.min(&&2_999) / 60 == minute);
        assert_eq!(of_minute.count(), 2, "{minute}");
    }
    let two_steps = Made {
        spans: vec![span(5, 0, "x"), span(15, 0, "x")],
    };
    let of_one_trace = exemplars(&[two_steps], RANGE, "{ } | rate()");
    assert_eq!(of_one_trace.len(), 1, "{of_one_trace:?}");
    for (hint, expected) in [
        ("false", 0),
        ("0", 0),
        ("true", 100),
        ("7", 6),
        ("1000", 100),
    ] {
        let query = format!("{{ }} | rate() with(exemplars={hint})");
        assert_eq!(exemplars(&traces, range, &query).len(), expected, "{hint}");
    }
}

#[test]
fn every_span_of_a_trace_may_be_its_exemplar() {
    let traces: Vec<Made> = (1..=100)
        .map(|id| Made {
            spans: vec![span(2 * id, 0, "first"), span(2 * id + 1, 2 * id, "second")],
        })
        .collect();
    let range = RangeQuery {
        end_ns: 210_000_000_000,
        ..RANGE
    };
    let series = whole_series(&traces, range, "{ } | rate() by (name)");
    for series in &series {
        let exemplars = series.exemplars.len();
        assert!(exemplars > 20, "{exemplars} of {:?}", series.labels);
    }
    assert_eq!(series.len(), 2);
}

#[test]
fn exemplars_say_what_the_query_reads_and_stand_beside_a_sample() {
    let traces = metered();
    let series = whole_series(
        &traces,
        RANGE,
        "{ .n > 1 && kind = internal } | select(.nothing) | rate() by (kind)",
    );
    let exemplar = &series[0].exemplars[0];
    assert_eq!(
        exemplar.labels,
        [(".n".to_owned(), AttributeValue::Int(5))],
        "neither what is absent nor what is a label of the series"
    );
    assert_eq!(exemplar.value, 0.2, "the sample's");
    // The sample of the first step does not pass.
    assert_eq!(
        exemplars(&traces, RANGE, "{ } | count_over_time() > 1"),
        [11, 12]
    );
}

#[test]
fn an_exemplar_stands_by_the_quantile_that_it_is_nearest_to() {
    let traces = metered();
    let series = whole_series(&traces, RANGE, "{ } | quantile_over_time(duration, 0, 1)");
    let values = |number: usize| -> Vec<f64> {
        let exemplars = series[number].exemplars.iter();
        exemplars.map(|exemplar| exemplar.value).collect()
    };
    // 0.134217728 and 1.073741824 over the whole range.
    assert_eq!(values(0), [0.1, 0.4]);
    assert_eq!(values(1), [1.0]);
}
