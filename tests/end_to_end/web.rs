//! The web pages over HTTP, as a restaurant's and a customer's browser and programs use them. The tests are named after
//! what docs/web.md promises; what needs no deployed stack is shown by crates/web/tests/handler.rs.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::primitives::{DateTime, DateTimeFormat};
use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use support::{Stack, TestOrder, orderctl_binary, output, poll_until, unique};
use tokio::process::Command;
use tokio::time::{Instant, sleep};

/// How long what must happen is waited for.
const PATIENCE: Duration = Duration::from_mins(2);

/// A link, as its path and query.
#[derive(Clone)]
struct Link {
    path: String,
    query: String,
}

/// Makes a link, as those do who may.
async fn link(arguments: &[&str]) -> Link {
    let made = orderctl(&[&["link"], arguments].concat()).await;
    let made: Value = serde_json::from_str(&made).expect("JSON");
    Link::of(made["url"].as_str().expect("a link"))
}

async fn orderctl(arguments: &[&str]) -> String {
    let run = Command::new(orderctl_binary())
        .args(["--output", "json"])
        .args(arguments)
        .output()
        .await
        .expect("orderctl");
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "orderctl {arguments:?}: {said}");
    String::from_utf8(run.stdout).expect("text")
}

impl Link {
    fn of(url: &str) -> Self {
        let rest = url
            .strip_prefix(&output("WebUrl"))
            .unwrap_or_else(|| panic!("a link to another site: {url}"));
        let (path, query) = rest.split_once('?').expect("a query");
        Self {
            path: path.into(),
            query: query.into(),
        }
    }

    /// Its address on the site of the pages.
    fn address(&self) -> String {
        format!("{}?{}", self.path, self.query)
    }

    async fn ask(&self, method: &str, headers: &[(&str, &str)], body: &str) -> Response<String> {
        ask(method, &self.path, &self.query, headers, body).await
    }

    /// The page, as a browser without a script gets it.
    async fn page(&self) -> String {
        let response = self.ask("GET", &[], "").await;
        assert_eq!(response.status(), 200, "{}", self.path);
        response.into_body()
    }

    /// What a program gets.
    async fn json(&self) -> Value {
        let response = self.ask("GET", &[("accept", "application/json")], "").await;
        assert_eq!(response.status(), 200, "{}", self.path);
        serde_json::from_str(response.body()).expect("JSON")
    }

    /// Sends a form, and gives the page that it leads to.
    async fn answer(&self, form: &str) -> Self {
        let response = self.ask("POST", &[], form).await;
        assert_eq!(response.status(), 303, "{form}: {}", response.body());
        let location = response.headers()["location"].to_str().expect("ASCII");
        Self::of(&format!("{}{location}", output("WebUrl")))
    }

    /// Looks until the page says something.
    async fn says(&self, what: &str) -> String {
        let begun = Instant::now();
        loop {
            let page = self.page().await;
            if page.contains(what) {
                return page;
            }
            assert!(begun.elapsed() < PATIENCE, "never says {what}: {page}");
            sleep(Duration::from_millis(200)).await;
        }
    }
}

/// Asks the pages. Their name resolves to this machine in browsers and in curl, but not in every resolver: so it is told
/// in the header alone. A page says with 503 that AWS did not answer in time, as the local AWS does on a busy machine. It is
/// asked again then: an answer that is sent twice counts once.
async fn ask(
    method: &str,
    path: &str,
    query: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Response<String> {
    let site = output("WebUrl");
    let host = site.split("://").nth(1).expect("a host");
    let port = host.split(':').nth(1).expect("a port");
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    poll_until(async || {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://127.0.0.1:{port}{path}?{query}"))
            .header("host", host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(Full::from(body.to_owned()))
            .expect("a request");
        let response = client.request(request).await.expect("an answer");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let body = String::from_utf8(body.to_vec()).expect("text");
        assert!(!body.contains("task_token"), "{path}: {body}");
        match parts.status.as_u16() {
            503 => Err(format!("{path}: {body}")),
            _ => Ok(Response::from_parts(parts, body)),
        }
    })
    .await
}

/// An order that waits for its restaurant, with a link of each kind.
struct Waiting {
    order: TestOrder,
    execution: String,
    restaurant: Link,
    one: Link,
    customer: Link,
}

impl Waiting {
    async fn new(stack: &Stack) -> Self {
        let order = TestOrder::new(stack).await;
        let execution = order.place().await;
        order.restaurant_message().await;
        let id = order.order.order_id.as_str();
        let (restaurant, one, customer) = (
            link(&["restaurant", &order.order.restaurant_id]).await,
            link(&["order", id]).await,
            link(&["customer", id]).await,
        );
        restaurant.says(&format!("o-{id}")).await;
        Self {
            order,
            execution,
            restaurant,
            one,
            customer,
        }
    }

    fn id(&self) -> &str {
        &self.order.order.order_id
    }
}

#[tokio::test]
async fn a_restaurant_accepts_by_its_link_and_both_sides_read_when_it_is_ready() {
    let stack = Stack::connect();
    let waiting = Waiting::new(&stack).await;
    assert!(
        waiting
            .customer
            .page()
            .await
            .contains("The restaurant has not answered yet")
    );
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
    let item = stack.item(waiting.id()).await.expect("the order");
    assert_eq!(item["status"], "ACCEPTED");
    let json = waiting.customer.json().await;
    assert_eq!(json["ready_at"], item["ready_at"]);
    assert_eq!(json["can_answer"], false);
}

#[tokio::test]
async fn one_order_is_declined_after_a_second_question_and_the_customer_reads_why() {
    let stack = Stack::connect();
    let waiting = Waiting::new(&stack).await;
    let asked = waiting
        .one
        .ask("POST", &[], "do=decline&reason=Out+of+dough")
        .await;
    assert_eq!(asked.status(), 200);
    assert!(asked.body().contains("name=\"sure\""), "{}", asked.body());
    assert_eq!(waiting.one.json().await["status"], "PLACED");
    waiting
        .one
        .answer("do=decline&reason=Out+of+dough&sure=yes")
        .await
        .says("Declined <time")
        .await;
    assert!(waiting.customer.page().await.contains("Out of dough"));
}

#[tokio::test]
async fn a_customer_cancels_and_the_restaurant_is_told() {
    let stack = Stack::connect();
    let waiting = Waiting::new(&stack).await;
    waiting
        .customer
        .answer("do=cancel&sure=yes")
        .await
        .says("Cancelled <time")
        .await;
    waiting.restaurant.says("The customer cancelled").await;
    stack.end_of(&waiting.execution).await;
    assert_eq!(
        stack.item(waiting.id()).await.expect("the order")["status"],
        "CANCELLED"
    );
}

#[tokio::test]
async fn one_outcome_whoever_answers_however_often() {
    let stack = Stack::connect();
    let waiting = Waiting::new(&stack).await;
    let id = waiting.id();
    let message = waiting.order.restaurant_message().await;
    let forms = [
        (
            &waiting.restaurant,
            format!("order={id}&do=accept&minutes=20"),
        ),
        (
            &waiting.restaurant,
            format!("order={id}&do=accept&minutes=20"),
        ),
        (
            &waiting.restaurant,
            format!("order={id}&do=decline&reason=Busy"),
        ),
        (&waiting.one, "do=decline&reason=Busy&sure=yes".to_owned()),
        (&waiting.customer, "do=cancel&sure=yes".to_owned()),
    ];
    let posts = forms.iter().map(|(link, form)| link.answer(form));
    // And one by the AWS CLI's call, whatever comes of it.
    let cli = async {
        let sent = stack
            .sfn
            .send_task_success()
            .task_token(&message.task_token);
        let _ = sent.output(r#"{"isAccepted": false}"#).send().await;
    };
    let (pages, ()) = futures_util::future::join(join_all(posts), cli).await;
    stack.end_of(&waiting.execution).await;
    let item = stack.item(id).await.expect("the order");
    let status = item["status"].as_str().expect("a status");
    assert!(
        ["ACCEPTED", "REJECTED", "CANCELLED"].contains(&status),
        "{status}"
    );
    // Everybody reads the same, whatever they sent.
    for page in &pages {
        let begun = Instant::now();
        loop {
            let json = page.json().await;
            let shown = match json["page"].as_str() {
                Some("restaurant") => json["closed"][0]["status"].clone(),
                _ => json["status"].clone(),
            };
            if shown == status {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "{} shows {json}", page.path);
            sleep(Duration::from_millis(200)).await;
        }
        let html = page.page().await;
        assert!(!html.contains("<form"), "{}: {html}", page.path);
    }
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

#[tokio::test]
async fn a_get_head_or_options_changes_nothing() {
    let stack = Stack::connect();
    let waiting = Waiting::new(&stack).await;
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
        path: format!("{}/sent/{letter}{}", link.path, waiting.id()),
        query: link.query.clone(),
    };
    // The pages after an answer as well, to which the answer's 303 leads.
    let links = [
        (waiting.restaurant.clone(), 100),
        (waiting.one.clone(), 100),
        (waiting.customer.clone(), 100),
        (marked(&waiting.restaurant, 'a'), 1),
        (marked(&waiting.one, 'd'), 1),
        (marked(&waiting.customer, 'c'), 1),
    ];
    let fetched = links.iter().map(|(link, rounds)| async move {
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
            found = addresses(page.body(), link);
            // As a browser does, at once.
            let head = link.ask("HEAD", &[], "");
            let rest = found.iter().map(|address| {
                let (path, query) = address.split_once('?').unwrap_or((address, ""));
                ask("GET", path, query, &[], "")
            });
            let (head, rest) = futures_util::future::join(head, join_all(rest)).await;
            rest.iter().chain([&head]).for_each(assert_shown);
        }
        let itself = link.address();
        for address in ["/page.css", "/page.js", itself.as_str()] {
            assert!(found.contains(address), "{} has no {address}", link.path);
        }
    });
    join_all(fetched).await;
    // Not by `assert_eq`, which would print the row with its task token.
    assert!(state().await == before, "somebody answered");
    assert_eq!(before.0["status"], "PLACED");
    assert!(before.1.is_some(), "the order waits no more");
}

#[tokio::test]
async fn a_list_beyond_a_hundred_orders_has_each_once_page_by_page() {
    let stack = Stack::connect();
    let restaurant = unique();
    // Rows as if 230 orders waited. Many have to be answered by the same moment, so that pages begin amid them.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.expect("after 1970").as_secs().cast_signed();
    let respond_by = |number: i64| {
        let time = DateTime::from_secs(now + 400 + number / 60);
        let time = time.fmt(DateTimeFormat::DateTime).expect("a time");
        time.replace('Z', ".000Z")
    };
    let row = |number: i64| {
        let row = serde_json::json!({
            "restaurant_id": restaurant, "order_id": format!("ord-{number}"), "currency": "EUR", "total_amount": 100,
            "items": [{ "name": "Margherita", "quantity": 1, "unit_amount": 100 }],
            "respond_by": respond_by(number), "expires_at": now + 4000, "task_token": "none",
        });
        serde_dynamo::to_item(row).expect("an item")
    };
    let table = output("OpenOrdersTableName");
    let put = (0..230).map(|number| {
        let put = stack.dynamodb.put_item().table_name(&table);
        put.set_item(Some(row(number))).send()
    });
    for put in join_all(put).await {
        put.expect("a row");
    }
    let mut page = link(&["restaurant", &restaurant]).await;
    let (mut listed, mut sizes) = (Vec::new(), Vec::new());
    loop {
        let json = page.json().await;
        let open = json["open"].as_array().expect("a list");
        sizes.push(open.len());
        listed.extend(open.iter().map(|order| {
            let text = |name: &str| order[name].as_str().expect("text").to_owned();
            (text("respond_by"), text("order_id"))
        }));
        match json["next"].as_str() {
            Some(next) => page = Link::of(&format!("{}{next}", output("WebUrl"))),
            None => break,
        }
    }
    assert_eq!(sizes, [100, 100, 30]);
    assert!(listed.is_sorted_by_key(|(respond_by, _)| respond_by.clone()));
    let ids: BTreeSet<_> = listed.iter().map(|(_, id)| id).collect();
    assert_eq!(ids.len(), 230, "an order is listed twice, another is not");
}

#[tokio::test]
async fn only_a_post_from_our_own_page_or_from_a_program_decides() {
    let stack = Stack::connect();
    let waiting = Waiting::new(&stack).await;
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
    assert_eq!(sent.status(), 303);
    stack.end_of(&waiting.execution).await;
}

#[tokio::test]
async fn a_refused_link_teaches_nothing() {
    let stack = Stack::connect();
    let waiting = Waiting::new(&stack).await;
    let query = &waiting.one.query;
    let there = query.replace("&s=", "&s=x");
    let nowhere = there.replace(waiting.id(), "ord-that-is-not-there");
    let mut said = Vec::new();
    for (path, query) in [
        ("/order", &there),
        ("/order", &nowhere),
        ("/customer", query),
        ("/restaurant", &nowhere),
    ] {
        let refused = ask("GET", path, query, &[], "").await;
        assert_eq!(refused.status(), 403, "{path}");
        let mut headers: Vec<_> = refused
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}: {value:?}"))
            .collect();
        headers.retain(|header| {
            !header.starts_with("date")
                && !header.contains("request")
                && !header.starts_with("x-now")
        });
        headers.retain(|header| !header.starts_with("x-amz") && !header.starts_with("apigw"));
        headers.sort();
        said.push((headers, refused.into_body()));
    }
    said.dedup();
    assert_eq!(said.len(), 1, "{said:?}");
    // An order of another restaurant, and one that is not there.
    let other = Waiting::new(&stack).await;
    let mut said = Vec::new();
    for id in [other.id(), "ord-that-is-not-there"] {
        let form = format!("order={id}&do=accept&minutes=20");
        let refused = waiting.restaurant.ask("POST", &[], &form).await;
        assert_eq!(refused.status(), 409);
        said.push(refused.into_body());
    }
    assert_eq!(said[0], said[1]);
    assert_eq!(other.one.json().await["status"], "PLACED");
}

#[tokio::test]
async fn a_revoked_link_stops_within_a_minute_and_a_new_one_holds() {
    let stack = Stack::connect();
    let waiting = Waiting::new(&stack).await;
    let restaurant = waiting.order.order.restaurant_id.as_str();
    waiting.restaurant.page().await;
    orderctl(&["link", "--revoke", "restaurant", restaurant]).await;
    let new = link(&["restaurant", restaurant]).await;
    let begun = Instant::now();
    while waiting.restaurant.ask("GET", &[], "").await.status() != 403 {
        assert!(
            begun.elapsed() < Duration::from_mins(1),
            "the link still holds"
        );
        sleep(Duration::from_millis(500)).await;
    }
    new.page().await;
    // Other kinds and other ids stay.
    waiting.one.page().await;
    waiting.customer.page().await;
}

#[tokio::test]
async fn a_link_for_each_order_is_published_for_its_restaurant() {
    let stack = Stack::connect();
    let order = TestOrder::new(&stack).await;
    let restaurant = order.order.restaurant_id.as_str();
    let (queue, arn) = stack.queue(&format!("links-{}", unique())).await;
    let filter = serde_json::json!({ "restaurant_id": [restaurant] });
    let topic = output("LinksTopicArn");
    stack
        .subscribe(&topic, &arn, "MessageAttributes", filter)
        .await;
    order.place().await;
    let begun = Instant::now();
    let text = loop {
        let received = stack
            .sqs
            .receive_message()
            .queue_url(&queue)
            .wait_time_seconds(5)
            .send()
            .await;
        let messages = received.expect("an answer").messages.unwrap_or_default();
        if let Some(text) = messages.into_iter().next().and_then(|message| message.body) {
            break text;
        }
        assert!(begun.elapsed() < PATIENCE, "no link was published");
    };
    let url = text.split_whitespace().last().expect("a link");
    let link = Link::of(url);
    assert_eq!(link.path, "/order");
    assert_eq!(link.json().await["order_id"], order.order.order_id.as_str());
    link.answer("do=accept&minutes=20&sure=yes")
        .await
        .says("Accepted <time")
        .await;
}

#[tokio::test]
async fn a_valid_link_whose_order_is_not_stored_yet_says_one_moment() {
    let link = link(&["customer", "ord-that-comes-later"]).await;
    assert!(link.page().await.contains("One moment"));
    assert_eq!(link.json().await["page"], "not_yet");
}

#[tokio::test]
async fn every_answer_has_the_headers() {
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/page.css"),
        ("GET", "/page.js"),
        ("POST", "/order"),
        ("DELETE", "/order"),
        ("GET", "/a%20b%0A%3Fc%23d"),
        ("GET", "/%C3%A9%FF"),
    ] {
        let response = ask(method, path, "a=b%20c&%FF", &[], "").await;
        assert!(
            response.status().as_u16() < 500,
            "{method} {path}: {}",
            response.status()
        );
        for header in [
            "content-security-policy",
            "referrer-policy",
            "cache-control",
            "x-content-type-options",
            "strict-transport-security",
        ] {
            assert!(
                response.headers().contains_key(header),
                "{method} {path} has no {header}"
            );
        }
    }
}

#[tokio::test]
async fn no_link_and_no_task_token_is_logged() {
    let stack = Stack::connect();
    let waiting = Waiting::new(&stack).await;
    let message = waiting.order.restaurant_message().await;
    let refused = waiting.one.query.replace("&s=", "&s=x");
    ask("GET", "/order", &refused, &[], "").await;
    let form = format!("order={}&do=decline&reason=A+secret+reason", waiting.id());
    waiting.restaurant.answer(&form).await;
    stack.end_of(&waiting.execution).await;
    let mut told = 0;
    for function in ["web", "web-links"] {
        let lines = crate::logs::lines(function).await;
        told += lines.len();
        for line in &lines {
            for secret in [
                &message.task_token,
                &waiting.restaurant.query,
                &waiting.one.query,
                &waiting.customer.query,
            ] {
                // The signature of a link is the credential in it.
                let secret = secret.rsplit("&s=").next().expect("a part");
                assert!(!line.contains(secret), "{function} logs {line}");
            }
            for text in ["&s=", "A secret reason", "Margherita"] {
                assert!(!line.contains(text), "{function} logs {line}");
            }
        }
    }
    assert!(told > 0, "nothing was logged");
}
