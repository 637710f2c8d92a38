//! Spans, metrics and log lines of the gateway: complete, joined, and free of keys.

use conventions::{metrics, spans};
use http::Method;
use opentelemetry::trace::SpanKind;
use serde_json::json;
use telemetry::testing::{Captured, Span, capture_async};

use crate::stub::Reply;
use crate::system::{Answer, ClosedPort, System, some_task};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

/// The one span of a kind that is not the table's.
#[track_caller]
fn only<'a>(captured: &'a Captured<impl Sized>, name: &str) -> &'a Span {
    let found = captured.spans_named(name);
    assert_eq!(
        found.len(),
        1,
        "{name} in {:?}",
        captured
            .spans
            .iter()
            .map(|span| &span.name)
            .collect::<Vec<_>>()
    );
    found[0]
}

#[test]
fn one_request_is_one_trace_from_outside_to_the_task_service() {
    let captured = capture_async(async {
        let system = System::start().await;
        let task = some_task();
        let request = system
            .get(&task)
            .header("traceparent", TRACEPARENT)
            .header("user-agent", "test/1");
        let answer = Answer::to(request.header("tracestate", "tripod=t:1,other=x")).await;
        (
            system.address,
            system.stub.address,
            system.key.clone(),
            task,
            answer,
            system.stub.take_one(),
        )
    });
    let (address, inner, key, task, answer, received) = &captured.result;

    let server = only(&captured, "GET /v1/tasks/{task_id}");
    assert_eq!(server.kind, SpanKind::Server);
    assert_eq!(server.trace_id.to_string(), TRACE);
    assert_eq!(
        server.parent_span_id.unwrap().to_string(),
        "b7ad6b7169203331"
    );
    assert_eq!(server.text(spans::HTTP_REQUEST_METHOD), Some("GET"));
    assert_eq!(server.text(spans::HTTP_ROUTE), Some("/v1/tasks/{task_id}"));
    assert_eq!(server.text(spans::URL_PATH), Some(task.as_str()));
    assert_eq!(server.text(spans::URL_SCHEME), Some("http"));
    assert_eq!(server.int(spans::HTTP_RESPONSE_STATUS_CODE), Some(200));
    assert_eq!(server.text(spans::SERVER_ADDRESS), Some("127.0.0.1"));
    assert_eq!(server.int(spans::SERVER_PORT), Some(address.port().into()));
    assert_eq!(server.text(spans::NETWORK_PROTOCOL_VERSION), Some("1.1"));
    assert_eq!(server.text(spans::USER_AGENT_ORIGINAL), Some("test/1"));
    assert_eq!(server.text(spans::CLIENT_ADDRESS), Some("127.0.0.1"));
    assert!(!server.is_error());

    let client = only(&captured, "GET");
    assert_eq!(client.kind, SpanKind::Client);
    assert!(client.is_child_of(server));
    assert_eq!(client.text(spans::HTTP_REQUEST_METHOD), Some("GET"));
    assert_eq!(client.text(spans::SERVER_ADDRESS), Some("127.0.0.1"));
    assert_eq!(client.int(spans::SERVER_PORT), Some(inner.port().into()));
    assert_eq!(
        client.text(spans::URL_FULL),
        Some(format!("http://{inner}{task}").as_str())
    );
    assert_eq!(client.int(spans::HTTP_RESPONSE_STATUS_CODE), Some(200));
    assert_eq!(client.int(spans::HTTP_REQUEST_RESEND_COUNT), None);

    let lookup = captured
        .spans
        .iter()
        .find(|span| span.is_child_of(server) && span.name == "DynamoDB.GetItem")
        .unwrap();
    assert_eq!(lookup.text(spans::DB_COLLECTION_NAME), Some("tripod-tasks"));

    // The task-service is called by the client span, with the edge's own start in front of what came from outside.
    assert_eq!(
        received.headers["traceparent"],
        format!("00-{TRACE}-{}-01", client.span_id).as_str()
    );
    let tracestate = received.headers["tracestate"].to_str().unwrap();
    assert!(
        tracestate.starts_with("tripod=t:") && !tracestate.starts_with("tripod=t:1,"),
        "{tracestate}"
    );
    assert!(tracestate.ends_with(",other=x"), "{tracestate}");
    let traceresponse = answer.headers["traceresponse"].to_str().unwrap();
    assert!(
        traceresponse.starts_with(&format!("00-{TRACE}-{}-", server.span_id)),
        "{traceresponse}"
    );
    no_secret(&captured, &key.reveal());
}

#[test]
fn the_routes_are_counted_from_the_start() {
    let captured = capture_async(async {
        let system = System::start().await;
        Answer::to(system.get("/nowhere")).await;
        Answer::to(system.anonymous(Method::GET, "/docs")).await;
        Answer::to(system.get("/v1/tasks")).await;
    });
    let count = |method: &str, route: &str, status: &str| {
        let labels = [
            (metrics::HTTP_REQUEST_METHOD, method),
            (metrics::HTTP_ROUTE, route),
            (metrics::HTTP_RESPONSE_STATUS_CODE, status),
        ];
        captured.sample(
            &format!("{}_count", metrics::HTTP_SERVER_REQUEST_DURATION),
            &labels,
        )
    };
    for route in tasks_api::routes::ALL {
        let seen = f64::from(route.method == "GET" && route.template == "/v1/tasks");
        assert_eq!(
            count(route.method, route.template, &route.success.to_string()),
            Some(seen),
            "{route:?}"
        );
        assert_eq!(
            count(route.method, route.template, "500"),
            Some(0.0),
            "{route:?}"
        );
    }
    assert_eq!(count("GET", "/docs", "200"), Some(1.0));
    assert_eq!(count("GET", "/openapi.json", "200"), Some(0.0));
    assert_eq!(count("GET", "unmatched", "404"), Some(1.0));
}

#[test]
fn a_task_service_that_is_away_is_an_error_in_every_signal() {
    let captured = capture_async(async {
        let port = ClosedPort::reserve();
        let url = format!("http://{}", port.address());
        let system =
            System::start_with(|settings| settings.task_service_url = url.parse().unwrap()).await;
        Answer::to(system.get("/v1/tasks?assignee=ada")).await
    });
    let server = only(&captured, "GET /v1/tasks");
    assert!(server.is_error());
    assert_eq!(server.text(spans::ERROR_TYPE), Some("503"));
    assert_eq!(
        captured.result.json()["trace_id"],
        server.trace_id.to_string()
    );

    let tries = captured.spans_named("GET");
    let counts: Vec<_> = tries
        .iter()
        .map(|span| span.int(spans::HTTP_REQUEST_RESEND_COUNT))
        .collect();
    assert_eq!(counts, [None, Some(1), Some(2)]);
    for span in tries {
        assert!(span.is_error() && span.is_child_of(server), "{span:?}");
        assert_eq!(span.text(spans::ERROR_TYPE), Some(spans::ERROR_CONNECT));
    }

    let errors: Vec<_> = captured
        .logs
        .iter()
        .filter(|line| line["level"] == "ERROR")
        .collect();
    assert!(
        errors.iter().any(|line| line["fields"]["error"]
            .as_str()
            .is_some_and(|error| error.contains("refused"))),
        "{errors:?}"
    );
    for line in errors {
        assert!(!line["fields"].to_string().contains("ada"), "{line}");
        assert_eq!(line["trace_id"], server.trace_id.to_string(), "{line}");
        assert_eq!(line["span_id"], server.span_id.to_string(), "{line}");
    }
}

#[test]
fn slowness_is_a_timeout_of_the_call_and_not_the_callers_choice() {
    let captured = capture_async(async {
        let timeout = runtime::Time::from_millis(100);
        let system = System::start_with(|settings| settings.task_service_timeout = timeout).await;
        system.stub.reply(Reply::hanging());
        Answer::to(system.get("/v1/tasks")).await
    });
    assert_eq!(captured.result.status, 504);
    let client = only(&captured, "GET");
    assert!(client.is_error());
    assert_eq!(client.text(spans::ERROR_TYPE), Some(spans::ERROR_TIMEOUT));
    assert!(only(&captured, "GET /v1/tasks").is_error());
}

#[test]
fn what_a_client_got_wrong_is_no_error_of_ours() {
    let captured = capture_async(async {
        let system = System::start().await;
        Answer::to(system.anonymous(Method::GET, "/v1/tasks")).await;
        Answer::to(system.post("/v1/tasks", "{")).await;
        for status in [400, 404, 409, 412, 413, 415, 422, 428] {
            let body = json!({"type": "urn:tripod:problem:conflict", "status": status});
            system.stub.reply(Reply::problem(status, body));
            let answer = Answer::to(system.get("/v1/tasks")).await;
            assert_eq!(answer.status, status);
        }
    });
    let ours = captured
        .spans
        .iter()
        .filter(|span| matches!(span.kind, SpanKind::Server | SpanKind::Client));
    let failed: Vec<_> = ours.filter(|span| span.is_error()).collect();
    assert!(failed.is_empty(), "{failed:?}");
    assert!(
        captured.logs.iter().all(|line| line["level"] != "ERROR"),
        "{:?}",
        captured.logs
    );
}

#[test]
fn keys_are_in_no_signal_whatever_becomes_of_them() {
    let captured = capture_async(async {
        let mut system = System::start().await;
        let key = system.key.reveal();
        let stranger = store::KeyText::generate().unwrap().reveal();
        Answer::to(system.get("/v1/tasks")).await;
        Answer::to(system.get("/nowhere")).await;
        Answer::to(
            system
                .anonymous(Method::GET, "/v1/tasks")
                .bearer_auth(format!("{key}x")),
        )
        .await;
        Answer::to(
            system
                .anonymous(Method::GET, "/v1/tasks")
                .bearer_auth(&stranger),
        )
        .await;
        system.stop_table().await;
        let other = store::KeyText::generate().unwrap().reveal();
        Answer::to(
            system
                .anonymous(Method::GET, "/v1/tasks")
                .bearer_auth(&other),
        )
        .await;
        [key, stranger, other]
    });
    for key in &captured.result {
        no_secret(&captured, key);
    }
}

/// The key's secret is nowhere in what was emitted.
#[track_caller]
fn no_secret<R>(captured: &Captured<R>, key: &str) {
    let secret = key.rsplit_once('_').unwrap().1;
    let emitted = format!(
        "{:?}\n{:?}\n{}",
        captured.spans, captured.logs, captured.metrics
    );
    assert!(emitted.contains("tripod"), "something was emitted");
    assert!(!emitted.contains(secret), "{emitted}");
}
