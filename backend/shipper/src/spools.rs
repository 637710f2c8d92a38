//! The spools of all services, looked after whatever destinations do.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use conventions::metrics as names;
use metrics::counter;
use tokio_util::sync::CancellationToken;

use crate::{Options, SPOOL, positions::Positions, spool::Spool, tail::Rules};

/// Between two looks at the log folder: a rotated file must not be deleted sooner than it is seen.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A failure that goes on is said again after this.
const SAY_AGAIN_AFTER: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Spools {
    all: Vec<Arc<Spool>>,
    failures: AtomicU64,
}

impl Spools {
    /// With the files that an earlier process kept, for destinations with these positions.
    pub(crate) fn open(
        options: &Options,
        positions: &[Positions],
        bytes_max: u64,
        rules: Rules,
    ) -> io::Result<Self> {
        let spool = |service: &String| {
            let folder = options.state.join(SPOOL).join(service);
            let taken = positions.iter().map(|positions| positions.get(service));
            let spool = Spool::open(service, &options.logs, folder, taken, bytes_max, rules)?;
            Ok(Arc::new(spool))
        };
        let spools = options.services.iter().map(spool);
        let spools = Self {
            all: spools.collect::<io::Result<_>>()?,
            failures: AtomicU64::new(0),
        };
        // What cannot be kept now may be later: whoever looks on counts it and says so.
        let _ = spools.look();
        Ok(spools)
    }

    pub(crate) fn all(&self) -> &[Arc<Spool>] {
        &self.all
    }

    /// Counts a file that could not be read or kept.
    pub(crate) fn failed(&self) {
        self.failures.fetch_add(1, Relaxed);
        counter!(names::SHIPPER_FILE_FAILURES).increment(1);
    }

    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Relaxed)
    }

    /// Takes what is new. A service whose files cannot be kept does not hold up the others.
    pub(crate) fn look(&self) -> io::Result<()> {
        let looks = self.all.iter().map(|spool| spool.look());
        looks.fold(Ok(()), Result::and)
    }

    /// Looks until it is told to end, and blocks its thread.
    pub(crate) fn keep_looking(&self, ending: &CancellationToken) {
        let mut said_at: Option<Instant> = None;
        while !ending.is_cancelled() {
            match self.look() {
                Ok(()) => said_at = None,
                Err(error) => {
                    self.failed();
                    if said_at.is_none_or(|at| at.elapsed() > SAY_AGAIN_AFTER) {
                        said_at = Some(Instant::now());
                        tracing::error!(error = %error, "log files cannot be kept until they are delivered");
                    }
                }
            }
            thread::sleep(LOOK_EVERY);
        }
    }
}
