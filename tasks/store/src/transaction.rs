//! Transactions: a few actions, each with a condition, all or nothing. Knows which condition failed, and tries again
//! when others were writing the same items. What the actions mean is their makers'.

use std::time::Duration;

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, ConditionCheck, Delete, Put,
    ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};
use jiff::Timestamp;
use tokio::time::sleep;

use crate::attributes::{Item, number};
use crate::failure::{failure, refused, throttled};
use crate::schema::{EXPIRES_AT, PK};
use crate::task::item::VERSION;
use crate::{Error, Store};

const OPERATION: &str = "TransactWriteItems";
/// How often a transaction is tried while other writers are in its way.
const ATTEMPTS_MAX: u32 = 6;
/// Waiting time before the second attempt; it doubles with each, and a random part of it is waited.
const BACKOFF_FIRST: Duration = Duration::from_millis(20);

/// Codes of cancellation reasons.
const CONDITION_FAILED: &str = "ConditionalCheckFailed";
const CONFLICT: &str = "TransactionConflict";
const THROTTLED: &[&str] = &["ProvisionedThroughputExceeded", "ThrottlingError"];

/// One part of a transaction.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    Put(Item, Condition),
    /// By key.
    Delete(Item, Condition),
    /// By key. Writes nothing.
    Check(Item, Condition),
}

/// What must hold for the item that is there now.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    pub(crate) expression: String,
    pub(crate) values: Vec<(&'static str, AttributeValue)>,
}

/// How a transaction ended.
#[derive(Debug)]
#[must_use]
pub(crate) enum Commit {
    Done,
    /// Nothing was written, since a condition did not hold.
    Refused(Refusal),
}

/// How the condition of each action did, in their order.
#[derive(Debug)]
pub(crate) struct Refusal(Vec<Verdict>);

#[derive(Debug)]
enum Verdict {
    /// Or was not looked at.
    Held,
    /// On this item, or on there being none.
    Failed(Option<Item>),
}

/// What a cancelled transaction leads to.
enum Cancelled {
    Refused(Refusal),
    TryAgain { throttled: bool },
    Other,
}

impl Condition {
    /// There is no such item.
    pub(crate) fn absent() -> Self {
        Self::of(format!("attribute_not_exists({PK})"), [])
    }

    /// There is such an item.
    pub(crate) fn present() -> Self {
        Self::of(format!("attribute_exists({PK})"), [])
    }

    /// There is no such item, or it has expired and was not removed yet.
    pub(crate) fn absent_or_expired(now: Timestamp) -> Self {
        let expression = format!("attribute_not_exists({PK}) OR {EXPIRES_AT} <= :now");
        Self::of(expression, [(":now", number(now.as_second()))])
    }

    /// The task is there, at this version.
    pub(crate) fn at_version(version: u64) -> Self {
        Self::of(
            format!("{VERSION} = :version"),
            [(":version", number(version))],
        )
    }

    pub(crate) fn of<const N: usize>(
        expression: String,
        values: [(&'static str, AttributeValue); N],
    ) -> Self {
        Self {
            expression,
            values: values.to_vec(),
        }
    }

    /// In the form that requests take; `None` instead of an empty map, which is refused.
    pub(crate) fn values(&self) -> Option<Item> {
        let values = self
            .values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        (!self.values.is_empty()).then(|| values.collect())
    }
}

impl Refusal {
    /// Whether the condition of the action at this place failed.
    pub(crate) fn failed(&self, action: usize) -> bool {
        matches!(self.0.get(action), Some(Verdict::Failed(_)))
    }

    /// The item that made it fail; `None` if there was no item.
    pub(crate) fn item(&self, action: usize) -> Option<&Item> {
        match self.0.get(action) {
            Some(Verdict::Failed(item)) => item.as_ref(),
            _ => None,
        }
    }
}

impl Store {
    /// Does all of the actions or none of them.
    ///
    /// # Errors
    /// [`Error::Conflict`] when others are still writing the same items after several attempts.
    pub(crate) async fn commit(&self, actions: &[Action]) -> Result<Commit, Error> {
        let mut attempt = 1;
        loop {
            let items = actions
                .iter()
                .map(|action| self.transact_item(action))
                .collect();
            // The SDK gives each request a token, so that its own repeats after a timeout have one effect. A cancelled
            // transaction had none: the next attempt is a request of its own.
            let sent = self
                .client
                .transact_write_items()
                .set_transact_items(Some(items))
                .send()
                .await;
            let Err(error) = sent else {
                return Ok(Commit::Done);
            };
            let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) =
                error.as_service_error()
            else {
                return Err(failure(OPERATION, error));
            };
            match Cancelled::of(cancelled.cancellation_reasons()) {
                Cancelled::Refused(refusal) => return Ok(Commit::Refused(refusal)),
                Cancelled::TryAgain { .. } if attempt < ATTEMPTS_MAX => {
                    sleep(backoff(attempt)).await
                }
                Cancelled::TryAgain { throttled: true } => return Err(throttled(OPERATION)),
                Cancelled::TryAgain { throttled: false } => return Err(Error::Conflict),
                Cancelled::Other => {
                    return Err(refused(
                        OPERATION,
                        "cancelled for another reason than its conditions",
                    ));
                }
            }
            attempt += 1;
        }
    }

    fn transact_item(&self, action: &Action) -> TransactWriteItem {
        let old = ReturnValuesOnConditionCheckFailure::AllOld;
        let item = TransactWriteItem::builder();
        let item = match action.clone() {
            Action::Put(put, condition) => item.put(
                Put::builder()
                    .table_name(&self.table)
                    .set_item(Some(put))
                    .set_expression_attribute_values(condition.values())
                    .condition_expression(condition.expression)
                    .return_values_on_condition_check_failure(old)
                    .build()
                    .expect("table and item are set"),
            ),
            Action::Delete(key, condition) => item.delete(
                Delete::builder()
                    .table_name(&self.table)
                    .set_key(Some(key))
                    .set_expression_attribute_values(condition.values())
                    .condition_expression(condition.expression)
                    .return_values_on_condition_check_failure(old)
                    .build()
                    .expect("table and key are set"),
            ),
            Action::Check(key, condition) => item.condition_check(
                ConditionCheck::builder()
                    .table_name(&self.table)
                    .set_key(Some(key))
                    .set_expression_attribute_values(condition.values())
                    .condition_expression(condition.expression)
                    .return_values_on_condition_check_failure(old)
                    .build()
                    .expect("table, key and condition are set"),
            ),
        };
        item.build()
    }
}

impl Cancelled {
    /// A failed condition decides: it would fail again. Otherwise others were in the way.
    fn of(reasons: &[CancellationReason]) -> Self {
        let has = |codes: &[&str]| {
            reasons
                .iter()
                .any(|reason| reason.code().is_some_and(|code| codes.contains(&code)))
        };
        if has(&[CONDITION_FAILED]) {
            return Self::Refused(Refusal(reasons.iter().map(Verdict::of).collect()));
        }
        match (has(THROTTLED), has(&[CONFLICT])) {
            (false, false) => Self::Other,
            (throttled, _) => Self::TryAgain { throttled },
        }
    }
}

impl Verdict {
    fn of(reason: &CancellationReason) -> Self {
        if reason.code() != Some(CONDITION_FAILED) {
            return Self::Held;
        }
        // An absent item is told as none by some servers, as an empty one by others.
        Self::Failed(reason.item().filter(|item| !item.is_empty()).cloned())
    }
}

/// A random part of the time that doubles with each attempt.
fn backoff(attempt: u32) -> Duration {
    // Without random numbers everybody waits the whole time, which is only slower.
    let part = getrandom::u32().unwrap_or(u32::MAX);
    BACKOFF_FIRST * 2_u32.pow(attempt - 1) * (part >> 16) / (u32::MAX >> 16)
}
