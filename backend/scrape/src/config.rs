//! `prometheus.yml`, the file the real Prometheus runs: what is scraped and how, which rules are evaluated, where alerts go.
//!
//! What is not supported is an error that names the option and its line. Nothing is scraped, evaluated or sent here.

mod check;
mod discovery;
mod relabel_rules;
#[cfg(test)]
mod tests;
mod units;
mod yaml;

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use tsdb::Labels;

use crate::relabel::Rule;

pub use discovery::{DiscoveryError, read_groups};

/// A longer configuration or discovery file is refused.
pub const FILE_BYTES_MAX: u64 = 4 << 20;
/// What one pattern may match; more is an error.
pub const FILES_PER_PATTERN_MAX: usize = 1_000;

/// A whole file, checked, with the defaults of Prometheus where it is silent.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub evaluation_interval_ms: i64,
    /// For alerts that leave the system.
    pub external_labels: Labels,
    /// Patterns; a relative one is joined to the folder of the file.
    pub rule_files: Vec<PathBuf>,
    pub alertmanagers: Vec<Alertmanager>,
    pub jobs: Vec<Job>,
}

/// Where alerts are sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Alertmanager {
    /// `host:port`.
    pub addresses: Vec<String>,
    /// Empty, or begins with a slash.
    pub path_prefix: String,
    pub timeout_ms: i64,
}

/// Targets that are scraped in the same way.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    pub name: String,
    pub interval_ms: i64,
    pub timeout_ms: i64,
    pub metrics_path: String,
    pub params: BTreeMap<String, Vec<String>>,
    /// The best first.
    pub protocols: Vec<Protocol>,
    /// Whether labels of the page win over those of the target.
    pub honor_labels: bool,
    /// Whether a timestamp of the page counts.
    pub honor_timestamps: bool,
    pub limits: Limits,
    pub groups: Vec<Group>,
    pub files: Vec<FileDiscovery>,
    pub relabel: Vec<Rule>,
    pub metric_relabel: Vec<Rule>,
}

/// Targets and the labels they share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    pub targets: Vec<String>,
    pub labels: Vec<(String, String)>,
}

/// Files with groups of targets, read again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDiscovery {
    /// Patterns; a relative one is joined to the folder of the configuration.
    pub files: Vec<PathBuf>,
    pub refresh_ms: i64,
}

/// What a scrape or a job may have at most; 0 for no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// After metric relabelling.
    pub samples: u64,
    pub targets: u64,
    pub labels: u64,
    pub label_name_bytes: u64,
    pub label_value_bytes: u64,
    /// Uncompressed.
    pub body_bytes: u64,
}

/// A format that a target may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    OpenMetrics1_0_0,
    OpenMetrics0_0_1,
    Text1_0_0,
    Text0_0_4,
}

/// Why a file cannot be used. Nothing of it is.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is longer than {FILE_BYTES_MAX} bytes", path.display())]
    TooLong { path: PathBuf },
    /// Not YAML, or an option that is not supported or has another type. The text names line and column.
    #[error("{}: {text}", path.display())]
    Syntax { path: PathBuf, text: String },
    #[error("{}: {line}:{column}: {what}", path.display())]
    Value {
        path: PathBuf,
        line: u64,
        column: u64,
        what: String,
    },
    #[error("cannot list the rule files {}", pattern.display())]
    RuleFiles { pattern: PathBuf, source: io::Error },
}

impl Config {
    /// # Errors
    /// See [`ConfigError`].
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        Self::parse(path, &Self::read_text(path)?)
    }

    /// The text alone, as long as a configuration may be.
    ///
    /// # Errors
    /// It cannot be read, or is too long.
    pub fn read_text(path: &Path) -> Result<String, ConfigError> {
        match read_bounded(path) {
            Ok(Some(text)) => Ok(text),
            Ok(None) => Err(ConfigError::TooLong {
                path: path.to_owned(),
            }),
            Err(source) => Err(ConfigError::Read {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// The same of a text; `path` is for messages, and its folder for relative paths.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn parse(path: &Path, yaml: &str) -> Result<Self, ConfigError> {
        let written: Option<yaml::File> =
            yaml::parse(yaml).map_err(|text| ConfigError::Syntax {
                path: path.to_owned(),
                text,
            })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        check::file(written.unwrap_or_default(), folder).map_err(|fault| ConfigError::Value {
            path: path.to_owned(),
            line: fault.line,
            column: fault.column,
            what: fault.what,
        })
    }

    /// The rule files that are there now, in order. A pattern that matches none is no error, as in Prometheus.
    ///
    /// # Errors
    /// A folder cannot be listed, or a pattern matches too much.
    pub fn rule_paths(&self) -> Result<Vec<PathBuf>, ConfigError> {
        let mut paths = Vec::new();
        for pattern in &self.rule_files {
            let listed = matching_files(pattern).map_err(|source| ConfigError::RuleFiles {
                pattern: pattern.clone(),
                source,
            })?;
            paths.extend(listed);
        }
        Ok(paths)
    }

    /// Writes other addresses in place of those in the file, of targets and of Alertmanagers: for a system that listens
    /// on other ports than the file says. `None` leaves an address as it is.
    pub fn move_addresses(&mut self, moved: impl Fn(&str) -> Option<String>) {
        let targets = self.jobs.iter_mut().flat_map(|job| &mut job.groups);
        let targets = targets.flat_map(|group| &mut group.targets);
        let alertmanagers = self
            .alertmanagers
            .iter_mut()
            .flat_map(|peer| &mut peer.addresses);
        for address in targets.chain(alertmanagers) {
            if let Some(other) = moved(address) {
                *address = other;
            }
        }
    }
}

/// The text of a file; `None` if it is longer than [`FILE_BYTES_MAX`], which its size need not say: it may be a pipe or a device.
pub(crate) fn read_bounded(path: &Path) -> io::Result<Option<String>> {
    let mut text = String::new();
    let mut file = fs::File::open(path)?.take(FILE_BYTES_MAX + 1);
    match file.read_to_string(&mut text) {
        // The cut may go through a character.
        _ if file.limit() == 0 => Ok(None),
        read => read.map(|_| Some(text)),
    }
}

/// What a pattern matches now, in order.
pub(crate) fn matching_files(pattern: &Path) -> io::Result<Vec<PathBuf>> {
    let text = pattern.to_str().ok_or(io::ErrorKind::InvalidInput)?;
    let paths = glob::glob(text).map_err(|error| io::Error::other(error.msg))?;
    let paths: Vec<PathBuf> = paths
        .take(FILES_PER_PATTERN_MAX + 1)
        .collect::<Result<_, _>>()
        .map_err(io::Error::from)?;
    if paths.len() > FILES_PER_PATTERN_MAX {
        return Err(io::Error::other(format!(
            "more than {FILES_PER_PATTERN_MAX} files"
        )));
    }
    Ok(paths)
}
