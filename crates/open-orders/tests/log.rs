//! What `open-orders` logs. Alone in its file: what another test logs at the same time would get lost or in between.
#![allow(clippy::expect_used)] // this file is nothing but tests

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::Client;
use functions::queue::Batch;
use functions::testing::FakeAws;
use open_orders::keep;
use serde_json::{Value, json};

/// 2026-01-31T12:00:00Z
const NOON: Duration = Duration::from_hours(491_628);

#[tokio::test]
async fn the_log_names_order_and_outcome_of_each_message_and_no_token() {
    let (mut log, writer) = std::io::pipe().expect("a pipe");
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_writer(Arc::new(writer))
        .finish();
    let logged = tracing::subscriber::set_default(subscriber);
    let offer = |order_id: &str, respond_by: &str| {
        json!({
            "order_id": order_id, "restaurant_id": "rest-7", "currency": "EUR", "total_amount": 2500,
            "items": [], "respond_by": respond_by, "task_token": "secret",
        })
    };
    let bodies = [
        offer("waits", "2026-01-31T12:10:00.000Z"),
        offer("waited", "2026-01-31T12:00:00.000Z"),
        json!({
            "time": "2026-01-31T12:05:00Z",
            "detail": { "order_id": "ended", "restaurant_id": "rest-7", "status": "ACCEPTED" },
        }),
    ];
    let records = bodies.map(|body| json!({ "messageId": "1", "body": body.to_string() }));
    let batch: Batch = serde_json::from_value(json!({ "Records": records })).expect("a batch");
    let aws = FakeAws::answering(&[(200, "{}"), (200, "{}")]);
    let client = Client::new(&aws.config());
    keep(&client, "open-orders", SystemTime::UNIX_EPOCH + NOON, batch).await;
    drop(logged);
    let mut lines = String::new();
    log.read_to_string(&mut lines).expect("the log");

    assert!(!lines.contains("secret"), "a task token is logged: {lines}");
    let said = lines.lines().map(|line| {
        let line: Value = serde_json::from_str(line).expect("a line of JSON");
        format!("{} {}", line["order_id"], line["outcome"])
    });
    let mut said: Vec<_> = said.collect();
    said.sort();
    assert_eq!(
        said,
        [
            r#""ended" "closed""#,
            r#""waited" "too late""#,
            r#""waits" "opened""#
        ]
    );
}
