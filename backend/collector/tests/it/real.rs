//! The same bytes and the same configuration file through the real Collector: the same spans must be kept.
//!
//! The third wave of the day is ours alone: the real one drops an error that is late a second time, after its trace's
//! late spans were dropped.

use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use peers::{Peer, component, free_address, wait_until};

use crate::{
    day::{self, Key},
    outside::{Connection, get},
    traffic::configuration_file,
};

const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than a wave takes to send, so that a wave is on time as a whole.
const DECISION_WAIT: &str = "8s";

struct Otelcol {
    _process: Peer,
    http: SocketAddr,
    metrics: SocketAddr,
}

#[test]
fn the_real_collector_keeps_the_same_spans() {
    let Some(program) = component("otelcol") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept.json");
    let otelcol = Otelcol::start(&program, folder.path(), &kept);
    let mut connection = Connection::open(otelcol.http);
    let day = day::day();
    for (wave, expected) in day.waves.iter().zip(&day.expected).take(2) {
        for request in wave {
            assert_eq!(connection.post("/v1/traces", request), 200);
        }
        otelcol.wait_for_decisions();
        wait_until(PATIENCE, || read(&kept).len() >= expected.len());
    }
    assert!(read(&kept) == day.expected[1]);
}

impl Otelcol {
    fn start(program: &Path, folder: &Path, kept: &Path) -> Self {
        let [http, grpc, metrics] = [free_address(), free_address(), free_address()];
        let changed = folder.join("changed.yaml");
        fs::write(&changed, transport(http, grpc, metrics, kept)).unwrap();
        let mut command = Command::new(program);
        command
            .arg("--config")
            .arg(configuration_file())
            .arg("--config")
            .arg(&changed);
        command
            .env("TRIPOD_DECISION_WAIT", DECISION_WAIT)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self {
            _process: Peer::start(command, &[http], PATIENCE).unwrap(),
            http,
            metrics,
        }
    }

    /// With decision caches, the real one holds no trace that is decided.
    fn wait_for_decisions(&self) {
        wait_until(PATIENCE, || {
            let page = get(self.metrics, "/metrics");
            let levels = page.lines().filter(|line| {
                line.starts_with("otelcol_processor_tail_sampling_sampling_traces_on_memory")
            });
            let levels: Vec<&str> = levels.filter_map(|line| line.rsplit(' ').next()).collect();
            !levels.is_empty() && levels.iter().all(|level| *level == "0")
        });
    }
}

/// What deciding does not depend on: addresses and where kept spans go. Merged over the project's own file.
fn transport(http: SocketAddr, grpc: SocketAddr, metrics: SocketAddr, kept: &Path) -> String {
    format!(
        "
receivers: {{otlp: {{protocols: {{http: {{endpoint: '{http}'}}, grpc: {{endpoint: '{grpc}'}}}}}}}}
exporters: {{file: {{path: '{}', flush_interval: 100ms}}}}
service:
  extensions: []
  telemetry:
    metrics: {{readers: [{{pull: {{exporter: {{prometheus: {{host: {}, port: {}}}}}}}}}]}}
  pipelines:
    traces/ontime: {{exporters: [file]}}
    traces/late: {{exporters: [file]}}
",
        kept.display(),
        metrics.ip(),
        metrics.port()
    )
}

/// The spans in the file exporter's lines; the last line may be in the making.
fn read(kept: &Path) -> BTreeSet<Key> {
    let text = fs::read_to_string(kept).unwrap_or_default();
    let mut keys = BTreeSet::new();
    for line in text.lines() {
        let Ok(request) = serde_json::from_str::<serde_json::Value>(line) else {
            continue;
        };
        each(&request["resourceSpans"], |resource| {
            each(&resource["scopeSpans"], |scope| {
                each(&scope["spans"], |span| {
                    keys.insert((bytes(&span["traceId"]), bytes(&span["spanId"])));
                });
            });
        });
    }
    keys
}

fn each(list: &serde_json::Value, with: impl FnMut(&serde_json::Value)) {
    list.as_array().into_iter().flatten().for_each(with);
}

fn bytes(hex: &serde_json::Value) -> Vec<u8> {
    let hex = hex.as_str().unwrap();
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}
