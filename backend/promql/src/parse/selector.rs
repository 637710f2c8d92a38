//! Selectors: a metric's name and conditions on labels in braces.

use regex::Regex;
use tsdb::{Match, Matcher};

use super::token::Token;
use super::{Context, Parsed, Parser, pattern};
use crate::ast::{BinaryOp, Kind, LabelMatch, MatchOp, Node, Selector, Span, When};
use crate::labels::NAME;

const IN_MATCHERS_FIRST: Context = Context::new("label matching", "identifier or \"}\"");
const IN_MATCHERS_NEXT: Context = Context::new("label matching", "\",\" or \"}\"");
const IN_MATCHER_OPERATOR: Context = Context::new("label matching", "label matching operator");
const IN_MATCHER_VALUE: Context = Context::new("label matching", "string");

impl Parser<'_> {
    pub(super) fn metric_selector(&mut self) -> Parsed<Node> {
        let first = self.here();
        let mut name: Option<Box<str>> = None;
        match first.token {
            Token::LeftBrace => {}
            Token::Identifier
            | Token::MetricIdentifier
            | Token::Aggregator(_)
            | Token::Keyword(_)
            | Token::Preset(_)
            | Token::Operator(BinaryOp::And | BinaryOp::Or | BinaryOp::Unless) => {
                self.advance();
                name = Some(self.slice(first).into());
            }
            _ => return Err(self.unexpected()),
        }
        let mut end = first.end;
        let mut matchers = Vec::new();
        if self.peek() == Token::LeftBrace {
            (matchers, end) = self.label_matchers()?;
        }
        if let Some(name) = &name {
            matchers.push(equal_name(name));
        }
        let span = Span {
            start: first.start,
            end,
        };
        let kind = Kind::Selector(Selector {
            name,
            matchers,
            when: When::default(),
        });
        self.node(span, kind)
    }

    /// `{a="b", …}`, and where it ends.
    fn label_matchers(&mut self) -> Parsed<(Vec<LabelMatch>, usize)> {
        self.expect(Token::LeftBrace)?;
        let mut matchers = Vec::new();
        let contexts = self.contexts.len();
        loop {
            if self.peek() == Token::RightBrace {
                self.contexts.truncate(contexts);
                return Ok((matchers, self.advance().end));
            }
            self.contexts.push(IN_MATCHERS_FIRST);
            matchers.push(self.label_matcher()?);
            self.contexts.truncate(contexts);
            self.contexts.push(IN_MATCHERS_NEXT);
            if self.peek() != Token::RightBrace {
                self.expect(Token::Comma)?;
            }
            self.contexts.truncate(contexts);
        }
    }

    fn label_matcher(&mut self) -> Parsed<LabelMatch> {
        let label = self.here();
        let name = match label.token {
            Token::Identifier => self.slice(label).to_owned(),
            Token::Text => self.unquoted(label)?,
            _ => return Err(self.unexpected()),
        };
        self.advance();
        let operator = match self.peek() {
            Token::Equal => MatchOp::Equal,
            Token::EqualRegex => MatchOp::Regex,
            Token::NotEqualRegex => MatchOp::NotRegex,
            Token::Operator(BinaryOp::NotEqual) => MatchOp::NotEqual,
            // A string alone is the metric's name.
            _ if label.token == Token::Text => return Ok(equal_name(&name)),
            _ => {
                self.contexts.push(IN_MATCHER_OPERATOR);
                return Err(self.unexpected());
            }
        };
        self.advance();
        self.contexts.push(IN_MATCHER_VALUE);
        let value = self.expect(Token::Text)?;
        let value = self.unquoted(value)?;
        label_match(&name, operator, &value).map_err(|message| self.error(label.start, &message))
    }
}

fn equal_name(name: &str) -> LabelMatch {
    LabelMatch {
        operator: MatchOp::Equal,
        value: name.into(),
        matcher: Matcher {
            name: NAME.into(),
            matches: Match::Equal(name.into()),
        },
    }
}

fn label_match(name: &str, operator: MatchOp, value: &str) -> Result<LabelMatch, String> {
    let compiled = |value: &str| -> Result<Regex, String> {
        pattern::compile(value).map_err(|error| format!("error parsing regexp: {error}"))
    };
    let matches = match operator {
        MatchOp::Equal => Match::Equal(value.into()),
        MatchOp::NotEqual => Match::NotEqual(value.into()),
        MatchOp::Regex => Match::Regex(compiled(value)?),
        MatchOp::NotRegex => Match::NotRegex(compiled(value)?),
    };
    Ok(LabelMatch {
        operator,
        value: value.into(),
        matcher: Matcher {
            name: name.into(),
            matches,
        },
    })
}
