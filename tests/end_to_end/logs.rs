//! What the functions log: one line for each request, which order it was, and nothing of what was ordered.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use support::pages::{Waiting, ask, signature_of};
use support::{Stack, TestOrder, log_lines, log_of_call, physical_id, poll_until, unique};

#[tokio::test]
async fn each_request_is_one_line_with_the_order_and_what_became_of_it() {
    let stack = Stack::connect();
    let order = TestOrder::new(&stack).await;
    let execution = order.place_and_answer(r#"{"isAccepted": true}"#).await;
    stack.end_of(&execution).await;
    let id = order.order.order_id.as_str();
    for function in ["save-order", "update-status", "notify-user"] {
        let lines = log_lines(function).await;
        let of_order: Vec<Value> = lines
            .iter()
            .filter(|line| line.contains(id))
            .map(|line| serde_json::from_str(line).expect("a line of JSON"))
            .collect();
        // On a busy machine the workflow may have asked again: that is another request.
        let requests = of_order.iter().map(|line| line["request_id"].as_str());
        let requests: BTreeSet<_> = requests.collect();
        assert!(!of_order.is_empty(), "{function} logged nothing");
        assert_eq!(
            of_order.len(),
            requests.len(),
            "{function}: lines (left), requests (right)"
        );
        let last = of_order.last().expect("a line");
        assert_eq!(last["outcome"], "succeeded", "{function}");
        assert_eq!(last["level"], "INFO", "{function}");
        for line in &of_order {
            assert_eq!(line["order_id"], id, "{function}");
            assert_eq!(line["execution"], execution.as_str(), "{function}");
            for field in ["timestamp", "request_id", "trace_id"] {
                let found = line[field].as_str();
                assert!(
                    found.is_some_and(|text| !text.is_empty()),
                    "{function} logs no {field}"
                );
            }
        }
    }
    let lines = log_lines("open-orders")
        .await
        .into_iter()
        .filter(|line| line.contains(id));
    let outcomes: BTreeSet<_> = lines
        .map(|line| {
            let line: Value = serde_json::from_str(&line).expect("a line of JSON");
            assert_eq!(line["order_id"], id);
            line["outcome"].as_str().unwrap_or_default().to_owned()
        })
        .collect();
    let expected = ["opened", "closed"].map(ToOwned::to_owned);
    assert_eq!(
        outcomes,
        expected.into(),
        "what open-orders logs of an order"
    );
}

/// All that a shop, a restaurant, a customer and a stranger send here has one word in it.
#[tokio::test]
async fn no_function_logs_what_is_sent_nor_a_link_nor_a_task_token() {
    let stack = Stack::connect();
    let secret = format!("secret{}", unique());
    let mut order = TestOrder::new(&stack).await.order;
    order.note = Some(secret.clone());
    order.items[0].name.clone_from(&secret);
    order.customer_id.clone_from(&secret);
    let waiting = Waiting::of(TestOrder::listening(&stack, order).await).await;
    let message = waiting.order.restaurant_message().await;

    let refused = json!({ "order_id": unique(), &secret: secret }).to_string();
    let refused = stack
        .start(&Stack::state_machine(), &unique(), &refused)
        .await;
    stack.end_of(&refused).await;

    let failing = TestOrder::new(&stack).await;
    let failed = failing.place().await;
    let token = failing.restaurant_message().await.task_token;
    failing
        .fail(&token, Some(&format!("Oven{secret}")), Some(&secret))
        .await;
    stack.end_of(&failed).await;

    let headers = [
        "user-agent",
        "cookie",
        "referer",
        "x-forwarded-for",
        "x-note",
    ];
    let headers = headers.map(|name| (name, secret.as_str()));
    let query = format!("id=ord-1&s={secret}&{secret}={secret}");
    for (method, path) in [
        ("GET", "/order"),
        ("POST", "/customer"),
        ("GET", &format!("/{secret}")),
    ] {
        ask(
            method,
            path,
            &query,
            &headers,
            &format!("order={secret}&do=accept"),
        )
        .await;
    }
    // The answer last: when its line is there, those of the requests before it are.
    let form = format!(
        "order={}&do=decline&reason={secret}&{secret}={secret}",
        waiting.id()
    );
    let answered = waiting.restaurant.ask("POST", &headers, &form).await;
    assert_eq!(answered.status(), 303, "{}", answered.body());
    stack.end_of(&waiting.execution).await;

    let links = [&waiting.restaurant, &waiting.one, &waiting.customer];
    let links = links.map(|link| signature_of(&link.query));
    let secrets = [
        &[secret.as_str(), &message.task_token, &token, "&s="],
        &links[..],
    ]
    .concat();
    let (_, issued) = waiting.restaurant.query.split_once("&i=").expect("a time");
    let issued = format!("\"issued\":{}", issued.split('&').next().expect("a time"));
    let mut is_told_apart = false;
    for (function, calls) in [
        ("save-order", [&refused, &waiting.execution]),
        ("update-status", [&failed, &waiting.execution]),
        ("notify-user", [&failed, &waiting.execution]),
        (
            "open-orders",
            [&failing.order.order_id, &waiting.order.order.order_id],
        ),
        (
            "web-links",
            [&failing.order.order_id, &waiting.order.order.order_id],
        ),
        (
            "web",
            [&waiting.order.order.order_id, &waiting.order.order.order_id],
        ),
    ] {
        // The lines may come later than what they tell of.
        let logged = poll_until(async || {
            let found = log_lines(function).await;
            let has = |call: &&String| found.iter().any(|line| line.contains(call.as_str()));
            match calls.iter().find(|call| !has(call)) {
                Some(call) => Err(format!("{function} logs nothing of {call}")),
                None => Ok(found),
            }
        });
        for line in logged.await {
            let told = secrets.iter().position(|secret| line.contains(secret));
            // Without the line, which has the secret.
            assert_eq!(
                told, None,
                "{function} logs one of: what was sent, two task tokens, links"
            );
            is_told_apart |= line.contains("answer given") && line.contains(&issued);
        }
    }
    assert!(
        is_told_apart,
        "web does not log which of several links to the same was used"
    );
}

#[tokio::test]
async fn a_message_that_cannot_be_kept_is_counted() {
    // Nothing of the workflow sends such a message, but whoever may publish to the restaurants' topic can.
    let stack = Stack::connect();
    let queue = physical_id("OpenOrdersQueue").await;
    let message = stack.sqs.send_message().queue_url(queue);
    let sent = message.message_body(r#"{"no": "order"}"#).send().await;
    let id = sent.expect("a message").message_id.expect("its id");
    let logged = log_of_call("open-orders", &id).await;
    assert_eq!(counted(&logged), ["OpenOrdersFailed"], "{logged:?}");
}

/// The metrics that a call counted, in their order. Alarms and dashboard look for them under the name of the stack, without
/// dimensions.
fn counted(logged: &[String]) -> Vec<String> {
    let lines = logged.iter().filter_map(|line| {
        let line: Value = serde_json::from_str(line).ok()?;
        line["_aws"].is_object().then_some(line)
    });
    let mut names = Vec::new();
    for mut line in lines {
        let directive = line["_aws"]["CloudWatchMetrics"][0].take();
        assert_eq!(directive["Namespace"], "order-workflow", "{line}");
        assert_eq!(directive["Dimensions"], json!([[]]), "{line}");
        for metric in directive["Metrics"].as_array().expect("metrics") {
            let name = metric["Name"].as_str().expect("a name");
            let is_one_value = match &line[name] {
                Value::Array(values) => values.len() == 1,
                count => *count == 1,
            };
            assert!(is_one_value, "{name} in {line}");
            names.push(name.to_owned());
        }
    }
    names.sort();
    names
}

#[tokio::test]
async fn what_becomes_of_an_order_that_is_placed_is_counted() {
    let stack = Stack::connect();
    let order = TestOrder::new(&stack).await;
    let placed = order.place_and_answer(r#"{"isAccepted": true}"#).await;
    let input = serde_json::to_string(&order.order).expect("an order as JSON");
    let refused = async |input: &str| {
        let name = format!("refused-{}", unique());
        let execution = stack.start(&Stack::state_machine(), &name, input).await;
        stack.end_of(&execution).await;
        execution
    };
    for (execution, metric) in [
        (placed, "OrdersPlaced"),
        (refused("{}").await, "OrdersInvalid"),
        (refused(&input).await, "OrdersDuplicate"),
    ] {
        let logged = log_of_call("save-order", &execution).await;
        assert_eq!(counted(&logged), [metric], "{logged:?}");
    }
}

#[tokio::test]
async fn how_an_order_ended_is_counted() {
    const TOOK: &str = "RestaurantResponseTime";
    let stack = Stack::connect();
    let ended = async |execution: &str, metrics: &[&str]| {
        stack.end_of(execution).await;
        let logged = log_of_call("update-status", execution).await;
        assert_eq!(counted(&logged), metrics, "{logged:?}");
    };
    for (answer, metrics) in [
        (r#"{"isAccepted": true}"#, ["OrdersAccepted", TOOK]),
        (r#"{"isAccepted": false}"#, ["OrdersRejected", TOOK]),
        (r#"{"isCancelled": true}"#, ["OrdersCancelled", TOOK]),
    ] {
        let order = TestOrder::new(&stack).await;
        ended(&order.place_and_answer(answer).await, &metrics).await;
    }
    for (error, metrics) in [
        ("Closed", &["OrdersFailed", "RestaurantFailures", TOOK][..]),
        ("SNS.NotFound", &["OrdersFailed", "RestaurantNotReached"]),
    ] {
        let order = TestOrder::new(&stack).await;
        let execution = order.place().await;
        let token = order.restaurant_message().await.task_token;
        order.fail(&token, Some(error), None).await;
        ended(&execution, metrics).await;
    }
    let order = TestOrder::new(&stack).await;
    let execution = order.place_on(&stack.impatient_state_machine().await).await;
    ended(&execution, &["OrdersTimedOut"]).await;
}
