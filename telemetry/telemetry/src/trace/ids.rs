//! Trace and span ids: random, except that the process's own start-up trace gets an id the collector keeps.

use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};

use crate::sampling::Predicate;

/// Draws for a start-up trace id. At the default 5 % all of them miss once in 10^22 starts; at 0 % all of them miss
/// always, and the last one is as good as any.
const DRAWS_MAX: usize = 1_000;

/// Gives out `first` as the first trace id, random ones after it.
#[derive(Debug)]
pub(crate) struct Ids {
    first: TraceId,
    given: AtomicBool,
    random: RandomIdGenerator,
}

impl Ids {
    /// Draws the first id until `predicate` keeps it.
    pub(crate) fn first_kept_by(predicate: &Predicate) -> Self {
        let random = RandomIdGenerator::default();
        let mut first = random.new_trace_id();
        for _ in 0..DRAWS_MAX {
            if predicate.keeps(first) {
                break;
            }
            first = random.new_trace_id();
        }
        Self {
            first,
            given: AtomicBool::new(false),
            random,
        }
    }
}

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        let given = self.given.load(Ordering::Relaxed) || self.given.swap(true, Ordering::Relaxed);
        if given {
            self.random.new_trace_id()
        } else {
            self.first
        }
    }

    fn new_span_id(&self) -> SpanId {
        self.random.new_span_id()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::Sampling;

    #[test]
    fn the_first_trace_id_is_kept_and_given_once() {
        let predicate = Predicate::new(&Sampling::default());
        for _ in 0..20 {
            let ids = Ids::first_kept_by(&predicate);
            let first = ids.new_trace_id();
            assert!(predicate.keeps(first));
            assert_ne!(ids.new_trace_id(), first);
            assert_ne!(ids.new_span_id(), ids.new_span_id());
        }
    }

    #[test]
    fn a_predicate_that_keeps_nothing_still_gets_an_id() {
        let nothing = Sampling {
            percentage: 0.0,
            ..Sampling::default()
        };
        let ids = Ids::first_kept_by(&Predicate::new(&nothing));
        assert_ne!(ids.new_trace_id(), TraceId::INVALID);
    }
}
