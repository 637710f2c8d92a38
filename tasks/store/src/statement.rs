//! Statements on one item: read it, or change it if a condition holds. Several items at once are in `transaction`.

use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;

use crate::attributes::Item;
use crate::failure::failure;
use crate::transaction::Condition;
use crate::{Error, Store};

/// A change of some attributes of an item.
#[derive(Debug)]
pub(crate) struct Update {
    pub(crate) key: Item,
    /// An update expression. Its values stand with the condition's.
    pub(crate) expression: String,
    pub(crate) condition: Condition,
}

impl Store {
    /// The item as of the last write.
    pub(crate) async fn get(&self, key: Item) -> Result<Option<Item>, Error> {
        let request = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key))
            .consistent_read(true);
        let answer = request
            .send()
            .await
            .map_err(|error| failure("GetItem", error))?;
        Ok(answer.item)
    }

    /// Whether the item was written; it is not when the condition does not hold.
    pub(crate) async fn put_if(&self, item: Item, condition: Condition) -> Result<bool, Error> {
        let request = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .set_expression_attribute_values(condition.values())
            .condition_expression(condition.expression);
        match request.send().await {
            Ok(_) => Ok(true),
            Err(error)
                if matches!(
                    error.as_service_error(),
                    Some(PutItemError::ConditionalCheckFailedException(_))
                ) =>
            {
                Ok(false)
            }
            Err(error) => Err(failure("PutItem", error)),
        }
    }

    /// Whether the item was changed; it is not when the condition does not hold.
    pub(crate) async fn update_if(&self, update: Update) -> Result<bool, Error> {
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(update.key))
            .update_expression(update.expression)
            .set_expression_attribute_values(update.condition.values())
            .condition_expression(update.condition.expression);
        match request.send().await {
            Ok(_) => Ok(true),
            Err(error)
                if matches!(
                    error.as_service_error(),
                    Some(UpdateItemError::ConditionalCheckFailedException(_))
                ) =>
            {
                Ok(false)
            }
            Err(error) => Err(failure("UpdateItem", error)),
        }
    }

    /// Whether the item was removed; it is not when it was not there.
    pub(crate) async fn delete_existing(&self, key: Item) -> Result<bool, Error> {
        let request = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key))
            .condition_expression(Condition::present().expression);
        match request.send().await {
            Ok(_) => Ok(true),
            Err(error)
                if matches!(
                    error.as_service_error(),
                    Some(DeleteItemError::ConditionalCheckFailedException(_))
                ) =>
            {
                Ok(false)
            }
            Err(error) => Err(failure("DeleteItem", error)),
        }
    }
}
