//! Start, restart and stop of `tripod up`, and what is said when it cannot start.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt};

use rustix::process::Signal;
use serde_json::json;

use crate::{
    api::{self, Api},
    system::{Guarded, Start, System, command, run_to_end, signal, wait, wait_for},
};

#[test]
fn a_system_starts_serves_and_stops_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let system = System::start(folder.path(), &Start::default());
    let run = system.run();
    for surface in ["gateway", "task_service", "aws"] {
        assert!(
            run[surface]
                .as_str()
                .unwrap()
                .starts_with("http://127.0.0.1:"),
            "{surface}"
        );
    }
    assert_eq!(run["admin"].as_object().unwrap().len(), 3);
    assert_eq!(run["pids"].as_object().unwrap().len(), 4);
    let mode = fs::metadata(folder.path().join("run.json"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    let api = Api::new(&system);
    let (id, _) = api.create("Lives on");
    wait_for("the history", || {
        (api.activity(&id) == ["created"]).then_some(())
    });

    let log = folder.path().join("logs/backend.log");
    assert!(system.stop().success());
    assert!(!folder.path().join("run.json").exists());
    let log = fs::read_to_string(log).unwrap();
    let stopped: Vec<_> = log
        .lines()
        .filter(|line| line.contains("process stopped"))
        .collect();
    for (line, service) in stopped.iter().zip(["gateway", "task-service", "worker"]) {
        assert!(
            line.contains(&format!("\"child\":\"{service}\"")) && line.contains("exit status: 0"),
            "{line}"
        );
    }
    assert_eq!(stopped.len(), 3);

    let again = System::start(folder.path(), &Start::default());
    assert_eq!(
        Api::new(&again).get(&format!("/v1/tasks/{id}"))["title"],
        "Lives on"
    );
}

#[test]
fn a_killed_process_is_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let system = System::start(folder.path(), &Start::default());
    let api = Api::new(&system);
    for service in ["gateway", "task-service", "worker"] {
        let before = system.pid(service);
        signal(before, Signal::KILL);
        wait_for("a new process", || {
            (system.pid(service) != before).then_some(())
        });
        let ready = format!("{}/readyz", system.admin(service));
        wait_for("readiness", || {
            api.client
                .get(&ready)
                .send()
                .ok()?
                .status()
                .is_success()
                .then_some(())
        });
    }
    let (id, _) = api.create("After the restarts");
    wait_for("the history", || {
        (api.activity(&id) == ["created"]).then_some(())
    });
    let log = system.log("backend");
    assert_eq!(
        log.lines()
            .filter(|line| line.contains("process ended"))
            .count(),
        3
    );
}

#[test]
fn an_ephemeral_system_leaves_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let mut process = command(&["up", "--ephemeral", "--ports", "auto"]);
    let mut process = Guarded(process.env("TMPDIR", temporary.path()).spawn().unwrap());
    let run = wait_for("run.json", || {
        let folder = fs::read_dir(temporary.path())
            .unwrap()
            .next()?
            .unwrap()
            .path();
        fs::read(folder.join("run.json")).ok()
    });
    let run: serde_json::Value = serde_json::from_slice(&run).unwrap();
    let gateway = format!("{}/openapi.json", run["gateway"].as_str().unwrap());
    let client = api::client();
    wait_for("the gateway", || client.get(&gateway).send().ok());
    signal(process.0.id(), Signal::TERM);
    assert!(wait(&mut process.0).success());
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
}

#[test]
fn what_prevents_a_start_is_said_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();

    // The gateway's port, if another offset's port is free it is not this test's business.
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().port();
    let offset = taken
        .checked_sub(8080)
        .expect("ephemeral ports lie above 8080")
        .to_string();
    let (status, errors) = run_to_end(command(&["up", "--data", data, "--port-offset", &offset]));
    assert!(!status.success());
    for part in [
        taken.to_string().as_str(),
        "the gateway API",
        "--port-offset",
    ] {
        assert!(errors.contains(part), "{errors}");
    }
    assert_eq!(errors.lines().count(), 1, "{errors}");

    fs::write(folder.path().join("file"), "").unwrap();
    let inside_a_file = folder.path().join("file/data");
    let (status, errors) = run_to_end(command(&[
        "up",
        "--data",
        inside_a_file.to_str().unwrap(),
        "--ports",
        "auto",
    ]));
    assert!(!status.success());
    assert!(errors.contains("cannot be written"), "{errors}");

    let _system = System::start(folder.path(), &Start::default());
    let (status, errors) = run_to_end(command(&["up", "--data", data, "--ports", "auto"]));
    assert!(!status.success());
    assert!(errors.contains("another tripod runs"), "{errors}");
}

#[test]
fn wrong_flags_are_refused() {
    for flags in [
        &["up", "--traffic", "-1"][..],
        &["up", "--ports", "some"],
        &["up", "--colour"],
        &["sideways"],
    ] {
        let (status, errors) = run_to_end(command(flags));
        assert_eq!(status.code(), Some(2), "{errors}");
    }
}

#[test]
fn synthetic_traffic_stays_out_of_the_development_workspace() {
    let folder = tempfile::tempdir().unwrap();
    let system = System::start(
        folder.path(),
        &Start {
            traffic: Some("50"),
            ..Start::default()
        },
    );
    let api = Api::new(&system);
    let metrics = format!("{}/metrics", system.admin("gateway"));
    wait_for("every step of a task's life", || {
        let page = api.client.get(&metrics).send().unwrap().text().unwrap();
        let answered = |method: &str, status: &str| {
            page.lines().any(|line| {
                line.starts_with("http_server_request_duration_seconds_count")
                    && line.contains(&format!("http_request_method=\"{method}\""))
                    && line.contains(&format!("http_response_status_code=\"{status}\""))
                    && !line.ends_with(" 0")
            })
        };
        (answered("POST", "201") && answered("PATCH", "200") && answered("DELETE", "204"))
            .then_some(())
    });
    assert_eq!(api.get("/v1/tasks")["items"], json!([]));
    assert!(!system.log("backend").contains("synthetic traffic fails"));
}
