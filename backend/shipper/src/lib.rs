//! Ships log files: every line of every service arrives at every destination at least once, unchanged.
//!
//! The files are the buffer. [`spool`](crate) keeps the files of a service open in their order, so that a rotation loses nothing
//! while a destination is away; each destination has its own durable position, moved only when it has taken a batch, and tries
//! for ever. Destinations speak the wire formats of Loki and CloudWatch Logs. Nothing is parsed but what labels a line.

mod batch;
mod cloudwatch;
mod delivery;
mod line;
mod loki;
mod own_metrics;
mod positions;
mod spool;

use std::{path::PathBuf, time::Duration};

use delivery::Delivery;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use batch::{BATCH_BYTES_MAX, BATCH_LINES_MAX};
pub use line::LINE_BYTES_MAX;
pub use positions::PositionsError;
pub use spool::SPOOL_BYTES_MAX;

/// Where lines come from and where they go.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder with `<service>.log`, rotated to `<service>.log.1` and so on.
    pub logs: PathBuf,
    /// Whose files are followed.
    pub services: Vec<String>,
    /// Folder of the positions.
    pub state: PathBuf,
    /// Label `env`.
    pub env: String,
    pub destinations: Vec<Destination>,
}

/// Who takes lines.
#[derive(Clone, Debug)]
pub enum Destination {
    /// Base URL; lines are pushed to `/loki/api/v1/push`.
    Loki { url: String },
    /// An endpoint of CloudWatch Logs that checks no signatures, such as the embedded one. Groups are `/tripod/{env}/{service}`, the
    /// stream is named after the process that writes.
    CloudWatch { url: String, stream: String },
}

/// It cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot keep positions")]
    Positions(#[from] PositionsError),
    #[error("there is no HTTP client")]
    Client(#[source] reqwest::Error),
}

/// Everything of it that runs.
pub struct Shipper {
    stopping: CancellationToken,
    tasks: TaskTracker,
}

impl Shipper {
    /// Begins where it ended; in a Tokio runtime. A rustls provider must be installed.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(options: Options) -> Result<Self, StartError> {
        own_metrics::describe();
        let (stopping, tasks) = (CancellationToken::new(), TaskTracker::new());
        let client = reqwest::Client::builder()
            .no_proxy()
            .user_agent(concat!("tripod-shipper/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(StartError::Client)?;
        let mut spools = Vec::new();
        for destination in &options.destinations {
            let delivery = Delivery::open(&options, destination, client.clone())?;
            spools.extend(delivery.spools());
            tasks.spawn(delivery.run(stopping.clone()));
        }
        let looking = delivery::keep_looking(spools);
        tasks.spawn(stopping.clone().run_until_cancelled_owned(looking));
        tasks.close();
        Ok(Self { stopping, tasks })
    }

    /// Delivers what is there, for no longer than `deadline`, and ends. What is not delivered then is at the next start.
    pub async fn stop(self, deadline: Duration) {
        self.stopping.cancel();
        // Positions are on disk whenever this breaks off.
        let _ = tokio::time::timeout(deadline, self.tasks.wait()).await;
    }
}
