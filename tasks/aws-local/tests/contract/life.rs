//! The life of the endpoint itself: killed and started again, stopped, and under load from many
//! clients.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use aws_local::{AwsLocal, Error, Options};
use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use aws_sdk_sqs::types::QueueAttributeName;
use tokio::task::JoinSet;

use crate::endpoints::{Aws, Implementation, eventually, item, on_embedded};

/// Set for the child process of [`what_was_acknowledged_survives_a_kill`]: the data folder to
/// serve.
const CHILD_DATA: &str = "AWS_LOCAL_TEST_CHILD_DATA";
/// In the data folder: the URL that the child serves on.
const CHILD_URL: &str = "url";

async fn start(data: &Path) -> Result<AwsLocal, Error> {
    AwsLocal::bind(
        "127.0.0.1:0".parse().unwrap(),
        Options {
            data: Some(data.to_owned()),
            ..Options::default()
        },
    )
    .await
}

fn clients(aws: &AwsLocal) -> Aws {
    Aws::at(Implementation::Embedded, &format!("http://{}", aws.addr()))
}

/// Is the child process when its variable is set, and otherwise nothing.
#[tokio::test]
async fn child_that_serves_until_it_is_killed() {
    let Some(data) = std::env::var_os(CHILD_DATA) else {
        return;
    };
    let data = Path::new(&data);
    let aws = start(data).await.unwrap();
    std::fs::write(data.join("url.new"), format!("http://{}", aws.addr())).unwrap();
    std::fs::rename(data.join("url.new"), data.join(CHILD_URL)).unwrap();
    std::future::pending::<()>().await;
}

/// A child process that does not outlive its test.
struct Served(Child);

impl Served {
    fn from(data: &Path) -> Served {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "life::child_that_serves_until_it_is_killed"])
            .env(CHILD_DATA, data)
            .stdout(Stdio::null());
        Served(command.spawn().unwrap())
    }

    /// As `kill -9` does.
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Writes pairs of items until the endpoint is gone; counts each pair that was acknowledged.
async fn write_pairs(aws: Aws, table: String, writer: u32, acknowledged: Arc<AtomicU32>) -> u32 {
    for number in 0.. {
        let put = |kind: &str| {
            let written = item(kind, &format!("{writer}-{number}"), []);
            TransactWriteItem::builder()
                .put(
                    Put::builder()
                        .table_name(&table)
                        .set_item(Some(written))
                        .build()
                        .unwrap(),
                )
                .build()
        };
        let pair = aws
            .dynamodb
            .transact_write_items()
            .transact_items(put("task"))
            .transact_items(put("outbox"));
        if pair.send().await.is_err() {
            return number;
        }
        acknowledged.fetch_add(1, Ordering::Relaxed);
    }
    unreachable!("the endpoint is killed")
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Served::from(folder.path());
    let url = eventually("the child's URL", async || {
        std::fs::read_to_string(folder.path().join(CHILD_URL)).ok()
    })
    .await;
    let aws = Aws::at(Implementation::Embedded, &url);
    let table = aws.table().await;
    let queue = aws.queue(&[]).await;
    let created = aws
        .queue_attribute(&queue, QueueAttributeName::CreatedTimestamp)
        .await;
    assert!(matches!(
        start(folder.path()).await,
        Err(Error::InUse { .. })
    ));

    let acknowledged = Arc::new(AtomicU32::new(0));
    let mut writing = JoinSet::new();
    for writer in 0..4 {
        writing.spawn(write_pairs(
            aws.clone(),
            table.clone(),
            writer,
            Arc::clone(&acknowledged),
        ));
    }
    eventually("200 pairs and a second", async || {
        let next_second =
            std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() > created.parse().unwrap();
        (acknowledged.load(Ordering::Relaxed) >= 200 && next_second).then_some(())
    })
    .await;
    child.kill();
    writing.join_all().await;

    let again = start(folder.path()).await.unwrap();
    let aws = clients(&again);
    let tasks = sort_keys(&aws, &table, "task").await;
    assert_eq!(
        tasks,
        sort_keys(&aws, &table, "outbox").await,
        "half a transaction"
    );
    let acknowledged = acknowledged.load(Ordering::Relaxed) as usize;
    // Each writer may have had one more on its way.
    assert!(
        (acknowledged..=acknowledged + 4).contains(&tasks.len()),
        "{acknowledged} acknowledged, {} found",
        tasks.len()
    );

    // The queue is gone, and a new one says by its timestamp that it is another.
    let gone = aws
        .sqs
        .get_queue_url()
        .queue_name(queue.rsplit('/').next().unwrap())
        .send()
        .await;
    assert!(
        gone.unwrap_err()
            .into_service_error()
            .is_queue_does_not_exist()
    );
    let recreated = aws
        .sqs
        .create_queue()
        .queue_name(queue.rsplit('/').next().unwrap())
        .send()
        .await
        .unwrap();
    let recreated = aws
        .queue_attribute(
            recreated.queue_url().unwrap(),
            QueueAttributeName::CreatedTimestamp,
        )
        .await;
    assert!(recreated.parse::<u64>().unwrap() > created.parse().unwrap());
    again.stop().await;
}

async fn sort_keys(aws: &Aws, table: &str, pk: &str) -> Vec<String> {
    let query = aws
        .dynamodb
        .query()
        .table_name(table)
        .key_condition_expression("pk = :p");
    let query = query
        .expression_attribute_values(":p", crate::endpoints::s(pk))
        .into_paginator()
        .items()
        .send();
    let items = query.collect::<Result<Vec<_>, _>>().await.unwrap();
    items
        .into_iter()
        .map(|item| item["sk"].as_s().unwrap().clone())
        .collect()
}

#[tokio::test]
async fn stopping_is_bounded_and_frees_folder_and_port() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path()).await.unwrap();
    let addr = running.addr();
    let aws = clients(&running);
    let table = aws.table().await;
    aws.put(&table, item("p", "s", [])).await;
    let queue = aws.queue(&[]).await;
    let poll = aws.sqs.receive_message().queue_url(&queue);
    let mut polling = tokio::spawn(poll.wait_time_seconds(20).send());
    let waits = tokio::time::timeout(Duration::from_millis(200), &mut polling).await;
    assert!(waits.is_err(), "a long poll waits: {waits:?}");

    let begun = Instant::now();
    running.stop().await;
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    assert!(polling.await.unwrap().is_err());
    assert!(aws.dynamodb.list_tables().send().await.is_err());

    let options = Options {
        data: Some(folder.path().to_owned()),
        ..Options::default()
    };
    let again = AwsLocal::bind(addr, options).await.unwrap();
    assert!(clients(&again).get(&table, "p", "s").await.is_some());
    again.stop().await;
}

#[tokio::test]
async fn dropping_stops_too() {
    let folder = tempfile::tempdir().unwrap();
    drop(start(folder.path()).await.unwrap());
    eventually("the folder to be free", async || {
        start(folder.path()).await.ok()
    })
    .await
    .stop()
    .await;
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let running = AwsLocal::bind("127.0.0.1:0".parse().unwrap(), Options::default())
        .await
        .unwrap();
    let error = AwsLocal::bind(running.addr(), Options::default())
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains(&running.addr().to_string()),
        "{error}"
    );
    running.stop().await;
}

#[test]
fn many_clients_at_once_are_all_served() {
    on_embedded(async |aws| {
        let (table, queue) = (aws.table().await, aws.queue(&[]).await);
        let mut working = JoinSet::new();
        for client in 0..48 {
            let (table, queue) = (table.clone(), queue.clone());
            // Clients of their own have connections of their own.
            let aws = Aws::at(Implementation::Embedded, &aws.url);
            working.spawn(async move {
                for number in 0..6 {
                    let sk = format!("{client}-{number}");
                    aws.put(&table, item("p", &sk, [])).await;
                    aws.sqs
                        .send_message()
                        .queue_url(&queue)
                        .message_body(&sk)
                        .send()
                        .await
                        .unwrap();
                    assert!(aws.get(&table, "p", &sk).await.is_some());
                    let receive = aws
                        .sqs
                        .receive_message()
                        .queue_url(&queue)
                        .wait_time_seconds(1)
                        .send()
                        .await
                        .unwrap();
                    assert_eq!(receive.messages().len(), 1);
                }
            });
        }
        working.join_all().await;
        assert_eq!(sort_keys(&aws, &table, "p").await.len(), 48 * 6);
    });
}
