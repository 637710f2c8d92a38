//! The store's own metrics. A process may have several stores, so each metric says whose it is.

use std::time::Duration;

use blocks::{Retired, Stats};
use conventions::metrics as names;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::{Appended, Error};

pub(crate) fn describe() {
    describe_counter!(names::LOG_STORE_LINES, "Lines by what became of them.");
    describe_counter!(
        names::LOG_STORE_RECEIVED_BYTES,
        "Bytes of lines and metadata stored."
    );
    describe_counter!(
        names::LOG_STORE_APPEND_FAILURES,
        "Pushes of which nothing was stored."
    );
    describe_histogram!(names::LOG_STORE_APPEND_DURATION, "From push to durable.");
    describe_gauge!(names::LOG_STORE_STREAMS, "Streams.");
    describe_gauge!(names::LOG_STORE_DISK_BYTES, "Size of all log files.");
    describe_counter!(
        names::LOG_STORE_BLOCKS_RETIRED,
        "Blocks deleted for age or size."
    );
}

pub(crate) fn appended(
    store: &'static str,
    appended: &Result<Appended, Error>,
    duration: Duration,
) {
    match appended {
        Ok(appended) => {
            let lines = |outcome| counter!(names::LOG_STORE_LINES, names::STORE => store, names::OUTCOME => outcome);
            lines(names::OUTCOME_STORED).increment(appended.stored);
            lines(names::OUTCOME_REFUSED).increment(appended.refused.len() as u64);
            counter!(names::LOG_STORE_RECEIVED_BYTES, names::STORE => store)
                .increment(appended.bytes);
        }
        Err(_) => counter!(names::LOG_STORE_APPEND_FAILURES, names::STORE => store).increment(1),
    }
    histogram!(names::LOG_STORE_APPEND_DURATION, names::STORE => store)
        .record(duration.as_secs_f64());
}

pub(crate) fn measured(store: &'static str, streams: usize, stats: &Stats) {
    gauge!(names::LOG_STORE_STREAMS, names::STORE => store).set(streams as f64);
    gauge!(names::LOG_STORE_DISK_BYTES, names::STORE => store).set(stats.disk_bytes as f64);
}

pub(crate) fn retired(store: &'static str, retired: &Retired) {
    counter!(names::LOG_STORE_BLOCKS_RETIRED, names::STORE => store).increment(retired.blocks);
}
