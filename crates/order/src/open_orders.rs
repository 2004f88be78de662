//! The rows of the table of open orders, one for each order. Partition key is `restaurant_id`, sort key `order_id`.

use serde::{Deserialize, Serialize};

use crate::messages::RestaurantMessage;
use crate::status::Status;

/// The local indexes of the table. Each holds the rows that have its sort key, and no others.
pub mod indexes {
    /// Open orders, by `respond_by`.
    pub const OPEN: &str = "open";
    /// Closed orders, by `closed_at`.
    pub const CLOSED: &str = "closed";
}

/// How long a row is kept after an order's deadline or end, in seconds.
pub const KEPT: u64 = 60 * 60;

/// An order that waits for its restaurant. Holds the task token, so it cannot be printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenOrder {
    /// What the restaurant was sent.
    #[serde(flatten)]
    pub message: RestaurantMessage,
    /// From when on the row counts as absent (seconds since 1970): an hour after `respond_by`.
    pub expires_at: u64,
}

/// An order that has its final status: what is left of its row.
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
    /// From when on the row counts as absent (seconds since 1970): an hour after `closed_at`.
    pub expires_at: u64,
}
