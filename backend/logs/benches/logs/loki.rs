//! The real Loki, filled over HTTP with what our store has, and asked the same.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use logs::Push;
use peers::{
    loki::{self, Settings},
    wait_until,
};
use serde_json::{Value, json};

use crate::data::Data;

/// Its first answer takes a while, and so does writing everything out.
const PATIENCE: Duration = Duration::from_secs(600);

/// No limit on what it takes, nothing added to what was pushed.
const LIMITS: &str = "discover_service_name: [], discover_log_levels: false, ingestion_rate_mb: 10000, ingestion_burst_size_mb: 10000, \
    per_stream_rate_limit: 10GB, per_stream_rate_limit_burst: 10GB, query_timeout: 10m";

pub(crate) struct Loki(loki::Loki);

impl Loki {
    /// `None`, and said, if it is not at hand.
    pub(crate) fn start() -> Option<Self> {
        let settings = Settings {
            limits: LIMITS,
            ..Settings::default()
        };
        let loki = Self(loki::Loki::start(settings, PATIENCE)?);
        wait_until(PATIENCE, || loki.request("GET", "/ready", "").0 == 200);
        Some(loki)
    }

    pub(crate) fn process(&self) -> u32 {
        self.0.peer.0.id()
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
            .map(|part| bytes_in(&self.0.folder.path().join(part)))
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
        self.0.ask(method, path, &[], body)
    }
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
