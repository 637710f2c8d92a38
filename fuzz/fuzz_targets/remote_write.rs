//! Arbitrary bytes as a remote-write request, with their compression and without: prost finds the same samples.
#![no_main]

use prost::Message as _;
use scrape::remote_write::{self, DecodeError, Decoded, SAMPLES_MAX};

/// What is read of a request, in the words of another reader. Texts are bytes, as they may be none.
#[derive(prost::Message)]
struct Request {
    #[prost(message, repeated, tag = "1")]
    series: Vec<Series>,
}

#[derive(prost::Message)]
struct Series {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(prost::Message)]
struct Label {
    #[prost(bytes, tag = "1")]
    name: Vec<u8>,
    #[prost(bytes, tag = "2")]
    value: Vec<u8>,
}

#[derive(prost::Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    t_ms: i64,
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // An error is an answer.
    let _: Result<Decoded<u64>, DecodeError> = remote_write::decode(bytes, 0);
    let compressed = snap::raw::Encoder::new()
        .compress_vec(bytes)
        .expect("a short input can be compressed");
    let Ok(decoded) = remote_write::decode::<u64>(&compressed, 0) else {
        return;
    };
    let samples = &decoded.batch.samples;
    assert!(samples.len() + decoded.batch.exemplars.len() <= SAMPLES_MAX);
    for sample in samples {
        assert!(!sample.labels.get("__name__").is_empty());
    }
    let Ok(request) = Request::decode(bytes) else {
        return;
    };
    let expected = request.series.iter().flat_map(|series| &series.samples);
    let count = expected.clone().count() as u64;
    assert_eq!(samples.len() as u64 + decoded.samples_invalid, count);
    if decoded.samples_invalid == 0 {
        for (sample, expected) in samples.iter().zip(expected) {
            assert_eq!(sample.t_ms, expected.t_ms);
            assert_eq!(sample.value.to_bits(), expected.value.to_bits());
        }
    }
});
