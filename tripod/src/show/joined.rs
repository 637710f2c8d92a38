//! What else names the trace: its log lines, read from Loki, and the metrics whose exemplars name it, read from Prometheus.
//!
//! Both are asked only for a time around the trace. Neither is needed: what does not answer is said, and the trace is shown.

use anyhow::Context;
use conventions::fields;
use reqwest::{Client, Url};
use serde_json::Value;

/// Lines of one trace that are shown.
const LINES_MAX: &str = "1000";
/// What is looked at when the trace itself is not stored.
const RECENT_NS: u64 = 24 * 3_600 * 1_000_000_000;
/// Lines may be written, and requests counted, a little outside of the spans; job and retries come later.
const MARGIN_NS: u64 = 15 * 60 * 1_000_000_000;
/// Every histogram.
const BUCKETS: &str = "{__name__=~\".+_bucket\"}";

/// A log line, as far as it is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Line {
    /// Hexadecimal; empty if it names no span.
    pub(crate) span_id: String,
    pub(crate) service: String,
    pub(crate) level: String,
    pub(crate) message: String,
}

/// A metric whose exemplar names the trace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Exemplar {
    /// The series without what Prometheus adds.
    pub(crate) series: String,
    pub(crate) value: String,
}

/// Unix nanoseconds around a trace, or the last day.
pub(crate) fn around(trace: Option<(u64, u64)>, now_ns: u64) -> (u64, u64) {
    let (start_ns, end_ns) = trace.unwrap_or((now_ns.saturating_sub(RECENT_NS), now_ns));
    (
        start_ns.saturating_sub(MARGIN_NS),
        end_ns.saturating_add(MARGIN_NS),
    )
}

/// The log lines of a trace, oldest first.
pub(crate) async fn lines(
    client: &Client,
    loki: &str,
    trace_id: &str,
    (start_ns, end_ns): (u64, u64),
) -> anyhow::Result<Vec<Line>> {
    let query = format!(
        "{{{}=~\".+\"}} | {}=\"{trace_id}\"",
        fields::SERVICE,
        fields::TRACE_ID
    );
    let parameters = [
        ("query", query.as_str()),
        ("start", &start_ns.to_string()),
        ("end", &end_ns.to_string()),
        ("limit", LINES_MAX),
        ("direction", "forward"),
    ];
    let answer = ask(
        client,
        &format!("{loki}/loki/api/v1/query_range"),
        &parameters,
    )
    .await?;
    let mut lines: Vec<(String, Line)> = Vec::new();
    for stream in list(&answer["data"]["result"]) {
        for value in list(&stream["values"]) {
            let time = text(&value[0]);
            let line: Value = serde_json::from_str(&text(&value[1])).unwrap_or_default();
            lines.push((
                time,
                Line {
                    span_id: text(&line[fields::SPAN_ID]),
                    service: text(&line[fields::SERVICE]),
                    level: text(&line[fields::LEVEL]),
                    message: message(&line["fields"]),
                },
            ));
        }
    }
    lines.sort_by(|one, two| one.0.cmp(&two.0));
    Ok(lines.into_iter().map(|(_, line)| line).collect())
}

/// The series that have an exemplar of the trace.
pub(crate) async fn exemplars(
    client: &Client,
    prometheus: &str,
    trace_id: &str,
    (start_ns, end_ns): (u64, u64),
) -> anyhow::Result<Vec<Exemplar>> {
    let seconds = |ns: u64| (ns / 1_000_000_000).to_string();
    let parameters = [
        ("query", BUCKETS),
        ("start", &seconds(start_ns)),
        ("end", &seconds(end_ns)),
    ];
    let answer = ask(
        client,
        &format!("{prometheus}/api/v1/query_exemplars"),
        &parameters,
    )
    .await?;
    let mut found = Vec::new();
    for series in list(&answer["data"]) {
        for exemplar in list(&series["exemplars"]) {
            if exemplar["labels"][fields::TRACE_ID] == trace_id {
                found.push(Exemplar {
                    series: series_text(&series["seriesLabels"]),
                    value: text(&exemplar["value"]),
                });
            }
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

async fn ask(client: &Client, url: &str, parameters: &[(&str, &str)]) -> anyhow::Result<Value> {
    let asked =
        Url::parse_with_params(url, parameters).with_context(|| format!("{url} is no address"))?;
    let response = client
        .get(asked)
        .send()
        .await
        .with_context(|| format!("{url} does not answer"))?;
    let response = response
        .error_for_status()
        .with_context(|| format!("{url} refuses"))?;
    let answer = response.json().await;
    answer.with_context(|| format!("the answer of {url} is no JSON"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The message, and what else the event says.
fn message(event: &Value) -> String {
    let mut text = text(&event["message"]);
    for (name, value) in event.as_object().into_iter().flatten() {
        if name != "message" {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            text.push_str(&format!("  {name}={value}"));
        }
    }
    text
}

fn series_text(labels: &Value) -> String {
    let shown = ["__name__", "instance", "job"];
    let pairs: Vec<String> = labels
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, _)| !shown.contains(&name.as_str()))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    format!("{}{{{}}}", text(&labels["__name__"]), pairs.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_its_message_and_its_fields() {
        let event = json!({"message": "slow", "duration_ms": 7, "error": "none"});
        assert_eq!(message(&event), "slow  duration_ms=7  error=none");
        assert_eq!(message(&Value::Null), "");
    }

    #[test]
    fn a_series_is_shown_without_what_prometheus_adds() {
        let labels = json!({"__name__": "a_bucket", "le": "1", "instance": "x", "job": "y"});
        assert_eq!(series_text(&labels), "a_bucket{le=\"1\"}");
    }

    #[test]
    fn without_a_trace_the_last_day_is_looked_at() {
        assert_eq!(
            around(Some((10 * MARGIN_NS, 11 * MARGIN_NS)), 0),
            (9 * MARGIN_NS, 12 * MARGIN_NS)
        );
        assert_eq!(around(None, 2 * RECENT_NS).0, RECENT_NS - MARGIN_NS);
    }
}
