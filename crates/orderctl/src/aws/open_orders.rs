//! The table of open orders: which orders wait for their restaurant. Reading it takes nothing away from anybody.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use order::{OpenOrder, RestaurantMessage, Status, indexes};
use serde_json::{Value, json};

use crate::aws::orders::read_item;
use crate::aws::stack::Stack;
use crate::failure::{Failure, aws};
use crate::render::{clean, clock, items, left_until, money, parse_time};

/// How long to rest between two looks. Each reads what waits, for half a read unit per 4 KB.
pub const REST: Duration = Duration::from_millis(500);
/// How many rows are read at once.
const READS: usize = 16;

/// Whose orders.
#[derive(Clone, Debug)]
pub enum Whose {
    /// Those of one restaurant.
    Restaurant(String),
    /// Those of all restaurants.
    All,
}

/// An order that waits for an answer.
#[derive(Clone)]
pub struct Waiting {
    /// What the restaurant was sent. Holds the token.
    pub message: RestaurantMessage,
    /// Until when an answer counts.
    pub respond_by: Timestamp,
}

impl Waiting {
    /// The order for scripts; the token only if they asked for it.
    pub fn json(&self, show_token: bool) -> Value {
        let mut json = json!(self.message);
        if let Some(order) = json.as_object_mut() {
            if !show_token {
                order.remove("task_token");
            }
            order.insert(
                "total".into(),
                money(self.message.currency, self.message.total_amount).into(),
            );
            order.insert(
                "seconds_left".into(),
                left_until(self.respond_by).as_secs().into(),
            );
        }
        json
    }

    /// What stands above [`Waiting::cells`].
    pub const HEADINGS: [&str; 5] = ["ORDER", "RESTAURANT", "ITEMS", "TOTAL", "LEFT"];

    /// The cells of the order's row: id, restaurant, items, total, time left.
    pub fn cells(&self) -> [String; 5] {
        let message = &self.message;
        [
            message.order_id.clone(),
            clean(&message.restaurant_id),
            items(&message.items),
            money(message.currency, message.total_amount),
            clock(left_until(self.respond_by)),
        ]
    }
}

/// The list of what waits, from one look to the next.
pub struct List {
    stack: Stack,
    whose: Whose,
    /// What waited at the last look: the restaurant of each order, by the order's id.
    known: HashMap<String, String>,
}

/// What changed from one look to the next.
pub struct Look {
    /// What waits now, the oldest first.
    pub waiting: Vec<Waiting>,
    /// What waited before, and what became of it; nothing where only its time is over.
    pub gone: Vec<(String, Option<Status>)>,
}

impl List {
    /// A list that has not looked yet.
    pub fn new(stack: &Stack, whose: Whose) -> Self {
        Self {
            stack: stack.clone(),
            whose,
            known: HashMap::new(),
        }
    }

    /// Looks at what waits now.
    pub async fn look(&mut self) -> Result<Look, Failure> {
        let waiting = self.stack.waiting(&self.whose).await?;
        let now: HashMap<_, _> = waiting
            .iter()
            .map(|Waiting { message, .. }| {
                (message.order_id.clone(), message.restaurant_id.clone())
            })
            .collect();
        let gone: Vec<(String, String)> = self
            .known
            .iter()
            .filter(|(order_id, _)| !now.contains_key(*order_id))
            .map(|(order_id, restaurant_id)| (order_id.clone(), restaurant_id.clone()))
            .collect();
        let gone = stream::iter(gone)
            .map(async |(order_id, restaurant_id): (String, String)| {
                let row: Option<Row> = self.stack.row(&restaurant_id, &order_id).await?;
                Ok::<_, Failure>((order_id, row.and_then(|row| row.status)))
            })
            .buffer_unordered(READS)
            .try_collect()
            .await?;
        self.known = now;
        Ok(Look { waiting, gone })
    }
}

/// What a closed row has, and an open one has not.
#[derive(serde::Deserialize)]
struct Row {
    status: Option<Status>,
}

impl Stack {
    /// What waits now, the oldest first.
    ///
    /// DynamoDB deletes a row some time after it expired, so rows are left out here whose time is over. That is an hour
    /// before they expire.
    async fn waiting(&self, whose: &Whose) -> Result<Vec<Waiting>, Failure> {
        // `respond_by` has this form, too: as text, they are in the order of time.
        let now = Timestamp::now()
            .strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
            .to_string();
        let rows: Result<Vec<_>, _> = match whose {
            Whose::Restaurant(restaurant_id) => self
                .dynamodb
                .query()
                .table_name(&self.open_orders)
                .index_name(indexes::OPEN)
                .key_condition_expression("restaurant_id = :restaurant AND respond_by > :now")
                .expression_attribute_values(
                    ":restaurant",
                    AttributeValue::S(restaurant_id.clone()),
                )
                .expression_attribute_values(":now", AttributeValue::S(now))
                .into_paginator()
                .items()
                .send()
                .collect::<Result<_, _>>()
                .await
                .map_err(aws("reading the open orders of the restaurant")),
            Whose::All => self
                .dynamodb
                .scan()
                .table_name(&self.open_orders)
                .index_name(indexes::OPEN)
                .filter_expression("respond_by > :now")
                .expression_attribute_values(":now", AttributeValue::S(now))
                .into_paginator()
                .items()
                .send()
                .collect::<Result<_, _>>()
                .await
                .map_err(aws("reading the open orders of all restaurants")),
        };
        let mut waiting: Vec<_> = rows?.into_iter().filter_map(waiting).collect();
        waiting.sort_by(|a, b| {
            let key = |waiting: &Waiting| (waiting.respond_by, waiting.message.order_id.clone());
            key(a).cmp(&key(b))
        });
        Ok(waiting)
    }

    /// The row of an order as it is now, if there is one.
    async fn row<T: serde::de::DeserializeOwned>(
        &self,
        restaurant_id: &str,
        order_id: &str,
    ) -> Result<Option<T>, Failure> {
        let read = self
            .dynamodb
            .get_item()
            .table_name(&self.open_orders)
            .key("restaurant_id", AttributeValue::S(restaurant_id.into()))
            .key("order_id", AttributeValue::S(order_id.into()))
            .consistent_read(true)
            .send()
            .await;
        read_item(read.map_err(aws("reading the open order"))?)
    }

    /// The token of an order, if its restaurant was asked and it is not closed.
    pub async fn token(
        &self,
        restaurant_id: &str,
        order_id: &str,
    ) -> Result<Option<String>, Failure> {
        #[derive(serde::Deserialize)]
        struct Open {
            task_token: Option<String>,
            expires_at: i64,
        }
        let row: Option<Open> = self.row(restaurant_id, order_id).await?;
        // Even where the time is over by this machine's clock, which may be wrong: Step Functions decides.
        Ok(row
            .filter(|row| row.expires_at > Timestamp::now().as_second())
            .and_then(|row| row.task_token))
    }
}

/// A row of the index; nothing where it is none of the workflow's.
fn waiting(row: HashMap<String, AttributeValue>) -> Option<Waiting> {
    let OpenOrder { message, .. } = serde_dynamo::from_item(row).ok()?;
    let respond_by = parse_time(&message.respond_by)?;
    Some(Waiting {
        message,
        respond_by,
    })
}
