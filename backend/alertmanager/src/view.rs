//! What the API of version 2 answers: plain data that serialises with its field names. Made by the machine's queries.

use serde::Serialize;
use uuid::Uuid;

use crate::{
    instant,
    labels::{Fingerprint, Labels},
    silence::{Silence, SilenceMatcher, SilenceState},
};

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GettableAlert {
    pub annotations: Labels,
    #[serde(rename = "endsAt", serialize_with = "instant::api")]
    pub ends_at_ms: i64,
    pub fingerprint: Fingerprint,
    pub receivers: Vec<ReceiverName>,
    #[serde(rename = "startsAt", serialize_with = "instant::api")]
    pub starts_at_ms: i64,
    pub status: AlertStatus,
    #[serde(rename = "updatedAt", serialize_with = "instant::api")]
    pub updated_at_ms: i64,
    #[serde(rename = "generatorURL", skip_serializing_if = "String::is_empty")]
    pub generator_url: String,
    pub labels: Labels,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertStatus {
    pub inhibited_by: Vec<Fingerprint>,
    pub muted_by: Vec<String>,
    pub silenced_by: Vec<Uuid>,
    pub state: AlertState,
}

/// The third state of the API, `unprocessed`, is never seen there: asking is processing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    Active,
    Suppressed,
}

#[derive(Clone, Debug, Serialize)]
pub struct AlertGroup {
    pub alerts: Vec<GettableAlert>,
    pub labels: Labels,
    pub receiver: ReceiverName,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReceiverName {
    pub name: String,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GettableSilence {
    pub id: Uuid,
    pub status: SilenceStatus,
    #[serde(rename = "updatedAt", serialize_with = "instant::api")]
    pub updated_at_ms: i64,
    pub comment: String,
    pub created_by: String,
    #[serde(rename = "endsAt", serialize_with = "instant::api")]
    pub ends_at_ms: i64,
    pub matchers: Vec<SilenceMatcher>,
    #[serde(rename = "startsAt", serialize_with = "instant::api")]
    pub starts_at_ms: i64,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub struct SilenceStatus {
    pub state: SilenceState,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerStatus {
    pub cluster: Cluster,
    pub config: ShownConfig,
    #[serde(rename = "uptime", serialize_with = "instant::api")]
    pub started_at_ms: i64,
    pub version_info: VersionInfo,
}

/// There is none: this one is alone.
#[derive(Clone, Debug, Serialize)]
pub struct Cluster {
    pub peers: [(); 0],
    pub status: &'static str,
}

#[derive(Clone, Debug, Serialize)]
pub struct ShownConfig {
    pub original: String,
}

/// Of the build. What does not apply is empty.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionInfo {
    pub branch: String,
    pub build_date: String,
    pub build_user: String,
    pub go_version: String,
    pub revision: String,
    pub version: String,
}

impl GettableSilence {
    pub(crate) fn new(silence: &Silence, now_ms: i64) -> Self {
        // Unlike in what it mutes, a silence is over at its last instant here.
        let state = match silence.state(now_ms) {
            SilenceState::Active if now_ms == silence.ends_at_ms => SilenceState::Expired,
            state => state,
        };
        Self {
            id: silence.id,
            status: SilenceStatus { state },
            updated_at_ms: silence.updated_at_ms,
            comment: silence.comment.clone(),
            created_by: silence.created_by.clone(),
            ends_at_ms: silence.ends_at_ms,
            matchers: silence.matchers.clone(),
            starts_at_ms: silence.starts_at_ms,
        }
    }
}
