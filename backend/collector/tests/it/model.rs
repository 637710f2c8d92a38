//! The state machine against a naive model: random traces, orders, duplicates, splits over requests, late marks, pauses.
//! Without pressure the kept spans must be the model's; under pressure nothing that must be kept may be missing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock},
    time::Duration,
};

use collector::{Collector, Options, Report};
use opentelemetry_proto::tonic::trace::v1::Span;
use otlp::TraceSink;
use proptest::prelude::*;

use crate::traffic::{self, Kept, Time};

const TRACES: usize = 6;
const SPANS: usize = 7;
const WAIT_MS: u64 = 4000;

/// The first two are kept by the hash, the others are not.
static TRACE_IDS: LazyLock<[[u8; 16]; TRACES]> = LazyLock::new(|| {
    let ids = |kept| {
        (0..)
            .map(traffic::trace_id)
            .filter(move |id| traffic::hash_keeps(id) == kept)
    };
    let mut ids = ids(true).take(2).chain(ids(false));
    std::array::from_fn(|_| ids.next().unwrap())
});

/// Text that does not compress to nothing.
static PADDING: LazyLock<String> = LazyLock::new(|| {
    (0..25_000)
        .map(|at| format!("{:016x}", traffic::mix(at)))
        .collect()
});

/// What the spans of one run are like: each is failed or not, late or not, once and for all.
#[derive(Clone, Debug)]
struct World {
    failed: [[bool; SPANS]; TRACES],
    late: [[bool; SPANS]; TRACES],
    /// Bytes of an attribute by span number: large ones fill bodies.
    padding: [usize; SPANS],
}

#[derive(Clone, Debug)]
enum Step {
    Send(Vec<(usize, usize)>),
    Pass(u64),
}

impl World {
    fn span(&self, trace: usize, number: usize) -> (&'static str, Span) {
        let padding = &PADDING[..self.padding[number]];
        let mut span = traffic::span(
            TRACE_IDS[trace],
            number as u64,
            vec![traffic::text("padding", padding)],
        );
        if self.failed[trace][number] {
            span = traffic::failed(span);
        }
        if self.late[trace][number] {
            span = traffic::late(span);
        }
        (["gateway", "worker"][number % 2], span)
    }

    /// The policies keep this span by itself.
    fn wanted(&self, trace: usize, number: usize) -> bool {
        self.failed[trace][number] || trace < 2
    }
}

/// What should happen, without bodies, shards and bounds on memory.
#[derive(Default)]
struct Model {
    now: u64,
    live: BTreeMap<(bool, usize), (u64, Vec<usize>)>,
    kept: BTreeMap<(bool, usize), BTreeSet<usize>>,
    dropped: BTreeSet<(bool, usize)>,
    exported: Vec<(usize, usize)>,
    sampled_out: u64,
    duplicates: u64,
}

impl Model {
    fn send(&mut self, world: &World, trace: usize, number: usize, spans_max: usize) {
        let key = (world.late[trace][number], trace);
        if !self.live.contains_key(&key) {
            if self.kept.contains_key(&key) {
                return self.keep(key, number, spans_max);
            }
            if self.dropped.contains(&key) && !world.wanted(trace, number) {
                self.sampled_out += 1;
                return;
            }
        }
        let spans = &mut self.live.entry(key).or_insert((self.now, Vec::new())).1;
        spans.push(number);
        if spans.len() >= spans_max {
            self.decide(world, key, spans_max);
        }
    }

    fn pass(&mut self, world: &World, time: u64, spans_max: usize) {
        self.now += time;
        let due = |(_, (arrived, _)): &(&(bool, usize), &(u64, Vec<usize>))| {
            arrived + WAIT_MS <= self.now
        };
        let due: Vec<_> = self.live.iter().filter(due).map(|(key, _)| *key).collect();
        due.into_iter()
            .for_each(|key| self.decide(world, key, spans_max));
    }

    fn decide(&mut self, world: &World, key: (bool, usize), spans_max: usize) {
        let (_, spans) = self.live.remove(&key).unwrap();
        if spans.iter().any(|number| world.wanted(key.1, *number)) {
            self.dropped.remove(&key);
            self.kept.insert(key, BTreeSet::new());
            spans
                .into_iter()
                .for_each(|number| self.keep(key, number, spans_max));
        } else {
            self.dropped.insert(key);
            self.sampled_out += spans.len() as u64;
        }
    }

    fn keep(&mut self, key: (bool, usize), number: usize, spans_max: usize) {
        let ids = self.kept.get_mut(&key).unwrap();
        if ids.contains(&number) {
            self.duplicates += 1;
            return;
        }
        if ids.len() < spans_max {
            ids.insert(number);
        }
        self.exported.push((key.1, number));
    }
}

/// Runs the collector over the steps. Spans that were exported, and the account after the stop.
fn run(world: &World, steps: &[Step], options: Options) -> (Vec<(String, Span)>, Report) {
    let time = Time::default();
    let kept = Arc::new(Kept::default());
    let options = Options {
        tick: None,
        ..options
    };
    let collector = Collector::start(
        traffic::config("4s"),
        options,
        time.clock(),
        Arc::clone(&kept) as _,
    )
    .unwrap();
    for step in steps {
        match step {
            Step::Send(spans) => {
                let spans: Vec<_> = spans
                    .iter()
                    .map(|(trace, number)| world.span(*trace, *number))
                    .collect();
                assert!(collector.handle().accept(traffic::request(&spans)).is_ok());
            }
            Step::Pass(ms) => {
                time.pass(Duration::from_millis(*ms));
                collector.tick();
            }
        }
        assert!(collector.report().is_exact(), "{}", collector.report());
    }
    let report = collector.stop(Duration::from_secs(10));
    assert!(
        report.is_exact() && report.lost == 0 && report.pending == 0,
        "{report}"
    );
    assert_eq!(report.buffered_bytes, 0, "{report}");
    (kept.spans(), report)
}

fn world() -> impl Strategy<Value = World> {
    let flags = || prop::array::uniform6(prop::array::uniform7(prop::bool::weighted(0.15)));
    let padding = prop::array::uniform7(
        prop_oneof![3 => Just(0), 2 => Just(300), 1 => Just(20_000), 1 => Just(70_000)],
    );
    (flags(), flags(), padding).prop_map(|(failed, late, padding)| World {
        failed,
        late,
        padding,
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let spans = prop::collection::vec((0..TRACES, 0..SPANS), 1..12);
    let step =
        prop_oneof![3 => spans.prop_map(Step::Send), 1 => (1..2 * WAIT_MS).prop_map(Step::Pass)];
    prop::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn without_pressure_the_kept_spans_are_the_models(world in world(), steps in steps(), shards in 1..4_usize, spans_max in prop_oneof![Just(3_usize), Just(1000)]) {
        let mut model = Model::default();
        for step in &steps {
            match step {
                Step::Send(spans) => spans.iter().for_each(|(trace, number)| model.send(&world, *trace, *number, spans_max)),
                Step::Pass(ms) => model.pass(&world, *ms, spans_max),
            }
        }
        model.pass(&world, WAIT_MS, spans_max);

        let options = Options { shards, spans_per_trace_max: spans_max, ..Options::default() };
        let (mut exported, report) = run(&world, &steps, options);
        let mut expected: Vec<_> = model.exported.iter().map(|(trace, number)| world.span(*trace, *number)).map(|(service, span)| (service.to_owned(), span)).collect();
        let order = |(_, span): &(String, Span)| (span.trace_id.clone(), span.span_id.clone());
        exported.sort_by_key(order);
        expected.sort_by_key(order);
        prop_assert_eq!(exported, expected);
        prop_assert_eq!((report.sampled_out, report.duplicates), (model.sampled_out, model.duplicates));
    }

    #[test]
    fn under_pressure_nothing_that_must_be_kept_is_missing_and_nothing_is_kept_twice(world in world(), steps in steps()) {
        let mut pressed = world.clone();
        // Two and a half large spans fill the least memory that a shard is given.
        pressed.padding = world.padding.map(|bytes| if bytes > 300 { 400_000 } else { bytes });
        let options = Options { shards: 1, buffered_bytes_max: 0, ..Options::default() };
        let (exported, _) = run(&pressed, &steps, options);
        let sent: BTreeSet<(usize, usize)> = steps.iter().flat_map(|step| match step { Step::Send(spans) => spans.clone(), Step::Pass(_) => Vec::new() }).collect();
        let mut counted: BTreeMap<(Vec<u8>, Vec<u8>), usize> = BTreeMap::new();
        for (_, span) in exported {
            *counted.entry((span.trace_id, span.span_id)).or_default() += 1;
        }
        prop_assert!(counted.values().all(|times| *times == 1));
        for (trace, number) in sent {
            let (_, span) = pressed.span(trace, number);
            let failed = |other: usize| pressed.failed[trace][other];
            let kept = counted.contains_key(&(span.trace_id, span.span_id));
            prop_assert!(kept || !pressed.wanted(trace, number), "trace {} span {}", trace, number);
            prop_assert!(!kept || trace < 2 || (0..SPANS).any(failed));
        }
    }
}
