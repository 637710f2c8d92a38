//! Golden answers over a few series, one scrape job that nobody scrapes, and rules. How the files are read: `crate::golden`.

use ::prometheus::Configuration;

use super::{
    world::{Ours, write},
    write_request::{self, Exemplar, TimeSeries, series},
};
use crate::{client::Client, golden::check};

/// When the tests take place: 2026-11-23T11:00:00Z.
const NOW_MS: i64 = 1_795_431_600_000;

const CONFIG: &str = "global: {scrape_interval: 15s, evaluation_interval: 15s}
alerting: {alertmanagers: [{static_configs: [{targets: ['127.0.0.1:9093']}]}]}
scrape_configs:
- job_name: shop
  static_configs: [{targets: ['127.0.0.1:1', '127.0.0.1:2'], labels: {zone: a}}]
  relabel_configs:
  - {source_labels: [__address__], regex: '.*:2', action: drop}
- {job_name: idle, scrape_timeout: 1500ms, static_configs: [{targets: ['127.0.0.1:3']}]}
";

const RULES: &str = "groups:
- name: recordings
  interval: 1m
  rules:
  - {record: 'job:requests:sum', expr: 'sum by (job) (requests_total)', labels: {team: shop}}
- name: alerts
  limit: 7
  rules:
  - {alert: High, expr: 'requests_total > 100', for: 5m, keep_firing_for: 90s, labels: {severity: page, at: '{{ $value }}'}, annotations: {summary: '<{{ $labels.code }}>'}}
  - {alert: Always, expr: 'vector(1)'}
";

fn start() -> Ours {
    let ours = Ours::still(
        Configuration::BuiltIn {
            path: "/etc/prometheus/prometheus.yml".into(),
            config: CONFIG,
            rules: vec![("/etc/prometheus/rules.yml".into(), RULES)],
        },
        NOW_MS,
    );
    let answer = write(&mut Client::new(ours.address), &data());
    assert_eq!((answer.status, answer.text()), (204, ""));
    ours
}

fn data() -> Vec<TimeSeries> {
    let times = || (0..=20).map(|step| NOW_MS - (20 - step) * 15_000);
    let counted = |code: &str, start: f64, rise: f64| {
        let values = times().enumerate();
        let samples: Vec<(i64, f64)> = values
            .map(|(step, t_ms)| (t_ms, start + rise * step as f64))
            .collect();
        let pairs = [
            ("__name__", "requests_total"),
            ("job", "shop"),
            ("code", code),
        ];
        series(&pairs, &samples)
    };
    let mut failed = counted("500", 0.0, 0.5);
    failed.exemplars.push(Exemplar {
        labels: write_request::labels(&[("trace_id", "0af7651916cd43dd8448eb211c80319c")]),
        value: 0.25,
        t_ms: NOW_MS - 20_500,
    });
    let gauge = |zone: &str, value: f64| {
        let pairs = [("__name__", "temperature"), ("zone", zone)];
        series(&pairs, &[(NOW_MS - 60_000, value)])
    };
    vec![
        counted("200", 100.0, 15.0),
        failed,
        gauge("a", 1.5e-7),
        gauge("<b>", f64::NAN),
        gauge("c\"\n", f64::INFINITY),
        series(
            &[("__name__", "http.size"), ("http.status_code", "200")],
            &[(NOW_MS - 1, 1e21)],
        ),
    ]
}

#[test]
fn answers_are_the_golden_ones() {
    let ours = start();
    check(ours.address, "prometheus/golden", 10);
}

#[test]
fn answers_after_an_evaluation_are_the_golden_ones() {
    let ours = start();
    let evaluated = ours.runtime.block_on(ours.prometheus.evaluate(NOW_MS));
    assert_eq!(evaluated.len(), 1, "the alert that does not wait fires");
    check(ours.address, "prometheus/golden_evaluated", 1);
}
