//! What the pages read of orders, and how they answer them.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::{DateTime, DateTimeFormat};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sfn::config::http::HttpResponse;
use aws_sdk_sfn::config::retry::RetryConfig;
use aws_sdk_sfn::error::{ProvideErrorMetadata, SdkError};
pub use functions::seconds;
use functions::{Error, aws};
use futures_util::future::try_join;
use order::{Item, RestaurantAnswer, Status, StoredOrder, indexes, is_order_id};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::marks::ENDED;

/// How many orders a list shows.
pub const PAGE: u8 = 100;
/// How many bytes of names and notes the orders of a list have at most, unless it is one order. HTML makes six bytes of some, so
/// that the page stays below 2 MB; Lambda refuses a response of 6 MB:
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
const PAGE_TEXT: usize = 200_000;

/// What a restaurant's page shows of an order that waits. The task token is not read.
#[derive(Deserialize)]
pub struct Waiting {
    /// Which order.
    pub order_id: String,
    /// What was ordered.
    pub items: Vec<Item>,
    /// ISO 4217 code.
    pub currency: iso_currency::Currency,
    /// The price of all items, in the currency's minor unit.
    pub total_amount: u64,
    /// What the customer wants the restaurant to know.
    pub note: Option<String>,
    /// Until when an answer counts (RFC 3339, UTC).
    pub respond_by: String,
}

/// What a restaurant's page shows of an order that has ended.
#[derive(Deserialize)]
pub struct Closed {
    /// Which order.
    pub order_id: String,
    /// How it ended.
    pub status: Status,
    /// When (RFC 3339, UTC).
    pub closed_at: String,
    /// When an accepted order is ready (RFC 3339), where the restaurant said it.
    pub ready_at: Option<String>,
}

/// The place of an order in the list of those that wait. It is in the address of the page that lists those after it, and
/// stays valid when the order itself no longer waits.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Place {
    respond_by: String,
    order_id: String,
}

impl Place {
    /// As [`Place::written`]. No id has a dot.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (respond_by, order_id) = text.rsplit_once('.')?;
        seconds(respond_by)?;
        is_order_id(order_id).then(|| Self {
            respond_by: respond_by.into(),
            order_id: order_id.into(),
        })
    }

    /// For the address of a page.
    #[must_use]
    pub fn written(&self) -> String {
        format!("{}.{}", self.respond_by, self.order_id)
    }
}

/// A restaurant's orders.
pub struct Lists {
    /// Those that wait, the most urgent first.
    pub open: Vec<Waiting>,
    /// The last that is listed, if more wait.
    pub more_after: Option<Place>,
    /// Those that ended in the last hour, the latest first.
    pub closed: Vec<Closed>,
}

/// An order's row in the table of open orders, as far as an answer needs it. It holds the task
/// token, so it has no `Debug`.
#[derive(Deserialize)]
struct Row {
    task_token: Option<String>,
    expires_at: u64,
}

/// An answer to an order.
pub enum Answer {
    /// The restaurant takes it.
    Accept {
        /// When it is ready (RFC 3339).
        ready_at: String,
    },
    /// The restaurant declines it.
    Decline {
        /// Why, for the customer.
        reason: String,
    },
    /// The restaurant can do neither.
    Problem {
        /// Why, for operations.
        cause: String,
    },
    /// The customer cancels it.
    Cancel {
        /// Why, if the customer says it.
        reason: Option<String>,
    },
}

/// What came of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Step Functions took it.
    Taken,
    /// The order was answered before, or its time is over.
    Refused,
    /// It is not known whether it arrived.
    Unheard,
    /// The restaurant has no such order, or none that waits for an answer now. Nothing was sent.
    NotOpen,
}

/// The tables and the workflow.
pub struct Orders {
    /// The client of the tables.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// The client of the workflow.
    pub sfn: aws_sdk_sfn::Client,
    /// The table of orders.
    pub orders: String,
    /// The table of open orders.
    pub open_orders: String,
}

impl Orders {
    /// An order as it is now, if it is stored.
    pub async fn read(&self, order_id: &str) -> Result<Option<StoredOrder>, Error> {
        let read = self
            .dynamodb
            .get_item()
            .table_name(&self.orders)
            .key("order_id", AttributeValue::S(order_id.into()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| aws::failure("reading the order", &error, Error::StoreUnavailable))?;
        let unreadable = |_| Error::unreadable_item(order_id);
        read.item
            .map(serde_dynamo::from_item)
            .transpose()
            .map_err(unreadable)
    }

    /// A restaurant's open orders, from the most urgent or from the one after a place on, and those that ended in the last
    /// hour.
    pub async fn lists(
        &self,
        restaurant_id: &str,
        after: Option<&Place>,
        now: u64,
    ) -> Result<Lists, Error> {
        // As the table has them, so that they compare as text.
        let due = format!("{}.000Z", rfc_3339(now).trim_end_matches('Z'));
        let ended = rfc_3339(now.saturating_sub(order::KEPT));
        // DynamoDB refuses a start key outside of the query's range. After a deadline that has passed, all that wait follow.
        let after = after.filter(|after| after.respond_by > due).map(|after| {
            let key = [
                ("restaurant_id", restaurant_id),
                ("respond_by", &after.respond_by),
                ("order_id", &after.order_id),
            ];
            key.map(|(name, value)| (name.into(), AttributeValue::S(value.into())))
                .into()
        });
        let open = self
            .dynamodb
            .query()
            .table_name(&self.open_orders)
            .index_name(indexes::OPEN)
            .key_condition_expression("restaurant_id = :r AND respond_by > :t")
            .projection_expression("order_id, #items, currency, total_amount, note, respond_by")
            .expression_attribute_names("#items", "items")
            .expression_attribute_values(":r", AttributeValue::S(restaurant_id.into()))
            .expression_attribute_values(":t", AttributeValue::S(due))
            .set_exclusive_start_key(after)
            .limit(i32::from(PAGE) + 1)
            .send();
        let closed = self
            .dynamodb
            .query()
            .table_name(&self.open_orders)
            .index_name(indexes::CLOSED)
            .key_condition_expression("restaurant_id = :r AND closed_at > :t")
            .projection_expression("order_id, #status, closed_at, ready_at")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":r", AttributeValue::S(restaurant_id.into()))
            .expression_attribute_values(":t", AttributeValue::S(ended))
            .scan_index_forward(false)
            .limit(PAGE.into())
            .send();
        let (open, closed) = try_join(open, closed).await.map_err(|error| {
            aws::failure("reading the open orders", &error, Error::StoreUnavailable)
        })?;
        let cut = open.last_evaluated_key.is_some();
        let mut open = open.items.unwrap_or_default();
        let more = cut || open.len() > PAGE.into();
        open.truncate(PAGE.into());
        let mut text = 0;
        let shown = open.iter().take_while(|order| {
            text += text_of(order);
            text <= PAGE_TEXT
        });
        let shown = shown.count().max(1);
        let more = more || shown < open.len();
        open.truncate(shown);
        let last = open.last().filter(|_| more).cloned();
        Ok(Lists {
            more_after: last.and_then(|last| serde_dynamo::from_item(last).ok()),
            open: rows(open),
            closed: rows(closed.items.unwrap_or_default()),
        })
    }

    /// Answers an order of a restaurant: the first answer counts, whoever gives it. Gives the deadline of the order as well,
    /// which is [`ENDED`] if it had ended.
    pub async fn answer(
        &self,
        restaurant_id: &str,
        order_id: &str,
        answer: &Answer,
        now: u64,
    ) -> Result<(Sent, u64), Error> {
        let read = self
            .dynamodb
            .get_item()
            .table_name(&self.open_orders)
            .key("restaurant_id", AttributeValue::S(restaurant_id.into()))
            .key("order_id", AttributeValue::S(order_id.into()))
            .projection_expression("task_token, expires_at")
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| {
                aws::failure("reading the open order", &error, Error::StoreUnavailable)
            })?;
        let row = read
            .item
            .and_then(|item| serde_dynamo::from_item(item).ok());
        let Some(row) = row.filter(|row: &Row| row.expires_at > now) else {
            return Ok((Sent::NotOpen, 0));
        };
        match row.task_token {
            None => Ok((Sent::Refused, ENDED)),
            Some(token) => Ok((
                self.send(&token, answer).await?,
                row.expires_at.saturating_sub(order::KEPT),
            )),
        }
    }

    /// Calls once, without retries: a second call could be refused because the first one arrived.
    async fn send(&self, token: &str, answer: &Answer) -> Result<Sent, Error> {
        let once = aws_sdk_sfn::config::Builder::default().retry_config(RetryConfig::disabled());
        let success = match answer {
            Answer::Accept { ready_at } => RestaurantAnswer::accept(Some(ready_at.clone())),
            Answer::Decline { reason } => RestaurantAnswer::reject(Some(reason.clone())),
            Answer::Cancel { reason } => RestaurantAnswer::cancel(reason.clone()),
            Answer::Problem { cause } => {
                let sent = self
                    .sfn
                    .send_task_failure()
                    .task_token(token)
                    .error("RestaurantProblem")
                    .cause(cause)
                    .customize()
                    .config_override(once)
                    .send()
                    .await;
                return outcome(sent.map(drop));
            }
        };
        let sent = self
            .sfn
            .send_task_success()
            .task_token(token)
            .output(serde_json::json!(success).to_string())
            .customize()
            .config_override(once)
            .send()
            .await;
        outcome(sent.map(drop))
    }
}

fn outcome<E: ProvideErrorMetadata>(
    sent: Result<(), SdkError<E, HttpResponse>>,
) -> Result<Sent, Error> {
    let Err(error) = sent else {
        return Ok(Sent::Taken);
    };
    match (error.code(), &error) {
        (Some("TaskTimedOut" | "TaskDoesNotExist" | "InvalidToken"), _) => Ok(Sent::Refused),
        // AWS's message may repeat the token, so only its code is kept.
        (Some(code), SdkError::ServiceError(service)) if service.raw().status().as_u16() < 500 => {
            Err(Error::StoreUnavailable(format!(
                "answering the order failed with {code}"
            )))
        }
        (_, SdkError::ConstructionFailure(_)) => Err(Error::Misconfigured(
            "answering the order: the call could not be made".into(),
        )),
        _ => {
            tracing::warn!("it is not known whether an answer arrived");
            Ok(Sent::Unheard)
        }
    }
}

/// How many bytes of names and notes an order has.
fn text_of(order: &HashMap<String, AttributeValue>) -> usize {
    let text = |value: Option<&AttributeValue>| {
        value
            .and_then(|value| value.as_s().ok())
            .map_or(0, String::len)
    };
    let items = order.get("items").and_then(|items| items.as_l().ok());
    let items = items.into_iter().flatten();
    let names = items.filter_map(|item| item.as_m().ok()?.get("name"));
    names.map(|name| text(Some(name))).sum::<usize>() + text(order.get("note"))
}

/// The rows, without those that cannot be read.
fn rows<T: DeserializeOwned>(items: Vec<HashMap<String, AttributeValue>>) -> Vec<T> {
    items
        .into_iter()
        .filter_map(|item| serde_dynamo::from_item(item).ok())
        .collect()
}

/// Seconds since 1970 as RFC 3339.
#[must_use]
pub fn rfc_3339(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or_default();
    DateTime::from_secs(seconds)
        .fmt(DateTimeFormat::DateTime)
        .unwrap_or_default()
}
