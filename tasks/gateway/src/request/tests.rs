#![allow(clippy::unwrap_used)]

use super::*;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pairs = pairs
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(name, value);
    }
    headers
}

/// Why a query is refused, if it is.
fn refused<Q: DeserializeOwned + Validate>(query: &str) -> Option<(Kind, String)> {
    let uri = format!("/v1/tasks?{query}").parse().unwrap();
    let problem = Strict::<Q>::read(&uri).err()?;
    let errors: Vec<_> = problem
        .errors
        .iter()
        .map(|error| error.field.as_str())
        .collect();
    Some((
        problem.kind,
        format!("{}{}", problem.detail.unwrap_or_default(), errors.join(",")),
    ))
}

#[test]
fn a_query_is_read_strictly() {
    for query in [
        "",
        "limit=1",
        "limit=100&cursor=abc",
        "status=in_progress&label=a%20b&due_before=2026-01-02T03:04:05Z",
    ] {
        assert_eq!(refused::<TaskFilter>(query), None, "{query}");
    }
    for (query, names) in [
        ("colour=red", "colour"),
        ("limit=1&limit=2", "limit"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=", "limit"),
        ("status=finished", "finished"),
        ("due_before=tomorrow", "due_before"),
    ] {
        let (kind, text) = refused::<TaskFilter>(query).unwrap();
        assert_eq!(kind, Kind::ValidationFailed, "{query}");
        assert!(text.contains(names), "{query}: {text}");
    }
    assert_eq!(
        refused::<TaskFilter>(&format!("cursor={}", "x".repeat(1_025)))
            .unwrap()
            .0,
        Kind::ValidationFailed
    );
    assert_eq!(
        refused::<TaskFilter>("label=%ff").unwrap().0,
        Kind::MalformedRequest
    );
}

#[test]
fn an_operation_without_a_query_takes_none() {
    assert_eq!(refused::<NoQuery>(""), None);
    let (kind, text) = refused::<NoQuery>("limit=1").unwrap();
    assert_eq!(kind, Kind::ValidationFailed);
    assert!(text.contains("limit"), "{text}");
}

#[test]
fn what_a_client_sent_is_not_given_back_at_length() {
    let (_, text) = refused::<NoQuery>(&"x".repeat(10_000)).unwrap();
    assert!(text.len() < 2 * DETAIL_CHARS_MAX, "{}", text.len());
}

#[test]
fn if_match_is_an_asterisk_or_entity_tags() {
    let check = |value: &str| {
        IfMatch::read(&headers(&[("if-match", value)]))
            .map(|_| ())
            .map_err(|problem| problem.kind)
    };
    for value in [
        "*",
        r#""1""#,
        r#"W/"1""#,
        r#""1", "2""#,
        r#""1","a,b" ,  W/"x""#,
        r#""""#,
    ] {
        assert_eq!(check(value), Ok(()), "{value}");
    }
    for value in [
        "1",
        "",
        r#"""#,
        r#""1"#,
        r#""1" "2""#,
        r#""1","#,
        r#"w/"1""#,
        r#""1"x"#,
        "**",
        r#"*, "1""#,
        r#""a b""#,
    ] {
        assert_eq!(check(value), Err(Kind::MalformedRequest), "{value}");
    }
}

#[test]
fn a_write_needs_if_match_once() {
    let kind = |headers| IfMatch::read(&headers).err().unwrap().kind;
    assert_eq!(kind(headers(&[])), Kind::IfMatchRequired);
    assert_eq!(
        kind(headers(&[("if-match", r#""1""#), ("if-match", r#""1""#)])),
        Kind::MalformedRequest
    );
}

#[test]
fn an_idempotency_key_is_printable_and_short() {
    let check = |value: &str| {
        IdempotencyKey::read(&headers(&[(headers::IDEMPOTENCY_KEY, value)]))
            .map(|key| key.0.is_some())
            .map_err(|problem| problem.kind)
    };
    assert_eq!(check("order 1/~"), Ok(true));
    assert_eq!(check(&"k".repeat(IDEMPOTENCY_KEY_CHARS_MAX)), Ok(true));
    for value in ["", "ä", "a\tb", &"k".repeat(IDEMPOTENCY_KEY_CHARS_MAX + 1)] {
        assert_eq!(check(value), Err(Kind::MalformedRequest), "{value}");
    }
    assert!(IdempotencyKey::read(&HeaderMap::new()).unwrap().0.is_none());
}

#[test]
fn a_body_must_say_that_it_is_json() {
    let check = |pairs: &[(&'static str, &str)]| {
        media_type(&headers(pairs), TaskPatch::MEDIA_TYPES).map_err(|problem| problem.kind)
    };
    assert_eq!(check(&[("content-type", "application/json")]), Ok(JSON));
    assert_eq!(
        check(&[("content-type", "Application/JSON; charset=utf-8")]),
        Ok(JSON)
    );
    assert_eq!(
        check(&[
            ("content-type", MERGE_PATCH),
            ("content-encoding", "identity")
        ]),
        Ok(MERGE_PATCH)
    );
    for pairs in [
        &[][..],
        &[("content-type", "text/plain")],
        &[("content-type", "application/jsonp")],
        &[("content-type", JSON), ("content-encoding", "gzip")],
    ] {
        assert_eq!(check(pairs), Err(Kind::UnsupportedMediaType), "{pairs:?}");
    }
    assert_eq!(
        check(&[("content-type", JSON), ("content-type", JSON)]),
        Err(Kind::MalformedRequest)
    );
    assert!(!NewTask::MEDIA_TYPES.contains(&MERGE_PATCH));
}
