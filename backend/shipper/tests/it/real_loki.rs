//! The real Loki takes what the shipper sends and finds it by its trace, when the program is at hand.

use std::{
    fs,
    net::SocketAddr,
    process::{Command, Stdio},
    time::Duration,
};

use peers::{Peer, component, free_address};
use reqwest::{Client, Url};
use serde_json::Value;
use shipper::{Destination, Shipper};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::world::{PATIENCE, World, options, wait_for};

const TRACE_ID: &str = "7d0d00000000000000000000000000aa";
const SPAN_ID: &str = "9d920000000000bb";
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) struct Loki {
    pub(crate) address: SocketAddr,
    _peer: Peer,
    _folder: TempDir,
}

/// `None`, and said, if it is not at hand.
pub(crate) fn start() -> Option<Loki> {
    let program = component("loki")?;
    let folder = tempfile::tempdir().unwrap();
    let (address, grpc) = (free_address(), free_address());
    let file = folder.path().join("loki.yaml");
    fs::write(&file, config(&folder, address.port(), grpc.port())).unwrap();
    let mut command = Command::new(program);
    command
        .arg(format!("-config.file={}", file.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Some(Loki {
        address,
        _peer: Peer::start(command, &[address], PATIENCE).unwrap(),
        _folder: folder,
    })
}

fn config(folder: &TempDir, http: u16, grpc: u16) -> String {
    let path = folder.path().display();
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
limits_config: {{allow_structured_metadata: true}}
compactor: {{working_directory: {path}/compactor}}
"
    )
}

/// A line that Loki does not find too old.
pub(crate) fn line() -> String {
    let now = jiff::Timestamp::now();
    format!(
        "{{\"trace_id\":\"{TRACE_ID}\",\"span_id\":\"{SPAN_ID}\",\"service\":\"gateway\",\"timestamp\":\"{now:.6}\",\"level\":\"ERROR\",\"fields\":{{\"message\":\"é\"}}}}"
    )
}

/// Waits until it is found by its labels and its trace, as it was written.
pub(crate) fn finds(runtime: &Runtime, loki: &Loki, line: &str) {
    let query = format!(
        "{{env=\"test\",service=\"gateway\",level=\"ERROR\"}} | trace_id=\"{TRACE_ID}\" | span_id=\"{SPAN_ID}\""
    );
    let client = Client::new();
    let url = format!("http://{}/loki/api/v1/query_range", loki.address);
    let url = Url::parse_with_params(&url, [("query", query)]).unwrap();
    let ask = async || {
        let request = client.get(url.clone()).timeout(ANSWER_TIMEOUT);
        let answer = request.send().await.ok()?.text().await.ok()?;
        let answer: Value = serde_json::from_str(&answer).ok()?;
        let found = answer["data"]["result"][0]["values"][0][1].as_str()?;
        Some(found.to_owned())
    };
    let mut found = None;
    wait_for("the line in Loki", || {
        found = runtime.block_on(ask());
        found.is_some()
    });
    assert_eq!(found.unwrap(), line);
}

#[test]
fn the_real_loki_finds_what_the_shipper_sends() {
    let Some(loki) = start() else {
        return;
    };
    let world = World::new();
    let line = line();
    world.append("gateway", format!("{line}\n"));
    let url = format!("http://{}", loki.address);
    let destination = Destination::Loki { url };
    let shipper = Shipper::start(options(world.folder.path(), vec![destination])).unwrap();
    finds(&world.runtime, &loki, &line);
    let stats = world.stop(shipper);
    assert_eq!((stats[0].delivered, stats[0].rejected), (1, 0));
}
