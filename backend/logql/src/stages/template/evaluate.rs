//! Nodes of a template to text, with the labels of one line.

use super::{
    OUTPUT_BYTES_MAX, Template, functions,
    parse::{Branch, Node, Operand, Pipe},
    value::Value,
};
use crate::labels::{LineLabels, PRESERVE_ERROR};

pub(super) struct Evaluation<'a> {
    template: &'a Template,
    pub(super) t_ns: i64,
    pub(super) line: &'a str,
    labels: &'a LineLabels,
    variables: Vec<(Box<str>, Value)>,
    out: String,
}

impl<'a> Evaluation<'a> {
    pub(super) fn new(
        template: &'a Template,
        t_ns: i64,
        line: &'a str,
        labels: &'a LineLabels,
    ) -> Self {
        Self {
            template,
            t_ns,
            line,
            labels,
            variables: vec![("".into(), Value::Labels)],
            out: String::new(),
        }
    }

    pub(super) fn render(mut self, nodes: &[Node]) -> Result<String, String> {
        self.nodes(nodes, &Value::Labels)?;
        Ok(self.out)
    }

    pub(super) fn regex(&self, written: &str) -> Result<regex::Regex, String> {
        self.template.regex(written)
    }

    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<(), String> {
        for node in nodes {
            match node {
                Node::Text(text) => self.write(text)?,
                Node::Action(pipe) => {
                    let value = self.pipe(pipe, dot)?;
                    if pipe.variables.is_empty() {
                        let text = self.shown(&value);
                        self.write(&text)?;
                    }
                }
                Node::Branch {
                    kind,
                    pipe,
                    then,
                    other,
                } => {
                    let scope = self.variables.len();
                    self.branch(*kind, pipe, (then, other), dot)?;
                    self.variables.truncate(scope);
                }
            }
        }
        Ok(())
    }

    fn write(&mut self, text: &str) -> Result<(), String> {
        if self.out.len() + text.len() > OUTPUT_BYTES_MAX {
            return Err(format!("the text is longer than {OUTPUT_BYTES_MAX} bytes"));
        }
        self.out.push_str(text);
        Ok(())
    }

    pub(super) fn shown(&self, value: &Value) -> String {
        match value {
            Value::Labels => Value::Map(self.label_map()).text(),
            other => other.text(),
        }
    }

    fn label_map(&self) -> std::collections::BTreeMap<Box<str>, Value> {
        let shown = self
            .labels
            .iter()
            .filter(|(name, _)| *name != PRESERVE_ERROR);
        shown
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    fn branch(
        &mut self,
        kind: Branch,
        pipe: &Pipe,
        (then, other): (&[Node], &[Node]),
        dot: &Value,
    ) -> Result<(), String> {
        if kind == Branch::Range {
            return self.range(pipe, (then, other), dot);
        }
        let value = self.pipe(pipe, dot)?;
        let scope = self.variables.len();
        let result = match (value.is_true(), kind) {
            (true, Branch::With) => self.nodes(then, &value),
            (true, _) => self.nodes(then, dot),
            (false, _) => self.nodes(other, dot),
        };
        self.variables.truncate(scope);
        result
    }

    fn range(
        &mut self,
        pipe: &Pipe,
        (then, other): (&[Node], &[Node]),
        dot: &Value,
    ) -> Result<(), String> {
        let value = self.commands(pipe, dot)?;
        let items: Vec<(Value, Value)> = match value {
            Value::List(list) => (0..).map(Value::Int).zip(list).collect(),
            Value::Map(map) => map
                .into_iter()
                .map(|(key, value)| (Value::Text(key), value))
                .collect(),
            Value::Labels => {
                let map = self.label_map();
                map.into_iter()
                    .map(|(key, value)| (Value::Text(key), value))
                    .collect()
            }
            Value::Nil => Vec::new(),
            other => return Err(format!("range can't iterate over {}", other.text())),
        };
        if items.is_empty() {
            return self.nodes(other, dot);
        }
        for (key, item) in items {
            let scope = self.variables.len();
            match &pipe.variables[..] {
                [] => {}
                [one] => self.variables.push((one.clone(), item.clone())),
                [first, second, ..] => {
                    self.variables.push((first.clone(), key));
                    self.variables.push((second.clone(), item.clone()));
                }
            }
            self.nodes(then, &item)?;
            self.variables.truncate(scope);
        }
        Ok(())
    }

    fn pipe(&mut self, pipe: &Pipe, dot: &Value) -> Result<Value, String> {
        let value = self.commands(pipe, dot)?;
        for name in &pipe.variables {
            let known = self
                .variables
                .iter_mut()
                .rev()
                .find(|(known, _)| known == name);
            match known {
                Some((_, old)) if !pipe.declares => *old = value.clone(),
                _ => self.variables.push((name.clone(), value.clone())),
            }
        }
        Ok(value)
    }

    fn commands(&mut self, pipe: &Pipe, dot: &Value) -> Result<Value, String> {
        let mut value = None;
        for command in &pipe.commands {
            value = Some(self.command(command, value, dot)?);
        }
        Ok(value.unwrap_or(Value::Nil))
    }

    /// A call, or a value alone. What came before in the pipe is the last argument.
    fn command(
        &mut self,
        command: &[Operand],
        before: Option<Value>,
        dot: &Value,
    ) -> Result<Value, String> {
        let Some((first, rest)) = command.split_first() else {
            return Ok(Value::Nil);
        };
        let Operand::Function(name) = first else {
            if before.is_some() || !rest.is_empty() {
                return Err("can't give argument to non-function".into());
            }
            return self.operand(first, dot);
        };
        if let Some(value) = self.short_circuit(name, rest, before.as_ref(), dot)? {
            return Ok(value);
        }
        let mut arguments = Vec::with_capacity(rest.len() + 1);
        for operand in rest {
            arguments.push(self.operand(operand, dot)?);
        }
        arguments.extend(before);
        functions::call(name, arguments, self).map_err(|why| format!("error calling {name}: {why}"))
    }

    /// `and` and `or` stop at the first argument that decides.
    fn short_circuit(
        &mut self,
        name: &str,
        operands: &[Operand],
        before: Option<&Value>,
        dot: &Value,
    ) -> Result<Option<Value>, String> {
        let stops_at = match name {
            "and" => false,
            "or" => true,
            _ => return Ok(None),
        };
        let mut last = None;
        for operand in operands {
            let value = self.operand(operand, dot)?;
            if value.is_true() == stops_at {
                return Ok(Some(value));
            }
            last = Some(value);
        }
        Ok(before.cloned().or(last))
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Result<Value, String> {
        Ok(match operand {
            Operand::Dot => dot.clone(),
            Operand::Field(names) => self.fields(dot.clone(), names)?,
            Operand::Variable(name, fields) => {
                let known = self.variables.iter().rev().find(|(known, _)| known == name);
                let value = known.map_or(Value::Nil, |(_, value)| value.clone());
                self.fields(value, fields)?
            }
            Operand::Text(text) => Value::Text(text.clone()),
            Operand::Int(value) => Value::Int(*value),
            Operand::Float(value) => Value::Float(*value),
            Operand::Bool(value) => Value::Bool(*value),
            Operand::Nil => Value::Nil,
            Operand::Function(name) => functions::call(name, Vec::new(), self)
                .map_err(|why| format!("error calling {name}: {why}"))?,
            Operand::Chain(pipe, fields) => {
                let value = self.pipe(pipe, dot)?;
                self.fields(value, fields)?
            }
        })
    }

    fn fields(&self, mut value: Value, names: &[Box<str>]) -> Result<Value, String> {
        for name in names {
            value = match value {
                Value::Labels => self.label(name).into(),
                Value::Map(mut map) => map.remove(name).unwrap_or(Value::Nil),
                Value::Nil => return Err(format!("nil data; no entry for key \"{name}\"")),
                other => {
                    return Err(format!(
                        "can't evaluate field {name} in type {}",
                        other.kind()
                    ));
                }
            };
        }
        Ok(value)
    }

    /// The value of a label, empty when it is not there.
    pub(super) fn label(&self, name: &str) -> &str {
        let mut labels = self.labels.iter();
        labels
            .find(|(known, _)| *known == name)
            .map_or("", |(_, value)| value)
    }
}
