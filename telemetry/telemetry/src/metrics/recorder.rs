//! The recorder itself: from the `metrics` macros to cells, by way of a cache of every key seen.
//!
//! A handle is a pointer to its cell, so whoever keeps handles pays nothing here; a macro that names its labels anew
//! pays one look-up. What is admitted is the catalog's business, what a record does the cells'.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, SharedString, Unit};

use super::catalog::{Admission, Catalog, read, write};
use super::cells::{Cell, Kind};
use super::page::MetricsHandle;

/// Parts of the key cache, so that threads which look up different keys rarely meet at a lock.
const SHARDS: usize = 16;

/// A [`metrics::Recorder`] that serves its metrics as pages, with exemplars. Made by [`super::RecorderBuilder`].
///
/// Clones share everything.
///
/// ```
/// use telemetry::metrics::RecorderBuilder;
///
/// let recorder = RecorderBuilder::new("gateway").build()?;
/// metrics::with_local_recorder(&recorder, || metrics::counter!("jobs_total", "kind" => "import").increment(2));
/// let page = recorder.handle().render(None);
/// assert!(page.body.contains("jobs_total{service=\"gateway\",kind=\"import\"} 2\n"));
/// # Ok::<(), telemetry::metrics::BuildError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Recorder {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) catalog: Catalog,
    /// Whether pages carry the process's own metrics.
    pub(super) process_metrics: bool,
    /// Registrations that got an overflow series or nothing.
    pub(super) refused: AtomicU64,
    /// Size of the last page: the next one is about as long.
    pub(super) page_bytes: AtomicUsize,
    handles: [Shard; SHARDS],
    overflow_reported: AtomicBool,
    refusal_reported: AtomicBool,
}

type Shard = RwLock<HashMap<Key, Cell, BuildHasherDefault<KeyHash>>>;

/// A key brings its hash.
#[derive(Default)]
struct KeyHash(u64);

impl Recorder {
    pub(super) fn new(catalog: Catalog, process_metrics: bool) -> Self {
        Self {
            inner: Arc::new(Inner {
                catalog,
                process_metrics,
                refused: AtomicU64::new(0),
                page_bytes: AtomicUsize::new(0),
                handles: Default::default(),
                overflow_reported: AtomicBool::new(false),
                refusal_reported: AtomicBool::new(false),
            }),
        }
    }

    /// What the metrics endpoint needs.
    pub fn handle(&self) -> MetricsHandle {
        MetricsHandle::new(Arc::clone(&self.inner))
    }
}

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.inner
            .catalog
            .describe(Kind::Counter, name.as_str(), unit, help);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.inner
            .catalog
            .describe(Kind::Gauge, name.as_str(), unit, help);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.inner
            .catalog
            .describe(Kind::Histogram, name.as_str(), unit, help);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        match self.inner.cell(key, Kind::Counter) {
            Some(Cell::Counter(counter)) => Counter::from_arc(counter),
            _ => Counter::noop(),
        }
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        match self.inner.cell(key, Kind::Gauge) {
            Some(Cell::Gauge(gauge)) => Gauge::from_arc(gauge),
            _ => Gauge::noop(),
        }
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        match self.inner.cell(key, Kind::Histogram) {
            Some(Cell::Histogram(histogram)) => Histogram::from_arc(histogram),
            _ => Histogram::noop(),
        }
    }
}

impl Inner {
    /// The key's cell, from the cache or the catalog. `None`: there is no such metric.
    fn cell(&self, key: &Key, kind: Kind) -> Option<Cell> {
        let shard = &self.handles[shard_index(key)];
        if let Some(cell) = read(shard).get(key).filter(|cell| cell.kind() == kind) {
            return Some(cell.clone());
        }
        match self.catalog.admit(key, kind) {
            Admission::Series(cell) => {
                write(shard).insert(key.to_retained(), cell.clone());
                Some(cell)
            }
            Admission::Alias(cell) => Some(cell),
            Admission::Overflow(cell) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                if !self.overflow_reported.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        metric = key.name(),
                        "a metric has too many series; more go to its overflow series"
                    );
                }
                Some(cell)
            }
            Admission::Refused(reason) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                if !self.refusal_reported.swap(true, Ordering::Relaxed) {
                    tracing::warn!(metric = key.name(), %reason, "a metric is refused and not recorded");
                }
                None
            }
        }
    }
}

impl Hasher for KeyHash {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        unreachable!("a key hashes as one u64, not as {} bytes", bytes.len());
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// From bits that the map inside the shard uses neither for its place nor for its tag.
fn shard_index(key: &Key) -> usize {
    (key.get_hash() >> 32) as usize % SHARDS
}

#[cfg(test)]
mod tests {
    use metrics::{counter, gauge};

    use super::*;
    use crate::metrics::RecorderBuilder;
    use crate::metrics::fixtures::recorder;

    fn remembered(recorder: &Recorder) -> usize {
        let handles = recorder.inner.handles.iter();
        handles.map(|shard| read(shard).len()).sum()
    }

    #[test]
    fn a_key_is_remembered_once_and_whatever_the_order_of_its_labels() {
        let recorder = recorder();
        metrics::with_local_recorder(&recorder, || {
            for _ in 0..3 {
                counter!("jobs_total", "a" => "1", "b" => "2").increment(1);
                counter!("jobs_total", "b" => "2", "a" => "1").increment(1);
            }
        });
        assert_eq!(remembered(&recorder), 1);
    }

    #[test]
    fn keys_beyond_the_limits_are_not_remembered() {
        let recorder = RecorderBuilder::new("test")
            .series_per_metric_max(2)
            .metrics_max(2)
            .build()
            .expect("the limits are legal");
        metrics::with_local_recorder(&recorder, || {
            for number in 0..100 {
                gauge!("depth", "queue" => number.to_string()).set(1.0);
                gauge!("age", "queue" => "a".repeat(300 + number)).set(1.0);
                gauge!(format!("refused_{number}")).set(1.0);
            }
        });
        assert_eq!(remembered(&recorder), 4);
    }
}
