//! What the functions log: one line for each request, which order it was, and nothing of what was ordered.

use std::collections::BTreeSet;

use order::Status;
use serde_json::Value;
use support::{Stack, TestOrder, aws, log_lines, output, poll_until, unique};

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
    // Nothing of the workflow publishes such a message, but whoever may publish to the topic can.
    let topic = output("RestaurantTopicArn");
    let message = r#"{"no": "order"}"#;
    aws(&[
        "sns",
        "publish",
        "--topic-arn",
        &topic,
        "--message",
        message,
    ])
    .await;
    poll_until(|| async {
        let logged = log_lines("open-orders").await.join("\n");
        let counted = logged.contains(r#""OpenOrdersFailed":1"#);
        counted
            .then_some(())
            .ok_or("open-orders counts no OpenOrdersFailed".to_owned())
    })
    .await;
}

#[tokio::test]
async fn orders_that_are_refused_are_counted() {
    let stack = Stack::connect();
    let order = TestOrder::new(&stack).await;
    order.place_and_answer(r#"{"isAccepted": true}"#).await;
    let input = serde_json::to_string(&order.order).expect("an order as JSON");
    for (refused, input) in [("duplicate", input.as_str()), ("invalid", "{}")] {
        let name = format!("{refused}-{}", unique());
        let execution = stack.start(&Stack::state_machine(), &name, input).await;
        stack.end_of(&execution).await;
    }
    let logged = log_lines("save-order").await.join("\n");
    for metric in ["OrdersPlaced", "OrdersInvalid", "OrdersDuplicate"] {
        assert!(
            logged.contains(&format!(r#""{metric}":1"#)),
            "save-order counts no {metric}"
        );
    }
}
