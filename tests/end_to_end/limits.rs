//! The largest orders and answers that the contract and Step Functions allow.

use order::{
    Item, MALFORMED_ANSWER, MAX_ID, MAX_ITEMS, MAX_NAME, MAX_NOTE, MAX_QUANTITY, MAX_UNIT_AMOUNT,
    Status,
};
use serde_json::json;
use support::cases::padded;
use support::{Stack, TestOrder, unique};

/// The largest output that `SendTaskSuccess` takes, in bytes.
const LARGEST_OUTPUT: usize = 262_144;
/// The largest answer that counts, in characters.
const LARGEST_ANSWER: usize = 59_999;
/// The largest cause that `SendTaskFailure` takes, in characters.
const LARGEST_CAUSE: usize = 32_768;

#[tokio::test]
async fn the_largest_order_reaches_table_events_and_messages_unchanged() {
    let stack = Stack::connect();
    let mut order = TestOrder::new(&stack).await.order;
    order.order_id = format!("{:-<MAX_ID$}", unique());
    order.customer_id = format!("{}{}", unique(), "ü".repeat(40));
    order.restaurant_id = format!("{:@<MAX_ID$}", format!("{} _.:/=+-", unique()));
    order.note = Some("🍕".repeat(MAX_NOTE));
    let item = Item {
        name: "天".repeat(MAX_NAME),
        quantity: MAX_QUANTITY,
        unit_amount: MAX_UNIT_AMOUNT,
    };
    order.items = vec![item; MAX_ITEMS];
    let order = TestOrder::listening(&stack, order).await;
    let execution = order.place().await;
    let message = order.restaurant_message().await;
    assert_eq!(
        message.items, order.order.items,
        "items in the message to the restaurant"
    );
    assert_eq!(
        message.note, order.order.note,
        "note in the message to the restaurant"
    );
    assert_eq!(
        message.total_amount,
        order.order.total_amount(),
        "total in the message to the restaurant"
    );
    order.accept(&message).await;
    order.assert_ended(&execution, Status::Accepted, None).await;
}

#[tokio::test]
async fn the_largest_answers_count_like_small_ones_and_fit_into_the_next_state() {
    let stack = Stack::connect();
    let reason = "Out of dough";
    for (answer, status, reason) in [
        (json!({ "isAccepted": true }), Status::Accepted, None),
        (
            json!({ "isAccepted": false, "reason": reason }),
            Status::Rejected,
            Some(reason),
        ),
        (
            json!({ "isCancelled": true, "reason": reason }),
            Status::Cancelled,
            Some(reason),
        ),
    ] {
        let order = TestOrder::new(&stack).await;
        let execution = order
            .place_and_answer(&padded(answer, LARGEST_ANSWER))
            .await;
        order.assert_ended(&execution, status, reason).await;
        assert_states_fit(&stack, &execution).await;
    }
}

#[tokio::test]
async fn an_answer_that_is_larger_fails_the_order_however_clear_it_is() {
    let stack = Stack::connect();
    for answer in [
        padded(json!({ "isAccepted": true }), LARGEST_ANSWER + 1),
        padded(json!({ "isAccepted": false }), LARGEST_OUTPUT),
        padded(json!({ "isCancelled": true }), LARGEST_OUTPUT),
        json!("x".repeat(LARGEST_OUTPUT - 2)).to_string(),
        // Four bytes a character, and six.
        json!({ "isAccepted": "🍕".repeat(LARGEST_ANSWER - 40) }).to_string(),
        json!("\u{1}".repeat((LARGEST_OUTPUT - 2) / 6)).to_string(),
    ] {
        let order = TestOrder::new(&stack).await;
        let execution = order.place_and_answer(&answer).await;
        order
            .assert_ended(&execution, Status::Failed, Some(MALFORMED_ANSWER))
            .await;
        assert_states_fit(&stack, &execution).await;
    }
}

#[tokio::test]
async fn the_largest_failure_is_kept_whole_as_the_reason() {
    let stack = Stack::connect();
    let order = TestOrder::new(&stack).await;
    let execution = order.place().await;
    let message = order.restaurant_message().await;
    let error = "E".repeat(256);
    let cause: String = "quotes \" backslash \\ {% $x %} ${Y} 天"
        .chars()
        .cycle()
        .take(LARGEST_CAUSE)
        .collect();
    order
        .fail(&message.task_token, Some(&error), Some(&cause))
        .await;
    order
        .assert_ended(
            &execution,
            Status::Failed,
            Some(&format!("{error}: {cause}")),
        )
        .await;
}

/// Fails if a state's output is larger than Step Functions allows, which the local AWS does not check.
/// <https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html>
async fn assert_states_fit(stack: &Stack, execution: &str) {
    let mut largest = 0;
    for event in stack.history(execution).await {
        if let Some(exited) = event.state_exited_event_details() {
            let size = exited.output().unwrap_or_default().len();
            largest = largest.max(size);
            assert!(
                size <= LARGEST_OUTPUT,
                "the output of {} has {size} bytes",
                exited.name()
            );
        }
    }
    assert!(largest > 0, "the history of {execution} has no outputs");
}
