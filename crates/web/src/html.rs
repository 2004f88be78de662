//! How the pages are written in HTML.
//!
//! The server writes times relative to its clock (3 minutes ago). The script turns them into local times (19:12).

use std::hash::{DefaultHasher, Hash, Hasher};

use iso_currency::Currency;
use maud::{DOCTYPE, Markup, html};
use order::{Item, MAX_REASON, Status, money};

use crate::assets::version;
use crate::marks::{Choice, Mark};
use crate::orders::{PAGE, rfc_3339, seconds};
use crate::view::{Confirmation, OrderView, RestaurantView, View};

/// How often the script looks while an order waits, and otherwise, in milliseconds. It does not look where nothing can change:
/// there, a page says nothing of it.
pub const SOON: u32 = 3_000;
/// See [`SOON`].
pub const LATER: u32 = 10_000;

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

/// A page.
pub struct Page {
    title: String,
    /// What it shows, but for the server's time.
    main: Markup,
}

impl Page {
    /// The page of a view.
    pub fn of(view: &View, now: u64) -> Self {
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
        };
        Self { title, main }
    }

    /// The page that asks before an answer is given.
    pub fn asking(confirmation: &Confirmation) -> Self {
        Self {
            title: confirmation.order_id.clone(),
            main: confirm(confirmation),
        }
    }

    /// The `ETag`: the same as long as the page shows the same. After a deployment it is another, since the page has another
    /// script.
    pub fn tag(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.main.0.hash(&mut hasher);
        format!("\"{:016x}-{}\"", hasher.finish(), version())
    }

    /// The whole document, at a time.
    pub fn whole(&self, now: u64) -> String {
        document(&self.title, &self.main, Some(now)).into_string()
    }
}

/// A document: of a page, or of a notice, which has no time.
pub fn document(title: &str, main: &Markup, now: Option<u64>) -> Markup {
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
    // For an answer that somebody can give: which one it is, and what to say to whoever gave another one too late.
    let (sign, said, answer) = match status {
        Status::Placed => ("…", "Being recorded", None),
        Status::Accepted => (
            "✓",
            "Accepted",
            Some((Choice::Accept, "Already accepted by someone else,")),
        ),
        Status::Rejected => (
            "✗",
            "Declined",
            Some((Choice::Decline, "Already declined by someone else,")),
        ),
        Status::Cancelled => ("✗", "The customer cancelled", None),
        Status::TimedOut => ("✗", "Not answered in time: it expired", None),
        Status::Failed => (
            "!",
            "Could not be processed",
            Some((Choice::Problem, "Already given up by someone else,")),
        ),
    };
    let refused = mark.filter(|mark| !mark.taken);
    let said = match (answer, refused) {
        (Some((choice, already)), Some(mark)) if mark.choice != choice => already,
        _ => said,
    };
    html! {
        span aria-hidden="true" { (sign) " " }
        (said) " " (when(at, now))
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
