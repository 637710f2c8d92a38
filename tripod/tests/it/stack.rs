//! The services on the real components: started, asked through the components' own APIs, killed, stopped.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use reqwest::{Method, StatusCode, blocking::Client};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    api::{Api, client, trace_id},
    logs::{CloudWatch, Loki, in_files},
    metrics::deploy,
    system::{Start, System, command, wait_for},
};

/// All that a stack consists of here.
const COMPONENTS: [&str; 6] = [
    "tempo",
    "loki",
    "alertmanager",
    "prometheus",
    "otelcol",
    "fluent-bit",
];
/// Short, so that tests are.
pub const DECISION_WAIT: (&str, &str) = ("TRIPOD_DECISION_WAIT", "2s");

#[test]
fn the_same_services_run_on_the_real_components_and_leave_nothing_behind() {
    if !is_at_hand() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let _leftovers = Leftovers(data.clone());
    let system = start(&folder, &[DECISION_WAIT]);
    let status = run(&["stack", "status"], &data);
    assert!(status.status.success(), "{}", text(&status));
    for name in COMPONENTS {
        assert!(text(&status).contains(name), "{}", text(&status));
    }
    let trace_id = a_failed_request_is_found_in_tempo(&system, &data);
    its_log_lines_are_found_in_loki_and_cloudwatch(&system, &trace_id);
    every_target_is_scraped(&system);

    // What a killed supervisor leaves behind is gone before the next start, which needs its files.
    let before = pids(&system);
    system.kill();
    assert!(before.iter().any(|pid| runs_for(*pid, &data)));
    let system = start(&folder, &[DECISION_WAIT]);
    assert!(!before.iter().any(|pid| runs_for(*pid, &data)));

    let after = pids(&system);
    let down = run(&["stack", "down"], &data);
    assert!(down.status.success(), "{}", text(&down));
    assert!(!after.iter().any(|pid| runs_for(*pid, &data)));
    assert!(!data.join("run.json").exists());
    let again = run(&["stack", "down"], &data);
    assert!(!again.status.success());
    assert!(String::from_utf8_lossy(&again.stderr).contains("no stack runs"));
}

/// Ends the components of a folder: they do not notice when a test that fails kills their supervisor.
pub struct Leftovers(pub PathBuf);

impl Drop for Leftovers {
    fn drop(&mut self) {
        if self.0.join("run.json").exists() {
            run(&["stack", "down"], &self.0);
        }
    }
}

/// Whether every component is there.
pub fn is_at_hand() -> bool {
    COMPONENTS
        .iter()
        .all(|name| peers::component(name).is_some())
}

/// Starts in this folder and waits until all is ready.
pub fn start(folder: &TempDir, environment: &[(&str, &str)]) -> System {
    let deploy = match folder.path().join("deploy") {
        there if there.exists() => there,
        _ => deploy(folder.path()),
    };
    System::start_stack(
        &folder.path().join("data"),
        &Start {
            environment,
            arguments: &["--deploy", deploy.to_str().unwrap()],
            ..Start::default()
        },
    )
}

fn a_failed_request_is_found_in_tempo(system: &System, data: &Path) -> String {
    let api = Api::new(system);
    let fault = json!({
        "target": "http:GET /v1/tasks", "error": "500", "ratio": 1.0, "for_seconds": 60
    });
    let url = format!("{}/faults/broken", system.admin("task-service"));
    let set = api.client.put(url).json(&fault).send().unwrap();
    assert!(set.status().is_success());
    let answer = api.request(Method::GET, "/v1/tasks").send().unwrap();
    assert!(answer.status().is_server_error());
    let trace_id = trace_id(&answer);
    let tempo = system.run()["tempo"].as_str().unwrap().to_owned();
    wait_for("the failed trace in Tempo", || {
        let url = format!("{tempo}/api/traces/{trace_id}");
        let answer = api.client.get(url).send().unwrap();
        (answer.status() == StatusCode::OK).then_some(())
    });
    let shown = run(&["show", &trace_id], data);
    assert!(shown.status.success(), "{}", text(&shown));
    for words in ["gateway", "task-service", "GET /v1/tasks"] {
        assert!(text(&shown).contains(words), "{}", text(&shown));
    }
    trace_id
}

fn its_log_lines_are_found_in_loki_and_cloudwatch(system: &System, trace_id: &str) {
    let expected = in_files(system, trace_id);
    assert!(!expected.is_empty());
    let (loki, cloudwatch) = (Loki::of(system), CloudWatch::of(system));
    let query = format!("{{service=~\".+\"}} | trace_id=\"{trace_id}\"");
    wait_for("the lines in Loki", || {
        (loki.lines(&query) == expected).then_some(())
    });
    wait_for("the lines in CloudWatch", || {
        (cloudwatch.of_trace(trace_id) == expected).then_some(())
    });
}

fn every_target_is_scraped(system: &System) {
    let prometheus = system.run()["prometheus"].as_str().unwrap().to_owned();
    let client = client();
    for service in [
        "gateway",
        "task-service",
        "worker",
        "loki",
        "otelcol",
        "fluent-bit",
    ] {
        wait_for(&format!("{service} scraped"), || {
            (value(&client, &prometheus, service) == Some("1".to_owned())).then_some(())
        });
    }
}

/// Of `up`.
fn value(client: &Client, prometheus: &str, service: &str) -> Option<String> {
    let url = format!("{prometheus}/api/v1/query?query=up%7Bservice%3D%22{service}%22%7D");
    let answer: Value = client.get(url).send().unwrap().json().unwrap();
    let value = answer["data"]["result"][0]["value"][1].as_str()?;
    Some(value.to_owned())
}

fn pids(system: &System) -> Vec<u64> {
    let run = system.run();
    COMPONENTS
        .iter()
        .map(|name| run["pids"][name].as_u64().unwrap())
        .collect()
}

fn runs_for(pid: u64, data: &Path) -> bool {
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&command).contains(data.to_str().unwrap())
}

fn run(arguments: &[&str], data: &Path) -> Output {
    let mut command = command(arguments);
    command.arg("--data").arg(data).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
