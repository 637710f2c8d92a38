//! Arbitrary text as a rule file: what is accepted can be evaluated, taken over by a reload, and ended.
#![no_main]

use std::path::Path;

use alerting::{RuleFile, Rules};
use fuzz::metrics::NOW_MS;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let read = || RuleFile::parse(Path::new("rules.yml"), text);
    let file = match read() {
        Ok(file) => file,
        Err(error) => {
            assert!(error.to_string().starts_with("rules.yml: "));
            return;
        }
    };
    let mut rules = Rules::default();
    rules.apply(vec![file], 15_000);
    fuzz::with_surroundings(|with| {
        rules.evaluate_all(NOW_MS, with);
        rules.apply(vec![read().expect("it was read before")], 15_000);
        rules.evaluate_all(NOW_MS + 60_000, with);
        rules.tick(NOW_MS + 120_000, with);
        rules.next_due_ms(NOW_MS);
        rules.apply(Vec::new(), 15_000);
        rules.tick(NOW_MS + 180_000, with);
    });
});
