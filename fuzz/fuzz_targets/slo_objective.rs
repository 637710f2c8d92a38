//! Arbitrary text as an objective file, and as the texts in one: the rules that are rendered must be YAML that says what the
//! file says.
#![no_main]

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use slo::{Fault, Objective, ObjectiveFile, PAIRS, burn, render};

/// A rule file as Prometheus reads it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    name: String,
    #[serde(rename = "interval")]
    _interval: String,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    record: Option<String>,
    alert: Option<String>,
    expr: String,
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

libfuzzer_sys::fuzz_target!(|text: &str| {
    check(text);
    check(&file_of(text));
});

/// A file whose texts are parts of the input, parted by `|`.
fn file_of(input: &str) -> String {
    let mut parts = input.split('|');
    let mut part = |default: &str| parts.next().unwrap_or(default).to_owned();
    let objective = part("").parse().unwrap_or(99.9);
    let quoted = |text: String| serde_json::to_string(&text).expect("a string is JSON");
    let (alert, label, annotation) = (
        quoted(part("Alert")),
        quoted(part("label")),
        quoted(part("annotation")),
    );
    let (query, value) = (
        quoted(part("") + "{{.window}}" + &part("")),
        quoted(part("")),
    );
    format!(
        r#"
version: prometheus/v1
service: a
labels: {{{label}: {value}}}
slos:
  - name: b
    objective: {objective:?}
    sli: {{events: {{error_query: {query}, total_query: {query}}}}}
    alerting: {{name: {alert}, annotations: {{{annotation}: {value}}}}}
"#
    )
}

fn check(text: &str) {
    let Ok(file) = ObjectiveFile::parse(text) else {
        return;
    };
    let rendered = render::rules(&file, render::Options::default())
        .expect("a clock that is not compressed leaves whole windows");
    let rules: RuleFile = serde_saphyr::from_str(&rendered).expect("rules are YAML");
    assert_eq!(rules.groups.len(), file.slos.len());
    for (group, objective) in rules.groups.iter().zip(&file.slos) {
        check_group(group, &file, objective);
    }
    file.slos.iter().for_each(check_course);
}

fn check_group(group: &Group, file: &ObjectiveFile, objective: &Objective) {
    assert_eq!(
        group.name,
        format!("slo-{}-{}", file.service, objective.name)
    );
    for rule in &group.rules {
        assert_eq!(rule.labels["service"], file.service);
        assert_eq!(rule.labels["slo"], objective.name);
        assert!(!rule.expr.is_empty());
        assert!(rule.record.is_some() != rule.alert.is_some());
    }
    let alerts: Vec<&Rule> = group
        .rules
        .iter()
        .filter(|rule| rule.alert.is_some())
        .collect();
    let enabled = PAIRS
        .iter()
        .filter_map(|pair| objective.alert_name(pair.severity));
    let names: Vec<&str> = enabled.collect();
    assert_eq!(alerts.len(), names.len());
    for (rule, name) in alerts.iter().zip(names) {
        assert_eq!(rule.alert.as_deref(), Some(name));
        for key in objective.alerting.annotations.keys() {
            assert!(rule.annotations.contains_key(key), "{key:?}");
        }
    }
}

/// Whatever the budget, the arithmetic comes to an end within the windows.
fn check_course(objective: &Objective) {
    let budget = objective.budget();
    assert!(budget > 0.0 && budget <= 1.0, "{budget}");
    for (ratio, seconds) in [
        (1.0, 1),
        (budget, 3600),
        (budget * 14.5, 86_400),
        (1e-9, 60),
    ] {
        let duration = Duration::from_secs(seconds);
        for history in [Duration::ZERO, duration, burn::PERIOD] {
            let fault = Fault {
                error_ratio: f64::min(ratio, 1.0),
                duration,
                history,
            };
            for pair in PAIRS {
                if let Some(course) = pair.course(budget, &fault) {
                    assert!(course.fires <= duration && course.resolves <= duration + pair.short);
                }
            }
            assert!(fault.budget_spent(budget, duration) >= 0.0);
        }
    }
}
