//! Which traces are kept: the compiled policies of one `tail_sampling` processor, and what spans tell them.
//!
//! Pure: no IO, no clock, no interior mutability. What one span says is reduced to a few bits and two times, its [`Facts`];
//! facts merge in any order, grouping and repetition to the same value, so that none of these can change a decision.
//! Reading policies from a file is `config`'s; holding facts until a decision is `sampler`'s.

mod hash;
mod observe;
mod pattern;
#[cfg(test)]
mod tests;

use otlp::wire::{Resource, Span};

pub(crate) use hash::Probability;
pub(crate) use observe::Test;
pub(crate) use pattern::Pattern;

use observe::Observer;

/// Conditions on single spans or resources that one processor may have: each is one bit of [`Facts`].
pub const LEAVES_MAX: usize = 64;

/// One policy as it stands in the file.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    pub name: String,
    pub condition: Condition,
    /// A trace that satisfies the condition is dropped, whatever the other policies say.
    pub drops: bool,
}

/// What a trace must be like.
#[derive(Clone, Debug)]
pub(crate) enum Condition {
    Always,
    /// Some span has one of these status codes.
    Status(Vec<i32>),
    /// Some span or resource has an attribute that passes the test.
    Attribute(String, Test),
    /// From the earliest start to the latest end of its spans.
    Latency(Latency),
    Probability(Probability),
    Not(Box<Self>),
    /// Each of them; different spans may satisfy different ones.
    All(Vec<Self>),
}

/// `above_ms` < duration ≤ `up_to_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Latency {
    pub above_ms: i64,
    pub up_to_ms: i64,
}

/// More conditions on spans and resources than [`LEAVES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {LEAVES_MAX} conditions on spans and attributes")]
pub(crate) struct TooManyLeaves;

/// What the spans of a trace, or some of them, say to the policies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Leaves that some span or resource satisfies.
    seen: u64,
    /// Earliest start of a span; 0: none is known, as on the wire.
    start_ns: u64,
    /// Latest end of a span.
    end_ns: u64,
}

/// What becomes of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// `policy`: index in [`Policies::names`] of the first that sampled.
    Keep { policy: usize },
    /// `policy`: index of the `drop` policy that took it out; `None`: no policy sampled it.
    Drop { policy: Option<usize> },
}

/// The policies of one `tail_sampling` processor.
#[derive(Clone, Debug)]
pub struct Policies {
    names: Vec<String>,
    /// In the order of the file; the index is that of the name.
    drops: Vec<(usize, Rule)>,
    keeps: Vec<(usize, Rule)>,
    observer: Observer,
}

/// A condition whose leaves are bits.
#[derive(Clone, Debug)]
enum Rule {
    Always,
    Seen(u64),
    Latency(Latency),
    Probability(Probability),
    Not(Box<Self>),
    All(Vec<Self>),
}

impl Facts {
    /// Adds what other spans of the same trace say. Commutative, associative, idempotent; the default is its identity.
    pub fn merge(&mut self, other: &Self) {
        self.seen |= other.seen;
        self.end_ns = self.end_ns.max(other.end_ns);
        self.start_ns = match (self.start_ns, other.start_ns) {
            (0, start) | (start, 0) => start,
            (one, other) => one.min(other),
        };
    }

    /// As the Collector takes it: the difference of signed times, cut to whole milliseconds towards zero.
    fn duration_ms(&self) -> i64 {
        self.end_ns
            .cast_signed()
            .saturating_sub(self.start_ns.cast_signed())
            / 1_000_000
    }
}

impl Policies {
    /// Compiles policies in the order of the file.
    pub(crate) fn compile(definitions: Vec<Definition>) -> Result<Self, TooManyLeaves> {
        let mut policies = Self {
            names: Vec::new(),
            drops: Vec::new(),
            keeps: Vec::new(),
            observer: Observer::default(),
        };
        for definition in definitions {
            let rule = compile(definition.condition, &mut policies.observer)?;
            let rules = if definition.drops {
                &mut policies.drops
            } else {
                &mut policies.keeps
            };
            rules.push((policies.names.len(), rule));
            policies.names.push(definition.name);
        }
        Ok(policies)
    }

    /// Names in the order of the file.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What a resource says: holds for each span of it. Once per resource.
    pub fn resource_facts(&self, resource: &Resource<'_>) -> Facts {
        self.observer.resource(resource)
    }

    /// Adds what a span says to `facts`. Its resource is not looked at: see [`Self::resource_facts`].
    pub fn observe(&self, facts: &mut Facts, span: &Span<'_>) {
        let times = Facts {
            seen: 0,
            start_ns: span.start_ns,
            end_ns: span.end_ns,
        };
        facts.merge(&times);
        facts.seen |= self.observer.span(span, facts.seen);
    }

    /// Decides a trace of which these facts are known.
    pub fn decide(&self, facts: &Facts, trace_id: &[u8; 16]) -> Decision {
        let first = |rules: &[(usize, Rule)]| {
            rules
                .iter()
                .find(|(_, rule)| rule.holds(facts, trace_id))
                .map(|(index, _)| *index)
        };
        if let Some(policy) = first(&self.drops) {
            return Decision::Drop {
                policy: Some(policy),
            };
        }
        first(&self.keeps).map_or(Decision::Drop { policy: None }, |policy| Decision::Keep {
            policy,
        })
    }
}

impl Latency {
    fn holds(self, duration_ms: i64) -> bool {
        self.above_ms < duration_ms && duration_ms <= self.up_to_ms
    }
}

impl Rule {
    fn holds(&self, facts: &Facts, trace_id: &[u8; 16]) -> bool {
        match self {
            Self::Always => true,
            Self::Seen(leaf) => facts.seen & leaf != 0,
            Self::Latency(latency) => latency.holds(facts.duration_ms()),
            Self::Probability(probability) => probability.holds(trace_id),
            Self::Not(rule) => !rule.holds(facts, trace_id),
            Self::All(rules) => rules.iter().all(|rule| rule.holds(facts, trace_id)),
        }
    }
}

fn compile(condition: Condition, observer: &mut Observer) -> Result<Rule, TooManyLeaves> {
    Ok(match condition {
        Condition::Always => Rule::Always,
        Condition::Status(codes) => Rule::Seen(observer.status(&codes)?),
        Condition::Attribute(key, test) => Rule::Seen(observer.attribute(key, test)?),
        Condition::Latency(latency) => Rule::Latency(latency),
        Condition::Probability(probability) => Rule::Probability(probability),
        Condition::Not(inner) => Rule::Not(Box::new(compile(*inner, observer)?)),
        Condition::All(inner) => Rule::All(
            inner
                .into_iter()
                .map(|condition| compile(condition, observer))
                .collect::<Result<_, _>>()?,
        ),
    })
}
