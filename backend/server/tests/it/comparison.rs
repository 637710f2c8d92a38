//! The same traces in the real Tempo and in ours, and the same questions to both. Answers are compared without what has no
//! meaning: the order of lists, the cost of the answer.

use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use opentelemetry_proto::tonic::trace::v1::TracesData;
use prost::Message;
use serde_json::{Value, json};

use crate::{
    client::{Answer, Client, target},
    data::{self, Generated, Random},
    differences::{EXPLAINED, Extent, explained},
    peer::Tempo,
    serving::Ours,
};

const TRACES: usize = 2_000;
/// Traces in one request to Tempo.
const BATCH: usize = 100;
/// The traces start within so many seconds, and the last of them has ended so many seconds ago.
const SPREAD_S: u64 = 100;
const AGO_S: u64 = 10;
const STEP: &str = "20s";
const SEARCHABLE_DEADLINE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(100);
/// How far two floats may be apart, relatively: sums come in another order.
const TOLERANCE: f64 = 1e-9;
/// Traces that are read by id, in each form.
const READ_BY_ID: usize = 40;

/// Both systems with the same traces.
struct Both {
    ours: Client,
    theirs: Client,
    start_s: String,
    end_s: String,
}

#[derive(Default)]
struct Score {
    compared: usize,
    identical: usize,
    used: BTreeSet<usize>,
    unexplained: Vec<String>,
}

#[test]
#[expect(
    clippy::print_stdout,
    reason = "who runs the tests must know what was compared"
)]
fn answers_are_those_of_the_real_tempo() {
    let Some(tempo) = Tempo::start() else {
        return;
    };
    let now_s = system_ns() / 1_000_000_000;
    let start_s = now_s - AGO_S - SPREAD_S - 5;
    let mut random = Random(7);
    let traces: Vec<Generated> = (0..TRACES)
        .map(|_| {
            let offset_ns = random.below(SPREAD_S * 1_000_000_000);
            data::trace(&mut random, start_s * 1_000_000_000 + offset_ns)
        })
        .collect();
    let ours = Ours::start(system_ns);
    let mut push = Client::new(tempo.otlp);
    for batch in traces.chunks(BATCH) {
        // Messages one after the other are one message with the elements of all.
        let request: Vec<u8> = batch
            .iter()
            .flat_map(|trace| trace.request.clone())
            .collect();
        ours.store.ingest(&request, system_ns()).unwrap();
        tempo.push(&mut push, &request);
    }
    let mut both = Both {
        ours: Client::new(ours.address),
        theirs: Client::new(tempo.api),
        start_s: start_s.to_string(),
        end_s: (now_s - 1).to_string(),
    };
    both.wait_until_searchable();
    let mut score = Score::default();
    both.searches(&mut score);
    both.tags(&mut score);
    both.metrics(&mut score);
    both.by_id(&mut score, &traces);
    println!(
        "Tempo 3.0.3 and ours, {TRACES} traces, {} spans: {} answers compared, {} identical, {} explained, {} not",
        traces.iter().map(|trace| trace.spans).sum::<usize>(),
        score.compared,
        score.identical,
        score.compared - score.identical - score.unexplained.len(),
        score.unexplained.len(),
    );
    assert!(
        score.unexplained.is_empty(),
        "not explained:\n{}",
        score.unexplained.join("\n")
    );
    for (index, (case, ..)) in EXPLAINED.iter().enumerate() {
        assert!(
            score.used.contains(&index),
            "{case:?} is no difference any more"
        );
    }
}

impl Both {
    fn wait_until_searchable(&mut self) {
        let deadline = Instant::now() + SEARCHABLE_DEADLINE;
        let parameters = [
            ("q", "{}"),
            ("limit", "10000"),
            ("start", &self.start_s),
            ("end", &self.end_s),
        ];
        let all = target("/api/search", &parameters);
        loop {
            let answer = self.theirs.get(&all);
            let found: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            if found["traces"]
                .as_array()
                .is_some_and(|traces| traces.len() == TRACES)
            {
                return;
            }
            assert!(Instant::now() < deadline, "tempo does not find all traces");
            thread::sleep(POLL);
        }
    }

    fn ask(
        &mut self,
        path: &str,
        parameters: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> (Answer, Answer) {
        let target = target(path, parameters);
        (
            self.ours.ask("GET", &target, headers, &[]),
            self.theirs.ask("GET", &target, headers, &[]),
        )
    }

    fn searches(&mut self, score: &mut Score) {
        let (start, end) = (self.start_s.clone(), self.end_s.clone());
        for query in lines(include_str!("searches.txt")) {
            let parameters = [
                ("q", query),
                ("limit", "10000"),
                ("spss", "100"),
                ("start", &start),
                ("end", &end),
            ];
            let (ours, theirs) = self.ask("/api/search", &parameters, &[]);
            score.compare(&format!("search {query}"), &ours, &theirs, search);
        }
    }

    fn tags(&mut self, score: &mut Score) {
        let (start, end) = (self.start_s.clone(), self.end_s.clone());
        for question in lines(include_str!("tag_queries.txt")) {
            let mut parts = question.split("  ");
            let path = parts.next().unwrap();
            let mut parameters: Vec<_> = parts.map(|part| part.split_once('=').unwrap()).collect();
            if !question.contains("start=") {
                parameters.extend([("start", start.as_str()), ("end", end.as_str())]);
            }
            if path == "/api/search" {
                parameters.push(("limit", "10000"));
            }
            let (ours, theirs) = self.ask(path, &parameters, &[]);
            score.compare(&format!("tags {question}"), &ours, &theirs, search);
        }
    }

    fn metrics(&mut self, score: &mut Score) {
        let (start, end) = (self.start_s.clone(), self.end_s.clone());
        for query in lines(include_str!("metrics_queries.txt")) {
            let range = [
                ("q", query),
                ("start", &start),
                ("end", &end),
                ("step", STEP),
            ];
            let (ours, theirs) = self.ask("/api/metrics/query_range", &range, &[]);
            score.compare(&format!("range {query}"), &ours, &theirs, series);
            let (ours, theirs) = self.ask("/api/metrics/query", &range[..3], &[]);
            score.compare(&format!("instant {query}"), &ours, &theirs, series);
        }
    }

    fn by_id(&mut self, score: &mut Score, traces: &[Generated]) {
        let protobuf = [("accept", "application/protobuf")];
        for (index, trace) in traces.iter().enumerate().take(READ_BY_ID) {
            let id = trace
                .trace_id
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>();
            let id = if index % 2 == 0 {
                &id
            } else {
                id.trim_start_matches('0')
            };
            for version in ["/api", "/api/v2"] {
                let path = format!("{version}/traces/{id}");
                let (ours, theirs) = self.ask(&path, &[], &[]);
                score.compare(&format!("json {path}"), &ours, &theirs, spans_of_json);
                let (ours, theirs) = self.ask(&path, &[], &protobuf);
                let decode = if version == "/api" {
                    spans_v1
                } else {
                    spans_v2
                };
                score.compare(&format!("protobuf {path}"), &ours, &theirs, decode);
            }
        }
        for path in [
            "/api/traces/1",
            "/api/v2/traces/1",
            "/api/traces/x",
            "/api/v2/traces/x",
        ] {
            let (ours, theirs) = self.ask(path, &[], &[]);
            score.compare(&format!("json {path}"), &ours, &theirs, spans_of_json);
        }
    }
}

impl Score {
    fn compare(&mut self, case: &str, ours: &Answer, theirs: &Answer, normal: fn(&[u8]) -> Value) {
        self.compared += 1;
        let (a, b) = (normalised(ours, normal), normalised(theirs, normal));
        match difference("", &a, &b) {
            None => self.identical += 1,
            Some(difference) => match explained(case) {
                Some(index) if is_within(EXPLAINED[index].1, &a, &b) => {
                    self.used.insert(index);
                }
                _ => self.unexplained.push(format!("{case}\n    {difference}")),
            },
        }
    }
}

/// Whether nothing differs that is not to.
fn is_within(extent: Extent, ours: &Value, theirs: &Value) -> bool {
    match extent {
        Extent::All => true,
        Extent::Attributes => {
            let bare = |answer: &Value| {
                let mut answer = answer.clone();
                strip(&mut answer);
                sort(&mut answer);
                answer
            };
            difference("", &bare(ours), &bare(theirs)).is_none()
        }
    }
}

/// Takes the attributes away.
fn strip(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(strip),
        Value::Object(map) => {
            map.remove("attributes");
            map.values_mut().for_each(strip);
        }
        _ => {}
    }
}

/// Status and meaning. Of a refused query the text is each system's own, since it tells what its parser expected.
fn normalised(answer: &Answer, normal: fn(&[u8]) -> Value) -> Value {
    match answer.status {
        200 => json!({"type": answer.content_type, "body": normal(&answer.body)}),
        status => {
            let text = String::from_utf8_lossy(&answer.body);
            let is_of_query = [
                "TraceQL",
                "parse error",
                "compiling query",
                "tagName",
                "binary",
                "metrics query",
            ]
            .iter()
            .any(|word| text.contains(word));
            match is_of_query {
                true => json!({"status": status}),
                false => json!({"status": status, "text": text}),
            }
        }
    }
}

/// Where two values differ first.
fn difference(path: &str, ours: &Value, theirs: &Value) -> Option<String> {
    match (ours, theirs) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            let is_near = (a - b).abs() <= TOLERANCE * a.abs().max(b.abs());
            (!is_near).then(|| format!("{path}: ours {a}, theirs {b}"))
        }
        (Value::Array(a), Value::Array(b)) => {
            let inner = a.iter().zip(b).enumerate();
            let inner = inner
                .filter_map(|(index, (a, b))| difference(&format!("{path}[{index}]"), a, b))
                .next();
            inner
                .map(|inner| match a.len() == b.len() {
                    true => inner,
                    false => format!("{path}: ours has {}, theirs {}; {inner}", a.len(), b.len()),
                })
                .or_else(|| {
                    (a.len() != b.len())
                        .then(|| format!("{path}: ours has {}, theirs {}", a.len(), b.len()))
                })
        }
        (Value::Object(a), Value::Object(b)) => {
            let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            names.into_iter().find_map(|name| {
                let of = |map: &serde_json::Map<String, Value>| {
                    map.get(name).cloned().unwrap_or_default()
                };
                difference(&format!("{path}.{name}"), &of(a), &of(b))
            })
        }
        _ => (ours != theirs)
            .then(|| format!("{path}: ours {}, theirs {}", shown(ours), shown(theirs))),
    }
}

fn shown(value: &Value) -> String {
    value.to_string().chars().take(300).collect()
}

/// Of searches and tags: all lists sorted. The first span set is said twice by both and compared once.
fn search(body: &[u8]) -> Value {
    let mut value: Value = serde_json::from_slice(body).unwrap();
    let map = value.as_object_mut().unwrap();
    map.remove("metrics");
    for trace in map
        .get_mut("traces")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        let trace = trace.as_object_mut().unwrap();
        let first = trace.remove("spanSet");
        assert_eq!(
            first.as_ref(),
            trace.get("spanSets").and_then(|sets| sets.get(0))
        );
    }
    sort(&mut value);
    value
}

/// Sorts every list by the text of its elements, the innermost first.
fn sort(value: &mut Value) {
    match value {
        Value::Array(list) => {
            list.iter_mut().for_each(sort);
            list.sort_by_cached_key(Value::to_string);
        }
        Value::Object(map) => map.values_mut().for_each(sort),
        _ => {}
    }
}

/// Of metrics: values by series. Which traces become exemplars is chance, but not what is said of them.
fn series(body: &[u8]) -> Value {
    let mut value: Value = serde_json::from_slice(body).unwrap();
    let mut exemplar_labels = BTreeSet::new();
    for series in value["series"].as_array_mut().into_iter().flatten() {
        let series = series.as_object_mut().unwrap();
        let exemplars = series.remove("exemplars").unwrap_or_default();
        for exemplar in exemplars.as_array().into_iter().flatten() {
            let labels = exemplar["labels"].as_array().unwrap();
            let keys = labels.iter().map(|label| label["key"].as_str().unwrap());
            // Tempo adds the scope in which an attribute was found.
            let bare = |key: &str| {
                let scopes = ["resource", "span"];
                let bare = scopes.iter().find_map(|scope| key.strip_prefix(scope));
                bare.unwrap_or(key).to_owned()
            };
            exemplar_labels.extend(keys.map(bare));
        }
        for sample in series
            .get_mut("samples")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            let value = sample.get("value").cloned().unwrap_or(json!(0));
            sample["value"] = value;
        }
        sort(&mut series["labels"]);
    }
    if let Some(list) = value["series"].as_array_mut() {
        list.sort_by_cached_key(|series| series["labels"].to_string());
    }
    json!({
        "series": value["series"],
        "status": value["status"],
        "labels of exemplars": exemplar_labels,
    })
}

/// Of a trace as JSON: its spans by id, each with its resource and scope.
fn spans_of_json(body: &[u8]) -> Value {
    let value: Value = serde_json::from_slice(body).unwrap();
    let trace = value.get("trace").unwrap_or(&value);
    let resources = trace.get("batches").or_else(|| trace.get("resourceSpans"));
    let mut spans = Vec::new();
    for resource in resources.and_then(Value::as_array).into_iter().flatten() {
        for scope in resource["scopeSpans"].as_array().unwrap() {
            for span in scope["spans"].as_array().unwrap() {
                let mut span = span.clone();
                // Tempo's storage keeps no flags.
                let links = span["links"].as_array_mut().map(std::mem::take);
                let mut links = links.unwrap_or_default();
                for flagged in links.iter_mut().chain([&mut span]) {
                    flagged.as_object_mut().unwrap().remove("flags");
                }
                if !links.is_empty() {
                    span["links"] = Value::Array(links);
                }
                spans.push(json!({
                    "resource": resource["resource"], "scope": scope["scope"], "span": span,
                }));
            }
        }
    }
    let mut shape = json!({
        "is_second": value.get("trace").is_some(),
        "status": value["status"],
        "spans": spans,
    });
    sort(&mut shape);
    shape["spans"]
        .as_array_mut()
        .unwrap()
        .sort_by_cached_key(|span| span["span"]["spanId"].to_string());
    shape
}

fn spans_v1(body: &[u8]) -> Value {
    spans_of_protobuf(&TracesData::decode(body).unwrap())
}

/// `TraceByIDResponse`, as far as it is of interest.
#[derive(Clone, PartialEq, prost::Message)]
struct TraceById {
    #[prost(message, optional, tag = "1")]
    trace: Option<TracesData>,
}

fn spans_v2(body: &[u8]) -> Value {
    spans_of_protobuf(&TraceById::decode(body).unwrap().trace.unwrap())
}

fn spans_of_protobuf(trace: &TracesData) -> Value {
    let mut spans = Vec::new();
    for resource in &trace.resource_spans {
        let of_resource = resource.resource.clone().unwrap_or_default();
        for scope in &resource.scope_spans {
            let of_scope = scope.scope.clone().unwrap_or_default();
            for span in &scope.spans {
                let mut span = span.clone();
                let id = span
                    .span_id
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect::<String>();
                // Tempo's storage keeps no flags.
                span.flags = 0;
                span.links.iter_mut().for_each(|link| link.flags = 0);
                // One with nothing set says the same as none.
                span.status.get_or_insert_default();
                let attributes = sorted(&std::mem::take(&mut span.attributes));
                spans.push(json!({
                    "id": id,
                    "resource": sorted(&of_resource.attributes),
                    "scope": format!("{of_scope:?}"),
                    "attributes": attributes,
                    "span": format!("{span:?}"),
                }));
            }
        }
    }
    spans.sort_by_cached_key(|span| span["id"].to_string());
    Value::Array(spans)
}

fn sorted<T: std::fmt::Debug>(list: &[T]) -> Vec<String> {
    let mut texts: Vec<String> = list.iter().map(|element| format!("{element:?}")).collect();
    texts.sort();
    texts
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter(|line| !line.starts_with("# ") && !line.is_empty())
}

fn system_ns() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos() as u64
}
