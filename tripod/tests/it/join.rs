//! One request is one trace: spans, log lines and exemplars of all processes name it.

use std::{collections::BTreeSet, fs};

use conventions::{
    resource::{GATEWAY, TASK_SERVICE, WORKER},
    spans::TRIPOD_JOB_ATTEMPT,
};
use opentelemetry::trace::{SpanKind, Status, TraceId};
use serde_json::{Value as Json, json};
use telemetry::{
    sampling::predicate,
    testing::{OtlpSink, Span},
};

use crate::{
    api::Api,
    system::{DEADLINE, Start, System, wait_for},
};

/// A system whose spans go to a sink.
fn traced(folder: &std::path::Path) -> (OtlpSink, System) {
    let sink = OtlpSink::start().unwrap();
    let endpoint = sink.endpoint();
    let environment = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())];
    let system = System::start(
        folder,
        &Start {
            environment: &environment,
            ..Start::default()
        },
    );
    (sink, system)
}

fn of_trace(spans: &[Span], trace_id: &str) -> Vec<Span> {
    spans
        .iter()
        .filter(|span| span.trace_id.to_string() == trace_id)
        .cloned()
        .collect()
}

/// The one span of a service with this name.
fn the<'a>(spans: &'a [Span], service: &str, name: &str) -> &'a Span {
    let mut found = spans
        .iter()
        .filter(|span| span.service() == service && span.name == name);
    let span = found
        .next()
        .unwrap_or_else(|| panic!("no span {name} of {service} in {spans:#?}"));
    assert!(
        found.next().is_none(),
        "more than one span {name} of {service}"
    );
    span
}

#[test]
fn one_request_is_one_trace_from_the_gateway_to_the_worker() {
    let folder = tempfile::tempdir().unwrap();
    let (sink, system) = traced(folder.path());
    let (_, trace_id) = Api::new(&system).create("Joined");

    let is_whole = |spans: &[Span]| {
        let settled = |span: &Span| span.service() == WORKER && span.name.starts_with("settle ");
        let spans = of_trace(spans, &trace_id);
        let has_served = |service| {
            let mut of_service = spans.iter().filter(|span| span.service() == service);
            of_service.any(|span| span.kind == SpanKind::Server)
        };
        spans.iter().any(settled) && has_served(GATEWAY) && has_served(TASK_SERVICE)
    };
    let spans = of_trace(&sink.wait_for(DEADLINE, is_whole).unwrap(), &trace_id);

    let edge = the(&spans, GATEWAY, "POST /v1/tasks");
    let call = the(&spans, GATEWAY, "POST");
    let served = the(&spans, TASK_SERVICE, "POST /v1/tasks");
    let written = the(&spans, TASK_SERVICE, "DynamoDB.TransactWriteItems");
    let sent = spans
        .iter()
        .find(|span| span.kind == SpanKind::Producer)
        .unwrap();
    let processed = spans
        .iter()
        .find(|span| span.kind == SpanKind::Consumer)
        .unwrap();
    let effect = the(&spans, WORKER, "DynamoDB.TransactWriteItems");
    assert_eq!(edge.parent_span_id, None);
    assert!(
        call.is_child_of(edge) && served.is_child_of(call) && written.is_child_of(served),
        "{spans:#?}"
    );
    assert!(
        processed.is_child_of(sent) && effect.is_child_of(processed),
        "{spans:#?}"
    );
    assert!(processed.links_to(sent), "{processed:#?}");
    assert_eq!(processed.int(TRIPOD_JOB_ATTEMPT), Some(1));
    assert_eq!(
        (edge.kind.clone(), call.kind.clone()),
        (SpanKind::Server, SpanKind::Client)
    );
    for span in &spans {
        assert_eq!(span.status, Status::Unset, "{span:#?}");
        assert_eq!(
            span.trace_state, edge.trace_state,
            "the trace's start travels with it"
        );
        assert!(
            span.trace_state.starts_with("tripod=t:"),
            "{}",
            span.trace_state
        );
    }

    for service in [GATEWAY, TASK_SERVICE, WORKER] {
        wait_for("a log line", || {
            system.log(service).contains(&trace_id).then_some(())
        });
    }
}

#[test]
fn a_trace_from_outside_is_continued_and_its_flags_decide_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (sink, system) = traced(folder.path());
    let trace_id = "0af7651916cd43dd8448eb211c80319c";
    let request = Api::new(&system).request(reqwest::Method::GET, "/v1/tasks");
    let request = request.header("traceparent", format!("00-{trace_id}-b7ad6b7169203331-00"));
    let response = request
        .header("tracestate", "tripod=t:1,other=1")
        .send()
        .unwrap();
    assert_eq!(crate::api::trace_id(&response), trace_id);

    let is_whole = |spans: &[Span]| {
        of_trace(spans, trace_id)
            .iter()
            .any(|span| span.service() == TASK_SERVICE && span.kind == SpanKind::Server)
    };
    let spans = of_trace(&sink.wait_for(DEADLINE, is_whole).unwrap(), trace_id);
    for span in &spans {
        assert!(
            span.trace_state.ends_with(",other=1"),
            "{}",
            span.trace_state
        );
        assert!(
            !span.trace_state.contains("tripod=t:1,"),
            "the edge replaces a start it did not set"
        );
    }
}

#[test]
fn every_exemplar_names_a_kept_or_failed_trace() {
    let folder = tempfile::tempdir().unwrap();
    let (sink, system) = traced(folder.path());
    let api = Api::new(&system);
    let fault = format!("{}/faults/failing", system.admin(TASK_SERVICE));
    let fault = api.client.put(fault).json(
        &json!({"target": "http:GET /v1/tasks", "error": "500", "ratio": 0.5, "for_seconds": 600}),
    );
    assert!(fault.send().unwrap().status().is_success());
    for _ in 0..300 {
        let status = api
            .request(reqwest::Method::GET, "/v1/tasks")
            .send()
            .unwrap()
            .status();
        assert!(status.is_success() || status.is_server_error());
        api.create("Sampled");
    }

    let pages = [GATEWAY, TASK_SERVICE, WORKER].map(|service| {
        let request = api.client.get(format!("{}/metrics", system.admin(service)));
        request
            .header("accept", "application/openmetrics-text; version=1.0.0")
            .send()
            .unwrap()
            .text()
            .unwrap()
    });
    let named: BTreeSet<_> = pages
        .iter()
        .flat_map(|page| page.split("# {trace_id=\"").skip(1))
        .map(|rest| &rest[..32])
        .collect();
    assert!(named.len() > 5, "{} exemplars in {pages:?}", named.len());
    let arrived = |spans: &[Span]| {
        named
            .iter()
            .all(|id| spans.iter().any(|span| span.trace_id.to_string() == **id))
    };
    let spans = sink.wait_for(DEADLINE, arrived).unwrap();
    let (mut kept, mut failed) = (0, 0);
    for id in named {
        let has_failed = of_trace(&spans, id).iter().any(Span::is_error);
        let is_kept = predicate().keeps(TraceId::from_hex(id).unwrap());
        assert!(is_kept || has_failed, "the collector drops {id}");
        kept += usize::from(is_kept);
        failed += usize::from(has_failed);
    }
    assert!(
        kept > 0 && failed > 0,
        "{kept} kept by the predicate, {failed} failed"
    );
    println!("exemplars: {kept} traces kept by the predicate, {failed} with an error, 0 others");
}

#[test]
fn lines_outside_any_request_belong_to_the_start_up_trace_which_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (sink, _system) = traced(folder.path());
    let started = |spans: &[Span]| {
        spans
            .iter()
            .filter(|span| span.name == conventions::spans::SERVICE_START)
            .count()
            == 4
    };
    let spans = sink.wait_for(DEADLINE, started).unwrap();
    for span in spans
        .iter()
        .filter(|span| span.name == conventions::spans::SERVICE_START)
    {
        assert!(
            predicate().keeps(span.trace_id),
            "the start-up trace of {} is kept",
            span.service()
        );
        let lines =
            fs::read_to_string(folder.path().join(format!("logs/{}.log", span.service()))).unwrap();
        let first: Json = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
        assert_eq!(first["trace_id"], span.trace_id.to_string());
        assert_eq!(first["trace_scope"], "process");
    }
}
