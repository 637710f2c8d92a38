//! The traces of many requests, read together and again until they are whole.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::{
    apis::tempo::Span,
    http::{Answer, HttpError},
    run::Stage,
    sampling::TraceId,
};

const POLL: Duration = Duration::from_millis(200);
/// Traces that are read at a time.
const AT_ONCE_MAX: usize = 8;

/// What was found under an id.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) id: TraceId,
    /// `None` if there is no such trace.
    pub(crate) spans: Option<Vec<Span>>,
    pub(crate) answer: Answer,
}

impl Stage {
    /// What is there now, in the order of `ids`.
    pub(crate) async fn traces(&self, ids: &[TraceId]) -> Result<Vec<Found>, HttpError> {
        let mut found = Vec::with_capacity(ids.len());
        for some in ids.chunks(AT_ONCE_MAX) {
            let mut reads = JoinSet::new();
            for (index, id) in some.iter().copied().enumerate() {
                let tempo = self.tempo.clone();
                reads.spawn(async move { (index, id, tempo.trace(id).await) });
            }
            let mut read = reads.join_all().await;
            read.sort_by_key(|(index, ..)| *index);
            for (_, id, answered) in read {
                let (spans, answer) = answered?;
                found.push(Found { id, spans, answer });
            }
        }
        Ok(found)
    }

    /// The same, read again until each is as it should be, or patience ends.
    pub(crate) async fn traces_when(
        &self,
        ids: &[TraceId],
        patience: Duration,
        is_good: impl Fn(&Found) -> bool,
    ) -> Result<Vec<Found>, HttpError> {
        let deadline = Instant::now() + patience;
        let mut found = self.traces(ids).await?;
        loop {
            let waiting: Vec<usize> = (0..found.len())
                .filter(|index| !is_good(&found[*index]))
                .collect();
            if waiting.is_empty() || Instant::now() >= deadline || self.stopping.is_cancelled() {
                return Ok(found);
            }
            tokio::time::sleep(POLL).await;
            let again: Vec<TraceId> = waiting.iter().map(|index| found[*index].id).collect();
            for (index, fresh) in waiting.into_iter().zip(self.traces(&again).await?) {
                found[index] = fresh;
            }
        }
    }
}
