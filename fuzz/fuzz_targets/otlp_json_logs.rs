//! A log request in JSON: what it is transcoded to can be counted, and prost reads it.
#![no_main]

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use prost::Message as _;

libfuzzer_sys::fuzz_target!(|json: &[u8]| {
    let Ok(request) = otlp::json::logs(json) else {
        return;
    };
    let decoded = ExportLogsServiceRequest::decode(&request[..]).expect("prost reads it");
    let scopes = decoded
        .resource_logs
        .iter()
        .flat_map(|logs| &logs.scope_logs);
    let records = scopes.map(|scope| scope.log_records.len() as u64).sum();
    assert_eq!(otlp::wire::count(&request), Ok(records));
});
