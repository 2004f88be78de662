//! The five outcomes of an order, and that each of them is final.

use order::{MAX_REASON, Status};
use serde_json::json;

use support::cases::{self, assert_answer_refused, seconds_from_now};
use support::{RestaurantQueue, Stack, TestOrder, seconds};

async fn answered(answer: &str, status: Status, reason: Option<&str>) {
    let order = TestOrder::new(&Stack::connect()).await;
    cases::answered(order, answer, status, reason).await;
}

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
    answered(r#"{"isAccepted": false}"#, Status::Rejected, None).await;
}

#[tokio::test]
async fn an_order_that_is_cancelled_is_cancelled_with_its_reason() {
    answered(r#"{"isCancelled": true}"#, Status::Cancelled, None).await;
    let (answer, reason) = (
        r#"{"isCancelled": true, "reason": "Ordered\ttwice"}"#,
        "Ordered twice",
    );
    answered(answer, Status::Cancelled, Some(reason)).await;
    // A cancellation ignores what only an acceptance may say.
    let answer = json!({ "isCancelled": true, "ready_at": seconds_from_now(1500), "reason": 42 });
    answered(&answer.to_string(), Status::Cancelled, None).await;
}

#[tokio::test]
async fn an_acceptance_may_say_when_the_order_is_ready() {
    const DAY: i64 = 24 * 60 * 60;
    let stack = Stack::connect();
    let soon = seconds_from_now(25 * 60);
    for (given, kept) in [
        (json!(soon), true),
        (json!(soon.replace("+02:00", ".5+02:00")), true),
        (json!(seconds_from_now(DAY - 60)), true),
        // In the past, and more than a day away: however long the answer takes.
        (json!(seconds_from_now(-120)), false),
        (json!(seconds_from_now(DAY + 10 * 60)), false),
        (json!(soon.replace("+02:00", "")), false),
        (json!(soon.replace('T', " ")), false),
        (json!("in 25 minutes"), false),
        (json!("9999-99-99T99:99:99Z"), false),
        (json!(""), false),
        (json!(1_900_000_000), false),
        (json!([soon]), false),
        (json!({ "at": soon }), false),
        (json!(null), false),
    ] {
        cases::accepted_for(TestOrder::new(&stack).await, given, kept).await;
    }
}

#[tokio::test]
async fn a_rejection_does_not_say_when_the_order_is_ready() {
    let answer = json!({ "isAccepted": false, "ready_at": seconds_from_now(1500) });
    answered(&answer.to_string(), Status::Rejected, None).await;
}

#[tokio::test]
async fn the_reason_of_a_rejection_reaches_order_event_customer_and_output() {
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
        let answer = json!({ "isAccepted": false, "reason": given });
        answered(&answer.to_string(), Status::Rejected, kept).await;
    }
}

#[tokio::test]
async fn half_a_character_in_a_reason_does_not_stop_the_rejection() {
    let answer = r#"{"isAccepted": false, "reason": "Out\ud83d of \ud83c\udf55"}"#;
    answered(answer, Status::Rejected, Some("Out of 🍕")).await;
}

#[tokio::test]
async fn the_reason_of_an_acceptance_is_ignored() {
    let answer = r#"{"isAccepted": true, "reason": "With pleasure"}"#;
    answered(answer, Status::Accepted, None).await;
}

#[tokio::test]
async fn an_order_without_an_answer_expires_and_a_late_answer_changes_nothing() {
    let stack = Stack::connect();
    let order = TestOrder::new(&stack).await;
    // The table of open orders has the token for seconds only, and may miss them on a busy machine.
    let queue = RestaurantQueue::of(&stack, &order.order.restaurant_id).await;
    let execution = order.place_on(&stack.impatient_state_machine().await).await;
    let message = queue.next().await;
    order.assert_ended(&execution, Status::TimedOut, None).await;

    let late = stack
        .answer(&message.task_token, r#"{"isAccepted": true}"#)
        .await
        .expect_err("an answer after the timeout is refused");
    assert_answer_refused(&late);
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
        // The local AWS gives a failure without a name this one.
        (
            None,
            Some("The oven is broken"),
            "TaskFailed: The oven is broken",
        ),
        (None, None, "TaskFailed"),
    ] {
        let order = TestOrder::new(&stack).await;
        let kept = cases::failure_reported(&stack, order, error, cause).await;
        assert_eq!(
            kept, reason,
            "the reason of the failure {error:?} {cause:?}"
        );
    }
}

#[tokio::test]
async fn a_second_answer_changes_nothing() {
    let stack = Stack::connect();
    cases::answered_twice(&stack, TestOrder::new(&stack).await).await;
}

#[tokio::test]
async fn a_restaurant_hears_from_the_topic_what_the_table_of_open_orders_has() {
    let stack = Stack::connect();
    cases::heard_from_the_topic(&stack, TestOrder::new(&stack).await).await;
}

#[tokio::test]
async fn an_order_that_was_placed_already_is_refused_and_left_as_it_is() {
    let stack = Stack::connect();
    cases::placed_already(&stack, TestOrder::new(&stack).await).await;
}

#[tokio::test]
async fn starting_the_same_execution_twice_places_one_order() {
    let stack = Stack::connect();
    cases::started_twice(&stack, TestOrder::new(&stack).await).await;
}
