//! A machine on a clock that the test moves. Every message is taken at once, unless the test says otherwise; what was sent is
//! written down in one line each.

use std::{path::Path, sync::Arc};

use alertmanager::{
    alert::PostableAlert,
    config::Config,
    labels::Labels,
    machine::{Machine, Notification, Options},
    message::Status,
    silence::{PostableSilence, SilenceMatcher},
};
use uuid::Uuid;

/// Some Thursday, 08:00 UTC.
pub(crate) const START_MS: i64 = 1_767_859_200_000;

pub(crate) struct World {
    pub machine: Machine,
    pub now_ms: i64,
    /// `seconds receiver group: alerts that fire, -alerts that are resolved`.
    pub sent: Vec<String>,
    pub notifications: Vec<(i64, Notification)>,
    /// Receivers that take nothing.
    pub down: Vec<&'static str>,
}

pub(crate) fn config(text: &str) -> Arc<Config> {
    Arc::new(Config::parse(text, Path::new(".")).unwrap())
}

pub(crate) fn labels(text: &str) -> Labels {
    let pairs = text
        .split_whitespace()
        .map(|pair| pair.split_once('=').unwrap());
    pairs.collect()
}

/// `a=b c=d`, from `start` to `end` in seconds of the world.
pub(crate) fn alert(text: &str, start_s: Option<i64>, end_s: Option<i64>) -> PostableAlert {
    PostableAlert {
        labels: labels(text),
        starts_at_ms: start_s.map(|seconds| START_MS + seconds * 1_000),
        ends_at_ms: end_s.map(|seconds| START_MS + seconds * 1_000),
        ..PostableAlert::default()
    }
}

pub(crate) fn silence(name: &str, value: &str, start_s: i64, end_s: i64) -> PostableSilence {
    PostableSilence {
        id: None,
        matchers: vec![SilenceMatcher {
            name: name.to_owned(),
            value: value.to_owned(),
            is_regex: false,
            is_equal: true,
        }],
        starts_at_ms: Some(START_MS + start_s * 1_000),
        ends_at_ms: Some(START_MS + end_s * 1_000),
        created_by: "test".to_owned(),
        comment: "test".to_owned(),
    }
}

impl World {
    pub(crate) fn new(text: &str) -> Self {
        Self {
            machine: Machine::new(config(text), Options::default(), START_MS),
            now_ms: START_MS,
            sent: Vec::new(),
            notifications: Vec::new(),
            down: Vec::new(),
        }
    }

    pub(crate) fn at(&mut self, seconds: i64) -> &mut Self {
        let until_ms = START_MS + seconds * 1_000;
        self.tick();
        while self.machine.wake_ms() <= until_ms {
            self.now_ms = self.machine.wake_ms().max(self.now_ms);
            self.tick();
        }
        self.now_ms = until_ms;
        self
    }

    /// The alert fires from now on, until its end.
    pub(crate) fn fire(&mut self, text: &str, end_s: i64) -> &mut Self {
        let now_s = (self.now_ms - START_MS) / 1_000;
        self.post(alert(text, Some(now_s), Some(end_s)))
    }

    /// The alert is over now.
    pub(crate) fn resolve(&mut self, text: &str) -> &mut Self {
        let now_s = (self.now_ms - START_MS) / 1_000;
        self.post(alert(text, Some(0), Some(now_s)))
    }

    pub(crate) fn post(&mut self, alert: PostableAlert) -> &mut Self {
        assert_eq!(self.machine.receive(vec![alert], self.now_ms), []);
        self
    }

    pub(crate) fn silence(&mut self, silence: PostableSilence) -> Uuid {
        self.machine.set_silence(silence, self.now_ms).unwrap()
    }

    pub(crate) fn sent(&mut self) -> Vec<String> {
        std::mem::take(&mut self.sent)
    }

    fn tick(&mut self) {
        for notification in self.machine.tick(self.now_ms) {
            let is_taken = !self.down.contains(&notification.receiver.as_str());
            let line = self.line(&notification);
            self.sent.push(if is_taken {
                line
            } else {
                format!("{line} (lost)")
            });
            self.machine
                .delivered(notification.id, is_taken, self.now_ms);
            self.notifications.push((self.now_ms, notification));
        }
    }

    fn line(&self, notification: &Notification) -> String {
        let message = &notification.message;
        let group: Vec<&str> = message
            .group_labels
            .0
            .values()
            .map(String::as_str)
            .collect();
        let alerts = message.alerts.iter().map(|alert| {
            let sign = if alert.status == Status::Resolved {
                "-"
            } else {
                ""
            };
            format!("{sign}{}", alert.labels.get("n"))
        });
        format!(
            "{} {} {}: {}",
            (self.now_ms - START_MS) / 1_000,
            notification.receiver,
            group.join(" "),
            alerts.collect::<Vec<_>>().join(" ")
        )
    }
}
