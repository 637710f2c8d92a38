//! What answers otherwise than Tempo 3.0.3, and why. The comparison fails on any other difference, and on an entry that no
//! longer is one.

const NUMBERS: &str = "numbers compare whatever their type; Tempo's storage reads the column of the literal's type only";
const ABSENT: &str = "Tempo's storage leaves out spans that lack the attribute before its engine asks for it, or shows it as nil";
const ELEMENTS: &str =
    "an array is shown as it is; Tempo shows the elements that its storage matched";
const SHOWN: &str = "every attribute that the query names is shown; Tempo shows those whose own condition its storage matched";
const TAGS: &str = "tags of the spans that the whole query selects; with two conditions Tempo narrows in another way";

/// The start of a case's name, and the reason.
pub(crate) const EXPLAINED: &[(&str, &str)] = &[
    ("search { span.http.response.status_code > 404.5 }", NUMBERS),
    ("search { span.db.cost > 100 }", NUMBERS),
    ("search { span.db.cost = 0 }", NUMBERS),
    ("search { span.mixed = 7 }", NUMBERS),
    ("search { span.mixed > 6 }", NUMBERS),
    ("search { span.mixed = 7.0 }", NUMBERS),
    ("search { !(span.cache.hit = true) }", ABSENT),
    ("search { span.nowhere = nil }", ABSENT),
    (r#"search { span.tags = "a" }"#, ELEMENTS),
    (r#"search { span.tags = "b" && span.tags = "c" }"#, ELEMENTS),
    (r#"search { span.tags =~ "a|c" }"#, ELEMENTS),
    (
        r#"search { span.tags != "a" }"#,
        "of an array no element may be equal, as Tempo's engine says; its storage hides the others from it",
    ),
    (
        "search { span.tripod.job.attempt ^ 2 = 9 }",
        "Tempo raises the right operand to the power of the left one",
    ),
    (
        r#"search { link:traceID = "02020202020202020202020202020202" }"#,
        "found by the id as it is written; Tempo compares it without its leading zeros",
    ),
    (
        "search { (kind = server || kind = consumer) && (status = error || duration > 1s) }",
        SHOWN,
    ),
    ("search { kind = server } >> { status = error }", SHOWN),
    ("search { status = error } << { kind = server }", SHOWN),
    ("search { kind = server } !>> { status = error }", SHOWN),
    (
        "search { nestedSetParent < 0 } >> { kind = client } >> { status = error }",
        SHOWN,
    ),
    (
        "search ({ kind = server } || { kind = consumer }) && { status = error }",
        SHOWN,
    ),
    (
        "search { kind = server } &>> { kind = client }",
        "Tempo's merge of the two sides misses spans; ours is what a literal reading finds (a test of traceql)",
    ),
    (
        "tags /api/v2/search/tags  scope=span  q={ kind = client && status = error }",
        TAGS,
    ),
    (
        r#"tags /api/v2/search/tag/name/values  q={ resource.service.name = "gateway" && kind = server }"#,
        TAGS,
    ),
];

/// The reason that covers a case.
pub(crate) fn explained(case: &str) -> Option<usize> {
    EXPLAINED
        .iter()
        .position(|(start, _)| case.starts_with(start))
}
