//! What a query may cost, and that each bound ends it with an error.

use std::{
    ops::{ControlFlow, RangeInclusive},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use promql::{DEPTH_MAX, Engine, Options, QueryError, STEPS_MAX, Span, TEXT_BYTES_MAX, parse};
use tsdb::{Labels, Matcher, Sample, Series, Source, SourceError};

use crate::memory::Memory;

/// The stack of the threads that queries run on.
const STACK_BYTES: usize = 2 << 20;

/// Ten series with a hundred samples each, a second apart.
fn thousand_samples() -> Memory {
    let series = (0..10).map(|number| Series {
        labels: Labels::new([("__name__", "m"), ("n", &*number.to_string())]),
        samples: (1..=100)
            .map(|second| Sample {
                t_ms: second * 1000,
                value: 1.0,
            })
            .collect(),
    });
    Memory::new(series.collect())
}

fn with_samples(samples_max: usize) -> Engine {
    Engine::new(Options {
        samples_max,
        ..Options::default()
    })
}

const SPAN: Span = Span {
    start_ms: 1000,
    end_ms: 100_000,
    step_ms: 1000,
};

#[test]
fn samples_that_are_read_are_counted() {
    let expr = parse("sum_over_time(m[100s])").unwrap();
    let outcome =
        |samples_max| with_samples(samples_max).instant(&thousand_samples(), &expr, 100_000);
    assert!(outcome(1010).is_ok());
    assert!(matches!(outcome(999), Err(QueryError::TooManySamples)));
}

#[test]
fn points_that_are_made_are_counted() {
    for (text, enough) in [
        ("m", 1000),
        ("m * 2", 1100),
        ("m @ 50", 1010),
        ("vector(1)", 101),
        ("time()", 100),
        ("sum_over_time(m[5s])", 1000),
        ("m + on (n) m", 3000),
    ] {
        let expr = parse(text).unwrap();
        let outcome =
            |samples_max| with_samples(samples_max).range(&thousand_samples(), &expr, SPAN);
        assert!(outcome(enough).is_ok(), "{text}");
        assert!(
            matches!(outcome(enough - 1), Err(QueryError::TooManySamples)),
            "{text}"
        );
    }
}

/// Says how many series were shown.
struct Watched(Memory, AtomicUsize);

impl Source for Watched {
    fn select(
        &self,
        matchers: &[Matcher],
        range_ms: RangeInclusive<i64>,
        samples_max: usize,
    ) -> Result<Vec<Series>, SourceError> {
        self.0.select(matchers, range_ms, samples_max)
    }

    fn visit(
        &self,
        matchers: &[Matcher],
        range_ms: RangeInclusive<i64>,
        samples_max: usize,
        each: &mut dyn FnMut(Labels, &[Sample]) -> ControlFlow<()>,
    ) -> Result<(), SourceError> {
        self.0
            .visit(matchers, range_ms, samples_max, &mut |labels, samples| {
                self.1.fetch_add(1, Ordering::Relaxed);
                each(labels, samples)
            })
    }
}

#[test]
fn reading_ends_with_the_first_point_too_many() {
    // A hundred points of each of ten series, in which few samples can be seen.
    for text in ["m offset 95s", "sum_over_time(m[1s] offset 95s)"] {
        let source = Watched(thousand_samples(), AtomicUsize::new(0));
        let outcome = with_samples(350).range(&source, &parse(text).unwrap(), SPAN);
        assert!(matches!(outcome, Err(QueryError::TooManySamples)), "{text}");
        assert_eq!(source.1.into_inner(), 4, "{text}");
    }
}

#[test]
fn a_subquery_of_many_steps_is_refused_before_it_is_made() {
    for text in [
        "sum_over_time(vector(time())[100y:1ms])",
        "sum_over_time(vector(1)[100y:1ms])",
        "sum_over_time(m[100y:1ms])",
        "sum_over_time(nothing[100y:1ms])",
        "sum_over_time(minute()[100y:1ms])",
    ] {
        let outcome = Engine::default().instant(&thousand_samples(), &parse(text).unwrap(), 0);
        assert!(matches!(outcome, Err(QueryError::TooManySamples)), "{text}");
    }
}

#[test]
fn what_is_given_back_is_not_counted() {
    let text = vec!["sum(m)"; 50].join(" + ");
    let expr = parse(&text).unwrap();
    let outcome = with_samples(10_000).range(&thousand_samples(), &expr, SPAN);
    assert!(outcome.is_ok());
}

#[test]
fn a_query_out_of_time_ends() {
    let engine = Engine::new(Options {
        timeout: Duration::ZERO,
        ..Options::default()
    });
    let outcome = engine.instant(&thousand_samples(), &parse("m").unwrap(), 1000);
    assert!(matches!(outcome, Err(QueryError::Timeout)));
}

#[test]
fn one_series_with_wide_windows_at_many_steps_ends_in_time() {
    let engine = Engine::new(Options {
        timeout: Duration::from_millis(100),
        ..Options::default()
    });
    // 86,400 samples a window, 10,000 windows: seconds of work on a single series.
    let span = Span {
        start_ms: 0,
        end_ms: 10_000_000,
        step_ms: 1000,
    };
    for text in [
        "sum_over_time(vector(1)[1d:1s])",
        "quantile_over_time(0.5, vector(1)[1d:1s])",
    ] {
        let outcome = engine.range(&thousand_samples(), &parse(text).unwrap(), span);
        assert!(matches!(outcome, Err(QueryError::Timeout)), "{text}");
    }
}

#[test]
fn spans_have_a_step_and_no_more_than_so_many_of_them() {
    let expr = parse("1").unwrap();
    let message = |start_ms, end_ms, step_ms| {
        let span = Span {
            start_ms,
            end_ms,
            step_ms,
        };
        Engine::default()
            .range(&thousand_samples(), &expr, span)
            .map_or_else(|error| error.to_string(), |_| "accepted".to_owned())
    };
    let longest = STEPS_MAX as i64;
    assert_eq!(message(0, longest, 1), "accepted");
    assert!(message(0, longest + 1, 1).starts_with("exceeded maximum resolution of 11,000"));
    assert!(message(0, 1, 0).starts_with("zero or negative query resolution"));
    assert!(message(1, 0, 1).starts_with("end timestamp must not be before"));
    assert_eq!(message(i64::MAX - 1, i64::MAX, 1), "accepted");
    assert!(message(i64::MIN, i64::MAX, 1).starts_with("exceeded maximum resolution"));
}

#[test]
fn times_at_the_ends_of_the_number_range_are_times() {
    for text in [
        "m",
        "m[1y]",
        "rate(m[1y] offset 1y)",
        "m @ 9e15",
        "m offset -200y",
        "sum_over_time(m[5m:1m])",
        "sum_over_time(m[5m:1m] offset -1y)",
        "timestamp(m)",
        "year()",
        "predict_linear(m[5m], 1)",
    ] {
        let expr = parse(text).unwrap();
        for t_ms in [i64::MIN, -1, 0, i64::MAX] {
            assert!(
                Engine::default()
                    .instant(&thousand_samples(), &expr, t_ms)
                    .is_ok(),
                "{text} at {t_ms}"
            );
        }
        let span = Span {
            start_ms: i64::MIN,
            end_ms: i64::MAX,
            step_ms: i64::MAX,
        };
        let outcome = Engine::default().range(&thousand_samples(), &expr, span);
        assert!(text.contains('[') || outcome.is_ok(), "{text}");
    }
}

#[test]
fn texts_are_no_longer_than_the_bound() {
    let number = |length: usize| "1".repeat(length);
    let padded = |length: usize| " ".repeat(length - 1) + "1";
    assert!(parse(&padded(TEXT_BYTES_MAX)).is_ok());
    assert!(parse(&padded(TEXT_BYTES_MAX + 1)).is_err());
    assert!(parse(&number(TEXT_BYTES_MAX)).is_err());
}

#[test]
fn the_deepest_expressions_fit_the_stack_and_deeper_ones_are_refused() {
    type Nest = fn(usize) -> String;
    let shapes: [Nest; 10] = [
        |depth| "(".repeat(depth) + "m" + &")".repeat(depth),
        |depth| "abs(".repeat(depth) + "m" + &")".repeat(depth),
        |depth| "sum(".repeat(depth) + "m" + &")".repeat(depth),
        |depth| "topk(1, ".repeat(depth) + "m" + &")".repeat(depth),
        |depth| "- -".repeat(depth / 2) + "m",
        |depth| "m + ".repeat(depth) + "m",
        |depth| "m ^ ".repeat(depth) + "m",
        |depth| "m or (".repeat(depth / 2) + "m" + &")".repeat(depth / 2),
        |depth| "m".to_owned() + &"[1m:1s][1m:1s]".repeat(depth / 2),
        |depth| "m[".to_owned() + &"(1 + ".repeat(depth / 2) + "1m" + &")".repeat(depth / 2) + "]",
    ];
    let on_small_stack = move || {
        let engine = Engine::default();
        for shape in shapes {
            let text = shape(DEPTH_MAX - 1);
            if let Ok(expr) = parse(&text) {
                assert!(parse(&expr.to_string()).is_ok(), "{text}");
                assert!(
                    engine.instant(&thousand_samples(), &expr, 100_000).is_ok(),
                    "{text}"
                );
            } else {
                assert!(text.contains("]["), "{text}");
            }
            for depth in [DEPTH_MAX + 2, 20_000] {
                let text = shape(depth);
                assert!(parse(&text).is_err(), "{text}");
            }
        }
    };
    let thread = thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(on_small_stack)
        .unwrap();
    thread.join().unwrap();
}

/// Texts that are nearly expressions: each of the corpus cut off anywhere, and with a character left out anywhere.
#[test]
fn damaged_expressions_are_read_or_refused() {
    let corpus = concat!(
        include_str!("corpus/expressions.txt"),
        include_str!("corpus/refused.txt")
    );
    let source = thousand_samples();
    let engine = Engine::default();
    let mut read = 0;
    for line in corpus.lines() {
        for (at, c) in line.char_indices() {
            let without = format!("{}{}", &line[..at], &line[at + c.len_utf8()..]);
            for text in [&line[..at], &*without] {
                if let Ok(expr) = parse(text) {
                    read += 1;
                    assert!(parse(&expr.to_string()).is_ok(), "{text}: {expr}");
                    // What it gives does not matter here, only that it ends.
                    let _ = engine.instant(&source, &expr, 50_000);
                }
            }
        }
    }
    assert!(read > 1000, "{read} texts");
}

#[test]
fn patterns_that_would_fill_memory_are_refused() {
    let error = parse(r#"m{a=~"((a{100}){100}){100}"}"#).unwrap_err();
    assert!(
        error.to_string().ends_with("expression is too large"),
        "{error}"
    );
}

/// A source that cannot be read.
struct Broken;

impl Source for Broken {
    fn select(
        &self,
        _: &[Matcher],
        _: RangeInclusive<i64>,
        _: usize,
    ) -> Result<Vec<Series>, SourceError> {
        Err(SourceError::Storage("disk on fire".into()))
    }
}

#[test]
fn a_source_that_fails_fails_the_query() {
    let error = Engine::default()
        .instant(&Broken, &parse("m").unwrap(), 0)
        .unwrap_err();
    assert!(
        matches!(error, QueryError::Source(SourceError::Storage(_))),
        "{error}"
    );
}
