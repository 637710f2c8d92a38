//! A Loki surface of our own over a store in a folder that goes with it, the real one, and pushes for both.

use std::{
    fs,
    net::SocketAddr,
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use logs::Store;
use peers::{Peer, component, free_address};
use serde_json::{Value, json};
use server::{Surface, loki};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::client::{Answer, Client};

/// Its first query is answered after ten seconds, and more on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);
const JSON: (&str, &str) = ("content-type", "application/json");

pub(crate) struct Ours {
    pub address: SocketAddr,
    surface: Option<Surface>,
    runtime: Runtime,
    _folder: TempDir,
}

pub(crate) struct Real {
    pub address: SocketAddr,
    _peer: Peer,
    _folder: TempDir,
}

impl Ours {
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let (store, _) = Store::open(folder.path(), logs::Options::default()).unwrap();
        let routes = loki::router(Arc::new(store), loki::Options::default());
        let runtime = Runtime::new().unwrap();
        let options = loki::surface_options(None);
        let any = ([127, 0, 0, 1], 0).into();
        let surface = runtime.block_on(Surface::bind("the Loki API", any, routes, options));
        let surface = surface.unwrap();
        Self {
            address: surface.address(),
            surface: Some(surface),
            runtime,
            _folder: folder,
        }
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        if let Some(surface) = self.surface.take() {
            self.runtime.block_on(surface.stop());
        }
    }
}

impl Real {
    /// `None`, and said, if it is not at hand.
    pub(crate) fn start() -> Option<Self> {
        let program = component("loki")?;
        let (folder, address, grpc) = (TempDir::new().unwrap(), free_address(), free_address());
        let path = folder.path().display();
        let file = folder.path().join("loki.yaml");
        let config = format!(
            "auth_enabled: false\n\
             analytics: {{reporting_enabled: false}}\n\
             server: {{http_listen_address: 127.0.0.1, http_listen_port: {}, grpc_listen_address: 127.0.0.1, grpc_listen_port: {}, log_level: error}}\n\
             common:\n  instance_addr: 127.0.0.1\n  path_prefix: {path}\n  replication_factor: 1\n  ring: {{kvstore: {{store: inmemory}}}}\n  \
             storage: {{filesystem: {{chunks_directory: {path}/chunks, rules_directory: {path}/rules}}}}\n\
             schema_config:\n  configs: [{{from: 2024-01-01, store: tsdb, object_store: filesystem, schema: v13, index: {{prefix: index_, period: 24h}}}}]\n\
             limits_config: {{allow_structured_metadata: true, volume_enabled: true, discover_log_levels: false}}\n\
             compactor: {{working_directory: {path}/compactor}}\n",
            address.port(),
            grpc.port()
        );
        fs::write(&file, config).unwrap();
        let mut command = Command::new(program);
        command
            .arg(format!("-config.file={}", file.display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let peer = Peer::start(command, &[address], PATIENCE).unwrap();
        Some(Self {
            address,
            _peer: peer,
            _folder: folder,
        })
    }
}

/// Lines of three streams around `now_ns`, some with structured metadata.
pub(crate) fn lines(now_ns: i64) -> Value {
    let stream = |labels: Value, values: Vec<Value>| json!({"stream": labels, "values": values});
    let time = |index: i64| (now_ns - (20 - index) * 1_000_000_000).to_string();
    let gateway = (0..10)
        .map(|index| {
            let trace = format!("{index:032x}");
            let line = format!(
                "{{\"level\":\"INFO\",\"status\":{},\"path\":\"/v1\"}}",
                200 + index
            );
            json!([time(index), line, {"trace_id": trace, "span_id": "0a"}])
        })
        .collect();
    let worker = (5..15)
        .map(|index| {
            json!([
                time(index),
                format!("level=error job={index} took={index}ms")
            ])
        })
        .collect();
    json!({"streams": [
        stream(json!({"service": "gateway", "level": "INFO", "env": "test"}), gateway),
        stream(json!({"service": "worker", "level": "ERROR", "env": "test"}), worker),
        stream(json!({"app": "other"}), vec![json!([time(3), "plain <text> & \"quotes\" é"])]),
    ]})
}

pub(crate) fn push(client: &mut Client, body: &Value) -> Answer {
    let body = serde_json::to_vec(body).unwrap();
    client.ask("POST", "/loki/api/v1/push", &[JSON], &body)
}

/// Until a query answers, which a real one does late.
pub(crate) fn wait_until_it_answers(client: &mut Client, target: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = client.get(target);
        if answer.status == 200 && answer.text().contains("gateway") {
            return;
        }
        assert!(Instant::now() < deadline, "{}", answer.text());
        thread::sleep(Duration::from_millis(200));
    }
}

pub(crate) fn now_ns() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_nanos() as i64
}
