//! What Alertmanager decides: who is told what, and when. A state machine without clock, network or disk: every entry takes
//! the time, `tick` returns what must be sent, `delivered` takes how that went, `take_records` returns what must be stored.
//!
//! Alerts live as long as they fire and their group has told of their end. Groups and their timing are in `groups`, the way from
//! a group to messages in `flush`, answers to queries in `query`.

mod flush;
mod groups;
mod query;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    alert::{Alert, InvalidAlert, PostableAlert},
    config::Config,
    inhibition::Inhibition,
    labels::Fingerprint,
    log::{LogEntry, NotificationLog},
    silence::{PostableSilence, Silence, SilenceError, Silences},
};

use flush::Delivery;
pub use flush::Notification;
use groups::Groups;
pub use query::Filter;

/// Alerts held; more are refused.
pub const ALERTS_MAX: usize = 50_000;
/// Groups held; an alert that would need another is held without one, which is counted.
pub const GROUPS_MAX: usize = 50_000;

/// How often groups without alerts are dropped: Alertmanager's default, and part of its timing, because a group that is
/// dropped waits for `group_wait` again.
const GROUPS_MAINTENANCE_MS: i64 = 30_000;
/// How often the log and the silences are rid of what is old.
const STATE_MAINTENANCE_MS: i64 = 15 * 60_000;
/// How often alerts that are resolved are dropped.
const ALERTS_MAINTENANCE_MS: i64 = 30 * 60_000;

/// What does not stand in the file.
#[derive(Clone, Debug)]
pub struct Options {
    /// Of this Alertmanager, in messages.
    pub external_url: String,
    /// How long silences that are over and entries of the log are kept.
    pub retention_ms: i64,
}

/// What is stored for the next start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    Silence(Silence),
    Told(LogEntry),
}

/// What was counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub received_firing: u64,
    pub received_resolved: u64,
    pub received_invalid: u64,
    pub suppressed_silence: u64,
    pub suppressed_inhibition: u64,
    pub suppressed_mute_time: u64,
    pub suppressed_active_time: u64,
    pub groups_refused: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Machine {
    config: Arc<Config>,
    options: Options,
    alerts: BTreeMap<Fingerprint, Alert>,
    inhibition: Inhibition,
    silences: Silences,
    log: NotificationLog,
    groups: Groups,
    deliveries: HashMap<u64, Delivery>,
    delivery_next: u64,
    groups_maintenance_ms: i64,
    state_maintenance_ms: i64,
    alerts_maintenance_ms: i64,
    counts: Counts,
    records: Vec<Record>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            external_url: "http://127.0.0.1:9093".to_owned(),
            retention_ms: 120 * 3_600_000,
        }
    }
}

impl Machine {
    pub fn new(config: Arc<Config>, options: Options, now_ms: i64) -> Self {
        Self {
            inhibition: Inhibition::new(&config.inhibit_rules),
            config,
            options,
            alerts: BTreeMap::new(),
            silences: Silences::default(),
            log: NotificationLog::default(),
            groups: Groups::default(),
            deliveries: HashMap::new(),
            delivery_next: 0,
            groups_maintenance_ms: now_ms + GROUPS_MAINTENANCE_MS,
            state_maintenance_ms: now_ms + STATE_MAINTENANCE_MS,
            alerts_maintenance_ms: now_ms + ALERTS_MAINTENANCE_MS,
            counts: Counts::default(),
            records: Vec::new(),
        }
    }

    /// Takes what was stored before the start. A silence that cannot be any more is left out.
    pub fn restore(&mut self, records: impl IntoIterator<Item = Record>) {
        for record in records {
            match record {
                Record::Silence(silence) => drop(self.silences.restore(silence)),
                Record::Told(entry) => self.log.set(entry),
            }
        }
    }

    /// Takes alerts. Those that cannot be are left out, and said.
    pub fn receive(&mut self, posted: Vec<PostableAlert>, now_ms: i64) -> Vec<InvalidAlert> {
        let mut invalid = Vec::new();
        for alert in posted {
            let is_firing = alert
                .ends_at_ms
                .is_none_or(|ends_at_ms| ends_at_ms > now_ms);
            match is_firing {
                true => self.counts.received_firing += 1,
                false => self.counts.received_resolved += 1,
            }
            let taken = Alert::receive(alert, now_ms, self.config.resolve_timeout_ms)
                .and_then(|alert| self.put(alert, now_ms));
            if let Err(error) = taken {
                self.counts.received_invalid += 1;
                invalid.push(error);
            }
        }
        invalid
    }

    fn put(&mut self, alert: Alert, now_ms: i64) -> Result<(), InvalidAlert> {
        let alert = match self.alerts.get(&alert.fingerprint) {
            Some(held) => held.followed_by(alert, now_ms),
            None if self.alerts.len() >= ALERTS_MAX => return Err(InvalidAlert::TooMany),
            None => alert,
        };
        self.inhibition.add(&alert);
        self.group(&alert, now_ms);
        self.alerts.insert(alert.fingerprint, alert);
        Ok(())
    }

    /// Puts an alert into a group of each of its routes.
    fn group(&mut self, alert: &Alert, now_ms: i64) {
        for route in self.config.routes.matching(&alert.labels) {
            let options = &self.config.routes.get(route).options;
            if !self.groups.insert(route, options, alert, now_ms) {
                self.counts.groups_refused += 1;
            }
        }
    }

    /// Takes another configuration. Groups are made anew, as in the real one; what was told is remembered, deliveries under
    /// way count no more. An alert that is over and only kept by a group whose receiver does not know that yet goes on into
    /// the new groups; the real one forgets it.
    pub fn reload(&mut self, config: Arc<Config>, now_ms: i64) {
        self.inhibition = Inhibition::new(&config.inhibit_rules);
        self.config = config;
        let mut alerts = self.alerts.clone();
        for (_, group) in std::mem::take(&mut self.groups).iter() {
            for (fingerprint, alert) in &group.alerts {
                alerts.entry(*fingerprint).or_insert_with(|| alert.clone());
            }
        }
        self.deliveries.clear();
        self.groups_maintenance_ms = now_ms + GROUPS_MAINTENANCE_MS;
        for alert in alerts.values() {
            self.inhibition.add(alert);
            self.group(alert, now_ms);
        }
    }

    /// When [`Self::tick`] has something to do.
    pub fn wake_ms(&self) -> i64 {
        let maintenance = self.state_maintenance_ms.min(self.alerts_maintenance_ms);
        let groups = self.groups.wake_ms(self.groups_maintenance_ms);
        groups.map_or(maintenance, |groups| groups.min(maintenance))
    }

    /// Does what is due, and returns what must be sent.
    pub fn tick(&mut self, now_ms: i64) -> Vec<Notification> {
        let mut notifications = Vec::new();
        for due in self.groups.due(&self.config.routes, now_ms) {
            self.flush(due, now_ms, &mut notifications);
        }
        self.maintain(now_ms);
        notifications
    }

    fn maintain(&mut self, now_ms: i64) {
        if is_due(
            &mut self.groups_maintenance_ms,
            GROUPS_MAINTENANCE_MS,
            now_ms,
        ) {
            self.groups.drop_empty();
        }
        if is_due(&mut self.state_maintenance_ms, STATE_MAINTENANCE_MS, now_ms) {
            self.log.forget(now_ms);
            self.silences
                .forget(now_ms.saturating_sub(self.options.retention_ms));
        }
        if is_due(
            &mut self.alerts_maintenance_ms,
            ALERTS_MAINTENANCE_MS,
            now_ms,
        ) {
            let inhibition = &mut self.inhibition;
            self.alerts.retain(|_, alert| {
                let is_firing = !alert.is_resolved(now_ms);
                if !is_firing {
                    inhibition.remove(alert);
                }
                is_firing
            });
        }
    }

    /// Creates or changes a silence; the id that it has then.
    ///
    /// # Errors
    /// If it cannot be, or there is none of that id.
    pub fn set_silence(
        &mut self,
        posted: PostableSilence,
        now_ms: i64,
    ) -> Result<Uuid, SilenceError> {
        let stored = self.silences.set(posted, now_ms)?;
        let id = stored.last().map(|silence| silence.id);
        self.records.extend(stored.into_iter().map(Record::Silence));
        id.ok_or(SilenceError::NotFound)
    }

    /// Ends a silence; one that is over stays as it is.
    ///
    /// # Errors
    /// If there is none of that id.
    pub fn expire_silence(&mut self, id: Uuid, now_ms: i64) -> Result<(), SilenceError> {
        let stored = self.silences.expire(id, now_ms)?;
        self.records.extend(stored.map(Record::Silence));
        Ok(())
    }

    /// What must be stored since the last call.
    pub fn take_records(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }

    /// All that must be stored.
    pub fn all_records(&self) -> impl Iterator<Item = Record> {
        let silences = self.silences.iter().cloned().map(Record::Silence);
        silences.chain(self.log.iter().cloned().map(Record::Told))
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }
}

/// True once for each `interval_ms` from the start, however often it is asked. A clock that went back shifts the series.
fn is_due(next_ms: &mut i64, interval_ms: i64, now_ms: i64) -> bool {
    if now_ms < *next_ms {
        *next_ms = (*next_ms).min(now_ms + interval_ms);
        return false;
    }
    *next_ms += interval_ms * ((now_ms - *next_ms) / interval_ms + 1);
    true
}
