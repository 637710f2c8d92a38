//! One target while it is scraped: its state, its status, and the loop that comes back to it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use conventions::metrics as names;
use metrics::counter;
use tokio::{sync, task, time};
use tokio_util::sync::CancellationToken;

use super::{Clock, Health, Shared, TargetStatus};
use crate::{
    fetch::{FetchError, Fetched},
    sink::Sink,
    state::{Attempt, Failure, Page, ScrapeError, State, Summary},
    target::Target,
};

/// A scrape that begins this late has the time at which it should have begun: even distances compress better.
const LATE_MS_MAX: i64 = 2;
/// Values of the label `outcome`.
const OUTCOME_SUCCESS: &str = "success";
const OUTCOME_FAILED: &str = "failed";

pub(super) struct Scraped<S: Sink> {
    state: Arc<sync::Mutex<State<S::Series>>>,
    status: Mutex<TargetStatus>,
    /// Why it is not even asked.
    forbidden: Mutex<Option<String>>,
    stopping: Mutex<CancellationToken>,
}

impl<S: Sink> Scraped<S> {
    pub(super) fn new(target: Arc<Target>) -> Arc<Self> {
        Arc::new(Self {
            state: Arc::new(sync::Mutex::new(State::new(Arc::clone(&target)))),
            status: Mutex::new(TargetStatus::new(target)),
            forbidden: Mutex::default(),
            stopping: Mutex::default(),
        })
    }

    pub(super) fn status(&self) -> TargetStatus {
        lock(&self.status).clone()
    }

    pub(super) fn target(&self) -> Arc<Target> {
        Arc::clone(&lock(&self.status).target)
    }

    /// Every scrape fails with this, from now on.
    pub(super) fn forbid(&self, reason: Option<String>) {
        *lock(&self.forbidden) = reason;
    }

    /// Begins to scrape at the target's own instants.
    pub(super) fn start(self: &Arc<Self>, shared: &Arc<Shared<S>>) {
        let stopping = CancellationToken::new();
        *lock(&self.stopping) = stopping.clone();
        let repeating = Arc::clone(self).repeat(Arc::clone(shared));
        shared
            .tasks
            .spawn(stopping.run_until_cancelled_owned(repeating));
    }

    /// The same target under another configuration.
    pub(super) async fn reconfigure(&self, target: Arc<Target>) {
        lock(&self.stopping).cancel();
        self.state.lock().await.reconfigure(Arc::clone(&target));
        lock(&self.status).target = target;
    }

    /// No further scrape. Waits for a page that is being read; one that is being fetched is given up.
    pub(super) async fn halt(&self) -> sync::OwnedMutexGuard<State<S::Series>> {
        lock(&self.stopping).cancel();
        Arc::clone(&self.state).lock_owned().await
    }

    /// No further scrape, and markers for all its series.
    pub(super) async fn end(&self, shared: &Shared<S>) {
        let mut state = self.halt().await;
        let (sink, now_ms) = (Arc::clone(&shared.sink), shared.now_ms());
        let ended = task::spawn_blocking(move || state.stop(now_ms, &*sink)).await;
        if let Ok(Err(error)) = ended {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "cannot store that the series of a target end"
            );
        }
    }

    /// One scrape, stored at `t_ms`.
    pub(super) async fn scrape(self: &Arc<Self>, shared: &Arc<Shared<S>>, t_ms: i64) {
        let mut state = Arc::clone(&self.state).lock_owned().await;
        let started = Instant::now();
        let forbidden = lock(&self.forbidden).clone();
        let fetched = match forbidden {
            Some(reason) => Err(reason),
            None => shared
                .fetcher
                .fetch(&self.target())
                .await
                .map_err(|error| told(&error)),
        };
        let duration = started.elapsed();
        let permit = Arc::clone(&shared.reading).acquire_owned().await;
        let (scraped, sink) = (Arc::clone(self), Arc::clone(&shared.sink));
        // Runs to its end even if the loop is stopped: the state must not stay half-way.
        let stored = task::spawn_blocking(move || {
            let summary = read(&mut state, fetched, t_ms, duration, &*sink);
            count(&summary);
            scraped.tell(&state, t_ms, duration, summary.error);
            drop(permit);
        });
        if stored.await.is_err() {
            tracing::error!("reading a page broke off");
        }
    }

    async fn repeat(self: Arc<Self>, shared: Arc<Shared<S>>) {
        let target = self.target();
        let interval = Duration::from_millis(target.interval_ms.unsigned_abs());
        let mut next_ms = target.next_scrape_ms(shared.now_ms());
        loop {
            let now_ms = wait_until(next_ms, interval, &shared.clock).await;
            let is_on_time = (0..=LATE_MS_MAX).contains(&now_ms.saturating_sub(next_ms));
            let t_ms = if is_on_time { next_ms } else { now_ms };
            self.scrape(&shared, t_ms).await;
            // What was missed meanwhile is left out.
            next_ms = target.next_scrape_ms(shared.now_ms().max(t_ms) + 1);
        }
    }

    fn tell(
        &self,
        state: &State<S::Series>,
        t_ms: i64,
        duration: Duration,
        error: Option<ScrapeError>,
    ) {
        let families = state.families();
        let mut status = lock(&self.status);
        let before = status.health;
        status.health = if error.is_none() {
            Health::Up
        } else {
            Health::Down
        };
        status.last_error = error.as_ref().map(ToString::to_string).unwrap_or_default();
        status.last_scrape_ms = Some(t_ms);
        status.last_duration = duration;
        if *status.families != *families {
            status.families = families.into();
        }
        // Once for each outage.
        if let Some(error) = error.filter(|_| before != Health::Down) {
            let url = status.target.url.as_str();
            tracing::warn!(
                url,
                error = &error as &dyn std::error::Error,
                "target is down"
            );
        }
    }
}

/// Waits until the clock says so, but no longer than one interval: a clock that was set back makes nobody wait for it.
async fn wait_until(t_ms: i64, interval: Duration, clock: &Clock) -> i64 {
    let latest = time::Instant::now() + interval;
    loop {
        let now_ms = clock();
        let rest = Duration::from_millis(t_ms.saturating_sub(now_ms).max(0).unsigned_abs());
        if rest.is_zero() || time::Instant::now() >= latest {
            return now_ms;
        }
        time::sleep_until(latest.min(time::Instant::now() + rest)).await;
    }
}

fn read<S: Sink>(
    state: &mut State<S::Series>,
    fetched: Result<Fetched, String>,
    t_ms: i64,
    duration: Duration,
    sink: &S,
) -> Summary {
    let page = fetched.and_then(|fetched| {
        let content_type = fetched.content_type.clone();
        let body = fetched.into_body().map_err(|error| told(&error))?;
        Ok((body, content_type))
    });
    let page = match &page {
        Ok((body, content_type)) => Ok(Page { body, content_type }),
        Err(reason) => Err(Failure(reason)),
    };
    state.scrape(
        Attempt {
            t_ms,
            duration,
            page,
        },
        sink,
    )
}

/// The text, after counting what is counted apart.
fn told(error: &FetchError) -> String {
    if matches!(error, FetchError::TooLong) {
        counter!(names::PROMETHEUS_SCRAPES_OVER_BODY_LIMIT).increment(1);
    }
    error.to_string()
}

fn count(summary: &Summary) {
    let outcome = if summary.error.is_none() {
        OUTCOME_SUCCESS
    } else {
        OUTCOME_FAILED
    };
    counter!(names::SCRAPES, names::OUTCOME => outcome).increment(1);
    match summary.error {
        Some(ScrapeError::SampleLimit) => {
            counter!(names::PROMETHEUS_SCRAPES_OVER_SAMPLE_LIMIT).increment(1)
        }
        Some(ScrapeError::LabelLimit(_)) => {
            counter!(names::PROMETHEUS_SCRAPES_OVER_LABEL_LIMITS).increment(1)
        }
        _ => {}
    }
    let refused = summary.refused;
    let counts = [
        (names::PROMETHEUS_SAMPLES_OUT_OF_ORDER, refused.out_of_order),
        (names::PROMETHEUS_SAMPLES_DUPLICATE, refused.duplicate),
        (
            names::PROMETHEUS_SAMPLES_OUT_OF_BOUNDS,
            refused.out_of_bounds,
        ),
        (
            names::PROMETHEUS_EXEMPLARS_OUT_OF_ORDER,
            refused.exemplars_out_of_order,
        ),
        (names::SCRAPE_SAMPLES_REFUSED, refused.other),
    ];
    for (name, number) in counts {
        counter!(name).increment(number);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
