//! The store as its users see it: a model beside it, the rules of appending, kills, damage, retention, concurrency.
#![allow(clippy::unwrap_used, missing_docs)]

mod appending;
mod concurrent;
mod damage;
mod exemplars;
mod killed;
mod model;
mod reading;
mod retention;

use std::ops::{ControlFlow, RangeInclusive};
use std::path::{Path, PathBuf};

use tsdb::{
    AppendReport, Batch, Error, Labels, Match, Matcher, Options, Outcome, Recovery, Series,
    SeriesKey, Source, SourceError, Store,
};

const ALL: RangeInclusive<i64> = i64::MIN..=i64::MAX;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
/// 2023-11-14T22:00:00Z, where a block begins.
const START: i64 = 1_699_999_200_000;

fn open(dir: &Path) -> (Store, Recovery) {
    open_with(dir, &Options::default())
}

fn open_with(dir: &Path, options: &Options) -> (Store, Recovery) {
    Store::open(dir, options.clone()).unwrap()
}

/// Many series of some metrics: `m0{n="0"}`, `m1{n="1"}`, `m2{n="2"}`, `m0{n="3"}` and so on.
fn labels(number: usize) -> Labels {
    Labels::new([
        ("__name__", format!("m{}", number % 3)),
        ("job", "test".to_owned()),
        ("n", number.to_string()),
    ])
}

fn append(store: &Store, now_ms: i64, samples: &[(Labels, i64, f64)]) -> AppendReport {
    let mut batch = Batch::new(now_ms);
    for (labels, t_ms, value) in samples {
        batch.push(SeriesKey::Labels(labels.clone()), *t_ms, *value);
    }
    store.append(&batch).unwrap()
}

fn outcomes(report: &AppendReport) -> Vec<Outcome> {
    report.entries.iter().map(|entry| entry.outcome).collect()
}

/// One sample a minute, in all series of a range, for some minutes from a time. The value says minute and series.
fn fill(store: &Store, series: std::ops::Range<usize>, from_ms: i64, minutes: i64) {
    for minute in 0..minutes {
        let t_ms = from_ms + minute * MINUTE;
        let samples: Vec<_> = series
            .clone()
            .map(|number| (labels(number), t_ms, (t_ms / MINUTE) as f64 + number as f64))
            .collect();
        let report = append(store, t_ms, &samples);
        assert_eq!(report.stored, samples.len(), "{report:?}");
    }
}

fn matcher(name: &str, matches: Match) -> Matcher {
    Matcher {
        name: name.into(),
        matches,
    }
}

fn select(store: &Store, matchers: &[Matcher], range: RangeInclusive<i64>) -> Vec<Series> {
    store.select(matchers, range, usize::MAX).unwrap()
}

/// What a visit shows.
fn visit(
    store: &Store,
    matchers: &[Matcher],
    range: RangeInclusive<i64>,
    samples_max: usize,
) -> Result<Vec<Series>, SourceError> {
    let mut shown = Vec::new();
    store.visit(matchers, range, samples_max, &mut |labels, samples| {
        let samples = samples.to_vec();
        shown.push(Series { labels, samples });
        ControlFlow::Continue(())
    })?;
    Ok(shown)
}

fn times(series: &Series) -> Vec<i64> {
    series.samples.iter().map(|sample| sample.t_ms).collect()
}

/// How many samples a query of everything answers.
fn count(store: &Store) -> usize {
    let all = select(store, &[], ALL);
    all.iter().map(|series| series.samples.len()).sum()
}

fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    files.sort();
    files
}
