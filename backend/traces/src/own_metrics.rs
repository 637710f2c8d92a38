//! The store's own metrics. Counted where the work ends; nothing is kept here.

use std::time::Duration;

use conventions::metrics as names;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::request::{Ingested, Partial};
use crate::store::{Error, Retired};

/// What was asked; one of [`names::TRACE_STORE_QUERIES`].
#[derive(Clone, Copy)]
pub(crate) enum Asked {
    Trace,
    Search,
    Tags,
    TagValues,
    Metrics,
}

/// Texts of all metrics.
pub(crate) fn describe() {
    describe_counter!(names::TRACE_STORE_SPANS, "Spans by what became of them.");
    describe_counter!(names::TRACE_STORE_FRAGMENTS, "Parts of traces stored.");
    describe_counter!(names::TRACE_STORE_RECEIVED_BYTES, "Bytes of OTLP taken in.");
    describe_counter!(
        names::TRACE_STORE_ATTRIBUTES_TRUNCATED,
        "Attribute keys and values cut to their bound."
    );
    describe_counter!(
        names::TRACE_STORE_INGEST_FAILURES,
        "Requests of which nothing was stored."
    );
    describe_histogram!(
        names::TRACE_STORE_INGEST_DURATION,
        "From request to durable."
    );
    describe_histogram!(
        names::TRACE_STORE_QUERY_DURATION,
        "Queries by kind and outcome."
    );
    describe_gauge!(names::TRACE_STORE_DISK_BYTES, "Size of all trace files.");
    describe_counter!(
        names::TRACE_STORE_BLOCKS_RETIRED,
        "Blocks deleted for age or size."
    );
}

pub(crate) fn ingested(request_bytes: usize, result: &Result<Ingested, Error>, duration: Duration) {
    match result {
        Ok(ingested) => {
            let spans = |outcome| counter!(names::TRACE_STORE_SPANS, names::OUTCOME => outcome);
            spans(names::OUTCOME_STORED).increment(ingested.spans);
            spans(names::OUTCOME_REFUSED).increment(ingested.rejected);
            counter!(names::TRACE_STORE_FRAGMENTS).increment(ingested.traces);
            counter!(names::TRACE_STORE_RECEIVED_BYTES).increment(request_bytes as u64);
            counter!(names::TRACE_STORE_ATTRIBUTES_TRUNCATED)
                .increment(ingested.attributes_truncated);
        }
        Err(_) => counter!(names::TRACE_STORE_INGEST_FAILURES).increment(1),
    }
    histogram!(names::TRACE_STORE_INGEST_DURATION).record(duration.as_secs_f64());
}

/// Of an answer and of the part that is missing, if any.
pub(crate) fn asked(asked: Asked, partial: Result<Option<&Partial>, &Error>, duration: Duration) {
    let outcome = match partial {
        Ok(None) => names::OUTCOME_SUCCESS,
        Ok(Some(_)) => names::OUTCOME_PARTIAL,
        Err(_) => names::OUTCOME_FAILED,
    };
    let query = names::TRACE_STORE_QUERIES[asked as usize];
    let labels = [(names::TRACE_STORE_QUERY, query), (names::OUTCOME, outcome)];
    histogram!(names::TRACE_STORE_QUERY_DURATION, &labels).record(duration.as_secs_f64());
}

pub(crate) fn retired(retired: &Retired) {
    counter!(names::TRACE_STORE_BLOCKS_RETIRED).increment(retired.blocks);
}

pub(crate) fn disk(bytes: u64) {
    gauge!(names::TRACE_STORE_DISK_BYTES).set(bytes as f64);
}
