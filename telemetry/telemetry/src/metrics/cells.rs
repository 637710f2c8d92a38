//! The values behind the handles: one cell per series, written by any thread without waiting and of fixed size.
//!
//! A histogram counts into stripes, one per group of threads, because two threads that write the same cache line cost
//! each other several times what the record itself costs; the page adds the stripes up. Exemplars are rare and shared.

use std::cell::Cell as ThreadCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use metrics::{CounterFn, GaugeFn, HistogramFn};

use super::exemplars::{self, Candidate, Exemplar, Slot};

/// Copies of a histogram's counts. Threads take them in turn; more threads than stripes share.
const STRIPES: usize = 4;
/// Words of a cache line.
const LINE_WORDS: usize = 8;
/// Words of a stripe before its bucket counts: the sum's bits, and the samples whose trace will not be kept.
const SUM: usize = 0;
const NOT_KEPT: usize = 1;
const FIRST_BUCKET: usize = 2;

static NEXT_STRIPE: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static STRIPE: ThreadCell<Option<usize>> = const { ThreadCell::new(None) };
}

/// The kinds of metric, as both formats name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A series' value, shared between handles and page.
#[derive(Debug, Clone)]
pub(super) enum Cell {
    Counter(Arc<Counter>),
    Gauge(Arc<Gauge>),
    Histogram(Arc<Histogram>),
}

/// Monotone. An increment inside an error scope leaves an exemplar.
#[derive(Debug, Default)]
pub(super) struct Counter {
    value: AtomicU64,
    contended: AtomicU64,
    exemplar: Slot,
}

/// The bits of an `f64`.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    bits: AtomicU64,
}

/// Counts per bucket, sum and one exemplar per bucket.
#[derive(Debug)]
pub(super) struct Histogram {
    bounds: Arc<[f64]>,
    /// [`STRIPES`] times the lines that one stripe's words take.
    lines: Box<[Line]>,
    exemplars: Box<[Slot]>,
    contended: AtomicU64,
    rejected: AtomicU64,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Line([AtomicU64; LINE_WORDS]);

/// What a histogram holds at one moment. `counts` are per bucket, not cumulative; the last one is `+Inf`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Distribution {
    pub(super) counts: Vec<u64>,
    pub(super) sum: f64,
    pub(super) exemplars: Vec<Option<Exemplar>>,
}

/// What became of samples and exemplars, summed over all cells for the recorder's own metrics.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outcomes {
    pub(super) stored: u64,
    pub(super) not_kept: u64,
    pub(super) contended: u64,
    /// Samples that were not finite.
    pub(super) rejected: u64,
}

impl Cell {
    pub(super) fn new(kind: Kind, bounds: &Arc<[f64]>) -> Self {
        match kind {
            Kind::Counter => Self::Counter(Arc::default()),
            Kind::Gauge => Self::Gauge(Arc::default()),
            Kind::Histogram => Self::Histogram(Arc::new(Histogram::new(Arc::clone(bounds)))),
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Counter(_) => Kind::Counter,
            Self::Gauge(_) => Kind::Gauge,
            Self::Histogram(_) => Kind::Histogram,
        }
    }

    /// Adds this cell's outcomes to the sum.
    pub(super) fn add_outcomes(&self, sum: &mut Outcomes) {
        match self {
            Self::Counter(counter) => {
                sum.stored += counter.exemplar.stored();
                sum.contended += counter.contended.load(Ordering::Relaxed);
            }
            Self::Gauge(_) => {}
            Self::Histogram(histogram) => histogram.add_outcomes(sum),
        }
    }
}

impl Counter {
    pub(super) fn value(&self) -> u64 {
        self.value.load(Ordering::Relaxed)
    }

    pub(super) fn exemplar(&self) -> Option<Exemplar> {
        self.exemplar.read()
    }

    /// Apart from the increment, so that the usual one stays small.
    #[cold]
    fn offer_exemplar(&self, increment: u64) {
        if let Candidate::Kept(origin) = exemplars::candidate()
            && !self.exemplar.offer(origin.exemplar(increment as f64))
        {
            self.contended.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl CounterFn for Counter {
    fn increment(&self, value: u64) {
        self.value.fetch_add(value, Ordering::Relaxed);
        if exemplars::in_error_scope() && value > 0 {
            self.offer_exemplar(value);
        }
    }

    fn absolute(&self, value: u64) {
        self.value.fetch_max(value, Ordering::Relaxed);
    }
}

impl Gauge {
    pub(super) fn value(&self) -> f64 {
        f64::from_bits(self.bits.load(Ordering::Relaxed))
    }
}

impl GaugeFn for Gauge {
    fn increment(&self, value: f64) {
        add_f64(&self.bits, value);
    }

    fn decrement(&self, value: f64) {
        add_f64(&self.bits, -value);
    }

    fn set(&self, value: f64) {
        self.bits.store(value.to_bits(), Ordering::Relaxed);
    }
}

impl Histogram {
    fn new(bounds: Arc<[f64]>) -> Self {
        let buckets = bounds.len() + 1;
        let lines = STRIPES * (FIRST_BUCKET + buckets).div_ceil(LINE_WORDS);
        Self {
            bounds,
            lines: (0..lines).map(|_| Line::default()).collect(),
            exemplars: (0..buckets).map(|_| Slot::default()).collect(),
            contended: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
        }
    }

    /// Exemplars first, counts second: a sample is counted before it leaves an exemplar, so the bucket of every
    /// exemplar on the page holds at least that sample.
    pub(super) fn read(&self) -> Distribution {
        let exemplars = self.exemplars.iter().map(Slot::read).collect();
        let mut counts = vec![0; self.exemplars.len()];
        let mut sum = 0.0;
        for stripe in self.stripes() {
            sum += f64::from_bits(word(stripe, SUM).load(Ordering::Relaxed));
            for (index, count) in counts.iter_mut().enumerate() {
                *count += word(stripe, FIRST_BUCKET + index).load(Ordering::Relaxed);
            }
        }
        Distribution {
            counts,
            sum,
            exemplars,
        }
    }

    fn add_outcomes(&self, sum: &mut Outcomes) {
        sum.stored += self.exemplars.iter().map(Slot::stored).sum::<u64>();
        sum.not_kept += self
            .stripes()
            .map(|stripe| word(stripe, NOT_KEPT).load(Ordering::Relaxed))
            .sum::<u64>();
        sum.contended += self.contended.load(Ordering::Relaxed);
        sum.rejected += self.rejected.load(Ordering::Relaxed);
    }

    fn stripes(&self) -> impl Iterator<Item = &[Line]> {
        self.lines.chunks_exact(self.lines.len() / STRIPES)
    }

    /// The stripe of this thread.
    fn stripe(&self) -> &[Line] {
        let lines = self.lines.len() / STRIPES;
        let start = stripe_index() * lines;
        &self.lines[start..start + lines]
    }
}

impl HistogramFn for Histogram {
    fn record(&self, value: f64) {
        self.record_many(value, 1);
    }

    fn record_many(&self, value: f64, count: usize) {
        let count = count as u64;
        if !value.is_finite() {
            self.rejected.fetch_add(count, Ordering::Relaxed);
            return;
        }
        if count == 0 {
            return;
        }
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        let stripe = self.stripe();
        word(stripe, FIRST_BUCKET + bucket).fetch_add(count, Ordering::Relaxed);
        add_f64(word(stripe, SUM), value * count as f64);
        match exemplars::candidate() {
            Candidate::None => {}
            Candidate::NotKept => {
                word(stripe, NOT_KEPT).fetch_add(1, Ordering::Relaxed);
            }
            Candidate::Kept(origin) => {
                if !self.exemplars[bucket].offer(origin.exemplar(value)) {
                    self.contended.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }
}

fn word(stripe: &[Line], index: usize) -> &AtomicU64 {
    &stripe[index / LINE_WORDS].0[index % LINE_WORDS]
}

fn add_f64(bits: &AtomicU64, value: f64) {
    let mut seen = bits.load(Ordering::Relaxed);
    while let Err(changed) = bits.compare_exchange_weak(
        seen,
        (f64::from_bits(seen) + value).to_bits(),
        Ordering::Relaxed,
        Ordering::Relaxed,
    ) {
        seen = changed;
    }
}

/// Given out in turn at a thread's first record.
fn stripe_index() -> usize {
    STRIPE.get().unwrap_or_else(|| {
        let index = NEXT_STRIPE.fetch_add(1, Ordering::Relaxed) % STRIPES;
        STRIPE.set(Some(index));
        index
    })
}
