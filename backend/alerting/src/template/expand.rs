//! Nodes to text.

use tsdb::Labels;

use super::functions;
use super::numbers::general;
use super::parse::{Command, Node, Operand};
use super::{STEPS_MAX, Scope, check_length};

/// What a template computes with.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Nil,
    Text(String),
    Number(f64),
    Bool(bool),
    Labels(Labels),
    /// An element of a query's result.
    Sample(Labels, f64),
    List(Vec<Value>),
    /// What the template was given.
    Root,
}

pub(super) fn expand(nodes: &[Node], scope: &Scope<'_>) -> Result<String, String> {
    let mut expansion = Expansion {
        scope,
        text: String::new(),
        steps: 0,
        variables: Vec::new(),
    };
    expansion.nodes(nodes, &Value::Root)?;
    Ok(expansion.text)
}

struct Expansion<'s> {
    scope: &'s Scope<'s>,
    text: String,
    steps: usize,
    variables: Vec<(String, Value)>,
}

impl Expansion<'_> {
    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<(), String> {
        nodes.iter().try_for_each(|node| self.node(node, dot))
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Result<(), String> {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return Err(format!("the template takes more than {STEPS_MAX} steps"));
        }
        match node {
            Node::Text(text) => self.write(text),
            Node::Action {
                assign: None,
                pipeline,
            } => {
                let value = self.pipeline(pipeline, dot)?;
                self.write(&value.text())
            }
            Node::Action {
                assign: Some(name),
                pipeline,
            } => {
                let value = self.pipeline(pipeline, dot)?;
                self.variables.push((name.clone(), value));
                Ok(())
            }
            Node::If {
                condition,
                then,
                otherwise,
            } => {
                let nodes = if self.pipeline(condition, dot)?.is_true() {
                    then
                } else {
                    otherwise
                };
                self.block(nodes, dot)
            }
            Node::With {
                value,
                then,
                otherwise,
            } => {
                let value = self.pipeline(value, dot)?;
                match value.is_true() {
                    true => self.block(then, &value),
                    false => self.block(otherwise, dot),
                }
            }
            Node::Range {
                value,
                each,
                otherwise,
            } => match self.pipeline(value, dot)? {
                Value::List(values) if !values.is_empty() => {
                    values.iter().try_for_each(|value| self.block(each, value))
                }
                Value::List(_) | Value::Nil => self.block(otherwise, dot),
                _ => Err("range can't iterate over that".to_owned()),
            },
        }
    }

    /// Nodes whose variables end with them.
    fn block(&mut self, nodes: &[Node], dot: &Value) -> Result<(), String> {
        let variables = self.variables.len();
        self.nodes(nodes, dot)?;
        self.variables.truncate(variables);
        Ok(())
    }

    fn write(&mut self, text: &str) -> Result<(), String> {
        self.text.push_str(text);
        check_length(&self.text)
    }

    fn pipeline(&mut self, commands: &[Command], dot: &Value) -> Result<Value, String> {
        let mut passed = None;
        for command in commands {
            passed = Some(match command {
                Command::Operand(operand) => self.operand(operand, dot)?,
                Command::Call {
                    function,
                    arguments,
                } => {
                    let given: Result<Vec<Value>, String> = arguments
                        .iter()
                        .map(|operand| self.operand(operand, dot))
                        .collect();
                    let mut given = given?;
                    given.extend(passed);
                    functions::call(function, given, self.scope)?
                }
            });
        }
        Ok(passed.unwrap_or(Value::Nil))
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Result<Value, String> {
        Ok(match operand {
            Operand::Text(text) => Value::Text(text.clone()),
            Operand::Number(number) => Value::Number(*number),
            Operand::Bool(flag) => Value::Bool(*flag),
            Operand::Nil => Value::Nil,
            Operand::Pipeline(pipeline) => self.pipeline(pipeline, dot)?,
            Operand::Dot(fields) => self.fields(dot.clone(), fields)?,
            Operand::Variable { name, fields } => {
                let value = self.variable(name)?;
                self.fields(value, fields)?
            }
        })
    }

    fn variable(&self, name: &str) -> Result<Value, String> {
        if let Some((_, value)) = self.variables.iter().rev().find(|(known, _)| known == name) {
            return Ok(value.clone());
        }
        match name {
            "" => Ok(Value::Root),
            "labels" => self.field(Value::Root, "Labels"),
            "value" => self.field(Value::Root, "Value"),
            "externalLabels" => self.field(Value::Root, "ExternalLabels"),
            "externalURL" => self.field(Value::Root, "ExternalURL"),
            _ => Err(format!("undefined variable: ${name}")),
        }
    }

    fn fields(&self, value: Value, fields: &[String]) -> Result<Value, String> {
        fields
            .iter()
            .try_fold(value, |value, field| self.field(value, field))
    }

    fn field(&self, value: Value, field: &str) -> Result<Value, String> {
        let scope = self.scope;
        match (value, field) {
            (Value::Root, "Labels") => Ok(Value::Labels(scope.labels.clone())),
            (Value::Root, "Value") => Ok(Value::Number(scope.value)),
            (Value::Root, "ExternalLabels") => {
                Ok(Value::Labels(scope.with.external_labels.clone()))
            }
            (Value::Root, "ExternalURL") => Ok(Value::Text(scope.with.external_url.to_owned())),
            (Value::Labels(labels), name) => Ok(Value::Text(labels.get(name).to_owned())),
            (Value::Sample(labels, _), "Labels") => Ok(Value::Labels(labels)),
            (Value::Sample(_, value), "Value") => Ok(Value::Number(value)),
            (_, field) => Err(format!("can't evaluate field {field}")),
        }
    }
}

impl Value {
    /// As Go prints it.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Nil => "<no value>".to_owned(),
            Self::Text(text) => text.clone(),
            Self::Number(number) => general(*number, None),
            Self::Bool(flag) => flag.to_string(),
            Self::Labels(labels) => {
                let pairs: Vec<String> = labels
                    .iter()
                    .map(|(name, value)| format!("{name}:{value}"))
                    .collect();
                format!("map[{}]", pairs.join(" "))
            }
            Self::Sample(labels, value) => format!(
                "&{{{} {}}}",
                Self::Labels(labels.clone()).text(),
                general(*value, None)
            ),
            Self::List(values) => {
                let texts: Vec<String> = values.iter().map(Self::text).collect();
                format!("[{}]", texts.join(" "))
            }
            Self::Root => String::new(),
        }
    }

    /// Whether `if` takes it.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Text(text) => !text.is_empty(),
            Self::Number(number) => *number != 0.0,
            Self::Bool(flag) => *flag,
            Self::Labels(labels) => !labels.is_empty(),
            Self::List(values) => !values.is_empty(),
            Self::Sample(..) | Self::Root => true,
        }
    }
}
