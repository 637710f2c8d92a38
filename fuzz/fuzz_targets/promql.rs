//! Arbitrary text as a PromQL expression: its canonical text is the same expression, and it can be evaluated.
#![no_main]

use fuzz::metrics::{Memory, NOW_MS};
use promql::Span;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(expr) = promql::parse(text) else {
        return;
    };
    let canonical = expr.to_string();
    match promql::parse(&canonical) {
        Ok(again) => {
            assert_eq!(plain(again.to_string()), plain(canonical));
            assert_eq!(again.value_type(), expr.value_type());
        }
        // The canonical text may be longer than what is taken.
        Err(error) => assert!(
            canonical.len() > promql::TEXT_BYTES_MAX,
            "{canonical}: {error}"
        ),
    }
    let (engine, memory) = (fuzz::metrics::engine(), Memory::new());
    let _ = engine.instant(&memory, &expr, NOW_MS);
    let span = Span {
        start_ms: NOW_MS - 300_000,
        end_ms: NOW_MS,
        step_ms: 60_000,
    };
    let _ = engine.range(&memory, &expr, span);
});

/// As in Prometheus, the sign that infinity is written with is read as one of the whole term: `Inf ^ 2` becomes `+Inf ^ 2`, and that
/// `++Inf ^ 2`.
fn plain(mut text: String) -> String {
    while text.contains("++Inf") {
        text = text.replace("++Inf", "+Inf");
    }
    text
}
