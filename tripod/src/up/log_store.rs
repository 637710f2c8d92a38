//! A log store that runs: opened with a word about what a crash left, relieved of what is too old, closed.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use logs::{Options, Store};
use tokio::task::JoinHandle;

/// Time between two looks at what is too old.
const RETAIN_INTERVAL: Duration = Duration::from_secs(60);

pub(super) struct LogStore {
    store: Arc<Store>,
    retention: JoinHandle<()>,
}

impl LogStore {
    pub(super) fn open(folder: &Path, options: Options) -> anyhow::Result<Self> {
        let opened = Store::open(folder, options);
        let (store, recovery) =
            opened.with_context(|| format!("the log store {} does not open", folder.display()))?;
        if recovery.torn_bytes > 0 || recovery.damaged_bytes > 0 || !recovery.damaged.is_empty() {
            tracing::warn!(?recovery, folder = %folder.display(), "the log store was not closed well");
        }
        let store = Arc::new(store);
        Ok(Self {
            retention: tokio::spawn(retain(Arc::clone(&store))),
            store,
        })
    }

    pub(super) fn store(&self) -> Arc<Store> {
        Arc::clone(&self.store)
    }

    /// Closes it, unless somebody else still has it: the last owner does.
    pub(super) async fn close(self) {
        self.retention.abort();
        let _ = self.retention.await;
        let closed = tokio::task::spawn_blocking(|| drop(self.store));
        closed.await.expect("closing a store does not panic");
    }
}

async fn retain(store: Arc<Store>) {
    loop {
        tokio::time::sleep(RETAIN_INTERVAL).await;
        let store = Arc::clone(&store);
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let now_ns = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let retained = tokio::task::spawn_blocking(move || store.retain(now_ns)).await;
        if let Ok(Err(error)) = retained {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "old log lines cannot be deleted"
            );
        }
    }
}
