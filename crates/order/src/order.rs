//! An order as it is placed and as it is stored.

#[cfg(feature = "schemas")]
use std::sync::LazyLock;
use std::time::SystemTime;

use iso_currency::Currency;
use serde::{Deserialize, Serialize};

use crate::decision::Decision;
use crate::messages::{Offer, OrderSummary};
use crate::status::Status;
#[cfg(feature = "schemas")]
use crate::text::unprintable_class;
use crate::validation::{InvalidOrder, is_order_id, validate};

/// The longest id of an order, a customer or a restaurant, in characters. The name of an execution may be as long.
pub const MAX_ID: usize = 80;
/// The most items of an order.
pub const MAX_ITEMS: usize = 100;
/// The longest name of an item, in characters (Unicode scalar values).
pub const MAX_NAME: usize = 200;
/// The longest note, in characters (Unicode scalar values).
pub const MAX_NOTE: usize = 500;
/// The largest quantity of an item.
pub const MAX_QUANTITY: u64 = 999;
/// The largest `unit_amount`. With the most items of the largest quantity, the total stays below 2^53.
pub const MAX_UNIT_AMOUNT: u64 = 10_000_000_000;

/// What names and notes may hold beside what may be printed: they may have several lines.
pub(crate) const LINES: [char; 3] = ['\t', '\n', '\r'];

/// The characters that text may hold, as a pattern of JSON Schema.
#[cfg(feature = "schemas")]
static TEXT: LazyLock<String> = LazyLock::new(|| format!("^[^{}]*$", unprintable_class(&LINES)));

/// The same for an id: one line, and no space at its ends.
#[cfg(feature = "schemas")]
static PRINTABLE_ID: LazyLock<String> =
    LazyLock::new(|| format!(r"^(?!\s)(?!.*\s$)[^{}]*$", unprintable_class(&[])));

/// Every code of ISO 4217, as JSON Schema.
#[cfg(feature = "schemas")]
pub(crate) fn currency_codes(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    use iso_currency::IntoEnumIterator;
    let codes: Vec<_> = Currency::iter().map(|currency| currency.code()).collect();
    schemars::json_schema!({ "type": "string", "enum": codes })
}

/// A valid order, as a customer places it. Amounts are integers in the currency's minor unit (ISO 4217).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Letters and digits of ASCII, `-` and `_`, so that it can also be the name of the execution.
    #[cfg_attr(feature = "schemas", schemars(regex(pattern = format!("^[A-Za-z0-9_-]{{1,{MAX_ID}}}$"))))]
    pub order_id: String,
    /// Who ordered.
    #[cfg_attr(feature = "schemas", schemars(length(min = 1, max = MAX_ID), regex(pattern = PRINTABLE_ID.as_str())))]
    pub customer_id: String,
    /// Who is asked to prepare it: letters and digits of ASCII, `_ . : / = + - @`, and spaces but at its ends, as in a tag of IAM.
    #[cfg_attr(feature = "schemas", schemars(regex(pattern = format!("^(?! )(?!.* $)[A-Za-z0-9 _.:/=+@-]{{1,{MAX_ID}}}$"))))]
    pub restaurant_id: String,
    /// ISO 4217 code, such as `EUR`.
    #[cfg_attr(feature = "schemas", schemars(schema_with = "currency_codes"))]
    pub currency: Currency,
    /// What is ordered.
    #[cfg_attr(feature = "schemas", schemars(length(min = 1, max = MAX_ITEMS)))]
    pub items: Vec<Item>,
    /// What the restaurant should know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schemas", schemars(length(max = MAX_NOTE), regex(pattern = TEXT.as_str())))]
    pub note: Option<String>,
}

/// One line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// What it is.
    #[cfg_attr(feature = "schemas", schemars(length(min = 1, max = MAX_NAME), regex(pattern = TEXT.as_str())))]
    pub name: String,
    /// How many.
    #[cfg_attr(feature = "schemas", schemars(range(min = 1, max = MAX_QUANTITY)))]
    pub quantity: u64,
    /// The price of one, in the currency's minor unit.
    #[cfg_attr(feature = "schemas", schemars(range(max = MAX_UNIT_AMOUNT)))]
    pub unit_amount: u64,
}

impl Order {
    /// Reads an order from JSON.
    ///
    /// Fails with every problem of the input at once, each with the path of its field.
    pub fn from_json(json: &str) -> Result<Self, InvalidOrder> {
        validate(json)
    }

    /// The `order_id` of an input, even of one that breaks other rules. None if the `order_id` breaks its own rule.
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

    /// The order as the table holds it after an execution has placed it.
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
            ready_at: None,
            expires_at: None,
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
    /// Why the order has this status, if more is known than the status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<String>,
    /// When the order is ready (RFC 3339, with any offset), if its restaurant said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_at: Option<String>,
    /// The time from which `DynamoDB` may delete the order (seconds since 1970), if orders are kept for a limited time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
}

/// How long the table keeps an order after its last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    days: u32,
}

impl Retention {
    /// This many days; 0 is for ever.
    #[must_use]
    pub const fn days(days: u32) -> Self {
        Self { days }
    }

    /// When an order that changes now expires (seconds since 1970). None if orders are kept for ever.
    #[must_use]
    pub fn expires_at(self, now: SystemTime) -> Option<u64> {
        const DAY: u64 = 24 * 60 * 60;
        let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
        (self.days > 0).then(|| now + u64::from(self.days) * DAY)
    }
}

impl From<StoredOrder> for Order {
    /// The order as its customer placed it.
    fn from(stored: StoredOrder) -> Self {
        Self {
            order_id: stored.order_id,
            customer_id: stored.customer_id,
            restaurant_id: stored.restaurant_id,
            currency: stored.currency,
            items: stored.items,
            note: stored.note,
        }
    }
}

impl StoredOrder {
    /// Its status, with the reason and the time of readiness that are stored with it.
    #[must_use]
    pub fn decision(&self) -> Decision {
        Decision {
            status: self.status,
            status_reason: self.status_reason.clone(),
            ready_at: self.ready_at.clone(),
        }
    }

    /// What every event says of the order, whatever its status.
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

    /// What its restaurant is offered.
    #[must_use]
    pub fn offer(&self) -> Offer {
        Offer {
            order_id: self.order_id.clone(),
            restaurant_id: self.restaurant_id.clone(),
            items: self.items.clone(),
            currency: self.currency,
            total_amount: self.total_amount,
            note: self.note.clone(),
        }
    }
}

/// An amount in the minor unit, in the form of its currency: `EUR 25.00`, `JPY 2500`.
#[must_use]
pub fn money(currency: Currency, amount: u64) -> String {
    let code = currency.code();
    match currency.exponent() {
        None | Some(0) => format!("{code} {amount}"),
        Some(digits) => {
            let unit = 10_u64.saturating_pow(digits.into());
            let (whole, part) = (amount / unit, amount % unit);
            format!("{code} {whole}.{part:0width$}", width = digits.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_order_expires_so_many_days_after_its_last_change() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
        assert_eq!(Retention::days(0).expires_at(now), None);
        assert_eq!(Retention::days(1).expires_at(now), Some(86_401));
        assert_eq!(Retention::days(30).expires_at(now), Some(2_592_001));
    }

    #[test]
    fn a_stored_order_is_again_the_order_that_was_placed() {
        let order = r#"{"order_id": "o", "customer_id": "c", "restaurant_id": "r", "currency": "EUR", "note": "n",
            "items": [{"name": "x", "quantity": 2, "unit_amount": 3}]}"#;
        let order = Order::from_json(order).expect("an order");
        let stored = order
            .clone()
            .placed("2026-01-31T12:00:00Z".into(), "arn".into());
        assert_eq!(stored.total_amount, 6);
        assert_eq!(Order::from(stored), order);
    }

    #[test]
    fn the_id_of_an_order_is_known_though_the_rest_is_wrong() {
        for (input, id) in [
            (r#"{"order_id": "ord-1001", "items": 3}"#, Some("ord-1001")),
            (r#"{"order_id": "ord 1001"}"#, None),
            (r#"{"order_id": 1001}"#, None),
            (r#"{"customer_id": "cust-42"}"#, None),
            ("no JSON", None),
        ] {
            assert_eq!(Order::id_of(input).as_deref(), id, "{input}");
        }
    }

    #[test]
    fn money_has_the_form_of_its_currency() {
        for (currency, amount, form) in [
            (Currency::EUR, 2_500, "EUR 25.00"),
            (Currency::EUR, 5, "EUR 0.05"),
            (Currency::EUR, 0, "EUR 0.00"),
            (Currency::JPY, 2_500, "JPY 2500"),
            (Currency::KWD, 12_345, "KWD 12.345"),
            (Currency::XAU, 7, "XAU 7"),
            (Currency::EUR, 999_000_000_000_000, "EUR 9990000000000.00"),
        ] {
            assert_eq!(money(currency, amount), form);
        }
    }
}
