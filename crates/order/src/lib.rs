//! The rules of an order: what is valid, which statuses it moves through, and what is told to whom.
//!
//! Nothing here knows AWS or does I/O.

mod decision;
mod messages;
mod open_orders;
mod order;
mod status;
mod text;
mod validation;

pub use decision::{Decision, Failure, MALFORMED_ANSWER, MAX_REASON, milliseconds_between};
pub use messages::{
    CustomerMessage, EVENT_SOURCE, Offer, OrderEvent, OrderSummary, RestaurantAnswer,
    RestaurantMessage,
};
pub use open_orders::{ClosedOrder, KEPT, OpenOrder, indexes};
pub use order::{
    Item, MAX_ID, MAX_ITEMS, MAX_NAME, MAX_NOTE, MAX_QUANTITY, MAX_UNIT_AMOUNT, Order, Retention,
    StoredOrder, money,
};
pub use status::Status;
pub use text::{escaped, escaped_json, is_printable};
pub use validation::{InvalidOrder, Problem, is_order_id, is_restaurant_id};
