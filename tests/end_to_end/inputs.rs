//! Inputs that are no valid order: each is refused with all its problems, and leaves no trace.

use aws_sdk_sfn::types::ExecutionStatus;
use serde_json::{Value, json};

use support::{Stack, TestOrder, cases, unique};

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
         note must be a string of 0 to 500 characters that can be printed; \
         coupon is not a field"
    );
    order.assert_left_no_trace().await;
}

#[tokio::test]
async fn the_topic_of_failed_executions_tells_of_those_that_need_a_person_and_not_of_bad_input() {
    let stack = Stack::connect();
    cases::told_of_failures(&stack, TestOrder::new(&stack).await).await;
}

#[tokio::test]
async fn the_topic_of_failed_executions_tells_of_one_that_was_stopped() {
    let stack = Stack::connect();
    cases::told_of_a_stop(&stack, TestOrder::new(&stack).await).await;
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
