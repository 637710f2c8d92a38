//! Log lines against the stock JSON format, and the ids in front of them.
#![allow(clippy::unwrap_used)]

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use opentelemetry::trace::TraceContextExt as _;
use proptest::prelude::*;
use serde_json::Value;
use tracing::field::Empty;
use tracing::{Level, Span, info, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;

use super::line::LINE_BYTES_MAX;
use super::*;
use crate::testing::{capture, capture_async};
use crate::trace::SpanFilter;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn push(&self, line: &[u8]) {
        self.0.lock().unwrap().extend_from_slice(line);
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn format() -> Format {
    Format::new("s", &opentelemetry::trace::SpanContext::NONE)
}

/// What the stock format and ours write for the same events, without timestamps and without our front.
fn both(emit: impl FnOnce()) -> (String, String) {
    let (stock, ours) = (Lines::default(), Lines::default());
    let pushed = ours.clone();
    let layer = JsonLayer::new(format(), move |line: &[u8]| pushed.push(line));
    let stock_layer = tracing_subscriber::fmt::layer()
        .json()
        .with_current_span(true)
        .with_span_list(false)
        .with_writer(stock.clone());
    let subscriber = tracing_subscriber::registry().with(stock_layer).with(layer);
    tracing::subscriber::with_default(subscriber, emit);
    let front = concat!(
        r#""trace_id":"00000000000000000000000000000000","span_id":"0000000000000000","#,
        r#""service":"s","trace_scope":"process","#
    );
    let ours = ours.text().replace(front, "");
    (without_timestamps(&stock.text()), without_timestamps(&ours))
}

fn without_timestamps(lines: &str) -> String {
    const OPEN: &str = "{\"timestamp\":\"";
    let mut text = String::new();
    for line in lines.lines() {
        let rest = line.strip_prefix(OPEN).unwrap_or_else(|| panic!("{line}"));
        let (timestamp, rest) = rest.split_once('"').unwrap();
        assert_eq!(
            timestamp.len(),
            "2026-11-23T06:01:02.123456Z".len(),
            "{timestamp}"
        );
        assert!(timestamp.ends_with('Z'), "{timestamp}");
        text.push_str(rest);
        text.push('\n');
    }
    text
}

fn same(emit: impl FnOnce()) {
    let (stock, ours) = both(emit);
    assert!(!stock.is_empty());
    assert_eq!(ours, stock);
}

/// Anything an application logs.
#[derive(Debug, Clone)]
struct Values {
    text: String,
    signed: i64,
    unsigned: u64,
    float: f64,
    flag: bool,
    wide: i128,
    bytes: Vec<u8>,
    maybe: Option<u64>,
}

fn values() -> impl Strategy<Value = Values> {
    let numbers = (any::<i64>(), any::<u64>(), any::<f64>(), any::<i128>());
    let others = (any::<bool>(), any::<Vec<u8>>(), any::<Option<u64>>());
    (any::<String>(), numbers, others).prop_map(|(text, numbers, others)| {
        let ((signed, unsigned, float, wide), (flag, bytes, maybe)) = (numbers, others);
        Values {
            text,
            signed,
            unsigned,
            float,
            flag,
            wide,
            bytes,
            maybe,
        }
    })
}

/// The stock format reads a span's fields back from their own JSON, and `serde_json` reads some floats one unit in
/// the last place off. Ours are right, so the comparison is made where the stock ones are as well.
fn survives_reading(float: f64) -> bool {
    let text = serde_json::to_string(&float).unwrap();
    !float.is_finite() || serde_json::from_str::<f64>(&text).unwrap() == float
}

#[derive(Debug)]
struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "failed: {}", self.0)
    }
}

impl std::error::Error for Failure {}

proptest! {
    #[test]
    fn events_are_what_the_stock_format_writes(values in values()) {
        let failure = Failure(values.text.clone());
        same(|| {
            info!(
                text = values.text,
                signed = values.signed,
                unsigned = values.unsigned,
                float = values.float,
                flag = values.flag,
                wide = values.wide,
                bytes = &values.bytes[..],
                maybe = values.maybe,
                error = &failure as &dyn std::error::Error,
                debug = ?values,
                display = %failure,
                r#type = values.signed,
                "message {}", values.text
            );
        });
    }

    #[test]
    fn spans_are_what_the_stock_format_writes(
        created in values(),
        recorded in values(),
        names in any::<(bool, bool)>(),
    ) {
        prop_assume!(survives_reading(created.float) && survives_reading(recorded.float));
        let failure = Failure(created.text.clone());
        same(|| {
            let span = info_span!(
                "a \"quoted\" span",
                text = created.text,
                signed = created.signed,
                unsigned = created.unsigned,
                float = created.float,
                flag = created.flag,
                wide = created.wide,
                bytes = &created.bytes[..],
                maybe = created.maybe,
                error = &failure as &dyn std::error::Error,
                debug = ?created,
                r#type = ?created.flag,
                name = created.text,
                later = Empty,
                never = Empty,
            );
            span.in_scope(|| info!("before"));
            span.record("later", recorded.signed);
            if names.0 {
                span.record("text", recorded.float);
                span.record("later", recorded.text.as_str());
            }
            if names.1 {
                span.record("name", recorded.unsigned).record("undeclared", 1);
            }
            span.in_scope(|| info!("after"));
        });
    }
}

#[test]
fn levels_targets_and_nested_spans_are_what_the_stock_format_writes() {
    same(|| {
        tracing::error!(target: "a \"target\"", "outside");
        let outer = info_span!("outer", id = 1);
        let inner = info_span!(parent: &outer, "inner");
        let _entered = outer.enter();
        tracing::warn!("in outer");
        tracing::debug!(parent: &inner, "by an explicit parent");
        tracing::trace!(parent: None, "explicitly a root");
        inner.in_scope(|| tracing::event!(Level::INFO, alone = true));
    });
}

#[test]
fn every_line_carries_the_ids_of_its_span_and_the_process_ids_outside() {
    let captured = capture(|| {
        info!("outside");
        let first = info_span!("first");
        let second = info_span!("second");
        first.in_scope(|| info!("inside"));
        first.in_scope(|| info!(parent: &second, "explicit parent"));
        let ids = |span: &Span| span.context().span().span_context().clone();
        (ids(&first), ids(&second))
    });
    let (first, second) = &captured.result;
    let [outside, inside, explicit] = captured.logs.as_slice() else {
        panic!("three lines: {captured:?}")
    };
    assert_eq!(outside["trace_scope"], "process");
    assert_eq!(outside["service"], "captured");
    assert!(crate::sampling::predicate().keeps(trace_id(outside)));
    for (line, context) in [(inside, first), (explicit, second)] {
        assert_eq!(line["trace_id"], context.trace_id().to_string());
        assert_eq!(line["span_id"], context.span_id().to_string());
        assert_eq!(line["trace_scope"], Value::Null);
    }
    assert_eq!(explicit["span"]["name"], "second");
}

fn trace_id(line: &Value) -> opentelemetry::trace::TraceId {
    opentelemetry::trace::TraceId::from_hex(line["trace_id"].as_str().unwrap()).unwrap()
}

#[test]
fn ids_come_first_in_a_line() {
    let lines = Lines::default();
    let pushed = lines.clone();
    let process = opentelemetry::trace::SpanContext::NONE;
    let layer = JsonLayer::new(
        Format::new("gate \"way\"", &process),
        move |line: &[u8]| pushed.push(line),
    );
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || info!("hello"));
    let expected = concat!(
        r#"{"trace_id":"00000000000000000000000000000000","span_id":"0000000000000000","#,
        r#""service":"gate \"way\"","trace_scope":"process","timestamp":""#
    );
    assert!(lines.text().starts_with(expected), "{}", lines.text());
}

#[test]
fn a_suppressed_scope_logs_with_the_outer_ids_and_makes_no_spans() {
    let captured = capture_async(async {
        let outer = crate::background_span("outer");
        let work = crate::suppress(async {
            info!("polled");
            info_span!("inner").in_scope(|| info!("in a span that is not made"));
            assert!(crate::background_span("inner root").is_disabled());
        });
        tracing::Instrument::instrument(work, outer).await;
    });
    let [outer] = captured.spans.as_slice() else {
        panic!("one span: {captured:?}")
    };
    assert_eq!(outer.name, "outer");
    assert_eq!(captured.logs[0]["trace_id"], outer.trace_id.to_string());
    assert_eq!(captured.logs[1]["trace_scope"], "process");
}

#[test]
fn an_oversized_event_leaves_a_line_that_says_so() {
    let captured = capture(|| {
        let span = info_span!("big", data = "y".repeat(LINE_BYTES_MAX));
        info!(data = "x".repeat(LINE_BYTES_MAX), "lost");
        span.in_scope(|| info!("small event, big span"));
    });
    for line in &captured.logs {
        let message = line["fields"]["message"].as_str().unwrap();
        assert!(message.contains("exceeds 262144"), "{message}");
        assert!(line.to_string().len() < 1_000);
    }
    assert_eq!(captured.logs.len(), 2);
}

#[test]
fn a_value_that_logs_while_it_is_formatted_disturbs_nothing() {
    struct Chatty;
    impl fmt::Debug for Chatty {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            info!("from inside");
            formatter.write_str("chatty")
        }
    }
    let captured = capture(|| info!(value = ?Chatty, "outer"));
    let last = captured.logs.last().unwrap();
    assert_eq!(last["fields"]["value"], "chatty");
    assert_eq!(last["fields"]["message"], "outer");
}

/// The lines of a process with these filters.
fn lines(spans: &str, events: &str, emit: impl FnOnce()) -> Vec<Value> {
    let lines = Lines::default();
    let pushed = lines.clone();
    let gate = Gate {
        spans: SpanFilter::parse(spans).unwrap(),
        events: EventFilter::parse(events).unwrap(),
        log: JsonLayer::new(format(), move |line: &[u8]| pushed.push(line)),
    };
    let subscriber = tracing_subscriber::registry().with(gate);
    tracing::subscriber::with_default(subscriber, emit);
    let text = lines.text();
    let parsed = text.lines().map(|line| serde_json::from_str(line).unwrap());
    parsed.collect()
}

#[test]
fn a_quiet_log_filter_still_shows_the_span_of_a_warning() {
    let lines = lines("info", "warn", || {
        let span = info_span!("job", id = 7);
        let _entered = span.enter();
        info!("filtered");
        tracing::warn!("kept");
    });
    assert_eq!(lines.len(), 1);
    assert_eq!(
        lines[0]["span"],
        serde_json::json!({"id": 7, "name": "job"})
    );
}

#[test]
fn a_quiet_span_filter_makes_no_spans_and_silences_no_events() {
    let lines = lines("off", "info", || {
        let span = info_span!("job", id = 7);
        assert!(span.is_disabled());
        let _entered = span.enter();
        info!("kept");
        tracing::debug!("filtered");
    });
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["span"], Value::Null);
}

#[test]
fn what_the_exporter_does_is_never_traced_but_may_be_logged() {
    let lines = lines("trace", "trace", || {
        assert!(info_span!(target: "hyper_util::client", "connect").is_disabled());
        assert!(!info_span!(target: "worker", "job").is_disabled());
        info!(target: "hyper_util::client", "connected");
    });
    assert_eq!(lines.len(), 1);
}

#[test]
fn a_log_filter_may_depend_on_the_span_and_its_fields() {
    let lines = lines("info", "off,[job{id=7}]=debug", || {
        for id in [7, 8] {
            let span = info_span!("job", id);
            let _entered = span.enter();
            tracing::debug!(id, "inside");
        }
        info!("outside");
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["fields"]["id"], 7);
}

#[test]
fn an_error_event_leaves_the_status_and_the_events_of_its_span_alone() {
    let captured = capture(|| {
        info_span!("handled").in_scope(|| tracing::error!("retried and done"));
    });
    assert_eq!(captured.logs.len(), 1);
    assert!(!captured.spans[0].is_error());
    assert_eq!(captured.spans[0].events, []);
}
