//! The text of a template to its nodes.

use super::{DEPTH_MAX, functions};
use crate::units::{quote, unquote};

#[derive(Clone, Debug)]
pub(super) enum Node {
    Text(Box<str>),
    Action(Pipe),
    Branch {
        kind: Branch,
        pipe: Pipe,
        then: Vec<Node>,
        other: Vec<Node>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Branch {
    If,
    With,
    Range,
}

/// Commands, each fed with the value of the one before; the result may go to variables.
#[derive(Clone, Debug, Default)]
pub(super) struct Pipe {
    pub(super) variables: Vec<Box<str>>,
    pub(super) declares: bool,
    pub(super) commands: Vec<Vec<Operand>>,
}

impl Pipe {
    pub(super) fn simple_field(&self) -> Option<&str> {
        match (&self.variables[..], &self.commands[..]) {
            ([], [command]) => match &command[..] {
                [Operand::Field(names)] if names.len() == 1 => Some(&names[0]),
                _ => None,
            },
            _ => None,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) enum Operand {
    Dot,
    /// `.a.b`.
    Field(Vec<Box<str>>),
    /// `$a.b`; the name without the sign.
    Variable(Box<str>, Vec<Box<str>>),
    Text(Box<str>),
    Int(i64),
    Float(f64),
    Bool(bool),
    Nil,
    Function(&'static str),
    /// `(…).a`.
    Chain(Box<Pipe>, Vec<Box<str>>),
}

/// What ended a list of nodes.
#[derive(Debug, PartialEq, Eq)]
enum Stop {
    Text,
    End,
    /// `else`, and what follows on it: `else if …`.
    Else(String),
}

pub(super) fn parse(text: &str, name: &str) -> Result<Vec<Node>, String> {
    let mut parser = Parser {
        rest: text,
        trims: false,
        line: 1,
        variables: vec!["".into()],
        depth: 0,
    };
    let parsed = parser.nodes().and_then(|(nodes, end)| match end {
        Stop::Text => Ok(nodes),
        Stop::End => Err("unexpected {{end}}".into()),
        Stop::Else(_) => Err("unexpected {{else}}".into()),
    });
    parsed.map_err(|why| format!("template: {name}:{}: {why}", parser.line))
}

struct Parser<'t> {
    rest: &'t str,
    /// The last action ended with a trim marker.
    trims: bool,
    line: usize,
    variables: Vec<Box<str>>,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn nodes(&mut self) -> Result<(Vec<Node>, Stop), String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("actions nest deeper than {DEPTH_MAX}"));
        }
        let scope = self.variables.len();
        let mut nodes = Vec::new();
        let end = loop {
            let start = self.rest.find("{{").unwrap_or(self.rest.len());
            let (mut text, rest) = self.rest.split_at(start);
            self.line += text.matches('\n').count();
            let action = self.action(rest)?;
            if self.trims {
                text = text.trim_start();
            }
            if action.as_ref().is_some_and(|action| action.trims_before) {
                text = text.trim_end();
            }
            if !text.is_empty() {
                nodes.push(Node::Text(text.into()));
            }
            let Some(action) = action else {
                self.rest = "";
                break Stop::Text;
            };
            self.rest = action.after;
            self.trims = action.trims_after;
            if let Some(end) = self.node(action.inner, &mut nodes)? {
                break end;
            }
        };
        self.variables.truncate(scope);
        self.depth -= 1;
        Ok((nodes, end))
    }

    /// The action that the text begins with. None at the end.
    fn action(&self, text: &'t str) -> Result<Option<Action<'t>>, String> {
        let Some(mut inner) = text.strip_prefix("{{") else {
            return Ok(None);
        };
        let trims = |rest: &str| {
            rest.strip_prefix('-')
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_whitespace()))
        };
        let trims_before = trims(inner);
        if trims_before {
            inner = inner[1..].trim_start();
        }
        let end = if inner.starts_with("/*") {
            let comment = inner.find("*/").ok_or("unclosed comment")? + 2;
            comment
                + inner[comment..]
                    .find("}}")
                    .ok_or("comment ends before closing delimiter")?
        } else {
            action_end(inner)?
        };
        let after = &inner[end + 2..];
        let mut content = &inner[..end];
        let trims_after = content.ends_with('-')
            && content[..content.len() - 1].ends_with(|c: char| c.is_ascii_whitespace());
        if trims_after {
            content = content[..content.len() - 1].trim_end();
        }
        Ok(Some(Action {
            inner: content,
            after,
            trims_before,
            trims_after,
        }))
    }

    /// One action. Gives what it ends, if it does.
    fn node(&mut self, inner: &str, nodes: &mut Vec<Node>) -> Result<Option<Stop>, String> {
        let inner = inner.trim();
        if inner.starts_with("/*") {
            return Ok(None);
        }
        let word_end = inner.find(|c: char| !c.is_alphanumeric() && c != '_');
        let (word, rest) = inner.split_at(word_end.unwrap_or(inner.len()));
        let branch = match word {
            "if" => Branch::If,
            "with" => Branch::With,
            "range" => Branch::Range,
            "end" if rest.is_empty() => return Ok(Some(Stop::End)),
            "else" => return Ok(Some(Stop::Else(rest.trim().into()))),
            "define" | "template" | "block" | "break" | "continue" => {
                return Err(format!("{{{{{word}}}}} is not supported"));
            }
            _ => {
                nodes.push(Node::Action(self.pipe(inner)?));
                return Ok(None);
            }
        };
        let node = self.branch(branch, rest)?;
        nodes.push(node);
        Ok(None)
    }

    fn branch(&mut self, kind: Branch, condition: &str) -> Result<Node, String> {
        let scope = self.variables.len();
        let pipe = self.pipe(condition.trim())?;
        let (then, end) = self.nodes()?;
        let other = match end {
            Stop::Text => return Err("unexpected EOF".into()),
            Stop::End => Vec::new(),
            Stop::Else(next) if next.is_empty() => match self.nodes()? {
                (nodes, Stop::End) => nodes,
                (_, Stop::Text) => return Err("unexpected EOF".into()),
                (_, Stop::Else(_)) => return Err("expected end; found {{else}}".into()),
            },
            Stop::Else(next) => {
                let next_kind = match next.split_whitespace().next() {
                    Some("if") => Branch::If,
                    Some("with") => Branch::With,
                    _ => return Err(format!("unexpected {} in else", quote(&next))),
                };
                let length = if next_kind == Branch::If { 2 } else { 4 };
                self.depth += 1;
                if self.depth > DEPTH_MAX {
                    return Err(format!("actions nest deeper than {DEPTH_MAX}"));
                }
                // It shares the end of this one.
                let node = self.branch(next_kind, &next[length..])?;
                self.depth -= 1;
                vec![node]
            }
        };
        self.variables.truncate(scope);
        Ok(Node::Branch {
            kind,
            pipe,
            then,
            other,
        })
    }

    fn pipe(&mut self, text: &str) -> Result<Pipe, String> {
        let mut inner = Inner {
            rest: text,
            variables: &mut self.variables,
            depth: 0,
        };
        let pipe = inner.pipe()?;
        match inner.rest.chars().next() {
            None => Ok(pipe),
            Some(other) => Err(format!(
                "unexpected {} in command",
                quote(&other.to_string())
            )),
        }
    }
}

struct Action<'t> {
    inner: &'t str,
    after: &'t str,
    trims_before: bool,
    trims_after: bool,
}

/// Where `}}` ends an action: not in a text.
fn action_end(text: &str) -> Result<usize, String> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            quote @ (b'"' | b'`' | b'\'') => {
                at += 1;
                while at < bytes.len() && bytes[at] != quote {
                    at += 1 + usize::from(bytes[at] == b'\\' && quote != b'`');
                }
                if at >= bytes.len() {
                    return Err("unterminated quoted string".into());
                }
            }
            b'}' if bytes.get(at + 1) == Some(&b'}') => return Ok(at),
            _ => {}
        }
        at += 1;
    }
    Err("unclosed action".into())
}

/// The inside of one action.
struct Inner<'t, 'v> {
    rest: &'t str,
    variables: &'v mut Vec<Box<str>>,
    depth: usize,
}

impl<'t> Inner<'t, '_> {
    fn pipe(&mut self) -> Result<Pipe, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("parentheses nest deeper than {DEPTH_MAX}"));
        }
        let (variables, declares) = self.declaration()?;
        let mut commands = Vec::new();
        loop {
            let command = self.command()?;
            if command.is_empty() {
                return Err("missing value for command".into());
            }
            if !commands.is_empty()
                && !matches!(
                    command[0],
                    Operand::Function(_)
                        | Operand::Field(_)
                        | Operand::Variable(..)
                        | Operand::Chain(..)
                )
            {
                return Err("non executable command in pipeline stage".into());
            }
            commands.push(command);
            self.skip_space();
            match self.rest.strip_prefix('|') {
                Some(rest) => self.rest = rest,
                None => break,
            }
        }
        if declares {
            self.variables.extend(variables.iter().cloned());
        }
        self.depth -= 1;
        Ok(Pipe {
            variables,
            declares,
            commands,
        })
    }

    /// `$a, $b :=` or `$a =`, if one stands here.
    fn declaration(&mut self) -> Result<(Vec<Box<str>>, bool), String> {
        let start = self.rest;
        let mut names: Vec<Box<str>> = Vec::new();
        loop {
            self.skip_space();
            let Some(rest) = self.rest.strip_prefix('$') else {
                break;
            };
            self.rest = rest;
            names.push(self.word().into());
            self.skip_space();
            match self.rest.strip_prefix(',') {
                Some(rest) if names.len() == 1 => self.rest = rest,
                _ => break,
            }
        }
        let (rest, declares) = match (self.rest.strip_prefix(":="), self.rest.strip_prefix('=')) {
            _ if names.is_empty() => (None, false),
            (Some(rest), _) => (Some(rest), true),
            (_, rest) => (rest, false),
        };
        let Some(rest) = rest else {
            self.rest = start;
            return Ok((Vec::new(), false));
        };
        self.rest = rest;
        if !declares && let Some(name) = names.iter().find(|name| !self.variables.contains(name)) {
            return Err(format!("undefined variable {}", quote(&format!("${name}"))));
        }
        Ok((names, declares))
    }

    fn command(&mut self) -> Result<Vec<Operand>, String> {
        let mut operands = Vec::new();
        loop {
            self.skip_space();
            if self.rest.is_empty() || self.rest.starts_with(['|', ')']) {
                return Ok(operands);
            }
            operands.push(self.operand()?);
        }
    }

    fn operand(&mut self) -> Result<Operand, String> {
        let first = self.rest.chars().next().unwrap_or_default();
        match first {
            '"' | '`' => self.text(first),
            '\'' => self.character(),
            '.' if !self.rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                if self.rest[1..].starts_with(is_part) {
                    return Ok(Operand::Field(self.fields()));
                }
                self.rest = &self.rest[1..];
                Ok(Operand::Dot)
            }
            '$' => {
                self.rest = &self.rest[1..];
                let name: Box<str> = self.word().into();
                if !self.variables.contains(&name) {
                    return Err(format!("undefined variable {}", quote(&format!("${name}"))));
                }
                Ok(Operand::Variable(name, self.fields()))
            }
            '(' => {
                self.rest = &self.rest[1..];
                let inner = self.pipe()?;
                self.rest = self.rest.strip_prefix(')').ok_or("unclosed left paren")?;
                Ok(Operand::Chain(Box::new(inner), self.fields()))
            }
            _ if first.is_ascii_digit() || matches!(first, '+' | '-' | '.') => self.number(),
            _ if is_part(first) => self.named(),
            _ => Err(format!(
                "unexpected {} in operand",
                quote(&first.to_string())
            )),
        }
    }

    fn text(&mut self, delimiter: char) -> Result<Operand, String> {
        let mut escaped = false;
        let mut characters = self.rest[1..].char_indices();
        let end = characters.find(|(_, character)| {
            let ends = *character == delimiter && !escaped;
            escaped = *character == '\\' && !escaped && delimiter == '"';
            ends
        });
        let (length, _) = end.ok_or("unterminated quoted string")?;
        let (literal, rest) = self.rest.split_at(length + 2);
        self.rest = rest;
        let text = unquote(literal).ok_or("invalid syntax")?;
        Ok(Operand::Text(text.into()))
    }

    /// `'a'`, which is a number.
    fn character(&mut self) -> Result<Operand, String> {
        let end = self.rest[1..]
            .find('\'')
            .ok_or("unterminated character constant")?;
        let literal = format!("\"{}\"", &self.rest[1..=end]);
        self.rest = &self.rest[end + 2..];
        let text = unquote(&literal).unwrap_or_default();
        let mut characters = text.chars();
        match (characters.next(), characters.next()) {
            (Some(only), None) => Ok(Operand::Int(i64::from(u32::from(only)))),
            _ => Err("malformed character constant".into()),
        }
    }

    fn number(&mut self) -> Result<Operand, String> {
        let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-' | '_');
        let end = self.rest.find(|c| !part(c)).unwrap_or(self.rest.len());
        let (written, rest) = self.rest.split_at(end);
        self.rest = rest;
        let plain = written.replace('_', "");
        if let Ok(value) = plain.parse() {
            return Ok(Operand::Int(value));
        }
        if let Some(digits) = plain.strip_prefix("0x")
            && let Ok(value) = i64::from_str_radix(digits, 16)
        {
            return Ok(Operand::Int(value));
        }
        let bad = || format!("bad number syntax: {}", quote(written));
        plain.parse().map(Operand::Float).map_err(|_| bad())
    }

    fn named(&mut self) -> Result<Operand, String> {
        let word = self.word();
        match word {
            "true" | "false" => Ok(Operand::Bool(word == "true")),
            "nil" => Ok(Operand::Nil),
            _ => functions::name(word)
                .map(Operand::Function)
                .ok_or_else(|| format!("function {} not defined", quote(word))),
        }
    }

    /// `.a.b` from here on, possibly nothing.
    fn fields(&mut self) -> Vec<Box<str>> {
        let mut fields = Vec::new();
        while let Some(rest) = self
            .rest
            .strip_prefix('.')
            .filter(|rest| rest.starts_with(is_part))
        {
            self.rest = rest;
            fields.push(self.word().into());
        }
        fields
    }

    fn word(&mut self) -> &'t str {
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }
}

fn is_part(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}
