#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Mutex,
};

use proptest::prelude::*;
use tsdb::is_stale;

use super::*;
use crate::{
    config::Config,
    sink::{ExemplarOf, Report},
    target::{self, Found},
};

const TEXT: &str = "text/plain; version=0.0.4";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0";

/// Storage with the rules of Prometheus, in memory.
#[derive(Default)]
struct Memory {
    series: Mutex<BTreeMap<Labels, Vec<(i64, f64)>>>,
    exemplars: Mutex<Vec<ExemplarOf<u64>>>,
    /// Series with this label are refused.
    refused: Option<&'static str>,
    broken: bool,
}

impl Sink for Memory {
    type Series = u64;

    fn append(&self, batch: &Batch<u64>) -> Result<Report<u64>, SinkError> {
        if self.broken {
            return Err(SinkError("disk full".into()));
        }
        let mut stored = self.series.lock().unwrap();
        let samples = batch.samples.iter().map(|sample| {
            if self
                .refused
                .is_some_and(|name| !sample.labels.get(name).is_empty())
            {
                return (Outcome::SeriesLimit, None);
            }
            let id = format!("{:?}", sample.labels).len() as u64;
            let samples = stored.entry(sample.labels.clone()).or_default();
            let outcome = match samples.last() {
                Some((t_ms, _)) if sample.t_ms < *t_ms => Outcome::OutOfOrder,
                Some((t_ms, value))
                    if sample.t_ms == *t_ms && sample.value.to_bits() != value.to_bits() =>
                {
                    Outcome::Duplicate
                }
                _ => Outcome::Stored,
            };
            if outcome == Outcome::Stored {
                samples.push((sample.t_ms, sample.value));
            }
            (outcome, Some(id))
        });
        let samples = samples.collect();
        self.exemplars
            .lock()
            .unwrap()
            .extend(batch.exemplars.iter().cloned());
        Ok(Report {
            samples,
            exemplars: vec![ExemplarOutcome::Stored; batch.exemplars.len()],
        })
    }
}

impl Memory {
    /// What a series has, as text: `name{labels}` without those of the target.
    fn of(&self, name: &str) -> Vec<(String, Vec<String>)> {
        let stored = self.series.lock().unwrap();
        let own = stored
            .iter()
            .filter(|(labels, _)| labels.get("__name__") == name);
        own.map(|(labels, samples)| {
            let labels: Vec<String> = labels
                .iter()
                .filter(|(name, _)| !["__name__", "job", "instance"].contains(name))
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let samples = samples.iter().map(|(t_ms, value)| {
                if is_stale(*value) {
                    format!("{t_ms}:stale")
                } else {
                    format!("{t_ms}:{value}")
                }
            });
            (labels.join(","), samples.collect())
        })
        .collect()
    }
}

struct World {
    state: State<u64>,
    sink: Memory,
    t_ms: i64,
}

impl World {
    /// A target whose job has these options.
    fn new(options: &str) -> Self {
        Self {
            state: State::new(target(options)),
            sink: Memory::default(),
            t_ms: 0,
        }
    }

    /// A scrape one second after the last one.
    fn scrape(&mut self, body: &str, content_type: &str) -> Summary {
        self.attempt(Ok(Page {
            body: body.as_bytes(),
            content_type,
        }))
    }

    fn attempt(&mut self, page: Result<Page<'_>, Failure<'_>>) -> Summary {
        self.t_ms += 1000;
        let attempt = Attempt {
            t_ms: self.t_ms,
            duration: Duration::from_millis(5),
            page,
        };
        self.state.scrape(attempt, &self.sink)
    }

    fn check(&self, name: &str, expected: &[(&str, &[&str])]) {
        let found = self.sink.of(name);
        let found: Vec<(&str, Vec<&str>)> = found
            .iter()
            .map(|(labels, samples)| {
                (
                    labels.as_str(),
                    samples.iter().map(String::as_str).collect(),
                )
            })
            .collect();
        let expected: Vec<(&str, Vec<&str>)> = expected
            .iter()
            .map(|(labels, samples)| (*labels, samples.to_vec()))
            .collect();
        assert_eq!(found, expected, "{name}");
    }
}

fn target(options: &str) -> Arc<Target> {
    let yaml = format!(
        "scrape_configs:\n- job_name: j\n  static_configs: [{{targets: ['h:1'], labels: {{service: own}}}}]\n  {}\n",
        options.replace('\n', "\n  ")
    );
    let config = Config::parse(Path::new("p.yml"), &yaml).unwrap();
    let job = Arc::new(config.jobs.into_iter().next().unwrap());
    match target::find(&job, &job.groups[0]).remove(0) {
        Found::Active(target) => Arc::new(target),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_series_that_vanishes_ends_once() {
    let mut world = World::new("");
    world.scrape("a{x=\"1\"} 1\na{x=\"2\"} 1\n", TEXT);
    world.scrape("a{x=\"1\"} 2\n", TEXT);
    world.scrape("a{x=\"1\"} 3\n", TEXT);
    world.scrape("a{x=\"1\"} 4\na{x=\"2\"} 4\n", TEXT);
    world.check(
        "a",
        &[
            ("service=own,x=1", &["1000:1", "2000:2", "3000:3", "4000:4"]),
            ("service=own,x=2", &["1000:1", "2000:stale", "4000:4"]),
        ],
    );
    world.check(
        "up",
        &[("service=own", &["1000:1", "2000:1", "3000:1", "4000:1"])],
    );
    world.check(
        "scrape_series_added",
        &[("service=own", &["1000:2", "2000:0", "3000:0", "4000:1"])],
    );
    world.check(
        "scrape_duration_seconds",
        &[(
            "service=own",
            &["1000:0.005", "2000:0.005", "3000:0.005", "4000:0.005"],
        )],
    );
}

#[test]
fn a_failed_scrape_ends_every_series_once() {
    let mut world = World::new("");
    world.scrape("a 1\n", TEXT);
    let summary = world.attempt(Err(Failure("connection refused")));
    assert_eq!(summary.error.unwrap().to_string(), "connection refused");
    world.scrape("a 1\nbroken\n", TEXT);
    world.scrape("a 2\n", TEXT);
    world.scrape("a 3\n", "text/html");
    world.scrape("a 4\n", TEXT);
    let empty = world.scrape("", "");
    assert!(empty.error.is_none());
    world.check(
        "a",
        &[(
            "service=own",
            &[
                "1000:1",
                "2000:stale",
                "4000:2",
                "5000:stale",
                "6000:4",
                "7000:stale",
            ],
        )],
    );
    world.check(
        "up",
        &[(
            "service=own",
            &[
                "1000:1", "2000:0", "3000:0", "4000:1", "5000:0", "6000:1", "7000:1",
            ],
        )],
    );
    world.check(
        "scrape_samples_scraped",
        &[(
            "service=own",
            &[
                "1000:1", "2000:0", "3000:1", "4000:1", "5000:0", "6000:1", "7000:0",
            ],
        )],
    );
    world.check(
        "scrape_series_added",
        &[(
            "service=own",
            &[
                "1000:1", "2000:0", "3000:0", "4000:0", "5000:0", "6000:0", "7000:0",
            ],
        )],
    );
}

#[test]
fn what_is_new_on_a_refused_page_counts_as_added_once() {
    let mut world = World::new("sample_limit: 3");
    let mut check = |body: &str, added: u64| {
        assert_eq!(world.scrape(body, TEXT).series_added, added, "{body:?}");
    };
    check("a 1\nb 1\nbroken\nc 1\n", 2);
    check("a 1\nb 1\nbroken\nc 1\n", 0);
    check("a 1\nb 1\nc 1\n", 1);
    check("d 1\nd 2\ne 1\na 1\nf 1\ng 1\n", 3 - 1);
    check("", 0);
    check("d 1\ne 1\na 1\n", 0);
    check("f 1\n", 1);
    check("d 1\n", 1);
    world.check("d", &[("service=own", &["6000:1", "7000:stale", "8000:1"])]);
    world.check("b", &[("service=own", &["3000:1", "4000:stale"])]);
}

#[test]
fn a_page_over_the_limit_leaves_no_more_than_the_limit() {
    let mut world = World::new("sample_limit: 10");
    let page: String = (0..50_000).map(|n| format!("a{{n=\"{n}\"}} 1\n")).collect();
    for _ in 0..2 {
        let summary = world.scrape(&page, TEXT);
        assert!(matches!(summary.error, Some(ScrapeError::SampleLimit)));
        assert_eq!(summary.scraped, 50_000);
        assert_eq!(world.state.known.len(), 10);
    }
}

#[test]
fn pages_that_are_refused_and_never_the_same_are_forgotten() {
    let mut world = World::new("");
    for n in 0..10 {
        let series: String = (0..300)
            .map(|m| format!("a{{n=\"{n}_{m}\"}} 1\n"))
            .collect();
        world.scrape(&(series + "broken\n"), TEXT);
        assert!(world.state.known.len() <= FORGOTTEN_ABOVE + 300);
    }
    assert!(world.sink.of("a").is_empty());
}

#[test]
fn a_target_that_goes_takes_all_its_series_with_it() {
    let mut world = World::new("");
    world.state.stop(500, &world.sink).unwrap();
    assert!(
        world.sink.series.lock().unwrap().is_empty(),
        "never scraped, nothing to end"
    );
    world.scrape("a 1\n", TEXT);
    world.state.stop(1500, &world.sink).unwrap();
    let stored = world.sink.series.lock().unwrap();
    assert_eq!(stored.len(), 6);
    for samples in stored.values() {
        assert!(matches!(samples[..], [(1000, _), (1500, end)] if is_stale(end)));
    }
}

#[test]
fn the_same_series_written_otherwise_goes_on() {
    let mut world = World::new("");
    world.scrape("a{x=\"1\",y=\"2\"} 1\n", TEXT);
    let summary = world.scrape("a{y=\"2\",x=\"1\"} 2\n", TEXT);
    assert_eq!(summary.series_added, 1);
    world.check("a", &[("service=own,x=1,y=2", &["1000:1", "2000:2"])]);
}

#[test]
fn a_time_on_the_page_counts_and_needs_no_end() {
    let mut world = World::new("");
    world.scrape("a 1 700\nb 1\n", TEXT);
    world.scrape("a 2 600\n", TEXT);
    let summary = world.scrape("a 3 800\na 4 900\na 5 900\n", TEXT);
    assert_eq!(
        summary.refused,
        Refused {
            duplicate: 1,
            ..Refused::default()
        }
    );
    world.scrape("b 1\n", TEXT);
    world.check("a", &[("service=own", &["700:1", "800:3", "900:4"])]);
    world.check("b", &[("service=own", &["1000:1", "2000:stale", "4000:1"])]);

    let mut world = World::new("honor_timestamps: false");
    world.scrape("a 1 700\n", TEXT);
    world.scrape("b 1\n", TEXT);
    world.check("a", &[("service=own", &["1000:1", "2000:stale"])]);
}

#[test]
fn a_series_twice_on_a_page_counts_once() {
    let mut world = World::new("");
    for _ in 0..2 {
        let summary = world.scrape("a 1\na 2\nb 1\n", TEXT);
        assert_eq!(
            (summary.scraped, summary.kept, summary.refused.duplicate),
            (3, 3, 1)
        );
    }
    world.check("a", &[("service=own", &["1000:1", "2000:1"])]);
}

#[test]
fn labels_of_the_page_move_aside_or_win() {
    let page = "a{service=\"page\",exported_service=\"x\",job=\"\"} 1\nb{service=\"\"} 1\n";
    let mut world = World::new("");
    world.scrape(page, TEXT);
    let [(labels, _)] = &world.sink.of("a")[..] else {
        panic!()
    };
    assert_eq!(
        labels,
        "exported_exported_service=page,exported_service=x,service=own"
    );
    world.check("b", &[("service=own", &["1000:1"])]);

    let mut world = World::new("honor_labels: true");
    world.scrape(page, TEXT);
    world.check("a", &[("exported_service=x,service=page", &["1000:1"])]);
    world.check("b", &[("", &["1000:1"])]);
    let stored = world.sink.series.lock().unwrap();
    let a = stored
        .keys()
        .find(|labels| labels.get("__name__") == "a")
        .unwrap();
    assert_eq!((a.get("job"), a.get("instance")), ("", "h:1"));
}

#[test]
fn labels_that_move_aside_find_free_names_the_shortest_first() {
    let mut world =
        World::new("relabel_configs: [{target_label: exported_service, replacement: target}]");
    world.scrape("a{service=\"p1\",exported_service=\"p2\"} 1\n", TEXT);
    let [(labels, _)] = &world.sink.of("a")[..] else {
        panic!()
    };
    let expected = "exported_exported_exported_service=p2,exported_exported_service=p1,exported_service=target,service=own";
    assert_eq!(labels, expected);
}

#[test]
fn a_series_that_another_target_writes_is_not_ended_by_this_one() {
    let mut world = World::new("");
    world.scrape("a 1\n", TEXT);
    for samples in world.sink.series.lock().unwrap().values_mut() {
        samples.push((3500, 9.0));
    }
    let summary = world.scrape("a 2\n", TEXT);
    assert_eq!(summary.refused.out_of_order, 1);
    world.scrape("a 3\n", TEXT);
    world.scrape("b 1\n", TEXT);
    world.check("a", &[("service=own", &["1000:1", "3500:9"])]);
}

#[test]
fn metric_relabelling_drops_and_renames() {
    let mut world = World::new(
        "metric_relabel_configs:
- {action: drop, source_labels: [__name__], regex: 'go_.*'}
- {source_labels: [x], target_label: y}
- {action: labeldrop, regex: x}",
    );
    for _ in 0..2 {
        let summary = world.scrape("go_a 1\na{x=\"1\"} 1\ngo_b 1\n", TEXT);
        assert_eq!((summary.scraped, summary.kept), (3, 1));
    }
    world.check("a", &[("service=own,y=1", &["1000:1", "2000:1"])]);
    world.check("go_a", &[]);

    let mut world =
        World::new("metric_relabel_configs: [{target_label: __name__, replacement: ''}]");
    let error = world.scrape("a 1\n", TEXT).error.unwrap();
    assert_eq!(
        error.to_string(),
        "invalid series: missing metric name (__name__ label)"
    );
    let error = World::new("").scrape("{\"\"} 1\n", TEXT).error.unwrap();
    assert_eq!(
        error.to_string(),
        "invalid series: missing metric name (__name__ label)"
    );
}

#[test]
fn a_page_over_a_limit_is_refused_whole() {
    let check = |option: &str, good: &str, bad: &str, reason: &str| {
        let mut world = World::new(option);
        assert!(world.scrape(good, TEXT).error.is_none());
        let summary = world.scrape(bad, TEXT);
        assert_eq!(summary.error.unwrap().to_string(), reason);
        world.check("up", &[("service=own", &["1000:1", "2000:0"])]);
        for (_, samples) in world.sink.of("a") {
            assert!(
                samples
                    .iter()
                    .all(|sample| !sample.starts_with("2000") || sample.ends_with("stale"))
            );
        }
        assert!(world.scrape(good, TEXT).error.is_none());
    };
    check(
        "sample_limit: 2",
        "a 1\nb 1\n",
        "a 2\nb 1\nc 1\nd 1\n",
        "sample limit exceeded",
    );
    check(
        "label_limit: 5",
        "a{x=\"1\"} 1\n",
        "a{x=\"1\",y=\"1\"} 1\n",
        "label_limit exceeded (metric: a, number of labels: 6, limit: 5)",
    );
    check(
        "label_name_length_limit: 8",
        "a{x=\"1\"} 1\n",
        "a{long_name=\"1\"} 1\n",
        "label_name_length_limit exceeded (metric: a, label name: long_name, length: 9, limit: 8)",
    );
    check(
        "label_value_length_limit: 4",
        "a{x=\"1\"} 1\n",
        "a{x=\"12345\"} 1\n",
        r#"label_value_length_limit exceeded (metric: a, label name: x, value: "12345", length: 5, limit: 4)"#,
    );
    check(
        "",
        "a 1\n",
        "a 2\na{x=\"1\",x=\"2\"} 1\n",
        "invalid series: label name \"x\" is not unique",
    );
    let many: Vec<String> = (0..LABELS_MANY).map(|n| format!("l{n}=\"\"")).collect();
    let many = format!("a{{{}}} 1\n", many.join(","));
    check(
        "",
        "a 1\n",
        &many,
        "invalid series: it has 502 labels, the limit is 500",
    );
}

/// With the name one more than one too many.
const LABELS_MANY: usize = 501;

#[test]
fn the_limit_of_samples_counts_what_relabelling_left_and_all_is_counted() {
    let mut world = World::new(
        "sample_limit: 1\nmetric_relabel_configs: [{action: drop, source_labels: [__name__], regex: 'b.*'}]",
    );
    assert!(
        world
            .scrape("b 1\nb{x=\"1\"} 1\na 1\n", TEXT)
            .error
            .is_none()
    );
    let summary = world.scrape("b 1\na 1\nc 1\nd 1\n", TEXT);
    assert_eq!(
        (summary.scraped, summary.kept, summary.series_added),
        (4, 3, 0)
    );
    assert!(matches!(summary.error, Some(ScrapeError::SampleLimit)));
    assert_eq!(
        world.state.known.len(),
        3,
        "nothing of a refused page is remembered"
    );
}

#[test]
fn exemplars_have_the_time_of_their_sample_or_their_own() {
    let mut world = World::new("");
    world.scrape("a_total{x=\"1\"} 1 # {trace_id=\"t1\"} 0.5\nb_total 1 2 # {trace_id=\"t2\"} 1 1.5\n# EOF\n", OPENMETRICS);
    let exemplars = world.sink.exemplars.lock().unwrap();
    let found: Vec<_> = exemplars
        .iter()
        .map(|of| {
            (
                of.labels.get("__name__"),
                of.exemplar.labels.get("trace_id"),
                of.exemplar.t_ms,
                of.exemplar.value,
            )
        })
        .collect();
    assert_eq!(
        found,
        [("a_total", "t1", 1000, 0.5), ("b_total", "t2", 1500, 1.0)]
    );
}

#[test]
fn what_storage_refuses_is_counted_and_not_remembered() {
    let mut world = World::new("");
    world.sink.refused = Some("secret");
    for _ in 0..2 {
        let summary = world.scrape("a{secret=\"1\"} 1\na 1\n", TEXT);
        assert_eq!((summary.kept, summary.refused.other), (2, 1));
    }
    world.check(
        "scrape_series_added",
        &[("service=own", &["1000:1", "2000:0"])],
    );
    world.sink.broken = true;
    let error = world.scrape("a 1\n", TEXT).error.unwrap();
    assert_eq!(error.to_string(), "cannot store samples");
}

#[test]
fn under_a_new_configuration_only_what_is_no_longer_there_ends() {
    let mut world = World::new("");
    world.scrape("a 1\nb 1\n", TEXT);
    world.state.reconfigure(target(
        "metric_relabel_configs: [{action: drop, source_labels: [__name__], regex: b}]",
    ));
    world.scrape("a 2\nb 2\n", TEXT);
    world.check("a", &[("service=own", &["1000:1", "2000:2"])]);
    world.check("b", &[("service=own", &["1000:1", "2000:stale"])]);
}

#[test]
fn metadata_is_remembered_for_ten_scrapes() {
    let mut world = World::new("");
    world.scrape(
        "# TYPE a_seconds histogram\n# UNIT a_seconds seconds\n# HELP a_seconds How long\n# EOF\n",
        OPENMETRICS,
    );
    let family = Family {
        name: "a_seconds".into(),
        kind: crate::exposition::Kind::Histogram,
        help: "How long".into(),
        unit: "seconds".into(),
    };
    assert_eq!(world.state.families(), [family]);
    for _ in 0..10 {
        world.scrape("a 1\n", TEXT);
    }
    assert_eq!(world.state.families().len(), 1);
    world.scrape("a 1\n", TEXT);
    assert_eq!(world.state.families().len(), 0);
}

/// What one scrape finds: some of eight series, or nothing.
fn scrape_strategy() -> impl Strategy<Value = Option<BTreeSet<u8>>> {
    prop_oneof![
        4 => proptest::collection::btree_set(0_u8..8, 0..8).prop_map(Some),
        1 => Just(None),
    ]
}

proptest! {
    #[test]
    fn every_series_has_its_samples_and_exactly_one_marker_for_each_end(
        scrapes in proptest::collection::vec(scrape_strategy(), 1..20),
        limit in 0_u64..8,
    ) {
        let mut world = World::new(&format!("sample_limit: {limit}"));
        let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut live = BTreeSet::new();
        for (n, scrape) in scrapes.iter().enumerate() {
            let t_ms = (n + 1) * 1000;
            let summary = match scrape {
                None => world.attempt(Err(Failure("refused"))),
                Some(series) => {
                    // Written in two ways: the same series all the same.
                    let line = |x: &u8| if n % 2 == 0 { format!("a{{x=\"{x}\"}} {n}\n") } else { format!("a{{x=\"{x}\",}} {n}\n") };
                    let page: String = series.iter().map(line).collect();
                    world.scrape(&format!("# page\n{page}"), TEXT)
                }
            };
            let is_taken = |series: &BTreeSet<u8>| limit == 0 || series.len() as u64 <= limit;
            let present = scrape.clone().filter(is_taken);
            prop_assert_eq!(summary.error.is_none(), present.is_some());
            let present = present.unwrap_or_default();
            for x in &present {
                expected.entry(format!("service=own,x={x}")).or_default().push(format!("{t_ms}:{n}"));
            }
            for x in live.difference(&present) {
                expected.entry(format!("service=own,x={x}")).or_default().push(format!("{t_ms}:stale"));
            }
            live = present;
        }
        prop_assert_eq!(world.sink.of("a"), expected.into_iter().collect::<Vec<_>>());
    }
}
