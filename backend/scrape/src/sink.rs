//! Where samples go. Whoever joins scraping and storage implements [`Sink`]; what it stores, and how, is its own matter.

use tsdb::{Exemplar, Labels};

/// Takes what was scraped or written.
pub trait Sink: Send + Sync + 'static {
    /// What storage knows a series by, for the next time.
    type Series: Copy + PartialEq + Send + Sync + 'static;

    /// Judges each sample by itself, in order, and then the exemplars.
    ///
    /// # Errors
    /// Nothing was stored, because storage does not work.
    fn append(&self, batch: &Batch<Self::Series>) -> Result<Report<Self::Series>, SinkError>;
}

/// One scrape, or one request.
#[derive(Clone, Debug)]
pub struct Batch<S> {
    /// What is too far ahead is measured from here.
    pub now_ms: i64,
    pub samples: Vec<Sample<S>>,
    pub exemplars: Vec<ExemplarOf<S>>,
}

/// One sample and its series.
#[derive(Clone, Debug)]
pub struct Sample<S> {
    /// Those of the series, whether it is known or not.
    pub labels: Labels,
    pub known: Option<S>,
    pub t_ms: i64,
    pub value: f64,
}

/// An exemplar and its series, which is not always one of the batch: remote write sends them apart.
#[derive(Clone, Debug, PartialEq)]
pub struct ExemplarOf<S> {
    pub labels: Labels,
    pub known: Option<S>,
    pub exemplar: Exemplar,
}

/// What became of a batch.
#[derive(Clone, Debug)]
pub struct Report<S> {
    /// For each sample, in order, what became of it, and its series if there is one.
    pub samples: Vec<(Outcome, Option<S>)>,
    /// For each exemplar, in order.
    pub exemplars: Vec<ExemplarOutcome>,
}

/// What became of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Or the same sample was there before.
    Stored,
    /// The series has a sample of the same time with another value.
    Duplicate,
    /// The series has a newer sample.
    OutOfOrder,
    TooOld,
    TooFarAhead,
    /// Storage takes no more series.
    SeriesLimit,
    /// Storage takes no such labels.
    Invalid,
}

/// What became of an exemplar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExemplarOutcome {
    /// Or it was there before.
    Stored,
    OutOfOrder,
    /// Its labels are too long, or there is no such series.
    Refused,
}

/// Storage does not work.
#[derive(Debug, thiserror::Error)]
#[error("cannot store samples")]
pub struct SinkError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

impl<S> Batch<S> {
    pub fn new(now_ms: i64) -> Self {
        Self {
            now_ms,
            samples: Vec::new(),
            exemplars: Vec::new(),
        }
    }
}
