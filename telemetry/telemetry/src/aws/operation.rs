//! What an SDK operation is in the semantic conventions: its span name and kind, its attributes, its metric labels.

use aws_sdk_dynamodb::config::Region;
use aws_smithy_runtime_api::client::interceptors::context::Input;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_types::config_bag::ConfigBag;
use conventions::spans;
use opentelemetry::{Array, KeyValue, StringValue, Value};
use tracing::Span;

use super::{dynamodb, sqs};

/// One operation, as far as it is known before it is sent.
#[derive(Debug)]
pub(super) struct Operation {
    /// Such as `PutItem`.
    pub(super) name: String,
    pub(super) target: Target,
    region: Option<String>,
}

/// What the operation works on.
#[derive(Debug)]
pub(super) enum Target {
    Tables {
        /// Without repetition, in the order of the request.
        names: Vec<String>,
        /// Items of a batch or transaction.
        batch: Option<usize>,
    },
    Queue {
        step: Step,
        name: String,
        url: Option<String>,
        /// Entries of a batch.
        batch: Option<usize>,
    },
}

/// What is done with messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Send,
    Receive,
    Settle,
    /// Nothing with messages, but with the queue.
    Manage,
}

impl Operation {
    /// `None` for services other than the two.
    pub(super) fn of(config: &ConfigBag, input: &Input) -> Option<Self> {
        let metadata = config.load::<Metadata>()?;
        let name = metadata.name();
        let target = match metadata.service() {
            dynamodb::SERVICE => dynamodb::target(input),
            sqs::SERVICE => sqs::target(name, input),
            _ => return None,
        };
        Some(Self {
            name: name.to_owned(),
            target,
            region: config.load::<Region>().map(ToString::to_string),
        })
    }

    pub(super) fn service(&self) -> &'static str {
        match self.target {
            Target::Tables { .. } => dynamodb::SERVICE,
            Target::Queue { .. } => sqs::SERVICE,
        }
    }

    pub(super) fn step(&self) -> Option<Step> {
        match self.target {
            Target::Tables { .. } => None,
            Target::Queue { step, .. } => Some(step),
        }
    }

    /// The table or queue, as a label; empty when there is none or more than one.
    pub(super) fn target_name(&self) -> &str {
        match &self.target {
            Target::Tables { names, .. } => match names.as_slice() {
                [name] => name,
                _ => "",
            },
            Target::Queue { name, .. } => name,
        }
    }

    /// [`target_name`](Self::target_name) as what it is, for log lines.
    pub(super) fn table_or_queue(&self) -> (Option<&str>, Option<&str>) {
        let name = Some(self.target_name()).filter(|name| !name.is_empty());
        match self.target {
            Target::Tables { .. } => (name, None),
            Target::Queue { .. } => (None, name),
        }
    }

    /// `messaging.operation.name`, which is also the label: what is done, not how the API calls it.
    pub(super) fn messaging_name(&self) -> &str {
        match self.step() {
            Some(Step::Send) => spans::OPERATION_SEND,
            Some(Step::Receive) => spans::OPERATION_RECEIVE,
            Some(Step::Settle) => spans::OPERATION_SETTLE,
            Some(Step::Manage) | None => &self.name,
        }
    }

    /// The span, a child of the current one, not entered and without attributes yet.
    pub(super) fn new_span(&self) -> Span {
        let kind = match self.step() {
            Some(Step::Send) => "producer",
            _ => "client",
        };
        let service = self.service();
        match &self.target {
            Target::Queue { step, name, .. } if *step != Step::Manage => {
                let done = self.messaging_name();
                tracing::info_span!(
                    "aws call",
                    otel.name = format_args!("{done} {name}"),
                    otel.kind = kind
                )
            }
            _ => {
                let name = format_args!("{service}.{}", self.name);
                tracing::info_span!("aws call", otel.name = name, otel.kind = kind)
            }
        }
    }

    pub(super) fn attributes(&self) -> Vec<KeyValue> {
        let mut attributes = vec![
            KeyValue::new(spans::RPC_SYSTEM, spans::RPC_SYSTEM_AWS),
            KeyValue::new(spans::RPC_SERVICE, self.service()),
            KeyValue::new(spans::RPC_METHOD, self.name.clone()),
        ];
        if let Some(region) = &self.region {
            attributes.push(KeyValue::new(spans::CLOUD_REGION, region.clone()));
        }
        match &self.target {
            Target::Tables { names, batch } => {
                self.add_table_attributes(&mut attributes, names, *batch)
            }
            Target::Queue {
                step,
                name,
                url,
                batch,
            } => {
                let done = self.messaging_name();
                let operation_type = (*step != Step::Manage).then_some(done);
                attributes.extend(messaging_attributes(done, operation_type, name));
                if let Some(url) = url {
                    attributes.push(KeyValue::new(spans::AWS_SQS_QUEUE_URL, url.clone()));
                }
                if let Some(count) = batch {
                    attributes.push(count_attribute(
                        spans::MESSAGING_BATCH_MESSAGE_COUNT,
                        *count,
                    ));
                }
            }
        }
        attributes
    }

    fn add_table_attributes(
        &self,
        attributes: &mut Vec<KeyValue>,
        names: &[String],
        batch: Option<usize>,
    ) {
        attributes.push(KeyValue::new(
            spans::DB_SYSTEM_NAME,
            spans::DB_SYSTEM_DYNAMODB,
        ));
        attributes.push(KeyValue::new(spans::DB_OPERATION_NAME, self.name.clone()));
        if let [name] = names {
            attributes.push(KeyValue::new(spans::DB_COLLECTION_NAME, name.clone()));
        }
        if !names.is_empty() {
            let names = names.iter().cloned().map(StringValue::from).collect();
            let names = Value::Array(Array::String(names));
            attributes.push(KeyValue::new(spans::AWS_DYNAMODB_TABLE_NAMES, names));
        }
        // A batch of one is no batch (semantic conventions, `db.operation.batch.size`).
        if let Some(size) = batch.filter(|size| *size > 1) {
            attributes.push(count_attribute(spans::DB_OPERATION_BATCH_SIZE, size));
        }
    }
}

/// What every span about messages says, also the one for processing.
pub(super) fn messaging_attributes(
    done: &str,
    operation_type: Option<&str>,
    queue: &str,
) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new(spans::MESSAGING_SYSTEM, spans::MESSAGING_SYSTEM_SQS),
        KeyValue::new(spans::MESSAGING_OPERATION_NAME, done.to_owned()),
    ];
    if !queue.is_empty() {
        attributes.push(KeyValue::new(
            spans::MESSAGING_DESTINATION_NAME,
            queue.to_owned(),
        ));
    }
    if let Some(operation_type) = operation_type {
        attributes.push(KeyValue::new(
            spans::MESSAGING_OPERATION_TYPE,
            operation_type.to_owned(),
        ));
    }
    attributes
}

pub(super) fn count_attribute(name: &'static str, count: usize) -> KeyValue {
    KeyValue::new(name, i64::try_from(count).unwrap_or(i64::MAX))
}
