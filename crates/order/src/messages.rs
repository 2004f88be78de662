//! What leaves the workflow: events for other services, the message to the restaurant, the message to the
//! customer.

use iso_currency::Currency;
use serde::{Deserialize, Serialize};

use crate::order::Item;
use crate::status::Status;

/// The `Source` of every event on the bus.
pub const EVENT_SOURCE: &str = "order-processing";

/// What every event says of an order. `save-order` returns it, and the workflow makes events and the customer's message of
/// it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct OrderSummary {
    /// The id that its caller gave the order.
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

/// The detail of an event on the bus; its detail type is `ORDER_` and the status. It may be delivered more than once: a consumer
/// knows a repeat by its `order_id` and `status`. Later versions may add fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schemas",
    derive(schemars::JsonSchema),
    schemars(extend("examples" = [{
        "order_id": "ord-1001", "status": "ACCEPTED", "customer_id": "cust-42", "restaurant_id": "rest-7",
        "currency": "EUR", "total_amount": 2500, "placed_at": "2026-11-23T18:30:00.000Z",
        "ready_at": "2026-11-23T19:40:00+01:00",
    }]))
)]
pub struct OrderEvent {
    /// What does not depend on the status.
    #[serde(flatten)]
    pub order: OrderSummary,
    /// The status that this event announces.
    pub status: Status,
    /// Why the order has this status, if more is known than the status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<String>,
    /// When an accepted order is ready (RFC 3339, with any offset), if its restaurant said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schemas", schemars(extend("format" = "date-time")))]
    pub ready_at: Option<String>,
}

/// What a restaurant is offered. `save-order` returns it, and the workflow makes the [`RestaurantMessage`] of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Offer {
    /// The id that its caller gave the order.
    pub order_id: String,
    /// Who is asked.
    pub restaurant_id: String,
    /// What was ordered.
    pub items: Vec<Item>,
    /// ISO 4217 code.
    pub currency: Currency,
    /// The price of all items, in the currency's minor unit.
    pub total_amount: u64,
    /// What the customer wants the restaurant to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What the restaurant receives. Later versions may add fields. Anybody with its `task_token` can answer for the restaurant.
// So the type has no `Debug`: no log can print it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schemas",
    derive(schemars::JsonSchema),
    schemars(extend("examples" = [{
        "order_id": "ord-1001", "restaurant_id": "rest-7",
        "items": [{ "name": "Margherita", "quantity": 2, "unit_amount": 1250 }],
        "currency": "EUR", "total_amount": 2500, "note": "No basil, please",
        "respond_by": "2026-11-23T18:40:00.000Z", "task_token": "AQCEAAAAKgAAAAMAAAAAAAAAAS",
    }]))
)]
pub struct RestaurantMessage {
    /// The id that its caller gave the order.
    pub order_id: String,
    /// Who is asked. Also a message attribute, by which subscriptions filter.
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

/// An answer to the restaurant's message: the order is accepted, rejected or cancelled. An answer with both
/// `isAccepted` and `isCancelled` is malformed, whatever their values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(
    feature = "schemas",
    derive(schemars::JsonSchema),
    schemars(
        extend("oneOf" = [{ "required": ["isAccepted"] }, { "required": ["isCancelled"] }]),
        extend("examples" = [
            { "isAccepted": true, "ready_at": "2026-11-23T19:40:00+01:00" },
            { "isAccepted": false, "reason": "Out of dough" },
            { "isCancelled": true, "reason": "Ordered twice" },
        ])
    )
)]
pub struct RestaurantAnswer {
    /// Whether the restaurant takes the order.
    #[serde(rename = "isAccepted", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schemas", schemars(extend("type" = "boolean")))]
    is_accepted: Option<bool>,
    /// The order is cancelled: `true`.
    #[serde(rename = "isCancelled", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schemas",
        schemars(extend("type" = "boolean", "const" = true))
    )]
    is_cancelled: Option<bool>,
    /// Why the order is rejected or cancelled, for the customer: one line. A longer one than the limit is cut. One that
    /// is not text is ignored, and so is the reason of an acceptance.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schemas", schemars(length(max = crate::MAX_REASON)))]
    reason: Option<String>,
    /// When an accepted order is ready (RFC 3339, with any offset): not in the past, and at most a day ahead. Any other
    /// is ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schemas", schemars(extend("format" = "date-time")))]
    ready_at: Option<String>,
}

impl RestaurantAnswer {
    const NOTHING: Self = Self {
        is_accepted: None,
        is_cancelled: None,
        reason: None,
        ready_at: None,
    };

    /// The restaurant takes the order, and may say when it is ready (RFC 3339).
    #[must_use]
    pub const fn accept(ready_at: Option<String>) -> Self {
        Self {
            is_accepted: Some(true),
            ready_at,
            ..Self::NOTHING
        }
    }

    /// The restaurant declines the order.
    #[must_use]
    pub const fn reject(reason: Option<String>) -> Self {
        Self {
            is_accepted: Some(false),
            reason,
            ..Self::NOTHING
        }
    }

    /// The order is cancelled for its customer.
    #[must_use]
    pub const fn cancel(reason: Option<String>) -> Self {
        Self {
            is_cancelled: Some(true),
            reason,
            ..Self::NOTHING
        }
    }
}

/// What the customer receives, for machines. Later versions may add fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schemas",
    derive(schemars::JsonSchema),
    schemars(extend("examples" = [{
        "order_id": "ord-1001", "customer_id": "cust-42", "restaurant_id": "rest-7", "status": "REJECTED",
        "message": "Order declined", "status_reason": "Out of dough",
    }]))
)]
pub struct CustomerMessage {
    /// The id that its caller gave the order.
    pub order_id: String,
    /// Who ordered. Also a message attribute, by which subscriptions filter.
    pub customer_id: String,
    /// Who was asked to prepare it.
    pub restaurant_id: String,
    /// How the order ended. Also a message attribute, by which subscriptions filter.
    pub status: Status,
    /// What the customer reads, such as `Order declined`.
    pub message: String,
    /// Why the order was declined or cancelled, if a reason was given. The reasons of failures are not for customers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<String>,
    /// When an accepted order is ready (RFC 3339, with any offset), if its restaurant said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schemas", schemars(extend("format" = "date-time")))]
    pub ready_at: Option<String>,
}

impl CustomerMessage {
    /// The same in plain words, for e-mail and SMS: one sentence, and the reason if there is one.
    #[must_use]
    pub fn sentence(&self) -> String {
        let ready = match &self.ready_at {
            Some(at) => format!(", ready at {}", for_people(at)),
            None => String::new(),
        };
        let sentence = format!("{}{ready}: {}.", self.message, self.order_id);
        match &self.status_reason {
            Some(reason) => format!("{sentence} Reason: {reason}"),
            None => sentence,
        }
    }
}

/// A time of RFC 3339 without its seconds, in the offset in which it was given: `2026-11-23 19:40 +02:00`.
fn for_people(at: &str) -> String {
    let (Some(date), Some(time), Some(rest)) = (at.get(..10), at.get(11..16), at.get(19..)) else {
        return at.into();
    };
    let offset = rest.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let offset = if offset.eq_ignore_ascii_case("Z") {
        "UTC"
    } else {
        offset
    };
    format!("{date} {time} {offset}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentence(status: Status, reason: Option<&str>, ready_at: Option<&str>) -> String {
        let message = CustomerMessage {
            order_id: "ord-1".into(),
            customer_id: "c".into(),
            restaurant_id: "r".into(),
            status,
            message: status.customer_message().unwrap_or_default().into(),
            status_reason: reason.map(Into::into),
            ready_at: ready_at.map(Into::into),
        };
        message.sentence()
    }

    #[test]
    fn the_sentence_says_why_an_order_was_cancelled() {
        let cancelled = sentence(Status::Cancelled, Some("You called us"), None);
        assert_eq!(cancelled, "Order cancelled: ord-1. Reason: You called us");
    }

    #[test]
    fn the_sentence_says_when_an_order_is_ready_with_the_offset_as_given() {
        for (given, said) in [
            ("2026-11-23T19:40:00Z", "2026-11-23 19:40 UTC"),
            ("2026-11-23t19:40:59.999z", "2026-11-23 19:40 UTC"),
            ("2026-11-23T19:40:00+02:00", "2026-11-23 19:40 +02:00"),
            (
                "2026-11-23T19:40:00.123456789-09:30",
                "2026-11-23 19:40 -09:30",
            ),
            ("soon", "soon"),
        ] {
            assert_eq!(
                sentence(Status::Accepted, None, Some(given)),
                format!("Order confirmed, ready at {said}: ord-1."),
                "{given}"
            );
        }
        let without = sentence(Status::Accepted, None, None);
        assert_eq!(without, "Order confirmed: ord-1.");
    }
}
