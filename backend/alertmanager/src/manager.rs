//! The running Alertmanager: the machine on a clock, its journal, and the deliveries under way. Decides nothing.
//!
//! Methods that are not `async` may wait for the disk; call them where that is allowed.

use std::{
    collections::HashMap,
    panic::resume_unwind,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    task::{Id, JoinError, JoinSet, spawn_blocking},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

use crate::{
    alert::{InvalidAlert, PostableAlert},
    config::Config,
    delivery::{ClientError, DeliveryError, Sender},
    instant,
    journal::{Journal, JournalError, Recovery},
    machine::{Machine, Notification, Options},
    metrics,
    silence::{PostableSilence, SilenceError},
};

/// Longest sleep: a clock that was set is noticed after it.
const SLEEP_MAX: Duration = Duration::from_secs(10);
/// How often levels are published: they are counted through all alerts.
const LEVELS_INTERVAL: Duration = Duration::from_secs(5);

/// Unix milliseconds.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The clock of this machine.
pub fn system_clock() -> Clock {
    Arc::new(instant::now_ms)
}

/// A handle; its copies are of the same Alertmanager.
#[derive(Clone)]
pub struct Manager(Arc<Shared>);

struct Shared {
    clock: Clock,
    machine: Mutex<Machine>,
    /// Locked before the machine where both are.
    journal: Mutex<Journal>,
    sender: Sender,
    /// Something has changed that may be due before the next wake.
    changed: Notify,
}

/// Why it cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("cannot open the alerts' journal")]
    Journal(#[from] JournalError),
    #[error("cannot prepare the sending of alerts")]
    Client(#[from] ClientError),
}

/// Under way, by their task.
type Deliveries = (
    JoinSet<Result<(), DeliveryError>>,
    HashMap<Id, (u64, String)>,
);

impl Manager {
    /// Opens the journal in `folder`. Nothing is sent before [`Self::run`]. A rustls provider must be installed.
    ///
    /// # Errors
    /// If the folder cannot be used, or the journal in it is not one.
    pub fn open(
        folder: &Path,
        config: Arc<Config>,
        options: Options,
        clock: Clock,
    ) -> Result<(Self, Recovery), OpenError> {
        let sender = Sender::new()?;
        let (journal, records, recovery) = Journal::open(folder)?;
        let mut machine = Machine::new(config, options, clock());
        machine.restore(records);
        metrics::describe();
        let shared = Shared {
            clock,
            machine: Mutex::new(machine),
            journal: Mutex::new(journal),
            sender,
            changed: Notify::new(),
        };
        Ok((Self(Arc::new(shared)), recovery))
    }

    /// Takes alerts. Those that cannot be are left out, and said.
    pub fn receive(&self, alerts: Vec<PostableAlert>) -> Vec<InvalidAlert> {
        let invalid = self.0.machine().receive(alerts, self.0.now_ms());
        self.0.changed.notify_one();
        invalid
    }

    /// Takes another configuration.
    pub fn reload(&self, config: Arc<Config>) {
        self.0.sender.reset();
        self.0.machine().reload(config, self.0.now_ms());
        self.0.changed.notify_one();
    }

    /// Creates or changes a silence; the id that it has then. It is on disk then.
    ///
    /// # Errors
    /// If it cannot be, there is none of that id, or it cannot be stored.
    pub fn set_silence(&self, silence: PostableSilence) -> Result<Uuid, SilenceError> {
        let id = self.0.machine().set_silence(silence, self.0.now_ms())?;
        self.0.store_silence().map(|()| id)
    }

    /// Ends a silence. That is on disk then.
    ///
    /// # Errors
    /// If there is none of that id, or its end cannot be stored.
    pub fn expire_silence(&self, id: Uuid) -> Result<(), SilenceError> {
        self.0.machine().expire_silence(id, self.0.now_ms())?;
        self.0.store_silence()
    }

    /// Looks at once at what is due: a clock that stands still was advanced.
    pub fn wake(&self) {
        self.0.changed.notify_one();
    }

    /// Asks the machine, with the time it is.
    pub fn ask<T>(&self, query: impl FnOnce(&Machine, i64) -> T) -> T {
        query(&self.0.machine(), self.0.now_ms())
    }

    /// Tells who must be told, until `stop`. What is under way then is broken off, and told again after the next start.
    pub async fn run(&self, stop: CancellationToken) {
        let mut deliveries: Deliveries = (JoinSet::new(), HashMap::new());
        let mut levels_at = Instant::now();
        loop {
            let publish_levels = levels_at <= Instant::now();
            if publish_levels {
                levels_at = Instant::now() + LEVELS_INTERVAL;
            }
            let shared = self.0.clone();
            let step = spawn_blocking(move || shared.step(publish_levels)).await;
            let (notifications, pause) = match step {
                Ok(step) => step,
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => resume_unwind(panic),
                    // The runtime ends.
                    Err(_) => break,
                },
            };
            self.start(notifications, &mut deliveries);
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleep(pause.min(SLEEP_MAX)) => {}
                () = self.0.changed.notified() => {}
                Some(ended) = deliveries.0.join_next_with_id() => {
                    self.end(ended, &mut deliveries.1);
                }
            }
        }
        while let Some(ended) = deliveries.0.try_join_next_with_id() {
            self.end(ended, &mut deliveries.1);
        }
        deliveries.0.shutdown().await;
        let shared = self.0.clone();
        // The runtime may end as well: then what was taken last is told again.
        let _ = spawn_blocking(move || shared.store_told()).await;
    }

    fn start(&self, notifications: Vec<Notification>, (tasks, ids): &mut Deliveries) {
        for notification in notifications {
            let delivery = (notification.id, notification.receiver.clone());
            let shared = self.0.clone();
            let now_ms = self.0.now_ms();
            let task =
                tasks.spawn(async move { shared.sender.deliver(notification, now_ms).await });
            ids.insert(task.id(), delivery);
        }
    }

    fn end(
        &self,
        ended: Result<(Id, Result<(), DeliveryError>), JoinError>,
        ids: &mut HashMap<Id, (u64, String)>,
    ) {
        let (task, outcome) = match ended {
            Ok((task, outcome)) => (task, Some(outcome)),
            Err(error) => (error.id(), None),
        };
        let Some((id, receiver)) = ids.remove(&task) else {
            return;
        };
        if let Some(Err(error)) = &outcome {
            let source = std::error::Error::source(error).map(ToString::to_string);
            warn!(receiver, %error, source, "alerts were not delivered");
        }
        let is_taken = matches!(outcome, Some(Ok(())));
        self.0.machine().delivered(id, is_taken, self.0.now_ms());
    }
}

impl Shared {
    fn now_ms(&self) -> i64 {
        (self.clock)()
    }

    /// No method of the machine panics between two changes that belong together.
    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is due, and the time until more is.
    fn step(&self, publish_levels: bool) -> (Vec<Notification>, Duration) {
        let now_ms = self.now_ms();
        let mut machine = self.machine();
        let notifications = machine.tick(now_ms);
        let pause_ms = machine.wake_ms().saturating_sub(now_ms);
        metrics::publish(&machine.counts());
        if publish_levels {
            metrics::publish_levels(&machine, now_ms);
        }
        drop(machine);
        self.store_told();
        let pause = Duration::from_millis(u64::try_from(pause_ms).unwrap_or(0));
        (notifications, pause)
    }

    fn store_told(&self) {
        if let Err(error) = self.store() {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            warn!(%error, source, "what alerts were delivered is not on disk");
        }
    }

    fn store_silence(&self) -> Result<(), SilenceError> {
        self.store().map_err(|error| {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            warn!(%error, source, "a silence is not on disk");
            SilenceError::NotStored
        })
    }

    /// Writes what the machine has to store. What fails is tried again with the next call, as a whole.
    fn store(&self) -> Result<(), JournalError> {
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        let records = self.machine().take_records();
        let appended = match records.is_empty() || journal.must_replace() {
            true => Ok(()),
            false => journal.append(&records),
        };
        let stored = appended.and_then(|()| match journal.must_replace() {
            true => {
                let all: Vec<_> = self.machine().all_records().collect();
                journal.replace(all.into_iter())
            }
            false => Ok(()),
        });
        if stored.is_err() {
            metrics::journal_failed();
        }
        stored
    }
}
