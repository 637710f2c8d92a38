//! The rules' own metrics, under the names of Prometheus.

use std::time::Duration;

use conventions::metrics as names;
use metrics::{counter, describe_counter, describe_gauge, gauge};

pub(crate) fn describe() {
    describe_counter!(names::PROMETHEUS_RULE_EVALUATIONS, "Rules evaluated.");
    describe_counter!(
        names::PROMETHEUS_RULE_EVALUATION_FAILURES,
        "Rules that could not be evaluated."
    );
    describe_counter!(
        names::PROMETHEUS_RULE_GROUP_ITERATIONS,
        "Evaluations of a group that were due."
    );
    describe_counter!(
        names::PROMETHEUS_RULE_GROUP_ITERATIONS_MISSED,
        "Evaluations of a group that were left out because it was late."
    );
    describe_gauge!(
        names::PROMETHEUS_RULE_GROUP_LAST_DURATION,
        "Length of the last evaluation of a group."
    );
    describe_gauge!(
        names::PROMETHEUS_RULE_GROUP_LAST_EVALUATION,
        "Time of the last evaluation of a group."
    );
    describe_gauge!(
        names::PROMETHEUS_RULE_GROUP_INTERVAL,
        "Time between two evaluations of a group."
    );
    describe_gauge!(names::PROMETHEUS_RULE_GROUP_RULES, "Rules of a group.");
}

pub(crate) fn evaluated(group: &str, failed: bool) {
    counter!(names::PROMETHEUS_RULE_EVALUATIONS, names::RULE_GROUP => group.to_owned())
        .increment(1);
    let failures =
        counter!(names::PROMETHEUS_RULE_EVALUATION_FAILURES, names::RULE_GROUP => group.to_owned());
    failures.increment(failed.into());
}

pub(crate) fn iterated(group: &str, missed: u64, at_ms: i64, duration: Duration) {
    counter!(names::PROMETHEUS_RULE_GROUP_ITERATIONS, names::RULE_GROUP => group.to_owned())
        .increment(1 + missed);
    counter!(names::PROMETHEUS_RULE_GROUP_ITERATIONS_MISSED, names::RULE_GROUP => group.to_owned())
        .increment(missed);
    gauge!(names::PROMETHEUS_RULE_GROUP_LAST_DURATION, names::RULE_GROUP => group.to_owned())
        .set(duration.as_secs_f64());
    gauge!(names::PROMETHEUS_RULE_GROUP_LAST_EVALUATION, names::RULE_GROUP => group.to_owned())
        .set(at_ms as f64 / 1e3);
}

pub(crate) fn loaded(group: &str, interval_ms: i64, rules: usize) {
    gauge!(names::PROMETHEUS_RULE_GROUP_INTERVAL, names::RULE_GROUP => group.to_owned())
        .set(interval_ms as f64 / 1e3);
    gauge!(names::PROMETHEUS_RULE_GROUP_RULES, names::RULE_GROUP => group.to_owned())
        .set(rules as f64);
}
