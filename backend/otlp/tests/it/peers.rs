//! Exporters that services use: the one of `telemetry`, and the stock one of OpenTelemetry.

use std::{io, time::Duration};

use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    trace::v1::{ResourceSpans, Span},
};
use opentelemetry_sdk::trace::SdkTracerProvider;
use prost::Message as _;
use telemetry::{Config, LogOutput};

use crate::harness::Harness;

const DEADLINE: Duration = Duration::from_secs(30);

/// All spans that arrived, with the value of their resource's `service.name`.
fn arrived(harness: &Harness) -> Vec<(String, Span)> {
    let requests = harness.traces.requests();
    let resources = requests.into_iter().flat_map(|request| {
        ExportTraceServiceRequest::decode(request)
            .unwrap()
            .resource_spans
    });
    resources
        .flat_map(|resource| {
            let service = service(&resource);
            let spans = resource
                .scope_spans
                .into_iter()
                .flat_map(|scope| scope.spans);
            spans
                .map(move |span| (service.clone(), span))
                .collect::<Vec<_>>()
        })
        .collect()
}

fn service(resource: &ResourceSpans) -> String {
    let attributes = &resource.resource.as_ref().unwrap().attributes;
    let name = attributes
        .iter()
        .find(|attribute| attribute.key == "service.name")
        .unwrap();
    format!("{:?}", name.value)
}

#[test]
fn spans_of_our_own_exporter_arrive() {
    let harness = Harness::start();
    let mut config = Config::new("peer", "1");
    config.otlp_endpoint = format!("http://{}", harness.addresses.http);
    config.log_output = LogOutput::Writer(Box::new(io::sink()));
    let guard = telemetry::init(config).unwrap();
    for number in 0..1000 {
        tracing::info_span!("work", number).in_scope(|| ());
    }
    let report = guard.shutdown(DEADLINE);
    assert!(report.nothing_lost(), "{report:?}");
    let spans = arrived(&harness);
    assert_eq!(spans.len() as u64, report.spans.exported);
    assert_eq!(
        spans.iter().filter(|(_, span)| span.name == "work").count(),
        1000
    );
    assert!(
        spans
            .iter()
            .all(|(service, _)| service.contains("\"peer\""))
    );
}

#[test]
fn spans_of_the_stock_exporter_arrive() {
    let harness = Harness::start();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_endpoint(format!("http://{}/v1/traces", harness.addresses.http))
        .build()
        .unwrap();
    let resource = opentelemetry_sdk::Resource::builder()
        .with_service_name("stock")
        .build();
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .build();
    let tracer = provider.tracer("test");
    for _ in 0..100 {
        tracer.start("work").end();
    }
    provider.shutdown().unwrap();
    let spans = arrived(&harness);
    assert_eq!(spans.len(), 100);
    assert!(
        spans
            .iter()
            .all(|(service, span)| service.contains("\"stock\"") && span.name == "work")
    );
}
