//! `update-status` against the real DynamoDB client, answered at the HTTP boundary.
#![allow(clippy::expect_used, clippy::indexing_slicing)] // also in the helpers of a test

use aws_sdk_dynamodb::Client;
use functions::testing::{FakeAws, outages, recorded, refusals};
use functions::{Error, Request};
use order::{Decision, Retention, Status};
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use update_status::{Response, UpdateStatus, update_status};

const EXECUTION: &str = "arn:aws:states:eu-central-1:123456789012:execution:orders:ord-1001";

/// Orders are kept for ever.
const FOR_EVER: Retention = Retention::days(0);

fn request(status: Status) -> UpdateStatus {
    UpdateStatus {
        order_id: "ord-1001".into(),
        execution_arn: EXECUTION.into(),
        status,
        asked_at: None,
        answered_at: None,
        updated_at: "2026-01-31T12:01:00.000Z".into(),
        result: Response::default(),
    }
}

/// The restaurant gave an answer.
fn answered(answer: &Value) -> Response {
    Response {
        answer: to_raw_value(answer).ok(),
        failure: None,
    }
}

fn error(code: &str) -> String {
    json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "as tested" })
        .to_string()
}

/// What DynamoDB answers when its condition refuses the update of an order, or there is none.
fn refused(stored: Option<(Status, &str)>) -> String {
    let mut answer = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
        "message": "The conditional request failed",
    });
    if let Some((status, execution)) = stored {
        answer["Item"] = json!({
            "order_id": { "S": "ord-1001" }, "status": { "S": status },
            "customer_id": { "S": "cust-42" }, "restaurant_id": { "S": "rest-7" }, "currency": { "S": "EUR" },
            "items": { "L": [] }, "total_amount": { "N": "2500" },
            "placed_at": { "S": "2026-01-31T12:00:00.000Z" }, "updated_at": { "S": "2026-01-31T12:00:30.000Z" },
            "execution_arn": { "S": execution },
        });
    }
    answer.to_string()
}

async fn update(aws: &FakeAws, request: UpdateStatus) -> Result<Decision, Error> {
    update_status(&Client::new(&aws.config()), "orders", FOR_EVER, request).await
}

#[tokio::test]
async fn an_order_moves_only_from_the_status_before_and_by_its_own_execution() {
    for status in Status::ALL
        .into_iter()
        .filter(|status| status.predecessor().is_some())
    {
        let aws = FakeAws::answering(&[(200, "{}")]);
        let decision = update(&aws, request(status)).await.expect("an update");
        assert_eq!(decision.status, status);
        let mut expression = "SET #status = :status, updated_at = :updated_at".to_owned();
        let mut values = json!({
            ":status": { "S": status }, ":predecessor": { "S": "PLACED" },
            ":updated_at": { "S": "2026-01-31T12:01:00.000Z" }, ":execution_arn": { "S": EXECUTION },
        });
        if let Some(reason) = decision.status_reason {
            expression += ", status_reason = :status_reason";
            values[":status_reason"] = json!({ "S": reason });
        }
        let sent: Value = serde_json::from_str(&aws.requests()[0]).expect("JSON");
        assert_eq!(sent["Key"], json!({ "order_id": { "S": "ord-1001" } }));
        assert_eq!(
            sent["ConditionExpression"],
            "#status = :predecessor AND execution_arn = :execution_arn"
        );
        assert_eq!(sent["UpdateExpression"], expression, "for {status}");
        assert_eq!(sent["ExpressionAttributeValues"], values, "for {status}");
    }
}

#[tokio::test]
async fn the_reason_is_stored_with_the_status() {
    let aws = FakeAws::answering(&[(200, "{}")]);
    let reason = "RestaurantUnavailable: The oven is broken";
    let failure = json!({ "Error": "RestaurantUnavailable", "Cause": "The oven is broken" });
    let request = UpdateStatus {
        result: Response {
            answer: None,
            failure: serde_json::from_value(failure).ok(),
        },
        ..request(Status::Failed)
    };
    let decision = update(&aws, request).await.expect("an update");
    assert_eq!(decision.status_reason.as_deref(), Some(reason));
    let sent: Value = serde_json::from_str(&aws.requests()[0]).expect("JSON");
    assert_eq!(
        sent["ExpressionAttributeValues"][":status_reason"],
        json!({ "S": reason })
    );
    assert!(
        sent["UpdateExpression"]
            .as_str()
            .is_some_and(|set| set.contains("status_reason = :status_reason")),
        "{sent}"
    );
}

#[tokio::test]
async fn when_the_order_is_ready_is_stored_with_the_status() {
    let aws = FakeAws::answering(&[(200, "{}")]);
    let ready_at = "2026-01-31T13:30:00+01:00";
    let answer = json!({ "isAccepted": true, "ready_at": ready_at });
    let request = UpdateStatus {
        result: answered(&answer),
        ..request(Status::Accepted)
    };
    let decision = update(&aws, request).await.expect("an update");
    assert_eq!(decision.ready_at.as_deref(), Some(ready_at));
    let sent: Value = serde_json::from_str(&aws.requests()[0]).expect("JSON");
    assert_eq!(
        sent["ExpressionAttributeValues"][":ready_at"],
        json!({ "S": ready_at })
    );
    assert_eq!(
        sent["UpdateExpression"],
        "SET #status = :status, updated_at = :updated_at, ready_at = :ready_at"
    );
}

#[tokio::test]
async fn a_ready_at_is_judged_by_when_the_answer_came_however_late_it_is_recorded() {
    for (ready_at, kept) in [
        ("2026-01-31T12:00:30Z", true),
        ("2026-01-31T11:40:00Z", false),
        ("2026-02-01T11:50:00Z", false),
    ] {
        let aws = FakeAws::answering(&[(200, "{}")]);
        let answer = json!({ "isAccepted": true, "ready_at": ready_at });
        let request = UpdateStatus {
            result: answered(&answer),
            answered_at: Some("2026-01-31T11:45:00.000Z".into()),
            ..request(Status::Accepted)
        };
        let decision = update(&aws, request).await.expect("an update");
        let expected = kept.then_some(ready_at);
        assert_eq!(decision.ready_at.as_deref(), expected, "{ready_at}");
    }
}

#[tokio::test]
async fn a_ready_at_that_cannot_be_kept_leaves_the_acceptance_as_it_is() {
    for ready_at in [
        json!("2026-01-31T11:59:59.999Z"),
        json!("2026-02-02T12:00:00Z"),
        json!("soon"),
        json!(null),
        json!(25),
    ] {
        let aws = FakeAws::answering(&[(200, "{}")]);
        let answer = json!({ "isAccepted": true, "ready_at": ready_at });
        let request = UpdateStatus {
            result: answered(&answer),
            ..request(Status::Accepted)
        };
        let decision = update(&aws, request).await.expect("an update");
        let accepted = Decision {
            status: Status::Accepted,
            status_reason: None,
            ready_at: None,
        };
        assert_eq!(decision, accepted, "{ready_at}");
        let sent = &aws.requests()[0];
        assert!(!sent.contains("ready_at"), "{ready_at}: {sent}");
    }
}

#[tokio::test]
async fn a_repeat_by_the_same_execution_succeeds_like_the_first_time() {
    let aws = FakeAws::answering(&[(400, &refused(Some((Status::Accepted, EXECUTION))))]);
    let decision = update(&aws, request(Status::Accepted))
        .await
        .expect("a repeat");
    assert_eq!(
        decision,
        Decision {
            status: Status::Accepted,
            status_reason: None,
            ready_at: None
        }
    );
}

#[tokio::test]
async fn a_repeat_gets_the_ready_at_that_was_recorded_first() {
    let recorded = "2026-01-31T12:10:00Z";
    let mut stored: Value =
        serde_json::from_str(&refused(Some((Status::Accepted, EXECUTION)))).expect("JSON");
    stored["Item"]["ready_at"] = json!({ "S": recorded });
    let aws = FakeAws::answering(&[(400, &stored.to_string())]);
    let answer = json!({ "isAccepted": true, "ready_at": "2026-01-31T12:20:00Z" });
    let request = UpdateStatus {
        result: answered(&answer),
        ..request(Status::Accepted)
    };
    let decision = update(&aws, request).await.expect("a repeat");
    assert_eq!(decision.ready_at.as_deref(), Some(recorded));
}

#[tokio::test]
async fn a_repeat_gets_the_reason_that_was_recorded_first() {
    let mut stored: Value =
        serde_json::from_str(&refused(Some((Status::Rejected, EXECUTION)))).expect("JSON");
    stored["Item"]["status_reason"] = json!({ "S": "Out of dough" });
    let aws = FakeAws::answering(&[(400, &stored.to_string())]);
    let answer = json!({ "isAccepted": false, "reason": "Another reason" });
    let request = UpdateStatus {
        result: answered(&answer),
        ..request(Status::Rejected)
    };
    let decision = update(&aws, request).await.expect("a repeat");
    assert_eq!(decision.status_reason.as_deref(), Some("Out of dough"));
}

#[tokio::test]
async fn an_order_expires_so_many_days_after_its_last_change() {
    let aws = FakeAws::answering(&[(200, "{}")]);
    let client = Client::new(&aws.config());
    let before = std::time::SystemTime::now();
    update_status(
        &client,
        "orders",
        Retention::days(30),
        request(Status::Accepted),
    )
    .await
    .expect("an update");
    let sent: Value = serde_json::from_str(&aws.requests()[0]).expect("JSON");
    let expires_at = sent["ExpressionAttributeValues"][":expires_at"]["N"].as_str();
    let expires_at: u64 = expires_at.expect("a number").parse().expect("seconds");
    let least = Retention::days(30).expires_at(before).expect("a time");
    assert!(
        (least..least + 60).contains(&expires_at),
        "expires_at is {expires_at}, not 30 days from {before:?}"
    );
    let expression = sent["UpdateExpression"].as_str().unwrap_or_default();
    assert!(
        expression.contains("expires_at = :expires_at"),
        "{expression}"
    );
}

#[tokio::test]
async fn an_order_keeps_its_first_final_status() {
    let aws = FakeAws::answering(&[(400, &refused(Some((Status::Accepted, EXECUTION))))]);
    let failed = update(&aws, request(Status::Rejected))
        .await
        .expect_err("a conflict");
    assert_eq!(failed.name(), "StatusConflict");
    assert_eq!(
        failed.to_string(),
        "order ord-1001 is ACCEPTED already and cannot become REJECTED"
    );
}

#[tokio::test]
async fn another_execution_cannot_change_the_order() {
    for stored in [Status::Placed, Status::Accepted] {
        let aws = FakeAws::answering(&[(400, &refused(Some((stored, "another"))))]);
        let failed = update(&aws, request(Status::Accepted))
            .await
            .expect_err("a conflict");
        assert_eq!(
            failed.name(),
            "StatusConflict",
            "an order of another execution that is {stored}"
        );
    }
}

#[tokio::test]
async fn an_order_that_is_not_there_is_not_found() {
    let aws = FakeAws::answering(&[(400, &refused(None))]);
    let failed = update(&aws, request(Status::Accepted))
        .await
        .expect_err("no order");
    assert_eq!(failed.name(), "OrderNotFound");
}

#[tokio::test]
async fn no_order_moves_back_to_placed() {
    let aws = FakeAws::answering(&[]);
    let failed = update(&aws, request(Status::Placed))
        .await
        .expect_err("an illegal move");
    assert_eq!(failed.name(), "Misconfigured");
    assert_eq!(aws.requests(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_aws_that_is_down_is_worth_a_retry_by_the_workflow() {
    for (outage, config) in outages(error) {
        let failed = update_status(
            &Client::new(&config),
            "orders",
            FOR_EVER,
            request(Status::Accepted),
        )
        .await;
        let failed = failed.expect_err(outage);
        assert_eq!(failed.name(), "StoreUnavailable", "{outage}: {failed}");
    }
}

#[tokio::test]
async fn an_aws_that_refuses_needs_a_person() {
    for (refusal, config) in refusals(error) {
        let failed = update_status(
            &Client::new(&config),
            "orders",
            FOR_EVER,
            request(Status::Accepted),
        )
        .await;
        let failed = failed.expect_err(refusal);
        assert_eq!(failed.name(), "Misconfigured", "{refusal}: {failed}");
    }
}

#[tokio::test]
async fn a_request_may_lack_what_is_not_needed_and_have_what_is_not_known() {
    let request = json!({
        "order_id": "ord-1001", "execution_arn": EXECUTION, "status": "ACCEPTED",
        "updated_at": "2026-01-31T12:01:00.000Z", "from_a_later_release": [1],
    });
    let request: UpdateStatus = serde_json::from_str(&request.to_string()).expect("a request");
    let aws = FakeAws::answering(&[(200, "{}")]);
    let decision = update(&aws, request).await.expect("an update");
    let written = serde_json::to_value(decision).expect("JSON");
    assert_eq!(written, json!({ "status": "ACCEPTED" }));
}

#[test]
fn the_log_names_order_and_execution() {
    let request = request(Status::Accepted);
    assert_eq!(request.order_id().as_deref(), Some("ord-1001"));
    assert_eq!(request.execution_arn(), EXECUTION);
}

#[tokio::test]
async fn what_definitions_of_earlier_releases_send_is_accepted_and_replied_to_with_every_field() {
    for recorded in recorded("update-status") {
        let aws = FakeAws::answering(&[(200, "{}")]);
        let updated = update(&aws, recorded.request()).await;
        recorded.assert_still_replied(updated.expect("an updated order"));
    }
}
