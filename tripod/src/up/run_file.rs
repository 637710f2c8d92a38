//! `DATA/run.json`: where a running system listens and which processes it has, for tools and scripts.
//!
//! It holds the development key, so only its owner may read it. Written whole and renamed, so a reader never sees half.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::addresses::Addresses;

/// The file's name in the data folder.
pub(crate) const NAME: &str = "run.json";

/// What the file says. Base URLs, without a slash at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) gateway: String,
    pub(crate) task_service: String,
    pub(crate) aws: String,
    pub(crate) aws_tls: String,
    /// The certificate that clients of `aws_tls` are to trust.
    pub(crate) aws_ca: PathBuf,
    pub(crate) otlp_grpc: String,
    pub(crate) otlp_http: String,
    pub(crate) tempo: String,
    pub(crate) prometheus: String,
    pub(crate) alertmanager: String,
    pub(crate) loki: String,
    /// How long after its first span a trace is decided.
    pub(crate) decision_wait_ms: u64,
    /// The control of a virtual clock, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) clock: Option<String>,
    /// What every time of scrapes, rules and alerts is divided by.
    #[serde(default = "undivided")]
    pub(crate) factor: u32,
    /// Real components by name: the URL that says whether it is ready.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) components: BTreeMap<String, String>,
    /// Admin listeners by service name.
    pub(crate) admin: BTreeMap<String, String>,
    /// Processes by service name.
    pub(crate) pids: BTreeMap<String, u32>,
    pub(crate) data: PathBuf,
    pub(crate) api_key: String,
}

/// The file of this run; follows the processes as they are restarted.
#[derive(Debug)]
pub(crate) struct RunFile {
    path: PathBuf,
    run: Mutex<Run>,
}

impl Run {
    /// What a run at these addresses says, before any process is started.
    pub(crate) fn new(
        addresses: &Addresses,
        data: &Path,
        aws_ca: &Path,
        decision_wait: Duration,
        api_key: &str,
    ) -> Self {
        let url = |address: SocketAddr| format!("http://{address}");
        Self {
            gateway: url(addresses.gateway),
            task_service: url(addresses.task_service),
            aws: url(addresses.aws),
            aws_tls: format!("https://{}", addresses.aws_tls),
            aws_ca: aws_ca.to_owned(),
            otlp_grpc: url(addresses.otlp_grpc),
            otlp_http: url(addresses.otlp_http),
            tempo: url(addresses.tempo),
            prometheus: url(addresses.prometheus),
            alertmanager: url(addresses.alertmanager),
            loki: url(addresses.loki),
            decision_wait_ms: u64::try_from(decision_wait.as_millis()).unwrap_or(u64::MAX),
            clock: None,
            factor: undivided(),
            components: BTreeMap::new(),
            admin: addresses
                .admin()
                .map(|(service, address)| (service.to_owned(), url(address)))
                .into(),
            pids: BTreeMap::from([(
                conventions::resource::BACKEND.to_owned(),
                std::process::id(),
            )]),
            data: data.to_owned(),
            api_key: api_key.to_owned(),
        }
    }

    /// What the file of this data folder says.
    ///
    /// # Errors
    /// When there is none, or it is no run file.
    pub(crate) fn read(data: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(data.join(NAME))?)?)
    }

    /// The processes that an earlier run left behind in this folder; none when there was no run, or it ended well.
    pub(crate) fn left_behind(data: &Path) -> Vec<u32> {
        Self::read(data)
            .map(|run| run.pids.into_values().collect())
            .unwrap_or_default()
    }
}

fn undivided() -> u32 {
    1
}

impl RunFile {
    /// # Errors
    /// When the folder cannot be written.
    pub(crate) fn create(run: Run) -> anyhow::Result<Arc<Self>> {
        let file = Self {
            path: run.data.join(NAME),
            run: Mutex::new(run),
        };
        let written = file.write();
        written.with_context(|| format!("{} cannot be written", file.path.display()))?;
        Ok(Arc::new(file))
    }

    /// What it says now.
    pub(crate) fn run(&self) -> Run {
        self.locked().clone()
    }

    /// Notes the process that a service has now.
    pub(crate) fn set_pid(&self, service: &str, pid: Option<u32>) {
        if let Some(pid) = pid {
            self.locked().pids.insert(service.to_owned(), pid);
        }
        if let Err(error) = self.write() {
            tracing::warn!(path = %self.path.display(), %error, "run file cannot be written");
        }
    }

    /// Removes the file: nothing runs any more.
    pub(crate) fn remove(&self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "run file cannot be removed");
        }
    }

    fn write(&self) -> io::Result<()> {
        // The lock is held until the rename, so that two restarts at once leave both processes in the file.
        let run = self.locked();
        let text = serde_json::to_vec_pretty(&*run)?;
        let part = self.path.with_extension("part");
        super::private_file(&part)?.write_all(&text)?;
        fs::rename(part, &self.path)
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Run> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
