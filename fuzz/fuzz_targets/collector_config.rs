//! Arbitrary text as the Collector's configuration file; what is accepted must be able to decide.
#![no_main]

use collector::{Config, policy::Facts};
use otlp::wire::{Resource, Span};

/// An environment with everything that references can be: values of several types, a chain, and a circle.
fn variable(name: &str) -> Option<String> {
    let value = match name {
        "NUMBER" => "12",
        "TEXT" => "text",
        "EMPTY" => "",
        "LIST" => "[a, \"${env:NUMBER}\"]",
        "CIRCLE" => "[\"${env:CIRCLE}\", \"${env:CIRCLE}\"]",
        "DOUBLE" => "${env:DOUBLE}${env:DOUBLE}",
        _ => return None,
    };
    Some(value.to_owned())
}

libfuzzer_sys::fuzz_target!(|text: &str| {
    let config = match Config::parse(text, &variable) {
        Ok(config) => config,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let span = Span::default();
    assert!(
        !config.is_late(&span),
        "a span without attributes has no mark"
    );
    for policies in [&config.ontime, &config.late] {
        let mut facts = Facts::default();
        facts.merge(&policies.resource_facts(&Resource::default()));
        policies.observe(&mut facts, &span);
        policies.decide(&facts, &[0; 16]);
    }
});
