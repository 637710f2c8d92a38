//! Arbitrary text as LogQL.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    let expr = match logql::parse(text) {
        Ok(expr) => expr,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    for canonical in [expr.to_string(), logql::pretty(&expr)] {
        match logql::parse(&canonical) {
            Ok(again) => assert_eq!(again.to_string(), expr.to_string()),
            // The canonical text may be longer than what is taken.
            Err(error) => assert!(canonical.len() > text.len(), "{canonical}: {error}"),
        }
    }
});
