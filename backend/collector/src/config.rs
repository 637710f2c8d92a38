//! The configuration file of the OpenTelemetry Collector, as far as it decides which spans are kept.
//!
//! The embedded collector runs the file that the real one runs. Whatever decides (`tail_sampling`, and the `filter` that
//! splits late spans off) is understood wholly or refused with its path in the file; transport (receivers, exporters, queues,
//! extensions, `memory_limiter`, `batch`, the Collector's own telemetry) is accepted and ignored. What may stand there:
//! `docs/sampling.md`.

mod document;
mod environment;
mod option;
mod pipelines;
mod policies;

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use memchr::memmem::Finder;
use otlp::wire::{AnyValue, Span};

use crate::policy::Policies;

/// A longer file is refused.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What a configuration file says about sampling.
#[derive(Clone, Debug)]
pub struct Config {
    /// From the first span of a trace to its decision.
    pub decision_wait: Duration,
    /// Policies of spans that are not marked as late.
    pub ontime: Policies,
    /// Policies of spans that are.
    pub late: Policies,
    /// The mark; without one, all spans are on time.
    late_mark: Option<LateMark>,
    /// Kept traces to remember; 0: no more than needed.
    pub sampled_cache_size: usize,
    /// Dropped traces to remember; 0: no more than needed.
    pub non_sampled_cache_size: usize,
    /// Undecided traces to hold.
    pub num_traces: usize,
    /// A trace with more bytes than this is dropped at once, whatever its policies say; `None`: no such bound.
    pub trace_bytes_max: Option<u64>,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is longer than {FILE_BYTES_MAX} bytes", path.display())]
    TooLong { path: PathBuf },
    /// Not YAML, or YAML that is no tree of plain values. The text names line and column.
    #[error("not a configuration file: {0}")]
    Syntax(String),
    /// An option that is missing, wrong or not supported. `path` is written as the Collector does.
    #[error("line {line}, column {column}: {path}: {reason}")]
    Option {
        line: u64,
        column: u64,
        path: String,
        reason: String,
    },
}

/// A span is late if its attribute `key` is the boolean `true`.
#[derive(Clone, Debug)]
struct LateMark {
    key: String,
    /// Most spans do not have the key: that is known sooner from their bytes than from their attributes.
    finder: Finder<'static>,
}

impl Config {
    /// Reads a file. `env` looks a variable up, such as `|name| std::env::var(name).ok()`.
    ///
    /// # Errors
    /// If the file cannot be read, is not YAML, or has an option that decides and is not supported.
    pub fn read(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
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
        Self::parse(&text, env)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// See [`Self::read`].
    pub fn parse(yaml: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut document = document::parse(yaml)?;
        environment::expand(&mut document, env)?;
        pipelines::read(&document)
    }

    /// The attribute that marks late spans, if the file has two pipelines.
    pub fn late_attribute(&self) -> Option<&str> {
        self.late_mark.as_ref().map(|mark| mark.key.as_str())
    }

    /// True if this span belongs to the late pipeline.
    pub fn is_late(&self, span: &Span<'_>) -> bool {
        self.late_mark.as_ref().is_some_and(|mark| mark.is_on(span))
    }
}

impl LateMark {
    fn new(key: &str) -> Self {
        Self {
            key: key.to_owned(),
            finder: Finder::new(key).into_owned(),
        }
    }

    fn is_on(&self, span: &Span<'_>) -> bool {
        // The first attribute with a key is the one that counts, as in the Collector.
        self.finder.find(span.bytes).is_some()
            && span
                .attributes()
                .find(|(key, _)| *key == self.key)
                .is_some_and(|(_, value)| matches!(value, AnyValue::Bool(true)))
    }
}
