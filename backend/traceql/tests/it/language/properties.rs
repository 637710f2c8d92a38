//! Properties of every text: none makes the parser panic, and what it accepts has a canonical text that gives the same
//! query again.

use proptest::prelude::*;
use proptest::sample::select;
use traceql::parse;

const TOKENS: [&str; 64] = [
    "{",
    "}",
    "{",
    "}",
    "(",
    ")",
    "|",
    ",",
    "=",
    "!=",
    ">",
    ">=",
    "<",
    "<=",
    "=~",
    "!~",
    "!>",
    "!>>",
    "&>",
    "&<<",
    "~",
    ">>",
    "<<",
    "&&",
    "||",
    "!",
    "-",
    "+",
    "*",
    "/",
    "%",
    "^",
    ".a",
    "span.b",
    "resource.\"c d\"",
    "duration",
    "name",
    "status",
    "span:id",
    "parent.a",
    "1",
    "2.5",
    "10ms",
    "`x`",
    "\"y\\n\"",
    "true",
    "ok",
    "server",
    "nil",
    "minInt",
    "count()",
    "avg(.a)",
    "by(.a)",
    "coalesce()",
    "select(.a)",
    "rate()",
    "quantile_over_time(.a, 0.5)",
    "topk(2)",
    "with(a=1)",
    "nope",
    "//",
    "/*",
    "\"",
    "&",
];

/// Numbers and what gives one.
fn number() -> impl Strategy<Value = String> {
    let leaf = select(vec![
        ".a",
        "span.b",
        "duration",
        "span:childCount",
        "1",
        "0.5",
        "1h30m",
        "1.5us",
        "maxInt",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(4, 16, 2, |inner| {
        let operator = select(vec!["+", "-", "*", "/", "%", "^"]);
        prop_oneof![
            (inner.clone(), operator, inner.clone()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            inner.clone().prop_map(|a| format!("-{a}")),
            inner.prop_map(|a| format!("({a})")),
        ]
    })
}

/// What a filter may hold. Operators stand beside each other without parentheses, so that precedence decides.
fn condition() -> impl Strategy<Value = String> {
    let order = select(vec!["=", "!=", ">", ">=", "<", "<="]);
    let leaf = prop_oneof![
        (number(), order, number()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        (number(), select(vec!["= nil", "!= nil"]))
            .prop_map(|(a, test)| format!("(.z + {a}) {test}")),
        "[a-z`\"\\\\\n\r\t|]{0,6}".prop_map(|text| format!("name = {}", quoted(&text))),
        "[a-z .|]{0,6}".prop_map(|text| format!(".c !~ {}", quoted(&text))),
        "\\PC{1,5}".prop_map(|key| format!("span.{} = true", quoted(&key))),
        Just("kind = server".to_owned()),
        Just("status != error".to_owned()),
        Just("true".to_owned()),
    ];
    leaf.prop_recursive(4, 16, 2, |inner| {
        prop_oneof![
            (inner.clone(), select(vec!["&&", "||"]), inner.clone())
                .prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            inner.clone().prop_map(|a| format!("!({a})")),
            inner.prop_map(|a| format!("({a})")),
        ]
    })
}

fn query() -> impl Strategy<Value = String> {
    let spansets = condition()
        .prop_map(|filter| format!("{{ {filter} }}"))
        .prop_recursive(3, 8, 2, |inner| {
            let relation = select(vec!["&&", "||", ">", ">>", "<", "!~", "!>", "&<<", "~"]);
            prop_oneof![
                (inner.clone(), relation, inner.clone())
                    .prop_map(|(a, op, b)| format!("{a} {op} {b}")),
                inner.clone().prop_map(|a| format!("({a})")),
                inner.prop_map(|a| format!("({a} | count() > 1)")),
            ]
        });
    let stage = prop_oneof![
        number().prop_map(|of| format!("max(.x + {of}) >= -1.5s")),
        condition().prop_map(|by| format!("by(.x = 1 || {by})")),
        Just("coalesce()".to_owned()),
        Just("select(.a, span.\"b c\")".to_owned()),
    ];
    let end = select(vec![
        "",
        " | rate() by(name)",
        " | quantile_over_time(duration, 0.1, 1) > 5ms | topk(3)",
        " with(a=1.0, b=`x`)",
    ]);
    (spansets, prop::collection::vec(stage, 0..3), end).prop_map(|(spansets, stages, end)| {
        let stages: String = stages.iter().map(|stage| format!(" | {stage}")).collect();
        format!("{spansets}{stages}{end}")
    })
}

fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", escaped.replace('\n', "\\n").replace('\r', "\\r"))
}

fn check_round_trip(text: &str) -> Result<(), TestCaseError> {
    if let Ok(query) = parse(text) {
        let shown = query.to_string();
        prop_assert_eq!(parse(&shown), Ok(query), "{} shown as {}", text, shown);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,40}|(?s).{0,40}") {
        check_round_trip(&text)?;
        check_round_trip(&format!("{{ {text} }}"))?;
        check_round_trip(&format!("{{ .a = \"{text}\" }}"))?;
    }

    #[test]
    fn no_row_of_tokens_makes_the_parser_panic(tokens in prop::collection::vec(select(TOKENS.to_vec()), 0..24)) {
        check_round_trip(&tokens.join(" "))?;
        check_round_trip(&tokens.concat())?;
        check_round_trip(&format!("{{ {} }}", tokens.join(" ")))?;
    }

    #[test]
    fn what_a_query_shows_parses_to_it(text in query()) {
        let parsed = parse(&text);
        prop_assert!(parsed.is_ok(), "{}: {:?}", text, parsed);
        check_round_trip(&text)?;
    }
}
