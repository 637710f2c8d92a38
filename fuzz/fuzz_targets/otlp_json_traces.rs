//! A trace request in JSON: what it is transcoded to can be walked, and prost reads it.
#![no_main]

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;

/// The one thing that only the walk looks at.
const TOO_DEEP: &str = "values nest too deep";

libfuzzer_sys::fuzz_target!(|json: &[u8]| {
    let Ok(request) = otlp::json::traces(json) else {
        return;
    };
    match fuzz::check_trace_request(&request) {
        Ok(()) => {
            ExportTraceServiceRequest::decode(&request[..])
                .expect("prost reads what is transcoded");
        }
        Err(error) => assert_eq!(error.reason, TOO_DEEP),
    }
});
