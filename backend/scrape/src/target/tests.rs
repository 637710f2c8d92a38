#![allow(clippy::unwrap_used)]

use std::path::Path;

use super::*;
use crate::config::Config;

/// The targets of the first job, whose options these are.
fn targets(options: &str) -> Vec<Found> {
    let yaml = format!(
        "scrape_configs:\n- job_name: j\n  {}\n",
        options.replace('\n', "\n  ")
    );
    let config = Config::parse(Path::new("p.yml"), &yaml).unwrap();
    let job = Arc::new(config.jobs.into_iter().next().unwrap());
    job.groups
        .iter()
        .flat_map(|group| find(&job, group))
        .collect()
}

fn only(options: &str) -> Target {
    match targets(options).remove(0) {
        Found::Active(target) => target,
        other => panic!("{other:?}"),
    }
}

fn refused(options: &str) -> String {
    match targets(options).remove(0) {
        Found::Invalid(error) => error.reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_target_has_the_labels_of_its_group_job_and_address() {
    let target = only("static_configs: [{targets: ['a:1'], labels: {service: x, __meta_y: z}}]");
    assert_eq!(
        target.labels,
        Labels::new([("instance", "a:1"), ("job", "j"), ("service", "x")])
    );
    assert_eq!(target.url.as_str(), "http://a:1/metrics");
    let discovered = [
        ("__address__", "a:1"),
        ("__always_scrape_classic_histograms__", "false"),
        ("__convert_classic_histograms_to_nhcb__", "false"),
        ("__meta_y", "z"),
        ("__metrics_path__", "/metrics"),
        ("__scheme__", "http"),
        ("__scrape_interval__", "1m"),
        ("__scrape_native_histograms__", "false"),
        ("__scrape_timeout__", "10s"),
        ("job", "j"),
        ("service", "x"),
    ];
    assert_eq!(target.discovered, Labels::new(discovered));
}

#[test]
fn relabelling_decides_where_and_how_often() {
    let target = only(
        "params: {q: [one, two], r: [x y]}
static_configs: [{targets: ['a:1'], labels: {__metrics_path__: 'p/?', __scrape_interval__: 5s, __scrape_timeout__: 1s}}]
relabel_configs:
- {source_labels: [__address__], target_label: __param_q}
- {target_label: __address__, replacement: 'probe:9'}
- {target_label: instance, replacement: 'me'}
- {target_label: job, replacement: 'other'}",
    );
    assert_eq!(
        target.url.as_str(),
        "http://probe:9/p/%3F?q=a%3A1&q=two&r=x+y"
    );
    assert_eq!((target.interval_ms, target.timeout_ms), (5_000, 1_000));
    assert_eq!(
        target.labels,
        Labels::new([("instance", "me"), ("job", "other")])
    );
}

#[test]
fn what_relabelling_drops_is_remembered() {
    let found = targets(
        "static_configs: [{targets: ['a:1']}]\nrelabel_configs: [{action: drop, source_labels: [job], regex: j}]",
    );
    assert!(matches!(&found[..], [Found::Dropped(labels)] if labels.get("__address__") == "a:1"));
}

#[test]
fn what_cannot_be_scraped_is_said() {
    let check = |rule: &str, reason: &str| {
        let options =
            format!("static_configs: [{{targets: ['a:1']}}]\nrelabel_configs: [{{{rule}}}]");
        assert_eq!(refused(&options), reason);
    };
    check(
        "target_label: __address__, replacement: ''",
        "it has no address",
    );
    check(
        "target_label: __address__, replacement: 'a/b'",
        r#""a/b" is no address"#,
    );
    check(
        "target_label: __address__, replacement: 'a:99999'",
        r#""a:99999" is no address"#,
    );
    check(
        "target_label: __scheme__, replacement: https",
        r#"the scheme "https" is not supported"#,
    );
    check(
        "target_label: __scrape_interval__, replacement: 0",
        "__scrape_interval__ is zero",
    );
    check(
        "target_label: __scrape_interval__, replacement: 1s",
        "the scrape timeout is longer than the scrape interval",
    );
    check(
        "target_label: __scrape_timeout__, replacement: x",
        r#"__scrape_timeout__: not a valid duration string: "x""#,
    );
    check(
        "target_label: __scrape_native_histograms__, replacement: 'true'",
        r#"__scrape_native_histograms__: "true" is not supported"#,
    );
}

#[test]
fn targets_are_spread_over_the_interval_and_keep_their_place() {
    let addresses: Vec<String> = (0..60).map(|port| format!("'a:{}'", 1000 + port)).collect();
    let found = targets(&format!(
        "static_configs: [{{targets: [{}]}}]",
        addresses.join(",")
    ));
    let mut quarters = [0; 4];
    for found in found {
        let Found::Active(target) = found else {
            panic!()
        };
        let offset_ms = target.offset_ms();
        quarters[usize::try_from(offset_ms / 15_000).unwrap()] += 1;
        let next_ms = target.next_scrape_ms(1_000_000);
        assert!((1_000_000..1_060_000).contains(&next_ms));
        assert_eq!(next_ms.rem_euclid(60_000), offset_ms);
        assert_eq!(target.next_scrape_ms(next_ms), next_ms);
        assert_eq!(target.next_scrape_ms(next_ms + 1), next_ms + 60_000);
    }
    assert!(quarters.iter().all(|count| *count >= 5), "{quarters:?}");
}
