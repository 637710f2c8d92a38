//! Single items: types, conditions, updates, limits, concurrency.

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
use aws_sdk_dynamodb::types::{
    AttributeValue, KeysAndAttributes, PutRequest, ReturnConsumedCapacity, ReturnValue,
    WriteRequest,
};
use tokio::task::JoinSet;

use crate::differences::Behaviour;
use crate::endpoints::{Aws, item, n, on_each, s};

#[test]
fn every_type_comes_back_as_it_went_in() {
    on_each(async |aws| {
        let table = aws.table().await;
        let texts = ["", "ü\u{1f980}\u{0}\"\\\n"];
        let list = AttributeValue::L(vec![s(texts[0]), n("-1.5"), AttributeValue::L(vec![])]);
        let map = AttributeValue::M([("a b.c".to_owned(), AttributeValue::Bool(false))].into());
        let written = item(
            "p",
            "s",
            [
                ("text", s(texts[1])),
                ("precise", n("12345678901234567890123456789012345678")),
                ("bytes", AttributeValue::B(Blob::new([0, 255, 7]))),
                ("flag", AttributeValue::Bool(true)),
                ("nothing", AttributeValue::Null(true)),
                ("list", list),
                ("map", map),
                (
                    "texts",
                    AttributeValue::Ss(vec!["a".to_owned(), "b".to_owned()]),
                ),
                ("blobs", AttributeValue::Bs(vec![Blob::new("x")])),
            ],
        );
        aws.put(&table, written.clone()).await;
        let mut read = aws.get(&table, "p", "s").await.unwrap();
        if let Some(AttributeValue::Ss(texts)) = read.get_mut("texts") {
            texts.sort();
        }
        assert_eq!(read, written);
        assert_eq!(aws.get(&table, "p", "other").await, None);
    });
}

#[test]
fn a_failed_condition_returns_the_item_that_stands() {
    on_each(async |aws| {
        let table = aws.table().await;
        let create = |title| {
            let create = aws
                .dynamodb
                .put_item()
                .table_name(&table)
                .set_item(Some(item("p", "s", [("title", s(title))])));
            let create = create.condition_expression("attribute_not_exists(pk)");
            create
                .return_values_on_condition_check_failure(AllOld)
                .send()
        };
        create("first").await.unwrap();
        let error = create("second").await.unwrap_err().into_service_error();
        let PutItemError::ConditionalCheckFailedException(failed) = error else {
            panic!("{error:?}")
        };
        assert_eq!(failed.item().unwrap()["title"], s("first"));
        assert_eq!(
            aws.get(&table, "p", "s").await.unwrap()["title"],
            s("first")
        );
    });
}

const UPDATE: &str = "SET #l = list_append(#l, :l), made = if_not_exists(made, :now) \
    ADD version :one REMOVE #o";

#[test]
fn an_update_applies_all_its_clauses_under_its_condition() {
    on_each(async |aws| {
        let table = aws.table().await;
        let labels = AttributeValue::L(vec![s("a")]);
        aws.put(
            &table,
            item(
                "p",
                "s",
                [("version", n(1)), ("labels", labels), ("old", s("x"))],
            ),
        )
        .await;
        let update = |version: u32| {
            aws.dynamodb
                .update_item()
                .table_name(&table)
                .key("pk", s("p"))
                .key("sk", s("s"))
                .update_expression(UPDATE)
                .condition_expression("version = :v")
                .expression_attribute_names("#l", "labels")
                .expression_attribute_names("#o", "old")
                .expression_attribute_values(":l", AttributeValue::L(vec![s("b")]))
                .expression_attribute_values(":now", n(7))
                .expression_attribute_values(":one", n(1))
                .expression_attribute_values(":v", n(version))
                .return_values(ReturnValue::AllNew)
                .return_values_on_condition_check_failure(AllOld)
                .send()
        };
        let updated = update(1).await.unwrap().attributes.unwrap();
        let labels = AttributeValue::L(vec![s("a"), s("b")]);
        assert_eq!(
            updated,
            item(
                "p",
                "s",
                [("version", n(2)), ("labels", labels), ("made", n(7))]
            )
        );

        let stale = update(1).await.unwrap_err().into_service_error();
        let UpdateItemError::ConditionalCheckFailedException(failed) = stale else {
            panic!("{stale:?}")
        };
        assert_eq!(failed.item().unwrap()["version"], n(2));
    });
}

#[test]
fn a_delete_is_conditional_and_returns_what_it_deleted() {
    on_each(async |aws| {
        let table = aws.table().await;
        aws.put(&table, item("p", "s", [("status", s("done"))]))
            .await;
        let delete = |status: &str| {
            let delete = aws
                .dynamodb
                .delete_item()
                .table_name(&table)
                .key("pk", s("p"))
                .key("sk", s("s"));
            let delete = delete
                .condition_expression("#s = :s")
                .expression_attribute_names("#s", "status");
            delete
                .expression_attribute_values(":s", s(status))
                .return_values(ReturnValue::AllOld)
                .send()
        };
        assert!(
            delete("todo")
                .await
                .unwrap_err()
                .into_service_error()
                .is_conditional_check_failed_exception()
        );
        assert_eq!(
            delete("done").await.unwrap().attributes.unwrap()["status"],
            s("done")
        );
        assert_eq!(aws.get(&table, "p", "s").await, None);
    });
}

#[test]
fn an_item_has_at_most_400_kib() {
    on_each(async |aws| {
        let table = aws.table().await;
        let put = |bytes: usize| {
            let sized = item("p", "s", [("text", s("x".repeat(bytes)))]);
            aws.dynamodb
                .put_item()
                .table_name(&table)
                .set_item(Some(sized))
                .send()
        };
        let names_and_keys = "pk".len() + "p".len() + "sk".len() + "s".len() + "text".len();
        aws.expect(
            Behaviour::ItemOf400KiB,
            put(400 * 1024 - names_and_keys).await.is_ok(),
        );
        let refused = put(400 * 1024).await.unwrap_err().into_service_error();
        assert_eq!(refused.code(), Some("ValidationException"), "{refused:?}");
        assert!(
            refused
                .message()
                .unwrap()
                .contains("Item size has exceeded the maximum allowed size"),
            "{refused:?}"
        );
    });
}

#[test]
fn errors_are_the_ones_callers_match_on() {
    on_each(async |aws| {
        let absent = aws
            .dynamodb
            .get_item()
            .table_name("contract-absent")
            .key("pk", s("p"))
            .key("sk", s("s"))
            .send()
            .await;
        assert!(
            absent
                .unwrap_err()
                .into_service_error()
                .is_resource_not_found_exception()
        );

        let table = aws.table().await;
        let keyless = aws
            .dynamodb
            .get_item()
            .table_name(&table)
            .key("pk", s("p"))
            .send()
            .await;
        assert_eq!(
            keyless.unwrap_err().into_service_error().code(),
            Some("ValidationException")
        );
        let put = aws
            .dynamodb
            .put_item()
            .table_name(&table)
            .set_item(Some(item("p", "s", [])));
        let garbled = put
            .condition_expression("attribute_not_exists(")
            .send()
            .await
            .unwrap_err()
            .into_service_error();
        aws.expect(
            Behaviour::GarbledExpressionIsRefused,
            garbled.code() == Some("ValidationException"),
        );
    });
}

#[test]
fn consumed_capacity_is_reported() {
    on_each(async |aws| {
        let table = aws.table().await;
        let indexed = item("p", "s", [("group", s("g")), ("text", s("x".repeat(1500)))]);
        let put = aws
            .dynamodb
            .put_item()
            .table_name(&table)
            .set_item(Some(indexed));
        let put = put
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .unwrap();
        let written = put.consumed_capacity.unwrap();
        assert_eq!(written.table_name.as_deref(), Some(table.as_str()));
        assert!(written.capacity_units.unwrap() >= 1.0, "{written:?}");
        let query = aws
            .dynamodb
            .query()
            .table_name(&table)
            .index_name("by_group")
            .key_condition_expression("#g = :g");
        let query = query
            .expression_attribute_names("#g", "group")
            .expression_attribute_values(":g", s("g"));
        let query = query
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
            .send()
            .await
            .unwrap();
        assert!(query.consumed_capacity.unwrap().capacity_units.unwrap() > 0.0);
    });
}

#[test]
fn batches_write_and_read_many_items() {
    on_each(async |aws| {
        let table = aws.table().await;
        let keys: Vec<String> = (0..25).map(|number| format!("{number:02}")).collect();
        let put = |sk: &String| {
            let request = PutRequest::builder()
                .set_item(Some(item("p", sk, [])))
                .build()
                .unwrap();
            WriteRequest::builder().put_request(request).build()
        };
        let written = aws
            .dynamodb
            .batch_write_item()
            .request_items(&table, keys.iter().map(put).collect())
            .send()
            .await
            .unwrap();
        assert!(written.unprocessed_items.unwrap_or_default().is_empty());
        let wanted = keys
            .iter()
            .map(|sk| item("p", sk, []))
            .chain([item("p", "absent", [])])
            .collect();
        let wanted = KeysAndAttributes::builder()
            .set_keys(Some(wanted))
            .build()
            .unwrap();
        let read = aws
            .dynamodb
            .batch_get_item()
            .request_items(&table, wanted)
            .send()
            .await
            .unwrap();
        assert_eq!(read.responses.unwrap()[&table].len(), keys.len());
    });
}

#[test]
fn concurrent_increments_all_count() {
    on_each(async |aws| {
        let table = aws.table().await;
        let mut adding = JoinSet::new();
        for _ in 0..16 {
            let (aws, table) = (aws.clone(), table.clone());
            adding.spawn(async move {
                for _ in 0..10 {
                    increment(&aws, &table).await;
                }
            });
        }
        adding.join_all().await;
        assert_eq!(
            aws.get(&table, "p", "counter").await.unwrap()["total"],
            n(160)
        );
    });
}

async fn increment(aws: &Aws, table: &str) {
    let update = aws
        .dynamodb
        .update_item()
        .table_name(table)
        .key("pk", s("p"))
        .key("sk", s("counter"));
    update
        .update_expression("ADD #t :one")
        .expression_attribute_names("#t", "total")
        .expression_attribute_values(":one", n(1))
        .send()
        .await
        .unwrap();
}

#[test]
fn of_concurrent_creations_one_wins() {
    on_each(async |aws| {
        let table = aws.table().await;
        let mut creating = JoinSet::new();
        for number in 0..16 {
            let create = aws
                .dynamodb
                .put_item()
                .table_name(&table)
                .set_item(Some(item("p", "s", [("by", n(number))])));
            creating.spawn(
                create
                    .condition_expression("attribute_not_exists(pk)")
                    .send(),
            );
        }
        let winners = creating
            .join_all()
            .await
            .into_iter()
            .filter(Result::is_ok)
            .count();
        assert_eq!(winners, 1);
    });
}
