//! Aggregations, and the lists of labels that they and the matching of vectors have.

use super::token::{Keyword, Token};
use super::{Context, Parsed, Parser, literal};
use crate::ast::{Aggregate, Aggregator, BinaryOp, Kind, Node, Span};

const IN_AGGREGATION: Context = Context::new("aggregation", "");
const IN_GROUPING: Context = Context::new("grouping opts", "\"(\"");
const IN_GROUPING_FIRST: Context = Context::new("grouping opts", "label");
const IN_GROUPING_NEXT: Context = Context::new("grouping opts", "\",\" or \")\"");

impl Parser<'_> {
    pub(super) fn aggregation(&mut self, op: Aggregator) -> Parsed<Node> {
        let start = self.advance().start;
        self.contexts.push(IN_AGGREGATION);
        let mut modifier = self.aggregation_modifier()?;
        let (args, mut end) = self.arguments()?;
        if modifier.is_none() {
            modifier = self.aggregation_modifier()?;
            end = self.lexemes[self.at - 1].end;
        }
        self.contexts.pop();
        let (without, labels) = modifier.unwrap_or_default();
        let (param, inner) = self.aggregation_arguments(op, args, start)?;
        let kind = Kind::Aggregate(Aggregate {
            op,
            param: param.map(Box::new),
            inner: Box::new(inner),
            without,
            labels,
        });
        self.node(Span { start, end }, kind)
    }

    fn aggregation_arguments(
        &self,
        op: Aggregator,
        args: Vec<Node>,
        start: usize,
    ) -> Parsed<(Option<Node>, Node)> {
        let given = args.len();
        if given == 0 {
            return Err(self.error(start, "no arguments for aggregate expression provided"));
        }
        if op.is_experimental() {
            let message = format!(
                "{}() is experimental and must be enabled with --enable-feature=promql-experimental-functions",
                op.name()
            );
            return Err(self.error(start, &message));
        }
        let wanted = 1 + usize::from(op.takes_param());
        let mut args = args.into_iter();
        let param = if op.takes_param() { args.next() } else { None };
        match (args.next(), given == wanted) {
            (Some(inner), true) => Ok((param, inner)),
            _ => Err(self.error(
                start,
                &format!(
                    "wrong number of arguments for aggregate expression provided, expected {wanted}, got {given}"
                ),
            )),
        }
    }

    fn aggregation_modifier(&mut self) -> Parsed<Option<(bool, Vec<Box<str>>)>> {
        let without = match self.peek() {
            Token::Keyword(Keyword::By) => false,
            Token::Keyword(Keyword::Without) => true,
            _ => return Ok(None),
        };
        self.advance();
        Ok(Some((without, self.grouping_labels()?)))
    }

    /// `(a, b)`: labels, which may be keywords or strings.
    pub(super) fn grouping_labels(&mut self) -> Parsed<Vec<Box<str>>> {
        self.contexts.push(IN_GROUPING);
        self.expect(Token::LeftParen)?;
        let mut labels: Vec<Box<str>> = Vec::new();
        while !self.eat(Token::RightParen) {
            self.contexts.push(IN_GROUPING_FIRST);
            labels.push(self.grouping_label()?);
            self.contexts.push(IN_GROUPING_NEXT);
            if self.peek() != Token::RightParen {
                self.expect(Token::Comma)?;
            }
            self.contexts.truncate(self.contexts.len() - 2);
        }
        self.contexts.pop();
        Ok(labels)
    }

    fn grouping_label(&mut self) -> Parsed<Box<str>> {
        let lexeme = self.here();
        let name = match lexeme.token {
            Token::Text => self.unquoted(lexeme)?,
            Token::Identifier
            | Token::MetricIdentifier
            | Token::Aggregator(_)
            | Token::Keyword(_)
            | Token::Preset(_)
            | Token::Operator(BinaryOp::And | BinaryOp::Or | BinaryOp::Unless | BinaryOp::Atan2) => {
                self.slice(lexeme).to_owned()
            }
            _ => return Err(self.unexpected()),
        };
        if name.is_empty() {
            let name = literal::quote(&name);
            let message = format!("invalid label name for grouping: {name}");
            return Err(self.error(lexeme.start, &message));
        }
        self.advance();
        Ok(name.into())
    }
}
