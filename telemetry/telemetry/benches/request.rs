//! What telemetry costs a whole request: one server span, two client spans, two log lines, three histograms.
//!
//! Ours against the stock crates with their defaults, and against nothing installed, which is what the macros cost
//! anyway. Spans really are exported, to a collector in another process that throws them away. The pace leaves both
//! exporters time, so that no case is cheap because it drops.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod measure;

use std::io;
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use conventions::metrics as names;
use conventions::spans as keys;
use measure::Cost;
use opentelemetry::KeyValue;
use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
use opentelemetry_otlp::{WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::trace::{BatchSpanProcessor, SdkTracerProvider};
use telemetry::{Config, LogOutput};
use tracing::{Span, info, info_span};
use tracing_subscriber::layer::SubscriberExt as _;

const ENDPOINT: &str = "BENCH_COLLECTOR";
const ROUNDS: usize = 10;
/// Requests of one round, in bursts of this size with a pause after each: about 10,000 per second.
const REQUESTS: u64 = 20_000;
const BURST: u64 = 100;
const PAUSE: Duration = Duration::from_millis(10);

const CASES: &[(&str, &str)] = &[
    ("nothing", "nothing installed"),
    (
        "stock",
        "stock: tracing-opentelemetry 0.34, its JSON, OTLP 0.33, metrics-exporter-prometheus 0.18",
    ),
    ("ours", "ours"),
    ("our_spans", "of which: the 3 spans"),
    ("our_logs", "of which: the 2 log lines"),
    ("our_metrics", "of which: the 3 histograms"),
];

fn main() {
    match measure::case() {
        Some(case) => measure::tell(run(&case)),
        None if measure::asked_for() => table(),
        None => {}
    }
}

fn table() {
    let endpoint = collector();
    println!(
        "{:<90} {:>8} {:>12}",
        "telemetry of one request, CPU us", "caller", "all threads"
    );
    let mut nothing = None;
    for (case, title) in CASES {
        let cost = measure::in_new_process(case, &[(ENDPOINT, &endpoint)]);
        let nothing = *nothing.get_or_insert(cost);
        let microseconds = |cost: f64, base: f64| (cost - base) / 1e3;
        println!(
            "{title:<90} {:>8.2} {:>12.2}",
            microseconds(
                cost.caller,
                if *case == "nothing" {
                    0.0
                } else {
                    nothing.caller
                }
            ),
            microseconds(
                cost.process,
                if *case == "nothing" {
                    0.0
                } else {
                    nothing.process
                }
            ),
        );
    }
    println!("the first row is subtracted from the others; budget: 6 us");
}

/// A collector that takes everything and keeps nothing.
fn collector() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let app = Router::new().route("/v1/traces", post(|_: bytes::Bytes| async {}));
            axum::serve(listener, app).await.unwrap();
        });
    });
    endpoint
}

fn run(case: &str) -> Cost {
    match case {
        "nothing" => requests(request),
        "stock" => stock(),
        "ours" => ours(|| requests(request)),
        "our_spans" => ours(|| requests(|_| spans(|| (), || ()))),
        "our_logs" => ours(in_a_span(|| requests(logs))),
        "our_metrics" => ours(in_a_span(|| requests(|_| histograms()))),
        other => panic!("unknown case {other}"),
    }
}

fn requests(request: impl Fn(u64)) -> Cost {
    measure::cheapest(ROUNDS, REQUESTS, || {
        for number in 0..REQUESTS {
            request(number);
            if number % BURST == 0 {
                thread::sleep(PAUSE);
            }
        }
    })
}

fn request(number: u64) {
    spans(|| logs(number), histograms);
}

/// A server span around `served`, two client spans, and `recorded`.
fn spans(served: impl FnOnce(), recorded: impl FnOnce()) {
    let server = info_span!(
        "GET /v1/tasks/{id}",
        otel.kind = "server",
        http.route = "/v1/tasks/{id}",
        task.id = "0190"
    );
    server.in_scope(|| {
        set(&[
            (keys::HTTP_REQUEST_METHOD, "GET"),
            (keys::URL_PATH, "/v1/tasks/0190"),
            (keys::URL_SCHEME, "http"),
            (keys::SERVER_ADDRESS, "127.0.0.1"),
            (keys::NETWORK_PROTOCOL_VERSION, "1.1"),
            (keys::USER_AGENT_ORIGINAL, "curl/8.0"),
            (keys::CLIENT_ADDRESS, "127.0.0.1"),
        ]);
        served();
        call("GET", keys::HTTP_REQUEST_METHOD);
        call("DynamoDB.GetItem", keys::DB_OPERATION_NAME);
        recorded();
    });
}

fn call(operation: &'static str, key: &'static str) {
    let client = info_span!("call", otel.kind = "client", operation);
    client.in_scope(|| {
        set(&[
            (key, operation),
            (keys::SERVER_ADDRESS, "127.0.0.1"),
            (keys::URL_FULL, "http://127.0.0.1:8081/v1/tasks/0190"),
            (keys::AWS_REQUEST_ID, "0123456789abcdef"),
            (keys::CLOUD_REGION, "eu-central-1"),
        ]);
    });
}

fn logs(number: u64) {
    info!(number, "request accepted");
    info!(number, outcome = "found", "request answered");
}

fn histograms() {
    metrics::histogram!(names::HTTP_CLIENT_REQUEST_DURATION, names::ERROR_TYPE => "").record(0.002);
    metrics::histogram!(names::DB_CLIENT_OPERATION_DURATION, names::ERROR_TYPE => "").record(0.002);
    metrics::histogram!(
        names::HTTP_SERVER_REQUEST_DURATION,
        names::HTTP_REQUEST_METHOD => "GET",
        names::HTTP_ROUTE => "/v1/tasks/{id}",
        names::HTTP_RESPONSE_STATUS_CODE => "200"
    )
    .record(0.003);
}

/// The part of a request that happens in its server span, without the span's own cost.
fn in_a_span(measured: impl FnOnce() -> Cost) -> impl FnOnce() -> Cost {
    || {
        let span = info_span!(
            "GET /v1/tasks/{id}",
            http.route = "/v1/tasks/{id}",
            task.id = "0190"
        );
        span.in_scope(measured)
    }
}

/// Attributes beside the span's own fields, the same cheap way for all cases.
fn set(attributes: &[(&'static str, &'static str)]) {
    if Span::current().is_disabled() {
        return;
    }
    opentelemetry::Context::map_current(|context| {
        let pairs = attributes
            .iter()
            .map(|(key, value)| KeyValue::new(*key, *value));
        context.span().set_attributes(pairs);
        context
            .span()
            .set_attribute(KeyValue::new(keys::HTTP_RESPONSE_STATUS_CODE, 200));
    });
}

fn ours(measured: impl FnOnce() -> Cost) -> Cost {
    let mut config = Config::new("bench", "0");
    config.otlp_endpoint = std::env::var(ENDPOINT).unwrap();
    config.log_output = LogOutput::Writer(Box::new(io::sink()));
    let guard = telemetry::init(config).unwrap();
    let cost = measured();
    let report = guard.shutdown(Duration::from_secs(10));
    assert!(report.nothing_lost(), "{report}");
    cost
}

fn stock() -> Cost {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    metrics::set_global_recorder(recorder).unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::blocking::Client::builder()
        .no_proxy()
        .build()
        .unwrap();
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_endpoint(format!("{}/v1/traces", std::env::var(ENDPOINT).unwrap()))
        .build()
        .unwrap();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(BatchSpanProcessor::builder(exporter).build())
        .build();
    let traces = tracing_opentelemetry::layer().with_tracer(provider.tracer("bench"));
    let logs = tracing_subscriber::fmt::layer()
        .json()
        .with_current_span(true)
        .with_span_list(false)
        .with_writer(io::sink);
    let subscriber = tracing_subscriber::registry().with(traces).with(logs);
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let cost = requests(request);
    provider.shutdown().unwrap();
    cost
}
