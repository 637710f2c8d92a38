//! The real Loki takes what the shipper sends and finds it by its trace, when the program is at hand.

use std::time::Duration;

use peers::loki::{Loki, Settings};
use reqwest::{Client, Url};
use serde_json::Value;
use shipper::{Destination, Shipper};
use tokio::runtime::Runtime;

use crate::world::{PATIENCE, World, options, wait_for};

const LINES: usize = 1_000;
const LEVELS: [&str; 2] = ["INFO", "ERROR"];
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// `None`, and said, if it is not at hand.
pub(crate) fn start() -> Option<Loki> {
    Loki::start(Settings::default(), PATIENCE)
}

/// Lines that Loki does not find too old, each of a trace of its own.
pub(crate) fn lines() -> Vec<String> {
    let now = jiff::Timestamp::now();
    let line = |number: usize| {
        let level = LEVELS[number % LEVELS.len()];
        format!(
            "{{\"trace_id\":\"{number:032x}\",\"span_id\":\"{number:016x}\",\"service\":\"gateway\",\"timestamp\":\"{now:.6}\",\"level\":\"{level}\",\"fields\":{{\"message\":\"é\"}}}}"
        )
    };
    (1..=LINES).map(line).collect()
}

/// Waits until each is found as it was written, with the labels and the metadata that it names itself.
pub(crate) fn finds(runtime: &Runtime, loki: &Loki, lines: &[String]) {
    let query = "{env=\"test\",service=\"gateway\"} | trace_id != \"\"";
    let limit = (2 * LINES).to_string();
    let client = Client::new();
    let url = format!("http://{}/loki/api/v1/query_range", loki.address);
    let url = Url::parse_with_params(&url, [("query", query), ("limit", &limit)]).unwrap();
    let ask = async || {
        let request = client.get(url.clone()).timeout(ANSWER_TIMEOUT);
        let answer = request.send().await.ok()?.text().await.ok()?;
        let answer: Value = serde_json::from_str(&answer).ok()?;
        answer["data"]["result"].as_array().cloned()
    };
    let mut found = Vec::new();
    wait_for("the lines in Loki", || {
        let streams = runtime.block_on(ask()).unwrap_or_default();
        found = streams.iter().flat_map(texts).collect();
        found.len() >= lines.len()
    });
    found.sort();
    let mut lines = lines.to_vec();
    lines.sort();
    assert!(found == lines, "{:#?}\n{:#?}", found.last(), lines.last());
}

/// The lines of a stream, whose labels must be what each of them says.
fn texts(stream: &Value) -> Vec<String> {
    let values = stream["values"].as_array().unwrap().iter();
    let texts = values.map(|value| {
        let text = value[1].as_str().unwrap();
        let line: Value = serde_json::from_str(text).unwrap();
        for name in ["service", "level", "trace_id", "span_id"] {
            assert_eq!(stream["stream"][name], line[name], "{name} of {text}");
        }
        text.to_owned()
    });
    texts.collect()
}

#[test]
fn the_real_loki_finds_what_the_shipper_sends() {
    let Some(loki) = start() else {
        return;
    };
    let world = World::new();
    let lines = lines();
    world.append("gateway", lines.join("\n") + "\n");
    let url = format!("http://{}", loki.address);
    let destination = Destination::Loki { url };
    let shipper = Shipper::start(options(world.folder.path(), vec![destination])).unwrap();
    finds(&world.runtime, &loki, &lines);
    let stats = world.stop(shipper);
    let expected = (LINES as u64, 0);
    assert_eq!((stats[0].delivered, stats[0].rejected), expected);
}
