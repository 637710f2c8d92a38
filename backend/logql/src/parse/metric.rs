//! Numbers: functions of ranges, aggregations and operators. Which of them fit together: `check`.

use super::{
    ParseError, Parsed, Parser, Step,
    check::{aggregate_parameter, binary, check_range, range_parameter},
    compile, unselective,
};
use crate::{
    ast::{
        AggregateExpr, AggregateOp, BinaryOp, Cardinality, CompareOp, Conversion, Grouping,
        LabelReplaceExpr, LogExpr, Matching, MetricExpr, RangeExpr, RangeOp, Unwrap,
    },
    lex::Token,
    units::parse_float,
};

/// The length of a range: it may stand before or after the pipeline.
#[derive(Default)]
struct Length {
    range_ns: Option<i64>,
    offset_ns: i64,
}

impl Parser<'_> {
    /// An expression whose operators bind tighter than `least`.
    pub(super) fn expression(&mut self, least: u8) -> Step<Parsed> {
        let mut left = self.nested(Self::operand)?;
        let mut chained = 0;
        while let Some(op) = self.binary_op() {
            let precedence = op.precedence();
            if precedence <= least {
                break;
            }
            self.chained(&mut chained)?;
            self.advance()?;
            let (return_bool, matching) = self.modifiers()?;
            // Powers associate to the right.
            let inner = precedence - u8::from(op == BinaryOp::Pow);
            let right = self.nested(|parser| parser.expression(inner))?;
            left = binary(op, return_bool, matching, (left, right));
        }
        Ok(left)
    }

    fn binary_op(&self) -> Option<BinaryOp> {
        let Token::Word(word) = self.token else {
            return None;
        };
        Some(match word {
            "or" => BinaryOp::Or,
            "and" => BinaryOp::And,
            "unless" => BinaryOp::Unless,
            "+" => BinaryOp::Add,
            "-" => BinaryOp::Sub,
            "*" => BinaryOp::Mul,
            "/" => BinaryOp::Div,
            "%" => BinaryOp::Mod,
            "^" => BinaryOp::Pow,
            "==" => BinaryOp::Compare(CompareOp::Equal),
            "!=" => BinaryOp::Compare(CompareOp::NotEqual),
            ">" => BinaryOp::Compare(CompareOp::Greater),
            ">=" => BinaryOp::Compare(CompareOp::GreaterEqual),
            "<" => BinaryOp::Compare(CompareOp::Less),
            "<=" => BinaryOp::Compare(CompareOp::LessEqual),
            _ => return None,
        })
    }

    /// `bool`, `on (…)`, `group_left (…)`. A parenthesis after `group_left` is always one of labels.
    fn modifiers(&mut self) -> Step<(bool, Matching)> {
        let return_bool = self.eat("bool")?;
        let mut matching = Matching {
            on: self.is("on"),
            ..Matching::default()
        };
        if !self.eat("on")? && !self.eat("ignoring")? {
            return Ok((return_bool, matching));
        }
        matching.labels = Some(self.labels()?);
        matching.cardinality = match self.token {
            Token::Word("group_left") => Cardinality::ManyToOne,
            Token::Word("group_right") => Cardinality::OneToMany,
            _ => return Ok((return_bool, matching)),
        };
        self.advance()?;
        if self.is("(") {
            matching.include = Some(self.labels()?).filter(|labels| !labels.is_empty());
        }
        Ok((return_bool, matching))
    }

    /// `(a, b)`, possibly empty.
    fn labels(&mut self) -> Step<Vec<Box<str>>> {
        self.expect("(")?;
        let mut labels = Vec::new();
        if self.eat(")")? {
            return Ok(labels);
        }
        let mut expected: &[&str] = &["IDENTIFIER", ")"];
        loop {
            labels.push(self.identifier(expected)?);
            if self.eat(")")? {
                return Ok(labels);
            }
            self.expect_or(",", &[",", ")"])?;
            expected = &["IDENTIFIER"];
        }
    }

    fn operand(&mut self) -> Step<Parsed> {
        match self.token {
            Token::Word("{") => {
                let selector = self.selector()?;
                let (stages, unwraps) = self.stages()?;
                if unwraps {
                    return Err(self.unexpected(&[]));
                }
                Ok(Parsed::Log(LogExpr { selector, stages }))
            }
            Token::Word("(") => {
                self.advance()?;
                let inner = self.expression(0)?;
                self.expect_or(")", &[])?;
                Ok(inner)
            }
            Token::OverRange(op) => self.range_function(op),
            Token::Aggregate(op) => self.aggregation(op),
            Token::Vector => self.vector(),
            Token::Word("label_replace") => self.label_replace(),
            Token::Word("variants") => Err(ParseError::new("variants is not supported")),
            Token::Number(_) | Token::Word("+" | "-") => self.literal(),
            _ => Err(self.unexpected(&[])),
        }
    }

    fn number(&mut self) -> Step<Box<str>> {
        if !matches!(self.token, Token::Number(_)) {
            return Err(self.unexpected(&["NUMBER"]));
        }
        match self.advance()? {
            Token::Number(text) => Ok(text),
            _ => unreachable!("looked at above"),
        }
    }

    fn literal(&mut self) -> Step<Parsed> {
        let negative = self.eat("-")?;
        if !negative {
            self.eat("+")?;
        }
        let text = self.number()?;
        Ok(match parse_float(&text) {
            Ok(value) => Parsed::Metric(MetricExpr::Literal(if negative { -value } else { value })),
            Err(why) => Parsed::wrong(format!("unable to parse literal as a float: {why}")),
        })
    }

    fn vector(&mut self) -> Step<Parsed> {
        self.advance()?;
        self.expect("(")?;
        let text = self.number()?;
        self.expect(")")?;
        Ok(match parse_float(&text) {
            Ok(value) => Parsed::Metric(MetricExpr::Vector(value)),
            Err(why) => Parsed::wrong(format!("unable to parse vectorExpr as a float: {why}")),
        })
    }

    fn label_replace(&mut self) -> Step<Parsed> {
        self.advance()?;
        self.expect("(")?;
        let inner = self.metric()?;
        let mut texts = Vec::with_capacity(4);
        for _ in 0..4 {
            self.expect_or(",", &[","])?;
            texts.push(self.string()?);
        }
        self.expect(")")?;
        let Ok([target, replacement, source, written]) = <[Box<str>; 4]>::try_from(texts) else {
            unreachable!("four were read");
        };
        let pattern = format!("^(?:{})$", go_regex::translate(&written));
        let regex = match compile(&pattern, &written) {
            Ok(regex) => regex,
            Err(why) => {
                return Ok(Parsed::wrong(format!(
                    "invalid regex in label_replace: {why}"
                )));
            }
        };
        Ok(inner.map(|inner| {
            MetricExpr::LabelReplace(Box::new(LabelReplaceExpr {
                inner,
                target,
                replacement,
                source,
                written,
                regex,
            }))
        }))
    }

    /// An expression that must not be one of lines.
    fn metric(&mut self) -> Step<Parsed> {
        match self.expression(0)? {
            // A range would have had to come before what stands here.
            Parsed::Log(_) => Err(self.unexpected(&[])),
            other => Ok(other),
        }
    }

    fn grouping(&mut self) -> Step<Option<Grouping>> {
        let without = self.is("without");
        if !without && !self.is("by") {
            return Ok(None);
        }
        self.advance()?;
        Ok(Some(Grouping {
            without,
            labels: self.labels()?,
        }))
    }

    fn aggregation(&mut self, op: AggregateOp) -> Step<Parsed> {
        self.advance()?;
        let before = self.grouping()?;
        self.expect_or("(", &["(", "by", "without"])?;
        let (written, inner) = self.parameter_and_operand()?;
        self.expect_or(")", &[])?;
        let grouping = match before {
            Some(grouping) => Some(grouping),
            None => self.grouping()?,
        };
        let parameter = match aggregate_parameter(op, written.as_deref(), grouping.as_ref()) {
            Ok(parameter) => parameter,
            Err(why) => return Ok(Parsed::wrong(why)),
        };
        let grouping = grouping.unwrap_or_default();
        Ok(inner.map(|inner| {
            MetricExpr::Aggregate(Box::new(AggregateExpr {
                op,
                parameter,
                inner,
                grouping,
            }))
        }))
    }

    /// `5, expression` or `expression`, which may begin with a number too.
    fn parameter_and_operand(&mut self) -> Step<(Option<Box<str>>, Parsed)> {
        let written = match &self.token {
            Token::Number(text) => Some(text.clone()),
            _ => None,
        };
        let first = self.expression(0)?;
        let is_number = matches!(
            first,
            Parsed::Metric(MetricExpr::Literal(_)) | Parsed::Wrong(_)
        );
        match first {
            _ if written.is_some() && is_number && self.is(",") => {
                self.advance()?;
                Ok((written, self.metric()?))
            }
            Parsed::Log(_) => Err(self.unexpected(&[])),
            other => Ok((None, other)),
        }
    }

    fn range_function(&mut self, op: RangeOp) -> Step<Parsed> {
        self.advance()?;
        self.expect("(")?;
        let mut written = None;
        if matches!(self.token, Token::Number(_)) {
            written = Some(self.number()?);
            self.expect(",")?;
        }
        if written.is_none() && !self.is("{") && !self.is("(") {
            return Err(self.unexpected(&["NUMBER", "{", "("]));
        }
        let mut length = Length::default();
        let (log, unwrap) = self.nested(|parser| parser.ranged(&mut length))?;
        let Some(range_ns) = length.range_ns else {
            let expected: &[&str] = if unwrap.is_some() {
                &["RANGE", "|"]
            } else {
                &[]
            };
            return Err(self.unexpected(expected));
        };
        self.expect_or(")", &[")"])?;
        let grouping = self.grouping()?;
        let checked = range_parameter(op, written.as_deref()).and_then(|parameter| {
            check_range(op, unwrap.is_some(), grouping.is_some())?;
            Ok(parameter)
        });
        let parameter = match checked {
            Ok(parameter) => parameter,
            Err(why) => return Ok(Parsed::wrong(why)),
        };
        if let Some(error) = unselective(&log) {
            return Ok(Parsed::Wrong(error));
        }
        Ok(Parsed::Metric(MetricExpr::Range(Box::new(RangeExpr {
            op,
            parameter,
            log,
            unwrap,
            range_ns,
            offset_ns: length.offset_ns,
            grouping,
        }))))
    }

    /// Lines with a length before or after the pipeline, in parentheses or not.
    fn ranged(&mut self, length: &mut Length) -> Step<(LogExpr, Option<Unwrap>)> {
        if self.eat("(")? {
            let found = self.nested(|parser| parser.ranged(length))?;
            self.expect_or(")", &[])?;
            self.length(length)?;
            return Ok(found);
        }
        if !self.is("{") {
            return Err(self.unexpected(&[]));
        }
        let selector = self.selector()?;
        self.length(length)?;
        let (stages, unwraps) = self.stages()?;
        let unwrap = if unwraps { Some(self.unwrap()?) } else { None };
        self.length(length)?;
        Ok((LogExpr { selector, stages }, unwrap))
    }

    /// `[5m] offset 1h`, if it stands here and has not been read yet.
    fn length(&mut self, length: &mut Length) -> Step<()> {
        let Token::Range(range_ns) = self.token else {
            return Ok(());
        };
        if length.range_ns.is_some() {
            return Err(self.unexpected(&[")"]));
        }
        self.advance()?;
        length.range_ns = Some(range_ns);
        if self.eat("offset")? {
            let Token::Duration(offset_ns) = self.token else {
                return Err(self.unexpected(&["DURATION"]));
            };
            self.advance()?;
            length.offset_ns = offset_ns;
        }
        Ok(())
    }

    /// From the word on; filters may follow.
    fn unwrap(&mut self) -> Step<Unwrap> {
        self.advance()?;
        let conversion = match self.token {
            Token::Word("bytes") => Conversion::Bytes,
            Token::Word("duration") => Conversion::Duration,
            Token::Word("duration_seconds") => Conversion::DurationSeconds,
            _ => Conversion::None,
        };
        let label = if conversion == Conversion::None {
            self.identifier(&[
                "IDENTIFIER",
                "BYTES_CONV",
                "DURATION_CONV",
                "DURATION_SECONDS_CONV",
            ])?
        } else {
            self.advance()?;
            self.expect("(")?;
            let label = self.identifier(&["IDENTIFIER"])?;
            self.expect(")")?;
            label
        };
        let mut filters = Vec::new();
        while self.eat("|")? {
            filters.push(self.label_filter()?);
        }
        Ok(Unwrap {
            label,
            conversion,
            filters,
        })
    }
}
