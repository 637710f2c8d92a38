//! From a group that is due to messages: what is muted is taken out, what a webhook knows already is not told again, what
//! was told is written down when the webhook has taken it.

use std::collections::BTreeSet;

use super::{
    Machine, Record,
    groups::{Flush, Group, GroupId},
};
use crate::{
    alert::Alert,
    config::Webhook,
    labels::Fingerprint,
    log::{LogEntry, LogKey},
    message::{Heading, Message},
};

/// Time that a delivery has at least, however short the group's interval.
const DELIVERY_MS_MIN: i64 = 10_000;

/// A message that must be sent.
#[derive(Clone, Debug)]
pub struct Notification {
    /// For [`Machine::delivered`].
    pub id: u64,
    pub receiver: String,
    pub webhook: Webhook,
    pub message: Message,
    /// Then it is given up.
    pub deadline_ms: i64,
}

/// A message on its way.
#[derive(Debug)]
pub(super) struct Delivery {
    group: GroupId,
    told: Told,
}

/// What an entry of the log is made of when its time is known.
#[derive(Debug)]
struct Told {
    key: LogKey,
    firing: BTreeSet<Fingerprint>,
    resolved: BTreeSet<Fingerprint>,
    kept_ms: i64,
}

impl Machine {
    /// Tells of a group what must be told.
    pub(super) fn flush(&mut self, id: GroupId, now_ms: i64, out: &mut Vec<Notification>) {
        let Some(group) = self.groups.get(id) else {
            return;
        };
        let mut alerts: Vec<Alert> = group.alerts.values().cloned().collect();
        alerts.sort_by(Alert::order);
        let ended = alerts.iter().filter(|alert| alert.is_resolved(now_ms));
        let resolved = ended
            .map(|alert| (alert.fingerprint, alert.updated_at_ms))
            .collect();
        let told = self.unmuted(id, alerts, now_ms);
        let before = out.len();
        if !told.is_empty() {
            self.notify(id, &told.iter().collect::<Vec<_>>(), now_ms, out);
        }
        let flush = Flush {
            pending: out.len() - before,
            failed: false,
            resolved,
        };
        if let Some(group) = self.groups.get_mut(id) {
            end_or_wait(group, flush);
        }
    }

    /// How a delivery ended. What the webhook has taken is written down.
    pub fn delivered(&mut self, id: u64, is_taken: bool, now_ms: i64) {
        let Some(delivery) = self.deliveries.remove(&id) else {
            // Of the configuration before this one.
            return;
        };
        if is_taken {
            self.remember(delivery.told, now_ms);
        }
        let group = self.groups.get_mut(delivery.group);
        if let Some((group, mut flush)) =
            group.and_then(|group| group.flush.take().map(|flush| (group, flush)))
        {
            flush.pending -= 1;
            flush.failed |= !is_taken;
            end_or_wait(group, flush);
        }
    }

    /// Alerts that nothing mutes, in the real one's order of reasons, which shows in what is counted.
    fn unmuted(&mut self, id: GroupId, mut alerts: Vec<Alert>, now_ms: i64) -> Vec<Alert> {
        let before = alerts.len();
        alerts.retain(|alert| self.inhibited_by(alert, now_ms).is_none());
        self.counts.suppressed_inhibition += (before - alerts.len()) as u64;
        if alerts.is_empty() || self.is_muted_by_time(id, alerts.len() as u64, now_ms) {
            return Vec::new();
        }
        let before = alerts.len();
        alerts.retain(|alert| self.silences.muting(&alert.labels, now_ms).is_empty());
        self.counts.suppressed_silence += (before - alerts.len()) as u64;
        alerts
    }

    pub(super) fn inhibited_by(&self, alert: &Alert, now_ms: i64) -> Option<Fingerprint> {
        self.inhibition
            .source(&alert.labels, now_ms, |source| self.alerts.get(&source))
    }

    /// True outside of the route's active times, or inside of its mute times.
    fn is_muted_by_time(&mut self, id: GroupId, alerts: u64, now_ms: i64) -> bool {
        let options = &self.config.routes.get(id.0).options;
        let holding = |names: &[String]| -> Vec<String> {
            let holds = |name: &&String| {
                let mut named = self.config.time_intervals.iter();
                let parts = named.find(|(known, _)| known == *name);
                parts.is_some_and(|(_, parts)| parts.iter().any(|part| part.contains(now_ms)))
            };
            names.iter().filter(holds).cloned().collect()
        };
        let active = &options.active_time_intervals;
        let is_inactive = !active.is_empty() && holding(active).is_empty();
        let muted_by = match is_inactive {
            true => active.clone(),
            false => holding(&options.mute_time_intervals),
        };
        let is_muted = !muted_by.is_empty();
        match (is_inactive, is_muted) {
            (true, _) => self.counts.suppressed_active_time += alerts,
            (false, true) => self.counts.suppressed_mute_time += alerts,
            (false, false) => {}
        }
        if let Some(group) = self.groups.get_mut(id) {
            group.muted_by = muted_by;
        }
        is_muted
    }

    /// A notification for each webhook for which the alerts are news.
    fn notify(&mut self, id: GroupId, alerts: &[&Alert], now_ms: i64, out: &mut Vec<Notification>) {
        let config = self.config.clone();
        let route = config.routes.get(id.0);
        let receiver = config.receiver(&route.options.receiver);
        let Some((receiver, group)) = receiver.zip(self.groups.get(id)) else {
            return;
        };
        let group_labels = group.labels.clone();
        let group_key = format!("{}:{group_labels}", route.key);
        let heading = Heading {
            receiver: &receiver.name,
            group_key: &group_key,
            group_labels: &group_labels,
            external_url: &self.options.external_url.clone(),
        };
        let interval_ms = route.options.group_interval_ms.max(DELIVERY_MS_MIN);
        for (index, webhook) in receiver.webhooks.iter().enumerate() {
            let repeat_ms = route.options.repeat_interval_ms;
            let told = self.told(&heading, index, alerts, repeat_ms, now_ms);
            let repeat_before_ms = now_ms.saturating_sub(repeat_ms);
            let send_resolved = webhook.send_resolved;
            if !self.log.is_news(
                &told.key,
                &told.firing,
                &told.resolved,
                send_resolved,
                repeat_before_ms,
            ) {
                continue;
            }
            if !send_resolved && told.firing.is_empty() {
                self.remember(told, now_ms);
                continue;
            }
            let is_sent = |alert: &&&Alert| send_resolved || !alert.is_resolved(now_ms);
            let sent: Vec<&Alert> = alerts.iter().filter(is_sent).copied().collect();
            out.push(Notification {
                id: self.delivery_next,
                receiver: receiver.name.clone(),
                webhook: webhook.clone(),
                message: Message::new(&heading, &sent, webhook.alerts_max, now_ms),
                deadline_ms: now_ms.saturating_add(interval_ms),
            });
            self.deliveries
                .insert(self.delivery_next, Delivery { group: id, told });
            self.delivery_next += 1;
        }
    }

    fn told(
        &self,
        heading: &Heading<'_>,
        webhook: usize,
        alerts: &[&Alert],
        repeat_ms: i64,
        now_ms: i64,
    ) -> Told {
        let resolved = |is_resolved: bool| {
            let alerts = alerts
                .iter()
                .filter(move |alert| alert.is_resolved(now_ms) == is_resolved);
            alerts.map(|alert| alert.fingerprint).collect()
        };
        Told {
            key: LogKey {
                group: heading.group_key.to_owned(),
                receiver: heading.receiver.to_owned(),
                webhook,
            },
            firing: resolved(false),
            resolved: resolved(true),
            kept_ms: repeat_ms.saturating_mul(2).min(self.options.retention_ms),
        }
    }

    fn remember(&mut self, told: Told, now_ms: i64) {
        let entry = LogEntry {
            key: told.key,
            time_ms: now_ms,
            firing: told.firing,
            resolved: told.resolved,
            expires_at_ms: now_ms.saturating_add(told.kept_ms),
        };
        self.log.set(entry.clone());
        self.records.push(Record::Told(entry));
    }
}

/// When all webhooks have taken what they were told, ends that were told are forgotten. Else they are told again with the next
/// flush, to those that have not taken them.
fn end_or_wait(group: &mut Group, flush: Flush) {
    if flush.pending > 0 {
        group.flush = Some(flush);
    } else if !flush.failed {
        group.forget(&flush.resolved);
    }
}
