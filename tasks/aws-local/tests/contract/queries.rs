//! Tables, queries over keys and the index, filters, pages, and time to live.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, Select, TableStatus, TimeToLiveSpecification, TimeToLiveStatus,
};

use crate::differences::Behaviour;
use crate::endpoints::{Aws, Item, eventually, item, n, on_each, s};

/// A query of one group in the index.
fn in_group(aws: &Aws, table: &str, group: &str) -> QueryFluentBuilder {
    let query = aws
        .dynamodb
        .query()
        .table_name(table)
        .index_name("by_group")
        .key_condition_expression("#g = :g");
    query
        .expression_attribute_names("#g", "group")
        .expression_attribute_values(":g", s(group))
}

fn sort_keys(items: &[Item]) -> Vec<&str> {
    items
        .iter()
        .map(|item| item["sk"].as_s().unwrap().as_str())
        .collect()
}

/// Ten items `0` to `9` in group `even` or `odd`, and one in no group.
async fn numbered(aws: &Aws) -> String {
    let table = aws.table().await;
    for number in 0..10 {
        let group = if number % 2 == 0 { "even" } else { "odd" };
        aws.put(
            &table,
            item(
                "p",
                &number.to_string(),
                [("group", s(group)), ("rank", n(number))],
            ),
        )
        .await;
    }
    aws.put(&table, item("p", "x", [])).await;
    table
}

#[test]
fn the_index_holds_the_items_that_have_its_key_in_order() {
    on_each(async |aws| {
        let table = numbered(&aws).await;
        let up = in_group(&aws, &table, "even").send().await.unwrap();
        assert_eq!(sort_keys(up.items()), ["0", "2", "4", "6", "8"]);
        let down = in_group(&aws, &table, "odd")
            .scan_index_forward(false)
            .limit(2)
            .send()
            .await
            .unwrap();
        assert_eq!(sort_keys(down.items()), ["9", "7"]);
        let between = in_group(&aws, &table, "even")
            .key_condition_expression("#g = :g AND sk BETWEEN :a AND :b");
        let between = between
            .expression_attribute_values(":a", s("3"))
            .expression_attribute_values(":b", s("6"))
            .send()
            .await
            .unwrap();
        assert_eq!(sort_keys(between.items()), ["4", "6"]);
        let consistent = in_group(&aws, &table, "even")
            .consistent_read(true)
            .send()
            .await
            .unwrap_err()
            .into_service_error();
        assert_eq!(consistent.code(), Some("ValidationException"));
    });
}

#[test]
fn the_index_follows_its_items() {
    on_each(async |aws| {
        let table = numbered(&aws).await;
        let update = |expression: &str| {
            let update = aws
                .dynamodb
                .update_item()
                .table_name(&table)
                .key("pk", s("p"))
                .key("sk", s("0"));
            update
                .update_expression(expression)
                .expression_attribute_names("#g", "group")
        };
        update("SET #g = :g")
            .expression_attribute_values(":g", s("odd"))
            .send()
            .await
            .unwrap();
        assert_eq!(
            in_group(&aws, &table, "even").send().await.unwrap().count(),
            4
        );
        assert_eq!(
            sort_keys(in_group(&aws, &table, "odd").send().await.unwrap().items())[0],
            "0"
        );
        update("REMOVE #g").send().await.unwrap();
        aws.dynamodb
            .delete_item()
            .table_name(&table)
            .key("pk", s("p"))
            .key("sk", s("1"))
            .send()
            .await
            .unwrap();
        assert_eq!(
            in_group(&aws, &table, "odd").send().await.unwrap().count(),
            4
        );
    });
}

#[test]
fn pages_join_without_gap_or_repetition() {
    on_each(async |aws| {
        let table = numbered(&aws).await;
        let mut seen = Vec::new();
        let mut from: Option<Item> = None;
        loop {
            let page = in_group(&aws, &table, "even")
                .limit(2)
                .set_exclusive_start_key(from)
                .send()
                .await
                .unwrap();
            seen.extend(sort_keys(page.items()).into_iter().map(str::to_owned));
            assert!(page.items().len() <= 2);
            from = page.last_evaluated_key;
            // The task system's cursors are made of these keys.
            let Some(key) = &from else { break };
            assert!(
                ["pk", "sk", "group"]
                    .iter()
                    .all(|name| key.contains_key(*name)),
                "{key:?}"
            );
        }
        assert_eq!(seen, ["0", "2", "4", "6", "8"]);
    });
}

#[test]
fn a_filter_acts_after_the_limit_and_says_how_much_it_read() {
    on_each(async |aws| {
        let table = numbered(&aws).await;
        let filtered = || {
            let query = aws
                .dynamodb
                .query()
                .table_name(&table)
                .key_condition_expression("pk = :p")
                .expression_attribute_values(":p", s("p"));
            let query = query
                .filter_expression("#g = :g AND #r >= :r")
                .expression_attribute_names("#r", "rank");
            query
                .expression_attribute_names("#g", "group")
                .expression_attribute_values(":g", s("odd"))
                .expression_attribute_values(":r", n(5))
        };
        let all = filtered().send().await.unwrap();
        assert_eq!(
            (sort_keys(all.items()), all.scanned_count()),
            (vec!["5", "7", "9"], 11)
        );
        let limited = filtered().limit(6).send().await.unwrap();
        assert_eq!((limited.count(), limited.scanned_count()), (1, 6));
        assert!(limited.last_evaluated_key().is_some());
        let counted = filtered().select(Select::Count).send().await.unwrap();
        assert_eq!((counted.count(), counted.items().len()), (3, 0));
    });
}

#[test]
fn a_query_selects_by_prefix_and_projects() {
    on_each(async |aws| {
        let table = aws.table().await;
        for sk in ["activity#1", "activity#2", "comment#1"] {
            aws.put(
                &table,
                item("task", sk, [("text", s(sk)), ("secret", s("x"))]),
            )
            .await;
        }
        let query = aws
            .dynamodb
            .query()
            .table_name(&table)
            .key_condition_expression("pk = :p AND begins_with(sk, :s)");
        let query = query
            .expression_attribute_values(":p", s("task"))
            .expression_attribute_values(":s", s("activity#"));
        let found = query
            .projection_expression("sk, #t")
            .expression_attribute_names("#t", "text")
            .send()
            .await
            .unwrap();
        assert_eq!(sort_keys(found.items()), ["activity#1", "activity#2"]);
        assert_eq!(found.items()[0].len(), 2);
    });
}

#[test]
fn a_large_partition_is_read_in_pages_of_1_mib() {
    on_each(async |aws| {
        let table = aws.table().await;
        for number in 0..4 {
            aws.put(
                &table,
                item(
                    "p",
                    &number.to_string(),
                    [("text", s("x".repeat(300 * 1024)))],
                ),
            )
            .await;
        }
        let query = || {
            aws.dynamodb
                .query()
                .table_name(&table)
                .key_condition_expression("pk = :p")
                .expression_attribute_values(":p", s("p"))
        };
        let first = query().send().await.unwrap();
        assert!(first.items().len() < 4 && first.last_evaluated_key().is_some());
        let all = query()
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<_>, _>>()
            .await
            .unwrap();
        assert_eq!(sort_keys(&all), ["0", "1", "2", "3"]);
    });
}

#[test]
fn a_table_is_ready_when_created_and_is_created_once() {
    on_each(async |aws| {
        let table = aws.table().await;
        let described = aws
            .dynamodb
            .describe_table()
            .table_name(&table)
            .send()
            .await
            .unwrap()
            .table
            .unwrap();
        assert_eq!(described.table_status(), Some(&TableStatus::Active));
        let again = aws
            .dynamodb
            .create_table()
            .table_name(&table)
            .set_key_schema(described.key_schema.clone());
        let again = again.set_attribute_definitions(Some(
            described
                .attribute_definitions()
                .iter()
                .filter(|it| it.attribute_name != "group")
                .cloned()
                .collect(),
        ));
        let refused = again
            .billing_mode("PAY_PER_REQUEST".into())
            .send()
            .await
            .unwrap_err()
            .into_service_error();
        assert!(refused.is_resource_in_use_exception(), "{refused:?}");
    });
}

#[test]
fn expired_items_go_and_others_stay() {
    on_each(async |aws| {
        let table = aws.table().await;
        let specification = TimeToLiveSpecification::builder()
            .attribute_name("expires")
            .enabled(true)
            .build()
            .unwrap();
        aws.dynamodb
            .update_time_to_live()
            .table_name(&table)
            .time_to_live_specification(specification)
            .send()
            .await
            .unwrap();
        let described = aws
            .dynamodb
            .describe_time_to_live()
            .table_name(&table)
            .send()
            .await
            .unwrap();
        assert_eq!(
            described
                .time_to_live_description
                .unwrap()
                .time_to_live_status(),
            Some(&TimeToLiveStatus::Enabled)
        );
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        for (sk, expires) in [
            ("past", n(now - 10)),
            ("future", n(now + 1000)),
            ("text", s("0")),
        ] {
            aws.put(
                &table,
                item("p", sk, [("expires", expires), ("group", s("g"))]),
            )
            .await;
        }
        aws.put(&table, item("p", "never", [])).await;
        let goes = tokio::time::timeout(
            std::time::Duration::from_secs(4),
            gone(&aws, &table, "past"),
        )
        .await
        .is_ok();
        aws.expect(Behaviour::ExpiredItemsGo, goes);
        for sk in ["future", "text", "never"] {
            assert!(aws.get(&table, "p", sk).await.is_some(), "{sk}");
        }
        if goes {
            assert_eq!(in_group(&aws, &table, "g").send().await.unwrap().count(), 2);
        }
    });
}

async fn gone(aws: &Aws, table: &str, sk: &str) {
    eventually("expiry", async || {
        aws.get(table, "p", sk).await.is_none().then_some(())
    })
    .await;
}

#[test]
fn a_scan_reads_the_whole_table_in_pages() {
    on_each(async |aws| {
        let table = numbered(&aws).await;
        let pages = aws
            .dynamodb
            .scan()
            .table_name(&table)
            .limit(4)
            .into_paginator()
            .items()
            .send();
        let items: Vec<Item> = pages.collect::<Result<_, _>>().await.unwrap();
        assert_eq!(items.len(), 11);
        assert!(
            items
                .iter()
                .all(|item| matches!(item["pk"], AttributeValue::S(_)))
        );
    });
}
