//! `update-status`: decides what there is to say of an order's final status, and records both.

use std::time::SystemTime;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
use functions::{Error, Request, aws, metric};
use order::{Decision, Failure, Retention, Status, StoredOrder};
use serde::Deserialize;
use serde_json::value::RawValue;

/// What the state machine sends.
#[derive(Deserialize)]
pub struct UpdateStatus {
    /// Which order.
    pub order_id: String,
    /// The execution that placed it.
    pub execution_arn: String,
    /// The status to move to.
    pub status: Status,
    /// When the restaurant was asked (RFC 3339, UTC).
    pub asked_at: Option<String>,
    /// When the answer or the failure came (RFC 3339, UTC): before `updated_at` where this function had to be called again.
    /// None where the restaurant did not answer.
    pub answered_at: Option<String>,
    /// When the state machine asked for the status (RFC 3339, UTC).
    pub updated_at: String,
    /// What came of asking the restaurant.
    #[serde(default)]
    pub result: Response,
}

/// The output of the state that asks the restaurant.
#[derive(Default, Deserialize)]
pub struct Response {
    /// The restaurant's answer, any JSON, where there is one.
    #[serde(rename = "notifyRestaurantResult")]
    pub answer: Option<Box<RawValue>>,
    /// The failure that the restaurant, or the wait for it, ended with.
    pub failure: Option<Failure>,
}

impl Request for UpdateStatus {
    fn order_id(&self) -> Option<String> {
        Some(self.order_id.clone())
    }

    fn execution_arn(&self) -> &str {
        &self.execution_arn
    }
}

/// Moves the order to the status, if the status may follow the one it has, and answers with the decision that is recorded.
///
/// A repeat by the same execution finds the status there and succeeds, changing nothing.
///
/// # Errors
/// `OrderNotFound`, `StatusConflict`, `StoreUnavailable`, `Misconfigured`
pub async fn update_status(
    dynamodb: &Client,
    table: &str,
    retention: Retention,
    request: UpdateStatus,
) -> Result<Decision, Error> {
    let UpdateStatus {
        order_id,
        execution_arn,
        status,
        asked_at,
        answered_at,
        updated_at,
        result: Response { answer, failure },
    } = request;
    let Some(predecessor) = status.predecessor() else {
        return Err(Error::Misconfigured(format!("no order moves to {status}")));
    };
    let came_at = answered_at.as_deref().unwrap_or(&updated_at);
    let decision = Decision::new(status, answer.as_deref(), failure.as_ref(), came_at);
    let text = |text: &str| AttributeValue::S(text.to_owned());

    let mut set = "SET #status = :status, updated_at = :updated_at".to_owned();
    let mut update = dynamodb
        .update_item()
        .table_name(table)
        .key("order_id", text(&order_id))
        .condition_expression("#status = :predecessor AND execution_arn = :execution_arn")
        .expression_attribute_names("#status", "status")
        .expression_attribute_values(":status", text(status.as_str()))
        .expression_attribute_values(":updated_at", text(&updated_at))
        .expression_attribute_values(":predecessor", text(predecessor.as_str()))
        .expression_attribute_values(":execution_arn", text(&execution_arn));
    if let Some(reason) = &decision.status_reason {
        set += ", status_reason = :status_reason";
        update = update.expression_attribute_values(":status_reason", text(reason));
    }
    if let Some(ready_at) = &decision.ready_at {
        set += ", ready_at = :ready_at";
        update = update.expression_attribute_values(":ready_at", text(ready_at));
    }
    if let Some(expires_at) = retention.expires_at(SystemTime::now()) {
        set += ", expires_at = :expires_at";
        let expires_at = AttributeValue::N(expires_at.to_string());
        update = update.expression_attribute_values(":expires_at", expires_at);
    }
    let update = update
        .update_expression(set)
        .return_values_on_condition_check_failure(AllOld)
        .send()
        .await;
    let Err(error) = update else {
        metrics::counter!(status.metric()).increment(1);
        if failure.as_ref().is_some_and(Failure::is_of_aws) {
            metrics::counter!(metric::RESTAURANT_NOT_REACHED).increment(1);
            return Ok(decision);
        }
        if status == Status::Failed && failure.is_some() {
            metrics::counter!(metric::RESTAURANT_FAILURES).increment(1);
        }
        if let Some((asked_at, answered_at)) = asked_at.zip(answered_at)
            && let Some(took) = order::milliseconds_between(&asked_at, &answered_at)
        {
            metrics::histogram!(metric::RESTAURANT_RESPONSE_TIME).record(f64::from(took));
        }
        return Ok(decision);
    };

    let Some(UpdateItemError::ConditionalCheckFailedException(refused)) = error.as_service_error()
    else {
        return Err(aws::failure(
            "updating the order",
            &error,
            Error::StoreUnavailable,
        ));
    };
    let Some(item) = refused.item() else {
        return Err(Error::OrderNotFound(format!(
            "there is no order {order_id}"
        )));
    };
    let stored: StoredOrder =
        serde_dynamo::from_item(item.clone()).map_err(|_| Error::unreadable_item(&order_id))?;
    if stored.execution_arn != execution_arn {
        Err(Error::StatusConflict(format!(
            "order {order_id} belongs to another execution and is left as it is"
        )))
    } else if stored.status == status {
        Ok(stored.decision())
    } else {
        Err(Error::StatusConflict(format!(
            "order {order_id} is {} already and cannot become {status}",
            stored.status
        )))
    }
}
