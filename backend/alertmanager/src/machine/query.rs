//! Answers to the queries of the API of version 2. Nothing changes by them.

use std::{cmp::Reverse, collections::BTreeMap};

use uuid::Uuid;

use super::{Machine, groups::Group};
use crate::{
    alert::Alert,
    labels::Fingerprint,
    matcher::{Matcher, all_match},
    pattern::Pattern,
    silence::SilenceState,
    view::{
        AlertGroup, AlertState, AlertStatus, Cluster, GettableAlert, GettableSilence, ReceiverName,
        ServerStatus, ShownConfig, VersionInfo,
    },
};

/// Which alerts are asked for. The API's `unprocessed` has no effect: by the time it is asked for, no alert is.
#[derive(Clone, Debug)]
pub struct Filter {
    pub active: bool,
    pub silenced: bool,
    pub inhibited: bool,
    /// Of groups that a time interval mutes.
    pub muted: bool,
    /// An expression that matches the whole name of a receiver.
    pub receiver: Option<Pattern>,
    pub matchers: Vec<Matcher>,
}

/// A receiver, and what is asked for of one of its groups.
type Found<'a> = (&'a str, &'a Group, Vec<(&'a Alert, AlertStatus)>);

impl Default for Filter {
    fn default() -> Self {
        Self {
            active: true,
            silenced: true,
            inhibited: true,
            muted: true,
            receiver: None,
            matchers: Vec::new(),
        }
    }
}

impl Filter {
    fn has_receiver(&self, name: &str) -> bool {
        self.receiver
            .as_ref()
            .is_none_or(|pattern| pattern.matches(name))
    }
}

impl Machine {
    /// Alerts that fire, by their fingerprint's text.
    pub fn alerts(&self, filter: &Filter, now_ms: i64) -> Vec<GettableAlert> {
        let mut found = Vec::new();
        for alert in self.alerts.values() {
            let Some(status) = self.status(alert, filter, now_ms) else {
                continue;
            };
            let routes = self.config.routes.matching(&alert.labels).into_iter();
            let receivers: Vec<&str> = routes
                .map(|route| self.config.routes.get(route).options.receiver.as_str())
                .collect();
            if receivers.iter().any(|name| filter.has_receiver(name)) {
                found.push(gettable(alert, status, &receivers));
            }
        }
        found
    }

    /// Groups with alerts that fire, by their labels.
    pub fn alert_groups(&self, filter: &Filter, now_ms: i64) -> Vec<AlertGroup> {
        let mut found: Vec<Found<'_>> = Vec::new();
        let mut receivers: BTreeMap<Fingerprint, Vec<&str>> = BTreeMap::new();
        for ((route, _), group) in self.groups.iter() {
            let receiver = self.config.routes.get(*route).options.receiver.as_str();
            if !filter.has_receiver(receiver) {
                continue;
            }
            let alerts = group.alerts.values().filter_map(|alert| {
                let status = self.status(alert, filter, now_ms)?;
                Some((alert, status))
            });
            let mut alerts: Vec<_> = alerts.collect();
            if alerts.is_empty() {
                continue;
            }
            alerts.sort_by(|(one, _), (two, _)| one.order(two));
            for (alert, _) in &alerts {
                receivers
                    .entry(alert.fingerprint)
                    .or_default()
                    .push(receiver);
            }
            found.push((receiver, group, alerts));
        }
        receivers
            .values_mut()
            .for_each(|names| names.sort_unstable());
        found.retain(|(_, group, _)| filter.muted || group.muted_by.is_empty());
        found.sort_by(|one, two| one.1.labels.order(&two.1.labels).then(one.0.cmp(two.0)));
        let group = |(receiver, group, alerts): Found<'_>| {
            let alerts = alerts.into_iter().map(|(alert, mut status)| {
                if !group.muted_by.is_empty() {
                    status.muted_by.clone_from(&group.muted_by);
                    status.state = AlertState::Suppressed;
                }
                gettable(alert, status, &receivers[&alert.fingerprint])
            });
            AlertGroup {
                alerts: alerts.collect(),
                labels: group.labels.clone(),
                receiver: name(receiver),
            }
        };
        found.into_iter().map(group).collect()
    }

    /// Silences that have all of these matchers, each as it is written: active ones by their end, then pending ones by their
    /// start, then those that are over, the latest first.
    pub fn silences(&self, matchers: &[Matcher], now_ms: i64) -> Vec<GettableSilence> {
        let has = |silence: &GettableSilence, wanted: &Matcher| {
            silence.matchers.iter().any(|matcher| {
                (&matcher.name, &matcher.value, matcher.operator())
                    == (&wanted.name, &wanted.value, wanted.operator)
            })
        };
        let silences = self.silences.iter();
        let mut found: Vec<GettableSilence> = silences
            .map(|silence| GettableSilence::new(silence, now_ms))
            .filter(|silence| matchers.iter().all(|wanted| has(silence, wanted)))
            .collect();
        found.sort_by_key(|silence| {
            let time = match silence.status.state {
                SilenceState::Active => (silence.ends_at_ms, Reverse(0)),
                SilenceState::Pending => (silence.starts_at_ms, Reverse(0)),
                SilenceState::Expired => (0, Reverse(silence.ends_at_ms)),
            };
            (silence.status.state, time, silence.id)
        });
        found
    }

    pub fn silence(&self, id: Uuid, now_ms: i64) -> Option<GettableSilence> {
        let silence = self.silences.get(id);
        silence.map(|silence| GettableSilence::new(silence, now_ms))
    }

    /// In the order of the file.
    pub fn receivers(&self) -> Vec<ReceiverName> {
        let receivers = self.config.receivers.iter();
        receivers.map(|receiver| name(&receiver.name)).collect()
    }

    /// `version` and the start are the caller's.
    pub fn server_status(&self, version: VersionInfo, started_at_ms: i64) -> ServerStatus {
        ServerStatus {
            cluster: Cluster {
                peers: [],
                status: "disabled",
            },
            config: ShownConfig {
                original: self.config.shown.clone(),
            },
            started_at_ms,
            version_info: version,
        }
    }

    /// Alerts that fire and are not muted, and those that are.
    pub fn alert_counts(&self, now_ms: i64) -> (usize, usize) {
        let filter = Filter::default();
        let firing = self.alerts.values();
        let states = firing.filter_map(|alert| self.status(alert, &filter, now_ms));
        states.fold((0, 0), |(active, suppressed), status| match status.state {
            AlertState::Active => (active + 1, suppressed),
            AlertState::Suppressed => (active, suppressed + 1),
        })
    }

    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// `None` if the alert is not asked for.
    fn status(&self, alert: &Alert, filter: &Filter, now_ms: i64) -> Option<AlertStatus> {
        if alert.ends_at_ms < now_ms || !all_match(&filter.matchers, &alert.labels) {
            return None;
        }
        let inhibited_by: Vec<_> = self.inhibited_by(alert, now_ms).into_iter().collect();
        let silenced_by = self.silences.muting(&alert.labels, now_ms);
        let state = match inhibited_by.is_empty() && silenced_by.is_empty() {
            true => AlertState::Active,
            false => AlertState::Suppressed,
        };
        let is_wanted = (filter.active || state != AlertState::Active)
            && (filter.silenced || silenced_by.is_empty())
            && (filter.inhibited || inhibited_by.is_empty());
        is_wanted.then_some(AlertStatus {
            inhibited_by,
            muted_by: Vec::new(),
            silenced_by,
            state,
        })
    }
}

fn gettable(alert: &Alert, status: AlertStatus, receivers: &[&str]) -> GettableAlert {
    GettableAlert {
        annotations: alert.annotations.clone(),
        ends_at_ms: alert.ends_at_ms,
        fingerprint: alert.fingerprint,
        receivers: receivers.iter().copied().map(name).collect(),
        starts_at_ms: alert.starts_at_ms,
        status,
        updated_at_ms: alert.updated_at_ms,
        generator_url: alert.generator_url.clone(),
        labels: alert.labels.clone(),
    }
}

fn name(name: &str) -> ReceiverName {
    ReceiverName {
        name: name.to_owned(),
    }
}
