//! The tree of routes: which of them an alert takes, and the names by which they are known. What a route does with an alert is
//! the matter of the machine.

use std::collections::BTreeSet;

use crate::{
    labels::Labels,
    matcher::{Matcher, all_match, describe},
};

/// The tree, flat; the root is the first.
#[derive(Clone, Debug)]
pub struct Routes(Vec<Route>);

/// One node, with what it inherits.
#[derive(Clone, Debug)]
pub struct Route {
    /// The path of matchers from the root: the first part of the keys of its groups. Not unique.
    pub key: String,
    /// As the key, with positions: unique.
    pub id: String,
    pub matchers: Vec<Matcher>,
    pub goes_on: bool,
    pub options: RouteOptions,
    children: Vec<usize>,
}

/// What happens to alerts of a route.
#[derive(Clone, Debug)]
pub struct RouteOptions {
    pub receiver: String,
    pub group_by: GroupBy,
    pub group_wait_ms: i64,
    pub group_interval_ms: i64,
    pub repeat_interval_ms: i64,
    /// Not inherited.
    pub mute_time_intervals: Vec<String>,
    /// Not inherited.
    pub active_time_intervals: Vec<String>,
}

/// Alerts with the same values of these labels are one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBy {
    All,
    Labels(BTreeSet<String>),
}

impl Routes {
    pub fn new(options: RouteOptions) -> Self {
        let key = describe(&[]);
        Self(vec![Route {
            id: key.clone(),
            key,
            matchers: Vec::new(),
            goes_on: false,
            options,
            children: Vec::new(),
        }])
    }

    /// Adds a child behind those that `parent` has; its index.
    pub(crate) fn add(
        &mut self,
        parent: usize,
        mut matchers: Vec<Matcher>,
        goes_on: bool,
        options: RouteOptions,
    ) -> usize {
        matchers.sort();
        let text = describe(&matchers);
        let (index, above) = (self.0.len(), &mut self.0[parent]);
        let position = above.children.len();
        above.children.push(index);
        let route = Route {
            key: format!("{}/{text}", above.key),
            id: format!("{}/{text}/{position}", above.id),
            matchers,
            goes_on,
            options,
            children: Vec::new(),
        };
        self.0.push(route);
        index
    }

    pub fn get(&self, index: usize) -> &Route {
        &self.0[index]
    }

    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.0.iter()
    }

    /// Indices of the routes that an alert takes: the deepest on each path, up to the first that does not go on.
    pub fn matching(&self, labels: &Labels) -> Vec<usize> {
        let mut found = Vec::new();
        self.collect(0, labels, &mut found);
        found
    }

    /// True if the route or one below it was found.
    fn collect(&self, index: usize, labels: &Labels, found: &mut Vec<usize>) -> bool {
        let route = self.get(index);
        if !all_match(&route.matchers, labels) {
            return false;
        }
        let before = found.len();
        for child in &route.children {
            if self.collect(*child, labels, found) && !self.get(*child).goes_on {
                break;
            }
        }
        if found.len() == before {
            found.push(index);
        }
        true
    }
}

impl RouteOptions {
    /// The labels that the group of an alert has.
    pub(crate) fn group_labels(&self, labels: &Labels) -> Labels {
        match &self.group_by {
            GroupBy::All => labels.clone(),
            GroupBy::Labels(names) => {
                let pairs = labels.0.iter().filter(|(name, _)| names.contains(*name));
                pairs.collect()
            }
        }
    }
}
