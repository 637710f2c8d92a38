//! Groups of alerts and when each is due: `group_wait` after its first alert, then every `group_interval`. A group that is being
//! told of is due when that has ended. Nothing is told here.

use std::collections::BTreeMap;

use super::GROUPS_MAX;
use crate::{
    alert::Alert,
    labels::{Fingerprint, Labels},
    route::{RouteOptions, Routes},
};

/// A route and the fingerprint of the group's labels.
pub(crate) type GroupId = (usize, Fingerprint);

#[derive(Debug, Default)]
pub(crate) struct Groups {
    by_id: BTreeMap<GroupId, Group>,
}

/// Alerts with the same values of the labels that their route groups by.
#[derive(Debug)]
pub(crate) struct Group {
    pub labels: Labels,
    pub alerts: BTreeMap<Fingerprint, Alert>,
    pub due_ms: i64,
    /// Names of the time intervals that muted it when it was last due.
    pub muted_by: Vec<String>,
    pub flush: Option<Flush>,
}

/// A group that is being told of.
#[derive(Debug)]
pub(crate) struct Flush {
    /// Deliveries that have not ended.
    pub pending: usize,
    pub failed: bool,
    /// Alerts whose end is being told, and the report it is from: one that came later is another matter.
    pub resolved: Vec<(Fingerprint, i64)>,
}

impl Groups {
    /// False if there are too many groups.
    pub(crate) fn insert(
        &mut self,
        route: usize,
        options: &RouteOptions,
        alert: &Alert,
        now_ms: i64,
    ) -> bool {
        let labels = options.group_labels(&alert.labels);
        let id = (route, labels.fingerprint());
        if let Some(group) = self.by_id.get_mut(&id) {
            group.alerts.insert(alert.fingerprint, alert.clone());
            return true;
        }
        if self.by_id.len() >= GROUPS_MAX {
            return false;
        }
        // What has been firing for longer than the wait, such as after a restart, waits no more.
        let waited = alert.starts_at_ms.saturating_add(options.group_wait_ms) < now_ms;
        let wait_ms = if waited { 0 } else { options.group_wait_ms };
        let group = Group {
            labels,
            alerts: BTreeMap::from([(alert.fingerprint, alert.clone())]),
            due_ms: now_ms.saturating_add(wait_ms),
            muted_by: Vec::new(),
            flush: None,
        };
        self.by_id.insert(id, group);
        true
    }

    /// When a group is due, or an empty one to be dropped.
    pub(crate) fn wake_ms(&self, maintenance_ms: i64) -> Option<i64> {
        let waiting = self.by_id.values().filter(|group| group.flush.is_none());
        let wakes = waiting.map(|group| match group.alerts.is_empty() {
            true => group.due_ms.min(maintenance_ms),
            false => group.due_ms,
        });
        wakes.min()
    }

    /// Groups that are due, by their time; each is due again a `group_interval` from now.
    pub(crate) fn due(&mut self, routes: &Routes, now_ms: i64) -> Vec<GroupId> {
        let mut due = Vec::new();
        for (id, group) in &mut self.by_id {
            let options = &routes.get(id.0).options;
            let next_ms = now_ms.saturating_add(options.group_interval_ms);
            if group.due_ms > now_ms {
                // Only a clock that went back makes a group wait for longer than both.
                let latest_ms = next_ms.max(now_ms.saturating_add(options.group_wait_ms));
                group.due_ms = group.due_ms.min(latest_ms);
            } else if group.flush.is_none() {
                due.push((group.due_ms, *id));
                group.due_ms = next_ms;
            }
        }
        due.sort();
        due.into_iter().map(|(_, id)| id).collect()
    }

    pub(crate) fn drop_empty(&mut self) {
        self.by_id
            .retain(|_, group| !group.alerts.is_empty() || group.flush.is_some());
    }

    pub(crate) fn get(&self, id: GroupId) -> Option<&Group> {
        self.by_id.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: GroupId) -> Option<&mut Group> {
        self.by_id.get_mut(&id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&GroupId, &Group)> {
        self.by_id.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }
}

impl Group {
    /// Forgets alerts whose end was told, unless they were reported again since.
    pub(crate) fn forget(&mut self, resolved: &[(Fingerprint, i64)]) {
        for (fingerprint, updated_at_ms) in resolved {
            let held = self.alerts.get(fingerprint);
            if held.is_some_and(|alert| alert.updated_at_ms == *updated_at_ms) {
                self.alerts.remove(fingerprint);
            }
        }
    }
}
