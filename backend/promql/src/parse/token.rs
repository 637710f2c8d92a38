//! The tokens of PromQL, and the words that are no names.

use crate::ast::{Aggregator, BinaryOp, Span};

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    End,
    Identifier,
    /// With a colon: allowed for metric names only.
    MetricIdentifier,
    Text,
    Number,
    Duration,
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    Comma,
    Colon,
    Equal,
    EqualRegex,
    NotEqualRegex,
    At,
    Operator(BinaryOp),
    Aggregator(Aggregator),
    Keyword(Keyword),
    /// A word that is a function or a value of the query: `start`, `end`, `step`, `range`, `max_of`, `min_of`.
    Preset(Preset),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keyword {
    Bool,
    By,
    Without,
    On,
    Ignoring,
    GroupLeft,
    GroupRight,
    Offset,
    Fill,
    Smoothed,
    Anchored,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Preset {
    Start,
    End,
    Step,
    Range,
    MaxOf,
    MinOf,
}

/// A token and where it stands, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lexeme {
    pub(crate) token: Token,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Lexeme {
    pub(crate) fn span(self) -> Span {
        Span {
            start: self.start,
            end: self.end,
        }
    }
}

/// What a word in small letters is, unless it is a name.
pub(super) fn keyword(word: &str) -> Option<Token> {
    if let Some(aggregator) = Aggregator::from_name(word) {
        return Some(Token::Aggregator(aggregator));
    }
    Some(match word {
        "and" => Token::Operator(BinaryOp::And),
        "or" => Token::Operator(BinaryOp::Or),
        "unless" => Token::Operator(BinaryOp::Unless),
        "atan2" => Token::Operator(BinaryOp::Atan2),
        "offset" => Token::Keyword(Keyword::Offset),
        "smoothed" => Token::Keyword(Keyword::Smoothed),
        "anchored" => Token::Keyword(Keyword::Anchored),
        "by" => Token::Keyword(Keyword::By),
        "without" => Token::Keyword(Keyword::Without),
        "on" => Token::Keyword(Keyword::On),
        "ignoring" => Token::Keyword(Keyword::Ignoring),
        "group_left" => Token::Keyword(Keyword::GroupLeft),
        "group_right" => Token::Keyword(Keyword::GroupRight),
        "fill" | "fill_left" | "fill_right" => Token::Keyword(Keyword::Fill),
        "bool" => Token::Keyword(Keyword::Bool),
        "start" => Token::Preset(Preset::Start),
        "end" => Token::Preset(Preset::End),
        "step" => Token::Preset(Preset::Step),
        "range" => Token::Preset(Preset::Range),
        "max_of" => Token::Preset(Preset::MaxOf),
        "min_of" => Token::Preset(Preset::MinOf),
        "inf" | "nan" => Token::Number,
        _ => return None,
    })
}
