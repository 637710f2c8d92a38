#![allow(clippy::unwrap_used)]

use super::*;

fn rule(source_labels: &[&str], action: Action) -> Rule {
    Rule {
        source_labels: source_labels.iter().map(ToString::to_string).collect(),
        separator: ";".into(),
        action,
    }
}

fn pattern(text: &str) -> Pattern {
    Pattern::new(text).unwrap()
}

fn replace(text: &str, target: &str, replacement: &str) -> Action {
    Action::Replace {
        pattern: pattern(text),
        target: target.into(),
        replacement: replacement.into(),
    }
}

/// `None` as expectation: dropped.
fn check(source_labels: &[&str], action: Action, expected: Option<&[(&str, &str)]>) {
    let mut labels = LabelSet::from_iter([("a", "foo"), ("b", "bar"), ("c", "Baz9")]);
    let said = format!("{action:?}");
    let kept = apply(&[rule(source_labels, action)], &mut labels);
    let expected = expected.map(|pairs| Labels::new(pairs.iter().copied()));
    assert_eq!(kept.then(|| labels.into_labels()), expected, "{said}");
}

#[test]
fn every_action_does_what_it_says() {
    let all = [("a", "foo"), ("b", "bar"), ("c", "Baz9")];
    let with = |name, value| [all[0], all[1], all[2], (name, value)];
    check(
        &["a", "b"],
        replace("f(.*);(.*)r", "d", "ch${1}-$2"),
        Some(&with("d", "choo-ba")),
    );
    check(
        &["a"],
        replace("(f)(.*)", "x_$2", "$$$1$3."),
        Some(&with("x_oo", "$f.")),
    );
    check(&["a"], replace("o", "d", "x"), Some(&all));
    check(&["a"], replace(".*", "a", ""), Some(&all[1..]));
    check(&["a"], replace("(x)?.*", "$1", "y"), Some(&all));
    check(
        &["none"],
        replace("(.*)", "d", "fixed"),
        Some(&with("d", "fixed")),
    );
    check(&["a"], Action::Keep(pattern("foo|x")), Some(&all));
    check(&["a"], Action::Keep(pattern("fo")), None);
    check(&["a", "b"], Action::Drop(pattern("foo;bar")), None);
    check(&["a"], Action::Drop(pattern("bar")), Some(&all));
    check(&["a"], Action::KeepEqual { target: "a".into() }, Some(&all));
    check(&["a"], Action::KeepEqual { target: "b".into() }, None);
    check(&["a"], Action::DropEqual { target: "a".into() }, None);
    check(&["a"], Action::DropEqual { target: "b".into() }, Some(&all));
    check(
        &["c"],
        Action::Lowercase { target: "c".into() },
        Some(&[all[0], all[1], ("c", "baz9")]),
    );
    check(
        &["c"],
        Action::Uppercase { target: "d".into() },
        Some(&with("d", "BAZ9")),
    );
    check(&[], Action::LabelDrop(pattern("[ab]")), Some(&all[2..]));
    check(&[], Action::LabelKeep(pattern("a|b")), Some(&all[..2]));
    let map = Action::LabelMap {
        pattern: pattern("([bc])"),
        replacement: "new_$1".into(),
    };
    check(
        &[],
        map,
        Some(&[all[0], all[1], all[2], ("new_b", "bar"), ("new_c", "Baz9")]),
    );
}

#[test]
fn shards_are_those_of_prometheus() {
    // `md5sum` of "foo;bar" ends in ddadc4ed9df31f3e.
    let mut labels = LabelSet::from_iter([("a", "foo"), ("b", "bar")]);
    let action = Action::HashMod {
        target: "shard".into(),
        modulus: 1000,
    };
    assert!(apply(&[rule(&["a", "b"], action)], &mut labels));
    assert_eq!(labels.get("shard"), "750");
}

#[test]
fn expressions_are_gos() {
    let check = |text: &str, value, expected| {
        assert_eq!(pattern(text).matches(value), expected, "{text} on {value}");
    };
    check(".*", "two\nlines", true);
    check("a|b", "ab", false);
    check(r"\d+", "١٢", false);
    check(r"[\w-]+", "a-b", true);
    check(r"a\\d", r"a\d", true);
    check("/users/{id}", "/users/{id}", true);
    check("[[a&&b]+", "[&b", true);
    check(r"\<a\>", "<a>", true);
    let refused = |text: &str, reason: &str| {
        let error = Pattern::new(text).unwrap_err().to_string();
        assert_eq!(error, format!("invalid regular expression: {reason}"));
    };
    refused("(", "error: unclosed group");
    refused("((a{100}){100}){100}", "it is too large");
    refused("a{1001}", "invalid repeat count: `{1001}`");
    refused("a**", "invalid nested repetition operator: `**`");
    refused("(?x) a", "invalid or unsupported Perl syntax: `(?x`");
}
