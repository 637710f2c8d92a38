//! The configuration file of Alertmanager 0.31, as far as it is about routes, inhibition, time intervals and webhooks.
//!
//! The embedded Alertmanager runs the file that the real one runs. Every option is understood or refused with its name and
//! its line: other kinds of receivers, templates, `url_file`, proxies and TLS options are refused. Reading does no IO but of the
//! file itself; files with credentials are read when a webhook is sent.

mod checks;
mod duration;
mod intervals;
mod receivers;
mod yaml;

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use url::Url;

use crate::{interval::TimeInterval, matcher::Matcher, route::Routes};

/// A longer file is refused.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// What stands in a view of the configuration in place of a secret.
const SECRET: &str = "<secret>";

/// A configuration file.
#[derive(Clone, Debug)]
pub struct Config {
    /// Without an end, an alert is resolved this long after it was last received.
    pub resolve_timeout_ms: i64,
    pub routes: Routes,
    pub inhibit_rules: Vec<InhibitRule>,
    /// In the order of the file.
    pub receivers: Vec<Receiver>,
    /// By name; a name holds while one of its intervals does.
    pub time_intervals: Vec<(String, Vec<TimeInterval>)>,
    /// What the file says, for people: comments are gone, secrets are replaced.
    pub shown: String,
}

/// An alert that `source` selects mutes those that `target` selects if all labels of `equal` have the same value on both;
/// a label that is on neither is the same.
#[derive(Clone, Debug)]
pub struct InhibitRule {
    pub source: Vec<Matcher>,
    pub target: Vec<Matcher>,
    pub equal: Vec<String>,
}

/// Without a webhook, whatever comes here is told to nobody.
#[derive(Clone, Debug)]
pub struct Receiver {
    pub name: String,
    pub webhooks: Vec<Webhook>,
}

/// One `webhook_configs` entry.
#[derive(Clone, Debug)]
pub struct Webhook {
    pub url: Url,
    pub send_resolved: bool,
    /// 0: all.
    pub alerts_max: usize,
    /// Of one attempt; `None`: until the deadline of the whole delivery.
    pub timeout_ms: Option<i64>,
    pub authorization: Option<Authorization>,
    pub follow_redirects: bool,
}

/// The `Authorization` header of requests.
#[derive(Clone, Debug)]
pub enum Authorization {
    Header { scheme: String, credentials: Secret },
    Basic { username: String, password: Secret },
}

/// Never shown. The file is read anew for each delivery.
#[derive(Clone)]
pub enum Secret {
    Text(String),
    File(PathBuf),
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is longer than {FILE_BYTES_MAX} bytes", path.display())]
    TooLong { path: PathBuf },
    /// Not YAML, an option that is not known, or one of another type. The text names it, with line and column.
    #[error("not a configuration file: {0}")]
    Syntax(String),
    /// An option whose value cannot be.
    #[error("line {line}, column {column}: {option}: {reason}")]
    Option {
        line: u64,
        column: u64,
        option: String,
        reason: String,
    },
}

impl Config {
    /// Reads a file. Files that it names are relative to its folder.
    ///
    /// # Errors
    /// If the file cannot be read, is not YAML, or has an option that is not supported or wrong.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let mut text = String::new();
        let file = File::open(path)
            .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text));
        file.map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(ConfigError::TooLong {
                path: path.to_owned(),
            });
        }
        Self::parse(&text, path.parent().unwrap_or(Path::new(".")))
    }

    /// Reads the text of a file in `folder`.
    ///
    /// # Errors
    /// See [`Self::read`].
    pub fn parse(text: &str, folder: &Path) -> Result<Self, ConfigError> {
        checks::config(&yaml::parse(text)?, folder)
    }

    /// The receiver of that name. Every route has one.
    pub(crate) fn receiver(&self, name: &str) -> Option<&Receiver> {
        self.receivers.iter().find(|receiver| receiver.name == name)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(SECRET)
    }
}
