//! The spools of all services, looked after whatever destinations do.

use std::{
    io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use crate::{Options, SPOOL, positions::Positions, spool::Spool, tail::Rules};

/// Between two looks at the log folder: a rotated file must not be deleted sooner than it is seen.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A failure that goes on is said again after this.
const SAY_AGAIN_AFTER: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Spools(Vec<Arc<Spool>>);

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
        let spools = Self(spools.collect::<io::Result<_>>()?);
        spools.look()?;
        Ok(spools)
    }

    pub(crate) fn all(&self) -> &[Arc<Spool>] {
        &self.0
    }

    /// Takes what is new.
    pub(crate) fn look(&self) -> io::Result<()> {
        self.0.iter().try_for_each(|spool| spool.look())
    }

    /// Looks until it is told to end, and blocks its thread.
    pub(crate) fn keep_looking(&self, ending: &CancellationToken) {
        let mut said_at: Option<Instant> = None;
        while !ending.is_cancelled() {
            if let Err(error) = self.look()
                && said_at.is_none_or(|at| at.elapsed() > SAY_AGAIN_AFTER)
            {
                said_at = Some(Instant::now());
                tracing::error!(error = %error, "log files cannot be kept until they are delivered");
            }
            thread::sleep(LOOK_EVERY);
        }
    }
}
