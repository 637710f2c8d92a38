//! The same records through this recorder and through `metrics-exporter-prometheus` give the same text 0.0.4.
//!
//! Documented differences, taken out of the comparison: families and series have no fixed order there; `le` is a
//! canonical float here (`1.0`, not `1`); a counter's `_total` is added here; an empty label value is left out here.
//! Kept out of the input: what is refused, merged, moved aside, cut or dropped here; and a backslash before a
//! backslash, quote or newline, which the exporter takes for an escape that was made already.

use std::collections::BTreeMap;

use conventions::defaults::HTTP_BUCKETS;
use metrics::{Key, Label, Level, Metadata, Unit};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use proptest::prelude::*;

use super::cells::Kind;
use super::fixtures::recorder;
use super::{Recorder, grammar};

const METADATA: Metadata<'_> = Metadata::new("parity", Level::INFO, None);

/// One call at a recorder.
#[derive(Debug, Clone)]
struct Record {
    kind: Kind,
    name: String,
    labels: Vec<(String, String)>,
    value: u32,
    /// Increment or set, decrement or absolute.
    variant: bool,
}

/// What a page says, in a form in which both pages should be equal. Sums may differ in their last digits, since floats
/// are not added in the same order.
#[derive(Debug, Default, PartialEq)]
struct Said {
    metadata: BTreeMap<(String, String), String>,
    samples: BTreeMap<(String, BTreeMap<String, String>), f64>,
}

fn name() -> impl Strategy<Value = String> {
    "[ab][:.]?"
}

fn labels() -> impl Strategy<Value = Vec<(String, String)>> {
    let value = r#"([ab]|[aé"\n #{},=]{0,4}(\\[a-z])?)"#;
    prop::collection::btree_map("[ab][.]?", value, 0..3)
        .prop_map(|labels| labels.into_iter().collect())
}

fn record() -> impl Strategy<Value = Record> {
    let kind = prop_oneof![
        Just(Kind::Counter),
        Just(Kind::Gauge),
        Just(Kind::Histogram)
    ];
    (kind, name(), labels(), any::<u32>(), any::<bool>()).prop_map(
        |(kind, name, labels, value, variant)| Record {
            kind,
            // Each kind has names of its own, since here two kinds of one name are refused.
            name: match kind {
                Kind::Counter => format!("c{name}_total"),
                Kind::Gauge => format!("g{name}"),
                Kind::Histogram => format!("h{name}"),
            },
            labels: labels
                .into_iter()
                .filter(|(_, value)| !value.is_empty())
                .collect(),
            value,
            variant,
        },
    )
}

fn apply(recorder: &dyn metrics::Recorder, record: &Record) {
    let labels: Vec<Label> = record.labels.iter().map(Label::from).collect();
    let key = Key::from_parts(record.name.clone(), labels);
    let value = f64::from(record.value) / 1e8;
    match record.kind {
        Kind::Counter => {
            let counter = recorder.register_counter(&key, &METADATA);
            if record.variant {
                counter.increment(u64::from(record.value));
            } else {
                counter.absolute(u64::from(record.value));
            }
        }
        Kind::Gauge => {
            let gauge = recorder.register_gauge(&key, &METADATA);
            if record.variant {
                gauge.set(value);
            } else {
                gauge.decrement(value);
            }
        }
        Kind::Histogram => {
            let histogram = recorder.register_histogram(&key, &METADATA);
            histogram.record_many(value, if record.variant { 3 } else { 1 });
        }
    }
}

fn describe(recorder: &dyn metrics::Recorder, record: &Record, help: &str) {
    let (name, unit, help) = (
        record.name.clone().into(),
        Some(Unit::Count),
        help.to_owned().into(),
    );
    match record.kind {
        Kind::Counter => recorder.describe_counter(name, unit, help),
        Kind::Gauge => recorder.describe_gauge(name, unit, help),
        Kind::Histogram => recorder.describe_histogram(name, unit, help),
    }
}

fn exporter() -> PrometheusRecorder {
    PrometheusBuilder::new()
        .add_global_label("service", "test")
        .set_buckets(HTTP_BUCKETS)
        .expect("there are bounds")
        .build_recorder()
}

fn read(page: &str) -> Said {
    let mut said = Said::default();
    for line in page.lines().filter(|line| !line.is_empty()) {
        if let Some(metadata) = line.strip_prefix("# ") {
            let words: Vec<&str> = metadata.splitn(3, ' ').collect();
            said.metadata.insert(
                (words[0].to_owned(), words[1].to_owned()),
                words[2].to_owned(),
            );
            continue;
        }
        let mut sample = grammar::sample(line).expect("a line of the page is a sample");
        if let Some(le) = sample.labels.get_mut("le") {
            *le = le.parse::<f64>().expect("a bound is a float").to_string();
        }
        let value = sample.value();
        let earlier = said.samples.insert((sample.name, sample.labels), value);
        assert_eq!(earlier, None, "series stands twice: {line}");
    }
    said
}

/// This recorder's page without the metrics that it adds by itself.
fn own_page(recorder: &Recorder) -> Said {
    let mut said = read(&recorder.handle().render(None).body);
    said.metadata
        .retain(|(_, name), _| !name.starts_with("telemetry_"));
    said.samples
        .retain(|(name, _), _| !name.starts_with("telemetry_"));
    said
}

fn check(records: &[Record], help: &str) {
    let (ours, theirs) = (recorder(), exporter());
    for record in records {
        for recorder in [&ours as &dyn metrics::Recorder, &theirs] {
            describe(recorder, record, help);
            apply(recorder, record);
        }
    }
    let (ours, theirs) = (own_page(&ours), read(&theirs.handle().render()));
    assert_eq!(ours.metadata, theirs.metadata);
    let names = |said: &Said| said.samples.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&ours), names(&theirs));
    for (series, value) in &ours.samples {
        let other = theirs.samples[series];
        assert!(
            (value - other).abs() <= 1e-12 * value.abs(),
            "{series:?}: {value} and {other}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_records_read_the_same_from_both(
        records in prop::collection::vec(record(), 1..30),
        help in r#"[a-z "\n]{0,6}(\\[a-z])?"#,
    ) {
        check(&records, &help);
    }
}

#[test]
fn the_comparison_is_not_of_empty_pages() {
    let record = Record {
        kind: Kind::Histogram,
        name: "h".to_owned(),
        labels: vec![("a".to_owned(), "b".to_owned())],
        value: 5_000_000,
        variant: true,
    };
    check(std::slice::from_ref(&record), "Help.");
    let recorder = recorder();
    apply(&recorder, &record);
    let said = own_page(&recorder);
    assert_eq!(said.samples.len(), HTTP_BUCKETS.len() + 3);
    assert_eq!(
        said.samples
            .values()
            .fold(0.0, |max, value| f64::max(max, *value)),
        3.0
    );
}

#[test]
fn a_counter_gets_its_suffix_here_and_not_there() {
    let (ours, theirs) = (recorder(), exporter());
    for recorder in [&ours as &dyn metrics::Recorder, &theirs] {
        recorder
            .register_counter(&Key::from_name("jobs"), &METADATA)
            .increment(1);
    }
    assert!(
        ours.handle()
            .render(None)
            .body
            .contains("jobs_total{service=\"test\"} 1\n")
    );
    assert!(
        theirs
            .handle()
            .render()
            .contains("jobs{service=\"test\"} 1\n")
    );
}
