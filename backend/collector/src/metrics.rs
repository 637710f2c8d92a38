//! The collector's metrics: totals of the account, set as they stand at each tick. No counting of its own.

use conventions::metrics as names;
use metrics::{counter, describe_counter, describe_gauge, gauge};

use crate::{config::Config, pipeline::Report, sampler::Account};

/// What is held at the moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Levels {
    pub traces: u64,
    pub spans: u64,
    pub bytes: u64,
    pub queued_requests: u64,
    pub queued_bytes: u64,
}

/// Texts of all metrics. The series exist from the first [`publish`] on.
pub(crate) fn describe() {
    describe_counter!(
        names::OTELCOL_TAIL_SAMPLING_NEW_TRACES,
        "Counts the arrival of new traces."
    );
    describe_counter!(
        names::OTELCOL_TAIL_SAMPLING_DECISIONS,
        "Traces that were sampled or not."
    );
    describe_counter!(
        names::OTELCOL_TAIL_SAMPLING_POLICY_DECISIONS,
        "Traces that were sampled, by the first policy that did."
    );
    describe_counter!(
        names::OTELCOL_TAIL_SAMPLING_FROM_CACHE,
        "Spans that inherited the decision of their trace."
    );
    describe_gauge!(
        names::OTELCOL_TAIL_SAMPLING_TRACES_IN_MEMORY,
        "Traces that are not decided."
    );
    describe_counter!(
        names::OTELCOL_TAIL_SAMPLING_DROPPED_TOO_EARLY,
        "Traces lost before their decision: none, they are decided early."
    );
    describe_counter!(
        names::OTELCOL_EXPORTER_SENT_SPANS,
        "Spans that the destination took over."
    );
    describe_counter!(
        names::OTELCOL_EXPORTER_SEND_FAILED_SPANS,
        "Kept spans that were given up."
    );
    describe_gauge!(
        names::OTELCOL_EXPORTER_QUEUE_SIZE,
        "Requests that wait to be exported."
    );
    describe_counter!(names::COLLECTOR_SPANS, "Spans by what became of them.");
    describe_counter!(
        names::COLLECTOR_MALFORMED_REQUESTS,
        "Requests that were no OTLP."
    );
    describe_counter!(
        names::COLLECTOR_LATE_SPANS,
        "Spans marked as having ended after the decision on their trace."
    );
    describe_counter!(
        names::COLLECTOR_JUDGED_AGAIN,
        "Spans kept by themselves although their trace was dropped before."
    );
    describe_counter!(
        names::COLLECTOR_DECIDED_EARLY,
        "Traces decided before their time."
    );
    describe_gauge!(names::COLLECTOR_BUFFERED_BYTES, "Bytes of undecided spans.");
    describe_gauge!(names::COLLECTOR_BUFFERED_SPANS, "Undecided spans.");
    describe_gauge!(
        names::COLLECTOR_EXPORT_QUEUE_BYTES,
        "Bytes of kept spans that wait to be exported."
    );
}

/// Sets every series.
pub(crate) fn publish(config: &Config, account: &Account, report: &Report, levels: &Levels) {
    counter!(names::OTELCOL_TAIL_SAMPLING_NEW_TRACES).absolute(account.traces);
    decisions(account);
    by_policy(config, account);
    let cached = |sampled, spans| {
        counter!(names::OTELCOL_TAIL_SAMPLING_FROM_CACHE, names::SAMPLED => sampled).absolute(spans)
    };
    cached("true", account.kept_after_decision);
    cached("false", account.dropped_after_decision);
    counter!(names::OTELCOL_TAIL_SAMPLING_DROPPED_TOO_EARLY).absolute(0);

    let exporter = || (names::EXPORTER, names::EXPORTER_EMBEDDED);
    counter!(names::OTELCOL_EXPORTER_SENT_SPANS, &[exporter()]).absolute(report.kept);
    counter!(names::OTELCOL_EXPORTER_SEND_FAILED_SPANS, &[exporter()]).absolute(report.lost);
    gauge!(names::OTELCOL_EXPORTER_QUEUE_SIZE, &[exporter()]).set(levels.queued_requests as f64);

    let spans = [
        (names::OUTCOME_KEPT, report.kept),
        (names::OUTCOME_SAMPLED_OUT, report.sampled_out),
        (names::OUTCOME_DUPLICATE, report.duplicates),
        (names::OUTCOME_LOST, report.lost),
        (names::OUTCOME_REFUSED, report.refused),
    ];
    for (outcome, spans) in spans {
        counter!(names::COLLECTOR_SPANS, names::OUTCOME => outcome).absolute(spans);
    }
    counter!(names::COLLECTOR_MALFORMED_REQUESTS).absolute(report.malformed_requests);
    counter!(names::COLLECTOR_LATE_SPANS).absolute(account.late);
    counter!(names::COLLECTOR_JUDGED_AGAIN).absolute(account.judged_again);
    for (cause, traces) in names::CAUSES.into_iter().zip(account.early) {
        counter!(names::COLLECTOR_DECIDED_EARLY, names::CAUSE => cause).absolute(traces);
    }

    gauge!(names::OTELCOL_TAIL_SAMPLING_TRACES_IN_MEMORY).set(levels.traces as f64);
    gauge!(names::COLLECTOR_BUFFERED_BYTES).set(levels.bytes as f64);
    gauge!(names::COLLECTOR_BUFFERED_SPANS).set(levels.spans as f64);
    gauge!(names::COLLECTOR_EXPORT_QUEUE_BYTES).set(levels.queued_bytes as f64);
}

fn decisions(account: &Account) {
    let decisions = [
        (names::DECISION_SAMPLED, "true", account.traces_kept),
        (
            names::DECISION_NOT_SAMPLED,
            "false",
            account.traces_not_sampled,
        ),
        (names::DECISION_DROPPED, "false", account.traces_dropped),
    ];
    for (decision, sampled, traces) in decisions {
        let labels = [(names::DECISION, decision), (names::SAMPLED, sampled)];
        counter!(names::OTELCOL_TAIL_SAMPLING_DECISIONS, &labels).absolute(traces);
    }
}

/// With the name of the processor before that of the policy, as the real one writes it: `ontime` and `late` are what the
/// two are called in the project's file. A file with one pipeline has no such names.
fn by_policy(config: &Config, account: &Account) {
    let prefixes = match config.late_attribute() {
        Some(_) => ["ontime.", "late."],
        None => ["", ""],
    };
    let lanes = [&config.ontime, &config.late].into_iter().zip(prefixes);
    for ((policies, prefix), kept) in lanes.zip(&account.by_policy) {
        for (policy, traces) in policies.names().iter().zip(kept) {
            let labels = [
                (names::POLICY, format!("{prefix}{policy}")),
                (names::DECISION, names::DECISION_SAMPLED.to_owned()),
                (names::SAMPLED, "true".to_owned()),
            ];
            counter!(names::OTELCOL_TAIL_SAMPLING_POLICY_DECISIONS, &labels).absolute(*traces);
        }
    }
}
