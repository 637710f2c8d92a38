//! What a fault is about: `http:{METHOD} {route}`, `dynamodb:{Operation}`, `sqs:{Operation}`, `job:{kind}` or `otlp:export`.

use std::{fmt, str::FromStr};

use tasks_api::JobKind;

/// Longest text of a target; routes are templates, so all real ones are much shorter.
const CHARS_MAX: usize = 200;

/// Where a fault is felt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A route of this process's server, by its template.
    Http { method: String, route: String },
    /// An operation of the SDK, `*` for every one.
    DynamoDb { operation: String },
    /// See [`Target::DynamoDb`].
    Sqs { operation: String },
    /// A kind of job, `*` for every one.
    Job { kind: String },
    /// The export of spans: the collector counts as away.
    Export,
}

/// The text names no target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidTarget;

impl Target {
    pub(crate) fn is_http(&self, method: &str, route: &str) -> bool {
        matches!(self, Self::Http { method: of, route: at } if of == method && at == route)
    }

    /// By the `X-Amz-Target` header, such as `DynamoDB_20120810.GetItem` or `AmazonSQS.SendMessage`.
    pub(crate) fn is_sdk(&self, amz_target: &str) -> bool {
        let Some((service, name)) = amz_target.split_once('.') else {
            return false;
        };
        match self {
            Self::DynamoDb { operation } => {
                service.starts_with("DynamoDB") && is_one_of(operation, name)
            }
            Self::Sqs { operation } => service == "AmazonSQS" && is_one_of(operation, name),
            Self::Http { .. } | Self::Job { .. } | Self::Export => false,
        }
    }

    pub(crate) fn is_job(&self, kind: &str) -> bool {
        matches!(self, Self::Job { kind: of } if is_one_of(of, kind))
    }
}

fn is_one_of(pattern: &str, name: &str) -> bool {
    pattern == "*" || pattern == name
}

fn is_method(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn is_route(text: &str) -> bool {
    text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_operation(text: &str) -> bool {
    text == "*" || text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// A misspelt kind would be a fault that nothing ever meets.
fn is_job(text: &str) -> bool {
    text == "*" || JobKind::ALL.iter().any(|kind| kind.as_str() == text)
}

impl FromStr for Target {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        let (space, rest) = text.split_once(':').ok_or(InvalidTarget)?;
        if rest.is_empty() || text.chars().count() > CHARS_MAX {
            return Err(InvalidTarget);
        }
        match space {
            "http" => match rest.split_once(' ') {
                Some((method, route)) if is_method(method) && is_route(route) => Ok(Self::Http {
                    method: method.to_owned(),
                    route: route.to_owned(),
                }),
                _ => Err(InvalidTarget),
            },
            "otlp" if rest == "export" => Ok(Self::Export),
            "dynamodb" if is_operation(rest) => Ok(Self::DynamoDb {
                operation: rest.to_owned(),
            }),
            "sqs" if is_operation(rest) => Ok(Self::Sqs {
                operation: rest.to_owned(),
            }),
            "job" if is_job(rest) => Ok(Self::Job {
                kind: rest.to_owned(),
            }),
            _ => Err(InvalidTarget),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { method, route } => write!(f, "http:{method} {route}"),
            Self::DynamoDb { operation } => write!(f, "dynamodb:{operation}"),
            Self::Sqs { operation } => write!(f, "sqs:{operation}"),
            Self::Job { kind } => write!(f, "job:{kind}"),
            Self::Export => f.write_str("otlp:export"),
        }
    }
}

impl fmt::Display for InvalidTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "must be http:{METHOD} {route}, dynamodb:{Operation}, sqs:{Operation}, job:{kind} or otlp:export",
        )
    }
}

impl std::error::Error for InvalidTarget {}
