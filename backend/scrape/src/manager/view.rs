//! How targets are, for whoever asks: health, last error, last scrape, metadata.

use std::{sync::Arc, time::Duration};

use tsdb::Labels;

use super::{job::JobTargets, scraping::Scraped};
use crate::{sink::Sink, state::Family, target::Target};

/// All targets at one moment.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    /// By job, in the order of the configuration.
    pub active: Vec<TargetStatus>,
    pub dropped: Vec<Dropped>,
}

/// What relabelling dropped of one job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    pub job: String,
    pub count: usize,
    /// Labels before relabelling, of [`super::DROPPED_TARGETS_MAX`] at most.
    pub discovered: Vec<Labels>,
}

/// One target.
#[derive(Clone, Debug)]
pub struct TargetStatus {
    /// Its job, its labels before and after relabelling, where and how often it is scraped.
    pub target: Arc<Target>,
    pub health: Health,
    /// Empty while it is well.
    pub last_error: String,
    pub last_scrape_ms: Option<i64>,
    pub last_duration: Duration,
    /// What it says about its metrics.
    pub families: Arc<[Family]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Not scraped yet.
    Unknown,
    Up,
    Down,
}

impl Health {
    /// As the API calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

impl TargetStatus {
    pub(super) fn new(target: Arc<Target>) -> Self {
        Self {
            target,
            health: Health::Unknown,
            last_error: String::new(),
            last_scrape_ms: None,
            last_duration: Duration::ZERO,
            families: Arc::new([]),
        }
    }
}

/// What there is to show, without a copy of it.
pub(super) struct View<S: Sink> {
    active: Vec<Arc<Scraped<S>>>,
    dropped: Vec<Dropped>,
}

impl<S: Sink> Default for View<S> {
    fn default() -> Self {
        Self {
            active: Vec::new(),
            dropped: Vec::new(),
        }
    }
}

impl<S: Sink> View<S> {
    pub(super) fn of(jobs: &[JobTargets<S>]) -> Self {
        Self {
            active: jobs.iter().flat_map(JobTargets::targets).cloned().collect(),
            dropped: jobs.iter().map(|job| job.dropped().clone()).collect(),
        }
    }

    pub(super) fn show(&self) -> Targets {
        Targets {
            active: self.active.iter().map(|scraped| scraped.status()).collect(),
            dropped: self.dropped.clone(),
        }
    }
}
