//! Log lines from the files to the Loki API: all of them, found by their trace, also after a kill.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use conventions::resource::{GATEWAY, SERVICES, TASK_SERVICE, WORKER};
use reqwest::blocking::Client;
use serde_json::Value;
use url::Url;

use crate::{
    api::{Api, client},
    system::{Start, System, wait_for},
};

const REQUESTS: usize = 200;

struct Loki {
    client: Client,
    url: String,
}

impl Loki {
    fn of(system: &System) -> Self {
        Self {
            client: client(),
            url: system.run()["loki"].as_str().unwrap().to_owned(),
        }
    }

    /// The lines that a query finds, whole; of the last hour.
    fn lines(&self, query: &str) -> Vec<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let end = (now.as_nanos() + 60_000_000_000).to_string();
        let parameters = [
            ("query", query),
            ("end", &end),
            ("since", "2h"),
            ("limit", "5000"),
        ];
        let url = format!("{}/loki/api/v1/query_range", self.url);
        let url = Url::parse_with_params(&url, parameters).unwrap();
        let answer: Value = self.client.get(url).send().unwrap().json().unwrap();
        let streams = answer["data"]["result"].as_array().unwrap().iter();
        let mut lines: Vec<String> = streams
            .flat_map(|stream| stream["values"].as_array().unwrap())
            .map(|value| value[1].as_str().unwrap().to_owned())
            .collect();
        lines.sort();
        lines
    }
}

/// The lines of all files that name a trace.
fn in_files(system: &System, trace_id: &str) -> Vec<String> {
    let mut lines: Vec<String> = SERVICES
        .iter()
        .flat_map(|service| {
            let log = system.log(service);
            let lines = log.lines().filter(|line| line.contains(trace_id));
            lines.map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn every_line_of_200_requests_is_found_by_its_trace_also_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let system = System::start(folder.path(), &Start::default());
    let api = Api::new(&system);
    let traces: Vec<String> = (0..REQUESTS)
        .map(|number| api.create(&format!("Task {number}")).1)
        .collect();
    let compare = |system: &System| {
        let loki = Loki::of(system);
        let mut lines = 0;
        for trace_id in &traces {
            let query = format!("{{service=~\".+\"}} | trace_id=\"{trace_id}\"");
            lines += wait_for(&format!("the lines of trace {trace_id}"), || {
                let (found, expected) = (loki.lines(&query), in_files(system, trace_id));
                (found == expected).then_some(found.len())
            });
        }
        lines
    };
    let lines = compare(&system);
    println!("{REQUESTS} requests, {lines} lines, all of them found");
    system.kill();

    let system = System::start(folder.path(), &Start::default());
    assert!(compare(&system) >= lines);
    // What the supervisor says of itself is there as well, under the trace of its start.
    let loki = Loki::of(&system);
    wait_for("lines of every service", || {
        let mut count: BTreeMap<&str, usize> = BTreeMap::new();
        for service in [GATEWAY, TASK_SERVICE, WORKER, "backend"] {
            let lines = loki.lines(&format!("{{service=\"{service}\"}}"));
            count.insert(service, lines.len());
        }
        count.values().all(|lines| *lines > 0).then_some(())
    });
    assert!(system.stop().success());
}
