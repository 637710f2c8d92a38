//! Arbitrary bytes as a page of metrics, in both formats: what is read can be written, read again and scraped.
#![no_main]

use std::{path::Path, sync::Arc, sync::LazyLock, time::Duration};

use scrape::{
    config::Config,
    exposition::{Entry, Format, Pair, Parser},
    state::{Attempt, Page, State, Summary},
    target::{self, Found, Target},
};

/// One without and one with relabelling and limits.
static TARGETS: LazyLock<Vec<Arc<Target>>> = LazyLock::new(|| {
    let yaml = "scrape_configs:
- {job_name: a, static_configs: [{targets: ['a:1'], labels: {service: own}}]}
- job_name: b
  honor_labels: true
  sample_limit: 20
  label_limit: 10
  label_value_length_limit: 50
  static_configs: [{targets: ['b:1']}]
  metric_relabel_configs:
  - {action: drop, source_labels: [__name__], regex: 'b.*'}
  - {action: labelmap, regex: 'c(.*)', replacement: 'd_$1'}
";
    let config = Config::parse(Path::new("p.yml"), yaml).expect("the file is sound");
    let jobs = config.jobs.into_iter().map(Arc::new);
    let found = jobs.flat_map(|job| target::find(&job, &job.groups[0]));
    let active = found.filter_map(|found| match found {
        Found::Active(target) => Some(Arc::new(target)),
        _ => None,
    });
    active.collect()
});

libfuzzer_sys::fuzz_target!(|page: &[u8]| {
    for (format, content_type) in [
        (Format::Text, "text/plain"),
        (Format::OpenMetrics, "application/openmetrics-text"),
    ] {
        check_reading(page, format);
        for target in &*TARGETS {
            check_scrapes(page, content_type, target);
        }
    }
});

fn check_reading(page: &[u8], format: Format) {
    let mut written = String::new();
    let mut samples = 0;
    for entry in Parser::new(page, format) {
        let Ok(entry) = entry else { return };
        let Entry::Sample(sample) = entry else {
            continue;
        };
        if let Some(exemplar) = &sample.exemplar {
            exemplar.labels(&mut Vec::new());
        }
        let mut labels = Vec::new();
        sample.labels(&mut labels);
        assert!(labels.iter().any(|(name, _)| name == "__name__"));
        samples += 1;
        written += &line(&labels, sample.value);
    }
    written += "# EOF\n";
    let again = Parser::new(written.as_bytes(), Format::OpenMetrics);
    let again = again.map(|entry| entry.expect("what is written can be read"));
    assert_eq!(again.count(), samples);
}

/// A sample of OpenMetrics, all names in quotes. A label without a name cannot be written, and no page can have one.
fn line(labels: &[Pair<'_>], value: f64) -> String {
    let quote = |text: &str| {
        let text = text.replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{}\"", text.replace('\n', "\\n"))
    };
    let (mut name, mut pairs) = (None, Vec::new());
    for (label, value) in labels {
        if label == "__name__" && name.is_none() {
            name = Some(quote(value));
        } else {
            pairs.push(format!("{}={}", quote(label), quote(value)));
        }
    }
    let name = name.expect("every sample has a name");
    pairs.insert(0, name);
    let value = if value.is_nan() {
        "NaN".to_owned()
    } else {
        value.to_string()
    };
    format!("{{{}}} {value}\n", pairs.join(","))
}

/// The same page twice: nothing is new the second time, and what is refused once is refused again.
fn check_scrapes(page: &[u8], content_type: &str, target: &Arc<Target>) {
    let mut state = State::new(Arc::clone(target));
    let first = scrape(&mut state, page, content_type, 1_000);
    let second = scrape(&mut state, page, content_type, 2_000);
    for summary in [&first, &second] {
        assert!(summary.kept <= summary.scraped);
        assert!(summary.series_added <= summary.kept);
    }
    assert_eq!(first.error.is_some(), second.error.is_some());
    assert_eq!((first.scraped, first.kept), (second.scraped, second.kept));
    assert_eq!(second.series_added, 0);
    state
        .stop(3_000, &fuzz::metrics::Memory::new())
        .expect("memory takes everything");
}

fn scrape(state: &mut State<u64>, body: &[u8], content_type: &str, t_ms: i64) -> Summary {
    let attempt = Attempt {
        t_ms,
        duration: Duration::ZERO,
        page: Ok(Page { body, content_type }),
    };
    state.scrape(attempt, &fuzz::metrics::Memory::new())
}
