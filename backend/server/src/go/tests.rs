//! What Go and Prometheus read and write, by example.
#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn numbers_are_read_with_the_words_of_strconv() {
    assert_eq!(parse_uint("20", 100), Ok(20));
    for (text, reason) in [
        ("", "invalid syntax"),
        ("x", "invalid syntax"),
        ("-1", "invalid syntax"),
        ("101", "value out of range"),
        ("99999999999999999999999", "value out of range"),
    ] {
        let expected = format!("strconv.ParseUint: parsing \"{text}\": {reason}");
        assert_eq!(parse_uint(text, 100), Err(expected));
    }
    assert_eq!(parse_int("-7"), Ok(-7));
    let expected = "strconv.ParseInt: parsing \"--7\": invalid syntax";
    assert_eq!(parse_int("--7"), Err(expected.to_owned()));
    assert_eq!(parse_int32("-7"), Ok(-7));
    let expected = "strconv.ParseInt: parsing \"2147483648\": value out of range";
    assert_eq!(parse_int32("2147483648"), Err(expected.to_owned()));
    let expected = "strconv.Atoi: parsing \"x\": invalid syntax";
    assert_eq!(atoi("x"), Err(expected.to_owned()));
}

#[test]
fn durations_are_read_as_go_reads_them() {
    for (text, expected) in [
        ("0", 0),
        ("1.5s", 1_500_000_000),
        ("-1m", -60_000_000_000),
        ("1h2m3s4ms5us6ns", 3_723_004_005_006),
        ("2µs", 2_000),
    ] {
        assert_eq!(parse_duration(text), Ok(expected), "{text}");
    }
    for (text, expected) in [
        ("", "time: invalid duration \"\""),
        ("x", "time: invalid duration \"x\""),
        ("5", "time: missing unit in duration \"5\""),
        ("1d", "time: unknown unit \"d\" in duration \"1d\""),
        ("999999999999h", "time: invalid duration \"999999999999h\""),
    ] {
        assert_eq!(parse_duration(text), Err(expected.to_owned()), "{text}");
    }
}

#[test]
fn durations_are_read_as_prometheus_reads_them() {
    for (text, expected) in [
        ("0", 0),
        ("1h30m", 5_400 * SECOND),
        ("1w", 7 * DAY),
        ("5ms", 5 * MILLISECOND),
    ] {
        assert_eq!(parse_prometheus_duration(text), Ok(expected), "{text}");
    }
    for text in ["x", "5", "1m1h", "1.5s", "-1s", "h"] {
        let expected = format!("not a valid duration string: \"{text}\"");
        assert_eq!(parse_prometheus_duration(text), Err(expected));
    }
    let expected = "duration out of range".to_owned();
    assert_eq!(parse_prometheus_duration("9999999y"), Err(expected));
}

#[test]
fn durations_are_written_as_go_writes_them() {
    for (nanoseconds, expected) in [
        (0, "0s"),
        (1, "1ns"),
        (1_500, "1.5µs"),
        (360 * MILLISECOND, "360ms"),
        (8_640 * MILLISECOND, "8.64s"),
        (MINUTE, "1m0s"),
        (168 * HOUR, "168h0m0s"),
        (179_543_273_800_000, "49h52m23.2738s"),
    ] {
        assert_eq!(duration(nanoseconds), expected);
    }
}

#[test]
fn moments_have_four_forms() {
    for (text, expected) in [
        ("1795432566", 1_795_432_566_000_000_000),
        ("1795432566740478208", 1_795_432_566_740_478_208),
        ("1795432566.5", 1_795_432_566_500_000_000),
        ("2026-11-23T11:00:00Z", 1_795_431_600_000_000_000),
    ] {
        assert_eq!(parse_timestamp(text), Ok(expected), "{text}");
    }
    assert!(
        parse_timestamp("yesterday")
            .unwrap_err()
            .starts_with("strconv.ParseInt")
    );
    assert!(parse_timestamp("9999999999999999999999").is_err());
}

#[test]
fn exponents_have_two_digits() {
    for (number, expected) in [
        (0.0, "0e+00"),
        (15.0, "1.5e+01"),
        (1e-7, "1e-07"),
        (1e100, "1e+100"),
        (f64::NAN, "NaN"),
        (f64::INFINITY, "+Inf"),
    ] {
        let mut out = String::new();
        scientific(&mut out, number);
        assert_eq!(out, expected);
    }
}

#[test]
fn floats_are_written_as_go_writes_them() {
    for (number, expected) in [
        (0.0, "0"),
        (2.0, "2"),
        (1.5, "1.5"),
        (1e21, "1e+21"),
        (1e20, "100000000000000000000"),
        (0.000_001, "0.000001"),
        (1.5e-7, "1.5e-7"),
        (f64::NAN, "\"NaN\""),
        (f64::NEG_INFINITY, "\"-Infinity\""),
    ] {
        let mut out = String::new();
        float(&mut out, number);
        assert_eq!(out, expected);
    }
}
