//! The endpoints under check, clients for them, and the few builders that every check needs.

use std::collections::HashMap;
use std::fmt;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use aws_credential_types::Credentials;
use aws_local::{AwsLocal, Options};
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, KeySchemaElement,
    KeyType, Projection, ProjectionType, ScalarAttributeType,
};
use aws_sdk_sqs::types::QueueAttributeName;
use uuid::Uuid;

/// Names the peer.
const PEER: &str = "TRIPOD_AWS_ENDPOINT";
/// For anything that must come to hold.
const DEADLINE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Implementation {
    Embedded,
    Moto,
    /// No differences from AWS are known.
    Other,
}

/// An endpoint and clients for it, without retries: a check sees each answer.
#[derive(Debug, Clone)]
pub(crate) struct Aws {
    pub(crate) implementation: Implementation,
    pub(crate) url: String,
    pub(crate) dynamodb: aws_sdk_dynamodb::Client,
    pub(crate) sqs: aws_sdk_sqs::Client,
}

pub(crate) type Item = HashMap<String, AttributeValue>;

/// Started once for the whole run, and said on standard error past the test harness' capture.
static ENDPOINTS: LazyLock<Vec<(Implementation, String)>> = LazyLock::new(|| {
    let embedded = format!("http://{}", start_embedded());
    let mut endpoints = vec![(Implementation::Embedded, embedded)];
    match std::env::var(PEER) {
        Ok(peer) => {
            let peer = peer.trim_end_matches('/').to_owned();
            endpoints.push((implementation_of(&peer), peer));
        }
        Err(_) => say(&format!("no peer: {PEER} is not set")),
    }
    for (implementation, url) in &endpoints {
        say(&format!("running on {implementation:?} at {url}"));
    }
    endpoints
});

/// Runs a check on the embedded endpoint and on the peer, if there is one.
pub(crate) fn on_each<F: Future<Output = ()>>(check: impl Fn(Aws) -> F) {
    for (implementation, url) in &*ENDPOINTS {
        on(*implementation, url, &check);
    }
}

/// Runs a check on the embedded endpoint.
pub(crate) fn on_embedded<F: Future<Output = ()>>(check: impl Fn(Aws) -> F) {
    let (implementation, url) = &ENDPOINTS[0];
    on(*implementation, url, &check);
}

fn on<F: Future<Output = ()>>(
    implementation: Implementation,
    url: &str,
    check: &impl Fn(Aws) -> F,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let aws = Aws::at(implementation, url);
        // Shown when the check fails.
        println!("on {aws}");
        check(aws).await;
    });
}

/// On threads of its own, so that no check's runtime ends it.
fn start_embedded() -> SocketAddr {
    let (started, starting) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let aws = AwsLocal::bind("127.0.0.1:0".parse().unwrap(), Options::default())
                .await
                .unwrap();
            started.send(aws.addr()).unwrap();
            std::future::pending::<()>().await;
        });
    });
    starting.recv().unwrap()
}

/// Moto's server shows itself by the framework it is built on.
fn implementation_of(url: &str) -> Implementation {
    let authority = url.trim_start_matches("http://");
    let mut stream = std::net::TcpStream::connect(authority)
        .unwrap_or_else(|error| panic!("{PEER}={url}: {error}"));
    stream
        .write_all(b"GET /moto-api/data.json HTTP/1.0\r\n\r\n")
        .unwrap();
    let answer = std::io::read_to_string(stream).unwrap_or_default();
    if answer.contains("Werkzeug") {
        Implementation::Moto
    } else {
        Implementation::Other
    }
}

fn say(line: &str) {
    std::io::stderr()
        .write_all(format!("contract: {line}\n").as_bytes())
        .unwrap();
}

impl fmt::Display for Aws {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} at {}", self.implementation, self.url)
    }
}

impl Aws {
    pub(crate) fn at(implementation: Implementation, url: &str) -> Aws {
        let credentials = Credentials::new("any", "any", None, None, "tests");
        let http = aws_smithy_http_client::Builder::new().build_http();
        let dynamodb = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .endpoint_url(url)
            .credentials_provider(credentials.clone())
            .retry_config(RetryConfig::disabled())
            .http_client(http.clone())
            .build();
        let sqs = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .endpoint_url(url)
            .credentials_provider(credentials)
            .retry_config(RetryConfig::disabled())
            .http_client(http)
            .build();
        Aws {
            implementation,
            url: url.to_owned(),
            dynamodb: aws_sdk_dynamodb::Client::from_conf(dynamodb),
            sqs: aws_sdk_sqs::Client::from_conf(sqs),
        }
    }

    /// A new table with keys `pk` and `sk`, and the index `by_group` on `group` and `sk` of the
    /// items that have a `group`.
    pub(crate) async fn table(&self) -> String {
        let name = unique();
        let attribute = |name: &str| {
            AttributeDefinition::builder()
                .attribute_name(name)
                .attribute_type(ScalarAttributeType::S)
                .build()
        };
        let attributes = ["pk", "sk", "group"].map(|name| attribute(name).unwrap());
        let index = GlobalSecondaryIndex::builder()
            .index_name("by_group")
            .set_key_schema(Some(key_schema("group", "sk")))
            .projection(
                Projection::builder()
                    .projection_type(ProjectionType::All)
                    .build(),
            );
        let create = self
            .dynamodb
            .create_table()
            .table_name(&name)
            .billing_mode(BillingMode::PayPerRequest);
        let create = create
            .set_attribute_definitions(Some(attributes.to_vec()))
            .set_key_schema(Some(key_schema("pk", "sk")));
        create
            .global_secondary_indexes(index.build().unwrap())
            .send()
            .await
            .unwrap();
        name
    }

    /// A new queue's URL.
    pub(crate) async fn queue(&self, attributes: &[(QueueAttributeName, &str)]) -> String {
        let attributes = attributes
            .iter()
            .map(|(name, value)| (name.clone(), (*value).to_owned()))
            .collect();
        let created = self
            .sqs
            .create_queue()
            .queue_name(unique())
            .set_attributes(Some(attributes))
            .send()
            .await;
        created.unwrap().queue_url.unwrap()
    }

    pub(crate) async fn queue_attribute(&self, queue: &str, name: QueueAttributeName) -> String {
        let attributes = self
            .sqs
            .get_queue_attributes()
            .queue_url(queue)
            .attribute_names(name.clone())
            .send()
            .await
            .unwrap();
        attributes.attributes.unwrap()[&name].clone()
    }

    /// The item with these keys, read consistently.
    pub(crate) async fn get(&self, table: &str, pk: &str, sk: &str) -> Option<Item> {
        let get = self
            .dynamodb
            .get_item()
            .table_name(table)
            .key("pk", s(pk))
            .key("sk", s(sk))
            .consistent_read(true);
        get.send().await.unwrap().item
    }

    pub(crate) async fn put(&self, table: &str, item: Item) {
        self.dynamodb
            .put_item()
            .table_name(table)
            .set_item(Some(item))
            .send()
            .await
            .unwrap();
    }
}

fn key_schema(hash: &str, range: &str) -> Vec<KeySchemaElement> {
    let element = |name: &str, kind| {
        KeySchemaElement::builder()
            .attribute_name(name)
            .key_type(kind)
            .build()
            .unwrap()
    };
    vec![element(hash, KeyType::Hash), element(range, KeyType::Range)]
}

/// A name that nobody else uses, not even an earlier run on the same peer.
pub(crate) fn unique() -> String {
    format!("contract-{}", Uuid::now_v7())
}

pub(crate) fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

pub(crate) fn n(number: impl fmt::Display) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// An item with its two keys and these attributes.
pub(crate) fn item<const N: usize>(
    pk: &str,
    sk: &str,
    attributes: [(&str, AttributeValue); N],
) -> Item {
    let keys = [("pk", s(pk)), ("sk", s(sk))];
    keys.into_iter()
        .chain(attributes)
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// Asks again until there is an answer.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    ask: impl Fn() -> F,
) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what}: not within {DEADLINE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
