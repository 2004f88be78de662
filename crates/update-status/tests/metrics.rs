//! What `update-status` counts. Alone in its file, since metrics are collected for the whole process.
#![allow(clippy::expect_used, clippy::indexing_slicing)] // also in the helpers of a test

use aws_sdk_dynamodb::Client;
use functions::testing::FakeAws;
use metrics_cloudwatch_embedded::{Builder, Collector};
use order::Retention;
use serde_json::{Value, json};
use update_status::update_status;

/// What is counted while an order moves to a status, with what the request has besides.
async fn counted(metrics: &Collector, status: &str, besides: Value) -> Value {
    let mut request = json!({
        "order_id": "ord-1001", "execution_arn": "arn", "status": status, "updated_at": "2026-01-31T12:01:00.000Z",
    });
    for (name, value) in besides.as_object().expect("fields") {
        request[name] = value.clone();
    }
    let request = serde_json::from_str(&request.to_string()).expect("a request");
    let client = Client::new(&FakeAws::answering(&[(200, "{}")]).config());
    let updated = update_status(&client, "orders", Retention::days(0), request).await;
    assert!(updated.is_ok(), "{updated:?}");
    let mut line = Vec::new();
    metrics.flush(&mut line).expect("metrics");
    let mut counted: Value = serde_json::from_slice(&line).expect("one line of JSON");
    counted.as_object_mut().expect("an object").remove("_aws");
    counted
}

#[tokio::test]
async fn a_status_is_counted_and_beside_it_whose_failure_it_was_and_how_long_the_restaurant_took() {
    let metrics = Builder::new().cloudwatch_namespace("test").init();
    let metrics = metrics.expect("a collector");
    let times = json!({ "asked_at": "2026-01-31T12:00:00.000Z", "answered_at": "2026-01-31T12:00:01.500Z" });
    let failed = |error: &str| {
        let mut request = times.clone();
        request["result"] = json!({ "failure": { "Error": error, "Cause": "C" } });
        request
    };

    let accepted = counted(metrics, "ACCEPTED", times.clone()).await;
    assert_eq!(
        accepted,
        json!({ "OrdersAccepted": 1, "RestaurantResponseTime": [1_500.0] })
    );
    let reported = counted(metrics, "FAILED", failed("E")).await;
    assert_eq!(
        reported,
        json!({ "OrdersFailed": 1, "RestaurantFailures": 1, "RestaurantResponseTime": [1_500.0] })
    );
    let not_reached = counted(metrics, "FAILED", failed("SNS.NotFoundException")).await;
    assert_eq!(
        not_reached,
        json!({ "OrdersFailed": 1, "RestaurantNotReached": 1 })
    );
    let malformed = counted(metrics, "FAILED", json!({})).await;
    assert_eq!(malformed, json!({ "OrdersFailed": 1 }));
    let mut silent = failed("States.Timeout");
    silent["answered_at"] = json!(null);
    let silent = counted(metrics, "TIMED_OUT", silent).await;
    assert_eq!(silent, json!({ "OrdersTimedOut": 1 }));
}
