//! Its own metrics, under the names of Prometheus.

use std::time::Duration;

use conventions::metrics as names;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

pub(crate) fn describe() {
    describe_gauge!(
        names::PROMETHEUS_CONFIG_RELOAD_SUCCESSFUL,
        "Whether the last attempt to load the configuration was successful."
    );
    describe_gauge!(
        names::PROMETHEUS_CONFIG_RELOAD_TIME,
        "Time of the last successful load of the configuration."
    );
    describe_counter!(names::PROMETHEUS_NOTIFICATIONS_SENT, "Alerts sent.");
    describe_counter!(
        names::PROMETHEUS_NOTIFICATIONS_ERRORS,
        "Alerts that an Alertmanager did not take."
    );
    describe_counter!(
        names::PROMETHEUS_NOTIFICATIONS_DROPPED,
        "Alerts that no Alertmanager took, or that were too many to wait."
    );
    describe_histogram!(
        names::PROMETHEUS_NOTIFICATIONS_LATENCY,
        "How long an Alertmanager took to answer."
    );
    describe_gauge!(
        names::PROMETHEUS_NOTIFICATIONS_QUEUE_LENGTH,
        "Alerts that wait to be sent."
    );
    describe_gauge!(
        names::PROMETHEUS_NOTIFICATIONS_QUEUE_CAPACITY,
        "Alerts that may wait to be sent."
    );
    describe_gauge!(
        names::PROMETHEUS_NOTIFICATIONS_ALERTMANAGERS,
        "Alertmanagers that are told."
    );
    // There from the start, so that the first loss is a rise.
    counter!(names::PROMETHEUS_NOTIFICATIONS_DROPPED).increment(0);
}

pub(crate) fn reloaded(is_good: bool, at_ms: i64) {
    gauge!(names::PROMETHEUS_CONFIG_RELOAD_SUCCESSFUL).set(f64::from(u8::from(is_good)));
    if is_good {
        gauge!(names::PROMETHEUS_CONFIG_RELOAD_TIME).set(at_ms as f64 / 1_000.0);
    }
}

pub(crate) fn queue(length: usize, capacity: usize) {
    gauge!(names::PROMETHEUS_NOTIFICATIONS_QUEUE_LENGTH).set(length as f64);
    gauge!(names::PROMETHEUS_NOTIFICATIONS_QUEUE_CAPACITY).set(capacity as f64);
}

pub(crate) fn alertmanagers(number: usize) {
    gauge!(names::PROMETHEUS_NOTIFICATIONS_ALERTMANAGERS).set(number as f64);
}

pub(crate) fn dropped(alerts: usize) {
    counter!(names::PROMETHEUS_NOTIFICATIONS_DROPPED).increment(alerts as u64);
}

pub(crate) fn sent(alertmanager: &str, alerts: usize, latency: Duration, is_taken: bool) {
    let peer = || alertmanager.to_owned();
    counter!(names::PROMETHEUS_NOTIFICATIONS_SENT, names::ALERTMANAGER => peer())
        .increment(alerts as u64);
    let failed = if is_taken { 0 } else { alerts };
    counter!(names::PROMETHEUS_NOTIFICATIONS_ERRORS, names::ALERTMANAGER => peer())
        .increment(failed as u64);
    histogram!(names::PROMETHEUS_NOTIFICATIONS_LATENCY, names::ALERTMANAGER => peer())
        .record(latency.as_secs_f64());
}
