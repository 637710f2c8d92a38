//! One request, read whole before any span of it is taken: so a malformed one is never half taken, and the shards are
//! locked only to store spans.

use std::hash::{BuildHasher, RandomState};

use otlp::{
    TraceId,
    wire::{self, Malformed, Resource, Scope, Span},
};

use crate::{
    config::Config,
    policy::{Facts, Policies},
    sampler::{Arrival, Origin},
};

/// The spans of a request, by shard.
pub(super) struct Arrivals<'a> {
    pub shards: Vec<Vec<Arrival<'a>>>,
    /// Spans that can be taken.
    pub taken: u64,
    /// Spans without a valid trace or span id.
    pub rejected: u64,
}

/// Reads `request`; `hash` decides the shard of a trace.
pub(super) fn read<'a>(
    request: &'a [u8],
    config: &Config,
    hash: &RandomState,
    shards: usize,
) -> Result<Arrivals<'a>, Malformed> {
    let mut reader = Reader {
        config,
        lanes: [&config.ontime, &config.late],
        hash,
        resource: None,
        scope: None,
        arrivals: Arrivals {
            shards: vec![Vec::new(); shards],
            taken: 0,
            rejected: 0,
        },
    };
    wire::walk(request, &mut reader)?;
    Ok(reader.arrivals)
}

struct Reader<'a, 'c> {
    config: &'c Config,
    /// Policies of on-time and of late spans.
    lanes: [&'c Policies; 2],
    hash: &'c RandomState,
    resource: Option<(Resource<'a>, [Facts; 2])>,
    scope: Option<Scope<'a>>,
    arrivals: Arrivals<'a>,
}

impl<'a> wire::Visit<'a> for Reader<'a, '_> {
    fn resource(&mut self, resource: Resource<'a>) {
        let facts = self
            .lanes
            .map(|policies| policies.resource_facts(&resource));
        self.resource = Some((resource, facts));
    }

    fn scope(&mut self, scope: Scope<'a>) {
        self.scope = Some(scope);
    }

    fn span(&mut self, span: Span<'a>) {
        let (resource, facts) = self.resource.expect("a resource is told before its spans");
        let scope = self.scope.expect("a scope is told before its spans");
        let trace_id = TraceId::from_slice(span.trace_id).filter(|id| !id.is_zero());
        let (Some(trace_id), Some(id_at)) = (trace_id, id_offset(&span)) else {
            self.arrivals.rejected += 1;
            return;
        };
        let late = self.config.is_late(&span);
        let mut facts = facts[usize::from(late)];
        self.lanes[usize::from(late)].observe(&mut facts, &span);
        let shard = self.hash.hash_one(trace_id) as usize % self.arrivals.shards.len();
        self.arrivals.taken += 1;
        let origin = Origin { resource, scope };
        self.arrivals.shards[shard].push(Arrival {
            trace_id,
            late,
            facts,
            origin,
            span: span.bytes,
            id_at,
        });
    }
}

/// Where the span id lies in the span's bytes, if it is one.
fn id_offset(span: &Span<'_>) -> Option<u32> {
    let valid = span.span_id.len() == 8 && span.span_id.iter().any(|byte| *byte != 0);
    let offset = (span.span_id.as_ptr() as usize).checked_sub(span.bytes.as_ptr() as usize)?;
    u32::try_from(offset).ok().filter(|_| valid)
}
