//! The same day over HTTP: the receiver in front of the collector, statuses included.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use collector::{Collector, Options};
use otlp::Receiver;

use crate::{
    day,
    outside::Connection,
    traffic::{Kept, Time, config, failed, request, span, trace_id},
};

const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}

pub(crate) fn listen(runtime: &tokio::runtime::Runtime, collector: &Collector) -> Receiver {
    let options = otlp::Options {
        grpc: (Ipv4Addr::LOCALHOST, 0).into(),
        http: (Ipv4Addr::LOCALHOST, 0).into(),
        ..otlp::Options::default()
    };
    let bound = Receiver::bind(options, Arc::new(collector.handle()), None);
    runtime.block_on(bound).unwrap()
}

#[test]
fn over_http_exactly_the_predicted_spans_are_kept_each_once() {
    let (time, kept, runtime) = (Time::default(), Arc::new(Kept::default()), runtime());
    let options = Options {
        tick: None,
        ..Options::default()
    };
    let clock = time.clock();
    let collector =
        Collector::start(config("10s"), options, clock, Arc::clone(&kept) as _).unwrap();
    let receiver = listen(&runtime, &collector);
    let day = day::day();
    let mut connection = Connection::open(receiver.addresses().http);
    for wave in &day.waves {
        for request in wave {
            assert_eq!(connection.post("/v1/traces", request), 200);
        }
        time.pass(Duration::from_secs(10));
        collector.tick();
    }
    runtime.block_on(receiver.stop());
    let report = collector.stop(PATIENCE);
    assert!(report.is_exact() && report.lost == 0, "{report}");
    let counted = kept.counted();
    assert!(counted.values().all(|times| *times == 1));
    let [.., expected] = &day.expected;
    assert!(
        counted
            .into_keys()
            .collect::<std::collections::BTreeSet<_>>()
            == *expected
    );
}

#[test]
fn refusals_have_the_statuses_of_the_protocol() {
    let (kept, runtime) = (Arc::new(Kept::default()), runtime());
    let clock = Time::default().clock();
    let collector = Collector::start(config("10s"), Options::default(), clock, kept as _).unwrap();
    let receiver = listen(&runtime, &collector);
    let whole = request(&[("gateway", failed(span(trace_id(1), 0, vec![])))]);
    let mut connection = Connection::open(receiver.addresses().http);
    assert_eq!(
        connection.post("/v1/traces", &whole[..whole.len() - 1]),
        400
    );
    assert_eq!(connection.post("/v1/traces", &whole), 200);
    let report = collector.stop(PATIENCE);
    assert_eq!((report.accepted, report.kept), (1, 1), "{report}");
    assert_eq!(
        connection.post("/v1/traces", &whole),
        503,
        "a stopped collector asks for a retry"
    );
    runtime.block_on(receiver.stop());
}
