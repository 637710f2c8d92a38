//! Templates in Go's language, as `line_format` and `label_format` take them: fields, pipelines, variables, `if`, `with`, `range`,
//! and Loki's functions. `define`, `template`, `block`, `break` and `continue` are refused by name.

mod calendar;
mod decimal;
mod evaluate;
mod format;
mod functions;
mod parse;
mod strings;
mod value;

use std::{collections::HashMap, sync::Arc, sync::Mutex};

use crate::labels::LineLabels;
use evaluate::Evaluation;
use parse::{Node, Operand, Pipe};

/// The longest text that a template may make of one line.
pub(crate) const OUTPUT_BYTES_MAX: usize = 1 << 20;

/// How deep actions and parentheses may nest.
const DEPTH_MAX: usize = 64;

/// Expressions that are kept compiled.
const REGEXES_MAX: usize = 64;

#[derive(Clone, Debug)]
pub(crate) struct Template {
    text: Box<str>,
    nodes: Arc<[Node]>,
    regexes: Arc<Mutex<HashMap<Box<str>, regex::Regex>>>,
}

impl Template {
    /// `name` is what messages call it.
    pub(crate) fn parse(text: &str, name: &str) -> Result<Self, String> {
        Ok(Self {
            text: text.into(),
            nodes: parse::parse(text, name)?.into(),
            regexes: Arc::default(),
        })
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The label, when the template is no more than that.
    pub(crate) fn simple_field(&self) -> Option<&str> {
        match &self.nodes[..] {
            [Node::Action(pipe)] => pipe.simple_field(),
            _ => None,
        }
    }

    /// The text that it makes of a line.
    pub(crate) fn render(
        &self,
        t_ns: i64,
        line: &str,
        labels: &LineLabels,
    ) -> Result<String, String> {
        Evaluation::new(self, t_ns, line, labels).render(&self.nodes)
    }

    /// The labels it looks at.
    pub(crate) fn fields(&self, into: &mut Vec<Box<str>>) {
        nodes_fields(&self.nodes, into);
    }

    fn regex(&self, written: &str) -> Result<regex::Regex, String> {
        let mut regexes = self
            .regexes
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(regex) = regexes.get(written) {
            return Ok(regex.clone());
        }
        let regex = crate::parse::compile(&go_regex::translate(written), written)?;
        if regexes.len() < REGEXES_MAX {
            regexes.insert(written.into(), regex.clone());
        }
        Ok(regex)
    }
}

fn nodes_fields(nodes: &[Node], into: &mut Vec<Box<str>>) {
    for node in nodes {
        match node {
            Node::Text(_) => {}
            Node::Action(pipe) => pipe_fields(pipe, into),
            Node::Branch {
                pipe, then, other, ..
            } => {
                pipe_fields(pipe, into);
                nodes_fields(then, into);
                nodes_fields(other, into);
            }
        }
    }
}

fn pipe_fields(pipe: &Pipe, into: &mut Vec<Box<str>>) {
    for operand in pipe.commands.iter().flatten() {
        match operand {
            Operand::Field(names) => into.extend(names.iter().cloned()),
            Operand::Chain(pipe, _) => pipe_fields(pipe, into),
            _ => {}
        }
    }
}
