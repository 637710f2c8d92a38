//! Transactions, above all the one the outbox rests on: an effect and the removal of its job,
//! together or not at all.

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    CancellationReason, ConditionCheck, Delete, Get, Put, ReturnValuesOnConditionCheckFailure,
    TransactGetItem, TransactWriteItem, Update,
};

use crate::differences::Behaviour;
use crate::endpoints::{Aws, item, n, on_each, s, unique};

fn put(table: &str, pk: &str, sk: &str) -> TransactWriteItem {
    TransactWriteItem::builder()
        .put(
            Put::builder()
                .table_name(table)
                .set_item(Some(item(pk, sk, [])))
                .build()
                .unwrap(),
        )
        .build()
}

/// Adds one to `total` of the item.
fn increment(table: &str, pk: &str, sk: &str) -> TransactWriteItem {
    let update = Update::builder()
        .table_name(table)
        .key("pk", s(pk))
        .key("sk", s(sk))
        .update_expression("ADD #t :one");
    let update = update
        .expression_attribute_names("#t", "total")
        .expression_attribute_values(":one", n(1));
    TransactWriteItem::builder()
        .update(update.build().unwrap())
        .build()
}

/// Removes a job that must be there.
fn finish(table: &str, job: &str) -> TransactWriteItem {
    let delete = Delete::builder()
        .table_name(table)
        .key("pk", s("outbox"))
        .key("sk", s(job))
        .condition_expression("attribute_exists(pk)");
    TransactWriteItem::builder()
        .delete(delete.build().unwrap())
        .build()
}

fn reasons(error: TransactWriteItemsError) -> Vec<CancellationReason> {
    match error {
        TransactWriteItemsError::TransactionCanceledException(cancelled) => {
            cancelled.cancellation_reasons.unwrap()
        }
        other => panic!("{other:?}"),
    }
}

async fn write(aws: &Aws, items: Vec<TransactWriteItem>) -> Result<(), TransactWriteItemsError> {
    let sent = aws
        .dynamodb
        .transact_write_items()
        .set_transact_items(Some(items))
        .send()
        .await;
    sent.map(drop)
        .map_err(aws_sdk_dynamodb::error::SdkError::into_service_error)
}

#[test]
fn a_job_has_its_effect_once_however_often_it_is_delivered() {
    on_each(async |aws| {
        let table = aws.table().await;
        write(
            &aws,
            vec![put(&table, "task", "1"), put(&table, "outbox", "job")],
        )
        .await
        .unwrap();
        let effect = || vec![finish(&table, "job"), increment(&table, "activity", "1")];
        write(&aws, effect()).await.unwrap();
        let again = reasons(write(&aws, effect()).await.unwrap_err());
        assert_eq!(again[0].code(), Some("ConditionalCheckFailed"), "{again:?}");
        assert_eq!(again[1].code(), Some("None"), "{again:?}");
        assert_eq!(aws.get(&table, "outbox", "job").await, None);
        assert_eq!(
            aws.get(&table, "activity", "1").await.unwrap()["total"],
            n(1)
        );
    });
}

#[test]
fn a_cancelled_transaction_changes_nothing_and_names_each_reason() {
    on_each(async |aws| {
        let table = aws.table().await;
        aws.put(&table, item("p", "guard", [("state", s("closed"))]))
            .await;
        let check = ConditionCheck::builder()
            .table_name(&table)
            .key("pk", s("p"))
            .key("sk", s("guard"))
            .condition_expression("#s = :open")
            .expression_attribute_names("#s", "state")
            .expression_attribute_values(":open", s("open"))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let check = TransactWriteItem::builder()
            .condition_check(check.build().unwrap())
            .build();
        let cancelled = reasons(
            write(
                &aws,
                vec![
                    put(&table, "p", "new"),
                    check,
                    increment(&table, "p", "counter"),
                ],
            )
            .await
            .unwrap_err(),
        );
        let codes: Vec<_> = cancelled
            .iter()
            .map(|reason| reason.code().unwrap_or("None"))
            .collect();
        assert_eq!(codes, ["None", "ConditionalCheckFailed", "None"]);
        assert_eq!(cancelled[1].item().unwrap()["state"], s("closed"));
        assert_eq!(aws.get(&table, "p", "new").await, None);
        assert_eq!(aws.get(&table, "p", "counter").await, None);
    });
}

#[test]
fn a_repeated_transaction_with_the_same_token_is_not_executed_again() {
    on_each(async |aws| {
        let table = aws.table().await;
        let token = &unique()[..36];
        let send = |item| {
            aws.dynamodb
                .transact_write_items()
                .client_request_token(token)
                .transact_items(item)
                .send()
        };
        send(increment(&table, "p", "counter")).await.unwrap();
        send(increment(&table, "p", "counter")).await.unwrap();
        let total = aws.get(&table, "p", "counter").await.unwrap()["total"].clone();
        aws.expect(Behaviour::TransactionTokenIsHonoured, total == n(1));

        let other = send(increment(&table, "p", "other")).await;
        let mismatch = other.is_err_and(|error| {
            error
                .into_service_error()
                .is_idempotent_parameter_mismatch_exception()
        });
        aws.expect(Behaviour::TransactionTokenIsHonoured, mismatch);
    });
}

#[test]
fn a_transaction_touches_an_item_once() {
    on_each(async |aws| {
        let table = aws.table().await;
        let refused = write(
            &aws,
            vec![increment(&table, "p", "s"), increment(&table, "p", "s")],
        )
        .await
        .unwrap_err();
        assert_eq!(refused.code(), Some("ValidationException"), "{refused:?}");
        assert_eq!(aws.get(&table, "p", "s").await, None);
    });
}

#[test]
fn a_transaction_takes_100_items_and_no_more() {
    on_each(async |aws| {
        let table = aws.table().await;
        let puts = |count: u32| {
            (0..count)
                .map(|number| put(&table, "p", &format!("{number:03}")))
                .collect()
        };
        let refused = write(&aws, puts(101)).await.unwrap_err();
        assert_eq!(refused.code(), Some("ValidationException"), "{refused:?}");
        assert_eq!(aws.get(&table, "p", "000").await, None);
        write(&aws, puts(100)).await.unwrap();
        assert!(aws.get(&table, "p", "099").await.is_some());
    });
}

#[test]
fn items_are_read_together() {
    on_each(async |aws| {
        let table = aws.table().await;
        aws.put(&table, item("p", "a", [("v", n(1))])).await;
        let get = |sk: &str| {
            let get = Get::builder()
                .table_name(&table)
                .key("pk", s("p"))
                .key("sk", s(sk))
                .build()
                .unwrap();
            TransactGetItem::builder().get(get).build()
        };
        let read = aws
            .dynamodb
            .transact_get_items()
            .transact_items(get("a"))
            .transact_items(get("absent"))
            .send()
            .await
            .unwrap();
        let items: Vec<_> = read
            .responses
            .unwrap()
            .into_iter()
            .map(|response| response.item.unwrap_or_default())
            .collect();
        assert_eq!(items[0]["v"], n(1));
        assert!(items[1].is_empty());
    });
}
