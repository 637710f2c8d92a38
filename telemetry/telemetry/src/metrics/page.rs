//! One page of metrics: reads every cell, adds what is computed for the page, and writes the format that was asked for.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use conventions::metrics::{
    OUTCOME, OUTCOME_CONTENDED, OUTCOME_NOT_KEPT, OUTCOME_STORED, TELEMETRY_EXEMPLARS,
    TELEMETRY_SAMPLES_DROPPED, TELEMETRY_SERIES_OVERFLOW,
};

use super::cells::{Cell, Kind, Outcomes};
use super::exposition::{self, Family, Point};
use super::recorder::Inner;
use super::{names, negotiation, process};

/// Metrics that are computed for each page; nobody may register their names.
pub(super) const OWN_METRICS: [(&str, Kind); 3] = [
    (TELEMETRY_EXEMPLARS, Kind::Counter),
    (TELEMETRY_SERIES_OVERFLOW, Kind::Counter),
    (TELEMETRY_SAMPLES_DROPPED, Kind::Counter),
];

/// Serves the pages of one recorder. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MetricsHandle {
    inner: Arc<Inner>,
}

/// One page, for the body and the `Content-Type` header of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Says which format the body has.
    pub content_type: &'static str,
    /// The metrics.
    pub body: String,
}

impl MetricsHandle {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    /// Every metric as it is now, in the format that suits this `Accept` header best: OpenMetrics 1.0.0 or 0.0.1, or
    /// Prometheus text 0.0.4, which is also what anybody gets who asks for nothing we have. Join the header with
    /// commas if the request has several.
    ///
    /// Takes about a microsecond per histogram series and reads the process's own figures from the system; recording
    /// goes on meanwhile.
    ///
    /// ```
    /// use telemetry::metrics::RecorderBuilder;
    ///
    /// let handle = RecorderBuilder::new("gateway").version("1.2.3").build()?.handle();
    /// let page = handle.render(Some("application/openmetrics-text; version=1.0.0"));
    /// assert_eq!(page.content_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    /// assert!(page.body.contains("build_info{service=\"gateway\",version=\"1.2.3\"} 1.0\n"));
    /// assert!(page.body.ends_with("# EOF\n"));
    /// # Ok::<(), telemetry::metrics::BuildError>(())
    /// ```
    pub fn render(&self, accept: Option<&str>) -> Page {
        let format = negotiation::negotiate(accept);
        let last_bytes = self.inner.page_bytes.load(Ordering::Relaxed);
        let mut body = String::with_capacity(last_bytes + last_bytes / 8);
        exposition::write_page(&mut body, &self.inner.families(), format);
        self.inner.page_bytes.store(body.len(), Ordering::Relaxed);
        Page {
            content_type: format.content_type(),
            body,
        }
    }
}

impl Inner {
    /// All families in the order of their names.
    fn families(&self) -> Vec<Family> {
        let mut outcomes = Outcomes::default();
        let mut families = Vec::new();
        for (family, description) in self.catalog.families() {
            let series = family.series(&self.catalog.global);
            series
                .iter()
                .for_each(|(_, cell)| cell.add_outcomes(&mut outcomes));
            families.push(Family {
                name: family.name.clone(),
                kind: family.kind,
                description,
                bounds: Arc::clone(&family.bounds),
                points: series
                    .into_iter()
                    .map(|(labels, cell)| (labels, point(&cell)))
                    .collect(),
            });
        }
        families.extend(self.own_families(outcomes));
        if self.process_metrics {
            families.extend(process::read().map(|(name, kind, value)| {
                let labels = self.catalog.global.text();
                self.computed(name, kind, [(labels.to_owned(), Point::Float(value))])
            }));
        }
        families.sort_by(|left, right| left.name.cmp(&right.name));
        families
    }

    fn own_families(&self, outcomes: Outcomes) -> [Family; 3] {
        let global = &self.catalog.global;
        let exemplars = [
            (OUTCOME_CONTENDED, outcomes.contended),
            (OUTCOME_NOT_KEPT, outcomes.not_kept),
            (OUTCOME_STORED, outcomes.stored),
        ];
        let exemplars = exemplars
            .map(|(outcome, count)| (global.with(OUTCOME, outcome), Point::Integer(count, None)));
        let alone = |count| [(global.text().to_owned(), Point::Integer(count, None))];
        let refused = self.refused.load(Ordering::Relaxed);
        [
            self.computed(TELEMETRY_EXEMPLARS, Kind::Counter, exemplars),
            self.computed(TELEMETRY_SERIES_OVERFLOW, Kind::Counter, alone(refused)),
            self.computed(
                TELEMETRY_SAMPLES_DROPPED,
                Kind::Counter,
                alone(outcomes.rejected),
            ),
        ]
    }

    fn computed<const N: usize>(
        &self,
        name: &str,
        kind: Kind,
        points: [(String, Point); N],
    ) -> Family {
        let name = names::family_name(name, kind);
        Family {
            description: self.catalog.description(&name),
            name,
            kind,
            bounds: Arc::from([]),
            points: points
                .map(|(labels, point)| (Arc::from(labels), point))
                .into(),
        }
    }
}

fn point(cell: &Cell) -> Point {
    match cell {
        Cell::Counter(counter) => {
            // The exemplar first: its increment is then part of the value.
            let exemplar = counter.exemplar();
            Point::Integer(counter.value(), exemplar)
        }
        Cell::Gauge(gauge) => Point::Float(gauge.value()),
        Cell::Histogram(histogram) => Point::Distribution(histogram.read()),
    }
}
