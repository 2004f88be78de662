//! What the pages say, as HTML and as JSON.
//!
//! The server writes times relative to its clock (3 minutes ago). The script turns them into local times (19:12).

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use iso_currency::Currency;
use links::Claim;
use maud::{DOCTYPE, Markup, html};
use order::{Item, MAX_REASON, Status, StoredOrder, money};
use serde::Serialize;
use serde_json::json;

use crate::http::{Request, Response};
use crate::marks::{Choice, Mark, Marks};
use crate::orders::{Answer, Closed, Lists, PAGE, Waiting, rfc_3339, seconds};

/// How often the script looks while an order waits, and otherwise, in milliseconds. It does not look where nothing can change:
/// there, a page says nothing of it.
const SOON: u32 = 3_000;
const LATER: u32 = 10_000;

/// What a restaurant can choose from, in minutes.
const MINUTES: [u32; 6] = [10, 15, 20, 30, 45, 60];
/// What a restaurant can choose from to say why it declines.
const REASONS: [&str; 4] = [
    "Too busy now",
    "Something is sold out",
    "We are closing",
    "We do not deliver there",
];

/// How long before its end a link says prominently that it ends, in seconds.
const ENDS_SOON: u64 = 30 * 60;
/// A note of more lines or characters may be higher than its box (`page.css`), and is scrolled.
const SHORT_NOTE: (usize, usize) = (6, 120);

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The stylesheet, for the query of its address.
pub fn style(query: &str) -> Response {
    versioned(query, "text/css; charset=utf-8", STYLE)
}

/// The script, for the query of its address.
pub fn script(query: &str) -> Response {
    versioned(query, "text/javascript; charset=utf-8", SCRIPT)
}

/// What a browser may keep, if its address has the version.
fn versioned(query: &str, content_type: &str, body: &str) -> Response {
    let response = Response::new(200, content_type, body.into());
    if query.strip_prefix("v=") == Some(version()) {
        response.with("cache-control", "max-age=31536000, immutable")
    } else {
        response
    }
}

/// Of stylesheet and script. It is in their addresses: a page that has been open since before a deployment sees by it that
/// it is out of date.
pub fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let mut hasher = DefaultHasher::new();
        (STYLE, SCRIPT).hash(&mut hasher);
        format!("{:08x}", hasher.finish() >> 32)
    });
    &VERSION
}

/// Why there is nothing to show, or nothing was done.
#[derive(Clone, Copy, Debug)]
pub enum Notice {
    NoSuchPage,
    NoSuchMethod,
    Refused,
    FromElsewhere,
    Unavailable,
    NotSent,
    PerhapsSent,
    Unreadable,
    NotOpen,
    TooLate,
    TooLong,
    NoMinutes,
    NoReason,
}

impl Notice {
    /// Its status, what it says, and what then.
    const fn said(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::NoSuchPage => (
                404,
                "There is no such page.",
                "Open the link that you were given.",
            ),
            Self::NoSuchMethod => (
                405,
                "This address cannot do that.",
                "It answers GET and POST.",
            ),
            // One text for all: whoever holds no valid link learns nothing from it.
            Self::Refused => (
                403,
                "This link does not work.",
                "It may be cut off, its time may be over, or it was taken back. Ask for a new one.",
            ),
            Self::FromElsewhere => (
                403,
                "Nothing was sent.",
                "The form was sent from another site. Open the link that you were given.",
            ),
            Self::Unavailable => (
                503,
                "The orders cannot be read at the moment.",
                "This page tries again by itself, or look again.",
            ),
            Self::NotSent => (
                503,
                "Nothing was sent.",
                "The orders cannot be reached at the moment. Try again.",
            ),
            Self::PerhapsSent => (
                503,
                "It is not known whether your answer arrived.",
                "Look at the order before you answer again.",
            ),
            Self::Unreadable => (400, "Nothing was sent.", "The form could not be read."),
            Self::NotOpen => (
                409,
                "Nothing was sent.",
                "This order cannot be answered at the moment. Look again.",
            ),
            Self::TooLate => (409, "Nothing was sent.", "The time of this order is over."),
            Self::TooLong => (
                422,
                "Nothing was sent.",
                "A text may have 500 characters at most.",
            ),
            Self::NoMinutes => (
                422,
                "Nothing was sent.",
                "Choose in how many minutes the order is ready.",
            ),
            Self::NoReason => (422, "Nothing was sent.", "Say why."),
        }
    }
}

/// Answers with a notice. It says the same to everybody: nothing of the request is in it.
pub fn notice(request: &Request, notice: Notice) -> Response {
    let (status, said, then) = notice.said();
    let response = if request.wants_json() {
        Response::json(status, &json!({ "error": format!("{said} {then}") }))
    } else {
        let main = html! {
            // Only what AWS could not do may work by itself later.
            main class="notice" data-poll=[(status == 503).then_some(LATER)] {
                h1 { (said) }
                p id="then" { (then) }
                p id="again" { a href="" { "Look again" } }
            }
        };
        Response::html(status, document("Orders", &main, None).into_string())
    };
    if status == 503 {
        response.with("retry-after", "5")
    } else {
        response
    }
}

/// An order that waits for its restaurant.
#[derive(Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct OpenOrder {
    /// Which order.
    order_id: String,
    /// What was ordered.
    items: Vec<Item>,
    /// ISO 4217 code.
    #[cfg_attr(feature = "schemas", schemars(with = "String"))]
    currency: Currency,
    /// The price of all items, in the currency's minor unit.
    total_amount: u64,
    /// What the customer wants the restaurant to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    /// Until when an answer counts (RFC 3339, UTC).
    respond_by: String,
    /// Whether an answer was given here, and is being recorded.
    being_recorded: bool,
    #[serde(skip)]
    mark: Option<Mark>,
}

/// An order that has ended.
#[derive(Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct ClosedOrder {
    /// Which order.
    order_id: String,
    /// How it ended.
    status: Status,
    /// When (RFC 3339, UTC).
    closed_at: String,
    /// When an accepted order is ready (RFC 3339), where the restaurant said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    ready_at: Option<String>,
    #[serde(skip)]
    mark: Option<Mark>,
}

/// The orders of a restaurant.
#[derive(Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct RestaurantView {
    /// Whose orders.
    restaurant_id: String,
    /// Those that wait, the most urgent first, up to 100.
    open: Vec<OpenOrder>,
    /// Whether more wait.
    more: bool,
    /// Where more wait: the address that gives the next of them, on the same host. It holds the link.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// The address of the most urgent orders, where these are not.
    #[serde(skip)]
    first: Option<String>,
    /// Those that ended in the last hour, the latest first, up to 100.
    closed: Vec<ClosedOrder>,
    /// What was answered here and is in neither list: its deadline is over, and how it ended is not recorded yet.
    #[serde(skip)]
    unrecorded: Vec<Mark>,
    /// When the link ends.
    #[serde(skip)]
    link_ends: u64,
}

/// One order, for its restaurant or its customer.
#[derive(Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct OrderView {
    /// Which order.
    order_id: String,
    /// Where it stands.
    status: Status,
    /// What was ordered.
    items: Vec<Item>,
    /// ISO 4217 code.
    #[cfg_attr(feature = "schemas", schemars(with = "String"))]
    currency: Currency,
    /// The price of all items, in the currency's minor unit.
    total_amount: u64,
    /// What the customer wants the restaurant to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    /// When it was placed (RFC 3339, UTC).
    placed_at: String,
    /// When its status last changed (RFC 3339, UTC).
    updated_at: String,
    /// Until when an answer counts (RFC 3339, UTC), for the restaurant.
    #[serde(skip_serializing_if = "Option::is_none")]
    respond_by: Option<String>,
    /// When an accepted order is ready (RFC 3339), where the restaurant said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    ready_at: Option<String>,
    /// Why it has this status, where somebody said it. A customer is not told of technical problems.
    #[serde(skip_serializing_if = "Option::is_none")]
    status_reason: Option<String>,
    /// Whether it can be answered, or cancelled, here and now.
    can_answer: bool,
    /// Whether an answer was given here, and is being recorded.
    being_recorded: bool,
    #[serde(skip)]
    mark: Option<Mark>,
}

/// An answer before it is given.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub struct Confirmation {
    order_id: String,
    #[serde(skip)]
    question: String,
    /// What somebody wrote, after it.
    #[serde(skip)]
    text: Option<String>,
    #[serde(skip)]
    fields: Vec<(&'static str, String)>,
    #[serde(skip)]
    button: &'static str,
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
    #[serde(skip)]
    /// A question before an answer is given. As JSON there is none.
    Confirm(Confirmation),
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
        let mark = marks.of(&order.order_id).cloned();
        let waits = order.status == Status::Placed;
        Self::Order(OrderView {
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
        })
    }

    pub(crate) fn customer(order: StoredOrder, marks: &Marks) -> Self {
        let reason = order.decision().reason_for_customer().map(Into::into);
        // The deadline is the restaurant's: the customer is not shown it.
        match Self::order(order, u64::MAX, marks, 0) {
            Self::Order(view) => Self::Customer(OrderView {
                respond_by: None,
                status_reason: reason,
                ..view
            }),
            other => other,
        }
    }

    /// What is asked before an answer is given.
    pub(crate) fn confirm(claim: &Claim, answer: &Answer, now: u64) -> Self {
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
        Self::Confirm(Confirmation {
            order_id,
            question,
            text,
            fields,
            button,
        })
    }
}

/// A page.
pub struct Page {
    title: String,
    /// What it shows, but for the server's time.
    pub main: String,
}

/// The page of a view.
pub fn page(view: &View, now: u64) -> Page {
    let (title, main) = match view {
        View::Restaurant(view) => {
            let waiting = view
                .open
                .iter()
                .filter(|order| !order.being_recorded)
                .count();
            let title = format!("({waiting}) {}", view.restaurant_id);
            (title, restaurant(view, now))
        }
        View::Order(view) => (view.order_id.clone(), order(view, now)),
        View::Customer(view) => (view.order_id.clone(), customer(view, now)),
        View::NotYet => ("Orders".into(), not_yet()),
        View::Unknown => ("Orders".into(), unknown()),
        View::Confirm(confirmation) => (confirmation.order_id.clone(), confirm(confirmation)),
    };
    Page {
        title,
        main: main.into_string(),
    }
}

impl Page {
    /// The whole document, at a time.
    pub fn whole(self, now: u64) -> String {
        let main = maud::PreEscaped(self.main);
        document(&self.title, &main, Some(now)).into_string()
    }
}

fn document(title: &str, main: &Markup, now: Option<u64>) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                link rel="stylesheet" href=(format!("/page.css?v={}", version()));
                script src=(format!("/page.js?v={}", version())) defer {}
            }
            body data-now=[now] {
                (main)
                @if let Some(now) = now {
                    footer {
                        p {
                            "As it was " time datetime=(rfc_3339(now)) data-clock { "at " (&rfc_3339(now)[11..19]) " UTC" } ". "
                            a href="" { "Look again" }
                        }
                    }
                }
            }
        }
    }
}

fn restaurant(view: &RestaurantView, now: u64) -> Markup {
    let waiting = view.open.iter().any(|order| !order.being_recorded);
    let none = view.open.is_empty() && view.unrecorded.is_empty();
    let ends_soon = view.link_ends < now + ENDS_SOON;
    let ends = html! { "This link ends " (when(&rfc_3339(view.link_ends), now)) "." };
    html! {
        main data-poll=(if none { LATER } else { SOON }) data-alert[waiting] {
            h1 id="whose" { bdi { (view.restaurant_id) } }
            @if ends_soon { p.said id="ends" role="status" { (ends) " Ask for a new one." } }
            p id="none" role="status" {
                @match (view.open.len(), view.first.is_some()) {
                    (0, false) => "No order waits.",
                    (0, true) => "No later order waits.",
                    (1, _) => "1 order waits.",
                    (n, _) => { (n) " orders wait." }
                }
                @if view.more { " More wait: see “Later orders” below." }
            }
            @if let Some(first) = &view.first { p id="first" { a href=(first) { "The most urgent orders" } } }
            section id="open" data-list aria-label="Orders that wait" {
                @for order in &view.open {
                    article id=(format!("o-{}", order.order_id)) {
                        (left(&order.respond_by, now))
                        h2 { (order.order_id) }
                        (content(&order.items, order.note.as_deref(), order.currency, order.total_amount))
                        @match &order.mark {
                            Some(mark) => (recording(mark)),
                            None => (answers(Some(&order.order_id))),
                        }
                    }
                }
                @for mark in &view.unrecorded {
                    article id=(format!("o-{}", mark.order_id)) { h2 { (mark.order_id) } (recording(mark)) }
                }
            }
            @if let Some(next) = &view.next { p id="next" { a href=(next) { "Later orders" } } }
            (reasons())
            section id="closed" {
                @if !view.closed.is_empty() {
                    h2 { "The last hour" }
                    @if view.closed.len() >= PAGE.into() { p { "Only the latest " (PAGE) " are listed." } }
                    ul {
                        @for order in &view.closed {
                            li {
                                b { (order.order_id) } " "
                                (outcome(order.status, order.mark.as_ref(), &order.closed_at, order.ready_at.as_deref(), now))
                            }
                        }
                    }
                }
            }
            @if !ends_soon { p id="ends" { (ends) } }
        }
    }
}

fn order(view: &OrderView, now: u64) -> Markup {
    let deadline = view.respond_by.as_deref().unwrap_or_default();
    html! {
        main data-poll=[poll(view)] {
            h1 id="what" { "Order " (view.order_id) }
            article id="card" {
                @if view.can_answer { (left(deadline, now)) }
                (content(&view.items, view.note.as_deref(), view.currency, view.total_amount))
                @if view.can_answer {
                    (reasons())
                    (answers(None))
                } @else if let (Status::Placed, Some(mark)) = (view.status, &view.mark) {
                    (recording(mark))
                } @else if view.status == Status::Placed {
                    p.said { "The time to answer is over. What became of the order shows here in a moment." }
                } @else {
                    (ended(view, now))
                }
            }
        }
    }
}

fn customer(view: &OrderView, now: u64) -> Markup {
    html! {
        main data-poll=[poll(view)] {
            h1 id="what" { "Your order " (view.order_id) }
            article id="card" {
                @match (view.status, &view.mark) {
                    (Status::Placed, None) => { p.said {
                        "Placed " (when(&view.placed_at, now)) ". The restaurant has not answered yet."
                    } }
                    (Status::Placed, Some(mark)) => (recording(mark)),
                    (status, mark) => {
                        @if mark.is_some() && status != Status::Cancelled { p.said { "It could not be cancelled any more." } }
                        (ended(view, now))
                    }
                }
                (content(&view.items, view.note.as_deref(), view.currency, view.total_amount))
                @if view.can_answer {
                    details {
                        summary { "Cancel the order" }
                        form method="post" {
                            label { "Why, if you like to say it" input name="reason" maxlength=(MAX_REASON); }
                            button name="do" value="cancel" { "Cancel …" }
                        }
                    }
                }
            }
        }
    }
}

fn not_yet() -> Markup {
    html! {
        main data-poll=(SOON) {
            h1 id="what" { "One moment" }
            p id="then" { "The order is on its way here. This page looks again by itself." }
            p id="again" { a href="" { "Look again" } }
        }
    }
}

fn unknown() -> Markup {
    html! {
        main {
            h1 id="what" { "There is no such order" }
            p id="then" { "It was not placed, or it was refused. If it was placed just now, look again." }
            p id="again" { a href="" { "Look again" } }
        }
    }
}

fn confirm(asked: &Confirmation) -> Markup {
    html! {
        // `data-hold`: the script replaces nothing until the question is answered.
        main data-poll=(LATER) data-hold {
            h1 id="what" { "Order " (asked.order_id) }
            article id="card" {
                p.said { (asked.question) @if let Some(text) = &asked.text { " " bdi { (text) } } }
                form method="post" {
                    @for (name, value) in &asked.fields {
                        input type="hidden" name=(name) value=(value);
                    }
                    label.sure { input type="checkbox" name="sure" value="yes" required; "Yes" }
                    button { (asked.button) }
                }
                p { a href="" { "No, back" } }
            }
        }
    }
}

/// How often to look at one order; not once it has ended.
fn poll(view: &OrderView) -> Option<u32> {
    (view.status == Status::Placed).then_some(SOON)
}

/// How much time is left to answer an order.
fn left(respond_by: &str, now: u64) -> Markup {
    let minutes = seconds(respond_by).unwrap_or(now).saturating_sub(now) / 60;
    html! {
        p.left {
            time datetime=(respond_by) {
                @if minutes == 0 { "under 1 min" } @else { (minutes) " min" }
            }
            " left"
        }
    }
}

fn content(items: &[Item], text: Option<&str>, currency: Currency, total: u64) -> Markup {
    html! {
        ul {
            @for item in items { li { b { (item.quantity) " ×" } " " bdi { (item.name) } } }
        }
        @if let Some(text) = text { (note(text)) }
        small { (money(currency, total)) }
    }
}

/// What somebody wrote. Without a mouse, only what can be focused can be scrolled.
fn note(text: &str) -> Markup {
    let (lines, characters) = SHORT_NOTE;
    let is_long = text.lines().count() > lines || text.chars().count() > characters;
    html! { p.note tabindex=[is_long.then_some("0")] { bdi { (text) } } }
}

/// The forms of a restaurant's answers, sent to the page's own address. No choice is preselected.
fn answers(order_id: Option<&str>) -> Markup {
    let which =
        html! { @if let Some(id) = order_id { input type="hidden" name="order" value=(id); } };
    html! {
        form method="post" {
            (which)
            label { "Ready in" select name="minutes" required {
                option value="" { "minutes" }
                @for minutes in MINUTES { option { (minutes) } }
            } }
            button name="do" value="accept" { "Accept" }
        }
        details {
            summary { "Decline, or report a problem" }
            form method="post" {
                // Enter presses a form's first button, and is to choose neither of the two.
                button hidden disabled {}
                (which)
                label { "Why? The customer may read it" input name="reason" list="why" maxlength=(MAX_REASON) required; }
                button name="do" value="decline" { "Decline" }
                button name="do" value="problem" { "Report problem" }
            }
        }
    }
}

/// The reasons that a browser proposes.
fn reasons() -> Markup {
    html! { datalist id="why" { @for reason in REASONS { option { (reason) } } } }
}

fn recording(mark: &Mark) -> Markup {
    html! {
        p.said role="status" {
            @if mark.taken { "Sent, being recorded." }
            @else { "Answered already, or its time is over. What was recorded shows here in a moment." }
        }
    }
}

/// How one order ended, with all that was said of it.
fn ended(view: &OrderView, now: u64) -> Markup {
    let is_restaurant = view.respond_by.is_some();
    html! {
        p.said role="status" {
            @if !is_restaurant && view.status == Status::Cancelled { "Cancelled " (when(&view.updated_at, now)) }
            @else { (outcome(view.status, view.mark.as_ref().filter(|_| is_restaurant), &view.updated_at, view.ready_at.as_deref(), now)) }
        }
        @if let Some(reason) = &view.status_reason { (note(reason)) }
    }
}

/// What became of an order, in a sentence, which says so if somebody else gave the answer.
fn outcome(
    status: Status,
    mark: Option<&Mark>,
    at: &str,
    ready_at: Option<&str>,
    now: u64,
) -> Markup {
    let (sign, verb, choice) = match status {
        Status::Placed => ("…", "Being recorded", None),
        Status::Accepted => ("✓", "Accepted", Some(Choice::Accept)),
        Status::Rejected => ("✗", "Declined", Some(Choice::Decline)),
        Status::Cancelled => ("✗", "The customer cancelled", Some(Choice::Cancel)),
        Status::TimedOut => ("✗", "Not answered in time: it expired", None),
        Status::Failed => ("!", "Could not be processed", Some(Choice::Problem)),
    };
    let lost = mark.is_some_and(|mark| !mark.taken && Some(mark.choice) != choice);
    html! {
        span aria-hidden="true" { (sign) " " }
        @match status {
            Status::Accepted | Status::Rejected | Status::Failed if lost => {
                "Already " (verb.to_lowercase().replace("could not be processed", "given up")) " by someone else, " (when(at, now))
            }
            _ => { (verb) " " (when(at, now)) }
        }
        @if let Some(ready_at) = ready_at { ", ready " (when(ready_at, now)) }
    }
}

/// A time, relative to now.
fn when(at: &str, now: u64) -> Markup {
    let said = seconds(at).map(|at| relative(at, now));
    html! { time datetime=(at) { (said.as_deref().unwrap_or(at)) } }
}

fn relative(at: u64, now: u64) -> String {
    let minutes = at.abs_diff(now) / 60;
    let length = match minutes {
        0 => "less than a minute".to_owned(),
        1 => "1 minute".to_owned(),
        2..120 => format!("{minutes} minutes"),
        _ => format!("{} hours", minutes / 60),
    };
    if at > now {
        format!("in {length}")
    } else {
        format!("{length} ago")
    }
}
