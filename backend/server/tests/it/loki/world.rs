//! A Loki surface of our own over a store in a folder that goes with it, the real one, and pushes for both.

use std::{
    net::SocketAddr,
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use logs::Store;
use peers::loki::{Loki, Settings};
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

/// As users see it: with volumes, without levels that it finds in lines.
const SETTINGS: Settings<'static> = Settings {
    has_tenants: false,
    limits: "volume_enabled: true, discover_log_levels: false",
    further: "",
};

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

/// The real one; `None`, and said, if it is not at hand.
pub(crate) fn real() -> Option<Loki> {
    Loki::start(SETTINGS, PATIENCE)
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
