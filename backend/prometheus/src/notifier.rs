//! Telling Alertmanagers: a bounded queue, batches, every Alertmanager by itself. Nothing is sent again: what still fires is
//! said again by the next evaluations, as with the real Prometheus.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Instant,
};

use alerting::Notification;
use jiff::Timestamp;
use reqwest::Client;
use serde::Serialize;
use tokio::{sync::Notify, task::JoinSet};
use tsdb::Labels;

use crate::{configuration::Peer, lock, own_metrics};

/// Alerts that wait; beyond it the oldest are dropped and counted. As in Prometheus.
const QUEUE_MAX: usize = 10_000;
/// Alerts of one request.
const BATCH_MAX: usize = 256;
const IDLE_PER_PEER_MAX: usize = 1;

pub(crate) struct Notifier {
    client: Client,
    queue: Mutex<VecDeque<Posted>>,
    peers: Mutex<Arc<[Peer]>>,
    arrived: Notify,
}

/// An alert as Alertmanager's API takes it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Posted {
    annotations: Pairs,
    ends_at: String,
    starts_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: String,
    labels: Pairs,
}

#[derive(Clone, Debug)]
struct Pairs(Labels);

impl Serialize for Pairs {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter())
    }
}

impl Notifier {
    /// # Errors
    /// There can be no HTTP client.
    pub(crate) fn new() -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .user_agent(concat!("tripod/", env!("CARGO_PKG_VERSION")))
            .pool_max_idle_per_host(IDLE_PER_PEER_MAX)
            .no_proxy()
            .build()?;
        own_metrics::queue(0, QUEUE_MAX);
        Ok(Self {
            client,
            queue: Mutex::default(),
            peers: Mutex::new([].into()),
            arrived: Notify::new(),
        })
    }

    /// Whom to tell from now on.
    pub(crate) fn tell(&self, peers: &[Peer]) {
        own_metrics::alertmanagers(peers.len());
        *lock(&self.peers) = peers.into();
    }

    /// Queues what an evaluation has said. `external` goes on every alert that lacks such labels.
    pub(crate) fn push(&self, notifications: &[Notification], external: &Labels) {
        if notifications.is_empty() || lock(&self.peers).is_empty() {
            return;
        }
        let mut queue = lock(&self.queue);
        queue.extend(
            notifications
                .iter()
                .map(|alert| Posted::new(alert, external)),
        );
        let over = queue.len().saturating_sub(QUEUE_MAX);
        queue.drain(..over);
        own_metrics::queue(queue.len(), QUEUE_MAX);
        drop(queue);
        if over > 0 {
            own_metrics::dropped(over);
            tracing::warn!(
                alerts = over,
                "alerts are dropped: too many wait to be sent"
            );
        }
        self.arrived.notify_one();
    }

    /// Sends what is queued, for ever.
    pub(crate) async fn run(&self) {
        loop {
            self.arrived.notified().await;
            loop {
                let batch = self.next_batch();
                if batch.is_empty() {
                    break;
                }
                self.send(&batch).await;
            }
        }
    }

    fn next_batch(&self) -> Vec<Posted> {
        let mut queue = lock(&self.queue);
        let length = queue.len().min(BATCH_MAX);
        let batch = queue.drain(..length).collect();
        own_metrics::queue(queue.len(), QUEUE_MAX);
        batch
    }

    async fn send(&self, batch: &[Posted]) {
        let body = serde_json::to_vec(batch).expect("text and maps of text are JSON");
        let body = bytes::Bytes::from(body);
        let peers = Arc::clone(&lock(&self.peers));
        let mut requests = JoinSet::new();
        for peer in peers.iter() {
            requests.spawn(post(
                self.client.clone(),
                peer.clone(),
                body.clone(),
                batch.len(),
            ));
        }
        let told = requests.join_all().await;
        // One that took them is enough: Alertmanagers tell each other.
        if !told.contains(&true) {
            own_metrics::dropped(batch.len());
        }
    }
}

impl Posted {
    fn new(alert: &Notification, external: &Labels) -> Self {
        Self {
            annotations: Pairs(alert.annotations.clone()),
            ends_at: rfc3339(alert.ends_at_ms),
            starts_at: rfc3339(alert.starts_at_ms),
            generator_url: alert.generator_url.clone(),
            labels: Pairs(with_external(&alert.labels, external)),
        }
    }
}

/// Whether it took them.
async fn post(client: Client, peer: Peer, body: bytes::Bytes, alerts: usize) -> bool {
    let begun = Instant::now();
    let answer = client
        .post(&peer.url)
        .header("content-type", "application/json")
        .timeout(peer.timeout)
        .body(body)
        .send()
        .await
        .and_then(reqwest::Response::error_for_status);
    own_metrics::sent(&peer.url, alerts, begun.elapsed(), answer.is_ok());
    if let Err(error) = &answer {
        tracing::warn!(
            alertmanager = peer.url,
            alerts,
            error = error as &dyn std::error::Error,
            "alerts cannot be sent"
        );
    }
    answer.is_ok()
}

fn with_external(labels: &Labels, external: &Labels) -> Labels {
    if external.is_empty() {
        return labels.clone();
    }
    // The last of equal names counts.
    Labels::new(external.iter().chain(labels.iter()))
}

fn rfc3339(t_ms: i64) -> String {
    let time = Timestamp::from_millisecond(t_ms).unwrap_or(Timestamp::MAX);
    format!("{time:.3}")
}
