//! The rules of an order: what is valid, which statuses it moves through, and what is told to whom.
//!
//! Nothing here knows AWS or does I/O.

mod messages;
mod order;
mod status;
mod validation;

pub use messages::{
    CustomerMessage, MAX_REASON, OrderEvent, OrderSummary, RestaurantAnswer, RestaurantMessage,
};
pub use order::{Item, Order, StoredOrder};
pub use status::Status;
pub use validation::{InvalidOrder, MAX_UNIT_AMOUNT, Problem};
