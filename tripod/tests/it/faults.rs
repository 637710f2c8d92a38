//! What the whole system does when something around it fails: requests go on or fail early, and nothing is lost.

use std::{
    fs,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use conventions::resource::{GATEWAY, TASK_SERVICE, WORKER};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use telemetry::testing::{Answer, OtlpSink};

use crate::{
    api::{self, Api},
    system::{DEADLINE, Start, System, wait_for},
};

/// Clients of the overload test, ten times what one gateway takes at once in tests.
const CLIENTS: usize = 80;
const REQUESTS_EACH: usize = 25;
/// Resident memory that no process of a test system comes near, overloaded or not.
const RSS_BYTES_MAX: u64 = 300 * 1024 * 1024;

fn fault(api: &Api, system: &System, service: &str, body: &Value) {
    let request = api
        .client
        .put(format!("{}/faults/test", system.admin(service)))
        .json(body);
    let response = request.send().unwrap();
    assert!(
        response.status().is_success(),
        "{}",
        response.text().unwrap()
    );
}

fn heal(api: &Api, system: &System, service: &str) {
    assert!(
        api.client
            .delete(format!("{}/faults/test", system.admin(service)))
            .send()
            .unwrap()
            .status()
            .is_success()
    );
}

#[test]
fn a_dynamodb_that_is_away_is_said_early_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let sink = OtlpSink::start().unwrap();
    let endpoint = sink.endpoint();
    let environment = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())];
    let system = System::start(
        folder.path(),
        &Start {
            environment: &environment,
            ..Start::default()
        },
    );
    let api = Api::new(&system);
    api.create("Before");
    fault(
        &api,
        &system,
        TASK_SERVICE,
        &json!({"target": "dynamodb:TransactWriteItems", "error": "unavailable", "ratio": 1.0, "for_seconds": 600}),
    );

    let request = api
        .request(Method::POST, "/v1/tasks")
        .header("idempotency-key", "one")
        .json(&json!({"title": "During"}));
    let response = request.try_clone().unwrap().send().unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    let trace_id = api::trace_id(&response);
    let problem: Value = response.json().unwrap();
    assert_eq!(problem["trace_id"], trace_id);
    sink.wait_for(DEADLINE, |spans| {
        spans.iter().any(|span| {
            span.trace_id.to_string() == trace_id
                && span.name.starts_with("DynamoDB.")
                && span.is_error()
        })
    })
    .unwrap();

    heal(&api, &system, TASK_SERVICE);
    assert_eq!(request.send().unwrap().status(), StatusCode::CREATED);
    let titles = api.get("/v1/tasks");
    let titles: Vec<_> = titles["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| task["title"].as_str().unwrap())
        .collect();
    assert_eq!(titles, ["During", "Before"]);
}

#[test]
fn an_sqs_that_is_away_delays_jobs_and_loses_none() {
    let folder = tempfile::tempdir().unwrap();
    let system = System::start(folder.path(), &Start::default());
    let api = Api::new(&system);
    fault(
        &api,
        &system,
        TASK_SERVICE,
        &json!({"target": "sqs:SendMessage", "error": "unavailable", "ratio": 1.0, "for_seconds": 600}),
    );
    let ids: Vec<_> = (0..5)
        .map(|number| api.create(&format!("Unsent {number}")).0)
        .collect();
    assert!(ids.iter().all(|id| api.activity(id).is_empty()));
    heal(&api, &system, TASK_SERVICE);
    for id in &ids {
        wait_for("the relay", || {
            (api.activity(id) == ["created"]).then_some(())
        });
    }
}

#[test]
fn a_job_that_keeps_failing_is_listed_and_can_be_redriven() {
    let folder = tempfile::tempdir().unwrap();
    let system = System::start(
        folder.path(),
        &Start {
            environment: &[
                ("TRIPOD_BACKOFF_MIN", "50ms"),
                ("TRIPOD_BACKOFF_MAX", "100ms"),
            ],
            ..Start::default()
        },
    );
    let api = Api::new(&system);
    fault(
        &api,
        &system,
        WORKER,
        &json!({"target": "job:activity", "error": "refused", "ratio": 1.0, "for_seconds": 600}),
    );
    let (id, trace_id) = api.create("Fails five times");
    let dead_letters = format!("{}/dead-letters", system.admin(WORKER));
    let letter = wait_for("the dead letter", || {
        let page: Value = api
            .client
            .get(&dead_letters)
            .send()
            .unwrap()
            .json()
            .unwrap();
        page["items"].as_array()?.first().cloned()
    });
    assert_eq!(letter["trace_id"], trace_id, "{letter}");
    assert!(api.activity(&id).is_empty());

    heal(&api, &system, WORKER);
    let redriven = api
        .client
        .post(format!("{dead_letters}/redrive"))
        .json(&json!({"job_id": letter["job_id"]}))
        .send()
        .unwrap();
    assert!(
        redriven.status().is_success(),
        "{}",
        redriven.text().unwrap()
    );
    wait_for("the history", || {
        (api.activity(&id) == ["created"]).then_some(())
    });
    let page: Value = api
        .client
        .get(&dead_letters)
        .send()
        .unwrap()
        .json()
        .unwrap();
    assert_eq!(page["items"], json!([]));
}

#[test]
fn a_collector_that_is_away_holds_up_no_request_and_every_lost_span_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let sink = OtlpSink::start().unwrap();
    sink.answer(Answer::Refuse);
    let endpoint = sink.endpoint();
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "64"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "32"),
    ];
    let system = System::start(
        folder.path(),
        &Start {
            environment: &environment,
            ..Start::default()
        },
    );
    let api = Api::new(&system);
    for number in 0..100 {
        api.create(&format!("Untraced {number}"));
    }
    let metrics = |service| {
        api.client
            .get(format!("{}/metrics", system.admin(service)))
            .send()
            .unwrap()
            .text()
            .unwrap()
    };
    let dropped = |page: &str| {
        let line = page.lines().find(|line| {
            line.starts_with("telemetry_spans_total") && line.contains("outcome=\"dropped\"")
        });
        line.and_then(|line| line.rsplit(' ').next())
            .unwrap()
            .parse::<f64>()
            .unwrap()
    };
    assert!(dropped(&metrics(GATEWAY)) > 100.0, "{}", metrics(GATEWAY));
    sink.answer(Answer::Accept);
    api.create("Traced again");
    sink.wait_for(DEADLINE, |spans| {
        spans.iter().any(|span| span.service() == GATEWAY)
    })
    .unwrap();
}

#[test]
fn a_log_file_that_cannot_be_written_holds_up_no_request_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let in_the_way = folder.path().join("logs/gateway.log");
    fs::create_dir_all(&in_the_way).unwrap();
    let system = System::start(folder.path(), &Start::default());
    let api = Api::new(&system);
    for number in 0..20 {
        api.create(&format!("Unlogged {number}"));
    }
    wait_for("the report", || {
        system
            .log("backend")
            .contains("log file cannot be written")
            .then_some(())
    });
    fs::remove_dir(&in_the_way).unwrap();
    wait_for("a logged request", || {
        let (_, trace_id) = api.create("Logged again");
        system.log(GATEWAY).contains(&trace_id).then_some(())
    });
    let report = wait_for("the end of the report", || {
        let log = system.log("backend");
        log.lines()
            .find(|line| line.contains("log file is written again"))
            .map(str::to_owned)
    });
    let report: Value = serde_json::from_str(&report).unwrap();
    assert!(
        report["fields"]["lost_lines"].as_u64().unwrap() >= 20,
        "{report}"
    );
    assert_eq!(
        system
            .log("backend")
            .matches("log file cannot be written")
            .count(),
        1
    );
}

#[test]
fn ten_times_overload_is_refused_early_with_the_signals_joined() {
    let folder = tempfile::tempdir().unwrap();
    let environment = [("TRIPOD_REQUESTS_IN_FLIGHT_MAX", "8")];
    let system = System::start(
        folder.path(),
        &Start {
            environment: &environment,
            ..Start::default()
        },
    );
    let api = Api::new(&system);
    let (created, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                for number in 0..REQUESTS_EACH {
                    let response =
                        api.post("/v1/tasks", &json!({"title": format!("Load {number}")}));
                    let trace_id = api::trace_id(&response);
                    match response.status() {
                        StatusCode::CREATED => created.fetch_add(1, Ordering::Relaxed),
                        StatusCode::SERVICE_UNAVAILABLE => {
                            assert!(response.headers().contains_key("retry-after"));
                            assert_eq!(response.json::<Value>().unwrap()["trace_id"], trace_id);
                            refused.fetch_add(1, Ordering::Relaxed)
                        }
                        other => panic!("{other}"),
                    };
                }
            });
        }
    });
    let (created, refused) = (created.into_inner(), refused.into_inner());
    assert!(
        created > 0 && refused > 0,
        "{created} created, {refused} refused"
    );
    for service in [
        GATEWAY,
        TASK_SERVICE,
        WORKER,
        conventions::resource::BACKEND,
    ] {
        let rss = rss_bytes(system.pid(service));
        assert!(rss < RSS_BYTES_MAX, "{service} has {rss} bytes");
    }
    let (id, _) = api.create("Afterwards");
    wait_for("the history", || {
        (api.activity(&id) == ["created"]).then_some(())
    });
    println!("overload: {created} created, {refused} refused with 503, 0 others");
}

fn rss_bytes(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
