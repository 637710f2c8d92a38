//! What a look at a trace that does not match costs: no allocation, and one look-up of an attribute by span and condition.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use traceql::model::Scope;
use traceql::parse;

use crate::trace::{Attribute, LOOKUPS, Made, span};

thread_local! {
    /// Of this thread, since other tests run beside.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The system's allocator, counted.
struct Counting;

#[expect(unsafe_code, reason = "only an allocator sees all allocations")]
// SAFETY: both hand everything on to the system's allocator, unchanged; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is the one that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// Allocations and look-ups of a query that finds nothing.
fn cost(query: &str) -> (usize, usize) {
    let trace = Made {
        spans: (1..=10)
            .map(|id| {
                span(id, id - 1, "a name")
                    .service("a service")
                    .int("n", 1)
                    .text("text", "a text")
                    .with(Scope::Span, "tags", Attribute::Texts(vec!["a", "b"]))
            })
            .collect(),
    };
    let query = parse(query).unwrap();
    // The first time, regular expressions make room to work in.
    query.evaluate(&trace);
    let before = (ALLOCATIONS.get(), LOOKUPS.get());
    let found = query.evaluate(&trace);
    let after = (ALLOCATIONS.get(), LOOKUPS.get());
    assert_eq!(found, None, "{query}");
    (after.0 - before.0, after.1 - before.1)
}

#[test]
fn a_trace_that_does_not_match_costs_no_allocation_and_one_look_by_condition() {
    // Of ten spans.
    for (query, lookups) in [
        ("{ name = `another` }", 0),
        ("{ kind = server && span.n = 1 }", 0),
        ("{ span.n = 2 }", 10),
        ("{ span.n = 1 && span.text = `another` }", 20),
        ("{ span.n = 2 && span.text = `a text` }", 10),
        ("{ span.n = 2 || span.text = `another` }", 20),
        ("{ .n = 2 }", 10),
        ("{ .service.name = `another` }", 20),
        ("{ span.text != `a text` }", 10),
        ("{ span.text !~ `a.*` }", 10),
        ("{ span.tags != `b` }", 10),
        ("{ span.text = nil }", 10),
        ("{ span.nothing != nil }", 10),
        ("{ span:id = `ff` && trace:id = `ab` }", 0),
        ("{ span.n = 2 } && { span.n = 1 }", 10),
        ("{ span.n = 2 } >> { span.n = 1 }", 10),
        ("{ span.n = 2 } | count() > 1", 10),
    ] {
        assert_eq!(cost(query), (0, lookups), "{query}");
    }
}

#[test]
fn what_is_found_is_allocated() {
    let before = ALLOCATIONS.get();
    let trace = Made {
        spans: vec![span(1, 0, "a name")],
    };
    assert!(parse("{ }").unwrap().evaluate(&trace).is_some());
    assert!(ALLOCATIONS.get() > before, "the counter counts");
}
