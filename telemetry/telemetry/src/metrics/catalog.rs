//! Every metric and series there is: admits new ones within the limits, and knows their help, unit and labels.
//!
//! Lock order: families, then one family's series. Nothing is logged or written while a lock is held, so a record
//! waits for another registration at most, never for a page.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use metrics::{Key, SharedString, Unit};

use super::buckets::Rules;
use super::cells::{Cell, Kind};
use super::names::{self, GlobalLabels};

/// Longest help text in bytes; the rest is cut.
const HELP_BYTES_MAX: usize = 1_024;

/// Descriptions there may be, of metrics that are never registered too.
const DESCRIPTIONS_MAX: usize = 2_000;

/// How much a recorder may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) metrics_max: usize,
    pub(super) series_per_metric_max: usize,
}

/// All families of one recorder.
#[derive(Debug)]
pub(super) struct Catalog {
    pub(super) global: GlobalLabels,
    limits: Limits,
    rules: Rules,
    families: RwLock<Families>,
}

#[derive(Debug, Default)]
struct Families {
    by_name: BTreeMap<String, Arc<Family>>,
    /// Every name a sample of some family may have.
    taken: HashSet<String>,
    /// May be given before the metric is registered.
    descriptions: BTreeMap<String, Arc<Description>>,
}

/// One metric with its series.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// A histogram's upper bounds, nothing otherwise.
    pub(super) bounds: Arc<[f64]>,
    series: RwLock<Series>,
}

#[derive(Debug, Default)]
struct Series {
    by_labels: BTreeMap<Arc<str>, Cell>,
    /// How many keys lead to `by_labels` and may be remembered: keys that differ in characters which are not legal
    /// or in what was cut off lead to one series.
    keys: usize,
    overflow: Option<Cell>,
}

/// Help and unit.
#[derive(Debug)]
pub(super) struct Description {
    pub(super) help: String,
    pub(super) unit: Option<Unit>,
}

/// The answer to a key that asks for a series.
#[derive(Debug)]
pub(super) enum Admission {
    /// The series is this key's own; the key may be remembered.
    Series(Cell),
    /// The series is known under so many keys that this one is not to be remembered.
    Alias(Cell),
    /// The metric is full: this is the series that collects what is over its limit.
    Overflow(Cell),
    /// There is no such metric and there will be none.
    Refused(Refusal),
}

/// Why a metric is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("there are too many metrics")]
    TooMany,
    #[error("its samples would have the name of another metric's")]
    NameTaken,
}

impl Catalog {
    /// `reserved` names belong to metrics that are computed for the page.
    pub(super) fn new(
        global: GlobalLabels,
        limits: Limits,
        rules: Rules,
        reserved: impl Iterator<Item = (&'static str, Kind)>,
    ) -> Self {
        let taken = reserved
            .flat_map(|(name, kind)| names::sample_names(&names::family_name(name, kind), kind))
            .collect();
        Self {
            global,
            limits,
            rules,
            families: RwLock::new(Families {
                taken,
                ..Families::default()
            }),
        }
    }

    /// The first description of a metric stands.
    pub(super) fn describe(&self, kind: Kind, name: &str, unit: Option<Unit>, help: SharedString) {
        let mut families = write(&self.families);
        if families.descriptions.len() >= DESCRIPTIONS_MAX {
            return;
        }
        let description = Description {
            help: names::cut(&help, HELP_BYTES_MAX).to_owned(),
            unit,
        };
        families
            .descriptions
            .entry(names::family_name(name, kind))
            .or_insert_with(|| Arc::new(description));
    }

    /// Finds or makes the key's series.
    pub(super) fn admit(&self, key: &Key, kind: Kind) -> Admission {
        let family = match self.family(key.name(), kind) {
            Ok(family) => family,
            Err(refusal) => return Admission::Refused(refusal),
        };
        let labels = self.global.series(key, kind);
        family.admit(labels, self.limits.series_per_metric_max)
    }

    /// Every family with its description, in the order of their names.
    pub(super) fn families(&self) -> Vec<(Arc<Family>, Option<Arc<Description>>)> {
        let families = read(&self.families);
        let with_description = |family: &Arc<Family>| {
            let description = families.descriptions.get(&family.name);
            (Arc::clone(family), description.map(Arc::clone))
        };
        families.by_name.values().map(with_description).collect()
    }

    /// The description of a metric that is computed for the page.
    pub(super) fn description(&self, family: &str) -> Option<Arc<Description>> {
        read(&self.families)
            .descriptions
            .get(family)
            .map(Arc::clone)
    }

    fn family(&self, name: &str, kind: Kind) -> Result<Arc<Family>, Refusal> {
        let name = names::family_name(name, kind);
        if let Some(family) = read(&self.families).by_name.get(&name) {
            return family.of_kind(kind);
        }
        let mut families = write(&self.families);
        if let Some(family) = families.by_name.get(&name) {
            return family.of_kind(kind);
        }
        if families.by_name.len() >= self.limits.metrics_max {
            return Err(Refusal::TooMany);
        }
        let sample_names = names::sample_names(&name, kind);
        if sample_names
            .iter()
            .any(|name| families.taken.contains(name))
        {
            return Err(Refusal::NameTaken);
        }
        families.taken.extend(sample_names);
        let family = Arc::new(Family {
            bounds: match kind {
                Kind::Histogram => self.rules.bounds(&name),
                Kind::Counter | Kind::Gauge => Arc::from([]),
            },
            name: name.clone(),
            kind,
            series: RwLock::default(),
        });
        families.by_name.insert(name, Arc::clone(&family));
        Ok(family)
    }
}

impl Family {
    /// Every series with its label text, in the order of the text; the overflow series is one of them.
    pub(super) fn series(&self, global: &GlobalLabels) -> Vec<(Arc<str>, Cell)> {
        let series = read(&self.series);
        let overflow = series
            .overflow
            .iter()
            .map(|cell| (Arc::from(overflow_labels(global)), cell.clone()));
        series
            .by_labels
            .iter()
            .map(|(labels, cell)| (Arc::clone(labels), cell.clone()))
            .chain(overflow)
            .collect()
    }

    fn of_kind(self: &Arc<Self>, kind: Kind) -> Result<Arc<Self>, Refusal> {
        if self.kind == kind {
            Ok(Arc::clone(self))
        } else {
            Err(Refusal::NameTaken)
        }
    }

    fn admit(&self, labels: Option<String>, series_max: usize) -> Admission {
        let mut series = write(&self.series);
        let series = &mut *series;
        let is_full = series.by_labels.len() >= series_max;
        let known = labels.map(|labels| series.by_labels.entry(Arc::from(labels)));
        let cell = match known {
            Some(Entry::Occupied(known)) => known.get().clone(),
            Some(Entry::Vacant(vacant)) if !is_full => {
                vacant.insert(Cell::new(self.kind, &self.bounds)).clone()
            }
            Some(Entry::Vacant(_)) | None => {
                let overflow = series
                    .overflow
                    .get_or_insert_with(|| Cell::new(self.kind, &self.bounds));
                return Admission::Overflow(overflow.clone());
            }
        };
        if series.keys >= series_max {
            return Admission::Alias(cell);
        }
        series.keys += 1;
        Admission::Series(cell)
    }
}

fn overflow_labels(global: &GlobalLabels) -> String {
    global.with(conventions::metrics::OVERFLOW, "true")
}

/// A poisoned lock is taken all the same: nothing panics between two changes that belong together.
pub(super) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// See [`read`].
pub(super) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
