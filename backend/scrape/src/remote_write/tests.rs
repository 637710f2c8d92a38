#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn varint(mut number: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while number >= 0x80 {
        out.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
        number >>= 7;
    }
    out.push(u8::try_from(number).unwrap());
    out
}

fn bytes(number: u64, content: &[u8]) -> Vec<u8> {
    [
        varint(number << 3 | 2),
        varint(content.len() as u64),
        content.to_vec(),
    ]
    .concat()
}

fn label(name: &str, value: &[u8]) -> Vec<u8> {
    bytes(1, &[bytes(1, name.as_bytes()), bytes(2, value)].concat())
}

fn value_and_time(number: u64, value: f64, t_ms: i64) -> Vec<u8> {
    let value = [varint(number << 3 | 1), value.to_le_bytes().to_vec()].concat();
    [
        value,
        varint((number + 1) << 3),
        varint(t_ms.cast_unsigned()),
    ]
    .concat()
}

fn sample(value: f64, t_ms: i64) -> Vec<u8> {
    bytes(2, &value_and_time(1, value, t_ms))
}

fn series(parts: &[Vec<u8>]) -> Vec<u8> {
    bytes(1, &parts.concat())
}

fn compress(request: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(request).unwrap()
}

fn decode_parts(parts: &[Vec<u8>]) -> Result<Decoded<()>, DecodeError> {
    decode(&compress(&parts.concat()), 7)
}

#[test]
fn samples_and_exemplars_arrive_whatever_the_order_of_fields() {
    let exemplar = [label("trace_id", b"t"), value_and_time(2, 0.5, -4)].concat();
    let decoded = decode_parts(&[
        series(&[
            sample(1.5, 1000),
            label("x", b"y"),
            sample(2.0, 2000),
            label("__name__", b"a"),
        ]),
        series(&[label("__name__", b"a"), bytes(3, &exemplar)]),
        bytes(3, b"metadata is skipped"),
        [varint(99 << 3 | 5), vec![0; 4]].concat(),
    ])
    .unwrap();
    let labels = Labels::new([("__name__", "a"), ("x", "y")]);
    let samples: Vec<_> = decoded
        .batch
        .samples
        .iter()
        .map(|sample| (&sample.labels, sample.t_ms, sample.value))
        .collect();
    assert_eq!(samples, [(&labels, 1000, 1.5), (&labels, 2000, 2.0)]);
    let exemplar = Exemplar {
        labels: Labels::new([("trace_id", "t")]),
        t_ms: -4,
        value: 0.5,
    };
    let of = ExemplarOf {
        labels: Labels::new([("__name__", "a")]),
        known: None,
        exemplar,
    };
    assert_eq!(decoded.batch.exemplars, [of]);
    assert_eq!((decoded.batch.now_ms, decoded.samples_invalid), (7, 0));
}

#[test]
fn series_with_invalid_labels_are_left_out_and_counted() {
    let name = || label("__name__", b"a");
    for invalid in [
        series(&[label("x", b"y"), sample(1.0, 1)]),
        series(&[label("__name__", b""), sample(1.0, 1)]),
        series(&[label("__name__", b"\xff"), sample(1.0, 1)]),
        series(&[name(), label("", b"x"), sample(1.0, 1)]),
        series(&[name(), label("x", b"1"), label("x", b"2"), sample(1.0, 1)]),
    ] {
        let decoded = decode_parts(&[invalid, series(&[name(), sample(1.0, 1)])]).unwrap();
        assert_eq!(
            (decoded.batch.samples.len(), decoded.samples_invalid),
            (1, 1)
        );
    }
}

#[test]
fn what_cannot_be_read_is_refused_in_the_words_of_prometheus() {
    let check = |compressed: &[u8], text: &str| {
        assert_eq!(decode::<()>(compressed, 0).unwrap_err().to_string(), text);
    };
    check(b"", "s2: corrupt input");
    check(b"\x05\x00a", "s2: corrupt input");
    check(
        b"\xff\xff\xff garbage",
        "decoded size exceeds the 33554432 bytes limit",
    );
    check(
        &[varint(REQUEST_BYTES_MAX as u64 + 1), vec![0, b'a']].concat(),
        "decoded size exceeds the 33554432 bytes limit",
    );
    check(
        &vec![0; COMPRESSED_BYTES_MAX + 1],
        "request is longer than 8388608 bytes",
    );
    let check = |request: &[u8], text: &str| check(&compress(request), text);
    check(b"\x0a\x7f\x01", "unexpected EOF");
    check(b"\x00\x01", "proto: illegal tag at byte 1");
    check(b"\x0f\x01", "proto: illegal wireType at byte 1");
    check(&[0xff; 11], "proto: integer overflow at byte 10");
    let name = label("__name__", b"a");
    check(
        &series(&[name.clone(), bytes(4, b"")]),
        "native histograms are not supported",
    );
    check(
        &series(&[name.clone(), vec![0x12, 0x05, 0x09]]),
        "unexpected EOF",
    );
    check(
        &series(&vec![label("x", b""); LABELS_MAX + 1]),
        "series has more than 500 labels",
    );
    check(
        &series(&[name, [0x12, 0x00].repeat(SAMPLES_MAX + 1)]),
        "request has more than 500000 samples",
    );
}

#[test]
fn headers_of_another_version_are_refused() {
    let check = |encoding, content_type, expected: Result<(), &str>| {
        let checked = check_headers(encoding, content_type).map_err(|error| error.to_string());
        assert_eq!(checked, expected.map_err(str::to_owned));
    };
    check(None, None, Ok(()));
    check(
        Some("snappy"),
        Some("application/x-protobuf;proto=prometheus.WriteRequest"),
        Ok(()),
    );
    check(
        Some("gzip"),
        None,
        Err(
            "gzip encoding (compression) is not accepted by this server; only snappy is acceptable",
        ),
    );
    check(
        None,
        Some("application/json"),
        Err(
            "expected application/x-protobuf as the first (media) part, got application/json content-type",
        ),
    );
    check(
        None,
        Some("application/x-protobuf; proto=io.prometheus.write.v2.Request"),
        Err(
            "io.prometheus.write.v2.Request protobuf message is not accepted by this server; only accepts prometheus.WriteRequest",
        ),
    );
}

#[test]
fn the_first_refused_sample_is_the_answer() {
    let labels = Labels::new([("__name__", "a")]);
    let of = |t_ms| Sample {
        labels: labels.clone(),
        known: None,
        t_ms,
        value: 1.0,
    };
    let batch = Batch::<()> {
        now_ms: 0,
        samples: vec![of(1), of(2), of(3)],
        exemplars: vec![],
    };
    let check = |outcome, expected: Option<&str>| {
        let samples = vec![
            (Outcome::Stored, None),
            (outcome, None),
            (Outcome::Stored, None),
        ];
        let answer = answer(
            &batch,
            &Report {
                samples,
                exemplars: vec![],
            },
        );
        assert_eq!(answer.as_deref(), expected);
    };
    check(Outcome::Stored, None);
    check(
        Outcome::Duplicate,
        Some("duplicate sample for timestamp 2; overrides not allowed"),
    );
    check(Outcome::OutOfOrder, Some("out of order sample"));
    check(Outcome::TooOld, Some("out of bounds"));
    check(
        Outcome::TooFarAhead,
        Some("out of bounds: timestamp is too far in the future"),
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(request in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode::<()>(&request, 0);
        let _ = decode::<()>(&compress(&request), 0);
        let _ = decode::<()>(&compress(&bytes(1, &request)), 0);
    }

    #[test]
    fn what_is_cut_off_is_an_error_or_a_shorter_request(cut in 0_usize..60) {
        let whole = series(&[label("__name__", b"name"), sample(1.5, 1000), sample(2.5, 2000)]);
        let decoded = decode::<()>(&compress(&whole[..cut.min(whole.len())]), 0);
        match decoded {
            Ok(decoded) => prop_assert!(cut == 0 && decoded.batch.samples.is_empty() || cut >= whole.len()),
            Err(error) => prop_assert_eq!(error, DecodeError::End),
        }
    }
}
