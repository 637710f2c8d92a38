//! Metrics pages: Prometheus' text format 0.0.4 and OpenMetrics 1.0, read in one pass without copying.
//!
//! A sample's labels stay text until somebody asks for them, since most scrapes bring series that are known by their text.
//! Strictness is that of Prometheus, save two things: bytes after a NUL are an error here rather than ignored, and
//! escapes in the labels of an exemplar are resolved. Native histograms exist in protobuf only, which is not read.

mod content_type;
mod cursor;
mod label_block;
mod metadata;
mod number;
mod openmetrics;
#[cfg(test)]
mod tests;
mod text;

use std::borrow::Cow;

pub use content_type::ContentTypeError;

use cursor::Cursor;

/// A name or value as it is meant, escapes resolved.
pub type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// In which language a page is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    Text,
    OpenMetrics,
}

/// What a metric is, by its `# TYPE`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
    GaugeHistogram,
    Summary,
    Info,
    StateSet,
    #[default]
    Unknown,
}

/// One line of a page. Comments and blank lines are left out.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry<'a> {
    Help {
        family: Cow<'a, str>,
        text: Cow<'a, str>,
    },
    Kind {
        family: Cow<'a, str>,
        kind: Kind,
    },
    Unit {
        family: Cow<'a, str>,
        unit: &'a str,
    },
    Sample(Sample<'a>),
}

/// A measurement as it stands on the page.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample<'a> {
    /// Name and labels as they are written: the same text is the same series.
    pub series: &'a str,
    pub value: f64,
    pub t_ms: Option<i64>,
    pub exemplar: Option<Exemplar<'a>>,
    format: Format,
    kind: Kind,
}

/// What stands behind `#` after a sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar<'a> {
    labels: &'a str,
    pub value: f64,
    pub t_ms: Option<i64>,
}

/// Why a page is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ParseError {
    /// From 1.
    pub line: usize,
    pub reason: String,
}

/// Reads a page from its beginning. After an error there is nothing more.
#[derive(Debug)]
pub struct Parser<'a> {
    cursor: Cursor<'a>,
    format: Format,
    /// Of the last `# TYPE`: decides how `le` and `quantile` are written.
    kind: Kind,
    done: bool,
}

impl<'a> Parser<'a> {
    pub fn new(page: &'a [u8], format: Format) -> Self {
        Self {
            cursor: Cursor::new(page),
            format,
            kind: Kind::Unknown,
            done: false,
        }
    }
}

impl<'a> Iterator for Parser<'a> {
    type Item = Result<Entry<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let entry = match self.format {
            Format::Text => text::entry(&mut self.cursor, self.kind),
            Format::OpenMetrics => openmetrics::entry(&mut self.cursor, self.kind),
        };
        match &entry {
            Ok(Some(Entry::Kind { kind, .. })) => self.kind = *kind,
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => self.done = true,
        }
        entry.map_err(|fault| self.cursor.place(fault)).transpose()
    }
}

impl<'a> Sample<'a> {
    /// Appends all labels, the name as `__name__` among them, in the order of the page and as often as they stand there.
    /// `le` of a histogram and `quantile` of a summary become canonical: `1` is `1.0`.
    pub fn labels(&self, out: &mut Vec<Pair<'a>>) {
        let first = out.len();
        label_block::decode(self.series, self.format, out);
        let numeric = match self.kind {
            Kind::Histogram => "le",
            Kind::Summary => "quantile",
            _ => return,
        };
        let values = out[first..].iter_mut().filter(|(name, _)| name == numeric);
        for (_, value) in values {
            if let Ok(number) = number::parse(value) {
                *value = number::canonical(number).into();
            }
        }
    }
}

impl<'a> Exemplar<'a> {
    /// Appends its labels.
    pub fn labels(&self, out: &mut Vec<Pair<'a>>) {
        label_block::decode(self.labels, Format::OpenMetrics, out);
    }
}

impl Kind {
    /// As OpenMetrics and the metadata API call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::StateSet => "stateset",
            Self::Unknown => "unknown",
        }
    }
}
