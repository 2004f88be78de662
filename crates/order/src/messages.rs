//! What leaves the workflow: events for other services, the message to the restaurant, the message to the
//! customer.

use iso_currency::Currency;
use serde::{Deserialize, Serialize};

use crate::order::Item;
use crate::status::Status;

/// What every event says of an order. `save-order` returns it, the workflow keeps it for its events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct OrderSummary {
    /// Which order.
    pub order_id: String,
    /// Who ordered.
    pub customer_id: String,
    /// Who is asked to prepare it.
    pub restaurant_id: String,
    /// ISO 4217 code.
    #[cfg_attr(
        feature = "schemas",
        schemars(schema_with = "crate::order::currency_codes")
    )]
    pub currency: Currency,
    /// The price of all items, in the currency's minor unit.
    pub total_amount: u64,
    /// When the execution began (RFC 3339, UTC).
    #[cfg_attr(feature = "schemas", schemars(extend("format" = "date-time")))]
    pub placed_at: String,
}

/// The detail of an event on the bus; its `DetailType` is [`Status::event`]. Delivered at least once:
/// `order_id` and `status` together are the key to drop repeats by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct OrderEvent {
    /// What does not depend on the status.
    #[serde(flatten)]
    pub order: OrderSummary,
    /// The status that this event announces.
    pub status: Status,
    /// Why the order has this status, where there is more to say than its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<String>,
}

/// What the restaurant receives. Whoever holds `task_token` can answer for the restaurant, so this type
/// cannot be printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schemas",
    derive(schemars::JsonSchema),
    schemars(deny_unknown_fields)
)]
pub struct RestaurantMessage {
    /// Which order.
    pub order_id: String,
    /// Who is asked; also a message attribute, to filter by.
    pub restaurant_id: String,
    /// What was ordered.
    pub items: Vec<Item>,
    /// ISO 4217 code.
    #[cfg_attr(
        feature = "schemas",
        schemars(schema_with = "crate::order::currency_codes")
    )]
    pub currency: Currency,
    /// The price of all items, in the currency's minor unit.
    pub total_amount: u64,
    /// What the customer wants the restaurant to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Until when an answer counts (RFC 3339, UTC).
    #[cfg_attr(feature = "schemas", schemars(extend("format" = "date-time")))]
    pub respond_by: String,
    /// The credential that an answer must carry.
    pub task_token: String,
}

/// The answer of a restaurant that can process an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct RestaurantAnswer {
    /// Whether the restaurant takes the order.
    #[serde(rename = "isAccepted")]
    pub is_accepted: bool,
    /// Why the restaurant declines the order, for the customer: one line, up to 500 characters. What is longer is
    /// cut, what is no text is ignored, and so is the reason of an acceptance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schemas", schemars(length(max = crate::MAX_REASON)))]
    pub reason: Option<String>,
}

/// What the customer receives, for machines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CustomerMessage {
    /// Which order.
    pub order_id: String,
    /// Who ordered; also a message attribute, to filter by.
    pub customer_id: String,
    /// Who was asked to prepare it.
    pub restaurant_id: String,
    /// How the order ended; also a message attribute, to filter by.
    pub status: Status,
    /// [`Status::customer_message`].
    pub message: String,
    /// Why the restaurant declined the order, where it gave a reason. Failures have reasons too, which are not for
    /// customers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<String>,
}

impl CustomerMessage {
    /// The same in plain words, for e-mail and SMS: one sentence, and the restaurant's reason where it gave one.
    #[must_use]
    pub fn sentence(&self) -> String {
        let sentence = format!("{}: {}.", self.message, self.order_id);
        match &self.status_reason {
            Some(reason) => format!("{sentence} Reason: {reason}"),
            None => sentence,
        }
    }
}
