//! All targets of a configuration: finding them, scraping each at its own instant, and saying how they are.
//!
//! What a scrape means is the matter of [`crate::state`]. With [`Drive::Loops`] every target has a task of its own, so that a
//! slow one holds up nobody; with [`Drive::Calls`] nothing happens but on [`Manager::scrape_once`], for virtual clocks.

mod job;
mod scraping;
mod view;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync, sync::Semaphore, task::JoinSet, time};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use crate::fetch::ClientError;
pub use view::{Dropped, Health, TargetStatus, Targets};

use crate::{config::Config, fetch::Fetcher, sink::Sink};
use job::JobTargets;

/// Targets of one job, at most, whatever the configuration says. With more, none of the job is scraped.
pub const TARGETS_PER_JOB_MAX: usize = 10_000;
/// Dropped targets that are shown, of each job.
pub const DROPPED_TARGETS_MAX: usize = 1_000;
/// How often discovery files are looked at, if not more often by their configuration. Prometheus watches them.
const DISCOVERY_PAUSE: Duration = Duration::from_secs(5);
/// Pages read at the same time. Reading is work for processors, of which there are few.
const PAGES_AT_ONCE_MAX: usize = 4;

/// Milliseconds since 1970.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// What makes scrapes happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drive {
    Loops,
    Calls,
}

/// Scrapes what its configuration says.
pub struct Manager<S: Sink> {
    shared: Arc<Shared<S>>,
    /// One change at a time.
    jobs: sync::Mutex<Vec<JobTargets<S>>>,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

/// What every scrape needs.
struct Shared<S: Sink> {
    sink: Arc<S>,
    fetcher: Fetcher,
    clock: Clock,
    drive: Drive,
    reading: Arc<Semaphore>,
    tasks: TaskTracker,
    /// The targets as they were after the last change.
    targets: Mutex<view::View<S>>,
}

impl<S: Sink> Manager<S> {
    /// Without targets; in a Tokio runtime.
    ///
    /// # Errors
    /// There can be no HTTP client.
    pub fn new(sink: Arc<S>, clock: Clock, drive: Drive) -> Result<Arc<Self>, ClientError> {
        let tasks = TaskTracker::new();
        let manager = Arc::new(Self {
            shared: Arc::new(Shared {
                sink,
                fetcher: Fetcher::new()?,
                clock,
                drive,
                reading: Arc::new(Semaphore::new(PAGES_AT_ONCE_MAX)),
                tasks: tasks.clone(),
                targets: Mutex::default(),
            }),
            jobs: sync::Mutex::default(),
            stopping: CancellationToken::new(),
            tasks,
        });
        if drive == Drive::Loops {
            let discovering = Arc::clone(&manager).keep_discovering();
            manager.tasks.spawn(
                manager
                    .stopping
                    .clone()
                    .run_until_cancelled_owned(discovering),
            );
        }
        Ok(manager)
    }

    /// Scrapes by this configuration from now on. Targets that stay keep their rhythm and their series; those that go end.
    pub async fn apply(&self, config: Config) {
        let mut jobs = self.jobs.lock().await;
        if self.stopping.is_cancelled() {
            return;
        }
        let mut old: HashMap<String, JobTargets<S>> = jobs
            .drain(..)
            .map(|job| (job.name().to_owned(), job))
            .collect();
        // What goes ends before anything new begins, so that no marker comes after a sample of the same series.
        let stays = |name: &str| config.jobs.iter().any(|job| job.name == name);
        for (_, job) in old.extract_if(|name, _| !stays(name)) {
            job.end(&self.shared).await;
        }
        for config in config.jobs {
            let mut job = old.remove(&config.name).unwrap_or_default();
            job.configure(Arc::new(config), &self.shared).await;
            jobs.push(job);
        }
        self.publish(&jobs);
    }

    /// Reads the discovery files again.
    pub async fn discover(&self) {
        let mut jobs = self.jobs.lock().await;
        if self.stopping.is_cancelled() {
            return;
        }
        for job in jobs.iter_mut() {
            job.discover(&self.shared).await;
        }
        self.publish(&jobs);
    }

    /// Scrapes every target now, which is `now_ms`. Returns when all samples are stored.
    pub async fn scrape_once(&self, now_ms: i64) {
        // Held throughout: what ends meanwhile must not be scraped after its end.
        let jobs = self.jobs.lock().await;
        let mut scrapes = JoinSet::new();
        for target in jobs.iter().flat_map(JobTargets::targets) {
            let (target, shared) = (Arc::clone(target), Arc::clone(&self.shared));
            scrapes.spawn(async move { target.scrape(&shared, now_ms).await });
        }
        while scrapes.join_next().await.is_some() {}
    }

    /// How all targets are.
    pub fn targets(&self) -> Targets {
        self.shared.view().show()
    }

    /// Ends all scrapes; a page that is being read is read to its end. Nothing is scraped afterwards.
    ///
    /// No series ends by it, as in Prometheus: targets outlive whoever scrapes them, and after a short stop rules must find
    /// what they found before.
    pub async fn stop(&self) {
        self.stopping.cancel();
        let mut jobs = self.jobs.lock().await;
        for job in jobs.drain(..) {
            job.halt().await;
        }
        self.publish(&jobs);
        self.tasks.close();
        self.tasks.wait().await;
    }

    async fn keep_discovering(self: Arc<Self>) {
        loop {
            let refresh = {
                let jobs = self.jobs.lock().await;
                jobs.iter().filter_map(JobTargets::refresh).min()
            };
            time::sleep(refresh.unwrap_or(DISCOVERY_PAUSE).min(DISCOVERY_PAUSE)).await;
            self.discover().await;
        }
    }

    fn publish(&self, jobs: &[JobTargets<S>]) {
        *self.shared.view() = view::View::of(jobs);
    }
}

impl<S: Sink> Shared<S> {
    fn now_ms(&self) -> i64 {
        (self.clock)()
    }

    fn view(&self) -> std::sync::MutexGuard<'_, view::View<S>> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
