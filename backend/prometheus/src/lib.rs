//! The embedded Prometheus: one configuration, one store, scraping, rules and notification, on one clock.
//!
//! Only how the parts run together: [`scrape`], [`tsdb`], [`promql`] and [`alerting`] are crates of their own, and so are the
//! HTTP API (`server`) and the Alertmanager, which is told over HTTP as by the real one. With [`Drive::Loops`] everything
//! happens by itself; with [`Drive::Calls`] nothing does but on [`Prometheus::scrape_once`] and [`Prometheus::evaluate`].

mod configuration;
mod notifier;
mod own_metrics;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use alerting::{Notification, Rules, Surroundings};
use scrape::manager::{Manager, Targets};
use tokio::{task, time};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tsdb::Store;

pub use configuration::{Configuration, ConfigurationError};
use configuration::{Loaded, Read};
use notifier::Notifier;
pub use scrape::manager::{Clock, Drive};
pub use tsdb::Options as StorageOptions;

/// Time between two looks at what is too old.
const RETAIN_INTERVAL: Duration = Duration::from_secs(60);
/// How long nothing is evaluated without rules: a reload may bring some.
const IDLE_PAUSE: Duration = Duration::from_secs(5);

/// What it needs to know.
pub struct Options {
    pub configuration: Configuration,
    /// Folder of the samples.
    pub data: PathBuf,
    pub storage: StorageOptions,
    pub drive: Drive,
    pub clock: Clock,
    /// Where its API is, for links in alerts; without a slash at the end.
    pub external_url: String,
    /// Other addresses in place of those in the configuration, see [`scrape::config::Config::move_addresses`].
    pub moved: Moved,
}

/// Says where an address of the configuration really is; `None` if it is right as it is.
pub type Moved = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// It cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    #[error("the sample store {} does not open", path.display())]
    Storage { path: PathBuf, source: tsdb::Error },
    #[error(transparent)]
    Scraping(#[from] scrape::manager::ClientError),
    #[error("cannot make an HTTP client for alerts")]
    Notifying(#[source] reqwest::Error),
}

/// The last attempt to load the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reload {
    pub at_ms: i64,
    pub is_good: bool,
}

/// All of it, running.
pub struct Prometheus {
    configuration: Configuration,
    moved: Moved,
    drive: Drive,
    clock: Clock,
    external_url: String,
    started_at_ms: i64,
    store: Arc<Store>,
    scraping: Arc<Manager<Store>>,
    notifier: Notifier,
    rules: Mutex<Rules>,
    loaded: Mutex<Arc<Loaded>>,
    last_reload: Mutex<Reload>,
    /// One change at a time.
    reloading: tokio::sync::Mutex<()>,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

impl Prometheus {
    /// Opens the store, loads the configuration and begins; in a Tokio runtime.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(options: Options) -> Result<Arc<Self>, StartError> {
        own_metrics::describe();
        let read = options.configuration.read(&options.moved)?;
        let (folder, storage) = (options.data.clone(), options.storage);
        let opened = blocking(move || Store::open(&folder, storage)).await;
        let (store, recovery) = opened.map_err(|source| StartError::Storage {
            path: options.data,
            source,
        })?;
        say(&recovery);
        let store = Arc::new(store);
        let now_ms = (options.clock)();
        let scraping = Manager::new(
            Arc::clone(&store),
            Arc::clone(&options.clock),
            options.drive,
        )?;
        let prometheus = Arc::new(Self {
            notifier: Notifier::new().map_err(StartError::Notifying)?,
            configuration: options.configuration,
            moved: options.moved,
            drive: options.drive,
            clock: options.clock,
            external_url: options.external_url,
            started_at_ms: now_ms,
            store,
            scraping,
            rules: Mutex::default(),
            loaded: Mutex::default(),
            last_reload: Mutex::new(Reload {
                at_ms: now_ms,
                is_good: true,
            }),
            reloading: tokio::sync::Mutex::default(),
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        prometheus.apply(read).await;
        own_metrics::reloaded(true, now_ms);
        prometheus.keep(Arc::clone(&prometheus).keep_retaining());
        prometheus.keep(Arc::clone(&prometheus).keep_notifying());
        if options.drive == Drive::Loops {
            prometheus.keep(Arc::clone(&prometheus).keep_evaluating());
        }
        Ok(prometheus)
    }

    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// With the limits of the loaded configuration.
    pub fn engine(&self) -> promql::Engine {
        self.loaded().engine.clone()
    }

    pub fn targets(&self) -> Targets {
        self.scraping.targets()
    }

    /// Shows the rule groups as they are between two evaluations. Blocks while one is under way.
    pub fn with_groups<T>(&self, look: impl FnOnce(&[alerting::Group]) -> T) -> T {
        look(lock(&self.rules).groups())
    }

    /// The loaded configuration file, as it was written.
    pub fn config_text(&self) -> String {
        self.loaded().text.clone()
    }

    /// Where alerts are posted.
    pub fn alertmanagers(&self) -> Vec<String> {
        self.loaded()
            .alertmanagers
            .iter()
            .map(|peer| peer.url.clone())
            .collect()
    }

    /// Unix milliseconds on its clock.
    pub fn now_ms(&self) -> i64 {
        (self.clock)()
    }

    pub fn started_at_ms(&self) -> i64 {
        self.started_at_ms
    }

    pub fn last_reload(&self) -> Reload {
        *lock(&self.last_reload)
    }

    /// Reads the configuration and the rules again. All of it counts, or nothing does and the earlier one goes on.
    ///
    /// # Errors
    /// See [`ConfigurationError`].
    pub async fn reload(self: &Arc<Self>) -> Result<(), ConfigurationError> {
        let _only = self.reloading.lock().await;
        let this = Arc::clone(self);
        let read = blocking(move || this.configuration.read(&this.moved)).await;
        let at_ms = self.now_ms();
        let is_good = read.is_ok();
        own_metrics::reloaded(is_good, at_ms);
        *lock(&self.last_reload) = Reload { at_ms, is_good };
        self.apply(read?).await;
        Ok(())
    }

    /// Scrapes every target now, which is `now_ms`. Returns when all samples are stored. For [`Drive::Calls`].
    pub async fn scrape_once(&self, now_ms: i64) {
        self.scraping.scrape_once(now_ms).await;
    }

    /// Evaluates the rules and hands what they say to the Alertmanagers as well. With [`Drive::Loops`] the groups that became
    /// due by `now_ms`, each at its own instant; with [`Drive::Calls`] all of them at `now_ms`.
    pub async fn evaluate(self: &Arc<Self>, now_ms: i64) -> Vec<Notification> {
        let this = Arc::clone(self);
        let notifications = blocking(move || this.tick(now_ms)).await;
        self.notifier
            .push(&notifications, &self.loaded().external_labels);
        notifications
    }

    /// Ends scraping and evaluating, and waits a moment for notifications that are under way. What is stored is on the disk.
    pub async fn stop(&self) {
        self.stopping.cancel();
        self.scraping.stop().await;
        self.tasks.close();
        self.tasks.wait().await;
        let store = Arc::clone(&self.store);
        if let Err(error) = blocking(move || store.close()).await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the samples may not all be on the disk"
            );
        }
    }

    async fn apply(self: &Arc<Self>, read: Read) {
        let interval_ms = read.scrape.evaluation_interval_ms;
        self.notifier.tell(&read.loaded.alertmanagers);
        *lock(&self.loaded) = Arc::new(read.loaded);
        self.scraping.apply(read.scrape).await;
        let this = Arc::clone(self);
        blocking(move || lock(&this.rules).apply(read.rules, interval_ms)).await;
    }

    fn tick(&self, now_ms: i64) -> Vec<Notification> {
        let loaded = self.loaded();
        let with = Surroundings {
            engine: &loaded.engine,
            source: &*self.store,
            append: &*self.store,
            external_labels: &loaded.external_labels,
            external_url: &self.external_url,
        };
        let mut rules = lock(&self.rules);
        match self.drive {
            Drive::Loops => rules.tick(now_ms, &with),
            Drive::Calls => rules.evaluate_all(now_ms, &with),
        }
    }

    async fn keep_evaluating(self: Arc<Self>) {
        loop {
            let this = Arc::clone(&self);
            let now_ms = self.now_ms();
            let due_ms = blocking(move || lock(&this.rules).next_due_ms(now_ms)).await;
            let pause = due_ms.map_or(IDLE_PAUSE, |due_ms| {
                Duration::from_millis((due_ms - now_ms).max(0).unsigned_abs())
            });
            // A reload may bring rules that are due earlier.
            time::sleep(pause.min(IDLE_PAUSE)).await;
            if due_ms.is_some_and(|due_ms| due_ms <= self.now_ms()) {
                self.evaluate(self.now_ms()).await;
            }
        }
    }

    async fn keep_notifying(self: Arc<Self>) {
        self.notifier.run().await;
    }

    async fn keep_retaining(self: Arc<Self>) {
        loop {
            time::sleep(RETAIN_INTERVAL).await;
            let this = Arc::clone(&self);
            if let Err(error) = blocking(move || this.store.retain(this.now_ms())).await {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "old samples cannot be deleted"
                );
            }
        }
    }

    fn keep(&self, run: impl Future<Output = ()> + Send + 'static) {
        let stopping = self.stopping.clone();
        self.tasks.spawn(stopping.run_until_cancelled_owned(run));
    }

    fn loaded(&self) -> Arc<Loaded> {
        Arc::clone(&lock(&self.loaded))
    }
}

/// What a crash left, once.
fn say(recovery: &tsdb::Recovery) {
    if recovery.torn_bytes > 0 || recovery.damaged_bytes > 0 || !recovery.damaged.is_empty() {
        tracing::warn!(?recovery, "the sample store was not closed well");
    }
}

/// Runs what reads files or computes for long where it holds up nobody.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only a runtime that ends cancels it, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// A lock whose holder panicked is taken over: every change is whole or repeated by the next one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
