#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn refused(page: &[u8], format: Format) -> ParseError {
    Parser::new(page, format)
        .find_map(Result::err)
        .unwrap_or_else(|| panic!("{:?} is taken", String::from_utf8_lossy(page)))
}

#[test]
fn a_refusal_names_line_and_reason() {
    let check = |page: &str, line, reason: &str| {
        let error = refused(page.as_bytes(), Format::Text);
        assert_eq!((error.line, error.reason.as_str()), (line, reason));
    };
    check(
        "a 1\nb\n",
        2,
        "expected a value after the metric, got the end of the line",
    );
    check(
        "a",
        1,
        "expected a value after the metric, got the end of the page",
    );
    check(
        "\n\na{b=1} 1\n",
        3,
        r#"expected a label value in quotes, got "1} 1""#,
    );
    check("a{b} 1", 1, r#"expected an equals sign, got "} 1""#);
    check("a{,} 1", 1, r#"expected the name of a label, got ",} 1""#);
    check(
        "a{\"\"=\"x\"} 1",
        1,
        r#"expected the name of a label, got "=\"x\"} 1""#,
    );
    check("a{b=\"c} 1\nb 2", 1, "a quoted text does not end");
    check("{} 1", 1, "the name of the metric is missing");
    check(
        "a 1 -5",
        1,
        r#"expected a timestamp or the end of the line, got "-5""#,
    );
    check(
        "a 1 5 6",
        1,
        r#"expected the end of the line after the timestamp, got "6""#,
    );
    check(
        "a 1 99999999999999999999",
        1,
        "the timestamp is out of range",
    );
    check("a 1e999", 1, r#""1e999" is out of range"#);
    check("a -NaN", 1, r#""-NaN" is no number"#);
    check("a 1_0", 1, r#""1_0" is no number"#);
    check("a 1\r\n", 1, r#""1\r" is no number"#);
    check(
        "a{b=\"c\\\nd\"} 1\n",
        1,
        "a backslash stands before the end of the line",
    );
    check("# TYPE a foo\n", 1, r#"invalid metric type "foo""#);
    check(
        "# HELP 1a foo\n",
        1,
        r#"expected the name of a metric after HELP, got "1a foo""#,
    );
    check(
        "a 1 # {b=\"c\"} 1\n",
        1,
        r##"expected a timestamp or the end of the line, got "# {b=\"c\"} 1""##,
    );
    check(
        "\0a 1\n",
        1,
        r#"expected a metric or a comment, got "\0a 1""#,
    );
}

#[test]
fn openmetrics_takes_no_liberties() {
    let check = |line: &str, reason: &str| {
        let page = format!("ok 1\n{line}\n# EOF\n");
        let error = refused(page.as_bytes(), Format::OpenMetrics);
        assert_eq!((error.line, error.reason.as_str()), (2, reason));
    };
    check(
        "",
        "expected a metric, metadata or # EOF, got the end of the line",
    );
    check("a  1", r#"expected a value after the metric, got " 1""#);
    check("a {b=\"c\"} 1", r#""{b=\"c\"}" is no number"#);
    check(
        "a{b=\"c\" d=\"e\"} 1",
        r#"expected a comma or a closing brace, got " d=\"e\"} 1""#,
    );
    check("a 1 ", "expected a timestamp, got the end of the line");
    check("a 1 NaN", r#""NaN" is no timestamp"#);
    check("a 1 2 3", r#"expected the end of the line, got " 3""#);
    check("a 1 # {\"b\"} 1", "an exemplar has labels only, no name");
    check(
        "a 1 # {b=\"c\"}",
        "expected a value after the exemplar's labels, got the end of the line",
    );
    check(
        "# comment",
        r#"expected HELP, TYPE, UNIT or EOF, got "comment""#,
    );
    check(
        "# UNIT a_seconds bytes",
        r#"unit "bytes" is not a suffix of metric "a_seconds""#,
    );
    check("# TYPE a untyped", r#"invalid metric type "untyped""#);
    check(
        "# HELP a",
        "expected a text in HELP, got the end of the line",
    );
    let over_the_end = b"a 1 # {\"b\nc\"=\"d\"} 1\n# EOF\n";
    assert_eq!(
        refused(over_the_end, Format::OpenMetrics).reason,
        "a label name goes over the end of its line"
    );
}

#[test]
fn text_that_is_no_utf8_is_refused_where_it_counts() {
    let comment_passes = Parser::new(b"# \xff\na 1\n", Format::Text).all(|entry| entry.is_ok());
    assert!(comment_passes);
    assert_eq!(refused(b"a{b=\"\xff\"} 1\n", Format::Text).line, 1);
    assert_eq!(refused(b"# HELP a \xff\n", Format::Text).line, 1);
}

#[test]
fn the_media_type_decides_the_format() {
    assert_eq!(
        Format::of("application/openmetrics-text; version=1.0.0; charset=utf-8"),
        Ok(Format::OpenMetrics)
    );
    assert_eq!(Format::of("Text/Plain;version=0.0.4"), Ok(Format::Text));
    assert_eq!(Format::of(" ;"), Err(ContentTypeError::Missing));
    let protobuf = "application/vnd.google.protobuf";
    assert!(matches!(
        Format::of(protobuf),
        Err(ContentTypeError::Unsupported(_))
    ));
}

/// What an encoder would write, and what it means.
fn sample_strategy() -> impl Strategy<Value = (String, Vec<(String, String)>, f64)> {
    let labels = proptest::collection::btree_map("[a-z_][a-z0-9_]{0,5}", any::<String>(), 0..4);
    ("[a-zA-Z_:][a-zA-Z0-9_:]{0,8}", labels, any::<f64>())
        .prop_map(|(name, labels, value)| (name, labels.into_iter().collect(), value))
}

fn escape(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('\n', "\\n")
        .replace('"', "\\\"")
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(page in proptest::collection::vec(any::<u8>(), 0..200)) {
        for format in [Format::Text, Format::OpenMetrics] {
            read_all(&page, format);
        }
    }

    #[test]
    fn no_text_of_its_own_alphabet_makes_it_panic(
        page in "([ab]|[{}=,\"\\\\\n #]|1|# (HELP|TYPE|UNIT|EOF)| # \\{){0,40}"
    ) {
        for format in [Format::Text, Format::OpenMetrics] {
            read_all(page.as_bytes(), format);
        }
    }

    #[test]
    fn what_is_written_is_what_is_read(
        samples in proptest::collection::vec(sample_strategy(), 0..6),
        format in prop_oneof![Just(Format::Text), Just(Format::OpenMetrics)],
    ) {
        let mut page = String::new();
        for (name, labels, value) in &samples {
            let labels: Vec<String> = labels
                .iter()
                .map(|(name, value)| format!("{name}=\"{}\"", escape(value)))
                .collect();
            page += &format!("{name}{{{}}} {}\n", labels.join(","), if value.is_nan() { "NaN".into() } else { value.to_string() });
        }
        if format == Format::OpenMetrics {
            page += "# EOF\n";
        }
        let mut read = Parser::new(page.as_bytes(), format);
        for (name, labels, value) in samples {
            let Some(Ok(Entry::Sample(sample))) = read.next() else { panic!("a sample is missing") };
            let mut found = Vec::new();
            sample.labels(&mut found);
            let mut expected: Vec<Pair<'_>> = vec![("__name__".into(), name.into())];
            expected.extend(labels.into_iter().map(|(name, value)| (name.into(), value.into())));
            prop_assert_eq!(found, expected);
            prop_assert_eq!(sample.value.to_bits(), value.to_bits());
        }
        prop_assert!(read.next().is_none());
    }
}

fn read_all(page: &[u8], format: Format) {
    for entry in Parser::new(page, format).flatten() {
        let mut labels = Vec::new();
        if let Entry::Sample(sample) = entry {
            sample.labels(&mut labels);
            if let Some(exemplar) = sample.exemplar {
                exemplar.labels(&mut labels);
            }
        }
    }
}
