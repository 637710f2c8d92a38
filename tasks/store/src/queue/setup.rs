//! Making the two queues, and finding them.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;

use super::JobQueue;
use crate::Error;
use crate::failure::{failure, refused};

/// Appended to the name of a queue.
const DEAD_SUFFIX: &str = "-dlq";
/// The longest SQS keeps a message. The job itself is in the table, however long it takes.
const RETENTION: Duration = Duration::from_secs(14 * 24 * 60 * 60);

type Attributes = HashMap<QueueAttributeName, String>;

impl JobQueue {
    /// How often a message is received before SQS moves it to the dead-letter queue.
    pub const RECEIVES_MAX: u32 = 5;
    /// How long a received message is hidden from others, unless it is settled or deferred.
    pub const VISIBILITY: Duration = Duration::from_secs(30);
    /// The longest it can be hidden at a time (SQS).
    pub const VISIBILITY_MAX: Duration = Duration::from_secs(12 * 60 * 60);

    /// Creates both queues, or gives those that exist the same settings.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Refused`].
    pub async fn create(client: Client, name: &str) -> Result<Self, Error> {
        let dead_name = format!("{name}{DEAD_SUFFIX}");
        let retention = (
            QueueAttributeName::MessageRetentionPeriod,
            RETENTION.as_secs().to_string(),
        );
        let dead_url =
            create_queue(&client, &dead_name, Attributes::from([retention.clone()])).await?;
        let dead_arn = queue_arn(&client, &dead_url).await?;
        // A number, not a text: some servers take no other form.
        let redrive = serde_json::json!({ "deadLetterTargetArn": dead_arn, "maxReceiveCount": Self::RECEIVES_MAX });
        let attributes = Attributes::from([
            retention,
            (
                QueueAttributeName::VisibilityTimeout,
                Self::VISIBILITY.as_secs().to_string(),
            ),
            (QueueAttributeName::RedrivePolicy, redrive.to_string()),
        ]);
        let url = create_queue(&client, name, attributes).await?;
        Ok(Self {
            client,
            name: name.to_owned(),
            dead_name,
            url,
            dead_url,
        })
    }

    /// Finds both queues.
    ///
    /// # Errors
    /// [`Error::Unavailable`], also while they do not exist.
    pub async fn connect(client: Client, name: &str) -> Result<Self, Error> {
        let dead_name = format!("{name}{DEAD_SUFFIX}");
        let url = queue_url(&client, name).await?;
        let dead_url = queue_url(&client, &dead_name).await?;
        Ok(Self {
            client,
            name: name.to_owned(),
            dead_name,
            url,
            dead_url,
        })
    }
}

/// The queue's URL.
async fn create_queue(
    client: &Client,
    name: &str,
    attributes: Attributes,
) -> Result<String, Error> {
    let request = client
        .create_queue()
        .queue_name(name)
        .set_attributes(Some(attributes.clone()));
    match request.send().await {
        Ok(answer) => answer
            .queue_url
            .ok_or_else(|| refused("CreateQueue", "the answer has no URL")),
        Err(error)
            if error
                .as_service_error()
                .is_some_and(|error| error.is_queue_name_exists()) =>
        {
            let url = queue_url(client, name).await?;
            let request = client
                .set_queue_attributes()
                .queue_url(&url)
                .set_attributes(Some(attributes));
            request
                .send()
                .await
                .map_err(|error| failure("SetQueueAttributes", error))?;
            Ok(url)
        }
        Err(error) => Err(failure("CreateQueue", error)),
    }
}

async fn queue_url(client: &Client, name: &str) -> Result<String, Error> {
    let answer = client.get_queue_url().queue_name(name).send().await;
    let answer = answer.map_err(|error| failure("GetQueueUrl", error))?;
    answer
        .queue_url
        .ok_or_else(|| refused("GetQueueUrl", "the answer has no URL"))
}

async fn queue_arn(client: &Client, url: &str) -> Result<String, Error> {
    let request = client
        .get_queue_attributes()
        .queue_url(url)
        .attribute_names(QueueAttributeName::QueueArn);
    let answer = request
        .send()
        .await
        .map_err(|error| failure("GetQueueAttributes", error))?;
    let arn = answer
        .attributes
        .and_then(|mut attributes| attributes.remove(&QueueAttributeName::QueueArn));
    arn.ok_or_else(|| refused("GetQueueAttributes", "the answer has no ARN"))
}
