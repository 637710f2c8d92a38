//! Expressions over one span: operators by precedence, literals, fields.

use super::stages::unsupported;
use super::{ParseError, Parser, pattern};
use crate::lexer::Token;
use crate::model::{Kind, Status};
use crate::{Comparison, Expr, Field, Intrinsic, Literal, Operator, UnaryOperator, check};

/// Intrinsics by the scope in front of their colon, and their names.
const INTRINSICS: [(Option<&str>, &str, Intrinsic); 29] = [
    (None, "duration", Intrinsic::Duration),
    (None, "name", Intrinsic::Name),
    (None, "status", Intrinsic::Status),
    (None, "statusMessage", Intrinsic::StatusMessage),
    (None, "kind", Intrinsic::Kind),
    (None, "rootName", Intrinsic::RootName),
    (None, "rootServiceName", Intrinsic::RootServiceName),
    (None, "traceDuration", Intrinsic::TraceDuration),
    (None, "nestedSetLeft", Intrinsic::NestedSetLeft),
    (None, "nestedSetRight", Intrinsic::NestedSetRight),
    (None, "nestedSetParent", Intrinsic::NestedSetParent),
    (Some("trace"), "duration", Intrinsic::TraceDuration),
    (Some("trace"), "rootName", Intrinsic::RootName),
    (Some("trace"), "rootService", Intrinsic::RootServiceName),
    (Some("trace"), "id", Intrinsic::TraceId),
    (Some("span"), "duration", Intrinsic::Duration),
    (Some("span"), "name", Intrinsic::Name),
    (Some("span"), "kind", Intrinsic::Kind),
    (Some("span"), "status", Intrinsic::Status),
    (Some("span"), "statusMessage", Intrinsic::StatusMessage),
    (Some("span"), "id", Intrinsic::SpanId),
    (Some("span"), "parentID", Intrinsic::ParentId),
    (Some("span"), "childCount", Intrinsic::ChildCount),
    (Some("event"), "name", Intrinsic::EventName),
    (
        Some("event"),
        "timeSinceStart",
        Intrinsic::EventTimeSinceStart,
    ),
    (Some("link"), "traceID", Intrinsic::LinkTraceId),
    (Some("link"), "spanID", Intrinsic::LinkSpanId),
    (
        Some("instrumentation"),
        "name",
        Intrinsic::InstrumentationName,
    ),
    (
        Some("instrumentation"),
        "version",
        Intrinsic::InstrumentationVersion,
    ),
];

enum Infix {
    Operator(Operator),
    Matches { negated: bool },
}

impl Infix {
    fn binding(&self) -> u8 {
        match self {
            Self::Operator(operator) => operator.binding(),
            Self::Matches { .. } => Operator::COMPARISON_BINDING,
        }
    }
}

impl Parser<'_> {
    pub(super) fn expr(&mut self) -> Result<Expr, ParseError> {
        self.bound_expr(0)
    }

    /// An expression of operators that bind at least as strongly as `level`.
    fn bound_expr(&mut self, level: u8) -> Result<Expr, ParseError> {
        let mut left = self.nested(Self::prefixed)?;
        while let Some(infix) = self.infix() {
            if infix.binding() < level {
                break;
            }
            self.bump();
            self.count_operator()?;
            left = match infix {
                Infix::Operator(operator) => self.operation(left, operator)?,
                Infix::Matches { negated } => self.matches(left, negated)?,
            };
        }
        Ok(left)
    }

    fn operation(&mut self, left: Expr, operator: Operator) -> Result<Expr, ParseError> {
        if let Some(negated) = nil_test(operator)
            && self.eat_word("nil")
        {
            let operand = Box::new(left);
            return Ok(Expr::Exists { operand, negated });
        }
        // Only powers associate to the right.
        let above = operator.binding() + u8::from(operator != Operator::Power);
        let right = self.nested(|parser| parser.bound_expr(above))?;
        Ok(Expr::Binary {
            operator,
            left: Box::new(left),
            right: Box::new(right),
        })
    }

    fn matches(&mut self, operand: Expr, negated: bool) -> Result<Expr, ParseError> {
        let right = self.nested(|parser| parser.bound_expr(Operator::COMPARISON_BINDING + 1))?;
        let source = check::pattern(&operand, negated, right)?;
        let pattern = pattern::compile(source, &mut self.patterns)?;
        Ok(Expr::Matches {
            operand: Box::new(operand),
            pattern,
            negated,
        })
    }

    fn infix(&self) -> Option<Infix> {
        let Token::Symbol(symbol) = self.peek() else {
            return None;
        };
        Some(Infix::Operator(match *symbol {
            "=~" => return Some(Infix::Matches { negated: false }),
            "!~" => return Some(Infix::Matches { negated: true }),
            "&&" => Operator::And,
            "||" => Operator::Or,
            "+" => Operator::Add,
            "-" => Operator::Subtract,
            "*" => Operator::Multiply,
            "/" => Operator::Divide,
            "%" => Operator::Modulo,
            "^" => Operator::Power,
            symbol => Operator::Compare(comparison(symbol)?),
        }))
    }

    fn prefixed(&mut self) -> Result<Expr, ParseError> {
        if self.eat_symbol("(") {
            let inner = self.expr()?;
            self.expect(")")?;
            return Ok(inner);
        }
        let operator = if self.eat_symbol("-") {
            UnaryOperator::Minus
        } else if self.eat_symbol("!") {
            UnaryOperator::Not
        } else {
            return self.primary();
        };
        self.count_operator()?;
        let operand = Box::new(self.bound_expr(operator.operand_binding())?);
        Ok(Expr::Unary { operator, operand })
    }

    fn primary(&mut self) -> Result<Expr, ParseError> {
        if self.eat_word("nil") {
            return self.nil_first();
        }
        match self.try_field()? {
            Some(field) => Ok(Expr::Field(field)),
            None => self.literal().map(Expr::Literal),
        }
    }

    /// After a leading `nil`. Two nils are never told apart: both comparisons are false, as in Tempo.
    fn nil_first(&mut self) -> Result<Expr, ParseError> {
        let Some(Infix::Operator(operator)) = self.infix() else {
            return Err(self.unexpected(None));
        };
        let Some(negated) = nil_test(operator) else {
            return Err(self.unexpected(None));
        };
        self.bump();
        self.count_operator()?;
        if self.eat_word("nil") {
            return Ok(Expr::Literal(Literal::Bool(false)));
        }
        let operand = Box::new(self.bound_expr(Operator::COMPARISON_BINDING + 1)?);
        Ok(Expr::Exists { operand, negated })
    }

    pub(super) fn field(&mut self) -> Result<Field, ParseError> {
        let field = self.try_field()?;
        field.ok_or_else(|| self.unexpected(None))
    }

    fn try_field(&mut self) -> Result<Option<Field>, ParseError> {
        let field = match self.peek().clone() {
            Token::Attribute { scope, key } => Field::Attribute { scope, key },
            Token::Parent | Token::Word("parent") => return Err(unsupported("parent")),
            Token::Word(word) => match intrinsic(None, word) {
                Some(intrinsic) => Field::Intrinsic(intrinsic),
                None => return Ok(None),
            },
            Token::IntrinsicScope(scope) => {
                self.bump();
                let Token::Word(word) = *self.peek() else {
                    return Err(self.unexpected(None));
                };
                let intrinsic = intrinsic(Some(scope), word);
                Field::Intrinsic(intrinsic.ok_or_else(|| self.unexpected(None))?)
            }
            _ => return Ok(None),
        };
        self.bump();
        Ok(Some(field))
    }

    pub(super) fn literal(&mut self) -> Result<Literal, ParseError> {
        let literal = match self.peek().clone() {
            Token::String(text) => Literal::String(text),
            Token::Int(number) => Literal::Int(number),
            Token::Float(number) => Literal::Float(number),
            Token::Duration(nanoseconds) => Literal::Duration(nanoseconds),
            Token::Word(word) => keyword(word).ok_or_else(|| {
                let reason = format!("unknown identifier: {word}");
                self.syntax(self.next, reason)
            })?,
            _ => return Err(self.unexpected(None)),
        };
        self.bump();
        Ok(literal)
    }
}

pub(super) fn comparison(symbol: &str) -> Option<Comparison> {
    Some(match symbol {
        "=" => Comparison::Equal,
        "!=" => Comparison::NotEqual,
        ">" => Comparison::Greater,
        ">=" => Comparison::GreaterEqual,
        "<" => Comparison::Less,
        "<=" => Comparison::LessEqual,
        _ => return None,
    })
}

/// Whether the operator, with `nil` beside it, asks for absence.
fn nil_test(operator: Operator) -> Option<bool> {
    match operator {
        Operator::Compare(Comparison::Equal) => Some(true),
        Operator::Compare(Comparison::NotEqual) => Some(false),
        _ => None,
    }
}

fn intrinsic(scope: Option<&str>, name: &str) -> Option<Intrinsic> {
    let mut known = INTRINSICS.iter();
    let found = known.find(|(of, word, _)| *of == scope && *word == name);
    found.map(|(_, _, intrinsic)| *intrinsic)
}

fn keyword(word: &str) -> Option<Literal> {
    Some(match word {
        "true" => Literal::Bool(true),
        "false" => Literal::Bool(false),
        "ok" => Literal::Status(Status::Ok),
        "error" => Literal::Status(Status::Error),
        "unset" => Literal::Status(Status::Unset),
        "unspecified" => Literal::Kind(Kind::Unspecified),
        "internal" => Literal::Kind(Kind::Internal),
        "server" => Literal::Kind(Kind::Server),
        "client" => Literal::Kind(Kind::Client),
        "producer" => Literal::Kind(Kind::Producer),
        "consumer" => Literal::Kind(Kind::Consumer),
        "minInt" => Literal::Int(i64::MIN),
        "maxInt" => Literal::Int(i64::MAX),
        _ => return None,
    })
}
