//! The body of a webhook: version 4 of Alertmanager's format, field by field.

use serde::{Deserialize, Serialize};

use crate::{
    alert::Alert,
    instant,
    labels::{Fingerprint, Labels},
};

/// Characters that Go escapes to make a text a literal in a regular expression.
const SPECIAL: &str = r"\.+*?()|[]{}^$";

/// What a webhook is told.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// As a regular expression that matches the name.
    pub receiver: String,
    pub status: Status,
    pub alerts: Vec<MessageAlert>,
    pub group_labels: Labels,
    pub common_labels: Labels,
    pub common_annotations: Labels,
    #[serde(rename = "externalURL")]
    pub external_url: String,
    pub version: &'static str,
    pub group_key: String,
    pub truncated_alerts: usize,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageAlert {
    pub status: Status,
    pub labels: Labels,
    pub annotations: Labels,
    #[serde(rename = "startsAt", serialize_with = "instant::webhook")]
    pub starts_at_ms: i64,
    /// Only of what is resolved.
    #[serde(rename = "endsAt", serialize_with = "instant::webhook_or_zero")]
    pub ends_at_ms: Option<i64>,
    #[serde(rename = "generatorURL")]
    pub generator_url: String,
    pub fingerprint: Fingerprint,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Firing,
    Resolved,
}

/// Whom a message is about.
pub(crate) struct Heading<'a> {
    pub receiver: &'a str,
    pub group_key: &'a str,
    pub group_labels: &'a Labels,
    pub external_url: &'a str,
}

impl Message {
    /// `alerts` in their order; of more than `alerts_max`, unless it is 0, the first are told.
    pub(crate) fn new(
        heading: &Heading<'_>,
        alerts: &[&Alert],
        alerts_max: usize,
        now_ms: i64,
    ) -> Self {
        let told = match alerts_max {
            0 => alerts,
            max => &alerts[..alerts.len().min(max)],
        };
        let is_firing = told.iter().any(|alert| !alert.is_resolved(now_ms));
        Self {
            receiver: literal(heading.receiver),
            status: Status::of(!is_firing),
            group_labels: heading.group_labels.clone(),
            common_labels: common(told.iter().map(|alert| &alert.labels)),
            common_annotations: common(told.iter().map(|alert| &alert.annotations)),
            external_url: heading.external_url.to_owned(),
            version: "4",
            group_key: heading.group_key.to_owned(),
            truncated_alerts: alerts.len() - told.len(),
            alerts: told
                .iter()
                .map(|alert| MessageAlert::new(alert, now_ms))
                .collect(),
        }
    }
}

impl MessageAlert {
    fn new(alert: &Alert, now_ms: i64) -> Self {
        let is_resolved = alert.is_resolved(now_ms);
        Self {
            status: Status::of(is_resolved),
            labels: alert.labels.clone(),
            annotations: alert.annotations.clone(),
            starts_at_ms: alert.starts_at_ms,
            ends_at_ms: is_resolved.then_some(alert.ends_at_ms),
            generator_url: alert.generator_url.clone(),
            fingerprint: alert.fingerprint,
        }
    }
}

impl Status {
    fn of(is_resolved: bool) -> Self {
        match is_resolved {
            true => Self::Resolved,
            false => Self::Firing,
        }
    }
}

/// What all sets have. A label that is not there is an empty one.
fn common<'a>(mut sets: impl Iterator<Item = &'a Labels>) -> Labels {
    let mut common = sets.next().cloned().unwrap_or_default();
    for set in sets {
        common.0.retain(|name, value| set.get(name) == value);
    }
    common
}

fn literal(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if SPECIAL.contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}
