//! The configuration file as it is written: every option that is supported, and its type. An option that is not here is an
//! error of the reader, which names it and its line. What the values mean is checked in the parent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};
use serde_saphyr::{Spanned, budget, options};

use super::{ConfigError, SECRET};

/// Levels of nesting in a file; a route of depth n needs 2n.
const DEPTH_MAX: usize = 100;

pub(super) type At<T> = Spanned<T>;

/// Text that is never shown.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Hidden(pub String);

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub global: Option<Global>,
    pub route: Option<At<Route>>,
    pub receivers: Option<Vec<Receiver>>,
    pub inhibit_rules: Option<Vec<InhibitRule>>,
    pub time_intervals: Option<Vec<NamedIntervals>>,
    pub mute_time_intervals: Option<Vec<NamedIntervals>>,
    /// Only webhooks are sent, which need none: an empty list is what may stand here.
    pub templates: Option<Vec<At<String>>>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Global {
    pub resolve_timeout: Option<At<String>>,
    pub http_config: Option<HttpConfig>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Route {
    pub receiver: Option<At<String>>,
    pub group_by: Option<Vec<At<String>>>,
    pub group_wait: Option<At<String>>,
    pub group_interval: Option<At<String>>,
    pub repeat_interval: Option<At<String>>,
    pub matchers: Option<Vec<At<String>>>,
    #[serde(rename = "match")]
    pub equal: Option<BTreeMap<String, At<String>>>,
    #[serde(rename = "match_re")]
    pub regex: Option<BTreeMap<String, At<String>>>,
    #[serde(rename = "continue")]
    pub goes_on: Option<At<bool>>,
    pub mute_time_intervals: Option<Vec<At<String>>>,
    pub active_time_intervals: Option<Vec<At<String>>>,
    pub routes: Option<Vec<At<Route>>>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InhibitRule {
    /// For people.
    #[serde(rename = "name")]
    pub _name: Option<String>,
    pub source_matchers: Option<Vec<At<String>>>,
    pub source_match: Option<BTreeMap<String, At<String>>>,
    pub source_match_re: Option<BTreeMap<String, At<String>>>,
    pub target_matchers: Option<Vec<At<String>>>,
    pub target_match: Option<BTreeMap<String, At<String>>>,
    pub target_match_re: Option<BTreeMap<String, At<String>>>,
    pub equal: Option<Vec<At<String>>>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Receiver {
    pub name: At<String>,
    pub webhook_configs: Option<Vec<At<Webhook>>>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Webhook {
    pub url: Option<At<Hidden>>,
    pub send_resolved: Option<bool>,
    pub max_alerts: Option<u64>,
    pub timeout: Option<At<String>>,
    pub http_config: Option<HttpConfig>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HttpConfig {
    pub authorization: Option<At<Authorization>>,
    pub basic_auth: Option<At<BasicAuth>>,
    pub follow_redirects: Option<bool>,
    /// Accepted: a webhook is sent over HTTP/1.1 whatever stands here.
    #[serde(rename = "enable_http2")]
    pub _enable_http2: Option<bool>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Authorization {
    #[serde(rename = "type")]
    pub scheme: Option<String>,
    pub credentials: Option<Hidden>,
    pub credentials_file: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BasicAuth {
    pub username: Option<String>,
    pub password: Option<Hidden>,
    pub password_file: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NamedIntervals {
    pub name: At<String>,
    pub time_intervals: Option<Vec<TimeInterval>>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TimeInterval {
    pub times: Option<Vec<At<TimeRange>>>,
    pub weekdays: Option<Vec<At<String>>>,
    pub days_of_month: Option<Vec<At<String>>>,
    pub months: Option<Vec<At<String>>>,
    pub years: Option<Vec<At<String>>>,
    pub location: Option<At<String>>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TimeRange {
    pub start_time: String,
    pub end_time: String,
}

pub(super) fn parse(text: &str) -> Result<File, ConfigError> {
    let options = options! {
        budget: budget! { max_depth: DEPTH_MAX },
        with_snippet: false,
        strict_booleans: true,
        reject_unsupported_tags: true,
    };
    serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| ConfigError::Syntax(error.to_string()))
}

/// The file as it may be shown: without secrets, without what is not set.
pub(super) fn show(file: &File) -> String {
    let mut value = serde_json::to_value(file).unwrap_or_default();
    drop_nulls(&mut value);
    serde_saphyr::to_string(&value).unwrap_or_default()
}

fn drop_nulls(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

impl Serialize for Hidden {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(SECRET)
    }
}
