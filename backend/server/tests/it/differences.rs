//! What answers otherwise than Tempo 3.0.3, and why. The comparison fails on any other difference, and on an entry that no
//! longer is one.

use Extent::{All, Attributes};

const NUMBERS: &str = "numbers compare whatever their type; Tempo's storage reads the column of the literal's type only";
const ABSENT: &str = "Tempo's storage leaves out spans that lack the attribute before its engine asks for it, or shows it as nil";
const NEGATION: &str = "Tempo's storage keeps only what the inner comparison holds for, and its engine negates that to nothing";
const ELEMENTS: &str =
    "an array is shown as it is; Tempo shows the elements that its storage matched";
const SHOWN: &str = "every attribute that the query names is shown; Tempo shows those whose own condition its storage matched";

/// How much of an answer may differ.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    All,
    /// What is shown of the spans, but not which spans are found.
    Attributes,
}

/// The start of a case's name, what may differ, and the reason.
pub(crate) const EXPLAINED: &[(&str, Extent, &str)] = &[
    (
        "search { span.http.response.status_code > 404.5 }",
        All,
        NUMBERS,
    ),
    ("search { span.db.cost > 100 }", All, NUMBERS),
    ("search { span.db.cost = 0 }", All, NUMBERS),
    ("search { span.mixed = 7 }", All, NUMBERS),
    ("search { span.mixed > 6 }", All, NUMBERS),
    ("search { span.mixed = 7.0 }", All, NUMBERS),
    ("search { !(span.cache.hit = true) }", All, NEGATION),
    ("search { span.nowhere = nil }", All, ABSENT),
    (r#"search { span.tags = "a" }"#, Attributes, ELEMENTS),
    (
        r#"search { span.tags = "b" && span.tags = "c" }"#,
        Attributes,
        ELEMENTS,
    ),
    (r#"search { span.tags =~ "a|c" }"#, Attributes, ELEMENTS),
    (
        r#"search { span.tags != "a" }"#,
        All,
        "of an array no element may be equal, as Tempo's engine says; its storage hides the others from it",
    ),
    (
        "search { span.tripod.job.attempt ^ 2 = 9 }",
        All,
        "Tempo raises the right operand to the power of the left one",
    ),
    (
        r#"search { link:traceID = "02020202020202020202020202020202" }"#,
        All,
        "found by the id as it is written; Tempo compares it without its leading zeros",
    ),
    (
        "search { (kind = server || kind = consumer) && (status = error || duration > 1s) }",
        Attributes,
        SHOWN,
    ),
    (
        "search { kind = server } >> { status = error }",
        Attributes,
        SHOWN,
    ),
    (
        "search { status = error } << { kind = server }",
        Attributes,
        SHOWN,
    ),
    (
        "search { kind = server } !>> { status = error }",
        Attributes,
        SHOWN,
    ),
    (
        "search { nestedSetParent < 0 } >> { kind = client } >> { status = error }",
        Attributes,
        SHOWN,
    ),
    (
        "search ({ kind = server } || { kind = consumer }) && { status = error }",
        Attributes,
        SHOWN,
    ),
    (
        "search { kind = server } &>> { kind = client }",
        All,
        "Tempo's merge of the two sides misses spans; ours is what a literal reading finds (a test of traceql)",
    ),
    (
        "tags /api/v2/search/tags  scope=span  q={ kind = client && status = error }",
        All,
        "tags of the spans that match; Tempo adds what has a column of its own, whether they have it or not",
    ),
    (
        r#"tags /api/v2/search/tag/name/values  q={ resource.service.name = "gateway" && kind = server }"#,
        All,
        "every value that a search with the same query finds; Tempo's list of them is shorter",
    ),
];

/// The entry that covers a case.
pub(crate) fn explained(case: &str) -> Option<usize> {
    EXPLAINED
        .iter()
        .position(|(start, ..)| case.starts_with(start))
}
