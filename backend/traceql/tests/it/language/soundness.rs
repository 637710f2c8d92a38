//! Candidates never exclude a match: random filters over random traces, judged by an evaluation of their own, small and
//! obvious, so that a mistake in the crate's is not repeated here.

use proptest::prelude::*;
use proptest::sample::select;
use traceql::model::{AttributeValue, Kind, Status};
use traceql::{Candidates, Condition, parse};

#[derive(Clone, Debug)]
struct Span {
    attributes: Vec<(&'static str, AttributeValue)>,
    name: &'static str,
    status: Status,
    kind: Kind,
    duration_ns: u64,
}

/// A filter as text and as what it means.
#[derive(Clone, Debug)]
enum Filter {
    Compare(Field, &'static str, AttributeValue),
    OneOf(Field, Vec<&'static str>),
    Exists(&'static str),
    Absent(&'static str),
    Not(Box<Filter>),
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
}

#[derive(Clone, Copy, Debug)]
enum Field {
    Attribute(&'static str),
    Name,
    Duration,
    Status,
    Kind,
}

impl Filter {
    fn text(&self) -> String {
        match self {
            Self::Compare(field, operator, value) => {
                format!("{} {operator} {}", field.text(), field.literal(value))
            }
            Self::OneOf(field, texts) => format!("{} =~ `{}`", field.text(), texts.join("|")),
            Self::Exists(key) => format!(".{key} != nil"),
            Self::Absent(key) => format!(".{key} = nil"),
            Self::Not(inner) => format!("!({})", inner.text()),
            Self::And(left, right) => format!("({}) && ({})", left.text(), right.text()),
            Self::Or(left, right) => format!("({}) || ({})", left.text(), right.text()),
        }
    }

    fn matches(&self, span: &Span) -> bool {
        match self {
            Self::Compare(field, operator, value) => field
                .of(span)
                .is_some_and(|found| compare(&found, operator, value)),
            Self::OneOf(field, texts) => match field.of(span) {
                Some(AttributeValue::String(text)) => texts.contains(&text.as_str()),
                _ => false,
            },
            Self::Exists(key) => Field::Attribute(key).of(span).is_some(),
            Self::Absent(key) => Field::Attribute(key).of(span).is_none(),
            Self::Not(inner) => !inner.matches(span),
            Self::And(left, right) => left.matches(span) && right.matches(span),
            Self::Or(left, right) => left.matches(span) || right.matches(span),
        }
    }
}

impl Field {
    fn text(self) -> String {
        match self {
            Self::Attribute(key) => format!(".{key}"),
            Self::Name => "name".to_owned(),
            Self::Duration => "duration".to_owned(),
            Self::Status => "status".to_owned(),
            Self::Kind => "kind".to_owned(),
        }
    }

    fn literal(self, value: &AttributeValue) -> String {
        match (self, value) {
            (Self::Status | Self::Kind, AttributeValue::String(word)) => word.clone(),
            (_, AttributeValue::String(text)) => format!("`{text}`"),
            (_, AttributeValue::Int(number)) => number.to_string(),
            (_, AttributeValue::Double(number)) => format!("{number:?}"),
            (_, AttributeValue::Bool(flag)) => flag.to_string(),
            (_, AttributeValue::Array(_)) => unreachable!("no literal is an array"),
        }
    }

    fn of(self, span: &Span) -> Option<AttributeValue> {
        Some(match self {
            Self::Attribute(key) => {
                let found = span.attributes.iter().find(|(name, _)| *name == key);
                return found.map(|(_, value)| value.clone());
            }
            Self::Name => AttributeValue::String(span.name.to_owned()),
            Self::Duration => AttributeValue::Int(span.duration_ns as i64),
            Self::Status => AttributeValue::String(span.status.to_string()),
            Self::Kind => AttributeValue::String(span.kind.to_string()),
        })
    }
}

fn compare(found: &AttributeValue, operator: &str, value: &AttributeValue) -> bool {
    let order = match (found, value) {
        (AttributeValue::String(left), AttributeValue::String(right)) => left.cmp(right),
        (AttributeValue::Bool(left), AttributeValue::Bool(right)) => left.cmp(right),
        _ => match (number(found), number(value)) {
            (Some(left), Some(right)) => left.total_cmp(&right),
            _ => return false,
        },
    };
    match operator {
        "=" => order.is_eq(),
        "!=" => order.is_ne(),
        ">" => order.is_gt(),
        ">=" => order.is_ge(),
        "<" => order.is_lt(),
        _ => order.is_le(),
    }
}

fn number(value: &AttributeValue) -> Option<f64> {
    match value {
        AttributeValue::Int(number) => Some(*number as f64),
        AttributeValue::Double(number) => Some(*number),
        _ => None,
    }
}

fn holds(condition: &Condition, span: &Span) -> bool {
    match condition {
        Condition::HasAttribute(key) => span.attributes.iter().any(|(name, _)| name == key),
        Condition::Attribute { key, any_of } => span.attributes.iter().any(|(name, value)| {
            name == key && any_of.iter().any(|wanted| compare(value, "=", wanted))
        }),
        Condition::Name(any_of) => any_of.iter().any(|name| name == span.name),
        Condition::Status(any_of) => any_of.contains(&span.status),
        Condition::Kind(any_of) => any_of.contains(&span.kind),
        Condition::Duration { min_ns, max_ns } => (*min_ns..=*max_ns).contains(&span.duration_ns),
    }
}

fn value() -> impl Strategy<Value = AttributeValue> {
    prop_oneof![
        select(vec!["x", "y"]).prop_map(|text| AttributeValue::String(text.to_owned())),
        (0..3_i64).prop_map(AttributeValue::Int),
        select(vec![0.5, 1.0, 1.5]).prop_map(AttributeValue::Double),
        any::<bool>().prop_map(AttributeValue::Bool),
    ]
}

fn span() -> impl Strategy<Value = Span> {
    let attribute = (select(vec!["a", "b", "c"]), value());
    (
        prop::collection::vec(attribute, 0..3),
        select(vec!["x", "y"]),
        select(vec![Status::Unset, Status::Ok, Status::Error]),
        select(vec![Kind::Server, Kind::Client]),
        0..4_u64,
    )
        .prop_map(|(attributes, name, status, kind, duration_ns)| Span {
            attributes,
            name,
            status,
            kind,
            duration_ns,
        })
}

fn filter() -> impl Strategy<Value = Filter> {
    let key = || select(vec!["a", "b", "c"]);
    let equality = || select(vec!["=", "!="]);
    // Bools have no order in a query.
    let order = select(vec![">", ">=", "<", "<="]);
    let bound = prop_oneof![
        (0..5_i64).prop_map(AttributeValue::Int),
        select(vec![0.5, 1.0, 2.5]).prop_map(AttributeValue::Double),
    ];
    let compared = (prop_oneof![order, equality()], bound.clone());
    let word = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        select(words).prop_map(AttributeValue::String)
    };
    let texts = prop::collection::vec(select(vec!["x", "y"]), 1..3);
    let leaf = prop_oneof![
        (key(), equality(), value()).prop_map(|(key, op, value)| Filter::Compare(
            Field::Attribute(key),
            op,
            value
        )),
        (key(), compared.clone()).prop_map(|(key, (op, value))| Filter::Compare(
            Field::Attribute(key),
            op,
            value
        )),
        compared.prop_map(|(op, value)| Filter::Compare(Field::Duration, op, value)),
        (equality(), word(&["x", "y"])).prop_map(|(op, value)| Filter::Compare(
            Field::Name,
            op,
            value
        )),
        (equality(), word(&["ok", "error", "unset"])).prop_map(|(op, value)| Filter::Compare(
            Field::Status,
            op,
            value
        )),
        (equality(), word(&["server", "client"])).prop_map(|(op, value)| Filter::Compare(
            Field::Kind,
            op,
            value
        )),
        (key(), texts.clone()).prop_map(|(key, texts)| Filter::OneOf(Field::Attribute(key), texts)),
        texts.prop_map(|texts| Filter::OneOf(Field::Name, texts)),
        key().prop_map(Filter::Exists),
        key().prop_map(Filter::Absent),
    ];
    leaf.prop_recursive(4, 24, 2, |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        prop_oneof![
            4 => (boxed(), boxed()).prop_map(|(left, right)| Filter::And(left, right)),
            4 => (boxed(), boxed()).prop_map(|(left, right)| Filter::Or(left, right)),
            1 => boxed().prop_map(Filter::Not),
        ]
    })
}

fn check(query: &str, trace: &[Span], is_match: bool) -> Result<(), TestCaseError> {
    let Candidates::AnyOf(any_of) = parse(query).unwrap().candidates() else {
        return Ok(());
    };
    let is_candidate = any_of.iter().any(|conditions| {
        trace
            .iter()
            .any(|span| conditions.iter().all(|condition| holds(condition, span)))
    });
    prop_assert!(is_candidate || !is_match, "{query}: {any_of:?}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_048))]

    #[test]
    fn no_matching_trace_is_left_out(
        trace in prop::collection::vec(span(), 1..4),
        left in filter(),
        right in filter(),
    ) {
        let some = |filter: &Filter| trace.iter().any(|span| filter.matches(span));
        let (l, r) = (left.text(), right.text());
        check(&format!("{{ {l} }}"), &trace, some(&left))?;
        check(&format!("{{ {l} }} && {{ {r} }}"), &trace, some(&left) && some(&right))?;
        check(&format!("{{ {l} }} || {{ {r} }}"), &trace, some(&left) || some(&right))?;
        let both = Filter::And(Box::new(left), Box::new(right));
        check(&format!("{{ {l} }} | {{ {r} }}"), &trace, some(&both))?;
    }
}
