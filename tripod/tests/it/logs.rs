//! Log lines from the files to Loki's and CloudWatch's API: all of them, found by their trace, also after a kill.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use conventions::resource::{GATEWAY, SERVICES, TASK_SERVICE, WORKER};
use reqwest::{Certificate, StatusCode, blocking::Client};
use serde_json::{Value, json};
use url::Url;

use crate::{
    api::{Api, client},
    system::{Start, System, wait_for},
};

const REQUESTS: usize = 200;
/// Lines that one answer of Loki has at most.
const LOKI_LIMIT: usize = 5000;

pub struct Loki {
    client: Client,
    url: String,
}

impl Loki {
    pub fn of(system: &System) -> Self {
        Self {
            client: client(),
            url: system.run()["loki"].as_str().unwrap().to_owned(),
        }
    }

    /// The lines that a query finds, whole; of the last hour.
    pub fn lines(&self, query: &str) -> Vec<String> {
        let page = self.page(query, [("since", "2h"), ("direction", "backward")]);
        let mut lines: Vec<String> = page.into_iter().map(|(_, line)| line).collect();
        lines.sort();
        lines
    }

    /// The same of any number, each once.
    pub fn all(&self, query: &str) -> BTreeSet<String> {
        let since = SystemTime::now() - Duration::from_secs(7200);
        let since = since.duration_since(UNIX_EPOCH).unwrap();
        let mut start = since.as_nanos().to_string();
        let mut lines = BTreeSet::new();
        loop {
            let page = self.page(query, [("start", &start), ("direction", "forward")]);
            let is_last = page.len() < LOKI_LIMIT;
            if let Some(last) = page.iter().map(|(timestamp, _)| timestamp).max() {
                assert_ne!(*last, start, "more than a page at one instant");
                start.clone_from(last);
            }
            lines.extend(page.into_iter().map(|(_, line)| line));
            if is_last {
                return lines;
            }
        }
    }

    /// Timestamp, as it is written, and line.
    fn page(&self, query: &str, parameters: [(&str, &str); 2]) -> Vec<(String, String)> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let end = (now.as_nanos() + 60_000_000_000).to_string();
        let limit = LOKI_LIMIT.to_string();
        let always = [("query", query), ("end", &end), ("limit", &limit)];
        let url = format!("{}/loki/api/v1/query_range", self.url);
        let url = Url::parse_with_params(&url, always.into_iter().chain(parameters)).unwrap();
        let answer: Value = self.client.get(url).send().unwrap().json().unwrap();
        let streams = answer["data"]["result"].as_array().unwrap().iter();
        streams
            .flat_map(|stream| stream["values"].as_array().unwrap())
            .map(|value| {
                let text = |index: usize| value[index].as_str().unwrap().to_owned();
                (text(0), text(1))
            })
            .collect()
    }
}

pub struct CloudWatch {
    client: Client,
    url: String,
}

impl CloudWatch {
    pub fn of(system: &System) -> Self {
        Self {
            client: client(),
            url: system.run()["aws"].as_str().unwrap().to_owned(),
        }
    }

    /// The same on TLS, with the authority that the run file names as the only one that is trusted.
    fn over_tls(system: &System) -> Self {
        let run = system.run();
        let text = |name: &str| run[name].as_str().unwrap().to_owned();
        Self::at(&text("aws_tls"), Path::new(&text("aws_ca")))
    }

    /// The one that this authority vouches for.
    pub fn at(url: &str, authority: &Path) -> Self {
        // As for every client of these tests.
        client();
        let authority = Certificate::from_pem(&fs::read(authority).unwrap()).unwrap();
        let client = Client::builder().no_proxy().tls_certs_only([authority]);
        Self {
            client: client.build().unwrap(),
            url: url.to_owned(),
        }
    }

    /// Adds a line to the stream `test` of a service's group, both of which it makes.
    pub fn put(&self, service: &str, line: &str) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let stream =
            json!({"logGroupName": format!("/tripod/local/{service}"), "logStreamName": "test"});
        let mut events = stream.clone();
        events["logEvents"] = json!([{"timestamp": now.as_millis() as u64, "message": line}]);
        let group = json!({"logGroupName": stream["logGroupName"]});
        for (operation, request) in [
            ("CreateLogGroup", group),
            ("CreateLogStream", stream),
            ("PutLogEvents", events),
        ] {
            let (status, answer) = self.call(operation, &request);
            assert_eq!(status, StatusCode::OK, "{operation}: {answer}");
        }
    }

    fn call(&self, operation: &str, request: &Value) -> (StatusCode, Value) {
        let answer = self
            .client
            .post(&self.url)
            .header("X-Amz-Target", format!("Logs_20140328.{operation}"))
            .header("Content-Type", "application/x-amz-json-1.1")
            .body(request.to_string())
            .send()
            .unwrap();
        assert!(answer.headers().contains_key("x-amzn-requestid"));
        let (status, text) = (answer.status(), answer.text().unwrap());
        // What has nothing to say says nothing, not even null.
        let answer = match text.as_str() {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap(),
        };
        (status, answer)
    }

    /// The lines of a service that a pattern selects. One that was delivered twice counts once: delivery is at least once.
    pub fn lines(&self, service: &str, pattern: &str) -> BTreeSet<String> {
        let mut request = json!({
            "logGroupName": format!("/tripod/local/{service}"), "filterPattern": pattern
        });
        let mut lines = BTreeSet::new();
        loop {
            let (status, answer) = self.call("FilterLogEvents", &request);
            if answer["__type"] == "ResourceNotFoundException" {
                return lines;
            }
            assert_eq!(status, StatusCode::OK, "{answer}");
            let events = answer["events"].as_array().unwrap().iter();
            lines.extend(events.map(|event| event["message"].as_str().unwrap().to_owned()));
            match answer.get("nextToken") {
                Some(token) => request["nextToken"] = token.clone(),
                None => return lines,
            }
        }
    }

    pub fn of_trace(&self, trace_id: &str) -> Vec<String> {
        let pattern = format!("{{ $.trace_id = \"{trace_id}\" }}");
        let mut lines: Vec<String> = SERVICES
            .iter()
            .flat_map(|service| self.lines(service, &pattern))
            .collect();
        lines.sort();
        lines
    }
}

/// The lines of all files that name a trace.
pub fn in_files(system: &System, trace_id: &str) -> Vec<String> {
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
        let (loki, cloudwatch) = (Loki::of(system), CloudWatch::of(system));
        let mut lines = 0;
        for trace_id in &traces {
            let query = format!("{{service=~\".+\"}} | trace_id=\"{trace_id}\"");
            lines += wait_for(&format!("the lines of trace {trace_id}"), || {
                let expected = in_files(system, trace_id);
                let is_there =
                    loki.lines(&query) == expected && cloudwatch.of_trace(trace_id) == expected;
                is_there.then_some(expected.len())
            });
        }
        lines
    };
    let lines = compare(&system);
    let over_tls = CloudWatch::over_tls(&system);
    assert_eq!(
        over_tls.of_trace(&traces[0]),
        CloudWatch::of(&system).of_trace(&traces[0])
    );
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

#[test]
fn garbage_at_cloudwatch_gets_the_answer_of_aws_and_harms_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let system = System::start(folder.path(), &Start::default());
    let group = json!({"logGroupName": "/of/a/test"});
    for cloudwatch in [CloudWatch::of(&system), CloudWatch::over_tls(&system)] {
        for (operation, request, error) in [
            ("Nothing", json!({}), "UnknownOperationException"),
            ("StartQuery", json!({}), "UnsupportedOperationException"),
            (
                "FilterLogEvents",
                group.clone(),
                "ResourceNotFoundException",
            ),
            ("PutLogEvents", json!([1]), "SerializationException"),
            (
                "PutLogEvents",
                json!({"logGroupName": 1}),
                "SerializationException",
            ),
            (
                "CreateLogGroup",
                json!({"logGroupName": "a b"}),
                "InvalidParameterException",
            ),
        ] {
            let (status, answer) = cloudwatch.call(operation, &request);
            assert_eq!(status, StatusCode::BAD_REQUEST, "{operation} {request}");
            assert_eq!(answer["__type"], error, "{operation} {request}");
        }
    }
    Api::new(&system).create("Still there");
    assert!(system.stop().success());
}
