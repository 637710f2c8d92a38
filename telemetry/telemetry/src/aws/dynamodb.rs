//! Which tables a DynamoDB request is about. Reads requests only; keys and items are never looked at.

use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemInput;
use aws_sdk_dynamodb::operation::batch_write_item::BatchWriteItemInput;
use aws_sdk_dynamodb::operation::create_table::CreateTableInput;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemInput;
use aws_sdk_dynamodb::operation::delete_table::DeleteTableInput;
use aws_sdk_dynamodb::operation::describe_continuous_backups::DescribeContinuousBackupsInput;
use aws_sdk_dynamodb::operation::describe_table::DescribeTableInput;
use aws_sdk_dynamodb::operation::describe_time_to_live::DescribeTimeToLiveInput;
use aws_sdk_dynamodb::operation::get_item::GetItemInput;
use aws_sdk_dynamodb::operation::put_item::PutItemInput;
use aws_sdk_dynamodb::operation::query::QueryInput;
use aws_sdk_dynamodb::operation::scan::ScanInput;
use aws_sdk_dynamodb::operation::transact_get_items::TransactGetItemsInput;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsInput;
use aws_sdk_dynamodb::operation::update_item::UpdateItemInput;
use aws_sdk_dynamodb::operation::update_table::UpdateTableInput;
use aws_sdk_dynamodb::operation::update_time_to_live::UpdateTimeToLiveInput;
use aws_sdk_dynamodb::types::{TransactGetItem, TransactWriteItem};
use aws_smithy_runtime_api::client::interceptors::context::Input;

use super::operation::Target;

/// The SDK's name of the service.
pub(super) const SERVICE: &str = "DynamoDB";
/// Tables one span names: a transaction has at most 100 items.
const TABLES_MAX: usize = 100;

/// Operations on one table, which is a field of the request.
macro_rules! table_of {
    ($input:expr, $($request:ty),+ $(,)?) => {
        $(if let Some(request) = $input.downcast_ref::<$request>() {
            return single(request.table_name.as_deref());
        })+
    };
}

pub(super) fn target(input: &Input) -> Target {
    table_of!(
        input,
        GetItemInput,
        PutItemInput,
        UpdateItemInput,
        DeleteItemInput,
        QueryInput,
        ScanInput,
        DescribeTableInput,
        CreateTableInput,
        UpdateTableInput,
        DeleteTableInput,
        DescribeTimeToLiveInput,
        UpdateTimeToLiveInput,
        DescribeContinuousBackupsInput,
    );
    if let Some(request) = input.downcast_ref::<TransactWriteItemsInput>() {
        let items = request.transact_items.as_deref().unwrap_or_default();
        return several(items.iter().filter_map(written_table), items.len());
    }
    if let Some(request) = input.downcast_ref::<TransactGetItemsInput>() {
        let items = request.transact_items.as_deref().unwrap_or_default();
        return several(items.iter().filter_map(read_table), items.len());
    }
    if let Some(request) = input.downcast_ref::<BatchWriteItemInput>() {
        let tables = request.request_items.iter().flatten();
        let items = tables.clone().map(|(_, items)| items.len()).sum();
        return several(tables.map(|(table, _)| table.as_str()), items);
    }
    if let Some(request) = input.downcast_ref::<BatchGetItemInput>() {
        let tables = request.request_items.iter().flatten();
        let items = tables.clone().map(|(_, items)| items.keys.len()).sum();
        return several(tables.map(|(table, _)| table.as_str()), items);
    }
    single(None)
}

fn single(table: Option<&str>) -> Target {
    let names = table
        .map(table_name)
        .into_iter()
        .map(str::to_owned)
        .collect();
    Target::Tables { names, batch: None }
}

fn several<'a>(tables: impl Iterator<Item = &'a str>, items: usize) -> Target {
    let mut names: Vec<String> = Vec::new();
    for table in tables.map(table_name) {
        if names.len() < TABLES_MAX && names.iter().all(|name| name != table) {
            names.push(table.to_owned());
        }
    }
    Target::Tables {
        names,
        batch: Some(items),
    }
}

fn written_table(item: &TransactWriteItem) -> Option<&str> {
    let put = item.put.as_ref().map(|put| &put.table_name);
    let update = item.update.as_ref().map(|update| &update.table_name);
    let delete = item.delete.as_ref().map(|delete| &delete.table_name);
    let check = item.condition_check.as_ref().map(|check| &check.table_name);
    put.or(update).or(delete).or(check).map(String::as_str)
}

fn read_table(item: &TransactGetItem) -> Option<&str> {
    item.get.as_ref().map(|get| get.table_name.as_str())
}

/// Where a name is asked for, an ARN may stand: `arn:aws:dynamodb:eu-central-1:123456789012:table/tasks`.
fn table_name(table: &str) -> &str {
    let resource = table
        .split_once(":table/")
        .map_or(table, |(_, resource)| resource);
    resource.split('/').next().unwrap_or(resource)
}
