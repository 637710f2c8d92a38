//! The targets of one job: what its groups and discovery files say, compared with what is scraped.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use conventions::metrics as names;
use metrics::counter;
use tsdb::Labels;

use super::{DROPPED_TARGETS_MAX, Drive, Dropped, Shared, TARGETS_PER_JOB_MAX, scraping::Scraped};
use crate::{
    config::{self, Group, Job},
    sink::Sink,
    target::{self, Found, Target},
};

/// On every target of a discovery file, before relabelling.
const FILE_LABEL: &str = "__meta_filepath";

/// Labels and URL of a target.
type Key = (Labels, String);

pub(super) struct JobTargets<S: Sink> {
    job: Option<Arc<Job>>,
    /// What each discovery file said when it could last be read.
    discovered: BTreeMap<PathBuf, Vec<Group>>,
    targets: Vec<Arc<Scraped<S>>>,
    dropped: Dropped,
}

impl<S: Sink> Default for JobTargets<S> {
    fn default() -> Self {
        Self {
            job: None,
            discovered: BTreeMap::new(),
            targets: Vec::new(),
            dropped: Dropped::default(),
        }
    }
}

impl<S: Sink> JobTargets<S> {
    pub(super) fn name(&self) -> &str {
        self.job.as_ref().map_or("", |job| &job.name)
    }

    pub(super) fn targets(&self) -> impl Iterator<Item = &Arc<Scraped<S>>> {
        self.targets.iter()
    }

    pub(super) fn dropped(&self) -> &Dropped {
        &self.dropped
    }

    /// How often its files want to be read.
    pub(super) fn refresh(&self) -> Option<Duration> {
        let files = self.job.iter().flat_map(|job| &job.files);
        files
            .map(|files| Duration::from_millis(files.refresh_ms.unsigned_abs()))
            .min()
    }

    /// Scrapes by this configuration from now on.
    pub(super) async fn configure(&mut self, job: Arc<Job>, shared: &Arc<Shared<S>>) {
        self.job = Some(Arc::clone(&job));
        self.discovered = self.read_files(&job).await;
        self.compare(&job, shared).await;
    }

    /// Reads the files again.
    pub(super) async fn discover(&mut self, shared: &Arc<Shared<S>>) {
        let Some(job) = self.job.clone().filter(|job| !job.files.is_empty()) else {
            return;
        };
        let discovered = self.read_files(&job).await;
        if discovered != self.discovered {
            self.discovered = discovered;
            self.compare(&job, shared).await;
        }
    }

    /// No further scrape, and no marker.
    pub(super) async fn halt(self) {
        for scraped in self.targets {
            drop(scraped.halt().await);
        }
    }

    /// No further scrape, and markers.
    pub(super) async fn end(self, shared: &Shared<S>) {
        for scraped in self.targets {
            scraped.end(shared).await;
        }
    }

    /// A file that cannot be read keeps what it said before.
    async fn read_files(&self, job: &Arc<Job>) -> BTreeMap<PathBuf, Vec<Group>> {
        let (job, mut before) = (Arc::clone(job), self.discovered.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let patterns = job.files.iter().flat_map(|files| &files.files);
            let paths = patterns.flat_map(|pattern| list(pattern));
            paths
                .filter_map(|path| {
                    let groups = read(&path).or_else(|| before.remove(&path))?;
                    Some((path, groups))
                })
                .collect()
        });
        reading.await.unwrap_or_else(|_| self.discovered.clone())
    }

    /// Begins, changes and ends scraping so that it is what the groups say.
    async fn compare(&mut self, job: &Arc<Job>, shared: &Arc<Shared<S>>) {
        let (wanted, forbidden) = self.find(job);
        let old = self
            .targets
            .drain(..)
            .map(|scraped| (scraped.target().key(), scraped));
        let mut old: BTreeMap<Key, Arc<Scraped<S>>> = old.collect();
        // What goes ends before anything new begins, so that no marker comes after a sample of the same series.
        for (_, scraped) in old.extract_if(.., |key, _| !wanted.contains_key(key)) {
            scraped.end(shared).await;
        }
        for (key, target) in wanted {
            let (scraped, starts) = match old.remove(&key) {
                None => (Scraped::new(Arc::new(target)), true),
                Some(scraped) => {
                    let before = scraped.target();
                    let is_changed =
                        *before.job != *target.job || before.discovered != target.discovered;
                    if is_changed {
                        scraped.reconfigure(Arc::new(target)).await;
                    }
                    (scraped, is_changed)
                }
            };
            scraped.forbid(forbidden.clone());
            if starts && shared.drive == Drive::Loops {
                scraped.start(shared);
            }
            self.targets.push(scraped);
        }
    }

    /// Each target once, and why none of them may be scraped.
    fn find(&mut self, job: &Arc<Job>) -> (BTreeMap<Key, Target>, Option<String>) {
        self.dropped = Dropped {
            job: job.name.clone(),
            ..Dropped::default()
        };
        let groups = job.groups.iter().chain(self.discovered.values().flatten());
        let mut targets: BTreeMap<Key, Target> = BTreeMap::new();
        for (place, found) in groups
            .flat_map(|group| target::find(job, group))
            .enumerate()
        {
            match found {
                Found::Active(target) => {
                    targets.entry(target.key()).or_insert(target);
                }
                Found::Dropped(labels) => {
                    self.dropped.count += 1;
                    if self.dropped.discovered.len() < DROPPED_TARGETS_MAX {
                        self.dropped.discovered.push(labels);
                    }
                }
                Found::Invalid(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "a target is left out"
                    );
                }
            }
            if place >= 2 * TARGETS_PER_JOB_MAX {
                break;
            }
        }
        let count = targets.len();
        let limit = match usize::try_from(job.limits.targets).unwrap_or(usize::MAX) {
            0 => TARGETS_PER_JOB_MAX,
            limit => limit.min(TARGETS_PER_JOB_MAX),
        };
        let forbidden = (count > limit).then(|| {
            counter!(names::PROMETHEUS_JOBS_OVER_TARGET_LIMIT).increment(1);
            format!("target_limit exceeded (number of targets: {count}, limit: {limit})")
        });
        (
            targets.into_iter().take(TARGETS_PER_JOB_MAX).collect(),
            forbidden,
        )
    }
}

fn list(pattern: &Path) -> Vec<PathBuf> {
    config::matching_files(pattern).unwrap_or_else(|error| {
        counter!(names::PROMETHEUS_DISCOVERY_READ_ERRORS).increment(1);
        let path = pattern.display();
        tracing::error!(%path, error = &error as &dyn std::error::Error, "cannot list discovery files");
        Vec::new()
    })
}

fn read(path: &Path) -> Option<Vec<Group>> {
    let groups = config::read_groups(path).map_err(|error| {
        counter!(names::PROMETHEUS_DISCOVERY_READ_ERRORS).increment(1);
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "cannot use a discovery file"
        );
    });
    let mut groups = groups.ok()?;
    for group in &mut groups {
        let label = (FILE_LABEL.to_owned(), path.display().to_string());
        group.labels.push(label);
    }
    Some(groups)
}
