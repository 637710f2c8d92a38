//! The log store with two additions: it counts the lines it hands out, and refuses to store when told to.

use std::{
    ops::{ControlFlow, Range},
    path::Path,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use cloudwatch::{AppendError, Events, NewEvent, store_options};
use logql::{Entry, Scanned, Selection, Source, SourceError};
use tsdb::{Labels, Matcher};

pub(crate) struct Watched {
    store: logs::Store,
    /// Lines that were handed out.
    pub(crate) visited: AtomicUsize,
    pub(crate) refuses: AtomicBool,
}

impl Watched {
    pub(crate) fn open(dir: &Path) -> Self {
        Self {
            store: logs::Store::open(dir, store_options()).unwrap().0,
            visited: AtomicUsize::new(0),
            refuses: AtomicBool::new(false),
        }
    }
}

impl Events for Watched {
    fn append(
        &self,
        labels: &Labels,
        events: Vec<NewEvent>,
        now_ms: i64,
    ) -> Result<(), AppendError> {
        if self.refuses.load(Ordering::SeqCst) {
            return Err(AppendError("the disk is full".into()));
        }
        Events::append(&self.store, labels, events, now_ms)
    }
}

impl Source for Watched {
    fn scan(
        &self,
        selection: &Selection<'_>,
        visit: &mut dyn FnMut(&Labels, Entry<'_>) -> ControlFlow<()>,
    ) -> Result<Scanned, SourceError> {
        self.store.scan(selection, &mut |labels, entry| {
            self.visited.fetch_add(1, Ordering::SeqCst);
            visit(labels, entry)
        })
    }

    fn streams(
        &self,
        matchers: &[Matcher],
        range_ns: Range<i64>,
    ) -> Result<Vec<Labels>, SourceError> {
        self.store.streams(matchers, range_ns)
    }
}
