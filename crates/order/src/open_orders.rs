//! The rows of the table of open orders, one for each order. Partition key is `restaurant_id`, sort key `order_id`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::messages::RestaurantMessage;
use crate::status::Status;

/// The local secondary indexes of the table. An index holds only the rows that have its sort key.
pub mod indexes {
    /// Open orders, by `respond_by`.
    pub const OPEN: &str = "open";
    /// Closed orders, by `closed_at`.
    pub const CLOSED: &str = "closed";
}

/// How long a row is kept after an order's deadline or end, in seconds.
pub const KEPT: u64 = Duration::from_hours(1).as_secs();

/// An order that waits for its restaurant. It holds the task token, so it has no `Debug`: no log can print it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenOrder {
    /// What the restaurant was sent.
    #[serde(flatten)]
    pub message: RestaurantMessage,
    /// The time from which readers ignore the row (seconds since 1970): an hour after `respond_by`.
    pub expires_at: u64,
}

/// What is left of the row once the order has its final status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedOrder {
    /// Who was asked.
    pub restaurant_id: String,
    /// Which order.
    pub order_id: String,
    /// The final status.
    pub status: Status,
    /// When the final event was published (RFC 3339, UTC).
    pub closed_at: String,
    /// Why the order was rejected or cancelled, where somebody said it. A failure's reason may be long and name what is not the
    /// restaurant's: it stays in the table of orders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<String>,
    /// When an accepted order is ready (RFC 3339), where the restaurant said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_at: Option<String>,
    /// The time from which readers ignore the row (seconds since 1970): an hour after `closed_at`.
    pub expires_at: u64,
}
