//! What the pages show. As JSON, an address gives the same: one type for both, so that neither says what the other does not.

use iso_currency::Currency;
use links::Claim;
use order::{Item, Status, StoredOrder};
use serde::Serialize;

use crate::marks::{Mark, Marks};
use crate::orders::{Answer, Closed, Lists, PAGE, Waiting, rfc_3339, seconds};

/// An order that waits for its restaurant.
#[derive(Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct OpenOrder {
    /// Which order.
    pub(crate) order_id: String,
    /// What was ordered.
    pub(crate) items: Vec<Item>,
    /// ISO 4217 code.
    #[cfg_attr(feature = "schemas", schemars(with = "String"))]
    pub(crate) currency: Currency,
    /// The price of all items, in the currency's minor unit.
    pub(crate) total_amount: u64,
    /// What the customer wants the restaurant to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
    /// Until when an answer counts (RFC 3339, UTC).
    pub(crate) respond_by: String,
    /// Whether an answer was given here, and is being recorded.
    pub(crate) being_recorded: bool,
    #[serde(skip)]
    pub(crate) mark: Option<Mark>,
}

/// An order that has ended.
#[derive(Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct ClosedOrder {
    /// Which order.
    pub(crate) order_id: String,
    /// How it ended.
    pub(crate) status: Status,
    /// When (RFC 3339, UTC).
    pub(crate) closed_at: String,
    /// When an accepted order is ready (RFC 3339), where the restaurant said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ready_at: Option<String>,
    #[serde(skip)]
    pub(crate) mark: Option<Mark>,
}

/// The orders of a restaurant.
#[derive(Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct RestaurantView {
    /// Whose orders.
    pub(crate) restaurant_id: String,
    /// Those that wait, the most urgent first, up to 100.
    pub(crate) open: Vec<OpenOrder>,
    /// Whether more wait.
    pub(crate) more: bool,
    /// Where more wait: the address that gives the next of them, on the same host. It holds the link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
    /// The address of the most urgent orders, where these are not.
    #[serde(skip)]
    pub(crate) first: Option<String>,
    /// Those that ended in the last hour, the latest first, up to 100.
    pub(crate) closed: Vec<ClosedOrder>,
    /// What was answered here and is in neither list: its deadline is over, and how it ended is not recorded yet.
    #[serde(skip)]
    pub(crate) unrecorded: Vec<Mark>,
    /// When the link ends.
    #[serde(skip)]
    pub(crate) link_ends: u64,
}

/// One order, for its restaurant or its customer.
#[derive(Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct OrderView {
    /// Which order.
    pub(crate) order_id: String,
    /// Where it stands.
    pub(crate) status: Status,
    /// What was ordered.
    pub(crate) items: Vec<Item>,
    /// ISO 4217 code.
    #[cfg_attr(feature = "schemas", schemars(with = "String"))]
    pub(crate) currency: Currency,
    /// The price of all items, in the currency's minor unit.
    pub(crate) total_amount: u64,
    /// What the customer wants the restaurant to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
    /// When it was placed (RFC 3339, UTC).
    pub(crate) placed_at: String,
    /// When its status last changed (RFC 3339, UTC).
    pub(crate) updated_at: String,
    /// Until when an answer counts (RFC 3339, UTC), for the restaurant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) respond_by: Option<String>,
    /// When an accepted order is ready (RFC 3339), where the restaurant said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ready_at: Option<String>,
    /// Why it has this status, where somebody said it. A customer is not told of technical problems.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status_reason: Option<String>,
    /// Whether it can be answered, or cancelled, here and now.
    pub(crate) can_answer: bool,
    /// Whether an answer was given here, and is being recorded.
    pub(crate) being_recorded: bool,
    #[serde(skip)]
    pub(crate) mark: Option<Mark>,
}

/// What a page shows. As JSON: the same.
#[derive(Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(tag = "page", rename_all = "snake_case")]
pub enum View {
    /// A restaurant's orders.
    Restaurant(RestaurantView),
    /// One order, for its restaurant.
    Order(OrderView),
    /// One order, for its customer.
    Customer(OrderView),
    /// The order is not stored yet.
    NotYet,
    /// The order was never stored, or is deleted.
    Unknown,
}

impl View {
    /// `first` and `next` are the addresses of the list's other pages.
    pub(crate) fn restaurant(
        claim: &Claim,
        lists: Lists,
        marks: &Marks,
        (first, next): (Option<String>, Option<String>),
        now: u64,
    ) -> Self {
        let open = |order: Waiting| {
            let deadline = seconds(&order.respond_by)?;
            let mark = marks.of_offer(&order.order_id, deadline).cloned();
            (deadline > now).then_some(OpenOrder {
                order_id: order.order_id,
                items: order.items,
                currency: order.currency,
                total_amount: order.total_amount,
                note: order.note,
                respond_by: order.respond_by,
                being_recorded: mark.is_some(),
                mark,
            })
        };
        let closed = |order: Closed| ClosedOrder {
            mark: marks.of(&order.order_id).cloned(),
            order_id: order.order_id,
            status: order.status,
            closed_at: order.closed_at,
            ready_at: order.ready_at,
        };
        let open: Vec<_> = lists.open.into_iter().filter_map(open).collect();
        let closed: Vec<_> = lists.closed.into_iter().map(closed).collect();
        // Where the list of the last hour is cut off, it does not tell what is not recorded.
        let listed = |id: &String| {
            closed.len() >= PAGE.into()
                || open.iter().any(|order| order.order_id == *id)
                || closed.iter().any(|order| order.order_id == *id)
        };
        let unrecorded = marks
            .iter()
            .filter(|mark| mark.may_be_unrecorded(now) && !listed(&mark.order_id));
        Self::Restaurant(RestaurantView {
            restaurant_id: claim.id.clone(),
            unrecorded: unrecorded.cloned().collect(),
            open,
            more: next.is_some(),
            next,
            first,
            closed,
            link_ends: claim.expires,
        })
    }

    pub(crate) fn order(order: StoredOrder, deadline: u64, marks: &Marks, now: u64) -> Self {
        Self::Order(OrderView::new(order, deadline, marks, now))
    }

    pub(crate) fn customer(order: StoredOrder, marks: &Marks) -> Self {
        let status_reason = order.decision().reason_for_customer().map(Into::into);
        // The deadline is the restaurant's: the customer is not shown it.
        Self::Customer(OrderView {
            respond_by: None,
            status_reason,
            ..OrderView::new(order, u64::MAX, marks, 0)
        })
    }
}

impl OrderView {
    fn new(order: StoredOrder, deadline: u64, marks: &Marks, now: u64) -> Self {
        let mark = marks.of(&order.order_id).cloned();
        let waits = order.status == Status::Placed;
        Self {
            order_id: order.order_id,
            status: order.status,
            items: order.items,
            currency: order.currency,
            total_amount: order.total_amount,
            note: order.note,
            placed_at: order.placed_at,
            updated_at: order.updated_at,
            respond_by: Some(rfc_3339(deadline)),
            ready_at: order.ready_at,
            status_reason: order.status_reason,
            can_answer: waits && mark.is_none() && now < deadline,
            being_recorded: waits && mark.is_some(),
            mark,
        }
    }
}

/// What is asked before an answer is given.
pub struct Confirmation {
    pub order_id: String,
    pub question: String,
    /// What somebody wrote, after it.
    pub text: Option<String>,
    pub fields: Vec<(&'static str, String)>,
    pub button: &'static str,
}

impl Confirmation {
    pub fn of(claim: &Claim, answer: &Answer, now: u64) -> Self {
        let order_id = claim.id.clone();
        let (question, text, button, fields) = match answer {
            Answer::Accept { ready_at } => {
                let minutes = seconds(ready_at).unwrap_or(now).saturating_sub(now) / 60;
                (
                    format!("Accept this order, ready in {minutes} minutes?"),
                    None,
                    "Accept",
                    vec![("do", "accept".into()), ("minutes", minutes.to_string())],
                )
            }
            Answer::Decline { reason } => (
                "Decline this order? Reason:".into(),
                Some(reason.clone()),
                "Decline",
                vec![("do", "decline".into()), ("reason", reason.clone())],
            ),
            Answer::Problem { cause } => (
                "Report a problem with this order?".into(),
                Some(cause.clone()),
                "Report it",
                vec![("do", "problem".into()), ("reason", cause.clone())],
            ),
            Answer::Cancel { reason } => (
                "Cancel your order?".into(),
                None,
                "Cancel the order",
                std::iter::once(("do", "cancel".to_owned()))
                    .chain(reason.iter().map(|reason| ("reason", reason.clone())))
                    .collect(),
            ),
        };
        Self {
            order_id,
            question,
            text,
            fields,
            button,
        }
    }
}
