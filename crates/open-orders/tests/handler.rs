//! `open-orders` against the real DynamoDB client, answered at the HTTP boundary.
#![allow(clippy::expect_used, clippy::indexing_slicing)] // also in the helpers of a test

use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::Client;
use functions::queue::Batch;
use functions::testing::{FakeAws, answered_by, outages, refusals};
use open_orders::keep;
use serde_json::{Value, json};

/// 2026-01-31T12:00:00Z
const NOON: u64 = 1_769_860_800;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn offer(respond_by: &str) -> Value {
    json!({
        "order_id": "ord-1001", "restaurant_id": "rest-7", "currency": "EUR", "total_amount": 2500,
        "items": [{ "name": "Margherita", "quantity": 2, "unit_amount": 1250 }],
        "note": "No basil, please", "respond_by": respond_by, "task_token": "secret",
    })
}

fn event(status: &str) -> Value {
    json!({
        "version": "0", "id": "1", "source": order::EVENT_SOURCE, "detail-type": format!("ORDER_{status}"),
        "account": "123456789012", "region": "eu-central-1", "time": "2026-01-31T12:05:00Z", "resources": ["an ARN"],
        "detail": {
            "order_id": "ord-1001", "status": status, "customer_id": "cust-42", "restaurant_id": "rest-7",
            "currency": "EUR", "total_amount": 2500, "placed_at": "2026-01-31T12:00:00.000Z",
            "status_reason": "as tested",
        },
    })
}

fn batch(bodies: &[Value]) -> Batch {
    let records: Vec<_> = bodies
        .iter()
        .enumerate()
        .map(|(id, body)| json!({ "messageId": id.to_string(), "body": body.to_string() }))
        .collect();
    serde_json::from_value(json!({ "Records": records })).expect("a batch as Lambda sends it")
}

/// Handles messages at noon; gives the ids of those that failed.
async fn keep_at_noon(client: &Client, bodies: &[Value]) -> Vec<String> {
    let answer = json!(keep(client, "open-orders", at(NOON), batch(bodies)).await);
    let failures = answer["batchItemFailures"].as_array().expect("a list");
    let id = |failed: &Value| failed["itemIdentifier"].as_str().map(ToOwned::to_owned);
    failures.iter().filter_map(id).collect()
}

fn error(code: &str) -> String {
    json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "as tested" })
        .to_string()
}

#[tokio::test]
async fn an_offer_is_written_unless_there_is_a_younger_row() {
    let aws = FakeAws::answering(&[(200, "{}")]);
    let client = Client::new(&aws.config());
    let failed = keep_at_noon(&client, &[offer("2026-01-31T12:10:00.000Z")]).await;
    assert_eq!(failed, [""; 0]);
    let sent: Value = serde_json::from_str(&aws.requests()[0]).expect("JSON");
    assert_eq!(sent["TableName"], "open-orders");
    assert_eq!(
        sent["ConditionExpression"],
        "attribute_not_exists(order_id) OR expires_at <= :now OR respond_by < :respond_by"
    );
    assert_eq!(
        sent["ExpressionAttributeValues"],
        json!({ ":now": { "N": NOON.to_string() }, ":respond_by": { "S": "2026-01-31T12:10:00.000Z" } })
    );
    assert_eq!(
        sent["Item"],
        json!({
            "order_id": { "S": "ord-1001" }, "restaurant_id": { "S": "rest-7" }, "currency": { "S": "EUR" },
            "total_amount": { "N": "2500" }, "note": { "S": "No basil, please" },
            "items": { "L": [{ "M": {
                "name": { "S": "Margherita" }, "quantity": { "N": "2" }, "unit_amount": { "N": "1250" },
            } }] },
            "respond_by": { "S": "2026-01-31T12:10:00.000Z" }, "task_token": { "S": "secret" },
            "expires_at": { "N": (NOON + 600 + 3600).to_string() },
        })
    );
}

#[tokio::test]
async fn a_final_event_replaces_whatever_is_there_by_the_outcome_alone() {
    for status in ["ACCEPTED", "REJECTED", "CANCELLED", "TIMED_OUT", "FAILED"] {
        let aws = FakeAws::answering(&[(200, "{}")]);
        let client = Client::new(&aws.config());
        assert_eq!(keep_at_noon(&client, &[event(status)]).await, [""; 0]);
        let sent: Value = serde_json::from_str(&aws.requests()[0]).expect("JSON");
        assert_eq!(sent.get("ConditionExpression"), None, "{status}");
        let mut expected = json!({
            "order_id": { "S": "ord-1001" }, "restaurant_id": { "S": "rest-7" }, "status": { "S": status },
            "closed_at": { "S": "2026-01-31T12:05:00Z" },
            "expires_at": { "N": (NOON + 300 + 3600).to_string() },
        });
        // The reason of a failure is not the restaurants' to read.
        if ["REJECTED", "CANCELLED"].contains(&status) {
            expected["status_reason"] = json!({ "S": "as tested" });
        }
        assert_eq!(sent["Item"], expected);
    }
}

#[tokio::test]
async fn the_outcome_has_for_when_the_order_was_accepted() {
    let aws = FakeAws::answering(&[(200, "{}")]);
    let client = Client::new(&aws.config());
    let mut accepted = event("ACCEPTED");
    accepted["detail"]["ready_at"] = json!("2026-01-31T12:20:00Z");
    assert_eq!(keep_at_noon(&client, &[accepted]).await, [""; 0]);
    let sent: Value = serde_json::from_str(&aws.requests()[0]).expect("JSON");
    assert_eq!(
        sent["Item"]["ready_at"],
        json!({ "S": "2026-01-31T12:20:00Z" })
    );
}

#[tokio::test]
async fn an_offer_past_its_deadline_is_dropped() {
    for respond_by in ["2026-01-31T12:00:00.000Z", "2026-01-31T11:59:59.999Z"] {
        let aws = FakeAws::answering(&[]);
        let client = Client::new(&aws.config());
        assert_eq!(keep_at_noon(&client, &[offer(respond_by)]).await, [""; 0]);
        assert_eq!(aws.requests(), [""; 0], "an offer of {respond_by} at noon");
    }
}

#[tokio::test]
async fn an_offer_that_the_table_does_not_take_is_done() {
    let refused = error("ConditionalCheckFailedException");
    let aws = FakeAws::answering(&[(400, &refused)]);
    let client = Client::new(&aws.config());
    let failed = keep_at_noon(&client, &[offer("2026-01-31T12:10:00.000Z")]).await;
    assert_eq!(failed, [""; 0]);
}

#[tokio::test]
async fn a_message_that_is_neither_an_offer_nor_a_final_event_fails_alone() {
    let mut no_token = offer("2026-01-31T12:10:00.000Z");
    no_token["task_token"] = Value::Null;
    let mut no_time = event("ACCEPTED");
    no_time["time"] = json!("yesterday");
    let bodies = [
        event("ACCEPTED"),
        event("PLACED"),
        event("LOST"),
        no_time,
        no_token,
        offer("soon"),
        json!("hello"),
        Value::Null,
        offer("2026-01-31T12:10:00.000Z"),
    ];
    let aws = FakeAws::answering(&[(200, "{}"), (200, "{}")]);
    let client = Client::new(&aws.config());
    let failed = keep_at_noon(&client, &bodies).await;
    assert_eq!(failed, ["1", "2", "3", "4", "5", "6", "7"]);
    assert_eq!(aws.requests().len(), 2, "writes for the other two");
}

#[tokio::test(start_paused = true)]
async fn while_dynamodb_fails_a_message_comes_again() {
    let failing = outages(error).into_iter().chain(refusals(error));
    for (why, config) in failing {
        for body in [offer("2026-01-31T12:10:00.000Z"), event("ACCEPTED")] {
            let failed = keep_at_noon(&Client::new(&config), &[body]).await;
            assert_eq!(failed, ["0"], "{why}");
        }
    }
}

#[tokio::test]
async fn one_order_that_cannot_be_written_holds_up_no_other() {
    let config = answered_by(|request| {
        if request.contains("ord-broken") {
            (400, error("ValidationException"))
        } else {
            (200, "{}".into())
        }
    });
    let mut broken = offer("2026-01-31T12:10:00.000Z");
    broken["order_id"] = json!("ord-broken");
    let bodies = [offer("2026-01-31T12:10:00.000Z"), broken, event("ACCEPTED")];
    assert_eq!(keep_at_noon(&Client::new(&config), &bodies).await, ["1"]);
}
