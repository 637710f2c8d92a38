//! Arbitrary text as the template of an alert's label and annotation: what is accepted becomes a text of bounded length.
#![no_main]

use std::path::Path;

use alerting::{RuleFile, Rules};
use fuzz::metrics::NOW_MS;

/// The longest expansion, and an error that stands in its place.
const TEXT_BYTES_MAX: usize = 2 * (64 << 10);

libfuzzer_sys::fuzz_target!(|template: &str| {
    // JSON is YAML, but for what no YAML may contain.
    let quoted = serde_json::to_string(template).expect("a string is JSON");
    let rule =
        format!("{{alert: A, expr: up, labels: {{l: {quoted}}}, annotations: {{a: {quoted}}}}}");
    let yaml = format!("groups: [{{name: g, rules: [{rule}]}}]");
    let Ok(file) = RuleFile::parse(Path::new("rules.yml"), &yaml) else {
        return;
    };
    let mut rules = Rules::default();
    rules.apply(vec![file], 15_000);
    fuzz::with_surroundings(|with| {
        for notification in rules.evaluate_all(NOW_MS, with) {
            for (_, text) in notification.annotations.iter() {
                assert!(text.len() <= TEXT_BYTES_MAX, "{} bytes", text.len());
            }
        }
    });
});
