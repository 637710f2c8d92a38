//! What a target says about its metrics: type, help and unit of each family.

use std::collections::HashMap;

use crate::exposition::{Entry, Kind};

/// What is remembered of one target; a page with more is scraped, and the rest of its metadata forgotten.
const FAMILIES_MAX: usize = 10_000;
/// Scrapes for which a family is remembered after it was last told.
const SCRAPES_MAX: u64 = 10;

/// One metric.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Family {
    pub name: String,
    pub kind: Kind,
    pub help: String,
    pub unit: String,
}

#[derive(Debug, Default)]
pub(super) struct Families(HashMap<Box<str>, (Family, u64)>);

impl Families {
    /// Takes what is metadata.
    pub(super) fn learn(&mut self, entry: &Entry<'_>, scrape: u64) {
        match entry {
            Entry::Help { family, text } => self.update(family, scrape, |family| {
                replace(&mut family.help, text);
            }),
            Entry::Kind { family, kind } => {
                self.update(family, scrape, |family| family.kind = *kind)
            }
            Entry::Unit { family, unit } => self.update(family, scrape, |family| {
                replace(&mut family.unit, unit);
            }),
            Entry::Sample(_) => {}
        }
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Forgets what was not told for long.
    pub(super) fn age(&mut self, scrape: u64) {
        self.0.retain(|_, (_, told)| scrape - *told <= SCRAPES_MAX);
    }

    /// By name.
    pub(super) fn list(&self) -> Vec<Family> {
        let mut families: Vec<Family> = self.0.values().map(|(family, _)| family.clone()).collect();
        families.sort_by(|a, b| a.name.cmp(&b.name));
        families
    }

    fn update(&mut self, name: &str, scrape: u64, change: impl FnOnce(&mut Family)) {
        if let Some((family, told)) = self.0.get_mut(name) {
            *told = scrape;
            change(family);
        } else if self.0.len() < FAMILIES_MAX {
            let mut family = Family {
                name: name.to_owned(),
                ..Family::default()
            };
            change(&mut family);
            self.0.insert(name.into(), (family, scrape));
        }
    }
}

/// Most pages say the same as the last time: no allocation then.
fn replace(old: &mut String, new: &str) {
    if old != new {
        new.clone_into(old);
    }
}
