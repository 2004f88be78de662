//! `web-links` against the real AWS clients, answered at the HTTP boundary.
#![allow(clippy::expect_used, clippy::indexing_slicing)] // also in the helpers of a test

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use functions::queue::Batch;
use functions::testing::answered_by;
use links::{Claim, Kind};
use serde_json::{Value, json};
use web_links::Links;

/// 2026-01-31T12:00:00Z
const NOON: u64 = 1_769_860_800;

fn offer(respond_by: &str) -> String {
    json!({
        "order_id": "ord-1001", "restaurant_id": "rest-7", "currency": "EUR", "total_amount": 2500,
        "items": [], "note": "No basil, please", "respond_by": respond_by, "task_token": "secret",
    })
    .to_string()
}

/// Publishes links for messages at noon; gives the requests, and the ids of the messages that failed.
async fn publish(bodies: &[String], status: u16) -> (Vec<String>, Value) {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&requests);
    let config = answered_by(move |body| {
        kept.lock().expect("no panic").push(body.to_owned());
        if status != 200 {
            return (
                status,
                json!({ "__type": "AccessDeniedException" }).to_string(),
            );
        }
        if body.starts_with('{') {
            return (200, json!({ "Signature": "AQID" }).to_string());
        }
        (200, "<PublishResponse><PublishResult><MessageId>1</MessageId></PublishResult></PublishResponse>".into())
    });
    let links = Links {
        kms: aws_sdk_kms::Client::new(&config),
        key: "key".into(),
        sns: aws_sdk_sns::Client::new(&config),
        topic: "topic".into(),
        site: "https://orders.example.com".into(),
        epoch: "1".into(),
    };
    let records: Vec<_> = bodies
        .iter()
        .enumerate()
        .map(|(id, body)| json!({ "messageId": id.to_string(), "body": body }))
        .collect();
    let batch: Batch = serde_json::from_value(json!({ "Records": records })).expect("a batch");
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOON);
    let failures = json!(links.publish(now, batch).await);
    let requests = requests.lock().expect("no panic").clone();
    (requests, failures["batchItemFailures"].clone())
}

#[tokio::test]
async fn an_order_that_waits_gets_a_link_until_an_hour_after_its_deadline() {
    let (requests, failed) = publish(&[offer("2026-01-31T12:10:00.000Z")], 200).await;
    assert_eq!(failed, json!([]));
    let claim = Claim {
        kind: Kind::Order,
        id: "ord-1001".into(),
        issued: NOON,
        expires: NOON + 600 + 3600,
    };
    let sign: Value = serde_json::from_str(&requests[0]).expect("JSON");
    let message = base64(&claim.signed_text("1"));
    assert_eq!(
        sign,
        json!({ "KeyId": "key", "Message": message, "MessageType": "RAW", "SigningAlgorithm": "ECDSA_SHA_256" })
    );
    let link = claim.url("https://orders.example.com", &[1, 2, 3]);
    let published: BTreeMap<_, _> = form_urlencoded::parse(requests[1].as_bytes()).collect();
    let published: BTreeMap<&str, &str> = published.iter().map(|(k, v)| (&**k, &**v)).collect();
    let message =
        format!("Order ord-1001 waits for your answer until 12:10 UTC.\nSee and answer it: {link}");
    let expected = BTreeMap::from([
        ("Action", "Publish"),
        ("Version", "2010-03-31"),
        ("TopicArn", "topic"),
        ("Subject", "Order ord-1001"),
        ("Message", &message),
        ("MessageAttributes.entry.1.Name", "restaurant_id"),
        ("MessageAttributes.entry.1.Value.DataType", "String"),
        ("MessageAttributes.entry.1.Value.StringValue", "rest-7"),
    ]);
    assert_eq!(published, expected);
    assert_eq!(requests.len(), 2);
    assert!(claim.holds_at(NOON));
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[tokio::test]
async fn an_order_whose_time_is_over_gets_no_link() {
    let (requests, failed) = publish(&[offer("2026-01-31T12:00:00.000Z")], 200).await;
    assert_eq!((requests.len(), failed), (0, json!([])));
}

#[tokio::test]
async fn a_message_that_fails_fails_alone() {
    let bodies = [
        "{}".to_owned(),
        offer("2026-01-31T12:10:00.000Z"),
        offer("soon"),
    ];
    let (_, failed) = publish(&bodies, 200).await;
    assert_eq!(
        failed,
        json!([{ "itemIdentifier": "0" }, { "itemIdentifier": "2" }])
    );
    let (_, failed) = publish(&bodies[1..2], 400).await;
    assert_eq!(failed, json!([{ "itemIdentifier": "0" }]));
}
