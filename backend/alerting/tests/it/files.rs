//! Rule files that are refused, each with its place and reason; one that is taken.

use std::{
    fs,
    path::{Path, PathBuf},
};

use alerting::{RuleFile, Rules};

/// A longer file is refused.
const FILE_BYTES_MAX: usize = 4 << 20;

/// The message with all its reasons, as it is told to an operator.
fn told(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", told(source)),
        None => error.to_string(),
    }
}

fn check(yaml: &str, reason: &str) {
    let error = told(&RuleFile::parse(Path::new("rules.yml"), yaml).unwrap_err());
    assert!(error.starts_with("rules.yml: "), "{yaml}\n{error}");
    assert!(error.contains(reason), "{yaml}\n{error}");
}

#[test]
fn what_is_no_rule_file_is_refused_with_its_line() {
    for (yaml, reason) in [
        ("groups: [unclosed\n", "line 1"),
        ("a: b: c\n", "line 1"),
        ("groups: 5\n", "line 1"),
        ("groups: []\ngroups: []\n", "line 2"),
        ("rules: []\n", "unknown field `rules`"),
        ("groups:\n- name: g\n  nothing: 1\n", "line 3"),
        ("groups:\n- name: g\n  limit: -1\n", "line 3"),
        ("groups:\n- name: [g]\n", "line 2"),
        ("groups:\n- interval: 5s\n", "missing field `name`"),
        ("groups: [{name: ''}]", "1:17: groupname must not be empty"),
        (
            "groups:\n- name: g\n- name: g\n",
            "3:9: groupname: \"g\" is repeated in the same file",
        ),
        (
            "groups:\n- name: g\n  interval: 5x\n",
            "3:13: not a valid duration string: \"5x\"",
        ),
        (
            "groups:\n- name: g\n  query_offset: ''\n",
            "3:17: empty duration string",
        ),
        (
            "groups:\n- name: g\n  interval: 293y\n",
            "3:13: duration out of range",
        ),
    ] {
        check(yaml, reason);
    }
}

#[test]
fn what_is_no_rule_is_refused_with_its_place_group_and_name() {
    for (rule, reason) in [
        (
            "{record: a}",
            "4:5: group \"g\", rule 1, \"a\": field 'expr' must be set in rule",
        ),
        (
            "{expr: up}",
            "4:5: group \"g\", rule 1, \"\": one of 'record' or 'alert' must be set",
        ),
        (
            "{record: a, alert: b, expr: up}",
            "only one of 'record' and 'alert' must be set",
        ),
        (
            "{record: a, expr: up, for: 5m}",
            "invalid field 'for' in recording rule",
        ),
        (
            "{record: a, expr: up, keep_firing_for: 5m}",
            "invalid field 'keep_firing_for' in recording rule",
        ),
        (
            "{record: a, expr: up, annotations: {x: y}}",
            "invalid field 'annotations' in recording rule",
        ),
        (
            "{alert: a, expr: up, for: soon}",
            "4:31: group \"g\", rule 1, \"a\": not a valid duration string: \"soon\"",
        ),
        (
            "{record: a, expr: 'sum(up'}",
            "4:23: group \"g\", rule 1, \"a\": could not parse expression: 1:",
        ),
        (
            "{record: a, expr: 'rate(up)'}",
            "could not parse expression: ",
        ),
        (
            "{record: a, expr: 'up{a=~\"(\"}'}",
            "could not parse expression: ",
        ),
        (
            "{alert: a, expr: up, labels: {x: '{{ $y }}'}}",
            "4:38: group \"g\", rule 1, \"a\": label \"x\": error parsing template: undefined variable \"$y\"",
        ),
        (
            "{alert: a, expr: up, annotations: {x: '{{ nothing }}'}}",
            "annotation \"x\": error parsing template: function \"nothing\" not defined",
        ),
        (
            "{alert: a, expr: up, labels: {__name__: x}}",
            "invalid label name: __name__",
        ),
        (
            "{record: a, expr: up, labels: {'': x}}",
            "4:40: group \"g\", rule 1, \"a\": invalid label name: ",
        ),
        ("{alert: a, expr: up, fro: 5m}", "unknown field `fro`"),
        ("{alert: a, expr: up, labels: [x]}", "line 4"),
        ("{alert: a, expr: [up]}", "line 4"),
    ] {
        check(
            &format!("groups:\n- name: g\n  rules:\n  - {rule}\n"),
            reason,
        );
    }
}

#[test]
fn a_rule_that_is_there_twice_is_taken_as_in_prometheus() {
    let rule = "{record: a, expr: up}";
    let yaml = format!("groups: [{{name: g, rules: [{rule}, {rule}]}}]");
    let mut rules = Rules::default();
    rules.apply(
        vec![RuleFile::parse(Path::new("rules.yml"), &yaml).unwrap()],
        15_000,
    );
    assert_eq!(rules.groups()[0].rules().len(), 2);
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_the_reason_and_nothing_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let written = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let good = written(
        "good.yml",
        b"groups: [{name: g, rules: [{record: a, expr: up}]}]",
    );
    let mut at_the_limit = b"#".repeat(FILE_BYTES_MAX - 1);
    at_the_limit.push(b'\n');
    assert!(RuleFile::read(&written("at_the_limit", &at_the_limit)).is_ok());
    let too_long = "is longer than 4194304 bytes";
    for (path, reason) in [
        (folder.path().join("none"), "no rule file"),
        (folder.path().to_owned(), "Is a directory"),
        (written("latin1", b"# \xe9\n"), "valid UTF-8"),
        (written("long", &b"#".repeat(FILE_BYTES_MAX + 1)), too_long),
        (
            written("cut", &"é".repeat(FILE_BYTES_MAX).into_bytes()),
            too_long,
        ),
        (PathBuf::from("/dev/zero"), too_long),
        (written("bad", b"groups: 5"), "line 1"),
    ] {
        let error = told(&Rules::read(&[good.clone(), path.clone()]).unwrap_err());
        assert!(error.contains(&path.display().to_string()), "{error}");
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn every_file_of_the_project_is_taken() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/prometheus/rules");
    let paths: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let mut rules = Rules::default();
    rules.apply(Rules::read(&paths).unwrap(), 15_000);
    let counts = rules.groups().iter().map(|group| group.rules().len());
    assert!(counts.sum::<usize>() > 50);
}
