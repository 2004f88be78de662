//! The table of open orders: which orders wait for their restaurant. Reading it hides nothing from other readers.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use order::{ClosedOrder, OpenOrder, RestaurantMessage, Status, indexes};
use serde_json::{Value, json};

use crate::aws::stack::Stack;
use crate::clock::now;
use crate::failure::{Failure, aws};
use crate::render::{clean, clock, left_until, money, parse_time};
use crate::table::{Last, Row};

/// How long to pause between two reads. Each costs half a read unit per 4 KB of waiting orders.
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
                left_until(self.respond_by, now()).as_secs().into(),
            );
        }
        json
    }

    /// The headings of a table of orders that wait.
    pub fn headings() -> Row<'static> {
        Row {
            cells: ["ORDER", "RESTAURANT", "TOTAL", "LEFT"]
                .map(String::from)
                .into(),
            last: Last::Whole("ITEMS".into()),
        }
    }

    /// The order as a row of a table.
    pub fn row(&self, now: Timestamp) -> Row<'_> {
        let message = &self.message;
        Row {
            cells: vec![
                message.order_id.clone(),
                clean(&message.restaurant_id),
                money(message.currency, message.total_amount),
                clock(left_until(self.respond_by, now)),
            ],
            last: Last::Items(&message.items),
        }
    }
}

/// The list of waiting orders, kept from one read to the next.
pub struct List {
    stack: Stack,
    whose: Whose,
    /// What waited at the last read: the restaurant of each order, by the order's id.
    known: HashMap<String, String>,
}

/// What changed since the last read.
pub struct Look {
    /// What waits now, the most urgent first.
    pub waiting: Vec<Waiting>,
    /// What no longer waits, with its outcome; none if only its deadline has passed.
    pub gone: Vec<(String, Option<Status>)>,
}

impl List {
    /// A list that was not read yet.
    pub fn new(stack: &Stack, whose: Whose) -> Self {
        Self {
            stack: stack.clone(),
            whose,
            known: HashMap::new(),
        }
    }

    /// Reads what waits now.
    pub async fn look(&mut self) -> Result<Look, Failure> {
        let mut waiting = self.stack.waiting(&self.whose).await?;
        let listed: HashSet<&str> = waiting
            .iter()
            .map(|order| order.message.order_id.as_str())
            .collect();
        let missing: Vec<(String, String)> = self
            .known
            .iter()
            .filter(|(order_id, _)| !listed.contains(order_id.as_str()))
            .map(|(order_id, restaurant_id)| (order_id.clone(), restaurant_id.clone()))
            .collect();
        // The list is eventually consistent: only the row itself tells whether an order still waits.
        let missing: Vec<(String, Option<Item>)> = stream::iter(missing)
            .map(async |(order_id, restaurant_id): (String, String)| {
                let row = self.stack.row(&restaurant_id, &order_id).await?;
                Ok::<_, Failure>((order_id, row))
            })
            .buffer_unordered(READS)
            .try_collect()
            .await?;
        let mut gone = Vec::new();
        for (order_id, row) in missing {
            let row = row.unwrap_or_default();
            let closed: Option<ClosedOrder> = serde_dynamo::from_item(row.clone()).ok();
            match still_waits(row) {
                Some(order) if order.respond_by > now() => waiting.push(order),
                _ => gone.push((order_id, closed.map(|closed| closed.status))),
            }
        }
        waiting.sort_by_cached_key(|order| (order.respond_by, order.message.order_id.clone()));
        let known = waiting.iter().map(|Waiting { message, .. }| {
            (message.order_id.clone(), message.restaurant_id.clone())
        });
        self.known = known.collect();
        Ok(Look { waiting, gone })
    }
}

/// A row as DynamoDB gives it.
type Item = HashMap<String, AttributeValue>;

/// What the row of an order says of it. Holds the token, so it has no `Debug`.
pub enum Found {
    /// The restaurant was asked, and may answer with this token.
    Open(String),
    /// The order has its outcome.
    Closed(ClosedOrder),
}

impl Stack {
    /// What waits now.
    ///
    /// DynamoDB deletes a row some time after it expired. So this leaves out the rows whose deadline has passed, which is an
    /// hour before they expire.
    async fn waiting(&self, whose: &Whose) -> Result<Vec<Waiting>, Failure> {
        // `respond_by` has the same form: compared as text, earlier times come first.
        let now = now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
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
        Ok(rows?.into_iter().filter_map(still_waits).collect())
    }

    /// The row of an order as it is now, if there is one.
    async fn row(&self, restaurant_id: &str, order_id: &str) -> Result<Option<Item>, Failure> {
        let read = self
            .dynamodb
            .get_item()
            .table_name(&self.open_orders)
            .key("restaurant_id", AttributeValue::S(restaurant_id.into()))
            .key("order_id", AttributeValue::S(order_id.into()))
            .consistent_read(true)
            .send()
            .await;
        Ok(read.map_err(aws("reading the open order"))?.item)
    }

    /// What the row of an order says now. None if there is no row, or an expired one.
    pub async fn found(
        &self,
        restaurant_id: &str,
        order_id: &str,
    ) -> Result<Option<Found>, Failure> {
        #[derive(serde::Deserialize)]
        struct Open {
            task_token: String,
            expires_at: u64,
        }
        let Some(row) = self.row(restaurant_id, order_id).await? else {
            return Ok(None);
        };
        let now = u64::try_from(now().as_second()).unwrap_or_default();
        if let Ok(closed) = serde_dynamo::from_item::<_, ClosedOrder>(row.clone()) {
            return Ok((closed.expires_at > now).then_some(Found::Closed(closed)));
        }
        // Also if the deadline has passed by this machine's clock, which may be wrong: Step Functions decides.
        let open = serde_dynamo::from_item::<_, Open>(row).ok();
        Ok(open
            .filter(|open| open.expires_at > now)
            .map(|open| Found::Open(open.task_token)))
    }
}

/// The order of an open row; none if the row is closed, or not one of the workflow's.
fn still_waits(row: Item) -> Option<Waiting> {
    let OpenOrder { message, .. } = serde_dynamo::from_item(row).ok()?;
    let respond_by = parse_time(&message.respond_by)?;
    Some(Waiting {
        message,
        respond_by,
    })
}
