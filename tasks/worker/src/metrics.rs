//! The worker's metrics: jobs as they are processed, queues as they are counted.

use std::time::Duration;

use conventions::metrics::{
    JOB, JOB_QUEUE_LATENCY, JOB_UNKNOWN, MESSAGING_PROCESS_DURATION, OUTCOME, OUTCOME_DEAD,
    OUTCOME_DUPLICATE, OUTCOME_RETRY, OUTCOME_SUCCESS, QUEUE, QUEUE_DEPTH,
    QUEUE_OLDEST_MESSAGE_AGE, STATE, STATE_DELAYED, STATE_IN_FLIGHT, STATE_VISIBLE,
};
use metrics::{Unit, describe_gauge, describe_histogram, gauge, histogram};
use store::Depth;
use tasks_api::JobKind;
use telemetry::exemplars::error_scope;

/// Describes them all, and registers what jobs are counted in. To be called once, before the first message.
pub(crate) fn register() {
    let latency = "Time from the sending of a job's message to its first receive.";
    describe_histogram!(JOB_QUEUE_LATENCY, Unit::Seconds, latency);
    describe_gauge!(QUEUE_DEPTH, "Messages on a queue.");
    let age = "Age of the oldest job that is not done, or of the longest dead one.";
    describe_gauge!(QUEUE_OLDEST_MESSAGE_AGE, Unit::Seconds, age);
    for job in JobKind::ALL
        .map(JobKind::as_str)
        .into_iter()
        .chain([JOB_UNKNOWN])
    {
        let _ = histogram!(JOB_QUEUE_LATENCY, JOB => job);
        for outcome in [
            OUTCOME_SUCCESS,
            OUTCOME_DUPLICATE,
            OUTCOME_RETRY,
            OUTCOME_DEAD,
        ] {
            let _ = histogram!(MESSAGING_PROCESS_DURATION, JOB => job, OUTCOME => outcome);
        }
    }
}

/// To be called inside the message's span, which the exemplar then names.
pub(crate) fn processed(job: &'static str, outcome: &'static str, took: Duration, failed: bool) {
    let record =
        || histogram!(MESSAGING_PROCESS_DURATION, JOB => job, OUTCOME => outcome).record(took);
    if failed {
        error_scope(record)
    } else {
        record()
    }
}

/// As [`processed`].
pub(crate) fn waited(job: &'static str, waited: Duration) {
    histogram!(JOB_QUEUE_LATENCY, JOB => job).record(waited);
}

/// What a queue holds, and how old the oldest of it is; nothing is 0.
pub(crate) fn queue(name: &str, depth: Depth, oldest: Duration) {
    let states = [
        (STATE_VISIBLE, depth.visible),
        (STATE_IN_FLIGHT, depth.in_flight),
        (STATE_DELAYED, depth.delayed),
    ];
    for (state, count) in states {
        gauge!(QUEUE_DEPTH, QUEUE => name.to_owned(), STATE => state).set(count as f64);
    }
    gauge!(QUEUE_OLDEST_MESSAGE_AGE, QUEUE => name.to_owned()).set(oldest.as_secs_f64());
}
