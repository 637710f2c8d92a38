//! Arbitrary bytes as a trace request.
#![no_main]

libfuzzer_sys::fuzz_target!(|request: &[u8]| {
    // An error is an answer; only a broken promise is a finding.
    let _ = fuzz::check_trace_request(request);
});
