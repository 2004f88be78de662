//! What may happen to an order and what must come of it: the cases that the end-to-end tests and `make verify` share.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use aws_sdk_sfn::error::ProvideErrorMetadata;
use aws_sdk_sfn::primitives::{DateTime, DateTimeFormat};
use aws_sdk_sfn::types::ExecutionStatus;
use futures_util::future::{join, join_all};
use http::Response;
use order::{Decision, RestaurantMessage, Status};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::listener::RestaurantQueue;
use crate::made::{Made, made};
use crate::pages::{Link, Waiting, ask, link, orderctl, signature_of};
use crate::stack::{Stack, named, output};
use crate::test_order::TestOrder;

/// The restaurant answers.
pub async fn answered(order: TestOrder, answer: &str, status: Status, reason: Option<&str>) {
    let execution = order.place_and_answer(answer).await;
    order.assert_ended(&execution, status, reason).await;
}

/// The restaurant accepts, and says when the order is ready.
pub async fn accepted_for(order: TestOrder, ready_at: Value, kept: bool) {
    let answer = json!({ "isAccepted": true, "ready_at": ready_at });
    let execution = order.place_and_answer(&answer.to_string()).await;
    let decision = Decision {
        status: Status::Accepted,
        status_reason: None,
        ready_at: ready_at.as_str().filter(|_| kept).map(Into::into),
    };
    order
        .assert_decided(&execution, &execution, &decision)
        .await;
}

/// A time so many seconds from now, as RFC 3339 with an offset of two hours.
#[must_use]
pub fn seconds_from_now(seconds: i64) -> String {
    let there = DateTime::from(SystemTime::now()).secs() + seconds + 2 * 60 * 60;
    let there = DateTime::from_secs(there).fmt(DateTimeFormat::DateTime);
    there
        .expect("a time of this century")
        .replace('Z', "+02:00")
}

/// A restaurant's own system gets from the topic what the table of open orders has.
pub async fn heard_from_the_topic(stack: &Stack, order: TestOrder) {
    let queue = RestaurantQueue::of(stack, &order.order.restaurant_id).await;
    let execution = order.place().await;
    let message = accepted(&order, &execution).await;
    assert!(
        queue.next().await == message,
        "the restaurant's queue got another message than the table of open orders"
    );
}

/// The restaurant accepts; gives what it was sent.
pub async fn accepted(order: &TestOrder, execution: &str) -> RestaurantMessage {
    let message = order.restaurant_message().await;
    order.accept(&message).await;
    order.assert_ended(execution, Status::Accepted, None).await;
    message
}

/// The restaurant reports a failure; gives the reason that was kept, the same wherever it is told.
pub async fn failure_reported(
    stack: &Stack,
    order: TestOrder,
    error: Option<&str>,
    cause: Option<&str>,
) -> String {
    let execution = order.place().await;
    let message = order.restaurant_message().await;
    order.fail(&message.task_token, error, cause).await;
    stack.end_of(&execution).await;
    let item = stack.item(&order.order.order_id).await;
    let kept = item.expect("the order in the table")["status_reason"].take();
    let kept = kept.as_str().expect("a reason of the failure");
    order
        .assert_ended(&execution, Status::Failed, Some(kept))
        .await;
    kept.to_owned()
}

/// The restaurant answers twice: the first answer counts.
pub async fn answered_twice(stack: &Stack, order: TestOrder) {
    let execution = order.place().await;
    let message = order.restaurant_message().await;
    order.accept(&message).await;
    let second = stack
        .answer(&message.task_token, r#"{"isAccepted": false}"#)
        .await;
    // Whether Step Functions refuses the second answer at once depends on how fast the execution went on.
    if let Err(error) = second {
        assert_answer_refused(&error);
    }
    order.assert_ended(&execution, Status::Accepted, None).await;
}

/// Fails unless Step Functions refused an answer because no execution waits for its token any more.
pub fn assert_answer_refused(error: &impl ProvideErrorMetadata) {
    assert!(
        matches!(error.code(), Some("TaskTimedOut" | "TaskDoesNotExist")),
        "an answer that came second or late got {:?}",
        error.code()
    );
}

/// The same execution is started twice: one order is placed.
pub async fn started_twice(stack: &Stack, order: TestOrder) {
    let execution = order.place().await;
    let again = stack
        .sfn
        .start_execution()
        .state_machine_arn(Stack::state_machine())
        .name(&order.order.order_id)
        .input(serde_json::to_string(&order.order).expect("an order as JSON"))
        .send()
        .await;
    // While the execution runs, AWS gives it again; the local AWS refuses, as AWS does once it has ended.
    match again {
        Ok(again) => assert_eq!(
            again.execution_arn, execution,
            "the second start is another execution"
        ),
        Err(error) => assert_eq!(
            error.code(),
            Some("ExecutionAlreadyExists"),
            "a second start"
        ),
    }
    accepted(&order, &execution).await;
}

/// Another order is placed under the same id: it is refused, and the first one stays as it is.
pub async fn placed_already(stack: &Stack, order: TestOrder) {
    let execution = order.place().await;
    let message = order.restaurant_message().await;
    let stored = stack.item(&order.order.order_id).await;

    let mut other = order.order.clone();
    other.note = Some("Another order under the same id".into());
    let input = serde_json::to_string(&other).expect("an order as JSON");
    let again = format!("{}-again", other.order_id);
    let again = stack.start(&Stack::state_machine(), &again, &input).await;
    let again = stack.end_of(&again).await;
    assert_eq!(
        (&again.status, again.error()),
        (&ExecutionStatus::Failed, Some("DuplicateOrder")),
        "another order under the same id ended otherwise; its cause: {:?}",
        again.cause()
    );
    assert!(
        stack.item(&other.order_id).await == stored,
        "the first order was changed"
    );
    order.accept(&message).await;
    order.assert_ended(&execution, Status::Accepted, None).await;
}

/// Operations are told of an execution that fails, without what the customer wrote, and not of orders that are refused.
pub async fn told_of_failures(stack: &Stack, mut order: TestOrder) {
    let machine = Stack::state_machine();
    let [invalid, duplicate] = ["invalid", "duplicate"].map(named);
    order.order.note = Some("Ring at the back door".into());
    let order_id = order.order.order_id.clone();
    // Before the order is placed: on AWS, subscriptions may take longer than an order waits.
    let queue = stack.failed_executions_queue().await;

    let input = json!({ "order_id": invalid }).to_string();
    let execution = stack.start(&machine, &invalid, &input).await;
    let end = stack.end_of(&execution).await;
    assert_eq!(end.error(), Some("InvalidOrder"), "{:?}", end.cause());

    let owner = order.place().await;
    let message = order.restaurant_message().await;

    let input = serde_json::to_string(&order.order).expect("an order as JSON");
    let execution = stack.start(&machine, &duplicate, &input).await;
    let end = stack.end_of(&execution).await;
    assert_eq!(end.error(), Some("DuplicateOrder"), "{:?}", end.cause());

    // Somebody deletes the order while it waits for its restaurant.
    let table = output("OrdersTableName");
    let delete = stack.dynamodb.delete_item().table_name(&table);
    let delete = delete.key("order_id", AttributeValue::S(order_id.clone()));
    let deleted = delete.return_values(ReturnValue::AllOld).send().await;
    let item = deleted.expect("a delete").attributes;
    order.accept(&message).await;
    let cause = stack.end_of(&owner).await.cause;
    let (mut heard, told) = stack.told_of(&queue, &owner).await;
    assert_eq!(told["execution_name"], order_id.as_str());
    assert_eq!(told["execution_arn"], owner.as_str());
    assert_eq!(told["status"], "FAILED");
    assert_eq!(told["error"], "OrderNotFound");
    // JSON within JSON: AWS must escape its quotes.
    let cause = cause.expect("a cause");
    assert!(cause.contains('"'), "a cause without quotes: {cause}");
    assert!(told["cause"] == cause, "another cause than the execution's");
    assert!(
        !told.to_string().contains("back door"),
        "operations are told what the customer wrote: {told}"
    );
    // It is removed with all that tests made, which begins with its item.
    let put = stack.dynamodb.put_item().table_name(&table);
    put.set_item(item).send().await.expect("the item again");

    // They ended before the execution of which operations were told.
    let later = stack.receive_now(&queue, 1).await;
    heard.extend(later.into_iter().filter_map(|message| message.body));
    for refused in [invalid, duplicate] {
        let told = heard.iter().any(|text| text.contains(&refused));
        assert!(!told, "operations were told of {refused}");
    }
}

/// Operations are told of an execution that somebody stops, who need not give an error.
pub async fn told_of_a_stop(stack: &Stack, order: TestOrder) {
    let queue = stack.failed_executions_queue().await;
    let execution = order.place().await;
    order.restaurant_message().await;
    let stop = stack.sfn.stop_execution().execution_arn(&execution);
    stop.send().await.expect("a stopped execution");
    let (_, told) = stack.told_of(&queue, &execution).await;
    assert_eq!(told["status"], "ABORTED", "what operations are told");
}

/// An order with any text in it reaches everybody unchanged.
pub async fn any_text(stack: &Stack, template: TestOrder) {
    let text = "quotes \" ' ` backslash \\ \\\" newline\n tab\t unicode ü 🍕 天 {% $states.input %} ${StackName} $$.x <b>&amp;";
    let mut tricky = template.order;
    tricky.order_id.push_str("-tricky");
    tricky.note = Some(text.into());
    for item in &mut tricky.items {
        item.name = text.into();
    }
    let order = TestOrder::listening(stack, tricky).await;
    let execution = order.place().await;
    let message = accepted(&order, &execution).await;
    assert!(
        message.note == order.order.note,
        "the note was changed on its way to the restaurant"
    );
    assert!(
        message.items == order.order.items,
        "the items were changed on their way to the restaurant"
    );
}

/// An answer of this many bytes.
#[must_use]
pub fn padded(mut answer: Value, bytes: usize) -> String {
    answer["padding"] = "".into();
    let padding = bytes - answer.to_string().len();
    answer["padding"] = "x".repeat(padding).into();
    answer.to_string()
}

/// Every page of an order, with all that it leads to, is looked at so many times: each look shows the order, and none
/// changes anything.
pub async fn looked_at(stack: &Stack, order: TestOrder, times: usize) {
    let waiting = Waiting::of(order).await;
    let state = || async {
        let restaurant = &waiting.order.order.restaurant_id;
        (
            stack.item(waiting.id()).await.expect("the order"),
            stack.open_row(restaurant, waiting.id()).await,
            stack.history(&waiting.execution).await.len(),
        )
    };
    let before = state().await;
    let marked = |link: &Link, letter: char| Link {
        // As the answer to an order with a deadline that never comes.
        path: format!("{}/sent/{letter}9999999999~{}", link.path, waiting.id()),
        query: link.query.clone(),
    };
    // The pages after an answer as well, to which the answer's 303 leads.
    let links = [
        (waiting.restaurant.clone(), times),
        (waiting.one.clone(), times),
        (waiting.customer.clone(), times),
        (marked(&waiting.restaurant, 'a'), 1),
        (marked(&waiting.one, 'd'), 1),
        (marked(&waiting.customer, 'c'), 1),
    ];
    let fetched = links.iter().map(|(link, rounds)| {
        let id = waiting.id();
        async move {
            let mut found = BTreeSet::new();
            // The local AWS answers OPTIONS itself.
            let status = link.ask("OPTIONS", &[], "").await.status();
            assert!(status.as_u16() < 500, "OPTIONS {}: {status}", link.path);
            for round in 0..*rounds {
                let assert_shown = |response: &Response<String>| {
                    let status = response.status();
                    let path = &link.path;
                    assert!(status.is_success(), "{path} in round {round}: {status}");
                };
                let page = link.ask("GET", &[], "").await;
                assert_shown(&page);
                assert!(page.body().contains(id), "{} shows no {id}", link.path);
                found = addresses(page.body(), link);
                // As a browser does, at once.
                let head = link.ask("HEAD", &[], "");
                let rest = found.iter().map(|address| {
                    let (path, query) = address.split_once('?').unwrap_or((address, ""));
                    ask("GET", path, query, &[], "")
                });
                let (head, rest) = join(head, join_all(rest)).await;
                rest.iter().chain([&head]).for_each(assert_shown);
            }
            let itself = link.address();
            for address in ["/page.css", "/page.js", itself.as_str()] {
                assert!(
                    found.iter().any(|found| found.starts_with(address)),
                    "{address} is missing on {}",
                    link.path
                );
            }
        }
    });
    join_all(fetched).await;
    // Not by `assert_eq`, which would print the row with its task token.
    assert!(state().await == before, "somebody answered");
    assert_eq!(before.0["status"], "PLACED");
    assert!(before.1.is_some(), "the order waits no more");
    accepted(&waiting.order, &waiting.execution).await;
}

/// The addresses that a page leads to, as a client finds them that prefetches all it can: of links, scripts, styles and
/// forms, relative to the page's own.
fn addresses(page: &str, own: &Link) -> BTreeSet<String> {
    let value = |name: &'static str| {
        page.split(&format!(" {name}=\""))
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect::<Vec<_>>()
    };
    let found = ["href", "src", "action", "formaction"].into_iter();
    found
        .flat_map(value)
        .map(|address| match address.replace("&amp;", "&") {
            // Leads to the page itself, as does a form without an address.
            empty if empty.is_empty() => own.address(),
            other => other,
        })
        .collect()
}

/// The restaurant accepts by its page. Who answers after that changes nothing, and reads that it was accepted.
pub async fn accepted_by_page(stack: &Stack, order: TestOrder) {
    let waiting = Waiting::of(order).await;
    let page = waiting.customer.page().await;
    assert!(page.contains("The restaurant has not answered yet"));
    let form = format!("order={}&do=accept&minutes=20", waiting.id());
    let sent = waiting.restaurant.answer(&form).await;
    let page = sent.page().await;
    assert!(!page.contains("<form"), "buttons after an answer: {page}");
    let page = sent.says("Accepted <time").await;
    assert!(!page.contains("<form"), "{page}");
    for link in [&waiting.one, &waiting.customer] {
        let page = link.says("Accepted <time").await;
        assert!(page.contains(", ready <time"), "{page}");
    }
    stack.end_of(&waiting.execution).await;
    let declined = format!("order={}&do=decline&reason=Busy", waiting.id());
    for (link, form) in [
        (&waiting.restaurant, declined.as_str()),
        (&waiting.one, "do=decline&reason=Busy&sure=yes"),
        (&waiting.customer, "do=cancel&sure=yes"),
    ] {
        let told = link.answer(form).await.json().await;
        let status = match told["page"].as_str() {
            Some("restaurant") => &told["closed"][0]["status"],
            _ => &told["status"],
        };
        assert_eq!(status, "ACCEPTED", "{} after a later answer", link.path);
    }
    let json = waiting.customer.json().await;
    assert_eq!(json["can_answer"], false);
    let ready_at = json["ready_at"].as_str().map(ToOwned::to_owned);
    assert!(ready_at.is_some(), "the customer does not read when");
    let decision = Decision {
        status: Status::Accepted,
        status_reason: None,
        ready_at,
    };
    let execution = &waiting.execution;
    let order = &waiting.order;
    order.assert_decided(execution, execution, &decision).await;
}

/// The restaurant declines by the page of one order, which asks once more; the customer reads why.
pub async fn declined_by_page(order: TestOrder) {
    let waiting = Waiting::of(order).await;
    let form = "do=decline&reason=Out+of+dough";
    let asked = waiting.one.ask("POST", &[], form).await;
    assert_eq!(asked.status(), 200, "the second question");
    assert!(asked.body().contains("name=\"sure\""), "{}", asked.body());
    assert_eq!(waiting.one.json().await["status"], "PLACED");
    let sent = waiting.one.answer(&format!("{form}&sure=yes")).await;
    sent.says("Declined <time").await;
    let page = waiting.customer.page().await;
    assert!(page.contains("Out of dough"), "{page}");
    let (order, execution) = (&waiting.order, &waiting.execution);
    order
        .assert_ended(execution, Status::Rejected, Some("Out of dough"))
        .await;
}

/// The customer cancels by its page; the restaurant reads it.
pub async fn cancelled_by_page(order: TestOrder) {
    let waiting = Waiting::of(order).await;
    let sent = waiting.customer.answer("do=cancel&sure=yes").await;
    sent.says("Cancelled <time").await;
    waiting.restaurant.says("The customer cancelled").await;
    let (order, execution) = (&waiting.order, &waiting.execution);
    order.assert_ended(execution, Status::Cancelled, None).await;
}

/// A restaurant is sent a link to its order, and accepts by it.
pub async fn link_published(stack: &Stack, order: TestOrder) {
    let queue = stack.links_queue(&order.order.restaurant_id).await;
    let execution = order.place().await;
    let text = stack.one_text(&queue).await;
    let url = text.split_whitespace().last().expect("a link");
    let link = Link::of(url);
    assert_eq!(link.path, "/order", "what the link leads to");
    let id = order.order.order_id.as_str();
    assert_eq!(link.json().await["order_id"], id, "what the link shows");
    let sent = link.answer("do=accept&minutes=20&sure=yes").await;
    sent.says("Accepted <time").await;
    stack.end_of(&execution).await;
}

/// A form that a browser sends from another site's page, or from none, answers nothing; one from the page itself does.
pub async fn posted_from_elsewhere(stack: &Stack, order: TestOrder) {
    let waiting = Waiting::of(order).await;
    let form = format!("order={}&do=accept&minutes=20", waiting.id());
    let site = output("WebUrl");
    for headers in [
        [("origin", "null")],
        [("origin", "https://evil.example")],
        [("sec-fetch-site", "cross-site")],
        [("sec-fetch-site", "none")],
    ] {
        let refused = waiting.restaurant.ask("POST", &headers, &form).await;
        assert_eq!(refused.status(), 403, "{headers:?}");
    }
    assert_eq!(waiting.one.json().await["status"], "PLACED");
    let headers = [("origin", site.as_str()), ("sec-fetch-site", "same-origin")];
    let sent = waiting.restaurant.ask("POST", &headers, &form).await;
    assert_eq!(sent.status(), 303, "from the page itself");
    stack.end_of(&waiting.execution).await;
}

/// A revoked link works no more after less than a minute. New ones do, and those of other kinds.
pub async fn revoked(stack: &Stack, order: TestOrder) {
    let waiting = Waiting::of(order).await;
    let restaurant = waiting.order.order.restaurant_id.as_str();
    waiting.restaurant.page().await;
    made(Made::Revocation(format!("restaurant {restaurant}")));
    orderctl(&["link", "--revoke", "restaurant", restaurant]).await;
    let new = link(&["restaurant", restaurant]).await;
    // Each sandbox of the function remembers for 20 s that the link held, so a refusal by one says nothing of the others.
    sleep(Duration::from_secs(25)).await;
    let look = waiting.restaurant.ask("GET", &[], "").await;
    assert_eq!(look.status(), 403, "a look by the revoked link");
    let form = format!("order={}&do=accept&minutes=20", waiting.id());
    let refused = waiting.restaurant.ask("POST", &[], &form).await;
    assert_eq!(refused.status(), 403, "an answer by the revoked link");
    // Other kinds stay.
    waiting.one.page().await;
    waiting.customer.page().await;
    new.answer(&form).await;
    stack.end_of(&waiting.execution).await;
}

/// A link that nobody signed, or that was signed for something else, is refused, and so is one whose time is over.
pub async fn refused_links(order: TestOrder) {
    let waiting = Waiting::of(order).await;
    let (restaurant, id) = (&waiting.order.order.restaurant_id, waiting.id());
    let expired = link(&["restaurant", restaurant, "--valid", "1s"]).await;
    sleep(Duration::from_secs(2)).await;
    let of = |path: &str, query: String| Link {
        path: path.into(),
        query,
    };
    let one = &waiting.one.query;
    let another = signature_of(&waiting.customer.query);
    let its_own = signature_of(one);
    for (what, link) in [
        ("an expired link", expired),
        (
            "a link without a signature",
            of("/order", one.replace(its_own, "")),
        ),
        (
            "a link with another's signature",
            of("/order", one.replace(its_own, another)),
        ),
        (
            "a link to another order",
            of("/order", one.replace(id, "verify-another")),
        ),
        (
            "a customer's link on the restaurant's page",
            of("/order", waiting.customer.query.clone()),
        ),
        (
            "one order's link on the page of all",
            of("/restaurant", one.clone()),
        ),
    ] {
        let form = "do=decline&reason=Busy&sure=yes";
        let form = match link.path.as_str() {
            "/restaurant" => format!("order={id}&{form}"),
            _ => form.to_owned(),
        };
        for (method, body) in [("GET", ""), ("POST", form.as_str())] {
            let refused = link.ask(method, &[], body).await;
            assert_eq!(refused.status(), 403, "{method} with {what}");
            assert!(!refused.body().contains(id), "{what} shows the order");
        }
    }
    accepted(&waiting.order, &waiting.execution).await;
}

/// Whatever is asked, the answer has the headers that keep browsers from doing harm.
pub async fn has_the_headers(method: &str, path: &str) {
    let response = ask(method, path, "a=b%20c&%FF", &[], "").await;
    let status = response.status();
    assert!(status.as_u16() < 500, "{method} {path}: {status}");
    for (name, value) in [
        (
            "content-security-policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
        ("referrer-policy", "same-origin"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        (
            "strict-transport-security",
            "max-age=63072000; includeSubDomains",
        ),
    ] {
        let found = response.headers().get(name);
        let found = found.and_then(|found| found.to_str().ok());
        assert_eq!(found, Some(value), "{name} of {method} {path}");
    }
}
