//! Telemetry of whole processes. What `init` installs is process-wide, so each test runs a child: this test binary
//! again, told by its environment which scenario to play.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use opentelemetry::trace::{SpanKind, TraceContextExt as _, TraceId};
use serde_json::Value;
use telemetry::sampling::predicate;
use telemetry::testing::{Answer, OtlpSink, Span};
use tracing::{info, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Names the scenario a child plays.
const SCENARIO: &str = "TELEMETRY_TEST_SCENARIO";
const LONG: Duration = Duration::from_secs(30);
/// Deadline of a shutdown whose collector does not answer.
const DEADLINE: Duration = Duration::from_secs(1);

/// What a child left behind.
#[derive(Debug)]
struct Ended {
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

impl Ended {
    fn of(output: Output) -> Self {
        let ended = Self {
            status: output.status,
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        assert!(ended.status.success(), "{ended:#?}");
        ended
    }

    fn logs(&self) -> Vec<Value> {
        let lines = self
            .stdout
            .lines()
            .filter(|line| line.starts_with("{\"trace_id\""));
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// What the child said under this word.
    fn said(&self, word: &str) -> &str {
        let mut lines = self.stdout.lines();
        let found = lines.find_map(|line| line.strip_prefix(word)?.strip_prefix('='));
        found.unwrap_or_else(|| panic!("{word} missing in {self:#?}"))
    }

    fn count(&self, word: &str) -> u64 {
        self.said(word).parse().unwrap()
    }

    fn line(&self, message: &str) -> Value {
        let logs = self.logs();
        let found = logs
            .iter()
            .find(|line| line["fields"]["message"] == message);
        found
            .unwrap_or_else(|| panic!("no line {message:?} in {self:#?}"))
            .clone()
    }

    /// `[ended, exported, failed, dropped]`, which must balance.
    fn spans(&self) -> [u64; 4] {
        let counts = ["ended", "exported", "failed", "dropped"].map(|word| self.count(word));
        assert_eq!(counts[0], counts[1] + counts[2] + counts[3], "{self:#?}");
        counts
    }
}

fn command(scenario: &str, endpoint: &str, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            "process::child",
            "--nocapture",
            "--test-threads=2",
        ])
        .env_remove("RUST_LOG")
        .env_remove("RUST_BACKTRACE")
        .env(SCENARIO, scenario)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run(scenario: &str, endpoint: &str, variables: &[(&str, &str)]) -> Ended {
    Ended::of(command(scenario, endpoint, variables).output().unwrap())
}

/// An endpoint where nothing listens.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let found = spans.iter().find(|span| span.name == name);
    found.unwrap_or_else(|| panic!("no span {name:?} in {spans:#?}"))
}

#[test]
fn spans_logs_and_metrics_of_a_process_are_joined() {
    let sink = OtlpSink::start().unwrap();
    let resource = (
        "OTEL_RESOURCE_ATTRIBUTES",
        "team=blue,deployment.environment.name=test",
    );
    let ended = run("work_multi_thread", &sink.endpoint(), &[resource]);
    let spans = sink.spans();
    assert_eq!(ended.spans(), [4, 4, 0, 0]);
    assert_eq!(spans.len(), 4);

    let start_up = named(&spans, "service.start");
    assert_eq!(start_up.parent_span_id, None);
    assert!(predicate().keeps(start_up.trace_id));
    let outside = ended.line("outside");
    assert_eq!(outside["trace_id"], start_up.trace_id.to_string());
    assert_eq!(outside["span_id"], start_up.span_id.to_string());
    assert_eq!(outside["trace_scope"], "process");

    let (request, call) = (named(&spans, "request"), named(&spans, "call"));
    assert_eq!(request.kind, SpanKind::Server);
    assert_eq!(
        (request.text("id"), request.int("size")),
        (Some("r-1"), Some(17))
    );
    assert!(
        request.trace_state.starts_with("tripod=t:"),
        "{}",
        request.trace_state
    );
    assert_eq!(call.trace_state, request.trace_state);
    assert!(call.is_child_of(request) && call.is_error());
    assert_eq!(call.text("error.type"), Some("timeout"));
    assert!(named(&spans, "spawned").is_child_of(request));
    let inside = ended.line("inside");
    assert_eq!(inside["trace_id"], request.trace_id.to_string());
    assert_eq!(inside["span_id"], request.span_id.to_string());
    assert_eq!(inside["span"]["id"], "r-1");
    assert_eq!(inside["service"], "tested");

    for span in &spans {
        assert_eq!(span.service(), "tested");
        assert_eq!(span.attributes_sent, span.attributes.len());
        let resource = |key: &str| span.resource[key].to_string();
        assert_eq!(resource("service.namespace"), "tripod");
        assert_eq!(resource("service.version"), "0.1.0");
        assert_eq!(resource("deployment.environment.name"), "test");
        assert_eq!(resource("team"), "blue");
        assert_eq!(resource("service.instance.id").len(), 36);
    }
    for outcome in ["exported", "failed", "dropped"] {
        let series = format!("telemetry_spans_total{{service=\"tested\",outcome=\"{outcome}\"}} 0");
        assert!(ended.stdout.contains(&series), "{series} in {ended:#?}");
    }
    assert_eq!(ended.count("written"), ended.logs().len() as u64);
}

#[test]
fn a_single_threaded_runtime_exports_and_shuts_down_as_well() {
    let sink = OtlpSink::start().unwrap();
    let ended = run("work_current_thread", &sink.endpoint(), &[]);
    assert_eq!(ended.spans(), [4, 4, 0, 0]);
    assert_eq!(sink.spans().len(), 4);
}

#[test]
fn a_guard_that_is_dropped_flushes_too() {
    let sink = OtlpSink::start().unwrap();
    // Spans go where the configuration says, not where other programs' requests go.
    run("drop_guard", &sink.endpoint(), &[("HTTP_PROXY", &nobody())]);
    assert_eq!(sink.spans().len(), 2);
}

#[test]
fn a_collector_that_refuses_is_reported_before_the_deadline() {
    for scenario in ["work_multi_thread", "work_current_thread"] {
        let ended = run(scenario, &nobody(), &[]);
        assert_eq!(ended.spans(), [4, 0, 0, 4]);
        assert!(ended.count("shutdown_ms") < LONG.as_millis() as u64);
        let outage = ended.line("spans cannot be exported, trying again");
        assert_eq!(
            (&outage["level"], &outage["trace_scope"]),
            (&"WARN".into(), &"process".into())
        );
    }
}

#[test]
fn a_collector_that_hangs_is_reported_at_the_deadline() {
    let sink = OtlpSink::start().unwrap();
    sink.answer(Answer::Hang);
    for scenario in [
        "work_within_a_second_multi_thread",
        "work_within_a_second_current_thread",
    ] {
        let ended = run(scenario, &sink.endpoint(), &[]);
        assert_eq!(ended.spans(), [4, 0, 0, 4]);
        let took = Duration::from_millis(ended.count("shutdown_ms"));
        assert!(took < DEADLINE * 3, "{took:?}");
    }
}

#[test]
fn a_collector_that_errs_for_a_while_loses_nothing() {
    for trouble in [Answer::Status(503), Answer::Status(429), Answer::Hang] {
        let sink = OtlpSink::start().unwrap();
        sink.answer(trouble);
        let timeout = [("OTEL_EXPORTER_OTLP_TIMEOUT", "200")];
        let mut running = command("work_until_told", &sink.endpoint(), &timeout);
        let mut running = running.stdin(Stdio::piped()).spawn().unwrap();
        sink.wait_for_requests(LONG, 2).unwrap();
        sink.answer(Answer::Accept);
        sink.wait_for(LONG, |spans| spans.len() >= 4).unwrap();
        drop(running.stdin.take());
        let ended = Ended::of(running.wait_with_output().unwrap());
        assert_eq!(ended.spans(), [4, 4, 0, 0]);
        ended.line("spans are exported again");
    }
}

#[test]
fn a_refused_batch_has_failed() {
    let sink = OtlpSink::start().unwrap();
    sink.answer(Answer::Status(400));
    let ended = run("work_multi_thread", &sink.endpoint(), &[]);
    assert_eq!(ended.spans(), [4, 0, 4, 0]);
    sink.answer(Answer::Reject(1));
    let ended = run("work_multi_thread", &sink.endpoint(), &[]);
    assert_eq!(ended.spans()[2], ended.spans()[0] - ended.spans()[1]);
    assert!(ended.spans()[2] >= 1);
}

#[test]
fn a_burst_of_20_000_spans_is_accounted_for_to_the_last_whatever_the_collector_does() {
    let queue = ("OTEL_BSP_MAX_QUEUE_SIZE", "2048");
    let slow = Answer::AcceptAfter(Duration::from_millis(100));
    for (answer, queue) in [
        (Answer::Accept, None),
        (slow, Some(queue)),
        (Answer::Status(503), Some(queue)),
    ] {
        let sink = OtlpSink::start().unwrap();
        sink.answer(answer);
        let ended = run("burst", &sink.endpoint(), queue.as_slice());
        let [all, exported, failed, dropped] = ended.spans();
        assert_eq!((all, failed), (20_001, 0));
        assert_eq!(exported, sink.spans().len() as u64, "{answer:?}");
        match answer {
            Answer::Accept => assert_eq!(dropped, 0),
            Answer::Status(_) => assert_eq!(exported, 0),
            _ => assert!(exported >= 2_048 && dropped > 0, "{exported} {dropped}"),
        }
        println!(
            "burst of {all} spans, {answer:?}: {exported} exported, {failed} failed, {dropped} dropped"
        );
    }
}

#[test]
fn the_exporter_never_traces_itself() {
    let sink = OtlpSink::start().unwrap();
    let all = [("OTEL_TRACE_FILTER", "trace"), ("RUST_LOG", "trace")];
    run("work_multi_thread", &sink.endpoint(), &all);
    let mut names: Vec<_> = sink.spans().into_iter().map(|span| span.name).collect();
    names.sort();
    assert_eq!(names, ["call", "request", "service.start", "spawned"]);
}

#[test]
fn a_panic_is_one_json_line_with_the_ids_of_its_span() {
    let sink = OtlpSink::start().unwrap();
    let ended = run("panic", &sink.endpoint(), &[]);
    let span = named(&sink.spans(), "doomed").clone();
    let logs = ended.logs();
    let panics: Vec<_> = logs
        .iter()
        .filter(|line| line["target"] == "panic")
        .collect();
    let [line, long] = panics.as_slice() else {
        panic!("two panics: {ended:#?}")
    };
    assert_eq!(line["trace_id"], span.trace_id.to_string());
    assert_eq!(line["span_id"], span.span_id.to_string());
    assert_eq!(line["level"], "ERROR");
    assert_eq!(line["fields"]["message"], "first line\nsecond \"line\" 7");
    assert_eq!(line["fields"]["thread"], "doomed thread");
    let location = line["fields"]["panic.location"].as_str().unwrap();
    assert!(location.contains("process.rs:"), "{location}");
    assert_eq!(long["fields"]["message"].as_str().unwrap().len(), 8 << 10);
    assert_eq!(ended.stderr, "");

    let ended = run("panic", &sink.endpoint(), &[("RUST_BACKTRACE", "1")]);
    assert!(ended.stderr.contains("stack backtrace"), "{ended:#?}");
}

#[test]
fn a_disabled_sdk_exports_nothing_and_hands_contexts_on() {
    let sink = OtlpSink::start().unwrap();
    let ended = run(
        "disabled",
        &sink.endpoint(),
        &[("OTEL_SDK_DISABLED", "true")],
    );
    assert_eq!(sink.requests(), 0);
    assert_eq!(ended.spans(), [0, 0, 0, 0]);
    let inside = ended.line("inside");
    assert_eq!(inside["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(
        ended.said("injected"),
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    );
    let outside = ended.line("outside");
    assert_eq!(outside["trace_scope"], "process");
    let trace_id = TraceId::from_hex(outside["trace_id"].as_str().unwrap()).unwrap();
    assert!(predicate().keeps(trace_id));
}

#[test]
fn a_closed_standard_output_is_counted_and_stops_nothing() {
    let sink = OtlpSink::start().unwrap();
    let running = command("closed_stdout", &sink.endpoint(), &[])
        .stdin(Stdio::piped())
        .spawn();
    let mut running = running.unwrap();
    let mut stdout = BufReader::new(running.stdout.take().unwrap()).lines();
    // Read until the test harness has said what it cannot live without.
    assert!(stdout.any(|line| line.unwrap() == "ready=yes"));
    drop(stdout);
    drop(running.stdin.take());
    let mut stderr = String::new();
    running
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    assert!(
        stderr.contains("log lines cannot be written: Broken pipe"),
        "{stderr}"
    );
    assert_eq!(stderr.matches("cannot be written").count(), 1, "{stderr}");
    assert!(stderr.contains("failed=3"), "{stderr}");
    running.wait().unwrap();
    assert_eq!(sink.spans().len(), 2);
}

/// Plays the scenario its environment names; without one it is no child and has nothing to do.
#[test]
fn child() {
    let Ok(scenario) = std::env::var(SCENARIO) else {
        return;
    };
    match scenario.as_str() {
        "work_multi_thread" => multi_thread(work(LONG)),
        "work_current_thread" => current_thread(work(LONG)),
        "work_within_a_second_multi_thread" => multi_thread(work(DEADLINE)),
        "work_within_a_second_current_thread" => current_thread(work(DEADLINE)),
        "work_until_told" => current_thread(work_until_told()),
        "drop_guard" => drop_guard(),
        "burst" => burst(),
        "panic" => panic_twice(),
        "disabled" => disabled(),
        "closed_stdout" => closed_stdout(),
        other => panic!("unknown scenario {other}"),
    }
}

fn multi_thread(work: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(work);
}

fn current_thread(work: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(work);
}

fn init() -> telemetry::Guard {
    let config = telemetry::Config::from_env("tested", env!("CARGO_PKG_VERSION")).unwrap();
    telemetry::init(config).unwrap()
}

fn say(word: &str, what: impl std::fmt::Display) {
    println!("{word}={what}");
}

fn shut_down(guard: telemetry::Guard, deadline: Duration) {
    let page = guard.metrics().render(None).body;
    let began = Instant::now();
    let report = guard.shutdown(deadline);
    say("shutdown_ms", began.elapsed().as_millis());
    say("ended", report.spans.ended);
    say("exported", report.spans.exported);
    say("failed", report.spans.failed);
    say("dropped", report.spans.dropped);
    say("written", report.log_lines.written);
    println!("{page}");
}

async fn emit() {
    info!("outside");
    let request = info_span!("request", otel.kind = "server", id = "r-1");
    request.set_attribute("size", 17);
    let work = async {
        info!("inside");
        let call = info_span!("call", otel.kind = "client");
        telemetry::mark_error(&call, "_OTHER");
        telemetry::mark_error(&call, "timeout");
        drop(call);
        let task = telemetry::spawn(async { drop(info_span!("spawned")) });
        task.await.unwrap();
    };
    tracing::Instrument::instrument(work, request).await;
}

async fn work(deadline: Duration) {
    let guard = init();
    let second = telemetry::init(telemetry::Config::new("again", "0"));
    assert!(matches!(
        second,
        Err(telemetry::InitError::AlreadyInitialised)
    ));
    emit().await;
    shut_down(guard, deadline);
}

async fn work_until_told() {
    let guard = init();
    emit().await;
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    shut_down(guard, LONG);
}

fn drop_guard() {
    let _guard = init();
    drop(info_span!("only"));
}

fn burst() {
    let guard = init();
    for _ in 0..20_000 {
        drop(info_span!("burst", id = 1));
    }
    shut_down(guard, LONG);
}

fn panic_twice() {
    let guard = init();
    let thread = std::thread::Builder::new().name("doomed thread".to_owned());
    let first = thread.spawn(|| {
        let _entered = info_span!("doomed").entered();
        panic!("first line\nsecond \"line\" {}", 7);
    });
    first.unwrap().join().unwrap_err();
    let long = "é".repeat(8 << 10);
    std::thread::spawn(move || panic!("{long}"))
        .join()
        .unwrap_err();
    shut_down(guard, LONG);
}

fn disabled() {
    let guard = init();
    info!("outside");
    let mut headers = http::HeaderMap::new();
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    headers.insert("traceparent", parent.parse().unwrap());
    let span = info_span!("request");
    span.set_parent(telemetry::w3c::extract(&headers)).unwrap();
    assert!(span.context().span().span_context().is_valid());
    let _entered = span.entered();
    info!("inside");
    let mut injected = http::HeaderMap::new();
    telemetry::w3c::inject(&opentelemetry::Context::current(), &mut injected);
    say("injected", injected["traceparent"].to_str().unwrap());
    drop(_entered);
    shut_down(guard, LONG);
}

fn closed_stdout() {
    let guard = init();
    say("ready", "yes");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    for _ in 0..3 {
        info!("nobody reads this");
    }
    drop(info_span!("only"));
    let report = guard.shutdown(LONG);
    eprintln!("failed={}", report.log_lines.failed);
    // The test harness itself cannot live without its output.
    std::process::exit(0);
}
