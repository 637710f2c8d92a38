//! The process's own metrics, read from the system for each page: the set every Prometheus client library has.
//!
//! Nothing here is registered or kept. What the system does not tell is left out.

use conventions::metrics::{
    PROCESS_CPU_SECONDS, PROCESS_MAX_FDS, PROCESS_OPEN_FDS, PROCESS_RESIDENT_MEMORY_BYTES,
    PROCESS_START_TIME_SECONDS, PROCESS_THREADS, PROCESS_VIRTUAL_MEMORY_BYTES,
    PROCESS_VIRTUAL_MEMORY_MAX_BYTES,
};
use metrics_process::collector;

use super::cells::Kind;

/// What an unlimited resource is shown as: the system's own number for it, as other client libraries do.
const UNLIMITED: f64 = u64::MAX as f64;

/// Names and kinds, whether the system tells them or not.
pub(super) const METRICS: [(&str, Kind); 8] = [
    (PROCESS_CPU_SECONDS, Kind::Counter),
    (PROCESS_OPEN_FDS, Kind::Gauge),
    (PROCESS_MAX_FDS, Kind::Gauge),
    (PROCESS_VIRTUAL_MEMORY_BYTES, Kind::Gauge),
    (PROCESS_VIRTUAL_MEMORY_MAX_BYTES, Kind::Gauge),
    (PROCESS_RESIDENT_MEMORY_BYTES, Kind::Gauge),
    (PROCESS_START_TIME_SECONDS, Kind::Gauge),
    (PROCESS_THREADS, Kind::Gauge),
];

/// What the system tells about this process now.
pub(super) fn read() -> impl Iterator<Item = (&'static str, Kind, f64)> {
    let process = collector::collect();
    let number = |number: u64| number as f64;
    // The collector says 0 for a resource without a limit.
    let limit = |limit: u64| if limit == 0 { UNLIMITED } else { number(limit) };
    let values = [
        process.cpu_seconds_total,
        process.open_fds.map(number),
        process.max_fds.map(limit),
        process.virtual_memory_bytes.map(number),
        process.virtual_memory_max_bytes.map(limit),
        process.resident_memory_bytes.map(number),
        process.start_time_seconds.map(number),
        process.threads.map(number),
    ];
    METRICS
        .into_iter()
        .zip(values)
        .filter_map(|((name, kind), value)| Some((name, kind, value?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_the_standard_set() {
        let values: Vec<_> = read().collect();
        let names: Vec<_> = values.iter().map(|(name, ..)| *name).collect();
        assert_eq!(names, METRICS.map(|(name, _)| name));
        assert!(values.iter().all(|(.., value)| *value >= 0.0), "{values:?}");
        let value = |name| {
            values
                .iter()
                .find(|(other, ..)| *other == name)
                .map(|(.., value)| *value)
        };
        assert!(value(PROCESS_OPEN_FDS) <= value(PROCESS_MAX_FDS));
        assert!(value(PROCESS_VIRTUAL_MEMORY_BYTES) <= value(PROCESS_VIRTUAL_MEMORY_MAX_BYTES));
        assert!(value(PROCESS_RESIDENT_MEMORY_BYTES) > Some(100_000.0));
        assert!(value(PROCESS_START_TIME_SECONDS) > Some(1.6e9));
    }
}
