//! `save-order` against the real DynamoDB client, answered at the HTTP boundary.
#![allow(clippy::expect_used, clippy::indexing_slicing)] // also in the helpers of a test

use aws_sdk_dynamodb::Client;
use functions::testing::{FakeAws, outages, recorded, refusals};
use functions::{Error, Request};
use order::Retention;
use save_order::{SaveOrder, Saved, save_order};
use serde_json::{Value, json};

const EXECUTION: &str = "arn:aws:states:eu-central-1:123456789012:execution:orders:ord-1001";

/// Orders are kept for ever.
const FOR_EVER: Retention = Retention::days(0);

fn request(order: &Value) -> SaveOrder {
    let request = json!({ "order": order, "execution_arn": EXECUTION, "placed_at": "2026-01-31T12:00:00.000Z" });
    serde_json::from_str(&request.to_string()).expect("a request")
}

fn order() -> Value {
    json!({
        "order_id": "ord-1001", "customer_id": "cust-42", "restaurant_id": "rest-7", "currency": "EUR",
        "items": [{ "name": "Margherita", "quantity": 2, "unit_amount": 1250 }],
    })
}

fn error(code: &str) -> String {
    json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "as tested" })
        .to_string()
}

/// What DynamoDB answers when the order is in the table, placed by an execution.
fn taken_by(execution: &str) -> String {
    json!({
        "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
        "message": "The conditional request failed",
        "Item": {
            "order_id": { "S": "ord-1001" }, "status": { "S": "ACCEPTED" },
            "customer_id": { "S": "cust-42" }, "restaurant_id": { "S": "rest-7" }, "currency": { "S": "EUR" },
            "items": { "L": [{ "M": {
                "name": { "S": "Margherita" }, "quantity": { "N": "2" }, "unit_amount": { "N": "1250" }
            } }] },
            "total_amount": { "N": "2500" },
            "placed_at": { "S": "2026-01-31T12:00:00.000Z" }, "updated_at": { "S": "2026-01-31T12:01:00.000Z" },
            "execution_arn": { "S": execution },
        }
    })
    .to_string()
}

async fn save(aws: &FakeAws) -> Result<Saved, Error> {
    save_order(
        &Client::new(&aws.config()),
        "orders",
        FOR_EVER,
        request(&order()),
    )
    .await
}

#[tokio::test]
async fn a_new_order_is_stored_as_placed_unless_there_is_one() {
    let aws = FakeAws::answering(&[(200, "{}")]);
    let saved = save(&aws).await.expect("a stored order");
    assert_eq!(
        serde_json::to_value(saved).expect("JSON"),
        json!({
            "summary": {
                "order_id": "ord-1001", "customer_id": "cust-42", "restaurant_id": "rest-7", "currency": "EUR",
                "total_amount": 2500, "placed_at": "2026-01-31T12:00:00.000Z",
            },
            "offer": {
                "order_id": "ord-1001", "restaurant_id": "rest-7", "currency": "EUR", "total_amount": 2500,
                "items": [{ "name": "Margherita", "quantity": 2, "unit_amount": 1250 }],
            },
        })
    );
    let request: Value = serde_json::from_str(&aws.requests()[0]).expect("JSON");
    assert_eq!(request["TableName"], "orders");
    assert_eq!(
        request["ConditionExpression"],
        "attribute_not_exists(order_id)"
    );
    assert_eq!(
        request["Item"],
        json!({
            "order_id": { "S": "ord-1001" }, "status": { "S": "PLACED" },
            "customer_id": { "S": "cust-42" }, "restaurant_id": { "S": "rest-7" }, "currency": { "S": "EUR" },
            "items": { "L": [{ "M": {
                "name": { "S": "Margherita" }, "quantity": { "N": "2" }, "unit_amount": { "N": "1250" }
            } }] },
            "total_amount": { "N": "2500" },
            "placed_at": { "S": "2026-01-31T12:00:00.000Z" }, "updated_at": { "S": "2026-01-31T12:00:00.000Z" },
            "execution_arn": { "S": EXECUTION },
        })
    );
}

#[tokio::test]
async fn a_repeat_by_the_same_execution_succeeds_like_the_first_time() {
    let first = save(&FakeAws::answering(&[(200, "{}")]))
        .await
        .expect("a stored order");
    let repeat = save(&FakeAws::answering(&[(400, &taken_by(EXECUTION))])).await;
    assert_eq!(repeat.expect("a repeat"), first);
}

#[tokio::test]
async fn a_note_is_for_the_restaurant_and_an_absent_one_is_left_out() {
    for (note, offered) in [
        (json!("No basil, please"), Some("No basil, please")),
        (Value::Null, None),
    ] {
        let aws = FakeAws::answering(&[(200, "{}")]);
        let mut order = order();
        order["note"] = note;
        let client = Client::new(&aws.config());
        let saved = save_order(&client, "orders", FOR_EVER, request(&order)).await;
        let saved = saved.expect("a stored order");
        let saved = serde_json::to_value(saved).expect("JSON");
        let given = saved["offer"].get("note").map(|note| note.as_str());
        assert_eq!(given, offered.map(Some), "{saved}");
        assert_eq!(saved["summary"].get("note"), None, "{saved}");
    }
}

#[tokio::test]
async fn an_order_of_another_execution_is_a_duplicate() {
    let failed = save(&FakeAws::answering(&[(400, &taken_by("another"))]))
        .await
        .expect_err("a duplicate");
    assert_eq!(failed.name(), "DuplicateOrder", "{failed}");
}

#[tokio::test]
async fn an_item_that_cannot_be_read_is_no_duplicate() {
    let mut strange: Value = serde_json::from_str(&taken_by(EXECUTION)).expect("JSON");
    strange["Item"]["status"] = json!({ "S": "EATEN" });
    let mut absent = strange.clone();
    absent.as_object_mut().expect("an object").remove("Item");
    for answer in [strange, absent] {
        let failed = save(&FakeAws::answering(&[(400, &answer.to_string())]))
            .await
            .expect_err("an item that nobody can judge");
        assert_eq!(failed.name(), "Misconfigured", "{failed}");
    }
}

#[tokio::test]
async fn an_order_expires_so_many_days_after_it_was_placed() {
    let aws = FakeAws::answering(&[(200, "{}")]);
    let client = Client::new(&aws.config());
    let before = std::time::SystemTime::now();
    save_order(&client, "orders", Retention::days(30), request(&order()))
        .await
        .expect("a stored order");
    let sent: Value = serde_json::from_str(&aws.requests()[0]).expect("JSON");
    let expires_at = sent["Item"]["expires_at"]["N"].as_str();
    let expires_at: u64 = expires_at.expect("a number").parse().expect("seconds");
    let least = Retention::days(30).expires_at(before).expect("a time");
    assert!(
        (least..least + 60).contains(&expires_at),
        "expires_at is {expires_at}, not 30 days from {before:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_answered_too_late_is_found_again_by_the_next_attempt() {
    let busy = error("InternalServerError");
    let aws = FakeAws::answering(&[(500, &busy), (400, &taken_by(EXECUTION))]);
    save(&aws)
        .await
        .expect("an order that the first attempt stored");
    assert_eq!(aws.requests().len(), 2);
}

#[tokio::test]
async fn an_invalid_order_never_reaches_aws() {
    let aws = FakeAws::answering(&[]);
    let client = Client::new(&aws.config());
    let failed = save_order(
        &client,
        "orders",
        FOR_EVER,
        request(&json!({ "order_id": "" })),
    )
    .await;
    assert_eq!(failed.expect_err("an invalid order").name(), "InvalidOrder");
    assert_eq!(aws.requests(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_aws_that_is_down_is_worth_a_retry_by_the_workflow() {
    for (outage, config) in outages(error) {
        let failed = save_order(&Client::new(&config), "orders", FOR_EVER, request(&order())).await;
        let failed = failed.expect_err(outage);
        assert_eq!(failed.name(), "StoreUnavailable", "{outage}: {failed}");
    }
}

#[tokio::test]
async fn an_aws_that_refuses_needs_a_person() {
    for (refusal, config) in refusals(error) {
        let failed = save_order(&Client::new(&config), "orders", FOR_EVER, request(&order())).await;
        let failed = failed.expect_err(refusal);
        assert_eq!(failed.name(), "Misconfigured", "{refusal}: {failed}");
        assert!(
            failed.to_string().contains(refusal),
            "the message hides the cause: {failed}"
        );
    }
}

#[test]
fn the_log_names_order_and_execution() {
    let request = request(&order());
    assert_eq!(request.order_id().as_deref(), Some("ord-1001"));
    assert_eq!(request.execution_arn(), EXECUTION);
}

#[tokio::test]
async fn what_definitions_of_earlier_releases_send_is_accepted_and_replied_to_with_every_field() {
    for recorded in recorded("save-order") {
        let aws = FakeAws::answering(&[(200, "{}")]);
        let client = Client::new(&aws.config());
        let saved = save_order(&client, "orders", FOR_EVER, recorded.request()).await;
        recorded.assert_still_replied(saved.expect("a stored order"));
    }
}
