//! The configuration file as it is written: every option that is supported, and its type. An option that is not here is an
//! error of the reader, which names it and its line. What the values mean is checked beside this file.

use std::collections::BTreeMap;

use serde::{Deserialize, de::DeserializeOwned};
use serde_saphyr::Spanned;

pub(super) type At<T> = Spanned<T>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub global: Option<Global>,
    pub rule_files: Option<Vec<At<String>>>,
    pub alerting: Option<Alerting>,
    pub scrape_configs: Option<Vec<At<Job>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Global {
    pub scrape_interval: Option<At<String>>,
    pub scrape_timeout: Option<At<String>>,
    pub evaluation_interval: Option<At<String>>,
    pub external_labels: Option<BTreeMap<String, At<String>>>,
    pub scrape_protocols: Option<At<Vec<At<String>>>>,
    pub sample_limit: Option<u64>,
    pub target_limit: Option<u64>,
    pub label_limit: Option<u64>,
    pub label_name_length_limit: Option<u64>,
    pub label_value_length_limit: Option<u64>,
    pub body_size_limit: Option<At<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Alerting {
    pub alertmanagers: Option<Vec<Alertmanager>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Alertmanager {
    pub static_configs: Option<Vec<Group>>,
    pub scheme: Option<At<String>>,
    pub path_prefix: Option<At<String>>,
    pub timeout: Option<At<String>>,
    pub api_version: Option<At<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Job {
    pub job_name: Option<At<String>>,
    pub scrape_interval: Option<At<String>>,
    pub scrape_timeout: Option<At<String>>,
    pub metrics_path: Option<At<String>>,
    pub scheme: Option<At<String>>,
    pub params: Option<BTreeMap<String, Vec<String>>>,
    pub scrape_protocols: Option<At<Vec<At<String>>>>,
    pub honor_labels: Option<bool>,
    pub honor_timestamps: Option<bool>,
    pub static_configs: Option<Vec<Group>>,
    pub file_sd_configs: Option<Vec<At<FileDiscovery>>>,
    pub relabel_configs: Option<Vec<At<Relabel>>>,
    pub metric_relabel_configs: Option<Vec<At<Relabel>>>,
    pub sample_limit: Option<u64>,
    pub target_limit: Option<u64>,
    pub label_limit: Option<u64>,
    pub label_name_length_limit: Option<u64>,
    pub label_value_length_limit: Option<u64>,
    pub body_size_limit: Option<At<String>>,
}

/// Targets and the labels they share; also what a discovery file is a list of.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Group {
    pub targets: Option<Vec<At<String>>>,
    pub labels: Option<BTreeMap<String, At<String>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileDiscovery {
    pub files: Option<Vec<At<String>>>,
    pub refresh_interval: Option<At<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Relabel {
    pub source_labels: Option<Vec<String>>,
    pub separator: Option<String>,
    pub regex: Option<At<String>>,
    pub modulus: Option<u64>,
    pub target_label: Option<At<String>>,
    pub replacement: Option<At<String>>,
    pub action: Option<At<String>>,
}

/// Of YAML, and therefore of JSON. The message names line and column.
pub(super) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        strict_booleans: true,
        reject_unsupported_tags: true,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())
}
