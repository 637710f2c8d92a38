//! Every file in `tests/patterns`: patterns with the messages they select (`+`) and do not (`-`), what a store may skip by them, and
//! the errors of texts that are no patterns. And what no text may do: panic, or make a hint untrue.

#![allow(clippy::unwrap_used)]

use std::{fs, path::Path};

use logql::Hint;
use proptest::prelude::*;

use super::{FilterPattern, PATTERN_BYTES_MAX, indexed_fields};

fn shown(hint: &Hint) -> String {
    match hint {
        Hint::Contains(text) => format!("contains {text}"),
        Hint::Field { name, value } => format!("field {name} {value}"),
    }
}

/// Whether the hint is true of a message as it is stored.
fn is_true(hint: &Hint, message: &str) -> bool {
    match hint {
        Hint::Contains(text) => message.contains(&**text),
        Hint::Field { name, value } => indexed_fields(message)
            .iter()
            .any(|(field, found)| **name == **field && **value == *found.as_str()),
    }
}

fn check_selection(pattern: &FilterPattern, text: &str, message: &str, expected: bool) {
    assert_eq!(pattern.matches(message), expected, "{text} on {message}");
    for hint in pattern.hints() {
        assert!(
            !expected || is_true(&hint, message),
            "{hint:?} of {text} on {message}"
        );
    }
}

/// One paragraph: a pattern, its hints, its messages.
fn check_pattern<'l>(text: &str, lines: impl Iterator<Item = &'l str>) -> usize {
    let pattern = FilterPattern::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let mut hints: Vec<String> = Vec::new();
    let mut messages = 0;
    for line in lines {
        if let Some(hint) = line.strip_prefix("hint: ") {
            hints.push(hint.to_owned());
        } else {
            let (sign, message) = line.split_at(1);
            let message = message.strip_prefix(' ').unwrap_or(message);
            assert!(matches!(sign, "+" | "-"), "{line}");
            check_selection(&pattern, text, message, sign == "+");
            messages += 1;
        }
    }
    assert_eq!(
        pattern.hints().iter().map(shown).collect::<Vec<_>>(),
        hints,
        "{text}"
    );
    messages
}

fn check_error(line: &str) {
    let (text, expected) = line.split_once(" => ").unwrap();
    let error = FilterPattern::parse(text).map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), expected, "{text}");
}

#[test]
fn patterns_select_what_their_files_say() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/patterns");
    let mut messages = 0;
    for entry in fs::read_dir(dir).unwrap() {
        let file = fs::read_to_string(entry.unwrap().path()).unwrap();
        for paragraph in file.split("\n\n") {
            let mut lines = paragraph
                .lines()
                .filter(|line| !line.starts_with('#'))
                .peekable();
            while let Some(error) = lines.next_if(|line| line.starts_with("error: ")) {
                check_error(error.trim_start_matches("error: "));
            }
            if let Some(first) = lines.next() {
                messages += check_pattern(first.strip_prefix("pattern:").unwrap().trim(), lines);
            }
        }
    }
    assert!(messages > 150, "only {messages} messages were judged");
}

#[test]
fn long_and_deep_patterns_are_refused() {
    let word = "a".repeat(PATTERN_BYTES_MAX);
    assert!(FilterPattern::parse(&word).is_ok());
    let error = FilterPattern::parse(&format!("{word}a"))
        .map(|_| ())
        .unwrap_err();
    assert!(error.to_string().starts_with("1 validation error detected"));
    let deep = |depth| format!("{{{}$.a=1{}}}", "(".repeat(depth), ")".repeat(depth));
    assert!(FilterPattern::parse(&deep(32)).is_ok());
    assert!(FilterPattern::parse(&deep(33)).is_err());
    assert!(FilterPattern::parse(&format!("{{$.{}=1}}", ["a"; 32].join("."))).is_ok());
    assert!(FilterPattern::parse(&format!("{{$.{}=1}}", ["a"; 33].join("."))).is_err());
    assert!(FilterPattern::parse(&format!("[{}]", ["a"; 65].join(","))).is_err());
}

#[test]
fn ids_are_indexed_when_they_are_short_text_of_the_outermost_object() {
    let check = |message: &str, expected: &[(&str, &str)]| {
        let found = indexed_fields(message);
        let found: Vec<(&str, &str)> = found
            .iter()
            .map(|(name, value)| (*name, &**value))
            .collect();
        assert_eq!(found, expected, "{message}");
    };
    check(
        r#" {"trace_id":"t","span_id":"s","other":"o"}"#,
        &[("span_id", "s"), ("trace_id", "t")],
    );
    check(r#"{"trace_id":1,"span_id":""}"#, &[]);
    check(r#"{"a":{"trace_id":"t"}}"#, &[]);
    check(r#"{"trace_id":"t""#, &[]);
    check(r#"["trace_id"]"#, &[]);
    let long = "x".repeat(65);
    check(&format!(r#"{{"trace_id":"{long}"}}"#), &[]);
    // What is not indexed must still be found.
    let pattern = FilterPattern::parse(&format!("{{$.trace_id=\"{long}\"}}")).unwrap();
    check_selection(
        &pattern,
        "long",
        &format!(r#"{{"trace_id":"{long}"}}"#),
        true,
    );
}

proptest! {
    #[test]
    fn any_text_is_a_pattern_or_an_error(text in "\\PC{0,60}", message in "\\PC{0,60}") {
        if let Ok(pattern) = FilterPattern::parse(&text) {
            let selects = pattern.matches(&message);
            prop_assert!(!selects || pattern.hints().iter().all(|hint| is_true(hint, &message)));
        }
    }

    #[test]
    fn what_looks_like_a_pattern_is_a_pattern_or_an_error(
        text in "[\\[{]([$.=!<>&|()\"%*a1\\[\\], -]|NOT EXISTS|IS NULL|\\$\\.a){0,20}[\\]}]",
        message in "\\{\"a\":([0-9]{1,3}|\"[a1*]{0,3}\"|null|true|\\[1\\])\\}",
    ) {
        if let Ok(pattern) = FilterPattern::parse(&text) {
            let selects = pattern.matches(&message);
            prop_assert!(!selects || pattern.hints().iter().all(|hint| is_true(hint, &message)));
        }
    }

    #[test]
    fn a_condition_finds_the_value_that_a_message_was_written_with(value in "\\PC{1,40}") {
        let message = serde_json::json!({ "trace_id": value, "deep": { "text": value } }).to_string();
        // Within quotes only these three mean something else.
        prop_assume!(!value.contains('*'));
        let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
        for selector in ["$.trace_id", "$.deep.text"] {
            let pattern = FilterPattern::parse(&format!("{{ {selector} = \"{quoted}\" }}")).unwrap();
            prop_assert!(pattern.matches(&message));
            prop_assert!(pattern.hints().iter().all(|hint| is_true(hint, &message)));
        }
    }
}
