//! The configuration: `prometheus.yml` and the rule files it names, read and checked as one.

use std::{path::PathBuf, time::Duration};

use alerting::{RuleFile, Rules};
use scrape::config::{Alertmanager, Config, ConfigError};
use tsdb::Labels;

use crate::Moved;

/// Where an Alertmanager takes alerts.
const ALERTS_PATH: &str = "/api/v2/alerts";

/// Where it stands.
#[derive(Clone, Debug)]
pub enum Configuration {
    /// In a file that is read again at each reload.
    File(PathBuf),
    /// In this program. Paths are for messages and the identity of rule groups; `rule_files` is not looked at.
    BuiltIn {
        path: PathBuf,
        config: &'static str,
        rules: Vec<(PathBuf, &'static str)>,
    },
}

/// Why it cannot be used. Nothing of it is.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Rules(#[from] alerting::ReloadError),
}

/// A whole configuration as it was read.
pub(crate) struct Read {
    pub(crate) loaded: Loaded,
    pub(crate) scrape: Config,
    pub(crate) rules: Vec<RuleFile>,
}

/// What of a configuration is looked at while it is in use.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) text: String,
    pub(crate) engine: promql::Engine,
    pub(crate) external_labels: Labels,
    pub(crate) alertmanagers: Vec<Peer>,
}

/// An Alertmanager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Where alerts are posted.
    pub(crate) url: String,
    pub(crate) timeout: Duration,
}

impl Configuration {
    pub(crate) fn read(&self, moved: &Moved) -> Result<Read, ConfigurationError> {
        let (text, mut scrape, rules) = match self {
            Self::File(path) => {
                let text = Config::read_text(path)?;
                let config = Config::parse(path, &text)?;
                let rules = Rules::read(&config.rule_paths()?)?;
                (text, config, rules)
            }
            Self::BuiltIn {
                path,
                config,
                rules,
            } => {
                let rules = rules
                    .iter()
                    .map(|(path, text)| RuleFile::parse(path, text))
                    .collect::<Result<_, _>>()
                    .map_err(alerting::ReloadError::from)?;
                ((*config).to_owned(), Config::parse(path, config)?, rules)
            }
        };
        scrape.move_addresses(|address| moved(address));
        let loaded = Loaded {
            text,
            engine: promql::Engine::new(promql::Options {
                subquery_step_ms: scrape.evaluation_interval_ms,
                ..promql::Options::default()
            }),
            external_labels: scrape.external_labels.clone(),
            alertmanagers: scrape.alertmanagers.iter().flat_map(peers).collect(),
        };
        Ok(Read {
            loaded,
            scrape,
            rules,
        })
    }
}

fn peers(written: &Alertmanager) -> impl Iterator<Item = Peer> {
    let timeout = Duration::from_millis(written.timeout_ms.unsigned_abs());
    written.addresses.iter().map(move |address| Peer {
        url: format!("http://{address}{}{ALERTS_PATH}", written.path_prefix),
        timeout,
    })
}
