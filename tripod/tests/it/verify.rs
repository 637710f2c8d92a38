//! `tripod verify` as a user types it: on a system of its own, on one that is broken, and on none.

use std::{fs, process::Command};

use rustix::process::Signal;
use serde_json::Value;

use crate::{
    api::client,
    metrics::deploy,
    system::{Guarded, Start, System, command, signal, wait, wait_for},
};

/// What it printed, and its exit code.
fn verify(arguments: &[&str]) -> (String, Option<i32>) {
    let mut command: Command = command(&["verify"]);
    let output = command.args(arguments).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr);
    (text, output.status.code())
}

#[test]
fn all_scenarios_hold_on_a_fresh_system() {
    let (text, code) = verify(&[]);
    println!("{text}");
    assert_eq!(code, Some(0), "{text}");
    for check in [
        "HighErrorRate-fires",
        "HighErrorRate-resolves",
        "FastBudgetBurn-fires",
        "FastBudgetBurn-resolves",
        "budget-spent",
        "spike",
        "exemplars-resolve",
        "trace-plain",
        "trace-resent",
        "trace-redelivered",
        "trace-dead-letter",
        "trace-relayed",
        "kept-success",
        "kept-slow-errors",
        "kept-retried-jobs",
        "success-share",
        "series-have-services",
        "exemplars-have-traces",
        "traces-have-lines",
        "lines-are-named",
        "no-orphan-lines",
        "requests-unaffected",
        "spans-accounted",
    ] {
        assert!(text.contains(&format!("held    {check}:")), "{text}");
    }
}

#[test]
fn a_rule_with_another_threshold_turns_the_alerts_time_red_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let deploy = deploy(folder.path());
    let rules = deploy.join("prometheus/rules/golden-signals.yml");
    let good = fs::read_to_string(&rules).unwrap();
    let broken = good.replace("error_ratio_rate5m > 0.05", "error_ratio_rate5m > 0.5");
    assert_ne!(good, broken);
    fs::write(&rules, broken).unwrap();
    let data = folder.path().join("data");
    let system = System::start(
        &data,
        &Start {
            arguments: &["--clock", "virtual", "--deploy", deploy.to_str().unwrap()],
            environment: &[("TRIPOD_DECISION_WAIT", "2s")],
            ..Start::default()
        },
    );
    let target = data.join("run.json");
    let (text, code) = verify(&["errors", "--target", target.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("FAILED  HighErrorRate-fires:"), "{text}");
    assert!(text.contains("held    exemplars-resolve:"), "{text}");
    assert!(system.stop().success());
}

#[test]
fn alerts_also_keep_their_times_on_a_compressed_clock() {
    let (text, code) = verify(&["errors", "--clock", "compressed", "--quiet"]);
    println!("{text}");
    // A machine that is too slow for it gives no verdict; only a wrong one is a failure.
    assert_ne!(code, Some(1), "{text}");
    assert!(text.contains("HighErrorRate-fires:"), "{text}");
    let (text, code) = verify(&["errors", "--factor", "60"]);
    assert_eq!(code, Some(2), "{text}");
}

#[test]
fn whoever_stops_it_at_its_start_finds_nothing_left() {
    let (folder, report) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut command = command(&["verify", "errors", "--report"]);
    command.arg(report.path()).env("TMPDIR", folder.path());
    let mut process = Guarded(command.spawn().unwrap());
    let is_empty = || fs::read_dir(folder.path()).unwrap().next().is_none();
    wait_for("the folder of its system", || (!is_empty()).then_some(()));
    signal(process.0.id(), Signal::TERM);
    assert_eq!(wait(&mut process.0).code(), Some(2));
    assert!(is_empty());
    let text = fs::read_to_string(report.path().join("results.json")).unwrap();
    let results: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(results["error"], "stopped");
    assert_eq!(results["is_complete"], false);
}

#[test]
fn an_interrupted_run_removes_its_fault_and_leaves_what_it_had() {
    let folder = tempfile::tempdir().unwrap();
    let (data, report) = (folder.path().join("data"), folder.path().join("report"));
    let system = System::start(&data, &Start::default());
    let mut command = command(&["verify", "loss", "--target"]);
    command.arg(data.join("run.json"));
    command.arg("--report").arg(&report);
    let mut process = Guarded(command.spawn().unwrap());
    let faults = format!("{}/faults", system.admin("task-service"));
    let client = client();
    let has_fault = || {
        let list = client.get(&faults).send().unwrap().text().unwrap();
        list.contains("verify-loss")
    };
    wait_for("the phase with the fault", || has_fault().then_some(()));
    signal(process.0.id(), Signal::TERM);
    let status = wait(&mut process.0);
    assert_eq!(status.code(), Some(2));
    assert!(!has_fault());
    let text = fs::read_to_string(report.join("results.json")).unwrap();
    let results: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(results["is_complete"], false);
    assert_eq!(results["scenarios"][0]["error"], "stopped");
    for name in ["junit.xml", "index.html"] {
        assert!(report.join(name).exists());
    }
    assert!(system.stop().success());
}

/// Two cuts of a kind each; the whole table is `tripod verify --mutate all`.
#[test]
fn a_cut_is_noticed_by_exactly_the_checks_that_must() {
    let (text, code) = verify(&["--mutate", "rule-hold,log-ids"]);
    println!("{text}");
    assert_eq!(code, Some(0), "{text}");
    for row in [
        "rule-hold         yes       HighErrorRate-fires ",
        "log-ids           yes       traces-have-lines, lines-are-named, no-orphan-lines ",
    ] {
        assert!(text.contains(row), "{text}");
    }
    let (text, code) = verify(&["--mutate", "nonsense"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("there is no cut nonsense"), "{text}");
}

#[test]
fn without_a_system_it_could_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("target.json");
    // Port 9 is nobody's.
    let url = "http://127.0.0.1:9";
    let text = format!(
        r#"{{"gateway": "{url}", "api_key": "x", "prometheus": "{url}", "alertmanager": "{url}", "tempo": "{url}"}}"#
    );
    fs::write(&target, text).unwrap();
    let (text, code) = verify(&["errors", "--target", target.to_str().unwrap()]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("could not run"), "{text}");
    let (text, code) = verify(&["--target", "/nowhere"]);
    assert_eq!(code, Some(2), "{text}");
    let (text, code) = verify(&["nonsense"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("slow-query, errors, budget-burn"), "{text}");
}
