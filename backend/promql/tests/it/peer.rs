//! The real Prometheus on data of ours: started, filled by remote write, asked over HTTP.
//!
//! Remote write is the one way in that carries staleness markers. Requests hold literal snappy, which compresses nothing.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use peers::{Peer, component, free_address, wait_until};
use serde_json::Value;
use tsdb::Series;

const PATIENCE: Duration = Duration::from_secs(30);

/// What goes into one request at most.
const REQUEST_MS: usize = 15 * 60_000;
const SERIES_PER_REQUEST: usize = 1000;

/// The tag of a literal of snappy whose length stands in four bytes.
const LITERAL_OF_FOUR_BYTES: u8 = 63 << 2;

#[allow(dead_code, reason = "the tests and the bench each use a part")]
pub(crate) struct Prometheus {
    pub(crate) process: Peer,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

#[allow(dead_code, reason = "the tests and the bench each use a part")]
impl Prometheus {
    /// A server that scrapes nothing, with these rules. None when the program is not at hand.
    pub(crate) fn start(rules: &str) -> Option<Self> {
        let program = component("prometheus")?;
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let config =
            "global: {scrape_interval: 1h, evaluation_interval: 1m}\nrule_files: [rules.yml]\n";
        std::fs::write(path("prometheus.yml"), config).unwrap();
        std::fs::write(path("rules.yml"), rules).unwrap();
        let address = free_address();
        let mut command = Command::new(program);
        command
            .arg(option("config.file", &path("prometheus.yml")))
            .arg(option("storage.tsdb.path", &path("data")))
            .arg(format!("--web.listen-address={address}"))
            .arg("--web.enable-remote-write-receiver")
            // Data of one moment in the past: nothing is to be thrown away because of its age.
            .arg("--storage.tsdb.retention.time=100y")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = Peer::start(command, &[address], PATIENCE).unwrap();
        let prometheus = Self {
            process,
            address,
            _folder: folder,
        };
        wait_until(PATIENCE, || prometheus.get("/-/ready").0 == 200);
        Some(prometheus)
    }

    /// Sends all samples such that the server meets the series in this order, and none much later than others.
    pub(crate) fn write(&self, series: &[Series]) {
        let times = || {
            series
                .iter()
                .flat_map(|one| &one.samples)
                .map(|sample| sample.t_ms)
        };
        let (Some(first), Some(last)) = (times().min(), times().max()) else {
            return;
        };
        for from in (first..=last).step_by(REQUEST_MS) {
            for some in series.chunks(SERIES_PER_REQUEST) {
                let body = snappy(&write_request(some, from..from + REQUEST_MS as i64));
                let head = format!(
                    "POST /api/v1/write HTTP/1.0\r\nContent-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n\
                     X-Prometheus-Remote-Write-Version: 0.1.0\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                let (status, answer) = self.exchange(&[head.as_bytes(), &body]);
                assert_eq!(status, 204, "{}", String::from_utf8_lossy(&answer));
            }
        }
    }

    /// The status and the JSON of an answer of the API.
    pub(crate) fn api(&self, path: &str, parameters: &[(&str, &str)]) -> (u16, Value) {
        let form: Vec<String> = parameters
            .iter()
            .map(|(name, value)| format!("{name}={}", escaped(value)))
            .collect();
        let form = form.join("&");
        let head = format!(
            "POST /api/v1/{path} HTTP/1.0\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
            form.len()
        );
        let (status, body) = self.exchange(&[head.as_bytes(), form.as_bytes()]);
        (status, parsed(&body))
    }

    pub(crate) fn version(&self) -> String {
        let info = parsed(&self.get("/api/v1/status/buildinfo").1);
        info["data"]["version"].as_str().unwrap().to_owned()
    }

    /// What the server has as the text of each rule, in order.
    pub(crate) fn rule_texts(&self) -> Vec<String> {
        let rules = parsed(&self.get("/api/v1/rules").1);
        let groups = rules["data"]["groups"].as_array().unwrap();
        groups
            .iter()
            .flat_map(|group| group["rules"].as_array().unwrap())
            .map(|rule| rule["query"].as_str().unwrap().to_owned())
            .collect()
    }

    fn get(&self, path: &str) -> (u16, Vec<u8>) {
        self.exchange(&[format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()])
    }

    fn exchange(&self, request: &[&[u8]]) -> (u16, Vec<u8>) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        for part in request {
            stream.write_all(part).unwrap();
        }
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let head_end = answer.windows(4).position(|four| four == b"\r\n\r\n");
        let body = answer.split_off(head_end.unwrap() + 4);
        let head = String::from_utf8(answer).unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body)
    }
}

fn option(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}

fn parsed(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(body));
    })
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The message of remote write 1.0 with the samples of each series at these times.
fn write_request(series: &[Series], times: std::ops::Range<i64>) -> Vec<u8> {
    let mut request = Vec::new();
    for one in series {
        let samples = &one.samples;
        let end = samples.partition_point(|sample| sample.t_ms < times.end);
        let samples = &samples[samples.partition_point(|sample| sample.t_ms < times.start)..end];
        if samples.is_empty() {
            continue;
        }
        let mut message = Vec::new();
        for (name, value) in one.labels.iter() {
            let mut label = Vec::new();
            put_bytes(&mut label, 1, name.as_bytes());
            put_bytes(&mut label, 2, value.as_bytes());
            put_bytes(&mut message, 1, &label);
        }
        for sample in samples {
            let mut point = vec![1 << 3 | 1];
            point.extend(sample.value.to_le_bytes());
            point.push(2 << 3);
            put_varint(&mut point, sample.t_ms as u64);
            put_bytes(&mut message, 2, &point);
        }
        put_bytes(&mut request, 1, &message);
    }
    request
}

fn put_bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    out.push(field << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend(bytes);
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn snappy(bytes: &[u8]) -> Vec<u8> {
    if bytes.is_empty() {
        return vec![0];
    }
    let mut out = Vec::with_capacity(bytes.len() + 16);
    put_varint(&mut out, bytes.len() as u64);
    out.push(LITERAL_OF_FOUR_BYTES);
    out.extend((bytes.len() as u32 - 1).to_le_bytes());
    out.extend(bytes);
    out
}
