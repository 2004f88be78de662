//! An order as it is placed and as it is stored.

use iso_currency::Currency;
use serde::{Deserialize, Serialize};

use crate::messages::OrderSummary;
use crate::status::Status;
use crate::validation::{InvalidOrder, is_order_id, validate};

/// A valid order, as a customer places it. Amounts are integers in the currency's minor unit (ISO 4217).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// 1–80 of `A-Z a-z 0-9 - _`, so that it can also be the name of the execution.
    pub order_id: String,
    /// Who ordered, 1–80 characters.
    pub customer_id: String,
    /// Who is asked to prepare it, 1–80 characters.
    pub restaurant_id: String,
    /// ISO 4217 code, such as `EUR`.
    pub currency: Currency,
    /// 1–100 items.
    pub items: Vec<Item>,
    /// What the restaurant should know, up to 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// One line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// What it is, 1–200 characters.
    pub name: String,
    /// How many, 1–999.
    pub quantity: u64,
    /// The price of one, in the currency's minor unit, up to [`MAX_UNIT_AMOUNT`](crate::MAX_UNIT_AMOUNT).
    pub unit_amount: u64,
}

impl Order {
    /// Reads an order from JSON.
    ///
    /// Fails with every problem of the input at once, each with the path of its field.
    pub fn from_json(json: &str) -> Result<Self, InvalidOrder> {
        validate(json)
    }

    /// The `order_id` of an input that may break every other rule; none where it breaks its own.
    #[must_use]
    pub fn id_of(json: &str) -> Option<String> {
        #[derive(Deserialize)]
        struct Identified {
            order_id: String,
        }
        let Identified { order_id } = serde_json::from_str(json).ok()?;
        is_order_id(&order_id).then_some(order_id)
    }

    /// The price of all items, in the currency's minor unit. The limits of a valid order keep it below 2^53,
    /// the largest integer that JSONata and JavaScript readers hold exactly.
    #[must_use]
    pub fn total_amount(&self) -> u64 {
        self.items
            .iter()
            .map(|item| item.quantity.saturating_mul(item.unit_amount))
            .fold(0, u64::saturating_add)
    }

    /// The order as the table holds it once it is placed by an execution.
    #[must_use]
    pub fn placed(self, placed_at: String, execution_arn: String) -> StoredOrder {
        StoredOrder {
            total_amount: self.total_amount(),
            order_id: self.order_id,
            status: Status::Placed,
            customer_id: self.customer_id,
            restaurant_id: self.restaurant_id,
            items: self.items,
            currency: self.currency,
            note: self.note,
            updated_at: placed_at.clone(),
            placed_at,
            execution_arn,
            status_reason: None,
        }
    }
}

/// An order as the table holds it: one item, its attributes named as here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredOrder {
    /// The partition key.
    pub order_id: String,
    /// Where the order stands.
    pub status: Status,
    /// Who ordered.
    pub customer_id: String,
    /// Who is asked to prepare it.
    pub restaurant_id: String,
    /// What was ordered.
    pub items: Vec<Item>,
    /// ISO 4217 code.
    pub currency: Currency,
    /// The price of all items, in the currency's minor unit.
    pub total_amount: u64,
    /// What the restaurant should know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When the execution began (RFC 3339, UTC).
    pub placed_at: String,
    /// When the status last changed (RFC 3339, UTC).
    pub updated_at: String,
    /// The execution that placed the order and alone may change it.
    pub execution_arn: String,
    /// Why the order has this status, where there is more to say than its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<String>,
}

impl StoredOrder {
    /// What events say of the order whatever its status.
    #[must_use]
    pub fn summary(&self) -> OrderSummary {
        OrderSummary {
            order_id: self.order_id.clone(),
            customer_id: self.customer_id.clone(),
            restaurant_id: self.restaurant_id.clone(),
            currency: self.currency,
            total_amount: self.total_amount,
            placed_at: self.placed_at.clone(),
        }
    }
}
