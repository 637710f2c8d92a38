//! Samples in memory: a source and a place for results, and a world that moves on.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Mutex;

use alerting::{Append, AppendError, Notification, RuleFile, Rules, Surroundings};
use tsdb::{Labels, Matcher, Sample, Series, Source, SourceError};

#[derive(Default)]
pub(crate) struct Memory(Mutex<BTreeMap<Labels, Vec<Sample>>>);

impl Memory {
    pub(crate) fn add(&self, labels: Labels, t_ms: i64, value: f64) {
        self.0
            .lock()
            .unwrap()
            .entry(labels)
            .or_default()
            .push(Sample { t_ms, value });
    }

    /// All samples of the series with this name, as text of its other labels.
    pub(crate) fn of(&self, name: &str) -> Vec<(Labels, Vec<Sample>)> {
        let series = self.0.lock().unwrap();
        let of_name = series
            .iter()
            .filter(|(labels, _)| labels.get("__name__") == name);
        of_name
            .map(|(labels, samples)| (labels.clone(), samples.clone()))
            .collect()
    }
}

impl Source for Memory {
    fn select(
        &self,
        matchers: &[Matcher],
        range_ms: RangeInclusive<i64>,
        _: usize,
    ) -> Result<Vec<Series>, SourceError> {
        let series = self.0.lock().unwrap();
        let fits = |labels: &Labels| {
            matchers
                .iter()
                .all(|matcher| matcher.matches.holds(labels.get(&matcher.name)))
        };
        let selected =
            series
                .iter()
                .filter(|(labels, _)| fits(labels))
                .filter_map(|(labels, samples)| {
                    let from = samples.partition_point(|sample| sample.t_ms < *range_ms.start());
                    let to = samples.partition_point(|sample| sample.t_ms <= *range_ms.end());
                    (from < to).then(|| Series {
                        labels: labels.clone(),
                        samples: samples[from..to].to_vec(),
                    })
                });
        Ok(selected.collect())
    }
}

impl Append for Memory {
    fn append(&self, samples: &[(Labels, Sample)]) -> Result<(), AppendError> {
        samples
            .iter()
            .for_each(|(labels, sample)| self.add(labels.clone(), sample.t_ms, sample.value));
        Ok(())
    }
}

/// Rules over a memory.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) memory: Memory,
    pub(crate) rules: Rules,
    engine: promql::Engine,
    external_labels: Labels,
}

impl World {
    pub(crate) fn new(yaml: &str) -> Self {
        Self::over(Memory::default(), yaml)
    }

    /// The same rules over samples that are there already.
    pub(crate) fn over(memory: Memory, yaml: &str) -> Self {
        let mut world = Self {
            memory,
            ..Self::default()
        };
        world.apply(yaml);
        world
    }

    pub(crate) fn apply(&mut self, yaml: &str) {
        let file = RuleFile::parse(Path::new("rules.yml"), yaml).unwrap();
        self.rules.apply(vec![file], 15_000);
    }

    /// Evaluates all groups at this time.
    pub(crate) fn at(&mut self, t_ms: i64) -> Vec<Notification> {
        let with = surroundings(&self.memory, &self.engine, &self.external_labels);
        self.rules.evaluate_all(t_ms, &with)
    }

    /// Evaluates the groups that are due by this time.
    pub(crate) fn tick(&mut self, now_ms: i64) -> Vec<Notification> {
        let with = surroundings(&self.memory, &self.engine, &self.external_labels);
        self.rules.tick(now_ms, &with)
    }
}

fn surroundings<'s>(
    memory: &'s Memory,
    engine: &'s promql::Engine,
    external_labels: &'s Labels,
) -> Surroundings<'s> {
    Surroundings {
        engine,
        source: memory,
        append: memory,
        external_labels,
        external_url: "http://prometheus",
    }
}
