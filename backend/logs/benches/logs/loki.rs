//! The real Loki, filled over HTTP with what our store has, and asked the same.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use logs::Push;
use peers::{Peer, component, free_address, wait_until};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::data::Data;

/// Its first answer takes a while, and so does writing everything out.
const PATIENCE: Duration = Duration::from_secs(600);

pub(crate) struct Loki {
    peer: Peer,
    address: SocketAddr,
    folder: TempDir,
}

impl Loki {
    /// `None`, and said, if it is not at hand.
    pub(crate) fn start() -> Option<Self> {
        let program = component("loki")?;
        let folder = tempfile::tempdir().unwrap();
        let (address, grpc) = (free_address(), free_address());
        let file = folder.path().join("loki.yaml");
        let config = configuration(folder.path(), address.port(), grpc.port());
        fs::write(&file, config).unwrap();
        let mut command = Command::new(program);
        command
            .arg(format!("-config.file={}", file.display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let peer = Peer::start(command, &[address], PATIENCE).unwrap();
        let loki = Self {
            peer,
            address,
            folder,
        };
        wait_until(PATIENCE, || loki.request("GET", "/ready", "").0 == 200);
        Some(loki)
    }

    pub(crate) fn process(&self) -> u32 {
        self.peer.0.id()
    }

    pub(crate) fn version(&self) -> String {
        let (_, body) = self.request("GET", "/loki/api/v1/status/buildinfo", "");
        let said: Value = serde_json::from_str(&body).unwrap();
        said["version"].as_str().unwrap_or("unknown").to_owned()
    }

    pub(crate) fn push(&self, body: &str) {
        let (status, said) = self.request("POST", "/loki/api/v1/push", body);
        assert_eq!(status, 204, "{said}");
    }

    /// Bytes of its chunks and its index, once everything is in them.
    pub(crate) fn flushed_bytes(&self) -> u64 {
        assert_eq!(self.request("POST", "/flush", "").0, 204);
        wait_until(PATIENCE, || {
            let (_, metrics) = self.request("GET", "/metrics", "");
            let mut lines = metrics.lines();
            lines.any(|line| line == "loki_ingester_memory_chunks 0")
        });
        ["chunks", "tsdb-shipper-active"]
            .iter()
            .map(|part| bytes_in(&self.folder.path().join(part)))
            .sum()
    }

    /// How many lines a query finds in the time of the data.
    pub(crate) fn count(&self, data: &Data, query: &str, limit: u64) -> u64 {
        let range_ns = data.range_ns();
        let query: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let path = format!(
            "/loki/api/v1/query_range?query={query}&start={}&end={}&limit={limit}",
            range_ns.start, range_ns.end
        );
        let (status, body) = self.request("GET", &path, "");
        assert_eq!(status, 200, "{body}");
        let said: Value = serde_json::from_str(&body).unwrap();
        let streams = said["data"]["result"].as_array().unwrap().iter();
        let lines = streams.filter_map(|stream| Some(stream["values"].as_array()?.len()));
        lines.sum::<usize>() as u64
    }

    fn request(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }
}

/// Loopback only, nothing outside the folder, no limit on what it takes, nothing added to what was pushed.
fn configuration(folder: &Path, http: u16, grpc: u16) -> String {
    let path = folder.display();
    format!(
        "auth_enabled: false
analytics: {{reporting_enabled: false}}
server: {{http_listen_address: 127.0.0.1, http_listen_port: {http}, grpc_listen_address: 127.0.0.1, grpc_listen_port: {grpc}, log_level: error}}
common:
  instance_addr: 127.0.0.1
  path_prefix: {path}
  replication_factor: 1
  ring: {{kvstore: {{store: inmemory}}}}
  storage: {{filesystem: {{chunks_directory: {path}/chunks, rules_directory: {path}/rules}}}}
schema_config:
  configs: [{{from: 2024-01-01, store: tsdb, object_store: filesystem, schema: v13, index: {{prefix: index_, period: 24h}}}}]
limits_config:
  allow_structured_metadata: true
  discover_service_name: []
  discover_log_levels: false
  ingestion_rate_mb: 10000
  ingestion_burst_size_mb: 10000
  per_stream_rate_limit: 10GB
  per_stream_rate_limit_burst: 10GB
  query_timeout: 10m
compactor: {{working_directory: {path}/compactor}}
"
    )
}

/// A push in the JSON of its API.
pub(crate) fn body(pushes: &[Push]) -> String {
    let streams = pushes.iter().map(|push| {
        let labels: BTreeMap<&str, &str> = push.labels.iter().collect();
        let values = push.entries.iter().map(|entry| {
            let metadata: BTreeMap<&String, &String> = entry
                .metadata
                .iter()
                .map(|(name, value)| (name, value))
                .collect();
            json!([entry.t_ns.to_string(), entry.line, metadata])
        });
        json!({"stream": labels, "values": values.collect::<Vec<Value>>()})
    });
    json!({"streams": streams.collect::<Vec<Value>>()}).to_string()
}

fn bytes_in(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    entries
        .map(|entry| {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => bytes_in(&path),
                // What was only for a moment there is no part of it.
                false => fs::metadata(&path).map_or(0, |file| file.len()),
            }
        })
        .sum()
}
