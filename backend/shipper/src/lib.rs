//! Ships log files: every line of every service arrives at every destination at least once, unchanged.
//!
//! The files are the buffer. A spool keeps the files of a service in their order, so that a rotation loses nothing while a destination
//! is away; each destination has its own durable position, moved only when it has taken a batch, and tries for ever. Destinations
//! speak the wire formats of Loki and CloudWatch Logs. Nothing is parsed but what labels a line. On disk: `docs/formats/shipper.md`.

mod batch;
mod cloudwatch;
mod counts;
mod delivery;
mod http;
mod line;
mod loki;
mod names;
mod positions;
mod spool;
mod spools;
mod tail;

use std::{
    collections::HashSet,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, SystemTime},
};

use cloudwatch::CloudWatch;
use counts::Counts;
use delivery::{Delivery, Sender};
use loki::Loki;
use positions::Positions;
use spools::Spools;
use tail::Rules;
use tokio::runtime;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

pub use batch::{BATCH_BYTES_MAX, LINE_BYTES_MAX};
pub use cloudwatch::Signer;
pub use counts::Stats;
pub use http::ClientError;

/// In the state folder.
const SPOOL: &str = "spool";
const LOCK: &str = "lock";

/// What time it is.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Where lines come from and where they go.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder with `<service>.log`, rotated to `<service>.log.1` and so on.
    pub logs: PathBuf,
    /// Whose files are followed.
    pub services: Vec<String>,
    /// Folder of positions and of links to the files that wait, on the same filesystem as `logs`.
    pub state: PathBuf,
    /// Label `env`, and part of a group's name.
    pub env: String,
    pub destinations: Vec<Destination>,
}

/// Who takes lines; one of each kind.
#[derive(Clone, Debug)]
pub enum Destination {
    /// Lines are pushed to `/loki/api/v1/push` of this address.
    Loki { url: String },
    /// Groups are `/tripod/{env}/{service}`, made when they are missing.
    CloudWatch {
        /// `https://logs.<region>.amazonaws.com`, or an endpoint of one's own.
        url: String,
        /// Name of the stream: who writes.
        stream: String,
        /// Of groups that are made. One of the numbers that AWS takes; without it they keep everything.
        retention_days: Option<u32>,
        /// Certificates that are trusted instead of the platform's.
        ca_file: Option<PathBuf>,
        /// Without it requests are not signed, which AWS does not take.
        signer: Option<Signer>,
    },
}

/// Every bound and wait that may have to be another one.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of files of one service that may wait, those that the log folder still has included. Of what is more, the oldest file is
    /// let go and its lines are counted as lost.
    pub spool_bytes_max: u64,
    /// A line without an end is taken as it is after this.
    pub unfinished_max: Duration,
    /// A file that was rotated away is left when nobody has written to it for this long.
    pub quiet_min: Duration,
    /// How long one request may take.
    pub request_timeout: Duration,
    /// The longest pause between two attempts.
    pub pause_max: Duration,
    /// A destination that refuses every single line is tried again for this long before they are passed over.
    pub refused_for_max: Duration,
}

/// It cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(
        "{0:?} is no name of a service or an environment: letters, digits, `-`, `_` and `.` are"
    )]
    Name(String),
    #[error("two destinations are called {0}")]
    Twice(&'static str),
    #[error("{} is in use by another shipper", .0.display())]
    InUse(PathBuf),
    #[error("cannot use {}", path.display())]
    State { path: PathBuf, source: io::Error },
    #[error("cannot reach {destination}")]
    Client {
        destination: &'static str,
        source: ClientError,
    },
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
}

/// Everything of it that runs: a thread for each destination, and one that looks after the files.
#[derive(Debug)]
pub struct Shipper {
    /// No more than what is there.
    stopping: CancellationToken,
    /// Nothing more. Also when it is dropped.
    ending: CancellationToken,
    _dropped: DropGuard,
    deliveries: TaskTracker,
    looking: TaskTracker,
    spools: Arc<Spools>,
    counts: Vec<Arc<Counts>>,
    _lock: File,
}

impl Shipper {
    /// Begins where it ended. A rustls provider must be installed.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(options: Options) -> Result<Self, StartError> {
        Self::start_with(options, Limits::default(), Arc::new(SystemTime::now))
    }

    /// The same with other limits, and a clock by which waits are measured and lines without a time are dated.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start_with(options: Options, limits: Limits, clock: Clock) -> Result<Self, StartError> {
        counts::describe();
        let mut all = options.services.iter().chain([&options.env]);
        if let Some(odd) = all.find(|name| !line::is_name(name)) {
            return Err(StartError::Name(odd.clone()));
        }
        let mut names = HashSet::new();
        if let Some(twice) = options
            .destinations
            .iter()
            .find(|of| !names.insert(of.name()))
        {
            return Err(StartError::Twice(twice.name()));
        }
        let lock = lock(&options)?;
        let state = |source| StartError::State {
            path: options.state.clone(),
            source,
        };
        let names = options.destinations.iter().map(Destination::name);
        let positions = names.map(|name| Positions::open(&options.state, name));
        let positions = positions.collect::<Result<Vec<_>, _>>().map_err(state)?;
        let rules = Rules {
            bytes_max: BATCH_BYTES_MAX,
            unfinished_max: limits.unfinished_max,
            quiet_min: limits.quiet_min,
        };
        let spools = Spools::open(&options, &positions, limits.spool_bytes_max, rules);
        let spools = spools.map_err(state)?;
        let counts = options.destinations.iter();
        let ending = CancellationToken::new();
        let shipper = Self {
            stopping: CancellationToken::new(),
            _dropped: ending.clone().drop_guard(),
            ending,
            deliveries: TaskTracker::new(),
            looking: TaskTracker::new(),
            spools: Arc::new(spools),
            counts: counts.map(|of| Arc::new(Counts::new(of.name()))).collect(),
            _lock: lock,
        };
        for (index, positions) in positions.into_iter().enumerate() {
            let destination = &options.destinations[index];
            let name = destination.name();
            let delivery = Delivery {
                index,
                sender: destination.sender(&options.env, &limits, &clock)?,
                positions,
                spools: Arc::clone(&shipper.spools),
                counts: Arc::clone(&shipper.counts[index]),
                limits: limits.clone(),
                clock: Arc::clone(&clock),
                stopping: shipper.stopping.clone(),
                said_at: None,
                refuses_since: None,
            };
            shipper.deliver(name, delivery)?;
        }
        shipper.look_after_files()?;
        shipper.deliveries.close();
        shipper.looking.close();
        Ok(shipper)
    }

    /// What became of the lines so far, by destination.
    pub fn stats(&self) -> Vec<Stats> {
        self.counts.iter().map(|counts| counts.stats()).collect()
    }

    /// How often a file or a position could not be read or kept so far. It is tried again until it can.
    pub fn file_failures(&self) -> u64 {
        self.spools.failures()
    }

    /// Delivers what is there, to destinations that take it, for no longer than `deadline`, and ends. What is not delivered then is
    /// at the next start.
    pub async fn stop(self, deadline: Duration) -> Vec<Stats> {
        if let Err(error) = self.spools.look() {
            tracing::error!(error = %error, "the newest log files are left for the next start");
        }
        self.stopping.cancel();
        // Positions are on disk whenever this breaks off.
        let _ = tokio::time::timeout(deadline, self.deliveries.wait()).await;
        self.ending.cancel();
        self.deliveries.wait().await;
        self.looking.wait().await;
        self.counts.iter().map(|counts| counts.stats()).collect()
    }

    fn deliver(&self, name: &str, delivery: Delivery) -> Result<(), StartError> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(StartError::Thread)?;
        let (running, ending) = (self.deliveries.token(), self.ending.clone());
        spawn(name, move || {
            runtime.block_on(ending.run_until_cancelled(delivery.run()));
            drop(running);
        })
    }

    fn look_after_files(&self) -> Result<(), StartError> {
        let (spools, ending) = (Arc::clone(&self.spools), self.ending.clone());
        let running = self.looking.token();
        spawn("files", move || {
            spools.keep_looking(&ending);
            drop(running);
        })
    }
}

impl Destination {
    fn name(&self) -> &'static str {
        match self {
            Self::Loki { .. } => "loki",
            Self::CloudWatch { .. } => "cloudwatch",
        }
    }

    fn sender(&self, env: &str, limits: &Limits, clock: &Clock) -> Result<Sender, StartError> {
        let client = |ca_file: Option<&Path>| {
            http::client(ca_file, limits.request_timeout).map_err(|source| StartError::Client {
                destination: self.name(),
                source,
            })
        };
        Ok(match self {
            Self::Loki { url } => Sender::Loki(Box::new(Loki::new(client(None)?, url, env))),
            Self::CloudWatch {
                url,
                stream,
                retention_days,
                ca_file,
                signer,
            } => Sender::CloudWatch(Box::new(CloudWatch {
                client: client(ca_file.as_deref())?,
                url: format!("{}/", url.trim_end_matches('/')),
                env: env.to_owned(),
                stream: stream.clone(),
                retention_days: *retention_days,
                signer: signer.clone(),
                clock: Arc::clone(clock),
            })),
        })
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            spool_bytes_max: 1 << 30,
            unfinished_max: Duration::from_secs(5),
            quiet_min: Duration::from_secs(1),
            request_timeout: Duration::from_secs(30),
            pause_max: Duration::from_secs(5),
            refused_for_max: Duration::from_secs(60),
        }
    }
}

/// Two shippers would move the same positions.
fn lock(options: &Options) -> Result<File, StartError> {
    let path = options.state.join(LOCK);
    let failed = |source| StartError::State {
        path: path.clone(),
        source,
    };
    fs::create_dir_all(&options.state).map_err(failed)?;
    let file = File::create(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StartError::InUse(options.state.clone())),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), StartError> {
    let thread = thread::Builder::new().name(format!("shipper-{name}"));
    thread.spawn(run).map_err(StartError::Thread)?;
    Ok(())
}
