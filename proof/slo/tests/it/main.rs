//! The rule files in `deploy/prometheus/rules` are what the objective files say, and what the real tools accept.
//!
//! `UPDATE_GOLDEN=1` rewrites the rendered ones.

#![allow(clippy::unwrap_used)]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use slo::{ObjectiveFile, compress, render};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Files of a folder with this extension, sorted.
fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(root().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{folder} is empty");
    files
}

#[test]
fn the_rule_files_are_what_the_objective_files_say() {
    for path in files("deploy/slo", "yaml") {
        let file = ObjectiveFile::parse(&fs::read_to_string(&path).unwrap()).unwrap();
        let rules = render::rules(&file);
        let stem = path.file_stem().unwrap().to_str().unwrap();
        assert_eq!(stem, file.service, "the file is named after its service");
        let golden = root().join(format!("deploy/prometheus/rules/slo-{stem}.yml"));
        if env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &rules).unwrap();
        }
        let found = fs::read_to_string(&golden).unwrap_or_default();
        assert!(
            found == rules,
            "{} is out of date: make golden",
            golden.display()
        );
    }
}

#[test]
fn promtool_accepts_every_rule_file_also_on_a_compressed_clock() {
    let Some(promtool) = peers::component("promtool") else {
        return;
    };
    let mut check = Command::new(&promtool);
    check
        .args(["check", "rules"])
        .args(files("deploy/prometheus/rules", "yml"));
    succeeds(check);
    let folder = tempfile::tempdir().unwrap();
    for path in files("deploy/prometheus/rules", "yml") {
        let rules = compress::file(&fs::read_to_string(&path).unwrap(), 60).unwrap();
        let compressed = folder.path().join("rules.yml");
        fs::write(&compressed, rules).unwrap();
        let mut check = Command::new(&promtool);
        check.args(["check", "rules"]).arg(compressed);
        succeeds(check);
    }
}

#[test]
fn every_alert_fires_when_it_must_and_is_silent_when_it_must_on_promtool() {
    let Some(promtool) = peers::component("promtool") else {
        return;
    };
    let mut test = Command::new(promtool);
    test.args(["test", "rules"])
        .args(files("deploy/prometheus/tests", "yml"));
    succeeds(test);
}

#[test]
fn every_alert_has_a_case_that_fires_a_case_that_is_silent_and_a_runbook() {
    let cases: String = files("deploy/prometheus/tests", "yml")
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    for path in files("deploy/prometheus/rules", "yml") {
        let rules = fs::read_to_string(&path).unwrap();
        for alert in rules
            .lines()
            .filter_map(|line| line.trim().strip_prefix("- alert: "))
        {
            let runbook = root().join(format!("docs/runbooks/{alert}.md"));
            assert!(runbook.is_file(), "{alert} has no {}", runbook.display());
            let case = format!("alertname: {alert}\n");
            let expectations: Vec<_> = cases
                .split(&case)
                .skip(1)
                .map(|rest| rest.trim_start().starts_with("exp_alerts: []"))
                .collect();
            assert!(expectations.contains(&false), "{alert} never has to fire");
            let always = alert == "Watchdog";
            assert!(
                always || expectations.contains(&true),
                "{alert} never has to be silent"
            );
        }
    }
}

fn succeeds(mut command: Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
