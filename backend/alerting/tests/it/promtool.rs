//! The cases of `deploy/prometheus/tests`, which promtool runs on the real engine, on ours: the same alerts at the same
//! times with the same words.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use alerting::{Rules, State};
use serde::Deserialize;
use serde_json::Value;
use tsdb::Labels;

use crate::storage::World;

#[test]
fn every_case_of_promtool_holds_on_our_engine() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/prometheus/tests");
    let mut checks = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let yaml = std::fs::read_to_string(&path).unwrap();
        let file: Value = serde_saphyr::from_str(&yaml).unwrap();
        let inputs: Inputs = serde_saphyr::from_str(&yaml).unwrap();
        let rules: Vec<PathBuf> = list(&file["rule_files"])
            .iter()
            .map(|name| folder.join(text(name)))
            .collect();
        let step_ms = milliseconds(text(&file["evaluation_interval"]));
        for (case, inputs) in list(&file["tests"]).iter().zip(&inputs.tests) {
            checks += run(case, inputs, &rules, step_ms);
        }
    }
    println!("{checks} checks of promtool's cases hold");
    assert!(checks > 30);
}

/// How many checks were made.
fn run(case: &Value, inputs: &Input, rules: &[PathBuf], step_ms: i64) -> usize {
    let mut world = World::default();
    world.rules.apply(Rules::read(rules).unwrap(), step_ms);
    let mut input = series(inputs);
    let mut checks: Vec<(i64, &Value)> = ["alert_rule_test", "promql_expr_test"]
        .iter()
        .flat_map(|kind| list(&case[*kind]))
        .map(|check| (milliseconds(text(&check["eval_time"])), check))
        .collect();
    checks.sort_by_key(|(t_ms, _)| *t_ms);
    let end_ms = checks.last().map_or(0, |(t_ms, _)| *t_ms);
    for t_ms in (0..=end_ms).step_by(step_ms as usize) {
        for (labels, samples) in &mut input {
            while let Some((at_ms, value)) = samples.next_if(|(at_ms, _)| *at_ms <= t_ms) {
                world.memory.add(labels.clone(), at_ms, value);
            }
        }
        world.at(t_ms);
        for (_, check) in checks
            .iter()
            .filter(|(at_ms, _)| (t_ms..t_ms + step_ms).contains(at_ms))
        {
            compare(&world, case, check);
        }
    }
    checks.len()
}

fn compare(world: &World, case: &Value, check: &Value) {
    let context = format!("{} at {}", text(&case["name"]), text(&check["eval_time"]));
    if check["expr"].is_string() {
        let recorded = world.memory.of(text(&check["expr"]));
        let found: Vec<f64> = recorded
            .iter()
            .map(|(_, samples)| samples.last().unwrap().value)
            .collect();
        let expected: Vec<f64> = list(&check["exp_samples"])
            .iter()
            .map(|sample| sample["value"].as_f64().unwrap())
            .collect();
        assert_eq!(found, expected, "{context}");
        return;
    }
    let name = text(&check["alertname"]);
    let rules = world
        .rules
        .groups()
        .iter()
        .flat_map(|group| group.rules())
        .filter(|rule| rule.name() == name && rule.is_alerting());
    let alerts = rules
        .flat_map(|rule| rule.alerts())
        .filter(|alert| alert.state == State::Firing);
    let mut found: Vec<_> = alerts
        .map(|alert| (map(&alert.labels, "alertname"), map(&alert.annotations, "")))
        .collect();
    let mut expected: Vec<_> = list(&check["exp_alerts"])
        .iter()
        .map(|alert| {
            (
                words(&alert["exp_labels"]),
                words(&alert["exp_annotations"]),
            )
        })
        .collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected, "{context}: {name}");
}

type Samples = std::iter::Peekable<std::vec::IntoIter<(i64, f64)>>;

/// The parts of a file in which `0x60` is a text.
#[derive(Deserialize)]
struct Inputs {
    tests: Vec<Input>,
}

#[derive(Deserialize)]
struct Input {
    interval: String,
    input_series: Vec<InputSeries>,
}

#[derive(Deserialize)]
struct InputSeries {
    series: String,
    values: String,
}

fn series(input: &Input) -> Vec<(Labels, Samples)> {
    let interval_ms = milliseconds(&input.interval);
    let expand = |series: &InputSeries| {
        let values = series.values.split_whitespace().flat_map(expanded);
        let timed = values
            .enumerate()
            .map(|(number, value)| (number as i64 * interval_ms, value));
        let samples: Vec<(i64, f64)> = timed.collect();
        (labels(&series.series), samples.into_iter().peekable())
    };
    input.input_series.iter().map(expand).collect()
}

/// `a`, `axn`, `a+bxn`, `a-bxn`: with n, n + 1 values.
fn expanded(word: &str) -> Vec<f64> {
    let Some((start, count)) = word.split_once('x') else {
        return vec![word.parse().unwrap()];
    };
    let at = start[1..].find(['+', '-']).map_or(start.len(), |at| at + 1);
    let step: f64 = if at == start.len() {
        0.0
    } else {
        start[at..].parse().unwrap()
    };
    let start: f64 = start[..at].parse().unwrap();
    (0..=count.parse::<u32>().unwrap())
        .map(|number| start + step * f64::from(number))
        .collect()
}

/// `name{a="b", c="d"}`
fn labels(text: &str) -> Labels {
    let (name, rest) = text.split_once('{').unwrap_or((text, "}"));
    let pairs = rest
        .trim_end_matches('}')
        .split(", ")
        .filter(|pair| !pair.is_empty());
    let pairs = pairs
        .map(|pair| pair.split_once('=').unwrap())
        .map(|(name, value)| (name.trim(), value.trim_matches('"')));
    Labels::new(pairs.chain([("__name__", name)]))
}

fn milliseconds(text: &str) -> i64 {
    let (mut total, mut number) = (0, 0);
    for c in text.chars() {
        let unit = match c {
            '0'..='9' => {
                number = number * 10 + i64::from(c as u8 - b'0');
                continue;
            }
            'h' => 3_600_000,
            'm' => 60_000,
            's' => 1_000,
            _ => panic!("{text}"),
        };
        total += number * unit;
        number = 0;
    }
    total
}

fn map(labels: &Labels, without: &str) -> BTreeMap<String, String> {
    let pairs = labels.iter().filter(|(name, _)| *name != without);
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn words(value: &Value) -> BTreeMap<String, String> {
    let pairs = value.as_object().into_iter().flatten();
    pairs
        .map(|(name, value)| {
            (
                name.clone(),
                value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned),
            )
        })
        .collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}
