//! `save-order`: validates an order and stores it as `PLACED`.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
use functions::{Error, Request, aws};
use order::{Order, OrderSummary, StoredOrder};
use serde::Deserialize;
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

/// Stores the order unless it is there already, and answers with its summary.
///
/// A repeat by the same execution finds the order there and succeeds, changing nothing.
///
/// # Errors
/// `InvalidOrder`, `DuplicateOrder`, `StoreUnavailable`, `Misconfigured`
pub async fn save_order(
    dynamodb: &Client,
    table: &str,
    request: SaveOrder,
) -> Result<OrderSummary, Error> {
    let order = Order::from_json(request.order.get())?;
    let order = order.placed(request.placed_at, request.execution_arn);
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
        return Ok(order.summary());
    };

    let Some(PutItemError::ConditionalCheckFailedException(taken)) = error.as_service_error()
    else {
        return Err(aws::failure(
            "storing the order",
            &error,
            Error::StoreUnavailable,
        ));
    };
    let stored = taken
        .item()
        .and_then(|item| serde_dynamo::from_item::<_, StoredOrder>(item.clone()).ok());
    match stored {
        Some(stored) if stored.execution_arn == order.execution_arn => Ok(stored.summary()),
        _ => Err(Error::DuplicateOrder(format!(
            "order {} was already placed by another execution and is left as it is",
            order.order_id
        ))),
    }
}
