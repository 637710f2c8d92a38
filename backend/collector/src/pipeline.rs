//! The collector: takes requests in on the caller's thread, spreads their spans over shards by trace id, decides by a
//! ticker, and exports what is kept from a bounded queue on a thread of its own.
//!
//! Owns locks, threads and the account of the whole. Which spans are kept is `sampler`'s and `policy`'s; the wire is `otlp`'s.

mod queue;
mod report;
mod request;

pub use queue::{Export, ExportError};
use report::Refused;
pub use report::Report;

use std::{
    hash::RandomState,
    io,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use bytes::Bytes;
use otlp::{Accepted, Refusal, TraceSink};

use crate::{
    config::Config,
    metrics,
    sampler::{Account, EXPORT_BYTES, Kept, Limits, Sampler},
};
use queue::Queue;

/// Traces decided while a shard is locked: what a request may have to wait for.
const TRACES_PER_LOCK: usize = 256;

/// A shard is never given less: its two open bodies alone take an eighth of it.
const SHARD_BYTES_MIN: usize = 1 << 20;

/// Undecided traces for which the first shard has room from the start; the last one has room for twice as many.
const FIRST_CAPACITY: usize = 64;

/// What a client is asked to wait before it tries again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A monotonic time since any fixed instant.
pub type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// Bounds of a collector, beside those of its configuration file.
#[derive(Clone, Debug)]
pub struct Options {
    /// Parts that are locked one by one; 0 is taken as 1. More of them than cores, because tables that grow are copied
    /// shard by shard.
    pub shards: usize,
    /// Undecided spans take at most about this much memory; under pressure the oldest traces are decided early.
    pub buffered_bytes_max: usize,
    /// A trace with this many spans is decided at once.
    pub spans_per_trace_max: usize,
    /// With this many bytes of kept spans waiting to be exported, requests are refused.
    pub export_bytes_max: usize,
    /// Attempts to export a request end this long after the first; then its spans are counted as lost.
    pub export_retry_max: Duration,
    /// Time between two looks at what is due. `None`: only [`Collector::tick`] looks.
    pub tick: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            shards: 16,
            buffered_bytes_max: 256 << 20,
            spans_per_trace_max: 10_000,
            export_bytes_max: 64 << 20,
            export_retry_max: Duration::from_secs(300),
            tick: Some(Duration::from_millis(200)),
        }
    }
}

/// A running collector.
pub struct Collector {
    shared: Arc<Shared>,
    ticker: Option<JoinHandle<()>>,
}

/// Where receivers put requests. Outlives the collector: after its stop it refuses.
#[derive(Clone)]
pub struct Handle(Arc<Shared>);

struct Shared {
    config: Config,
    clock: Clock,
    hash: RandomState,
    shards: Vec<Mutex<Sampler>>,
    /// The shard at which the next tick begins, so that a full queue starves none.
    next: AtomicUsize,
    queue: Arc<Queue>,
    /// Requests are taken. Held for reading while one is, so that a stop comes before or after it.
    open: RwLock<bool>,
    refused: AtomicU64,
    malformed: AtomicU64,
    stopping: Mutex<bool>,
    stopped: Condvar,
    options: Options,
}

/// A clock that starts now.
pub fn monotonic() -> Clock {
    let start = Instant::now();
    Arc::new(move || start.elapsed())
}

impl Collector {
    /// Starts the ticker and the exporting thread.
    pub fn start(
        config: Config,
        options: Options,
        clock: Clock,
        export: Arc<dyn Export>,
    ) -> io::Result<Self> {
        let policies = [
            Arc::new(config.ontime.clone()),
            Arc::new(config.late.clone()),
        ];
        let queue = queue::Limits {
            bytes_max: options.export_bytes_max,
            retry_max: options.export_retry_max,
        };
        let shared = Arc::new(Shared {
            shards: shard_limits(&config, &options)
                .map(|limits| Mutex::new(Sampler::new(policies.clone(), limits)))
                .collect(),
            clock,
            hash: RandomState::new(),
            next: AtomicUsize::new(0),
            queue: Arc::new(Queue::new(queue)),
            open: RwLock::new(true),
            refused: AtomicU64::new(0),
            malformed: AtomicU64::new(0),
            stopping: Mutex::new(false),
            stopped: Condvar::new(),
            config,
            options,
        });
        metrics::describe();
        queue::spawn(Arc::clone(&shared.queue), export)?;
        let ticker = match shared.options.tick {
            Some(period) => Some(spawn_ticker(Arc::clone(&shared), period)?),
            None => None,
        };
        Ok(Self { shared, ticker })
    }

    pub fn handle(&self) -> Handle {
        Handle(Arc::clone(&self.shared))
    }

    /// Decides what is due now. The ticker does; simulated time may as well.
    pub fn tick(&self) {
        self.shared.tick();
    }

    /// The account as it stands.
    pub fn report(&self) -> Report {
        self.shared.report()
    }

    /// Refuses further requests, decides every trace by its policies as it stands, and exports what is kept until
    /// `deadline` from now. What is not exported then is counted as lost.
    pub fn stop(self, deadline: Duration) -> Report {
        let until = Instant::now() + deadline;
        *self
            .shared
            .open
            .write()
            .expect("no holder of the lock panics") = false;
        *lock(&self.shared.stopping) = true;
        self.shared.stopped.notify_all();
        if let Some(ticker) = self.ticker {
            ticker.join().expect("the ticker does not panic");
        }
        self.shared.decide_rest(until);
        self.shared.queue.close(until);
        self.shared.publish();
        self.shared.report()
    }
}

impl TraceSink for Handle {
    fn accept(&self, request: Bytes) -> Result<Accepted, Refusal> {
        self.0.accept(&request)
    }
}

impl Handle {
    /// The account as it stands.
    pub fn report(&self) -> Report {
        self.0.report()
    }
}

impl Shared {
    fn accept(&self, request: &[u8]) -> Result<Accepted, Refusal> {
        let arrivals = request::read(request, &self.config, &self.hash, self.shards.len())
            .map_err(|error| {
                self.malformed.fetch_add(1, Ordering::Relaxed);
                Refusal::Malformed(error.to_string())
            })?;
        let open = self.open.read().expect("no holder of the lock panics");
        if !*open || self.queue.is_full() {
            self.refused
                .fetch_add(arrivals.taken + arrivals.rejected, Ordering::Relaxed);
            let reason = if *open {
                "too many kept spans wait to be exported"
            } else {
                "the collector is stopping"
            };
            return Err(Refusal::Overloaded {
                retry_after: RETRY_AFTER,
                message: reason.to_owned(),
            });
        }
        let now = (self.clock)();
        for (shard, arrivals) in self
            .shards
            .iter()
            .zip(&arrivals.shards)
            .filter(|(_, arrivals)| !arrivals.is_empty())
        {
            let mut shard = lock(shard);
            arrivals.iter().for_each(|arrival| shard.push(now, arrival));
            while shard.is_full() {
                shard
                    .take_kept()
                    .into_iter()
                    .for_each(|kept| self.queue.push(kept));
            }
        }
        self.refused.fetch_add(arrivals.rejected, Ordering::Relaxed);
        let message = if arrivals.rejected > 0 {
            "spans without a valid trace id and span id"
        } else {
            ""
        };
        Ok(Accepted {
            rejected: arrivals.rejected,
            message: message.to_owned(),
        })
    }

    fn tick(&self) {
        let now = (self.clock)();
        self.decide(|shard| !self.queue.is_full() && shard.tick(now, TRACES_PER_LOCK));
        self.publish();
    }

    /// Decides everything, as fast as the queue has room; after `until`, what is kept is lost.
    fn decide_rest(&self, until: Instant) {
        loop {
            self.queue.wait_for_room(until);
            self.decide(|shard| !self.queue.is_full() && shard.decide_rest(TRACES_PER_LOCK));
            if self.shards.iter().all(|shard| lock(shard).traces() == 0) {
                return;
            }
        }
    }

    /// Runs `step` on each shard until it returns false, and queues what is kept in requests of a useful size.
    fn decide(&self, step: impl Fn(&mut Sampler) -> bool) {
        let mut joined = Joined::default();
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        for index in 0..self.shards.len() {
            let shard = &self.shards[first.wrapping_add(index) % self.shards.len()];
            loop {
                let mut shard = lock(shard);
                let more = step(&mut shard);
                let kept: Vec<Kept> = std::iter::from_fn(|| shard.take_kept()).collect();
                drop(shard);
                kept.into_iter()
                    .for_each(|kept| joined.add(kept, &self.queue));
                if !more {
                    break;
                }
            }
        }
        joined.flush(&self.queue);
    }

    fn report(&self) -> Report {
        self.totals().1
    }

    fn publish(&self) {
        let (account, report, levels) = self.totals();
        metrics::publish(&self.config, &account, &report, &levels);
    }

    fn totals(&self) -> (Account, Report, metrics::Levels) {
        // The queue first: what it has sent by now, its shard has counted as kept before.
        let exported = self.queue.exported();
        let mut account = Account::default();
        let mut levels = metrics::Levels {
            queued_requests: exported.waiting_requests as u64,
            queued_bytes: exported.waiting_bytes as u64,
            ..metrics::Levels::default()
        };
        for shard in &self.shards {
            let shard = lock(shard);
            account.add(shard.account());
            levels.traces += shard.traces() as u64;
            levels.spans += shard.buffered_spans() as u64;
            levels.bytes += shard.buffered_bytes() as u64;
        }
        let refused = Refused {
            spans: self.refused.load(Ordering::Relaxed),
            malformed_requests: self.malformed.load(Ordering::Relaxed),
        };
        let report = Report::new(&account, &exported, refused, &levels);
        (account, report, levels)
    }
}

/// Requests of several shards on their way to the queue. Serialised requests that follow each other are one request: the
/// protocol's only field is repeated.
#[derive(Default)]
struct Joined {
    bytes: Vec<u8>,
    spans: u64,
}

impl Joined {
    fn add(&mut self, kept: Kept, queue: &Queue) {
        self.bytes.extend_from_slice(&kept.request);
        self.spans += kept.spans;
        if self.bytes.len() >= EXPORT_BYTES {
            self.flush(queue);
        }
    }

    fn flush(&mut self, queue: &Queue) {
        let Self { bytes, spans } = std::mem::take(self);
        if spans > 0 {
            queue.push(Kept {
                request: bytes.into(),
                spans,
            });
        }
    }
}

/// The bounds of each shard, rounded up.
fn shard_limits(config: &Config, options: &Options) -> impl Iterator<Item = Limits> {
    let shards = options.shards.max(1);
    // Without a cache the real Collector remembers a decision for as long as the trace is among its `num_traces`.
    let remembered =
        move |size: usize| if size == 0 { config.num_traces } else { size }.div_ceil(shards);
    (0..shards).map(move |shard| Limits {
        decision_wait: config.decision_wait,
        traces_max: config.num_traces.div_ceil(shards),
        spans_per_trace_max: options.spans_per_trace_max.max(1),
        trace_bytes_max: config.trace_bytes_max.unwrap_or(u64::MAX),
        bytes_max: (options.buffered_bytes_max / shards).max(SHARD_BYTES_MIN),
        kept_remembered: remembered(config.sampled_cache_size),
        dropped_remembered: remembered(config.non_sampled_cache_size),
        first_capacity: FIRST_CAPACITY + shard * FIRST_CAPACITY / shards,
    })
}

fn spawn_ticker(shared: Arc<Shared>, period: Duration) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name("collector-ticker".to_owned())
        .spawn(move || {
            let mut stopping = lock(&shared.stopping);
            while !*stopping {
                let waited = shared
                    .stopped
                    .wait_timeout(stopping, period)
                    .expect("no holder of the lock panics");
                stopping = waited.0;
                if waited.1.timed_out() && !*stopping {
                    drop(stopping);
                    shared.tick();
                    stopping = lock(&shared.stopping);
                }
            }
        })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder of the lock panics")
}
