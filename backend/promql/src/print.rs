//! Expressions as text: on one line, or broken where lines grow long, in the layout of Prometheus' formatter.

use std::fmt;

use crate::ast::{
    Aggregate, At, Binary, Cardinality, Expr, Kind, LabelMatch, MatchOp, Matching, Node, Selector,
    Subquery, ValueType, When,
};
use crate::labels::NAME;
use crate::length::format_seconds;
use crate::number::format_value;
use crate::parse::literal::quote;

/// A node that is longer on one line is broken.
const LINE_MAX: usize = 100;

const INDENT: &str = "  ";

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&one_line(&self.root))
    }
}

impl Expr {
    /// The text over several lines where one would be long.
    pub fn pretty(&self) -> String {
        pretty(&self.root, 0)
    }
}

fn one_line(node: &Node) -> String {
    match &node.kind {
        Kind::Number {
            value,
            duration: true,
        } => format_seconds(*value),
        Kind::Number { value, .. } => format_value(*value),
        Kind::Text(text) => quote(text),
        Kind::Selector(selector) => format!("{}{}", series(selector), modifiers(&selector.when)),
        Kind::Range { selector, range } => {
            format!("{}[{range}]{}", series(selector), modifiers(&selector.when))
        }
        Kind::Subquery(subquery) => {
            format!("{}{}", one_line(&subquery.inner), brackets(subquery))
        }
        Kind::Call { function, args } => {
            let args: Vec<String> = args.iter().map(one_line).collect();
            format!("{}({})", function.name, args.join(", "))
        }
        Kind::Aggregate(aggregate) => {
            let param = aggregate.param.iter().map(|param| one_line(param) + ", ");
            format!(
                "{}({}{})",
                aggregation(aggregate),
                param.collect::<String>(),
                one_line(&aggregate.inner)
            )
        }
        Kind::Binary(binary) => format!(
            "{} {} {}",
            one_line(&binary.left),
            operator(binary),
            one_line(&binary.right)
        ),
        Kind::Unary { negate, inner } => format!("{}{}", sign(*negate), one_line(inner)),
        Kind::Paren(inner) => format!("({})", one_line(inner)),
    }
}

fn pretty(node: &Node, level: usize) -> String {
    let indent = INDENT.repeat(level);
    let line = one_line(node);
    let long = line.len() > LINE_MAX;
    match &node.kind {
        Kind::Subquery(subquery) if long => {
            format!("{}{}", pretty(&subquery.inner, level), brackets(subquery))
        }
        Kind::Subquery(_) => line,
        Kind::Unary { negate, inner } => {
            format!("{indent}{}{}", sign(*negate), pretty(inner, level).trim())
        }
        _ if !long => format!("{indent}{line}"),
        Kind::Call { function, args } => {
            let args: Vec<String> = args.iter().map(|arg| pretty(arg, level + 1)).collect();
            format!(
                "{indent}{}(\n{}\n{indent})",
                function.name,
                args.join(",\n")
            )
        }
        Kind::Aggregate(aggregate) => {
            let param = aggregate
                .param
                .iter()
                .map(|param| pretty(param, level + 1) + ",\n");
            format!(
                "{indent}{}(\n{}{}\n{indent})",
                aggregation(aggregate),
                param.collect::<String>(),
                pretty(&aggregate.inner, level + 1)
            )
        }
        Kind::Binary(binary) => format!(
            "{}\n{indent}{}\n{}",
            pretty(&binary.left, level + 1),
            operator(binary),
            pretty(&binary.right, level + 1)
        ),
        Kind::Paren(inner) => format!("{indent}(\n{}\n{indent})", pretty(inner, level + 1)),
        _ => format!("{indent}{line}"),
    }
}

fn sign(negate: bool) -> char {
    if negate { '-' } else { '+' }
}

fn series(selector: &Selector) -> String {
    let name = selector.name.as_deref().unwrap_or_default();
    let is_name = |written: &LabelMatch| {
        !name.is_empty()
            && &*written.matcher.name == NAME
            && written.operator == MatchOp::Equal
            && &*written.value == name
    };
    let mut conditions: Vec<String> = selector
        .matchers
        .iter()
        .filter(|written| !is_name(written))
        .map(|written| {
            format!(
                "{}{}{}",
                label(&written.matcher.name),
                written.operator.symbol(),
                quote(&written.value)
            )
        })
        .collect();
    if conditions.is_empty() {
        return name.to_owned();
    }
    conditions.sort();
    format!("{name}{{{}}}", conditions.join(","))
}

fn modifiers(when: &When) -> String {
    let at = match when.at {
        None => String::new(),
        Some(At::Start) => " @ start()".into(),
        Some(At::End) => " @ end()".into(),
        Some(At::Ms(ms)) => format!(" @ {:.3}", ms as f64 / 1000.0),
    };
    let offset = &when.offset;
    if offset.is_unset() {
        return at;
    }
    let sign = if offset.ms < 0 { "-" } else { "" };
    format!("{at} offset {sign}{offset}")
}

fn brackets(subquery: &Subquery) -> String {
    let (range, step) = (&subquery.range, &subquery.step);
    let when = modifiers(&subquery.when);
    if step.is_unset() {
        return format!("[{range}:]{when}");
    }
    format!("[{range}:{step}]{when}")
}

fn aggregation(aggregate: &Aggregate) -> String {
    let name = aggregate.op.name();
    let labels = labels(&aggregate.labels);
    match (aggregate.without, aggregate.labels.is_empty()) {
        (true, _) => format!("{name} without ({labels}) "),
        (false, false) => format!("{name} by ({labels}) "),
        (false, true) => name.to_owned(),
    }
}

fn operator(binary: &Binary) -> String {
    let mut out = binary.op.symbol().to_owned();
    if binary.returns_bool {
        out.push_str(" bool");
    }
    // Between anything but two vectors there is nothing to match.
    if [&binary.left, &binary.right]
        .iter()
        .any(|side| side.value_type() != ValueType::Vector)
    {
        return out;
    }
    let Matching {
        on,
        labels: matching,
        cardinality,
        include,
    } = &binary.matching;
    if *on || !matching.is_empty() || *cardinality != Cardinality::OneToOne {
        let word = if *on { "on" } else { "ignoring" };
        out.push_str(&format!(" {word} ({})", labels(matching)));
    }
    let side = match cardinality {
        Cardinality::OneToOne => return out,
        Cardinality::ManyToOne => "left",
        Cardinality::OneToMany => "right",
    };
    out.push_str(&format!(" group_{side} ({})", labels(include)));
    out
}

fn labels(names: &[Box<str>]) -> String {
    let names: Vec<String> = names.iter().map(|name| label(name)).collect();
    names.join(", ")
}

/// A label's name, in quotes unless it is made of letters, digits and `_`.
fn label(name: &str) -> String {
    let plain = |c: char| c == '_' || c.is_ascii_alphanumeric();
    let starts_plain = name.chars().next().is_some_and(|c| !c.is_ascii_digit());
    if starts_plain && name.chars().all(plain) {
        return name.to_owned();
    }
    quote(name)
}
