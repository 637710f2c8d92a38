//! Queries as text: on one line (`Display`), and over several lines where one would be long ([`pretty`]).

use std::fmt::{self, Display, Formatter};

use crate::{
    ast::{
        AggregateExpr, BinaryExpr, BinaryOp, Cardinality, Condition, Conversion, Expr, Grouping,
        LabelFilter, LabelValue, LineFilter, LineOp, LogExpr, MatchOp, Matching, MetricExpr, Named,
        RangeExpr, Selector, Stage, Unwrap,
    },
    units::{
        format_bytes, format_duration, format_float, format_general, format_go_duration, quote,
    },
};

/// What is longer than this goes over several lines.
const LINE_BYTES_MAX: usize = 100;

const INDENT: &str = "  ";

/// The query as `format_query` gives it.
pub fn pretty(expr: &Expr) -> String {
    match expr {
        Expr::Log(log) => pretty_log(log, 0),
        Expr::Metric(metric) => pretty_metric(metric, 0),
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log(log) => log.fmt(f),
            Self::Metric(metric) => metric.fmt(f),
        }
    }
}

impl Display for LogExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.selector.fmt(f)?;
        self.stages
            .iter()
            .try_for_each(|stage| write!(f, " {stage}"))
    }
}

impl Display for Selector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}", joined(&self.written, ", "))
    }
}

impl Display for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.name, self.op.text(), quote(&self.value))
    }
}

impl MatchOp {
    fn text(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

impl LineOp {
    fn text(self) -> &'static str {
        match self {
            Self::Contains => "|=",
            Self::NotContains => "!=",
            Self::Regex => "|~",
            Self::NotRegex => "!~",
            Self::Pattern => "|>",
            Self::NotPattern => "!>",
        }
    }
}

impl Display for LineFilter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.op.text())?;
        let one = self
            .alternatives
            .iter()
            .map(|one| line_match_text(one.ip, &one.written));
        f.write_str(&one.collect::<Vec<_>>().join(" or "))
    }
}

pub(crate) fn line_filter_text(op: LineOp, ip: bool, written: &str) -> String {
    format!("{} {}", op.text(), line_match_text(ip, written))
}

fn line_match_text(ip: bool, written: &str) -> String {
    let quoted = quote(written);
    if ip { format!("ip({quoted})") } else { quoted }
}

impl Display for Stage {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lines(filters) => f.write_str(&joined(filters, " ")),
            Self::Json(parameters) if parameters.is_empty() => f.write_str("| json"),
            Self::Json(parameters) => {
                let pairs = parameters.iter().map(|one| (&*one.name, &*one.written));
                write!(f, "| json {}", assignments(pairs))
            }
            Self::Logfmt(logfmt) => {
                f.write_str("| logfmt")?;
                if logfmt.strict {
                    f.write_str(" --strict")?;
                }
                if logfmt.keep_empty {
                    f.write_str(" --keep-empty")?;
                }
                if logfmt.parameters.is_empty() {
                    return Ok(());
                }
                let parameters = logfmt.parameters.iter();
                let pairs = parameters.map(|one| (&*one.name, &*one.written));
                write!(f, " {}", assignments(pairs))
            }
            Self::Regexp { written, .. } => write!(f, "| regexp {}", quote(written)),
            Self::Pattern { written, .. } => write!(f, "| pattern {}", quote(written)),
            Self::Unpack => f.write_str("| unpack"),
            Self::Labels(filter) => write!(f, "| {filter}"),
            Self::LineFormat(template) => write!(f, "| line_format {}", quote(template.text())),
            Self::LabelFormat(formats) => {
                let one = formats.iter().map(|format| match &format.value {
                    LabelValue::Rename(source) => format!("{}={source}", format.name),
                    LabelValue::Template(template) => {
                        format!("{}={}", format.name, quote(template.text()))
                    }
                });
                write!(f, "| label_format {}", one.collect::<Vec<_>>().join(","))
            }
            Self::Decolorize => f.write_str("| decolorize"),
            Self::Drop(named) => write!(f, "| drop {}", joined(named, ",")),
            Self::Keep(named) => write!(f, "| keep {}", joined(named, ",")),
        }
    }
}

fn assignments<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let one = pairs.map(|(name, value)| format!("{name}={}", quote(value)));
    one.collect::<Vec<_>>().join(",")
}

fn joined<T: Display>(items: &[T], between: &str) -> String {
    let texts: Vec<String> = items.iter().map(T::to_string).collect();
    texts.join(between)
}

impl Display for Named {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Condition(condition, _) => condition.fmt(f),
        }
    }
}

impl Display for LabelFilter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { condition, .. } => {
                let value = &condition.value;
                if condition.op == MatchOp::Regex && !is_simple(value) && !value.contains('`') {
                    return write!(f, "{}=~`{value}`", condition.name);
                }
                condition.fmt(f)
            }
            Self::Number { name, op, value } => {
                write!(f, "{name}{}{}", op.text(), format_float(*value))
            }
            Self::Duration { name, op, ns } => {
                write!(f, "{name}{}{}", op.text(), format_go_duration(*ns))
            }
            Self::Bytes { name, op, bytes } => {
                write!(f, "{name}{}{}", op.text(), format_bytes(*bytes))
            }
            Self::Ip {
                name,
                negated,
                written,
                ..
            } => {
                let op = if *negated { "!=" } else { "=" };
                write!(f, "{name}{op}ip({})", quote(written))
            }
            Self::And(left, right) => write!(f, "( {left} , {right} )"),
            Self::Or(left, right) => write!(f, "( {left} or {right} )"),
        }
    }
}

/// An expression of nothing but text, alternatives, and anything before or after: quoted as any text.
fn is_simple(pattern: &str) -> bool {
    let inner = pattern.strip_prefix(".*").unwrap_or(pattern);
    let inner = inner.strip_suffix(".*").unwrap_or(inner);
    pattern == ".+" || !inner.contains(|c: char| "\\.+*?()[]{}^$".contains(c))
}

impl Display for MetricExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(value) => f.write_str(&format_general(*value)),
            Self::Vector(value) if value.is_finite() => write!(f, "vector({value:.6})"),
            Self::Vector(value) => write!(f, "vector({})", format_float(*value)),
            Self::Range(range) => range.fmt(f),
            Self::Aggregate(aggregate) => aggregate.fmt(f),
            Self::Binary(binary) => {
                let op = operator(binary, ",", false);
                write!(f, "({} {op} {})", binary.left, binary.right)
            }
            Self::LabelReplace(replace) => {
                let texts = [
                    &replace.target,
                    &replace.replacement,
                    &replace.source,
                    &replace.written,
                ]
                .map(|text| quote(text));
                write!(f, "label_replace({},{})", replace.inner, texts.join(","))
            }
        }
    }
}

impl Display for RangeExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.op.text())?;
        if let Some(parameter) = self.parameter {
            write!(f, "{},", format_float(parameter))?;
        }
        self.log.fmt(f)?;
        if let Some(unwrap) = &self.unwrap {
            write!(f, " {unwrap}")?;
        }
        write!(f, "[{}]", format_duration(self.range_ns))?;
        if self.offset_ns != 0 {
            write!(f, " offset {}", format_go_duration(self.offset_ns))?;
        }
        f.write_str(")")?;
        match &self.grouping {
            Some(grouping) => grouping.fmt(f),
            None => Ok(()),
        }
    }
}

impl Display for Unwrap {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&unwrap_text(self))?;
        self.filters
            .iter()
            .try_for_each(|filter| write!(f, " | {filter}"))
    }
}

fn unwrap_text(unwrap: &Unwrap) -> String {
    match unwrap.conversion {
        Conversion::None => format!("| unwrap {}", unwrap.label),
        conversion => format!("| unwrap {}({})", conversion.text(), unwrap.label),
    }
}

impl Display for Grouping {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let word = if self.without { "without" } else { "by" };
        write!(f, " {word} ({})", self.labels.join(","))
    }
}

impl Display for AggregateExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.op.text())?;
        if !self.grouping.is_single() {
            self.grouping.fmt(f)?;
        }
        f.write_str("(")?;
        if let Some(parameter) = self.parameter {
            write!(f, "{parameter},")?;
        }
        write!(f, "{})", self.inner)
    }
}

/// The operator with what modifies it. Over several lines, empty lists are left out.
fn operator(binary: &BinaryExpr, between: &str, over_lines: bool) -> String {
    let mut text = binary.op.text().to_owned();
    if binary.return_bool {
        text.push_str(" bool");
    }
    let Matching {
        cardinality,
        labels,
        on,
        include,
    } = &binary.matching;
    let mut group = match cardinality {
        Cardinality::OneToOne => "",
        Cardinality::ManyToOne => "group_left",
        Cardinality::OneToMany => "group_right",
    }
    .to_owned();
    if let Some(include) = include {
        group.push_str(&format!(" ({})", include.join(between)));
    }
    match labels {
        Some(labels) if !labels.is_empty() || *on && !over_lines => {
            let word = if *on { "on" } else { "ignoring" };
            text.push_str(&format!(" {word} ({}) {group}", labels.join(between)));
        }
        _ => {}
    }
    text
}

fn is_long(expr: &impl Display) -> bool {
    expr.to_string().len() > LINE_BYTES_MAX
}

fn indent(level: usize) -> String {
    INDENT.repeat(level)
}

fn pretty_log(log: &LogExpr, level: usize) -> String {
    if log.is_selector() || !is_long(log) {
        return format!("{}{log}", indent(level));
    }
    let mut out = format!("{}{}", indent(level), log.selector);
    for stage in &log.stages {
        out.push('\n');
        match stage {
            Stage::Lines(filters) if is_long(stage) => {
                let one = filters
                    .iter()
                    .map(|one| format!("{}{one}", indent(level + 1)));
                out.push_str(&one.collect::<Vec<_>>().join("\n"));
            }
            // The one stage that is not indented.
            Stage::Decolorize => out.push_str(&stage.to_string()),
            _ => out.push_str(&format!("{}{stage}", indent(level + 1))),
        }
    }
    out
}

fn pretty_metric(metric: &MetricExpr, level: usize) -> String {
    if !is_long(metric) {
        return format!("{}{metric}", indent(level));
    }
    match metric {
        MetricExpr::Literal(_) | MetricExpr::Vector(_) => format!("{}{metric}", indent(level)),
        MetricExpr::Range(range) => pretty_range(range, level),
        MetricExpr::Aggregate(aggregate) => {
            let mut arguments = Vec::new();
            if let Some(parameter) = aggregate.parameter {
                arguments.push(format!("{}{parameter}", indent(level + 1)));
            }
            arguments.push(pretty_metric(&aggregate.inner, level + 1));
            let grouping = pretty_grouping(&aggregate.grouping);
            call(
                &format!("{}{grouping}", aggregate.op.text()),
                &arguments,
                level,
            )
        }
        MetricExpr::Binary(binary) => {
            let operator = operator(binary, ", ", true);
            let [left, right] = [(&binary.left, false), (&binary.right, true)]
                .map(|(operand, right)| pretty_operand(operand, binary.op, right, level + 1));
            format!("{left}\n{}{operator}\n{right}", indent(level))
        }
        MetricExpr::LabelReplace(replace) => {
            let texts = [
                &replace.target,
                &replace.replacement,
                &replace.source,
                &replace.written,
            ];
            let mut arguments = vec![pretty_metric(&replace.inner, level + 1)];
            arguments.extend(texts.map(|text| format!("{}{}", indent(level + 1), quote(text))));
            call("label_replace", &arguments, level)
        }
    }
}

/// In parentheses where it would be read otherwise without: a short one brings its own.
fn pretty_operand(operand: &MetricExpr, outer: BinaryOp, right: bool, level: usize) -> String {
    let written = pretty_metric(operand, level);
    let MetricExpr::Binary(inner) = operand else {
        return written;
    };
    // Powers associate to the right, all others to the left.
    let same_side = right == (outer == BinaryOp::Pow);
    let (inner, outer) = (inner.op.precedence(), outer.precedence());
    if !is_long(operand) || inner > outer || inner == outer && same_side {
        return written;
    }
    let level = indent(level);
    format!("{level}(\n{written}\n{level})")
}

/// A call with each argument on lines of its own.
fn call(name: &str, arguments: &[String], level: usize) -> String {
    let level = indent(level);
    format!("{level}{name}(\n{}\n{level})", arguments.join(",\n"))
}

fn pretty_range(range: &RangeExpr, level: usize) -> String {
    let mut inner = pretty_log(&range.log, level + 1);
    if let Some(unwrap) = &range.unwrap {
        let level = indent(level + 2);
        inner.push_str(&format!("\n{level}{}", unwrap_text(unwrap)));
        for filter in &unwrap.filters {
            inner.push_str(&format!("\n{level}| {filter}"));
        }
    }
    inner.push_str(&format!(" [{}]", format_duration(range.range_ns)));
    if range.offset_ns != 0 {
        inner.push_str(&format!(" offset {}", format_duration(range.offset_ns)));
    }
    let mut arguments = Vec::new();
    if let Some(parameter) = range.parameter {
        arguments.push(format!(
            "{}{}",
            indent(level + 1),
            format_general(parameter)
        ));
    }
    arguments.push(inner);
    let grouping = range.grouping.as_ref().map(pretty_grouping);
    call(range.op.text(), &arguments, level) + &grouping.unwrap_or_default()
}

fn pretty_grouping(grouping: &Grouping) -> String {
    let labels = grouping.labels.join(", ");
    match (grouping.without, labels.is_empty()) {
        (true, _) => format!(" without ({labels})"),
        (false, true) => String::new(),
        (false, false) => format!(" by ({labels})"),
    }
}
