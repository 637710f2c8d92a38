//! The page as text: OpenMetrics 1.0 and Prometheus text 0.0.4, from values that were read before.
//!
//! Pure. Both formats give a series the same name and the same label text, `le` included, so that negotiating another
//! format never renames a series. What differs: exemplars, `# UNIT` and `# EOF` exist in OpenMetrics only, which
//! also names a counter's family without `_total`.
//!
//! `_created` is left out: nothing here resets a counter but a restart, which `process_start_time_seconds` tells, and
//! a line more per series would be read by Prometheus as a series of its own.

use std::sync::Arc;

use metrics::Unit;
use opentelemetry::trace::{SpanId, TraceId};

use super::catalog::Description;
use super::cells::{Distribution, Kind};
use super::exemplars::Exemplar;
use super::names::{LE, TOTAL};
use super::negotiation::Format;
use super::numbers::{write_float, write_integer, write_timestamp};

/// One metric as it goes on the page.
#[derive(Debug)]
pub(super) struct Family {
    /// A counter's without `_total`.
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) description: Option<Arc<Description>>,
    /// A histogram's upper bounds, nothing otherwise.
    pub(super) bounds: Arc<[f64]>,
    /// Label text and value.
    pub(super) points: Vec<(Arc<str>, Point)>,
}

/// The value of one series.
#[derive(Debug)]
pub(super) enum Point {
    Integer(u64, Option<Exemplar>),
    Float(f64),
    Distribution(Distribution),
}

/// Appends every family, in the order given.
pub(super) fn write_page(page: &mut String, families: &[Family], format: Format) {
    for family in families {
        let writer = Writer { family, format };
        writer.metadata(page);
        writer.points(page);
    }
    if format.is_openmetrics() {
        page.push_str("# EOF\n");
    }
}

struct Writer<'a> {
    family: &'a Family,
    format: Format,
}

impl Writer<'_> {
    fn metadata(&self, page: &mut String) {
        let family = self.family;
        if self.format.is_openmetrics() {
            self.metadata_line(page, "TYPE", self.kind());
            if let Some(unit) = family.unit() {
                self.metadata_line(page, "UNIT", unit);
            }
        }
        if let Some(description) = &family.description {
            self.metadata_line(page, "HELP", &escape_help(&description.help, self.format));
        }
        if !self.format.is_openmetrics() {
            self.metadata_line(page, "TYPE", self.kind());
        }
    }

    fn metadata_line(&self, page: &mut String, keyword: &str, text: &str) {
        let suffix = if self.format.is_openmetrics() {
            ""
        } else {
            self.suffix()
        };
        for part in [
            "# ",
            keyword,
            " ",
            &self.family.name,
            suffix,
            " ",
            text,
            "\n",
        ] {
            page.push_str(part);
        }
    }

    fn points(&self, page: &mut String) {
        let les: Vec<String> = self
            .family
            .bounds
            .iter()
            .copied()
            .chain([f64::INFINITY])
            .map(le_label)
            .collect();
        for (labels, point) in &self.family.points {
            match point {
                Point::Integer(value, exemplar) => {
                    self.name(page, self.suffix(), labels, "");
                    write_integer(page, *value);
                    self.end(page, exemplar.as_ref());
                }
                Point::Float(value) => self.float(page, self.suffix(), labels, *value),
                Point::Distribution(distribution) => {
                    self.distribution(page, labels, distribution, &les)
                }
            }
        }
    }

    fn distribution(
        &self,
        page: &mut String,
        labels: &str,
        distribution: &Distribution,
        les: &[String],
    ) {
        let mut cumulative = 0;
        let buckets = distribution.counts.iter().zip(&distribution.exemplars);
        for (le, (count, exemplar)) in les.iter().zip(buckets) {
            cumulative += count;
            self.name(page, "_bucket", labels, le);
            write_integer(page, cumulative);
            self.end(page, exemplar.as_ref());
        }
        // OpenMetrics: a sum is a counter, so there is none of negative samples, and then no count either.
        let has_negative_bound = self.family.bounds.first().is_some_and(|bound| *bound < 0.0);
        let is_counter = distribution.sum >= 0.0 && !has_negative_bound;
        if is_counter || !self.format.is_openmetrics() {
            self.float(page, "_sum", labels, distribution.sum);
            self.name(page, "_count", labels, "");
            write_integer(page, cumulative);
            self.end(page, None);
        }
    }

    fn float(&self, page: &mut String, suffix: &str, labels: &str, value: f64) {
        self.name(page, suffix, labels, "");
        write_float(page, value);
        self.end(page, None);
    }

    /// Name, labels and the space before the value. `more` is a label beside those of the series, or nothing.
    fn name(&self, page: &mut String, suffix: &str, labels: &str, more: &str) {
        page.push_str(&self.family.name);
        page.push_str(suffix);
        if !labels.is_empty() || !more.is_empty() {
            let comma = if labels.is_empty() || more.is_empty() {
                ""
            } else {
                ","
            };
            for part in ["{", labels, comma, more, "}"] {
                page.push_str(part);
            }
        }
        page.push(' ');
    }

    fn end(&self, page: &mut String, exemplar: Option<&Exemplar>) {
        if let Some(exemplar) = exemplar
            && self.format.is_openmetrics()
        {
            write_exemplar(page, exemplar);
        }
        page.push('\n');
    }

    fn kind(&self) -> &'static str {
        match self.family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }

    /// Of the one sample that a counter or gauge has.
    fn suffix(&self) -> &'static str {
        match self.family.kind {
            Kind::Counter => TOTAL,
            Kind::Gauge | Kind::Histogram => "",
        }
    }
}

impl Family {
    /// Only a unit that the name ends in may be named (OpenMetrics 1.0, "MetricFamily metadata").
    fn unit(&self) -> Option<&'static str> {
        let unit = match self.description.as_ref()?.unit? {
            Unit::Count => return None,
            Unit::Percent => "ratio",
            unit => unit.as_str(),
        };
        let before = self.name.strip_suffix(unit)?;
        before.ends_with('_').then_some(unit)
    }
}

/// Ids take 32 and 16 characters, with their label names 63 of the 128 that an exemplar's labels may have.
fn write_exemplar(page: &mut String, exemplar: &Exemplar) {
    page.push_str(" # {trace_id=\"");
    write_hex(page, &TraceId::to_bytes(exemplar.trace_id));
    page.push_str("\",span_id=\"");
    write_hex(page, &SpanId::to_bytes(exemplar.span_id));
    page.push_str("\"} ");
    write_float(page, exemplar.value);
    page.push(' ');
    write_timestamp(page, exemplar.at);
}

fn write_hex(page: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        page.push(DIGITS[usize::from(byte >> 4)] as char);
        page.push(DIGITS[usize::from(byte & 0xf)] as char);
    }
}

fn le_label(bound: f64) -> String {
    let mut label = format!("{LE}=\"");
    write_float(&mut label, bound);
    label.push('"');
    label
}

/// OpenMetrics escapes quotes here too; in text 0.0.4 a backslash before a quote would be read as a backslash.
fn escape_help(help: &str, format: Format) -> String {
    let help = help.replace('\\', "\\\\").replace('\n', "\\n");
    if format.is_openmetrics() {
        return help.replace('"', "\\\"");
    }
    help
}
