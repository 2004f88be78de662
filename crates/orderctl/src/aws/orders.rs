//! Orders in the table.

use std::time::Duration;

use aws_sdk_dynamodb::operation::get_item::GetItemOutput;
use aws_sdk_dynamodb::operation::get_item::builders::GetItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::SignedDuration;
use order::{Status, StoredOrder};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::sleep;

use crate::aws::stack::Stack;
use crate::clock::{now, since};
use crate::failure::{Failure, Kind, aws};

/// How long to look for an order that is not in the table: it may have been placed just now.
pub const UNKNOWN_AFTER: SignedDuration = SignedDuration::from_secs(5);

/// What is read of an order to find its row among the open orders, and to follow its status.
#[derive(Clone, Debug, Deserialize)]
pub struct Entry {
    pub status: Status,
    pub restaurant_id: String,
}

impl Stack {
    /// The read of an order in the table, as it is now.
    pub fn get_item(&self, order_id: &str) -> GetItemFluentBuilder {
        self.dynamodb
            .get_item()
            .table_name(&self.table)
            .key("order_id", AttributeValue::S(order_id.into()))
            .consistent_read(true)
    }

    /// An order with all that is stored of it, if it is stored.
    pub async fn stored(&self, order_id: &str) -> Result<Option<StoredOrder>, Failure> {
        let read = self.get_item(order_id).send().await;
        read_item(read.map_err(aws("reading the order"))?)
    }

    /// The status of an order, if it is stored.
    pub async fn read(&self, order_id: &str) -> Result<Option<Entry>, Failure> {
        let read = self
            .get_item(order_id)
            // The policies of those who cancel, and of those who make links, are limited to these attributes.
            .projection_expression("#status, restaurant_id")
            .expression_attribute_names("#status", "status")
            .send()
            .await;
        read_item(read.map_err(aws("reading the status of the order"))?)
    }

    /// The status of an order. Waits some time for one that is not there: it may have been placed just now.
    pub async fn entry(&self, order_id: &str) -> Result<Entry, Failure> {
        let begun = now();
        loop {
            if let Some(entry) = self.read(order_id).await? {
                return Ok(entry);
            }
            if since(begun) > UNKNOWN_AFTER {
                return Err(unknown(order_id, &self.name));
            }
            sleep(Duration::from_millis(200)).await;
        }
    }
}

/// The item that a read of an order found, if any.
pub fn read_item<T: DeserializeOwned>(read: GetItemOutput) -> Result<Option<T>, Failure> {
    let order = |item| {
        serde_dynamo::from_item(item).map_err(|error| {
            Failure::other(format!("the order in the table cannot be read: {error}"))
        })
    };
    read.item.map(order).transpose()
}

/// There is no such order.
pub fn unknown(order_id: &str, stack: &str) -> Failure {
    Failure::new(
        Kind::UnknownOrder,
        format!(
            "the stack {stack} has no order {order_id}: check the id, --stack, --profile and --region"
        ),
    )
}
