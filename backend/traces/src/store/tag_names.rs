//! The names of attributes that spans have.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::time::Instant;

use traceql::Query;
use traceql::model::{Scope, Trace as _};

use super::scan::{Visitor, Walk, candidates};
use super::{Error, Store};
use crate::joined::{JoinedSpan, JoinedTrace};
use crate::own_metrics::{self, Asked};
use crate::request::{Partial, TagName, TagNames, TagScope, TagsRequest};

/// Names of an answer.
const NAMES_MAX: usize = 10_000;
const SCOPES: [Scope; 5] = [
    Scope::Span,
    Scope::Resource,
    Scope::Event,
    Scope::Link,
    Scope::Instrumentation,
];
/// What Tempo lists, whatever is stored.
const INTRINSICS: [&str; 25] = [
    "duration",
    "event:name",
    "event:timeSinceStart",
    "instrumentation:name",
    "instrumentation:version",
    "kind",
    "link:spanID",
    "link:traceID",
    "name",
    "rootName",
    "rootServiceName",
    "span:duration",
    "span:id",
    "span:kind",
    "span:name",
    "span:parentID",
    "span:status",
    "span:statusMessage",
    "status",
    "statusMessage",
    "trace:duration",
    "trace:id",
    "trace:rootName",
    "trace:rootService",
    "traceDuration",
];

impl Store {
    /// The names of the attributes of spans, by scope, and the fixed list of intrinsics.
    ///
    /// # Errors
    /// Blocks cannot be read.
    pub fn tag_names(&self, request: &TagsRequest) -> Result<TagNames, Error> {
        let begun = Instant::now();
        let result = self.find_names(request);
        let partial = result.as_ref().map(|found| found.partial.as_ref());
        own_metrics::asked(Asked::Tags, partial, begun.elapsed());
        result
    }

    fn find_names(&self, request: &TagsRequest) -> Result<TagNames, Error> {
        let mut seen = Seen::new(request);
        let mut found = TagNames::default();
        if !seen.scopes.is_empty() {
            let walk = Walk {
                range: request.range,
                candidates: &candidates(request.query.as_ref()),
            };
            let walked = self.walk(&walk, &mut seen)?;
            (found.metrics, found.partial) = (walked.metrics, walked.partial);
        }
        found.names = seen.names();
        if request
            .scope
            .is_none_or(|scope| scope == TagScope::Intrinsic)
        {
            found.names.extend(INTRINSICS.map(|name| TagName {
                scope: TagScope::Intrinsic,
                name: name.to_owned(),
            }));
        }
        Ok(found)
    }
}

struct Seen<'r> {
    query: Option<&'r Query>,
    limit: usize,
    /// The scopes that are asked for, each with its names.
    scopes: Vec<(Scope, HashSet<String>)>,
    count: usize,
}

impl<'r> Seen<'r> {
    fn new(request: &'r TagsRequest) -> Self {
        let is_asked = |scope: &Scope| match request.scope {
            None => true,
            Some(asked) => asked == TagScope::Attribute(*scope),
        };
        let scopes = SCOPES.into_iter().filter(is_asked);
        Self {
            query: request.query.as_ref(),
            limit: request.limit.min(NAMES_MAX),
            scopes: scopes.map(|scope| (scope, HashSet::new())).collect(),
            count: 0,
        }
    }

    fn span(&mut self, span: &JoinedSpan<'_, '_>) {
        for (scope, names) in &mut self.scopes {
            span.each_list(*scope, |attributes| {
                for (key, _) in attributes {
                    if self.count < self.limit && !names.contains(key) {
                        names.insert(key.to_owned());
                        self.count += 1;
                    }
                }
            });
        }
    }

    /// Sorted by scope, then name.
    fn names(self) -> Vec<TagName> {
        let mut names: Vec<TagName> = Vec::new();
        for (scope, found) in self.scopes {
            let scope = TagScope::Attribute(scope);
            names.extend(found.into_iter().map(|name| TagName { scope, name }));
        }
        names.sort_unstable_by(|a, b| (a.scope, &a.name).cmp(&(b.scope, &b.name)));
        names
    }
}

impl Visitor for Seen<'_> {
    fn trace(&mut self, trace: &JoinedTrace<'_>) -> ControlFlow<Partial> {
        matching(trace, self.query, |index| self.span(&trace.span(index)));
        match self.count >= self.limit {
            true => ControlFlow::Break(Partial::Values { max: self.limit }),
            false => ControlFlow::Continue(()),
        }
    }
}

/// The spans that match, or all without a query.
pub(super) fn matching(trace: &JoinedTrace<'_>, query: Option<&Query>, each: impl FnMut(usize)) {
    let Some(query) = query else {
        return (0..trace.len()).for_each(each);
    };
    let found = query.evaluate(trace);
    let sets = found.into_iter().flat_map(|found| found.spansets);
    sets.flat_map(|set| set.spans).for_each(each);
}
