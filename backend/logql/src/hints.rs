//! What parsers need not extract, because the query has no use for it.
//!
//! That is more than speed: what is not parsed makes no error and hides nothing, and a line goes at once when a label that is
//! filtered on does not hold. Answers are those of Loki only with the same hints.

use std::sync::Arc;

use crate::{
    ast::{Grouping, LabelFilter},
    labels::{DUPLICATE_SUFFIX, ERROR},
};

/// Filters of one label each.
pub(crate) type Filters = Arc<[(Box<str>, LabelFilter)]>;

#[derive(Clone, Debug, Default)]
pub(crate) struct Hints {
    /// Nothing is needed.
    no_labels: bool,
    /// If any, only these.
    required: Vec<Box<str>>,
    filters: Filters,
    extracted: Vec<Box<str>>,
}

/// What a metric query keeps of a line's labels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needs<'q> {
    /// Labels that stages look at.
    pub(crate) stages: &'q [Box<str>],
    pub(crate) grouping: Option<&'q Grouping>,
    pub(crate) unwrapped: Option<&'q str>,
}

impl Hints {
    /// For lines: all labels are part of the answer.
    pub(crate) fn for_lines(filters: Filters) -> Self {
        Self {
            filters,
            ..Self::default()
        }
    }

    pub(crate) fn for_samples(needs: Needs<'_>, filters: Filters) -> Self {
        let single = needs.grouping.is_some_and(Grouping::is_single);
        let Some(grouping) = needs.grouping.filter(|grouping| !grouping.without) else {
            return Self::for_lines(filters);
        };
        let mut required: Vec<Box<str>> = Vec::new();
        let groups = grouping.labels.iter().map(|label| &**label);
        let stages = needs.stages.iter().map(|label| &**label);
        for name in stages.chain(groups).chain(needs.unwrapped) {
            // A key may get the suffix only after it has been found.
            for name in [Some(name), name.strip_suffix(DUPLICATE_SUFFIX)] {
                let name = name.filter(|name| !name.is_empty());
                if let Some(name) = name.filter(|name| required.iter().all(|one| &**one != *name)) {
                    required.push(name.into());
                }
            }
        }
        Self {
            no_labels: required.is_empty(),
            filters: if single && !required.is_empty() {
                filters
            } else {
                Filters::default()
            },
            required,
            extracted: Vec::new(),
        }
    }

    pub(crate) fn reset(&mut self) {
        self.extracted.clear();
    }

    pub(crate) fn record(&mut self, name: &str) {
        if !self.required.is_empty() && !self.is_extracted(name) {
            self.extracted.push(name.into());
        }
    }

    fn is_extracted(&self, name: &str) -> bool {
        self.extracted.iter().any(|one| &**one == name)
    }

    /// Whether a parser should set this label.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.required.is_empty()
            || self.required.iter().any(|one| &**one == name) && !self.is_extracted(name)
    }

    /// Whether a parser should look into an object of this name.
    pub(crate) fn wants_prefix(&self, prefix: &str) -> bool {
        self.required.is_empty() || self.required.iter().any(|one| one.starts_with(prefix))
    }

    pub(crate) fn all_extracted(&self) -> bool {
        !self.required.is_empty() && self.required.iter().all(|one| self.is_extracted(one))
    }

    /// Whether parsers have nothing to do.
    pub(crate) fn nothing_wanted(&self) -> bool {
        self.no_labels || self.all_extracted()
    }

    pub(crate) fn preserves_error(&self) -> bool {
        self.required.iter().any(|one| &**one == ERROR)
    }

    /// What labels have to pass as soon as they are found.
    pub(crate) fn filters(&self) -> &Filters {
        &self.filters
    }
}
