//! What an operator can set, beside the settings every process has.

use std::{fmt, net::SocketAddr, num::NonZeroU16, str::FromStr};

use conventions::defaults;
use runtime::{Secret, Time};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use store::KeyText;
use tasks_api::WorkspaceId;

/// Requests in progress: each holds a body of 256 KB at most, and mostly waits for DynamoDB.
const REQUESTS_IN_FLIGHT_MAX: NonZeroU16 = NonZeroU16::new(256).expect("256 is not 0");

runtime::settings! {
    /// Settings of the task-service.
    pub struct Settings {
        /// Where the API is served. Only the gateway needs to reach it.
        listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 8081));
        /// What the gateway must show as bearer token. Without it anybody who reaches the port is believed.
        internal_token: Option<Secret> = None;
        /// The DynamoDB table.
        table: String = defaults::TASKS_TABLE.to_owned();
        /// The SQS queue of jobs; its dead-letter queue is named after it.
        queue: String = defaults::JOB_QUEUE.to_owned();
        /// Whether to create table and queues that do not exist. The default is true where an AWS endpoint is set
        /// (`AWS_ENDPOINT_URL`), which no production has.
        provision: bool = runtime::aws::has_endpoint();
        /// API keys to store at the start, as `workspace=key,workspace=key`. For development.
        seed_api_keys: SeedKeys = SeedKeys::default();
        /// Requests in progress at once, 1 to 65535; further ones get 503.
        requests_in_flight_max: NonZeroU16 = REQUESTS_IN_FLIGHT_MAX;
        /// How long one request may take before it gets 504. Longer than the slowest call to DynamoDB, which is 12s.
        request_timeout: Time = Time::from_secs(15);
        /// How often the relay looks for jobs to send, at least 100ms. Only jobs whose first send failed wait for it.
        relay_interval: Time = Time::from_secs(1);
    }
}

/// API keys and whose they are.
#[derive(Clone, Default)]
pub struct SeedKeys(pub(crate) Vec<(WorkspaceId, KeyText)>);

impl FromStr for SeedKeys {
    type Err = &'static str;

    /// The error never shows the text: it holds secrets.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let pairs = text
            .split(',')
            .map(str::trim)
            .filter(|pair| !pair.is_empty());
        let keys = pairs.map(|pair| {
            let (workspace, key) = pair.split_once('=')?;
            Some((workspace.trim().parse().ok()?, key.trim().parse().ok()?))
        });
        let keys: Option<Vec<_>> = keys.collect();
        keys.map(Self)
            .ok_or("expected workspace=key,workspace=key, each key like tpk_{id}_{secret}")
    }
}

impl fmt::Debug for SeedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(workspace, _)| workspace))
            .finish()
    }
}

impl Serialize for SeedKeys {
    /// Only the default is ever written, which is empty.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("")
    }
}

impl<'de> Deserialize<'de> for SeedKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const KEY: &str = "tpk_dev_0123456789abcdefghijklmnopqrstuv";

    #[test]
    fn keys_are_read_with_their_workspaces() {
        let check = |text: &str| text.parse::<SeedKeys>().unwrap().0.len();
        assert_eq!(check(""), 0);
        assert_eq!(check(&format!("dev={KEY}")), 1);
        assert_eq!(check(&format!("dev={KEY}, other={KEY},")), 2);
    }

    #[test]
    fn a_bad_pair_is_refused_without_showing_it() {
        for text in [
            KEY.to_owned(),
            format!("={KEY}"),
            format!("Dev={KEY}"),
            "dev=tpk_dev".to_owned(),
        ] {
            let error = text.parse::<SeedKeys>().unwrap_err();
            assert!(!error.contains("0123456789"), "{error}");
        }
    }

    #[test]
    fn keys_are_not_printed() {
        let keys: SeedKeys = format!("dev={KEY}").parse().unwrap();
        let printed = format!("{keys:?}");
        assert!(
            printed.contains("dev") && !printed.contains("0123456789"),
            "{printed}"
        );
    }
}
