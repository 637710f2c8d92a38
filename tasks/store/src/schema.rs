//! The table: its name of everything, its indexes, and how it is made. Which items are in it stands with each item.

use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, IndexStatus, KeySchemaElement, KeyType,
    Projection, ProjectionType, ScalarAttributeType, TableDescription, TableStatus,
    TimeToLiveSpecification, TimeToLiveStatus,
};
use tokio::time::{Instant, sleep};

use crate::failure::{failure, gave_up, refused};
use crate::{Error, Store, keys};

/// Partition and sort key of the table.
pub(crate) const PK: &str = "pk";
pub(crate) const SK: &str = "sk";
/// Sort key of every index: an item has the same place in all lists it is in.
pub(crate) const INDEX_SORT: &str = "gsisk";
/// Seconds; DynamoDB removes the item some time after. Whoever reads it checks it.
pub(crate) const EXPIRES_AT: &str = "expires_at";

/// An index and its partition key. Sparse: an item without the attribute is not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) name: &'static str,
    pub(crate) partition: &'static str,
}

/// Tasks of a workspace; pending jobs; dead jobs.
pub(crate) const GSI1: Index = Index {
    name: "gsi1",
    partition: "gsi1pk",
};
/// Tasks by status.
pub(crate) const GSI2: Index = Index {
    name: "gsi2",
    partition: "gsi2pk",
};
/// Tasks by assignee.
pub(crate) const GSI3: Index = Index {
    name: "gsi3",
    partition: "gsi3pk",
};

const INDEXES: [Index; 3] = [GSI1, GSI2, GSI3];
/// How long a new table may take until it is usable; on AWS it is some ten seconds.
const ACTIVE_DEADLINE: Duration = Duration::from_secs(60);
const ACTIVE_POLL: Duration = Duration::from_millis(500);

impl Store {
    /// Creates table, indexes and expiry, and waits until they can be used. What is there already is left as it is.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when DynamoDB does not answer in time, [`Error::Refused`] when a table of this name has
    /// another shape.
    pub async fn create_table(&self) -> Result<(), Error> {
        self.create_if_missing().await?;
        self.wait_until_active().await?;
        self.enable_expiry().await
    }

    /// Reads nothing from the table, to see that it is there: what readiness needs.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when it is not.
    pub async fn ping(&self) -> Result<(), Error> {
        let request = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(keys::nothing()));
        request
            .send()
            .await
            .map_err(|error| failure("GetItem", error))?;
        Ok(())
    }

    async fn create_if_missing(&self) -> Result<(), Error> {
        let attributes = [PK, SK, INDEX_SORT]
            .into_iter()
            .chain(INDEXES.map(|index| index.partition));
        let request = self
            .client
            .create_table()
            .table_name(&self.table)
            .billing_mode(BillingMode::PayPerRequest)
            .set_attribute_definitions(Some(attributes.map(text_attribute).collect()))
            .set_key_schema(Some(key_schema(PK, SK)))
            .set_global_secondary_indexes(Some(INDEXES.map(index_definition).to_vec()));
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|error| error.is_resource_in_use_exception()) =>
            {
                Ok(())
            }
            Err(error) => Err(failure("CreateTable", error)),
        }
    }

    async fn wait_until_active(&self) -> Result<(), Error> {
        let deadline = Instant::now() + ACTIVE_DEADLINE;
        loop {
            let request = self.client.describe_table().table_name(&self.table);
            let answer = request
                .send()
                .await
                .map_err(|error| failure("DescribeTable", error))?;
            if answer.table().map(is_active).transpose()?.unwrap_or(false) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(gave_up("DescribeTable", "the table is not active yet"));
            }
            sleep(ACTIVE_POLL).await;
        }
    }

    async fn enable_expiry(&self) -> Result<(), Error> {
        if self.has_expiry().await? {
            return Ok(());
        }
        let expiry = TimeToLiveSpecification::builder()
            .enabled(true)
            .attribute_name(EXPIRES_AT);
        let expiry = expiry.build().expect("both fields are set");
        let request = self
            .client
            .update_time_to_live()
            .table_name(&self.table)
            .time_to_live_specification(expiry);
        match request.send().await {
            Ok(_) => Ok(()),
            // Refused when another process has just done it.
            Err(_) if self.has_expiry().await? => Ok(()),
            Err(error) => Err(failure("UpdateTimeToLive", error)),
        }
    }

    async fn has_expiry(&self) -> Result<bool, Error> {
        let request = self.client.describe_time_to_live().table_name(&self.table);
        let answer = request
            .send()
            .await
            .map_err(|error| failure("DescribeTimeToLive", error))?;
        let status = answer
            .time_to_live_description()
            .and_then(|expiry| expiry.time_to_live_status());
        Ok(matches!(
            status,
            Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)
        ))
    }
}

/// Whether table and indexes can be used.
///
/// # Errors
/// [`Error::Refused`] when an index is missing: such a table was made by something else, and will not get better.
fn is_active(table: &TableDescription) -> Result<bool, Error> {
    let mut active = table.table_status() == Some(&TableStatus::Active);
    for index in INDEXES {
        let found = table
            .global_secondary_indexes()
            .iter()
            .find(|found| found.index_name() == Some(index.name));
        let Some(found) = found else {
            return Err(refused(
                "DescribeTable",
                "the table exists with other indexes",
            ));
        };
        active &= found.index_status() == Some(&IndexStatus::Active);
    }
    Ok(active)
}

fn text_attribute(name: &str) -> AttributeDefinition {
    let definition = AttributeDefinition::builder()
        .attribute_name(name)
        .attribute_type(ScalarAttributeType::S);
    definition.build().expect("both fields are set")
}

fn key_schema(partition: &str, sort: &str) -> Vec<KeySchemaElement> {
    let element = |name: &str, kind: KeyType| {
        let element = KeySchemaElement::builder()
            .attribute_name(name)
            .key_type(kind);
        element.build().expect("both fields are set")
    };
    vec![
        element(partition, KeyType::Hash),
        element(sort, KeyType::Range),
    ]
}

/// With all attributes: every list shows whole items.
fn index_definition(index: Index) -> GlobalSecondaryIndex {
    let definition = GlobalSecondaryIndex::builder()
        .index_name(index.name)
        .set_key_schema(Some(key_schema(index.partition, INDEX_SORT)))
        .projection(
            Projection::builder()
                .projection_type(ProjectionType::All)
                .build(),
        );
    definition.build().expect("name and keys are set")
}
