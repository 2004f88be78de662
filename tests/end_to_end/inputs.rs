//! Inputs that are no valid order: each is refused with all its problems, and leaves no trace.

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sfn::types::ExecutionStatus;
use serde_json::{Value, json};

use support::{Stack, TestOrder, cases, output, unique};

/// The fields that the failed execution names, for an input that breaks the order's rules.
async fn problems_of(stack: &Stack, input: &Value) -> String {
    let execution = stack
        .start(
            &Stack::state_machine(),
            &format!("invalid-{}", unique()),
            &input.to_string(),
        )
        .await;
    let execution = stack.end_of(&execution).await;
    assert_eq!(execution.status, ExecutionStatus::Failed, "for {input}");
    assert_eq!(
        execution.error(),
        Some("InvalidOrder"),
        "for {input}: {:?}",
        execution.cause()
    );
    let cause = execution.cause().unwrap_or_default();
    let message = serde_json::from_str::<Value>(cause)
        .ok()
        .and_then(|cause| cause["errorMessage"].as_str().map(ToOwned::to_owned));
    message.unwrap_or_else(|| cause.to_owned())
}

#[tokio::test]
async fn an_order_with_five_problems_is_refused_with_all_five_and_leaves_no_trace() {
    let stack = Stack::connect();
    let order = TestOrder::new(&stack).await;
    let mut input = serde_json::to_value(&order.order).expect("an order as JSON");
    input["currency"] = json!("EURO");
    input["note"] = json!(7);
    input["items"][0]["quantity"] = json!(1.5);
    input["items"][1]["unit_amount"] = json!(-1);
    input["coupon"] = json!("FREE");
    let message = problems_of(&stack, &input).await;
    assert_eq!(
        message,
        "5 problems: currency must be a currency code of ISO 4217, such as EUR; \
         items[0].quantity must be a whole number from 1 to 999; \
         items[1].unit_amount must be a whole number from 0 to 10000000000; \
         note must be a string of 0 to 500 characters, each of which SQS accepts; \
         coupon is not a field"
    );
    order.assert_left_no_trace().await;
}

#[tokio::test]
async fn operations_are_told_of_executions_that_need_them_and_not_of_bad_input() {
    let stack = Stack::connect();
    let machine = Stack::state_machine();

    let invalid = format!("invalid-{}", unique());
    let told_of_invalid = stack.operations_queue(&invalid).await;
    let input = json!({ "order_id": invalid }).to_string();
    let execution = stack.start(&machine, &invalid, &input).await;
    let end = stack.end_of(&execution).await;
    assert_eq!(end.error(), Some("InvalidOrder"), "{:?}", end.cause());

    let mut order = TestOrder::new(&stack).await;
    order.order.note = Some("Ring at the back door".into());
    let order_id = order.order.order_id.clone();
    let told = stack.operations_queue(&order_id).await;
    let owner = order.place().await;
    let message = order.restaurant_message().await;

    let duplicate = format!("duplicate-{}", unique());
    let told_of_duplicate = stack.operations_queue(&duplicate).await;
    let input = serde_json::to_string(&order.order).expect("an order as JSON");
    let execution = stack.start(&machine, &duplicate, &input).await;
    let end = stack.end_of(&execution).await;
    assert_eq!(end.error(), Some("DuplicateOrder"), "{:?}", end.cause());

    // Somebody deletes the order while it waits for its restaurant.
    stack
        .dynamodb
        .delete_item()
        .table_name(output("OrdersTableName"))
        .key("order_id", AttributeValue::S(order_id.clone()))
        .send()
        .await
        .expect("a delete");
    order.accept(&message).await;
    let told = stack.one_message(&told).await;
    assert_eq!(told["order"], order_id.as_str());
    assert_eq!(told["status"], "FAILED");
    assert_eq!(told["error"], "OrderNotFound");
    assert_eq!(told["execution"], owner.as_str());
    assert!(
        !told.to_string().contains("back door"),
        "operations are told what the customer wrote: {told}"
    );

    // Without an error: somebody who stops an execution need not give one.
    let stopped = TestOrder::new(&stack).await;
    let told = stack.operations_queue(&stopped.order.order_id).await;
    let execution = stopped.place().await;
    stopped.restaurant_message().await;
    let stop = stack.sfn.stop_execution().execution_arn(&execution);
    stop.send().await.expect("a stop");
    let told = stack.one_message(&told).await;
    assert_eq!(told["status"], "ABORTED");

    for (queue, what) in [
        (told_of_invalid, "an invalid order"),
        (told_of_duplicate, "a duplicate order"),
    ] {
        let receive = stack.sqs.receive_message().queue_url(&queue).send().await;
        let heard = receive.expect("a receive").messages;
        assert_eq!(heard, None, "operations were told of {what}");
    }
}

#[tokio::test]
async fn an_input_that_is_no_order_at_all_is_refused() {
    let stack = Stack::connect();
    for (input, message) in [
        (json!([]), "1 problem: order must be a JSON object"),
        (json!("order"), "1 problem: order must be a JSON object"),
        (json!(null), "1 problem: order must be a JSON object"),
        (
            json!({}),
            "5 problems: currency is required; customer_id is required; items is required; \
             order_id is required; restaurant_id is required",
        ),
    ] {
        assert_eq!(problems_of(&stack, &input).await, message, "for {input}");
    }
}

#[tokio::test]
async fn any_text_reaches_table_events_and_messages_unchanged() {
    let stack = Stack::connect();
    cases::any_text(&stack, TestOrder::new(&stack).await).await;
}
