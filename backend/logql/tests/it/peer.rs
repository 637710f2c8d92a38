//! The real Loki on data of ours: started, filled by push, asked over HTTP. Each set of data is a tenant.

use std::{collections::BTreeMap, time::Duration};

use peers::{
    loki::{self, Settings},
    wait_until,
};
use serde_json::{Value, json};
use tsdb::Labels;

use crate::{
    memory::Line,
    world::{SECOND, START_NS},
};

/// Its first answer takes a while.
const PATIENCE: Duration = Duration::from_secs(120);

/// Data of one moment in the past: nothing is refused or looked for elsewhere because of its age.
const SETTINGS: Settings<'static> = Settings {
    has_tenants: true,
    limits: "volume_enabled: false, reject_old_samples: false, discover_service_name: [], discover_log_levels: false, ingestion_rate_mb: 100",
    further: "querier: {query_ingesters_within: 0s}",
};

pub(crate) struct Loki(loki::Loki);

impl Loki {
    /// None when the program is not at hand.
    pub(crate) fn start() -> Option<Self> {
        let loki = Self(loki::Loki::start(SETTINGS, PATIENCE)?);
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
        self.0.ask(method, path, &[("X-Scope-OrgID", tenant)], body)
    }
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
