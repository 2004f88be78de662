//! The web pages over HTTP, as a restaurant's and a customer's browser and programs use them. The tests are named after
//! what docs/web.md promises; what needs no deployed stack is shown by crates/web/tests/handler.rs.

use std::collections::BTreeSet;
use std::time::SystemTime;

use aws_sdk_dynamodb::primitives::{DateTime, DateTimeFormat};
use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::join_all;
use support::pages::{Link, Waiting, ask, link, orderctl, signature_of};
use support::{Stack, TestOrder, cases, output, poll_until, unique};

#[tokio::test]
async fn a_restaurant_accepts_by_its_link_and_both_sides_read_when_it_is_ready() {
    let stack = Stack::connect();
    cases::accepted_by_page(&stack, TestOrder::new(&stack).await).await;
}

#[tokio::test]
async fn one_order_is_declined_after_a_second_question_and_the_customer_reads_why() {
    cases::declined_by_page(TestOrder::new(&Stack::connect()).await).await;
}

#[tokio::test]
async fn a_customer_cancels_and_the_restaurant_is_told() {
    cases::cancelled_by_page(TestOrder::new(&Stack::connect()).await).await;
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
    // And one by the AWS CLI's call, which is taken, or refused because another one was.
    let cli = async {
        let answer = r#"{"isAccepted": false}"#;
        let sent = stack.answer(&message.task_token, answer).await;
        let refusal = sent.err().map(|error| support::refusal(&error));
        assert!(
            refusal.as_ref().is_none_or(|refusal| {
                refusal.starts_with("TaskTimedOut") || refusal.starts_with("TaskDoesNotExist")
            }),
            "{refusal:?}"
        );
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
        poll_until(|| async {
            let json = page.json().await;
            let shown = match json["page"].as_str() {
                Some("restaurant") => &json["closed"][0]["status"],
                _ => &json["status"],
            };
            if shown == status {
                return Ok(());
            }
            Err(format!("{} shows {json}", page.path))
        })
        .await;
        let html = page.page().await;
        assert!(!html.contains("<form"), "{}: {html}", page.path);
    }
}

#[tokio::test]
async fn a_get_head_or_options_changes_nothing() {
    let stack = Stack::connect();
    cases::looked_at(&stack, TestOrder::new(&stack).await, 100).await;
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
    cases::posted_from_elsewhere(&stack, TestOrder::new(&stack).await).await;
}

#[tokio::test]
async fn a_forged_and_an_expired_link_are_refused() {
    cases::refused_links(TestOrder::new(&Stack::connect()).await).await;
}

/// The query of a link with one character of its signature changed: it can be read, and does not hold.
fn forged(query: &str) -> String {
    let signature = signature_of(query);
    let (begin, rest) = signature.split_at(signature.len() / 2);
    let other = if rest.starts_with('A') { 'B' } else { 'A' };
    query.replace(signature, &format!("{begin}{other}{}", &rest[1..]))
}

#[tokio::test]
async fn a_refused_link_teaches_nothing() {
    let stack = Stack::connect();
    let waiting = Waiting::new(&stack).await;
    let query = &waiting.one.query;
    let there = forged(query);
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
    cases::revoked(&stack, TestOrder::new(&stack).await).await;
}

#[tokio::test]
async fn a_revocation_replaces_no_later_one() {
    let stack = Stack::connect();
    let table = output("RevocationsTableName");
    let id = unique();
    let key = AttributeValue::S(format!("customer {id}"));
    let in_2100 = AttributeValue::N("4102444800".into());
    let put = stack.dynamodb.put_item().table_name(&table);
    let put = put
        .item("link", key.clone())
        .item("revoked_until", in_2100.clone());
    put.send().await.expect("a later revocation");
    orderctl(&["link", "--revoke", "customer", &id]).await;
    let get = stack.dynamodb.get_item().table_name(&table);
    let row = get.key("link", key).consistent_read(true).send().await;
    let row = row.expect("a read").item.expect("the revocation");
    assert_eq!(row["revoked_until"], in_2100);
}

#[tokio::test]
async fn a_link_for_each_order_is_published_for_its_restaurant() {
    let stack = Stack::connect();
    cases::link_published(&stack, TestOrder::new(&stack).await).await;
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
        cases::has_the_headers(method, path).await;
    }
}
