//! Somebody else's services under proof: a shop that calls its stock, which know nothing of Tripod but where signals go.
//!
//! Both are one small server here, which writes its own spans (OTLP as JSON), log lines (Loki's push) and metrics with exemplars
//! (OpenMetrics).

use std::{
    fmt::Write,
    fs,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    routing::{get, post},
};
use rand::random;
use serde_json::{Value, json};

use crate::{
    metrics::deploy_as_it_is,
    system::{Start, System, command},
};

/// What everything is divided by: a scrape each second.
const FACTOR: &str = "15";
/// What is missing is not waited for as long as usual.
const PATIENCE_MS: u64 = 15_000;
const CONTRACT: &str = r#"
name: shop
operations:
  order: {method: POST, path: /orders, json: {item: "{api_key}"}}
  refused: {method: POST, path: /refused}
sampling: {percentage: 5, hash_salt: tripod-v1}
scenarios:
  - name: propagation
    title: An order is one trace through shop and stock
    operation: order
    phases: [{name: plain, for: 15s, requests: 10, traces: kept}]
    checks: [{check: propagation, phase: plain, services: [shop, stock]}]
  - name: sampling
    title: Refused orders are kept, and one in twenty of the others
    operation: order
    phases:
      - {name: success, for: 30s, requests: 40}
      - {name: refused, for: 15s, requests: 10, operation: refused}
    checks: [{check: sampling}]
  - name: join
    title: Each signal finds the others
    operation: refused
    phases: [{name: refused, for: 30s, requests: 10}]
    checks: [{check: join}]
"#;

/// The shop and its stock.
struct Shop {
    client: reqwest::Client,
    /// Of itself; known when it listens.
    url: String,
    run: Mutex<Value>,
    /// The stock is called without a parent.
    is_broken: bool,
    /// Requests of the shop, those that were refused, and the trace of the last of these.
    counts: Mutex<(u64, u64, String)>,
}

/// A span on its way.
struct Open {
    service: &'static str,
    trace_id: String,
    id: String,
    parent_id: String,
    kind: u64,
    start_ns: u128,
}

fn now_ns() -> u128 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_nanos()
}

impl Open {
    fn new(service: &'static str, kind: u64, trace_id: &str, parent_id: &str) -> Self {
        Self {
            service,
            trace_id: trace_id.to_owned(),
            id: format!("{:016x}", random::<u64>() | 1),
            parent_id: parent_id.to_owned(),
            kind,
            start_ns: now_ns(),
        }
    }

    /// Under the trace and span that the header names, or a trace of its own.
    fn serving(service: &'static str, headers: &HeaderMap) -> Self {
        let parent = headers
            .get("traceparent")
            .map(|value| value.to_str().unwrap());
        let mut parts = parent.unwrap_or_default().split('-').skip(1);
        match (parts.next(), parts.next()) {
            (Some(trace_id), Some(parent_id)) => Self::new(service, 2, trace_id, parent_id),
            _ => Self::new(service, 2, &format!("{:032x}", random::<u128>() | 1), ""),
        }
    }
}

impl Shop {
    fn address(&self, name: &str) -> String {
        self.run.lock().unwrap()[name].as_str().unwrap().to_owned()
    }

    /// Sends the span, and a log line that was written in it.
    async fn end(&self, span: Open, is_error: bool) {
        let end_ns = now_ns();
        let body = json!({"resourceSpans": [{
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": span.service}}]},
            "scopeSpans": [{"spans": [{
                "traceId": span.trace_id, "spanId": span.id, "parentSpanId": span.parent_id,
                "name": "order", "kind": span.kind,
                "startTimeUnixNano": span.start_ns.to_string(), "endTimeUnixNano": end_ns.to_string(),
                "status": {"code": if is_error { 2 } else { 0 }},
            }]}],
        }]});
        let url = format!("{}/v1/traces", self.address("otlp_http"));
        let sent = self.client.post(url).json(&body).send().await.unwrap();
        assert!(sent.status().is_success());
        if span.kind != 2 {
            return;
        }
        let line = json!({"trace_id": span.trace_id, "span_id": span.id, "service": span.service, "level": "INFO"});
        let body = json!({"streams": [{
            "stream": {"service": span.service},
            "values": [[end_ns.to_string(), line.to_string(), {"trace_id": span.trace_id}]],
        }]});
        let url = format!("{}/loki/api/v1/push", self.address("loki"));
        let sent = self.client.post(url).json(&body).send().await.unwrap();
        assert!(sent.status().is_success());
    }
}

async fn order(State(shop): State<Arc<Shop>>, headers: HeaderMap) -> StatusCode {
    let span = Open::serving("shop", &headers);
    let call = Open::new("shop", 3, &span.trace_id, &span.id);
    let mut request = shop.client.get(format!("{}/stock", shop.url));
    if !shop.is_broken {
        request = request.header(
            "traceparent",
            format!("00-{}-{}-01", call.trace_id, call.id),
        );
    }
    request.send().await.unwrap();
    shop.end(call, false).await;
    shop.end(span, false).await;
    shop.counts.lock().unwrap().0 += 1;
    StatusCode::CREATED
}

async fn stock(State(shop): State<Arc<Shop>>, headers: HeaderMap) -> StatusCode {
    shop.end(Open::serving("stock", &headers), false).await;
    StatusCode::OK
}

async fn refused(State(shop): State<Arc<Shop>>, headers: HeaderMap) -> StatusCode {
    let span = Open::serving("shop", &headers);
    let trace_id = span.trace_id.clone();
    shop.end(span, true).await;
    let mut counts = shop.counts.lock().unwrap();
    counts.1 += 1;
    counts.2 = trace_id;
    StatusCode::SERVICE_UNAVAILABLE
}

async fn metrics(State(shop): State<Arc<Shop>>) -> ([(&'static str, &'static str); 1], String) {
    let (good, refused, trace_id) = shop.counts.lock().unwrap().clone();
    let mut text = format!(
        "# TYPE orders counter\norders_total{{service=\"shop\",outcome=\"good\"}} {good}\norders_total{{service=\"shop\",outcome=\"refused\"}} {refused}"
    );
    if !trace_id.is_empty() {
        write!(text, " # {{trace_id=\"{trace_id}\"}} 1").unwrap();
    }
    text.push_str("\n# EOF\n");
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE.as_str(), kind)], text)
}

/// The shop's requests, judged on a system that scrapes it. What `verify` printed, and its exit code.
fn judged(is_broken: bool) -> (String, Option<i32>) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime
        .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
        .unwrap();
    let address = listener.local_addr().unwrap();
    // Once per process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(20));
    let shop = Arc::new(Shop {
        client: client.build().unwrap(),
        url: format!("http://{address}"),
        run: Mutex::default(),
        is_broken,
        counts: Mutex::default(),
    });
    let routes = Router::new()
        .route("/orders", post(order))
        .route("/refused", post(refused))
        .route("/stock", get(stock))
        .route("/metrics", get(metrics))
        .with_state(Arc::clone(&shop));
    runtime.spawn(async move { axum::serve(listener, routes).await.unwrap() });

    let folder = tempfile::tempdir().unwrap();
    let deploy = scraping(folder.path(), &address.to_string());
    let data = folder.path().join("data");
    let system = System::start(
        &data,
        &Start {
            arguments: &["--compress", FACTOR, "--deploy", &deploy],
            environment: &[("TRIPOD_DECISION_WAIT", "2s")],
            ..Start::default()
        },
    );
    let mut target = system.run();
    *shop.run.lock().unwrap() = target.clone();
    target["gateway"] = json!(shop.url);
    target["patience_ms"] = json!(PATIENCE_MS);
    let (target_file, contract_file) = (
        folder.path().join("target.json"),
        folder.path().join("contract.yml"),
    );
    fs::write(&target_file, target.to_string()).unwrap();
    fs::write(&contract_file, CONTRACT).unwrap();
    let mut verify = command(&["verify", "--quiet", "--target"]);
    verify.arg(target_file).arg("--contract").arg(contract_file);
    let output = verify.output().unwrap();
    assert!(system.stop().success());
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr);
    (text, output.status.code())
}

/// A folder like `deploy/` whose Prometheus scrapes one address more.
fn scraping(folder: &Path, address: &str) -> String {
    let deploy = deploy_as_it_is(folder);
    let path = deploy.join("prometheus/prometheus.yml");
    let mut text = fs::read_to_string(&path).unwrap();
    write!(
        text,
        "      - targets: [\"{address}\"]\n        labels: {{service: shop}}\n"
    )
    .unwrap();
    fs::write(path, text).unwrap();
    deploy.to_str().unwrap().to_owned()
}

#[test]
fn other_services_are_judged_by_their_contract() {
    let (text, code) = judged(false);
    assert_eq!(code, Some(0), "{text}");
    for check in [
        "trace-plain",
        "kept-success",
        "kept-refused",
        "success-share",
        "series-have-services",
        "exemplars-have-traces",
        "traces-have-lines",
        "lines-are-named",
    ] {
        assert!(
            text.contains(&format!("held    {check}:")),
            "{check}: {text}"
        );
    }
}

#[test]
fn a_service_that_calls_without_its_parent_is_told() {
    let (text, code) = judged(true);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("FAILED  trace-plain:"), "{text}");
    assert!(text.contains("stock was not called by shop"), "{text}");
    assert!(text.contains("held    kept-refused:"), "{text}");
}
