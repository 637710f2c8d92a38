//! All groups of a configuration: which is due when, and what happens to their state at a reload.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use tsdb::{Labels, STALE_NAN_BITS, Sample};

use crate::file::{FileError, RuleFile};
use crate::group::{Group, Notification};
use crate::{Surroundings, own_metrics};

/// Rules cannot be loaded; the earlier ones go on.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("no rule file {} is there", path.display())]
    Missing { path: PathBuf },
}

/// The groups of a configuration.
#[derive(Debug, Default)]
pub struct Rules {
    groups: Vec<Group>,
    /// Series of groups and rules that a reload took away: to be marked as stale.
    abandoned: HashSet<Labels>,
}

impl Rules {
    /// Reads every file; nothing is taken over unless all of them are good.
    ///
    /// # Errors
    /// The first file that cannot be used.
    pub fn read(paths: &[PathBuf]) -> Result<Vec<RuleFile>, ReloadError> {
        let read = |path: &PathBuf| match path.exists() {
            true => Ok(RuleFile::read(path)?),
            false => Err(ReloadError::Missing { path: path.clone() }),
        };
        paths.iter().map(read).collect()
    }

    /// Exchanges the rules. Rules that were there before keep their state.
    pub fn apply(&mut self, files: Vec<RuleFile>, interval_default_ms: i64) {
        own_metrics::describe();
        let earlier = std::mem::take(&mut self.groups);
        let mut known: HashMap<String, Group> = earlier
            .into_iter()
            .map(|group| (group.id(), group))
            .collect();
        let mut before: HashSet<Labels> = known.values().flat_map(Group::series).cloned().collect();
        for file in files {
            for spec in file.groups {
                let mut group = Group::new(&file.path, spec, interval_default_ms);
                if let Some(earlier) = known.remove(&group.id()) {
                    group.inherit(earlier);
                }
                self.groups.push(group);
            }
        }
        for labels in self.groups.iter().flat_map(Group::series) {
            before.remove(labels);
        }
        self.abandoned.extend(before);
    }

    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// When the next group is due after `now_ms`; `None` without groups.
    pub fn next_due_ms(&self, now_ms: i64) -> Option<i64> {
        self.groups
            .iter()
            .map(|group| group.due_at_ms(now_ms) + group.interval_ms())
            .min()
    }

    /// Evaluates the groups that became due by `now_ms`, each at the instant at which it was, in the order of these. A group that
    /// was due several times is evaluated once, at the last of them.
    pub fn tick(&mut self, now_ms: i64, with: &Surroundings<'_>) -> Vec<Notification> {
        self.abandon(now_ms, with);
        let mut due: Vec<(i64, usize)> = Vec::new();
        for (number, group) in self.groups.iter().enumerate() {
            let due_at_ms = group.due_at_ms(now_ms);
            if group
                .last_evaluation_ms()
                .is_none_or(|last_ms| last_ms < due_at_ms)
            {
                due.push((due_at_ms, number));
            }
        }
        due.sort_unstable();
        due.into_iter()
            .flat_map(|(due_at_ms, number)| self.groups[number].evaluate(due_at_ms, with))
            .collect()
    }

    /// Evaluates every group at one instant, whether it is due or not: for simulated time, as promtool's tests have it.
    pub fn evaluate_all(&mut self, t_ms: i64, with: &Surroundings<'_>) -> Vec<Notification> {
        self.abandon(t_ms, with);
        self.groups
            .iter_mut()
            .flat_map(|group| group.evaluate(t_ms, with))
            .collect()
    }

    fn abandon(&mut self, now_ms: i64, with: &Surroundings<'_>) {
        if self.abandoned.is_empty() {
            return;
        }
        let value = f64::from_bits(STALE_NAN_BITS);
        let markers: Vec<(Labels, Sample)> = self
            .abandoned
            .drain()
            .map(|labels| {
                (
                    labels,
                    Sample {
                        t_ms: now_ms,
                        value,
                    },
                )
            })
            .collect();
        if let Err(error) = with.append.append(&markers) {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "series of removed rules cannot be ended"
            );
        }
    }
}
