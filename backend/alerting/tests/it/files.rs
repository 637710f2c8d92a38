//! Rule files that are refused, each with its place and reason; one that is taken.

use std::path::Path;

use alerting::{RuleFile, Rules};

fn refused(yaml: &str) -> String {
    RuleFile::parse(Path::new("rules.yml"), yaml)
        .unwrap_err()
        .to_string()
}

#[test]
fn what_cannot_be_used_is_refused_with_its_place() {
    let rule = |rule: &str| format!("groups:\n  - name: g\n    rules:\n      - {rule}\n");
    for (yaml, reason) in [
        (
            "groups:\n  - name: g\n    nothing: 1\n".to_owned(),
            "rules.yml: ",
        ),
        (
            "groups: [{name: ''}]".to_owned(),
            "groupname must not be empty",
        ),
        (
            "groups:\n  - name: g\n  - name: g\n".to_owned(),
            "rules.yml: 3:11: groupname: \"g\" is repeated in the same file",
        ),
        (
            "groups:\n  - name: g\n    interval: 5x\n".to_owned(),
            "3:15: not a valid duration string: \"5x\"",
        ),
        (
            rule("{record: a}"),
            "4:9: group \"g\", rule 1, \"a\": field 'expr' must be set in rule",
        ),
        (rule("{expr: up}"), "one of 'record' or 'alert' must be set"),
        (
            rule("{record: a, alert: b, expr: up}"),
            "only one of 'record' and 'alert' must be set",
        ),
        (
            rule("{record: a, expr: up, for: 5m}"),
            "invalid field 'for' in recording rule",
        ),
        (
            rule("{record: a, expr: 'sum(up'}"),
            "could not parse expression: ",
        ),
        (
            rule("{alert: a, expr: up, labels: {x: '{{ $y }}'}}"),
            "undefined variable \"$y\"",
        ),
        (
            rule("{alert: a, expr: up, annotations: {x: '{{ nothing }}'}}"),
            "function \"nothing\" not defined",
        ),
        (
            rule("{alert: a, expr: up, labels: {__name__: x}}"),
            "invalid label name: __name__",
        ),
        (rule("{alert: a, expr: up, fro: 5m}"), "fro"),
        ("groups: 5".to_owned(), "rules.yml: "),
    ] {
        let error = refused(&yaml);
        assert!(error.contains(reason), "{yaml}\n{error}");
    }
}

#[test]
fn every_file_of_the_project_is_taken_and_a_missing_one_is_named() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/prometheus/rules");
    let paths: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let mut rules = Rules::default();
    rules.apply(Rules::read(&paths).unwrap(), 15_000);
    assert!(
        rules
            .groups()
            .iter()
            .map(|group| group.rules().len())
            .sum::<usize>()
            > 50
    );
    let error = Rules::read(&[folder.join("nothing.yml")])
        .unwrap_err()
        .to_string();
    assert!(error.contains("nothing.yml"), "{error}");
}
