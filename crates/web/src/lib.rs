//! `web`: the pages on which restaurants answer orders, and customers follow and cancel them. docs/web.md has what they
//! promise.
//!
//! A request is checked in this order: its link, without a call of AWS; for a POST, which site sent it; and whether the
//! link was revoked. Only then are orders read.

pub mod access;
mod assets;
mod html;
pub mod http;
mod marks;
mod notice;
pub mod orders;
mod view;

use std::collections::HashMap;
use std::time::Duration;

use links::{Claim, Kind};
use order::{MAX_REASON, Status, is_order_id};
use serde_json::json;
use tokio::time::timeout;

use crate::access::{Revocations, Verifier};
use crate::html::Page;
pub use crate::html::{LATER, SOON};
use crate::http::{Request, Response};
use crate::marks::{Choice, Mark, Marks};
use crate::notice::Notice;
use crate::orders::{Answer, Orders, Place, Sent, rfc_3339};
use crate::view::Confirmation;
pub use crate::view::View;

/// How long a request may take: less than the function's `Timeout` in `web/template.yaml`, so that a slow one gets a page, too.
pub const PATIENCE: Duration = Duration::from_millis(2_500);
/// How long after its link was made an order may take to be stored, in seconds. Then the page says that there is none, and
/// asks no more; it still shows an order that comes later, if somebody looks again.
const STORED_WITHIN: u64 = 5 * 60;
/// The most minutes until an accepted order is ready: the workflow ignores times more than a day away.
const LONGEST: u64 = 24 * 60 - 1;

/// What the pages need to answer a request.
pub struct Site {
    /// The address of the pages, such as `https://orders.example.com`: the `Origin` of their own forms.
    pub origin: String,
    /// Verifies links.
    pub verifier: Verifier,
    /// Knows which links were revoked.
    pub revocations: Revocations,
    /// The orders.
    pub orders: Orders,
}

/// Which page of a link.
#[derive(Clone)]
struct Address {
    kind: Kind,
    /// The link's own parameters.
    query: String,
    /// For a restaurant's later orders: those after this place in the list.
    after: Option<Place>,
    marks: Marks,
}

impl Address {
    /// `/<kind>`, and `/<kind>/sent/<marks>` after answers; `/restaurant/later/<place>` for the orders that did not fit on
    /// the page before.
    fn of(path: &str, query: &str) -> Option<Self> {
        let parts: Vec<_> = path.strip_prefix('/')?.split('/').collect();
        let (kind, rest) = parts.split_first()?;
        let kind = Kind::named(kind)?;
        let (after, rest) = match rest {
            ["later", place, rest @ ..] if kind == Kind::Restaurant => {
                (Some(Place::read(place)?), rest)
            }
            rest => (None, rest),
        };
        let marks = match rest {
            [] => Marks::default(),
            ["sent", marks] => Marks::read(marks)?,
            _ => return None,
        };
        let query = Claim::without_additions(query);
        Some(Self {
            kind,
            query,
            after,
            marks,
        })
    }

    /// The page's path, with the query of the link.
    fn written(&self) -> String {
        let Self {
            kind,
            query,
            after,
            marks,
        } = self;
        let after = after
            .as_ref()
            .map(|after| format!("/later/{}", after.written()));
        let marks = marks.written();
        let sent = if marks.is_empty() { "" } else { "/sent/" };
        format!("/{kind}{}{sent}{marks}?{query}", after.unwrap_or_default())
    }
}

impl Site {
    /// Answers a request at a time (seconds since 1970).
    pub async fn serve(&self, request: &Request, now: u64) -> Response {
        let response = match request.method() {
            "GET" | "HEAD" | "POST" => timeout(PATIENCE, self.respond(request, now))
                .await
                .unwrap_or_else(|_| {
                    let order_id = request.form().and_then(|mut form| form.remove("order"));
                    let order_id = order_id.filter(|order_id| is_order_id(order_id));
                    let method = request.method();
                    tracing::error!(method, order_id, "page not served in time");
                    Err(Notice::Late)
                }),
            // No CORS headers: no other site's script may call the pages.
            "OPTIONS" => Ok(Response::html(204, String::new())),
            _ => Err(Notice::NoSuchMethod),
        };
        let mut response = response
            .unwrap_or_else(|notice| notice.response(request))
            .with("allow", "GET, HEAD, OPTIONS, POST")
            .with("x-now", now.to_string());
        if request.method() == "HEAD" {
            response.body.clear();
        }
        response
    }

    async fn respond(&self, request: &Request, now: u64) -> Result<Response, Notice> {
        let posted = request.is_post();
        let query = &request.raw_query_string;
        match request.raw_path.as_str() {
            "/page.css" if !posted => return Ok(assets::style(query)),
            "/page.js" if !posted => return Ok(assets::script(query)),
            _ => {}
        }
        let address = Address::of(&request.raw_path, query).ok_or(Notice::NoSuchPage)?;
        let claim = self.verifier.verify(address.kind, &address.query, now);
        let claim = claim.ok_or(Notice::Refused)?;
        // A page's forms and its script use the page's own address, which is to be that of the link.
        if !posted && !request.wants_json() && *query != address.query {
            return Ok(Response::see_other(address.written()));
        }
        if posted && request.is_from_elsewhere(&self.origin) {
            return Err(Notice::FromElsewhere);
        }
        let response = async {
            if self.revocations.has(&claim, now).await? {
                Err(Notice::Refused)
            } else if posted {
                self.act(request, &claim, address, now).await
            } else {
                self.view(request, &claim, &address, now).await
            }
        };
        response.await.inspect_err(|notice| {
            if let Notice::Failed(error) = notice {
                tracing::error!(kind = claim.kind.as_str(), posted, %error, "page not served");
            }
        })
    }

    /// Shows what the link shows, and changes nothing.
    async fn view(
        &self,
        request: &Request,
        claim: &Claim,
        address: &Address,
        now: u64,
    ) -> Result<Response, Notice> {
        let marks = &address.marks;
        let view = match claim.kind {
            Kind::Restaurant => {
                let lists = self
                    .orders
                    .lists(&claim.id, address.after.as_ref(), now)
                    .await?;
                let at = |after| {
                    let address = Address {
                        after,
                        ..address.clone()
                    };
                    address.written()
                };
                let first = address.after.is_some().then(|| at(None));
                let next = lists.more_after.clone().map(|last| at(Some(last)));
                View::restaurant(claim, lists, marks, (first, next), now)
            }
            Kind::Order | Kind::Customer => match self.orders.read(&claim.id).await? {
                Some(order) if claim.kind == Kind::Customer => View::customer(order, marks),
                Some(order) => View::order(order, claim.deadline(), marks, now),
                None if now < claim.issued + STORED_WITHIN => View::NotYet,
                None => View::Unknown,
            },
        };
        if request.wants_json() {
            return Ok(Response::json(200, &json!(view)));
        }
        let page = Page::of(&view, now);
        // The page's script asks every few seconds. If nothing changed, it need not be sent the page again.
        let tag = page.tag();
        if request.header("if-none-match") == Some(tag.as_str()) {
            return Ok(Response::html(304, String::new()).with("etag", tag));
        }
        Ok(Response::html(200, page.whole(now)).with("etag", tag))
    }

    /// Sends an answer to the workflow, and redirects to the page that shows what became of it.
    async fn act(
        &self,
        request: &Request,
        claim: &Claim,
        mut address: Address,
        now: u64,
    ) -> Result<Response, Notice> {
        let form = request.form().ok_or(Notice::Unreadable)?;
        let order_id = match (claim.kind, form.get("order")) {
            (Kind::Restaurant, Some(order_id)) if is_order_id(order_id) => order_id.as_str(),
            (Kind::Order | Kind::Customer, None) => claim.id.as_str(),
            _ => return Err(Notice::Unreadable),
        };
        let (choice, answer) = answer(claim.kind, &form, now)?;
        // Which of several links was used, is told by what it is for and by when it was made.
        let log = |sent: &str| {
            let (kind, id, issued) = (claim.kind.as_str(), &claim.id, claim.issued);
            tracing::info!(kind, id, issued, order_id, ?choice, sent, "answer given");
        };
        if claim.kind == Kind::Order && now >= claim.deadline() {
            log("TooLate");
            return Err(Notice::TooLate);
        }
        // A scanner may open the links in e-mails and messages, so these ask once more.
        if claim.kind != Kind::Restaurant && form.get("sure").map(String::as_str) != Some("yes") {
            return Ok(if request.wants_json() {
                Response::json(422, &json!({ "error": "the form has no field sure=yes" }))
            } else {
                let page = Page::asking(&Confirmation::of(claim, &answer, now));
                Response::html(200, page.whole(now))
            });
        }
        let restaurant_id = match claim.kind {
            Kind::Restaurant => claim.id.clone(),
            Kind::Order | Kind::Customer => match self.orders.read(order_id).await? {
                None => return Err(Notice::NotOpen),
                Some(order) if order.status == Status::Placed => order.restaurant_id,
                Some(_) => {
                    log("Ended");
                    address.marks.add(Mark::new(order_id, choice, false, 0));
                    return Ok(Response::see_other(address.written()));
                }
            },
        };
        // It may arrive although nothing more is heard of it.
        log("Sending");
        let (sent, deadline) = self
            .orders
            .answer(&restaurant_id, order_id, &answer, now)
            .await?;
        log(&format!("{sent:?}"));
        match sent {
            Sent::NotOpen => Err(Notice::NotOpen),
            Sent::Unheard => Err(Notice::Unheard),
            Sent::Taken | Sent::Refused => {
                let taken = sent == Sent::Taken;
                let mark = Mark::new(order_id, choice, taken, deadline);
                address.marks.add(mark);
                Ok(Response::see_other(address.written()))
            }
        }
    }
}

/// The answer that a form gives, or what it lacks. No choice has a default: an empty form is no answer.
fn answer(
    kind: Kind,
    form: &HashMap<String, String>,
    now: u64,
) -> Result<(Choice, Answer), Notice> {
    let text = |name: &str| {
        let text = form.get(name).map(|text| text.trim()).unwrap_or_default();
        match text.chars().count() {
            0 => Ok(None),
            count if count > MAX_REASON => Err(Notice::TooLong),
            _ => Ok(Some(text.to_owned())),
        }
    };
    match (kind, form.get("do").map(String::as_str)) {
        (Kind::Restaurant | Kind::Order, Some("accept")) => {
            let minutes = form.get("minutes").and_then(|minutes| minutes.parse().ok());
            let minutes = minutes.filter(|minutes| (1..=LONGEST).contains(minutes));
            let ready_at = rfc_3339(now + 60 * minutes.ok_or(Notice::NoMinutes)?);
            Ok((Choice::Accept, Answer::Accept { ready_at }))
        }
        (Kind::Restaurant | Kind::Order, Some("decline")) => {
            let reason = text("reason")?.ok_or(Notice::NoReason)?;
            Ok((Choice::Decline, Answer::Decline { reason }))
        }
        (Kind::Restaurant | Kind::Order, Some("problem")) => {
            let cause = text("reason")?.ok_or(Notice::NoReason)?;
            Ok((Choice::Problem, Answer::Problem { cause }))
        }
        (Kind::Customer, Some("cancel")) => {
            let reason = text("reason")?;
            Ok((Choice::Cancel, Answer::Cancel { reason }))
        }
        _ => Err(Notice::Unreadable),
    }
}
