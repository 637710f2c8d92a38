//! Text to tokens, by the rules of Tempo's scanner (Go's `text/scanner` with TraceQL's attributes and durations).
//!
//! Never fails: what is no token becomes [`Token::Invalid`], so that an error of the grammar before it is reported first.

mod duration;
mod string;

use crate::model::Scope;

/// Operators and punctuation, longest first where one begins with another.
const SYMBOLS: [&str; 38] = [
    "!>>", "!<<", "&>>", "&<<", "!=", "=~", "!~", ">=", "<=", "&&", "||", ">>", "<<", "!>", "!<",
    "&~", "&>", "&<", ",", "{", "}", "(", ")", "=", ">", "<", "+", "-", "/", "%", "*", "^", "!",
    "|", "~", ".", ":", "&",
];

/// What may stand in front of a dot and an attribute.
const SCOPES: [(&str, Scope); 5] = [
    ("span", Scope::Span),
    ("resource", Scope::Resource),
    ("event", Scope::Event),
    ("link", Scope::Link),
    ("instrumentation", Scope::Instrumentation),
];

/// What may stand in front of a colon and an intrinsic.
const INTRINSIC_SCOPES: [&str; 5] = ["trace", "span", "event", "link", "instrumentation"];

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token<'q> {
    End,
    String(String),
    Int(i64),
    Float(f64),
    /// Nanoseconds.
    Duration(i64),
    /// Keywords and unknown identifiers.
    Word(&'q str),
    /// `span.key`, `."a key"`.
    Attribute {
        scope: Option<Scope>,
        key: String,
    },
    /// `parent.` in front of an attribute.
    Parent,
    /// `span` of `span:`, in front of an intrinsic.
    IntrinsicScope(&'q str),
    Symbol(&'q str),
    /// Why it is none.
    Invalid(String),
}

/// A token and the byte it starts at.
#[derive(Clone, Debug)]
pub(crate) struct Placed<'q> {
    pub(crate) token: Token<'q>,
    pub(crate) at: usize,
}

/// The tokens of a text; the last one is `End` or the first that is `Invalid`.
pub(crate) fn tokens(text: &str) -> Vec<Placed<'_>> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        let placed = lexer.next();
        let is_last = matches!(placed.token, Token::End | Token::Invalid(_));
        tokens.push(placed);
        if is_last {
            return tokens;
        }
    }
}

/// Whether an attribute's key may hold the character without quotes.
pub(crate) fn is_plain_in_attribute(c: char) -> bool {
    !c.is_whitespace() && !"{}()=~!<>&|^,\"".contains(c)
}

struct Lexer<'q> {
    text: &'q str,
    at: usize,
}

impl<'q> Lexer<'q> {
    fn next(&mut self) -> Placed<'q> {
        if let Err(reason) = self.skip_blank() {
            return self.placed(self.at, Token::Invalid(reason));
        }
        let at = self.at;
        let token = self.token().unwrap_or_else(Token::Invalid);
        self.placed(at, token)
    }

    fn placed(&self, at: usize, token: Token<'q>) -> Placed<'q> {
        Placed { token, at }
    }

    fn token(&mut self) -> Result<Token<'q>, String> {
        let Some(first) = self.peek() else {
            return Ok(Token::End);
        };
        let second = self.rest().chars().nth(1);
        match first {
            '"' => self.string(),
            '`' => self.raw_string(),
            '0'..='9' => self.number(),
            '.' if second.is_some_and(|c| c.is_ascii_digit()) => self.number(),
            '.' => {
                self.at += 1;
                self.attribute(None)
            }
            _ if first == '_' || first.is_alphabetic() => self.word(),
            _ => Ok(self.symbol(first)),
        }
    }

    fn symbol(&mut self, first: char) -> Token<'q> {
        let known = SYMBOLS
            .iter()
            .find(|symbol| self.rest().starts_with(**symbol));
        let bytes = known.map_or(first.len_utf8(), |symbol| symbol.len());
        Token::Symbol(self.take(bytes))
    }

    fn word(&mut self) -> Result<Token<'q>, String> {
        let word = self.take_while(|c| c == '_' || c.is_alphanumeric());
        match self.peek() {
            Some('.') if word == "parent" => {
                self.at += 1;
                Ok(Token::Parent)
            }
            Some('.') => match SCOPES.iter().find(|(name, _)| *name == word) {
                Some((_, scope)) => {
                    self.at += 1;
                    self.attribute(Some(*scope))
                }
                None => Ok(Token::Word(word)),
            },
            Some(':') if INTRINSIC_SCOPES.contains(&word) => {
                self.at += 1;
                Ok(Token::IntrinsicScope(word))
            }
            _ => Ok(Token::Word(word)),
        }
    }

    /// The key behind the dot: plain and quoted parts up to what ends an attribute.
    fn attribute(&mut self, scope: Option<Scope>) -> Result<Token<'q>, String> {
        let start = self.at;
        let mut key = String::new();
        while let Some(c) = self.peek() {
            if c == '"' {
                key.push_str(&self.quoted_key()?);
            } else if is_plain_in_attribute(c) {
                key.push_str(self.take_while(is_plain_in_attribute));
            } else {
                break;
            }
        }
        if self.at == start {
            return Err("syntax error: unexpected END_ATTRIBUTE, expecting IDENTIFIER".to_owned());
        }
        Ok(Token::Attribute { scope, key })
    }

    /// An int, a float, or a duration when units follow.
    fn number(&mut self) -> Result<Token<'q>, String> {
        let start = self.at;
        let mut is_float = false;
        self.digits();
        if self.peek() == Some('.') {
            is_float = true;
            self.at += 1;
            self.digits();
        }
        is_float |= self.exponent();
        if let Some(nanoseconds) = self.duration(start) {
            return Ok(Token::Duration(nanoseconds));
        }
        let number = &self.text[start..self.at];
        if is_float {
            let parsed: Option<f64> = number.parse().ok();
            let finite = parsed.filter(|value| value.is_finite());
            finite
                .map(Token::Float)
                .ok_or_else(|| format!("number out of range: {number}"))
        } else {
            let parsed = number.parse().map(Token::Int);
            parsed.map_err(|_| format!("integer out of range: {number}"))
        }
    }

    fn digits(&mut self) {
        self.take_while(|c| c.is_ascii_digit());
    }

    /// `e`, a sign, digits: only taken when there are digits.
    fn exponent(&mut self) -> bool {
        let Some(rest) = self.rest().strip_prefix(['e', 'E']) else {
            return false;
        };
        let unsigned = rest.strip_prefix(['+', '-']).unwrap_or(rest);
        if !unsigned.starts_with(|c: char| c.is_ascii_digit()) {
            return false;
        }
        self.at = self.text.len() - unsigned.len();
        self.digits();
        true
    }

    /// The number that began at `start` with the units that follow it, if that is a duration.
    fn duration(&mut self, start: usize) -> Option<i64> {
        let tail = self.rest();
        let end = tail
            .find(|c: char| !(c.is_ascii_digit() || c == '.' || duration::is_of_unit(c)))
            .unwrap_or(tail.len());
        if end == 0 {
            return None;
        }
        let nanoseconds = duration::parse(&self.text[start..self.at + end])?;
        self.at += end;
        Some(nanoseconds)
    }

    /// White space and comments.
    fn skip_blank(&mut self) -> Result<(), String> {
        loop {
            self.take_while(|c| matches!(c, ' ' | '\t' | '\n' | '\r'));
            if self.rest().starts_with("//") {
                self.take_while(|c| c != '\n');
            } else if let Some(comment) = self.rest().strip_prefix("/*") {
                let end = comment.find("*/").ok_or("comment not terminated")?;
                self.at += end + "/**/".len();
            } else {
                return Ok(());
            }
        }
    }

    fn rest(&self) -> &'q str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn take(&mut self, bytes: usize) -> &'q str {
        let taken = &self.rest()[..bytes];
        self.at += bytes;
        taken
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'q str {
        let rest = self.rest();
        self.take(rest.find(|c| !accept(c)).unwrap_or(rest.len()))
    }
}
