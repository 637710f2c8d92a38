//! The pipeline: selections of spans and the operators between them, aggregates, `by`, `coalesce`, `select`.
//!
//! Selections and scalars (`count()`, `5`) share operators and parentheses, so both are parsed as a [`Term`]; what a term
//! turned out to be decides which operators may follow.

use super::{ParseError, Parser, invalid};
use crate::lexer::Token;
use crate::{
    Aggregate, AggregateFilter, Comparison, Expr, Form, Literal, Pipeline, Query, Relation, Side,
    Spansets, Stage,
};

enum Term {
    Spansets(Spansets),
    Scalar(Scalar),
    Filter(AggregateFilter),
}

enum Scalar {
    Literal(Literal),
    Aggregate(Aggregate),
    /// Arithmetic: well-formed, never supported.
    Computed,
}

/// Stages, and the scalar that may stand at their end instead of a stage.
struct Stages {
    stages: Vec<Stage>,
    scalar: Option<Scalar>,
}

enum Item {
    Stage(Stage),
    Scalar(Scalar),
}

#[derive(Clone, Copy)]
enum Between {
    Spansets(Relation),
    Compared(Comparison),
    Calculated,
}

impl Parser<'_> {
    pub(super) fn query(&mut self) -> Result<Query, ParseError> {
        let Stages { stages, scalar } = self.stages()?;
        if scalar.is_some() {
            return Err(self.unexpected(None));
        }
        let metrics = self.metrics()?;
        let mut hints = Vec::new();
        while self.eat_word("with") {
            hints = self.list(Self::hint)?;
        }
        self.end()?;
        Ok(Query {
            pipeline: Pipeline { stages },
            metrics,
            hints,
        })
    }

    /// Up to the end, to a closing parenthesis or to a metrics function.
    fn stages(&mut self) -> Result<Stages, ParseError> {
        let mut stages = Vec::new();
        loop {
            match self.item(stages.is_empty())? {
                Item::Stage(stage) => stages.push(stage),
                Item::Scalar(scalar) => {
                    let scalar = Some(scalar);
                    return Ok(Stages { stages, scalar });
                }
            }
            if !self.eat_symbol("|") || self.is_metrics_function() {
                let scalar = None;
                return Ok(Stages { stages, scalar });
            }
            self.count_operator()?;
        }
    }

    fn item(&mut self, is_first: bool) -> Result<Item, ParseError> {
        if self.eat_word("by") {
            self.expect("(")?;
            let expr = self.expr()?;
            self.expect(")")?;
            return Ok(Item::Stage(Stage::By(expr)));
        }
        if !is_first && self.eat_word("coalesce") {
            self.expect("(")?;
            self.expect(")")?;
            return Ok(Item::Stage(Stage::Coalesce));
        }
        if self.eat_word("select") {
            return Ok(Item::Stage(Stage::Select(self.list(Self::field)?)));
        }
        Ok(match self.term(0)? {
            Term::Spansets(spansets) => Item::Stage(Stage::Spansets(spansets)),
            Term::Filter(filter) => Item::Stage(Stage::Aggregate(filter)),
            Term::Scalar(scalar) => Item::Scalar(scalar),
        })
    }

    /// Operators that bind at least as strongly as `level`. All are left-associative (arithmetic is refused anyway).
    fn term(&mut self, level: u8) -> Result<Term, ParseError> {
        let mut left = self.nested(Self::operand)?;
        while let Some((between, binding)) = self.between(&left) {
            if binding < level {
                break;
            }
            self.bump();
            self.count_operator()?;
            let start = self.next;
            let right = self.nested(|parser| parser.term(binding + 1))?;
            left = match (left, between, right) {
                (Term::Spansets(left), Between::Spansets(relation), Term::Spansets(right)) => {
                    let (left, right) = (Box::new(left), Box::new(right));
                    Term::Spansets(Spansets::Operation {
                        relation,
                        left,
                        right,
                    })
                }
                (Term::Scalar(left), Between::Compared(comparison), Term::Scalar(right)) => {
                    Term::Filter(filter(left, comparison, right)?)
                }
                (Term::Scalar(_), Between::Calculated, Term::Scalar(_)) => {
                    Term::Scalar(Scalar::Computed)
                }
                _ => {
                    self.next = start;
                    return Err(self.unexpected(None));
                }
            };
        }
        Ok(left)
    }

    /// The operator that comes next, if it may follow such a term.
    fn between(&self, left: &Term) -> Option<(Between, u8)> {
        let Token::Symbol(symbol) = self.peek() else {
            return None;
        };
        match left {
            Term::Spansets(_) => {
                let relation = relation(symbol)?;
                Some((Between::Spansets(relation), relation.binding()))
            }
            Term::Scalar(_) => match *symbol {
                "+" | "-" => Some((Between::Calculated, 3)),
                "*" | "/" | "%" => Some((Between::Calculated, 4)),
                "^" => Some((Between::Calculated, 5)),
                symbol => Some((
                    Between::Compared(super::expressions::comparison(symbol)?),
                    2,
                )),
            },
            Term::Filter(_) => None,
        }
    }

    fn operand(&mut self) -> Result<Term, ParseError> {
        if self.eat_symbol("{") {
            let expr = if self.is_symbol("}") {
                Expr::Literal(Literal::Bool(true))
            } else {
                self.expr()?
            };
            self.expect("}")?;
            return Ok(Term::Spansets(Spansets::Filter(expr)));
        }
        if self.eat_symbol("(") {
            return self.group();
        }
        if let Some(aggregate) = self.aggregate()? {
            return Ok(Term::Scalar(Scalar::Aggregate(aggregate)));
        }
        Ok(Term::Scalar(Scalar::Literal(self.signed_number()?)))
    }

    /// After the opening parenthesis: a selection, a scalar, or a whole pipeline.
    fn group(&mut self) -> Result<Term, ParseError> {
        let Stages { mut stages, scalar } = self.stages()?;
        self.expect(")")?;
        match (stages.pop(), scalar) {
            (None, Some(scalar)) => Ok(Term::Scalar(scalar)),
            (Some(_), Some(_)) => Err(unsupported("scalar filter over a pipeline")),
            (Some(Stage::Spansets(spansets)), None) if stages.is_empty() => {
                Ok(Term::Spansets(spansets))
            }
            (last, None) => {
                self.count_operator()?;
                stages.extend(last);
                Ok(Term::Spansets(Spansets::Pipeline(Pipeline { stages })))
            }
        }
    }

    fn aggregate(&mut self) -> Result<Option<Aggregate>, ParseError> {
        let Token::Word(word) = *self.peek() else {
            return Ok(None);
        };
        let of = match word {
            "count" => {
                self.bump();
                self.expect("(")?;
                self.expect(")")?;
                return Ok(Some(Aggregate::Count));
            }
            "avg" => Aggregate::Avg,
            "min" => Aggregate::Min,
            "max" => Aggregate::Max,
            "sum" => Aggregate::Sum,
            _ => return Ok(None),
        };
        self.bump();
        self.expect("(")?;
        let expr = self.expr()?;
        self.expect(")")?;
        Ok(Some(of(expr)))
    }

    /// An int, a float or a duration, with a sign or without.
    pub(super) fn signed_number(&mut self) -> Result<Literal, ParseError> {
        let is_negative = self.eat_symbol("-");
        let literal = match *self.peek() {
            Token::Int(number) => Literal::Int(number),
            Token::Float(number) => Literal::Float(number),
            Token::Duration(nanoseconds) => Literal::Duration(nanoseconds),
            _ => return Err(self.unexpected(None)),
        };
        self.bump();
        Ok(if is_negative {
            literal.datum().negated()
        } else {
            literal
        })
    }
}

pub(super) fn unsupported(feature: &str) -> ParseError {
    invalid(format!("{feature} not yet supported"))
}

fn filter(
    left: Scalar,
    comparison: Comparison,
    right: Scalar,
) -> Result<AggregateFilter, ParseError> {
    match (left, right) {
        (Scalar::Aggregate(aggregate), Scalar::Literal(bound)) => Ok(AggregateFilter {
            aggregate,
            comparison,
            bound,
        }),
        (Scalar::Aggregate(_), _) => Err(unsupported("scalar filter with a computed right side")),
        _ => Err(unsupported(
            "scalar filter with anything but an aggregate on its left side",
        )),
    }
}

fn relation(symbol: &str) -> Option<Relation> {
    let (form, rest) = match symbol {
        "&&" => return Some(Relation::And),
        "||" => return Some(Relation::Or),
        _ => match symbol.split_at_checked(1)? {
            ("!", rest) => (Form::Negated, rest),
            ("&", rest) => (Form::Union, rest),
            _ => (Form::Plain, symbol),
        },
    };
    let side = match rest {
        ">" => Side::Child,
        "<" => Side::Parent,
        ">>" => Side::Descendant,
        "<<" => Side::Ancestor,
        "~" => Side::Sibling,
        _ => return None,
    };
    Some(Relation::Structural { side, form })
}
