//! Arbitrary text as a TraceQL query.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(query) = traceql::parse(text) else {
        return;
    };
    let canonical = query.to_string();
    match traceql::parse(&canonical) {
        Ok(again) => assert_eq!(again, query, "{canonical}"),
        // The canonical text may be longer than what is taken.
        Err(error) => assert!(canonical.len() > text.len(), "{canonical}: {error}"),
    }
    query.candidates();
    query.shown();
});
