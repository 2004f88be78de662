//! `save-order`: validates an order and stores it as `PLACED`.

use std::time::SystemTime;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
use functions::{Error, Request, aws, metric};
use order::{Offer, Order, OrderSummary, Retention, StoredOrder};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What the state machine sends.
#[derive(Deserialize)]
pub struct SaveOrder {
    /// The input of the execution, as it came.
    pub order: Box<RawValue>,
    /// The execution that places the order.
    pub execution_arn: String,
    /// When that execution began (RFC 3339, UTC). It does not change when the step is repeated.
    pub placed_at: String,
}

impl Request for SaveOrder {
    fn order_id(&self) -> Option<String> {
        Order::id_of(self.order.get())
    }

    fn execution_arn(&self) -> &str {
        &self.execution_arn
    }
}

/// What the state machine gets, and keeps for the states that follow.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Saved {
    /// What events and the customer's message are made of.
    pub summary: OrderSummary,
    /// What the restaurant is sent.
    pub offer: Offer,
}

impl From<StoredOrder> for Saved {
    fn from(order: StoredOrder) -> Self {
        Self {
            summary: order.summary(),
            offer: order.offer(),
        }
    }
}

/// Stores the order unless it is there already.
///
/// A repeat by the same execution finds the order there and succeeds, changing nothing.
///
/// # Errors
/// `InvalidOrder`, `DuplicateOrder`, `StoreUnavailable`, `Misconfigured`
pub async fn save_order(
    dynamodb: &Client,
    table: &str,
    retention: Retention,
    request: SaveOrder,
) -> Result<Saved, Error> {
    let order = Order::from_json(request.order.get())
        .inspect_err(|_| metrics::counter!(metric::ORDERS_INVALID).increment(1))?;
    let mut order = order.placed(request.placed_at, request.execution_arn);
    order.expires_at = retention.expires_at(SystemTime::now());
    let item = serde_dynamo::to_item(&order)
        .map_err(|_| Error::Misconfigured("the order cannot be written as an item".into()))?;

    let put = dynamodb
        .put_item()
        .table_name(table)
        .set_item(Some(item))
        .condition_expression("attribute_not_exists(order_id)")
        .return_values_on_condition_check_failure(AllOld)
        .send()
        .await;
    let Err(error) = put else {
        metrics::counter!(order.status.metric()).increment(1);
        return Ok(order.into());
    };

    let Some(PutItemError::ConditionalCheckFailedException(taken)) = error.as_service_error()
    else {
        return Err(aws::failure(
            "storing the order",
            &error,
            Error::StoreUnavailable,
        ));
    };
    // DynamoDB sends the item that it found. Without it, nobody knows which execution placed that order.
    let item = taken.item().ok_or_else(|| {
        Error::Misconfigured("DynamoDB refused an order and did not send the one it has".into())
    })?;
    let stored: StoredOrder = serde_dynamo::from_item(item.clone())
        .map_err(|_| Error::unreadable_item(&order.order_id))?;
    if stored.execution_arn == order.execution_arn {
        return Ok(stored.into());
    }
    metrics::counter!(metric::ORDERS_DUPLICATE).increment(1);
    Err(Error::DuplicateOrder(format!(
        "order {} was already placed by another execution and is left as it is",
        order.order_id
    )))
}
