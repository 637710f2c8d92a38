//! The system under proof: where its parts listen, and what it calls things.

use std::{collections::BTreeMap, path::Path, time::Duration};

use conventions::{defaults, fields, metrics};
use serde::Deserialize;

use crate::file::{self, FileError};

/// Base URLs, without a slash at the end. `DATA/run.json` of a running system is such a file; one for another system is
/// written by hand.
#[derive(Clone, Debug, Deserialize)]
pub struct Target {
    /// Where traffic goes.
    pub gateway: String,
    pub api_key: String,
    pub prometheus: String,
    pub alertmanager: String,
    pub tempo: String,
    #[serde(default)]
    pub loki: Option<String>,
    /// The endpoint of CloudWatch Logs.
    #[serde(default)]
    pub aws: Option<String>,
    /// Admin listeners by service, for faults.
    #[serde(default)]
    pub admin: BTreeMap<String, String>,
    /// The control of a virtual clock, where there is one.
    #[serde(default)]
    pub clock: Option<String>,
    /// What every time of scrapes, rules and alerts is divided by, on a real clock.
    #[serde(default = "undivided")]
    pub factor: u32,
    /// How long after its first span a trace is decided.
    #[serde(
        default = "decision_wait",
        rename = "decision_wait_ms",
        deserialize_with = "milliseconds"
    )]
    pub decision_wait: Duration,
    /// How long what must be there may take to appear after the last request: jobs are retried, traces decided and stored,
    /// lines shipped meanwhile.
    #[serde(
        default = "patience",
        rename = "patience_ms",
        deserialize_with = "milliseconds"
    )]
    pub patience: Duration,
    /// How far the clocks of its machines may be apart.
    #[serde(
        default = "clock_tolerance",
        rename = "clock_tolerance_ms",
        deserialize_with = "milliseconds"
    )]
    pub clock_tolerance: Duration,
    /// Nobody else uses the system: what is no request of a scenario's is an orphan.
    #[serde(default)]
    pub exclusive: bool,
    #[serde(default)]
    pub names: Names,
}

/// What metrics, labels and fields are called. The defaults are Tripod's.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Names {
    /// Label of metrics and of log streams, and field of log lines.
    pub service: String,
    /// Field of log lines, and label of exemplars.
    pub trace_id: String,
    /// Histogram of the requests that a service answers.
    pub server_duration: String,
    /// Histogram of calls to the database.
    pub database_duration: String,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            service: fields::SERVICE.to_owned(),
            trace_id: fields::TRACE_ID.to_owned(),
            server_duration: metrics::HTTP_SERVER_REQUEST_DURATION.to_owned(),
            database_duration: metrics::DB_CLIENT_OPERATION_DURATION.to_owned(),
        }
    }
}

impl Target {
    /// Reads a file, YAML or JSON.
    ///
    /// # Errors
    /// See [`FileError`].
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let target: Self = file::read(path)?;
        match target.factor {
            0 => Err(FileError::invalid(
                &path.display().to_string(),
                "a factor of 0 leaves no time",
            )),
            _ => Ok(target),
        }
    }
}

fn undivided() -> u32 {
    1
}

fn decision_wait() -> Duration {
    Duration::from_secs_f64(defaults::DECISION_WAIT_SECONDS)
}

fn patience() -> Duration {
    Duration::from_secs(90)
}

fn clock_tolerance() -> Duration {
    Duration::from_millis(250)
}

fn milliseconds<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_millis)
}
