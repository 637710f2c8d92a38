//! [`Sink`] on the sample store: what each calls a series, and what each says of a sample.

use tsdb::{Entry, ExemplarEntry, SeriesKey, SeriesRef, Store};

use crate::sink::{Batch, ExemplarOf, ExemplarOutcome, Outcome, Report, Sample, Sink, SinkError};

impl Sink for Store {
    type Series = SeriesRef;

    fn append(&self, batch: &Batch<SeriesRef>) -> Result<Report<SeriesRef>, SinkError> {
        let failed = |error: tsdb::Error| SinkError(error.into());
        let samples = tsdb::Batch {
            now_ms: batch.now_ms,
            entries: batch.samples.iter().map(entry).collect(),
        };
        let stored = Store::append(self, &samples).map_err(failed)?;
        let exemplars: Vec<ExemplarEntry> = batch.exemplars.iter().map(exemplar_entry).collect();
        let exemplars = self.append_exemplars(&exemplars).map_err(failed)?;
        Ok(Report {
            samples: stored
                .entries
                .iter()
                .map(|appended| (outcome(appended.outcome), appended.series))
                .collect(),
            exemplars: exemplars.into_iter().map(exemplar_outcome).collect(),
        })
    }
}

fn entry(sample: &Sample<SeriesRef>) -> Entry {
    Entry {
        series: key(sample.known, &sample.labels),
        t_ms: sample.t_ms,
        value: sample.value,
    }
}

fn exemplar_entry(exemplar: &ExemplarOf<SeriesRef>) -> ExemplarEntry {
    ExemplarEntry {
        series: key(exemplar.known, &exemplar.labels),
        exemplar: exemplar.exemplar.clone(),
    }
}

/// A series that has left memory since it was known is found by its labels.
fn key(known: Option<SeriesRef>, labels: &tsdb::Labels) -> SeriesKey {
    match known {
        Some(known) => SeriesKey::Cached(known, labels.clone()),
        None => SeriesKey::Labels(labels.clone()),
    }
}

fn outcome(outcome: tsdb::Outcome) -> Outcome {
    match outcome {
        tsdb::Outcome::Stored | tsdb::Outcome::Duplicate => Outcome::Stored,
        tsdb::Outcome::DuplicateTimestamp => Outcome::Duplicate,
        tsdb::Outcome::OutOfOrder => Outcome::OutOfOrder,
        tsdb::Outcome::TooOld => Outcome::TooOld,
        tsdb::Outcome::TooFarAhead => Outcome::TooFarAhead,
        tsdb::Outcome::SeriesLimit => Outcome::SeriesLimit,
        // A reference never comes without labels.
        tsdb::Outcome::InvalidLabels | tsdb::Outcome::UnknownSeries => Outcome::Invalid,
    }
}

fn exemplar_outcome(outcome: tsdb::ExemplarOutcome) -> ExemplarOutcome {
    match outcome {
        tsdb::ExemplarOutcome::Stored | tsdb::ExemplarOutcome::Duplicate => ExemplarOutcome::Stored,
        tsdb::ExemplarOutcome::OutOfOrder => ExemplarOutcome::OutOfOrder,
        tsdb::ExemplarOutcome::LabelsTooLong | tsdb::ExemplarOutcome::UnknownSeries => {
            ExemplarOutcome::Refused
        }
    }
}
