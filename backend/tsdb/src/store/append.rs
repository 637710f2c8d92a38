//! Appending: judged, written to the log, applied. The three steps of one batch are not mixed with those of another.

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use super::appender::Appender;
use super::{Inner, Store, View, lock};
use crate::head::BLOCK_MS;
use crate::{AppendReport, Batch, Error, ExemplarEntry, ExemplarOutcome, own_metrics};

/// The head may span this much time while blocks cannot be written. Then appends are refused.
pub const HEAD_MS_MAX: i64 = 6 * BLOCK_MS;
/// How long an append waits for a block when the head has grown to its bound.
const ROOM_TIME_MAX: Duration = Duration::from_secs(5);

impl Store {
    /// Judges and stores the samples of a batch. Those stored survive a kill of the process when this returns, and a query
    /// sees all of them or none.
    ///
    /// # Errors
    /// The log cannot be written, blocks are written too slowly, or the store is closed. Nothing was stored.
    pub fn append(&self, batch: &Batch) -> Result<AppendReport, Error> {
        let result = self.inner.append(batch);
        own_metrics::appended(result.as_ref());
        result
    }

    /// Judges and stores exemplars, which are restored from the log after a kill. Series must be in the head: samples go first.
    ///
    /// # Errors
    /// The log cannot be written, or the store is closed. Nothing was stored.
    pub fn append_exemplars(
        &self,
        entries: &[ExemplarEntry],
    ) -> Result<Vec<ExemplarOutcome>, Error> {
        let outcomes = self.inner.append_exemplars(entries)?;
        own_metrics::exemplars_appended(&outcomes);
        Ok(outcomes)
    }
}

impl Inner {
    fn append(&self, batch: &Batch) -> Result<AppendReport, Error> {
        let mut guard = self.with_room()?;
        let appender = &mut *guard;
        let newest_before = appender.t_max;
        let report = appender.stage(batch, self.options.series_max);
        appender.write()?;
        appender.t_min = apply(&mut self.view_mut(), appender);
        if appender.log_is_over(newest_before) {
            self.roll(appender);
        }
        if appender.due().is_some() && !appender.is_due {
            appender.is_due = true;
            self.changed.notify_all();
        }
        Ok(report)
    }

    /// Waits until the head may grow.
    fn with_room(&self) -> Result<MutexGuard<'_, Appender>, Error> {
        let is_full = |appender: &mut Appender| {
            appender.span_ms() > HEAD_MS_MAX
                && appender.due().is_some()
                && !appender.cut_failed
                && !appender.is_closed
        };
        let waited = self
            .changed
            .wait_timeout_while(self.appender(), ROOM_TIME_MAX, is_full);
        let (mut appender, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if appender.is_closed {
            return Err(Error::Closed);
        }
        let head_ms = appender.span_ms();
        if head_ms > HEAD_MS_MAX && appender.due().is_some() {
            // Another attempt, so that appends go on as soon as blocks can be written again.
            appender.is_due = true;
            self.changed.notify_all();
            return Err(Error::Behind { head_ms });
        }
        Ok(appender)
    }

    /// Without a new log the old one goes on.
    fn roll(&self, appender: &mut Appender) {
        if let Err(error) = appender.roll(&self.dir) {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a new log of samples cannot be begun"
            );
        }
    }

    fn append_exemplars(&self, entries: &[ExemplarEntry]) -> Result<Vec<ExemplarOutcome>, Error> {
        let mut guard = self.appender();
        let appender = &mut *guard;
        if appender.is_closed {
            return Err(Error::Closed);
        }
        let places: Vec<Option<u32>> = entries
            .iter()
            .map(|entry| appender.known(&entry.series))
            .collect();
        appender.staged.clear();
        appender.frame.clear();
        let mut exemplars = lock(&self.exemplars);
        let mut any = false;
        for (entry, place) in entries.iter().zip(&places) {
            let Some(place) = *place else { continue };
            let labels = appender.labels(place);
            let outcome = labels.map(|labels| exemplars.judge(labels, &entry.exemplar));
            if outcome == Some(ExemplarOutcome::Stored) {
                appender.name(place);
                appender.frame.exemplar(place, &entry.exemplar);
                any = true;
            }
        }
        // The log lives as long as the samples in it: an exemplar's own time, which nobody has checked, does not count.
        if any && let Err(error) = appender.log.append(&mut appender.frame, i64::MIN) {
            appender.undo();
            return Err(error);
        }
        let outcomes = entries.iter().zip(places).map(|(entry, place)| {
            let labels = place.and_then(|place| appender.labels(place));
            labels.map_or(ExemplarOutcome::UnknownSeries, |labels| {
                exemplars.push(labels, &entry.exemplar)
            })
        });
        Ok(outcomes.collect())
    }
}

/// What is staged becomes visible, all at once. Answers the time of the oldest sample.
fn apply(view: &mut View, appender: &mut Appender) -> Option<i64> {
    for (place, labels) in appender.staged.created.drain(..) {
        view.head.insert(place, labels);
    }
    for (place, sample) in &appender.staged.samples {
        view.head.push(*place, *sample);
    }
    view.head.t_min()
}
