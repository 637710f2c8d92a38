//! The store's own metrics, by Prometheus' names where the meaning is the same. Counted where the work ends.

use conventions::metrics as names;
use metrics::{counter, describe_counter, describe_gauge, gauge};

use crate::{AppendReport, Error, ExemplarOutcome, Outcome, Recovery, Stats};

const FLOAT: [(&str, &str); 1] = [(names::TSDB_TYPE, names::TSDB_TYPE_FLOAT)];
const COUNTERS: [(&str, &str); 15] = [
    (names::PROMETHEUS_TSDB_SAMPLES_APPENDED, "Samples stored."),
    (
        names::PROMETHEUS_TSDB_OUT_OF_ORDER,
        "Samples older than their series' newest.",
    ),
    (
        names::PROMETHEUS_TSDB_OUT_OF_BOUND,
        "Samples too old or too far ahead.",
    ),
    (
        names::TSDB_SAMPLES_REFUSED,
        "Samples refused for other reasons.",
    ),
    (
        names::TSDB_APPEND_FAILURES,
        "Batches of which nothing was stored.",
    ),
    (
        names::PROMETHEUS_TSDB_SERIES_CREATED,
        "Series that came into memory.",
    ),
    (
        names::PROMETHEUS_TSDB_SERIES_REMOVED,
        "Series that left memory.",
    ),
    (
        names::PROMETHEUS_TSDB_COMPACTIONS,
        "Blocks cut from memory.",
    ),
    (
        names::PROMETHEUS_TSDB_COMPACTIONS_FAILED,
        "Blocks that could not be written.",
    ),
    (
        names::PROMETHEUS_TSDB_TIME_RETENTIONS,
        "Blocks deleted for their age.",
    ),
    (
        names::PROMETHEUS_TSDB_SIZE_RETENTIONS,
        "Blocks deleted for the size of all.",
    ),
    (
        names::PROMETHEUS_TSDB_WAL_CORRUPTIONS,
        "Openings that found a torn or damaged log.",
    ),
    (
        names::TSDB_BLOCKS_DAMAGED,
        "Blocks set aside because they are damaged.",
    ),
    (
        names::PROMETHEUS_TSDB_EXEMPLARS_APPENDED,
        "Exemplars stored.",
    ),
    (
        names::PROMETHEUS_TSDB_EXEMPLARS_OUT_OF_ORDER,
        "Exemplars older than their series' newest.",
    ),
];

const GAUGES: [(&str, &str); 10] = [
    (names::PROMETHEUS_TSDB_HEAD_SERIES, "Series in memory."),
    (names::PROMETHEUS_TSDB_HEAD_CHUNKS, "Chunks in memory."),
    (
        names::PROMETHEUS_TSDB_HEAD_MIN_TIME,
        "Time of the oldest sample in memory, in milliseconds.",
    ),
    (
        names::PROMETHEUS_TSDB_HEAD_MAX_TIME,
        "Time of the newest sample, in milliseconds.",
    ),
    (names::TSDB_HEAD_BYTES, "Size of what is in memory."),
    (names::PROMETHEUS_TSDB_BLOCKS_LOADED, "Blocks."),
    (names::PROMETHEUS_TSDB_BLOCKS_BYTES, "Size of all blocks."),
    (names::PROMETHEUS_TSDB_WAL_SIZE, "Size of all logs."),
    (names::PROMETHEUS_TSDB_EXEMPLARS, "Exemplars in memory."),
    (
        names::PROMETHEUS_TSDB_EXEMPLAR_SERIES,
        "Series with exemplars.",
    ),
];

/// Texts of all metrics.
pub(crate) fn describe() {
    for (name, text) in COUNTERS {
        describe_counter!(name, text);
    }
    for (name, text) in GAUGES {
        describe_gauge!(name, text);
    }
}

pub(crate) fn appended(result: Result<&AppendReport, &Error>) {
    let Ok(report) = result else {
        return counter!(names::TSDB_APPEND_FAILURES).increment(1);
    };
    counter!(names::PROMETHEUS_TSDB_SAMPLES_APPENDED, &FLOAT).increment(report.stored as u64);
    counter!(names::PROMETHEUS_TSDB_SERIES_CREATED).increment(report.series_created as u64);
    if report.stored == report.entries.len() {
        return;
    }
    let count = |outcome| report.count(outcome) as u64;
    counter!(names::PROMETHEUS_TSDB_OUT_OF_ORDER, &FLOAT).increment(count(Outcome::OutOfOrder));
    counter!(names::PROMETHEUS_TSDB_OUT_OF_BOUND, &FLOAT)
        .increment(count(Outcome::TooOld) + count(Outcome::TooFarAhead));
    let refused = |reason| counter!(names::TSDB_SAMPLES_REFUSED, names::REASON => reason);
    for (reason, outcome) in names::TSDB_REFUSALS.into_iter().zip([
        Outcome::DuplicateTimestamp,
        Outcome::SeriesLimit,
        Outcome::UnknownSeries,
        Outcome::InvalidLabels,
    ]) {
        refused(reason).increment(count(outcome));
    }
}

pub(crate) fn exemplars_appended(outcomes: &[ExemplarOutcome]) {
    let count = |wanted| {
        outcomes
            .iter()
            .filter(|outcome| **outcome == wanted)
            .count() as u64
    };
    counter!(names::PROMETHEUS_TSDB_EXEMPLARS_APPENDED).increment(count(ExemplarOutcome::Stored));
    counter!(names::PROMETHEUS_TSDB_EXEMPLARS_OUT_OF_ORDER)
        .increment(count(ExemplarOutcome::OutOfOrder));
}

pub(crate) fn recovered(recovery: &Recovery) {
    let is_corrupt = recovery.torn_bytes + recovery.damaged_bytes > 0;
    counter!(names::PROMETHEUS_TSDB_WAL_CORRUPTIONS).increment(is_corrupt.into());
    counter!(names::TSDB_BLOCKS_DAMAGED).increment(recovery.damaged.len() as u64);
}

pub(crate) fn cut() {
    counter!(names::PROMETHEUS_TSDB_COMPACTIONS).increment(1);
}

pub(crate) fn cut_failed() {
    counter!(names::PROMETHEUS_TSDB_COMPACTIONS_FAILED).increment(1);
}

pub(crate) fn series_removed(series: usize) {
    counter!(names::PROMETHEUS_TSDB_SERIES_REMOVED).increment(series as u64);
}

pub(crate) fn block_damaged() {
    counter!(names::TSDB_BLOCKS_DAMAGED).increment(1);
}

/// A block, for its age or for the size of all.
pub(crate) fn retired(for_age: bool) {
    match for_age {
        true => counter!(names::PROMETHEUS_TSDB_TIME_RETENTIONS).increment(1),
        false => counter!(names::PROMETHEUS_TSDB_SIZE_RETENTIONS).increment(1),
    }
}

pub(crate) fn measured(stats: &Stats) {
    gauge!(names::PROMETHEUS_TSDB_HEAD_SERIES).set(stats.series as f64);
    gauge!(names::PROMETHEUS_TSDB_HEAD_CHUNKS).set(stats.head_chunks as f64);
    gauge!(names::TSDB_HEAD_BYTES).set(stats.head_bytes as f64);
    if let (Some(t_min), Some(t_max)) = (stats.head_t_min_ms, stats.head_t_max_ms) {
        gauge!(names::PROMETHEUS_TSDB_HEAD_MIN_TIME).set(t_min as f64);
        gauge!(names::PROMETHEUS_TSDB_HEAD_MAX_TIME).set(t_max as f64);
    }
    gauge!(names::PROMETHEUS_TSDB_BLOCKS_LOADED).set(stats.blocks as f64);
    gauge!(names::PROMETHEUS_TSDB_BLOCKS_BYTES).set(stats.block_bytes as f64);
    gauge!(names::PROMETHEUS_TSDB_WAL_SIZE).set(stats.log_bytes as f64);
    gauge!(names::PROMETHEUS_TSDB_EXEMPLARS).set(stats.exemplars as f64);
    gauge!(names::PROMETHEUS_TSDB_EXEMPLAR_SERIES).set(stats.exemplar_series as f64);
}
