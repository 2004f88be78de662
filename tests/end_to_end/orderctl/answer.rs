//! `orderctl accept`, `reject` and `fail`.

use order::Status;
use serde_json::{Value, json};
use support::{Call, Fault, Faults, Stack, TestOrder, aws, output, unique};

use super::people::{anybody, documented, restaurant};
use super::{answer, orderctl};

#[tokio::test]
async fn a_rejection_and_a_failure_are_recorded_with_what_was_said() {
    let stack = Stack::connect();
    let session = restaurant().await;
    let order = TestOrder::new(&stack).await;
    let execution = order.place().await;
    let id = order.order.order_id.as_str();
    let because = ["--reason", " Out of dough "];
    let done = answer(&session, "reject", &order.order, &because).await;
    done.assert_code(0);
    assert_eq!(done.stdout, format!("{id}  REJECTED  (Out of dough)\n"));
    order
        .assert_ended(&execution, Status::Rejected, Some("Out of dough"))
        .await;

    let order = TestOrder::new(&stack).await;
    let execution = order.place().await;
    let fail = [
        "--error",
        "RestaurantUnavailable",
        "--cause",
        "The oven is broken",
        "--output",
        "json",
    ];
    let done = answer(&session, "fail", &order.order, &fail).await;
    done.assert_code(0);
    assert_eq!(done.json()["status"], "FAILED");
    // Its text may be long and name what is not the restaurant's to read.
    assert_eq!(done.json()["status_reason"], Value::Null);
    let reason = "RestaurantUnavailable: The oven is broken";
    order
        .assert_ended(&execution, Status::Failed, Some(reason))
        .await;
}

#[tokio::test]
async fn whoever_cannot_answer_is_told_why() {
    let stack = Stack::connect();
    let session = restaurant().await;
    let order = TestOrder::new(&stack).await;
    let execution = order.place().await;
    let id = order.order.order_id.as_str();
    order.restaurant_message().await;
    let (unknown, other) = (unique(), ["accept", id, "--restaurant", "rest-other"]);
    let unknown = ["accept", &unknown, "--restaurant", "rest-7"];
    let elsewhere = [&unknown[..], &["--stack", "no-such-stack"]].concat();
    // To a restaurant, an order of another one is as unknown as one that is not there.
    let (unknown, other, elsewhere) = tokio::join!(
        orderctl(&session, &unknown),
        orderctl(&session, &other),
        orderctl(&session, &elsewhere),
    );
    unknown.assert_code(9);
    other.assert_code(9);
    elsewhere.assert_code(1);
    let done = answer(&session, "accept", &order.order, &[]).await;
    done.assert_code(0);
    order.assert_ended(&execution, Status::Accepted, None).await;

    let order = TestOrder::new(&stack).await;
    let execution = order.place_on(&stack.impatient_state_machine().await).await;
    order.assert_ended(&execution, Status::TimedOut, None).await;
    let late = answer(&session, "accept", &order.order, &[]).await;
    late.assert_code(4);
    assert!(late.stderr.contains("too late"), "{late:?}");
}

#[tokio::test]
async fn two_answers_at_once_have_one_winner_and_the_other_is_told() {
    let stack = Stack::connect();
    let session = restaurant().await;
    for _ in 0..3 {
        let order = TestOrder::new(&stack).await;
        let execution = order.place().await;
        order.restaurant_message().await;
        let (accepted, rejected) = tokio::join!(
            answer(&session, "accept", &order.order, &[]),
            answer(&session, "reject", &order.order, &[])
        );
        let status = match (accepted.code, rejected.code) {
            (Some(0), Some(3)) => Status::Accepted,
            (Some(3), Some(0)) => Status::Rejected,
            _ => panic!("not one winner: {accepted:?} {rejected:?}"),
        };
        order.assert_ended(&execution, status, None).await;
    }
}

#[tokio::test]
async fn an_answer_whose_receipt_is_lost_counts_once_and_is_told_as_taken() {
    let stack = Stack::connect();
    let faults = Faults::proxy();
    let through_the_proxy = Faults::session();
    for fault in Fault::ALL {
        let order = TestOrder::new(&stack).await;
        let execution = order.place().await;
        let token = order.restaurant_message().await.task_token;
        faults.arm(&token, Call::SendTaskSuccess, fault, Some(1));
        let id = order.order.order_id.as_str();
        let accepted = answer(&through_the_proxy, "accept", &order.order, &[]).await;
        assert_eq!(
            faults.clear(&token, Call::SendTaskSuccess),
            1,
            "{fault:?} met no call"
        );
        assert_eq!(accepted.code, Some(0), "{fault:?}: {accepted:?}");
        assert_eq!(accepted.stdout, format!("{id}  ACCEPTED\n"), "{fault:?}");
        order.assert_ended(&execution, Status::Accepted, None).await;
    }
}

#[tokio::test]
async fn an_answer_is_given_although_aws_is_silent_for_longer_than_one_round_of_attempts() {
    let stack = Stack::connect();
    let faults = Faults::proxy();
    let through_the_proxy = Faults::session();
    let order = TestOrder::new(&stack).await;
    let execution = order.place().await;
    let token = order.restaurant_message().await.task_token;
    faults.arm(&token, Call::SendTaskSuccess, Fault::Unavailable, Some(6));
    let id = order.order.order_id.as_str();
    let accepted = answer(&through_the_proxy, "accept", &order.order, &[]).await;
    let met = faults.clear(&token, Call::SendTaskSuccess);
    assert!(met > 4, "the outage was over after {met} attempts");
    assert_eq!(accepted.code, Some(0), "{accepted:?}");
    assert_eq!(accepted.stdout, format!("{id}  ACCEPTED\n"));
    order.assert_ended(&execution, Status::Accepted, None).await;
}

#[tokio::test]
async fn an_order_is_accepted_with_the_time_at_which_it_is_ready() {
    let stack = Stack::connect();
    let order = TestOrder::new(&stack).await;
    let execution = order.place().await;
    let id = order.order.order_id.as_str();
    let mut session = restaurant().await;
    // A time zone that needs no files.
    session.insert("TZ", "XYZ-05:30".into());
    let ready = ["--ready-in", "25m", "--output", "json"];
    let done = answer(&session, "accept", &order.order, &ready).await;
    done.assert_code(0);
    let sent = done.json()["ready_at"].as_str().expect("a time").to_owned();
    stack.end_of(&execution).await;
    let item = stack.item(id).await.expect("the order");
    assert_eq!(item["ready_at"], sent.as_str(), "what was sent is stored");
    assert!(sent.ends_with("+05:30"), "not in local time: {sent}");
    let utc = |local: &str| support::seconds(&format!("{local}Z")) - 5.5 * 3600.0;
    let ready = utc(sent.get(..19).expect("a time"));
    let answered = support::seconds(item["updated_at"].as_str().expect("a time"));
    let minutes = (ready - answered) / 60.0;
    assert!((24.0..26.0).contains(&minutes), "in {minutes} minutes");
    let mut backend = documented("backend").await;
    backend.insert("TZ", "XYZ-05:30".into());
    for (command, part) in [("show", "ready at"), ("watch", "ACCEPTED  (ready at ")] {
        let done = orderctl(&backend, &[command, id]).await;
        done.assert_code(0);
        let time = sent.get(11..16).expect("a time of day");
        assert!(
            done.stdout
                .lines()
                .any(|line| line.contains(part) && line.contains(time)),
            "{time} is not in {done:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_is_taken_and_not_recorded_yet_is_told_as_such() {
    let stack = Stack::connect();
    let slow = |definition: &str| {
        let mut definition: Value = serde_json::from_str(definition).expect("a definition");
        // Instead of updating the status, it waits for an answer that never comes.
        let mut waits = definition["States"]["Notify restaurant"].clone();
        waits["Arguments"] = json!({
            "TopicArn": output("UserTopicArn"),
            "Message": "{% $states.context.Task.Token %}",
        });
        waits["Next"] = definition["States"]["Update order status"]["Next"].clone();
        waits.as_object_mut().expect("a state").remove("Catch");
        definition["States"]["Update order status"] = waits;
        definition.to_string()
    };
    let machine = stack.variant(&format!("slow-{}", unique()), slow).await;
    let order = TestOrder::new(&stack).await;
    let execution = order.place_on(&machine).await;
    order.restaurant_message().await;
    let done = answer(&anybody(), "accept", &order.order, &[]).await;
    done.assert_code(11);
    assert!(done.stderr.contains("not recorded yet"), "{done:?}");
    // The loser of a race is not told that it won.
    let done = answer(&anybody(), "reject", &order.order, &[]).await;
    done.assert_code(4);
    let stop = ["stepfunctions", "stop-execution", "--execution-arn"];
    aws(&[&stop[..], &[&execution]].concat()).await;
}

#[tokio::test]
async fn an_answer_that_aws_took_is_told_as_taken_although_its_row_cannot_be_read_for_a_while() {
    let stack = Stack::connect();
    let faults = Faults::proxy();
    let through_the_proxy = Faults::session();
    let order = TestOrder::new(&stack).await;
    let execution = order.place().await;
    order.restaurant_message().await;
    let id = order.order.order_id.as_str();
    // The read before the answer gets through.
    faults.arm_after(1, id, Call::GetItem, Fault::Unavailable, Some(8));
    let accepted = answer(&through_the_proxy, "accept", &order.order, &[]).await;
    let met = faults.clear(id, Call::GetItem);
    assert_eq!(met, 8, "the reads after the answer met no outage");
    assert_eq!(accepted.code, Some(0), "{accepted:?}");
    assert_eq!(accepted.stdout, format!("{id}  ACCEPTED\n"));
    order.assert_ended(&execution, Status::Accepted, None).await;
}
