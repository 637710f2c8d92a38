//! The metrics of what is decided: totals and levels of the machine, set as they stand. Deliveries count for themselves.

use conventions::metrics as names;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge};

use crate::{
    machine::{Counts, Machine},
    silence::SilenceState,
};

/// Value of [`names::VERSION`]: of the API.
const API_VERSION: &str = "v2";

/// Texts of all metrics.
pub(crate) fn describe() {
    describe_gauge!(names::ALERTMANAGER_ALERTS, "How many alerts by state.");
    describe_counter!(
        names::ALERTMANAGER_ALERTS_RECEIVED,
        "The total number of received alerts."
    );
    describe_counter!(
        names::ALERTMANAGER_ALERTS_INVALID,
        "The total number of received alerts that were invalid."
    );
    describe_gauge!(
        names::ALERTMANAGER_GROUPS,
        "Number of active aggregation groups."
    );
    describe_counter!(
        names::ALERTMANAGER_GROUPS_LIMITED,
        "Alerts that found no group because there are too many."
    );
    describe_gauge!(names::ALERTMANAGER_SILENCES, "How many silences by state.");
    describe_counter!(
        names::ALERTMANAGER_NOTIFICATIONS,
        "The total number of attempted notifications."
    );
    describe_counter!(
        names::ALERTMANAGER_NOTIFICATIONS_FAILED,
        "The total number of failed notifications."
    );
    describe_counter!(
        names::ALERTMANAGER_NOTIFICATION_REQUESTS,
        "The total number of attempted notification requests."
    );
    describe_counter!(
        names::ALERTMANAGER_NOTIFICATION_REQUESTS_FAILED,
        "The total number of failed notification requests."
    );
    describe_histogram!(
        names::ALERTMANAGER_NOTIFICATION_LATENCY,
        "The latency of notifications in seconds."
    );
    describe_counter!(
        names::ALERTMANAGER_NOTIFICATIONS_SUPPRESSED,
        "Alerts left out of notifications, by reason."
    );
    describe_counter!(
        names::ALERTMANAGER_JOURNAL_FAILURES,
        "Times at which what must survive a restart could not be stored."
    );
}

pub(crate) fn publish(counts: &Counts) {
    let received = [
        ("firing", counts.received_firing),
        ("resolved", counts.received_resolved),
    ];
    for (status, count) in received {
        let labels = [(names::STATUS, status), (names::VERSION, API_VERSION)];
        counter!(names::ALERTMANAGER_ALERTS_RECEIVED, &labels).absolute(count);
    }
    counter!(names::ALERTMANAGER_ALERTS_INVALID, names::VERSION => API_VERSION)
        .absolute(counts.received_invalid);
    counter!(names::ALERTMANAGER_GROUPS_LIMITED).absolute(counts.groups_refused);
    let suppressed = [
        counts.suppressed_silence,
        counts.suppressed_inhibition,
        counts.suppressed_mute_time,
        counts.suppressed_active_time,
    ];
    for (reason, count) in names::ALERTMANAGER_SUPPRESSIONS.into_iter().zip(suppressed) {
        counter!(names::ALERTMANAGER_NOTIFICATIONS_SUPPRESSED, names::REASON => reason)
            .absolute(count);
    }
    counter!(names::ALERTMANAGER_JOURNAL_FAILURES).increment(0);
}

pub(crate) fn publish_levels(machine: &Machine, now_ms: i64) {
    let (active, suppressed) = machine.alert_counts(now_ms);
    for (state, count) in [("active", active), ("suppressed", suppressed)] {
        gauge!(names::ALERTMANAGER_ALERTS, names::STATE => state).set(count as f64);
    }
    gauge!(names::ALERTMANAGER_GROUPS).set(machine.group_count() as f64);
    let states = [
        ("active", SilenceState::Active),
        ("pending", SilenceState::Pending),
        ("expired", SilenceState::Expired),
    ];
    let silences = machine.silences(&[], now_ms);
    for (name, state) in states {
        let silences = silences
            .iter()
            .filter(|silence| silence.status.state == state);
        gauge!(names::ALERTMANAGER_SILENCES, names::STATE => name).set(silences.count() as f64);
    }
}

pub(crate) fn journal_failed() {
    counter!(names::ALERTMANAGER_JOURNAL_FAILURES).increment(1);
}
