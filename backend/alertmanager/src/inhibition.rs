//! Inhibition: alerts that mute others while they fire.
//!
//! Any firing source counts. The real one remembers one source for each set of equal labels, and lets a target through while
//! that one is resolved and another is still firing, until the other is posted again; that is not imitated.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    alert::Alert,
    config::InhibitRule,
    labels::{Fingerprint, Labels},
    matcher::all_match,
};

/// The rules, with the alerts that are on their source side, firing or not.
#[derive(Debug)]
pub(crate) struct Inhibition {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    rule: InhibitRule,
    /// By the values of the labels that must be equal.
    sources: BTreeMap<Vec<String>, BTreeSet<Fingerprint>>,
}

impl Inhibition {
    pub(crate) fn new(rules: &[InhibitRule]) -> Self {
        let rules = rules.iter().map(|rule| Rule {
            rule: rule.clone(),
            sources: BTreeMap::new(),
        });
        Self {
            rules: rules.collect(),
        }
    }

    pub(crate) fn add(&mut self, alert: &Alert) {
        for rule in &mut self.rules {
            if all_match(&rule.rule.source, &alert.labels) {
                let equal = rule.equal(&alert.labels);
                rule.sources
                    .entry(equal)
                    .or_default()
                    .insert(alert.fingerprint);
            }
        }
    }

    pub(crate) fn remove(&mut self, alert: &Alert) {
        for rule in &mut self.rules {
            let equal = rule.equal(&alert.labels);
            let Some(sources) = rule.sources.get_mut(&equal) else {
                continue;
            };
            sources.remove(&alert.fingerprint);
            if sources.is_empty() {
                rule.sources.remove(&equal);
            }
        }
    }

    /// The alert that mutes these labels: of the first rule that has one, the one that ends last.
    pub(crate) fn source<'a>(
        &self,
        labels: &Labels,
        now_ms: i64,
        alert: impl Fn(Fingerprint) -> Option<&'a Alert>,
    ) -> Option<Fingerprint> {
        let targets = |rule: &&Rule| all_match(&rule.rule.target, labels);
        self.rules.iter().filter(targets).find_map(|rule| {
            // What is on both sides of a rule mutes nothing that is on both sides as well: it would mute itself.
            let is_source = all_match(&rule.rule.source, labels);
            let sources = rule.sources.get(&rule.equal(labels))?.iter();
            let firing = sources
                .filter_map(|source| alert(*source))
                .filter(|source| {
                    let both = is_source && all_match(&rule.rule.target, &source.labels);
                    !both && !source.is_resolved(now_ms)
                });
            let last = firing.max_by_key(|source| (source.ends_at_ms, source.fingerprint))?;
            Some(last.fingerprint)
        })
    }
}

impl Rule {
    fn equal(&self, labels: &Labels) -> Vec<String> {
        let names = self.rule.equal.iter();
        names.map(|name| labels.get(name).to_owned()).collect()
    }
}
