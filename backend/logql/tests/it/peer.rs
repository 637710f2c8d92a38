//! The real Loki on data of ours: started, filled by push, asked over HTTP. Each set of data is a tenant.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Command, Stdio},
    time::Duration,
};

use peers::{Peer, component, free_address, wait_until};
use serde_json::{Value, json};
use tsdb::Labels;

use crate::{
    memory::Line,
    world::{SECOND, START_NS},
};

/// Its first answer takes a while.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct Loki {
    _process: Peer,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Loki {
    /// None when the program is not at hand.
    pub(crate) fn start() -> Option<Self> {
        let program = component("loki")?;
        let folder = tempfile::tempdir().unwrap();
        let (http, grpc) = (free_address(), free_address());
        let data = folder.path().display();
        // Data of one moment in the past: nothing is refused or looked for elsewhere because of its age.
        let config = format!(
            "auth_enabled: true
analytics: {{reporting_enabled: false}}
server: {{http_listen_address: 127.0.0.1, http_listen_port: {}, grpc_listen_address: 127.0.0.1, grpc_listen_port: {}, log_level: error}}
common:
  instance_addr: 127.0.0.1
  path_prefix: {data}/loki
  replication_factor: 1
  ring: {{kvstore: {{store: inmemory}}}}
  storage: {{filesystem: {{chunks_directory: {data}/chunks, rules_directory: {data}/rules}}}}
schema_config:
  configs: [{{from: 2024-01-01, store: tsdb, object_store: filesystem, schema: v13, index: {{prefix: index_, period: 24h}}}}]
limits_config: {{allow_structured_metadata: true, volume_enabled: false, reject_old_samples: false, discover_service_name: [], discover_log_levels: false, ingestion_rate_mb: 100}}
querier: {{query_ingesters_within: 0s}}
compactor: {{working_directory: {data}/compactor}}
",
            http.port(),
            grpc.port()
        );
        let file = folder.path().join("loki.yaml");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new(program);
        command
            .arg(format!("-config.file={}", file.display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = Peer::start(command, &[http], PATIENCE).unwrap();
        let loki = Self {
            _process: process,
            address: http,
            _folder: folder,
        };
        wait_until(PATIENCE, || {
            let answer = loki.request("GET", "/ready", "none", "");
            answer.0 == 200
        });
        Some(loki)
    }

    pub(crate) fn push(&self, tenant: &str, lines: &[Line]) {
        let mut streams: BTreeMap<&Labels, Vec<Value>> = BTreeMap::new();
        for line in lines {
            let metadata: BTreeMap<&String, &String> = line
                .metadata
                .iter()
                .map(|(name, value)| (name, value))
                .collect();
            let entry = json!([line.t_ns.to_string(), line.text, metadata]);
            streams.entry(&line.stream).or_default().push(entry);
        }
        let streams: Vec<Value> = streams
            .into_iter()
            .map(|(labels, values)| {
                let labels: BTreeMap<&str, &str> = labels.iter().collect();
                json!({"stream": labels, "values": values})
            })
            .collect();
        let body = json!({"streams": streams}).to_string();
        let mut answer = (0, String::new());
        wait_until(PATIENCE, || {
            answer = self.request("POST", "/loki/api/v1/push", tenant, &body);
            // Until its parts have found one another.
            answer.0 != 500
        });
        assert_eq!(answer.0, 204, "{}", answer.1);
        // Old data is asked for where flushed data is.
        let (status, _) = self.request("POST", "/flush", tenant, "");
        assert_eq!(status, 204);
        let all = [
            (
                "query",
                "sum(count_over_time({app=~\".+\"}[1h]))".to_owned(),
            ),
            ("time", (START_NS + 1800 * SECOND).to_string()),
        ];
        let all = all.each_ref().map(|(name, value)| (*name, &**value));
        wait_until(PATIENCE, || {
            let answer = self.api(tenant, "query", &all).unwrap_or_default();
            let count = &answer["data"]["result"][0]["value"][1];
            *count == *lines.len().to_string()
        });
    }

    /// The answer of the API, or what it says against it.
    pub(crate) fn api(
        &self,
        tenant: &str,
        path: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Value, String> {
        let query: Vec<String> = parameters
            .iter()
            .map(|(name, value)| format!("{name}={}", escaped(value)))
            .collect();
        let path = format!("/loki/api/v1/{path}?{}", query.join("&"));
        let (status, body) = self.request("GET", &path, tenant, "");
        if status == 200 {
            return Ok(serde_json::from_str(&body).unwrap());
        }
        let said = serde_json::from_str::<Value>(&body).ok();
        let message = said.and_then(|said| Some(said["error"].as_str()?.to_owned()));
        Err(message.unwrap_or(body).trim_end_matches('\n').to_owned())
    }

    fn request(&self, method: &str, path: &str, tenant: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.0\r\nX-Scope-OrgID: {tenant}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (
            head.split(' ').nth(1).unwrap().parse().unwrap(),
            body.to_owned(),
        )
    }
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
