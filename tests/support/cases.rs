//! What may happen to an order and what must come of it: the cases that the end-to-end tests and `make verify` share.

use std::time::SystemTime;

use aws_sdk_sfn::error::ProvideErrorMetadata;
use aws_sdk_sfn::primitives::{DateTime, DateTimeFormat};
use aws_sdk_sfn::types::ExecutionStatus;
use order::{Decision, RestaurantMessage, Status};
use serde_json::{Value, json};

use crate::listener::RestaurantQueue;
use crate::stack::Stack;
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
