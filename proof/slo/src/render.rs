//! Rule files: the recordings and alerts that an objective file stands for, as YAML that Prometheus reads.
//!
//! One group per objective, recordings before the alerts that read them. The text is made by hand so that the checked-in
//! file reads well and never changes without a reason.

use std::{fmt::Write, time::Duration};

use crate::{
    burn::{PAIRS, PERIOD, Pair},
    objective::{Alert, Events, Objective, ObjectiveFile, Text, is_printable, round},
};

/// Recordings: `level:metric:operations`. Error ratio per window, with the window at the end.
const RATIO: &str = "service:slo_errors:ratio_rate";
/// Events per second, good and bad, over the shortest window.
const EVENTS: &str = "service:slo_events:rate";
/// Bad events per second over the shortest window.
const ERRORS: &str = "service:slo_errors:rate";
const OBJECTIVE: &str = "service:slo_objective:ratio";
const BUDGET: &str = "service:slo_error_budget:ratio";
const REMAINING: &str = "service:slo_error_budget:remaining_ratio";
const BURN_RATE: &str = "service:slo_burn_rate:ratio";

/// What YAML 1.1, which Prometheus reads, does not take for text, in any case.
const YAML_WORDS: [&str; 9] = ["false", "n", "no", "null", "off", "on", "true", "y", "yes"];

/// How often the rules are evaluated.
const INTERVAL: Duration = Duration::from_secs(15);

/// The rule file of an objective file.
pub fn rules(file: &ObjectiveFile) -> String {
    let mut text =
        String::from("# Made by `tripod slo render`; edit the objective file instead.\ngroups:\n");
    for objective in &file.slos {
        Group { file, objective }.write(&mut text);
    }
    text
}

struct Group<'a> {
    file: &'a ObjectiveFile,
    objective: &'a Objective,
}

impl Group<'_> {
    fn write(&self, text: &mut String) {
        line(
            text,
            2,
            &format!("- name: slo-{}-{}", self.file.service, self.objective.name),
        );
        line(text, 4, &format!("interval: {}", shown(INTERVAL)));
        line(text, 4, "rules:");
        let shortest = shown(PAIRS[0].short);
        self.record(text, &format!("{EVENTS}{shortest}"), &self.total(&shortest));
        self.record(
            text,
            &format!("{ERRORS}{shortest}"),
            &self.errors(&shortest),
        );
        for window in windows() {
            let window = shown(window);
            let ratio = ratio(&self.errors(&window), &self.total(&window));
            self.record(text, &format!("{RATIO}{window}"), &ratio);
        }
        self.period(text, &shortest);
        for pair in &PAIRS {
            self.alert(text, pair);
        }
    }

    /// The period's own ratio is errors over events, not a mean of ratios: a quiet night counts less than a busy noon.
    /// Sums of the recorded rates are proportional to the counts, and cheaper than 30 days of raw samples.
    fn period(&self, text: &mut String, shortest: &str) {
        let period = shown(PERIOD);
        let selector = self.selector();
        let sum = |metric: &str| format!("sum_over_time({metric}{shortest}{selector}[{period}])");
        self.record(
            text,
            &format!("{RATIO}{period}"),
            &ratio(&sum(ERRORS), &sum(EVENTS)),
        );
        let budget = self.objective.budget();
        let number = |value: f64| format!("vector({})", round(value));
        self.record(text, OBJECTIVE, &number(1.0 - budget));
        self.record(text, BUDGET, &number(budget));
        let burnt = |window: &str| format!("{RATIO}{window}{selector} / {budget}");
        self.record(text, BURN_RATE, &burnt(shortest));
        self.record(text, REMAINING, &format!("1 - {}", burnt(&period)));
    }

    fn record(&self, text: &mut String, name: &str, expression: &str) {
        line(text, 6, &format!("- record: {name}"));
        block(text, 8, "expr", expression);
        line(text, 8, "labels:");
        pairs(text, 10, &self.labels(&[]));
    }

    /// One alert: both windows above the threshold. The long one says that it matters, the short one that it still goes on.
    ///
    /// A rule for each pair rather than one that joins them by `or`: each fires and resolves at instants of its own.
    fn alert(&self, text: &mut String, pair: &Pair) {
        let Some(name) = self.objective.alert_name(pair.severity) else {
            return;
        };
        let alerting = &self.objective.alerting;
        let own = alerting.alert(pair.severity);
        let (long, short) = (shown(pair.long), shown(pair.short));
        let threshold = round(pair.threshold(self.objective.budget()));
        let selector = self.selector();
        let above = |window: &str| format!("{RATIO}{window}{selector} > {threshold}");
        line(text, 6, &format!("- alert: {}", word(name)));
        let expression = format!("{}\nand\n{}", above(&long), above(&short));
        block(text, 8, "expr", &expression);
        line(text, 8, "labels:");
        let pair_labels = Text::from(
            [
                ("severity", pair.severity.label()),
                ("long", &long),
                ("short", &short),
            ]
            .map(|(label, value)| (label.to_owned(), value.to_owned())),
        );
        let labels = self.labels(&[&pair_labels, &alerting.labels, &own.labels]);
        pairs(text, 10, &labels);
        line(text, 8, "annotations:");
        pairs(text, 10, &self.annotations(own, pair, &long));
    }

    fn annotations(&self, own: &Alert, pair: &Pair, long: &str) -> Text {
        let Objective { name, alerting, .. } = self.objective;
        let service = &self.file.service;
        let summary = format!(
            "{service} burns the error budget of {name} {} times too fast: {{{{ $value | humanizePercentage }}}} errors in {long}",
            pair.factor
        );
        let mut annotations = Text::from([("summary".to_owned(), summary)]);
        annotations.extend(alerting.annotations.clone());
        annotations.extend(own.annotations.clone());
        annotations
    }

    /// Bad events per second. A series of failures that never was is zero failures, not nothing.
    fn errors(&self, window: &str) -> String {
        let bad = Events::over(&self.objective.sli.events.error_query, window);
        format!("(\n  ({bad})\n  or\n  0 * ({})\n)", self.total(window))
    }

    fn total(&self, window: &str) -> String {
        Events::over(&self.objective.sli.events.total_query, window)
    }

    /// Labels of a rule; the identity of the objective cannot be overwritten.
    fn labels(&self, further: &[&Text]) -> Text {
        let mut labels = self.file.labels.clone();
        labels.extend(self.objective.labels.clone());
        for more in further {
            labels.extend((*more).clone());
        }
        labels.insert(
            conventions::metrics::SERVICE.to_owned(),
            self.file.service.clone(),
        );
        labels.insert("slo".to_owned(), self.objective.name.clone());
        labels
    }

    fn selector(&self) -> String {
        format!(
            "{{service=\"{}\", slo=\"{}\"}}",
            self.file.service, self.objective.name
        )
    }
}

/// Rounded: rates carry noise in their last binary digits, with which a ratio of exactly the threshold would be above it.
fn ratio(errors: &str, events: &str) -> String {
    format!("round(\n{errors}\n/\n({events}),\n1e-12)")
}

/// Every window of the pairs once, shortest first.
fn windows() -> Vec<Duration> {
    let mut windows: Vec<_> = PAIRS
        .iter()
        .flat_map(|pair| [pair.short, pair.long])
        .collect();
    windows.sort();
    windows.dedup();
    windows
}

/// `1h`, `30s`, `250ms`: the largest unit that divides it.
fn shown(duration: Duration) -> String {
    prometheus_duration(duration.as_millis())
}

/// As Prometheus writes it, in one unit.
pub(crate) fn prometheus_duration(milliseconds: u128) -> String {
    let units = [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
        ("ms", 1),
    ];
    let (unit, size) = units
        .into_iter()
        .find(|(_, size)| milliseconds.is_multiple_of(*size))
        .expect("one millisecond divides everything");
    format!("{}{unit}", milliseconds / size)
}

fn line(text: &mut String, indent: usize, content: &str) {
    writeln!(text, "{:indent$}{content}", "").expect("a string takes every line");
}

/// A literal block, so that an expression stands as it is.
fn block(text: &mut String, indent: usize, key: &str, content: &str) {
    line(text, indent, &format!("{key}: |-"));
    for each in content.lines() {
        line(text, indent + 2, each);
    }
}

fn pairs(text: &mut String, indent: usize, pairs: &Text) {
    for (key, value) in pairs {
        line(text, indent, &format!("{}: {}", word(key), quoted(value)));
    }
}

/// As it is where YAML takes it for text.
fn word(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !YAML_WORDS.contains(&name.to_ascii_lowercase().as_str());
    if plain { name.to_owned() } else { quoted(name) }
}

/// A JSON string is a YAML string, but for some characters that YAML wants escaped as well.
fn quoted(value: &str) -> String {
    let json = serde_json::to_string(value).expect("a string is JSON");
    let mut quoted = String::with_capacity(json.len());
    for c in json.chars() {
        if is_printable(c) {
            quoted.push(c);
        } else {
            write!(quoted, "\\u{:04x}", u32::from(c)).expect("a string takes every character");
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const FILE: &str = r#"
version: prometheus/v1
service: gateway
labels: {service: overwritten}
slos:
  - name: availability
    objective: 99.9
    sli:
      events:
        error_query: sum(rate(bad[{{.window}}]))
        total_query: sum(rate(all[{{.window}}]))
    alerting:
      ticket_alert: {disable: true}
"#;

    fn render() -> String {
        rules(&ObjectiveFile::parse(FILE).unwrap())
    }

    #[test]
    fn thresholds_are_written_without_binary_noise() {
        let text = render();
        for part in [
            "ratio_rate1h{service=\"gateway\", slo=\"availability\"} > 0.0144\n",
            "ratio_rate30m{service=\"gateway\", slo=\"availability\"} > 0.006\n",
            "vector(0.999)",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("SlowBudgetBurn"));
        assert!(!text.contains("overwritten"));
    }

    #[test]
    fn whatever_the_file_says_is_a_text_in_the_rules() {
        let alerting = r#"alerting: {name: "a: \n- b", annotations: {on: "\u0085"}}"#;
        let file = FILE
            .replace("labels: {service: overwritten}", "labels: {\"null\": yes}")
            .replace("alerting:\n      ticket_alert: {disable: true}", alerting);
        let file = ObjectiveFile::parse(&file).unwrap();
        let text = rules(&file);
        for part in [
            r#"- alert: "a: \n- b""#,
            r#""on": "\u0085""#,
            r#""null": "yes""#,
        ] {
            assert!(text.contains(part), "{text}");
        }
    }
}
