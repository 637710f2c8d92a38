//! The data folder: made, locked against a second system, and the development keys in it.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use super::{private_file, run_file::Run};

/// Held while a system runs on the folder.
const LOCK: &str = "lock";
/// The development keys, kept so that they stay the same from run to run.
const KEYS: &str = "keys.json";
/// How long the processes of a killed run may take to notice that their supervisor is gone.
const LEFT_BEHIND_DEADLINE: Duration = Duration::from_secs(5);
const LEFT_BEHIND_POLL: Duration = Duration::from_millis(10);

/// An open data folder.
pub(crate) struct Data {
    path: PathBuf,
    /// Removed with everything in it when the system ends; none for a folder that stays.
    ephemeral: Option<tempfile::TempDir>,
    _lock: File,
}

/// Keys of the workspaces that every development system has.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Keys {
    /// For the person at the keyboard: workspace `dev`.
    pub(crate) dev: String,
    /// For synthetic traffic: workspace `synthetic`, so that it fills nobody's lists.
    pub(crate) synthetic: String,
}

impl Data {
    /// Opens this folder, or a temporary one, and waits until the processes of a killed run are gone from it.
    ///
    /// # Errors
    /// When the folder cannot be written, or another system runs on it.
    pub(crate) fn open(folder: Option<&Path>) -> anyhow::Result<Self> {
        let ephemeral = match folder {
            Some(_) => None,
            None => Some(
                tempfile::Builder::new()
                    .prefix("tripod-")
                    .tempdir()
                    .context("no temporary folder")?,
            ),
        };
        let path = folder
            .or(ephemeral.as_ref().map(|folder| folder.path()))
            .expect("one of the two is there");
        let unwritable = || format!("data folder {} cannot be written", path.display());
        fs::create_dir_all(path.join("logs")).with_context(unwritable)?;
        let path = path.canonicalize().with_context(unwritable)?;
        let lock = private_file(&path.join(LOCK)).with_context(unwritable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                bail!(
                    "another tripod runs on {}; stop it, or choose another folder with --data",
                    path.display()
                )
            }
            Err(fs::TryLockError::Error(error)) => return Err(error).with_context(unwritable),
        }
        wait_for_left_behind(&path)?;
        Ok(Self {
            path,
            ephemeral,
            _lock: lock,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where DynamoDB keeps its tables; none when nothing is to stay.
    pub(crate) fn tables(&self) -> Option<PathBuf> {
        self.ephemeral.is_none().then(|| self.path.join("aws"))
    }

    /// Where spans are kept.
    pub(crate) fn traces(&self) -> PathBuf {
        self.path.join("traces")
    }

    /// Where samples are kept.
    pub(crate) fn metrics(&self) -> PathBuf {
        self.path.join("metrics")
    }

    /// Where silences and what was told are kept.
    pub(crate) fn alerts(&self) -> PathBuf {
        self.path.join("alerts")
    }

    /// Where shipped log lines are kept.
    pub(crate) fn log_store(&self) -> PathBuf {
        self.path.join("log-store")
    }

    /// Where the embedded CloudWatch Logs keeps events, groups and certificates.
    pub(crate) fn cloudwatch(&self) -> PathBuf {
        self.path.join("cloudwatch")
    }

    /// Where the shipper keeps how far it is.
    pub(crate) fn shipper(&self) -> PathBuf {
        self.path.join("shipper")
    }

    /// Where the services' log files are.
    pub(crate) fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// A service's log file.
    pub(crate) fn log(&self, service: &str) -> PathBuf {
        self.logs().join(format!("{service}.log"))
    }

    /// The folder's keys, made at the first start.
    ///
    /// # Errors
    /// When the key file is unreadable or no key file.
    pub(crate) fn keys(&self) -> anyhow::Result<Keys> {
        let path = self.path.join(KEYS);
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .with_context(|| format!("{} is damaged; delete it for new keys", path.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let keys = Keys {
                    dev: new_key()?,
                    synthetic: new_key()?,
                };
                private_file(&path)?.write_all(&serde_json::to_vec_pretty(&keys)?)?;
                Ok(keys)
            }
            Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
        }
    }
}

/// After kill -9 of the supervisor its children end by themselves, within milliseconds; their ports are needed.
fn wait_for_left_behind(path: &Path) -> anyhow::Result<()> {
    let own = std::process::id();
    let started = Instant::now();
    for pid in Run::left_behind(path).into_iter().filter(|pid| *pid != own) {
        while is_tripod(pid) {
            if started.elapsed() > LEFT_BEHIND_DEADLINE {
                bail!(
                    "process {pid} of an earlier run still runs on {}",
                    path.display()
                );
            }
            std::thread::sleep(LEFT_BEHIND_POLL);
        }
    }
    Ok(())
}

/// Whether the process is one of ours: ids are reused, so its executable has to be this one.
pub(crate) fn is_tripod(pid: u32) -> bool {
    let executable = |pid: &str| fs::read_link(format!("/proc/{pid}/exe")).ok();
    executable(&pid.to_string()).is_some_and(|found| Some(found) == executable("self"))
}

fn new_key() -> anyhow::Result<String> {
    let key = store::KeyText::generate().context("the operating system gives no random bytes")?;
    Ok(key.reveal())
}
