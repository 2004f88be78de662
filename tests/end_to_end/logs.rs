//! What the functions log: one line for each request, which order it was, and nothing of what was ordered.

use std::collections::BTreeSet;

use order::Status;
use serde_json::{Value, json};
use support::pages::ask;
use support::{Stack, TestOrder, log_lines, log_of_call, physical_id, unique};

#[tokio::test]
async fn each_request_is_one_line_with_the_order_and_without_its_content_or_token() {
    let stack = Stack::connect();
    let mut order = TestOrder::new(&stack).await.order;
    let secret = format!("secret-{}", unique());
    order.note = Some(secret.clone());
    order.items[0].name.clone_from(&secret);
    order.customer_id.clone_from(&secret);
    let order = TestOrder::listening(&stack, order).await;
    let execution = order.place().await;
    let message = order.restaurant_message().await;
    order.accept(&message).await;
    order.assert_ended(&execution, Status::Accepted, None).await;

    for function in ["save-order", "update-status", "notify-user"] {
        let lines = log_lines(function).await;
        let told = lines
            .iter()
            .any(|line| line.contains(&secret) || line.contains(&message.task_token));
        assert!(
            !told,
            "{function} logs what was ordered, who ordered it, or the task token"
        );

        let of_order: Vec<Value> = lines
            .iter()
            .filter(|line| line.contains(&order.order.order_id))
            .map(|line| serde_json::from_str(line).expect("a line of JSON"))
            .collect();
        // On a busy machine the workflow may have asked again: that is another request.
        let requests: BTreeSet<_> = of_order
            .iter()
            .map(|line| line["request_id"].as_str())
            .collect();
        assert!(!of_order.is_empty(), "{function} logged nothing");
        assert_eq!(
            of_order.len(),
            requests.len(),
            "{function} logged more than one line for a request"
        );
        let last = of_order.last().expect("a line");
        assert_eq!(last["outcome"], "succeeded", "{function}");
        assert_eq!(last["level"], "INFO", "{function}");
        for line in &of_order {
            assert_eq!(
                line["order_id"],
                order.order.order_id.as_str(),
                "{function}"
            );
            assert_eq!(line["execution"], execution.as_str(), "{function}");
            for field in ["timestamp", "request_id", "trace_id"] {
                assert!(
                    line[field].as_str().is_some_and(|text| !text.is_empty()),
                    "{function} logs no {field}"
                );
            }
        }
    }
}

#[tokio::test]
async fn what_is_kept_of_open_orders_is_logged_without_content_or_token() {
    let stack = Stack::connect();
    let order = TestOrder::new(&stack).await;
    let execution = order.place().await;
    let message = order.restaurant_message().await;
    order.accept(&message).await;
    order.assert_ended(&execution, Status::Accepted, None).await;

    let note = order.order.note.as_deref().unwrap_or_default();
    let lines = log_lines("open-orders").await;
    let told = lines
        .iter()
        .any(|line| line.contains(&message.task_token) || line.contains(note));
    assert!(!told, "open-orders logs what was ordered, or a task token");
    let of_order = lines
        .iter()
        .filter(|line| line.contains(&order.order.order_id));
    let outcomes: BTreeSet<_> = of_order
        .map(|line| {
            let line: Value = serde_json::from_str(line).expect("a line of JSON");
            assert_eq!(line["order_id"], order.order.order_id.as_str());
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

#[tokio::test]
async fn nothing_that_somebody_sends_beside_an_order_is_logged() {
    let stack = Stack::connect();
    let secret = format!("secret{}", unique());
    let refused = format!(r#"{{"order_id": "{}", "coupon": "{secret}"}}"#, unique());
    let refused = stack
        .start(&Stack::state_machine(), &unique(), &refused)
        .await;
    stack.end_of(&refused).await;
    let failed = TestOrder::new(&stack).await;
    let execution = failed.place().await;
    let token = failed.restaurant_message().await.task_token;
    let name = format!("Oven{secret}");
    failed.fail(&token, Some(&name), Some(&secret)).await;
    stack.end_of(&execution).await;
    for (function, execution) in [("save-order", &refused), ("update-status", &execution)] {
        let logged = log_of_call(function, execution).await;
        assert!(!logged.is_empty(), "{function} logs nothing of the call");
        for line in logged {
            assert!(
                !line.contains(&secret),
                "{function} logs what somebody sent: {line}"
            );
        }
    }
    let query = format!("id=ord-1&s={secret}&coupon={secret}");
    let headers = [
        "user-agent",
        "cookie",
        "referer",
        "x-forwarded-for",
        "x-note",
    ]
    .map(|name| (name, secret.as_str()));
    for (method, path) in [
        ("GET", "/order"),
        ("POST", "/customer"),
        ("GET", secret.as_str()),
    ] {
        let path = format!("/{}", path.trim_start_matches('/'));
        ask(
            method,
            &path,
            &query,
            &headers,
            &format!("order={secret}&do=accept"),
        )
        .await;
    }
    for line in log_lines("web").await {
        assert!(
            !line.contains(&secret),
            "web logs what somebody sent: {line}"
        );
    }
}
