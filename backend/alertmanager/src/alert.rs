//! Alerts: as they are posted, and as they are held. What two reports of one alert make is decided here.

use std::cmp::Ordering;

use serde::Deserialize;

use crate::{
    instant,
    labels::{Fingerprint, Labels},
};

/// Bytes of labels and annotations of one alert; more is refused.
const ALERT_BYTES_MAX: usize = 64 << 10;

/// An alert as the API takes it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PostableAlert {
    pub labels: Labels,
    #[serde(default)]
    pub annotations: Labels,
    #[serde(default, rename = "startsAt", deserialize_with = "instant::optional")]
    pub starts_at_ms: Option<i64>,
    /// Without one, the alert ends when it has not been posted again for `resolve_timeout`.
    #[serde(default, rename = "endsAt", deserialize_with = "instant::optional")]
    pub ends_at_ms: Option<i64>,
    #[serde(default, rename = "generatorURL")]
    pub generator_url: String,
}

/// An alert that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    pub fingerprint: Fingerprint,
    pub labels: Labels,
    pub annotations: Labels,
    pub starts_at_ms: i64,
    pub ends_at_ms: i64,
    pub generator_url: String,
    pub updated_at_ms: i64,
    /// Its end was not given, but follows from `resolve_timeout`.
    pub is_timeout: bool,
}

/// Why an alert is refused. The texts are Alertmanager's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAlert {
    #[error("start time must be before end time")]
    EndsBeforeStart,
    #[error("at least one label pair required")]
    NoLabels,
    #[error("invalid label set: invalid name \"\"")]
    LabelName,
    #[error("invalid annotations: invalid name \"\"")]
    AnnotationName,
    #[error("labels and annotations have more than {ALERT_BYTES_MAX} bytes")]
    TooLarge,
    #[error("there are too many alerts already")]
    TooMany,
}

impl Alert {
    /// # Errors
    /// If the alert cannot be.
    pub(crate) fn receive(
        posted: PostableAlert,
        now_ms: i64,
        resolve_timeout_ms: i64,
    ) -> Result<Self, InvalidAlert> {
        let mut labels = posted.labels;
        labels.0.retain(|_, value| !value.is_empty());
        let timeout_ms = now_ms.saturating_add(resolve_timeout_ms);
        let alert = Self {
            fingerprint: labels.fingerprint(),
            starts_at_ms: posted.starts_at_ms.or(posted.ends_at_ms).unwrap_or(now_ms),
            ends_at_ms: posted.ends_at_ms.unwrap_or(timeout_ms),
            annotations: posted.annotations,
            generator_url: posted.generator_url,
            updated_at_ms: now_ms,
            is_timeout: posted.ends_at_ms.is_none(),
            labels,
        };
        alert.validate().map(|()| alert)
    }

    fn validate(&self) -> Result<(), InvalidAlert> {
        let bytes = |labels: &Labels| -> usize {
            labels
                .0
                .iter()
                .map(|(name, value)| name.len() + value.len())
                .sum()
        };
        if self.ends_at_ms < self.starts_at_ms {
            Err(InvalidAlert::EndsBeforeStart)
        } else if self.labels.0.is_empty() {
            Err(InvalidAlert::NoLabels)
        } else if self.labels.0.contains_key("") {
            Err(InvalidAlert::LabelName)
        } else if self.annotations.0.contains_key("") {
            Err(InvalidAlert::AnnotationName)
        } else if bytes(&self.labels) + bytes(&self.annotations) + self.generator_url.len()
            > ALERT_BYTES_MAX
        {
            Err(InvalidAlert::TooLarge)
        } else {
            Ok(())
        }
    }

    pub fn is_resolved(&self, now_ms: i64) -> bool {
        self.ends_at_ms <= now_ms
    }

    /// What is held when `newer` comes after this one: both as one if their times overlap.
    pub(crate) fn followed_by(&self, newer: Self, now_ms: i64) -> Self {
        let inside = |time_ms: i64| self.starts_at_ms < time_ms && time_ms < self.ends_at_ms;
        if !inside(newer.starts_at_ms) && !inside(newer.ends_at_ms) {
            return newer;
        }
        // Only if the clock went back is what is held the younger one.
        let (older, mut merged) = match newer.updated_at_ms < self.updated_at_ms {
            true => (newer, self.clone()),
            false => (self.clone(), newer),
        };
        merged.starts_at_ms = merged.starts_at_ms.min(older.starts_at_ms);
        let later = older.ends_at_ms > merged.ends_at_ms;
        let keeps_end = match merged.is_resolved(now_ms) {
            true => older.is_resolved(now_ms),
            false => !older.is_timeout,
        };
        if later && keeps_end {
            merged.ends_at_ms = older.ends_at_ms;
        }
        merged
    }

    /// The order of alerts in notifications: by `job`, by `instance`, by all labels. One that lacks the label comes last.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        for name in ["job", "instance"] {
            let (one, two) = (self.labels.0.get(name), other.labels.0.get(name));
            let by_label = match (one, two) {
                (None, None) => Ordering::Equal,
                (None, Some(_)) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (Some(one), Some(two)) => one.cmp(two),
            };
            if by_label.is_ne() {
                return by_label;
            }
        }
        self.labels.order(&other.labels)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn alert(now_ms: i64, starts_at_ms: Option<i64>, ends_at_ms: Option<i64>) -> Alert {
        let posted = PostableAlert {
            labels: [("a", "b"), ("empty", "")].into_iter().collect(),
            starts_at_ms,
            ends_at_ms,
            ..PostableAlert::default()
        };
        Alert::receive(posted, now_ms, 300).unwrap()
    }

    #[test]
    fn missing_times_are_filled_in() {
        let check = |starts, ends, expected| {
            let alert = alert(1_000, starts, ends);
            assert_eq!(
                (alert.starts_at_ms, alert.ends_at_ms, alert.is_timeout),
                expected
            );
            assert_eq!(alert.labels.0.len(), 1);
        };
        check(None, None, (1_000, 1_300, true));
        check(Some(500), None, (500, 1_300, true));
        check(None, Some(700), (700, 700, false));
        check(Some(500), Some(700), (500, 700, false));
    }

    #[test]
    fn reports_that_overlap_are_one_alert() {
        let check = |old: Alert, new: Alert, expected: (i64, i64)| {
            let now_ms = new.updated_at_ms;
            let merged = old.followed_by(new, now_ms);
            assert_eq!((merged.starts_at_ms, merged.ends_at_ms), expected);
        };
        // A refresh moves the end that is a timeout, back as well.
        check(
            alert(1_000, None, None),
            alert(1_100, None, None),
            (1_000, 1_400),
        );
        check(
            alert(1_000, None, None),
            alert(1_100, Some(900), Some(1_200)),
            (900, 1_200),
        );
        // A given end in the future stays if it is later.
        check(
            alert(1_000, Some(900), Some(2_000)),
            alert(1_100, Some(1_000), None),
            (900, 2_000),
        );
        // An end in the past wins.
        check(
            alert(1_000, Some(900), Some(2_000)),
            alert(1_100, Some(900), Some(1_050)),
            (900, 1_050),
        );
        // No overlap: the later one alone.
        check(
            alert(1_000, Some(900), Some(950)),
            alert(1_100, Some(1_100), None),
            (1_100, 1_400),
        );
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let check = |labels: &[(&str, &str)], ends_at_ms, expected| {
            let posted = PostableAlert {
                labels: labels.iter().copied().collect(),
                starts_at_ms: Some(10),
                ends_at_ms,
                ..PostableAlert::default()
            };
            assert_eq!(Alert::receive(posted, 10, 5).unwrap_err(), expected);
        };
        check(&[], None, InvalidAlert::NoLabels);
        check(&[("a", "")], None, InvalidAlert::NoLabels);
        check(&[("", "a")], None, InvalidAlert::LabelName);
        check(&[("a", "a")], Some(5), InvalidAlert::EndsBeforeStart);
        let long = "x".repeat(ALERT_BYTES_MAX);
        check(&[("a", long.as_str())], None, InvalidAlert::TooLarge);
    }
}
