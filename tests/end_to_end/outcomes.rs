//! The four outcomes of an order, and that each of them is final.

use aws_sdk_sfn::error::ProvideErrorMetadata;
use aws_sdk_sfn::types::ExecutionStatus;
use order::{MAX_REASON, Status};
use serde_json::json;

use support::{SHORT_TIMEOUT, Stack, TestOrder, seconds};

#[tokio::test]
async fn an_order_that_the_restaurant_accepts_is_confirmed() {
    let stack = Stack::connect();
    let order = TestOrder::new(&stack).await;
    let execution = order.place().await;
    let message = order.restaurant_message().await;
    order.accept(&message).await;
    order.assert_ended(&execution, Status::Accepted, None).await;

    let mut sent = serde_json::to_value(message).expect("the message as JSON");
    sent["task_token"] = json!("");
    let deadline = sent["respond_by"].take();
    assert_eq!(
        sent,
        json!({
            "order_id": order.order.order_id,
            "restaurant_id": order.order.restaurant_id,
            "items": order.order.items,
            "currency": "EUR",
            "total_amount": 3150,
            "note": "No basil, please",
            "respond_by": null,
            "task_token": "",
        }),
        "message to the restaurant"
    );
    let item = stack.item(&order.order.order_id).await.expect("the order");
    let time_left = seconds(deadline.as_str().unwrap_or_default())
        - seconds(item["placed_at"].as_str().unwrap_or_default());
    assert!(
        (600.0..660.0).contains(&time_left),
        "respond_by is {time_left} s after the order was placed, not the 600 s that the workflow waits"
    );
}

#[tokio::test]
async fn an_order_that_the_restaurant_declines_is_rejected() {
    let stack = Stack::connect();
    let order = TestOrder::new(&stack).await;
    let execution = order.place_and_answer(r#"{"isAccepted": false}"#).await;
    order.assert_ended(&execution, Status::Rejected, None).await;
}

#[tokio::test]
async fn the_reason_of_a_rejection_reaches_order_event_customer_and_output() {
    let stack = Stack::connect();
    let longest = "天🍕".repeat(MAX_REASON / 2);
    let cut = format!("a{}", "🍕".repeat(MAX_REASON - 1));
    for (given, kept) in [
        (json!("Out of dough"), Some("Out of dough")),
        (
            json!("  Out\n\tof \u{0}\u{fffe} \"dough\" "),
            Some("Out of \"dough\""),
        ),
        (json!(longest), Some(longest.as_str())),
        // An answer that is clear stays what it is, whatever stands beside it.
        (json!(format!("{longest} and more")), Some(longest.as_str())),
        // Cut between two characters, never within one.
        (
            json!(format!("a{}", "🍕".repeat(MAX_REASON))),
            Some(cut.as_str()),
        ),
        (json!(" \n "), None),
        (json!(""), None),
        (json!(42), None),
        (json!(["Out of dough"]), None),
        (json!({ "because": "Out of dough" }), None),
        (json!(null), None),
    ] {
        let order = TestOrder::new(&stack).await;
        let answer = json!({ "isAccepted": false, "reason": given });
        let execution = order.place_and_answer(&answer.to_string()).await;
        order.assert_ended(&execution, Status::Rejected, kept).await;
    }
}

#[tokio::test]
async fn half_a_character_in_a_reason_does_not_stop_the_rejection() {
    let stack = Stack::connect();
    let order = TestOrder::new(&stack).await;
    let answer = r#"{"isAccepted": false, "reason": "Out\ud83d of \ud83c\udf55"}"#;
    let execution = order.place_and_answer(answer).await;
    order
        .assert_ended(&execution, Status::Rejected, Some("Out of 🍕"))
        .await;
}

#[tokio::test]
async fn the_reason_of_an_acceptance_is_ignored() {
    let stack = Stack::connect();
    let order = TestOrder::new(&stack).await;
    let answer = r#"{"isAccepted": true, "reason": "With pleasure"}"#;
    let execution = order.place_and_answer(answer).await;
    order.assert_ended(&execution, Status::Accepted, None).await;
}

#[tokio::test]
async fn an_order_without_an_answer_expires_and_a_late_answer_changes_nothing() {
    let stack = Stack::connect();
    let order = TestOrder::new(&stack).await;
    let execution = order.place_on(&stack.impatient_state_machine().await).await;
    let message = order.restaurant_message().await;
    order.assert_ended(&execution, Status::TimedOut, None).await;

    let late = stack
        .sfn
        .send_task_success()
        .task_token(&message.task_token)
        .output(r#"{"isAccepted": true}"#)
        .send()
        .await
        .expect_err("an answer after the timeout is refused");
    assert!(
        matches!(late.code(), Some("TaskTimedOut" | "TaskDoesNotExist")),
        "a late answer after {SHORT_TIMEOUT} s got {:?}",
        late.code()
    );
    let item = stack.item(&order.order.order_id).await.expect("the order");
    assert_eq!(
        item["status"], "TIMED_OUT",
        "a late answer changed the order"
    );
}

#[tokio::test]
async fn an_order_that_the_restaurant_cannot_process_is_failed_with_its_reason() {
    let stack = Stack::connect();
    for (error, cause, reason) in [
        (
            Some("RestaurantUnavailable"),
            Some("The oven is broken"),
            "RestaurantUnavailable: The oven is broken",
        ),
        (Some("RestaurantUnavailable"), None, "RestaurantUnavailable"),
        // What Step Functions calls a failure without a name.
        (None, None, "TaskFailed"),
    ] {
        let order = TestOrder::new(&stack).await;
        let execution = order.place().await;
        let message = order.restaurant_message().await;
        order.fail(&message.task_token, error, cause).await;
        order
            .assert_ended(&execution, Status::Failed, Some(reason))
            .await;
    }
}

#[tokio::test]
async fn a_second_answer_changes_nothing() {
    let stack = Stack::connect();
    let order = TestOrder::new(&stack).await;
    let execution = order.place().await;
    let message = order.restaurant_message().await;
    order.accept(&message).await;
    let second = stack
        .sfn
        .send_task_success()
        .task_token(&message.task_token)
        .output(r#"{"isAccepted": false}"#)
        .send()
        .await;
    // Whether Step Functions refuses the second answer at once depends on how fast the execution went on.
    if let Err(error) = second {
        assert!(
            matches!(error.code(), Some("TaskTimedOut" | "TaskDoesNotExist")),
            "a second answer got {:?}",
            error.code()
        );
    }
    order.assert_ended(&execution, Status::Accepted, None).await;
}

#[tokio::test]
async fn the_restaurant_inbox_holds_the_message_with_the_task_token() {
    let stack = Stack::connect();
    let order = TestOrder::new(&stack).await;
    let execution = order.place().await;
    let message = order.restaurant_message().await;
    let in_inbox = stack.take_from_inbox(&order.order.order_id).await;
    assert!(
        in_inbox == message,
        "the inbox holds another message than the restaurant got"
    );
    order.accept(&message).await;
    order.assert_ended(&execution, Status::Accepted, None).await;
}

#[tokio::test]
async fn an_order_that_was_placed_already_is_refused_and_left_as_it_is() {
    let stack = Stack::connect();
    let order = TestOrder::new(&stack).await;
    let execution = order.place().await;
    let message = order.restaurant_message().await;
    let stored = stack.item(&order.order.order_id).await;

    let mut other = order.order.clone();
    other.note = Some("Another order under the same id".into());
    let input = serde_json::to_string(&other).expect("an order as JSON");
    let again = stack
        .start(
            &Stack::state_machine(),
            &format!("{}-again", other.order_id),
            &input,
        )
        .await;
    let again = stack.end_of(&again).await;
    assert_eq!(again.status, ExecutionStatus::Failed);
    assert_eq!(
        again.error(),
        Some("DuplicateOrder"),
        "cause: {:?}",
        again.cause()
    );
    assert_eq!(
        stack.item(&other.order_id).await,
        stored,
        "the first order was changed"
    );

    order.accept(&message).await;
    order.assert_ended(&execution, Status::Accepted, None).await;
}

#[tokio::test]
async fn starting_the_same_execution_twice_places_one_order() {
    let stack = Stack::connect();
    let order = TestOrder::new(&stack).await;
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
        Err(error) => assert_eq!(error.code(), Some("ExecutionAlreadyExists")),
    }
    let message = order.restaurant_message().await;
    order.accept(&message).await;
    order.assert_ended(&execution, Status::Accepted, None).await;
}
