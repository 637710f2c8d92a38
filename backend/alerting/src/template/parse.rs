//! Text to nodes.

use super::functions;

/// Levels of blocks and parentheses in a template.
const DEPTH_MAX: usize = 32;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Text(String),
    /// A pipeline whose value is written, or assigned when it names a variable.
    Action {
        assign: Option<String>,
        pipeline: Pipeline,
    },
    If {
        condition: Pipeline,
        then: Vec<Node>,
        otherwise: Vec<Node>,
    },
    With {
        value: Pipeline,
        then: Vec<Node>,
        otherwise: Vec<Node>,
    },
    Range {
        value: Pipeline,
        each: Vec<Node>,
        otherwise: Vec<Node>,
    },
}

/// Commands whose value goes on as the last argument of the next one. Never empty.
pub(super) type Pipeline = Vec<Command>;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Command {
    Operand(Operand),
    Call {
        function: String,
        arguments: Vec<Operand>,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operand {
    Text(String),
    Number(f64),
    Bool(bool),
    Nil,
    /// `.a.b`: fields of the dot.
    Dot(Vec<String>),
    /// `$name.a.b`.
    Variable {
        name: String,
        fields: Vec<String>,
    },
    Pipeline(Pipeline),
}

pub(super) fn parse(source: &str) -> Result<Vec<Node>, String> {
    let mut parser = Parser {
        parts: split(source)?.into_iter(),
        variables: Vec::new(),
        depth: 0,
    };
    let (nodes, end) = parser.nodes()?;
    match end {
        End::Source => Ok(nodes),
        End::Else(_) => Err("unexpected {{else}}".to_owned()),
        End::Block => Err("unexpected {{end}}".to_owned()),
    }
}

enum Part {
    Text(String),
    Action(Vec<Token>),
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    /// Starts with `.`.
    Dot(Vec<String>),
    /// Starts with `$`.
    Variable(String, Vec<String>),
    Text(String),
    Number(f64),
    Symbol(&'static str),
}

/// Texts and the tokens of the actions between them; trim markers and comments are done with here.
fn split(source: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let (mut rest, mut trim_next) = (source, false);
    while let Some(open) = rest.find("{{") {
        let (mut text, after) = (&rest[..open], &rest[open + 2..]);
        let is_trimming = after.starts_with("- ");
        let after = if is_trimming { &after[2..] } else { after };
        if trim_next {
            text = text.trim_start();
        }
        parts.push(Part::Text(
            if is_trimming { text.trim_end() } else { text }.to_owned(),
        ));
        let close = end_of_action(after)?;
        let inside = &after[..close];
        let (inside, trims) = match inside.strip_suffix(" -") {
            Some(inside) => (inside, true),
            None => (inside, false),
        };
        trim_next = trims;
        if !inside.trim().starts_with("/*") {
            parts.push(Part::Action(tokens(inside)?));
        }
        rest = &after[close + 2..];
    }
    let text = if trim_next { rest.trim_start() } else { rest };
    parts.push(Part::Text(text.to_owned()));
    Ok(parts)
}

/// Where `}}` is that is not inside a quoted text.
fn end_of_action(text: &str) -> Result<usize, String> {
    if text.trim_start().starts_with("/*") {
        let end = text
            .find("*/")
            .and_then(|end| Some(end + text[end..].find("}}")?));
        return end.ok_or_else(|| "unclosed comment".to_owned());
    }
    let mut quote = None;
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match (quote, byte) {
            (Some(b'"'), b'\\') => {
                bytes.next();
            }
            (Some(open), _) if open == byte => quote = None,
            (None, b'"' | b'`') => quote = Some(byte),
            (None, b'}') if text[at..].starts_with("}}") => return Ok(at),
            _ => {}
        }
    }
    Err("unclosed action".to_owned())
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '(' => (Token::Symbol("("), 1),
            ')' => (Token::Symbol(")"), 1),
            '|' => (Token::Symbol("|"), 1),
            ',' => (Token::Symbol(","), 1),
            '=' => (Token::Symbol("="), 1),
            ':' if rest.starts_with(":=") => (Token::Symbol(":="), 2),
            '"' | '`' => quoted(rest)?,
            '.' | '$' => path(rest),
            '0'..='9' | '-' | '+' => number(rest)?,
            c if c.is_alphabetic() || c == '_' => {
                let end = rest
                    .find(|c: char| !c.is_alphanumeric() && c != '_')
                    .unwrap_or(rest.len());
                (Token::Word(rest[..end].to_owned()), end)
            }
            c => return Err(format!("unexpected {c:?} in action")),
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

fn quoted(text: &str) -> Result<(Token, usize), String> {
    if let Some(raw) = text.strip_prefix('`') {
        let end = raw.find('`').ok_or("unterminated raw quoted string")?;
        return Ok((Token::Text(raw[..end].to_owned()), end + 2));
    }
    let mut value = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Ok((Token::Text(value), at + 1)),
            '\\' => match characters.next().map(|(_, c)| c) {
                Some('n') => value.push('\n'),
                Some('t') => value.push('\t'),
                Some('r') => value.push('\r'),
                Some(c @ ('"' | '\\' | '\'')) => value.push(c),
                _ => return Err("invalid syntax in quoted string".to_owned()),
            },
            c => value.push(c),
        }
    }
    Err("unterminated quoted string".to_owned())
}

fn path(text: &str) -> (Token, usize) {
    let end = text[1..]
        .find(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '.'))
        .map_or(text.len(), |end| end + 1);
    let mut names = text[1..end].split('.').map(str::to_owned);
    let first = names.next().unwrap_or_default();
    let fields = names.filter(|name| !name.is_empty());
    match text.starts_with('$') {
        true => (Token::Variable(first, fields.collect()), end),
        false => {
            let first = Some(first).filter(|name| !name.is_empty());
            (Token::Dot(first.into_iter().chain(fields).collect()), end)
        }
    }
}

fn number(text: &str) -> Result<(Token, usize), String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+' | '_');
    let end = text.find(|c: char| !is_part(c)).unwrap_or(text.len());
    let value = text[..end]
        .parse()
        .map_err(|_| format!("bad number syntax: {:?}", &text[..end]))?;
    Ok((Token::Number(value), end))
}

/// What ended a list of nodes.
enum End {
    Source,
    Block,
    /// With the rest of `{{else if …}}`.
    Else(Vec<Token>),
}

struct Parser {
    parts: std::vec::IntoIter<Part>,
    /// Names that were assigned so far.
    variables: Vec<String>,
    depth: usize,
}

impl Parser {
    fn nodes(&mut self) -> Result<(Vec<Node>, End), String> {
        let mut nodes = Vec::new();
        while let Some(part) = self.parts.next() {
            let tokens = match part {
                Part::Text(text) => {
                    if !text.is_empty() {
                        nodes.push(Node::Text(text));
                    }
                    continue;
                }
                Part::Action(tokens) => tokens,
            };
            match tokens.split_first() {
                None => return Err("missing value for command".to_owned()),
                Some((Token::Word(word), rest)) => match word.as_str() {
                    "end" => return Ok((nodes, End::Block)),
                    "else" => return Ok((nodes, End::Else(rest.to_vec()))),
                    "if" | "with" | "range" => nodes.push(self.block(word, rest)?),
                    "define" | "template" | "block" | "break" | "continue" => {
                        return Err(format!("{{{{{word}}}}} is not supported"));
                    }
                    _ => nodes.push(self.action(&tokens)?),
                },
                Some(_) => nodes.push(self.action(&tokens)?),
            }
        }
        Ok((nodes, End::Source))
    }

    fn block(&mut self, word: &str, tokens: &[Token]) -> Result<Node, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("more than {DEPTH_MAX} levels"));
        }
        let variables = self.variables.len();
        let value = self.pipeline(tokens)?;
        let (then, end) = self.nodes()?;
        let otherwise = match end {
            End::Source => return Err(format!("unclosed {{{{{word}}}}}")),
            End::Block => Vec::new(),
            End::Else(rest) => match rest.split_first() {
                None => match self.nodes()? {
                    (nodes, End::Block) => nodes,
                    _ => return Err(format!("unclosed {{{{{word}}}}}")),
                },
                Some((Token::Word(next), rest)) if next == word && word != "range" => {
                    vec![self.block(word, rest)?]
                }
                Some(_) => return Err("unexpected words after {{else}}".to_owned()),
            },
        };
        self.variables.truncate(variables);
        self.depth -= 1;
        Ok(match word {
            "if" => Node::If {
                condition: value,
                then,
                otherwise,
            },
            "with" => Node::With {
                value,
                then,
                otherwise,
            },
            _ => Node::Range {
                value,
                each: then,
                otherwise,
            },
        })
    }

    fn action(&mut self, tokens: &[Token]) -> Result<Node, String> {
        if let [
            Token::Variable(name, fields),
            Token::Symbol(":=" | "="),
            rest @ ..,
        ] = tokens
        {
            if !fields.is_empty() {
                return Err(format!("cannot assign to a field of ${name}"));
            }
            let pipeline = self.pipeline(rest)?;
            self.variables.push(name.clone());
            return Ok(Node::Action {
                assign: Some(name.clone()),
                pipeline,
            });
        }
        Ok(Node::Action {
            assign: None,
            pipeline: self.pipeline(tokens)?,
        })
    }

    fn pipeline(&mut self, tokens: &[Token]) -> Result<Pipeline, String> {
        let mut rest = tokens;
        let pipeline = self.commands(&mut rest)?;
        match rest {
            [] => Ok(pipeline),
            _ => Err("unexpected \")\"".to_owned()),
        }
    }

    fn commands(&mut self, rest: &mut &[Token]) -> Result<Pipeline, String> {
        let mut pipeline = Vec::new();
        loop {
            let command = self.command(rest)?;
            if !pipeline.is_empty() && matches!(command, Command::Operand(_)) {
                return Err("non executable command in pipeline".to_owned());
            }
            pipeline.push(command);
            match rest.split_first() {
                Some((Token::Symbol("|"), after)) => *rest = after,
                _ => return Ok(pipeline),
            }
        }
    }

    fn command(&mut self, rest: &mut &[Token]) -> Result<Command, String> {
        let mut operands = Vec::new();
        let mut function = None;
        while let Some((token, after)) = rest.split_first() {
            if matches!(token, Token::Symbol("|" | ")")) {
                break;
            }
            *rest = after;
            match token {
                Token::Word(word) if functions::is_known(word) => {
                    match operands.is_empty() && function.is_none() {
                        true => function = Some(word.clone()),
                        // A function without arguments is an operand.
                        false => operands.push(Operand::Pipeline(vec![Command::Call {
                            function: word.clone(),
                            arguments: Vec::new(),
                        }])),
                    }
                }
                token => operands.push(self.operand(token, rest)?),
            }
        }
        match (function, operands.len()) {
            (Some(function), count) => {
                functions::check_count(&function, count)?;
                Ok(Command::Call {
                    function,
                    arguments: operands,
                })
            }
            (None, 1) => Ok(Command::Operand(operands.remove(0))),
            (None, 0) => Err("missing value for command".to_owned()),
            (None, _) => Err("can't give argument to non-function".to_owned()),
        }
    }

    fn operand(&mut self, token: &Token, rest: &mut &[Token]) -> Result<Operand, String> {
        Ok(match token {
            Token::Text(text) => Operand::Text(text.clone()),
            Token::Number(number) => Operand::Number(*number),
            Token::Dot(fields) => Operand::Dot(fields.clone()),
            Token::Variable(name, fields) => self.variable(name, fields)?,
            Token::Word(word) => match word.as_str() {
                "true" => Operand::Bool(true),
                "false" => Operand::Bool(false),
                "nil" => Operand::Nil,
                _ => return Err(format!("function {word:?} not defined")),
            },
            Token::Symbol("(") => {
                self.depth += 1;
                if self.depth > DEPTH_MAX {
                    return Err(format!("more than {DEPTH_MAX} levels"));
                }
                let pipeline = self.commands(rest)?;
                self.depth -= 1;
                match rest.split_first() {
                    Some((Token::Symbol(")"), after)) => *rest = after,
                    _ => return Err("unclosed left paren".to_owned()),
                }
                Operand::Pipeline(pipeline)
            }
            Token::Symbol(symbol) => return Err(format!("unexpected {symbol:?} in operand")),
        })
    }

    fn variable(&self, name: &str, fields: &[String]) -> Result<Operand, String> {
        let is_given = matches!(
            name,
            "" | "labels" | "value" | "externalLabels" | "externalURL"
        );
        match is_given || self.variables.iter().any(|known| known == name) {
            true => Ok(Operand::Variable {
                name: name.to_owned(),
                fields: fields.to_vec(),
            }),
            false => Err(format!("undefined variable \"${name}\"")),
        }
    }
}
