//! Help and unit of every metric that this crate records or computes itself.
//!
//! A service describes its own metrics with the `metrics` crate's `describe_*` macros.

use conventions::metrics::*;
use metrics::Unit;

use super::cells::Kind;

/// Name, kind, unit, help.
pub(super) const DESCRIPTIONS: &[(&str, Kind, Option<Unit>, &str)] = &[
    (
        HTTP_SERVER_REQUEST_DURATION,
        Kind::Histogram,
        Some(Unit::Seconds),
        "Duration of HTTP server requests.",
    ),
    (
        HTTP_SERVER_ACTIVE_REQUESTS,
        Kind::Gauge,
        None,
        "HTTP server requests in progress.",
    ),
    (
        HTTP_CLIENT_REQUEST_DURATION,
        Kind::Histogram,
        Some(Unit::Seconds),
        "Duration of HTTP client requests.",
    ),
    (
        DB_CLIENT_OPERATION_DURATION,
        Kind::Histogram,
        Some(Unit::Seconds),
        "Duration of database client operations.",
    ),
    (
        MESSAGING_CLIENT_OPERATION_DURATION,
        Kind::Histogram,
        Some(Unit::Seconds),
        "Duration of messaging client operations, such as sending and receiving.",
    ),
    (
        MESSAGING_PROCESS_DURATION,
        Kind::Histogram,
        Some(Unit::Seconds),
        "Duration of processing one message.",
    ),
    (
        TELEMETRY_SPANS,
        Kind::Counter,
        None,
        "Ended spans by what became of them.",
    ),
    (
        TELEMETRY_LOG_LINES,
        Kind::Counter,
        None,
        "Log lines by what became of them.",
    ),
    (
        TELEMETRY_EXEMPLARS,
        Kind::Counter,
        None,
        "Samples in a span by what became of their exemplar.",
    ),
    (
        TELEMETRY_SERIES_OVERFLOW,
        Kind::Counter,
        None,
        "Registrations beyond a limit: counted in an overflow series, or refused with the whole metric.",
    ),
    (
        TELEMETRY_SAMPLES_DROPPED,
        Kind::Counter,
        None,
        "Histogram samples that were not finite.",
    ),
    (
        PROCESS_CPU_SECONDS,
        Kind::Counter,
        Some(Unit::Seconds),
        "User and system CPU time spent.",
    ),
    (
        PROCESS_OPEN_FDS,
        Kind::Gauge,
        None,
        "Open file descriptors.",
    ),
    (
        PROCESS_MAX_FDS,
        Kind::Gauge,
        None,
        "Most file descriptors that may be open.",
    ),
    (
        PROCESS_VIRTUAL_MEMORY_BYTES,
        Kind::Gauge,
        Some(Unit::Bytes),
        "Virtual memory.",
    ),
    (
        PROCESS_VIRTUAL_MEMORY_MAX_BYTES,
        Kind::Gauge,
        Some(Unit::Bytes),
        "Most virtual memory there may be.",
    ),
    (
        PROCESS_RESIDENT_MEMORY_BYTES,
        Kind::Gauge,
        Some(Unit::Bytes),
        "Resident memory.",
    ),
    (
        PROCESS_START_TIME_SECONDS,
        Kind::Gauge,
        Some(Unit::Seconds),
        "When the process started, since the Unix epoch.",
    ),
    (
        PROCESS_THREADS,
        Kind::Gauge,
        None,
        "Threads of the operating system.",
    ),
    (
        BUILD_INFO,
        Kind::Gauge,
        None,
        "Always 1; the labels say what is running.",
    ),
];
