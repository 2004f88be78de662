//! `update-status`: moves an order to its final status.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
use functions::{Error, Request, aws};
use order::{Status, StoredOrder};
use serde::{Deserialize, Serialize};

/// The metric of how long restaurants take to answer, in milliseconds.
pub const RESPONSE_TIME: &str = "RestaurantResponseTime";

/// What the state machine sends.
#[derive(Deserialize)]
pub struct UpdateStatus {
    /// Which order.
    pub order_id: String,
    /// The execution that placed it.
    pub execution_arn: String,
    /// The status to move to.
    pub status: Status,
    /// Why, where there is more to say than the status.
    pub status_reason: Option<String>,
    /// When the state machine asked (RFC 3339, UTC).
    pub updated_at: String,
    /// How long the restaurant took to answer, in milliseconds, where it did.
    pub response_ms: Option<f64>,
}

impl Request for UpdateStatus {
    fn order_id(&self) -> Option<String> {
        Some(self.order_id.clone())
    }

    fn execution_arn(&self) -> &str {
        &self.execution_arn
    }
}

/// The status that the order now has.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Updated {
    /// Which order.
    pub order_id: String,
    /// Its status.
    pub status: Status,
}

/// Moves the order to the status, if the status may follow the one it has.
///
/// A repeat by the same execution finds the status there and succeeds, changing nothing.
///
/// # Errors
/// `OrderNotFound`, `StatusConflict`, `StoreUnavailable`, `Misconfigured`
pub async fn update_status(
    dynamodb: &Client,
    table: &str,
    request: UpdateStatus,
) -> Result<Updated, Error> {
    let UpdateStatus {
        order_id,
        execution_arn,
        status,
        response_ms,
        ..
    } = request;
    let Some(predecessor) = status.predecessor() else {
        return Err(Error::Misconfigured(format!("no order moves to {status}")));
    };
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let update = dynamodb
        .update_item()
        .table_name(table)
        .key("order_id", text(&order_id))
        .update_expression(if request.status_reason.is_some() {
            "SET #status = :status, updated_at = :updated_at, status_reason = :status_reason"
        } else {
            "SET #status = :status, updated_at = :updated_at"
        })
        .condition_expression("#status = :predecessor AND execution_arn = :execution_arn")
        .expression_attribute_names("#status", "status")
        .expression_attribute_values(":status", text(status.as_str()))
        .expression_attribute_values(":updated_at", text(&request.updated_at))
        .expression_attribute_values(":predecessor", text(predecessor.as_str()))
        .expression_attribute_values(":execution_arn", text(&execution_arn));
    let update = match &request.status_reason {
        Some(reason) => update.expression_attribute_values(":status_reason", text(reason)),
        None => update,
    };
    let updated = Updated { order_id, status };
    let update = update
        .return_values_on_condition_check_failure(AllOld)
        .send()
        .await;
    let Err(error) = update else {
        metrics::counter!(status.metric()).increment(1);
        if let Some(response_ms) = response_ms {
            metrics::histogram!(RESPONSE_TIME).record(response_ms);
        }
        return Ok(updated);
    };

    let Some(UpdateItemError::ConditionalCheckFailedException(refused)) = error.as_service_error()
    else {
        return Err(aws::failure(
            "updating the order",
            &error,
            Error::StoreUnavailable,
        ));
    };
    let order_id = &updated.order_id;
    let Some(item) = refused.item() else {
        return Err(Error::OrderNotFound(format!(
            "there is no order {order_id}"
        )));
    };
    let stored: StoredOrder = serde_dynamo::from_item(item.clone()).map_err(|_| {
        Error::Misconfigured(format!("order {order_id} in the table cannot be read"))
    })?;
    if stored.execution_arn != execution_arn {
        Err(Error::StatusConflict(format!(
            "order {order_id} belongs to another execution and is left as it is"
        )))
    } else if stored.status == status {
        Ok(updated)
    } else {
        Err(Error::StatusConflict(format!(
            "order {order_id} is {} already and cannot become {status}",
            stored.status
        )))
    }
}
