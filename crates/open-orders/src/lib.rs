//! `open-orders`: keeps the table of open orders, from the restaurants' messages and the final events.
//!
//! Both come from one queue, which may deliver them in any order and more than once. The table is right nevertheless: an
//! outcome replaces any row, and an offer is written on a condition that compares it with the row that is there.

use std::collections::HashMap;
use std::time::SystemTime;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::primitives::{DateTime, DateTimeFormat};
use aws_sdk_dynamodb::types::AttributeValue;
use functions::queue::{Batch, Failures, handle_each};
use functions::{Error, aws, metric, seconds};
use order::{ClosedOrder, Decision, KEPT, OpenOrder, RestaurantMessage};
use serde::{Deserialize, Serialize};

/// The fields that the table needs of a final event, as `EventBridge` delivers it.
#[derive(Deserialize)]
struct FinalEvent {
    /// When it was published (RFC 3339, UTC).
    time: String,
    detail: Ended,
}

#[derive(Deserialize)]
struct Ended {
    restaurant_id: String,
    order_id: String,
    #[serde(flatten)]
    decision: Decision,
}

/// What a message changes in the table.
pub enum Change {
    /// The order waits for its restaurant: write this row if there is none, an expired one, or one of an earlier offer.
    Open(OpenOrder),
    /// The order has ended: write this row, whatever is there.
    Close(ClosedOrder),
    /// The order's deadline has passed: the restaurant can no longer answer, so there is nothing to list.
    Nothing {
        /// Which order.
        order_id: String,
    },
}

impl Change {
    /// What a message changes if it is handled now. None if it is neither an offer nor a final event.
    #[must_use]
    pub fn of(body: &str, now: SystemTime) -> Option<Self> {
        if let Ok(FinalEvent { time, detail }) = serde_json::from_str(body) {
            let Ended {
                restaurant_id,
                order_id,
                decision,
            } = detail;
            decision.status.predecessor()?;
            return Some(Self::Close(ClosedOrder {
                restaurant_id,
                order_id,
                status: decision.status,
                status_reason: decision.reason_for_customer().map(ToOwned::to_owned),
                ready_at: decision.ready_at,
                expires_at: seconds(&time)? + KEPT,
                closed_at: time,
            }));
        }
        let message: RestaurantMessage = serde_json::from_str(body).ok()?;
        let deadline = DateTime::from_str(&message.respond_by, DateTimeFormat::DateTime).ok()?;
        if deadline <= DateTime::from(now) {
            return Some(Self::Nothing {
                order_id: message.order_id,
            });
        }
        Some(Self::Open(OpenOrder {
            expires_at: seconds(&message.respond_by)? + KEPT,
            message,
        }))
    }

    fn order_id(&self) -> &str {
        match self {
            Self::Open(row) => &row.message.order_id,
            Self::Close(row) => &row.order_id,
            Self::Nothing { order_id } => order_id,
        }
    }
}

/// Brings each message of a batch into the table, and logs what came of it.
pub async fn keep(dynamodb: &Client, table: &str, now: SystemTime, batch: Batch) -> Failures {
    let one = async |body: String| {
        let change = Change::of(&body, now);
        let order_id = change.as_ref().map(Change::order_id).map(ToOwned::to_owned);
        let result = match change {
            Some(change) => write(dynamodb, table, now, change).await,
            None => Err(Error::Misconfigured(
                "the message is neither an order for a restaurant nor a final event".into(),
            )),
        };
        if result.is_err() {
            metrics::counter!(metric::OPEN_ORDERS_FAILED).increment(1);
        }
        (order_id, result)
    };
    handle_each(batch, ["message kept", "message not kept"], one).await
}

/// Makes the change. Returns the outcome for the log.
async fn write(
    dynamodb: &Client,
    table: &str,
    now: SystemTime,
    change: Change,
) -> Result<&'static str, Error> {
    let put = dynamodb.put_item().table_name(table);
    let (put, outcome) = match change {
        Change::Nothing { .. } => return Ok("too late"),
        Change::Close(row) => (put.set_item(Some(item(&row)?)), "closed"),
        Change::Open(row) => {
            let now = DateTime::from(now).secs().to_string();
            let respond_by = AttributeValue::S(row.message.respond_by.clone());
            let put = put
                .set_item(Some(item(&row)?))
                // A closed row has no `respond_by`, and so stays until it expires. The times compare as text: the
                // workflow writes them all alike, in UTC and with milliseconds.
                .condition_expression(
                    "attribute_not_exists(order_id) OR expires_at <= :now OR respond_by < :respond_by",
                )
                .expression_attribute_values(":now", AttributeValue::N(now))
                .expression_attribute_values(":respond_by", respond_by);
            (put, "opened")
        }
    };
    match put.send().await {
        Ok(_) => Ok(outcome),
        Err(error)
            if error
                .as_service_error()
                .is_some_and(PutItemError::is_conditional_check_failed_exception) =>
        {
            Ok("known already")
        }
        Err(error) => Err(aws::failure(
            "writing the open order",
            &error,
            Error::StoreUnavailable,
        )),
    }
}

fn item(row: &impl Serialize) -> Result<HashMap<String, AttributeValue>, Error> {
    serde_dynamo::to_item(row)
        .map_err(|_| Error::Misconfigured("the order cannot be written as an item".into()))
}
