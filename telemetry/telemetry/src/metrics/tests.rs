//! The recorder as its users see it: macros in, pages out.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Barrier;

use conventions::defaults::HTTP_BUCKETS;
use conventions::metrics as names;
use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use opentelemetry::trace::TraceId;
use proptest::prelude::*;

use super::exemplars::error_scope;
use super::fixtures::{dropped_trace, in_span, kept_trace, recorder};
use super::grammar::{self, Family, Sample};
use super::{BuildError, InstallError, Matcher, Recorder, RecorderBuilder};

const OPENMETRICS: Option<&str> = Some("application/openmetrics-text; version=1.0.0");

/// The OpenMetrics page, read back strictly.
fn page(recorder: &Recorder) -> Vec<Family> {
    let page = recorder.handle().render(OPENMETRICS).body;
    grammar::openmetrics(&page).unwrap_or_else(|broken| panic!("{broken}\n{page}"))
}

fn text(recorder: &Recorder) -> String {
    recorder.handle().render(None).body
}

fn family(recorder: &Recorder, name: &str) -> Family {
    page(recorder)
        .into_iter()
        .find(|family| family.name == name)
        .unwrap()
}

/// The value of the one sample with this name and, beside `service`, these labels.
fn value(recorder: &Recorder, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let mut expected: BTreeMap<_, _> = BTreeMap::from([("service", "test")]);
    expected.extend(labels.iter().copied());
    let is_it = |sample: &Sample| {
        let labels = sample
            .labels
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        sample.name == name && labels.collect::<BTreeMap<_, _>>() == expected
    };
    let families = page(recorder);
    let mut found = families
        .iter()
        .flat_map(|family| &family.samples)
        .filter(|sample| is_it(sample));
    let value = found.next().map(Sample::value);
    assert_eq!(found.next(), None);
    value
}

fn with<R>(recorder: &Recorder, f: impl FnOnce() -> R) -> R {
    metrics::with_local_recorder(recorder, f)
}

fn hex(trace_id: TraceId) -> String {
    trace_id.to_string()
}

#[test]
fn a_whole_page_in_both_formats() {
    let recorder = RecorderBuilder::new("gateway")
        .buckets(Matcher::Full("size_bytes".to_owned()), &[1.0, 1e6])
        .version("1.2.3")
        .process_metrics(false)
        .build()
        .unwrap();
    with(&recorder, || {
        describe_counter!("jobs_total", "Jobs \"done\".\nAll of them: \\o/");
        describe_histogram!("size_bytes", Unit::Bytes, "Sizes.");
        counter!("jobs_total", "kind" => "b").increment(2);
        counter!("jobs_total", "kind" => "a").absolute(1);
        gauge!("depth").set(2.5);
        histogram!("size_bytes").record(1.0);
        histogram!("size_bytes").record(7.0);
    });
    assert_eq!(text(&recorder), include_str!("testdata/page.txt"));
    let page = recorder.handle().render(OPENMETRICS);
    assert_eq!(page.body, include_str!("testdata/page.openmetrics"));
    let old = recorder
        .handle()
        .render(Some("application/openmetrics-text; version=0.0.1"));
    assert_eq!(old.body, page.body);
    assert_ne!(old.content_type, page.content_type);
}

#[test]
fn every_histogram_of_a_page_has_its_exemplar_in_the_right_bucket() {
    let recorder = recorder();
    with(&recorder, || {
        let duration = histogram!(names::HTTP_SERVER_REQUEST_DURATION);
        in_span(kept_trace(), || duration.record(0.03));
        in_span(dropped_trace(), || duration.record(0.7));
        duration.record(3.0);
        in_span(dropped_trace(), || error_scope(|| duration.record(99.0)));
    });
    let family = family(&recorder, names::HTTP_SERVER_REQUEST_DURATION);
    assert_eq!(family.unit.as_deref(), Some("seconds"));
    let found: Vec<_> = family
        .samples
        .iter()
        .filter_map(|sample| {
            let exemplar = sample.exemplar.as_ref()?;
            Some((
                sample.labels["le"].as_str(),
                exemplar.value,
                exemplar.labels["trace_id"].clone(),
                exemplar.labels["span_id"].as_str(),
            ))
        })
        .collect();
    let span_id = "abababababababab";
    assert_eq!(
        found,
        [
            ("0.05", 0.03, hex(kept_trace()), span_id),
            ("+Inf", 99.0, hex(dropped_trace()), span_id)
        ]
    );
    let outcome = |outcome| {
        value(
            &recorder,
            names::TELEMETRY_EXEMPLARS,
            &[(names::OUTCOME, outcome)],
        )
    };
    assert_eq!(outcome(names::OUTCOME_STORED), Some(2.0));
    assert_eq!(outcome(names::OUTCOME_NOT_KEPT), Some(1.0));
    assert_eq!(outcome(names::OUTCOME_CONTENDED), Some(0.0));
    assert!(!text(&recorder).contains("trace_id"));
}

#[test]
fn a_counter_names_a_trace_only_when_something_failed() {
    let recorder = recorder();
    with(&recorder, || {
        let jobs = counter!("jobs_total");
        in_span(kept_trace(), || jobs.increment(1));
        error_scope(|| jobs.increment(1));
        assert_eq!(family(&recorder, "jobs").samples[0].exemplar, None);
        in_span(dropped_trace(), || error_scope(|| jobs.increment(3)));
        in_span(kept_trace(), || error_scope(|| jobs.increment(0)));
    });
    let jobs = &family(&recorder, "jobs").samples[0];
    let exemplar = jobs.exemplar.as_ref().unwrap();
    assert_eq!((jobs.value(), exemplar.value), (5.0, 3.0));
    assert_eq!(exemplar.labels["trace_id"], hex(dropped_trace()));
    assert!(exemplar.timestamp > 1.6e9);
}

#[test]
fn a_counter_never_goes_back() {
    let recorder = recorder();
    with(&recorder, || {
        let jobs = counter!("jobs_total");
        let check = |expected| assert_eq!(value(&recorder, "jobs_total", &[]), Some(expected));
        jobs.absolute(7);
        jobs.absolute(3);
        check(7.0);
        jobs.increment(1);
        jobs.absolute(8);
        check(8.0);
        jobs.absolute(9);
        check(9.0);
    });
}

#[test]
fn samples_that_are_not_finite_are_dropped_and_counted() {
    let recorder = recorder();
    with(&recorder, || {
        let duration = histogram!("d_seconds");
        for sample in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.5] {
            duration.record(sample);
        }
        duration.record_many(f64::NAN, 10);
        duration.record_many(1.5, 0);
    });
    assert_eq!(value(&recorder, "d_seconds_sum", &[]), Some(0.5));
    assert_eq!(value(&recorder, "d_seconds_count", &[]), Some(1.0));
    assert_eq!(
        value(&recorder, names::TELEMETRY_SAMPLES_DROPPED, &[]),
        Some(13.0)
    );
}

#[test]
fn a_sum_of_negative_samples_is_no_openmetrics_counter() {
    let recorder = recorder();
    with(&recorder, || histogram!("skew_seconds").record(-1.5));
    assert_eq!(value(&recorder, "skew_seconds_sum", &[]), None);
    assert_eq!(value(&recorder, "skew_seconds_count", &[]), None);
    assert_eq!(
        value(&recorder, "skew_seconds_bucket", &[("le", "0.005")]),
        Some(1.0)
    );
    assert!(text(&recorder).contains("skew_seconds_sum{service=\"test\"} -1.5\n"));
}

#[test]
fn a_histogram_with_negative_bounds_has_no_openmetrics_sum() {
    let recorder = RecorderBuilder::new("test")
        .buckets(Matcher::Full("skew_seconds".to_owned()), &[-1.0, 1.0])
        .build()
        .unwrap();
    with(&recorder, || histogram!("skew_seconds").record(5.0));
    assert_eq!(value(&recorder, "skew_seconds_sum", &[]), None);
    assert_eq!(
        value(&recorder, "skew_seconds_bucket", &[("le", "+Inf")]),
        Some(1.0)
    );
}

#[test]
fn a_sample_on_a_bound_belongs_to_its_bucket() {
    let recorder = recorder();
    with(&recorder, || {
        HTTP_BUCKETS
            .iter()
            .for_each(|bound| histogram!("d").record(*bound))
    });
    let counts: Vec<_> = family(&recorder, "d")
        .samples
        .iter()
        .map(Sample::value)
        .collect();
    assert_eq!(
        counts[..HTTP_BUCKETS.len()],
        (1..=HTTP_BUCKETS.len())
            .map(|n| n as f64)
            .collect::<Vec<_>>()
    );
}

#[test]
fn series_over_the_cap_go_to_one_overflow_series_and_are_counted() {
    let recorder = RecorderBuilder::new("test")
        .process_metrics(false)
        .series_per_metric_max(3)
        .build()
        .unwrap();
    with(&recorder, || {
        for number in 0..10 {
            counter!("jobs_total", "id" => number.to_string()).increment(1);
            histogram!("d_seconds", "id" => number.to_string()).record(1.0);
        }
        counter!("jobs_total", "id" => "0").increment(1);
    });
    let overflow = [(names::OVERFLOW, "true")];
    assert_eq!(family(&recorder, "jobs").samples.len(), 4);
    assert_eq!(value(&recorder, "jobs_total", &overflow), Some(7.0));
    assert_eq!(value(&recorder, "jobs_total", &[("id", "0")]), Some(2.0));
    assert_eq!(value(&recorder, "d_seconds_count", &overflow), Some(7.0));
    assert_eq!(
        value(&recorder, names::TELEMETRY_SERIES_OVERFLOW, &[]),
        Some(14.0)
    );
}

#[test]
fn a_series_with_too_many_labels_overflows() {
    let recorder = recorder();
    let labels: Vec<(String, String)> =
        (0..40).map(|n| (format!("l{n}"), "v".to_owned())).collect();
    with(&recorder, || gauge!("depth", &labels).set(1.0));
    assert_eq!(
        value(&recorder, "depth", &[(names::OVERFLOW, "true")]),
        Some(1.0)
    );
}

#[test]
fn metrics_over_the_cap_are_refused_and_counted() {
    let recorder = RecorderBuilder::new("test")
        .process_metrics(false)
        .metrics_max(2)
        .build()
        .unwrap();
    with(&recorder, || {
        for name in ["a", "b", "c", "d"] {
            gauge!(name).set(1.0);
        }
        gauge!("a").set(2.0);
    });
    let text = text(&recorder);
    assert!(
        text.contains("\na{")
            && text.contains("\nb{")
            && !text.contains("\nc{")
            && !text.contains("\nd{")
    );
    assert_eq!(value(&recorder, "a", &[]), Some(2.0));
    assert_eq!(
        value(&recorder, names::TELEMETRY_SERIES_OVERFLOW, &[]),
        Some(2.0)
    );
}

#[test]
fn a_metric_whose_samples_would_be_called_like_anothers_is_refused() {
    let recorder = RecorderBuilder::new("test").build().unwrap();
    with(&recorder, || {
        histogram!("d").record(1.0);
        counter!("jobs_total").increment(1);
        gauge!("d_count").set(1.0);
        counter!("d").increment(1);
        gauge!("jobs").set(1.0);
        gauge!("jobs_total").set(1.0);
        counter!(names::TELEMETRY_EXEMPLARS, "outcome" => "stored").increment(1);
        gauge!(names::PROCESS_OPEN_FDS).set(-1.0);
    });
    assert_eq!(
        value(&recorder, names::TELEMETRY_SERIES_OVERFLOW, &[]),
        Some(6.0)
    );
    assert_eq!(value(&recorder, "d_count", &[]), Some(1.0));
    assert!(value(&recorder, names::PROCESS_OPEN_FDS, &[]) > Some(0.0));
}

#[test]
fn keys_that_end_up_with_one_name_share_one_series() {
    let recorder = RecorderBuilder::new("test")
        .process_metrics(false)
        .series_per_metric_max(2)
        .build()
        .unwrap();
    with(&recorder, || {
        counter!("a.jobs", "k-1" => "v").increment(1);
        counter!("a_jobs_total", "k_1" => "v").increment(1);
        counter!("a-jobs", "k.1" => "v", "empty" => "").increment(1);
        counter!("a jobs", "k 1" => "v").increment(1);
    });
    assert_eq!(value(&recorder, "a_jobs_total", &[("k_1", "v")]), Some(4.0));
    assert_eq!(
        value(&recorder, names::TELEMETRY_SERIES_OVERFLOW, &[]),
        Some(0.0)
    );
}

#[test]
fn a_callers_own_service_label_is_kept_under_another_name() {
    let recorder = recorder();
    with(&recorder, || {
        counter!("calls_total", "service" => "tasks").increment(1);
        counter!("calls_total", "service" => "worker").increment(2);
    });
    assert_eq!(
        value(&recorder, "calls_total", &[("exported_service", "tasks")]),
        Some(1.0)
    );
    assert_eq!(
        value(&recorder, "calls_total", &[("exported_service", "worker")]),
        Some(2.0)
    );
}

#[test]
fn a_unit_is_named_only_when_the_name_ends_in_it() {
    let recorder = recorder();
    with(&recorder, || {
        describe_gauge!("age_seconds", Unit::Seconds, "Age.");
        describe_gauge!("age", Unit::Seconds, "Age.");
        describe_gauge!("hit_ratio", Unit::Percent, "Hits.");
        describe_gauge!("seconds", Unit::Seconds, "Only a unit.");
        for name in ["age_seconds", "age", "hit_ratio", "seconds"] {
            gauge!(name).set(0.0);
        }
    });
    let unit = |name| family(&recorder, name).unit;
    assert_eq!(unit("age_seconds").as_deref(), Some("seconds"));
    assert_eq!(unit("hit_ratio").as_deref(), Some("ratio"));
    assert_eq!((unit("age"), unit("seconds")), (None, None));
}

#[test]
fn the_first_description_stands_and_may_come_late() {
    let recorder = recorder();
    with(&recorder, || {
        counter!("jobs_total").increment(1);
        assert_eq!(family(&recorder, "jobs").help, None);
        describe_counter!("jobs_total", "First.");
        describe_counter!("jobs", "Second.");
    });
    assert_eq!(family(&recorder, "jobs").help.as_deref(), Some("First."));
}

#[test]
fn descriptions_are_bounded_in_length_and_number() {
    let recorder = recorder();
    with(&recorder, || {
        describe_gauge!("long", "é".repeat(2_000));
        (0..5_000).for_each(|number| describe_gauge!(format!("g{number}"), "A gauge."));
        for name in ["long", "g0", "g4999"] {
            gauge!(name).set(0.0);
        }
    });
    let help = |name| family(&recorder, name).help;
    assert_eq!(help("long").map(|help| help.len()), Some(1_024));
    assert!(help("g0").is_some());
    assert_eq!(help("g4999"), None);
}

#[test]
fn what_is_refused_is_logged_once() {
    let captured = crate::testing::capture(|| {
        let recorder = RecorderBuilder::new("test")
            .series_per_metric_max(1)
            .build()
            .unwrap();
        with(&recorder, || {
            for number in 0..5 {
                counter!("jobs_total", "id" => number.to_string()).increment(1);
                gauge!("jobs").set(1.0);
            }
        });
    });
    let logged: Vec<_> = captured
        .logs
        .iter()
        .map(|line| line["fields"]["metric"].as_str().unwrap())
        .collect();
    assert_eq!(logged, ["jobs", "jobs_total"]);
    assert!(captured.logs.iter().all(|line| line["level"] == "WARN"));
}

#[test]
fn process_metrics_and_build_info_are_on_the_page() {
    let recorder = RecorderBuilder::new("test")
        .version("0.1.0")
        .build()
        .unwrap();
    for (name, _) in super::process::METRICS {
        assert!(value(&recorder, name, &[]) >= Some(0.0), "{name}");
    }
    assert_eq!(
        value(&recorder, names::BUILD_INFO, &[(names::VERSION, "0.1.0")]),
        Some(1.0)
    );
    let described = page(&recorder);
    assert!(
        described.iter().all(|family| family.help.is_some()),
        "{described:?}"
    );
}

#[test]
fn a_recorder_that_makes_no_legal_page_is_not_built() {
    let refused = |builder: RecorderBuilder| builder.build().unwrap_err().to_string();
    let label =
        |name: &str, value: &str| refused(RecorderBuilder::new("test").global_label(name, value));
    for (name, value) in [
        ("le", "x"),
        ("a-b", "x"),
        ("service", "x"),
        ("__a", "x"),
        ("a", ""),
        ("", "x"),
    ] {
        assert!(label(name, value).starts_with("global label"), "{name}");
    }
    let bounds = RecorderBuilder::new("test").buckets(Matcher::Full("m".to_owned()), &[]);
    assert!(matches!(bounds.build(), Err(BuildError::Bounds { .. })));
    let build = InstallError::from(RecorderBuilder::new("").build().unwrap_err());
    assert_eq!(build.to_string(), "the recorder cannot be made");
}

#[test]
fn two_threads_lose_nothing_and_pages_meanwhile_are_whole() {
    const RECORDS: u64 = 20_000;
    let recorder = recorder();
    let (duration, jobs) = with(&recorder, || {
        (histogram!("d_seconds"), counter!("jobs_total"))
    });
    let start = Barrier::new(3);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                start.wait();
                for number in 0..RECORDS {
                    in_span(kept_trace(), || duration.record((number % 8) as f64));
                    error_scope(|| jobs.increment(1));
                }
            });
        }
        start.wait();
        let mut earlier = 0.0;
        for _ in 0..50 {
            let count = value(&recorder, "d_seconds_count", &[]).unwrap();
            assert!(count >= earlier);
            earlier = count;
        }
    });
    assert_eq!(
        value(&recorder, "d_seconds_count", &[]),
        Some(2.0 * RECORDS as f64)
    );
    assert_eq!(
        value(&recorder, "d_seconds_sum", &[]),
        Some(2.0 * 3.5 * RECORDS as f64)
    );
    assert_eq!(
        value(&recorder, "jobs_total", &[]),
        Some(2.0 * RECORDS as f64)
    );
    let outcome = |outcome| {
        value(
            &recorder,
            names::TELEMETRY_EXEMPLARS,
            &[(names::OUTCOME, outcome)],
        )
        .unwrap()
    };
    assert_eq!(
        outcome("stored") + outcome("contended"),
        2.0 * RECORDS as f64
    );
}

#[test]
fn one_new_key_from_many_threads_is_one_series() {
    let recorder = RecorderBuilder::new("test")
        .process_metrics(false)
        .series_per_metric_max(1)
        .build()
        .unwrap();
    let start = Barrier::new(8);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                start.wait();
                with(&recorder, || {
                    counter!("jobs_total", "a" => "b").increment(1)
                });
            });
        }
    });
    assert_eq!(value(&recorder, "jobs_total", &[("a", "b")]), Some(8.0));
    assert_eq!(
        value(&recorder, names::TELEMETRY_SERIES_OVERFLOW, &[]),
        Some(0.0)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn whatever_is_registered_the_page_is_legal_and_values_read_back(
        metrics in prop::collection::vec(("\\PC{0,3}", prop::collection::vec(("\\PC{0,3}", any::<String>()), 0..4), 0u8..3), 1..20),
        help in any::<String>(),
        sample in any::<f64>(),
    ) {
        let recorder = recorder();
        with(&recorder, || {
            for (name, labels, kind) in &metrics {
                describe_gauge!(name.clone(), help.clone());
                match kind {
                    0 => in_span(kept_trace(), || error_scope(|| counter!(name.clone(), labels).increment(1))),
                    1 => gauge!(name.clone(), labels).set(sample),
                    _ => in_span(kept_trace(), || histogram!(name.clone(), labels).record(sample)),
                }
            }
        });
        let families = page(&recorder);
        let text = text(&recorder);
        prop_assert_eq!(families.len() - 3, text.lines().filter(|line| line.starts_with("# TYPE ")).count() - 3);
        for sample in families.iter().flat_map(|family| &family.samples) {
            prop_assert_eq!(sample.labels.get("service").map(String::as_str), Some("test"));
        }
    }

    #[test]
    fn a_label_value_reads_back_as_it_was_given(given in "[^\\x00]{1,60}") {
        let recorder = recorder();
        with(&recorder, || gauge!("depth", "queue" => given.clone()).set(1.0));
        let depth = family(&recorder, "depth");
        prop_assert_eq!(&depth.samples[0].labels["queue"], &given);
    }
}
