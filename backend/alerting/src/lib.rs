//! The rules half of Prometheus: files of groups, recordings and alerts, evaluated on a clock that is a parameter.
//!
//! [`mod@file`] reads what Prometheus reads, [`Rules`] says which group is due and evaluates it, [`Group`] and [`rule`] hold the
//! state. Queries run on `promql`, samples go to an [`Append`], what is to be notified is returned. Grouping and sending of
//! notifications is the Alertmanager's matter, not this crate's.

pub mod file;
mod group;
mod labels;
mod own_metrics;
mod restore;
pub mod rule;
mod rules;
mod storage;
mod template;

pub use file::{FileError, RuleFile};
pub use group::{Group, Notification};
pub use rule::{Alert, Health, Rule, State};
pub use rules::{ReloadError, Rules};
pub use template::TemplateError;

use tsdb::{Labels, Sample};

/// Where results go. What was appended must be seen by the next query.
pub trait Append {
    /// Appends one result of each series. A sample that is not newer than the last of its series is left out and counted by
    /// the storage.
    ///
    /// # Errors
    /// The storage cannot be written.
    fn append(&self, samples: &[(Labels, Sample)]) -> Result<(), AppendError>;
}

/// The storage did not take the samples.
#[derive(Debug, thiserror::Error)]
#[error("results cannot be stored")]
pub struct AppendError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// What a group needs for an evaluation.
pub struct Surroundings<'s> {
    pub engine: &'s promql::Engine,
    pub source: &'s dyn tsdb::Source,
    pub append: &'s dyn Append,
    /// `external_labels` of the configuration: for templates.
    pub external_labels: &'s Labels,
    /// Where the expression of an alert can be looked at, without a slash at the end.
    pub external_url: &'s str,
}
