//! The table, the bucket and the queues, made where they are missing: for one machine and for
//! tests. In the cloud the template makes them, and this must say the same as the template, but for
//! the table's stream: nothing on one machine reads it, and the embedded table numbers each record
//! of a stream by a walk over all the others.

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, TimeToLiveSpecification,
};
use aws_sdk_sqs::types::QueueAttributeName;

use crate::queues::Queue;
use crate::table::{EXPIRES, Index, PK, SK};
use crate::{Broken, Store};

/// After this many receives a message goes to the dead-letter queue.
const RECEIVES_MAX: u32 = 8;
const RETENTION_S: u32 = 4 * 24 * 3600;
const DEAD_RETENTION_S: u32 = 14 * 24 * 3600;

/// Makes what is missing; leaves what exists. `relay_slots` is the number of relay queues.
pub async fn ensure(store: &Store, relay_slots: u8) -> Result<(), Broken> {
    ensure_table(store).await?;
    ensure_bucket(store).await?;
    let fixed = [Queue::Dispatch, Queue::Verify, Queue::Payouts, Queue::Push];
    for queue in fixed.into_iter().chain((0..relay_slots).map(Queue::Relay)) {
        ensure_queue(store, queue).await?;
    }
    Ok(())
}

async fn ensure_table(store: &Store) -> Result<(), Broken> {
    const OP: &str = "CreateTable";
    let client = store.dynamodb();
    let bad = |cause: aws_sdk_dynamodb::error::BuildError| Broken::new(OP, cause);
    let mut create = client
        .create_table()
        .table_name(store.table())
        .billing_mode(BillingMode::PayPerRequest)
        .key_schema(schema(PK, KeyType::Hash)?)
        .key_schema(schema(SK, KeyType::Range)?)
        .attribute_definitions(definition(PK)?)
        .attribute_definitions(definition(SK)?);
    for index in Index::ALL {
        let (partition, sort) = index.attributes();
        let keys_only = Projection::builder().projection_type(ProjectionType::KeysOnly).build();
        create = create
            .attribute_definitions(definition(partition)?)
            .attribute_definitions(definition(sort)?)
            .global_secondary_indexes(
                GlobalSecondaryIndex::builder()
                    .index_name(index.name())
                    .key_schema(schema(partition, KeyType::Hash)?)
                    .key_schema(schema(sort, KeyType::Range)?)
                    .projection(keys_only)
                    .build()
                    .map_err(bad)?,
            );
    }
    match create.send().await {
        Ok(_) => {}
        Err(error) if error.code() == Some("ResourceInUseException") => return Ok(()),
        Err(error) => return Err(Broken::new(OP, error)),
    }
    let ttl = TimeToLiveSpecification::builder()
        .enabled(true)
        .attribute_name(EXPIRES)
        .build()
        .map_err(bad)?;
    client
        .update_time_to_live()
        .table_name(store.table())
        .time_to_live_specification(ttl)
        .send()
        .await
        .map(|_| ())
        .map_err(|cause| Broken::new("UpdateTimeToLive", cause))
}

fn schema(name: &str, kind: KeyType) -> Result<KeySchemaElement, Broken> {
    KeySchemaElement::builder()
        .attribute_name(name)
        .key_type(kind)
        .build()
        .map_err(|cause| Broken::new("CreateTable", cause))
}

fn definition(name: &str) -> Result<AttributeDefinition, Broken> {
    AttributeDefinition::builder()
        .attribute_name(name)
        .attribute_type(ScalarAttributeType::S)
        .build()
        .map_err(|cause| Broken::new("CreateTable", cause))
}

async fn ensure_bucket(store: &Store) -> Result<(), Broken> {
    let objects = store.objects();
    let made = objects.client().create_bucket().bucket(objects.bucket()).send().await;
    match made {
        Ok(_) => Ok(()),
        Err(error)
            if matches!(error.code(), Some("BucketAlreadyOwnedByYou" | "BucketAlreadyExists")) =>
        {
            Ok(())
        }
        Err(error) => Err(Broken::new("CreateBucket", error)),
    }
}

/// A queue that exists with these attributes is left as it is, by SQS's own rule.
async fn ensure_queue(store: &Store, queue: Queue) -> Result<(), Broken> {
    const OP: &str = "CreateQueue";
    let queues = store.queues();
    let client = queues.client();
    let name = queues.full_name(queue);
    let dead = client
        .create_queue()
        .queue_name(format!("{name}-dead"))
        .attributes(QueueAttributeName::MessageRetentionPeriod, DEAD_RETENTION_S.to_string())
        .send()
        .await
        .map_err(|cause| Broken::new(OP, cause))?;
    let arn = client
        .get_queue_attributes()
        .queue_url(dead.queue_url.unwrap_or_default())
        .attribute_names(QueueAttributeName::QueueArn)
        .send()
        .await
        .map_err(|cause| Broken::new("GetQueueAttributes", cause))?
        .attributes
        .and_then(|mut attributes| attributes.remove(&QueueAttributeName::QueueArn))
        .ok_or_else(|| Broken::new("GetQueueAttributes", "a queue without an ARN"))?;
    let redrive = serde_json::json!({
        "deadLetterTargetArn": arn,
        "maxReceiveCount": RECEIVES_MAX.to_string(),
    });
    client
        .create_queue()
        .queue_name(name)
        .attributes(QueueAttributeName::MessageRetentionPeriod, RETENTION_S.to_string())
        .attributes(QueueAttributeName::RedrivePolicy, redrive.to_string())
        .send()
        .await
        .map(|_| ())
        .map_err(|cause| Broken::new(OP, cause))
}
